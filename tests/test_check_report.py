"""The terminal report of `check`: what no table of findings and no example of the README shows."""

import pytest

from backprop.network import COLUMNS
from tests.findings import told
from tests.learners_sheets import COMMONEST, Manner

WRONG = {"texts": COMMONEST, "steps": 2}
UNKNOWN = Manner(label=None, steps=2, decimals=1)
# By sheets and options, facts that one line of the report names.
REPORTS = {
    "the same mistake in several tables": (
        {"LR 0.5": Manner(**WRONG), "LR 2.0": Manner(eta=2.0, **WRONG, typed={"E5": "0.1"}),
         "LR 0.8": Manner(eta=0.8, steps=2)},
        "", ("the same in 1 more table: LR 2.0 (row 5)",), ("LR 2.0", "i2 (E5)", "text"),
        ("Wrong: ∂E/∂w3 and ∂E/∂w4 in 2 of 3 tables; the other columns are right",),
        ("all 73 cells are right",)),
    "a rate of the formulas alone": (
        Manner(rate="0.8", eta=0.8, steps=2, typed={"A1:B1": ["LR", 0.1]}),
        "", ("η = 0.8, inferred",), ("0.8, not 0.1 (B1)",)),
    "a rate that few digits allow": (
        Manner(label=None, decimals=3), "", ("η = 0.5, inferred", "any from 0.484 to 0.519")),
    "no rate": (UNKNOWN, "", ("η unknown",), ("incomplete: w1, w2", "learning rate is unknown"),
        ("Incomplete: nothing judged is wrong, but", "and 2 more reasons")),
    "a single row": (Manner(label=None, steps=0), "", ("1 row, η not needed",)),
    "other numbers, and few steps": (
        Manner(steps=2), "--targets 0.01 0.5 --steps 60", ("t1 (B5) = 0.5 instead of 0.01",),
        ("the table stops after 2 of 60 steps",), ("Wrong: the starting numbers in 1 table",)),
    "rows that were not judged": (
        [Manner(steps=1), Manner(at="B20", headers=dict.fromkeys(COLUMNS, ""), steps=1)],
        "", ("Not judged: rows 21 to 22 of sheet Mine",)),
}  # fmt: skip


@pytest.mark.parametrize("case", REPORTS)
def test_a_report_says(case, make_book, check):
    sheets, options, *lines = REPORTS[case]
    _, report, _ = check(make_book(sheets), *options.split())
    assert [facts for facts in lines if not told(report.splitlines(), *facts)] == []
