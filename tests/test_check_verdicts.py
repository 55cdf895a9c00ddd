"""What `check` may call right, and what not: incomplete sheets, weights that climb, odd tables."""

import numpy as np
import openpyxl
import pytest

from backprop.network import COLUMNS, GRADIENTS, WEIGHTS, Problem
from tests.findings import Found, differences, findings, told
from tests.learners_sheets import (
    COMMONEST,
    FORMULAS,
    STEPS,
    Manner,
    only,
    put_in,
    renumbered,
    write_sheet,
)

NAMELESS = dict.fromkeys(COLUMNS, "")
ONCE = {"t1": "$K$3", "t2": "$L$3", "i1": "$N$3", "i2": "$O$3"}
ABOVE = {"at": "D17", "once": ONCE, "rate": "$R$2", "label": "LR"}
GIVEN = {"K2:O2": ["t1", "t2", None, "i1", "i2"], "K3:O3": [0.5, 0.5, None, 0.05, 0.1]}
IN_FIRST_ROW = {"t1": "$B$5", "t2": "$C$5", "i1": "$D$5", "i2": "$E$5"}
COMPARISON = ["Learning rate", "E after 10 steps", 0.1, 0.0134]
NINES, ERROR = ("=90+9", 99), ("=1/0", "#DIV/0!")
ERRORS = ("E_TOT_0.1", "E_TOT_0.2", "E_TOT_0.5")
OTHER_GRADIENT = {"w1": "{w1}-{eta}*{dw2}"}
COMMONLY_WRONG = Manner(texts=COMMONEST, steps=3)
SMALL = (0.01,) * 4 + (0.4,) * 4
LARGER = Problem((1.0, 2.0), (0.1, 0.9), (0.9, -1.1, 1.2, 0.7, -0.8, 1.3, 1.1, -0.9))
# Typed with few decimals, these problems' numbers look like those of another learning rate.
UNLABELLED = (
    (2, None, (1.0, 1.0), (1.3, 1.3, -0.8, 0.8, 1.3, 1.1, -0.9, 1.3)),
    (3, [(0.5, "")], (-1.0, 3.0), (1.2, -1.1, -1.2, -1.0, 1.4, 1.0, 1.2, -1.0)),
    (3, [(0.5, "")], (1.0, 1.0), (-1.3, -1.4, 0.8, 1.4, 1.4, -0.9, 1.3, 0.9)),
    (3, [(0.5, "")], (2.0, 2.0), (-0.8, -1.0, 1.3, 1.1, 0.9, -1.2, -0.7, 1.2)),
)


def long(name):
    """Give what computes a column from inputs, targets and weights."""
    return f"({put_in(FORMULAS[name], long)})" if name in FORMULAS else f"{{{name}}}"


def rewritten(name_of, **texts):
    """Give all formulas with something put in for the names."""
    return {name: put_in(text, name_of) for name, text in (FORMULAS | texts).items()}


def moved(update, slip):
    """Update all weights in one way; W stands for each."""
    texts = {weight: update.replace("W", weight) for weight in WEIGHTS}
    found = Found(wrong=dict.fromkeys(WEIGHTS, STEPS), slips=[(slip, "", "")] * 8)
    return Manner(label=None, texts=texts), found


def given(column, typed, *slip):
    return Manner(steps=0, typed=typed), Found(wrong={(column, 1)}, slips={slip})


def lacking(cells, *missing, **manner):
    return Manner(typed=dict.fromkeys(cells.split()), **manner), Found(missing=missing)


def gap(first, last, *manners):
    return manners, Found(gaps=[("Mine", first, last)])


def rounded(column, digits, *facts, **manner):
    texts = {column: f"ROUND({FORMULAS[column]},{digits})"}
    return Manner(texts=texts, **manner), Found(wrong={}, missing=facts or None)


RIGHT = {
    "large inputs": Manner(Problem((50.0, 100.0), weights=SMALL)),
    "typed, an input of 0": Manner(Problem((0.0, 1.0)), decimals=12),
    "a comparison above": Manner(at="B5", rate="0.5", typed={"B1:C2": COMPARISON}),
    "changes of weights": Manner(
        order=(*COLUMNS, *(f"Δ{weight}" for weight in WEIGHTS)),
        extras={f"Δ{weight}": f"-$D$1*{{d{weight}}}" for weight in WEIGHTS}),
    "inputs once above": Manner(**ABOVE, typed=GIVEN),
    "inputs once above, twice": Manner(**ABOVE, typed=GIVEN | {"K4:O4": 7}),
    "inputs once in the first row": Manner(
        texts=rewritten(lambda name: IN_FIRST_ROW.get(name, f"{{{name}}}")), steps=1500,
        typed={"B6:E1505": None}),
    "inputs on another sheet": {
        "Mine": Manner(once={name: f"In!$B${row}" for row, name in enumerate(ONCE, start=1)}),
        "In": only({"A1:A4": [*ONCE], "B1:B4": [0.5, 0.5, 0.05, 0.1]})},
}  # fmt: skip
CASES = {name: (sheets, Found()) for name, sheets in RIGHT.items()} | {
    # --- Said to be right -----------------------------------------------------------------
    "weights that climb": moved("{W}+0.5*{dW}", "climbs"),
    "weights that move by nothing": moved("{W}+0*{dW}", "still"),
    "weights that stay": moved("{W}", "still"),
    "weights that move at different rates": (
        Manner(label=None, texts={
            weight: f"{{{weight}}}-{rate}*{{d{weight}}}"
            for weight, rate in zip(WEIGHTS, (0.5, 0.1) * 4, strict=True)}),
        Found(wrong=dict.fromkeys(("w2", "w4", "w6", "w8"), STEPS))),
    "a dragged series of inputs": (Manner(typed={"D6:D17": [step + 0.05 for step in range(1, 13)]}),
        Found(wrong={"i1": STEPS}, slips=[("changed", "", "")])),
    "inputs that a formula changes": (
        Manner(typed={"D9": ("=D8+1", 1.05)}), Found(remarks={("i1", "D9")})),
    "a target with a comma": given("t1", {"B5": "0,01"}, "comma", "'0,01'", ""),
    "an input that is an error": given("i2", {"E5": ERROR}, "no number", "'#DIV/0!'", ""),
    "a weight that is missing": given("w1", {"F5": None}, "empty", "", ""),
    "short typed numbers for w1": (Manner(typed={"F8:F17": 0.15}), Found(missing=("w1",))),
    "short typed numbers for E2": (Manner(typed={"W8:W17": 0.01}), Found(missing=("E2",))),
    "short typed numbers for h1": (Manner(typed={"J8:J17": 0.03}), Found(missing=("h1",))),
    "the last row lacks w3": lacking("H17", "w3"),
    "the last row lacks the weights": lacking("F17:I17 N17:Q17", *WEIGHTS),
    "the last row lacks ∂E/∂w3": lacking("AA17", "∂E/∂w3"),
    "columns end with o2": lacking("", *GRADIENTS, order=COLUMNS[:19], steps=0),
    "gradients without names": lacking(
        "", *GRADIENTS, headers={name: f"G{name[-1]}" for name in GRADIENTS}),
    "a single column that can be judged": (
        Manner(order=(*COLUMNS[:8], *WEIGHTS[4:], "E1", "step"), extras={"step": 1},
            texts={"E1": long("E1")}, steps=0, at="A1", label=None),
        Found(missing=("E_total", *GRADIENTS), remarks=[])),
    "a row of weights alone": gap(18, 18, Manner(typed={"F18:I18": 99, "N18": 99})),
    "rows far below": gap(21, 33, Manner(steps=3), Manner(at="B20", headers=NAMELESS)),
    "formulas beside, without headers": gap(5, 17, Manner(), Manner(at="AO4", headers=NAMELESS)),
    "formulas below, with other headers": gap(
        42, 54, Manner(), Manner(at="AH41", headers=dict.fromkeys(COLUMNS, "column"))),
    "a few weights below": gap(18, 18, Manner(typed={"F18:G18": NINES})),
    "a few of all columns below": gap(
        20, 20, Manner(typed=dict.fromkeys(("J20", "L20", "R20", "T20", "V20"), NINES))),
    "rows apart where something is wrong": (
        [COMMONLY_WRONG, Manner(at="B20", headers=NAMELESS)],
        Found(wrong=dict.fromkeys(COMMONEST, 4), gaps=[("Mine", 21, 33)])),
    "formulas never calculated beside a table": (
        {"Mine": Manner(), "Fresh": only({"A4:AE4": [*COLUMNS], "A6:AE7": ("=1+1", "")})},
        Found(gaps=[("Fresh", 6, 7)])),
    "a rounding that leaves few digits": rounded("∂E/∂w1", 4, "∂E/∂w1"),
    "a rounding that leaves digits enough": rounded("∂E/∂w7", 4),
    "a rounding that leaves few in the last row": rounded("∂E/∂w5", 4, "∂E/∂w5", eta=2.0),
    "a rounding that leaves few in large numbers": rounded(
        "∂E/∂w1", 4, "∂E/∂w1", problem=LARGER, steps=60),
    "a rounding that fails": (
        Manner(typed={"K5:K17": ('=ROUND(1/(1+EXP(-J5)),"x")', "#VALUE!")}),
        Found(wrong={"a_h1": 13}, remarks=[("a_h1",)])),
    "a rounding to −400 decimals": (
        Manner(steps=1, texts={"h1": f"ROUND({FORMULAS['h1']},-400)"}),
        Found(verdict=("incomplete", "wrong"))),
    "a wrong formula that rounds": (
        Manner(steps=1, typed={"V5:V6": ("=ROUND((S5-B5)^0.5/2,6)", 0.124318)}),
        Found(wrong={"E1": 2})),
    "decimals that are cut off": (
        Manner(typed={"K5:K17": ("=INT(100/(1+EXP(-J5)))/100", 0.5)}),
        Found(missing=("a_h1",), remarks=[("a_h1",)])),
    # --- Accused though they were right ---------------------------------------------------
    "typed, a weight that moves at another rate": (
        Manner(LARGER, steps=30, decimals=3, label=None, texts={"w8": "{w8}-0.45*{dw8}"}),
        Found(wrong={("w8", 23)}, rates=[(0.5, "")])),
    "typed, a slip and a bias that is not used": (
        Manner(decimals=9, order=(*COLUMNS, "x"), extras={"x": 0}, headers={"x": "Bias"},
            texts={"o1": "{w5}*{a_h1}+{w6}*{a_h1}"}),
        Found(wrong={"o1": 13})),
    "typed, exchanged columns and a third error far away": (
        Manner(decimals=9, order=(*COLUMNS, "", "E 1", "E 2", "E 3"),
            extras={"E 1": 0.1, "E 2": 0.2, "E 3": 0.3},
            texts={"h1": FORMULAS["h2"], "h2": FORMULAS["h1"]}),
        Found(wrong={"h1": 13, "h2": 13})),
    "typed, five weights that stay": (
        Manner(Problem(weights=tuple(0.1512345678 + 0.05 * index for index in range(8))), steps=4,
            decimals=10, label=None, texts={weight: f"{{{weight}}}" for weight in WEIGHTS[:5]}),
        Found(wrong=dict.fromkeys(WEIGHTS[:5], 4))),
    "a slip and a column that is not used": (
        Manner(order=(*COLUMNS, "x"), extras={"x": 7}, headers={"x": "i3"},
            texts={"o1": "{w5}*{a_h1}+{w6}*{a_h1}"}),
        Found(wrong={"o1": 13})),
    "numbered otherwise, but for one": (
        Manner(texts=renumbered(("w2", "w3")) | {"h1": FORMULAS["h1"]}),
        Found(wrong={("h2", 13)}, remarks=[("fewer", "w2", "w3")])),
    **{f"typed, {count} decimals": (
            Manner(decimals=count), Found(wrong={}, missing=("∂E/∂w1",), remarks=[()]))
        for count in (2, 3, 4)},
    **{f"typed, {decimals} decimals, without a label, w1 = {weights[0]}": (
            Manner(Problem(inputs, (0.1, 0.9), weights), decimals=decimals, label=None),
            Found(wrong={}, rates=rates, verdict="right or incomplete"))
        for decimals, rates, inputs, weights in UNLABELLED},
    **{f"typed, {count} decimals, without a label, w1 spoilt": (
            Manner(LARGER, decimals=count, label=None, typed={"F9": 0.7}),
            Found(wrong={("w1", 2)}, rates=[(0.5, "")]))
        for count in (4, 5)},
    "a table on another sheet hides no label": (
        {"First": Manner(eta=0.1, rate="0.1", steps=3, typed={"C1:D1": ["Learning Rate", 0.1]}),
         "Second": Manner(at="A21", rate="$B$2", label="η", decimals=9)},
        Found(tables=(2,), rates=[(0.1, "D1"), (0.5, "B2")])),
    "a comparison between two tables": (
        [Manner(at="A2", rate="$B$1"),
         Manner(at="A22", rate="$B$1", typed={"A18:B19": COMPARISON})], Found(tables=(2,))),
    "a label that the formulas do not use": (
        Manner(rate="$F$2", label=None, typed={"A1:B1": ["η", 0.1], "F2": 0.5}),
        Found(remarks=[(0.5, 0.1, "B1")])),
    "a column beside a misspelt one": (
        Manner(order=(*COLUMNS[:12], "twice", *COLUMNS[12:]), extras={"twice": "{w5}*2"},
            texts={"∂E/∂w1": FORMULAS["∂E/∂w1"].replace("{w5}", "{twice}/2")},
            headers={"w5": "wight", "twice": ""}),
        Found(verdict="right or incomplete")),
    "errors of several rates": (
        Manner(order=(*COLUMNS[:-1], *ERRORS), extras=dict.fromkeys(ERRORS, "0.2"),
            texts={"w8": f"{{w8}}-{{eta}}*{FORMULAS['∂E/∂w8']}"}), Found(missing=("∂E/∂w8",))),
    # --- Decimal commas -------------------------------------------------------------------
    "all commas": (Manner(decimals=8, commas=True), Found(reason=("commas", "0,5"))),
    "all commas, beside a table": ({"Good": Manner(), "Mine": Manner(decimals=8, commas=True)},
        Found(missing=("commas",), tables=(1, 2))),
    "commas but in whole numbers": (
        Manner(Problem((1.0, 2.0), (0.0, 1.0)), decimals=8, commas=True),
        Found(reason=("commas",))),
    "commas in what is computed": (Manner(decimals=8, typed={"J5:M17": "0,5", "R5:AF17": "0,5"}),
        Found(reason=("commas", "0,5"))),
    "commas below the first row": (
        Manner(decimals=8, typed={"B6:AF17": "0,5"}), Found(missing=("commas",))),
    "commas in what is given": (
        Manner(commas=True), Found(slips={("comma", "'0,5'", "")}, remarks=[])),
    # --- Told by halves, or not at all ----------------------------------------------------
    "inputs once above, and a slip": (
        Manner(**ABOVE, typed=GIVEN, texts={"h1": "{w1}*{i2}+{w2}*{i2}"}),
        Found(slips=[("replaced", "i2", "i1")], likely=[("O3", "N3")])),
    "an array formula that spills": (
        Manner(steps=5, typed={"K5:K10": ("{=1/(1+EXP(-J5:J10))}", 0.50687457), "K6:K10": 0.5}),
        Found(remarks=[])),
    "an array formula that spills, wrong": (
        Manner(steps=5, typed={"K5:K10": ("{=1/(1+EXP(J5:J10))}", 0.50687457), "K6:K10": 0.5}),
        Found(wrong={"a_h1": 6}, remarks=[])),
    "two mistakes of one column": (
        Manner(typed={"V8:V9": ("=0.5*(C8-S8)^2", 0.1), "V11:V13": ("=(B11-S11)^2", 0.1)}),
        Found(cells=[("V8", "V9"), ("V11", "V12", "V13")], likely=[("C8", "B8")],
            wrong={"E1": 5}, slips=[("replaced", "t2", "t1"), ("missing factor", "", "0.5")])),
    "a slip in nothing but gradients": (
        Manner(order=(*COLUMNS[:8], *WEIGHTS[4:], "E_total", *GRADIENTS), steps=2,
            texts=rewritten(long) | {"∂E/∂w1": long("∂E/∂w1") + "*2"}),
        Found(wrong={"∂E/∂w1": 3}, likely=[(2,)])),
    "numbers stored as text": (Manner(typed={"E5:E17": "0.1"}), Found(remarks=[("i2", "E5")])),
    "a sheet with an apostrophe": (
        {"Mine": Manner(texts=OTHER_GRADIENT, rate="'Ann''s'!$B$1"),
         "Ann's": only({"A1:B1": ["η", 0.5]})},
        Found(wrong={"w1": STEPS}, right=["=F5-'Ann''s'!$B$1*Y5"])),
    "a rate of many digits": (Manner(eta=0.1234567, rate="0.1234567", texts=OTHER_GRADIENT),
        Found(wrong={"w1": STEPS}, right=["=F5-0.1234567*Y5"])),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_sheet(case, make_book):
    sheets, found = CASES[case]
    assert differences(findings(make_book(sheets)), found) == {}


def test_numbers_in_single_precision_are_right(make_book):
    path = make_book(Manner(decimals=17))
    workbook = openpyxl.load_workbook(path)
    for row in workbook.active.iter_rows(min_row=5, min_col=6, max_col=32):
        for cell in row:
            cell.value = float(np.float32(cell.value))
    workbook.save(path)
    starts = tuple(zip(WEIGHTS, Problem().weights, strict=True))
    assert differences(findings(path, given=starts), Found()) == {}


@pytest.mark.parametrize(("e2", "slips"), [("t2", []), ("t1", [("replaced", "t1", "t2")])])
def test_structured_references_are_followed(e2, slips, make_book):
    texts = rewritten(lambda name: f"Table1[[#This Row],[{name}]]", E2=f"0.5*({{{e2}}}-{{a_o2}})^2")

    def fill(sheet):
        write_sheet(sheet, Manner(texts=texts))
        columns = [{"header": name} for name in COLUMNS]
        sheet.add_table(3, 1, 4 + STEPS, 31, {"name": "Table1", "columns": columns})

    assert differences(findings(make_book(fill)), Found(slips=slips, remarks=[])) == {}


def test_different_mistakes_of_two_sheets_are_not_the_same(make_book):
    texts = ["0.5*({t2}-{a_o1})^2"] * 2 + ["({t1}-{a_o1})^2*{t1}^3*7", "({t1}-{a_o1})^2*9"]
    sheets = {f"Sheet {index}": Manner(texts={"E1": text}) for index, text in enumerate(texts)}
    first, second, *rest = (table.wrong[0].mistake for table in findings(make_book(sheets)).tables)
    assert first == second
    assert len({first, *rest}) == 3


@pytest.mark.parametrize(
    ("options", "code", "column", "facts"),
    [
        (("--inputs", 0.05, 0.1, "--targets", 0.5, 0.5, "--steps", STEPS), 0, "likely", ()),
        (("--targets", 0.01, 0.99), 1, "likely", ("t1", "B5", 0.5, 0.01, "t2", "C5", 0.99)),
        (("--weights", *Problem().weights[:7], "-1e-3"), 1, "likely", ("w8", "Q5", "-0.001")),
        (("--steps", STEPS + 1), 2, "not_judged", (STEPS, STEPS + 1)),
    ],
)
def test_numbers_and_steps_that_are_asked_for(options, code, column, facts, make_book, check_csv):
    found, (row,) = check_csv(make_book(Manner()), *options)
    assert found == code
    assert told([row[column]], *facts)
