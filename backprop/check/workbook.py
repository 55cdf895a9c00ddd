"""Check one workbook: find its tables, judge them, report."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from backprop.check.book import Book, UnreadableBook, address, number, read_book
from backprop.check.find import FEWEST, Header, find_gaps, find_headers, find_rows
from backprop.check.formula import Symbol, Trees
from backprop.check.judge import Judged, judge
from backprop.check.place import find_rate, place_columns
from backprop.check.report import FileReport, TableReport, Wrong
from backprop.check.right import ETA, GIVEN
from backprop.check.slips import Slip, find_slips
from backprop.check.table import Table
from backprop.check.values import repeated_rows, right_values
from backprop.check.words import in_words
from backprop.network import COLUMNS, FORMULAS, GRADIENTS, WEIGHTS

MOST_TOLD = 3  # different mistakes of one column that are explained
START = 1e-6  # share that a number may be off from the one that a sheet must start from
MOST_TABLES = 200
FAILED = "made the check itself fail"


class Asked(NamedTuple):
    """What every sheet must start from, and how many steps it must go; empty for anything."""

    given: tuple[tuple[str, float], ...] = ()
    steps: int = 0


def check_workbook(path: Path, asked: Asked) -> FileReport:
    """Judge every table of a workbook; an error of the check itself is reported as unreadable."""
    try:
        return _check(read_book(path), asked)
    except UnreadableBook as error:
        return FileReport(reason=str(error))
    except Exception as error:  # one file in a hundred must not cost the others' results
        return FileReport(reason=f"{FAILED} ({error!r}): please report it")


def _check(book: Book, asked: Asked) -> FileReport:
    trees, headers, tables = Trees(book), find_headers(book), []
    if not headers:
        names = f"{FEWEST} or more of the columns {', '.join(COLUMNS)}"
        return FileReport(reason=f"has no table of the exercise: no row names {names}")
    if len(headers) > MOST_TABLES:
        return FileReport(reason=f"has more than {MOST_TABLES} tables")
    for header in headers:
        rows = find_rows(book, header)
        tables.append(rows if isinstance(rows, str) else place_columns(trees, header, *rows))
        if isinstance(tables[-1], Table):
            here = [it for it in tables if isinstance(it, Table) and it.sheet == header.sheet]
            ends = [it.first + it.lines for it in here]
            find_rate(tables[-1], max((end for end in ends if end <= header.line), default=0))
    judged = {table: dict(judge(table)) for table in tables if isinstance(table, Table)}
    if any(column.cells for columns in judged.values() for column in columns.values()):
        reports = tuple(_report(table, columns, asked) for table, columns in judged.items())
        return FileReport(reports, tuple(find_gaps(trees, headers, tables)))
    index = max(range(len(headers)), key=lambda it: len(headers[it].places))
    header, reason = headers[index], tables[index] or _without_numbers(book, headers[index])
    if isinstance(reason, Table):
        reason = "; ".join(_missing(reason, judged[reason], asked))
    where = f"sheet {header.sheet}, headers in row {header.line + 1}"
    return FileReport(reason=f"has no table that can be judged ({where}): {reason}")


def _without_numbers(book: Book, header: Header) -> str:
    below = (text for line, _, text in book.texts[header.sheet] if line > header.line)
    if commas := [it for it in below if re.fullmatch(r"[-−+]?\d+,\d+(E[-+]?\d+)?", it.strip())]:
        return f"the numbers are text with commas, such as {commas[0]}: write them with points"
    return "there are no numbers below the headers"


def _report(table: Table, columns: dict[str, Judged], asked: Asked) -> TableReport:
    return TableReport(
        sheet=table.sheet,
        first_row=table.first + 1,
        rows=table.rows,
        learning_rate=table.eta,
        rate_cell="" if table.eta_cell is None else table.name(table.eta_cell),
        judged=sum(judged.cells for judged in columns.values()),
        remarks=tuple(_remarks(table, columns)),
        wrong=tuple(it for column in columns for it in _wrong(table, column, columns[column])),
        starts=_start(table, asked),
        missing=tuple(_missing(table, columns, asked)),
    )


def _remarks(table: Table, columns: dict[str, Judged]) -> Iterator[str]:
    yield from table.remarks
    cells = {(it, row): table.cell(it, row) for it in table.values for row in range(table.lines)}
    if not any(cells[it] in table.book.formulas for it in cells if it[0] in FORMULAS):
        yield "there are no formulas: all numbers are typed, and judged within their rounding"
    values = {cell: (column, table.book.values.get(cell)) for (column, _), cell in cells.items()}
    texts = {it: column for it, (column, value) in values.items()
             if isinstance(value, str) and number(value) is not None}  # fmt: skip
    for column in dict.fromkeys(texts.values()):
        first = next(it for it in texts if texts[it] == column)
        yield f"{column} ({table.name(first)}) is a number stored as text"
    for column in (it for it in GIVEN if it in table.values):
        other = np.flatnonzero(~np.isclose(table.values[column], table.values[column][0]))
        if len(other):
            yield f"{column} changes from row to row, first in {table.address(column, other[0])}"
    for reason, names in _by_reason({it: columns[it].by_value for it in columns}).items():
        yield f"some formulas of {names} were judged by their saved values, because {reason}"


def _missing(table: Table, columns: dict[str, Judged], asked: Asked) -> Iterator[str]:
    """Say what a table lacks to be called right."""
    needed = ("E_total", *GRADIENTS, *(WEIGHTS if table.lines > 1 else ()))
    if lacking := [it for it in needed if it in table.lacking]:
        yield f"there is no column for {', '.join(lacking)}"
    last = table.first + table.rows - 1
    places = {it: table.places[it] for it in columns if it not in GIVEN}
    blank = [it for it in places if table.book.is_blank((table.sheet, last, places[it]))]
    if blank:
        yield f"the last row lacks {', '.join(blank)}"
    for reason, names in _by_reason({it: columns[it].unjudged for it in columns}).items():
        yield f"{names} could not be judged: {reason}"
    if copies := repeated_rows(table):
        yield f"typed rows that only repeat the row above: {len(copies)}"
    if table.lines - 1 < asked.steps:
        yield f"the table stops after {table.lines - 1} of {asked.steps} steps"


def _by_reason(reasons: dict[str, str]) -> dict[str, str]:
    """List the columns that have a reason in common."""
    found = dict.fromkeys(filter(None, reasons.values()))
    return {it: ", ".join(name for name in reasons if reasons[name] == it) for it in found}


def _start(table: Table, asked: Asked) -> str:
    """Say where a table has other inputs and targets, or starts from other weights, than asked."""
    other = []
    for name, right in asked.given:
        values = table.values.get(name, np.array([]))[: None if name in GIVEN else 1]
        for row in np.flatnonzero(~np.isclose(values, right, START, 1e-12))[:1]:
            where = table.name(table.cell(name, row))
            other.append(f"{name} ({where}) = {values[row]:.15g} instead of {right:.15g}")
    return f"starts from {', '.join(other)}" if other else ""


# --- What is wrong ------------------------------------------------------------------------


def _wrong(table: Table, column: str, judged: Judged) -> Iterator[Wrong]:
    """Group the wrong cells of a column by mistake: one group for each slip."""
    groups: dict[object, tuple[Slip | None, list[int]]] = {}
    for tree, rows in judged.wrong.items():
        found = find_slips(table, column, tree, rows) if len(groups) < MOST_TOLD else [(None, rows)]
        for slip, alike in found:
            key = slip or (tree if len(groups) < MOST_TOLD else "others") or (column, *alike)
            groups.setdefault(key, (slip, []))[1].extend(alike)
    for key, (slip, rows) in sorted(groups.items(), key=lambda group: min(group[1][1])):
        row = min(rows)
        cell = table.cell(column, row)
        is_given = column in GIVEN or (row == 0 and column in WEIGHTS)
        right = np.nan if is_given else right_values(table, column)[row]
        yield Wrong(
            column=column,
            cells=tuple(address(table.cell(column, it)[1:]) for it in sorted(rows)),
            value=table.book.values.get(cell),
            right=float(right) if np.isfinite(right) else None,
            formula=table.book.typed(cell),
            right_formula="a number" if is_given else table.right_formula(column, row),
            slip=slip,
            likely=in_words(slip, lambda it, row=row: _named(table, it, row)) if slip else "",
            alike=key,
        )


def _named(table: Table, symbol: Symbol, row: int) -> str:
    """Name a cell of the table, as seen from a row, with its address."""
    if symbol == ETA:
        cell = table.eta_cell
        return f"the learning rate η{'' if cell is None else f' ({table.name(cell)})'}"
    cell = table.elsewhere.get(symbol.column)
    if symbol.column in table.places:
        cell = table.sheet, table.first + row + symbol.below, table.places[symbol.column]
    return symbol.column if cell is None else f"{symbol.column} ({table.name(cell)})"
