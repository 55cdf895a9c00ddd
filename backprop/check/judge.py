"""Which cells of a table are wrong: by what their formulas compute, else by their values."""

from dataclasses import dataclass, field

import numpy as np

from backprop.check.book import is_blank, is_formula, is_number
from backprop.check.formula import Call, Evaluator, Symbol, Unevaluable, leaves, symbols
from backprop.check.points import (
    POINTS,
    Kept,
    circular,
    needed,
    right_result,
    row_numbers,
    single_number,
)
from backprop.check.rounding import right_values, tolerance
from backprop.check.tables import GIVEN, Table
from backprop.network import FORMULAS, WEIGHTS

# How far a formula may be from the right one, as a share of what it computes: far less than any
# slip, but enough for an e that was typed as 2.71828.
CLOSE = 1e-4


@dataclass
class Finding:
    """A column with wrong cells.

    Attributes:
        rows: the rows of the wrong cells, counted from 0.
        by_formula: whether the first one's formula was found wrong, and not only its value.
    """

    column: str
    rows: np.ndarray
    by_formula: bool


@dataclass
class Judgement:
    """What was found in a table.

    Attributes:
        findings: the wrong columns, in the order in which they are computed.
        judged: number of cells that were judged.
        unevaluated: why a column's formulas could not be evaluated, by column; it was judged by
            its values.
    """

    findings: list[Finding] = field(default_factory=list)
    judged: int = 0
    unevaluated: dict[str, str] = field(default_factory=dict)


class Judge:
    """Judges the tables of one workbook.

    Every cell is judged from the cells it depends on, as they stand in the sheet: in its own row
    or, for a weight, in the row above. So a wrong cell does not make others wrong.
    """

    def __init__(self, evaluator: Evaluator) -> None:
        self.evaluator = evaluator
        self._verdicts: dict[tuple, bool] = {}
        self._rates: dict[tuple, float | None] = {}

    def table(self, table: Table) -> Judgement:
        """Judge every computed cell of a table."""
        judgement = Judgement()
        copies = repeated_rows(table)
        for column in (*FORMULAS, *WEIGHTS):
            if column not in table.places:
                continue
            rows = range(table.rows)
            if column in WEIGHTS:
                moves = range(1, table.moves) if table.eta is not None else ()
                rows = [row for row in moves if row not in copies]
            far = None
            wrong, by_formula = [], {}
            for row in rows:
                content = table.content(column, row)
                if is_blank(content) and row == table.rows - 1 > 0:
                    continue  # a last row that was not filled in to its end
                verdict = None
                if is_formula(content):
                    try:
                        verdict = self.formula(table, column, row)
                    except Unevaluable as reason:
                        judgement.unevaluated.setdefault(column, str(reason))
                by_formula[row] = verdict is not None
                if verdict is None:
                    far = _far(table, column) if far is None else far
                    verdict = not far[row]
                judgement.judged += 1
                if not verdict:
                    wrong.append(row)
            if wrong:
                judgement.findings.append(Finding(column, np.array(wrong), by_formula[wrong[0]]))
        return judgement

    def agrees(self, table: Table, column: str, row: int) -> bool:
        """Tell whether one cell is right, as far as the table's columns are known."""
        if is_formula(table.content(column, row)):
            try:
                if column in WEIGHTS:
                    return self.rate(table, column, row) is not None
                if (verdict := self.formula(table, column, row)) is not None:
                    return verdict
            except Unevaluable:
                pass
        if column in WEIGHTS and table.eta is None:
            return False
        return not _far(table, column)[row]

    def formula(self, table: Table, column: str, row: int) -> bool | None:
        """Tell whether a cell's formula computes what the column should.

        It is tried at rows that are right but have other numbers; and, for a formula with numbers
        typed into it, at other numbers for the cells that it does name. None if it names no cell
        of the table, so that only its value can tell.

        Raises:
            Unevaluable: if it cannot be evaluated.
        """
        call = self.call(table, column, row)
        return self.computes(table, column, row, call) if any(symbols(call)) else None

    def computes(self, table: Table, column: str, row: int, call: Call) -> bool:
        """Tell whether a formula, followed down to the table's cells, computes a column.

        Raises:
            Unevaluable: if it cannot be evaluated.
        """
        named = set(symbols(call))
        if circular(column, named):
            return False
        eta = table.eta if column in WEIGHTS else None
        kept = kept_inputs(table, row, named)
        if self._right_at(column, call, eta, kept, ()):
            return True
        saved = _typed_in(table, column, row, call)
        return bool(saved) and self._right_at(column, call, eta, kept, saved)

    def _right_at(
        self,
        column: str,
        call: Call,
        eta: float | None,
        kept: Kept,
        saved: tuple[tuple[Symbol, float], ...],
    ) -> bool:
        """Tell whether a formula is right at every point; copies of it are tried once."""
        key = (column, call, eta, kept, saved)
        if key not in self._verdicts:
            named = set(symbols(call))
            self._verdicts[key] = all(
                self._close(
                    column,
                    call,
                    {symbol: single_number(point, symbol) for symbol in named} | dict(saved)
                    if saved
                    else row_numbers(point, column, named, kept),
                    eta,
                )
                for point in range(POINTS)
            )
        return self._verdicts[key]

    def rate(self, table: Table, weight: str, row: int) -> float | None:
        """Give the learning rate with which a formula moves its weight, None if it has none.

        Raises:
            Unevaluable: if it cannot be evaluated.
        """
        call = self.call(table, weight, row)
        named = set(symbols(call))
        kept = kept_inputs(table, row, named)
        key = (weight, call, kept)
        if key not in self._rates:
            rates = []
            for point in range(POINTS):
                numbers = row_numbers(point, weight, named, kept)
                before, gradient = (numbers[symbol] for symbol in needed(weight))
                rates.append((before - self.evaluator.evaluate(call, numbers)) / gradient)
            rate = float(np.median(rates))
            alike = np.ptp(rates) <= CLOSE * abs(rate)  # false for NaN
            self._rates[key] = float(f"{rate:.10g}") if alike and rate else None
        return self._rates[key]

    def call(self, table: Table, column: str, row: int) -> Call:
        """Follow a cell's formula down to the cells of the table.

        Raises:
            Unevaluable: if that cannot be done.
        """
        return self.evaluator.call(table.cell(column, row), table.symbols_from(row))

    def _close(
        self, column: str, call: Call, numbers: dict[Symbol, float], eta: float | None
    ) -> bool:
        value = self.evaluator.evaluate(call, numbers)
        right = right_result(column, numbers, eta)
        scale = abs(right)
        if column in WEIGHTS:  # how far it moves is judged, not where it ends
            scale = abs(right - numbers[Symbol(column, -1)])
        return bool(abs(value - right) <= CLOSE * scale)


def kept_inputs(table: Table, row: int, named: set[Symbol]) -> Kept:
    """Give the inputs and targets that a formula takes from elsewhere: they stay as saved."""
    columns = {symbol.column for symbol in named}
    kept: list[float | None] = []
    for column in GIVEN:
        values = table.values.get(column)
        elsewhere = column not in columns and values is not None and np.isfinite(values[row])
        kept.append(float(values[row]) if elsewhere else None)
    return tuple(kept)


def _far(table: Table, column: str) -> np.ndarray:
    """Tell where a value is not the right one; a cell without a number is never right.

    Where the right value itself is not known, nothing is held against the cell.
    """
    right = right_values(table, column)
    with np.errstate(all="ignore"):
        close = np.abs(table.values[column] - right) <= tolerance(table, column, right)
    return ~close & np.isfinite(right)


def repeated_rows(table: Table) -> set[int]:
    """Find typed rows that repeat the row above to the last digit: no step, but a copy."""

    def typed(row: int) -> list:
        return [table.content(column, row) for column in table.places]

    rows = [typed(row) for row in range(table.rows)]
    return {
        row
        for row in range(1, table.rows)
        if rows[row] == rows[row - 1] and all(map(is_number, rows[row]))
    }


def _typed_in(table: Table, column: str, row: int, call: Call) -> tuple[tuple[Symbol, float], ...]:
    """Give the cells that a formula should name and holds the numbers of, with these numbers.

    Nothing, if it lacks one of them altogether.
    """
    named, typed = set(symbols(call)), [it for it in leaves(call) if is_number(it)]
    lacking = [symbol for symbol in needed(column) if symbol not in named]
    if any(symbol.column not in table.places for symbol in lacking):
        return ()
    saved = [float(table.values[it.column][row + it.below]) for it in lacking]
    if not all(any(np.isclose(number, value, CLOSE, 0) for number in typed) for value in saved):
        return ()
    return tuple(zip(lacking, saved, strict=True))
