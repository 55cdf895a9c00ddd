"""The learning rate of a table: by its formulas, by labels, or by what the weights' steps allow."""

import contextlib
import functools
import itertools
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from operator import itemgetter
from typing import NamedTuple

import numpy as np

from backprop.check.answers import moved_by
from backprop.check.book import Book, Cell, number
from backprop.check.formula import Ref, Unevaluable
from backprop.check.layout import Layout
from backprop.check.limits import DIGITS, FLOOR, LONGEST_LABEL, MOST_AGREE, RELATIVE
from backprop.network import WEIGHTS, gradient_of

_SIGNS = re.compile(r"[\s_(),:=]|(?<=[a-z])\.")
_RATE = re.compile(r"(?:[ηƞɳŋα]|eta|alpha|lr|learn(?:ing)?rate)+([-+.0-9e]*)")


class Rate(NamedTuple):
    """A learning rate.

    Attributes:
        value: None where nothing tells it.
        cell: where it stands, None if it stands in the formulas alone, or was inferred.
        span: from the least to the largest rate that explains the saved weights equally well; the
            value alone unless it was inferred from them.
        remark: what a reader of the verdict must know.
    """

    value: float | None
    cell: Cell | None
    span: tuple[float, float]
    remark: str = ""

    def explains(self, value: float, share: float) -> bool:
        """Tell whether a rate is this one, within a share of it; any rate is, where none is known.

        It is if it lies within the span.
        """
        least, most = self.span
        return self.value is None or least * (1 - share) <= value <= most * (1 + share)


def known(value: float | None, cell: Cell | None = None, remark: str = "") -> Rate:
    """Make a rate that is known to the last digit, or not at all."""
    return Rate(value, cell, (value or 0.0,) * 2, remark)


def find_rate(table: Layout, labels: Sequence[tuple[float, Cell]], above: int) -> Rate:
    """Find the learning rate of a table.

    It is the rate that the formulas use, unless they use a cell farther up, such as another
    table's, and a label at the table has another rate: then it is the label's. If the formulas use
    none, it is the label that fits the saved weights best, or what the saved weights allow.

    Args:
        labels: rates of the sheet, and their cells, as `find_labels` gives them.
        above: first line of the sheet that belongs to this table, and not to one before.
    """
    own = [(value, cell) for value, cell in labels if above <= cell[1] < table.first]
    used, cell = _used_by_formulas(table, least=MOST_AGREE if own else 1)
    same = [label for label in labels if label[0] == used]
    farther_up = cell is not None and (cell[0] != table.sheet or cell[1] < above)
    if used is not None and used > 0 and not (farther_up and own and not {*same} & {*own}):
        value, at = same[-1] if cell is None and same else (used, cell)
        if own and used not in [value for value, _ in own]:
            label = f"{own[-1][0]:.15g} ({table.name(own[-1][1])})"
            return known(value, at, f"the formulas use the learning rate {used:.15g}, not {label}")
        return known(value, at)
    if labels:
        steps = np.concatenate([np.empty((0, 2)), *_allowed(table, 1)])
        least, most = steps.T
        unexplained = [np.sum((rate < least) | (rate > most)) for rate, _ in own or labels]
        return known(*(own or labels)[::-1][np.argmin(unexplained[::-1])])
    return _inferred(table) if used is None else known(abs(used) or None)


# --- By its label ---------------------------------------------------------------------------


def find_labels(book: Book, sheet: str, corner: tuple[int, int]) -> list[tuple[float, Cell]]:
    """Find labelled learning rates of a sheet, and their cells; the nearest to a place last."""
    found = []
    for line, place, text in book.texts[sheet]:
        inside = _rate_in(text) if len(text) <= LONGEST_LABEL else None
        if inside is not None:
            around = ((0, 1), (1, 0), (0, 2), (0, 3)) if inside == "" else ((0, 0),)
            beside = book.values.get((sheet, line, place + 1))
            if isinstance(beside, str):
                around = around[:1]  # the head of a small table, which names other things
            cells = [(sheet, line + down, place + right) for down, right in around]
            values = [
                (book.number(cell) if inside == "" else number(inside), cell) for cell in cells
            ]
            distance = abs(corner[0] - line) + abs(place - corner[1])
            found += [(-distance, value, cell) for value, cell in values if value is not None][:1]
    return [(value, cell) for _, value, cell in sorted(found) if value > 0]


@functools.lru_cache(maxsize=10_000)
def _rate_in(label: str) -> str | None:
    """Give the number behind the name of the learning rate, None if a label has no such name."""
    match = _RATE.fullmatch(_SIGNS.sub("", unicodedata.normalize("NFKC", label).casefold()))
    return match and match[1]


# --- By the formulas ------------------------------------------------------------------------


def _used_by_formulas(table: Layout, least: int) -> tuple[float | None, Cell | None]:
    """Give the rate that most weights' formulas use, at least `least` of them, and its cell."""
    book = table.book
    found: Counter[tuple[float, Cell | None]] = Counter()
    for weight in (weight for weight in WEIGHTS if weight in table.places):
        rows = (row for row in table.computed(weight) if table.cell(weight, row) in book.formulas)
        for row in itertools.islice(rows, 1):  # the first that is no typed number
            with contextlib.suppress(Unevaluable):
                tree = table.tree(weight, row)
                tries = table.kept_inputs(weight, row, tree)
                rates = [moved_by(weight, tree, kept) for kept in tries]
                moved = next((rate for rate in rates if rate is not None), None)
                if moved is not None:
                    found[_with_cell(table, table.cell(weight, row), moved)] += 1
    (most, count), *_ = found.most_common(1) or [((None, None), 0)]
    return most if count >= least else (None, None)


def _with_cell(table: Layout, home: Cell, moved: float) -> tuple[float, Cell | None]:
    """Find the cell that holds a formula's rate; its number is the rate to the last digit."""
    above = {(home[0], home[1] - 1, place) for place in table.places.values()}
    refs = [ref for ref in table.formulas.typed(home).refs if isinstance(ref, Ref)]
    for cell in (table.formulas.cell(ref, home) for ref in refs):
        value = table.book.number(cell)
        if value is not None and np.isclose(value, moved, 1e-6, 0) and cell not in above:
            return value, cell
    return moved, None


# --- By the saved weights -------------------------------------------------------------------


def _inferred(table: Layout) -> Rate:
    """Take the roundest rate of those that explain most weights, each by most of its steps.

    If those explain more that would move the weights up, it is what they should have moved down.
    """
    agreed = []
    for sign in (1, -1):
        of_weights = [_most_agreed(allowed)[:2] for allowed in _allowed(table, sign)]
        agreed.append(_most_agreed(np.array(of_weights).reshape(-1, 2)))
    moving = [interval for interval in agreed if 0 < interval[0] <= interval[1] < math.inf]
    if not moving:
        return known(None)
    least, most, _ = max(moving, key=itemgetter(2))
    return Rate(roundest(least, most), None, (least, most))


def _allowed(table: Layout, sign: int) -> Iterator[np.ndarray]:
    """Give for each weight the rates that explain each of its steps within rounding.

    With half units h of the last digits, |w − w′ − η·g| ≤ h_w + h_w′ + η·h_g must hold.

    Args:
        sign: −1 for rates that move the weights up.

    Yields:
        Array of shape (steps, 2), the least and the largest rate; the least is larger where no
        rate does.
    """
    for weight in (
        weight for weight in WEIGHTS if {weight, gradient_of(weight)} <= table.values.keys()
    ):
        above, below = table.values[weight][:-1], table.values[weight][1:]
        half, half_gradient = (table.half_units(column) for column in (weight, gradient_of(weight)))
        slack = half[:-1] + half[1:] + np.maximum(RELATIVE * np.abs(below), FLOOR)
        gradient = sign * table.values[gradient_of(weight)][:-1]
        low, high = np.zeros_like(slack), np.full_like(slack, math.inf)
        for factor, bound, over in (
            (gradient + half_gradient[:-1], above - below - slack, 1),  # η·factor ≥ bound
            (gradient - half_gradient[:-1], above - below + slack, -1),  # η·factor ≤ bound
        ):
            with np.errstate(all="ignore"):
                ratio = bound / factor
            low = np.where(over * factor > 0, np.maximum(low, ratio), low)
            high = np.where(over * factor < 0, np.minimum(high, ratio), high)
            high = np.where((factor == 0) & (over * bound > 0), -math.inf, high)
        yield np.stack([low, high], axis=1)[np.isfinite(above - below + gradient)]


def _most_agreed(intervals: np.ndarray) -> tuple[float, float, int]:
    """Find where most intervals overlap: from where, to where, and how many do.

    Overlaps that begin at 0, as of weights that stay, count only if there is no other.
    """
    least, most = intervals[intervals[:, 0] <= intervals[:, 1]].T
    if not len(least):
        return math.inf, 0.0, 0
    starts = np.unique(least[least > 0] if (least > 0).any() else least)
    begun = np.searchsorted(np.sort(least), starts, "right")
    counts = begun - np.searchsorted(np.sort(most), starts, "left")
    start = starts[np.argmax(counts)]
    return float(start), float(most[(least <= start) & (most >= start)].min()), int(counts.max())


def roundest(least: float, most: float) -> float:
    """Give the number from `least` to `most` with the fewest digits, of those the one a person
    would choose: a 1, else a 5, else an even one, the nearest to the middle.
    """
    for digits in range(1, DIGITS + 1):
        unit = 10.0 ** (math.floor(math.log10(most)) + 1 - digits)
        whole = range(max(math.ceil(least / unit), 1), math.floor(most / unit) + 1)
        if whole:
            middle = (least + most) / 2 / unit
            best = min(whole, key=lambda n: (n != 1, n % 5 > 0, n % 2 > 0, abs(n - middle)))
            return float(f"{best * unit:.15g}")
    return most
