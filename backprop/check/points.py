"""Made-up numbers to try a formula at: rows of the table as they would be for other weights."""

import functools
import random
from types import SimpleNamespace

from backprop.check.formula import Symbol
from backprop.check.tables import GIVEN
from backprop.expression import named
from backprop.network import (
    COLUMNS,
    FORMULAS,
    WEIGHTS,
    evaluate,
    gradient_of,
    updated,
)

POINTS = 3  # two wrong formulas in a million would have to agree with the right one at each
Kept = tuple[float | None, ...]  # numbers of `GIVEN` that stay as they are in the sheet


@functools.cache
def needed(column: str) -> tuple[Symbol, ...]:
    """Name the cells that a column's right formula uses."""
    if column in WEIGHTS:
        return Symbol(column, -1), Symbol(gradient_of(column), -1)
    text = FORMULAS[column](named({name: f"<{name}>" for name in COLUMNS})).text
    return tuple(Symbol(name, 0) for name in COLUMNS if f"<{name}>" in text)


@functools.cache
def sources(column: str) -> frozenset[str]:
    """Name the columns of its row that a column is computed from, itself included."""
    above = [sources(symbol.column) for symbol in needed(column)] if column in FORMULAS else []
    return frozenset({column}).union(*above)


def circular(column: str, named: set[Symbol]) -> bool:
    """Tell whether a formula names its own cell, or one of its row that is computed from it."""
    return any(symbol.below == 0 and column in sources(symbol.column) for symbol in named)


def right_result(column: str, numbers: dict[Symbol, float], eta: float | None) -> float:
    """Compute what a column should hold from the numbers of the cells it needs."""
    row = SimpleNamespace(**{symbol.column: numbers[symbol] for symbol in needed(column)})
    return updated(column, row, eta) if column in WEIGHTS else FORMULAS[column](row)


@functools.lru_cache(maxsize=1_000)
def whole_row(point: int, below: int, kept: Kept) -> dict[str, float]:
    """Make up one right row: inputs, targets and weights at random, the rest computed from them.

    Args:
        point: which of the `POINTS`; the same one gives the same numbers.
        below: how many rows below the judged one it stands; every row has other weights.
        kept: numbers for t1, t2, i1 and i2 that must not be made up, None for the others.
    """
    inputs, weights = random.Random(f"{point}"), random.Random(f"{point} {below}")
    given = {name: inputs.uniform(0.2, 0.9) for name in GIVEN}
    given |= {name: value for name, value in zip(GIVEN, kept, strict=True) if value is not None}
    return evaluate(given | {name: weights.uniform(-1.5, 1.5) for name in WEIGHTS})


def row_numbers(point: int, column: str, named: set[Symbol], kept: Kept) -> dict[Symbol, float]:
    """Give the numbers of whole rows for the cells that a formula names and the right one needs."""
    return {
        symbol: whole_row(point, symbol.below, kept)[symbol.column]
        for symbol in named.union(needed(column))
    }


@functools.lru_cache(maxsize=10_000)
def single_number(point: int, symbol: Symbol) -> float:
    """Make up the number of one cell, whatever the others are."""
    return random.Random(f"{point} {symbol}").uniform(0.2, 0.9)
