"""The figures of a run, as they are drawn."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import datasets
from torchvision.transforms import Compose, ToTensor

import utils
from mnist import plots
from mnist.history import Epoch, StoredRun
from mnist.segmentation import Found
from utils import ImageBatches, Predictions

HISTORY = [
    Epoch(1, 0.02, 0.6, 80.0, 0.2, 94.0, 20.0),
    Epoch(2, 0.10, 0.1, 97.0, 0.05, 98.5, 20.0),
    Epoch(3, 0.03, 0.05, 98.5, 0.03, 99.1, 20.0),
]


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("weaker_by", [0, 60])
def test_curves_show_the_network_weak_or_strong(weaker_by, count):
    history = [
        replace(
            row,
            train_accuracy=row.train_accuracy - weaker_by,
            test_accuracy=row.test_accuracy - weaker_by,
        )
        for row in HISTORY[:count]
    ]
    loss, accuracy = plots.curves(history).axes
    for ax, kind in ((loss, "loss"), (accuracy, "accuracy")):
        for line, part in zip(ax.lines, ("train", "test"), strict=True):
            values = [getattr(row, f"{part}_{kind}") for row in history]
            assert list(line.get_ydata()) == values
            low, high = ax.get_ylim()
            assert low < values[-1] < high


def rows_of(figure):
    """The texts of the table in a figure, row by row."""
    (table,) = figure.axes[0].tables
    rows = {}
    for (row, _), cell in sorted(table.get_celld().items()):
        rows.setdefault(row, []).append(cell.get_text().get_text())
    return list(rows.values())


def test_the_test_log_holds_every_row():
    header, *rows = rows_of(plots.test_log(HISTORY))
    assert [row[header.index("test acc.")] for row in rows] == ["94.00 %", "98.50 %", "99.10 %"]
    assert {len(row) for row in rows} == {len(header)}


def test_the_test_log_shows_numbers_of_ones_own():
    more = [{}, {"f1": 0.98}, {"f1": 0.99, "worst digit": 97.0}]
    history = [replace(row, more=numbers) for row, numbers in zip(HISTORY, more, strict=True)]
    header, *rows = rows_of(plots.test_log(history))
    assert header[-2:] == ["f1", "worst digit"]
    assert [row[-2:] for row in rows] == [["", ""], ["0.9800", ""], ["0.9900", "97.0000"]]


def pixels_of(figure):
    """The pixels of the images in a figure."""
    return [np.asarray(ax.images[0].get_array()) for ax in figure.axes if ax.images]


def batches(root, transform=utils.to_unit_range):
    mnist = datasets.MNIST(root)
    return ImageBatches(mnist.data.unsqueeze(1), mnist.targets, transform)


@pytest.mark.parametrize(
    ("make", "white"),
    [(batches, 1), (datasets.MNIST, 255), (partial(datasets.MNIST, transform=ToTensor()), 1)],
    ids=["batches", "PIL images", "tensors"],
)
def test_samples_are_the_images_three_times_with_their_labels(make, white, small_mnist):
    mnist = datasets.MNIST(small_mnist)
    figure = plots.train_samples(make(small_mnist), columns=3)
    pixels = mnist.data[:3].numpy() / 255 * white
    np.testing.assert_allclose(pixels_of(figure), [*pixels, *pixels, *pixels], rtol=1e-6)
    assert [int(ax.get_title()) for ax in figure.axes[:3]] == mnist.targets[:3].tolist()


def test_samples_are_augmented_anew_each_time(small_mnist):
    moved = Compose([utils.to_unit_range, utils.RandomAffine(7, 0.07, 0.1, 1.4)])
    pixels = pixels_of(plots.train_samples(batches(small_mnist, moved), columns=2))
    assert len({image.tobytes() for image in pixels}) == len(pixels) == 6


def test_samples_of_fewer_images_than_columns(small_mnist):
    data = torch.utils.data.Subset(batches(small_mnist, utils.to_unit_range), [5])
    assert len(plots.train_samples(data).axes) == 3


@pytest.fixture
def predictions():
    """Each of 130 images read right, and surely."""
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(130, 1, 28, 28, generator=generator)
    labels = torch.arange(130) % 10
    return Predictions(images, labels, scores(labels, 9.0).log_softmax(1))


def scores(answers, certainty):
    return certainty * torch.nn.functional.one_hot(answers, 10).float()


@pytest.mark.parametrize("wrong", [0, 47, 130])
def test_pictures_of_mistakes(wrong, predictions):
    answers = predictions.labels.clone()
    answers[:wrong] = (answers[:wrong] + 1) % 10
    given = predictions._replace(log_probabilities=scores(answers, 9.0).log_softmax(1))
    (ax,) = plots.confusion_matrix(given).axes
    assert ax.get_title().startswith(f"{wrong} of 130 images wrong")
    counts = {text.get_position(): int(text.get_text()) for text in ax.texts}
    assert sum(counts.values()) == 130
    assert sum(count for (x, y), count in counts.items() if x == (y + 1) % 10) == wrong
    figure = plots.mistakes(given)
    assert figure.get_suptitle() == (
        f"{'All' if wrong < 48 else 'The first 48 of'} {wrong} mistakes, the most confident first"
    )
    assert len(pixels_of(figure)) == min(wrong, 48)


def test_mistakes_start_with_the_most_confident(predictions):
    images, labels, log_probabilities = predictions
    for index, certainty in ((5, 12.0), (7, 20.0), (9, 15.0)):
        log_probabilities[index] = scores((labels[index] + 1) % 10, certainty).log_softmax(0)
    figure = plots.mistakes(predictions)
    titles = [ax.get_title() for ax in figure.axes if ax.get_title()]
    assert [title.partition("\n")[0] for title in titles] == [
        "7 taken for 8", "9 taken for 0", "5 taken for 6",
    ]  # fmt: skip
    np.testing.assert_array_equal(pixels_of(figure), images[[7, 9, 5], 0])


def test_the_own_image_is_shown_with_what_the_network_sees_and_answers():
    image = Image.new("L", (90, 60), 200)
    digit = torch.randint(0, 256, (1, 28, 28), dtype=torch.uint8)
    probabilities = torch.full((10,), 0.03)
    probabilities[4] = 0.73
    found = Found(np.zeros((60, 90), np.uint8), (20, 10, 50, 40), "two digits?")
    figure = plots.own_image(image, found, digit, probabilities)
    photo, seen = pixels_of(figure)
    assert (photo.shape, photo.max()) == ((60, 90), 200)
    np.testing.assert_array_equal(seen, digit[0])
    (frame,) = figure.axes[0].patches
    assert frame.get_bbox().bounds == (19.5, 9.5, 30, 30)
    assert figure.get_suptitle() == "two digits?"
    bars = figure.axes[2]
    assert [bar.get_height() for bar in bars.patches] == pytest.approx(100 * probabilities.numpy())
    assert bars.get_title() == "a 4, 73.0% sure"


def test_the_accuracies_of_all_runs_are_drawn_with_what_each_changed(tmp_path):
    def stored(number, epochs, history):
        return StoredRun(tmp_path / str(number), {"epochs": epochs}, 17_466, {}, history)

    runs = [stored(1, 3, HISTORY), stored(2, 3, []), stored(10, 2, HISTORY[:2])]
    (ax,) = plots.accuracies(runs).axes
    assert [list(line.get_ydata()) for line in ax.lines] == [[94.0, 98.5, 99.1], [94.0, 98.5]]
    first, second = [text.get_text() for text in ax.get_legend().get_texts()]
    assert first == "1: 99.10 %"
    assert second.startswith("10: 98.50 %, ")
    assert "epochs 3 → 2" in second


def test_runs_without_an_epoch_make_an_empty_picture(tmp_path):
    (ax,) = plots.accuracies([StoredRun(tmp_path / "1", {"epochs": 3}, 17_466, {}, [])]).axes
    assert not ax.lines
