"""Spreadsheet formulas as trees: read from text, followed from cell to cell, evaluated.

A tree is a number, a text, a cell of the table (`Symbol`) or a `Call` of an operator or function
on trees. It is evaluated with arrays, so at several rows of numbers at once. As it was typed, it
has references in place of symbols.
"""

import functools
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
from openpyxl.formula import Tokenizer
from openpyxl.formula.tokenizer import Token
from openpyxl.utils import column_index_from_string

from backprop.check.book import Book, Cell, Formula, number
from backprop.check.limits import DEEPEST, LARGEST_TREE, LONGEST, MOST_STEPS, NESTED, WIDEST

TOO_MANY = "they depend on too many other cells"


class Unevaluable(Exception):
    """The formula cannot be evaluated; the message says why."""


class Symbol(NamedTuple):
    """A cell of the table: its column, and how many rows below the formula's own it stands."""

    column: str
    below: int


class Call(NamedTuple):
    """An operator or a function, and what it is applied to."""

    name: str
    args: tuple[Any, ...]


class Ref(NamedTuple):
    """A cell as a formula names it; a line or column that is not fixed counts from its own."""

    sheet: str | None
    line: int
    column: int
    line_fixed: bool = True
    column_fixed: bool = True


class Range(NamedTuple):
    """The cells between two corners."""

    first: Ref
    last: Ref

    @property
    def size(self) -> tuple[int, int]:
        """Its lines and columns.

        Raises:
            Unevaluable: if copies of the formula would have ranges of other sizes, or it is huge.
        """
        first, last = self
        size = abs(last.line - first.line) + 1, abs(last.column - first.column) + 1
        if first.line_fixed != last.line_fixed:
            raise Unevaluable("they use a range that grows from row to row")
        if size[0] * size[1] > WIDEST:
            raise Unevaluable("they use a range of too many cells")
        return size


ROW = Ref(None, 0, -1, False)  # the number to the left of a row, which ROW() gives
Tree = float | str | Symbol | Call | Ref | Range


def _folded(function: Any) -> Callable[..., Any]:
    return lambda first, *others: functools.reduce(function, others, first)


def _to_digits(whole: Callable[[Any], Any]) -> Callable[..., Any]:
    """Make a function that rounds to a number of decimals from one that rounds to whole numbers."""
    return lambda x, digits=0.0: whole(x * np.power(10.0, digits)) / np.power(10.0, digits)


# By name, operators included; those of Google Sheets have names too.
FUNCTIONS: dict[str, Callable[..., Any]] = {
    **dict.fromkeys(("+", "ADD"), np.add), **dict.fromkeys(("-", "MINUS"), np.subtract),
    **dict.fromkeys(("*", "MULTIPLY", "PRODUCT", "SUMPRODUCT"), _folded(np.multiply)),
    **dict.fromkeys(("/", "DIVIDE"), np.divide),
    **dict.fromkeys(("^", "POWER", "POW"), np.power),
    **dict.fromkeys(("NEGATIVE", "UMINUS"), np.negative),
    "%": lambda x: x / 100.0, "=": np.equal, "<>": np.not_equal, "<": np.less, ">": np.greater,
    "<=": np.less_equal, ">=": np.greater_equal, "IF": lambda test, a, b=0.0: np.where(test, a, b),
    "EXP": np.exp, "LN": np.log, "LOG10": np.log10, "LOG": lambda x, b=10.0: np.log(x) / np.log(b),
    "SQRT": np.sqrt, "ABS": np.abs, "SIGN": np.sign, "TANH": np.tanh, "INT": np.floor,
    "ROUND": _to_digits(np.round), "TRUNC": _to_digits(np.trunc), "ROUNDDOWN": _to_digits(np.trunc),
    "ROUNDUP": _to_digits(lambda x: np.copysign(np.ceil(np.abs(x)), x)),
    "IFERROR": lambda x, other: np.where(np.isfinite(x), x, other),
    "SUM": _folded(np.add), "MAX": _folded(np.maximum), "MIN": _folded(np.minimum),
    "SUMSQ": lambda *args: sum(x * x for x in args), "PI": lambda: np.pi,
    "AVERAGE": lambda first, *others: sum(others, first) / (1 + len(others)),
    "ARRAYFORMULA": lambda x: x,
}  # fmt: skip
# Which of them round, and by how much of a unit of the last digit at most.
ROUNDINGS = {"ROUND": 0.5, "ROUNDUP": 1.0, "ROUNDDOWN": 1.0, "TRUNC": 1.0, "INT": 1.0}
OF_RANGES = {"SUM", "PRODUCT", "MAX", "MIN", "AVERAGE", "SUMSQ", "SUMPRODUCT"}
BINDING = {"=": 0, "<>": 0, "<": 0, ">": 0, "<=": 0, ">=": 0, "&": 1, "+": 2, "-": 2, "*": 3,
           "/": 3, "^": 4}  # fmt: skip


def evaluate(tree: Tree, numbers: dict[Symbol, Any]) -> Any:
    """Compute a tree with numbers, or arrays of one shape, for the table's cells."""
    if isinstance(tree, Call):
        return FUNCTIONS[tree.name](*[evaluate(arg, numbers) for arg in tree.args])
    if isinstance(tree, Symbol):
        return numbers[tree]
    return np.nan if isinstance(tree, str) else tree


def nodes(tree: Tree) -> Iterator[tuple[Tree, int]]:
    """Give every part of a tree and its depth, from left to right; the tree itself has depth 0."""
    rest = [(tree, 0)]
    while rest:
        part, depth = rest.pop()
        yield part, depth
        if isinstance(part, Call):
            rest += [(arg, depth + 1) for arg in reversed(part.args)]


def leaves(tree: Tree) -> Iterator[Tree]:
    """Give all that a tree is computed from, each as often as it stands there."""
    return (part for part, _ in nodes(tree) if not isinstance(part, Call))


def with_leaves(tree: Tree, new: Callable[[Tree], Tree]) -> Tree:
    """Put what a function of each leaf gives in its place, in the order of `leaves`."""
    if not isinstance(tree, Call):
        return new(tree)
    return Call(tree.name, tuple([with_leaves(arg, new) for arg in tree.args]))


@functools.lru_cache(maxsize=10_000)
def symbols(tree: Tree) -> frozenset[Symbol]:
    """Give the table's cells that a tree depends on."""
    return frozenset(leaf for leaf in leaves(tree) if isinstance(leaf, Symbol))


@functools.lru_cache(maxsize=10_000)
def count_numbers(tree: Tree) -> int:
    """Count the numbers that a tree is computed from."""
    return sum(isinstance(leaf, float) for leaf in leaves(tree))


def product(factors: tuple[Tree, ...]) -> Tree:
    """Multiply factors; if the first is a product itself, it is extended."""
    if isinstance(factors[0], Call) and factors[0].name == "*":
        factors = (*factors[0].args, *factors[1:])
    return factors[0] if len(factors) == 1 else Call("*", factors)


def read(text: str, refer: Callable[[str], Tree]) -> Tree:
    """Read a formula by precedence climbing, with Excel's own rules.

    A sign binds more tightly than a power, so −2^2 is 4; powers are taken from left to right.

    Args:
        text: with the equals sign.
        refer: tells what a reference or a name in it stands for.

    Raises:
        Unevaluable: if it is no formula, or has parts that cannot be evaluated.
    """
    nested = 0

    def expression(least: int) -> Tree:
        left = operand()
        while tokens and tokens[-1].type == Token.OP_IN and BINDING[tokens[-1].value] >= least:
            sign = tokens.pop().value
            left = call(sign, left, expression(BINDING[sign] + 1))
        return left

    def operand() -> Tree:
        turned = False
        while tokens[-1].type == Token.OP_PRE:
            turned ^= tokens.pop().value == "-"
        tree = primary(tokens.pop())
        if turned:
            tree = -tree if isinstance(tree, float) else Call("NEGATIVE", (tree,))
        while tokens and tokens[-1].type == Token.OP_POST:
            tree = call(tokens.pop().value, tree)
        return tree

    def primary(token: Token) -> Tree:
        nonlocal nested
        if token.type == Token.OPERAND:
            if token.subtype in (Token.NUMBER, Token.LOGICAL):
                return float({"TRUE": 1, "FALSE": 0}.get(token.value, token.value))
            return refer(token.value.lstrip("@")) if token.subtype == Token.RANGE else token.value
        if token.subtype != Token.OPEN or token.type == Token.ARRAY:
            raise IndexError
        nested += 1
        if nested > NESTED:
            raise Unevaluable("their brackets are nested too deeply")
        args: list[Tree] = []
        while tokens[-1].subtype != Token.CLOSE:
            if args and tokens.pop().type != Token.SEP:
                raise IndexError
            args.append(expression(0))
        tokens.pop()
        nested -= 1
        if token.type == Token.PAREN:
            return args[0]
        if token.value.upper() == "ROW(" and not args:
            return ROW
        return call(token.value[:-1].upper().removeprefix("_XLFN."), *args)

    def call(name: str, *args: Tree) -> Tree:
        if name not in FUNCTIONS:
            raise Unevaluable(f"the function {name[:40]} is not supported")
        if name == "SUMPRODUCT":
            name, args = "SUM", (product(args),)
        if name in OF_RANGES:
            args = tuple(element for arg in args for element in _elements(arg))
        FUNCTIONS[name](*[2.0] * len(args))  # a TypeError for too few or too many
        return product(args) if name == "*" else Call(name, args)

    try:
        if len(text) > LONGEST:
            raise Unevaluable("they are too long")
        tokens = [token for token in Tokenizer(text).items if token.type != Token.WSPACE][::-1]
        tree = expression(0)
        if tokens:
            raise IndexError
        return tree
    except Unevaluable:
        raise
    except Exception:  # the tokenizer raises nearly anything
        raise Unevaluable("they are not valid formulas") from None


# --- Ranges ---------------------------------------------------------------------------------


def _elements(tree: Tree) -> list[Tree]:
    """Give the elements of the array that a tree computes; the tree itself if it has no ranges."""
    sizes = [leaf.size for leaf in leaves(tree) if isinstance(leaf, Range)]
    lines, columns = max(sizes, default=(1, 1))
    if lines * columns * sum(1 for _ in nodes(tree)) > LARGEST_TREE:
        raise Unevaluable(TOO_MANY)

    def element(leaf: Tree, line: int, column: int) -> Tree:
        if not isinstance(leaf, Range):
            return leaf
        top, left = min(leaf.first.line, leaf.last.line), min(leaf.first.column, leaf.last.column)
        down, right = (at * (size > 1) for at, size in zip((line, column), leaf.size, strict=True))
        return leaf.first._replace(line=top + down, column=left + right)

    return [
        with_leaves(tree, functools.partial(element, line=line, column=column))
        for line in range(lines)
        for column in range(columns)
    ]


def _single(leaf: Tree, formula: Formula) -> Tree:
    """Give the one cell of a range that a formula's own cell takes; of an array, its element.

    Raises:
        Unevaluable: if there is none.
    """
    if not isinstance(leaf, Range):
        return leaf
    (sheet, line, column, line_fixed, column_fixed), (lines, columns) = leaf.first, leaf.size
    if formula.array:
        down, right = lines > 1, columns > 1
        line, column = line - formula.origin[0] * down, column - formula.origin[1] * right
        return Ref(sheet, line, column, not down, not right)
    if columns == 1:
        return Ref(sheet, 0, column, False, column_fixed)
    if lines == 1:
        return Ref(sheet, line, 0, line_fixed, False)
    raise Unevaluable("they use a range where a single cell belongs")


def _small(tree: Tree) -> Tree:
    """Give a tree back.

    Raises:
        Unevaluable: if it is too large or too deep to be computed with.
    """
    for size, (_, depth) in enumerate(nodes(tree)):
        if size > LARGEST_TREE or depth > DEEPEST:
            raise Unevaluable(TOO_MANY)
    return tree


# --- Cells put in for references ----------------------------------------------------------

_CORNER = r"(\$?)([A-Z]{1,3})(\$?)([1-9]\d{0,6})"
_REFERENCE = re.compile(
    rf"(?:([^'!\[\]]+|'(?:[^']|'')+')!)?{_CORNER}(?::{_CORNER})?", re.IGNORECASE
)
_STRUCTURED = re.compile(r"(\w*)\[(.+)\]", re.DOTALL)
_RELATIVE_LINE = re.compile(r"(?<![\w.])(\$?[A-Za-z]{1,3})(\d{1,7})(?![\w(!.])")


class Typed(NamedTuple):
    """A formula as it was typed.

    Attributes:
        shape: the same for copies of the formula in other rows.
        refs: the leaves of the tree that are references.
    """

    shape: Any
    tree: Tree
    refs: tuple[Ref, ...]


class Formulas:
    """The formulas of one workbook as trees."""

    def __init__(self, book: Book) -> None:
        self.book = book
        self._steps = MOST_STEPS
        self._sheets = {sheet.casefold(): sheet for sheet in book.sheets}
        # By sheet, formula and column; and by shape, since copies in other rows are read once.
        self._typed: dict[tuple[str, Formula, int], Typed | Unevaluable] = {}
        self._of_shape: dict[Any, Typed | Unevaluable] = {}

    def typed(self, cell: Cell) -> Typed:
        """Read a cell's formula.

        Raises:
            Unevaluable: if it cannot be read.
        """
        key = cell[0], self.book.formulas[cell], cell[2]
        typed = self._typed.get(key)
        if typed is None:
            typed = self._typed[key] = self._read(*key)
        if isinstance(typed, Unevaluable):
            raise typed
        return typed

    def _read(self, sheet: str, formula: Formula, column: int) -> Typed | Unevaluable:
        text, (line, _), array = formula
        shape: tuple[Any, ...] = sheet, formula, column
        if not array and not re.search("['\"[]", text):  # names and text may look like cells
            parts: list[Any] = _RELATIVE_LINE.split(text)  # every third one is a line
            parts[2::3] = [int(part) - line for part in parts[2::3]]
            shape = sheet, column - formula.origin[1], column, *parts
        if shape not in self._of_shape:
            try:
                tree = _small(read(text, lambda name: self._refer(name, sheet, formula, column)))
                tree = with_leaves(tree, functools.partial(_single, formula=formula))
                refs = tuple(leaf for leaf in leaves(tree) if isinstance(leaf, Ref))
                self._of_shape[shape] = Typed(shape, tree, refs)
            except Unevaluable as reason:
                self._of_shape[shape] = reason
        return self._of_shape[shape]

    def follow(
        self,
        cell: Cell,
        symbol_at: Callable[[Cell], Symbol | None],
        seen: dict[Cell, Tree],
        depth: int = 0,
    ) -> Tree:
        """Follow a cell's formula, through cells outside of the table, down to the table's own.

        Args:
            symbol_at: names a cell of the table, and gives None for any other.
            seen: what has been put in for other cells, each followed once; it is added to.
            depth: number of cells that have led here.

        Raises:
            Unevaluable: if that leads nowhere, or too far.
        """
        if depth > DEEPEST:
            raise Unevaluable(TOO_MANY)

        def value_at(cell: Cell) -> Tree:
            if cell in seen:
                return seen[cell]
            value = symbol_at(cell)
            if cell[2] == ROW.column:
                value = float(cell[1] + 1)
            elif value is None and cell in self.book.formulas:
                self._steps -= 1
                if self._steps < 0:
                    raise Unevaluable(TOO_MANY)
                value = self.follow(cell, symbol_at, seen, depth + 1)
                if not symbols(value):
                    with np.errstate(all="ignore"):
                        value = float(evaluate(value, {}))
            elif value is None:
                saved = self.book.values.get(cell, 0.0)
                value = str(saved) if number(saved) is None else number(saved)
            seen[cell] = value
            return value

        typed = self.typed(cell)
        # Before they are put in: within the tree, each cell of a chain would deepen the recursion
        # by all the functions around it.
        values = {ref: value_at(self.cell(ref, cell)) for ref in typed.refs}
        return _small(with_leaves(typed.tree, lambda leaf: values.get(leaf, leaf)))

    def reached(self, cells: Iterable[Cell], stop: Callable[[Cell], bool]) -> set[Cell]:
        """Find the cells that some cells' formulas need, through others, but not beyond some.

        Args:
            stop: tells whether a cell's own formula is of no interest.
        """
        found: set[Cell] = set()
        rest = list(cells)
        while rest:
            new = set(self.sources(rest.pop())) - found
            found |= new
            rest += (cell for cell in new if not stop(cell))
        return found

    def sources(self, cell: Cell) -> list[Cell]:
        """List the cells that a cell's formula names; none if it has none, or cannot be read."""
        try:
            if cell in self.book.formulas:
                return [self.cell(ref, cell) for ref in self.typed(cell).refs]
        except Unevaluable:
            pass
        return []

    def is_copy(self, cell: Cell) -> bool:
        """Tell whether a cell's formula only repeats another cell, or cannot be read."""
        try:
            return isinstance(self.typed(cell).tree, Ref)
        except Unevaluable:
            return True

    def cell(self, ref: Ref, home: Cell) -> Cell:
        """Give the cell that a reference names in a formula that stands at `home`."""
        sheet = home[0] if ref.sheet is None else self._sheets.get(ref.sheet.casefold())
        if sheet is None:
            raise Unevaluable("they refer to a sheet that does not exist")
        line = ref.line if ref.line_fixed else home[1] + ref.line
        return sheet, line, ref.column if ref.column_fixed else home[2] + ref.column

    def _refer(self, text: str, sheet: str, formula: Formula, column: int, depth: int = 0) -> Tree:
        """Tell what a reference stands for: cells, or what a defined name means.

        Args:
            column: of the cell that the formula stands in.
        """
        if match := _REFERENCE.fullmatch(text):
            return _cells(match, formula, column)
        name, names = text.casefold(), self.book.names
        meaning = names.get(f"{sheet.casefold()}!{name}", names.get(name))
        if meaning is not None and depth < NESTED:
            of_a1 = Formula(meaning, (0, 0), formula.array)  # from where a name's references count
            inner = functools.partial(
                self._refer, sheet=sheet, formula=of_a1, column=column, depth=depth + 1
            )
            return _small(read(f"={meaning}", inner))
        if match := _STRUCTURED.fullmatch(text):
            return self._part_of_table(match)
        raise _unknown(text)

    def _part_of_table(self, match: re.Match) -> Tree:
        """Tell which cells a column of one of Excel's named tables is, or one row of it."""
        table = self.book.tables.get(match[1].casefold())
        items = re.findall(r"\[([^\[\]]+)\]", match[2]) or [match[2]]
        columns = [item.lstrip("@") for item in items if not item.startswith("#")]
        if table is None or not columns or not {*columns} <= {*table.headers}:
            raise _unknown(match[0])
        left, right = (table.left + table.headers.index(columns[end]) for end in (0, -1))
        one_row = items[0].casefold() == "#this row" or match[2].startswith("@")
        top, bottom = (0, 0) if one_row else (table.first, table.last)
        first = Ref(table.sheet, top, left, not one_row)
        last = Ref(table.sheet, bottom, right, not one_row)
        return first if first == last else Range(first, last)


def _cells(match: re.Match, formula: Formula, column: int) -> Tree:
    """Read a cell or a range in a formula, by places from the cell that the formula was typed in.

    All references of an array formula are fixed, since its elements do not shift them.
    """
    there, *corners = match.groups()
    if there is not None and there.startswith("'"):
        there = there[1:-1].replace("''", "'")
    # Such as $A1:B1, copied to the right: it grows, so both columns are fixed, as they are there.
    mixed = corners[4] is not None and bool(corners[0]) != bool(corners[4])
    top, left = formula.origin

    def corner(column_sign: str, letters: str, line_sign: str, row: str) -> Ref:
        line, place = int(row) - 1, column_index_from_string(letters) - 1
        if formula.array:
            return Ref(there, line, place)
        if not line_sign:
            line -= top
        if mixed and not column_sign:
            place += column - left
        fixed = bool(mixed or column_sign)
        return Ref(there, line, place if fixed else place - left, bool(line_sign), fixed)

    first = corner(*corners[:4])
    return first if corners[4] is None else Range(first, corner(*corners[4:]))


def _unknown(text: str) -> Unevaluable:
    return Unevaluable(f"{text[:40]} is not a cell of this workbook")
