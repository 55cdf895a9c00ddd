"""The verdict on each cell: by what its formula computes, else by its saved value.

A formula is evaluated on made-up rows: correct ones with other weights and inputs. A value is
judged from the cells it depends on, as saved in the sheet, within their rounding; so one wrong
cell does not make others wrong.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from operator import itemgetter
from typing import NamedTuple

import numpy as np

from backprop.check.answers import ETA, GIVEN, computes, moved_by, right_tree
from backprop.check.formula import ROUNDINGS, Call, Symbol, Tree, Unevaluable, evaluate, symbols
from backprop.check.limits import BLUNT, CLOSE, FIRST_ROWS, FLOOR, RELATIVE
from backprop.check.tables import Table
from backprop.network import COLUMNS, FORMULAS, WEIGHTS

ROUNDS = "they round"  # why formulas are judged by their values


class Verdict(NamedTuple):
    """What was found of a cell.

    Attributes:
        row: counted from 0.
        right: None if it could not be judged.
        tree: what its formula computes, None if its saved value was judged.
        by_value: why its formula was not judged, empty if it was, or there is none.
        unjudged: why the cell was not judged, empty if it was, or holds nothing to judge it by.
    """

    column: str
    row: int
    right: bool | None
    tree: Tree | None = None
    by_value: str = ""
    unjudged: str = ""


def best(tables: Iterable[Table]) -> tuple[int, Table]:
    """Choose the table with the fewest wrong columns, and count these; of equals, the first.

    Args:
        tables: in the order of their doubts.
    """
    counted: list[tuple[int, Table]] = []
    for table in tables:
        if any(count <= table.doubt for count, _ in counted):
            break
        counted.append((count_wrong(table) + table.doubt, table))
    return min(counted, key=itemgetter(0))


def count_wrong(table: Table) -> int:
    """Count the columns that are wrong in the first rows; in all, where nothing is computed."""
    if not table.is_typed:
        rows, lines = (min(count, FIRST_ROWS) for count in (table.rows, table.lines))
        table = replace(table, rows=rows, lines=lines)
    return len({verdict.column for verdict in judge(table) if verdict.right is False})


def judge(table: Table) -> list[Verdict]:
    """Judge every computed cell of a table, column by column in the order of computation.

    Of what is given, the cells that are wrong are listed.
    """
    copies = table.repeated_rows()
    found: list[Verdict] = []
    for column in (name for name in (*GIVEN, *FORMULAS, *WEIGHTS) if name in table.places):
        found += (Verdict(column, row, False) for row in _wrong_given(table, column))
        if column not in GIVEN:
            skipped = copies if column in WEIGHTS else ()
            rows = [row for row in table.computed(column) if row not in skipped]
            found += _judge_column(table, column, rows)
    return found


def _wrong_given(table: Table, column: str) -> list[int]:
    """List where a number that is given is none, or was typed and differs from the first."""
    values = table.values[column]
    if column not in GIVEN:
        return [0] if column in WEIGHTS and np.isnan(values[0]) else []
    cells = [table.cell(column, row) for row in range(table.lines)]
    typed = np.array([cell not in table.book.formulas for cell in cells])
    first = next(iter(values[np.isfinite(values)]), np.nan)
    return np.flatnonzero(np.isnan(values) | (typed & ~np.isclose(values, first))).tolist()


def _judge_column(table: Table, column: str, rows: list[int]) -> list[Verdict]:
    needed = symbols(right_tree(column, table.lacking))
    missing = [
        column for column in COLUMNS if column in table.lacking & {need.column for need in needed}
    ]
    found: list[Verdict] = []
    by_value: dict[int, str] = {}  # the rows that are judged by their values, each with the reason
    right, reason, last = None, "", None
    for row in rows:
        try:
            tree = table.tree(column, row)
        except Unevaluable as error:
            tree, right, reason = None, None, str(error)
        else:
            if tree is None:
                right, reason = None, ""
            elif tree != last:
                right, reason = _by_formula(table, column, row, tree)
        last = tree
        if right is None or (missing and not right):
            by_value[row] = reason
        else:
            found.append(Verdict(column, row, right, tree))
    if by_value:
        found += _judge_values(table, column, missing, by_value, alone=not found)
    return found


# --- By its formula -----------------------------------------------------------------------


def _by_formula(table: Table, column: str, row: int, tree: Tree) -> tuple[bool | None, str]:
    """Tell whether a cell's formula is the right one; where only its value can tell, None and why.

    One that is right but for a rounding is judged like a typed number, within its digits.
    """
    if not symbols(tree):
        return None, "they refer to no cell of the table"
    right: bool | None = False
    for kept in table.kept_inputs(column, row, tree):
        if column in FORMULAS:
            right = computes(column, tree, table.lacking, kept)
        else:
            moved = moved_by(column, tree, kept)
            right = moved is not None and moved > 0 and table.rate.explains(moved, CLOSE)
        if right is not False:
            break
    exact = _unrounded(tree)
    if not right and exact != tree and _by_formula(table, column, row, exact)[0]:
        return None, ROUNDS
    return right, "they fail with other inputs and weights" if right is None else ""


def _unrounded(tree: Tree) -> Tree:
    """Leave out every rounding of a tree."""
    if not isinstance(tree, Call):
        return tree
    args = tuple(map(_unrounded, tree.args))
    return args[0] if tree.name in ROUNDINGS else Call(tree.name, args)


def _most_rounded(tree: Tree) -> float:
    """Give the most that the rounding of a whole formula may change, 0 if it is not rounded."""
    if not isinstance(tree, Call) or tree.name not in ROUNDINGS:
        return 0.0
    digits = tree.args[1] if len(tree.args) > 1 else 0.0
    return ROUNDINGS[tree.name] * 10.0 ** -max(digits, -300.0) if isinstance(digits, float) else 0.0


# --- By its saved value -------------------------------------------------------------------


def _judge_values(
    table: Table, column: str, missing: list[str], rows: Mapping[int, str], alone: bool
) -> Iterator[Verdict]:
    """Judge cells by their values.

    In a column of nothing but typed numbers, some may be too coarse to be judged; none may among
    formulas, and no formula may round that much. A number that was rounded is never wrong: its
    formula was found to be right but for that.

    Args:
        missing: columns that lack, without which these cannot be judged.
        rows: of formulas, with the reason.
        alone: whether no cell of the column was judged by its formula.
    """
    right, tolerance, is_off, largest = compare(table, column)
    value = table.values[column]
    rounds = {row for row, why in rows.items() if why == ROUNDS and np.isfinite(value[row])}
    for row in rounds:
        tolerance[row] = max(abs(value[row] - right[row]), _most_rounded(table.tree(column, row)))
    wrong = {row for row in rows if is_off[row] and row not in rounds}
    coarse = {row for row in rows if tolerance[row] > largest[row]}
    certain = wrong | {row for row in rows if np.isfinite(right[row]) and row not in coarse}
    unjudged = "too few digits to tell right from wrong"
    if column in WEIGHTS and table.rate.value is None:
        unjudged = "the learning rate is unknown: write it beside a label such as η"
    if missing:
        unjudged = f"there is no column for {', '.join(map(table.called, missing))}"
    for row, by_value in rows.items():
        may_be_coarse = alone and table.cell(column, row) not in table.book.formulas
        if row in wrong:
            yield Verdict(column, row, False, None, by_value)
        elif not certain or (row in coarse and not may_be_coarse):
            yield Verdict(column, row, None, None, by_value, unjudged)
        else:
            yield Verdict(column, row, True if np.isfinite(right[row]) else None, None, by_value)


class Comparison(NamedTuple):
    """A column beside the one computed from the sheet's other columns; shapes are (lines,).

    Attributes:
        right: the right values, NaN where they cannot be computed.
        tolerance: by how much each saved value may be off.
        is_off: whether it is off by more, or is no number.
        largest: the largest tolerance that allows a verdict.
    """

    right: np.ndarray
    tolerance: np.ndarray
    is_off: np.ndarray
    largest: np.ndarray


def compare(table: Table, column: str) -> Comparison:
    """Compare a column's saved values with those computed from the sheet's other columns.

    Each may be off by half a unit of its own last digit, and by what half a unit of the last digit
    of each number it depends on does to it.
    """
    tree = right_tree(column, table.lacking)
    saved, right = saved_numbers(table, symbols(tree)), right_values(table, column)
    with np.errstate(all="ignore"):
        tolerance = table.half_units(column) + np.maximum(RELATIVE * np.abs(right), FLOOR)
        for symbol in symbols(tree) - {ETA}:
            moved = saved | {
                symbol: saved[symbol] + shifted(table.half_units(symbol.column), symbol.below)
            }
            tolerance = tolerance + np.nan_to_num(np.abs(evaluate(tree, moved) - right))
        if column in WEIGHTS:  # any rate within the span may be meant
            ends = [evaluate(tree, saved | {ETA: rate}) - right for rate in table.rate.span]
            tolerance = tolerance + np.nan_to_num(np.abs(ends).max(axis=0))
        value = table.values[column]
        is_off = ~(np.abs(value - right) <= tolerance) & (np.isfinite(right) | np.isnan(value))
        scale = np.abs(right - shifted(value, -1)) if column in WEIGHTS else np.abs(right)
    largest = np.where(scale == 0, np.inf, BLUNT * scale)
    return Comparison(right, tolerance, is_off, largest)


def right_values(table: Table, column: str) -> np.ndarray:
    """Compute a column from the sheet's other columns, NaN where those tell none."""
    tree = right_tree(column, table.lacking)
    with np.errstate(all="ignore"):
        return np.broadcast_to(evaluate(tree, saved_numbers(table, symbols(tree))), table.lines)


def saved_numbers(table: Table, needed: Collection[Symbol]) -> dict[Symbol, np.ndarray]:
    """Give the saved numbers of cells, as seen from every row; NaN where there are none."""
    unknown = np.full(table.lines, np.nan)
    rate = np.nan if table.rate.value is None else table.rate.value
    known = table.values | {ETA.column: np.full(table.lines, rate)}
    return {symbol: shifted(known.get(symbol.column, unknown), symbol.below) for symbol in needed}


def shifted(column: np.ndarray, below: int) -> np.ndarray:
    """Give for every row the number in the row above (−1) or its own (0); NaN above the first."""
    return np.concatenate([[np.nan], column[:-1]]) if below else column
