"""`python -m backprop check`: findings on the terminal, as CSV, and as marked copies."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from backprop.check import report
from backprop.check.files import check_files, find_workbooks
from backprop.check.mark import LOST, write_marked
from backprop.check.workbook import Asked
from common import UserError, write_whole

EXIT_CODES = {report.RIGHT: 0, report.WRONG: 1, report.INCOMPLETE: 2, report.UNREADABLE: 2}


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
            print(report.details(only))
    else:
        print(report.overview(reports))
        for name, found in reports.items():
            if found.tells_more:
                print(f"\n{name}\n{report.details(found)}")
    if csv is not None:
        text = report.csv_text(reports).encode("utf-8-sig", "replace")  # by which Excel knows UTF-8
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
    books: dict[str, Path], reports: dict[str, report.FileReport], folder: Path
) -> Iterator[str]:
    """Write every marked copy that can be written; gives why others cannot, a line each."""
    for name, found in reports.items():
        if found.verdict != report.UNREADABLE:
            try:
                write_marked(books[name], found, folder / name)
            except UserError as error:
                yield str(error)
