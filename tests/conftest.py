"""What several tests are given: small data, sheets, the command line; no network is needed.

What takes long to import is imported where it is used: the process that only hands out the tests
to the cores can do without, and starts seconds earlier.
"""

import csv
import json
import os
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome")

# The batches of the tests are too small for several threads, which wait for one another.
os.environ["OMP_NUM_THREADS"] = "1"


@pytest.fixture(scope="session")
def digits(tmp_path_factory):
    """A data folder of small IDX files; never written to by a test."""
    from tests.digits import write_digits

    data_dir = tmp_path_factory.mktemp("digits")
    write_digits(data_dir / "MNIST" / "raw")
    return data_dir


@pytest.fixture(scope="session")
def images(digits):
    """The small data's test images, as the network gets them."""
    from torchvision import datasets, transforms

    import utils
    from utils import ImageBatches

    data = datasets.MNIST(digits, train=False)
    transform = transforms.Compose([utils.to_unit_range, utils.normalise])
    return ImageBatches(data.data.unsqueeze(1), data.targets, transform)


@pytest.fixture
def small_mnist(digits, tmp_path, monkeypatch):
    """A copy of the small data folder whose files count as the whole MNIST."""
    from tests.digits import stand_in

    stand_in(monkeypatch, digits)
    return Path(shutil.copytree(digits, tmp_path / "data"))


@pytest.fixture
def real_mnist():
    """The data folder with the real MNIST; skips where it is not there."""
    from mnist import data
    from tests.digits import ROOT

    raw = ROOT / "data" / "MNIST" / "raw"
    if data.missing(raw) or data.foreign(raw):
        pytest.skip("the real MNIST is not in data/ (the notebook puts it there)")
    return ROOT / "data"


@pytest.fixture
def make_book(tmp_path):
    """Make a workbook of sheets, as `tests.learners_sheets.write_book` takes them."""
    from tests.learners_sheets import write_book

    return lambda sheets, name="sheet.xlsx": write_book(tmp_path / name, sheets)


@pytest.fixture(scope="session")
def recalculate(tmp_path_factory):
    """Let LibreOffice compute workbooks of one folder anew; skips where there is none."""
    program = shutil.which("soffice")
    if program is None:
        pytest.skip("LibreOffice (soffice) is not installed")
    profile = tmp_path_factory.mktemp("profile").as_uri()

    def run(path, *others):
        folder = path.parent / "recalculated"
        command = [program, f"-env:UserInstallation={profile}", "--headless"]
        command += ["--convert-to", "xlsx", "--outdir", folder, path, *others]
        subprocess.run(command, check=True, capture_output=True, timeout=120)
        return folder / path.name

    return run


@pytest.fixture(scope="session")
def browse(tmp_path_factory):
    """Open an address in the browser; gives the document it leaves, and what it complains of."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        pytest.skip("Chromium is not installed")

    def open_(
        page: Path,
        fragment: str = "",
        *options: str,
        script: str = "",
        budget: int | None = 5000,
        address: Callable[[Path], str] = Path.as_uri,
    ) -> tuple[str, list[str]]:
        folder = tmp_path_factory.mktemp("browser")
        if script:
            text = f"{page.read_text(encoding='utf-8')}<script>{script}</script>"
            page = folder / "page.html"
            page.write_text(text, encoding="utf-8")
        command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-extensions"]
        command += [f"--user-data-dir={folder}", "--enable-logging=stderr", "--dump-dom"]
        if budget is not None:
            command.append(f"--virtual-time-budget={budget}")
        command += [*options, f"{address(page)}#{fragment}"]
        done = subprocess.run(command, capture_output=True, timeout=300, check=True)
        logged = done.stderr.decode(errors="replace").splitlines()
        return done.stdout.decode(), [line for line in logged if "CONSOLE" in line]

    return open_


@pytest.fixture(scope="session")
def look_around(browse):
    """Go to addresses of a page with a look at each, in one run of the browser; what is seen."""
    from tests.browser import PROBE, text_of

    def see(page: Path, visits: list[tuple[str, str]], *options: str, **others: object) -> list:
        written = ",".join(
            f"[{json.dumps(address)}, async () => {{{look}}}]" for address, look in visits
        )
        script = PROBE.replace("VISITS", written)
        document, complaints = browse(page, "", *options, script=script, **others)
        assert complaints == []
        return json.loads(text_of(document, "found"))

    return see


@pytest.fixture(scope="module")
def sights(request, look_around):
    """What each test of a module sees at the visits that it is marked with.

    All visits to a page are made in one run of the browser, for its start takes the time.
    """
    from tests.browser import WINDOWS

    planned = defaultdict(list)
    for item in request.session.items:
        for mark in item.iter_markers("visit") if item.path == request.path else ():
            page, addresses, look = mark.args
            planned[page] += [(item.nodeid, address, look) for address in addresses]
    found = defaultdict(list)
    for page, visits in planned.items():
        looks = [(address, look) for _, address, look in visits]
        for (test, *_), sight in zip(visits, look_around(page, looks, WINDOWS[page]), strict=True):
            found[test].append(sight)
    return found


@pytest.fixture
def seen(request, sights):
    """What this test sees, one sight for each address."""
    return sights[request.node.nodeid]


@pytest.fixture
def check(capsys):
    """Run the command; gives exit code, standard output and standard error."""
    from backprop.__main__ import main
    from backprop.check.findings import FAILED

    def run(*arguments):
        code = main(["check", *map(str, arguments)])
        captured = capsys.readouterr()
        assert FAILED not in captured.out + captured.err
        return code, captured.out, captured.err

    return run


@pytest.fixture
def check_csv(check, tmp_path):
    """Run the command with --csv; gives the exit code and the rows of the findings."""

    def run(*arguments):
        table = tmp_path / "out" / "findings.csv"
        code, *_ = check(*arguments, "--csv", table)
        with open(table, newline="", encoding="utf-8-sig") as file:
            return code, list(csv.DictReader(file))

    return run
