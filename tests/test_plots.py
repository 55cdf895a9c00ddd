"""The pictures of a run."""

from dataclasses import replace

import numpy as np
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


class Figures(list):
    """A list that carries what was shown."""


@pytest.fixture
def drawn(monkeypatch):
    """The figures that are drawn, each as often as it is, with what was shown in a notebook."""
    figures, shown = Figures(), []
    draw = plots.png_bytes
    monkeypatch.setattr(plots, "png_bytes", lambda figure: figures.append(figure) or draw(figure))
    monkeypatch.setattr(plots, "show_picture", shown.append)
    figures.shown = shown
    return figures


def test_each_picture_is_drawn_once_and_shown_as_it_is_saved(drawn, tmp_path):
    plots.curves(HISTORY, tmp_path / "curves.png")
    plots.test_log(HISTORY, tmp_path / "log.png")
    assert len(drawn) == 2
    assert drawn.shown == [(tmp_path / f"{name}.png").read_bytes() for name in ("curves", "log")]


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("weaker_by", [0, 60])
def test_curves_show_the_network_weak_or_strong(weaker_by, count, drawn, tmp_path):
    history = [
        replace(
            row,
            train_accuracy=row.train_accuracy - weaker_by,
            test_accuracy=row.test_accuracy - weaker_by,
        )
        for row in HISTORY[:count]
    ]
    plots.curves(history, tmp_path / "curves.png")
    loss, accuracy = drawn[0].axes
    for ax, kind in ((loss, "loss"), (accuracy, "accuracy")):
        for line, part in zip(ax.lines, ("train", "test"), strict=True):
            values = [getattr(row, f"{part}_{kind}") for row in history]
            assert list(line.get_ydata()) == values
            low, high = ax.get_ylim()
            assert low < values[-1] < high


def test_the_test_log_holds_every_row(drawn, tmp_path):
    plots.test_log(HISTORY, tmp_path / "log.png")
    (table,) = drawn[0].axes[0].tables
    texts = {cell.get_text().get_text() for cell in table.get_celld().values()}
    assert {f"{row.test_accuracy:.2f} %" for row in HISTORY} <= texts


def test_samples_are_the_images_and_moved_copies(small_mnist, drawn, tmp_path):
    train_data, _ = utils.load_mnist(
        small_mnist, CPU, lambda images: 1 - utils.to_unit_range(images), utils.to_unit_range
    )
    plots.train_samples(train_data, tmp_path / "samples.png", columns=3)
    pixels = [ax.images[0].get_array() for ax in drawn[0].axes]
    assert len(pixels) == 4 * 3
    assert (pixels[1] == train_data.images[1, 0].numpy()).all()
    np.testing.assert_allclose(pixels[4], 1 - pixels[1] / 255, atol=1e-6)


@pytest.mark.parametrize("wrong", [0, 130])
def test_pictures_of_mistakes(wrong, small_mnist, drawn, tmp_path):
    _, test_data = utils.load_mnist(small_mnist, CPU, utils.to_unit_range, utils.to_unit_range)
    guesses = test_data.labels.clone()
    guesses[:wrong] = (guesses[:wrong] + 1) % 10
    log_probabilities = torch.full((130, 10), 0.01)
    log_probabilities[torch.arange(130), guesses] = 0.91
    log_probabilities.log_()
    plots.confusion_matrix(log_probabilities, test_data.labels, tmp_path / "matrix.png")
    assert drawn[0].axes[0].get_title().startswith(f"{wrong} of 130 images wrong")
    plots.mistakes(test_data, log_probabilities, tmp_path / "mistakes.png")
    assert drawn[1].get_suptitle() == (
        f"{'All' if wrong < 48 else 'The first 48 of'} {wrong} mistakes, the most confident first"
    )


def test_mistakes_start_with_the_most_confident(small_mnist, drawn, tmp_path):
    _, test_data = utils.load_mnist(small_mnist, CPU, utils.to_unit_range, utils.to_unit_range)
    log_probabilities = torch.zeros(130, 10)
    log_probabilities[torch.arange(130), test_data.labels] = 9.0
    for index, certainty in ((5, 12.0), (7, 20.0), (9, 15.0)):
        log_probabilities[index, (test_data.labels[index] + 1) % 10] = certainty
    plots.mistakes(test_data, log_probabilities.log_softmax(1), tmp_path / "mistakes.png")
    titles = [ax.get_title() for ax in drawn[0].axes if ax.get_title()]
    expected = [f"{test_data.labels[i]} taken for" for i in (7, 9, 5)]
    assert [title[: len(expected[0])] for title in titles] == expected
