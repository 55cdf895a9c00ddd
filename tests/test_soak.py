"""A small dose of what `tests/soak.py` does by the thousand."""

import io
import random

import pytest
import xlsxwriter

from mnist import dataset
from tests.sheets import labelled

pytest.importorskip("resource", reason="tests/soak.py limits memory as Unix does")
from tests import soak


@pytest.fixture(scope="module")
def workbook():
    file = io.BytesIO()
    with xlsxwriter.Workbook(file, {"in_memory": True}) as workbook:
        labelled(0.5)(workbook.add_worksheet("Mine"))
    return file.getvalue()


@pytest.mark.parametrize("mutation", soak.MUTATIONS)
def test_mutilated_workbooks_end_in_an_exit_code(mutation, workbook, tmp_path):
    generator = random.Random(1)
    for index in range(4):
        path = tmp_path / f"{index}.xlsx"
        path.write_bytes(mutation(workbook, generator))
        assert soak.check_one(path) in (0, 1, 2)


def test_damaged_data_files_are_noticed(tmp_path, monkeypatch):
    monkeypatch.setattr(dataset, "MD5", dataset.MD5)  # which it changes, put back afterwards
    assert soak.soak_data(40, random.Random(1), tmp_path) == (40, 0)
