"""What a block's pixel sees, against what autograd finds."""

import pytest
import torch

from mnist.receptive_field import trace
from model import Net


def seen_by_autograd(model, last):
    """The side of the square of pixels that a middle pixel of a block's output depends on."""
    blocks = torch.nn.Sequential(*list(model.children())[: last + 1]).eval()
    with torch.no_grad():
        for parameter in blocks.parameters():
            parameter.fill_(0.01)  # above 0, so that every path counts
    torch.manual_seed(0)
    images = torch.rand(64, 1, 28, 28, requires_grad=True)  # a pooling takes one pixel of each
    output = blocks(images)
    middle = output.shape[-1] // 2
    output[:, :, middle, middle].sum().backward()
    rows = images.grad.abs().sum(dim=(0, 1, 3)).nonzero().flatten()
    return int(rows[-1] - rows[0] + 1)


@pytest.mark.parametrize("index", range(5))
def test_a_pixel_sees_what_autograd_finds(index):
    model = Net()
    block = trace(model, torch.zeros(2, 1, 28, 28))[index]
    assert min(block.sees, 28) == seen_by_autograd(model, index)


def test_strides_and_dilations_count():
    model = torch.nn.Sequential(
        torch.nn.Conv2d(1, 2, 3, stride=2), torch.nn.Conv2d(2, 2, 3, dilation=2), torch.nn.ReLU()
    )
    blocks = trace(model, torch.zeros(1, 1, 28, 28))
    assert [block.sees for block in blocks] == [3, 11, 11]
    assert blocks[0].shape == (1, 2, 13, 13)


def test_it_leaves_the_network_and_its_statistics_alone():
    model = Net()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    trace(model, torch.rand(4, 1, 28, 28))
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    model.train()(torch.rand(4, 1, 28, 28)).sum().backward()  # no hook is left that would raise
