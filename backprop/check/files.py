"""Workbooks found and checked, several at a time."""

import contextlib
import functools
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from tqdm import tqdm

from backprop.check.book import NOT_READ
from backprop.check.report import FileReport
from backprop.check.workbook import Asked, check_workbook
from common import UserError

SUBMISSIONS = {".xlsx", ".xlsm", ".xltx", ".xltm", ".xls", ".xlsb", ".ods", *NOT_READ}


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
            [os.path.abspath(it if it.is_dir() else it.parent) for it in paths]
        )
    except ValueError:
        raise UserError("the files lie on different drives: check one drive at a time") from None
    return {Path(os.path.relpath(it, folder)).as_posix(): it for it in found}


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
