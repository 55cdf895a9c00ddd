"""Sheets of the exercise as learners make them, written for the tests of `check`."""

from dataclasses import dataclass, field
from types import SimpleNamespace

from xlsxwriter.utility import xl_rowcol_to_cell

from backprop.expression import Expression, named
from backprop.network import COLUMNS, FORMULAS, WEIGHTS, Problem, updated

STEPS = 12
ALL_CELLS = 19 * (STEPS + 1) + 8 * STEPS  # of a table that `check` judges


@dataclass
class Manner:
    """How somebody writes the table.

    Attributes:
        slips: wrong formulas by column, functions of a row as in the network; one for a weight
            takes the row above and the learning rate.
        headers: how the columns are called, in the order of `COLUMNS`.
        gap: rows of explanations between header and numbers.
        order: how the columns stand in the sheet; other names are left empty, or hold `extras`.
        digits: significant digits of the saved values, None for all.
        decimals: of values that are typed, without formulas; None for formulas.
        rate: how formulas name the learning rate.
        texts: formulas by column as Excel text, with names in braces for cells: `{dw1}` for ∂E/∂w1.
        extras: further columns, written in the same way, not named in `COLUMNS`.
    """

    problem: Problem = field(default_factory=Problem)
    steps: int = STEPS
    slips: dict = field(default_factory=dict)
    headers: tuple = COLUMNS
    gap: int = 0
    order: tuple = COLUMNS
    digits: int | None = None
    decimals: int | None = None
    rate: str = "$D$1"
    texts: dict = field(default_factory=dict)
    extras: dict = field(default_factory=dict)


def write_table(sheet, origin, eta, manner=None):
    """Write a table whose formulas and values agree with each other, slips included.

    Args:
        origin: row and column of the header's first cell, counted from 0.

    Returns:
        The row below the table.
    """
    manner = manner or Manner()
    top, left = origin
    place = {name: left + index for index, name in enumerate(manner.order)}
    for name, header in zip(COLUMNS, manner.headers, strict=True):
        sheet.write_string(top, place[name], header)
        for row in range(manner.gap):
            sheet.write_string(top + 1 + row, place[name], f"what {name} is")
    values, cells = manner.problem.given(), {}
    for step in range(manner.steps + 1):
        line = top + 1 + manner.gap + step
        above_values, above = SimpleNamespace(**values), named(cells)
        cells = {name: xl_rowcol_to_cell(line, column) for name, column in place.items()}
        formulas = {}
        if step > 0:
            for weight in WEIGHTS:
                rule = manner.slips.get(weight, _update(weight))
                values = values | {weight: rule(above_values, eta)}
                formulas[weight] = rule(above, Expression(manner.rate)).text
        for name, formula in FORMULAS.items():
            rule = manner.slips.get(name, formula)
            values = values | {name: rule(SimpleNamespace(**values))}
            formulas[name] = rule(named(cells)).text
        for name, text in (manner.texts | manner.extras).items():
            if step > 0 or name not in WEIGHTS:
                formulas[name] = text.format(**_braces(cells))
        for name in (*COLUMNS, *manner.extras):
            number = _saved(values.get(name, 0.25), manner, name in formulas)
            if name in formulas and manner.decimals is None:
                sheet.write_formula(line, place[name], f"={formulas[name]}", None, number)
            else:
                sheet.write_number(line, place[name], number)
    return top + 1 + manner.gap + manner.steps + 1


def _update(weight):
    return lambda row, rate: updated(weight, row, rate)


def _braces(cells):
    """Give cells by names that `str.format` takes: `dw1` for ∂E/∂w1."""
    return {name.replace("∂E/∂", "d"): cell for name, cell in cells.items()}


def _saved(value, manner, computed):
    if not computed:
        return value
    if manner.decimals is not None:
        return round(value, manner.decimals)
    return value if manner.digits is None else float(f"{value:.{manner.digits}g}")


def labelled(eta, manner=None, **changes):
    """Make a function that fills a sheet: the learning rate in D1, the table from B4."""

    def fill(sheet):
        sheet.write_row(0, 2, ["Learning Rate", eta])
        write_table(sheet, (3, 1), eta, manner or Manner(**changes))

    return fill
