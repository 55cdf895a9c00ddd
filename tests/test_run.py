"""Runs: their folders, and what becomes of those that are cut off, stopped, spoilt or changed."""

import json
import os
import random
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
import torch
from filelock import FileLock, Timeout
from torch.optim import lr_scheduler
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import BatchSampler, DataLoader, RandomSampler

import mnist.run
import utils
from common import UserError
from mnist import code, trial
from mnist.__main__ import main
from mnist.history import LOG_HEADER, log_line, read_history, read_runs, table, write_start
from mnist.run import Run, load_weights, order_of
from model import Net
from tests.digits import CPU, ROOT, TrainingRun, kill_once_there, stand_in

GUESSED = (1.0, 50.0), (1.0, 50.0)  # loss and accuracy, where no training is needed


class Killed(BaseException):
    """Stands for the end of the process: nothing in the project catches it."""


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
    """The run's model has the weights that were saved."""
    saved = torch.load(path, weights_only=True)
    assert all(torch.equal(saved[name], value) for name, value in run.model.state_dict().items())


def without_seconds(history):
    return [replace(row, seconds=0) for row in history]


def contents(folder):
    return {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.fixture
def training(small_mnist, tmp_path):
    """Make a run in a folder of the test, by default the same one each time."""
    return lambda folder="runs", **settings: TrainingRun(small_mnist, tmp_path / folder, **settings)


@pytest.fixture(scope="module")
def trained(digits, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        stand_in(patch, digits)
        TrainingRun(digits, folder).fit()
    return folder


@pytest.fixture
def finished(trained, tmp_path):
    """The folder of the test's runs, with one of one epoch that has ended."""
    return shutil.copytree(trained, tmp_path / "runs")


# --- Cut off, and taken up ----------------------------------------------------------------


def train_apart(data_dir, folder):
    with pytest.MonkeyPatch.context() as patch:
        stand_in(patch, data_dir)
        TrainingRun(data_dir, folder, epochs=3).fit()


def test_a_run_that_was_killed_goes_on_and_ends_as_if_it_had_not_been(
    training, digits, tmp_path, capsys
):
    """Killed with signal 9, whatever it is just doing, and again in the middle of an epoch."""
    folder = tmp_path / "runs"
    history = folder / "1" / "history.csv"
    kill_once_there(history, train_apart, digits, folder)
    kill(training(epochs=3), 1, 7)
    done = len(read_history(history))
    capsys.readouterr()
    resumed = training(epochs=3)
    expected = without_seconds(resumed.fit())
    first, second, _, *log = capsys.readouterr().out.splitlines()
    assert first == "device: cpu, 1 threads, channels last"
    assert second == f"run 1, in {folder / '1'}, goes on: {done} of 3 epochs are done"
    assert log == [LOG_HEADER, *map(log_line, read_history(history))]
    assert len(read_runs(folder)) == 1
    whole = training("whole", epochs=3)
    assert without_seconds(whole.fit()) == expected
    assert without_seconds(read_history(history)) == expected
    assert torch.equal(resumed.weights(), whole.weights())


def test_a_finished_run_says_so_and_is_not_trained_again(training, finished, capsys):
    run = training()
    run.before_step(1, 0, raising(AssertionError("it trains")))
    history = run.fit()
    assert history == read_history(finished / "1" / "history.csv")
    assert re.search(r"whole: 1 of 1 epochs .*resume=False", capsys.readouterr().out)
    assert_weights(run, finished / "1" / "net.pt")
    assert run.fit() == history  # as where the last cell alone runs again


def test_a_run_killed_before_its_first_epoch_keeps_its_folder(training, tmp_path):
    kill(training(), 1, 3)
    assert "0 of 1" in table(read_runs(tmp_path / "runs"))
    run = training()
    assert len(run.fit()) == 1
    assert run.folder.name == "1"


def test_a_kill_after_the_checkpoint_leaves_no_old_results(training, monkeypatch):
    """The other files are written anew from the checkpoint, by the next start at the latest."""
    run = training()
    with monkeypatch.context() as patch:
        patch.setattr(mnist.run, "save_history", raising(Killed))
        with pytest.raises(Killed):
            run.fit()
    resumed = training()
    assert resumed.fit() == read_history(run.folder / "history.csv")
    assert torch.equal(resumed.weights(), run.weights())
    assert_weights(resumed, run.folder / "net.pt")


def test_looking_at_a_batch_does_not_change_the_order(training):
    run, looked = training("first"), training("again")
    state = torch.get_rng_state()
    next(iter(looked.train_loader))
    for each in (run, looked):
        torch.set_rng_state(state)
        each.fit()
    assert torch.equal(run.weights(), looked.weights())


# --- A new run or an earlier one ----------------------------------------------------------


def test_without_resume_a_new_run_begins_in_any_case(training, finished, capsys):
    before = contents(finished / "1")
    training(resume=False).fit()
    assert f"run 2, in {finished / '2'}: nothing changed\n" in capsys.readouterr().out
    assert contents(finished / "1") == before
    first, second = read_runs(finished)
    assert first.code == second.code


def test_other_settings_begin_a_new_run_and_the_earlier_ones_find_theirs(
    training, finished, capsys
):
    before = contents(finished)
    training(learning_rate=0.06).fit()
    assert f"run 2, in {finished / '2'}: learning_rate 0.05 → 0.06\n" in capsys.readouterr().out
    again = training()
    assert again.fit() == read_history(finished / "1" / "history.csv")
    assert again.folder == finished / "1"
    assert before.items() <= contents(finished).items()


@pytest.mark.parametrize(
    ("settings", "folder"),
    [
        ({"data_dir": "elsewhere", "own_image": "other.png"}, "1"),
        ({"precision": "auto"}, "2"),
        ({"betas": (0.9, 0.99), "device": CPU, "act": lambda x: x, "k": np.int64(1)}, "2"),
        ({"nan": float("nan"), "tags": {"a", "b", "c"}}, "2"),
    ],
)
def test_settings_are_compared_as_they_are_kept_but_for_where_things_are(
    settings, folder, training, finished
):
    for _ in range(2):
        run = training()
        run.settings |= settings
        run.fit()
        assert run.folder == finished / folder


def test_other_random_numbers_are_no_difference_as_after_a_look_or_without_a_seed(
    training, finished
):
    run = training()
    torch.rand(1)
    run.use(Net(0.1))
    run.fit()
    assert run.folder == finished / "1"


def test_weights_changed_before_the_training_begin_a_new_run(training, finished, capsys):
    run = training()
    for parameter in run.model.digits.parameters():
        parameter.data.mul_(0.5)
    run.fit()
    assert f"run 2, in {finished / '2'}: the starting weights\n" in capsys.readouterr().out


def test_changed_code_begins_a_new_run_and_a_comment_does_not(
    training, tmp_path, capsys, monkeypatch
):
    texts = {"model.py": "class Net: ...\n", code.LINES: ""}
    monkeypatch.setattr(code, "collect", lambda settings: dict(texts))

    def fit():
        run = training()
        run.fit()
        return run.folder.name, capsys.readouterr().out.splitlines()[1].partition(": ")[2]

    assert fit() == ("1", "")
    kept = tmp_path / "runs" / "1" / "code" / "model.py"
    assert kept.read_text() == texts["model.py"]
    texts["model.py"] += "# Nothing new.\n"
    assert fit()[0] == "1"
    texts["model.py"] += "NEW = 1\n"
    assert fit() == ("2", "model.py: 1 line")
    texts[code.LINES] += "for epoch in run.epochs(): ...\n"
    assert fit() == ("3", "the training loop")
    assert table(read_runs(tmp_path / "runs")).endswith(" the training loop")


def test_a_network_that_was_trained_is_not_trained_as_a_new_one(training, finished):
    loaded, restored, new = training(learning_rate=0.06), training(), training(resume=False)
    load_weights(loaded.model, finished / "1" / "net.pt")
    restored.fit()
    restored.settings["learning_rate"] = 0.06
    new.fit()
    for run in (loaded, restored, new):  # as where the last cell of the notebook runs again
        with pytest.raises(UserError, match="has been trained already: run all cells"):
            run.fit()


def test_further_parts_are_a_difference_and_no_damage(training, finished, capsys):
    run = training()
    with run.begin(average=AveragedModel(run.model)):
        pass
    printed = capsys.readouterr().out
    assert "damaged" not in printed
    assert re.search("run 2, .*average", printed)


def test_loaders_without_a_length_are_named(training):
    run = training()
    run.train_loader = [next(iter(run.train_loader))]
    with pytest.raises(UserError, match="DataLoader"):
        run.begin()


def test_runs_that_begin_at_the_same_time_get_different_folders(finished, monkeypatch):
    assert mnist.run._next_folder(finished) == finished / "2"
    # As if the other had begun after the look.
    monkeypatch.setattr(type(finished), "glob", lambda path, _: iter([finished / "1"]))
    assert mnist.run._next_folder(finished) == finished / "3"


def test_a_new_folder_is_locked_before_others_can_see_a_run_in_it(training, monkeypatch):
    def write(folder, run):
        write_start(folder, run)
        with pytest.raises(Timeout):
            FileLock(folder / ".lock").acquire(timeout=0)  # as another process would

    monkeypatch.setattr(mnist.run, "write_start", write)
    assert training().begin().folder.name == "1"


def test_a_run_that_cannot_be_written_leaves_no_folder(training, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(mnist.run, "write_start", raising(UserError("cannot write")))
        with pytest.raises(UserError, match="cannot write"):
            training().begin()
    assert training().begin().folder.name == "1"


def test_an_output_dir_on_a_drive_that_is_not_there_is_named(training, tmp_path):
    (tmp_path / "runs").symlink_to(tmp_path / "drive" / "runs")
    with pytest.raises(UserError, match=r"cannot make a folder in .*runs: File exists"):
        training().begin()


def test_a_run_that_another_process_trains_is_left_alone(training, finished, capsys):
    with FileLock(finished / "1" / ".lock"):  # as another process has it
        run = training()
        run.fit()
    assert "is being trained by another process: a new run begins" in capsys.readouterr().out
    assert run.folder == finished / "2"


def test_this_process_takes_a_folder_again_that_it_has_not_let_go_of(training):
    run = training()
    begun = [run.begin() for _ in range(2)]  # by a cell that fails between the run and its loop
    assert [each.folder.name for each in begun] == ["1", "1"]
    run.fit()
    assert run.folder.name == "1"
    with FileLock(run.folder / ".lock", timeout=0):
        pass


# --- Spoilt files -------------------------------------------------------------------------


def without_groups(content):
    """A checkpoint that does not fit, as is found out when the weights were put in already."""
    state = torch.load(BytesIO(content), weights_only=True)
    state["parts"]["optimizer"]["param_groups"] = []
    file = BytesIO()
    torch.save(state, file)
    return file.getvalue()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda content: content[:-300],
        lambda content: b"",
        lambda content: b"PK\x03\x04" + content[50:],
        lambda content: b"hello" * 99,
        without_groups,
    ],
    ids=["cut", "empty", "torn", "foreign", "not fitting"],
)
def test_a_spoilt_checkpoint_is_kept_and_a_new_run_begins_like_the_first(
    spoil, training, finished, capsys
):
    path = finished / "1" / "checkpoint.pt"
    path.write_bytes(spoil(path.read_bytes()))
    before = contents(finished)
    run = training()
    run.fit()
    assert f"{path} is damaged" in capsys.readouterr().out
    assert run.folder == finished / "2"
    assert before.items() <= contents(finished).items()
    assert_weights(run, finished / "1" / "net.pt")


SPOILT = [
    {"settings": [], "objects": {}, "parameters": 1},
    {"settings": {}, "objects": {}, "parameters": 1},
    {"settings": {"epochs": 1}, "objects": 3, "parameters": 1},
    {"settings": {"epochs": 1}, "objects": {}, "parameters": None},
    {"settings": {"epochs": float("inf")}, "objects": {}, "parameters": 1},
]


@pytest.mark.parametrize(
    "content",
    [b"{", b"[]", b"\xff", b"[" * 100_000, *(json.dumps(content).encode() for content in SPOILT)],
)
def test_a_run_whose_settings_were_spoilt_is_named_and_left_out(content, finished, capsys):
    (finished / "1" / "settings.json").write_bytes(content)
    assert read_runs(finished) == []
    assert f"{finished / '1'} is left out" in capsys.readouterr().out


# --- Stopped ------------------------------------------------------------------------------


def test_a_stop_by_hand_keeps_the_epochs_that_are_done(training, capsys):
    run = training(epochs=4)
    run.before_step(3, 4, raising(KeyboardInterrupt))
    assert [row.epoch for row in run.fit()] == [1, 2]
    assert "stopped in epoch 3 of 4: run all cells again" in capsys.readouterr().out
    assert_weights(run, run.folder / "net.pt")


@pytest.mark.parametrize("tested", [False, True])
def test_a_stop_before_the_first_epoch_is_saved_is_one_line(tested, training, monkeypatch):
    run = training()
    if tested:
        monkeypatch.setattr(Run, "_save", raising(KeyboardInterrupt))
    else:
        run.before_step(1, 4, raising(KeyboardInterrupt))
    with pytest.raises(UserError, match="stopped before the first epoch was saved"):
        run.fit()


def test_a_stop_after_the_loop_is_no_error(training, finished):
    run = training()
    with run.begin() as kept:
        list(kept.epochs())
        raise KeyboardInterrupt
    assert_weights(run, finished / "1" / "net.pt")


def test_a_loss_that_is_not_finite_stops_the_run(training):
    run = training(epochs=3)
    run.before_step(2, 3, lambda: run.model.digits[0].bias.data.fill_(float("nan")))
    with pytest.raises(utils.Diverged) as error:
        run.fit()
    message = str(error.value)
    assert message.startswith("epoch 2: the loss is not finite at step 5, learning rate 0.0")
    assert "Lower learning_rate or momentum" in message
    assert len(read_history(run.folder / "history.csv")) == 1
    saved = torch.load(run.folder / "net.pt", weights_only=True)
    assert all(value.isfinite().all() for value in saved.values())


def test_a_full_disk_is_one_line_and_leaves_the_last_checkpoint(training, capsys):
    resource = pytest.importorskip("resource")
    run = training(epochs=3)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    limits = (30_000, hard)  # in bytes; the weights alone take more
    run.before_step(3, 0, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limits))
    try:
        with pytest.raises(UserError, match=r"cannot write .*checkpoint.pt: File too large"):
            run.fit()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    files = {"checkpoint.pt", "history.csv", "net.pt", "settings.json"}
    assert {*os.listdir(run.folder)} == {".lock", "code", *files}
    assert len(training(epochs=3).fit()) == 3
    assert "goes on: 2 of 3 epochs are done" in capsys.readouterr().out


# --- Weights from a file ------------------------------------------------------------------


def test_a_run_with_weights_trains_nothing_and_has_a_folder_of_its_own(training, finished):
    weights = finished / "1" / "net.pt"

    def fit():
        run = training()
        run.settings["weights"] = str(weights)
        load_weights(run.model, weights)
        assert run.fit() == []
        assert_weights(run, weights)
        return run.folder.name

    assert [fit(), fit()] == ["2", "2"]
    *_, row = table(read_runs(finished)).splitlines()
    assert row.split()[:4] == ["2", "17,466", "–", "–"]
    assert f"weights none → {weights} " in row
    torch.save(Net().state_dict(), weights)
    assert fit() == "3"


@pytest.mark.parametrize(
    "kept",
    [
        lambda net: {"model": net, "epoch": 3},
        lambda net: {"state_dict": net},
        lambda net: {f"module.{name}": value for name, value in net.items()},
        lambda net: {"model": {f"module.{name}": value for name, value in net.items()}},
        lambda net: {
            "model_state_dict": {f"_orig_mod.{name}": value for name, value in net.items()}
        },
    ],
)
def test_weights_of_other_forms_are_taken(kept, tmp_path):
    saved, model = Net(), Net()
    torch.save(kept(saved.state_dict()), tmp_path / "net.pt")
    load_weights(model, tmp_path / "net.pt")
    for name, value in saved.state_dict().items():
        assert torch.equal(value, model.state_dict()[name])


def test_the_checkpoint_of_a_run_has_its_weights(training, finished):
    run = training()
    load_weights(run.model, finished / "1" / "checkpoint.pt")
    assert_weights(run, finished / "1" / "net.pt")


NAME = "edges.0.weight"


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (None, "does not exist"),
        (b"", "is damaged"),
        (b"no weights", "is damaged"),
        (torch.ones(3), f"{NAME} is missing"),
        ([1, 2], f"{NAME} is missing"),
        ({}, f"{NAME} is missing"),
        (Net().state_dict() | {"mine": torch.ones(3)}, "mine belongs to no layer"),
        (Net().state_dict() | {NAME: torch.ones(4, 7)}, rf"{NAME} has the shape \(4, 7\) in place"),
        (Net().state_dict() | {NAME: 3}, f"{NAME} has the shape int in place"),
        (Net().state_dict() | {NAME: torch.ones(9).to_sparse()}, f"{NAME} has the shape Tensor"),
        (Net().state_dict() | {NAME: torch.ones(9, device="meta")}, f"{NAME} has the shape Tensor"),
    ],
)
@pytest.mark.filterwarnings("ignore:Validating sparse tensor")
def test_weights_that_cannot_be_used_are_named_in_one_line(content, named, tmp_path):
    path = tmp_path / "net.pt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        torch.save(content, path)
    with pytest.raises(UserError, match=rf"net\.pt .*{named}") as error:
        load_weights(Net(), path)
    assert "\n" not in str(error.value)


# --- Loops of other kinds -----------------------------------------------------------------


def scheduled(make):
    """Have the schedule stepped at the end of the loop."""

    def change(run):
        run.scheduler = make(run.optimizer)
        if isinstance(run.scheduler, lr_scheduler.ReduceLROnPlateau):
            return lambda epoch, tested: run.scheduler.step(tested[0])
        return lambda epoch, tested: run.scheduler and run.scheduler.step()

    return change


def plain_loader(make_generator):
    """Have the notebook's images, each augmented alone, in a plain loader."""

    def change(run):
        run.train_loader = DataLoader(
            run.train_loader.dataset, batch_size=50, shuffle=True, generator=make_generator()
        )

    return change


CHANGES = {
    "MultiStepLR": scheduled(lambda optimizer: lr_scheduler.MultiStepLR(optimizer, [1, 2], 0.5)),
    "NumPy's numbers": scheduled(
        lambda optimizer: lr_scheduler.LambdaLR(
            optimizer, lambda epoch: np.interp(epoch, [0, 1, 2], [1, 0.5, 0.1])
        )
    ),
    "ReduceLROnPlateau": scheduled(lr_scheduler.ReduceLROnPlateau),
    "no schedule": scheduled(lambda optimizer: None),
    "a plain loader": plain_loader(lambda: None),
    "a loader with a generator": plain_loader(lambda: torch.Generator().manual_seed(5)),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_loop_of_another_kind_resumes_bit_for_bit(name, training):
    whole = training("whole", epochs=3)
    history = whole.fit(CHANGES[name](whole))
    assert history[-1].train_loss < history[0].train_loss - 0.3
    killed = training(epochs=3)
    kill(killed, 3, 3, CHANGES[name](killed))
    resumed = training(epochs=3)
    assert without_seconds(resumed.fit(CHANGES[name](resumed))) == without_seconds(history)
    assert torch.equal(resumed.weights(), whole.weights())


def test_a_break_ends_the_run_for_good(training, tmp_path, capsys):
    run, again = training(epochs=4), training(epochs=4)
    assert len(run.fit(lambda epoch, tested: epoch == 2)) == 2
    assert "ended by the loop in epoch 2 of 4" in capsys.readouterr().out
    assert [row.epoch for row in again.fit()] == [1, 2]
    assert "whole: 2 of 4 epochs are done" in capsys.readouterr().out
    assert torch.equal(again.weights(), run.weights())
    assert "2 of 4" in table(read_runs(tmp_path / "runs"))


def test_a_break_before_the_record_ends_the_run_with_what_was_saved(training, capsys):
    run = training(epochs=4)
    with run.begin() as kept:
        for epoch in kept.epochs():
            saved = run.weights()
            utils.train(run.model, CPU, run.train_loader, run.optimizer)
            if epoch == 2:
                break
            kept.record(*GUESSED)
    assert torch.equal(run.weights(), saved)
    assert_weights(run, kept.folder / "net.pt")
    capsys.readouterr()
    assert [row.epoch for row in training(epochs=4).fit()] == [1]
    assert "whole: 1 of 4 epochs are done" in capsys.readouterr().out


@pytest.mark.parametrize("kind", [np.float64, torch.tensor])
def test_numbers_of_any_kind_and_of_one_s_own_are_in_log_history_and_table(
    kind, training, tmp_path, capsys
):
    with training(epochs=2).begin() as kept:
        for epoch in kept.epochs():
            numbers = kind(1.0), kind(50.0)
            kept.record(numbers, numbers, f1=kind(epoch / 8))
    assert "f1 0.2500" in capsys.readouterr().out
    history = read_history(kept.folder / "history.csv")
    assert history == kept.history
    assert [row.more for row in history] == [{"f1": 0.125}, {"f1": 0.25}]
    header, row = table(read_runs(tmp_path / "runs")).splitlines()
    assert "f1" in header.split()
    assert " 0.2500 " in row
    assert training(epochs=2).fit() == history


def test_a_number_with_the_name_of_a_column_is_refused(training):
    kept = training().begin()
    next(kept.epochs())
    with pytest.raises(UserError, match="seconds is a column already"):
        kept.record(*GUESSED, seconds=0)


def test_an_epoch_that_is_not_recorded_is_named(training):
    with training(epochs=2).begin() as kept:
        epochs = kept.epochs()
        next(epochs)
        with pytest.raises(UserError, match=r"call run.record\(trained, tested\)"):
            next(epochs)


def test_what_a_loop_keeps_of_its_own_is_kept_with_the_run(training):
    def fit(killed=False):
        run = training(epochs=3)
        run.scheduler, average = None, AveragedModel(run.model)
        with run.begin(average=average) as kept:
            for epoch in kept.epochs():
                kept.record((random.random(), 50.0), (np.random.rand(), 50.0))
                average.update_parameters(run.model)
                if epoch == 3 and killed:
                    raise Killed
        return average.n_averaged, kept.history

    def seed(number):
        random.seed(number)
        np.random.seed(number)

    seed(1)
    expected = [(random.random(), np.random.rand()) for _ in range(3)]
    seed(1)
    with pytest.raises(Killed):
        fit(killed=True)
    seed(7)  # as in a new process
    averaged, history = fit()
    assert averaged == 3
    assert [(row.train_loss, row.test_loss) for row in history] == expected


def test_an_order_that_a_resumed_run_cannot_repeat_is_told(training, capsys):
    data, own = training().train_loader.dataset, torch.Generator()
    capsys.readouterr()
    batches = BatchSampler(RandomSampler(data, generator=own), 50, False)
    assert order_of(DataLoader(data, batch_sampler=batches)) is own
    assert capsys.readouterr().out == ""
    order_of(DataLoader(data, batch_size=50, num_workers=1, persistent_workers=True))
    assert "persistent_workers: a resumed run will" in capsys.readouterr().out
    assert order_of(DataLoader(data, sampler=range(599, -1, -1))) is None
    assert "the sampler has no generator: a resumed run may see" in capsys.readouterr().out


# --- The command, and scripts -------------------------------------------------------------


def test_the_command_shows_all_runs_killed_ones_too(training, finished, capsys):
    kill(training(epochs=3), 2, 3)
    capsys.readouterr()
    assert main(["runs", str(finished)]) == 0
    header, first, second, _, picture = capsys.readouterr().out.splitlines()
    assert header.split()[:3] == ["run", "parameters", "epochs"]
    assert first.split()[:3] == ["1", "17,466", "1"]
    assert second.split()[:5] == ["2", "17,466", "1", "of", "3"]
    assert second.endswith("epochs 1 → 3")
    assert (finished / "runs.png").samefile(picture)


def test_a_folder_without_runs_is_named(tmp_path, capsys):
    assert main(["runs", str(tmp_path)]) == 2
    assert f"there are no runs in {tmp_path}" in capsys.readouterr().err


SCRIPT = """import os, sys
sys.path.insert(0, ROOT)
import random

import torch
from torch.utils.data import DataLoader, TensorDataset

from mnist.run import Run

RATE = 0.1
model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, 10), torch.nn.LogSoftmax(1))
data = TensorDataset(torch.rand(8, 1, 28, 28, generator=torch.Generator()), torch.arange(8))
loader = DataLoader(data, batch_size=4)
optimizer = torch.optim.SGD(model.parameters(), lr=RATE)
with Run({"epochs": 1, "output_dir": "runs"}, model, optimizer, None, loader, loader) as run:
    for epoch in run.epochs():
        run.record((1.0, 50.0), (1.0, 50.0))
print("done")
""".replace("ROOT", repr(str(ROOT)))


@pytest.mark.parametrize("file", ["train.py", "-"])
def test_a_script_from_a_file_or_standard_input_is_compared_under_any_code_page(file, tmp_path):
    def run(text):
        (tmp_path / "train.py").write_text(text)
        done = subprocess.run(
            [sys.executable, file], cwd=tmp_path, input=text.encode(), capture_output=True,
            env=os.environ | {"PYTHONIOENCODING": "cp1252"}, timeout=300,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout.decode()

    assert "run 1, in runs" in run(SCRIPT)
    printed = "whole" if file == "train.py" else "done"
    assert "is whole" in run(SCRIPT.replace('print("done")', f'print("{printed}")'))
    changed = run(SCRIPT.replace('"epochs": 1', '"epochs": 2').replace("0.1", "0.2"))
    assert "run 2, in runs/2: epochs 1 → 2" in changed
    assert file == "-" or ", RATE, the training loop\n" in changed


# --- Precision ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("abilities", "expected"),
    [
        ({"avx512_bf16": True, "amx_bf16": False}, "bfloat16"),
        ({"amx_bf16": True}, "bfloat16"),
        ({"avx512_bf16": False}, "float32"),
        (None, "float32"),
    ],
)
def test_bfloat16_where_the_processor_computes_in_it(abilities, expected, monkeypatch):
    if abilities is None:  # an older PyTorch
        monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    else:
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: abilities, raising=False)
    assert trial.fastest_precision(Net(), torch.rand(4, 1, 28, 28)) == expected
    assert trial.fastest_precision(Net(), torch.rand(4, 1, 28, 28, device="meta")) == "float32"


def test_a_resumed_run_keeps_what_auto_became(training, monkeypatch):
    """On another machine too, where auto would become something else."""

    def made(folder, fastest):
        monkeypatch.setattr(trial, "fastest_precision", lambda model, images: fastest)
        run = training(folder, epochs=2)
        run.settings["precision"] = "auto"
        return run

    whole = made("whole", "bfloat16")
    whole.fit()
    kill(made("killed", "bfloat16"), 2, 3)
    resumed = made("killed", "float32")
    resumed.fit()
    assert torch.equal(resumed.weights(), whole.weights())
