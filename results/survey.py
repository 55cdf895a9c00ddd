"""What published workbooks have wrong: `python -m results.survey` counts `results/survey.csv`.

`python -m results.survey FOLDER` makes that file anew from a folder of workbooks. It holds the
findings of `check` without what belongs to others: a workbook is known by its file's name, a sheet
by its number among those with a table, and there are no values and no formulas. Workbooks with
the same formulas and numbers in the same cells carry the same number under `distinct`.
"""

import csv
import io
import sys
from collections import defaultdict
from pathlib import Path

from backprop.check.book import UnreadableBook, read_book
from backprop.check.command import check_files, find_workbooks
from backprop.check.findings import INCOMPLETE, RIGHT, UNREADABLE, WRONG, Asked
from backprop.check.report import FIELDS as FOUND
from backprop.check.report import rows_of
from common import UserError, print_utf8, write_whole

SURVEY = Path(__file__).resolve().parent / "survey.csv"
OF_OTHERS = ("value", "right", "formula", "right_formula", "likely", "not_judged", "remarks")
FIELDS = ("distinct", *(name for name in FOUND if name not in OF_OTHERS))


def survey(folder: Path) -> str:
    """Check the workbooks of a folder; gives the findings that may be published, as CSV.

    Raises:
        UserError: if it is no folder, or has no workbook.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder")
    books = find_workbooks([folder])
    reports = check_files(list(books.values()), Asked())
    text = io.StringIO()
    writer = csv.DictWriter(text, FIELDS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    distinct: dict[object, int] = {}
    for (name, path), found in zip(books.items(), reports, strict=True):
        number = distinct.setdefault(_content(path), len(distinct) + 1)
        sheets: dict[str, int] = {}
        for row in rows_of(found):
            if "sheet" in row:
                row["sheet"] = sheets.setdefault(row["sheet"], len(sheets) + 1)
            writer.writerow(row | {"file": Path(name).stem, "distinct": number})
    return text.getvalue()


def _content(path: Path) -> object:
    """Give what two copies of a workbook have in common: their formulas and their numbers."""
    try:
        book = read_book(path)
    except UnreadableBook:
        return path
    contents = {cell: value for cell, value in book.values.items() if not isinstance(value, str)}
    contents |= {cell: book.typed(cell) for cell in book.formulas}
    return frozenset(
        (book.sheets.index(sheet), *place, content) for (sheet, *place), content in contents.items()
    )


def read_survey() -> list[dict[str, str]]:
    """Read the findings, a row each."""
    with open(SURVEY, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def slips(rows: list[dict[str, str]]) -> dict[str, set[str]]:
    """Name the workbooks that carry each slip, the commonest slip first."""
    found: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        if row["verdict"] == WRONG and row["column"]:
            used = f"uses {row['uses']} where {row['belongs']} belongs" if row["uses"] else ""
            if row["uses"] and row["uses"] == row["belongs"]:
                used = f"uses {row['uses']} of another row"
            if row["slip"] == "other formula":
                used = "holds the formula of another column"
            found[used or row["slip"] or "not named"].add(row["file"])
    return dict(sorted(found.items(), key=lambda slip: -len(slip[1])))


def verdicts(rows: list[dict[str, str]]) -> dict[str, set[str]]:
    """Name the workbooks by verdict: the worst of their tables'."""
    of_file: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        of_file[row["file"]].add(row["verdict"])
    order = (WRONG, UNREADABLE, INCOMPLETE, RIGHT)
    worst = {file: min(found, key=order.index) for file, found in of_file.items()}
    return {verdict: {file for file in worst if worst[file] == verdict} for verdict in order}


def distinct(rows: list[dict[str, str]], files: set[str]) -> int:
    """Count the workbooks among files that are no copies of one another."""
    return len({row["distinct"] for row in rows if row["file"] in files})


def named(rows: list[dict[str, str]]) -> tuple[int, int]:
    """Count the wrong columns whose slip is named, and all wrong columns."""
    columns = [row for row in rows if row["column"]]
    return sum(bool(row["slip"]) for row in columns), len(columns)


def table(rows: list[dict[str, str]]) -> str:
    """Count workbooks by verdict and by slip, the distinct ones among them, and named slips."""
    lines = ["workbooks  distinct"]
    for verdict, files in verdicts(rows).items():
        lines.append(f"{len(files):9}  {distinct(rows, files):8}  {verdict}")
    lines += ["", "with the slip"]
    for slip, files in slips(rows).items():
        if len(files) > 1:
            lines.append(f"{len(files):9}  {distinct(rows, files):8}  {slip}")
    lines += ["", "wrong columns whose slip is named: {} of {}".format(*named(rows))]
    return "\n".join(lines)


if __name__ == "__main__":
    print_utf8()
    if len(sys.argv) > 1:
        try:
            write_whole(SURVEY, survey(Path(sys.argv[1])).encode())
        except UserError as error:
            sys.exit(str(error))
    print(table(read_survey()))
