"""Tables of the exercise as they stand in a sheet: their headers, their rows, their cells."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
from openpyxl.utils import get_column_letter, quote_sheetname

from backprop.check.book import Book, Cell
from backprop.check.formula import Range, Ref, Symbol, Tree, Trees, leaves
from backprop.check.headers import column_of
from backprop.check.right import GIVEN, right_text
from backprop.network import COLUMNS, FORMULAS, WEIGHTS

EXPLANATION_ROWS = 5  # at most, between header and numbers
FEWEST = 12  # named columns, one of them computed, that make a row a header


class Header(NamedTuple):
    """A row that names columns, and the rows below it.

    Attributes:
        line: of the sheet, counted from 0.
        places: where each column's name stands; more than once, if it does.
        unnamed: the places between and beside them whose header says nothing known.
    """

    sheet: str
    line: int
    places: dict[str, list[int]]
    unnamed: list[int]

    @property
    def taken(self) -> list[int]:
        """All places with a name."""
        return [place for places in self.places.values() for place in places]


@dataclass(eq=False)
class Table:
    """One table of the exercise, as it stands in a sheet; lines and columns are counted from 0.

    Attributes:
        header: line of the header.
        first: line of the first row.
        rows: number of rows.
        lines: number of rows with weights: one more, if the last row holds little but weights.
        places: the column of the sheet in which each column stands.
        elsewhere: the cell of an input or target that is given once, outside of the table.
        eta: the learning rate, None where nothing tells it.
        eta_cell: where the learning rate stands, None if it stands in the formulas alone.
        remarks: what had to be guessed.
    """

    trees: Trees
    sheet: str
    header: int
    first: int
    rows: int
    lines: int
    places: dict[str, int]
    elsewhere: dict[str, Cell] = field(default_factory=dict)
    eta: float | None = None
    eta_cell: Cell | None = None
    remarks: list[str] = field(default_factory=list)

    @property
    def book(self) -> Book:
        """The workbook that holds the table."""
        return self.trees.book

    @cached_property
    def lacking(self) -> frozenset[str]:
        """The columns that stand nowhere."""
        return frozenset(COLUMNS).difference(self.places, self.elsewhere)

    @cached_property
    def values(self) -> dict[str, np.ndarray]:
        """Each column's saved numbers, NaN where a cell holds none; shape (lines,)."""
        return {
            column: np.array(
                [self.book.number(self.cell(column, row)) for row in range(self.lines)], float
            )
            for column in (*self.places, *self.elsewhere)
        }

    def cell(self, column: str, row: int) -> Cell:
        """Give the cell of a column in a row; for one that is given, the last that is not blank."""
        if column in self.elsewhere:
            return self.elsewhere[column]
        here = self.sheet, self.first + row, self.places[column]
        if column in GIVEN and row > 0 and self.book.is_blank(here):
            return self.cell(column, row - 1)
        return here

    def name(self, cell: Cell, fixed: bool = False) -> str:
        """Name a cell as a formula of this table would."""
        letters, sign = get_column_letter(cell[2] + 1), "$" if fixed else ""
        sheet = "" if cell[0] == self.sheet else f"{quote_sheetname(cell[0])}!"
        return f"{sheet}{sign}{letters}{sign}{cell[1] + 1}"

    def address(self, column: str, row: int) -> str:
        """Name the cell of a column in a row as a formula of this table would."""
        return self.name(self.cell(column, row), fixed=column in self.elsewhere)

    def computed(self, column: str) -> range:
        """Give the rows in which a column must hold a computed number.

        The last row may end where the person stopped.
        """
        end = self.lines
        while end > max(self.rows - 1, 1) and self.book.is_blank(self.cell(column, end - 1)):
            end -= 1
        return range(column in WEIGHTS, end)

    def tree(self, column: str, row: int) -> Tree | None:
        """Follow a cell's formula down to cells of the table, None if it has no formula.

        The same object is given for copies that see the same cells from theirs.

        Raises:
            Unevaluable: if that cannot be done.
        """
        cell = self.cell(column, row)
        if cell not in self.book.formulas:
            return None
        key = column, id(self.trees.as_typed(cell))
        if row > 0 and key in self._of_copies:
            return self._of_copies[key]
        tree = self.trees.follow(cell, self._symbols_from(row), self._constants)
        if row > 0 and self._is_the_same_below(cell):
            self._of_copies[key] = tree
        return tree

    @cached_property
    def _constants(self) -> dict[Cell, Tree]:
        return {}

    @cached_property
    def _of_copies(self) -> dict[tuple[str, int], Tree]:
        return {}

    @cached_property
    def _columns_at(self) -> dict[int, str]:
        return {place: column for column, place in self.places.items()}

    @cached_property
    def _symbols_elsewhere(self) -> dict[Cell, Symbol]:
        return {cell: Symbol(column, 0) for column, cell in self.elsewhere.items()}

    @cached_property
    def _is_constant(self) -> bool:
        """Whether what is given is the same in every row, and written there."""
        return all(
            np.ptp(self.values[column]) == 0
            and not any(
                map(self.book.is_blank, (self.cell(column, it) for it in range(self.lines)))
            )
            for column in GIVEN
            if column in self.places
        )

    def _is_the_same_below(self, cell: Cell) -> bool:
        """Tell whether copies of a formula in the rows below see the same cells from theirs."""
        for leaf in leaves(self.trees.as_typed(cell)):
            if isinstance(leaf, Ref):
                there = self.trees.cell(leaf, cell)
                outside = there[0] != self.sheet or not self._is_line(there[1])
                if leaf.line_fixed:
                    same = outside and there not in self.book.formulas
                else:
                    same = not outside and there[2] in self._columns_at and leaf.line in (0, -1)
                if not same:
                    return False
        array = self.book.formulas[cell].array
        ranges = any(isinstance(it, Range) for it in leaves(self.trees.as_typed(cell)))
        return self._is_constant and not array and not ranges

    def _symbols_from(self, row: int) -> Callable[[Cell], Symbol | None]:
        """Make the function that names the table's cells as they are seen from one row."""

        def symbol_at(cell: Cell) -> Symbol | None:
            sheet, line, place = cell
            if sheet != self.sheet or not self._is_line(line) or place not in self._columns_at:
                return self._symbols_elsewhere.get(cell)
            column, other = self._columns_at[place], line - self.first
            if column in GIVEN:
                if self.book.is_blank(cell):
                    return None
                if self.values[column][other] == self.values[column][row]:
                    return Symbol(column, 0)
            return Symbol(column, other - row)

        return symbol_at

    def _is_line(self, line: int) -> bool:
        return 0 <= line - self.first < self.lines

    def covers(self, cell: Cell) -> bool:
        """Tell whether a cell belongs to the table, or to a column beside it that has a header."""
        if cell[0] != self.sheet or not self._is_line(cell[1]):
            return False
        header = self.sheet, self.header, cell[2]
        return cell[2] in self._columns_at or not self.book.is_blank(header)

    def right_formula(self, column: str, row: int) -> str:
        """Write the right formula for a cell in the sheet's own cell names."""
        above = row - (column in WEIGHTS)
        names = {it: self.address(it, above) for it in COLUMNS if it not in self.lacking}
        eta = "η" if self.eta is None else f"{self.eta:.15g}"
        if self.eta_cell is not None:
            eta = self.name(self.eta_cell, fixed=True)
        return f"={right_text(column, names, eta)}"


# --- Found in a workbook ------------------------------------------------------------------


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
            for place, column in part:
                places.setdefault(column, []).append(place)
            if len(places) >= FEWEST and not places.keys().isdisjoint(FORMULAS):
                span = range(max(part[0][0] - len(COLUMNS), 0), part[-1][0] + len(COLUMNS))
                unnamed = [place for place in span if place not in dict(names)]
                headers.append(Header(sheet, line, places, unnamed))
    order = {sheet: index for index, sheet in enumerate(book.sheets)}
    return sorted(headers, key=lambda it: (order[it.sheet], it.line, min(it.taken)))


def _side_by_side(named: list[tuple[int, str]]) -> Iterable[list[tuple[int, str]]]:
    """Divide a row of names into tables: where a name comes again, and most names with it."""
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

    def has_number(cell: Cell) -> bool:
        return book.number(cell) is not None

    below = range(header.line + 1, header.line + 1 + EXPLANATION_ROWS)
    first = next((line for line in below if share(line, has_number) > 0.5), None)
    if first is None:
        if any(share(line, book.formulas.__contains__) > 0.5 for line in below):
            return (
                "the formulas were never calculated: open the file in a spreadsheet program and "
                "save it"
            )
        if any(share(line, book.is_filled) > 0 for line in below):
            return "the computed columns hold nothing: fill in their formulas and save the file"
        return ""
    end = first
    while share(end, book.is_filled) > 0.5:
        end += 1
    weights = [(header.sheet, end, header.places[it][-1]) for it in WEIGHTS if it in header.places]
    last = all(map(book.is_filled, weights)) and any(it in book.formulas for it in weights)
    return first, end - first, end - first + last


# --- Not judged ---------------------------------------------------------------------------

MANY = 16  # formulas in a line that make it look like a row of the table, which has 27


class Gap(NamedTuple):
    """Rows of a sheet that were not judged, and why; rows are counted as the spreadsheet does."""

    sheet: str
    first_row: int
    last_row: int
    reason: str


def find_gaps(book: Book, headers: list[Header], tables: list[Table | str]) -> list[Gap]:
    """Find rows that look like rows of the exercise and belong to no table that was judged.

    Args:
        tables: by header; instead of one that cannot be judged, why.
    """
    reasons: dict[tuple[str, int], str] = {}
    for header, table in zip(headers, tables, strict=True):
        start, places, enough, reason = header.line + 1, header.taken, 0.0, table
        if isinstance(table, Table):
            start, places = table.first + table.lines, list(table.places.values())
            enough, reason = len(places) / 2, "they come after a row that ends the table"
        ends = [
            it.line for it in headers
            if it.sheet == header.sheet and it.line > header.line and {*it.taken} & {*header.taken}
        ]  # fmt: skip
        last = max(
            line for sheet, line, _ in (*book.values, *book.formulas) if sheet == header.sheet
        )
        for line in range(start, min(ends, default=last + 1)) if reason else ():
            if sum(book.is_filled((header.sheet, line, it)) for it in places) > enough:
                reasons[header.sheet, line] = reason
    judged = [table for table in tables if isinstance(table, Table)]
    uncovered = Counter(
        cell[:2] for cell in book.formulas if not any(table.covers(cell) for table in judged)
    )
    for row, count in uncovered.items():
        if count >= MANY:
            reasons.setdefault(row, "they hold formulas under no headers that are known")
    gaps: list[Gap] = []
    for (sheet, line), reason in sorted(reasons.items()):
        if gaps and gaps[-1] == (sheet, gaps[-1].first_row, line, reason):
            gaps[-1] = gaps[-1]._replace(last_row=line + 1)
        else:
            gaps.append(Gap(sheet, line + 1, line + 1, reason))
    return gaps
