"""Spreadsheet formulas, evaluated at numbers of one's choosing.

The library `formulas` parses and computes; this module finds what a formula depends on. Copies of
a formula down a column have one shape, so each shape is parsed once.
"""

import contextlib
import functools
import itertools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import formulas
import numpy as np
from openpyxl.formula import Tokenizer
from openpyxl.formula.tokenizer import Token
from openpyxl.utils import column_index_from_string

from backprop.check.book import Book, Cell, is_formula

LONGEST = 8_192  # characters of a formula; Excel's own limit
DEEPEST = 50  # cells that lead from one to the next, outside of the table
WIDEST = 400  # cells of one range
WORK = 400_000  # characters of formulas evaluated for one workbook, some five seconds
STEPS = 100_000  # cells outside of the tables that are followed for one workbook

# Nothing here reads a file or takes room without bounds; other functions are not evaluated.
FUNCTIONS = {
    *("ABS", "ADD", "AND", "AVERAGE", "COS", "COSH", "DIVIDE", "EXP", "IF", "INT", "LN", "LOG"),
    *("LOG10", "MAX", "MIN", "MINUS", "MMULT", "MULTIPLY", "NOT", "OR", "PI", "POW", "POWER"),
    *("PRODUCT", "QUOTIENT", "ROUND", "SIGN", "SIN", "SINH", "SQRT", "SUM", "SUMPRODUCT"),
    *("SUMSQ", "TANH", "TRANSPOSE", "UMINUS"),
}


def _rounded(number: float, digits: float = 0) -> float:
    """ROUND: to four places and more it shortens a number, and is left out."""
    return number if digits >= 4 else round(number, int(digits))


_LIBRARY = formulas.get_functions()
_LIBRARY["ROUND"] = formulas.functions.wrap_ufunc(_rounded)
for _name, _function in {  # of Google Sheets
    "POW": np.power,
    "ADD": np.add,
    "MINUS": np.subtract,
    "MULTIPLY": np.multiply,
    "DIVIDE": np.divide,
    "UMINUS": np.negative,
}.items():
    _LIBRARY[_name] = formulas.functions.wrap_ufunc(_function)


class Unevaluable(Exception):
    """The formula cannot be evaluated; the message says why."""


class Symbol(NamedTuple):
    """A cell of the table: its column, and how many rows below the formula's own it stands."""

    column: str
    below: int


class Call(NamedTuple):
    """A formula: its shape, and what stands in it for `x_1`, `x_2`, ..."""

    shape: str
    operands: tuple[Any, ...]  # symbols, calls, ranges, numbers, text


class Range(NamedTuple):
    """The cells of a range, row by row."""

    rows: tuple[tuple[Any, ...], ...]


@dataclass(frozen=True)
class _Area:
    """Where a reference points; a relative row counts from the formula's own."""

    sheet: str | None
    rows: tuple[tuple[int, bool], tuple[int, bool]]  # first and last: number, whether absolute
    places: tuple[int, int]


_ROW = object()  # the operand for ROW()
_RELATIVE_ROW = re.compile(r"(?<![A-Za-z0-9_.])(\$?[A-Za-z]{1,3})(\d{1,7})(?![\w(!.])")
_REFERENCE = re.compile(
    r"@?(?:(?P<sheet>[^'!\[\]]+|'(?:[^']|'')+')!)?"
    r"\$?(?P<left>[A-Z]{1,3})(?P<top_fixed>\$?)(?P<top>\d{1,7})"
    r"(?::\$?(?P<right>[A-Z]{1,3})(?P<bottom_fixed>\$?)(?P<bottom>\d{1,7}))?",
    re.IGNORECASE,
)


class Evaluator:
    """Finds what the formulas of one workbook depend on, and evaluates them."""

    def __init__(self, book: Book) -> None:
        self.book = book
        self._work, self._steps = WORK, STEPS
        self._sheets = {sheet.casefold(): sheet for sheet in book.contents}
        self._shapes: dict[Any, tuple[str, tuple[Any, ...]]] = {}
        self._constants: dict[Cell, Any] = {}

    def call(self, cell: Cell, symbol_at: Callable[[Cell], Symbol | None]) -> Call:
        """Follow a cell's formula, through cells outside of the table, down to the table's own.

        Args:
            symbol_at: names a cell of the table, and gives None for any other.

        Raises:
            Unevaluable: if that leads nowhere, or too far.
        """
        return self._follow(cell, symbol_at, {cell})

    def references(self, cell: Cell) -> Iterator[Cell]:
        """Give the single cells that a formula names, in their order."""
        _, operands = self._shape(self.book.content(cell), cell)
        for operand in operands:
            if isinstance(operand, _Area):
                cells = list(self._cells(operand, cell))
                if len(cells) == 1 and len(cells[0]) == 1:
                    yield cells[0][0]

    def evaluate(self, operand: Any, numbers: dict[Symbol, float]) -> Any:
        """Compute a formula with numbers for the table's cells.

        Returns:
            A number, or NaN for one of the spreadsheet's errors.

        Raises:
            Unevaluable: if the library cannot compute it.
        """
        if isinstance(operand, Symbol):
            return numbers[operand]
        if isinstance(operand, Range):
            rows = [[self.evaluate(cell, numbers) for cell in row] for row in operand.rows]
            return np.array(rows, object)
        if not isinstance(operand, Call):
            return operand
        self._work -= len(operand.shape)
        if self._work < 0:
            raise Unevaluable("there are too many different ones")
        _, order = _compiled(operand.shape)
        values = [self.evaluate(operand.operands[index], numbers) for index in order]
        if any(isinstance(value, np.ndarray) for value in values):
            return _computed.__wrapped__(operand.shape, *values)  # a range is no key of a cache
        return _computed(operand.shape, *values)

    def _follow(
        self, cell: Cell, symbol_at: Callable[[Cell], Symbol | None], above: set[Cell]
    ) -> Call:
        if len(above) > DEEPEST or self._steps < 0:
            raise Unevaluable("they lead through too many cells")
        shape, operands = self._shape(self.book.content(cell), cell)

        def operand_at(place: Cell) -> Any:
            if symbol := symbol_at(place):
                return symbol
            if place in self._constants:
                return self._constants[place]
            content = self.book.content(place)
            if not is_formula(content):
                return 0.0 if content is None else content
            if place in above:
                raise Unevaluable("they lead back to themselves")
            self._steps -= 1
            call = self._follow(place, symbol_at, above | {place})
            if any(symbols(call)):
                return call
            self._constants[place] = self.evaluate(call, {})
            return self._constants[place]

        return Call(shape, tuple(self._operand(it, cell, operand_at) for it in operands))

    def _operand(self, operand: Any, home: Cell, operand_at: Callable[[Cell], Any]) -> Any:
        if operand is _ROW:
            return float(home[1] + 1)
        if not isinstance(operand, _Area):
            return operand
        cells = tuple(tuple(map(operand_at, row)) for row in self._cells(operand, home))
        return cells[0][0] if len(cells) == 1 and len(cells[0]) == 1 else Range(cells)

    def _cells(self, area: _Area, home: Cell) -> Iterator[list[Cell]]:
        """Give the cells of an area row by row, for a formula that stands at `home`."""
        sheet = home[0] if area.sheet is None else self._sheets.get(area.sheet.casefold())
        if sheet is None:
            raise Unevaluable("they name a sheet that is not there")
        first, last = (row if fixed else row + home[1] for row, fixed in area.rows)
        left, right = area.places
        if first < 0 or (last - first + 1) * (right - left + 1) > WIDEST:
            raise Unevaluable("they name too many cells at once")
        for line in range(first, last + 1):
            yield [(sheet, line, place) for place in range(left, right + 1)]

    def _shape(self, text: str, home: Cell) -> tuple[str, tuple[Any, ...]]:
        """Give a formula's shape and operands; copies of a formula share them."""
        if len(text) > LONGEST:
            raise Unevaluable("they are too long")
        key: Any = (text, home[1])
        if "'" not in text and '"' not in text:  # names and text may look like cells
            key = _RELATIVE_ROW.sub(lambda it: f"{it[1]}[{int(it[2]) - home[1]}]", text)
        if key not in self._shapes:
            self._shapes[key] = self._parsed(text, home)
        return self._shapes[key]

    def _parsed(self, text: str, home: Cell) -> tuple[str, tuple[Any, ...]]:
        try:
            tokens = [token for token in Tokenizer(text).items if token.type != Token.WSPACE]
        except Exception:  # the tokenizer raises nearly anything
            raise Unevaluable("they are no formulas") from None
        pieces: list[str] = []
        operands: list[Any] = []

        def put(operand: Any) -> None:
            operands.append(operand)
            pieces.append(f"x_{len(operands)}")

        skip = False
        for token, following in itertools.zip_longest(tokens, tokens[1:]):
            if skip:
                skip = False
            elif token.type == Token.FUNC and token.subtype == Token.OPEN:
                name = token.value[:-1].upper().removeprefix("_XLFN.")
                skip = name == "ROW" and following is not None and following.value == ")"
                if skip:
                    put(_ROW)
                elif name in FUNCTIONS:
                    pieces.append(f"{name}(")
                else:
                    raise Unevaluable(f"the function {name[:40]} is not known here")
            elif token.type == Token.OPERAND and token.subtype == Token.NUMBER:
                put(float(token.value))
            elif token.type == Token.OPERAND and token.subtype == Token.RANGE:
                put(self._referred(token.value, home))
            else:
                pieces.append(token.value)
        return "".join(pieces), tuple(operands)

    def _referred(self, reference: str, home: Cell) -> _Area | float:
        """Tell where a reference or a defined name points, or what number a name stands for."""
        meaning = reference
        if reference.casefold() in self.book.names:
            meaning = self.book.names[reference.casefold()]
            with contextlib.suppress(ValueError):
                return float(meaning)
        if match := _REFERENCE.fullmatch(meaning):
            sheet = match["sheet"]
            if sheet is not None and sheet.startswith("'"):
                sheet = sheet[1:-1].replace("''", "'")
            top = _row(match["top"], match["top_fixed"], home)
            left = column_index_from_string(match["left"]) - 1
            if match["right"] is None:
                return _Area(sheet, (top, top), (left, left))
            bottom = _row(match["bottom"], match["bottom_fixed"], home)
            right = column_index_from_string(match["right"]) - 1
            return _Area(sheet, (top, bottom), (left, right))
        raise Unevaluable(f"{reference[:40]} is not a cell of this workbook")


def leaves(operand: Any) -> Iterator[Any]:
    """Give all that a formula is computed from: the table's cells, numbers and text."""
    if isinstance(operand, Call):
        for part in operand.operands:
            yield from leaves(part)
    elif isinstance(operand, Range):
        for row in operand.rows:
            for cell in row:
                yield from leaves(cell)
    else:
        yield operand


def with_leaves(call: Call, changes: dict[int, Any]) -> Call:
    """Give the formula computed from something else in some places, as `leaves` counts them."""
    count = itertools.count()

    def changed(operand: Any) -> Any:
        if isinstance(operand, Call):
            return Call(operand.shape, tuple(map(changed, operand.operands)))
        if isinstance(operand, Range):
            return Range(tuple(tuple(map(changed, row)) for row in operand.rows))
        return changes.get(next(count), operand)

    return changed(call)


def symbols(call: Call) -> Iterator[Symbol]:
    """Give the table's cells that a formula depends on, each as often as it stands there."""
    return (leaf for leaf in leaves(call) if isinstance(leaf, Symbol))


def _row(number: str, fixed: str, home: Cell) -> tuple[int, bool]:
    row = int(number) - 1
    return (row, True) if fixed else (row - home[1], False)


@functools.lru_cache(maxsize=4_096)
def _compiled(shape: str) -> tuple[Callable[..., Any], tuple[int, ...]]:
    """Compile a shape; gives the function, and which operand each of its arguments is."""
    try:
        function = formulas.Parser().ast(f"={shape}")[1].compile()
        return function, tuple(int(name.split("_")[1]) - 1 for name in function.inputs)
    except Exception:  # the library raises nearly anything
        raise Unevaluable("they are no formulas") from None


# The same formulas, tried at the same points, stand in one workbook after another. Typed, for in a
# sheet TRUE is not 1.
@functools.lru_cache(maxsize=16_384, typed=True)
def _computed(shape: str, *values: Any) -> float:
    """Compute a shape at the values of its arguments; NaN for one of the spreadsheet's errors."""
    function, _ = _compiled(shape)
    try:
        with np.errstate(all="ignore"):
            result = np.asarray(function(*values), object).ravel()
    except Exception:  # the library raises nearly anything
        raise Unevaluable("the numbers in them do not fit") from None
    return float(result[0]) if result.size == 1 and _is_real(result[0]) else np.nan


def _is_real(value: Any) -> bool:
    return isinstance(value, int | float | np.number | np.bool_)
