"""Which cells of somebody's sheet are wrong, and what the slip may be."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from openpyxl.formula import Tokenizer

from backprop.expression import Expression, named
from backprop.network import (
    CHAINS,
    COLUMNS,
    FORMULAS,
    PARTIALS,
    PATHS,
    WEIGHTS,
    gradient_of,
    partial,
    updated,
)
from backprop.tables import Table, read_tables

RELATIVE, FLOOR = 1e-9, 1e-14  # how far a cell may be off: a share of its value, and at least
NO_FORMULA = "a number, no formula"


@dataclass(frozen=True)
class WrongColumn:
    """A column with wrong cells; the rest speaks of the first of them.

    Attributes:
        column: name of the column.
        count: how many of its cells are wrong.
        row: row of the first wrong cell, counted from 0.
        right: the right value, from the other cells of the sheet.
        right_formula: the right formula, in the sheet's own cell names.
        slip: the likely slip in words, empty where none is told.
    """

    column: str
    count: int
    row: int
    right: float
    right_formula: str
    slip: str


def check_file(path: Path) -> int:
    """Print a report on every table of a workbook.

    Returns:
        0 if every cell agrees, 1 if a cell is wrong.

    Raises:
        UnreadableSheet: if the file cannot be judged.
    """
    wrong = False
    for table in read_tables(path):
        found = judge(table)
        print(report(table, found))
        wrong = wrong or bool(found)
    return int(wrong)


# --- Judging ------------------------------------------------------------------------------


def judge(table: Table) -> list[WrongColumn]:
    """Find the wrong columns of a table, in the order in which they are computed.

    Every cell is computed anew from the cells it depends on, as they stand in the sheet: in its
    own row or, for a weight, in the row above. So a wrong cell does not make others wrong.
    """
    found = []
    for column in (*FORMULAS, *WEIGHTS):
        right = _right_values(table, column)
        wrong = np.flatnonzero(_differ(table.values[column], right))
        if len(wrong):
            row = int(wrong[0])
            found.append(
                WrongColumn(
                    column=column,
                    count=len(wrong),
                    row=row,
                    right=float(right[row]),
                    right_formula=right_formula(table, column, row),
                    slip=likely_slip(table, column, wrong, right),
                )
            )
    return found


def _right_values(table: Table, column: str) -> np.ndarray:
    """Compute a column from the sheet's other columns, NaN where one of those has no number."""
    sheet = SimpleNamespace(**table.values)
    with np.errstate(all="ignore"):
        if column in FORMULAS:
            return FORMULAS[column](sheet)
        if table.eta is None:
            return np.full(table.rows, np.nan)
        return np.concatenate([[np.nan], updated(column, sheet, table.eta)[:-1]])


def _differ(values: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Tell where a value is not the right one; a cell without a number is never right.

    Where the right value itself is not known, nothing is held against the cell.
    """
    with np.errstate(invalid="ignore"):
        close = np.abs(values - right) <= np.maximum(RELATIVE * np.abs(right), FLOOR)
    return ~close & np.isfinite(right)


def right_formula(table: Table, column: str, row: int) -> str:
    """Write the right formula for a cell in the sheet's own cell names."""
    if column in FORMULAS:
        return f"={FORMULAS[column](_cells(table, row)).text}"
    return f"={updated(column, _cells(table, row - 1), Expression(_eta_name(table))).text}"


def _cells(table: Table, row: int) -> SimpleNamespace:
    return named({column: table.address(column, row) for column in COLUMNS})


def _eta_name(table: Table) -> str:
    if table.eta_cell is None:
        return f"{table.eta:g}"
    letters = table.eta_cell.rstrip("0123456789")
    return f"${letters}${table.eta_cell[len(letters) :]}"


# --- Slips --------------------------------------------------------------------------------


def likely_slip(table: Table, column: str, wrong: np.ndarray, right: np.ndarray) -> str:
    """Say in words what makes a column's wrong cells what they are, if it can be told.

    The sheet's own formula tells if it names one cell in another's place. Otherwise a slip is
    named if its outcome is that of every wrong cell. Empty if neither tells.
    """
    values = table.values[column][wrong]
    row = int(wrong[0])
    if np.isnan(values[0]):
        return f"holds {table.shown[column][row]!r} and not a number"
    content = table.contents[column][row]
    typed = [isinstance(cell, str) and cell.startswith("=") for cell in table.contents[column]]
    if not typed[row] and any(typed[1:]):
        return "a typed number where the other rows have a formula"
    if reference := _wrong_reference(table, column, row, content):
        return reference
    slips = _weight_slips if column in WEIGHTS else _formula_slips
    with np.errstate(all="ignore"):
        for words, outcome in slips(table, column, wrong, right[wrong]):
            if np.isfinite(outcome).all() and not _differ(values, outcome).any():
                return words
    return ""


def _weight_slips(table: Table, weight: str, wrong: np.ndarray, right: np.ndarray):
    """Give the ways in which a weight is updated wrongly: words, and what it would then be."""
    above = {column: values[wrong - 1] for column, values in table.values.items()}
    address = {column: table.address(column, int(wrong[0]) - 1) for column in COLUMNS}
    old, gradient = above[weight], above[gradient_of(weight)]
    eta = table.eta
    yield "the sign is turned: the weight moves up the gradient, not down", old + eta * gradient
    yield "the weight does not move", old
    yield "the learning rate is missing", old - gradient
    for other in WEIGHTS:
        column = gradient_of(other)
        words = (
            f"updated with {column} ({address[column]}) where "
            f"{gradient_of(weight)} ({address[gradient_of(weight)]}) belongs"
        )
        yield words, old - eta * above[column]
    for other in WEIGHTS:
        words = f"starts from {other} ({address[other]}) where {weight} ({address[weight]}) belongs"
        yield words, above[other] - eta * gradient
    here = table.values[gradient_of(weight)][wrong]
    yield "uses the gradient of its own row where that of the row above belongs", old - eta * here
    start = table.values[weight][0]
    words = f"starts from the first row's {weight} where that of the row above belongs"
    yield words, start - eta * gradient


def _formula_slips(table: Table, column: str, wrong: np.ndarray, right: np.ndarray):
    """Give the ways in which a cell of a row is computed wrongly: words, and the outcome."""
    row = SimpleNamespace(**{name: values[wrong] for name, values in table.values.items()})
    address = {name: table.address(name, int(wrong[0])) for name in COLUMNS}
    yield "the sign is turned", -right
    if column.startswith("a_"):
        net = getattr(row, column[2:])
        yield "the sigmoid is missing", net
        yield "the sign in the exponent is turned: σ(x) = 1/(1+EXP(-x))", 1 - right
        yield "the 1 in the denominator is missing: σ(x) = 1/(1+EXP(-x))", np.exp(net)
        yield "tanh where the sigmoid belongs", np.tanh(net)
    if column in ("E1", "E2"):
        number = column[1]
        error = getattr(row, f"t{number}") - getattr(row, f"a_o{number}")
        yield "the factor ½ is missing", 2 * right
        yield "the square is missing", 0.5 * error
        yield "the square and the factor ½ are missing", error
    if column == "E_total":
        yield "only E1: E2 is missing", row.E1
        yield "only E2: E1 is missing", row.E2
    if column in CHAINS:
        yield from _chain_slips(column, row, right)
    uses = _columns_used(column)
    for used in uses:
        for other in COLUMNS:
            if other not in (used, column):
                swapped = SimpleNamespace(**{**vars(row), used: getattr(row, other)})
                words = f"uses {other} ({address[other]}) where {used} ({address[used]}) belongs"
                yield words, FORMULAS[column](swapped)
    if column in ("h1", "h2", "o1", "o2"):
        for used in (name for name in uses if name in WEIGHTS):
            without = SimpleNamespace(**{**vars(row), used: np.zeros(len(wrong))})
            yield f"the term with {used} ({address[used]}) is missing", FORMULAS[column](without)


def _chain_slips(column: str, row: SimpleNamespace, right: np.ndarray):
    """Give the slips of a gradient: a link of its chain left out, half done or done twice."""
    links = CHAINS[column]
    for link in links:
        value = partial(link, row)
        yield f"the factor {link} is missing", right / value
        yield f"the factor {link} stands twice", right * value
    for link in links:
        if link.startswith("∂a_"):
            neuron = link[1 : link.index("/")]
            activation = getattr(row, neuron)
            yield f"the factor {neuron} of {link} is missing", right / activation
            yield f"the factor (1 − {neuron}) of {link} is missing", right / (1 - activation)
    if links[0] in PATHS:
        rest = partial(links[1], row) * partial(links[2], row)
        first, second = (np.prod([PARTIALS[p](row) for p in path], 0) for path in PATHS[links[0]])
        yield "the path through o2 is missing", first * rest
        yield "the path through o1 is missing", second * rest
        yield "the two paths are subtracted, not added", (first - second) * rest
    for other in CHAINS:
        if other != column:
            yield f"this is the formula of {other}", FORMULAS[other](row)


def _columns_used(column: str) -> list[str]:
    """Name the columns that a column's formula uses."""
    formula = FORMULAS[column](named({name: f"<{name}>" for name in COLUMNS})).text
    return [name for name in COLUMNS if f"<{name}>" in formula]


def _wrong_reference(table: Table, column: str, row: int, content: object) -> str:
    """Compare the cells that a formula names with those it should name."""
    if not isinstance(content, str) or not content.startswith("="):
        return ""
    used = _references(content)
    needed = _references(right_formula(table, column, row))
    extra, lacking = list((used - needed).elements()), list((needed - used).elements())
    if len(extra) != 1 or len(lacking) != 1:
        return ""
    names = {
        table.address(name, line): name for line in (row - 1, row) if line >= 0 for name in COLUMNS
    }
    (extra,), (lacking,) = extra, lacking
    if extra not in names or lacking not in names:
        return ""
    return f"uses {names[extra]} ({extra}) where {names[lacking]} ({lacking}) belongs"


def _references(formula: str) -> Counter:
    """Count the cells that a formula names."""
    tokens = Tokenizer(formula).items
    return Counter(
        token.value.replace("$", "").upper() for token in tokens if token.subtype == "RANGE"
    )


# --- Reporting ----------------------------------------------------------------------------


def report(table: Table, found: list[WrongColumn]) -> str:
    """Write what was found in a table."""
    if table.eta is None:
        rate = "η not needed for one row"
    elif table.eta_cell is None:
        rate = f"η = {table.eta:g}, inferred from how the first weights move"
    else:
        rate = f"η = {table.eta:g} ({table.eta_cell})"
    rows = "1 row" if table.rows == 1 else f"{table.rows} rows"
    lines = [f"Sheet {table.sheet}, table from row {table.first_line}: {rows}, {rate}"]
    if not found:
        weights = len(WEIGHTS) * (table.rows - 1) if table.eta is not None else 0
        return f"{lines[0]}\n  all {len(FORMULAS) * table.rows + weights} cells agree"
    for wrong in found:
        cells = "1 wrong cell" if wrong.count == 1 else f"{wrong.count} wrong cells"
        address = table.address(wrong.column, wrong.row)
        content = table.contents[wrong.column][wrong.row]
        typed = content if isinstance(content, str) and content.startswith("=") else NO_FORMULA
        lines += [
            f"  {wrong.column}: {cells}, the first is {address}",
            f"    value    {table.shown[wrong.column][wrong.row]}",
            f"    right    {wrong.right!r}",
            f"    formula  {typed}",
            f"    right    {wrong.right_formula}",
        ]
        if wrong.slip:
            lines.append(f"    likely   {wrong.slip}")
    return "\n".join(lines)
