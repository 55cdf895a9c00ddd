"""Sheets of the exercise as learners make them, for the tests of `check`.

The formulas are typed here as text, once more than in the project, and so are their values: text
is computed by Python. So a mistake in the project's formulas is not repeated here.
"""

import math
import re
from dataclasses import dataclass, field

import xlsxwriter
from xlsxwriter.utility import xl_rowcol_to_cell

from backprop.network import COLUMNS, WEIGHTS, Problem

STEPS = 12
PLACES = {name: 1 + COLUMNS.index(name) for name in COLUMNS}  # in a sheet of `labelled`
ALL_CELLS = 19 * (STEPS + 1) + 8 * STEPS  # of a table that `check` judges

# By column, with names in braces for cells: {dw1} is ∂E/∂w1.
_TO_O1, _TO_O2 = "({a_o1}-{t1})*{a_o1}*(1-{a_o1})", "({a_o2}-{t2})*{a_o2}*(1-{a_o2})"
FORMULAS = {
    "h1": "{w1}*{i1}+{w2}*{i2}",
    "a_h1": "1/(1+EXP(-{h1}))",
    "h2": "{w3}*{i1}+{w4}*{i2}",
    "a_h2": "1/(1+EXP(-{h2}))",
    "o1": "{w5}*{a_h1}+{w6}*{a_h2}",
    "a_o1": "1/(1+EXP(-{o1}))",
    "o2": "{w7}*{a_h1}+{w8}*{a_h2}",
    "a_o2": "1/(1+EXP(-{o2}))",
    "E1": "0.5*({t1}-{a_o1})^2",
    "E2": "0.5*({t2}-{a_o2})^2",
    "E_total": "{E1}+{E2}",
    "∂E/∂w1": f"({_TO_O1}*{{w5}}+{_TO_O2}*{{w7}})*{{a_h1}}*(1-{{a_h1}})*{{i1}}",
    "∂E/∂w2": f"({_TO_O1}*{{w5}}+{_TO_O2}*{{w7}})*{{a_h1}}*(1-{{a_h1}})*{{i2}}",
    "∂E/∂w3": f"({_TO_O1}*{{w6}}+{_TO_O2}*{{w8}})*{{a_h2}}*(1-{{a_h2}})*{{i1}}",
    "∂E/∂w4": f"({_TO_O1}*{{w6}}+{_TO_O2}*{{w8}})*{{a_h2}}*(1-{{a_h2}})*{{i2}}",
    "∂E/∂w5": f"{_TO_O1}*{{a_h1}}",
    "∂E/∂w6": f"{_TO_O1}*{{a_h2}}",
    "∂E/∂w7": f"{_TO_O2}*{{a_h1}}",
    "∂E/∂w8": f"{_TO_O2}*{{a_h2}}",
}
# Of the row above, and of the learning rate; {here_dw1} is of the row itself.
UPDATES = {weight: f"{{{weight}}}-{{eta}}*{{d{weight}}}" for weight in WEIGHTS}

# What most published sheets have wrong: a_h1 where a_h2 belongs.
COMMONEST = {name: FORMULAS[name].replace("a_h2", "a_h1") for name in ("∂E/∂w3", "∂E/∂w4")}


@dataclass
class Manner:
    """How somebody writes the table.

    Attributes:
        texts: formulas by column where they differ from the ones above.
        headers: how the columns are called, in the order of `COLUMNS`.
        gap: rows of explanations between header and numbers.
        order: how the columns stand in the sheet; other names are left empty, or hold `extras`.
        digits: significant digits of the saved values, None for all.
        decimals: of values that are typed, without formulas; None for formulas.
        rate: how formulas name the learning rate.
        extras: further columns, written like `texts`, not named in `COLUMNS`.
        once: inputs and targets that stand in no column; how formulas name each.
    """

    problem: Problem = field(default_factory=Problem)
    steps: int = STEPS
    texts: dict = field(default_factory=dict)
    headers: tuple = COLUMNS
    gap: int = 0
    order: tuple = COLUMNS
    digits: int | None = None
    decimals: int | None = None
    rate: str = "$D$1"
    extras: dict = field(default_factory=dict)
    once: dict = field(default_factory=dict)


def write_table(sheet, origin, eta, manner=None):
    """Write a table whose formulas and values agree with each other, mistakes included.

    A text that Python cannot compute has the right formula's value.

    Args:
        origin: row and column of the header's first cell, counted from 0.

    Returns:
        The row below the table.
    """
    manner = manner or Manner()
    top, left = origin
    place = {name: left + index for index, name in enumerate(manner.order)}
    for name, header in zip(COLUMNS, manner.headers, strict=True):
        if name in place:
            sheet.write_string(top, place[name], header)
            for row in range(manner.gap):
                sheet.write_string(top + 1 + row, place[name], f"what {name} is")
    first = top + 1 + manner.gap
    values, cells = manner.problem.given(), {}
    for line in range(first, first + manner.steps + 1):
        above_values, above = values | {"eta": eta}, cells | {"eta": manner.rate}
        cells = {name: xl_rowcol_to_cell(line, it) for name, it in place.items()} | manner.once
        texts, values = FORMULAS | manner.extras, manner.problem.given()
        if line > first:
            updates = UPDATES | {it: manner.texts[it] for it in WEIGHTS if it in manner.texts}
            values |= {it: _updated(updates[it], UPDATES[it], above_values) for it in WEIGHTS}
            texts |= updates
        texts |= {name: text for name, text in manner.texts.items() if name in texts}
        formulas = {
            name: text.format(
                **_braces(above if name in WEIGHTS else cells), **_braces(cells, "here_")
            )
            for name, text in texts.items()
            if name in place
        }
        for name in (*FORMULAS, *manner.extras):
            values[name] = _value(name, texts, values)
        for name in (it for it in manner.order if it in values):
            number = _saved(values[name], manner, name in formulas)
            if name in formulas and manner.decimals is None:
                sheet.write_formula(line, place[name], f"={formulas[name]}", None, number)
            else:
                sheet.write_number(line, place[name], number)
    return first + manner.steps + 1


def _braces(named, prefix=""):
    """Give cells or numbers by names that `str.format` takes: `dw1` for ∂E/∂w1."""
    return {prefix + name.replace("∂E/∂", "d"): it for name, it in named.items()}


def _value(name, texts, values):
    """Compute a column from the others, which may not have been computed yet."""
    try:
        for other in re.findall(r"{(\w+)}", texts[name]):
            other = other.replace("d", "∂E/∂") if other[0] == "d" else other
            if other not in values:
                values[other] = _value(other, texts, values)
        return computed(texts[name], values)
    except (SyntaxError, NameError, KeyError, TypeError, RecursionError, ArithmeticError):
        can_do_without = texts is not FORMULAS and name in FORMULAS
        return _value(name, FORMULAS, values) if can_do_without else 0.25


def _updated(text, right, above):
    try:
        return computed(text, above)
    except (SyntaxError, NameError, KeyError, TypeError, ArithmeticError):
        return computed(right, above)


def computed(text, values):
    """Compute a formula's text with numbers by name, as Python does."""
    if text.count("^") > 3 or len(text) > 1_000:  # a tower of powers takes Python for ever
        raise SyntaxError
    names = {
        "EXP": lambda x: math.exp(min(x, 700)),
        "POWER": pow,
        "LN": math.log,
        "SQRT": math.sqrt,
        "ROUND": round,
    }
    numbers = {name: f"({value!r})" for name, value in _braces(values).items()}
    return eval(text.format(**numbers).replace("^", "**"), names)


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


def blank(sheet, line, names):
    """Leave cells blank in a line of a sheet of `labelled`."""
    for name in names:
        sheet.write_blank(line, PLACES[name], None, sheet.default_url_format)


def write_book(path, sheets):
    """Write a workbook of sheets by title, each filled by its function."""
    with xlsxwriter.Workbook(str(path)) as workbook:
        for title, fill in sheets.items():
            fill(workbook.add_worksheet(title))
    return path
