"""Files as a broken download or a stranger may leave them: mutilated at random, always alike.

`MUTILATED=200 pytest tests/test_mutilated.py` tries 200 of each kind.
"""

import io
import os
import random
import signal
import warnings
import zipfile

import pytest
import xlsxwriter

from backprop.__main__ import main
from backprop.check.findings import FAILED
from backprop.network import COLUMNS
from mnist import dataset
from tests.digits import md5_sums, write_digits
from tests.sheets import labelled

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


# --- One part of a workbook: changes of the list of its parts ------------------------------


def part_flipped(parts, chance):
    place = chance.randrange(len(parts))
    parts[place] = parts[place][0], flipped(parts[place][1], chance)


def part_removed(parts, chance):
    del parts[chance.randrange(len(parts))]


def part_doubled(parts, chance):
    parts.append(chance.choice(parts))


# --- The XML of the sheet ------------------------------------------------------------------


def values_replaced(sheet, chance):
    for _ in range(chance.choice((1, 3, 30))):
        cells = sheet.split("<v>")
        place = chance.randrange(1, len(cells))
        cells[place] = chance.choice(VALUES) + "</v>" + cells[place].split("</v>", 1)[1]
        if chance.random() < 0.5:
            opening = cells[place - 1].rsplit("<c ", 1)
            cells[place - 1] = f'<c t="{chance.choice(KINDS)}" '.join(opening)
        sheet = "<v>".join(cells)
    return sheet


def formulas_replaced(sheet, chance):
    for _ in range(chance.choice((1, 1, 20))):
        formulas = sheet.split("<f>")
        if len(formulas) > 1:  # not all numbers are typed
            place = chance.randrange(1, len(formulas))
            formulas[place] = chance.choice(FORMULAS) + "</f>" + formulas[place].split("</f>", 1)[1]
            sheet = "<f>".join(formulas)
    return sheet


def far_cell(sheet, chance):
    sheet = sheet.replace('<dimension ref="', '<dimension ref="A1:XFD1048576" x="', 1)
    cell = f'<c r="{chance.choice(("A", "XFD"))}1048576"><v>1</v></c>'
    return sheet.replace("</sheetData>", f'<row r="1048576">{cell}</row></sheetData>')


def hidden_and_merged(sheet, chance):
    line = chance.randrange(1, 20)
    merged = f'<mergeCells count="1"><mergeCell ref="B{line}:Z{line + 3}"/></mergeCells>'
    sheet = sheet.replace("</sheetData>", f"</sheetData>{merged}")
    return sheet.replace("<row ", '<row hidden="1" ', chance.randrange(20))


def entities(sheet, chance):
    """Ten of ten of ten, and one that names a file."""
    powers = (f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">' for i in range(1, chance.randrange(2, 10)))
    secret = '<!ENTITY a0 "aaaaaaaaaa"><!ENTITY secret SYSTEM "file:///etc/passwd">'
    head, body = sheet.split("?>", 1)
    body = body.replace("<v>", f"<v>&{chance.choice(('a1', 'secret'))};", 1)
    return f"{head}?><!DOCTYPE x [{''.join(powers)}{secret}]>{body}"


WHOLE = (flipped, shortened)
PARTS = (part_flipped, part_removed, part_doubled)
XML = (values_replaced, formulas_replaced, far_cell, hidden_and_merged, entities)


def mutilated(workbook, mutation, chance):
    if mutation in WHOLE:
        return mutation(workbook, chance)
    with zipfile.ZipFile(io.BytesIO(workbook)) as package:
        parts = [(name, package.read(name)) for name in package.namelist()]
    if mutation in PARTS:
        mutation(parts, chance)
    else:
        place = [name for name, _ in parts].index(SHEET)
        text = mutation(parts[place][1].decode(), chance)
        parts[place] = SHEET, text.encode(errors="surrogatepass")
    return packed(parts)


@pytest.fixture(scope="module")
def workbooks():
    """Four: with formulas, with typed numbers, with odd headers, with few decimals."""
    made = []
    odd = {"headers": dict(zip(COLUMNS, ODD_HEADERS, strict=True)), "digits": 10}
    for manner in ({}, {"digits": 10}, odd, {"decimals": 6}):
        file = io.BytesIO()
        with xlsxwriter.Workbook(file, {"in_memory": True}) as workbook:
            labelled(0.5, **manner)(workbook.add_worksheet("Mine"))
        made.append(file.getvalue())
    return made


@pytest.mark.parametrize("mutation", WHOLE + PARTS + XML, ids=lambda it: it.__name__)
def test_a_mutilated_workbook_ends_in_an_exit_code(mutation, workbooks, tmp_path, capsys):
    resource = pytest.importorskip("resource", reason="measures memory as Unix does")
    for seed in range(COUNT):
        chance = random.Random(seed)
        path = tmp_path / f"{seed}.xlsx"
        path.write_bytes(mutilated(workbooks[seed % len(workbooks)], mutation, chance))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        signal.alarm(SECONDS)
        code = main(["check", str(path)])
        signal.alarm(0)
        assert code in (0, 1, 2)
        assert FAILED not in "".join(capsys.readouterr())
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MEMORY / 1024
        path.unlink()


def lengthened(content, chance):
    return content + chance.randbytes(chance.randrange(1, 5000))


def other_header(content, chance):
    header = bytes(chance.choice((0, 1, 3, 8, 127, 255)) for _ in range(chance.randrange(1, 17)))
    return header + content[len(header) :]


@pytest.mark.parametrize("damage", [flipped, shortened, lengthened, other_header])
def test_a_damaged_data_file_is_noticed(damage, tmp_path, monkeypatch):
    raw = tmp_path / "raw"
    write_digits(raw)
    monkeypatch.setattr(dataset, "MD5", md5_sums(raw))
    for seed in range(COUNT):
        chance = random.Random(seed)
        path = raw / chance.choice(list(dataset.MD5))
        content = path.read_bytes()
        path.write_bytes(damage(content, chance))
        assert dataset.missing(raw) == [path.name] or path.read_bytes() == content
        path.write_bytes(content)
