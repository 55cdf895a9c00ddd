"""Sheets of the exercise as learners make them, for the tests of `check`.

The formulas are typed here as text, once more than in the project, and so are their values: text
is computed by Python. So a mistake in the project's formulas is not repeated here.
"""

import contextlib
import math
import re
from dataclasses import dataclass, field

import xlsxwriter
from openpyxl.formula.translate import Translator
from xlsxwriter.utility import xl_cell_to_rowcol, xl_col_to_name, xl_rowcol_to_cell

from backprop.network import COLUMNS, WEIGHTS, Problem

STEPS = 12
LETTERS = {name: xl_col_to_name(place) for place, name in enumerate(COLUMNS, start=1)}

# By column, with names in braces for cells: {dw1} is ∂E/∂w1.
TO_O1, TO_O2 = "({a_o1}-{t1})*{a_o1}*(1-{a_o1})", "({a_o2}-{t2})*{a_o2}*(1-{a_o2})"
_HIDDEN_1 = f"({TO_O1}*{{w5}}+{TO_O2}*{{w7}})*{{a_h1}}*(1-{{a_h1}})"
_HIDDEN_2 = f"({TO_O1}*{{w6}}+{TO_O2}*{{w8}})*{{a_h2}}*(1-{{a_h2}})"
FORMULAS = {
    "h1": "{w1}*{i1}+{w2}*{i2}", "a_h1": "1/(1+EXP(-{h1}))",
    "h2": "{w3}*{i1}+{w4}*{i2}", "a_h2": "1/(1+EXP(-{h2}))",
    "o1": "{w5}*{a_h1}+{w6}*{a_h2}", "a_o1": "1/(1+EXP(-{o1}))",
    "o2": "{w7}*{a_h1}+{w8}*{a_h2}", "a_o2": "1/(1+EXP(-{o2}))",
    "E1": "0.5*({t1}-{a_o1})^2", "E2": "0.5*({t2}-{a_o2})^2", "E_total": "{E1}+{E2}",
    "∂E/∂w1": f"{_HIDDEN_1}*{{i1}}", "∂E/∂w2": f"{_HIDDEN_1}*{{i2}}",
    "∂E/∂w3": f"{_HIDDEN_2}*{{i1}}", "∂E/∂w4": f"{_HIDDEN_2}*{{i2}}",
    "∂E/∂w5": f"{TO_O1}*{{a_h1}}", "∂E/∂w6": f"{TO_O1}*{{a_h2}}",
    "∂E/∂w7": f"{TO_O2}*{{a_h1}}", "∂E/∂w8": f"{TO_O2}*{{a_h2}}",
}  # fmt: skip
# Of the row above, and of the learning rate; {here_dw1} is of the row itself.
UPDATES = {weight: f"{{{weight}}}-{{eta}}*{{d{weight}}}" for weight in WEIGHTS}

# What most published sheets have wrong: a_h1 where a_h2 belongs.
COMMONEST = {name: FORMULAS[name].replace("a_h2", "a_h1") for name in ("∂E/∂w3", "∂E/∂w4")}


def put_in(text, name_of):
    """Put what a function of the names gives in for the names in braces."""
    return re.sub(r"{(\w+)}", lambda found: name_of(found[1].replace("d", "∂E/∂")), text)


def without(*names):
    """Give the order of the columns with gaps in place of some."""
    return tuple("" if name in names else name for name in COLUMNS)


def renumbered(*pairs):
    """Give the formulas where weights have each other's numbers, and their gradients too."""
    other = dict(pairs) | {second: first for first, second in pairs}

    def exchanged(text):
        return re.sub(r"w\d", lambda found: other.get(found[0], found[0]), text)

    return {exchanged(name): exchanged(text) for name, text in FORMULAS.items()}


@dataclass
class Manner:
    """How somebody makes a table, and what else stands in its sheet.

    Attributes:
        order: how the columns stand in the sheet; other names are left empty, or hold `extras`.
        extras: further columns, written like `texts`, or numbers.
        once: inputs and targets that stand in no column; how formulas name each.
        typed: what is typed over all that, by cell or area: a number, a text, a formula with its
            saved value, which is copied from an area's first cell to the others (or, in braces,
            is that of the whole area), None for a blank, or a list of these, cell by cell.
    """

    problem: Problem = field(default_factory=Problem)
    eta: float = 0.5
    steps: int = STEPS
    texts: dict = field(default_factory=dict)  # formulas by column, other than the ones above
    headers: dict = field(default_factory=dict)  # by column, other than its name
    at: str = "B4"  # the cell of the first header
    gap: int = 0  # rows of explanations below the headers
    order: tuple = COLUMNS
    rate: str = "$D$1"  # as formulas name it
    label: str | None = "Learning Rate"  # left of the rate's cell; None if neither is there
    extras: dict = field(default_factory=dict)
    once: dict = field(default_factory=dict)
    digits: int | None = None  # significant ones of the saved values; None for all
    decimals: int | None = None  # of values that are typed, None if formulas are
    commas: bool = False  # whether typed values are texts with decimal commas
    repeats: int = 0  # rows below the last that repeat it
    typed: dict = field(default_factory=dict)
    names: dict = field(default_factory=dict)  # which the workbook defines


def only(typed):
    """Give a sheet without a table."""
    return Manner(order=(), label=None, typed=typed)


def write_sheet(sheet, *manners):
    """Fill a sheet with tables, and with what is typed beside and over them."""
    for manner in manners:
        if manner.label is not None and re.fullmatch(r"\$[A-Z]+\$\d+", manner.rate):
            row, column = xl_cell_to_rowcol(manner.rate)
            sheet.write_row(row, column - 1, [manner.label, manner.eta])
        _write_table(sheet, manner)
    for area, content in (item for manner in manners for item in manner.typed.items()):
        _type(sheet, area, content)


def _type(sheet, area, content):
    first, _, last = area.partition(":")
    (top, left), (bottom, right) = map(xl_cell_to_rowcol, (first, last or first))
    cells = [(row, column) for row in range(top, bottom + 1) for column in range(left, right + 1)]
    contents = content if isinstance(content, list) else [content] * len(cells)
    for cell, value in zip(cells, contents, strict=True):
        if value is None:
            sheet.write_blank(*cell, None, sheet.default_url_format)
        elif not isinstance(value, tuple):
            sheet.write(*cell, value)
        elif value[0][0] == "{":
            sheet.write_dynamic_array_formula(area, value[0], None, value[1])
            return
        else:
            copied = Translator(value[0], first).translate_formula(xl_rowcol_to_cell(*cell))
            sheet.write_formula(*cell, copied, None, value[1])


def _write_table(sheet, manner):
    """Write a table whose formulas and values agree with each other, mistakes included."""
    top, left = xl_cell_to_rowcol(manner.at)
    order = [name for name in manner.order if name not in manner.once]
    place = {name: left + index for index, name in enumerate(order)}
    for name in filter(None, order):
        sheet.write_string(top, place[name], manner.headers.get(name, name))
        for row in range(manner.gap):
            sheet.write_string(top + 1 + row, place[name], f"what {name} is")
    first = top + 1 + manner.gap
    texts = {name: text for name, text in manner.extras.items() if isinstance(text, str)}
    given = manner.problem.given() | manner.extras | {"eta": manner.eta}
    given = {name: number for name, number in given.items() if name not in texts}
    texts |= FORMULAS | UPDATES | manner.texts
    row, cells = _Row(texts, given), {}
    for line in range(first, first + manner.steps + manner.repeats + 1):
        if first < line <= first + manner.steps:
            row = _Row(texts, given | {weight: row.value(weight) for weight in WEIGHTS})
        above = cells | {"eta": manner.rate}
        cells = {name: xl_rowcol_to_cell(line, column) for name, column in place.items()}
        cells |= manner.once
        above |= {f"here_{name}": cell for name, cell in cells.items()}
        for name in (name for name in order if name in texts or name in given):
            is_given = name in given and (line == first or name not in WEIGHTS)
            if is_given or manner.decimals is not None:
                value = row[name] if is_given else round(row[name], manner.decimals)
                value = f"{value:.15g}".replace(".", ",") if manner.commas else value
                sheet.write(line, place[name], value)
                continue
            value = row[name] if manner.digits is None else f"{row[name]:.{manner.digits}g}"
            text = put_in(texts[name], (above if name in WEIGHTS else cells).__getitem__)
            sheet.write_formula(line, place[name], f"={text}", None, float(value))


class _Row(dict):
    """The numbers of a row; what is not given is computed once it is asked for.

    A text that Python cannot compute has the right formula's value.
    """

    def __init__(self, texts, given):
        super().__init__(given)
        self.texts = texts

    def __missing__(self, name):
        if name not in self.texts:
            raise KeyError(name)
        self[name] = 0.25  # for what leads back to itself
        self[name] = self.value(name)
        return self[name]

    def value(self, name):
        for text in (self.texts[name], (FORMULAS | UPDATES).get(name, "0.25")):
            with contextlib.suppress(SyntaxError, NameError, KeyError, TypeError, ArithmeticError):
                return computed(text, self)
        return 0.25


def computed(text, values):
    """Compute a formula's text with numbers by name, as Python does."""
    if text.count("^") > 3 or len(text) > 1_000:  # a tower of powers takes Python for ever
        raise SyntaxError
    functions = {
        "EXP": lambda x: math.exp(min(x, 700)), "POWER": pow, "LN": math.log, "SQRT": math.sqrt,
        "ROUND": round,
    }  # fmt: skip
    return eval(put_in(text, lambda name: f"({values[name]!r})").replace("^", "**"), functions)


def labelled(eta, **manner):
    """Make a function that fills a sheet with one table."""
    return lambda sheet: write_sheet(sheet, Manner(eta=eta, **manner))


def write_book(path, sheets):
    """Write a workbook.

    Args:
        sheets: by title, each a `Manner`, several of them, a function that fills it, or None for
            a chart; what is not by title is one sheet, Mine.
    """
    with xlsxwriter.Workbook(str(path)) as workbook:
        for title, content in (sheets if isinstance(sheets, dict) else {"Mine": sheets}).items():
            if content is None:
                chart = workbook.add_chart({"type": "line"})
                chart.add_series({"values": [next(iter(sheets)), 3, 22, 9, 22]})
                workbook.add_chartsheet(title).set_chart(chart)
            elif callable(content):
                content(workbook.add_worksheet(title))
            else:
                manners = [content] if isinstance(content, Manner) else content
                write_sheet(workbook.add_worksheet(title), *manners)
                for name, meaning in (item for manner in manners for item in manner.names.items()):
                    workbook.define_name(name, meaning)
    return path
