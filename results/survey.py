"""What published workbooks have wrong: `python -m results.survey` counts `results/survey.csv`.

`python -m results.survey FOLDER` makes that file anew from a folder of workbooks. It holds the
findings of `check` without what belongs to others: a workbook is known by its file's name, a sheet
by its number among those with a table, and there are no values and no formulas.
"""

import csv
import io
import re
import sys
from collections import defaultdict
from pathlib import Path

from backprop.check import report
from backprop.check.files import check_files, find_workbooks
from common import write_whole

SURVEY = Path(__file__).resolve().parent / "survey.csv"
OF_OTHERS = ("value", "right", "formula", "right_formula")


def survey(folder: Path) -> str:
    """Check the workbooks of a folder, and write what may be told of them as CSV."""
    books = find_workbooks([folder])
    reports = dict(zip(books, check_files(list(books.values())), strict=True))
    findings = csv.DictReader(io.StringIO(report.csv_text(reports)))
    text = io.StringIO()
    fields = [name for name in report.FIELDS if name not in OF_OTHERS]
    writer = csv.DictWriter(text, fields, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    numbers: dict[str, dict[str, int]] = defaultdict(dict)
    for row in findings:
        sheets = numbers[row["file"]]
        number = sheets.setdefault(row["sheet"], len(sheets) + 1)
        reason = row["verdict"] == report.UNREADABLE
        writer.writerow(
            row
            | {
                "file": Path(row["file"]).stem,
                "sheet": "" if reason else number,
                "likely": row["likely"].rpartition(": sheet ")[2] if reason else row["likely"],
            }
        )
    return text.getvalue()


def read_survey() -> list[dict[str, str]]:
    """Read the findings, a row each."""
    with open(SURVEY, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def slips(rows: list[dict[str, str]]) -> dict[str, set[str]]:
    """Name the workbooks that carry each slip, the commonest slip first."""
    found: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        if row["verdict"] == report.WRONG:
            slip = re.sub(r" \([A-Z]+\d+\)", "", row["likely"]) or "not named"
            found[re.sub(r" of row \d+ where row \d+", " of another row where its own", slip)].add(
                f"{row['file']}"
            )
    return dict(sorted(found.items(), key=lambda it: -len(it[1])))


def verdicts(rows: list[dict[str, str]]) -> dict[str, set[str]]:
    """Name the workbooks by verdict: wrong, if a table of theirs is."""
    found: dict[str, set[str]] = {report.WRONG: set(), report.RIGHT: set()}
    for row in rows:
        found.setdefault(row["verdict"], set()).add(row["file"])
    found[report.RIGHT] -= found[report.WRONG]
    return found


if __name__ == "__main__":
    if len(sys.argv) > 1:
        write_whole(SURVEY, survey(Path(sys.argv[1])).encode())
    rows = read_survey()
    for verdict, files in verdicts(rows).items():
        print(f"{len(files):3} workbooks {verdict}")
    print("\nworkbooks with the slip")
    for slip, files in slips(rows).items():
        print(f"{len(files):3} {slip}")
