"""Runs: their folders, and what becomes of those that are cut off, stopped, spoilt or changed."""

import errno
import json
import multiprocessing
import os
import random
import re
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from filelock import FileLock
from torch.utils.data import BatchSampler, DataLoader, RandomSampler, Sampler, TensorDataset

import mnist.run
import utils
from common import UserError, write_whole
from mnist import code, dataset, trial
from mnist.__main__ import main
from mnist.history import LOG_HEADER, read_history, read_runs, table
from mnist.run import Run, load_weights, order_of
from model import Net
from tests.digits import CPU, ROOT, TrainingRun, md5_sums


class Killed(BaseException):
    """Stands for the end of the process: nothing in the project catches it."""


def cut_off(run, error, epoch, step):
    """Make a run's optimizer raise in the middle of an epoch, counted from its start on."""
    left = iter(range((epoch - 1) * len(run.train_loader) + step))

    def count(*_):
        if next(left, None) is None:
            raise error

    run.optimizer.register_step_pre_hook(count)


def assert_weights(run, path):
    """The run's model has the weights that were saved."""
    saved = torch.load(path, weights_only=True)
    assert all(torch.equal(saved[name], v) for name, v in run.model.state_dict().items())


def without_seconds(history):
    return [replace(row, seconds=0) for row in history]


@pytest.fixture(scope="module")
def trained(digits, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(code, "collect", lambda settings: {code.LINES: ""})
        patch.setattr(dataset, "MD5", md5_sums(digits / "MNIST" / "raw"))
        TrainingRun(digits, folder).fit()
    return folder


@pytest.fixture
def finished(trained, small_mnist, tmp_path):
    """A copy of the folder of a run of one epoch that has ended."""
    return shutil.copytree(trained, tmp_path / "finished")


def test_a_run_that_was_killed_twice_ends_as_if_it_had_not_been(small_mnist, tmp_path):
    whole = TrainingRun(small_mnist, tmp_path / "whole", epochs=3)
    expected = whole.fit()
    for epoch, step in ((2, 0), (2, 7)):  # the second one is the third of the whole run
        killed = TrainingRun(small_mnist, tmp_path / "killed", epochs=3)
        cut_off(killed, Killed(), epoch, step)
        with pytest.raises(Killed):
            killed.fit()
    resumed = TrainingRun(small_mnist, tmp_path / "killed", epochs=3)
    history = resumed.fit()
    assert torch.equal(resumed.weights(), whole.weights())
    assert without_seconds(history) == without_seconds(expected)
    saved = read_history(tmp_path / "killed" / "1" / "history.csv")
    assert without_seconds(saved) == without_seconds(expected)
    assert len(read_runs(tmp_path / "killed")) == 1


def test_a_run_killed_with_9_ends_as_if_it_had_not_been(small_mnist, tmp_path):
    """A process of its own is killed in its second epoch, whatever it is just doing."""

    def train(folder):
        TrainingRun(small_mnist, folder, epochs=3).fit()

    process = multiprocessing.get_context("fork").Process(target=train, args=[tmp_path / "killed"])
    process.start()
    history = tmp_path / "killed" / "1" / "history.csv"
    while not history.exists():
        assert process.is_alive()
        time.sleep(0.02)
    process.kill()
    process.join()
    whole = TrainingRun(small_mnist, tmp_path / "whole", epochs=3)
    expected = without_seconds(whole.fit())
    resumed = TrainingRun(small_mnist, tmp_path / "killed", epochs=3)
    assert without_seconds(resumed.fit()) == expected
    assert resumed.folder.name == "1"
    assert torch.equal(resumed.weights(), whole.weights())


def test_resuming_says_so_and_shows_the_log(small_mnist, tmp_path, capsys):
    killed = TrainingRun(small_mnist, tmp_path, epochs=3)
    cut_off(killed, Killed(), 3, 2)
    with pytest.raises(Killed):
        killed.fit()
    lines = capsys.readouterr().out.splitlines()
    TrainingRun(small_mnist, tmp_path, epochs=3).fit()
    resumed = capsys.readouterr().out.splitlines()
    assert resumed[0] == "device: cpu, 1 threads, channels last"
    assert resumed[1] == f"run 1, in {tmp_path / '1'}, goes on: 2 of 3 epochs are done"
    log = lines.index(LOG_HEADER)
    again = resumed.index(LOG_HEADER)
    assert resumed[again : again + 3] == lines[log : log + 3]
    assert len(resumed[again:]) == 4


def test_a_finished_run_says_so_and_is_not_trained_again(small_mnist, finished, capsys):
    run = TrainingRun(small_mnist, finished)
    cut_off(run, AssertionError("it trains"), 1, 0)
    assert run.fit() == read_history(finished / "1" / "history.csv")
    assert re.search(r"whole: 1 of 1 epochs .*resume=False", capsys.readouterr().out)
    assert_weights(run, finished / "1" / "net.pt")


def contents(folder):
    return {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_without_resume_a_new_run_begins_in_any_case(small_mnist, finished, capsys):
    before = contents(finished / "1")
    run = TrainingRun(small_mnist, finished, resume=False)
    run.fit()
    assert run.folder == finished / "2"
    assert "run 2, in " in capsys.readouterr().out
    assert contents(finished / "1") == before
    assert [it.code for it in read_runs(finished)] == 2 * [read_runs(finished)[0].code]


def test_other_settings_begin_a_new_run_which_names_them(small_mnist, finished, capsys):
    before = contents(finished / "1")
    TrainingRun(small_mnist, finished, learning_rate=0.06).fit()
    assert f"run 2, in {finished / '2'}: learning_rate 0.05 → 0.06\n" in capsys.readouterr().out
    assert contents(finished / "1") == before


def test_the_settings_of_an_earlier_run_find_it_again(small_mnist, finished, capsys):
    TrainingRun(small_mnist, finished, learning_rate=0.06).fit()
    again = TrainingRun(small_mnist, finished)
    assert again.fit() == read_history(finished / "1" / "history.csv")
    assert again.folder == finished / "1"


def test_where_things_are_is_no_difference(small_mnist, finished):
    run = TrainingRun(small_mnist, finished)
    run.settings |= {"data_dir": "elsewhere", "own_image": "other.png"}
    run.fit()
    assert run.folder == finished / "1"


@pytest.mark.parametrize(
    "spoil",
    [lambda b: b[:-300], lambda b: b"", lambda b: b"PK\x03\x04" + b[50:], lambda b: b"hello" * 99],
    ids=["cut", "empty", "torn", "foreign"],
)
def test_a_spoilt_checkpoint_is_kept_and_a_new_run_begins(spoil, small_mnist, finished, capsys):
    path = finished / "1" / "checkpoint.pt"
    path.write_bytes(spoil(path.read_bytes()))
    before = contents(finished / "1")
    run = TrainingRun(small_mnist, finished)
    run.fit()
    assert f"{path} is damaged" in capsys.readouterr().out
    assert contents(finished / "1") == before
    weights = torch.load(finished / "2" / "net.pt", weights_only=True)
    expected = torch.load(finished / "1" / "net.pt", weights_only=True)
    assert all(torch.equal(weights[name], expected[name]) for name in expected)


SPOILT = [
    {"settings": [], "objects": {}, "parameters": 1},
    {"settings": {}, "objects": {}, "parameters": 1},
    {"settings": {"epochs": 1}, "objects": 3, "parameters": 1},
    {"settings": {"epochs": 1}, "objects": {}, "parameters": None},
    {"settings": {"epochs": float("inf")}, "objects": {}, "parameters": 1},
]


@pytest.mark.parametrize(
    "content",
    [b"{", b"{}", b"[]", b"\xff", b"[" * 100_000, *(json.dumps(it).encode() for it in SPOILT)],
)
def test_a_run_whose_settings_were_spoilt_is_named_and_left_out(
    content, small_mnist, finished, capsys
):
    (finished / "1" / "settings.json").write_bytes(content)
    run = TrainingRun(small_mnist, finished)
    run.fit()
    assert run.folder == finished / "2"
    assert f"{finished / '1'} is left out" in capsys.readouterr().out


def test_a_checkpoint_that_does_not_fit_leaves_the_new_run_as_it_was_made(
    small_mnist, finished, capsys
):
    path = finished / "1" / "checkpoint.pt"
    state = torch.load(path, weights_only=True)
    state["parts"]["optimizer"]["param_groups"] = []
    torch.save(state, path)
    run = TrainingRun(small_mnist, finished)
    before = run.weights()
    parts = (run.optimizer, run.scheduler, run.train_loader, run.test_loader)
    with Run(run.settings, run.model, *parts) as new:
        assert torch.equal(run.weights(), before)
        new.ended = True
    assert "is damaged" in capsys.readouterr().out
    assert new.folder.name == "2"


def test_further_parts_are_a_difference_and_no_damage(small_mnist, finished, capsys):
    run = TrainingRun(small_mnist, finished)
    average = torch.optim.swa_utils.AveragedModel(run.model)
    parts = (run.optimizer, run.scheduler, run.train_loader, run.test_loader)
    with Run(run.settings, run.model, *parts, average=average) as new:
        new.ended = True
    out = capsys.readouterr().out
    assert "damaged" not in out
    assert "run 2" in out
    assert "average" in out


def test_loaders_without_a_length_are_named(small_mnist, tmp_path):
    run = TrainingRun(small_mnist, tmp_path)
    run.train_loader = [next(iter(run.train_loader))]
    parts = (run.model, run.optimizer, None, run.train_loader, run.test_loader)
    with pytest.raises(UserError, match="DataLoader"):
        Run(run.settings, *parts)


def test_a_run_killed_before_its_first_epoch_keeps_its_folder(small_mnist, tmp_path):
    killed = TrainingRun(small_mnist, tmp_path)
    cut_off(killed, Killed(), 1, 3)
    with pytest.raises(Killed):
        killed.fit()
    assert "0 of 1" in table(read_runs(tmp_path))
    run = TrainingRun(small_mnist, tmp_path)
    assert len(run.fit()) == 1
    assert run.folder == tmp_path / "1"


def test_runs_that_begin_at_the_same_time_get_different_folders(small_mnist, finished):
    made = mnist.run._begin(finished, read_runs(finished)[0])
    assert made == finished / "2"
    glob = type(finished).iterdir
    with pytest.MonkeyPatch.context() as patch:  # as if the other had begun after the look
        patch.setattr(type(finished), "iterdir", lambda path: iter([finished / "1"]))
        assert mnist.run._begin(finished, read_runs(finished)[0]) == finished / "3"
    assert len(list(glob(finished))) == 3


def test_a_stop_by_hand_keeps_the_epochs_that_are_done(small_mnist, tmp_path, capsys):
    run = TrainingRun(small_mnist, tmp_path, epochs=4)
    cut_off(run, KeyboardInterrupt(), 3, 4)
    history = run.fit()
    assert [row.epoch for row in history] == [1, 2]
    assert "stopped in epoch 3 of 4: run all cells again" in capsys.readouterr().out
    assert_weights(run, run.folder / "net.pt")


def test_a_stop_before_the_first_epoch_is_one_line(small_mnist, tmp_path):
    run = TrainingRun(small_mnist, tmp_path)
    cut_off(run, KeyboardInterrupt(), 1, 4)
    with pytest.raises(UserError, match="stopped before the first epoch was saved"):
        run.fit()


def test_a_stop_between_the_test_and_the_saving_of_the_first_epoch(
    small_mnist, tmp_path, monkeypatch
):
    run = TrainingRun(small_mnist, tmp_path)
    monkeypatch.setattr(Run, "_save", raise_interrupt)
    with pytest.raises(UserError, match="stopped before the first epoch was saved"):
        run.fit()


def raise_interrupt(*_, **__):
    raise KeyboardInterrupt


def test_a_loss_that_is_not_finite_stops_the_run(small_mnist, tmp_path):
    run = TrainingRun(small_mnist, tmp_path, epochs=3)
    transform, calls = run.train_loader.dataset.transform, []

    def poisoned(images):
        calls.append(len(images))
        images = transform(images)
        return images * float("nan") if len(calls) == len(run.train_loader) + 5 else images

    run.train_loader.dataset.transform = poisoned
    with pytest.raises(utils.Diverged) as error:
        run.fit()
    message = str(error.value)
    assert message.startswith("epoch 2: the loss is not finite at step 5, learning rate 0.0")
    assert "Lower learning_rate or momentum" in message
    assert len(read_history(run.folder / "history.csv")) == 1
    saved = torch.load(run.folder / "net.pt", weights_only=True)
    assert all(value.isfinite().all() for value in saved.values())


def test_a_full_disk_leaves_the_last_checkpoint(small_mnist, tmp_path, monkeypatch):
    run = TrainingRun(small_mnist, tmp_path, epochs=3)
    write, written = Path.write_bytes, []

    def full_after_two_epochs(path, content):
        written.append(path)
        if len(written) == 2 + 7:  # code and settings; three files per epoch, the checkpoint first
            raise OSError(errno.ENOSPC, "No space left on device")
        write(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full_after_two_epochs)
        with pytest.raises(UserError, match=r"cannot write .*checkpoint.pt: No space left on"):
            run.fit()
    assert sorted(file.name for file in run.folder.iterdir() if file.is_file()) == [
        ".lock",
        "checkpoint.pt",
        "history.csv",
        "net.pt",
        "settings.json",
    ]
    resumed = TrainingRun(small_mnist, tmp_path, epochs=3)
    assert len(resumed.fit()) == 3


def test_a_file_size_limit_is_one_line_and_harmless(tmp_path):
    resource = pytest.importorskip("resource")
    path = tmp_path / "net.pt"
    write_whole(path, b"old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(UserError, match=r"cannot write .*net.pt: File too large"):
            write_whole(path, bytes(5000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def with_weights(small_mnist, folder, weights):
    run = TrainingRun(small_mnist, folder)
    run.settings["weights"] = str(weights)
    load_weights(run.model, weights)
    return run


def test_a_run_with_weights_trains_nothing_and_has_a_folder_of_its_own(small_mnist, finished):
    weights = finished / "1" / "net.pt"
    for _ in range(2):
        run = with_weights(small_mnist, finished, weights)
        assert run.fit() == []
        assert_weights(run, weights)
        assert run.folder == finished / "2"
    *_, row = table(read_runs(finished)).splitlines()
    assert row.split()[:4] == ["2", "17,466", "–", "–"]
    assert f"weights none → {weights} " in row
    other = finished / "other.pt"
    torch.save(Net().state_dict(), other)
    other.replace(weights)
    run = with_weights(small_mnist, finished, weights)
    run.fit()
    assert run.folder == finished / "3"


def test_weights_that_were_loaded_are_not_trained_on_as_new(small_mnist, finished):
    run = TrainingRun(small_mnist, finished, learning_rate=0.06)
    load_weights(run.model, finished / "1" / "net.pt")
    with pytest.raises(UserError, match="has been trained already: run all cells"):
        run.fit()
    restored = TrainingRun(small_mnist, finished)
    restored.fit()
    restored.settings["learning_rate"] = 0.06
    with pytest.raises(UserError, match="has been trained already: run all cells"):
        restored.fit()


@pytest.mark.parametrize("content", [None, b"", b"no weights"])
def test_weights_that_cannot_be_used_are_named(content, tmp_path):
    path = tmp_path / "net.pt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=r"net\.pt"):
        load_weights(Net(), path)


@pytest.mark.parametrize(
    "kept",
    [
        lambda net: {"model": net, "epoch": 3},
        lambda net: {"state_dict": net},
        lambda net: {f"module.{name}": it for name, it in net.items()},
        lambda net: {"model": {f"module.{name}": it for name, it in net.items()}},
        lambda net: {"model_state_dict": {f"_orig_mod.{name}": it for name, it in net.items()}},
    ],
)
def test_weights_of_other_forms_are_taken(kept, tmp_path):
    saved, model = Net(), Net()
    torch.save(kept(saved.state_dict()), tmp_path / "net.pt")
    load_weights(model, tmp_path / "net.pt")
    for name, it in saved.state_dict().items():
        assert torch.equal(it, model.state_dict()[name])


@pytest.mark.parametrize("value", [3, torch.ones(10).to_sparse(), torch.ones(10, device="meta")])
def test_what_is_no_plain_tensor_is_named(value, tmp_path):
    name, *_ = Net().state_dict()
    torch.save(Net().state_dict() | {name: value}, tmp_path / "net.pt")
    with pytest.raises(UserError, match=f"{name} has the shape .* in place of"):
        load_weights(Net(), tmp_path / "net.pt")


def test_the_checkpoint_of_a_run_has_its_weights(finished):
    model = Net()
    load_weights(model, finished / "1" / "checkpoint.pt")
    net = torch.load(finished / "1" / "net.pt", weights_only=True)
    assert all(torch.equal(it, net[name]) for name, it in model.state_dict().items())


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda net: net.pop("edges.0.weight"), "edges.0.weight"),
        (lambda net: net.update(mine=torch.ones(3)), "mine"),
        (lambda net: net.update({"edges.0.weight": torch.ones(4, 7)}), r"edges.0.weight.*\(4, 7\)"),
        (lambda net: net.clear(), "edges.0.weight"),
    ],
)
def test_weights_of_another_network_say_what_differs(change, named, tmp_path):
    net = dict(Net().state_dict())
    change(net)
    torch.save(net, tmp_path / "net.pt")
    with pytest.raises(UserError, match=named) as error:
        load_weights(Net(), tmp_path / "net.pt")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [torch.ones(3), [1, 2]])
def test_a_file_without_named_weights_is_named(content, tmp_path):
    torch.save(content, tmp_path / "net.pt")
    with pytest.raises(UserError, match=r"net\.pt"):
        load_weights(Net(), tmp_path / "net.pt")


# --- Changed code -------------------------------------------------------------------------


@pytest.fixture
def notebook(small_mnist, monkeypatch):
    """Stands for the code that is collected: what a test writes into it."""
    texts = {"model.py": "class Net: ...\n", code.LINES: ""}
    monkeypatch.setattr(code, "collect", lambda settings: dict(texts))
    return texts


def test_changed_code_begins_a_new_run_and_a_comment_does_not(
    notebook, small_mnist, tmp_path, capsys
):
    def fit():
        run = TrainingRun(small_mnist, tmp_path)
        run.fit()
        return run.folder.name, capsys.readouterr().out.splitlines()[1]

    assert fit()[0] == "1"
    assert (tmp_path / "1" / "code" / "model.py").read_text() == notebook["model.py"]
    notebook["model.py"] += "# Nothing new.\n"
    assert fit()[0] == "1"
    notebook["model.py"] += "NEW = 1\n"
    assert fit() == ("2", f"run 2, in {tmp_path / '2'}: model.py: 1 line")
    notebook[code.LINES] += "for epoch in run.epochs(): ...\n"
    assert fit() == ("3", f"run 3, in {tmp_path / '3'}: the training loop")
    *_, row = table(read_runs(tmp_path)).splitlines()
    assert row.endswith(" the training loop")


def test_weights_changed_before_the_training_begin_a_new_run(small_mnist, finished, capsys):
    run = TrainingRun(small_mnist, finished)
    for parameter in run.model.digits.parameters():
        parameter.data.mul_(0.5)
    run.fit()
    assert f"run 2, in {finished / '2'}: the starting weights\n" in capsys.readouterr().out


def test_a_network_that_was_trained_is_not_trained_as_a_new_one(small_mnist, tmp_path):
    """As happens where only the last cell of the notebook runs again."""
    run = TrainingRun(small_mnist, tmp_path, resume=False)
    run.fit()
    with pytest.raises(UserError, match="has been trained already: run all cells"):
        run.fit()


def test_the_last_cell_alone_may_run_again(small_mnist, tmp_path, capsys):
    run = TrainingRun(small_mnist, tmp_path)
    history = run.fit()
    assert run.fit() == history
    assert "whole: 1 of 1" in capsys.readouterr().out


def test_a_kill_after_the_checkpoint_leaves_no_old_results(small_mnist, tmp_path, monkeypatch):
    """The other files are written anew from the checkpoint, by the next start at the latest."""
    run = TrainingRun(small_mnist, tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(mnist.run, "save_history", raise_killed)
        with pytest.raises(Killed):
            run.fit()
    weights = run.weights()
    resumed = TrainingRun(small_mnist, tmp_path)
    assert resumed.fit() == read_history(run.folder / "history.csv")
    assert torch.equal(resumed.weights(), weights)
    assert_weights(resumed, run.folder / "net.pt")


def raise_killed(*_):
    raise Killed


# --- Loops of other kinds -----------------------------------------------------------------


def loop(run, at_the_end, stepped=None):
    """Train as a learner's own loop may: with something done after the epoch was recorded."""
    parts = (run.model, run.optimizer, run.scheduler, run.train_loader, run.test_loader)
    with Run(run.settings, *parts) as kept:
        for epoch in kept.epochs():
            trained = utils.train(run.model, CPU, run.train_loader, run.optimizer, stepped)
            tested = utils.test(run.model, CPU, run.test_loader)
            kept.record(trained, tested)
            if at_the_end(epoch, tested):
                break
    return kept


SCHEDULES = {
    "StepLR": lambda optimizer: torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.5),
    "MultiStepLR": lambda optimizer: torch.optim.lr_scheduler.MultiStepLR(optimizer, [1, 2], 0.5),
    "CosineAnnealingLR": lambda optimizer: torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 3),
    "NumPy's numbers": lambda optimizer: torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda epoch: np.interp(epoch, [0, 1, 2], [1, 0.5, 0.1])
    ),
    "ReduceLROnPlateau": lambda optimizer: torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer),
    "None": lambda optimizer: None,
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_schedule_that_is_stepped_at_the_end_of_the_loop_resumes_exactly(
    name, small_mnist, tmp_path
):
    def fit(folder, killed_in=None):
        run = TrainingRun(small_mnist, tmp_path / folder, epochs=3)
        run.scheduler = SCHEDULES[name](run.optimizer)
        if killed_in:
            cut_off(run, Killed(), killed_in, 3)

        def step(epoch, tested):
            if name == "ReduceLROnPlateau":
                run.scheduler.step(tested[0])
            elif run.scheduler:
                run.scheduler.step()

        return run, loop(run, step).history

    whole, expected = fit("whole")
    with pytest.raises(Killed):
        fit("killed", killed_in=3)
    resumed, history = fit("killed")
    assert without_seconds(history) == without_seconds(expected)
    assert torch.equal(resumed.weights(), whole.weights())


@pytest.mark.parametrize("name", ["StepLR", "ReduceLROnPlateau"])
def test_a_schedule_that_counts_epochs_is_not_stepped_per_batch(name, small_mnist, tmp_path):
    run = TrainingRun(small_mnist, tmp_path)
    scheduler = SCHEDULES[name](run.optimizer)
    with pytest.raises(UserError, match=rf"{name} counts epochs.* scheduler\.step\(\) at the end"):
        utils.train(run.model, CPU, run.train_loader, run.optimizer, scheduler)


def test_a_break_ends_the_run_for_good(small_mnist, tmp_path, capsys):
    def fit():
        run = TrainingRun(small_mnist, tmp_path, epochs=4)
        return run, loop(run, lambda epoch, tested: epoch == 2, run.scheduler)

    run, kept = fit()
    assert [row.epoch for row in kept.history] == [1, 2]
    capsys.readouterr()
    again, kept = fit()
    assert [row.epoch for row in kept.history] == [1, 2]
    assert "whole: 2 of 4 epochs are done" in capsys.readouterr().out
    assert torch.equal(again.weights(), run.weights())
    assert "2 of 4" in table(read_runs(tmp_path))


def test_numbers_of_one_s_own_are_in_log_history_and_table(small_mnist, tmp_path, capsys):
    run = TrainingRun(small_mnist, tmp_path, epochs=2)
    parts = (run.model, run.optimizer, run.scheduler, run.train_loader, run.test_loader)
    with Run(run.settings, *parts) as kept:
        for epoch in kept.epochs():
            kept.record((1.0, 50.0), (1.0, 50.0), f1=torch.tensor(epoch / 8))
    assert "f1 0.2500" in capsys.readouterr().out
    history = read_history(kept.folder / "history.csv")
    assert [row.more for row in history] == [{"f1": 0.125}, {"f1": 0.25}]
    header, row = table(read_runs(tmp_path)).splitlines()
    assert header.split().index("f1")
    assert " 0.2500 " in row
    resumed = TrainingRun(small_mnist, tmp_path, epochs=2)
    assert resumed.fit() == history


def test_a_number_with_the_name_of_a_column_is_refused(small_mnist, tmp_path):
    run = TrainingRun(small_mnist, tmp_path)
    parts = (run.model, run.optimizer, run.scheduler, run.train_loader, run.test_loader)
    kept = Run(run.settings, *parts)
    next(kept.epochs())
    with pytest.raises(UserError, match="seconds is a column already"):
        kept.record((1.0, 50.0), (1.0, 50.0), seconds=0)


def test_the_command_shows_all_runs_killed_ones_too(small_mnist, finished, capsys):
    killed = TrainingRun(small_mnist, finished, epochs=3)
    cut_off(killed, Killed(), 2, 3)
    with pytest.raises(Killed):
        killed.fit()
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


@pytest.mark.parametrize("kind", [np.float64, torch.tensor])
def test_numbers_of_any_kind_are_kept_as_numbers(kind, small_mnist, tmp_path):
    def fit():
        run = TrainingRun(small_mnist, tmp_path, epochs=2)
        parts = (run.model, run.optimizer, run.scheduler, run.train_loader, run.test_loader)
        with Run(run.settings, *parts) as kept:
            for _ in kept.epochs():
                kept.record((kind(1.0), kind(50.0)), (kind(1.0), kind(50.0)))
        return kept

    history = fit().history
    assert fit().history == history == read_history(tmp_path / "1" / "history.csv")
    assert len(read_runs(tmp_path)) == 1


class Patience:
    """Something that a loop of one's own counts."""

    def __init__(self):
        self.left = 5

    def state_dict(self):
        return {"left": self.left}

    def load_state_dict(self, state):
        self.left = state["left"]


def test_what_a_loop_keeps_of_its_own_is_kept_with_the_run(small_mnist, tmp_path):
    def fit(killed=False):
        run = TrainingRun(small_mnist, tmp_path, epochs=3)
        parts = (run.model, run.optimizer, None, run.train_loader, run.test_loader)
        patience = Patience()
        with Run(run.settings, *parts, patience=patience) as kept:
            for epoch in kept.epochs():
                kept.record((random.random(), 50.0), (np.random.rand(), 50.0))
                patience.left -= 1
                if epoch == 3 and killed:
                    raise Killed
        return patience.left, kept.history

    random.seed(1)
    np.random.seed(1)
    expected = [(random.random(), np.random.rand()) for _ in range(3)]
    random.seed(1)
    np.random.seed(1)
    with pytest.raises(Killed):
        fit(killed=True)
    random.seed(7)  # as in a new process
    left, history = fit()
    assert left == 2
    assert [(row.train_loss, row.test_loss) for row in history] == expected


def test_a_break_before_the_record_ends_the_run_with_what_was_saved(small_mnist, tmp_path, capsys):
    def fit():
        run = TrainingRun(small_mnist, tmp_path, epochs=4)
        parts = (run.model, run.optimizer, run.scheduler, run.train_loader, run.test_loader)
        with Run(run.settings, *parts) as kept:
            for epoch in kept.epochs():
                trained = utils.train(run.model, CPU, run.train_loader, run.optimizer)
                if epoch == 3:
                    break
                kept.record(trained, utils.test(run.model, CPU, run.test_loader))
        return run, kept

    run, kept = fit()
    assert "ended by the loop in epoch 3 of 4" in capsys.readouterr().out
    assert_weights(run, kept.folder / "net.pt")
    _, kept = fit()
    assert "whole: 2 of 4 epochs are done" in capsys.readouterr().out
    assert [row.epoch for row in kept.history] == [1, 2]


def test_a_stop_after_the_loop_is_no_error(small_mnist, finished):
    run = TrainingRun(small_mnist, finished)
    parts = (run.model, run.optimizer, run.scheduler, run.train_loader, run.test_loader)
    with Run(run.settings, *parts) as kept:
        list(kept.epochs())
        raise KeyboardInterrupt
    assert_weights(run, finished / "1" / "net.pt")


def test_a_run_that_another_process_trains_is_left_alone(small_mnist, tmp_path, capsys):
    TrainingRun(small_mnist, tmp_path).fit()
    with FileLock(tmp_path / "1" / ".lock"):  # as another process has it
        run = TrainingRun(small_mnist, tmp_path)
        run.fit()
    assert "is being trained by another process: a new run begins" in capsys.readouterr().out
    assert run.folder.name == "2"


def test_this_process_takes_a_folder_again_that_it_has_not_let_go_of(small_mnist, tmp_path):
    run = TrainingRun(small_mnist, tmp_path)
    parts = (run.optimizer, run.scheduler, run.train_loader, run.test_loader)
    for _ in range(2):  # such as a cell that fails between the run and its loop
        assert Run(run.settings, run.model, *parts).folder.name == "1"
    run.fit()
    with FileLock(tmp_path / "1" / ".lock", timeout=0):
        pass


def test_settings_are_compared_as_they_are_kept(small_mnist, finished):
    for _ in range(2):
        run = TrainingRun(small_mnist, finished)
        run.settings |= {"betas": (0.9, 0.99), "device": CPU, "act": lambda x: x, "k": np.int64(1)}
        run.settings |= {"nan": float("nan"), "tags": {"a", "b", "c"}}
        run.fit()
    assert run.folder.name == "2"


def test_a_precision_that_was_asked_for_is_another_than_auto(small_mnist, finished):
    run = TrainingRun(small_mnist, finished)
    run.settings["precision"] = "auto"
    run.fit()
    assert run.folder.name == "2"


def test_looking_at_a_batch_does_not_change_the_order(small_mnist, tmp_path):
    weights = []
    for name in ("first", "again"):
        run = TrainingRun(small_mnist, tmp_path / name)
        if name == "again":
            state = torch.get_rng_state()
            next(iter(run.train_loader))
            torch.set_rng_state(state)
        run.fit()
        weights.append(run.weights())
    assert torch.equal(*weights)


SCRIPT = """import os, sys
sys.path.insert(0, {root!r})
import random

import torch
from torch.utils.data import DataLoader, TensorDataset

from mnist.run import Run

RATE = 0.1
model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, 10), torch.nn.LogSoftmax(1))
data = TensorDataset(torch.rand(8, 1, 28, 28, generator=torch.Generator()), torch.arange(8))
loader = DataLoader(data, batch_size=4)
optimizer = torch.optim.SGD(model.parameters(), lr=RATE)
with Run({{"epochs": 1, "output_dir": "runs"}}, model, optimizer, None, loader, loader) as run:
    for epoch in run.epochs():
        run.record((1.0, 50.0), (1.0, 50.0))
print("done")
"""


def test_a_script_anywhere_is_kept_and_compared_under_any_code_page(tmp_path):
    def run(text):
        (tmp_path / "train.py").write_text(text)
        command = [sys.executable, "train.py"]
        environment = os.environ | {"PYTHONIOENCODING": "cp1252"}
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.decode()

    script = SCRIPT.format(root=str(ROOT))
    assert "run 1, in runs" in run(script)
    assert "is whole" in run(script.replace('print("done")', 'print("whole")'))
    assert "run 2, in runs/2: RATE\n" in run(script.replace("0.1", "0.2"))
    longer = run(script.replace('"epochs": 1', '"epochs": 2'))
    assert "run 3, in runs/3: epochs 1 → 2, RATE, the training loop" in longer


def test_scripts_without_a_file_are_told_apart(tmp_path):
    def run(text):
        done = subprocess.run(
            [sys.executable, "-"], cwd=tmp_path, input=text, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    script = SCRIPT.format(root=str(ROOT))
    assert "run 1, in runs" in run(script)
    assert "is whole" in run(script)
    assert "run 2, in runs" in run(script.replace("(8, 1, 28", "(len(sys.argv) + 7, 1, 28"))


def test_other_random_numbers_are_no_difference_as_after_a_look_or_without_a_seed(
    small_mnist, finished
):
    run = TrainingRun(small_mnist, finished)
    torch.rand(1)
    run.use(Net(0.1))
    run.fit()
    assert run.folder.name == "1"


def test_an_epoch_that_is_not_recorded_is_named(small_mnist, tmp_path, monkeypatch):
    monkeypatch.setattr(Run, "record", lambda *_: None)
    with pytest.raises(UserError, match=r"call run.record\(trained, tested\)"):
        TrainingRun(small_mnist, tmp_path).fit()


# --- Precision ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("abilities", "expected"),
    [
        ({"avx512_bf16": True, "amx_bf16": False}, "bfloat16"),
        ({"amx_bf16": True}, "bfloat16"),
        ({"avx512_bf16": False}, "float32"),
        ({}, "float32"),
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


def test_a_resumed_run_keeps_what_auto_became(small_mnist, tmp_path, monkeypatch):
    """On another machine too, where auto would become something else."""

    def run(name, here, stop=None):
        monkeypatch.setattr(trial, "fastest_precision", lambda model, images: here)
        run = TrainingRun(small_mnist, tmp_path / name, epochs=2)
        run.settings["precision"] = "auto"
        if stop:
            cut_off(run, Killed(), 2, 3)
            with pytest.raises(Killed):
                run.fit()
        else:
            run.fit()
        return run.weights()

    whole, other = run("whole", "bfloat16"), run("other", "float32")
    run("killed", "bfloat16", stop=True)
    assert torch.equal(run("killed", "float32"), whole)
    assert not torch.equal(whole, other)
    exact = TrainingRun(small_mnist, tmp_path / "killed", epochs=2)
    exact.fit()
    assert exact.folder.name == "2"


# --- Loaders of other kinds ---------------------------------------------------------------


@pytest.mark.parametrize("generator", [True, False])
def test_a_plain_loader_resumes_bit_for_bit(generator, small_mnist, tmp_path):
    def plain(folder):
        run = TrainingRun(small_mnist, tmp_path / folder, epochs=3)
        data = run.train_loader.dataset
        pairs = TensorDataset(data.transform(data.images), data.labels)
        own = torch.Generator().manual_seed(5) if generator else None
        run.train_loader = DataLoader(pairs, batch_size=50, shuffle=True, generator=own)
        return run

    whole = plain("whole")
    whole.fit()
    killed = plain("killed")
    save = Run._save

    def killed_after_the_second(self, ended):
        save(self, ended)
        if self.epoch == 2:
            raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Run, "_save", killed_after_the_second)
        with pytest.raises(Killed):
            killed.fit()
    resumed = plain("killed")
    resumed.fit()
    assert torch.equal(resumed.weights(), whole.weights())


def test_a_plain_loader_of_the_notebooks_own_images(small_mnist, tmp_path):
    run = TrainingRun(small_mnist, tmp_path, epochs=3)
    run.train_loader = DataLoader(run.train_loader.dataset, batch_size=50, shuffle=True)
    run.test_loader = DataLoader(run.test_loader.dataset, batch_size=50)
    history = run.fit()
    assert history[-1].train_loss < history[0].train_loss - 0.3


def test_workers_that_stay_are_named(small_mnist, tmp_path, capsys):
    data = TrainingRun(small_mnist, tmp_path).train_loader.dataset
    order_of(DataLoader(data, batch_size=50, num_workers=1, persistent_workers=True))
    assert "persistent_workers: a resumed run will" in capsys.readouterr().out
    own = torch.Generator()
    batches = BatchSampler(RandomSampler(data, generator=own), 50, False)
    assert order_of(DataLoader(data, batch_sampler=batches)) is own
    assert capsys.readouterr().out == ""


def test_an_order_that_cannot_be_repeated_is_told(small_mnist, tmp_path, capsys):
    class Backwards(Sampler):
        def __iter__(self):
            return iter(range(599, -1, -1))

        def __len__(self):
            return 600

    run = TrainingRun(small_mnist, tmp_path)
    data = run.train_loader.dataset
    pairs = TensorDataset(data.transform(data.images), data.labels)
    run.train_loader = DataLoader(pairs, batch_size=50, sampler=Backwards())
    run.fit()
    assert "the sampler has no generator: a resumed run may see" in capsys.readouterr().out
