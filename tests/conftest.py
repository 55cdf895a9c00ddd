"""What several tests are given: small data, sheets, the command line; no network is needed.

What takes long to import is imported where it is used: the process that only hands out the tests
to the cores can do without, and starts seconds earlier.
"""

import os
import shutil
import subprocess
from pathlib import Path

import matplotlib as mpl
import pytest
import xlsxwriter

mpl.use("Agg")
# The batches of the tests are too small for several threads, which wait for one another.
os.environ["OMP_NUM_THREADS"] = "1"


@pytest.fixture(scope="session")
def digits(tmp_path_factory):
    """A data folder of small IDX files; never written to by a test."""
    from tests.digits import write_digits

    data_dir = tmp_path_factory.mktemp("digits")
    write_digits(data_dir / "MNIST" / "raw")
    return data_dir


@pytest.fixture
def small_mnist(digits, tmp_path, monkeypatch):
    """A copy of the small data folder whose files count as the whole MNIST."""
    from mnist import dataset
    from tests.digits import md5_sums

    monkeypatch.setattr(dataset, "MD5", md5_sums(digits / "MNIST" / "raw"))
    return Path(shutil.copytree(digits, tmp_path / "data"))


@pytest.fixture
def real_mnist():
    """The data folder with the real MNIST; skips where it is not there."""
    from mnist import dataset
    from tests.digits import ROOT

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


@pytest.fixture(scope="session")
def recalculate(tmp_path_factory):
    """Let LibreOffice compute a workbook anew; skips where there is none."""
    program = shutil.which("soffice")
    if program is None:
        pytest.skip("LibreOffice (soffice) is not installed")
    profile = tmp_path_factory.mktemp("profile").as_uri()

    def run(path):
        folder = path.parent / "recalculated"
        command = [program, f"-env:UserInstallation={profile}", "--headless"]
        command += ["--convert-to", "xlsx", "--outdir", str(folder), str(path)]
        subprocess.run(command, check=True, capture_output=True, timeout=120)
        return folder / path.name

    return run


@pytest.fixture
def check(capsys):
    """Run the command; gives exit code, standard output and standard error."""
    from backprop.__main__ import main

    def run(*arguments):
        code = main(["check", *map(str, arguments)])
        captured = capsys.readouterr()
        assert "made the check itself fail" not in captured.out + captured.err
        return code, captured.out, captured.err

    return run


@pytest.fixture(autouse=True)
def _close_figures():
    import matplotlib.pyplot as plt

    yield
    plt.close("all")
