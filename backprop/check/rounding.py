"""How far a saved number can be from the one that was computed."""

from decimal import Decimal
from types import SimpleNamespace

import numpy as np

from backprop.check.book import is_formula, is_number
from backprop.check.points import needed
from backprop.check.tables import GIVEN, Table
from backprop.network import FORMULAS, WEIGHTS, updated

RELATIVE, FLOOR = 1e-9, 1e-14  # of a value that was not rounded: a share of it, and at least
DIGITS = 15  # significant digits that a spreadsheet computes with


def right_values(table: Table, column: str) -> np.ndarray:
    """Compute a column from the sheet's other columns, NaN where one of those has no number."""
    return _computed(table, column, table.values)


def tolerance(table: Table, column: str, right: np.ndarray) -> np.ndarray:
    """Tell how far each cell of a column may be from the right value.

    That is half a unit of the cell's own last digit, and what half a unit of the last digit of
    each number it depends on does to it.
    """
    carried = half_units(table, column)
    for symbol in needed(column):
        if symbol.column not in table.places:
            continue
        values = table.values[symbol.column]
        off = values + half_units(table, symbol.column)
        moved = _computed(table, column, table.values | {symbol.column: off})
        carried = carried + np.nan_to_num(np.abs(moved - right))
    return carried + np.maximum(RELATIVE * np.abs(right), FLOOR)


def half_units(table: Table, column: str) -> np.ndarray:
    """Give half a unit of the last digit that each cell of a column was saved with.

    What is given is exact. A computed cell may have lost zeros at its end, so the table's longest
    number tells its digits; a typed one has the digits it shows.
    """
    if column in GIVEN:
        return np.zeros(table.moves)
    halves = np.zeros(table.moves)
    digits = _computed_digits(table)
    shown = [table.book.value(table.cell(column, row)) for row in range(table.moves)]
    places = [_decimals(cell) for cell in shown if is_number(cell) and cell != int(cell)]
    usual = sorted(places)[len(places) // 2] if places else DIGITS
    for row, cell in enumerate(shown):
        if not is_number(cell) or (column in WEIGHTS and row == 0):
            continue
        if is_formula(table.content(column, row)):
            size = np.floor(np.log10(abs(cell))) if cell else -DIGITS
            halves[row] = 0.5 * 10.0 ** (size + 1 - digits) if digits < DIGITS else 0.0
        else:
            halves[row] = 0.5 * 10.0 ** -(_decimals(cell) if cell != int(cell) else usual)
    return halves


def _computed(table: Table, column: str, values: dict[str, np.ndarray]) -> np.ndarray:
    row = SimpleNamespace(**values)
    unknown = any(symbol.column not in values for symbol in needed(column))
    if unknown or (column in WEIGHTS and table.eta is None):
        return np.full(table.moves, np.nan)
    with np.errstate(all="ignore"):
        if column in FORMULAS:
            return FORMULAS[column](row)
        return np.concatenate([[np.nan], updated(column, row, table.eta)[:-1]])


def _computed_digits(table: Table) -> int:
    """Count the digits of the table's longest computed number: 10 from Google Sheets."""
    lengths = [
        _significant(table.book.value(table.cell(column, 0)))
        for column in FORMULAS
        if column in table.places and is_formula(table.content(column, 0))
    ]
    return min(max(lengths, default=DIGITS), DIGITS)


def _decimals(number: float) -> int:
    return max(-int(_decimal(number).as_tuple().exponent), 0)


def _significant(number: float) -> int:
    return len(_decimal(number).as_tuple().digits) if is_number(number) else 0


def _decimal(number: float) -> Decimal:
    """Write a number as the spreadsheet shows it: past 15 digits there is only binary noise."""
    return Decimal(f"{number:.15g}").normalize()
