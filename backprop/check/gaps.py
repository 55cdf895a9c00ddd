"""Rows that look like rows of the exercise and belong to no table that was judged."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from backprop.check.answers import GIVEN
from backprop.check.book import Cell
from backprop.check.formula import Formulas
from backprop.check.headers import COMMAS, Header
from backprop.check.layout import Layout
from backprop.check.limits import FEW, MANY


class Gap(NamedTuple):
    """Rows of a sheet that were not judged, and why; rows are counted as the spreadsheet does."""

    sheet: str
    first_row: int
    last_row: int
    reason: str


def find_gaps(
    formulas: Formulas, headers: Sequence[Header], tables: Sequence[Layout | str]
) -> list[Gap]:
    """Find the rows that were not judged.

    Args:
        tables: one for each header, or the reason why it cannot be judged.
    """
    book = formulas.book
    lines = sorted({cell[:2] for cell in (*book.values, *book.formulas)})
    reasons: dict[tuple[str, int], str] = {}
    for header, table in zip(headers, tables, strict=True):
        start, places, reason = header.line + 1, header.taken, table
        if isinstance(table, Layout):
            places = [place for column, place in table.places.items() if column not in GIVEN]
            start, reason = table.first + table.lines, "below a row outside the table"
        end = min((other.line for other in headers if other.is_below(header)), default=np.inf)
        for sheet, line in lines:
            if sheet == header.sheet and start <= line < end:
                cells = [(sheet, line, place) for place in places]
                filled = sum(map(book.is_filled, cells))
                own = sum(cell in book.formulas and not formulas.is_copy(cell) for cell in cells)
                # Other tables may stand below; but a line right after the last row belongs to it.
                is_near = line == start or (table and not isinstance(table, Layout))
                enough = 1 if is_near else len(places) / 2
                if filled > enough or own > FEW:
                    reasons[sheet, line] = reason or "too far below the headers"
                elif len(commas := list(filter(book.has_comma, cells))) > enough:
                    reasons[sheet, line] = COMMAS.format(book.values[commas[0]])
    judged = [table for table in tables if isinstance(table, Layout)]
    outside = [cell for cell in book.formulas if not any(table.covers(cell) for table in judged)]
    outside = _in_many(cell for cell in outside if not formulas.is_copy(cell))
    for cell in _in_many({*outside} - needed(formulas, judged) if outside else ()):
        reasons.setdefault(cell[:2], "formulas that are not below known headers")
    gaps: list[Gap] = []
    for (sheet, line), reason in sorted(reasons.items()):
        if gaps and gaps[-1] == (sheet, gaps[-1].first_row, line, reason):
            gaps[-1] = gaps[-1]._replace(last_row=line + 1)
        else:
            gaps.append(Gap(sheet, line + 1, line + 1, reason))
    return gaps


def _in_many(cells: Iterable[Cell]) -> list[Cell]:
    """Keep the cells of the lines that have many of them."""
    cells = list(cells)
    counts = Counter(cell[:2] for cell in cells)
    return [cell for cell in cells if counts[cell[:2]] >= MANY]


def needed(formulas: Formulas, tables: Iterable[Layout]) -> set[Cell]:
    """Find the cells that the formulas of tables need."""
    found: set[Cell] = set()
    for table in tables:
        own = [table.cell(column, row) for column in table.places for row in range(table.lines)]
        found |= formulas.reached(own, table.covers)
    return found
