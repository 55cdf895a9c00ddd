"""Networks that have died or learn nothing are reported and stopped; slow ones go on."""

import re

import pytest
import torch

import utils
from mnist.history import read_history
from mnist.run import LearnsNothing
from tests.digits import CPU, TrainingRun


def kill_in(run, epoch):
    """Make the last ReLU give 0 for every image from an epoch's third step on."""
    run.before_step(epoch, 2, lambda: run.model.digits[2].bias.data.fill_(-1e6))


def told(captured):
    """The epochs of which it is said that they are no better than guessing."""
    return re.findall(r"^epoch (\d): .*learning_rate", captured.readouterr().out, re.MULTILINE)


def test_a_good_rate_learns(small_mnist, tmp_path, capsys):
    history = TrainingRun(small_mnist, tmp_path, epochs=3, learning_rate=0.1).fit()
    assert history[-1].test_accuracy > 90
    assert told(capsys) == []


def test_a_rate_that_is_far_too_high_is_named_and_ends_the_run(small_mnist, tmp_path, capsys):
    run = TrainingRun(small_mnist, tmp_path, epochs=3, learning_rate=10.0)
    with pytest.raises(LearnsNothing) as error:
        run.fit()
    facts = rf"epoch \d: \d+\.\d\d % .*learning_rate 10 .*momentum.* {run.folder}: \d"
    assert re.fullmatch(facts, str(error.value))
    assert told(capsys)


def test_a_network_that_dies_is_stopped_and_leaves_what_it_had_learned(
    small_mnist, tmp_path, capsys
):
    run = TrainingRun(small_mnist, tmp_path, epochs=3)
    kill_in(run, 2)
    with pytest.raises(LearnsNothing, match=r"^epoch 3: .*: 1$"):
        run.fit()
    assert told(capsys) == ["2"]
    (row,) = read_history(run.folder / "history.csv")
    run.model.load_state_dict(torch.load(run.folder / "net.pt", weights_only=True))
    _, accuracy = utils.test(run.model, CPU, run.test_loader)
    assert accuracy == row.test_accuracy > 20
    checkpoint = torch.load(run.folder / "checkpoint.pt", weights_only=True)
    assert len(checkpoint["history"]) == 1


def test_one_epoch_of_guessing_is_told_and_forgiven(small_mnist, tmp_path, capsys):
    run = TrainingRun(small_mnist, tmp_path, epochs=3)
    kill_in(run, 2)
    run.before_step(3, 0, lambda: run.model.digits[2].bias.data.fill_(0))
    history = run.fit()
    assert [row.epoch for row in history] == [1, 2, 3]
    assert told(capsys) == ["2"]
    assert history[-1].test_accuracy > history[1].test_accuracy + 30
    assert read_history(run.folder / "history.csv") == history


def test_a_slow_start_is_no_death(small_mnist, tmp_path, capsys):
    run = TrainingRun(small_mnist, tmp_path, seed=2, epochs=2, learning_rate=0.001)
    assert len(run.fit()) == 2
    assert told(capsys) == ["1", "2"]


def test_a_rate_next_to_0_is_to_be_raised(small_mnist, tmp_path):
    # With seed 2 the loss rises in the second epoch already, with others some epochs later.
    run = TrainingRun(small_mnist, tmp_path, seed=2, epochs=20, learning_rate=1e-12)
    with pytest.raises(LearnsNothing, match=r"learning_rate 1e-12 .* raise a learning_rate"):
        run.fit()
