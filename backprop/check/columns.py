"""Which column of a table is which: by its header, else by what its formulas compute."""

import itertools
import math
from dataclasses import replace

from backprop.check.book import Book, is_formula, is_number
from backprop.check.judge import Judge
from backprop.check.tables import GIVEN, Header, Rows, Table, letter
from backprop.network import COLUMNS, FORMULAS, FORWARD, GRADIENTS, WEIGHTS

MOST_TRIES = 720  # ways to name columns that are all tried; of more, one column at a time
ROWS_TRIED = 2
MISTAKEN = 3  # wrong columns that two exchanged headers explain better than slips
KINDS = (GIVEN, WEIGHTS, tuple(FORWARD), GRADIENTS)  # columns whose headers people exchange


def place_columns(judge: Judge, book: Book, header: Header, rows: Rows) -> Table | list[str]:
    """Find where each column of a table stands.

    A name that stands once is believed. Columns whose name is missing or stands twice are sought
    among the places left over, so that most cells of the first rows come out right.

    Returns:
        The table or, where columns cannot be found, their names.
    """
    table = Table(book, header.sheet, rows.first_line, rows.rows, rows.moves, {})

    def filled(place: int) -> bool:
        cell = (header.sheet, rows.first_line, place)
        return is_number(book.value(cell)) or is_formula(book.content(cell))

    named = {
        column: [place for place in places if filled(place)]
        for column, places in header.places.items()
    }
    sure = {column: places[0] for column, places in named.items() if len(places) == 1}
    sought = [column for column in COLUMNS if column not in sure]
    free = sorted(
        {place for column in sought for place in named.get(column, [])}
        | {place for place in header.unnamed if filled(place)}
    )
    if len(free) < len(sought):
        return [column for column in sought if not named.get(column)] or sought
    found = _found(judge, replace(table, places=sure), sought, free)
    if found is None:
        return sought
    table.places = sure | found
    for column, place in found.items():
        text = book.value((header.sheet, header.line, place))
        others = len(named.get(column, [])) > 1
        if others or place not in named.get(column, []):
            name = "without a header" if text is None else f"headed {str(text).strip()[:60]}"
            table.remarks.append(f"column {letter(place)}, {name}, taken for {column}")
    return table


def _found(judge: Judge, table: Table, sought: list[str], free: list[int]) -> dict[str, int] | None:
    """Find the places of columns among the free ones; None if nothing tells them."""
    if not sought:
        return {}
    plain = _score(judge, table)
    if math.perm(len(free), len(sought)) <= MOST_TRIES:
        ways = [
            dict(zip(sought, places, strict=True))
            for places in itertools.permutations(free, len(sought))
        ]
        scores = [_score(judge, replace(table, places=table.places | way)) for way in ways]
        best = max(scores)
        # Ties go to the first way, which has the columns in their usual order.
        return ways[scores.index(best)] if best > plain else None
    places: dict[str, int] = {}
    for _ in sought:
        tries = [
            (_score(judge, replace(table, places=table.places | places | {column: place})), column,
             place)
            for column in sought if column not in places
            for place in free if place not in places.values()
        ]  # fmt: skip
        score, column, place = max(tries, key=lambda it: it[0])
        if score <= plain:
            return None
        plain, places[column] = score, place
    return places


def _score(judge: Judge, table: Table) -> int:
    """Count the right cells in the first rows."""
    return sum(judge.agrees(table, *cell) for cell in _sample(table))


def exchange_headers(judge: Judge, table: Table, header_line: int) -> Table:
    """Exchange two columns where the names must be the mistake, not all the formulas.

    That is where several columns are wrong, and none is with two names of a kind exchanged.
    """
    wrong = [cell for cell in _sample(table) if not judge.agrees(table, *cell)]
    if len({column for column, _ in wrong}) < MISTAKEN:
        return table
    for kind in KINDS:
        for one, other in itertools.combinations(kind, 2):
            places = table.places | {one: table.places[other], other: table.places[one]}
            exchanged = replace(table, places=places, remarks=[*table.remarks])
            if all(judge.agrees(exchanged, *cell) for cell in (*wrong, *_sample(table))):
                for column in (one, other):
                    header = table.book.value((table.sheet, header_line, places[column]))
                    exchanged.remarks.append(
                        f"column {letter(places[column])}, headed {str(header).strip()[:60]}, "
                        f"taken for {column}, which its formulas compute"
                    )
                return exchanged
    return table


def _sample(table: Table) -> list[tuple[str, int]]:
    """Name the computed cells of the first rows."""
    return [
        (column, row)
        for row in range(min(table.moves, ROWS_TRIED))
        for column in (*FORMULAS, *WEIGHTS)
        if (row < table.rows if column in FORMULAS else row > 0)
    ]
