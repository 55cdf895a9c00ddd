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


def is_given(column: str, step: int) -> bool:
    """Tell whether a cell is filled in from the start."""
    return step == 0 and column in (*SAME, *WEIGHTS)


def needed(column: str, step: int) -> list[str]:
    """Name the cells that a cell is computed from."""
    if column in SAME:
        return [cell(column, 0)]
    if column in WEIGHTS:
        return [*(cell(it, step - 1) for it in (column, gradient_of(column))), RATE_CELL]
    return [cell(it, step) for it in NEEDED[column]]


def is_close(number: str, right: str, least: str = "") -> str:
    """Write the condition that a number is another one but for rounding."""
    return f"ABS({number}-({right}))<=1E-9*ABS({right}){least}"


def mark_formula(column: str, step: int) -> str:
    """Write the formula that marks a cell."""
    own, sources = cell(column, step), needed(column, step)
    right = {column: sources[0], **formulas(step, RATE_CELL)}[column]
    fine = f"IF(ISFORMULA({own}),{RIGHT},{TYPED})" if step > 0 and column in COMPUTED else RIGHT
    verdict = f"IF(ISNUMBER({own}),IF({is_close(own, right, '+1E-15')},{fine},{WRONG}),{WRONG})"
    is_open = f"OR(ISBLANK({own}),COUNT({','.join(sources)})<{len(sources)})"
    return f'=IFERROR(IF({is_open},"",{verdict}),"")'
