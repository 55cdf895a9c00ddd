"""The learning rate of a table: from its formulas, from a label, or from how the weights move."""

import contextlib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from backprop.check.book import Book, Cell, is_formula, is_number
from backprop.check.formula import Unevaluable
from backprop.check.judge import Judge, repeated_rows
from backprop.check.rounding import half_units
from backprop.check.tables import Table
from backprop.network import WEIGHTS, gradient_of

LONGEST_LABEL = 60  # characters
_SIGNS = re.compile(r"[\s_(),:=]|(?<=[a-z])\.")
_LABEL = re.compile(r"(?:[ηƞɳŋα]|eta|alpha|lr|learn(?:ing)?rate)+([-+.0-9e]*)")


class Label(NamedTuple):
    """A learning rate that a sheet names: where the label stands, the number's cell and value."""

    line: int
    place: int
    cell: Cell
    value: float


def find_rate(judge: Judge, table: Table, above: int) -> None:
    """Set the learning rate of a table.

    The cell that the formulas use tells it; but where a label at the table says otherwise and
    the formulas use a cell farther up, such as another table's, or none, the label does. Without
    formulas it is the label at the table that fits the weights best, or what they tell.

    Args:
        above: first line of the sheet that belongs to this table, and not to one before.
    """
    labels = list(_labels(table.book, table.sheet))
    own = [label for label in labels if above <= label.line < table.first_line]
    rate, cell = _used_by_formulas(judge, table)
    here = cell is not None and (cell[0] != table.sheet or cell[1] >= above)
    if rate is not None and (here or not own or any(label.value == rate for label in own)):
        table.eta, table.eta_cell = rate, cell
    elif own:
        moved = _from_moves(table) if rate is None else None
        same = [label for label in own if moved and np.isclose(label.value, moved, 0.01)]
        _take(_nearest(same or own, table), table)
    else:
        table.eta = _from_moves(table)
        if table.eta is None and labels:
            _take(_nearest(labels, table), table)
    if table.eta_cell is None and (same := [it for it in labels if it.value == table.eta]):
        _take(_nearest(same, table), table)


def _used_by_formulas(judge: Judge, table: Table) -> tuple[float | None, Cell | None]:
    """Give the rate with which most weights move by their formulas, and the cell it stands in."""
    found: Counter[tuple[float, Cell | None]] = Counter()
    for weight in WEIGHTS:
        formulas = [
            row for row in range(1, min(table.moves, 3)) if is_formula(table.content(weight, row))
        ]
        for row in formulas[:1]:
            with contextlib.suppress(Unevaluable):
                rate = judge.rate(table, weight, row)
                if rate is not None:
                    found[_with_cell(judge, table, weight, row, rate)] += 1
    for (rate, cell), count in found.most_common(1):
        if count > len(WEIGHTS) // 2 and (rate > 0 or cell is not None):
            return abs(rate), cell
    return None, None


def _with_cell(
    judge: Judge, table: Table, weight: str, row: int, rate: float
) -> tuple[float, Cell | None]:
    """Find the cell that holds a formula's rate; its number is the rate to the last digit."""
    symbol_at = table.symbols_from(row)
    for cell in judge.evaluator.references(table.cell(weight, row)):
        value = table.book.value(cell)
        if symbol_at(cell) is None and is_number(value) and np.isclose(abs(value), abs(rate), 1e-6):
            return (float(value) if rate > 0 else -float(value)), cell
    return rate, None


def _labels(book: Book, sheet: str) -> Iterator[Label]:
    """Find the labelled learning rates of a sheet."""
    grid = book.shown[sheet]
    for line, row in enumerate(grid):
        for place, cell in enumerate(row):
            if not isinstance(cell, str) or len(cell) > LONGEST_LABEL:
                continue
            text = unicodedata.normalize("NFKC", cell).casefold()
            label = _LABEL.fullmatch(_SIGNS.sub("", text))
            if label is None:
                continue
            if label[1]:
                try:
                    yield Label(line, place, (sheet, line, place), float(label[1]))
                except ValueError:
                    continue
            for below, right in ((0, 1), (0, 2), (0, 3), (1, 0)):
                number = (sheet, line + below, place + right)
                value = book.value(number)
                if is_number(value):
                    yield Label(line, place, number, float(value))
                    break


def _take(label: Label, table: Table) -> None:
    table.eta, table.eta_cell = label.value, label.cell


def _nearest(labels: list[Label], table: Table) -> Label:
    left = min(table.places.values())
    return min(
        labels, key=lambda label: abs(table.first_line - label.line) + abs(label.place - left)
    )


def _from_moves(table: Table) -> float | None:
    """Infer the rate from the saved numbers: every weight moves by −η times its gradient.

    Each pair of rows tells η eight times; the median is right even where some weights move
    wrongly. Of all rates within the rounding, the one with the fewest digits is taken.
    """
    copies = repeated_rows(table)
    rows = [row for row in range(1, table.moves) if row not in copies]
    rates, errors = [], []
    with np.errstate(all="ignore"):
        for weight in WEIGHTS:
            if gradient_of(weight) not in table.places:
                continue
            weights, gradients = table.values[weight], table.values[gradient_of(weight)]
            off = half_units(table, weight)
            for row in rows:
                rates.append((weights[row - 1] - weights[row]) / gradients[row - 1])
                errors.append((off[row - 1] + off[row]) / abs(gradients[row - 1]))
    known = np.isfinite(rates) & np.isfinite(errors)
    if not known.any():
        return None
    rate = float(np.median(np.array(rates)[known]))
    error = float(np.median(np.array(errors)[known]))
    for digits in range(1, 12):
        rounded = float(f"{rate:.{digits}g}")
        if abs(rounded - rate) <= max(3 * error, 1e-8 * abs(rate)):
            return rounded
    return rate
