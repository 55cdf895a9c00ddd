"""Runs that are cut off, stopped, spoilt, or short of room."""

import errno
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import utils
from common import UserError, write_whole
from mnist import dataset
from mnist.history import read_history
from mnist.settings import SettingsError
from tests.digits import TrainingRun, md5_sums


class Killed(BaseException):
    """Stands for the end of the process: nothing in the project catches it."""


def cut_off(run, error, epoch, step):
    """Make a run's training loader raise in the middle of an epoch, counted from its start on."""
    calls = {"left": (epoch - 1) * len(run.train_loader) + step}
    transform = run.train_loader.dataset.transform

    def counted(images):
        if calls["left"] == 0:
            raise error
        calls["left"] -= 1
        return transform(images)

    run.train_loader.dataset.transform = counted


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
    saved = read_history(tmp_path / "killed" / "history.csv")
    assert without_seconds(saved) == without_seconds(expected)


def test_resuming_says_so_and_shows_the_log(small_mnist, tmp_path, capsys):
    killed = TrainingRun(small_mnist, tmp_path, epochs=3)
    cut_off(killed, Killed(), 3, 2)
    with pytest.raises(Killed):
        killed.fit()
    lines = capsys.readouterr().out.splitlines()
    TrainingRun(small_mnist, tmp_path, epochs=3).fit()
    resumed = capsys.readouterr().out.splitlines()
    assert resumed[0].startswith("resuming after epoch 2 of 3, from ")
    assert resumed[1:4] == lines[1:4]
    assert len(resumed) == 5


def test_a_finished_run_is_not_trained_again(small_mnist, finished):
    run = TrainingRun(small_mnist, finished)
    cut_off(run, AssertionError("it trains"), 1, 0)
    assert run.fit() == read_history(finished / "history.csv")
    assert_weights(run, finished / "net.pt")


def test_without_resume_a_run_starts_anew(small_mnist, finished, capsys):
    run = TrainingRun(small_mnist, finished, resume=False)
    cut_off(run, Killed(), 1, 0)
    with pytest.raises(Killed):
        run.fit()
    assert capsys.readouterr().out.startswith("untrained: ")


def test_other_settings_are_named_with_both_ways_on(small_mnist, finished):
    checkpoint = (finished / "checkpoint.pt").read_bytes()
    with pytest.raises(SettingsError) as error:
        TrainingRun(small_mnist, finished, learning_rate=0.06).fit()
    for part in ("learning_rate = 0.05, not 0.06", "resume=False", "another output_dir"):
        assert part in str(error.value)
    assert (finished / "checkpoint.pt").read_bytes() == checkpoint


@pytest.mark.parametrize(
    "spoil",
    [lambda b: b[:-300], lambda b: b"", lambda b: b"PK\x03\x04" + b[50:], lambda b: b"hello" * 99],
    ids=["cut", "empty", "torn", "foreign"],
)
def test_a_spoilt_checkpoint_is_refused_and_kept(spoil, small_mnist, finished):
    path = finished / "checkpoint.pt"
    path.write_bytes(spoil(path.read_bytes()))
    before = {file.name: file.read_bytes() for file in finished.iterdir()}
    with pytest.raises(UserError, match="damaged or no checkpoint: delete it, or choose another"):
        TrainingRun(small_mnist, finished).fit()
    assert before == {file.name: file.read_bytes() for file in finished.iterdir()}


def test_a_foreign_torch_file_is_refused(small_mnist, tmp_path):
    torch.save({"weights": torch.zeros(3)}, tmp_path / "checkpoint.pt")
    with pytest.raises(UserError, match="damaged or no checkpoint"):
        TrainingRun(small_mnist, tmp_path).fit()


def test_a_stop_by_hand_keeps_the_epochs_that_are_done(small_mnist, tmp_path, capsys):
    run = TrainingRun(small_mnist, tmp_path, epochs=4)
    cut_off(run, KeyboardInterrupt(), 3, 4)
    history = run.fit()
    assert [row.epoch for row in history] == [1, 2]
    assert "stopped in epoch 3 of 4: run again to go on from" in capsys.readouterr().out
    assert_weights(run, tmp_path / "net.pt")


def test_a_stop_before_the_first_epoch_is_one_line(small_mnist, tmp_path):
    run = TrainingRun(small_mnist, tmp_path)
    cut_off(run, KeyboardInterrupt(), 1, 4)
    with pytest.raises(UserError, match="stopped before the first epoch was done"):
        run.fit()


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
    assert len(read_history(tmp_path / "history.csv")) == 1
    saved = torch.load(tmp_path / "net.pt", weights_only=True)
    assert all(value.isfinite().all() for value in saved.values())


def test_a_full_disk_leaves_the_last_checkpoint(small_mnist, tmp_path, monkeypatch):
    run = TrainingRun(small_mnist, tmp_path, epochs=3)
    write, written = Path.write_bytes, []

    def full_after_two_epochs(path, content):
        if "checkpoint" in path.name:
            written.append(path)
            if len(written) == 3:
                write(path, content[:100])
                raise OSError(errno.ENOSPC, "No space left on device")
        return write(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full_after_two_epochs)
        with pytest.raises(UserError, match=r"cannot write .*checkpoint.pt: No space left on"):
            run.fit()
    assert sorted(file.name for file in tmp_path.iterdir() if file.is_file()) == [
        "checkpoint.pt",
        "history.csv",
        "net.pt",
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


def test_a_run_may_start_from_weights_instead_of_training(small_mnist, finished, tmp_path):
    started = TrainingRun(small_mnist, tmp_path / "started")
    started.settings["weights"] = str(finished / "net.pt")
    (row,) = started.fit()
    assert row.test_accuracy == read_history(finished / "history.csv")[-1].test_accuracy
    assert_weights(started, finished / "net.pt")
    assert not (tmp_path / "started").exists()


@pytest.mark.parametrize("content", [None, b"", b"no weights"])
def test_weights_that_cannot_be_used_are_named(content, small_mnist, tmp_path):
    path = tmp_path / "net.pt"
    if content is not None:
        path.write_bytes(content)
    run = TrainingRun(small_mnist, tmp_path / "run")
    run.settings["weights"] = str(path)
    with pytest.raises(UserError, match=r"net.pt is not there, damaged, or holds no weights"):
        run.fit()
