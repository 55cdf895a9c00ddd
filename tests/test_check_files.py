"""`check` on several files at once: the overview, the findings as CSV, the marked copies."""

import csv
import hashlib
import os
import re
import signal
import subprocess
import sys
import zipfile
from types import SimpleNamespace

import openpyxl
import pytest

from backprop.check import command as files, mark, findings as workbook
from backprop.check.book import read_book
from backprop.check.findings import UNREADABLE
from backprop.check.findings import Asked
from backprop.network import COLUMNS
from tests.digits import ROOT
from tests.findings import findings, told
from tests.sheets import COMMONEST, labelled, write_book


@pytest.fixture
def class_folder(tmp_path):
    """A folder with a right sheet, a wrong one in a folder of its own, and one that is none."""
    folder = tmp_path / "class"
    (folder / "team").mkdir(parents=True)
    for name, texts in (("ada.xlsx", {}), ("team/bob.xlsx", COMMONEST)):
        write_book(folder / name, {f"LR {it}": labelled(it, texts=texts) for it in (0.5, 2.0)})
    (folder / "eve.xlsx").write_text("no workbook")
    (folder / "~$ada.xlsx").write_text("a lock of Excel's")
    (folder / "notes.txt").write_text("no workbook either")
    return folder


def read_csv(path):
    with open(path, newline="", encoding="utf-8-sig") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(
    ("names", "code"),
    [
        (["ada.xlsx"], 0),
        (["ada.xlsx", "eve.xlsx"], 2),
        (["eve.xlsx"], 2),
        (["team/bob.xlsx", "eve.xlsx"], 1),
        (["ada.xlsx", "team"], 1),
    ],
)
def test_the_exit_code_tells_the_worst(names, code, class_folder, check):
    assert check(*(class_folder / name for name in names))[0] == code


def test_the_findings_as_csv(class_folder, tmp_path, check):
    table = tmp_path / "out" / "findings.csv"
    assert check(class_folder, "--csv", table)[0] == 1
    rows = read_csv(table)
    assert ",".join(rows[0]) == (
        "file,sheet,first_row,rows,learning_rate,verdict,column,wrong_cells,first_cell,value,"
        "right,formula,right_formula,likely,slip,uses,belongs,not_judged,remarks"
    )
    places = [(it["file"], it["sheet"], it["verdict"], it["column"]) for it in rows]
    assert places == [
        ("ada.xlsx", "LR 0.5", "right", ""),
        ("ada.xlsx", "LR 2.0", "right", ""),
        ("eve.xlsx", "", "unreadable", ""),
        ("team/bob.xlsx", "LR 0.5", "wrong", "∂E/∂w3"),
        ("team/bob.xlsx", "LR 0.5", "wrong", "∂E/∂w4"),
        ("team/bob.xlsx", "LR 2.0", "wrong", "∂E/∂w3"),
        ("team/bob.xlsx", "LR 2.0", "wrong", "∂E/∂w4"),
    ]
    assert told([rows[2]["not_judged"]], "xlsx")
    bob = rows[4]
    assert (bob["first_row"], bob["rows"], bob["learning_rate"]) == ("5", "13", "0.5")
    assert (bob["wrong_cells"], bob["first_cell"]) == ("13", "AB5")
    assert float(bob["value"]) == pytest.approx(0.0007037373302707876, rel=1e-12)
    assert float(bob["right"]) == pytest.approx(0.0007035526431814643, rel=1e-12)
    assert bob["formula"] == "'=((S5-B5)*S5*(1-S5)*O5+(U5-C5)*U5*(1-U5)*Q5)*K5*(1-K5)*E5"
    assert bob["right_formula"] == "'=((S5-B5)*S5*(1-S5)*O5+(U5-C5)*U5*(1-U5)*Q5)*M5*(1-M5)*E5"
    assert told([bob["likely"]], "K5", "M5")
    assert (bob["slip"], bob["uses"], bob["belongs"]) == ("replaced", "a_h1", "a_h2")


def test_a_table_that_cannot_be_written_leaves_the_old_one(class_folder, tmp_path, check):
    table = tmp_path / "findings.csv"
    table.mkdir()
    code, _, error = check(class_folder / "ada.xlsx", "--csv", table)
    assert code == 2
    assert told([error], table)
    assert not list(tmp_path.glob(".*findings*"))


def test_marked_copies(class_folder, tmp_path, check):
    files = sorted(class_folder.rglob("*.xlsx"))
    before = [hashlib.md5(path.read_bytes()).digest() for path in files]
    code, report, _ = check(class_folder, "--mark", tmp_path / "marked")
    assert code == 1
    assert told(report.splitlines()[-1:], tmp_path / "marked")
    assert [hashlib.md5(path.read_bytes()).digest() for path in files] == before

    ada = class_folder / "ada.xlsx"
    assert (tmp_path / "marked" / "ada.xlsx").read_bytes() == ada.read_bytes()
    assert not (tmp_path / "marked" / "eve.xlsx").exists()
    book = openpyxl.load_workbook(tmp_path / "marked" / "team" / "bob.xlsx")
    tables = findings(class_folder / "team" / "bob.xlsx").tables
    for sheet, table in zip(book.worksheets, tables, strict=True):
        coloured = {
            cell.coordinate
            for row in sheet.iter_rows()
            for cell in row
            if cell.fill.fill_type == "solid"
        }
        assert coloured == {f"{letter}{row}" for letter in ("AA", "AB") for row in range(5, 18)}
        note = sheet["AA5"].comment.text
        assert "=((S5-B5)*S5*(1-S5)*O5+(U5-C5)*U5*(1-U5)*Q5)*M5*(1-M5)*D5" in note
        assert table.wrong[0].likely in note
        assert sheet["AA6"].comment is None
        assert sheet["AA5"].value.startswith("=((S5-B5)")


def test_the_originals_are_never_written_to(class_folder, check):
    path = class_folder / "team" / "bob.xlsx"
    before = path.read_bytes()
    code, _, error = check(path, "--mark", path.parent)
    assert code == 2
    assert told([error], path.parent)
    assert path.read_bytes() == before


def test_the_findings_do_not_replace_a_workbook(class_folder, check):
    path = class_folder / "ada.xlsx"
    before = path.read_bytes()
    code, _, error = check(class_folder, "--csv", path)
    assert code == 2
    assert told([error], path)
    assert path.read_bytes() == before


def test_a_copy_that_cannot_be_made_stops_no_other(class_folder, tmp_path, check, monkeypatch):
    def fail_on_the_first(path, **options):
        if path.name == "bob.xlsx":
            raise ValueError("something openpyxl\ndoes not know")
        return openpyxl.load_workbook(path, **options)

    (class_folder / "zoe.xlsx").write_bytes((class_folder / "team" / "bob.xlsx").read_bytes())
    library = SimpleNamespace(load_workbook=fail_on_the_first)
    monkeypatch.setattr(mark, "openpyxl", library)
    code, _, error = check(class_folder, "--mark", tmp_path / "marked")
    assert code == 2
    assert told(error.splitlines(), class_folder / "team" / "bob.xlsx", "something openpyxl")
    assert error.count("\n") == 1
    assert {path.name for path in (tmp_path / "marked").iterdir()} == {"ada.xlsx", "zoe.xlsx"}


def test_copies_inside_the_folder_are_not_checked_again(class_folder, tmp_path, check):
    for _ in range(2):
        check(class_folder, "--mark", class_folder / "marked", "--csv", tmp_path / "findings.csv")
    files = {row["file"] for row in read_csv(tmp_path / "findings.csv")}
    assert files == {"ada.xlsx", "eve.xlsx", "team/bob.xlsx"}
    assert (class_folder / "marked" / "ada.xlsx").exists()


def test_files_of_one_name_are_known_by_their_folders(class_folder, tmp_path, check, monkeypatch):
    (class_folder / "team" / "ada.xlsx").write_bytes((class_folder / "ada.xlsx").read_bytes())
    monkeypatch.chdir(class_folder)
    table, marked = tmp_path / "findings.csv", tmp_path / "marked"
    assert check("ada.xlsx", "team/ada.xlsx", "--mark", marked, "--csv", table)[0] == 0
    assert {row["file"] for row in read_csv(table)} == {"ada.xlsx", "team/ada.xlsx"}
    assert (marked / "team" / "ada.xlsx").exists()


def test_a_folder_without_workbooks(tmp_path, check):
    code, report, error = check(tmp_path)
    assert (code, report) == (2, "")
    assert told([error], tmp_path)


@pytest.mark.parametrize(
    ("name", "told"),
    [("a.numbers", "export"), ("b.CSV", "no formulas"), ("c.gsheet", "download"),
     ("d.zip", "unpack"), ("e.xlsx.download", "not finished"), ("f.ods", "not an .xlsx")],
)  # fmt: skip
def test_whatever_may_be_a_submission_has_a_line(name, told, class_folder, tmp_path, check):
    (class_folder / name).write_text("no workbook")
    table = tmp_path / "findings.csv"
    check(class_folder, "--csv", table)
    (row,) = [row for row in read_csv(table) if row["file"] == name]
    assert told in " ".join(row.values())


def test_numbers_with_commas_are_told(tmp_path, check):
    def fill(sheet):
        sheet.write_row(3, 0, COLUMNS)
        sheet.write_row(4, 0, ["0,5"] * len(COLUMNS))

    code, out, err = check(write_book(tmp_path / "commas.xlsx", {"Mine": fill}))
    assert code == 2
    assert "text with commas, such as 0,5" in out + err


def test_templates_are_checked(class_folder, check):
    for ending in (".xltx", ".XLTM"):
        path = class_folder / f"template{ending}"
        path.write_bytes((class_folder / "ada.xlsx").read_bytes())
        assert check(path)[0] == 0


# --- Files as other programs write them -------------------------------------------------------

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"


def rewritten(path, rename=lambda name: name, change=lambda name, content: content):
    """Write a workbook's parts again under other names, or with other content."""
    parts = {}
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            parts[name] = archive.read(name)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(zipfile.ZipInfo(rename(name)), change(name, content))


def strict(name, content):
    text = content.decode()
    text = text.replace(MAIN, "http://purl.oclc.org/ooxml/spreadsheetml/main")
    return text.replace(RELATIONS, "http://purl.oclc.org/ooxml/officeDocument/relationships")


def without_places(name, content):
    """Cells and rows are then where they follow one another."""
    return re.sub(rb'(<(?:row|c)\b[^>]*?) r="\w+"', rb"\1", content)


KINDS = {
    "names in capitals": {"rename": str.upper},
    "backslashes": {"rename": lambda name: name.replace("/", "\\")},
    "damaged styles": {
        "change": lambda name, content: b"<styleSheet><fills>" if "styles" in name else content
    },
    "strict": {"change": strict},
}


@pytest.mark.parametrize("kind", KINDS)
def test_workbooks_are_read_however_they_were_written(kind, class_folder, check):
    path = class_folder / "team" / "bob.xlsx"
    code, expected, _ = check(path)
    assert code == 1
    rewritten(path, **KINDS[kind])
    assert check(path)[:2] == (code, expected)


def test_cells_without_a_place_follow_one_another(tmp_path):
    path = write_book(
        tmp_path / "plain.xlsx", {"Mine": lambda sheet: sheet.write_row(0, 0, [1, "=A1*2", 3])}
    )
    expected = read_book(path)
    rewritten(path, change=without_places)
    assert read_book(path) == expected


def test_entities_are_not_expanded(class_folder, check):
    path = class_folder / "ada.xlsx"
    bomb = b'<!DOCTYPE x [<!ENTITY a "aaaa">]><x>&a;</x>'
    rewritten(path, change=lambda name, content: bomb if "sheet1" in name else content)
    code, _, told = check(path)
    assert code == 2
    assert "damaged" in told


def test_text_of_others_is_not_computed_by_a_spreadsheet(class_folder, tmp_path, check):
    fill = labelled(0.5, texts={"E1": "({t1}-{a_o1})^2"})
    write_book(class_folder / "=1+1.xlsx", {"@SUM(1)": fill})
    check(class_folder, "--csv", tmp_path / "findings.csv")
    content = (tmp_path / "findings.csv").read_bytes()
    assert content.startswith(b"\xef\xbb\xbf")  # by which Excel knows UTF-8
    cells = [cell for row in read_csv(tmp_path / "findings.csv") for cell in row.values()]
    assert not [cell for cell in cells if cell[:1] in {"=", "+", "@"}]
    assert {"'=1+1.xlsx", "'@SUM(1)", "'=(B5-S5)^2"} <= {*cells}


def run_module(*arguments, **environment):
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        check=False,
    )


def test_a_report_is_written_whatever_the_code_page(class_folder):
    path = class_folder / "team" / "bob.xlsx"
    done = run_module("-m", "backprop", "check", path, PYTHONIOENCODING="cp1252")
    assert done.returncode == 1
    assert told([done.stdout.decode()], "∂E/∂w3", "η")
    assert done.stderr == b""


def test_checking_and_explaining_import_nothing_heavy(class_folder):
    code = (
        "import sys; from backprop.__main__ import main; main(['check', sys.argv[1]]);"
        "main(['explain', 'w5']); print({'matplotlib', 'torch', 'scipy'} & set(sys.modules))"
    )
    done = run_module("-c", code, class_folder / "ada.xlsx", PYTHONIOENCODING="utf-8")
    assert done.stdout.decode().splitlines()[-1] == "set()", done.stderr


def test_a_check_that_fails_is_told_like_a_damaged_file(class_folder, monkeypatch):
    monkeypatch.setattr(workbook, "read_book", lambda path: 1 / 0)
    report = workbook.check_workbook(class_folder / "ada.xlsx", Asked())
    assert report.verdict == UNREADABLE
    assert told([report.reason], workbook.FAILED, "ZeroDivisionError")


def killed(path, asked):
    """Stands for a check that takes more memory than there is."""
    if path.name == "bob.xlsx":
        os.kill(os.getpid(), signal.SIGKILL)
    return files.FileReport(reason=f"checked {path.name}")


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows has no SIGKILL")
def test_a_killed_process_loses_no_other_result(class_folder, monkeypatch):
    monkeypatch.setattr(files, "check_workbook", killed)
    names = ["ada.xlsx", "team/bob.xlsx", "eve.xlsx", "zoe.xlsx"]
    found = list(files.check_files([class_folder / name for name in names], Asked()))
    ada, bob, eve, zoe = (it.reason for it in found)
    assert [ada, eve, zoe] == ["checked ada.xlsx", "checked eve.xlsx", "checked zoe.xlsx"]
    assert bob not in ("", "checked bob.xlsx")


def test_the_help_names_the_exit_codes_and_shows_an_example(capsys):
    from backprop.__main__ import main

    with pytest.raises(SystemExit):
        main(["check", "--help"])
    text = capsys.readouterr().out
    assert "exit code:" in text
    assert "python -m backprop check my_sheet.xlsx" in text
