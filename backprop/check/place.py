"""Which column of a table is which, and its learning rate: by labels, order and formulas."""

import contextlib
import itertools
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from backprop.check.book import Book, Cell, number
from backprop.check.find import Header
from backprop.check.formula import Ref, Trees, Unevaluable, leaves
from backprop.check.headers import column_of
from backprop.check.judge import judge, kept_inputs, rate
from backprop.check.right import GIVEN
from backprop.check.table import Table
from backprop.check.values import compare
from backprop.network import COLUMNS, WEIGHTS, gradient_of

LONGEST_LABEL = 60  # characters
_SIGNS = re.compile(r"[\s_(),:=]|(?<=[a-z])\.")
_RATE = re.compile(r"(?:[ηƞɳŋα]|eta|alpha|lr|learn(?:ing)?rate)+([-+.0-9e]*)")


def place_columns(trees: Trees, header: Header, first: int, rows: int, lines: int) -> Table:
    """Find the sheet column of each table column.

    A header that occurs once is trusted. A column whose header is missing or occurs twice is
    searched between its usual neighbours; inputs and targets also beside labels above the table.
    """
    places = {column: them[0] for column, them in header.places.items() if len(them) == 1}
    book, table = trees.book, Table(trees, header.sheet, header.line, first, rows, lines, places)
    for found in _between(header, table):
        titles = {it: book.values.get((table.sheet, table.header, it)) for it in found.values()}
        more = replace(table, places=table.places | found)
        unlike = [it for it in found if titles[found[it]] and found[it] not in header.taken]
        if len(unlike) < len(found) or _count_wrong(more) <= _count_wrong(table):
            table = more
            for column, place in found.items():
                title = titles[place]
                headed = f"headed {str(title).strip()[:60]}" if title else "without a header"
                table.remarks.append(
                    f"column {_letters(table, place)} ({headed}) is used as {column}"
                )
    for column in (it for it in header.places if it in table.lacking):
        letters = " and ".join(_letters(table, it) for it in header.places[column])
        table.remarks.append(f"columns {letters} are both headed {column}: rename one")
    for cell in _named_outside(table):
        for column in filter(
            table.lacking.intersection(GIVEN).__contains__, _labels_of(book, cell)
        ):
            table.elsewhere.setdefault(column, cell)
    return replace(table)  # what the table had computed of itself is out of date


def _named_outside(table: Table) -> Iterator[Cell]:
    """Give the cells outside of a table that the formulas of its first row name."""
    for column in table.places:
        home = table.cell(column, 0)
        with contextlib.suppress(Unevaluable):
            typed = table.trees.as_typed(home) if home in table.book.formulas else 0.0
            cells = (table.trees.cell(it, home) for it in leaves(typed) if isinstance(it, Ref))
            yield from (it for it in cells if it[0] != table.sheet or not table.has_line(it[1]))


def _labels_of(book: Book, cell: Cell) -> Iterator[str | None]:
    """Tell which columns the labels of a cell name: the text to the left, above, and below it."""
    sheet, line, place = cell
    left = ((sheet, line, it) for it in range(place - 1, max(place - 4, -1), -1))
    above = ((sheet, it, place) for it in range(line - 1, max(line - 20, -1), -1))
    for ray in (left, above, [(sheet, line + 1, place)]):
        texts = (book.values[it] for it in ray if isinstance(book.values.get(it), str))
        yield column_of(next(texts, ""))


def _letters(table: Table, place: int) -> str:
    return table.name((table.sheet, 0, place))[:-1]


def _between(header: Header, table: Table) -> Iterator[dict[str, int]]:
    """Find places for columns: as many as are missing between two that are known, in order."""
    book, known = table.book, table.places
    lines = [(table.sheet, table.first + row) for row in range(min(table.lines, 2))]
    free = {it for it in header.unnamed if any(book.is_filled((*at, it)) for at in lines)}
    free |= set(header.taken).difference(known.values())
    runs = [
        list(run)
        for is_known, run in itertools.groupby(COLUMNS, known.__contains__)
        if not is_known
    ]
    for run in runs:
        before, after = COLUMNS.index(run[0]) - 1, COLUMNS.index(run[-1]) + 1
        left, right = (
            known.get(COLUMNS[it], -9) if 0 <= it < len(COLUMNS) else -9 for it in (before, after)
        )
        inside = sorted(it for it in free if min(left, right) < it < max(left, right))
        if min(left, right) >= 0 and len(inside) == len(run):
            yield dict(zip(run, inside if left < right else inside[::-1], strict=True))
            continue
        for column in run:  # of a name that stands twice, the one beside a neighbour
            near = [it for it in header.places.get(column, []) if {it - 1, it + 1} & {left, right}]
            if len(near) == 1:
                yield {column: near[0]}


def _count_wrong(table: Table) -> int:
    """Count the columns that are wrong in the first rows."""
    start = replace(table, rows=min(table.rows, 2), lines=min(table.lines, 2), remarks=[])
    return sum(bool(judged.wrong) for _, judged in judge(start))


def _labelled_rates(table: Table) -> list[tuple[float, Cell]]:
    """Find labelled learning rates of a table's sheet, and their cells; the nearest last."""
    book, sheet, found = table.book, table.sheet, []
    for line, place, text in book.texts[sheet]:
        inside = _rate_in(text) if len(text) <= LONGEST_LABEL else None
        if inside is not None:
            around = ((0, 1), (1, 0), (0, 2), (0, 3)) if inside == "" else ((0, 0),)
            beside = book.values.get((sheet, line, place + 1))
            if isinstance(beside, str):
                around = around[:1]  # the head of a small table, which names other things
            cells = [(sheet, line + down, place + right) for down, right in around]
            values = [(book.number(it) if inside == "" else number(inside), it) for it in cells]
            far = abs(table.first - line) + abs(place - min(table.places.values()))
            found += [(-far, value, it) for value, it in values if value is not None][:1]
    return [(value, cell) for _, value, cell in sorted(found)]


def _rate_in(label: str) -> str | None:
    """Give the number behind the name of the learning rate, None if a label has no such name."""
    match = _RATE.fullmatch(_SIGNS.sub("", unicodedata.normalize("NFKC", label).casefold()))
    return match and match[1]


def find_rate(table: Table, above: int) -> None:
    """Set the learning rate of a table.

    It is the rate that the formulas use, unless they use a cell farther up, such as another
    table's, and a label at the table has another rate: then it is the label's. If the formulas use
    none, it is the label that fits the saved weights best, or the rate of their first step.

    Args:
        above: first line of the sheet that belongs to this table, and not to one before.
    """
    labels = [(value, cell) for value, cell in _labelled_rates(table) if value > 0]
    own = [(value, cell) for value, cell in labels if above <= cell[1] < table.first]
    used, cell = _used_by_formulas(table, least=5 if own else 1)
    same = [it for it in labels if it[0] == used]
    farther_up = cell is not None and (cell[0] != table.sheet or cell[1] < above)
    if used is not None and used > 0 and not (farther_up and own and not {*same} & {*own}):
        table.eta, table.eta_cell = same[-1] if cell is None and same else (used, cell)
        if own and used not in [value for value, _ in own]:
            label = f"{own[-1][0]:.15g} ({table.name(own[-1][1])})"
            table.remarks.append(f"the formulas use the learning rate {used:.15g}, not {label}")
        return
    columns = [it for it in WEIGHTS if {it, gradient_of(it)} <= table.values.keys()]
    saved = [(*table.values[it][:2], table.values[gradient_of(it)][0]) for it in columns]
    steps = [(it[0] - it[1]) / it[2] for it in saved if len(it) == 3 and it[2] != 0]
    known = [abs(it) for it in steps if np.isfinite(it)] if used is None else [abs(used)]
    moved = float(f"{np.median(known):.2g}") or None if known else None
    chosen = own or labels or [(moved, None)]
    table.eta, table.eta_cell = min(chosen[::-1], key=lambda it: _misfits(table, it[0]))


def _misfits(table: Table, eta: float | None) -> int:
    """Count the saved weights that a learning rate does not explain."""
    fitted = replace(table, eta=eta)
    return sum(int(compare(fitted, it)[2].sum()) for it in WEIGHTS if it in table.places)


def _used_by_formulas(table: Table, least: int) -> tuple[float | None, Cell | None]:
    """Give the rate that most weights' formulas use, at least `least` of them, and its cell."""
    found: Counter[tuple[float, Cell | None]] = Counter()
    for weight in (it for it in WEIGHTS if it in table.places):
        for row in range(1, min(table.lines, 3)):
            with contextlib.suppress(Unevaluable):
                if (tree := table.tree(weight, row)) is None:
                    continue
                rates = [rate(weight, tree, kept) for kept in kept_inputs(table, weight, row, tree)]
                moved = next((it for it in rates if it is not None), None)
                if moved is not None:
                    found[_with_cell(table, table.cell(weight, row), moved)] += 1
            break
    (most, count), *_ = found.most_common(1) or [((None, None), 0)]
    return most if count >= least else (None, None)


def _with_cell(table: Table, home: Cell, moved: float) -> tuple[float, Cell | None]:
    """Find the cell that holds a formula's rate; its number is the rate to the last digit."""
    above = {(home[0], home[1] - 1, place) for place in table.places.values()}
    refs = [it for it in leaves(table.trees.as_typed(home)) if isinstance(it, Ref)]
    for cell in (table.trees.cell(ref, home) for ref in refs):
        value = table.book.number(cell)
        if value is not None and np.isclose(value, moved, 1e-6, 0) and cell not in above:
            return value, cell
    return moved, None
