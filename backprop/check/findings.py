"""What was found in one workbook, as data: read it, judge its tables, name the mistakes."""

import functools
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from backprop.check.answers import ETA, GIVEN, is_given
from backprop.check.book import Book, UnreadableBook, address, read_book
from backprop.check.formula import Formulas, Symbol, Tree, with_leaves
from backprop.check.gaps import Gap, find_gaps
from backprop.check.headers import Header, Rows, find_headers, find_rows
from backprop.check.judge import Verdict, best, count_wrong, judge, right_values
from backprop.check.limits import FEWEST, MOST_TABLES, MOST_TOLD, START, UNUSUAL
from backprop.check.slips import Slip, find_slips
from backprop.check.tables import Table, another_network, numbering, numberings, placements
from backprop.check.words import in_words
from backprop.network import COLUMNS, FORMULAS, GRADIENTS, WEIGHTS

RIGHT, INCOMPLETE, WRONG, UNREADABLE = "right", "incomplete", "wrong", "unreadable"
FAILED = "made the check itself fail"


class Asked(NamedTuple):
    """What every sheet must start from, and how many steps it must go; empty for anything."""

    given: tuple[tuple[str, float], ...] = ()
    steps: int = 0


class Finding(NamedTuple):
    """Cells of a column that are wrong in the same way; all fields but `cells` describe the first.

    Columns are called as in the sheet.

    Attributes:
        value: the cell as saved.
        right: the right value, from the other cells of the sheet; None if it cannot be computed.
        formula: empty if the cell has none.
        slip: what makes it wrong, None where no single change does; `likely` says it in words.
        mistake: equal for the same mistake in other tables.
    """

    column: str
    cells: tuple[str, ...]
    value: Any
    right: float | None
    formula: str
    right_formula: str
    slip: Slip | None
    likely: str
    mistake: Any


@dataclass(frozen=True)
class TableReport:
    """What was found in a table.

    Attributes:
        first_row: as the spreadsheet counts.
        rate_cell: where the learning rate stands, empty if it was inferred.
        rate_span: from the least to the largest rate that explains the sheet as well.
        judged: number of cells that were judged.
        remarks: what a reader of the verdict must know.
        starts: what the table starts from where something else is asked for.
        missing: what is missing or could not be judged.
    """

    sheet: str
    first_row: int
    rows: int
    learning_rate: float | None
    rate_cell: str
    rate_span: tuple[float, float]
    judged: int
    remarks: tuple[str, ...]
    wrong: tuple[Finding, ...]
    starts: str
    missing: tuple[str, ...]

    @property
    def verdict(self) -> str:
        """Wrong, incomplete or right."""
        return WRONG if self.wrong or self.starts else INCOMPLETE if self.missing else RIGHT

    def columns(self) -> dict[str, list[Finding]]:
        """Give the wrong cells by column."""
        found: dict[str, list[Finding]] = defaultdict(list)
        for finding in self.wrong:
            found[finding.column].append(finding)
        return found


@dataclass(frozen=True)
class FileReport:
    """What was found in a file; `reason` says why nothing can be judged, if nothing can."""

    tables: tuple[TableReport, ...] = ()
    gaps: tuple[Gap, ...] = ()
    reason: str = ""

    @property
    def verdict(self) -> str:
        """Unreadable, wrong, incomplete or right."""
        if self.reason:
            return UNREADABLE
        verdicts = {table.verdict for table in self.tables} | {INCOMPLETE for _ in self.gaps}
        return next(verdict for verdict in (WRONG, INCOMPLETE, RIGHT) if verdict in verdicts)


def check_workbook(path: Path, asked: Asked) -> FileReport:
    """Judge every table of a workbook; an error of the check itself is reported as unreadable."""
    try:
        return _check(read_book(path), asked)
    except UnreadableBook as error:
        return FileReport(reason=str(error))
    except Exception as error:  # one file in a hundred must not cost the others' results
        return FileReport(reason=f"{FAILED} ({error!r}): please report it")


def _check(book: Book, asked: Asked) -> FileReport:
    formulas, headers = Formulas(book), find_headers(book)
    if not headers:
        names = f"{FEWEST} or more of the columns {', '.join(COLUMNS)}"
        return FileReport(reason=f"has no table of the exercise: no row names {names}")
    if len(headers) > MOST_TABLES:
        return FileReport(reason=f"has more than {MOST_TABLES} tables")
    rows = [find_rows(book, header) for header in headers]
    judged = [
        _judge(placements(formulas, header, found, _end_above(header, headers, rows)))
        if isinstance(found, Rows) else found
        for header, found in zip(headers, rows, strict=True)
    ]  # fmt: skip
    reports = [_report(*found, asked) for found in judged if not isinstance(found, str)]
    if any(report.judged for report in reports):
        tables = [found if isinstance(found, str) else found[0] for found in judged]
        return FileReport(tuple(reports), tuple(find_gaps(formulas, headers, tables)))
    header, found = max(zip(headers, judged, strict=True), key=lambda pair: len(pair[0].places))
    reason = found or "there are no numbers below the headers"
    if not isinstance(reason, str):
        reason = "; ".join(_missing(*reason, asked))
    where = f"sheet {header.sheet}, headers in row {header.line + 1}"
    return FileReport(reason=f"has no table that can be judged ({where}): {reason}")


def _end_above(header: Header, headers: Sequence[Header], rows: Sequence[Rows | str]) -> int:
    """Give the line below the last table that stands above a header."""
    ends = [
        found.first + found.lines
        for other, found in zip(headers, rows, strict=True)
        if other.sheet == header.sheet and isinstance(found, Rows)
    ]
    return max((end for end in ends if end <= header.line), default=0)


def _judge(tables: Iterator[Table]) -> tuple[Table, list[Verdict]] | str:
    """Judge the best of some tables, or say why it is none of the exercise."""
    count, table = best(tables)
    if count > UNUSUAL:
        _, table = best(numberings(table))
    verdicts = judge(table)
    wrong = {verdict.column for verdict in verdicts if verdict.right is False}
    if not table.names and wrong & {"h1", "h2", "o1", "o2"}:
        other = min(numberings(table), key=count_wrong)
        if other.names:
            remark = f"fewer columns would be wrong if the weights were {numbering(other.names)}"
            table = replace(table, remarks=(*table.remarks, remark))
    counts = Counter(verdict.column for verdict in verdicts if verdict.right is False)
    mostly = {column for column, count in counts.items() if count > table.rows / 2}
    return another_network(table, mostly) or (table, verdicts)


def _report(table: Table, verdicts: Sequence[Verdict], asked: Asked) -> TableReport:
    computed = (verdict for verdict in verdicts if not is_given(verdict.column, verdict.row))
    order = (*GIVEN, *FORMULAS, *WEIGHTS)
    wrong = [finding for column in order for finding in _findings(table, column, verdicts)]
    return TableReport(
        sheet=table.sheet,
        first_row=table.first + 1,
        rows=table.rows,
        learning_rate=table.rate.value,
        rate_cell="" if table.rate.cell is None else table.name(table.rate.cell),
        rate_span=table.rate.span,
        judged=sum(verdict.right is not None for verdict in computed),
        remarks=tuple(_remarks(table, verdicts)),
        wrong=tuple(sorted(wrong, key=lambda finding: order.index(finding.column))),
        starts=_start(table, asked),
        missing=tuple(_missing(table, verdicts, asked)),
    )


def _remarks(table: Table, verdicts: Sequence[Verdict]) -> Iterator[str]:
    yield from table.remarks
    if table.is_typed:
        yield "there are no formulas: all numbers are typed, and judged within their rounding"
    for column, values in table.values.items():
        cells = (table.cell(column, row) for row in np.flatnonzero(np.isfinite(values)))
        for cell in [cell for cell in cells if isinstance(table.book.values[cell], str)][:1]:
            yield f"{table.called(column)} ({table.name(cell)}) is a number stored as text"
    for column in (name for name in GIVEN if name in table.values):
        numbers = np.flatnonzero(np.isfinite(table.values[column]))
        same = np.isclose(table.values[column][numbers], table.values[column][numbers[:1]])
        if not same.all():
            row = numbers[np.argmin(same)]
            yield f"{column} changes from row to row, first in {table.address(column, row)}"
    for reason, names in _by_reason(table, verdicts, "by_value").items():
        yield f"some formulas of {names} were judged by their saved values, because {reason}"


def _missing(table: Table, verdicts: Sequence[Verdict], asked: Asked) -> Iterator[str]:
    """Say what a table lacks to be called right."""
    needed = ("E_total", *GRADIENTS, *(WEIGHTS if table.lines > 1 else ()))
    if lacking := [name for name in needed if table.called(name) in table.lacking]:
        yield f"there is no column for {', '.join(lacking)}"
    last = table.first + table.rows - 1
    places = {name: table.places[name] for name in (*FORMULAS, *WEIGHTS) if name in table.places}
    blank = [name for name in places if table.book.is_blank((table.sheet, last, places[name]))]
    if blank:
        yield f"the last row lacks {', '.join(map(table.called, blank))}"
    for reason, names in _by_reason(table, verdicts, "unjudged").items():
        yield f"{names} could not be judged: {reason}"
    if copies := table.repeated_rows():
        yield f"typed rows that only repeat the row above: {len(copies)}"
    if table.lines - 1 < asked.steps:
        yield f"the table stops after {table.lines - 1} of {asked.steps} steps"


def _by_reason(table: Table, verdicts: Sequence[Verdict], kind: str) -> dict[str, str]:
    """List the columns that have a reason of some kind in common; of a column, the first counts."""
    of_column: dict[str, str] = {}
    for verdict in verdicts:
        if getattr(verdict, kind):
            of_column.setdefault(verdict.column, getattr(verdict, kind))
    found: dict[str, list[str]] = defaultdict(list)
    for column, reason in of_column.items():
        found[reason].append(table.called(column))
    return {reason: ", ".join(names) for reason, names in found.items()}


def _start(table: Table, asked: Asked) -> str:
    """Say where a table has other inputs and targets, or starts from other weights, than asked."""
    other = []
    for name, right in asked.given:
        column = table.called(name)
        values = table.values.get(column, np.array([]))[: None if name in GIVEN else 1]
        for row in np.flatnonzero(~np.isclose(values, right, START, 1e-12))[:1]:
            where = table.name(table.cell(column, row))
            other.append(f"{name} ({where}) = {values[row]:.15g} instead of {right:.15g}")
    return f"starts from {', '.join(other)}" if other else ""


# --- What is wrong ------------------------------------------------------------------------


def _findings(table: Table, column: str, verdicts: Sequence[Verdict]) -> Iterator[Finding]:
    """Group the wrong cells of a column by mistake, in the order of their first rows."""
    of_tree: dict[Tree | None, list[int]] = defaultdict(list)
    for verdict in verdicts:
        if verdict.column == column and verdict.right is False:
            of_tree[verdict.tree].append(verdict.row)
    groups: dict[object, tuple[Slip | None, list[int]]] = {}
    for tree, rows in of_tree.items():
        found = find_slips(table, column, tree, rows) if len(groups) < MOST_TOLD else [(None, rows)]
        for slip, their_rows in found:
            key = slip or (tree if len(groups) < MOST_TOLD else "others") or (column, *their_rows)
            groups.setdefault(key, (slip, []))[1].extend(their_rows)
    for key, (slip, rows) in sorted(groups.items(), key=lambda group: min(group[1][1])):
        row = min(rows)
        cell = table.cell(column, row)
        right = np.nan if is_given(column, row) else right_values(table, column)[row]
        named = slip and _called(table, slip)
        yield Finding(
            column=table.called(column),
            cells=tuple(address(table.cell(column, row)[1:]) for row in sorted(rows)),
            value=table.book.values.get(cell),
            right=float(right) if np.isfinite(right) else None,
            formula=table.book.typed(cell),
            right_formula=(
                "a number" if is_given(column, row) else table.right_formula(column, row)
            ),
            slip=named,
            likely=in_words(named, functools.partial(_named, table, row)) if named else "",
            mistake=key,
        )


def _called(table: Table, slip: Slip) -> Slip:
    """Give a slip with the sheet's own names."""

    def renamed(leaf: Tree) -> Tree:
        own = isinstance(leaf, Symbol)
        return leaf._replace(column=table.called(leaf.column)) if own else leaf

    def called(tree: Tree | None) -> Tree | None:
        return tree and with_leaves(tree, renamed)

    return slip._replace(used=called(slip.used), belongs=called(slip.belongs))


def _named(table: Table, row: int, symbol: Symbol) -> str:
    """Name a cell of the table, as seen from a row, with its address."""
    if symbol == ETA:
        cell = table.rate.cell
        return f"the learning rate η{'' if cell is None else f' ({table.name(cell)})'}"
    column = table.called(symbol.column)
    cell = table.elsewhere.get(column)
    if column in table.places:
        cell = table.sheet, table.first + row + symbol.below, table.places[column]
    return symbol.column if cell is None else f"{symbol.column} ({table.name(cell)})"
