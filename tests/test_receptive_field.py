"""What the blocks' pixels see: networks whose receptive fields are known."""

import pytest
import torch
from torch import nn

from mnist.receptive_field import trace
from model import Net


class Branches(nn.Module):
    """Two branches side by side, of which the wider one counts."""

    def __init__(self):
        super().__init__()
        self.narrow, self.wide = nn.Conv2d(1, 2, 3, padding=1), nn.Conv2d(1, 2, 5, padding=2)
        self.join = nn.Conv2d(2, 2, 1)

    def forward(self, images):
        return self.join(self.narrow(images) + self.wide(images))


@pytest.mark.parametrize(
    ("model", "sees"),
    [
        (nn.Sequential(nn.Conv2d(1, 2, 3, stride=2), nn.Conv2d(2, 2, 3, dilation=2)), [3, 11]),
        (nn.Sequential(nn.Conv2d(1, 2, 3), nn.AdaptiveAvgPool2d(1)), [3, 28]),
        (nn.Sequential(nn.Flatten(), nn.Linear(784, 10)), [28]),
        (nn.Sequential(nn.Flatten(), nn.Linear(784, 10), nn.LogSoftmax(dim=1)), [28, 28]),
        (
            nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.ReLU(), nn.Linear(1352, 10)),
            [3, 3, 28],
        ),
        (Branches(), [3, 5, 5]),
    ],
)
def test_other_networks(model, sees):
    assert [block.sees for block in trace(model, (8, 1, 28, 28))] == [(side, side) for side in sees]


@pytest.mark.parametrize(
    ("paddings", "sides"),
    [([1] * 20, [28] * 20), ([0, 1] * 10, [side for side in range(26, 6, -2) for _ in (0, 1)])],
)
def test_twenty_convolutions_in_a_chain_see_two_pixels_more_each_up_to_the_whole(paddings, sides):
    layers = [
        nn.Conv2d(1 if index == 0 else 4, 4, 3, padding=padding)
        for index, padding in enumerate(paddings)
    ]
    blocks = trace(nn.Sequential(*layers), (4, 1, 28, 28))
    assert [block.shape for block in blocks] == [(4, 4, side, side) for side in sides]
    assert [block.sees for block in blocks] == [
        (side, side) for side in [*range(3, 29, 2), *[28] * 7]
    ]


class Repeated(nn.Module):
    """One convolution used four times."""

    def __init__(self):
        super().__init__()
        self.blur = nn.Conv2d(1, 1, 3, padding=1)

    def forward(self, images):
        for _ in range(4):
            images = self.blur(images)
        return images


class Listed(nn.Module):
    """Blocks in a list that has no forward of its own."""

    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Conv2d(1, 1, size, padding="same"), nn.ReLU()) for size in (3, 5)
        )
        self.end = nn.AdaptiveAvgPool2d(1)

    def forward(self, images):
        for block in self.blocks:
            images = block(images)
        return self.end(images)


@pytest.mark.parametrize(
    ("model", "rows"),
    [
        (Repeated(), [("blur", 3), ("blur", 5), ("blur", 7), ("blur", 9)]),
        (Listed(), [("blocks.0", 3), ("blocks.1", 7), ("end", 28)]),
    ],
)
def test_each_call_of_a_module_by_the_network_itself_is_a_row(model, rows):
    blocks = trace(model, (8, 1, 28, 28))
    assert [(block.name, block.sees) for block in blocks] == [(n, (s, s)) for n, s in rows]


def test_height_and_width_differ():
    (block,) = trace(nn.Sequential(nn.Conv2d(1, 2, (1, 5))), (2, 1, 28, 28))
    assert block.sees == (1, 5)


def test_it_leaves_network_and_random_state_alone():
    model = Net()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.get_rng_state()
    trace(model, (4, 1, 28, 28))
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)
    assert model.training
