"""The verdict on each cell: by what its formula computes, else by its saved value.

A formula is evaluated on made-up rows: correct ones with other weights and inputs. A value is
judged from the cells it depends on, as saved in the sheet, so one wrong cell does not make
others wrong.
"""

import functools
import random
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from backprop.check.formula import Call, Tree, Unevaluable, evaluate, leaves, symbols
from backprop.check.right import ETA, GIVEN, is_circular, right_tree
from backprop.check.table import Table
from backprop.check.values import compare, repeated_rows
from backprop.network import COLUMNS, FORMULAS, WEIGHTS, gradient_of
from backprop.network import evaluate as compute

POINTS = 3  # made-up rows; a wrong formula would have to agree with the right one at all of them
# How far a formula may be from the right one, as a share of what it computes: far less than any
# slip, but enough for an e that was typed as 2.71828.
CLOSE = 1e-4
Kept = tuple[float | None, ...]  # numbers of `GIVEN` that stay as they are in the sheet


# --- Formulas, at made-up rows ------------------------------------------------------------


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
def outcome(tree: Tree, kept: Kept, eta: float | None = None) -> np.ndarray:
    """Compute a tree at the made-up rows; shape (POINTS,)."""
    numbers = {it: made_up_row(it.below, kept)[it.column] for it in symbols(tree) - {ETA}}
    numbers[ETA] = np.nan if eta is None else eta
    with np.errstate(all="ignore"):
        return np.broadcast_to(evaluate(tree, numbers), POINTS)


NOTHING: Kept = (None,) * len(GIVEN)


def kept_inputs(table: Table, column: str, row: int, tree: Tree) -> list[Kept]:
    """List which inputs and targets to keep when a formula is tried: none, then those it lacks.

    A formula with more numbers than the right one may contain inputs and targets as typed
    numbers instead of references.
    """
    named = {it.column for it in symbols(tree)} | table.lacking
    saved = (np.nan if it in named else table.values[it][row] for it in GIVEN)
    kept = tuple(None if np.isnan(number) else float(number) for number in saved)
    more = _count_numbers(tree) > _count_numbers(right_tree(column, table.lacking))
    return [NOTHING, kept] if more and kept != NOTHING else [NOTHING]


def _count_numbers(tree: Tree) -> int:
    return sum(isinstance(leaf, float) for leaf in leaves(tree))


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
def rate(weight: str, tree: Tree, kept: Kept) -> float | None:
    """Give the learning rate with which a formula moves its weight down, None if it has none."""
    above = made_up_row(-1, kept)
    with np.errstate(all="ignore"):
        rates = (above[weight] - outcome(tree, kept)) / above[gradient_of(weight)]
        middle = float(np.median(rates))
        if not np.ptp(rates) <= CLOSE * max(abs(middle), 1e-6):  # true for NaN
            return None
    return float(f"{middle:.10g}") if abs(middle) > 1e-9 else 0.0


def agrees(table: Table, column: str, row: int, tree: Tree) -> bool | None:
    """Tell whether a cell's formula is the right one, None where only its value can tell.

    One that is right but for a rounding is judged like a typed number, within its digits.
    """
    for kept in kept_inputs(table, column, row, tree):
        if column in FORMULAS:
            verdict = computes(column, tree, table.lacking, kept)
        else:
            moved = rate(column, tree, kept)
            verdict = (
                moved is not None
                and moved > 0
                and (table.eta is None or abs(moved - table.eta) <= CLOSE * table.eta)
            )
            verdict = verdict if symbols(tree) else None
        if verdict is not False:
            return verdict
    rounded = unrounded(tree)
    return None if rounded != tree and agrees(table, column, row, rounded) else False


def _why_by_value(tree: Tree) -> str:
    """Say why a formula cannot be tried at made-up rows."""
    if not symbols(tree):
        return "they refer to no cell of the table"
    return "they round" if unrounded(tree) != tree else "they fail with other inputs and weights"


def unrounded(tree: Tree) -> Tree:
    """Leave out every ROUND of a tree."""
    if not isinstance(tree, Call):
        return tree
    args = tuple(map(unrounded, tree.args))
    return args[0] if tree.name == "ROUND" else Call(tree.name, args)


# --- All cells of a table -----------------------------------------------------------------


class Judged(NamedTuple):
    """What was found in a column.

    Attributes:
        wrong: the rows of the wrong cells, counted from 0, by what their formulas compute; None
            for those of which only the values were found wrong.
        cells: number of cells that were judged.
        by_value: why formulas were judged by their values alone, empty if none was.
        unjudged: why the column was not judged, empty if it was.
    """

    wrong: dict[Tree | None, list[int]]
    cells: int
    by_value: str
    unjudged: str


def judge(table: Table) -> Iterator[tuple[str, Judged]]:
    """Judge every computed cell of a table, column by column in the order of computation."""
    copies = repeated_rows(table)
    for column in (it for it in GIVEN if it in table.places):
        values, cells = table.values[column], [table.cell(column, it) for it in range(table.lines)]
        typed = np.array([cell not in table.book.formulas for cell in cells])
        first = next(iter(values[np.isfinite(values)]), np.nan)
        rows = np.flatnonzero(np.isnan(values) | (typed & ~np.isclose(values, first))).tolist()
        yield column, Judged({None: rows} if rows else {}, 0, "", "")
    for column in (*FORMULAS, *WEIGHTS):
        if column in table.places:
            skipped = copies if column in WEIGHTS else ()
            rows = [row for row in table.computed(column) if row not in skipped]
            yield column, _judge_column(table, column, rows)


def _judge_column(table: Table, column: str, rows: list[int]) -> Judged:
    needed = symbols(right_tree(column, table.lacking))
    missing = [it for it in COLUMNS if it in table.lacking & {need.column for need in needed}]
    wrong: dict[Tree | None, list[int]] = {}
    by_value, verdict, last, left = "", None, None, []
    for row in rows:
        try:
            tree = table.tree(column, row)
        except Unevaluable as reason:
            by_value, tree = by_value or str(reason), None
        if tree is not last or tree is None:
            verdict, last = None if tree is None else agrees(table, column, row, tree), tree
        if verdict is None or (missing and not verdict):
            left.append(row)
            if tree is not None and verdict is None:
                by_value = by_value or _why_by_value(tree)
        elif not verdict:
            wrong.setdefault(tree, []).append(row)
    cells, unjudged = len(rows) - len(left), ""
    if column in WEIGHTS and np.isnan(table.values[column][0]):
        wrong[None] = [0]
    if left:
        right, _, far, coarse = compare(table, column)
        wrong.setdefault(None, []).extend(row for row in left if far[row])
        known = [row for row in left if far[row] or np.isfinite(right[row])]
        sharp = [row for row in known if far[row] or not coarse[row]]
        # In an all-typed column some numbers may be too coarse to judge; among formulas, none may.
        if not sharp or (cells and len(sharp) < len(known)):
            unjudged = "too few digits to tell right from wrong"
            if column in WEIGHTS and table.eta is None:
                unjudged = "the learning rate is unknown: write it beside a label such as η"
            if missing:
                unjudged = f"there is no column for {', '.join(missing)}"
        cells += len(sharp if unjudged else known)
    return Judged({tree: rows for tree, rows in wrong.items() if rows}, cells, by_value, unjudged)
