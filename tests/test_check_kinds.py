"""`check` on the kinds of sheets that people publish: digits, names, places, rows, functions."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backprop.check.headers import column_of
from backprop.network import COLUMNS, WEIGHTS, Problem
from tests.findings import SETTINGS, Found, differences, findings
from tests.learners_sheets import COMMONEST, FORMULAS, Manner, only, renumbered, without

COMMONLY_WRONG = Found(
    wrong={"∂E/∂w3": (13, "AA5"), "∂E/∂w4": (13, "AB5")}, slips=[("replaced", "a_h1", "a_h2")] * 2
)
LEFT_OUT = without("h1", "h2", "o1", "o2", "E1", "E2")
SHORTER = {
    "a_h1": "1/(1+EXP(-({w1}*{i1}+{w2}*{i2})))", "a_h2": "1/(1+EXP(-({w3}*{i1}+{w4}*{i2})))",
    "a_o1": "1/(1+EXP(-({w5}*{a_h1}+{w6}*{a_h2})))",
    "a_o2": "1/(1+EXP(-({w7}*{a_h1}+{w8}*{a_h2})))",
    "E_total": "0.5*({t1}-{a_o1})^2+0.5*({t2}-{a_o2})^2",
}  # fmt: skip
SLOPE = {"∂E/∂w1": FORMULAS["∂E/∂w1"].replace("{a_h1}*(1-{a_h1})", "{slope}")}
INPUTS_BELOW = {"B6:E6": [0.5, 0.5, 0.05, 0.1]}
OTHER_WEIGHTS = [("replaced", "∂E/∂w1[-1]", f"∂E/∂{weight}[-1]") for weight in WEIGHTS[1:]]


def spoilt(column, cell, count=1):
    return Manner(decimals=6, typed={cell: 0.123456}), Found(wrong={(column, count)})


def in_doubt(facts, **headers):
    return Manner(headers=headers, digits=10), Found(remarks={facts})


def instead(content, *slip):
    return Manner(typed={"V9": content}), Found(wrong={"E1": (1, "V9")}, slips=[slip])


RIGHT = {
    **{f"{count} digits": Manner(digits=count) for count in (5, 6, 10, 15)},
    **{f"typed, {count} decimals": Manner(decimals=count) for count in (6, 9)},
    "a stale value": Manner(typed={"V9": ("=0.5*(B9-S9)^2", 0.75)}),
    "columns in between": Manner(
        order=("Step", *COLUMNS[:10], "slope", *COLUMNS[10:23], "η", *COLUMNS[23:]),
        extras={"Step": "ROW()-4", "slope": "{a_h1}*(1-{a_h1})", "η": "0.5"},
        headers={"slope": ""}, texts=SLOPE, at="A4", rate="$Z5"),
    "gradients named by one error": Manner(headers={"∂E/∂w1": "∂E1/∂w1", "∂E/∂w4": "∂E2/∂w4"}),
}  # fmt: skip
CASES = {
    # --- Labels and other cells ------------------------------------------------------------
    "observations below, explanations above": (
        Manner(at="D6", gap=2, label="η =", rate="$B$1",
            typed={"D22": "Observations", "D23:F23": ["mean", 1.0, 2.0]}),
        Found(rows=[(9, 13)], rates=[(0.5, "B1")])),
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
    # --- Digits ---------------------------------------------------------------------------
    "a slip, 5 digits": (Manner(texts=COMMONEST, digits=5), COMMONLY_WRONG),
    "typed, of two labels one fits": (
        Manner(decimals=6, typed={"A3:E3": ["LR of the chart", 4, None, "lr", 2.0]}),
        Found(rates=[(0.5, "D1")])),
    "typed, without a label": (Manner(eta=0.25, decimals=8, label=None), Found(rates=[(0.25, "")])),
    "typed, a_h1 spoilt": spoilt("a_h1", "K9"),
    "typed, E2 spoilt": spoilt("E2", "W9"),
    "typed, ∂E/∂w5 spoilt": spoilt("∂E/∂w5", "AC9"),
    "typed, w6 spoilt, and the next follows from it": spoilt("w6", "O9", 2),
    "typed rows that repeat the last": (Manner(decimals=6, repeats=2), Found(missing=(2,))),
    # --- Names ----------------------------------------------------------------------------
    "labels beside the table": (
        Manner(at="D4", typed={"A4:B15": [*itertools.chain(*Problem().given().items())]}),
        Found(remarks=[("D", "t1")])),
    "a name twice": in_doubt(("C", "i2", "t2"), t2="i2"),
    "a name misspelt": in_doubt(("M", "a_hh", "a_h2"), a_h2="a_hh"),
    "a weight misspelt": in_doubt(("N", "wight", "w5"), w5="wight"),
    "a gradient named as its neighbour": in_doubt(
        ("AB", "∂E/∂w3", "∂E/∂w4"), **{"∂E/∂w4": "∂E/∂w3"}),
    "a column without a name": in_doubt(("V", "E1"), E1=""),
    "a doubtful name over a wrong formula": (Manner(headers={"∂E/∂w3": "slope 3"}, texts=COMMONEST),
        COMMONLY_WRONG | {"remarks": [("AA", "slope 3", "∂E/∂w3")]}),
    "a name again to the right": (
        Manner(texts={"E_total": "1*{E1}"}, typed={
            "AI4:AJ4": ["E_total (LR 0.1)", "E_total (LR 0.5)"], "AI5:AJ17": 0.1}),
        Found(wrong={"E_total": (13, "X5")}, slips=[("missing term", "", "E2")])),
    "columns left out": (Manner(order=LEFT_OUT, texts=SHORTER), Found(judged=[13 * 13 + 96])),
    "columns left out, slips in longer formulas": (
        Manner(order=LEFT_OUT, texts=SHORTER | {
            "a_h1": "1/(1+EXP(-{w1}*{i1}))", "E_total": "({t1}-{a_o1})^2"}),
        Found(wrong={"a_h1": 13, "E_total": 13})),
    "typed, columns left out": (
        Manner(order=without("E1", "E2"), texts=SHORTER, decimals=9, typed={"AC9": 0.5}),
        Found(wrong={"∂E/∂w5": 1, "w5": 1})),
    "a mistake that has no name": (Manner(texts={"w5": "{w5}*1.001"}),
        Found(wrong={"w5": (12, "N6")}, slips=[], likely=[()])),
    "exchanged formulas": (Manner(texts={"E1": FORMULAS["E2"], "E2": FORMULAS["E1"]}),
        Found(wrong={"E1": 13, "E2": 13})),
    # --- Rows -----------------------------------------------------------------------------
    "a last row of weights only": (
        Manner(steps=0, typed=INPUTS_BELOW | {
            "F6:I6": ("=F5-$D$1*Y5", 0.3), "N6:Q6": ("=N5-$D$1*AC5", 0.3)}),
        Found(rows=[(5, 1)], judged=[27], rates=[(0.5, "D1")])),
    "a last row of weights only, wrong": (
        Manner(steps=0, typed=INPUTS_BELOW | {
            "F6:I6": ("=F5-$D$1*$Y5", 0.3), "N6:Q6": ("=N5-$D$1*$Y5", 0.3)}),
        Found(rows=[(5, 1)], judged=[27], rates=[(0.5, "D1")], slips=OTHER_WEIGHTS)),
    "no computed cells": (
        Manner(steps=0, typed={"J5:M5": None, "R5:AF5": None}), Found(reason=("Mine", 4))),
    # --- Formulas -------------------------------------------------------------------------
    "a target for the other, though they are equal": (
        Manner(texts={"∂E/∂w7": FORMULAS["∂E/∂w7"].replace("t2", "t1")}),
        Found(slips=[("replaced", "t1", "t2")])),
    "a cell of another row": (Manner(typed={"K5:K17": ("=1/(1+EXP(-J8))", 0.507)}),
        Found(slips=[("replaced", "h1[3]", "h1")], likely=[("J8", "J5")])),
    "a reference that slid off the rate": (Manner(typed={"H8:H17": ("=H7-$H5*AA7", 0.2)}), Found(
        wrong={"w3": (10, "H8")}, slips=[("replaced", "w3[-3]", "η")], likely=[("H5", "D1")])),
    "the rate of another table": (
        [Manner(eta=0.2, at="A2", rate="$B$1", label="η"),
         Manner(eta=0.2, at="A32", rate="$B$1", label=None, typed={"A31:B31": ["η", 0.8]})],
        Found(slips=[("other rate", "0.2", "η")] * 8, likely=[("B31",)] * 8, tables=(2,),
            wrong={weight: (12, f"{at}34") for weight, at in zip(WEIGHTS, "EFGHMNOP", strict=True)},
            rates=[(0.2, "B1"), (0.8, "B31")], rows=[(3, 13), (33, 13)], judged=[343] * 2)),
    "an input that was not copied down": (Manner(typed={"D9": None}), Found(
        wrong={"h1": 1, "h2": 1, "∂E/∂w1": 1, "∂E/∂w3": 1},
        slips=[("blank", "", "i1")] * 4, likely=[("D9",)] * 4)),
    **{f"leads back to itself: {text}": (
            Manner(texts={"h1": text}), Found(wrong={"h1": 13}, slips=[("circular", "", "")]))
        for text in ("{h1}", "LN({a_h1}/(1-{a_h1}))")},
}  # fmt: skip
WAYS = {
    "POW of Google Sheets": {"E1": "(1/2)*POW(({t1}-{a_o1}),2)"},
    "ROUND": {"a_h1": "ROUND(1/(1+EXP(-{h1})),6)"},
    "e by hand": {"a_o1": "1/(1+2.71828^-{o1})"},
    "the net input again": {"∂E/∂w5": "(1/(1+EXP(-{o1}))-{t1})*{a_o1}*(1-{a_o1})*{a_h1}"},
    "a minus in front": {"∂E/∂w7": "-1*({t2}-{a_o2})*{a_o2}*(1-{a_o2})*{a_h1}"},
    "a minus twice": {"E1": "-(-0.5*({a_o1}-{t1})^2)"},
    "through a neighbour": {"∂E/∂w2": "{dw1}/{i1}*{i2}"},
    "another sheet": {"h1": "{w1}*Other!$A$1+{w2}*'Other'!B1"},
    "a name of a cell of its row": {"h1": "{w1}*{i1}+{w2}*second_input"},
    "numbers for inputs": {"h1": "{w1}*0.05+{w2}*0.1"},
    "numbers for inputs, computed": {"h1": "{w1}*5%+{w2}*(1/10)"},
    "a Google function": {"E1": 'IFERROR(__xludf.DUMMYFUNCTION("0.5*POW({t1}-{a_o1},2)"),0.1)'},
}
HARD = {
    "leads back to itself": {"h1": "{h1}+{w1}"},
    "through cells that lead back": {"h1": "$ZZ$1"},
    "a tower of powers": {"h1": "9^9^9^9^9^9^9^9*{w1}"},
    "another workbook": {"h1": "[1]Sheet1!$A$1*{w1}"},
}
FIRST, SECOND = ("w2", "w3"), ("w6", "w7")  # what the other common numbering exchanges
HIDDEN = {"w9": 0.1, "w10": 0.2, "h3": "{w9}*{i1}+{w10}*{i2}", "a_h3": "1/(1+EXP(-{h3}))"}
# By what another network has more: the columns for that, and formulas.
OTHER_NETWORKS = {
    ("h1", "i3"): ({"i3": 0.3, "w9": 0.7, "w10": 0.6},
        {"h1": "{w1}*{i1}+{w2}*{i2}+{w9}*{i3}", "h2": "{w3}*{i1}+{w4}*{i2}+{w10}*{i3}"}),
    ("h1", "b1"): ({"b1": 0.35, "b2": 0.6},
        {"h1": "{w1}*{i1}+{w2}*{i2}+{b1}", "h2": "{w3}*{i1}+{w4}*{i2}+{b1}",
         "o1": "{w5}*{a_h1}+{w6}*{a_h2}+{b2}", "o2": "{w7}*{a_h1}+{w8}*{a_h2}+{b2}"}),
    ("o1", "a_h3"): (HIDDEN | {"w11": 0.3, "w12": 0.4},
        {"o1": "{w5}*{a_h1}+{w6}*{a_h2}+{w11}*{a_h3}",
         "o2": "{w7}*{a_h1}+{w8}*{a_h2}+{w12}*{a_h3}"}),
}  # fmt: skip
NAMES = {"second_input": "=Mine!$E1"}  # which counts from A1
CASES |= {name: (manner, Found()) for name, manner in RIGHT.items()} | {
    f"written with {way}": (
        {"Mine": Manner(texts=texts, digits=10, names=NAMES),
            "Other": only({"A1:B1": [0.05, 0.1]})},
        Found(remarks=[]))
    for way, texts in WAYS.items()
} | {
    # Its own cell among its sources is wrong; of the others the saved values are right.
    f"hard: {way}": (
        Manner(texts=texts, steps=1, typed={"ZZ1": ("=$ZZ$2", 1), "ZZ2": ("=$ZZ$1", 1)}),
        Found(wrong={"h1": 2}, remarks=[]) if "{h1}" in texts["h1"] else Found(remarks=[("h1",)]))
    for way, texts in HARD.items()
} | {
    f"numbered otherwise: {pairs}, {how}": (
        Manner(texts=renumbered(*pairs), decimals=decimals), Found(remarks={*pairs}))
    for pairs in ([FIRST], [SECOND], [FIRST, SECOND])
    for how, decimals in (("formulas", None), ("typed", 9))
} | {
    f"numbered otherwise, and {used} for {right} in {column}": (
        Manner(texts=renumbered(*pairs) | {column: text}),
        Found(wrong={column: (13, cell)}, slips=[("replaced", used, right)], remarks={*pairs}))
    for column, text, cell, used, right, *pairs in (
        ("o1", "{w5}*{a_h1}+{w5}*{a_h2}", "R5", "w5", "w7", SECOND),
        ("h2", "{w2}*{i1}+{w2}*{i2}", "L5", "w2", "w4", FIRST),
        ("o2", "{w6}*{a_h1}+{w7}*{a_h2}", "T5", "w7", "w8", FIRST, SECOND))
} | {
    f"a network in which {column} needs {other}{how}": (
        others | {"Mine": Manner(order=(*COLUMNS[:12], *extras, *COLUMNS[12:]), extras=extras,
                                 texts=texts)},
        Found(**{said: (column, other)}, tables=(0, 1, 2)))
    for (column, other), (extras, texts) in OTHER_NETWORKS.items()
    for how, said, others in (
        ("", "reason", {}), (", beside a table", "missing", {"Good": Manner()}))
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_sheet(case, make_book):
    sheets, found = CASES[case]
    assert differences(findings(make_book(sheets)), found) == {}


# --- Names of columns ---------------------------------------------------------------------

SPELLINGS = {
    "t1": ["T1", "target1", "t_1", "Target 1", "y1", "expected 1", "desired_1"],
    "i2": ["I2", "input2", "x2", "i₂", "in 2", "inp2"],
    "w1": ["W1", "w_1", "w₁", "weight 1"],
    "h1": ["H1", "net_h1", "h1 = w1*i1 + w2*i2", "h1 (net)", "h1 in", "z_h1", "sum h1"],
    "a_h1": [
        "out_h1", "act_h1", "a(h1)", "σ(h1)", "sigmoid(h1)", "a_h1 = σ(h1)", "h1 out", "sig(h1)",
        "activation h1", "activated h1"],
    "o1": ["O1", "net_o1", "o1 net"],
    "a_o1": ["a_O1", "out_o1", "act_o1", "a_01", "OUT O1", "o1 output", "sigma o1"],
    "E1": ["e1", "Error1", "E_1", "E1 = ½ * (t1 - a_o1)²", "err 1", "loss_1", "cost1"],
    "E_total": ["E-total", "E_t", "Et", "Etotal", "E", "E = E1+E2", "Total Error", "E_TOT"],
    "∂E/∂w1": [
        "dw1", "E∂w1", "∂E∂W1", "Etotaldw1", "dE_total / dw1", "δE_tot/δw1", "ӘE/Әw1", "Edw1",
        "∂E_t/∂W1", "dE/dw_1", "𝜕E_Total/𝜕w1", "grad w1", "d(E)/d(w1)", "dL/dw1", "∇w1", "dE/w1",
        "gradient of w1", "∂E_total/∂w1 = ((a_o1 - t1) * a_o1 * (1 - a_o1) * w5 + (a_o2 - t2) * "
        "a_o2 * (1 - a_o2) * w7) * a_h1 * (1 - a_h1) * i1, the two paths through both outputs "
        "added up"],
    "∂E/∂w6": ["∂E1/∂w6"],
    "∂E/∂w7": ["∂E2/∂w7"],
    None: [
        "", "step", "Iteration", "∂E/∂a_h1", "∂E1/∂a_o1", "learning rate", "o1 + o2", "w9",
        f"w1: {'which is a weight ' * 20}"],
}  # fmt: skip


@pytest.mark.parametrize(
    ("column", "header"),
    [(column, header) for column, headers in SPELLINGS.items() for header in headers],
)
def test_a_column_is_known_by_its_usual_names(column, header):
    assert column_of(header) == column


# --- All together -------------------------------------------------------------------------

HEADERS = {column: [column, *SPELLINGS.get(column, [column.upper()])] for column in COLUMNS}
numbers = st.floats(0.05, 2) | st.floats(-2, -0.05)
problems = st.builds(
    Problem, *(st.tuples(*[numbers] * many) for many in (2, 2, 8))
)  # inputs, targets, weights
manners = {
    "digits": st.sampled_from([None, 6, 10]),
    "gap": st.integers(0, 3),
    "order": st.sampled_from([COLUMNS, COLUMNS[::-1], COLUMNS[9:] + COLUMNS[:9]]),
    "headers": st.fixed_dictionaries(
        {column: st.sampled_from(HEADERS[column]) for column in COLUMNS}
    ),
}


@given(problems, st.floats(0.05, 3), st.booleans(), st.fixed_dictionaries(manners))
@settings(SETTINGS, max_examples=30)
def test_no_false_alarm_in_a_right_sheet(make_book, problem, eta, with_label, manner):
    manner = Manner(problem, eta, rate="$D$1" if with_label else repr(eta), **manner)
    report = findings(make_book(manner))
    assert differences(report, Found()) == {}
    assert report.tables[0].rate_cell == ("D1" if with_label else "")
