"""Runs that are cut off, stopped, spoilt, or short of room."""

import errno
import os
import re
import shutil
from dataclasses import replace

import pytest
import torch
from mnist.checkpoint import Checkpoint, order_of
from mnist.fingerprint import bare
from mnist.weights import load_weights
from torch.utils.data import BatchSampler, DataLoader, RandomSampler, Sampler, TensorDataset

import mnist.run
import utils
from common import UserError, write_whole
from mnist import dataset, fingerprint
from mnist.history import LOG_HEADER, read_history
from mnist.settings import SettingsError
from model import Net
from tests.digits import ROOT, TrainingRun, md5_sums


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
    assert resumed[0].startswith("2 of 3 epochs are done: resuming from ")
    log = lines.index(LOG_HEADER)
    again = resumed.index(LOG_HEADER)
    assert resumed[again : again + 3] == lines[log : log + 3]
    assert len(resumed[again:]) == 4


def test_a_finished_run_says_so_and_is_not_trained_again(small_mnist, finished, capsys):
    run = TrainingRun(small_mnist, finished)
    cut_off(run, AssertionError("it trains"), 1, 0)
    assert run.fit() == read_history(finished / "history.csv")
    assert re.search(r"^1 of 1 epochs .*resume=False", capsys.readouterr().out, re.MULTILINE)
    assert_weights(run, finished / "net.pt")


def test_without_resume_a_run_starts_anew(small_mnist, finished):
    run = TrainingRun(small_mnist, finished, resume=False)
    cut_off(run, Killed(), 1, 0)
    with pytest.raises(Killed):
        run.fit()


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
    with pytest.raises(UserError, match="damaged or not a checkpoint: delete it or choose another"):
        TrainingRun(small_mnist, finished).fit()
    assert before == {file.name: file.read_bytes() for file in finished.iterdir()}


def test_a_foreign_torch_file_is_refused(small_mnist, tmp_path):
    torch.save({"weights": torch.zeros(3)}, tmp_path / "checkpoint.pt")
    with pytest.raises(UserError, match="damaged or not a checkpoint"):
        TrainingRun(small_mnist, tmp_path).fit()


def test_a_stop_by_hand_keeps_the_epochs_that_are_done(small_mnist, tmp_path, capsys):
    run = TrainingRun(small_mnist, tmp_path, epochs=4)
    cut_off(run, KeyboardInterrupt(), 3, 4)
    history = run.fit()
    assert [row.epoch for row in history] == [1, 2]
    assert "stopped in epoch 3 of 4: run all cells again to go on" in capsys.readouterr().out
    assert_weights(run, tmp_path / "net.pt")


def test_a_stop_before_the_first_epoch_is_one_line(small_mnist, tmp_path):
    run = TrainingRun(small_mnist, tmp_path)
    cut_off(run, KeyboardInterrupt(), 1, 4)
    with pytest.raises(UserError, match="stopped before the first epoch was saved"):
        run.fit()


@pytest.mark.parametrize("resume", [True, False])
def test_a_stop_between_the_test_and_the_saving_of_the_first_epoch(
    resume, small_mnist, finished, tmp_path, monkeypatch
):
    """Neither a missing checkpoint nor that of another run is taken for this one's."""
    folder = tmp_path / "new" if resume else finished
    run = TrainingRun(small_mnist, folder, resume=resume)
    monkeypatch.setattr(Checkpoint, "save", raise_interrupt)
    with pytest.raises(UserError, match="stopped before the first epoch was saved"):
        run.fit()


def raise_interrupt(*_):
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
    assert len(read_history(tmp_path / "history.csv")) == 1
    saved = torch.load(tmp_path / "net.pt", weights_only=True)
    assert all(value.isfinite().all() for value in saved.values())


def test_a_full_disk_leaves_the_last_checkpoint(small_mnist, tmp_path, monkeypatch):
    run = TrainingRun(small_mnist, tmp_path, epochs=3)
    sync, synced = os.fsync, []

    def full_after_two_epochs(descriptor):
        synced.append(descriptor)
        if len(synced) == 7:  # three files per epoch, the checkpoint first
            raise OSError(errno.ENOSPC, "No space left on device")
        sync(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full_after_two_epochs)
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


def test_what_a_killed_writer_left_behind_is_removed(tmp_path):
    kept = {".8-net.pt", ".9-history.csv", ".best-net.pt"}
    for name in (".7-net.pt", *kept):
        (tmp_path / name).write_bytes(b"half")
        if name != ".8-net.pt":  # which another process may be writing
            os.utime(tmp_path / name, (0, 0))
    write_whole(tmp_path / "net.pt", b"whole")
    assert {file.name for file in tmp_path.iterdir()} == {"net.pt", *kept}


def test_a_run_with_weights_trains_nothing(small_mnist, finished, tmp_path):
    started = TrainingRun(small_mnist, tmp_path / "started")
    started.settings["weights"] = str(finished / "net.pt")
    load_weights(started.model, finished / "net.pt")
    assert started.fit() == []
    assert_weights(started, finished / "net.pt")
    assert not (tmp_path / "started").exists()


@pytest.mark.parametrize("content", [None, b"", b"no weights"])
def test_weights_that_cannot_be_used_are_named(content, tmp_path):
    path = tmp_path / "net.pt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=r"net\.pt"):
        load_weights(Net(), path)


# --- Changed code, changed networks -------------------------------------------------------


CODE = "import torch\n\n\ndef half(x):\n    return x / 2\n"


@pytest.mark.parametrize(
    ("changed", "same"),
    [
        (CODE.replace("\n\n\n", "\n"), True),
        (CODE.replace("/ 2", "/ 2  # a half"), True),
        ("# A file of its own.\n" + CODE.replace("\n", "   \n"), True),
        (CODE.replace("/ 2", "/ 3"), False),
        (CODE.replace("/ 2", "/ len('#')"), False),
        (CODE.replace("    return", "    y = f'{x} # {2}'\n    return"), False),
    ],
)
def test_only_comments_and_blank_lines_may_change(changed, same):
    assert (bare(changed) == bare(CODE)) is same


@pytest.mark.parametrize("name", ["model.py", "utils.py"])
def test_changed_code_is_named_with_both_ways_on(
    name, small_mnist, finished, tmp_path, monkeypatch
):
    root = tmp_path / "code"
    root.mkdir()
    for file in fingerprint.CODE:
        shutil.copy(ROOT / file, root)
    monkeypatch.setattr(fingerprint, "ROOT", root)
    TrainingRun(small_mnist, finished).fit()
    with open(root / name, "a") as file:
        file.write("\n# Nothing new.\n")
    TrainingRun(small_mnist, finished).fit()
    with open(root / name, "a") as file:
        file.write("\nNEW = 1\n")
    with pytest.raises(UserError) as error:
        TrainingRun(small_mnist, finished).fit()
    message = str(error.value)
    for part in (name, "has changed", "resume=False", "another output_dir"):
        assert part in message
    assert "\n" not in message
    assert len(TrainingRun(small_mnist, finished, resume=False).fit()) == 1


class Doubled(Net):
    """The same layers, another way through them: as a cell of the notebook may define it."""

    def forward(self, images):
        return super().forward(2 * images)


def other_size():
    model = Net(0.1)
    model.digits[0] = torch.nn.Conv2d(8, 24, 3)
    model.digits[2] = torch.nn.Conv2d(24, 32, 3)
    return model


def other_option():
    model = Net(0.1)
    model.edges[3].padding_mode = "reflect"
    return model


@pytest.mark.parametrize("make", [other_size, other_option, lambda: Doubled(0.1)])
def test_a_network_that_changed_outside_of_the_files_is_named(make, small_mnist, finished):
    run = TrainingRun(small_mnist, finished)
    run.use(make())
    before = run.weights()
    with pytest.raises(UserError, match=r"the network has changed since .* another output_dir"):
        run.fit()
    assert torch.equal(run.weights(), before)


def test_another_optimizer_schedule_or_loader_is_named(small_mnist, finished):
    def changed(name):
        run = TrainingRun(small_mnist, finished)
        if name == "the optimizer":
            run.optimizer = torch.optim.Adam(run.model.parameters(), lr=0.05)
        elif name == "the schedule":
            run.scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(run.optimizer, 12)
        else:
            run.train_loader = DataLoader(run.train_loader.dataset, batch_size=50, shuffle=True)
        return run

    for name in ("the optimizer", "the schedule", "the training loader"):
        run = changed(name)
        before = run.weights()
        with pytest.raises(UserError, match=f"{name} has changed since"):
            run.fit()
        assert torch.equal(run.weights(), before)


def test_a_checkpoint_without_fingerprint_is_of_another_version(small_mnist, finished):
    content = torch.load(finished / "checkpoint.pt", weights_only=True)
    del content["fingerprint"]
    torch.save(content, finished / "checkpoint.pt")
    with pytest.raises(UserError, match=r"model.py has changed since"):
        TrainingRun(small_mnist, finished).fit()


def test_a_network_that_was_trained_is_not_trained_as_a_new_one(small_mnist, tmp_path):
    """As happens where only the last cell of the notebook runs again."""
    run = TrainingRun(small_mnist, tmp_path, resume=False)
    run.fit()
    with pytest.raises(UserError, match="has been trained already: run all cells"):
        run.fit()


def test_a_kill_after_the_checkpoint_leaves_no_old_results(small_mnist, finished, monkeypatch):
    """The other files are written anew from the checkpoint, by the next start at the latest."""
    run = TrainingRun(small_mnist, finished, seed=2, resume=False)
    with monkeypatch.context() as patch:
        patch.setattr(mnist.run, "save_history", raise_killed)
        with pytest.raises(Killed):
            run.fit()
    weights = run.weights()
    resumed = TrainingRun(small_mnist, finished, seed=2)
    assert resumed.fit() == read_history(finished / "history.csv")
    assert torch.equal(resumed.weights(), weights)
    assert_weights(resumed, finished / "net.pt")


def raise_killed(*_):
    raise Killed


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
    assert mnist.run.fastest_precision(torch.device("cpu")) == expected
    assert mnist.run.fastest_precision(torch.device("cuda")) == "float32"


def test_a_resumed_run_keeps_what_auto_became(small_mnist, tmp_path, monkeypatch):
    """On another machine too, where auto would become something else."""

    def run(name, here, stop=None):
        monkeypatch.setattr(mnist.run, "fastest_precision", lambda device: here)
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
    resumed = TrainingRun(small_mnist, tmp_path / "killed", epochs=2)
    with pytest.raises(SettingsError, match="precision = 'bfloat16', not 'float32'"):
        resumed.fit()


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
    record = mnist.run.Run.record

    def killed_after_the_second(self, epoch, *row):
        record(self, epoch, *row)
        if epoch == 2:
            raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mnist.run.Run, "record", killed_after_the_second)
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
