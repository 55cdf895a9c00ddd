"""How far a saved number may be from the one that was meant: half a unit of its last digit."""

from decimal import Decimal
from statistics import median_low

import numpy as np

from backprop.check.exercise import GIVEN
from backprop.check.layout import Layout
from backprop.check.limits import DIGITS, FLOAT32
from backprop.network import WEIGHTS


def half_units(table: Layout, column: str) -> np.ndarray:
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


def _sample(table: Layout) -> list[float]:
    """Give the computed numbers of the second row, or of the only one."""
    row = min(1, table.lines - 1)
    return [them[row] for column, them in table.values.items() if column not in GIVEN]


def decimals(value: float) -> int:
    """Count the decimals that a number shows; 0 for NaN."""
    exponent = Decimal(f"{value:.{DIGITS}g}").normalize().as_tuple().exponent
    return max(-exponent, 0) if isinstance(exponent, int) else 0
