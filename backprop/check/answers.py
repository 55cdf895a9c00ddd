"""What belongs in each column: the right formula as text, as a tree, and at made-up rows."""

import functools
import random
from types import SimpleNamespace

import numpy as np

from backprop.check.formula import Symbol, Tree, evaluate, read, symbols
from backprop.check.limits import CLOSE, POINTS
from backprop.expression import Expression
from backprop.network import COLUMNS, FORMULAS, WEIGHTS, gradient_of, updated
from backprop.network import evaluate as compute

GIVEN = ("t1", "t2", "i1", "i2")  # the same in every row
ETA = Symbol("η", 0)
Kept = tuple[float | None, ...]  # numbers of `GIVEN` that stay as they are in the sheet
NOTHING: Kept = (None,) * len(GIVEN)


def is_given(column: str, row: int) -> bool:
    """Tell whether a cell holds what the exercise starts from, and not what it computes."""
    return column in GIVEN or (row == 0 and column in WEIGHTS)


def right_text(column: str, names: dict[str, str], eta: str) -> str:
    """Write the right formula of a column with names of cells and of the learning rate.

    Args:
        names: by column, of the row itself or, for a weight, of the row above. For a computed
            column without one it is written how to compute it.
    """
    row = SimpleNamespace()
    for name in COLUMNS:
        known = name in names or name not in FORMULAS
        formula = Expression(names.get(name, name)) if known else FORMULAS[name](row)
        setattr(row, name, formula)
    return (
        updated(column, row, Expression(eta)) if column in WEIGHTS else FORMULAS[column](row)
    ).text


@functools.cache
def right_tree(column: str, lacking: frozenset[str] = frozenset()) -> Tree:
    """Give the right formula of a column as a tree of the table's cells.

    Args:
        lacking: columns that the table does not have; their formulas are put in for them.
    """
    return read(f"={placeholders(column, lacking)}", placed)


def placeholders(column: str, lacking: frozenset[str]) -> str:
    """Write the right formula of a column with names of cells that `placed` understands."""
    side = "B" if column in WEIGHTS else "A"
    known = [column for column in COLUMNS if column not in lacking or column not in FORMULAS]
    return right_text(column, {column: f"{side}{COLUMNS.index(column)}" for column in known}, "C1")


def placed(name: str) -> Symbol:
    """Give the cell that a name stands for: A in the own row, B in the row above, C for η."""
    return ETA if name[0] == "C" else Symbol(COLUMNS[int(name[1:])], -(name[0] == "B"))


@functools.cache
def _sources(column: str) -> frozenset[str]:
    """Name the columns of its row that a column is computed from, itself included."""
    named = symbols(right_tree(column)) if column in FORMULAS else ()
    return frozenset({column}).union(*(_sources(symbol.column) for symbol in named))


def is_circular(column: str, tree: Tree) -> bool:
    """Tell whether a formula names its own cell, or one of its row that is computed from it."""
    return any(
        symbol.below == 0 and column in _sources(symbol.column) for symbol in symbols(tree) - {ETA}
    )


# --- At made-up rows ----------------------------------------------------------------------


@functools.lru_cache(maxsize=1_000)
def made_up_row(below: int, kept: Kept) -> dict[str, np.ndarray]:
    """Make up right rows: inputs, targets and weights at random, the rest computed from them.

    Args:
        below: how many rows below the judged one it stands; every row has other weights.
        kept: numbers for t1, t2, i1 and i2 that must not be made up, None for the others.

    Returns:
        Each column as an array of shape (POINTS,).
    """
    given, weights = random.Random("given"), random.Random(below)
    row = {name: np.array([given.uniform(0.2, 0.9) for _ in range(POINTS)]) for name in GIVEN}
    for name, number in zip(GIVEN, kept, strict=True):
        row[name] = row[name] if number is None else np.full(POINTS, number)
    for name in WEIGHTS:
        row[name] = np.array([weights.uniform(-1.5, 1.5) for _ in range(POINTS)])
    return compute(row)


@functools.lru_cache(maxsize=10_000)
def outcome(tree: Tree, kept: Kept = NOTHING, eta: float | None = None) -> np.ndarray:
    """Compute a tree at the made-up rows; shape (POINTS,)."""
    numbers = {
        symbol: made_up_row(symbol.below, kept)[symbol.column] for symbol in symbols(tree) - {ETA}
    }
    numbers[ETA] = np.nan if eta is None else eta
    with np.errstate(all="ignore"):
        return np.broadcast_to(evaluate(tree, numbers), POINTS)


@functools.lru_cache(maxsize=10_000)
def computes(column: str, tree: Tree, lacking: frozenset[str], kept: Kept) -> bool | None:
    """Tell whether a formula computes what a column of `FORMULAS` should.

    None where that cannot be told: it names no cell of the table, or has no number at other rows
    than the sheet's.
    """
    if is_circular(column, tree):
        return False
    value, right = outcome(tree, kept), outcome(right_tree(column, lacking), kept)
    if not symbols(tree) or not np.isfinite(value).all():
        return None
    return bool((np.abs(value - right) <= CLOSE * np.abs(right)).all())


@functools.lru_cache(maxsize=10_000)
def moved_by(weight: str, tree: Tree, kept: Kept) -> float | None:
    """Give the learning rate with which a formula moves its weight down, None if it has none."""
    above = made_up_row(-1, kept)
    with np.errstate(all="ignore"):
        rates = (above[weight] - outcome(tree, kept)) / above[gradient_of(weight)]
        middle = float(np.median(rates))
        if not np.ptp(rates) <= CLOSE * max(abs(middle), 1e-6):  # true for NaN
            return None
    return float(f"{middle:.10g}") if abs(middle) > 1e-9 else 0.0
