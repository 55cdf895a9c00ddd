"""The workbook: what it carries, and what LibreOffice makes of its formulas."""

import re

import numpy as np
import openpyxl
import pytest

from backprop.check.findings import RIGHT, WRONG
from backprop.check.report import details
from backprop.network import LEARNING_RATES, Problem, descend
from backprop.pictures import network_png
from backprop.workbook import write_workbook
from tests.digits import ROOT
from tests.findings import findings, slips, wrong_columns
from tests.readme import README
from tests.workbooks import changed_parts, pixels, table_of, without_values

STEPS = 100
FEW_RATES, FEW_STEPS = (0.5, 2.0), 20


@pytest.fixture(scope="module")
def workbook(tmp_path_factory):
    path = tmp_path_factory.mktemp("workbook") / "Back_Propagation.xlsx"
    write_workbook(path, Problem(), LEARNING_RATES, STEPS, network_png(Problem()))
    return path


@pytest.fixture(scope="module")
def small_workbook(tmp_path_factory):
    path = tmp_path_factory.mktemp("small") / "Back_Propagation.xlsx"
    write_workbook(path, Problem(), FEW_RATES, FEW_STEPS, network_png(Problem()))
    return path


def test_the_tracked_workbook_is_the_one_that_is_built(workbook):
    assert changed_parts(workbook, ROOT / "backprop" / "Back_Propagation.xlsx") == []


def test_chart_header_and_rate_are_in_view_on_a_small_screen(workbook):
    """1366x768, of which a spreadsheet program takes some 60 pixels in width and 300 in height."""
    for sheet in openpyxl.load_workbook(workbook).worksheets[2:]:
        (chart,) = sheet._charts
        start, end = chart.anchor._from, chart.anchor.to
        frozen = int(sheet.freeze_panes.lstrip("A")) - 1  # rows that stay, the last one the header
        assert start.row == 0
        assert end.row < frozen
        assert 20 * (frozen + 5) < 768 - 300
        assert sum(map(pixels(sheet), range(end.col + 1))) < 1366 - 60
        assert start.col == 3 or sheet.title == "Comparison"  # right of the rate in B1


def test_formula_cells_carry_their_values(workbook):
    values = openpyxl.load_workbook(workbook, data_only=True)
    for rate in LEARNING_RATES:
        np.testing.assert_array_equal(
            table_of(values, f"LR {rate}"), descend(Problem(), rate, STEPS)
        )


def test_every_computed_cell_is_a_formula(workbook):
    formulas = openpyxl.load_workbook(workbook)
    assert formulas.sheetnames == [
        "Derivation",
        "Problem",
        *[f"LR {rate}" for rate in LEARNING_RATES],
        "Comparison",
    ]
    for rate in LEARNING_RATES:
        sheet = formulas[f"LR {rate}"]
        assert sheet["B1"].value == rate
        cells = [
            cell for row in sheet.iter_rows(min_row=13, max_row=113, max_col=31) for cell in row
        ]
        assert len(cells) == 101 * 31
        assert all(cell.value.startswith("=") for cell in cells)
        assert sheet.freeze_panes == "A13"
        (chart,) = sheet._charts
        assert chart.x_axis.title is not None
        assert chart.y_axis.title is not None
    assert len(formulas["Comparison"]._charts[0].series) == len(LEARNING_RATES)


def test_libreoffice_computes_the_numpy_table(workbook, recalculate, tmp_path):
    computed = recalculate(without_values(workbook, tmp_path / "plain"))
    values = openpyxl.load_workbook(computed, data_only=True)
    for rate in LEARNING_RATES:
        np.testing.assert_allclose(
            table_of(values, f"LR {rate}"), descend(Problem(), rate, STEPS), rtol=1e-12, atol=1e-15
        )
    errors = [
        cell.value
        for sheet in values.worksheets
        for row in sheet.iter_rows()
        for cell in row
        if isinstance(cell.value, str) and cell.value.startswith(("#", "Err"))
    ]
    assert errors == []


def test_libreoffice_follows_a_changed_rate_and_weight(small_workbook, recalculate, tmp_path):
    changes = {"LR_0.5__B1": 0.7, "Problem__B8": 0.33}
    assert openpyxl.load_workbook(small_workbook)["Problem"]["A8"].value == "starting weight w1"
    computed = recalculate(without_values(small_workbook, tmp_path / "changed", **changes))
    values = openpyxl.load_workbook(computed, data_only=True)
    changed = Problem(weights=(0.33, *Problem().weights[1:]))
    for rate, sheet in ((0.7, "LR 0.5"), (2.0, "LR 2.0")):
        np.testing.assert_allclose(
            table_of(values, sheet), descend(changed, rate, FEW_STEPS), rtol=1e-12, atol=1e-15
        )
    compared = [row[1] for row in values["Comparison"].iter_rows(min_row=13, values_only=True)]
    np.testing.assert_allclose(
        compared[: FEW_STEPS + 1], descend(changed, 0.7, FEW_STEPS)[:, 22], 1e-12
    )


def test_a_wrong_formula_in_a_sheet_saved_by_libreoffice_is_named(
    small_workbook, recalculate, tmp_path
):
    path = without_values(small_workbook, tmp_path / "slip", **{"LR_0.5__Q29": "=M29*J29+M29*L29"})
    report = findings(recalculate(path))
    assert [table.verdict for table in report.tables] == [WRONG, RIGHT]
    assert wrong_columns(report) == {"o1": (1, "Q29")}
    assert slips(report) == [("replaced", "w5", "w6")]


def test_the_readme_shows_what_check_says(recalculate, tmp_path):
    """Its example: the project's own workbook, with one slip."""
    path = tmp_path / "slip.xlsx"
    workbook = openpyxl.load_workbook(ROOT / "backprop" / "Back_Propagation.xlsx")
    workbook["LR 0.5"]["Q29"] = "=M29*J29+M29*L29"
    workbook.save(path)
    shown = re.search(r"```\n(Sheet .*?)```", README, re.DOTALL)[1].splitlines()
    said = details(findings(recalculate(path))).splitlines()
    assert [line for line in said if line in shown] == [line for line in shown if line != "..."]
