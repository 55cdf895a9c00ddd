"""The marks of the exercise: formulas that tell whether a learner's cell is right.

A cell is compared with what the cells that it depends on give for it, as the learner filled them
in. So one slip is one red column, and what follows from it stays green. The formulas use only
what Excel 2016, LibreOffice 7 and Google Sheets have in common.
"""

from xlsxwriter.utility import xl_col_to_name

from backprop.network import COLUMNS, NEEDED, WEIGHTS, Problem, gradient_of
from backprop.sheet import FIRST_ROW, cell, formulas

STEPS = 20
SAME = ("t1", "t2", "i1", "i2")  # in every row
COMPUTED = tuple(column for column in COLUMNS if column not in SAME)
CELLS = sum(STEPS + (column not in WEIGHTS) for column in COMPUTED)  # that are computed
WRONG, RIGHT, TYPED = 0, 1, 2  # and an empty text where nothing can be said
FIRST_MARK = len(COLUMNS) + 1  # column of the hidden block, counted from 0
RATE_CELL = "$B$6"
# The yellow cells above the table: targets and inputs, then the weights of each layer.
GIVEN_CELLS = {
    name: f"${'BDF'[index // 4]}${2 + index % 4}" for index, name in enumerate(Problem().given())
}


def mark(column: str, step: int) -> str:
    """Name the cell with the mark of another."""
    return f"{xl_col_to_name(FIRST_MARK + COLUMNS.index(column))}{FIRST_ROW + step + 1}"


def is_close(number: str, right: str, least: str = "") -> str:
    """Write the condition that a number is another one but for rounding."""
    return f"ABS({number}-({right}))<=1E-9*ABS({right}){least}"


def mark_formula(column: str, step: int) -> str:
    """Write the formula that marks a cell.

    It is the same in every row, so that a learner may copy whole rows. Nothing is said of the
    first row's given cells: those above them, which they are compared with, hold no numbers.
    """
    own, above = cell(column, step), cell(column, step - 1)
    if column in SAME:
        sources = [above]
    elif column in WEIGHTS:
        sources = [above, cell(gradient_of(column), step - 1), RATE_CELL]
    else:
        sources = [cell(it, step) for it in NEEDED[column]]
    right = {column: above, **formulas(step, RATE_CELL)}[column]
    is_computed = f"OR(ISFORMULA({own}),ROW()={FIRST_ROW + 1})"
    fine = RIGHT if column in SAME else f"IF({is_computed},{RIGHT},{TYPED})"
    verdict = f"IF(ISNUMBER({own}),IF({is_close(own, right, '+1E-15')},{fine},{WRONG}),{WRONG})"
    is_open = f"OR(ISBLANK({own}),COUNT({','.join(sources)})<{len(sources)})"
    return f'=IFERROR(IF({is_open},"",{verdict}),"")'
