"""Which column of a table is which: by its header, else by what its formulas compute."""

import itertools
import math
from dataclasses import replace

from backprop.check.book import Book, is_blank, is_formula, is_number
from backprop.check.judge import Judge
from backprop.check.points import needed
from backprop.check.tables import GIVEN, Header, Rows, Table, letter
from backprop.network import COLUMNS, FORMULAS, FORWARD, GRADIENTS, WEIGHTS

MOST_TRIES = 720  # ways to name columns that are all tried; of more, one column at a time
MOST_SINGLE_TRIES = 1_500  # a place for one column each, some three seconds in all
ROWS_TRIED = 2
MISTAKEN = 3  # wrong columns that two exchanged headers explain better than slips
KINDS = (GIVEN, WEIGHTS, tuple(FORWARD), GRADIENTS)  # columns whose headers people exchange


def place_columns(judge: Judge, book: Book, header: Header, rows: Rows) -> Table | list[str]:
    """Find where each column of a table stands.

    A name that stands once is believed. Columns whose name is missing or stands twice are sought
    among the places left over, so that most cells of the first rows come out right.

    Returns:
        The table or, where columns cannot be found that it cannot do without, their names.
    """

    def filled(place: int) -> bool:
        cell = (header.sheet, rows.first_line, place)
        return is_number(book.value(cell)) or is_formula(book.content(cell))

    named = {
        column: [place for place in places if filled(place)]
        for column, places in header.places.items()
    }
    sure = {column: places[0] for column, places in named.items() if len(places) == 1}
    table = Table(book, header.sheet, rows.first_line, rows.rows, rows.moves, sure)
    sought = [column for column in COLUMNS if column not in sure]
    free = sorted(
        {place for column in sought for place in named.get(column, [])}
        | {place for place in header.unnamed if filled(place)}
    )
    found = _found(judge, table, sought, free, named)
    table = _with(table, found)
    for column, place in found.items():
        headed = _headed(book, header.sheet, header.line, place)
        table.remarks.append(f"column {letter(place)}, {headed}, taken for {column}")
    lacking = [column for column in COLUMNS if column not in table.places]
    if any(column in (*GIVEN, *WEIGHTS) for column in lacking):
        return lacking
    if lacking:
        table.remarks.append(f"no column for {', '.join(lacking)}: not judged")
    return table


def _found(
    judge: Judge, table: Table, sought: list[str], free: list[int], named: dict[str, list[int]]
) -> dict[str, int]:
    """Find the places of columns among the free ones, one after another, the surest first.

    A place is taken if more cells come out right with it, if it has the column's name, or if it
    is the one between the columns to the left and right.
    """
    if not sought:
        return {}
    table = _first_rows(table)
    if len(free) >= len(sought) and math.perm(len(free), len(sought)) <= MOST_TRIES:
        ways = (
            dict(zip(sought, places, strict=True))
            for places in itertools.permutations(free, len(sought))
        )
        most = _score(judge, table)
        best: dict[str, int] = {}
        for way in ways:
            score = _score(judge, _with(table, way))
            if score > most:
                most, best = score, way
        table = _with(table, best)
    found = {column: place for column, place in table.places.items() if column in sought}
    allowed = MOST_SINGLE_TRIES
    while len(found) < len(sought):
        pairs = [
            (column, place)
            for column in sought if column not in found
            for place in free if place not in found.values()
        ]  # fmt: skip
        allowed -= len(pairs)
        if not pairs or allowed < 0:
            break
        tries = [
            (_gain(judge, table, column, place), place in named.get(column, []),
             _between(table, column, place), column, place)
            for column, place in pairs
        ]  # fmt: skip
        *reasons, column, place = max(tries, key=lambda it: it[:3])
        if not any(reasons):
            break
        found[column] = place
        table = _with(table, {column: place})
    return found


def _first_rows(table: Table) -> Table:
    """Give the table without the rows that are not tried."""
    return replace(
        table, rows=min(table.rows, ROWS_TRIED), moves=min(table.moves, ROWS_TRIED), remarks=[]
    )


def _with(table: Table, places: dict[str, int]) -> Table:
    return replace(table, places=table.places | places)


def _between(table: Table, column: str, place: int) -> bool:
    """Tell whether a place stands right between those of the columns that usually surround it."""
    index = COLUMNS.index(column)
    beside = {
        table.places[name] + step
        for name, step in ((COLUMNS[index - 1], 1), (COLUMNS[(index + 1) % len(COLUMNS)], -1))
        if name in table.places
    }
    return beside == {place}


def _score(judge: Judge, table: Table) -> int:
    """Count the right cells in the first rows."""
    return sum(judge.agrees(table, *cell) for cell in _cells(table))


def _gain(judge: Judge, table: Table, column: str, place: int) -> int:
    """Count how many cells more come out right with a column at a place."""
    more = _with(table, {column: place})
    touched = [
        (name, row)
        for name, row in _cells(more)
        if name == column or column in {symbol.column for symbol in needed(name)}
    ]
    before = sum(judge.agrees(table, *cell) for cell in touched if cell[0] in table.places)
    return sum(judge.agrees(more, *cell) for cell in touched) - before


def exchange_headers(judge: Judge, table: Table, header_line: int) -> Table:
    """Exchange two columns where the names must be the mistake, not all the formulas.

    That is where several columns are wrong, and none is with two names of a kind exchanged.
    """
    tried = _first_rows(table)
    wrong = [cell for cell in _cells(tried) if not judge.agrees(tried, *cell)]
    if len({column for column, _ in wrong}) < MISTAKEN:
        return table
    for kind in KINDS:
        for one, other in itertools.combinations(kind, 2):
            if one not in table.places or other not in table.places:
                continue
            places = {one: table.places[other], other: table.places[one]}
            exchanged = _with(tried, places)
            if all(judge.agrees(exchanged, *cell) for cell in (*wrong, *_cells(tried))):
                remarks = [
                    f"column {letter(place)}, "
                    f"{_headed(table.book, table.sheet, header_line, place)}, "
                    f"taken for {column}: the formulas say so"
                    for column, place in places.items()
                ]
                return replace(_with(table, places), remarks=[*table.remarks, *remarks])
    return table


def _headed(book: Book, sheet: str, line: int, place: int) -> str:
    text = book.value((sheet, line, place))
    return "without a header" if is_blank(text) else f"headed {str(text).strip()[:60]}"


def _cells(table: Table) -> list[tuple[str, int]]:
    """Name the computed cells of a table."""
    return [
        (column, row)
        for row in range(table.moves)
        for column in (*FORMULAS, *WEIGHTS)
        if column in table.places and (row < table.rows if column in FORMULAS else row > 0)
    ]
