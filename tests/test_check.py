"""`python -m backprop check` on sheets as learners make them: right ones, and ones with a slip."""

import contextlib
import re

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from backprop.network import COLUMNS, GRADIENTS, WEIGHTS
from tests.findings import Found, differences, findings, slips, slips_in_words, wrong_columns
from tests.sheets import FORMULAS, LETTERS, UPDATES, Manner, computed, put_in
from tests.slips import SETTINGS, SLIPS

FEW = 3  # steps
EVERYTHING = FORMULAS | UPDATES

# --- Sheets that are right, and cells that are no formula ---------------------------------


def layout(gap, order):
    """Make a table with its rate and some observations around it."""
    typed = {f"D{20 + gap}": "Observations", f"D{21 + gap}:F{21 + gap}": ["mean", 1.0, 2.0]}
    manner = Manner(at="D6", gap=gap, order=order, label="η =", rate="$B$1", typed=typed)
    return manner, Found(rows=[(7 + gap, 13)], rates=[(0.5, "B1")])


def headers(total, gradient):
    names = {name: gradient.format(index) for index, name in enumerate(GRADIENTS, start=1)}
    return Manner(headers=names | {"E_total": total}), Found()


def instead(content, *slip):
    return Manner(typed={"V9": content}), Found(wrong={"E1": (1, "V9")}, slips=[slip])


CASES = {
    "headers in mathematical letters": headers("E_tot", "\U0001d715E/\U0001d715w{}"),
    "headers in latin letters": headers("E_Total", "dE/dw{}"),
    "headers of the total error": headers("e total", "∂E_total/∂w{}"),
    "headers with spaces": headers("E_total", " ∂e / ∂W{} "),
    "from right to left": layout(0, COLUMNS[::-1]),
    "a row of explanations": layout(1, COLUMNS),
    "two of them, and another order": layout(2, COLUMNS[9:] + COLUMNS[:9]),
    **{f"labelled {label}": (Manner(rate="$F$1", label=label), Found(rates=[(0.5, "F1")]))
        for label in ("η", "η =", "Eta:", "lr", "LEARNING RATE (η)")},
    "label and rate in one cell": (
        Manner(rate="0.5", typed={"E1": "η = 0.5"}), Found(rates=[(0.5, "E1")])),
    "one row needs no rate": (Manner(steps=0, at="A1", label=None),
        Found(rows=[(2, 1)], rates=[(None, "")], judged=[19])),
    "several tables, each with its own rate": (
        {"Two beside": [Manner(eta=0.1, at="A3", rate="$B$1"),
                        Manner(eta=2.0, at="AH3", rate="$AI$1")],
         "Empty": [], "Chart": None,
         "Two below": [Manner(eta=0.2, at="A3", rate="$B$1"),
                       Manner(eta=0.8, at="A33", rate="$B$31")]},
        Found(tables=(4,), rates=[(0.1, "B1"), (2.0, "AI1"), (0.2, "B1"), (0.8, "B31")])),
    "a typed number": instead(0.25, "typed", "", ""),
    "a text": instead("n/a", "no number", "'n/a'", ""),
    "an error": instead(("=1/0", "#DIV/0!"), "no number", "'#DIV/0!'", ""),
    "nothing": instead(None, "empty", "", ""),
    "a truth": instead(True, "no number", "True", ""),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_sheet(case, make_book):
    sheets, found = CASES[case]
    assert differences(findings(make_book(sheets)), found) == {}


# --- Sheets with one wrong formula --------------------------------------------------------


@pytest.mark.parametrize("column", EVERYTHING)
def test_a_planted_error_is_located_and_its_right_formula_given(column, make_book):
    texts = {column: f"({EVERYTHING[column]})*1.001+0.0001"}  # no slip that has a name
    (table,) = findings(make_book(Manner(texts=texts, steps=FEW))).tables
    (wrong,) = table.wrong
    rows = range(5 if column in FORMULAS else 6, 6 + FEW)
    assert (wrong.column, wrong.slip) == (column, None)
    assert wrong.cells == tuple(f"{LETTERS[column]}{row}" for row in rows)
    cells = {name: f"{letters}5" for name, letters in LETTERS.items()} | {"eta": "$D$1"}
    used = put_in(EVERYTHING[column], cells.__getitem__)
    place = re.compile(r"\$?[A-Z]+\$?\d+")
    assert {*place.findall(wrong.right_formula)} == {*place.findall(used)}
    assert np.isfinite(wrong.right)


@pytest.mark.parametrize("slip", SLIPS, ids=" ".join)
def test_slips_are_named_with_their_cells(slip, make_book):
    column, text = SLIPS[slip]
    rows, top = (4, 5) if column in FORMULAS else (3, 6)
    cells = {name: f"{letters}{top}" for name, letters in LETTERS.items()} | {"η": "D1"}
    cells |= {f"{name}[-1]": f"{letters}{top - 1}" for name, letters in LETTERS.items()}
    likely = [[cells[name] for name in slip[1:] if name in cells]]
    found = Found(wrong={column: (rows, f"{LETTERS[column]}{top}")}, slips=[slip], likely=likely)
    report = findings(make_book(Manner(texts={column: text}, digits=10, steps=FEW)))
    assert differences(report, found) == {}


def test_every_slip_of_a_formula_has_words():
    assert all(all(slips_in_words(column)) for column in EVERYTHING)


# --- Every kind of change, at random places -----------------------------------------------

CELLS = {
    False: COLUMNS[:23],
    True: [*WEIGHTS, *(f"d{weight}" for weight in WEIGHTS)],
}  # of updates: True
FACTOR = r"({\w+}|[01][.\d]*)"
# By kind, what is changed and what may come instead; None for any other cell.
CHANGES = {
    "cell": (r"{\w+}", None),
    "sign": (r"(?<=[}\d)])[-+*]", ["+", "-", "*", "/"]),
    "number": (r"(?<!\^)\b(0\.5|1)\b", ["0.25", "3"]),
    "turn": (r"({\w+})", [r"(-\1)"]),
    "twice": (r"({\w+})", [r"(\1*\1)"]),
    "missing": (rf"{FACTOR}\*|(?<!\*){FACTOR}\+|\*{FACTOR}", [""]),
    "power": (r"\^2", [""]),
    "function": (r"EXP", [""]),
}
BRACKETS = re.compile(r"(?<!P)\((([^()]|\(([^()]|\([^()]*\))*\))*)\)")  # in one another, too


def changes(text):
    """Give a formula's text with one change, by kind in every way there is."""
    cells = [f"{{{name}}}" for name in CELLS["eta" in text]]
    found = {
        kind: [
            text[: it.start()] + it.expand(other) + text[it.end() :]
            for it in re.finditer(pattern, text)
            for other in others or cells
        ]
        for kind, (pattern, others) in CHANGES.items()
    }
    found["brackets"] = [  # left out, or closed farther to the right
        text[: it.start()] + opening + it[1] + text[it.end() : end] + closing + text[end:]
        for it in BRACKETS.finditer(text)
        for end in range(it.end(), len(text) + 1)
        for opening, closing in ([("", "")] if end == it.end() else [("(", ")")])
    ]
    return [them for them in found.values() if them]


def outcome(text):
    """Compute a formula's text at a made-up row; None where it is no formula."""
    row = np.random.default_rng(0)
    numbers = {name: row.uniform(0.2, 0.9) for name in ("eta", *COLUMNS)}
    with contextlib.suppress(SyntaxError, TypeError, ZeroDivisionError, OverflowError):
        return computed(text, numbers)


@given(st.data())
@settings(SETTINGS, max_examples=100, derandomize=True)
def test_a_change_at_any_place_is_found_and_named(make_book, data):
    column = data.draw(st.sampled_from(list(EVERYTHING)))
    text = data.draw(st.sampled_from(data.draw(st.sampled_from(changes(EVERYTHING[column])))))
    planted, right = outcome(text), outcome(EVERYTHING[column])
    assume(planted is not None and not np.isclose(planted, right, 1e-9, 0))
    report = findings(make_book(Manner(eta=0.37, texts={column: text}, steps=FEW)))
    assert list(wrong_columns(report)) == [column], text
    assert slips(report), text
