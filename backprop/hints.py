"""The hints of the exercise: each column in symbols and in numbers, and the slip behind a red one.

Hidden columns hold what the hints are made of, and the usual slips, each with a formula that
tells whether it gives the learner's number.
"""

import functools

from xlsxwriter import Workbook
from xlsxwriter.utility import xl_col_to_name
from xlsxwriter.worksheet import Worksheet

from backprop.check.answers import ETA, NOTHING, outcome, right_tree
from backprop.check.formula import Symbol, Tree, leaves
from backprop.check.slips import Change, Slip, replaced, structural
from backprop.check.words import expression, in_words
from backprop.derivation import derivation
from backprop.expression import Expression, Plain, named, symbols
from backprop.marks import GIVEN_CELLS, RATE_CELL, RIGHT, SAME, STEPS, TYPED, WRONG, is_close, mark
from backprop.network import (
    CHAINS,
    COLUMNS,
    FORMULAS,
    PATHS,
    WEIGHTS,
    Problem,
    evaluate,
    updated,
)
from backprop.sheet import FIRST_ROW, Formats, cell, fit_to_page, is_small

SHEET, TABLE = "Hints", "Exercise!"
LINES = 4  # of a hint, with an empty one; what is given has one line
VALUE, OPERAND = "C", "D"  # of the first row, from the yellow cells; the same as a text
RIGHTS, DONE = "E", "I"  # how many cells are right; 1 where there are some, and no others
WRONGS, TYPEDS = "F", "G"  # names of columns with a wrong or a typed cell, up to this one
STEP = "H"  # row of the table with the first wrong cell, counted from 1
FITS, SLIP = "J", "K"  # whether a slip gives the learner's number, and its name
ABOUT = (
    "For each column: what belongs there, the same with the numbers of the first row, "
    "and what may be wrong where a cell is red."
)
USUAL = ("missing factor", "no sigmoid", "net inputs", "other formula", "climbs", "still")


def row_of(column: str) -> int:
    """Give the row of a column's hint, counted from 1."""
    index = COLUMNS.index(column)
    return 6 + index + (LINES - 1) * max(0, index - len(SAME))


def write_hints(workbook: Workbook, formats: Formats, problem: Problem, eta: float) -> None:
    """Write the sheet with the hints."""
    sheet = workbook.add_worksheet(SHEET)
    sheet.hide_gridlines(2)
    for columns, width in (("A:A", 10), ("B:B", 125), ("C:C", 13)):
        sheet.set_column(columns, width)
    sheet.set_column("D:K", None, None, {"level": 1, "hidden": True})
    sheet.set_column("L:L", None, None, {"collapsed": True})
    sheet.write("A1", SHEET, formats.title)
    sheet.write("A2", ABOUT, formats.note)
    sheet.write("C4", "first row", formats.plain_header)
    values, slip_row = evaluate(problem.given()), 1
    operands = {column: _operand(column, value) for column, value in values.items()}
    cells = {column: f'"&${OPERAND}${row_of(column)}&"' for column in COLUMNS}
    for column in COLUMNS:
        row, slips = row_of(column), usual_slips(column)
        sheet.write(f"A{row}", column, formats.text)
        sheet.write_string(f"B{row}", in_symbols(column))
        if column not in SAME:
            live = in_numbers(column, cells, f'"&{TABLE}{RATE_CELL}&"')
            shown = in_numbers(column, operands, f"{eta:g}")
            sheet.write_formula(f"B{row + 1}", f'="{live}"', None, shown)
        _write_parts(sheet, formats, column, values[column], operands[column])
        for line, slip in enumerate(slips, slip_row):
            name = in_words(slip[0], lambda symbol: symbol.column)
            sheet.write_formula(f"{FITS}{line}", fits(column, slip[1]), None, 0)
            sheet.write_string(f"{SLIP}{line}", name)
        last = slip_row + max(0, len(slips) - 1)
        likely = _likely(column, slip_row, last)
        sheet.write_formula(f"B{row + 2}", likely, formats.slip, "")
        slip_row += len(slips)
    sheet.print_area(0, 0, row_of(COLUMNS[-1]) + 1, 2)
    fit_to_page(sheet)


def in_symbols(column: str) -> str:
    """Write what belongs in a column; a gradient as its chain, and the chain's links."""
    lines = dict(line for _, lines in derivation() for line in lines)
    if column in SAME:
        return "given, the same in every row"
    if column in WEIGHTS:
        rule = updated(column, symbols(COLUMNS, Plain), Plain("η"))
        return f"← {rule.text}, with the numbers of the row above; in the first row it is given"
    link, *_ = CHAINS.get(column, (column,))
    return f"{lines[column]}, where {link} {lines[link]}" if link in PATHS else lines[column]


def in_numbers(column: str, numbers: dict[str, str], eta: str) -> str:
    """Write the same with numbers put in."""
    row = named(numbers, Plain)
    formula = updated(column, row, Plain(eta)) if column in WEIGHTS else FORMULAS[column](row)
    return f"= {formula.text}"


def _operand(column: str, value: float) -> str:
    text = f"{abs(round(value, 9 if is_small(column) else 6)):.9g}"
    return f"(−{text})" if value < 0 else text


def _write_parts(
    sheet: Worksheet, formats: Formats, column: str, value: float, operand: str
) -> None:
    row, marks = row_of(column), f"{TABLE}{mark(column, 0)}:{mark(column, STEPS)}"
    cells = named({it: f"${VALUE}${row_of(it)}" for it in COLUMNS})
    right = FORMULAS[column](cells).text if column in FORMULAS else TABLE + GIVEN_CELLS[column]
    digits = f"ABS(ROUND({VALUE}{row},{9 if is_small(column) else 6}))"
    looks = formats.small if is_small(column) else formats.value
    sheet.write_formula(f"{VALUE}{row}", f"={right}", looks, value)
    sheet.write_formula(
        f"{OPERAND}{row}", f'=IF({VALUE}{row}<0,"(−"&{digits}&")",{digits}&"")', None, operand
    )
    if column not in SAME:
        sheet.write_formula(f"{RIGHTS}{row}", f"=COUNTIF({marks},{RIGHT})", None, 0)
        done = f"IF(AND({RIGHTS}{row}>0,{RIGHTS}{row}=COUNT({marks})),1,0)"
        sheet.write_formula(f"{DONE}{row}", f"={done}", None, 0)
    before = row - (LINES if column in COLUMNS[len(SAME) + 1 :] else 1)
    for names, verdict in ((WRONGS, WRONG), (TYPEDS, TYPED)):
        more = f'IF(COUNTIF({marks},{verdict})>0,", {column}","")'
        sheet.write_formula(f"{names}{row}", f"={names}{before}&{more}", None, "")
    sheet.write_formula(f"{STEP}{row}", f'=IFERROR(MATCH({WRONG},{marks},0),"")', None, "")


def _likely(column: str, first: int, last: int) -> str:
    """Write the formula that names the slip of a column's first wrong cell."""
    step = f"{STEP}{row_of(column)}"
    where = f'"{xl_col_to_name(COLUMNS.index(column))}"&({FIRST_ROW}+{step})&": "'
    slip = f"INDEX({SLIP}{first}:{SLIP}{last},MATCH(1,{FITS}{first}:{FITS}{last},0))"
    slip = f'IFERROR({slip},"none of the usual slips gives this number")'
    number = f"ISNUMBER({_there(column, 0, column)})"
    return f'=IF({step}="","",{where}&IF({number},{slip},"this is no number"))'


# --- The usual slips ----------------------------------------------------------------------


@functools.cache
def usual_slips(column: str) -> tuple[Change, ...]:
    """List the slips that are tried for a column, the likeliest first.

    They are the kinds that published sheets have most (`results/survey.csv`). Of those that
    compute the same, one is enough.
    """
    if column in SAME:
        return ()
    right = right_tree(column)
    others = [Symbol(it, -1 if column in WEIGHTS else 0) for it in COLUMNS]
    own = [it for it in others if it in set(leaves(right))]  # more often confused than the rest
    slips = *replaced(right, own), *replaced(right, others), *structural(column, frozenset())
    found: dict[bytes, Change] = {}
    for slip, tree in slips:
        alike = slip.kind == "replaced" and _kind(slip.used) == _kind(slip.belongs)
        whole_sign = slip == Slip("sign")
        if alike or whole_sign or slip.kind in USUAL:
            found.setdefault(outcome(tree, NOTHING, 0.7).round(9).tobytes(), (slip, tree))
    return tuple(found.values())


def _kind(leaf: Tree) -> str:
    """Name what may be confused: h1, h2 and their activations, or the weights of a layer."""
    if not isinstance(leaf, Symbol):
        return ""
    layer = WEIGHTS.index(leaf.column) // 4 if leaf.column in WEIGHTS else ""
    return f"{leaf.column.removeprefix('a_').rstrip('12345678')}{layer}"


def fits(column: str, tree: Tree) -> str:
    """Write the formula that tells whether a slip gives the number of the first wrong cell."""

    def name(symbol: Symbol) -> str:
        is_rate = symbol == ETA
        return TABLE + RATE_CELL if is_rate else _there(symbol.column, symbol.below, column)

    right = expression(tree, Expression, name).text
    return f"=IFERROR(IF({is_close(_there(column, 0, column), right)},1,0),0)"


def _there(column: str, below: int, wrong: str) -> str:
    """Name a column's cell in the row of another one's first wrong cell, or `below` it."""
    cells = f"{TABLE}{cell(column, 0)}:{cell(column, STEPS)}"
    return f"INDEX({cells},{STEP}{row_of(wrong)}{below or ''})"
