"""The names that people give to the columns, the rows that have them, and the rows below."""

import functools
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from backprop.check.book import Book, Cell
from backprop.check.limits import EXPLANATION_ROWS, FEWEST, LONGEST_HEADER
from backprop.network import COLUMNS, FORMULAS, WEIGHTS, gradient_of

IF_NO_OTHER = "?"  # ends a doubtful name, used only if no other header in the row gives that column

# Three kinds of schwa are found typed for ∂.
_DERIVATIVE_SIGNS = str.maketrans({**dict.fromkeys("∂δәəǝ", "d"), "∇": "g"})
_ERROR = "(?:e|err|error|loss|cost)"
_TOTAL = "(?:t|tot|total)"
_ACTIVATED = "(?:a|act|activated|activation|out|output|σ|sig|sigma|sigmoid)"
_NET = "(?:net|z|in|sum)"

# How each column is called, without spaces, brackets, case and signs; 0 for the letter o is common.
_SPELLINGS: tuple[tuple[str, str], ...] = (
    (r"(?:t|target|y|expected|desired)[o0]?([12])", "t{}"),
    (r"(?:i|in|inp|input|x)([12])", "i{}"),
    (r"(?:w|weight)([1-8])", "w{}"),
    (rf"{_NET}?h(?:idden)?([12])", "h{}"),
    (rf"h([12]){_NET}", "h{}"),
    (rf"{_ACTIVATED}h(?:idden)?([12])", "a_h{}"),
    (rf"h([12]){_ACTIVATED}", "a_h{}"),
    (rf"{_NET}?[o0]([12])", "o{}"),
    (rf"[o0]([12]){_NET}", "o{}"),
    (rf"{_ACTIVATED}[o0]([12])", "a_o{}"),
    (rf"[o0]([12]){_ACTIVATED}", "a_o{}"),
    (rf"{_ERROR}a?[o0]?([12])", "E{}"),
    (rf"{_ERROR}{_TOTAL}?|{_TOTAL}{_ERROR}", "E_total"),
    (rf"d?(?:{_ERROR}|[lcj])?{_TOTAL}?/?dw([1-8])", gradient_of("w{}")),
    (rf"d?{_ERROR}{_TOTAL}?/?w([1-8])", gradient_of("w{}")),
    (r"d?e1/?d?w([56])", gradient_of("w{}")),
    (r"d?e2/?d?w([78])", gradient_of("w{}")),
    (r"g(?:rad|radient)?(?:of)?w([1-8])", gradient_of("w{}")),
    (r"d?e[12]/?d?w([1-8])", gradient_of("w{}") + IF_NO_OTHER),
)

# Of networks that are larger than the exercise's, or have biases.
_OTHERS: tuple[tuple[str, str], ...] = (
    (r"(?:i|in|inp|input|x)(?:[3-9]|[1-9]\d)", "a third input"),
    (rf"(?:{_NET}|{_ACTIVATED})?h(?:idden)?(?:[3-9]|[1-9]\d)", "a third hidden neuron"),
    (rf"h(?:[3-9]|[1-9]\d)(?:{_NET}|{_ACTIVATED})", "a third hidden neuron"),
    (rf"(?:{_NET}|{_ACTIVATED})?o(?:[3-9]|[1-9]\d)", "a third output"),
    (rf"{_ERROR}[o0]?(?:[3-9]|[1-9]\d)", "a third output"),
    (r".*bias.*|(?:b|theta)(?:\d|[ho][12]?)?", "a bias"),
    (r"(?:w|weight)(?:9|[1-9]\d)", "a ninth weight"),
)


@functools.lru_cache(maxsize=10_000)
def column_of(header: str) -> str | None:
    """Tell which column a header names, None if none; `IF_NO_OTHER` ends a doubtful one.

    Knows `∂`, `𝜕`, `δ` and `d`, `E_tot`, `out_h1`, `E∂w1` and the like, and a name with an
    explanation behind it: `h1 = w1*i1 + w2*i2`, `h2 (hidden)`.
    """
    if len(header) > LONGEST_HEADER:
        return None
    for text in _readings(header):
        for spelling, column in _SPELLINGS:
            if match := re.fullmatch(spelling, text):
                return column.format(*match.groups())
    return None


def part_of_another_network(header: str) -> tuple[int, str] | None:
    """Tell which part that the exercise does not have a header names, such as i3; None if none.

    The number is the smaller, the more the part says of the other network.
    """
    for text in _readings(header) if len(header) <= LONGEST_HEADER else ():
        for rank, (spelling, part) in enumerate(_OTHERS):
            if re.fullmatch(spelling, text):
                return rank, f"{part}, {header.strip()}"
    return None


def _readings(header: str) -> Iterator[str]:
    """Give the header without signs, and then the parts of it that may be the name alone."""
    text = re.sub("[Δ∆]", "change", unicodedata.normalize("NFKC", header))
    text = text.casefold().translate(_DERIVATIVE_SIGNS)
    yield _letters(text)
    for end in ("=", ":", "\n", "("):
        if end in text:
            yield _letters(text.split(end)[0])


def _letters(text: str) -> str:
    return re.sub(r"[^a-z0-9σ/]", "", text)


# --- Rows of names, and the rows below them -----------------------------------------------


class Header(NamedTuple):
    """A row that names columns, and the rows below it.

    Attributes:
        line: of the sheet, counted from 0.
        places: the sheet columns that carry each name; several if the name is repeated.
        unnamed: the places between and beside them whose header is not a known name.
    """

    sheet: str
    line: int
    places: dict[str, list[int]]
    unnamed: list[int]

    @property
    def taken(self) -> list[int]:
        """All places with a name."""
        return [place for places in self.places.values() for place in places]

    def is_below(self, other: "Header") -> bool:
        """Tell whether it ends a table above it."""
        same = self.sheet == other.sheet and self.line > other.line
        return same and not set(self.taken).isdisjoint(other.taken)


def find_headers(book: Book) -> list[Header]:
    """Find the rows of a workbook that name columns of the exercise."""
    named: dict[tuple[str, int], list[tuple[int, str]]] = {}
    for (sheet, line, place), value in book.values.items():
        if isinstance(value, str) and (column := column_of(value)) is not None:
            named.setdefault((sheet, line), []).append((place, column))
    headers = []
    for (sheet, line), names in named.items():
        for part in _side_by_side(sorted(names)):
            places: dict[str, list[int]] = {}
            for place, column in sorted(part, key=lambda name: name[1].endswith(IF_NO_OTHER)):
                if column.removesuffix(IF_NO_OTHER) == column or column[:-1] not in places:
                    places.setdefault(column.removesuffix(IF_NO_OTHER), []).append(place)
            if len(places) >= FEWEST and not places.keys().isdisjoint(FORMULAS):
                span = range(max(part[0][0] - len(COLUMNS), 0), part[-1][0] + len(COLUMNS))
                unnamed = [place for place in span if place not in dict(names)]
                headers.append(Header(sheet, line, places, unnamed))
    order = {sheet: index for index, sheet in enumerate(book.sheets)}
    return sorted(headers, key=lambda row: (order[row.sheet], row.line, min(row.taken)))


def _side_by_side(named: list[tuple[int, str]]) -> Iterable[list[tuple[int, str]]]:
    """Divide a row of names into tables, where a name is repeated and most others follow."""
    for index in range(1, len(named)):
        before = {column for _, column in named[:index]}
        if named[index][1] in before:
            after = {column for _, column in named[index:]}
            if len(before & after) >= FEWEST:
                return [named[:index], *_side_by_side(named[index:])]
    return [named]


class Rows(NamedTuple):
    """The rows of a table.

    Attributes:
        first: line of the first row.
        count: number of rows.
        lines: number of rows with weights: one more, if the last row holds little but weights.
    """

    first: int
    count: int
    lines: int


COMMAS = "the numbers are text with commas, such as {}: write them with points"
NEVER_CALCULATED = (
    "the formulas were never calculated: open the file in a spreadsheet program and save it"
)


def find_rows(book: Book, header: Header) -> Rows | str:
    """Find the rows under a header, until one that is not of the table.

    Where none can be judged, it gives the reason in words; empty if nothing stands there.
    """

    def share(line: int, fits: Callable[[Cell], bool]) -> float:
        return sum(fits((header.sheet, line, place)) for place in header.taken) / len(header.taken)

    def is_calculated(cell: Cell) -> bool:
        return book.is_filled(cell) and cell in book.values

    below = range(header.line + 1, header.line + 1 + EXPLANATION_ROWS)
    first = next((line for line in below if share(line, is_calculated) > 0.5), None)
    if first is None:
        cells = [(header.sheet, line, place) for line in below for place in header.taken]
        if commas := list(filter(book.has_comma, cells)):
            return COMMAS.format(book.values[commas[0]])
        if any(share(line, book.formulas.__contains__) > 0.5 for line in below):
            return NEVER_CALCULATED
        if any(share(line, book.is_filled) > 0 for line in below):
            return "the computed columns are empty: fill in their formulas and save the file"
        return ""
    end = first
    while share(end, book.is_filled) > 0.5:
        end += 1
    places = [header.places[weight][-1] for weight in WEIGHTS if weight in header.places]
    weights = [(header.sheet, end, place) for place in places]
    last = all(map(book.is_filled, weights)) and any(weight in book.formulas for weight in weights)
    return Rows(first, end - first, end - first + last)
