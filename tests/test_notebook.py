"""S6.ipynb, run end to end on small data, and as it is committed."""

import json
import re
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
        cells["net"].source += f"\nutils.dataset.MD5 = {md5_sums(digits / 'MNIST' / 'raw')}"
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
    assert "could not be made" not in text
    assert sorted(file.name for file in (output_dir / "1").iterdir()) == [
        ".lock",
        "Draw_a_Digit.html",
        "Test_inference_result_b60.png",
        "checkpoint.pt",
        "code",
        "confusion_matrix.png",
        "curves.png",
        "history.csv",
        "mistakes.png",
        "net.pt",
        "own_image.png",
        "settings.json",
        "train_data_sample.png",
    ]
    assert sorted(file.name for file in output_dir.iterdir()) == ["1", "runs.png"]
    code = sorted(file.name for file in (output_dir / "1" / "code").iterdir())
    assert code == ["model.py", "notebook or script.py", "utils.py"]
    assert [row.epoch for row in read_history(output_dir / "1" / "history.csv")] == [1, 2]


def without_pictures(cells):
    """Leave out what draws, which takes most of the time, but for the confusion matrix."""
    for name in ("page", "draw-samples", "draw-log", "draw-curves", "draw-mistakes"):
        cells[name].source = ""
    cells["draw-own-image"].source = cells["shapes"].source = ""


def test_notebook_may_start_from_the_trained_weights(run_notebook, kernel, tmp_path):
    output_dir = tmp_path / "run"
    weights = str(ROOT / "results" / "net.pt")
    text = run_notebook(kernel, edit=without_pictures, output_dir=str(output_dir), weights=weights)
    assert f"{weights}: " in text
    assert not (output_dir / "1" / "history.csv").exists()
    assert (output_dir / "1" / "confusion_matrix.png").exists()


def changing(name, old, new):
    """An edit of the notebook without its pictures: one text of a cell replaced by another."""

    def edit(cells):
        without_pictures(cells)
        assert old in cells[name].source
        cells[name].source = cells[name].source.replace(old, new)

    return edit


def test_what_is_changed_begins_a_run_and_what_only_looks_does_not(run_notebook, kernel, tmp_path):
    """In one kernel, as of a reader who edits a cell and runs all of them once more."""

    def run(edit, **settings):
        text = run_notebook(kernel, edit=edit, output_dir=str(tmp_path / "runs"), **settings)
        return next(line for line in text.splitlines() if line.startswith("run "))

    first = run(without_pictures)
    assert first == f"run 1, in {tmp_path / 'runs' / '1'}"
    look = "image, label = train_data[0]\nprint(label, image.mean())\nprint("
    assert "run 1, in" in run(changing("data", "print(", look))
    assert "run 1, in" in run(changing("training", "optimizer =", "# SGD\noptimizer ="))
    plain = changing("transforms", "utils.RandomAffine(rotation, scale, shear, shift),", "")
    assert run(plain).endswith("runs/2: train_transform")
    loss = changing(
        "training", "        run.record", "        trained = trained\n        run.record"
    )
    assert run(loss).endswith("runs/3: train_transform, the training loop")
    assert "run 2, in" in run(plain)
    assert run(plain, seed=2).endswith("runs/4: seed 1 → 2, train_transform, the training loop")
    assert run(without_pictures, clip=1.0).endswith(
        "runs/5: clip 2.0 → 1.0, seed 2 → 1, train_transform"
    )


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"batch_size": "many"}, "batch_size must be a whole number, 1 or more, not 'many'"),
        ({"weight": "x"}, "there is no setting weight: did you mean weights?"),
        ({"lr": 0.01}, "there is no setting lr: did you mean learning_rate?"),
    ],
)
def test_a_bad_setting_ends_in_one_line_before_any_training(
    parameters, message, run_notebook, kernel, tmp_path
):
    output_dir = tmp_path / "run"
    with pytest.raises(PapermillExecutionError) as error:
        run_notebook(kernel, output_dir=str(output_dir), **parameters)
    assert error.value.ename == "SettingsError"
    assert error.value.evalue == message
    assert error.value.traceback == [f"SettingsError: {error.value.evalue}"]
    assert not output_dir.exists()


def test_a_notebook_started_elsewhere_says_what_to_do(run_notebook, tmp_path):
    with pytest.raises(PapermillExecutionError, match="run papermill with --cwd") as error:
        run_notebook(folder=tmp_path)
    assert error.value.ename == "SystemExit"


def test_a_net_of_other_arguments_is_told_what_to_write(run_notebook, kernel):
    with pytest.raises(PapermillExecutionError) as error:
        run_notebook(kernel, edit=changing("model", "dropout=", "dropuot="))
    assert error.value.evalue.endswith(": write here what your Net takes, such as Net()")
    assert len(error.value.traceback) == 1


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


def test_a_network_of_one_s_own_in_two_files_is_read_anew_when_edited(
    run_notebook, project, tmp_path
):
    (project / "blocks.py").write_text(BLOCKS)
    (project / "model.py").write_text(
        "from blocks import Head\n\n\ndef Net():\n    return Head(784, 10)\n"
    )
    manager = AsyncKernelManager()

    def run():
        text = run_notebook(
            manager, edit=changing("model", "dropout=dropout", ""), folder=project,
            output_dir=str(tmp_path / "runs"),
        )  # fmt: skip
        return text

    first = run()
    assert "7,850 parameters" in first
    assert "run 1, in" in first
    (project / "blocks.py").write_text(BLOCKS.replace("x.flatten(1)", "2 * x.flatten(1)"))
    second = run()
    assert re.search(r"run 2, in .*: blocks.py: 1 line\n", second)
    losses = [read_history(tmp_path / "runs" / name / "history.csv") for name in ("1", "2")]
    assert losses[0][0].train_loss != losses[1][0].train_loss
    run_sync(manager.shutdown_kernel)(now=True)


COLAB = {  # what stands in for it: where Drive is mounted and what pip is asked for is printed
    "google/colab/__init__.py": "",
    "google/colab/drive.py": "def mount(folder):\n    print('mounted at', folder)\n",
    "pip/__init__.py": "",
    "pip/__main__.py": "import sys\nprint('pip', *sys.argv[1:])\n",
}


@pytest.fixture
def run_in_colab(run_notebook, project, tmp_path, monkeypatch):
    """Run the notebook with a stand-in google.colab, whose Drive is a folder with the project."""
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

save, saved = mnist.run.save_history, []


def save_or_die(history, path):
    save(history, path)
    if len(history) == 2:
        os._exit(1)


mnist.run.save_history = save_or_die
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
    assert len(read_history(run_in_colab.output_dir / "1" / "history.csv")) == 2
    text = run_in_colab(epochs=3)
    assert "mounted at /content/drive" in text
    assert "pip install --quiet -r requirements.txt" in text
    assert "goes on: 2 of 3 epochs are done" in text
    assert len(read_history(run_in_colab.output_dir / "1" / "history.csv")) == 3


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
