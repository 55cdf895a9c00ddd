"""Tables of the exercise, found in a workbook by their headers."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from openpyxl.utils import get_column_letter

from backprop.check.book import Book, Cell, address, is_blank, is_formula, is_number
from backprop.check.formula import Symbol
from backprop.check.headers import column_of
from backprop.network import COLUMNS, WEIGHTS

GIVEN = ("t1", "t2", "i1", "i2")  # the same in every row
EXPLANATION_ROWS = 5  # at most, between header and numbers
FEWEST = len(COLUMNS) // 2 + 1  # named columns that make a row a header


@dataclass
class Header:
    """A row that names most of the columns.

    Attributes:
        line: of the sheet, counted from 0.
        places: where each column's name stands; twice, if it does.
        unnamed: the places between them whose header says nothing, or nothing known.
    """

    sheet: str
    line: int
    places: dict[str, list[int]]
    unnamed: list[int]


@dataclass
class Table:
    """One table of the exercise, as it stands in a sheet.

    Attributes:
        first_line: line of the first row of numbers, counted from 0.
        rows: number of rows of numbers.
        moves: number of rows with weights: one more, if the last row holds weights only.
        places: where each column stands, counted from 0.
        eta: the learning rate, None where nothing tells it.
        eta_cell: where the learning rate stands, None if it had to be inferred.
        remarks: what had to be guessed, a sentence each.
    """

    book: Book
    sheet: str
    first_line: int
    rows: int
    moves: int
    places: dict[str, int]
    eta: float | None = None
    eta_cell: Cell | None = None
    remarks: list[str] = field(default_factory=list)

    @cached_property
    def values(self) -> dict[str, np.ndarray]:
        """Each column's saved numbers, NaN where a cell holds none; shape (moves,).

        What is given may stand in the first row only; it then holds for the rows below.
        """
        values = {}
        for column in self.places:
            cells = [self.book.value(self.cell(column, row)) for row in range(self.moves)]
            if column in GIVEN:
                for row in range(1, self.moves):
                    if is_blank(cells[row]):
                        cells[row] = cells[row - 1]
            values[column] = np.array([it if is_number(it) else np.nan for it in cells], float)
        return values

    def cell(self, column: str, row: int) -> Cell:
        """Give the cell of a column in a row, counted from 0."""
        return self.sheet, self.first_line + row, self.places[column]

    def address(self, column: str, row: int) -> str:
        """Name the cell of a column in a row; a column that is not there gives its own name."""
        if column not in self.places:
            return column
        return address(self.first_line + row, self.places[column])

    def content(self, column: str, row: int) -> Any:
        """Give a cell as typed."""
        return self.book.content(self.cell(column, row))

    def symbols_from(self, row: int) -> Callable[[Cell], Symbol | None]:
        """Make the function that names the table's cells as they are seen from one row."""
        columns = self._columns_at

        def symbol_at(cell: Cell) -> Symbol | None:
            sheet, line, place = cell
            other = line - self.first_line
            column = columns.get(place)
            if column is None or sheet != self.sheet or not 0 <= other < self.moves:
                return None
            if column in GIVEN:
                if is_blank(self.book.content(cell)):
                    return None
                if self.values[column][other] == self.values[column][row]:
                    return Symbol(column, 0)
            return Symbol(column, other - row)

        return symbol_at

    @cached_property
    def _columns_at(self) -> dict[int, str]:
        return {place: column for column, place in self.places.items()}


def find_headers(book: Book) -> Iterator[Header]:
    """Find the rows of a workbook that name more than half of the columns."""
    for sheet, grid in book.shown.items():
        for line, row in enumerate(grid):
            named = [
                (place, column)
                for place, cell in enumerate(row)
                if isinstance(cell, str) and (column := column_of(cell)) is not None
            ]
            if len(named) < FEWEST:
                continue
            for part in _side_by_side(named):
                places: dict[str, list[int]] = {}
                for place, column in part:
                    places.setdefault(column, []).append(place)
                if len(places) >= FEWEST:
                    taken = {place for place, _ in part}
                    span = range(max(part[0][0] - len(COLUMNS), 0), part[-1][0] + len(COLUMNS))
                    others = {place for place, _ in named} - taken
                    unnamed = [place for place in span if place not in taken | others]
                    yield Header(sheet, line, places, unnamed)


def _side_by_side(named: list[tuple[int, str]]) -> Iterator[list[tuple[int, str]]]:
    """Divide a row of names into tables: where one comes again after most have come.

    A few names on their own, such as the labels of the inputs beside a table, go with a table.
    """
    parts: list[list[tuple[int, str]]] = [[]]
    for place, column in named:
        columns = {other for _, other in parts[-1]}
        if column in columns and len(columns) >= FEWEST:
            parts.append([])
        parts[-1].append((place, column))
    if len(parts) > 1 and len({column for _, column in parts[-1]}) < FEWEST:
        last = parts.pop()
        parts[-1] += last
    yield from parts


@dataclass
class Rows:
    """The rows of numbers below a header, or why there are none."""

    first_line: int
    rows: int
    moves: int


def find_rows(book: Book, header: Header) -> Rows | str:
    """Find the rows under a header, until one that is not of the table.

    Returns:
        The rows or, where none can be judged, the reason in words.
    """
    places = [place for column in header.places.values() for place in column]

    def share(line: int, fits: Callable[[Any], bool], cell: Callable[[Cell], Any]) -> float:
        return sum(fits(cell((header.sheet, line, place))) for place in places) / len(places)

    def numbers(line: int) -> float:
        return share(line, is_number, book.value)

    height = len(book.shown[header.sheet])
    lines = range(header.line + 1, min(header.line + 1 + EXPLANATION_ROWS, height))
    start = next((line for line in lines if numbers(line) > 0.5), None)
    if start is None:
        if any(share(line, is_formula, book.content) > 0.5 for line in lines):
            return (
                "the formulas have no saved values: open the file in a spreadsheet program and "
                "save it"
            )
        if any(numbers(line) > 0.2 for line in lines):
            return "the computed columns hold no numbers: fill in their formulas and save the file"
        return "there are no numbers below the headers"
    end = start
    while end < height and numbers(end) > 0.5:
        end += 1
    weights = [header.places[w][-1] for w in WEIGHTS if w in header.places]
    cells = [(header.sheet, end, place) for place in weights]
    last = all(is_number(book.value(cell)) for cell in cells) and any(
        is_formula(book.content(cell)) for cell in cells
    )
    return Rows(start, end - start, end - start + last)


def letter(place: int) -> str:
    """Name a column as the spreadsheet does."""
    return get_column_letter(place + 1)
