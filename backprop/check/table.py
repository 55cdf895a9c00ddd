"""Tables of the exercise as they stand in a sheet: their headers, their rows, their cells."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from openpyxl.utils import get_column_letter, quote_sheetname

from backprop.check.book import Book, Cell
from backprop.check.formula import Range, Ref, Symbol, Tree, Trees, leaves
from backprop.check.right import GIVEN, right_text
from backprop.network import COLUMNS, WEIGHTS


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

    def __post_init__(self) -> None:
        self.book: Book = self.trees.book
        self._columns_at = {place: column for column, place in self.places.items()}
        self._symbols_elsewhere = {it: Symbol(column, 0) for column, it in self.elsewhere.items()}
        self._constants: dict[Cell, Tree] = {}
        self._of_copies: dict[tuple[str, int], Tree | None] = {}

    @cached_property
    def lacking(self) -> frozenset[str]:
        """The columns that the sheet does not have."""
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

    @cached_property
    def _given_rows(self) -> dict[str, list[int]]:
        """For each column that is given, the last row down to each that is not blank."""
        return {
            column: list(itertools.accumulate(
                range(self.lines),
                lambda last, row, place=place:
                    last if self.book.is_blank((self.sheet, self.first + row, place)) else row,
            ))
            for column, place in self.places.items() if column in GIVEN
        }  # fmt: skip

    @cached_property
    def _is_constant(self) -> bool:
        """Whether every row has the same inputs and targets, written in it."""
        whole = list(range(self.lines))
        return all(
            rows == whole and np.ptp(self.values[it]) == 0 for it, rows in self._given_rows.items()
        )

    def cell(self, column: str, row: int) -> Cell:
        """Give the cell of a column in a row; for one that is given, the last that is not blank."""
        if column in self.elsewhere:
            return self.elsewhere[column]
        if column in GIVEN:
            row = self._given_rows[column][row]
        return self.sheet, self.first + row, self.places[column]

    def name(self, cell: Cell, fixed: bool = False) -> str:
        """Name a cell as a formula of this table would."""
        letters, sign = get_column_letter(cell[2] + 1), "$" if fixed else ""
        sheet = "" if cell[0] == self.sheet else f"{quote_sheetname(cell[0])}!"
        return f"{sheet}{sign}{letters}{sign}{cell[1] + 1}"

    def address(self, column: str, row: int) -> str:
        """Name the cell of a column in a row as a formula of this table would."""
        return self.name(self.cell(column, row), fixed=column in self.elsewhere)

    def computed(self, column: str) -> range:
        """Give the rows in which a column holds a computed number; the last one may lack it."""
        last = self.cell(column, self.lines - 1)
        end = self.lines - self.book.is_blank(last)
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
        if row > 0 and self._of_copies.get(key) is not None:
            return self._of_copies[key]
        tree = self.trees.follow(cell, self._symbols_from(row), self._constants)
        if row > 0 and key not in self._of_copies:
            self._of_copies[key] = tree if self._is_the_same_below(cell) else None
        return tree

    def _is_the_same_below(self, cell: Cell) -> bool:
        """Tell whether copies of a formula in the rows below see the same cells from theirs."""
        for leaf in leaves(self.trees.as_typed(cell)):
            if isinstance(leaf, Ref):
                there = self.trees.cell(leaf, cell)
                outside = there[0] != self.sheet or not self.has_line(there[1])
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
            if sheet != self.sheet or not self.has_line(line) or place not in self._columns_at:
                return self._symbols_elsewhere.get(cell)
            column, other = self._columns_at[place], line - self.first
            if column in GIVEN:
                if self.book.is_blank(cell):
                    return None
                if self.values[column][other] == self.values[column][row]:
                    return Symbol(column, 0)
            return Symbol(column, other - row)

        return symbol_at

    def has_line(self, line: int) -> bool:
        """Tell whether a line of the sheet is one of the table's rows."""
        return 0 <= line - self.first < self.lines

    def covers(self, cell: Cell) -> bool:
        """Tell whether a cell belongs to the table."""
        return cell[0] == self.sheet and self.has_line(cell[1]) and cell[2] in self._columns_at

    def right_formula(self, column: str, row: int) -> str:
        """Write the right formula for a cell in the sheet's own cell names."""
        above = row - (column in WEIGHTS)
        names = {it: self.address(it, above) for it in COLUMNS if it not in self.lacking}
        eta = "η" if self.eta is None else f"{self.eta:.15g}"
        if self.eta_cell is not None:
            eta = self.name(self.eta_cell, fixed=True)
        return f"={right_text(column, names, eta)}"
