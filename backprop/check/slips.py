"""What the slip may be that makes a cell wrong, in words."""

import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from backprop.check.book import address, is_blank, is_formula
from backprop.check.formula import Call, Symbol, Unevaluable, leaves, symbols, with_leaves
from backprop.check.judge import Finding, Judge, kept_inputs
from backprop.check.points import POINTS, circular, needed, row_numbers, whole_row
from backprop.check.rounding import right_values, tolerance
from backprop.check.tables import Table
from backprop.network import (
    CHAINS,
    COLUMNS,
    FORMULAS,
    PARTIALS,
    PATHS,
    WEIGHTS,
    Row,
    gradient_of,
    partial,
    updated,
)

Slip = tuple[str, Any]  # in words, and what the cell would then hold


class Rows(NamedTuple):
    """Numbers that a slip is tried at: the row itself, the one above, and the right result."""

    here: Row
    above: Row
    right: Any
    eta: float | None


def likely_slip(judge: Judge, table: Table, finding: Finding) -> str:
    """Say in words what makes a column's first wrong cell what it is, if it can be told.

    The sheet's own formula tells if it names one cell in another's place. Otherwise a slip is
    named whose outcome is that of the formula or, where there is none, of every wrong cell. Empty
    if neither tells.
    """
    column, row = finding.column, int(finding.rows[0])
    content = table.content(column, row)
    if not finding.by_formula:
        if words := _no_number(table, column, row):
            return words
        typed = [not is_formula(table.content(column, it)) for it in range(1, table.rows)]
        if not is_formula(content) and not all(typed):
            return "a typed number where the other rows have a formula"
        return _from_values(table, finding)
    try:
        call = judge.call(table, column, row)
        if column in FORMULAS and circular(column, set(symbols(call))):
            return "names its own cell, or one that is computed from it"
        return _wrong_reference(judge, table, column, row, call) or _from_formula(
            judge, table, column, row, call
        )
    except Unevaluable:  # the work allowed for one workbook is done
        return ""


def _no_number(table: Table, column: str, row: int) -> str:
    value = table.book.value(table.cell(column, row))
    if not np.isnan(table.values[column][row]):
        return ""
    return "holds nothing" if is_blank(value) else f"holds {value!r} and not a number"


# --- The cells that a formula names -------------------------------------------------------


def _wrong_reference(judge: Judge, table: Table, column: str, row: int, call: Call) -> str:
    """Compare the cells that a formula names with those it should name."""
    should = Counter({symbol: _times(column, symbol) for symbol in needed(column)})
    does = Counter(symbols(call))
    used, lacking = does - should, should - does
    for symbol in lacking:
        place = symbol.column, row + symbol.below
        if symbol.column in table.places and is_blank(table.content(*place)):
            return f"{symbol.column} ({table.address(*place)}) is blank"
    if len(used) != 1 or len(lacking) > 1:
        return ""
    ((wrong, times),) = used.items()
    there = table.address(wrong.column, row + wrong.below)
    line = table.first_line + row + 1
    if not lacking:  # it must stand in the learning rate's place
        at_rate = column in WEIGHTS and times == 1
        if not at_rate or not _mended(judge, table, column, row, call, wrong, table.eta, 1):
            return ""
        eta = "η" if table.eta_cell is None else f"η ({address(*table.eta_cell[1:])})"
        return f"uses {wrong.column} ({there}) where the learning rate {eta} belongs"
    ((right, as_often),) = lacking.items()
    alike = times == as_often
    if not alike or not _mended(judge, table, column, row, call, wrong, right, times):
        return ""
    if wrong.column == right.column:
        rows = line + wrong.below, line + right.below
        return f"uses {wrong.column} of row {rows[0]} where row {rows[1]} belongs"
    if f"a_{wrong.column}" == right.column and times == 2:
        return _net_words(right.column)
    here = table.address(right.column, row + right.below)
    return f"uses {wrong.column} ({there}) where {right.column} ({here}) belongs"


def _mended(
    judge: Judge,
    table: Table,
    column: str,
    row: int,
    call: Call,
    wrong: Symbol,
    right: Any,
    times: int,
) -> bool:
    """Tell whether a formula is right with one symbol replaced in some places."""
    places = [index for index, leaf in enumerate(leaves(call)) if leaf == wrong]
    return any(
        judge.computes(table, column, row, with_leaves(call, dict.fromkeys(some, right)))
        for some in itertools.combinations(places, times)
    )


def _times(column: str, symbol: Symbol) -> int:
    """Count how often a column's right formula names a cell."""
    if column in WEIGHTS:
        return 1
    marked = _Counted()
    FORMULAS[column](marked)
    return marked.counts[symbol.column]


class _Counted:
    """A row that counts how often each of its columns is asked for."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def __getattr__(self, column: str) -> float:
        self.counts[column] += 1
        return 0.5


# --- What a formula computes --------------------------------------------------------------


def _from_formula(judge: Judge, table: Table, column: str, row: int, call: Call) -> str:
    """Name the slip with the formula's outcome at made-up rows."""
    named = set(symbols(call))
    kept = kept_inputs(table, row, named)
    numbers = [row_numbers(point, column, named, kept) for point in range(POINTS)]
    outcomes = np.array([judge.evaluator.evaluate(call, it) for it in numbers])

    def rows_below(below: int) -> Row:
        rows = [whole_row(point, below, kept) for point in range(POINTS)]
        return SimpleNamespace(**{name: np.array([it[name] for it in rows]) for name in COLUMNS})

    here, above = rows_below(0), rows_below(-1)
    right = updated(column, above, table.eta) if column in WEIGHTS else FORMULAS[column](here)

    def same(outcome: Any) -> bool:
        return np.allclose(outcome, outcomes, rtol=1e-6, atol=0)

    words = _first(table, column, row, Rows(here, above, right, table.eta), same)
    if not words and column in WEIGHTS and (rate := judge.rate(table, column, row)):
        return f"uses the learning rate {rate:g} where {table.eta:g} belongs"
    return words


def _from_values(table: Table, finding: Finding) -> str:
    """Name the slip with the saved values of every wrong cell, within their rounding."""
    column, rows = finding.column, finding.rows
    right = right_values(table, column)
    with np.errstate(all="ignore"):
        near = tolerance(table, column, right)[rows]
    values = table.values[column][rows]
    unknown = dict.fromkeys(COLUMNS, np.full(table.moves, np.nan))
    columns = (unknown | table.values).items()
    here = SimpleNamespace(**{name: numbers[rows] for name, numbers in columns})
    above = SimpleNamespace(**{name: numbers[rows - 1] for name, numbers in columns})

    def same(outcome: Any) -> bool:
        return bool(np.all(np.abs(outcome - values) <= near))

    return _first(table, column, int(rows[0]), Rows(here, above, right[rows], table.eta), same)


def _first(table: Table, column: str, row: int, rows: Rows, same: Callable[[Any], bool]) -> str:
    """Give the words of the first slip with the same outcome, empty if none has."""
    slips = _weight_slips if column in WEIGHTS else _formula_slips
    with np.errstate(all="ignore"):
        for words, outcome in slips(table, column, row, rows):
            if np.isfinite(outcome).all() and same(outcome):
                return words
    return ""


def _weight_slips(table: Table, weight: str, row: int, rows: Rows) -> Iterator[Slip]:
    """Give the ways in which a weight is updated wrongly."""
    above, eta = rows.above, rows.eta
    name = {column: table.address(column, row - 1) for column in COLUMNS}
    old, gradient = getattr(above, weight), getattr(above, gradient_of(weight))
    yield "the sign is turned: the weight moves up the gradient, not down", old + eta * gradient
    yield "the weight does not move", old
    yield "the learning rate is missing", old - gradient
    yield "the old weight is missing", -eta * gradient
    yield "a product where a difference belongs: w·η·∂E/∂w for w − η·∂E/∂w", old * eta * gradient
    yield "the learning rate is squared", old - eta**2 * gradient
    for other in WEIGHTS:
        column = gradient_of(other)
        words = (
            f"updated with {column} ({name[column]}) where "
            f"{gradient_of(weight)} ({name[gradient_of(weight)]}) belongs"
        )
        yield words, old - eta * getattr(above, column)
    for other in WEIGHTS:
        words = f"starts from {other} ({name[other]}) where {weight} ({name[weight]}) belongs"
        yield words, getattr(above, other) - eta * gradient
    here = getattr(rows.here, gradient_of(weight))
    yield "uses the gradient of its own row where that of the row above belongs", old - eta * here


def _formula_slips(table: Table, column: str, line: int, rows: Rows) -> Iterator[Slip]:
    """Give the ways in which a cell of a row is computed wrongly."""
    row, right = rows.here, rows.right
    name = {column: table.address(column, line) for column in COLUMNS}
    yield "the sign is turned", -right
    if column.startswith("a_"):
        net = getattr(row, column[2:])
        yield "the sigmoid is missing", net
        yield "the sign in the exponent is turned: σ(x) = 1/(1+EXP(-x))", 1 - right
        yield "the 1 in the denominator is missing: σ(x) = 1/(1+EXP(-x))", np.exp(net)
        yield "the brackets of the denominator are missing: σ(x) = 1/(1+EXP(-x))", 1 + np.exp(-net)
        yield "tanh where the sigmoid belongs", np.tanh(net)
        yield "ReLU where the sigmoid belongs", np.maximum(net, 0)
    if column in ("E1", "E2"):
        target, output = f"t{column[1]}", f"a_o{column[1]}"
        error = getattr(row, target) - getattr(row, output)
        product = getattr(row, target) * getattr(row, output)
        yield "the factor ½ is missing", 2 * right
        yield "the square is missing", 0.5 * error
        yield "the square and the factor ½ are missing", error
        yield "½ is squared too", 0.5 * right
        yield _product_words(target, output), 0.5 * product**2
    if column == "E_total":
        yield "only E1: E2 is missing", row.E1
        yield "only E2: E1 is missing", row.E2
        yield "the two errors are subtracted, not added", row.E1 - row.E2
        yield "a product where a sum belongs: E1·E2 for E1 + E2", row.E1 * row.E2
        yield "the mean of the two errors, not their sum", 0.5 * right
    if column in CHAINS:
        yield from _chain_slips(column, row, right)
    uses = [symbol.column for symbol in needed(column)]
    for used in uses:
        for other in COLUMNS:
            if other not in (used, column):
                swapped = SimpleNamespace(**{**vars(row), used: getattr(row, other)})
                words = f"uses {other} ({name[other]}) where {used} ({name[used]}) belongs"
                yield words, FORMULAS[column](swapped)
    if column in ("h1", "h2", "o1", "o2"):
        for used in (it for it in uses if it in WEIGHTS):
            without = SimpleNamespace(**{**vars(row), used: 0 * right})
            yield f"the term with {used} ({name[used]}) is missing", FORMULAS[column](without)


def _chain_slips(column: str, row: Row, right: Any) -> Iterator[Slip]:
    """Give the slips of a gradient: a link of its chain left out, half done or done twice."""
    links = CHAINS[column]
    for link in links:
        value = partial(link, row)
        yield f"the factor {link} is missing", right / value
        yield f"the factor {link} stands twice", right * value
    for link in links:
        if link.startswith("∂a_"):
            neuron = link[1 : link.index("/")]
            yield from _slope_slips(link, neuron, row, right)
        elif link.startswith("∂E/∂a_o"):
            target, output = f"t{link[-1]}", link[4:]
            product = getattr(row, target) * getattr(row, output)
            yield _product_words(output, target), right / partial(link, row) * product
    if links[0] in PATHS:
        rest = partial(links[1], row) * partial(links[2], row)
        paths = PATHS[links[0]]
        first, second = (np.prod([PARTIALS[link](row) for link in path], 0) for path in paths)
        yield "the path through o2 is missing", first * rest
        yield "the path through o1 is missing", second * rest
        yield "the two paths are subtracted, not added", (first - second) * rest
        yield "a product where a sum belongs: the two paths add up", first * second * rest
        yield "the brackets around the sum of the two paths are missing", first + second * rest
        yield from _path_slips(paths, row, rest)
    for other in CHAINS:
        if other != column:
            yield f"this is the formula of {other}", FORMULAS[other](row)


def _slope_slips(link: str, neuron: str, row: Row, right: Any) -> Iterator[Slip]:
    """Give the slips of the sigmoid's derivative a·(1 − a)."""
    activation, net = getattr(row, neuron), getattr(row, neuron[2:])
    without = right / partial(link, row)
    yield f"the factor {neuron} of {link} is missing", without * (1 - activation)
    yield f"the factor (1 − {neuron}) of {link} is missing", without * activation
    yield _net_words(neuron), without * net * (1 - net)
    yield _product_words("1", neuron), without * activation * activation
    yield f"the brackets of 1 − {neuron} are missing", without * activation - activation


def _path_slips(paths: tuple[tuple[str, ...], ...], row: Row, rest: Any) -> Iterator[Slip]:
    """Give the slips within one path, or in both alike, from a hidden activation to the error."""
    changes: dict[str, list[Any]] = {}
    for path in paths:
        output = path[0][4:]
        activation, net = getattr(row, output), getattr(row, output[2:])
        target = getattr(row, f"t{output[-1]}")
        whole = np.prod([PARTIALS[link](row) for link in path], 0)
        slope, error, weight = (PARTIALS[link](row) for link in (path[1], path[0], path[2]))
        for words, value in (
            ("the factor ∂a_o/∂o is missing in {}", error * weight),
            ("the factor ∂E/∂a_o is missing in {}", slope * weight),
            ("the weight is missing in {}", error * slope),
            ("the factor (1 − a_o) is missing in {}", error * activation * weight),
            ("the factor a_o is missing in {}", error * (1 - activation) * weight),
            ("the sign is turned in {}", -whole),
            (
                "the sigmoid's derivative is taken at the net input in {}: o·(1 − o) where "
                "a_o·(1 − a_o) belongs",
                error * net * (1 - net) * weight,
            ),
            (
                "a product where a difference belongs in {}: a_o·t for a_o − t",
                activation * target * slope * weight,
            ),
        ):
            changes.setdefault(words, []).append((value, whole))
    for words, ((first, right_first), (second, right_second)) in changes.items():
        yield words.format("both paths"), (first + second) * rest
        yield words.format("the path through o1"), (first + right_second) * rest
        yield words.format("the path through o2"), (right_first + second) * rest


def _product_words(minuend: str, subtrahend: str) -> str:
    product = f"{minuend}·{subtrahend}"
    return f"a product where a difference belongs: {product} for {minuend} − {subtrahend}"


def _net_words(neuron: str) -> str:
    net = neuron[2:]
    return (
        f"the sigmoid's derivative is taken at the net input: {net}·(1 − {net}) where "
        f"{neuron}·(1 − {neuron}) belongs"
    )
