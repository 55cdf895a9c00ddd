"""Runs: their folders, and what becomes of those that are cut off, stopped, spoilt or changed."""

import os
import random
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
import torch
from filelock import FileLock
from torch.optim import lr_scheduler
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import BatchSampler, DataLoader, RandomSampler

import mnist.run
import utils
from common import UserError
from mnist import history
from mnist.__main__ import main
from mnist.checkpoint import load_weights
from mnist.history import read_history, read_runs, table
from mnist.run import order_of
from tests.digits import CPU, ROOT, TrainingRun, kill_once_there, stand_in


class Killed(BaseException):
    """Stands for the end of the process."""


def raising(error):
    def act(*_, **__):
        raise error

    return act


def kill(run, epoch, step, at_the_end=None):
    """Train until the process ends in the middle of an epoch."""
    run.before_step(epoch, step, raising(Killed))
    with pytest.raises(Killed):
        run.fit(at_the_end)


def assert_weights(run, path):
    saved = torch.load(path, weights_only=True)
    assert all(torch.equal(saved[name], value) for name, value in run.model.state_dict().items())


def without_seconds(rows):
    return [replace(row, seconds=0) for row in rows]


def contents(folder):
    return {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def loop(run, in_epoch=lambda epoch: None, numbers=((1.0, 50.0),) * 2, own=(), **more):
    """Record the same loss and accuracy in every epoch, and then do something."""
    with run.begin(**more) as kept:
        for epoch in kept.epochs():
            kept.record(*numbers, **dict(own))
            in_epoch(epoch)
    return kept


@pytest.fixture
def training(small_mnist, tmp_path):
    """Make a run in a folder of the test, by default the same one each time."""
    return lambda folder="runs", **settings: TrainingRun(small_mnist, tmp_path / folder, **settings)


@pytest.fixture
def finished(training, tmp_path):
    """The folder of the test's runs, with one of one epoch that is whole."""
    loop(training())
    return tmp_path / "runs"


def train_apart(data_dir, folder):
    with pytest.MonkeyPatch.context() as patch:
        stand_in(patch, data_dir)
        TrainingRun(data_dir, folder, epochs=3).fit()


def test_a_run_that_was_killed_goes_on_and_ends_as_if_it_had_not_been(
    training, digits, tmp_path, capsys
):
    """Killed with signal 9, whatever it is just doing, and again in the middle of an epoch."""
    folder = tmp_path / "runs"
    results = folder / "1" / "history.csv"
    kill_once_there(results, train_apart, digits, folder)
    kill(training(epochs=3), 1, 7)
    done = len(read_history(results))
    capsys.readouterr()
    resumed = training(epochs=3)
    expected = without_seconds(resumed.fit())
    goes_on = f"run 1, in {folder / '1'}, goes on: {done} of 3 epochs are done\n"
    assert goes_on in capsys.readouterr().out
    whole = training("whole", epochs=3)
    assert without_seconds(whole.fit()) == expected == without_seconds(read_history(results))
    assert torch.equal(resumed.weights(), whole.weights())


def test_a_kill_after_the_checkpoint_leaves_no_old_results(training, monkeypatch):
    run = training()
    with monkeypatch.context() as patch:
        patch.setattr(history, "save_history", raising(Killed))
        with pytest.raises(Killed):
            run.fit()
    resumed = training()
    assert resumed.fit() == read_history(run.folder / "history.csv")
    assert_weights(resumed, run.folder / "net.pt")


def per_batch(run):
    warm = lr_scheduler.LinearLR(run.optimizer, 0.1, total_iters=4)
    cosine = lr_scheduler.CosineAnnealingLR(run.optimizer, 32)
    run.scheduler = lr_scheduler.SequentialLR(run.optimizer, [warm, cosine], milestones=[4])


def plain_loader(run):
    """Each image augmented alone, and a schedule of NumPy's numbers stepped after the epoch."""
    run.train_loader = DataLoader(run.train_loader.dataset, batch_size=50, shuffle=True)
    rates = np.array([1, 0.5, 0.1])
    run.scheduler = lr_scheduler.LambdaLR(run.optimizer, lambda epoch: rates[min(epoch, 2)])
    return lambda epoch, tested: run.scheduler.step()


@pytest.mark.parametrize("change", [per_batch, plain_loader])
def test_a_loop_of_another_kind_resumes_bit_for_bit(change, training):
    whole = training("whole", epochs=3)
    rows = whole.fit(change(whole))
    assert rows[-1].train_loss < rows[0].train_loss - 0.3
    killed = training(epochs=3)
    kill(killed, 3, 3, change(killed))
    resumed = training(epochs=3)
    assert without_seconds(resumed.fit(change(resumed))) == without_seconds(rows)
    assert torch.equal(resumed.weights(), whole.weights())


def test_what_a_loop_keeps_of_its_own_and_all_random_numbers_are_kept(training):
    def fit(seed, stop=None):
        run, drawn = training(epochs=3), []
        run.scheduler, average = None, AveragedModel(run.model)
        random.seed(seed)
        np.random.seed(seed)

        def in_epoch(epoch):
            average.update_parameters(run.model)
            drawn.append((random.random(), np.random.rand(), int(average.n_averaged)))
            if epoch == stop:
                raise KeyboardInterrupt

        with suppress(KeyboardInterrupt):
            loop(run, in_epoch, average=average)
        return drawn

    first, again = fit(seed=1, stop=2), fit(seed=7)  # as in a new process
    random.seed(1)
    np.random.seed(1)
    assert first[:1] + again == [(random.random(), np.random.rand(), n) for n in (1, 2, 3)]


def test_a_resumed_run_keeps_what_auto_became(training, monkeypatch):
    def made(folder, fastest):
        monkeypatch.setattr(mnist.run, "fastest_precision", lambda model, images: fastest)
        run = training(folder, epochs=2)
        run.settings["precision"] = "auto"
        return run

    whole = made("whole", "bfloat16")
    whole.fit()
    kill(made("killed", "bfloat16"), 2, 3)
    resumed = made("killed", "float32")
    resumed.fit()
    assert torch.equal(resumed.weights(), whole.weights())


def test_an_order_that_a_resumed_run_cannot_repeat_is_told(training, capsys):
    data, own = training().train_loader.dataset, torch.Generator()
    capsys.readouterr()
    batches = BatchSampler(RandomSampler(data, generator=own), 50, False)
    assert order_of(DataLoader(data, batch_sampler=batches)) is own
    assert capsys.readouterr().out == ""
    order_of(DataLoader(data, batch_size=50, num_workers=1, persistent_workers=True))
    assert "persistent_workers: a resumed run has another order" in capsys.readouterr().out
    assert order_of(DataLoader(data, sampler=range(599, -1, -1))) is None
    assert "the sampler has no generator: a resumed run may see" in capsys.readouterr().out


class Part:
    """A part whose state torch cannot read back, if it holds an array."""

    kept = None

    def state_dict(self):
        return {"kept": self.kept}

    def load_state_dict(self, state):
        self.kept = state["kept"]


@pytest.mark.parametrize("at_first", [None, np.zeros(2)])
def test_a_run_with_a_part_that_cannot_be_kept_ends_and_shows_its_results(
    at_first, training, capsys
):
    """It cannot be kept from the start, or only from the last epoch on."""

    def run(killed=False):
        part = Part()
        part.kept = at_first

        def in_epoch(epoch):
            part.kept = np.zeros(2) if epoch == 2 else part.kept
            if epoch == 2 and killed:
                raise Killed

        return loop(training(epochs=2), in_epoch, part=part)

    with pytest.raises(Killed):
        run(killed=True)
    told = "part (Part) has a state_dict with more than tensors, "
    assert (told in capsys.readouterr().out) is (at_first is not None)
    kept = run()
    anew = "cannot go on: it has no checkpoint. A new run begins" in capsys.readouterr().out
    assert anew is (at_first is not None)
    assert not (kept.folder / "checkpoint.pt").exists()
    again = run()
    assert "is whole: 2 of 2" in capsys.readouterr().out
    assert (again.folder, again.history) == (kept.folder, kept.history)


def test_other_settings_begin_a_new_run_and_the_earlier_ones_find_theirs(
    training, finished, capsys
):
    before = contents(finished)
    own = {"learning_rate": 0.06, "betas": (0.9, 0.99), "device": CPU}

    def fit(**settings):
        run = training()
        run.settings |= settings
        rows = run.fit()
        return rows, run, capsys.readouterr().out

    *_, printed = fit(**own)
    began = f"run 2, in {finished / '2'}: betas None → [0.9, 0.99], device None → 'cpu', learning"
    assert began in printed
    assert f"run 2, in {finished / '2'}, is whole: 1 of 1" in fit(**own)[2]
    assert f"run 3, in {finished / '3'}: nothing changed\n" in fit(**own, resume=False)[2]
    assert "run 4, " in fit(data_dir="elsewhere")[2]
    rows, run, printed = fit(own_image="other.png")
    assert f"run 1, in {finished / '1'}, is whole: 1 of 1 epochs are done\n" in printed
    assert rows == read_history(finished / "1" / "history.csv")
    assert_weights(run, finished / "1" / "net.pt")
    assert before.items() <= contents(finished).items()


def test_a_network_trained_before_and_one_with_frozen_layers_are_trained(training, finished):
    run = training(learning_rate=0.06)
    load_weights(run.model, finished / "1" / "net.pt")
    run.fit()
    frozen = run.model.edges.requires_grad_(False)[0].weight.clone()
    run.settings["phase"] = 2
    run.fit()
    assert run.folder == finished / "3"
    assert torch.equal(run.model.edges[0].weight, frozen)


def test_a_run_with_weights_trains_nothing_and_has_a_folder_of_its_own(training, finished):
    weights = finished / "1" / "net.pt"
    for _ in range(2):
        run = training()
        run.settings["weights"] = str(weights)
        load_weights(run.model, weights.with_name("checkpoint.pt"))
        assert run.fit() == []
        assert_weights(run, weights)
        assert run.folder.name == "2"
    *_, row = table(read_runs(finished)).splitlines()
    assert row.endswith(f"weights '' → {str(weights)!r}")


def test_a_run_that_another_process_trains_is_left_alone(training, finished, capsys):
    with FileLock(finished / "1" / ".lock"):  # as another process has it
        assert loop(training()).folder == finished / "2"
    assert "cannot go on: another process trains it. A new run begins" in capsys.readouterr().out


def test_this_process_takes_a_folder_again_that_it_has_not_let_go_of(training):
    begun = [training().begin() for _ in range(2)]  # as where a cell fails before the loop
    assert [each.folder.name for each in begun] == ["1", "1"]
    epochs = begun[1].epochs()
    next(epochs)
    with pytest.raises(UserError, match=r"call run.record\(trained, tested\)"):
        next(epochs)
    with FileLock(loop(training()).folder / ".lock", timeout=0):
        pass


def test_a_spoilt_checkpoint_is_kept_and_a_new_run_begins(training, finished, capsys):
    path = finished / "1" / "checkpoint.pt"
    path.write_bytes(path.read_bytes()[:-300])
    before = contents(finished)
    assert loop(training()).folder == finished / "2"
    assert f"cannot go on: {path} is damaged" in capsys.readouterr().out
    assert before.items() <= contents(finished).items()


@pytest.mark.parametrize("epoch", [1, 3])
def test_a_stop_by_hand_ends_the_cell_and_the_next_goes_on_as_if_there_had_been_none(
    epoch, training, capsys
):
    whole = training("whole", epochs=3)
    rows = whole.fit()
    run = training(epochs=3)
    run.before_step(epoch, 4, raising(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        run.fit()
    assert f"stopped in epoch {epoch}: {epoch - 1} of 3 are saved\n" in capsys.readouterr().out
    assert without_seconds(run.fit()) == without_seconds(rows)
    assert torch.equal(run.weights(), whole.weights())


def test_a_loss_that_is_not_finite_stops_the_run(training):
    run = training(epochs=3)
    run.before_step(2, 3, lambda: run.model.digits[0].bias.data.fill_(float("nan")))
    told = r"^epoch 2: the loss is not finite at step 5, learning rate 0\.0.* Lower .*: 1$"
    with pytest.raises(utils.Diverged, match=told):
        run.fit()
    saved = torch.load(run.folder / "net.pt", weights_only=True)
    assert all(value.isfinite().all() for value in saved.values())


def test_a_network_whose_weights_are_wrecked_is_told_before_training(training, tmp_path):
    run = training()
    run.model.digits[0].bias.data.fill_(float("nan"))
    with pytest.raises(UserError, match="answers are not finite before any training"):
        run.begin()
    assert not (tmp_path / "runs").exists()


def test_a_full_disk_is_one_line_and_leaves_the_last_checkpoint(training, capsys):
    resource = pytest.importorskip("resource")
    run = training(epochs=3)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    limits = (30_000, hard)  # in bytes; the weights alone take more
    run.before_step(3, 0, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limits))
    try:
        with pytest.raises(UserError, match=r"checkpoint.pt: File too large; .*: 2$"):
            run.fit()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert len(training(epochs=3).fit()) == 3
    assert "goes on: 2 of 3 epochs are done" in capsys.readouterr().out


def test_a_break_ends_the_run_for_good(training, tmp_path, capsys):
    run, again = training(epochs=4), training(epochs=4)
    assert len(run.fit(lambda epoch, tested: epoch == 2)) == 2
    assert "ended by the loop in epoch 2 of 4" in capsys.readouterr().out
    assert [row.epoch for row in again.fit()] == [1, 2]
    assert torch.equal(again.weights(), run.weights())
    assert "2 of 4" in table(read_runs(tmp_path / "runs"))


def test_numbers_of_any_kind_are_in_log_history_and_table(training, tmp_path, capsys):
    numbers = (np.float64(1), 50), (torch.tensor(1.0), torch.tensor(11.35))
    own = {"f1": torch.tensor(0.125), "each": np.array([0.5, 2])}
    kept = loop(training(), numbers=numbers, own=own)
    printed = capsys.readouterr().out
    assert "f1 0.1250   each 0 0.5000   each 1 2.0000\n11.35 % is no better than gues" in printed
    rows = read_history(kept.folder / "history.csv")
    assert rows == kept.history
    assert rows[0].more == {"f1": 0.125, "each 0": 0.5, "each 1": 2}
    assert " 0.1250 " in table(read_runs(tmp_path / "runs"))


def test_the_command_shows_all_runs_killed_ones_too(training, finished, capsys):
    kill(training(epochs=3), 1, 3)
    kill(training(epochs=3), 2, 3)  # in the same folder
    capsys.readouterr()
    assert main(["runs", str(finished)]) == 0
    _, first, second, _, picture = capsys.readouterr().out.splitlines()
    assert first.split()[:3] == ["1", "17,466", "1"]
    assert second.split()[:5] == ["2", "17,466", "1", "of", "3"]
    assert second.endswith("epochs 1 → 3")
    assert (finished / "runs.png").samefile(picture)
    assert main(["runs", str(finished / "1")]) == 2
    assert f"there are no runs in {finished / '1'}" in capsys.readouterr().err


SCRIPT = """import sys
sys.path.insert(0, ROOT)
import torch
from torch.utils.data import DataLoader, TensorDataset
from mnist.run import Run

model = torch.nn.Linear(784, 10)
loader = DataLoader(TensorDataset(torch.rand(8, 784), torch.arange(8)), batch_size=4)
parts = model, torch.optim.SGD(model.parameters(), lr=0.1), None, loader, loader
with Run({"epochs": 1, "output_dir": "runs"}, *parts) as run:
    for epoch in run.epochs():
        run.record((1.0, 50.0), (1.0, 50.0))
""".replace("ROOT", repr(str(ROOT)))


def test_a_script_is_compared_under_any_code_page(tmp_path):
    def run(text):
        (tmp_path / "train.py").write_text(text)
        variables = os.environ | {"PYTHONIOENCODING": "cp1252"}
        command = [sys.executable, "train.py"]
        return subprocess.check_output(command, cwd=tmp_path, env=variables).decode()

    assert "run 1, in runs" in run(SCRIPT)
    assert "is whole" in run(f"# Nothing new.\n{SCRIPT}")
    changed = run(SCRIPT.replace('"epochs": 1', '"epochs": 2').replace("0.1", "0.2"))
    assert "run 2, in runs/2: epochs 1 → 2, train.py: 2 lines\nit begins anew, for" in changed
