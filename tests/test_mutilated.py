"""Workbooks as a broken download or a stranger may leave them: mutilated at random, always alike.

`MUTILATED=200 pytest tests/test_mutilated.py` tries 200 of each kind.
"""

import io
import os
import random
import re
import signal
import warnings
import zipfile

import pytest

from backprop.__main__ import main
from backprop.check.findings import FAILED
from backprop.network import COLUMNS
from tests.learners_sheets import Manner, write_book

COUNT = int(os.environ.get("MUTILATED", "4"))
SECONDS, MEMORY = 10, 2**30  # that a workbook may take
SHEET = "xl/worksheets/sheet1.xml"
VALUES = (
    "text", "", "1e999", "-0", "nan", "inf", "1" * 400, "TRUE", "#DIV/0!", "2026-11-22",
    "99999999999", "\ud7ff", "&amp;", "=1+1",
)  # fmt: skip
FORMULAS = (
    "[1]Other!A1", "'file:///etc/passwd'#$A.A1", "A1:XFD1048576", "((((", '"', "1/0", "{", "#REF!",
    "HYPERLINK(A1)", "A" * 9000, "SUM(" * 900, "", "J5", "$K$6+$J$5", "A1+" * 300_000 + "A1",
    "(" * 1000 + "F5" + ")" * 1000, "EXP(" * 1000 + "F5" + ")" * 1000, "9^9^9^9^9^9*F5",
    'REPT("a",1E9)', "1E308*10^F5", "IF(F5,B5:AF17,1)", "F5:G6*D5:E6", "ROUND(F5,-F5)", "F5%^-.5",
)  # fmt: skip
ODD_HEADERS = (
    "T1", "target 2", "i1", "i2", "W1", "w_2", "w₃", "weight 4", "h1 = w1*i1 + w2*i2", "out_h1",
    "net_h2", "act_h2", "w5", "W6", "w7", "w8", "o1", "a_O1", "o2", "a_02", "Error1", "E2",
    "E = E1+E2", "dw1", "E∂w2", "Edw3", "Edw3", "dE_total / dw5", "δE_tot/δw6", "slope 7", "ӘE/Әw8",
)  # fmt: skip
KINDS = ("n", "str", "s", "b", "e", "d", "inlineStr", "x")
# By kind, what is replaced in the XML of a sheet, at some places, and what comes instead.
XML = {
    "values": (r"(?<=<v>)[^<]*", VALUES),
    "kinds": (r'(?<=")( t="\w+")?><v>[^<]*',
        [f' t="{kind}"><v>{value}' for kind in KINDS for value in VALUES]),
    "formulas": (r"(?<=<f>)[^<]*", FORMULAS),
    "far cells": (r"(?=</sheetData>)",
        [f'<row r="1048576"><c r="{column}1048576"><v>1</v></c></row>' for column in ("A", "XFD")]),
    "size": (r'(?<=<dimension ref=")[^"]*', ["A1:XFD1048576", "A1", ""]),
    "hidden rows": (r"(?<=<row )", ['hidden="1" ']),
    "merged cells": (r"(?<=</sheetData>)",
        [f'<mergeCells><mergeCell ref="B{line}:Z{line + 3}"/></mergeCells>' for line in (1, 5, 9)]),
}  # fmt: skip


def packed(parts):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as package, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a name that stands twice
        for name, content in parts:
            package.writestr(name, content)
    return file.getvalue()


def flipped(content, chance):
    changed = bytearray(content)
    for _ in range(chance.choice((1, 2, 5, 20))):
        changed[chance.randrange(len(changed))] = chance.randrange(256)
    return bytes(changed)


def shortened(content, chance):
    return content[: chance.randrange(len(content))]


def replaced(sheet, pattern, others, chance):
    places = list(re.finditer(pattern, sheet))
    some = sorted(chance.sample(range(len(places)), min(len(places), chance.choice((1, 3, 30)))))
    for place in (places[index] for index in reversed(some)):
        sheet = sheet[: place.start()] + chance.choice(others) + sheet[place.end() :]
    return sheet


WHOLE = {"flipped": flipped, "shortened": shortened}
PARTS = ("part flipped", "part removed", "part doubled")


def mutilated(workbook, kind, chance):
    if kind in WHOLE:
        return WHOLE[kind](workbook, chance)
    with zipfile.ZipFile(io.BytesIO(workbook)) as package:
        parts = [(name, package.read(name)) for name in package.namelist()]
    names = [name for name, _ in parts]
    place = names.index(SHEET) if kind in XML else chance.randrange(len(parts))
    name, content = parts[place]
    if kind == "part doubled":
        parts.append(parts[place])
    elif kind == "part removed":
        del parts[place]
    elif kind == "part flipped":
        parts[place] = name, flipped(content, chance)
    else:
        text = replaced(content.decode(), *XML[kind], chance)
        parts[place] = name, text.encode(errors="surrogatepass")
    return packed(parts)


@pytest.fixture(scope="module")
def workbooks(tmp_path_factory):
    """Four: with formulas, with typed numbers, with odd headers, with few decimals."""
    path = tmp_path_factory.mktemp("whole") / "sheet.xlsx"
    odd = Manner(headers=dict(zip(COLUMNS, ODD_HEADERS, strict=True)), digits=10)
    manners = (Manner(), Manner(digits=10), odd, Manner(decimals=6))
    return [write_book(path, manner).read_bytes() for manner in manners]


@pytest.mark.parametrize("kind", [*WHOLE, *PARTS, *XML])
def test_a_mutilated_workbook_ends_in_an_exit_code(kind, workbooks, tmp_path, capsys):
    resource = pytest.importorskip("resource", reason="measures memory as Unix does")
    for seed in range(COUNT):
        chance = random.Random(seed)
        path = tmp_path / f"{seed}.xlsx"
        path.write_bytes(mutilated(workbooks[seed % len(workbooks)], kind, chance))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        signal.alarm(SECONDS)
        code = main(["check", str(path)])
        signal.alarm(0)
        assert code in (0, 1, 2)
        assert FAILED not in "".join(capsys.readouterr())
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MEMORY / 1024
        path.unlink()
