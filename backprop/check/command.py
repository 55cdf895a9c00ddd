"""`python -m backprop check`: findings on the terminal, as CSV, and as marked copies."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from backprop.check import report
from backprop.check.files import check_files, find_workbooks
from backprop.check.mark import LOST, write_marked
from common import UserError, write_whole


def run(paths: Sequence[Path], csv: Path | None, mark: Path | None) -> int:
    """Check workbooks and tell what was found.

    Args:
        csv: where to write the findings as a table.
        mark: folder for copies in which the wrong cells are marked.

    Returns:
        0 if every cell agrees, 1 if one is wrong, 2 if none is and a file cannot be judged.

    Raises:
        UserError: if there is nothing to check, or a file cannot be written.
    """
    books = find_workbooks(paths, leave_out=mark)
    _refuse_originals(books, csv, mark)
    reports = dict(zip(books, check_files(list(books.values())), strict=True))
    if len(books) == 1 and not paths[0].is_dir():
        (only,) = reports.values()
        if only.reason:
            print(f"{paths[0]} {only.reason}", file=sys.stderr)
        else:
            print(report.details(only))
    else:
        print(report.overview(reports))
        for name, found in reports.items():
            if found.tells_more:
                print(f"\n{name}\n{report.details(found)}")
    if csv is not None:
        write_whole(csv, report.csv_text(reports).encode())
    if mark is not None:
        failures = list(_mark_all(books, reports, mark))
        print(f"\n{mark}: {LOST}")
        if failures:
            raise UserError("\n".join(failures))
    verdicts = {found.verdict for found in reports.values()}
    return 1 if report.WRONG in verdicts else 2 if report.UNREADABLE in verdicts else 0


def _refuse_originals(books: dict[str, Path], csv: Path | None, mark: Path | None) -> None:
    """Refuse to write where one of the workbooks lies."""
    originals = {path.resolve() for path in books.values()}
    if csv is not None and csv.resolve() in originals:
        raise UserError(f"{csv} is one of the workbooks: name another file for the findings")
    if mark is not None and originals & {(mark / name).resolve() for name in books}:
        raise UserError(f"{mark} holds the originals: name another folder to mark into")


def _mark_all(
    books: dict[str, Path], reports: dict[str, report.FileReport], folder: Path
) -> Iterator[str]:
    """Write every marked copy that can be written; gives why others cannot, a line each."""
    for name, found in reports.items():
        if found.verdict != report.UNREADABLE:
            try:
                write_marked(books[name], found, folder / name)
            except UserError as error:
                yield str(error)
