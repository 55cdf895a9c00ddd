"""The workbook: what it carries, and what LibreOffice makes of its formulas."""

import re

import numpy as np
import openpyxl
import pytest

from backprop.check.report import details
from backprop.network import COLUMNS, LEARNING_RATES, Problem, descend
from backprop.write.pictures import network_png
from backprop.write.workbook import write_workbook
from tests.digits import ROOT
from tests.findings import findings
from tests.readme import README
from tests.written_workbooks import changed_parts, errors_of, table_of, without_values

STEPS = 100


@pytest.fixture(scope="module")
def workbook(tmp_path_factory):
    path = tmp_path_factory.mktemp("workbook") / "Back_Propagation.xlsx"
    write_workbook(path, Problem(), LEARNING_RATES, STEPS, network_png(Problem()))
    return path


def test_the_tracked_workbook_is_the_one_that_is_built(workbook):
    assert changed_parts(workbook, ROOT / "backprop" / "Back_Propagation.xlsx") == []


def test_the_values_saved_and_those_of_libreoffice_are_those_of_numpy(
    workbook, recalculate, tmp_path
):
    computed = recalculate(without_values(workbook, tmp_path / "plain"))
    sheets = [f"LR {rate}" for rate in LEARNING_RATES]
    for path, tolerance in ((workbook, 0), (computed, 1e-12)):
        values = openpyxl.load_workbook(path, data_only=True)
        assert values.sheetnames == ["Derivation", "Problem", *sheets, "Comparison"]
        for rate, sheet in zip(LEARNING_RATES, sheets, strict=True):
            assert values[sheet]["B1"].value == rate
            right = descend(Problem(), rate, STEPS)
            np.testing.assert_allclose(table_of(values, sheet), right, tolerance, tolerance / 1000)
        assert errors_of(values) == set()


def test_every_cell_follows_a_changed_rate_and_changed_numbers(recalculate, tmp_path):
    steps = 20
    path = tmp_path / "Back_Propagation.xlsx"
    write_workbook(path, Problem(), (0.5, 2.0), steps, network_png(None))
    problem = Problem((0.9, -0.4), (0.01, 0.99), (0.33, -0.2, 0.6, 0.1, 0.7, -0.5, 0.2, 0.8))
    numbers = openpyxl.load_workbook(path)["Problem"]
    changes = {"LR_0.5__B1": 0.7}
    for row, (name, value) in enumerate(problem.given().items(), start=4):
        assert numbers[f"A{row}"].value.endswith(f" {name}")
        changes[f"Problem__B{row}"] = value
    computed = recalculate(without_values(path, tmp_path / "changed", **changes))
    values = openpyxl.load_workbook(computed, data_only=True)
    compared = values["Comparison"].iter_rows(min_row=13, values_only=True)
    errors = np.array([row[1:3] for row in compared][: steps + 1]).T
    for rate, sheet, column in ((0.7, "LR 0.5", errors[0]), (2.0, "LR 2.0", errors[1])):
        right = descend(problem, rate, steps)
        np.testing.assert_allclose(table_of(values, sheet), right, rtol=1e-12, atol=1e-15)
        np.testing.assert_allclose(column, right[:, COLUMNS.index("E_total")], rtol=1e-12)


def test_the_readme_shows_what_check_says(recalculate, tmp_path):
    """Its example: the project's own workbook, with one slip."""
    path = tmp_path / "slip.xlsx"
    workbook = openpyxl.load_workbook(ROOT / "backprop" / "Back_Propagation.xlsx")
    workbook["LR 0.5"]["Q29"] = "=M29*J29+M29*L29"
    workbook.save(path)
    shown = re.search(r"```\n(Sheet .*?)```", README, re.DOTALL)[1].splitlines()
    said = details(findings(recalculate(path))).splitlines()
    assert [line for line in said if line in shown] == [line for line in shown if line != "..."]
