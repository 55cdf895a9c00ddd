"""What was found in files: for a person, and for a spreadsheet."""

import csv
import io
from collections.abc import Iterator, Mapping
from typing import Any

from backprop.check.findings import INCOMPLETE, RIGHT, UNREADABLE, WRONG, FileReport, TableReport
from backprop.check.gaps import Gap
from backprop.check.slips import Slip
from backprop.check.words import written

OF_TABLES = ("sheet", "first_row", "rows", "learning_rate", "verdict")
OF_FINDINGS = ("value", "right", "formula", "right_formula")
FIELDS = (
    "file", *OF_TABLES, "column", "wrong_cells", "first_cell", *OF_FINDINGS, "likely", "slip",
    "uses", "belongs", "not_judged", "remarks",
)  # fmt: skip


def tells_more(report: FileReport) -> bool:
    """Tell whether the details say more than the sentence."""
    remarks = any(table.remarks for table in report.tables)
    return remarks or report.verdict in (WRONG, INCOMPLETE)


def sentence(report: FileReport) -> str:
    """Give the verdict on a file in one sentence."""
    missing = [reason for table in report.tables for reason in table.missing]
    missing += map(_where, report.gaps)
    within = _count(len(report.tables), "table")
    if report.verdict == UNREADABLE:
        return f"Cannot be judged: {report.reason}"
    if report.verdict == RIGHT:
        cells = sum(table.judged for table in report.tables)
        return f"Right: all {cells} cells of {within}."
    if report.verdict == INCOMPLETE:
        more = f" (and {_count(len(missing) - 1, 'more reason')})" if len(missing) > 1 else ""
        return f"Incomplete: nothing judged is wrong, but {missing[0]}{more}."
    wrong = [table for table in report.tables if table.verdict == WRONG]
    columns = list(dict.fromkeys(column for table in wrong for column in table.columns()))
    columns += ["the starting numbers"] if any(table.starts for table in wrong) else []
    what = columns[0] if len(columns) == 1 else f"{', '.join(columns[:-1])} and {columns[-1]}"
    within = within if len(wrong) == len(report.tables) else f"{len(wrong)} of {within}"
    rest = "some of the rest could not be judged" if missing else "the other columns are right"
    return f"Wrong: {what} in {within}; {rest}."


def details(report: FileReport) -> str:
    """Write all that was found in a file, and its verdict in the last line."""
    lines: list[str] = []
    groups: dict[Any, list[TableReport]] = {}
    for table in report.tables:
        mistakes = tuple((wrong.column, wrong.mistake) for wrong in table.wrong)
        key = (mistakes, table.starts, table.missing) if mistakes else id(table)
        groups.setdefault(key, []).append(table)
    for first, *others in groups.values():
        lines += _table_lines(first)
        if others:
            names = ", ".join(f"{table.sheet} (row {table.first_row})" for table in others)
            lines.append(f"  the same in {_count(len(others), 'more table')}: {names}")
            lines += [f"  {table.sheet}: {remark}" for table in others for remark in table.remarks]
    lines += [f"Not judged: {_where(gap)}" for gap in report.gaps]
    return "\n".join([*lines, sentence(report)])


def overview(reports: Mapping[str, FileReport]) -> str:
    """Write a line for each file."""
    width = max(map(len, reports))
    return "\n".join(f"{name:{width}}  {sentence(found)}" for name, found in reports.items())


def csv_text(reports: Mapping[str, FileReport]) -> str:
    """Write a row for each wrong column of each table, and one for each other table or gap.

    Text that a spreadsheet would compute, as someone else's formula, gets an apostrophe before it.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, FIELDS, lineterminator="\n")
    writer.writeheader()
    for name, report in reports.items():
        for row in rows_of(report):
            contents = {"file": name} | row
            writer.writerow({field: _harmless(content) for field, content in contents.items()})
    return text.getvalue()


def _harmless(content: Any) -> Any:
    would_be_computed = isinstance(content, str) and content[:1] in {*"=+-@\t\r"}
    return f"'{content}" if would_be_computed else content


def rows_of(report: FileReport) -> Iterator[dict[str, Any]]:
    """Give the rows of the CSV, without the file's name."""
    if report.reason:
        yield {"verdict": UNREADABLE, "not_judged": report.reason}
    for table in report.tables:
        place = {
            **{name: getattr(table, name) for name in OF_TABLES},
            "not_judged": "; ".join(table.missing),
            "remarks": "; ".join(table.remarks),
        }
        for column, wrong in table.columns().items():
            first, slip = wrong[0], wrong[0].slip or Slip("")
            others = [finding for finding in wrong[1:] if finding.likely]
            more = [f"{finding.likely}, from {finding.cells[0]}" for finding in others]
            yield place | {
                "column": column,
                "wrong_cells": sum(len(finding.cells) for finding in wrong),
                "first_cell": first.cells[0],
                **{name: getattr(first, name) for name in OF_FINDINGS},
                "likely": "; ".join(filter(None, [first.likely, *more])),
                "slip": slip.kind,
                "uses": written(slip.used),
                "belongs": written(slip.belongs),
            }  # fmt: skip
        if table.starts or not table.wrong:
            yield place | {"likely": table.starts}
    for gap in report.gaps:
        place = {"sheet": gap.sheet, "first_row": gap.first_row}
        yield place | {"verdict": INCOMPLETE, "not_judged": _where(gap)}


def _where(gap: Gap) -> str:
    rows = f"row {gap.first_row}"
    if gap.last_row > gap.first_row:
        rows = f"rows {gap.first_row} to {gap.last_row}"
    return f"{rows} of sheet {gap.sheet}: {gap.reason}"


def _rate(table: TableReport) -> str:
    if table.learning_rate is None:
        return "η not needed for one row" if table.rows == 1 else "η unknown"
    rate, (least, most) = f"η = {table.learning_rate:.15g}", table.rate_span
    if table.rate_cell:
        return f"{rate} ({table.rate_cell})"
    others = f" (any from {least:.3g} to {most:.3g} would do)" if most > 1.01 * least else ""
    return f"{rate}, inferred from the weight updates{others}"


def _table_lines(table: TableReport) -> Iterator[str]:
    rate = _rate(table)
    rows = _count(table.rows, "row")
    yield f"Sheet {table.sheet}, table from row {table.first_row}: {rows}, {rate}"
    yield from (f"  {remark}" for remark in (*table.remarks, table.starts) if remark)
    for wrong in table.wrong:
        cells = _count(len(wrong.cells), "wrong cell")
        yield f"  {wrong.column}: {cells}, the first is {wrong.cells[0]}"
        yield f"    value    {'none' if wrong.value is None else wrong.value}"
        yield f"    right    {'unknown' if wrong.right is None else repr(wrong.right)}"
        yield f"    formula  {wrong.formula or 'none'}"
        yield f"    right    {wrong.right_formula}"
        if wrong.likely:
            yield f"    likely   {wrong.likely}"
    yield from (f"  incomplete: {reason}" for reason in table.missing)
    if table.verdict == RIGHT:
        yield f"  all {table.judged} cells are right"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
