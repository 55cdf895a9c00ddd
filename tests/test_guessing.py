"""Networks that have died or learn nothing are reported and stopped; slow ones go on."""

import re

import pytest
import torch

import utils
from mnist.history import read_history
from mnist.run import LearnsNothing
from tests.digits import CPU, TEST_COUNT, TrainingRun


def before_step(run, step, change):
    """Have something done to a run's model before a step, counted from 0 over all epochs."""
    transform, calls = run.train_loader.dataset.transform, []

    def counted(images):
        if len(calls) == step:
            change(run.model)
        calls.append(len(images))
        return transform(images)

    run.train_loader.dataset.transform = counted


def kill(model):
    """Make the last ReLU give 0 for every image."""
    with torch.no_grad():
        model.digits[2].bias.fill_(-1e6)


def revive(model):
    with torch.no_grad():
        model.digits[2].bias.fill_(0)


def outcome(run):
    """The last epoch's test accuracy, and the message if the run was stopped."""
    try:
        return run.fit()[-1].test_accuracy, ""
    except LearnsNothing as error:
        return 0, str(error)


@pytest.mark.parametrize("rate", [0.1, 10.0])
def test_a_high_rate_learns_or_says_so(rate, small_mnist, tmp_path, capsys):
    """Of the two rates one learns and one does not; on any machine, each says what it did."""
    run = TrainingRun(small_mnist, tmp_path, epochs=3, learning_rate=rate)
    accuracy, message = outcome(run)
    warned = re.search(r"^epoch \d: .*learning_rate", capsys.readouterr().out, re.MULTILINE)
    assert (accuracy > 90) is (rate == 0.1)
    assert (bool(warned), bool(message)) == ((False, False) if rate == 0.1 else (True, True))
    facts = rf"epoch \d: \d+\.\d\d % .*learning_rate {rate:g} .*momentum.* {run.folder}: \d"
    assert rate == 0.1 or re.fullmatch(facts, message)


def test_a_network_that_dies_is_stopped_and_leaves_what_it_had_learned(
    small_mnist, tmp_path, capsys
):
    run = TrainingRun(small_mnist, tmp_path, epochs=3)
    before_step(run, len(run.train_loader) + 2, kill)
    with pytest.raises(LearnsNothing, match=r"^epoch 3: .*: 1$"):
        run.fit()
    assert len(re.findall(r"^epoch \d: ", capsys.readouterr().out, re.MULTILINE)) == 1

    kept = TrainingRun(small_mnist, tmp_path)
    kept.model.load_state_dict(torch.load(run.folder / "net.pt", weights_only=True))
    history = read_history(run.folder / "history.csv")
    assert len(history) == 1
    _, accuracy = utils.test(kept.model, CPU, kept.test_loader)
    assert accuracy == history[-1].test_accuracy > 20
    checkpoint = torch.load(run.folder / "checkpoint.pt", weights_only=True)
    assert len(checkpoint["history"]) == 1


def test_one_epoch_of_guessing_is_told_and_forgiven(small_mnist, tmp_path, capsys):
    run = TrainingRun(small_mnist, tmp_path, epochs=3)
    steps = len(run.train_loader)
    before_step(run, steps + 2, kill)
    before_step(run, 2 * steps, revive)
    history = run.fit()
    assert [row.epoch for row in history] == [1, 2, 3]
    assert "epoch 2: " in capsys.readouterr().out
    assert history[-1].test_accuracy > history[1].test_accuracy + 30
    assert read_history(run.folder / "history.csv") == history


def test_a_slow_start_is_no_death(small_mnist, tmp_path, capsys):
    run = TrainingRun(small_mnist, tmp_path, seed=2, epochs=2, learning_rate=0.001)
    history = run.fit()
    labels = run.test_loader.dataset.labels
    guessing = 100 * labels.bincount().max().item() / TEST_COUNT
    assert [row.test_accuracy <= guessing for row in history] == [True, True]
    assert f"epoch 2: {history[-1].test_accuracy:.2f} % " in capsys.readouterr().out


def test_a_rate_next_to_0_is_to_be_raised(small_mnist, tmp_path):
    # With seed 2 the loss rises in the second epoch already, with others some epochs later.
    run = TrainingRun(small_mnist, tmp_path, seed=2, epochs=20, learning_rate=1e-12)
    with pytest.raises(LearnsNothing, match=r"learning_rate 1e-12 .* raise a learning_rate"):
        run.fit()
