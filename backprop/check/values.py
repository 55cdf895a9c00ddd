"""Saved values compared with the right ones, as far as their rounding tells them apart."""

from decimal import Decimal
from statistics import median_low

import numpy as np

from backprop.check.formula import Symbol, evaluate, symbols
from backprop.check.right import ETA, GIVEN, right_tree
from backprop.check.table import Table
from backprop.network import WEIGHTS

RELATIVE, FLOOR = 1e-6, 1e-14  # of a value, which may come from float32: a share, and at least
FLOAT32 = 1e-7  # share of a number that single precision may be off
BLUNT = 0.008  # largest rounding that allows a verdict, as a share of a value or a weight's change
DIGITS = 15  # significant digits that a spreadsheet shows; past them there is binary noise


def compare(table: Table, column: str) -> tuple[np.ndarray, ...]:
    """Compare a column's saved values with those computed from the sheet's other columns.

    Each may be off by half a unit of its own last digit, and by what half a unit of the last digit
    of each number it depends on does to it.

    Returns:
        Four arrays of shape (lines,): the right values, NaN where they cannot be computed; the
        tolerance of each saved value; whether it is out of tolerance, or not a number; and whether
        its rounding is too coarse to decide, such as that of 0.00.
    """
    tree = right_tree(column, table.lacking)
    saved, right = saved_numbers(table, symbols(tree)), right_values(table, column)
    with np.errstate(all="ignore"):
        near = half_units(table, column) + np.maximum(RELATIVE * np.abs(right), FLOOR)
        for it in symbols(tree) - {ETA}:
            moved = saved | {it: saved[it] + shifted(half_units(table, it.column), it.below)}
            near = near + np.nan_to_num(np.abs(evaluate(tree, moved) - right))
        value = table.values[column]
        far = ~(np.abs(value - right) <= near) & (np.isfinite(right) | np.isnan(value))
        scale = np.abs(right - shifted(value, -1)) if column in WEIGHTS else np.abs(right)
    return right, near, far, (near > BLUNT * scale) & (scale != 0)


def right_values(table: Table, column: str) -> np.ndarray:
    """Compute a column from the sheet's other columns, NaN where those tell none."""
    tree = right_tree(column, table.lacking)
    with np.errstate(all="ignore"):
        return np.broadcast_to(evaluate(tree, saved_numbers(table, symbols(tree))), table.lines)


def saved_numbers(table: Table, needed: set[Symbol]) -> dict[Symbol, np.ndarray]:
    """Give the saved numbers of cells, as seen from every row; NaN where there are none."""
    unknown = np.full(table.lines, np.nan)
    eta = np.full(table.lines, np.nan if table.eta is None else table.eta)
    return {
        it: eta if it == ETA else shifted(table.values.get(it.column, unknown), it.below)
        for it in needed
    }


def shifted(column: np.ndarray, below: int) -> np.ndarray:
    """Give for every row the number in the row above (−1) or its own (0); NaN above the first."""
    return np.concatenate([[np.nan], column[:-1]]) if below else column


def half_units(table: Table, column: str) -> np.ndarray:
    """Give half a unit of the last digit that each cell of a column was saved with, or of float32.

    What is given is exact. A number that shows no decimals, such as 0, has those that are usual in
    its column, or else in the table.
    """
    saved = table.values.get(column, np.full(table.lines, np.nan))
    if column in GIVEN:
        return np.zeros(table.lines)
    own, all_ = ([it for it in map(decimals, them) if it] for them in (saved, _sample(table)))
    usual = median_low(own or all_ or [DIGITS])
    halves = np.array([0.5 * 10.0 ** -(decimals(it) or usual) for it in saved])
    halves = np.maximum(halves, FLOAT32 * np.nan_to_num(np.abs(saved)))
    halves[: column in WEIGHTS] = 0  # the starting weights
    return halves


def _sample(table: Table) -> list[float]:
    """Give the computed numbers of the second row, or of the only one."""
    row = min(1, table.lines - 1)
    return [them[row] for column, them in table.values.items() if column not in GIVEN]


def decimals(value: float) -> int:
    """Count the decimals that a number shows; 0 for NaN."""
    exponent = Decimal(f"{value:.{DIGITS}g}").normalize().as_tuple().exponent
    return max(-exponent, 0) if isinstance(exponent, int) else 0


def repeated_rows(table: Table) -> set[int]:
    """Find typed rows that repeat the row above to the last digit: no step, but a copy."""
    found, above = set(), None
    for row in range(table.rows):
        cells = [table.cell(column, row) for column in table.places]
        here = [table.book.values.get(cell) for cell in cells]
        if here == above and not any(cell in table.book.formulas for cell in cells):
            found.add(row)
        above = here
    return found
