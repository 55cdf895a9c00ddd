"""The pictures of a run."""

import matplotlib.image
import pytest
import torch

import utils
from mnist import plots
from mnist.history import Epoch
from tests.digits import CPU

HISTORY = [
    Epoch(1, 0.02, 0.6, 80.0, 0.2, 94.0, 20.0),
    Epoch(2, 0.10, 0.1, 97.0, 0.05, 98.5, 20.0),
    Epoch(3, 0.03, 0.05, 98.5, 0.03, 99.1, 20.0),
]


def check_picture(path):
    pixels = matplotlib.image.imread(path)
    assert min(pixels.shape[:2]) > 100
    assert pixels[..., :3].std() > 0.01, "the picture is blank"


def test_pictures_of_a_history(tmp_path):
    plots.curves(HISTORY, tmp_path / "curves.png")
    plots.test_log(HISTORY, tmp_path / "log.png")
    plots.curves(HISTORY[:1], tmp_path / "one.png")
    for name in ("curves", "log", "one"):
        check_picture(tmp_path / f"{name}.png")


def test_samples_are_drawn(small_mnist, tmp_path):
    train_data, _ = utils.load_mnist(small_mnist, CPU, utils.to_unit_range, utils.to_unit_range)
    plots.train_samples(train_data, tmp_path / "samples.png", columns=3)
    check_picture(tmp_path / "samples.png")


@pytest.mark.parametrize("wrong", [0, 130])
def test_pictures_of_mistakes(wrong, small_mnist, tmp_path):
    _, test_data = utils.load_mnist(small_mnist, CPU, utils.to_unit_range, utils.to_unit_range)
    guesses = test_data.labels.clone()
    guesses[:wrong] = (guesses[:wrong] + 1) % 10
    log_probabilities = torch.full((130, 10), 0.01)
    log_probabilities[torch.arange(130), guesses] = 0.91
    log_probabilities.log_()
    plots.confusion_matrix(log_probabilities, test_data.labels, tmp_path / "matrix.png")
    assert plots.plt.gca().get_title().startswith(f"{wrong} of 130 images wrong")
    plots.mistakes(test_data, log_probabilities, tmp_path / "mistakes.png")
    assert plots.plt.gcf().get_suptitle() == (
        f"{'All' if wrong < 48 else 'The first 48 of'} {wrong} mistakes, the most confident first"
    )
    for name in ("matrix", "mistakes"):
        check_picture(tmp_path / f"{name}.png")


def test_mistakes_start_with_the_most_confident(small_mnist, tmp_path):
    _, test_data = utils.load_mnist(small_mnist, CPU, utils.to_unit_range, utils.to_unit_range)
    log_probabilities = torch.zeros(130, 10)
    log_probabilities[torch.arange(130), test_data.labels] = 9.0
    for index, certainty in ((5, 12.0), (7, 20.0), (9, 15.0)):
        log_probabilities[index, (test_data.labels[index] + 1) % 10] = certainty
    plots.mistakes(test_data, log_probabilities.log_softmax(1), tmp_path / "mistakes.png")
    titles = [ax.get_title() for ax in plots.plt.gcf().axes if ax.get_title()]
    expected = [f"{test_data.labels[i]} taken for" for i in (7, 9, 5)]
    assert [title[: len(expected[0])] for title in titles] == expected
