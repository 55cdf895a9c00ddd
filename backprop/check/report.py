"""What was found in a file, for a person and for a spreadsheet."""

import csv
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

RIGHT, WRONG, UNREADABLE = "right", "wrong", "unreadable"
FIELDS = (
    "file", "sheet", "first_row", "rows", "learning_rate", "verdict", "column", "wrong_cells",
    "first_cell", "value", "right", "formula", "right_formula", "likely",
)  # fmt: skip


@dataclass(frozen=True)
class WrongColumn:
    """A column with wrong cells; all but `cells` speaks of the first of them.

    Attributes:
        cells: names of the wrong cells.
        value: the cell as saved.
        right: the right value, from the other cells of the sheet; None where those tell none.
        formula: the cell's formula, empty if it has none.
        right_formula: the right formula, in the sheet's own cell names.
        likely: the likely slip in words, empty where none is told.
    """

    column: str
    cells: tuple[str, ...]
    value: Any
    right: float | None
    formula: str
    right_formula: str
    likely: str


@dataclass(frozen=True)
class TableReport:
    """What was found in a table.

    Attributes:
        first_row: as the spreadsheet counts.
        rate_cell: where the learning rate stands, empty if it was inferred.
        judged: number of cells that were judged.
        remarks: what a reader of the verdict must know.
    """

    sheet: str
    first_row: int
    rows: int
    learning_rate: float | None
    rate_cell: str
    judged: int
    remarks: tuple[str, ...]
    wrong: tuple[WrongColumn, ...]


@dataclass(frozen=True)
class FileReport:
    """What was found in a file; `reason` says why it cannot be judged, if it cannot.

    Attributes:
        skipped: tables that cannot be judged, with the reason, a line each.
    """

    tables: tuple[TableReport, ...] = ()
    skipped: tuple[str, ...] = ()
    reason: str = ""

    @property
    def verdict(self) -> str:
        """Right, wrong or unreadable."""
        if self.reason:
            return UNREADABLE
        return WRONG if any(table.wrong for table in self.tables) else RIGHT

    @property
    def tells_more(self) -> bool:
        """Whether the details say more than the sentence."""
        remarks = any(table.remarks for table in self.tables)
        return self.verdict == WRONG or remarks or bool(self.skipped)

    def sentence(self) -> str:
        """Give the verdict in one sentence."""
        if self.reason:
            return f"Cannot be judged: {self.reason}"
        cells = sum(table.judged for table in self.tables)
        within = _count(len(self.tables), "table")
        if self.verdict == RIGHT:
            return f"Right: all {cells} cells of {within} agree."
        wrong = [table for table in self.tables if table.wrong]
        columns = list(dict.fromkeys(it.column for table in wrong for it in table.wrong))
        some = within if len(wrong) == len(self.tables) else f"{len(wrong)} of {within}"
        return f"Wrong: {_listed(columns)} in {some}; the other columns agree."


def details(report: FileReport) -> str:
    """Write all that was found in a file, and its verdict in the last line."""
    lines: list[str] = []
    groups: dict[Any, list[TableReport]] = {}
    for table in report.tables:
        groups.setdefault(_finding(table) or id(table), []).append(table)
    for first, *others in groups.values():
        lines += _table_lines(first)
        if others:
            names = ", ".join(f"{table.sheet} (row {table.first_row})" for table in others)
            lines.append(f"  the same in {_count(len(others), 'more table')}: {names}")
            lines += [f"  {table.sheet}: {it}" for table in others for it in table.remarks]
    lines += report.skipped
    return "\n".join([*lines, report.sentence()])


def overview(reports: Mapping[str, FileReport]) -> str:
    """Write a line for each file."""
    width = max(map(len, reports))
    return "\n".join(f"{name:{width}}  {it.sentence()}" for name, it in reports.items())


def csv_text(reports: Mapping[str, FileReport]) -> str:
    """Write a row for each wrong column of each table, and one for a table that is right."""
    text = io.StringIO()
    writer = csv.DictWriter(text, FIELDS, lineterminator="\n")
    writer.writeheader()
    for name, report in reports.items():
        if report.reason:
            writer.writerow({"file": name, "verdict": UNREADABLE, "likely": report.reason})
        for table in report.tables:
            place = {
                "file": name,
                "sheet": table.sheet,
                "first_row": table.first_row,
                "rows": table.rows,
                "learning_rate": table.learning_rate,
                "verdict": WRONG if table.wrong else RIGHT,
            }
            writer.writerows(place | _fields(wrong) for wrong in table.wrong)
            if not table.wrong:
                writer.writerow(place)
    return text.getvalue()


def _fields(wrong: WrongColumn) -> dict[str, Any]:
    return {
        "column": wrong.column,
        "wrong_cells": len(wrong.cells),
        "first_cell": wrong.cells[0],
        "value": wrong.value,
        "right": wrong.right,
        "formula": wrong.formula,
        "right_formula": wrong.right_formula,
        "likely": wrong.likely,
    }


def _finding(table: TableReport) -> tuple:
    """Give what two tables have in common that are wrong in the same way, empty for a right one."""
    return tuple(
        (wrong.column, re.sub(r" \(\$?[A-Z]+\$?\d+\)| of row \d+.*", "", wrong.likely))
        for wrong in table.wrong
    )


def _table_lines(table: TableReport) -> list[str]:
    if table.learning_rate is None:
        rate = "η not needed for one row"
    elif table.rate_cell:
        rate = f"η = {table.learning_rate:g} ({table.rate_cell})"
    else:
        rate = f"η = {table.learning_rate:g}, inferred from how the weights move"
    lines = [
        f"Sheet {table.sheet}, table from row {table.first_row}: "
        f"{_count(table.rows, 'row')}, {rate}"
    ]
    lines += [f"  {remark}" for remark in table.remarks]
    if not table.wrong:
        return [*lines, f"  all {table.judged} cells agree"]
    for wrong in table.wrong:
        cells = _count(len(wrong.cells), "wrong cell")
        lines += [
            f"  {wrong.column}: {cells}, the first is {wrong.cells[0]}",
            f"    value    {wrong.value}",
            f"    right    {'unknown' if wrong.right is None else repr(wrong.right)}",
            f"    formula  {wrong.formula or 'a number, no formula'}",
            f"    right    {wrong.right_formula}",
        ]
        if wrong.likely:
            lines.append(f"    likely   {wrong.likely}")
    return lines


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
