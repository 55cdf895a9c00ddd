"""The cells of a sheet that hold the exercise: what was saved, and what their formulas compute."""

import functools
import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from statistics import median_low
from typing import Any

import numpy as np
from openpyxl.utils import get_column_letter, quote_sheetname

from backprop.check.answers import GIVEN, NOTHING, Kept, right_tree
from backprop.check.book import Book, Cell
from backprop.check.formula import Formulas, Symbol, Tree, Typed, count_numbers, symbols
from backprop.check.limits import DIGITS, FLOAT32
from backprop.network import COLUMNS, FORMULAS, WEIGHTS


def decimals(value: float) -> int:
    """Count the decimals that a number shows; 0 for NaN."""
    exponent = Decimal(f"{value:.{DIGITS}g}").normalize().as_tuple().exponent
    return max(-exponent, 0) if isinstance(exponent, int) else 0


@dataclass(frozen=True, eq=False)
class Layout:
    """Which cells of a sheet hold the exercise; lines and columns are counted from 0.

    Attributes:
        header: line of the header.
        rows: those with all columns.
        lines: those with weights.
        places: the column of the sheet in which each column stands.
        elsewhere: the cell of an input or target that is given once, outside of the table.
    """

    formulas: Formulas
    sheet: str
    header: int
    first: int
    rows: int
    lines: int
    places: Mapping[str, int]
    elsewhere: Mapping[str, Cell] = field(default_factory=dict)

    @cached_property
    def book(self) -> Book:
        """The workbook."""
        return self.formulas.book

    @cached_property
    def lacking(self) -> frozenset[str]:
        """The columns that the sheet does not have."""
        return frozenset(COLUMNS).difference(self.places, self.elsewhere)

    @cached_property
    def values(self) -> dict[str, np.ndarray]:
        """Each column's saved numbers, NaN where a cell holds none; shape (lines,)."""
        found = {
            column: self.book.numbers(self.sheet, place, self.first, self.lines)
            for column, place in self.places.items()
        }
        for column in (name for name in GIVEN if name not in self.lacking):
            cells = [self.cell(column, row) for row in range(self.lines)]
            found[column] = np.array([self.book.number(cell) for cell in cells], float)
        return found

    @cached_property
    def _given_rows(self) -> dict[str, list[int]]:
        """For each column that is given, the last row down to each that is not blank."""
        rows = {}
        for column, place in self.places.items():
            if column in GIVEN:
                cells = [(self.sheet, self.first + row, place) for row in range(self.lines)]
                filled = [0 if self.book.is_blank(cell) else row for row, cell in enumerate(cells)]
                rows[column] = list(itertools.accumulate(filled, max))
        return rows

    @cached_property
    def _columns_at(self) -> dict[int, str]:
        return {place: column for column, place in self.places.items()}

    @cached_property
    def _found_at(self) -> dict[Cell, tuple[str, int]]:
        """The column and row of each cell of the table; for what stands elsewhere, row −1."""
        elsewhere = {cell: (column, -1) for column, cell in self.elsewhere.items()}
        return elsewhere | {
            (self.sheet, self.first + row, place): (column, row)
            for column, place in self.places.items() for row in range(self.lines)
        }  # fmt: skip

    @cached_property
    def _of_copies(self) -> dict[Any, Tree]:
        """What a formula computes, and its copies in all rows below; each `replace` begins anew."""
        return {}

    @cached_property
    def _is_constant(self) -> bool:
        """Whether every row has the same inputs and targets, written in it."""
        whole = list(range(self.lines))
        return all(
            rows == whole and np.ptp(self.values[column]) == 0
            for column, rows in self._given_rows.items()
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

    @cached_property
    def is_typed(self) -> bool:
        """Whether all numbers are typed, and none is computed."""
        columns = [name for name in (*FORMULAS, *WEIGHTS) if name in self.places]
        cells = (self.cell(column, row) for column in columns for row in range(self.lines))
        return not any(cell in self.book.formulas for cell in cells)

    def has_line(self, line: int) -> bool:
        """Tell whether a line of the sheet is one of the table's rows."""
        return 0 <= line - self.first < self.lines

    def covers(self, cell: Cell) -> bool:
        """Tell whether a cell belongs to the table."""
        return cell[0] == self.sheet and self.has_line(cell[1]) and cell[2] in self._columns_at

    def computed(self, column: str) -> range:
        """Give the rows in which a column holds a computed number; the last one may lack it."""
        last = self.cell(column, self.lines - 1)
        return range(column in WEIGHTS, self.lines - self.book.is_blank(last))

    def tree(self, column: str, row: int) -> Tree | None:
        """Follow a cell's formula down to cells of the table, None if it has no formula.

        Raises:
            Unevaluable: if that cannot be done.
        """
        cell = self.cell(column, row)
        if cell not in self.book.formulas:
            return None
        typed = self.formulas.typed(cell)
        key = column, typed.shape
        tree = self._of_copies.get(key) if row > 0 else None
        if tree is None:
            tree = self.formulas.follow(cell, functools.partial(self._symbol_at, row), {})
            if row > 0 and self._is_the_same_below(typed, cell):
                self._of_copies[key] = tree
        return tree

    def _is_the_same_below(self, typed: Typed, cell: Cell) -> bool:
        """Tell whether copies of a formula in the rows below see the same cells from theirs."""
        for ref in typed.refs:
            there = self.formulas.cell(ref, cell)
            if (there in self._found_at) == ref.line_fixed:
                return False
            if there in self.book.formulas if ref.line_fixed else ref.line not in (0, -1):
                return False
        return self._is_constant

    def _symbol_at(self, row: int, cell: Cell) -> Symbol | None:
        """Name a cell of the table as it is seen from a row, None for any other cell."""
        if cell not in self._found_at:
            return None
        column, other = self._found_at[cell]
        if column in GIVEN:
            if other >= 0 and self.book.is_blank(cell):
                return None
            if other < 0 or self.values[column][other] == self.values[column][row]:
                return Symbol(column, 0)
        return Symbol(column, other - row)

    def kept_inputs(self, column: str, row: int, tree: Tree) -> list[Kept]:
        """List which inputs and targets to keep when a formula is tried: none, then those it lacks.

        A formula with more numbers than the right one may contain inputs and targets as typed
        numbers instead of references.
        """
        named = {symbol.column for symbol in symbols(tree)} | self.lacking
        saved = (np.nan if name in named else self.values[name][row] for name in GIVEN)
        kept = tuple(None if np.isnan(number) else float(number) for number in saved)
        more = count_numbers(tree) > count_numbers(right_tree(column, self.lacking))
        return [NOTHING, kept] if more and kept != NOTHING else [NOTHING]

    def half_units(self, column: str) -> np.ndarray:
        """Give half a unit of the last digit that each cell was saved with, or of float32.

        What is given is exact. A number that shows no decimals, such as 0, has those that are
        usual in its column, or else in the second row.
        """
        saved = self.values.get(column, np.full(self.lines, np.nan))
        if column in GIVEN:
            return np.zeros(self.lines)
        row = min(1, self.lines - 1)
        second = [values[row] for name, values in self.values.items() if name not in GIVEN]
        own, all_ = (list(filter(None, map(decimals, numbers))) for numbers in (saved, second))
        usual = median_low(own or all_ or [DIGITS])
        halves = np.array([0.5 * 10.0 ** -(decimals(number) or usual) for number in saved])
        halves = np.maximum(halves, FLOAT32 * np.nan_to_num(np.abs(saved)))
        if column in WEIGHTS:
            halves[0] = 0  # the starting weights are given
        return halves

    def repeated_rows(self) -> set[int]:
        """Find typed rows that repeat the row above to the last digit: no step, but a copy."""
        found, above = set(), None
        for row in range(self.rows):
            cells = [self.cell(column, row) for column in self.places]
            here = [self.book.values.get(cell) for cell in cells]
            if here == above and not any(cell in self.book.formulas for cell in cells):
                found.add(row)
            above = here
        return found
