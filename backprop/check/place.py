"""Which column of a table is which, and its learning rate: by labels and by formulas."""

import contextlib
import re
import unicodedata
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from backprop.check.book import Cell, number
from backprop.check.formula import Trees, Unevaluable
from backprop.check.headers import column_of
from backprop.check.judge import agrees, kept_inputs, rate
from backprop.check.right import GIVEN
from backprop.check.table import Header, Table
from backprop.check.values import compare, repeated_rows
from backprop.network import COLUMNS, NEEDED, WEIGHTS, gradient_of

MOST_TRIES = 1_500  # places that are tried for one column each, some three seconds in all
ROWS_TRIED = 2


def place_columns(trees: Trees, header: Header, first: int, rows: int, lines: int) -> Table:
    """Find where each column of a table stands.

    A name that stands once is believed. Columns whose name is missing or stands twice are sought
    among the places left over; inputs and targets also among labelled cells above the table.
    """
    book, places = trees.book, {it: them[0] for it, them in header.places.items() if len(them) == 1}
    table = Table(trees, header.sheet, header.line, first, rows, lines, places)
    below = [(header.sheet, first + row) for row in range(min(lines, ROWS_TRIED))]
    filled = [it for it in header.unnamed if any(book.is_filled((*row, it)) for row in below)]
    doubled = [it for it in header.taken if it not in places.values()]
    for column, place in _found(table, sorted(filled + doubled), header.places).items():
        table = replace(table, places=table.places | {column: place})
        title = book.values.get((header.sheet, header.line, place))
        headed = "without a header" if title is None else f"headed {str(title).strip()[:60]}"
        letters = table.address(column, 0).rstrip("0123456789")
        table.remarks.append(f"column {letters}, {headed}, taken for {column}")
    for column in table.lacking.intersection(GIVEN):
        labels = _labelled(table, lambda it, name=column: "" if column_of(it) == name else None)
        for label in labels:
            if label.line < header.line:
                table.elsewhere[column] = label.cell
    return replace(table)  # what the table had computed of itself is out of date


def _found(table: Table, free: list[int], named: dict[str, list[int]]) -> dict[str, int]:
    """Find the places of columns among the free ones, one after another, the surest first.

    A place is taken if more cells of the first rows come out right with it, or if it is the one
    between the columns to the left and right; of several, rather one that has the column's name.
    """
    rows = min(table.rows, ROWS_TRIED)
    table = replace(table, rows=rows, lines=max(rows, min(table.lines, ROWS_TRIED)), remarks=[])
    found: dict[str, int] = {}
    allowed = MOST_TRIES
    while True:
        pairs = [(column, it) for column in COLUMNS if column not in table.places for it in free]
        allowed -= len(pairs)
        if not pairs or allowed < 0:
            return found
        ranked = []
        for column, place in pairs:
            more = replace(table, places=table.places | {column: place})
            touched = [it for it in more.places if it == column or column in NEEDED.get(it, ())]
            gain = _right_cells(more, touched) - _right_cells(table, touched)
            doubled = place in named.get(column, [])
            ranked.append((gain, _is_between(table, column, place), doubled, column, place))
        gain, between, _, column, place = max(ranked, key=lambda it: it[:3])
        if gain <= 0 and not between:
            return found
        found[column] = place
        free = [it for it in free if it != place]
        table = replace(table, places=table.places | {column: place})


def _is_between(table: Table, column: str, place: int) -> bool:
    """Tell whether a place is the only one between the columns that usually surround it."""
    index = COLUMNS.index(column)
    beside = [table.places.get(name) for name in COLUMNS[max(index - 1, 0) : index + 2]]
    return beside == [place - 1, None, place + 1]


def _right_cells(table: Table, columns: list[str]) -> int:
    """Count the cells of columns that are right, as far as the table's columns are known."""
    return sum(
        _is_right(table, column, row)
        for column in columns if column in table.places and column in NEEDED
        for row in range(column in WEIGHTS, table.lines)
    )  # fmt: skip


def _is_right(table: Table, column: str, row: int) -> bool:
    with contextlib.suppress(Unevaluable):
        tree = table.tree(column, row)
        if tree is not None and (verdict := agrees(table, column, row, tree)) is not None:
            return verdict
    right, _, far, _ = compare(table, column)
    return bool(np.isfinite(right[row]) and not far[row])


# --- Labels -------------------------------------------------------------------------------

LONGEST_LABEL = 60  # characters
_SIGNS = re.compile(r"[\s_(),:=]|(?<=[a-z])\.")
_RATE = re.compile(r"(?:[ηƞɳŋα]|eta|alpha|lr|learn(?:ing)?rate)+([-+.0-9e]*)")


class Label(NamedTuple):
    """A number that a sheet names: where the label stands, the number's cell and value."""

    line: int
    place: int
    cell: Cell
    value: float


def _labelled(table: Table, read: Callable[[str], str | None]) -> list[Label]:
    """Find labelled numbers of a table's sheet, those nearest to the table last.

    Args:
        read: gives the number that a label itself holds, empty if it stands beside it or below;
            None for what is no label.
    """
    book, labels = table.book, []
    for (sheet, line, place), text in book.values.items():
        short = sheet == table.sheet and isinstance(text, str) and len(text) <= LONGEST_LABEL
        inside = read(text) if short else None
        if inside is not None:
            around = ((0, 1), (1, 0), (0, 2), (0, 3)) if inside == "" else ((0, 0),)
            for cell in ((sheet, line + down, place + right) for down, right in around):
                value = number(inside) if inside else book.number(cell)
                if value is not None:
                    labels.append(Label(line, place, cell, value))
                    break
    left = min(table.places.values())
    return sorted(labels, key=lambda it: -abs(table.first - it.line) - abs(it.place - left))


def _rate_in(label: str) -> str | None:
    """Give the number behind the name of the learning rate, None if a label has no such name."""
    text = _SIGNS.sub("", unicodedata.normalize("NFKC", label).casefold())
    match = _RATE.fullmatch(text)
    return match and match[1]


def find_rate(table: Table, above: int) -> None:
    """Set the learning rate of a table.

    The formulas tell it. But where they use a cell farther up, such as another table's, and a
    label at the table says otherwise, the label does. Where they do not tell, it is the label at
    the table that fits the saved weights best, or what these tell.

    Args:
        above: first line of the sheet that belongs to this table, and not to one before.
    """
    labels = [it for it in _labelled(table, _rate_in) if it.value > 0]
    own = [it for it in labels if above <= it.line < table.first]
    used, cell = _used_by_formulas(table)
    same = [it for it in labels if it.value == used]
    farther_up = cell is not None and cell[0] == table.sheet and cell[1] < above
    if used is not None and used > 0 and not (farther_up and own and not {*same} & {*own}):
        table.eta, table.eta_cell = used, same[-1].cell if cell is None and same else cell
        if own and not same and cell is None:
            label = f"{own[-1].value:.15g} ({table.name(own[-1].cell)})"
            table.remarks.append(f"the formulas use the learning rate {used:.15g}, not the {label}")
        return
    moved = _from_values(table) if used is None else abs(used) or None
    fitting = [it for it in own if moved and np.isclose(it.value, moved, 0.01)]
    chosen = fitting or own or (labels if moved is None else [])
    table.eta, table.eta_cell = (chosen[-1].value, chosen[-1].cell) if chosen else (moved, None)


def _used_by_formulas(table: Table) -> tuple[float | None, Cell | None]:
    """Give the rate with which most weights move by their formulas, and the cell it stands in."""
    found: Counter[tuple[float, Cell | None]] = Counter()
    for weight in (it for it in WEIGHTS if it in table.places):
        for row in range(1, min(table.lines, 3)):
            with contextlib.suppress(Unevaluable):
                tree = table.tree(weight, row)
                if tree is None:
                    continue
                moved = rate(weight, tree, kept_inputs(table, row, tree))
                if moved is not None:
                    found[_with_cell(table, weight, row, moved)] += 1
            break
    (most, count), *_ = found.most_common(1) or [((None, None), 0)]
    return most if count > len(WEIGHTS) // 2 else (None, None)


def _with_cell(table: Table, weight: str, row: int, moved: float) -> tuple[float, Cell | None]:
    """Find the cell that holds a formula's rate; its number is the rate to the last digit."""
    for cell in table.trees.references(table.cell(weight, row)):
        value = table.book.number(cell)
        close = value is not None and np.isclose(value, moved, 1e-6, 0)
        if close and cell not in {table.cell(it, row - 1) for it in table.places}:
            return value, cell
    return moved, None


def _from_values(table: Table) -> float | None:
    """Infer the rate from the saved numbers: every weight moves by −η times its gradient.

    The median is right even where some weights move wrongly. Of all rates that round to it within
    one percent, the one with the fewest digits is taken.
    """
    copies = repeated_rows(table)
    rows = np.array([row for row in range(1, table.lines) if row not in copies], int)
    unknown = np.full(table.lines, np.nan)
    weights, gradients = (
        np.array([table.values.get(name(it), unknown) for it in WEIGHTS])
        for name in (str, gradient_of)
    )
    with np.errstate(all="ignore"):
        rates = (weights[:, rows - 1] - weights[:, rows]) / gradients[:, rows - 1]
    rates = np.abs(rates[np.isfinite(rates)])
    if not len(rates) or not (middle := float(np.median(rates))):
        return None
    digits = next(it for it in range(1, 16) if abs(float(f"{middle:.{it}g}") / middle - 1) < 0.01)
    return float(f"{middle:.{digits}g}")
