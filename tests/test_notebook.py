"""S6.ipynb, run end to end on small data, and as it is committed."""

import ast
import json
import os
import re
import shutil
from contextlib import contextmanager

import nbformat
import papermill
import pytest
from jupyter_client import AsyncKernelManager
from jupyter_core.utils import run_sync
from nbclient import NotebookClient
from nbclient.exceptions import DeadKernelError
from packaging.requirements import Requirement
from papermill.exceptions import PapermillExecutionError

from mnist.history import read_history
from tests.colab import write_stand_in
from tests.digits import ROOT


@pytest.fixture
def runs(tmp_path):
    """The folder of the test's runs."""
    return tmp_path / "runs"


@pytest.fixture
def run_notebook(digits, tmp_path, runs, monkeypatch):
    """Run a copy of the notebook on the small data."""
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")

    def run(kernel=None, edit=lambda cells: None, folder=ROOT, **parameters):
        notebook = nbformat.read(ROOT / "S6.ipynb", as_version=4)
        cells = {cell.id: cell for cell in notebook.cells}
        edit(cells)
        nbformat.write(notebook, tmp_path / "in.ipynb")
        settings = {"epochs": 1, "batch_size": 60, "data_dir": str(digits), "output_dir": str(runs)}
        executed = papermill.execute_notebook(
            tmp_path / "in.ipynb", tmp_path / "out.ipynb", parameters=settings | parameters,
            cwd=folder, progress_bar=False, km=kernel, execution_timeout=300,
        )  # fmt: skip
        return printed(executed)

    return run


@contextmanager
def running_kernel():
    """One kernel for several runs, as of a reader who runs all cells once more."""
    manager = AsyncKernelManager()
    try:
        yield manager
    finally:
        run_sync(manager.shutdown_kernel)(now=True)


@pytest.fixture(scope="module")
def kernel():
    with running_kernel() as manager:
        yield manager


def printed(notebook):
    return "".join(
        output["text"]
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if output.output_type == "stream"
    )


def test_notebook_runs_end_to_end(run_notebook, kernel, runs):
    text = run_notebook(kernel, epochs=2)
    assert "Drive" not in text
    assert "Total params: 17,466" in text
    assert "could not be made" not in text
    assert {*os.listdir(runs / "1")} == {
        ".lock", "code", "settings.json", "history.csv", "checkpoint.pt", "net.pt",
        "train_data_sample.png", "Test_inference_result_b60.png", "curves.png",
        "confusion_matrix.png", "mistakes.png", "own_image.png", "Draw_a_Digit.html",
    }  # fmt: skip
    assert {*os.listdir(runs / "1" / "code")} == {"model.py", "notebook cells.py", "utils.py"}
    assert {*os.listdir(runs)} == {"1", "runs.png"}
    assert [row.epoch for row in read_history(runs / "1" / "history.csv")] == [1, 2]


def without_pictures(cells):
    """Leave out what draws, which takes most of the time, but for the confusion matrix."""
    for name in ("page", "draw-samples", "draw-log", "draw-curves", "draw-mistakes"):
        cells[name].source = ""
    cells["draw-own-image"].source = cells["shapes"].source = ""


def test_notebook_may_start_from_the_trained_weights(run_notebook, kernel, runs):
    weights = str(ROOT / "results" / "net.pt")
    assert f"{weights}: " in run_notebook(kernel, edit=without_pictures, weights=weights)
    assert not (runs / "1" / "history.csv").exists()
    assert (runs / "1" / "confusion_matrix.png").exists()


def changing(name, old, new):
    """An edit of the notebook without its pictures: one text of a cell replaced by another."""

    def edit(cells):
        without_pictures(cells)
        assert old in cells[name].source
        cells[name].source = cells[name].source.replace(old, new)

    return edit


def test_a_run_goes_on_with_the_same_settings_and_code_alone(run_notebook, kernel, runs):
    """In one kernel, as of a reader who edits a cell and runs all of them once more."""

    def run(edit, **settings):
        text = run_notebook(kernel, edit=edit, **settings)
        return next(line for line in text.splitlines() if line.startswith("run "))

    assert run(without_pictures) == f"run 1, in {runs / '1'}"
    assert "run 1, in" in run(changing("training", "optimizer =", "# SGD\noptimizer ="))
    plain = changing("transforms", "utils.RandomAffine(rotation, scale, shear, shift),", "")
    assert run(plain).endswith("runs/2: notebook: 1 line")
    assert run(without_pictures, clip=1.0).endswith("runs/3: clip 2.0 → 1.0, notebook: 1 line")
    assert "run 2, in" in run(plain)
    assert "run 1, in" in run(without_pictures)
    look = "image, label = train_data[0]\nprint("
    assert run(changing("data", "print(", look)).endswith(
        "runs/4: clip 1.0 → 2.0, notebook: 1 line"
    )


def test_a_parameter_that_is_no_setting_ends_in_one_line_before_any_training(
    run_notebook, kernel, runs
):
    with pytest.raises(PapermillExecutionError) as error:
        run_notebook(kernel, seeds=3)
    message = "UserError: there is no setting seeds; there are epochs, "
    (line,) = error.value.traceback
    assert line.startswith(message)
    assert not runs.exists()


def test_a_notebook_started_elsewhere_says_what_to_do(run_notebook, tmp_path):
    with pytest.raises(PapermillExecutionError, match="run papermill with --cwd") as error:
        run_notebook(folder=tmp_path)
    assert error.value.ename == "SystemExit"


@pytest.fixture
def project(tmp_path):
    """A copy of the project, to be edited."""
    folder = tmp_path / "drive" / "MyDrive" / "S6"
    folder.mkdir(parents=True)
    for file in [*ROOT.glob("*.py"), ROOT / "requirements.txt"]:
        shutil.copy(file, folder)
    for name in ("mnist", "common", "Test_Images"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


BLOCKS = """import torch.nn.functional as F
from torch import nn


class Head(nn.Linear):
    def forward(self, x):
        return F.log_softmax(super().forward(x.flatten(1)), dim=1)
"""


def test_a_network_of_one_s_own_in_two_files_is_read_anew_when_edited(run_notebook, project, runs):
    (project / "blocks.py").write_text(BLOCKS)
    (project / "model.py").write_text(
        "from blocks import Head\n\n\ndef Net():\n    return Head(784, 10)\n"
    )
    edit = changing("model", "dropout=dropout", "")
    with running_kernel() as kernel:
        first = run_notebook(kernel, edit=edit, folder=project)
        (project / "blocks.py").write_text(BLOCKS.replace("x.flatten(1)", "2 * x.flatten(1)"))
        second = run_notebook(kernel, edit=edit, folder=project)
    assert "7,850 parameters" in first
    assert "run 1, in" in first
    assert re.search(r"run 2, in .*: blocks.py: 1 line\n", second)
    (before,), (after,) = (read_history(runs / name / "history.csv") for name in ("1", "2"))
    assert before.train_loss != after.train_loss


LOST = "The project is not on Drive: the results are lost with the session."

DYING = """
import os

from mnist import history

save = history.save_history


def save_or_die(rows, path):
    save(rows, path)
    if len(rows) == 2 and "LOST" in os.environ:
        os._exit(1)


history.save_history = save_or_die
"""


def test_notebook_in_colab_works_on_drive_and_goes_on_after_a_lost_session(
    run_notebook, project, tmp_path, monkeypatch
):
    """The kernel dies while it saves its second epoch."""
    for name, value in write_stand_in(tmp_path / "stand-in").items():
        monkeypatch.setenv(name, value)
    content = tmp_path / "content"  # where a session starts; lost with it
    content.mkdir()

    def edit(cells):
        changing("check", "picture,", f"{DYING}picture,")(cells)
        changing("drive", "/content/drive/MyDrive/S6", str(project))(cells)

    def run():
        return run_notebook(edit=edit, folder=content, epochs=3, output_dir="runs/mnist")

    rows = project / "runs" / "mnist" / "1" / "history.csv"
    with monkeypatch.context() as patch:
        patch.setenv("LOST", "1")
        with pytest.raises(DeadKernelError):
            run()
    assert len(read_history(rows)) == 2
    text = run()
    assert not list(content.iterdir())
    assert "mounted at /content/drive" in text
    assert "pip" not in text
    assert "goes on: 2 of 3 epochs are done" in text
    assert len(read_history(rows)) == 3


@pytest.mark.parametrize(
    ("variables", "needs", "printed_lines", "installed"),
    [
        ({"NO_DRIVE": "1"}, "tqdm", ["Drive is not mounted: mount failed", LOST], False),
        ({}, "no_such_module", ["mounted at /content/drive", LOST], True),
        ({"IPYTHONDIR": "none", "KAGGLE_KERNEL_RUN_TYPE": "Interactive"}, "tqdm", [], False),
        ({"IPYTHONDIR": "none", "KAGGLE_KERNEL_RUN_TYPE": "Batch"}, "no_such_module", [], True),
        ({"IPYTHONDIR": "none"}, "no_such_module", [], False),
    ],
    ids=["no Drive", "Colab", "Kaggle", "Kaggle without tqdm", "elsewhere without tqdm"],
)
def test_the_project_is_found_beside_the_notebook_and_what_is_missing_installed(
    variables, needs, printed_lines, installed, committed, tmp_path, monkeypatch
):
    """The cell alone, with the project as a folder S6 in the working directory, as on Kaggle."""
    (tmp_path / "S6").mkdir()
    (tmp_path / "S6" / "model.py").touch()
    folder = tmp_path / "stand-in"
    for name, value in {**write_stand_in(folder), **variables}.items():
        monkeypatch.setenv(name, str(folder / value) if name == "IPYTHONDIR" else value)
    (folder / "pip").mkdir()
    (folder / "pip" / "__init__.py").touch()
    asked = f"import sys\nopen({str(folder / 'asked')!r}, 'w').write(' '.join(sys.argv[1:]))\n"
    (folder / "pip" / "__main__.py").write_text(asked)
    cell = next(cell for cell in committed.cells if cell.id == "drive")
    source = cell.source.replace('"tqdm":', f'"{needs}":') + "\nprint(os.getcwd())"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    NotebookClient(notebook, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert printed(notebook).splitlines() == [*printed_lines, str(tmp_path / "S6")]
    assert (folder / "asked").exists() is installed
    if installed:
        assert (folder / "asked").read_text() == "install tqdm"


def test_the_requirements_admit_what_is_installed_in_colab():
    """So that `pip install -r requirements.txt` leaves its kernel and its PyTorch as they are."""
    pins = [Requirement(line) for line in (ROOT / ".ci" / "colab.txt").read_text().splitlines()[1:]]
    installed = {pin.name: next(iter(pin.specifier)).version for pin in pins}
    texts = [(ROOT / part / "requirements.txt").read_text() for part in (".", "backprop")]
    lines = [line for text in texts for line in text.splitlines() if not line.startswith("-r")]
    bounds = [bound for bound in map(Requirement, lines) if bound.name in installed]
    assert len(bounds) > 10
    for bound in bounds:
        assert bound.specifier.contains(installed[bound.name]), bound


def test_every_cell_is_plain_python(committed):
    """So that jupytext and marimo can make a script of it."""
    for cell in committed.cells:
        if cell.cell_type == "code":
            ast.parse(cell.source)


@pytest.fixture(scope="module")
def committed():
    return nbformat.read(ROOT / "S6.ipynb", as_version=4)


def test_committed_notebook_ran_in_order_without_errors(committed):
    code = [cell for cell in committed.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error"]
    assert "widget" not in json.dumps(committed)


def test_committed_notebook_trained_for_19_epochs_on_mnist(committed):
    text = printed(committed)
    text, _, _ = text.partition("Draw_a_Digit.html")  # the table of runs comes after it
    assert "60,000 images to train with, 10,000 to test with" in text
    rows = [line.split() for line in text.splitlines() if line.endswith(tuple("0123456789"))]
    epochs = [row for row in rows if len(row) == 9 and row[0].isdigit()]
    assert [int(row[0]) for row in epochs] == list(range(1, 20))
    assert float(epochs[-1][6]) >= 99.4
