"""S6.ipynb, run end to end on small data, and as it is committed."""

import json
import shutil

import nbformat
import papermill
import pytest
from jupyter_client import AsyncKernelManager
from jupyter_core.utils import run_sync
from nbclient.exceptions import DeadKernelError
from papermill.exceptions import PapermillExecutionError

from mnist.history import read_history
from tests.digits import ROOT, md5_sums


@pytest.fixture
def run_notebook(digits, tmp_path, monkeypatch):
    """Run a copy of the notebook on the small data, whose checksums an added cell sets."""
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")

    def run(kernel=None, edit=lambda cells: None, folder=ROOT, **parameters):
        notebook = nbformat.read(ROOT / "S6.ipynb", as_version=4)
        cells = {cell.id: cell for cell in notebook.cells}
        cells["modules"].source += f"\nutils.dataset.MD5 = {md5_sums(digits / 'MNIST' / 'raw')}"
        edit(cells)
        nbformat.write(notebook, tmp_path / "in.ipynb")
        settings = {"epochs": 1, "batch_size": 60, "data_dir": str(digits), **parameters}
        executed = papermill.execute_notebook(
            tmp_path / "in.ipynb",
            tmp_path / "out.ipynb",
            parameters=settings,
            cwd=folder,
            progress_bar=False,
            km=kernel,
        )
        return printed(executed)

    return run


@pytest.fixture(scope="module")
def kernel():
    """One kernel for several runs, as of a reader who runs all cells once more."""
    manager = AsyncKernelManager()
    yield manager
    run_sync(manager.shutdown_kernel)(now=True)


def printed(notebook):
    return "".join(
        output["text"]
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if output.output_type == "stream"
    )


def test_notebook_runs_end_to_end(run_notebook, kernel, tmp_path):
    output_dir = tmp_path / "run"
    text = run_notebook(kernel, output_dir=str(output_dir), epochs=2)
    assert "Not in Colab: nothing to mount and nothing to install." in text
    assert "Total params: 17,466" in text
    assert sorted(file.name for file in output_dir.iterdir()) == [
        "Draw_a_Digit.html",
        "Test_inference_result_b60.png",
        "checkpoint.pt",
        "confusion_matrix.png",
        "curves.png",
        "history.csv",
        "mistakes.png",
        "net.pt",
        "own_image.png",
        "train_data_sample.png",
    ]
    assert [row.epoch for row in read_history(output_dir / "history.csv")] == [1, 2]


def without_pictures(cells):
    """Leave out what draws, which takes most of the time, but for the confusion matrix."""
    cells["page"].source = ""
    for name in ("samples", "log", "curves", "mistakes", "own-image"):
        cells[f"draw-{name}"].source = ""


def test_notebook_may_start_from_the_trained_weights(run_notebook, kernel, tmp_path):
    output_dir = tmp_path / "run"
    weights = str(ROOT / "results" / "net.pt")
    text = run_notebook(
        kernel,
        edit=without_pictures,
        output_dir=str(output_dir),
        weights=weights,
    )
    assert f"{weights}: " in text
    assert not (output_dir / "history.csv").exists()
    assert (output_dir / "confusion_matrix.png").exists()


def test_a_bad_setting_ends_in_one_line_before_any_training(run_notebook, kernel, tmp_path):
    output_dir = tmp_path / "run"
    with pytest.raises(PapermillExecutionError) as error:
        run_notebook(kernel, output_dir=str(output_dir), batch_size="many")
    assert error.value.ename == "SettingsError"
    assert error.value.evalue == "batch_size must be a whole number, 1 or more, not 'many'"
    assert error.value.traceback == [f"SettingsError: {error.value.evalue}"]
    assert not output_dir.exists()


COLAB = {  # what stands in for it: where Drive is mounted and what pip is asked for is printed
    "google/colab/__init__.py": "",
    "google/colab/drive.py": "def mount(folder):\n    print('mounted at', folder)\n",
    "pip/__init__.py": "",
    "pip/__main__.py": "import sys\nprint('pip', *sys.argv[1:])\n",
}


@pytest.fixture
def run_in_colab(run_notebook, tmp_path, monkeypatch):
    """Run the notebook with a stand-in google.colab, whose Drive is a folder with the project."""
    project = tmp_path / "drive" / "MyDrive" / "S6"
    project.mkdir(parents=True)
    for file in [*ROOT.glob("*.py"), ROOT / "requirements.txt"]:
        shutil.copy(file, project)
    for folder in ("mnist", "common", "Test_Images"):
        shutil.copytree(ROOT / folder, project / folder)
    for name, program in COLAB.items():
        file = tmp_path / "stand-in" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(program)

    def on_drive(cells):
        without_pictures(cells)
        drive = cells["drive"]
        drive.source = drive.source.replace("/content/drive/MyDrive/S6", str(project))

    def run(**settings):
        monkeypatch.setenv("PYTHONPATH", str(tmp_path / "stand-in"))
        content = tmp_path / "content"  # where a session starts; lost with it
        content.mkdir()
        text = run_notebook(
            edit=on_drive,
            folder=content,
            **settings,
        )
        assert not list(content.iterdir())
        return text

    run.output_dir = project / "runs" / "mnist"
    return run


def test_notebook_in_colab_works_on_drive_and_goes_on_after_a_lost_session(
    run_notebook, kernel, run_in_colab
):
    """The kernel dies while it saves its second epoch, so this test is the last to use it."""
    dying = """import os

import mnist.run

save, saved = mnist.run.save_weights, []


def save_or_die(model, path):
    saved.append(path)
    if len(saved) == 2:
        os._exit(1)
    save(model, path)


mnist.run.save_weights = save_or_die
"""

    def die(cells):
        without_pictures(cells)
        cells["check"].source += f"\n{dying}"

    with pytest.raises(DeadKernelError):
        run_notebook(
            kernel,
            edit=die,
            output_dir=str(run_in_colab.output_dir),
            epochs=3,
        )
    assert len(read_history(run_in_colab.output_dir / "history.csv")) == 2
    text = run_in_colab(epochs=3)
    assert "mounted at /content/drive" in text
    assert "pip install --quiet -r requirements.txt" in text
    assert "2 of 3 epochs are done: resuming from" in text
    assert len(read_history(run_in_colab.output_dir / "history.csv")) == 3


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
    assert "60,000 images to train with, 10,000 to test with" in text
    rows = [line.split() for line in text.splitlines() if line.endswith(tuple("0123456789"))]
    epochs = [row for row in rows if len(row) == 9 and row[0].isdigit()]
    assert [int(row[0]) for row in epochs] == list(range(1, 20))
    assert float(epochs[-1][6]) >= 99.4
