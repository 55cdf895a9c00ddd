"""The hints of the exercise: each column in symbols and in numbers, and the slip behind a red one.

Hidden columns hold what the hints are made of, and the usual slips, each with a formula that
tells whether it gives the learner's number.
"""

import functools

from xlsxwriter import Workbook
from xlsxwriter.worksheet import Worksheet

from backprop.check.answers import ETA, GIVEN, NOTHING, outcome, right_tree
from backprop.check.formula import Symbol, Tree, leaves
from backprop.check.slips import Change, Slip, replaced, structural
from backprop.check.words import expression, in_words
from backprop.derivation import derivation, sigmoid_rule
from backprop.expression import Expression, Plain, named, operand, symbols
from backprop.network import CHAINS, COLUMNS, FORMULAS, PATHS, WEIGHTS, Problem, evaluate, updated
from backprop.write.marks import (
    FIRST_WRONG,
    GIVEN_CELLS,
    LAST_WRONG,
    RATE_CELL,
    RIGHT,
    STEPS,
    beside,
    is_close,
    marks,
)
from backprop.write.sheet import Formats, cell, fit_to_page, is_small

TABLE = "Exercise!"
FIRST, LINES = 6, 4  # row of the first hint, counted from 1, and rows of each with an empty one
VALUE, OPERAND = "C", "D"  # of the first row, from the yellow cells; the same as a text
FITS, SLIP = "E", "F"  # 1 where a slip gives the learner's number; its name
ABOUT = (
    "For each column: what belongs there, the same with the numbers of the first row, "
    "and what may be wrong where a cell is red."
)
COMPARE = "; the cell above is right: compare the two (a missing $?)"
USUAL = ("missing factor", "no sigmoid", "net inputs", "other formula", "climbs", "still")


def row_of(column: str) -> int:
    """Give the first row of a column's hint, counted from 1."""
    return FIRST + LINES * COLUMNS.index(column)


def write_hints(workbook: Workbook, formats: Formats, problem: Problem, eta: float) -> None:
    """Write the sheet with the hints."""
    sheet = workbook.add_worksheet("Hints")
    sheet.hide_gridlines(2)
    for columns, width in (("A:A", 10), ("B:B", 125), ("C:C", 13)):
        sheet.set_column(columns, width)
    sheet.set_column("D:F", None, None, {"level": 1, "hidden": True})
    sheet.set_column("G:G", None, None, {"collapsed": True})
    sheet.write("A1", "Hints", formats["title"])
    sheet.write("A2", ABOUT, formats["note"])
    sheet.write("C4", "first row", formats["plain header"])
    values, slip_row = evaluate(problem.given()), 1
    operands = {column: operand(value, 6) for column, value in values.items()}
    cells = {column: f'"&${OPERAND}${row_of(column)}&"' for column in COLUMNS}
    for column in COLUMNS:
        row, slips = row_of(column), usual_slips(column)
        sheet.write(f"A{row}", column, formats["text"])
        sheet.write_string(f"B{row}", in_symbols(column))
        if column not in GIVEN:
            live = in_numbers(column, cells, f'"&{TABLE}{RATE_CELL}&"')
            shown = in_numbers(column, operands, f"{eta:g}")
            sheet.write_formula(f"B{row + 1}", f'="{live}"', None, shown)
        _write_first_row(sheet, formats, column, values[column], operands[column])
        for line, (slip, tree) in enumerate(slips, slip_row):
            sheet.write_formula(f"{FITS}{line}", fits(column, tree), None, 0)
            sheet.write_string(f"{SLIP}{line}", in_words(slip, lambda symbol: symbol.column))
        likely = _likely(column, slip_row, len(slips))
        sheet.write_formula(f"B{row + 2}", likely, formats["slip"], "")
        slip_row += len(slips)
    sheet.print_area(0, 0, row_of(COLUMNS[-1]) + 1, 2)
    fit_to_page(sheet)


def in_symbols(column: str) -> str:
    """Write what belongs in a column; a gradient as its chain, and the chain's links."""
    lines = dict(line for _, lines in derivation() for line in lines)
    if column in GIVEN:
        return "given, the same in every row"
    if column in WEIGHTS:
        rule = updated(column, symbols(COLUMNS, Plain), Plain("η"))
        return f"← {rule.text}, by the row above; given in the first row. η is in {RATE_CELL}"
    if column.startswith("a_"):
        return f"{lines[column]}, where {' '.join(sigmoid_rule(Plain))}"
    link, *_ = CHAINS.get(column, (column,))
    return f"{lines[column]}, where {link} {lines[link]}" if link in PATHS else lines[column]


def in_numbers(column: str, numbers: dict[str, str], eta: str) -> str:
    """Write the same with numbers put in."""
    row = named(numbers, Plain)
    formula = updated(column, row, Plain(eta)) if column in WEIGHTS else FORMULAS[column](row)
    return f"= {formula.text}"


def _write_first_row(
    sheet: Worksheet, formats: Formats, column: str, value: float, text: str
) -> None:
    """Write a column's right value in the first row, and beside it as a text of six digits."""
    here = f"{VALUE}{row_of(column)}"
    cells = named({other: f"${VALUE}${row_of(other)}" for other in COLUMNS})
    right = FORMULAS[column](cells).text if column in FORMULAS else TABLE + GIVEN_CELLS[column]
    looks = formats["small"] if is_small(column) else formats["value"]
    sheet.write_formula(here, f'=IFERROR({right},"")', looks, value)
    digits = f"IF({here}=0,0,ROUND(ABS({here}),5-INT(LOG10(ABS({here})))))"
    written = f'IF({here}<0,"(−"&{digits}&")",{digits}&"")'
    sheet.write_formula(f"{OPERAND}{row_of(column)}", f'=IFERROR({written},"?")', None, text)


def _likely(column: str, start: int, count: int) -> str:
    """Write the formula that tells where a column is wrong and which slips may be the cause.

    It gives, for example: Q14: uses w5 where w6 belongs; the cell above is right: compare the two.
    """
    first = TABLE + beside(column, FIRST_WRONG)
    top = TABLE + cell(column, 0)
    place = f"ADDRESS(ROW({top})+{first}-1,COLUMN({top}),4)"
    if count == 0:
        return f'=IF({first}="","",{place}&": not as in the row above")'
    tried, names = (f"{letter}{start}:{letter}{start + count - 1}" for letter in (FITS, SLIP))
    found = f"MATCH(1,{tried},0)"
    more = f"INDEX({tried},{found}+1):{FITS}{start + count - 1}"
    second = f'IF(COUNTIF({tried},1)>1," or "&INDEX({names},{found}+MATCH(1,{more},0)),"")'
    slips = f'IFERROR(INDEX({names},{found})&{second},"none of the usual slips gives this number")'
    above = f"INDEX({TABLE}{marks(column)},{first}-1)"
    copied = f'IF({first}>1,IF({above}={RIGHT},"{COMPARE}",""),"")'
    said = f'IF(ISNUMBER({_there(column, 0, column)}),{slips}&{copied},"this is no number")'
    return f'=IF({first}="","",{place}&": "&{said})'


# --- The usual slips ----------------------------------------------------------------------


@functools.cache
def usual_slips(column: str) -> tuple[Change, ...]:
    """List the slips that are tried for a column, the likeliest first.

    They are the kinds that published sheets have most (`results/survey.csv`). Of those that
    compute the same, one is enough.
    """
    if column in GIVEN:
        return ()
    right = right_tree(column)
    others = [Symbol(other, -1 if column in WEIGHTS else 0) for other in COLUMNS]
    # The formula's own cells are more often confused than the rest.
    own = [symbol for symbol in others if symbol in set(leaves(right))]
    slips = *replaced(right, own), *replaced(right, others), *structural(column, frozenset())
    found: dict[bytes, Change] = {}
    for slip, tree in slips:
        is_confusion = slip.kind == "replaced" and _kind(slip.used) == _kind(slip.belongs)
        whole_sign = slip == Slip("sign")
        if is_confusion or whole_sign or slip.kind in USUAL:
            found.setdefault(outcome(tree, NOTHING, 0.7).round(9).tobytes(), (slip, tree))
    return tuple(found.values())


def _kind(leaf: Tree) -> str:
    """Name what may be confused: h1, h2 and their activations, or the weights of a layer."""
    if not isinstance(leaf, Symbol):
        return ""
    layer = WEIGHTS.index(leaf.column) // 4 if leaf.column in WEIGHTS else ""
    return f"{leaf.column.removeprefix('a_').rstrip('12345678')}{layer}"


def fits(column: str, tree: Tree) -> str:
    """Write the formula that tells whether a slip gives the number of the last wrong cell."""

    def name(symbol: Symbol) -> str:
        is_rate = symbol == ETA
        return TABLE + RATE_CELL if is_rate else _there(symbol.column, symbol.below, column)

    theirs, right = _there(column, 0, column), expression(tree, Expression, name).text
    return f"=IFERROR(IF({is_close(theirs, right, '0')},1,0),0)"


def _there(column: str, below: int, wrong: str) -> str:
    """Name a column's cell in the row of another one's last wrong cell, or `below` it.

    The last, since the round numbers of the first row let different slips give the same.
    """
    cells = f"{TABLE}{cell(column, 0)}:{cell(column, STEPS)}"
    return f"INDEX({cells},{TABLE}{beside(wrong, LAST_WRONG)}{below or ''})"
