"""The tables that may be meant: hypotheses of where in the sheet each column stands."""

import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace

import numpy as np
from openpyxl.utils import get_column_letter

from backprop.check.answers import GIVEN, right_text
from backprop.check.book import Cell
from backprop.check.formula import Formulas
from backprop.check.headers import Header, Rows, column_of, part_of_another_network
from backprop.check.layout import Layout
from backprop.check.limits import LABEL_ABOVE, LABEL_LEFT, MOST_HYPOTHESES, UNUSUAL
from backprop.check.rate import Rate, find_labels, find_rate
from backprop.network import COLUMNS, EDGES, WEIGHTS, gradient_of


@dataclass(frozen=True, eq=False)
class Table(Layout):
    """One table of the exercise; see `Layout` for where its cells are.

    Attributes:
        rate: its learning rate.
        doubt: number of wrong columns that it must explain to be preferred to a more usual table.
        names: what the sheet calls columns that have another name in `network.py`.
        remarks: what had to be guessed.
    """

    rate: Rate = field(kw_only=True)
    doubt: int = 0
    names: Mapping[str, str] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()

    def called(self, column: str) -> str:
        """Tell what the sheet calls a column, and which one it means by a name."""
        return self.names.get(column, column)

    def right_formula(self, column: str, row: int) -> str:
        """Write the right formula for a cell in the sheet's own cell names."""
        above = row - (column in WEIGHTS)
        names = {
            column: self.address(column, above) for column in COLUMNS if column not in self.lacking
        }
        eta = "η" if self.rate.value is None else f"{self.rate.value:.15g}"
        if self.rate.cell is not None:
            eta = self.name(self.rate.cell, fixed=True)
        return f"={right_text(column, names, eta)}"


def placements(formulas: Formulas, header: Header, rows: Rows, above: int) -> Iterator[Table]:
    """Give the tables that may be meant by a header, the most usual first.

    A header that occurs once is trusted. A column whose header is missing or occurs twice is
    searched between its usual neighbours; inputs and targets also beside labels above the table.

    Args:
        above: first line of the sheet that belongs to this table, and not to one before.
    """
    once = {column: places for column, places in header.places.items() if len(places) == 1}
    trusted = {column: place for column, (place,) in once.items()}
    layout = Layout(formulas, header.sheet, header.line, *rows, trusted)
    labels = find_labels(
        layout.book, layout.sheet, (layout.first, min(trusted.values(), default=0))
    )
    choices = [
        [found, {}] if _is_doubtful(header, layout, found) else [found]
        for found in _between(header, layout)
    ]
    for choice in itertools.islice(itertools.product(*choices), MOST_HYPOTHESES):
        found = {column: place for some in choice for column, place in some.items()}
        placed = replace(layout, places=trusted | found)
        yield _completed(header, placed, found, labels, above)


def _completed(
    header: Header,
    layout: Layout,
    found: Mapping[str, int],
    labels: Sequence[tuple[float, Cell]],
    above: int,
) -> Table:
    """Complete a table whose columns are known, some of them found without their names."""
    remarks = []
    for column, place in found.items():
        title = layout.book.values.get((layout.sheet, layout.header, place))
        headed = f"headed {str(title).strip()[:60]}" if title else "without a header"
        remarks.append(f"column {get_column_letter(place + 1)} ({headed}) is used as {column}")
    elsewhere: dict[str, Cell] = {}
    for cell in _named_outside(layout):
        for column in map(column_of, labels_of(layout, cell)):
            if column in GIVEN and column in layout.lacking:
                elsewhere.setdefault(column, cell)
    for column in (column for column in header.places if column in layout.lacking):
        letters = " and ".join(get_column_letter(place + 1) for place in header.places[column])
        remarks.append(f"columns {letters} are both headed {column}: rename one")
    layout = replace(layout, elsewhere=elsewhere)
    rate = find_rate(layout, labels, above)
    remarks += [rate.remark] if rate.remark else []
    where = {field.name: getattr(layout, field.name) for field in fields(layout)}
    return Table(**where, rate=rate, remarks=tuple(remarks))


def _between(header: Header, layout: Layout) -> Iterator[dict[str, int]]:
    """Find places for columns: as many as are missing between two that are known, in order."""
    book, known = layout.book, layout.places
    lines = [(layout.sheet, layout.first + row) for row in range(min(layout.lines, 2))]
    free = {place for place in header.unnamed if any(book.is_filled((*at, place)) for at in lines)}
    free |= set(header.taken).difference(known.values())
    bordered = (None, *COLUMNS, None)
    for is_known, columns in itertools.groupby(COLUMNS, known.__contains__):
        if is_known:
            continue
        run = list(columns)
        before, after = bordered[COLUMNS.index(run[0])], bordered[COLUMNS.index(run[-1]) + 2]
        left, right = known.get(before, -9), known.get(after, -9)
        inside = sorted(place for place in free if min(left, right) < place < max(left, right))
        if min(left, right) >= 0 and len(inside) == len(run):
            yield dict(zip(run, inside if left < right else inside[::-1], strict=True))
            continue
        for column in run:  # of a name that stands twice, the one beside a neighbour
            named = header.places.get(column, [])
            beside = [place for place in named if {place - 1, place + 1} & {left, right}]
            if len(beside) == 1:
                yield {column: beside[0]}


def _is_doubtful(header: Header, layout: Layout, found: Mapping[str, int]) -> bool:
    """Tell whether all places have headers of their own, which may mean other columns."""
    titles = [
        layout.book.values.get((layout.sheet, layout.header, other)) for other in found.values()
    ]
    return all(titles) and set(header.taken).isdisjoint(found.values())


# --- The numbering of the weights -----------------------------------------------------------


def numberings(table: Table) -> Iterator[Table]:
    """Give a table, and those in which a layer's weights are numbered by the neuron they leave.

    The two weights in the middle of the layer then have each other's numbers.
    """
    yield table
    for layers in ((("w2", "w3"),), (("w6", "w7"),), (("w2", "w3"), ("w6", "w7"))):
        pairs = [*layers, *(tuple(map(gradient_of, pair)) for pair in layers)]
        names = {**dict(pairs), **{second: first for first, second in pairs}}
        if not table.places.keys().isdisjoint(names):
            places = {names.get(name, name): place for name, place in table.places.items()}
            remarks = (*table.remarks, f"the weights are {numbering(names)}")
            yield replace(table, places=places, names=names, remarks=remarks, doubt=UNUSUAL)


def numbering(names: Mapping[str, str]) -> str:
    """Say where weights lead that have other names in the sheet."""
    edges = [(names[weight], *EDGES[weight]) for weight in WEIGHTS if weight in names]
    said = [f"{name} from {source} to {target}" for name, source, target in sorted(edges)]
    return f"numbered by the neuron they leave ({', '.join(said)})"


# --- Other cells ----------------------------------------------------------------------------


def _named_outside(layout: Layout) -> Iterator[Cell]:
    """Give the cells outside of a table that the formulas of its first row name."""
    for column in layout.places:
        for source in layout.formulas.sources(layout.cell(column, 0)):
            if source[0] != layout.sheet or not layout.has_line(source[1]):
                yield source


def labels_of(layout: Layout, cell: Cell) -> Iterator[str]:
    """Give the labels of a cell: the text to the left, above, and below it."""
    sheet, line, place = cell
    before = [(sheet, line, place - distance) for distance in range(1, LABEL_LEFT + 1)]
    above = [(sheet, line - distance, place) for distance in range(1, LABEL_ABOVE + 1)]
    for ray in (before, above, [(sheet, line + 1, place)]):
        texts = (layout.book.values.get(cell) for cell in ray)
        yield next((text for text in texts if isinstance(text, str)), "")


# Columns of which all are wrong if the part of the network that they compute is another one.
_LAYERS = (("h1", "h2"), ("a_h1", "a_h2"), ("o1", "o2"), ("a_o1", "a_o2"), ("E_total",))


def another_network(table: Table, wrong: Collection[str]) -> str:
    """Say what wrong columns use that the exercise does not have, such as a third input.

    Empty if there is no such thing.
    """
    layers = [layer for layer in _LAYERS if {*layer} <= {*wrong}]
    if table.is_typed and layers:
        headed = min(_headed_parts(table), default=None)
        return f"there is {headed[1]} ({table.name(headed[2])})" if headed else ""
    for layer in layers:
        used = [min(_used_parts(table, column), default=None) for column in layer]
        if all(used):
            _, part, cell = used[0]
            return f"{table.called(layer[0])} uses {part} ({table.name(cell)})"
    return ""


def _used_parts(table: Table, column: str) -> Iterator[tuple[int, str, Cell]]:
    """Give the parts of another network that a column's formula uses, and their cells."""
    book, own = table.book, table.cell(column, min(1, table.rows - 1))
    for cell in table.formulas.reached([own], table.covers):
        inside = cell[0] == table.sheet and table.has_line(cell[1])
        head = book.values.get((table.sheet, table.header, cell[2]))
        labels = [head] if inside else itertools.islice(labels_of(table, cell), 2)
        if not table.covers(cell):
            parts = map(part_of_another_network, map(str, labels))
            yield from ((*part, cell) for part in parts if part)


def _headed_parts(table: Table) -> Iterator[tuple[int, str, Cell]]:
    """Give the parts of another network that have a column of the table, and their headers."""
    first, last = min(table.places.values()) - 1, max(table.places.values()) + 1
    for line, place, text in table.book.texts[table.sheet]:
        if line == table.header and first <= place <= last:
            part = part_of_another_network(text)
            numbers = table.book.numbers(table.sheet, place, table.first, table.rows)
            if part and np.nan_to_num(numbers).any():
                yield (*part, (table.sheet, line, place))
