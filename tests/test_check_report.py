"""The terminal report of `check` in full: only this test holds its wording.

After a change of words: a failing test leaves the new text in its own folder. Read it, and put it
in place of `check_report.txt`.
"""

import re
import zipfile
from pathlib import Path

from backprop.network import COLUMNS
from tests.sheets import COMMONEST, FORMULAS, Manner, only
from tests.slips import SLIPS

NAMELESS = dict.fromkeys(COLUMNS, "")
LEADING_BACK = {"ZZ1": ("=$ZZ$2", 1), "ZZ2": ("=$ZZ$1", 1)}
EVERY_SLIP = dict(SLIPS.values()) | {
    "o1": "{o1}", "∂E/∂w6": f"-{FORMULAS['∂E/∂w6']}", "w7": "{w7}*1.001",
    "w2": "{w2}-{eta}*{dw2}", "w5": "{w5}-{eta}*{dw5}",
}  # fmt: skip
BY_VALUE = {
    "h1": 'WEBSERVICE("http://127.0.0.1")*{w1}', "a_h1": "ROUND(1/(1+EXP(-{h1})),3)",
    "h2": "Nowhere!A1*{w3}", "a_h2": "no_such_name*{h2}", "o1": "{w5}*)((", "a_o1": "A1:B2+{o1}",
    "o2": "(" * 100 + "{w7}*{a_h1}+{w8}*{a_h2}" + ")" * 100, "a_o2": "SUM(A1:XFD1048576)",
    "E1": "0.5*({t1}-{a_o1})^2+0*LN({a_o1}-0.55)", "E2": "$ZZ$1", "E_total": "0.01418456",
    "∂E/∂w1": FORMULAS["∂E/∂w1"] + "+0" * 5000,
}  # fmt: skip
NEVER_CALCULATED = only({"B4:AF4": [*COLUMNS], "B5:AF5": ("=1+1", "")})


COMMONLY_WRONG = {"texts": COMMONEST, "steps": 2}
WORKBOOKS = {
    "right": Manner(steps=2),
    "slips": Manner(texts=EVERY_SLIP, steps=2,
        typed={"D6": 1.05, "V6": 0.25, "G6": ("=1/0", "#DIV/0!"), "N6": None},
    ),
    "rates": {"LR 0.1": Manner(eta=0.1, **COMMONLY_WRONG), "LR 0.5": Manner(**COMMONLY_WRONG),
        "LR 2.0": Manner(eta=2.0, **COMMONLY_WRONG, typed={"E5": "0.1"}),
        "LR 0.8": Manner(eta=0.8, rate="0.8", steps=2, typed={"A1:B1": ["LR", 0.1]})},
    "by value": {
        "Odd": Manner(
            label=None, texts=BY_VALUE, headers={"E1": "", "i2": "i1", "∂E/∂w4": "slope 4"},
            steps=0, digits=7, typed=LEADING_BACK)},
    "unfinished": {"Typed": Manner(label=None, steps=2, decimals=1),
        "Columns": Manner(
            headers={"∂E/∂w8": "∂E/∂w7", "x": "", "y": ""}, extras={"x": "1", "y": "1"},
            order=("t1", "", *COLUMNS[2:-2], "x", "∂E/∂w7", "y", "∂E/∂w8"), once={"t2": "0.5"},
            steps=2, typed={"H7": None}),
        "Rows": [Manner(steps=1), Manner(at="B20", headers=NAMELESS, steps=1),
            Manner(at="AO4", headers=NAMELESS, steps=0)],
        "Far": Manner(label=None, gap=7, steps=0),
        "Fresh": NEVER_CALCULATED},
    "fresh": {"Fresh": NEVER_CALCULATED},
    "empty": {"Headers": only({"B4:AF4": [*COLUMNS]})},
    "notes": {"Notes": only({"A1": "w1"})},
}  # fmt: skip
COMMANDS = (
    "class", "class/right.xlsx --mark marked", "class/right.xlsx --steps 60",
    "class/right.xlsx --targets 0.01 0.99 --steps 60", "class/eve.ods",
    "class --csv class/right.xlsx", "class/right.xlsx --mark class", "none",
)  # fmt: skip


def test_the_report(make_book, check, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in ("class", "none"):
        Path(folder).mkdir()
    for name, sheets in WORKBOOKS.items():
        make_book(sheets, f"class/{name}.xlsx")
    for name, part in (("eve.ods", "META-INF/manifest.xml"), ("eve.xlsb", "xl/workbook.bin")):
        with zipfile.ZipFile(f"class/{name}", "w") as package:
            package.writestr(part, "")
    Path("class/eve.xlsx").write_text("no workbook")
    Path("class/eve.xls").write_bytes(bytes.fromhex("d0cf11e0a1b11ae1"))
    shown = ""
    for command in COMMANDS:
        code, report, error = check(*command.split())
        shown += f"$ check {command}\n{report}{error}exit code {code}\n\n"
    # The last digits of an exponential are not the same on every machine.
    shown = re.sub(r"\d\.\d{11,}", lambda it: f"{float(it[0]):.10g}", shown)
    (tmp_path / "check_report.txt").write_text(shown, encoding="utf-8")
    assert shown == Path(__file__).with_name("check_report.txt").read_text(encoding="utf-8")
