"""`check` on several files at once: the overview, the findings as CSV, the marked copies."""

import os
import re
import signal
import subprocess
import sys
import zipfile
from types import SimpleNamespace

import openpyxl
import pytest

from backprop.check import command, mark
from backprop.check.book import read_book
from backprop.check.findings import FAILED, Asked, FileReport, check_workbook
from backprop.network import COLUMNS
from tests.digits import ROOT
from tests.findings import Found, differences, findings, told
from tests.learners_sheets import COMMONEST, Manner, only, write_book


@pytest.fixture
def folder(tmp_path):
    """A folder with a right sheet, a wrong one in a folder of its own, and one that is none."""
    folder = tmp_path / "class"
    (folder / "team").mkdir(parents=True)
    for name, texts in (("ada.xlsx", {}), ("team/bob.xlsx", COMMONEST)):
        sheets = {f"LR {rate}": Manner(eta=rate, texts=texts) for rate in (0.5, 2.0)}
        write_book(folder / name, sheets)
    (folder / "eve.xlsx").write_text("no workbook")
    (folder / "~$ada.xlsx").write_text("a lock of Excel's")
    (folder / "notes.txt").write_text("no workbook either")
    return folder


# Each with its exit code and with what standard error names.
COMMANDS = {
    "ada.xlsx": (0,), "ada.xlsx eve.xlsx": (2,), "eve.xlsx": (2, "eve.xlsx"),
    "team/bob.xlsx eve.xlsx": (1,), "ada.xlsx team": (1,), "A.XLTM b.xltx": (0,),
    "none": (2, "none"), "team/bob.xlsx --mark team": (2, "team"),
    ". --csv ada.xlsx": (2, "ada.xlsx"), "ada.xlsx --csv team": (2, "team"),
}  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_the_exit_code_tells_the_worst_and_no_file_is_replaced(command, folder, check, monkeypatch):
    (folder / "none").mkdir()
    for template in ("A.XLTM", "b.xltx"):
        (folder / template).write_bytes((folder / "ada.xlsx").read_bytes())
    monkeypatch.chdir(folder)
    before = {path: path.read_bytes() for path in folder.rglob("*.*")}
    code, _, error = check(*command.split())
    expected, *facts = COMMANDS[command]
    assert code == expected
    assert told([error], *facts)
    assert {path: path.read_bytes() for path in folder.rglob("*.*")} == before


def test_the_findings_as_csv(folder, check_csv):
    code, rows = check_csv(folder)
    assert code == 1
    assert ",".join(rows[0]) == (
        "file,sheet,first_row,rows,learning_rate,verdict,column,wrong_cells,first_cell,value,"
        "right,formula,right_formula,likely,slip,uses,belongs,not_judged,remarks"
    )
    names = ("file", "sheet", "verdict", "column")
    assert [tuple(row[name] for name in names) for row in rows] == [
        ("ada.xlsx", "LR 0.5", "right", ""), ("ada.xlsx", "LR 2.0", "right", ""),
        ("eve.xlsx", "", "unreadable", ""),
        ("team/bob.xlsx", "LR 0.5", "wrong", "∂E/∂w3"),
        ("team/bob.xlsx", "LR 0.5", "wrong", "∂E/∂w4"),
        ("team/bob.xlsx", "LR 2.0", "wrong", "∂E/∂w3"),
        ("team/bob.xlsx", "LR 2.0", "wrong", "∂E/∂w4"),
    ]  # fmt: skip
    assert told([rows[2]["not_judged"]], "xlsx")
    bob = rows[4]
    assert float(bob.pop("value")) == pytest.approx(0.0007037373302707876, rel=1e-12)
    assert float(bob.pop("right")) == pytest.approx(0.0007035526431814643, rel=1e-12)
    assert told([bob.pop("likely")], "K5", "M5")
    assert list(bob.values())[2:] == [
        "5", "13", "0.5", "wrong", "∂E/∂w4", "13", "AB5",
        "'=((S5-B5)*S5*(1-S5)*O5+(U5-C5)*U5*(1-U5)*Q5)*K5*(1-K5)*E5",
        "'=((S5-B5)*S5*(1-S5)*O5+(U5-C5)*U5*(1-U5)*Q5)*M5*(1-M5)*E5",
        "replaced", "a_h1", "a_h2", "", "",
    ]  # fmt: skip


def test_gaps_and_remarks_are_in_the_csv(make_book, check_csv):
    path = make_book([
        Manner(rate="0.5", typed={"A1:B1": ["η", 0.1]}),
        Manner(at="B20", rate="0.5", headers=dict.fromkeys(COLUMNS, "")),
    ])  # fmt: skip
    code, (table, gap) = check_csv(path)
    assert code == 2
    assert told([table["remarks"]], 0.5, 0.1, "B1")
    assert (gap["sheet"], gap["first_row"], gap["verdict"]) == ("Mine", "21", "incomplete")
    assert told([gap["not_judged"]], "Mine", 21, 33)


def test_marked_copies(folder, tmp_path, check):
    ada, bob = folder / "ada.xlsx", folder / "team" / "bob.xlsx"
    before = [path.read_bytes() for path in (ada, bob)]
    marked = tmp_path / "marked"
    code, report, _ = check(folder, "--mark", marked)
    assert code == 1
    assert told(report.splitlines()[-1:], marked)
    assert [path.read_bytes() for path in (ada, bob)] == before
    assert (marked / "ada.xlsx").read_bytes() == before[0]
    assert not (marked / "eve.xlsx").exists()
    book = openpyxl.load_workbook(marked / "team" / "bob.xlsx")
    for sheet, table in zip(book.worksheets, findings(bob).tables, strict=True):
        cells = [cell for row in sheet.iter_rows() for cell in row]
        coloured = {cell.coordinate for cell in cells if cell.fill.fill_type == "solid"}
        assert coloured == {f"{letters}{row}" for letters in ("AA", "AB") for row in range(5, 18)}
        note = sheet["AA5"].comment.text
        assert "=((S5-B5)*S5*(1-S5)*O5+(U5-C5)*U5*(1-U5)*Q5)*M5*(1-M5)*D5" in note
        assert table.wrong[0].likely in note
        assert sheet["AA6"].comment is None
        assert sheet["AA5"].value.startswith("=((S5-B5)")


def test_a_copy_that_cannot_be_made_stops_no_other(folder, tmp_path, check, monkeypatch):
    def fail_on_the_first(path, **options):
        if path.name == "bob.xlsx":
            raise ValueError("something openpyxl\ndoes not know")
        return openpyxl.load_workbook(path, **options)

    (folder / "zoe.xlsx").write_bytes((folder / "team" / "bob.xlsx").read_bytes())
    monkeypatch.setattr(mark, "openpyxl", SimpleNamespace(load_workbook=fail_on_the_first))
    code, _, error = check(folder, "--mark", tmp_path / "marked")
    assert code == 2
    assert told(error.splitlines(), folder / "team" / "bob.xlsx", "something openpyxl")
    assert error.count("\n") == 1
    assert {path.name for path in (tmp_path / "marked").iterdir()} == {"ada.xlsx", "zoe.xlsx"}


def test_copies_inside_the_folder_are_not_checked_again(folder, check_csv):
    for _ in range(2):
        _, rows = check_csv(folder, "--mark", folder / "marked")
        assert {row["file"] for row in rows} == {"ada.xlsx", "eve.xlsx", "team/bob.xlsx"}
        assert (folder / "marked" / "ada.xlsx").exists()


def test_files_of_one_name_are_known_by_their_folders(folder, tmp_path, check_csv, monkeypatch):
    (folder / "team" / "ada.xlsx").write_bytes((folder / "ada.xlsx").read_bytes())
    monkeypatch.chdir(folder)
    code, rows = check_csv("ada.xlsx", "team/ada.xlsx", "--mark", tmp_path / "marked")
    assert code == 0
    assert {row["file"] for row in rows} == {"ada.xlsx", "team/ada.xlsx"}
    assert (tmp_path / "marked" / "team" / "ada.xlsx").exists()


OLE = bytes.fromhex("d0cf11e0a1b11ae1")  # begins .xls and encrypted workbooks
OTHER_FILES = {
    "a.numbers": (b"", "export"), "b.CSV": (b"", "no formulas"), "c.gsheet": (b"", "download"),
    "d.zip": (b"", "unpack"), "e.xlsx.download": (b"", "not finished"),
    "f.ods": (b"no workbook", "not an .xlsx"), "g.xls": (OLE, ".xls workbook"),
    "h.xlsx": (OLE + "EncryptedPackage".encode("utf-16-le"), "password"),
    "i.ods": ("META-INF/manifest.xml", "OpenDocument"), "j.xlsb": ("xl/workbook.bin", ".xlsb"),
}  # fmt: skip


@pytest.mark.parametrize("name", OTHER_FILES)
def test_whatever_may_be_a_submission_has_a_line(name, folder, check_csv):
    content, reason = OTHER_FILES[name]
    if isinstance(content, bytes):
        (folder / name).write_bytes(content)
    else:
        with zipfile.ZipFile(folder / name, "w") as package:
            package.writestr(content, "")
    _, rows = check_csv(folder)
    (row,) = [row for row in rows if row["file"] == name]
    assert reason in row["not_judged"]


# --- Files as other programs write them ---------------------------------------------------

SCHEMAS = rb"schemas.openxmlformats.org/(spreadsheetml|officeDocument)/2006"
BOMB = b'<!DOCTYPE x [<!ENTITY a "aaaa">]><x>&a;</x>'
KINDS = {
    "names in capitals": {"rename": str.upper},
    "backslashes": {"rename": lambda name: name.replace("/", "\\")},
    "damaged styles": {"styles": (b"^.*$", b"<styleSheet><fills>")},
    "strict": {"": (SCHEMAS, rb"purl.oclc.org/ooxml/\1")},
}


def rewritten(path, rename=lambda name: name, **changes):
    """Write a workbook's parts again under other names, or with a change by a part's name."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            for pattern, new in (change for part, change in changes.items() if part in name):
                content = re.sub(pattern, new, content, flags=re.DOTALL)
            archive.writestr(zipfile.ZipInfo(rename(name)), content)
    return path


@pytest.mark.parametrize("kind", KINDS)
def test_workbooks_are_read_however_they_were_written(kind, folder, check):
    path = folder / "team" / "bob.xlsx"
    code, expected, _ = check(path)
    assert code == 1
    assert check(rewritten(path, **KINDS[kind]))[:2] == (code, expected)


def test_cells_without_a_place_follow_one_another(make_book):
    path = make_book(only({"A1:C1": [1, ("=A1*2", 0), 3]}))
    expected = read_book(path)
    assert read_book(rewritten(path, sheet=(rb'(<(?:row|c)\b[^>]*?) r="\w+"', rb"\1"))) == expected


def test_entities_are_not_expanded(folder):
    path = rewritten(folder / "ada.xlsx", sheet1=(b"^.*$", BOMB))
    assert differences(findings(path), Found(reason=("damaged",))) == {}


def test_text_of_others_is_not_computed_by_a_spreadsheet(folder, tmp_path, check_csv):
    write_book(folder / "=1+1.xlsx", {"@SUM(1)": Manner(texts={"E1": "({t1}-{a_o1})^2"})})
    _, rows = check_csv(folder)
    content = (tmp_path / "out" / "findings.csv").read_bytes()
    assert content.startswith(b"\xef\xbb\xbf")  # by which Excel knows UTF-8
    cells = {cell for row in rows for cell in row.values()}
    assert not [cell for cell in cells if cell[:1] in {"=", "+", "@"}]
    assert {"'=1+1.xlsx", "'@SUM(1)", "'=(B5-S5)^2"} <= cells


# --- Processes ----------------------------------------------------------------------------


def test_a_report_needs_no_code_page_and_nothing_heavy(folder):
    code = (
        "import sys; from backprop.__main__ import main, print_utf8; print_utf8();"
        "main(['check', sys.argv[1]]); main(['explain', 'w5']);"
        "print({'matplotlib', 'torch', 'scipy'} & set(sys.modules))"
    )
    command = [sys.executable, "-c", code, folder / "team" / "bob.xlsx"]
    environment = os.environ | {"PYTHONIOENCODING": "cp1252"}
    settings = {"capture_output": True, "check": True, "timeout": 300}
    done = subprocess.run(command, cwd=ROOT, env=environment, **settings)
    assert told([done.stdout.decode()], "∂E/∂w3", "η")
    assert done.stdout.decode().splitlines()[-1] == "set()"
    assert done.stderr == b""


def test_a_check_that_fails_is_told_like_a_damaged_file(folder, monkeypatch):
    monkeypatch.setattr("backprop.check.findings.read_book", lambda path: 1 / 0)
    report = check_workbook(folder / "ada.xlsx", Asked())
    assert differences(report, Found(reason=(FAILED, "ZeroDivisionError"))) == {}


def killed(path, asked):
    """Stands for a check that takes more memory than there is."""
    if path.name == "bob.xlsx":
        os.kill(os.getpid(), signal.SIGKILL)
    return FileReport(reason=f"checked {path.name}")


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows has no SIGKILL")
def test_a_killed_process_loses_no_other_result(folder, monkeypatch):
    monkeypatch.setattr(command, "check_workbook", killed)
    names = ["ada.xlsx", "team/bob.xlsx", "eve.xlsx", "zoe.xlsx"]
    found = list(command.check_files([folder / name for name in names], Asked()))
    ada, bob, eve, zoe = (path.reason for path in found)
    assert [ada, eve, zoe] == ["checked ada.xlsx", "checked eve.xlsx", "checked zoe.xlsx"]
    assert bob not in ("", "checked bob.xlsx")
