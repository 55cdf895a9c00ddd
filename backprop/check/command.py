"""`python -m backprop check`: workbooks found and checked; findings told, written and marked."""

import contextlib
import functools
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from tqdm import tqdm

from backprop.check.book import NOT_READ
from backprop.check.findings import (
    INCOMPLETE,
    RIGHT,
    UNREADABLE,
    WRONG,
    Asked,
    FileReport,
    check_workbook,
)
from backprop.check.mark import LOST, write_marked
from backprop.check.report import csv_text, details, overview, tells_more
from common import UserError, write_whole

EXIT_CODES = {RIGHT: 0, WRONG: 1, INCOMPLETE: 2, UNREADABLE: 2}
SUBMISSIONS = {".xlsx", ".xlsm", ".xltx", ".xltm", ".xls", ".xlsb", ".ods", *NOT_READ}


def run(paths: Sequence[Path], csv: Path | None, mark: Path | None, asked: Asked) -> int:
    """Check workbooks and tell what was found.

    Args:
        csv: where to write the findings as a table.
        mark: folder for copies in which the wrong cells are marked.
        asked: what every sheet must start from, and how far it must go.

    Returns:
        0 if all is right, 1 if anything is wrong, 2 if something was not judged, nothing wrong.

    Raises:
        UserError: if there is nothing to check, or a file cannot be written.
    """
    books = find_workbooks(paths, leave_out=mark)
    _refuse_originals(books, csv, mark)
    reports = dict(zip(books, check_files(list(books.values()), asked), strict=True))
    if len(books) == 1 and not paths[0].is_dir():
        (only,) = reports.values()
        if only.reason:
            print(f"{paths[0]} {only.reason}", file=sys.stderr)
        else:
            print(details(only))
    else:
        print(overview(reports))
        for name, found in reports.items():
            if tells_more(found):
                print(f"\n{name}\n{details(found)}")
    if csv is not None:
        text = csv_text(reports).encode("utf-8-sig", "replace")  # by which Excel knows UTF-8
        write_whole(csv, text)
    if mark is not None:
        failures = list(_mark_all(books, reports, mark))
        print(f"\n{mark}: {LOST}")
        if failures:
            raise UserError("\n".join(failures))
    codes = {EXIT_CODES[found.verdict] for found in reports.values()}
    return 1 if 1 in codes else max(codes)


def _refuse_originals(books: dict[str, Path], csv: Path | None, mark: Path | None) -> None:
    """Refuse to write where one of the workbooks lies."""
    originals = {path.resolve() for path in books.values()}
    if csv is not None and csv.resolve() in originals:
        raise UserError(f"{csv} is one of the workbooks: choose another file for the findings")
    if mark is not None and originals & {(mark / name).resolve() for name in books}:
        raise UserError(f"{mark} contains the originals: choose another folder for the copies")


def _mark_all(
    books: dict[str, Path], reports: dict[str, FileReport], folder: Path
) -> Iterator[str]:
    """Write every marked copy that can be written; gives why others cannot, a line each."""
    for name, found in reports.items():
        if found.verdict != UNREADABLE:
            try:
                write_marked(books[name], found, folder / name)
            except UserError as error:
                yield str(error)


# --- Several files -----------------------------------------------------------------------


def find_workbooks(paths: Sequence[Path], leave_out: Path | None = None) -> dict[str, Path]:
    """Find what may be a workbook among files and in folders, folders in folders included.

    Args:
        leave_out: a folder below one of the others whose workbooks are left out.

    Returns:
        Each workbook by its path within the folder that all of them lie in.

    Raises:
        UserError: if a folder has none.
    """
    found: list[Path] = []
    skipped = leave_out and leave_out.resolve()
    for path in paths:
        inside, here = [path], path.resolve()
        if path.is_dir():
            inside = [
                file
                for file in sorted(path.rglob("*"))
                if file.suffix.lower() in SUBMISSIONS
                and not file.name.startswith((".", "~$"))  # hidden, or a lock of Excel's
                and (skipped not in file.resolve().parents or skipped in (here, *here.parents))
            ]
        if not inside:
            raise UserError(f"{path} contains no .xlsx workbook")
        found += inside
    try:
        folder = os.path.commonpath(
            [os.path.abspath(path if path.is_dir() else path.parent) for path in paths]
        )
    except ValueError:
        raise UserError("the files lie on different drives: check one drive at a time") from None
    return {Path(os.path.relpath(path, folder)).as_posix(): path for path in found}


def check_files(paths: Sequence[Path], asked: Asked) -> Iterator[FileReport]:
    """Check workbooks, several at a time; a progress bar appears after a second."""
    check = functools.partial(check_workbook, asked=asked)
    if len(paths) == 1:
        yield check(paths[0])
        return
    reports = _side_by_side(check, paths)
    yield from tqdm(
        reports, "checking", len(paths), unit="file", delay=1, disable=None, leave=False
    )


def _side_by_side(
    check: Callable[[Path], FileReport], paths: Sequence[Path]
) -> Iterator[FileReport]:
    """Check files in several processes; where one is killed, the rest one by one.

    A file that takes more memory than there is, and so has its process killed, cannot be judged.
    """
    done = 0
    with (
        contextlib.suppress(BrokenProcessPool),
        ProcessPoolExecutor(min(len(paths), os.cpu_count() or 1)) as pool,
    ):
        for report in pool.map(check, paths):
            yield report
            done += 1
    for path in paths[done:]:
        with ProcessPoolExecutor(1) as pool:
            try:
                yield pool.submit(check, path).result()
            except BrokenProcessPool:
                yield FileReport(reason="needs more memory than there is")
