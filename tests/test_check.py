"""`check` on sheets with one wrong formula: it is found, and the slip is named."""

import contextlib
import re

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from backprop.check.slips import structural
from backprop.check.words import in_words
from backprop.network import COLUMNS, WEIGHTS
from tests.findings import SETTINGS, Found, differences, findings, slips, wrong_columns
from tests.learners_sheets import FORMULAS, LETTERS, TO_O1, TO_O2, UPDATES, Manner, computed, put_in

FEW = 3  # steps
EVERYTHING = FORMULAS | UPDATES
FIRST_ROW = {name: f"{letters}5" for name, letters in LETTERS.items()}
# By kind, what is used and what belongs there, as `findings.slips` gives them.
SLIPS = {
    ("replaced", "w5", "w6"): ("o1", "{w5}*{a_h1}+{w5}*{a_h2}"),
    ("extra factor", "−3", ""): ("h1", "-3*({w1}*{i1}+{w2}*{i2})"),
    ("replaced", "i1", "i2"): ("h1", "{w1}*{i1}+{w2}*{i1}"),
    ("replaced", "h2", "a_h2"): (
        "∂E/∂w4", f"({TO_O1}*{{w6}}+{TO_O2}*{{w8}})*{{h2}}*(1-{{h2}})*{{i2}}"),
    ("replaced", "0.3", "i2"): ("h2", "{w3}*{i1}+{w4}*0.3"),
    ("extra term", "2", ""): ("h2", "{w3}*{i1}+{w4}*{i2}+2"),
    ("net inputs", "", ""): ("∂E/∂w4", FORMULAS["∂E/∂w4"].replace("{a_", "{")),
    ("missing term", "", "w8·a_h2"): ("o2", "{w7}*{a_h1}+0*{a_h2}"),
    ("missing factor", "", "0.5"): ("E1", "1*({t1}-{a_o1})^2"),
    ("missing power", "", "(t2 − a_o2)²"): ("E2", "0.5*({t2}-{a_o2})"),
    ("twice", "", "0.5"): ("E1", "(0.5*({t1}-{a_o1}))^2"),
    ("operation", "E1^E2", "E1 + E2"): ("E_total", "{E1}^{E2}"),
    ("no sigmoid", "", ""): ("a_h1", "1*{h1}"),
    ("brackets", "1/1 + EXP(−o1)", "1/(1 + EXP(−o1))"): ("a_o1", "1/1+EXP(-{o1})"),
    ("other function", "tanh", ""): ("a_o1", "(EXP(2*{o1})-1)/(EXP(2*{o1})+1)"),
    ("sign", "", "−h2"): ("a_h2", "1/(1+EXP({h2}))"),
    ("missing function", "", "−o2"): ("a_o2", "1/(1-{o2})"),
    ("sign", "", ""): ("∂E/∂w5", "({t1}-{a_o1})*{a_o1}*(1-{a_o1})*{a_h1}"),
    ("missing factor", "", "1 − a_o2"): ("∂E/∂w7", "({a_o2}-{t2})*{a_o2}*{a_h1}"),
    ("missing factor, both", "", "1 − a_o1"): (
        "∂E/∂w2", "(({a_o1}-{t1})*{a_o1}*{w5}+({a_o2}-{t2})*{a_o2}*{w7})*{a_h1}*(1-{a_h1})*{i2}"),
    ("missing factor", "", "i1"): (
        "∂E/∂w1", f"({TO_O1}*{{w5}}+{TO_O2}*{{w7}})*{{a_h1}}*(1-{{a_h1}})"),
    ("twice", "", "a_h2"): ("∂E/∂w8", f"{TO_O2}*{{a_h2}}*{{a_h2}}"),
    ("extra factor", "2", ""): ("∂E/∂w8", f"2*{FORMULAS['∂E/∂w8']}"),
    ("brackets", "(a_o1 − t1)·a_o1·1 − a_o1·a_h1", "(a_o1 − t1)·a_o1·(1 − a_o1)·a_h1"): (
        "∂E/∂w5", "({a_o1}-{t1})*{a_o1}*1-{a_o1}*{a_h1}"),
    ("operation", "a_o1·t1", "a_o1 − t1"): ("∂E/∂w6", "({a_o1}*{t1})*{a_o1}*(1-{a_o1})*{a_h2}"),
    ("other formula", "", "∂E/∂w6"): ("∂E/∂w3", FORMULAS["∂E/∂w6"]),
    ("replaced", "∂E/∂w2[-1]", "∂E/∂w1[-1]"): ("w1", "{w1}-{eta}*{dw2}"),
    ("replaced", "∂E/∂w3", "∂E/∂w3[-1]"): ("w3", "{w3}-{eta}*{here_dw3}"),
    ("replaced", "w1[-1]", "w4[-1]"): ("w4", "{w1}-{eta}*{dw4}"),
    ("climbs", "", ""): ("w6", "{w6}+{eta}*{dw6}"),
    ("still", "", ""): ("w8", "1*{w8}"),
    ("missing factor", "", "η"): ("w7", "{w7}-{dw7}"),
    ("missing term", "", "w5[-1]"): ("w5", "0-{eta}*{dw5}"),
    ("operation", "w2·η·∂E/∂w2", "w2 − η·∂E/∂w2"): ("w2", "{w2}*{eta}*{dw2}"),
    ("other rate", "0.2", "η"): ("w1", "{w1}-0.2*{dw1}"),
}  # fmt: skip
REFERENCE = re.compile(r"\$?[A-Z]+\$?\d+")


@pytest.mark.parametrize("slip", SLIPS, ids=" ".join)
def test_slips_are_named_with_their_cells_and_the_right_formula(slip, make_book):
    column, text = SLIPS[slip]
    rows, top = (4, 5) if column in FORMULAS else (3, 6)
    cells = {name: f"{letters}{top}" for name, letters in LETTERS.items()} | {"η": "D1"}
    cells |= {f"{name}[-1]": f"{letters}{top - 1}" for name, letters in LETTERS.items()}
    likely = [[cells[name] for name in slip[1:] if name in cells]]
    found = Found(wrong={column: (rows, f"{LETTERS[column]}{top}")}, slips=[slip], likely=likely)
    report = findings(make_book(Manner(texts={column: text}, digits=10, steps=FEW)))
    assert differences(report, found) == {}
    right = put_in(EVERYTHING[column], (FIRST_ROW | {"eta": "$D$1"}).__getitem__)
    (wrong,) = report.tables[0].wrong
    assert {*REFERENCE.findall(wrong.right_formula)} == {*REFERENCE.findall(right)}


def test_every_slip_of_a_formula_has_words():
    found = {slip for column in EVERYTHING for slip, _ in structural(column, frozenset())}
    assert all(in_words(slip, str) for slip in found)


# --- Every kind of change, at random places -----------------------------------------------

FORWARD, OF_UPDATES = COLUMNS[:23], (*WEIGHTS, *(f"d{weight}" for weight in WEIGHTS))
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
    cells = [f"{{{name}}}" for name in (OF_UPDATES if "eta" in text else FORWARD)]
    found = {
        kind: [
            text[: place.start()] + place.expand(other) + text[place.end() :]
            for place in re.finditer(pattern, text)
            for other in others or cells
        ]
        for kind, (pattern, others) in CHANGES.items()
    }
    found["brackets"] = [  # left out, or closed farther to the right
        text[: pair.start()] + opening + pair[1] + text[pair.end() : end] + closing + text[end:]
        for pair in BRACKETS.finditer(text)
        for end in range(pair.end(), len(text) + 1)
        for opening, closing in ([("", "")] if end == pair.end() else [("(", ")")])
    ]
    return list(filter(None, found.values()))


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
