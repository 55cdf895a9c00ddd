"""`check` at its limits, and one step past them; those of saved numbers are in the other tests."""

import zipfile

import pytest

from backprop.network import COLUMNS, WEIGHTS
from tests.findings import Found, differences, findings
from tests.learners_sheets import FORMULAS, Manner, only, renumbered, without

H1, E1 = FORMULAS["h1"], FORMULAS["E1"]


def h1(text, *why):
    """A formula of h1, and why it is judged by its value, if it is."""
    return Manner(texts={"h1": text}, steps=1), Found(remarks=[("h1", *why)] if why else [])


def rates(count):
    """So many weights that move at another rate than the label's."""
    return Manner(texts={weight: f"{{{weight}}}-0.8*{{d{weight}}}" for weight in WEIGHTS[:count]})


def labelled_once(cell, label):
    """An input that stands once, and its label."""
    once = {"i1": f"${cell[:2]}${cell[2:]}"}
    return Manner(
        once=once, order=without("i1"), typed={cell: 0.05, label: "i1"}, at="B24", steps=1
    )


def headed(name, text):
    return Manner(headers={name: text}, decimals=9)


FORWARD = COLUMNS[: COLUMNS.index("E_total") + 1]
OTHERWISE = renumbered(("w6", "w7"))
# What is at the limit, and what is past it.
CASES = {
    "48 brackets": h1("(" * 48 + H1 + ")" * 48),
    "49 brackets": h1("(" * 49 + H1 + ")" * 49, "nested"),
    "97 additions": h1(H1 + "+0" * 97),
    "100 additions": h1(H1 + "+0" * 100, "other cells"),
    "a range of 400 cells": h1(f"SUM({H1},$AZ$1:$AZ$400)"),
    "a range of 401 cells": h1(f"SUM({H1},$AZ$1:$AZ$401)", "too many cells"),
    "4,800 cells": h1(f"SUM({H1}{',$AZ$1:$AZ$400' * 12})"),
    "5,200 cells": h1(f"SUM({H1}{',$AZ$1:$AZ$400' * 13})", "other cells"),
    "8,100 characters": h1(H1 + " " * 8_080),
    "8,200 characters": h1(H1 + " " * 8_200, "too long"),
    "off by 0.005 %": (Manner(texts={"E1": f"{E1}*1.00005"}, steps=1), Found()),
    "off by 0.02 %": (Manner(texts={"E1": f"{E1}*1.0002"}, steps=1), Found(wrong={"E1": 2})),
    "12 columns": (Manner(order=COLUMNS[:12], steps=0), Found(missing=("E_total",))),
    "11 columns": (Manner(order=COLUMNS[:11], steps=0), Found(reason=("no table",))),
    "200 tables": (only({"A1:L200": [*COLUMNS[:12]] * 200}), Found(reason=("no numbers",))),
    "201 tables": (only({"A1:L201": [*COLUMNS[:12]] * 201}), Found(reason=("200 tables",))),
    "4 explanations": (Manner(gap=4), Found()),
    "5 explanations": (Manner(gap=5), Found(reason=("no numbers",))),
    "a header of 300 characters": (headed("t1", f"t1 = {'x' * 295}"), Found()),
    "a header of 301 characters": (headed("t1", f"t1 = {'x' * 296}"), Found(missing=("t1",))),
    "a label of 60 characters": (
        Manner(label=f"Learning rate{':' * 47}", decimals=9), Found(rates=[(0.5, "D1")])),
    "a label of 61 characters": (
        Manner(label=f"Learning rate{':' * 48}", decimals=9), Found(rates=[(0.5, "")])),
    "an input labelled 3 to the left": (labelled_once("AP2", "AM2"), Found()),
    "an input labelled 4 to the left": (labelled_once("AP2", "AL2"), Found(verdict="incomplete")),
    "an input labelled 19 above": (labelled_once("AP22", "AP3"), Found()),
    "an input labelled 20 above": (labelled_once("AP22", "AP2"), Found(verdict="incomplete")),
    "four of eight rates": (rates(4), Found(wrong=dict.fromkeys(WEIGHTS[:4], 12))),
    "five of eight rates": (rates(5), Found(wrong=dict.fromkeys(WEIGHTS[5:], 12))),
    "two columns that another numbering explains": (
        Manner(order=FORWARD, texts=OTHERWISE, steps=0), Found(wrong={"o1": 1, "o2": 1})),
    "a number of 1e299": (Manner(typed={"V9": 1e299}), Found(slips=[("typed", "", "")])),
    "a number of 1e301": (
        Manner(typed={"V9": 1e301}), Found(slips=[("no number", "1e+301", "")])),
    "two headers that are none of the names": (
        Manner(order=tuple({"E1": "x", "∂E/∂w4": "y"}.get(name, name) for name in COLUMNS), steps=2,
            extras={"x": 5, "y": 7}, headers={"x": "height", "y": "width"},
            texts={"E_total": f"{E1}+{{E2}}", "w4": f"{{w4}}-{{eta}}*({FORMULAS['∂E/∂w4']})"}),
        Found(missing=("∂E/∂w4",))),
    "1,150 rows that look at 90 cells": (
        Manner(steps=1_150, texts={"h1": f"{H1}+0*$AZ$1"}, typed={"AZ1:AZ90": ("=AZ2", 0)}),
        Found(remarks=[("h1", "other cells")])),
    "80 cells in a chain, four functions deep each": (
        Manner(steps=1, texts={"h1": f"{H1}+0*$AZ$1"},
            typed={"AZ1:AZ80": ("=ROUND(MAX(MIN(ABS(AZ2),2),0.01),6)", 0.01)}),
        Found()),
    "five mistakes of a column": (
        Manner(typed={f"V{row}": (f"={row}*(B{row}-S{row})^2", 0.1) for row in range(6, 11)}),
        Found(cells=[("V6",), ("V7",), ("V8",), ("V9", "V10")], wrong={"E1": 5})),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_sheet_at_a_limit(case, make_book):
    sheet, found = CASES[case]
    assert differences(findings(make_book(sheet)), found) == {}


@pytest.mark.parametrize(("size", "found"), [(39, Found()), (41, Found(reason=("40,000,000",)))])
def test_40_million_bytes_are_unpacked(size, found, make_book):
    path = make_book(Manner())
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as package:
        package.writestr("xl/media/image1.png", bytes(size * 1_000_000))
    assert differences(findings(path), found) == {}
