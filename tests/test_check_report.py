"""The terminal report of `check` in full: only this test holds its wording.

After a change of words: a failing test leaves the new text in its own folder. Read it, and put it
in place of `check_report.txt`.
"""

import re
import zipfile
from functools import partial
from pathlib import Path

from backprop.network import COLUMNS
from tests.sheets import COMMONEST, FORMULAS, PLACES, Manner, blank, labelled, write_table
from tests.test_check import SLIPS


def every_slip(sheet):
    texts = dict(SLIPS.values()) | {"o1": "{o1}", "∂E/∂w6": f"-{FORMULAS['∂E/∂w6']}"}
    texts |= {"w7": "{w7}*1.001", "w2": "{w2}-{eta}*{dw2}", "w5": "{w5}-{eta}*{dw5}"}
    labelled(0.5, texts=texts, steps=2)(sheet)
    sheet.write_number(5, PLACES["i1"], 1.05)
    sheet.write_number(5, PLACES["E1"], 0.25)
    sheet.write_formula(5, PLACES["w2"], "=1/0", None, "#DIV/0!")
    blank(sheet, 5, ["w5"])


def judged_by_value(sheet):
    texts = {
        "h1": 'WEBSERVICE("http://127.0.0.1")*{w1}',
        "a_h1": "ROUND(1/(1+EXP(-{h1})),3)",
        "h2": "Nowhere!A1*{w3}",
        "a_h2": "no_such_name*{h2}",
        "o1": "{w5}*)((",
        "a_o1": "A1:B2+{o1}",
        "o2": "(" * 100 + "{w7}*{a_h1}+{w8}*{a_h2}" + ")" * 100,
        "a_o2": "SUM(A1:XFD1048576)",
        "E1": "0.5*({t1}-{a_o1})^2+0*LN({a_o1}-0.55)",
        "E2": "$ZZ$1",
        "E_total": "0.01418456",
        "∂E/∂w1": FORMULAS["∂E/∂w1"] + "+0" * 5000,
    }
    headers = [{"E1": "", "i2": "i1", "∂E/∂w4": "slope 4"}.get(name, name) for name in COLUMNS]
    write_table(sheet, (3, 1), 0.5, Manner(texts=texts, headers=headers, steps=0, digits=7))
    for line in (1, 2):
        sheet.write_formula(f"ZZ{line}", f"=$ZZ${3 - line}", None, 1)


def typed(sheet):
    write_table(sheet, (3, 1), 0.5, Manner(steps=2, decimals=1))


def without_columns(sheet):
    order = ("t1", "", *COLUMNS[2:-2], "x", "∂E/∂w7", "y", "∂E/∂w8")
    headers, extras = (*COLUMNS[:-1], "∂E/∂w7"), {"x": "1", "y": "1"}
    manner = Manner(headers=headers, order=order, extras=extras, once={"t2": "0.5"}, steps=2)
    labelled(0.5, manner)(sheet)
    blank(sheet, 6, ["w3"])


def more_rows(sheet):
    labelled(0.5, steps=1)(sheet)
    write_table(sheet, (19, 1), 0.5, Manner(headers=[""] * 31, steps=1))
    write_table(sheet, (3, 40), 0.5, Manner(headers=[""] * 31, steps=0))


def far_below(sheet):
    write_table(sheet, (3, 1), 0.5, Manner(gap=7, steps=0))


def never_calculated(sheet):
    sheet.write_row(3, 1, COLUMNS)
    for place in PLACES.values():
        sheet.write_formula(4, place, "=1+1", None, "")


commonly_wrong = partial(labelled, texts=COMMONEST, steps=2)


def number_as_text(sheet):
    commonly_wrong(2.0)(sheet)
    sheet.write_string(4, PLACES["i2"], "0.1")


def other_rate(sheet):
    sheet.write_row(0, 0, ["LR", 0.1])
    write_table(sheet, (3, 1), 0.8, Manner(rate="0.8", steps=2))


WORKBOOKS = {
    "right": {"Mine": labelled(0.5, steps=2)},
    "slips": {"Mine": every_slip},
    "rates": {
        "LR 0.1": commonly_wrong(0.1), "LR 0.5": commonly_wrong(0.5), "LR 2.0": number_as_text,
        "LR 0.8": other_rate,
    },
    "by value": {"Odd": judged_by_value},
    "unfinished": {
        "Typed": typed, "Columns": without_columns, "Rows": more_rows,
        "Far": far_below, "Fresh": never_calculated,
    },
    "fresh": {"Fresh": never_calculated},
    "empty": {"Headers": lambda sheet: sheet.write_row(3, 1, COLUMNS)},
    "notes": {"Notes": lambda sheet: sheet.write_string(0, 0, "w1")},
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
