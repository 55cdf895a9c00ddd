"""Find the tables of the exercise in a workbook, and similar rows that were not judged."""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

from backprop.check.book import Book, Cell
from backprop.check.formula import Trees
from backprop.check.headers import IF_NO_OTHER, column_of
from backprop.check.right import GIVEN
from backprop.check.table import Table
from backprop.network import COLUMNS, FORMULAS, WEIGHTS

EXPLANATION_ROWS = 5  # at most, between header and numbers
FEWEST = 12  # named columns, one of them computed, that make a row a header
FEW = 4  # formulas below a table, in its columns, that look like a row of it
MANY = 10  # formulas in a line that look like a row of the table, which has 27


class Header(NamedTuple):
    """A row that names columns, and the rows below it.

    Attributes:
        line: of the sheet, counted from 0.
        places: the sheet columns that carry each name; several if the name is repeated.
        unnamed: the places between and beside them whose header is not a known name.
    """

    sheet: str
    line: int
    places: dict[str, list[int]]
    unnamed: list[int]

    @property
    def taken(self) -> list[int]:
        """All places with a name."""
        return [place for places in self.places.values() for place in places]

    def is_below(self, other: "Header") -> bool:
        """Tell whether it ends a table above it."""
        same = self.sheet == other.sheet and self.line > other.line
        return same and not set(self.taken).isdisjoint(other.taken)


def find_headers(book: Book) -> list[Header]:
    """Find the rows of a workbook that name columns of the exercise."""
    named: dict[tuple[str, int], list[tuple[int, str]]] = {}
    for (sheet, line, place), value in book.values.items():
        if isinstance(value, str) and (column := column_of(value)) is not None:
            named.setdefault((sheet, line), []).append((place, column))
    headers = []
    for (sheet, line), names in named.items():
        for part in _side_by_side(sorted(names)):
            places: dict[str, list[int]] = {}
            for place, column in sorted(part, key=lambda it: it[1].endswith(IF_NO_OTHER)):
                if column.removesuffix(IF_NO_OTHER) == column or column[:-1] not in places:
                    places.setdefault(column.removesuffix(IF_NO_OTHER), []).append(place)
            if len(places) >= FEWEST and not places.keys().isdisjoint(FORMULAS):
                span = range(max(part[0][0] - len(COLUMNS), 0), part[-1][0] + len(COLUMNS))
                unnamed = [place for place in span if place not in dict(names)]
                headers.append(Header(sheet, line, places, unnamed))
    order = {sheet: index for index, sheet in enumerate(book.sheets)}
    return sorted(headers, key=lambda it: (order[it.sheet], it.line, min(it.taken)))


def _side_by_side(named: list[tuple[int, str]]) -> Iterable[list[tuple[int, str]]]:
    """Divide a row of names into tables, where a name is repeated and most others follow."""
    for index in range(1, len(named)):
        before = {column for _, column in named[:index]}
        if named[index][1] in before:
            after = {column for _, column in named[index:]}
            if len(before & after) >= FEWEST:
                return [named[:index], *_side_by_side(named[index:])]
    return [named]


def find_rows(book: Book, header: Header) -> tuple[int, int, int] | str:
    """Find the rows under a header, until one that is not of the table.

    Returns:
        The first line, the number of rows, and the number of rows with weights. Where none can be
        judged, the reason in words; empty if nothing stands there.
    """

    def share(line: int, fits: Callable[[Cell], bool]) -> float:
        return sum(fits((header.sheet, line, it)) for it in header.taken) / len(header.taken)

    def is_calculated(cell: Cell) -> bool:
        return book.is_filled(cell) and cell in book.values

    below = range(header.line + 1, header.line + 1 + EXPLANATION_ROWS)
    first = next((line for line in below if share(line, is_calculated) > 0.5), None)
    if first is None:
        if any(share(line, book.formulas.__contains__) > 0.5 for line in below):
            return (
                "the formulas were never calculated: open the file in a spreadsheet program and "
                "save it"
            )
        if any(share(line, book.is_filled) > 0 for line in below):
            return "the computed columns are empty: fill in their formulas and save the file"
        return ""
    end = first
    while share(end, book.is_filled) > 0.5:
        end += 1
    weights = [(header.sheet, end, header.places[it][-1]) for it in WEIGHTS if it in header.places]
    last = all(map(book.is_filled, weights)) and any(it in book.formulas for it in weights)
    return first, end - first, end - first + last


class Gap(NamedTuple):
    """Rows of a sheet that were not judged, and why; rows are counted as the spreadsheet does."""

    sheet: str
    first_row: int
    last_row: int
    reason: str


def find_gaps(trees: Trees, headers: list[Header], tables: list[Table | str]) -> list[Gap]:
    """Find rows that look like rows of the exercise and belong to no table that was judged.

    Args:
        tables: one for each header, or the reason why it cannot be judged.
    """
    book = trees.book
    lines = sorted({cell[:2] for cell in (*book.values, *book.formulas)})
    reasons: dict[tuple[str, int], str] = {}
    for header, table in zip(headers, tables, strict=True):
        start, places, reason = header.line + 1, header.taken, table
        if isinstance(table, Table):
            places = [place for column, place in table.places.items() if column not in GIVEN]
            start, reason = table.first + table.lines, "below a row outside the table"
        end = min((it.line for it in headers if it.is_below(header)), default=np.inf)
        for sheet, line in lines:
            if sheet == header.sheet and start <= line < end:
                cells = [(sheet, line, it) for it in places]
                filled = sum(map(book.is_filled, cells))
                formulas = sum(it in book.formulas and not trees.is_copy(it) for it in cells)
                # Other tables may stand below; but a line right after the last row belongs to it.
                is_near = line == start or (table and not isinstance(table, Table))
                if filled > (1 if is_near else len(places) / 2) or formulas > FEW:
                    reasons[sheet, line] = reason or "too far below the headers"
    uncovered = Counter(
        cell[:2] for cell in book.formulas
        if cell not in trees.followed and not trees.is_copy(cell)
        and not any(table.covers(cell) for table in tables if isinstance(table, Table))
    )  # fmt: skip
    for row, count in uncovered.items():
        if count >= MANY:
            reasons.setdefault(row, "formulas that are not below known headers")
    gaps: list[Gap] = []
    for (sheet, line), reason in sorted(reasons.items()):
        if gaps and gaps[-1] == (sheet, gaps[-1].first_row, line, reason):
            gaps[-1] = gaps[-1]._replace(last_row=line + 1)
        else:
            gaps.append(Gap(sheet, line + 1, line + 1, reason))
    return gaps
