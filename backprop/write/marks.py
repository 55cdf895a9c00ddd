"""The marks of the exercise: formulas that tell whether a learner's cell is right.

A cell is compared with what the cells that it depends on give for it, as the learner filled them
in. So one slip is one red column, and what follows from it stays green. The formulas use only
what Excel 2016, LibreOffice 7 and Google Sheets have in common.
"""

from xlsxwriter.utility import xl_col_to_name

from backprop.check.answers import ETA, GIVEN, right_tree
from backprop.check.formula import Symbol, Tree, symbols
from backprop.check.limits import FLOOR, RELATIVE
from backprop.check.words import expression
from backprop.expression import Expression
from backprop.network import COLUMNS, WEIGHTS, Problem
from backprop.write.sheet import FIRST_ROW, HEADER_ROW, is_small

STEPS = 20
COMPUTED = tuple(column for column in COLUMNS if column not in GIVEN)
CELLS = sum(STEPS + (column not in WEIGHTS) for column in COMPUTED)  # that are computed
RIGHT, TYPED, WRONG = 1, 2, 3  # and an empty text where nothing can be said
FIRST_MARK = len(COLUMNS) + 1  # column of the hidden block, counted from 0
# What stands above the marks of each column, by row.
RIGHTS, DONE = 2, 3  # how many cells are right; 1 where some are, and all that are judged
WRONGS, TYPEDS = 4, 5  # names of the columns with a wrong or a typed cell, up to this one
FIRST_WRONG, LAST_WRONG = 6, 7  # row of the table, counted from 1
RATE_CELL = "$B$6"
# The yellow cells above the table: targets and inputs, then the weights of each layer.
GIVEN_CELLS = {
    name: f"${'BDF'[index // 4]}${2 + index % 4}" for index, name in enumerate(Problem().given())
}


def beside(column: str, row: int) -> str:
    """Name a cell of the hidden block by the column that it marks and its row, from 1."""
    return f"{xl_col_to_name(FIRST_MARK + COLUMNS.index(column))}{row}"


def mark(column: str, step: int) -> str:
    """Name the cell with the mark of another."""
    return beside(column, FIRST_ROW + step + 1)


def marks(column: str) -> str:
    """Name the range with all marks of a column."""
    return f"{mark(column, 0)}:{mark(column, STEPS)}"


def in_this_row(symbol: Symbol) -> str:
    """Name a cell of the row in which the mark stands, or of the row above.

    By the whole column: a learner may move cells, and insert, copy or delete rows.
    """
    letter = xl_col_to_name(COLUMNS.index(symbol.column)) if symbol != ETA else ""
    return f"INDEX({letter}:{letter},ROW(){symbol.below or ''})" if letter else RATE_CELL


def is_close(number: str, right: str, slack: str) -> str:
    """Write the condition that a number is another one but for rounding."""
    return f"ABS({number}-({right}))<={RELATIVE:.0E}*ABS({right})+{slack}"


def mark_formula(column: str) -> str:
    """Write the formula that marks a cell of a column, the same in every row.

    Nothing is said as long as a cell that it needs holds no number. So it is for what is given in
    the first row: the header is above. A typed number may be rounded as the table shows it.
    """
    own = in_this_row(Symbol(column, 0))
    tree: Tree = Symbol(column, -1) if column in GIVEN else right_tree(column)
    right = expression(tree, Expression, in_this_row).text
    sources = sorted(map(in_this_row, symbols(tree)))
    rounding = f"IF(ISFORMULA({own}),{FLOOR:.0E},{'6E-10' if is_small(column) else '6E-07'})"
    is_first = f"ROW()=ROW($A${HEADER_ROW + 1})+1"
    is_computed = f"OR(ISFORMULA({own}),{is_first})"
    fine = RIGHT if column in GIVEN else f"IF({is_computed},{RIGHT},{TYPED})"
    verdict = f"IF({is_close(own, right, rounding)},{fine},{WRONG})"
    is_open = f"OR(ISBLANK({own}),COUNT({','.join(sources)})<{len(sources)})"
    return f'=IFERROR(IF({is_open},"",IF(ISNUMBER({own}),{verdict},{WRONG})),"")'


def summaries(column: str) -> dict[int, tuple[str, int | str]]:
    """Write what stands above a column's marks: by row a formula, and its value when empty."""
    here, left = marks(column), xl_col_to_name(FIRST_MARK + COLUMNS.index(column) - 1)
    right, typed, wrong = (f"COUNTIF({here},{verdict})" for verdict in (RIGHT, TYPED, WRONG))
    found: dict[int, tuple[str, int | str]] = {
        WRONGS: (f'={left}{WRONGS}&IF({wrong}>0,", {column}","")', ""),
        TYPEDS: (f'={left}{TYPEDS}&IF({typed}>0,", {column}","")', ""),
        FIRST_WRONG: (f'=IFERROR(MATCH({WRONG},{here},0),"")', ""),
        LAST_WRONG: (
            f"=SUMPRODUCT(MAX(({here}={WRONG})*(ROW({here})-ROW({mark(column, 0)})+1)))",
            0,
        ),
    }
    if column not in GIVEN:
        found[RIGHTS] = f"={right}", 0
        found[DONE] = f"=IF(AND({right}>0,{typed}+{wrong}=0),1,0)", 0
    return found
