"""What the blocks' pixels see: networks whose receptive fields are known."""

import pytest
import torch
from torch import nn

from common import UserError
from mnist.receptive_field import trace

SHAPE = (8, 1, 28, 28)


def padded(size, maps=1):
    return nn.Conv2d(maps, maps, size, padding="same")


class Branches(nn.Module):
    """Two branches side by side, of which the wider one counts."""

    def __init__(self):
        super().__init__()
        self.narrow, self.wide, self.join = padded(3), padded(5), padded(1)

    def forward(self, images):
        return self.join(self.narrow(images) + self.wide(images))


class Repeated(nn.Module):
    """One convolution used four times."""

    def __init__(self):
        super().__init__()
        self.blur = padded(3)

    def forward(self, images):
        for _ in range(4):
            images = self.blur(images)
        return images


class Listed(nn.Module):
    """Blocks in a list that has no forward of its own."""

    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList(nn.Sequential(padded(size), nn.ReLU()) for size in (3, 5))
        self.end = nn.AdaptiveAvgPool2d(1)

    def forward(self, images):
        for block in self.blocks:
            images = block(images)
        return self.end(images)


@pytest.mark.parametrize(
    ("model", "rows"),
    [
        (
            nn.Sequential(nn.Conv2d(1, 2, 3, stride=2), nn.Conv2d(2, 2, 3, dilation=2)),
            [("0", 3, 3), ("1", 11, 11)],
        ),
        (nn.Sequential(nn.Conv2d(1, 2, (1, 5)), nn.MaxPool2d(2)), [("0", 1, 5), ("1", 2, 6)]),
        (
            nn.Sequential(nn.Flatten(), nn.Linear(784, 10), nn.Dropout(), nn.LogSoftmax(dim=1)),
            [("1", 28, 28), ("3", 28, 28)],
        ),
        (
            nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.ReLU(), nn.Linear(1352, 10)),
            [("0", 3, 3), ("2", 3, 3), ("3", 28, 28)],
        ),
        (Branches(), [("narrow", 3, 3), ("wide", 5, 5), ("join", 5, 5)]),
        (Repeated(), [("blur", 3, 3), ("blur", 5, 5), ("blur", 7, 7), ("blur", 9, 9)]),
        (Listed(), [("blocks.0", 3, 3), ("blocks.1", 7, 7), ("end", 28, 28)]),
    ],
)
def test_each_call_of_a_module_by_the_network_itself_is_a_row(model, rows):
    assert [(block.name, *block.sees) for block in trace(model, SHAPE)] == rows


@pytest.mark.parametrize(
    ("paddings", "sides"),
    [([1] * 20, [28] * 20), ([0, 1] * 10, [side for side in range(26, 6, -2) for _ in (0, 1)])],
)
def test_twenty_convolutions_in_a_chain_see_two_pixels_more_each_up_to_the_whole(paddings, sides):
    layers = [nn.Conv2d(1, 1, 3, padding=padding) for padding in paddings]
    blocks = trace(nn.Sequential(*layers), SHAPE)
    assert [block.shape for block in blocks] == [(8, 1, side, side) for side in sides]
    assert [block.sees for block in blocks] == [
        (side, side) for side in [*range(3, 29, 2), *[28] * 7]
    ]


def test_modules_end_in_their_own_shapes_and_padding_sees_nothing():
    shuffled = nn.Sequential(nn.Conv2d(1, 4, 3), nn.PixelShuffle(2))
    flat = nn.Sequential(nn.ZeroPad2d((80, 0, 80, 0)), nn.Flatten())
    blocks = trace(nn.Sequential(shuffled, flat), SHAPE)
    assert [block.shape for block in blocks] == [(8, 1, 52, 52), (8, 132 * 132)]
    assert [block.sees for block in blocks] == [(3, 3), (0, 0)]


def test_a_network_with_nan_of_its_own_is_named_in_place_of_what_it_sees():
    class Logarithm(nn.Module):
        def forward(self, images):
            return torch.log(images - 0.5)

    with pytest.raises(UserError, match="0 gives NaN for an image without any"):
        trace(nn.Sequential(Logarithm(), padded(3)), SHAPE)
