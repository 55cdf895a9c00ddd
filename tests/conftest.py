"""What several tests are given: small data, sheets, the command line; no network is needed."""

import os
import shutil
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest
import torch
import xlsxwriter

from backprop.__main__ import main
from mnist import dataset
from tests.digits import ROOT, md5_sums, write_digits

mpl.use("Agg")
# The batches of the tests are too small for several threads, which wait for one another.
torch.set_num_threads(1)
os.environ["OMP_NUM_THREADS"] = "1"  # for the notebooks' kernels


@pytest.fixture(scope="session")
def digits(tmp_path_factory):
    """A data folder of small IDX files; never written to by a test."""
    data_dir = tmp_path_factory.mktemp("digits")
    write_digits(data_dir / "MNIST" / "raw")
    return data_dir


@pytest.fixture
def small_mnist(digits, tmp_path, monkeypatch):
    """A copy of the small data folder whose files count as the whole MNIST."""
    monkeypatch.setattr(dataset, "MD5", md5_sums(digits / "MNIST" / "raw"))
    return Path(shutil.copytree(digits, tmp_path / "data"))


@pytest.fixture
def real_mnist():
    """The data folder with the real MNIST; skips where it is not there."""
    if dataset.missing(ROOT / "data" / "MNIST" / "raw"):
        pytest.skip("the real MNIST is not in data/ (the notebook puts it there)")
    return ROOT / "data"


@pytest.fixture
def make_sheet(tmp_path):
    """Make a workbook with one sheet; the function given fills it."""

    def make(fill, name="sheet.xlsx"):
        path = tmp_path / name
        with xlsxwriter.Workbook(str(path)) as workbook:
            fill(workbook.add_worksheet("Mine"))
        return path

    return make


@pytest.fixture
def check(capsys):
    """Run the command; gives exit code, standard output and standard error."""

    def run(*arguments):
        code = main(["check", *map(str, arguments)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")
