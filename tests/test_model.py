"""The network: its layers, shapes, dropout and start."""

import copy
import re
import shutil
import subprocess
import sys

import pytest
import torch

import utils
from model import Net
from tests.digits import ROOT


def test_every_layer_is_one_of_pytorch_s_and_in_the_summary(capsys):
    net = Net()
    net.summary()
    out = capsys.readouterr().out
    leaves = [layer for layer in net.modules() if not list(layer.children())]
    assert all(type(layer).__module__.startswith("torch.nn.modules") for layer in leaves)
    assert re.findall(r"^ *(\w+)-\d+ ", out, re.MULTILINE) == [
        type(leaf).__name__ for leaf in leaves
    ]
    assert len(leaves) == 23
    assert "Total params: 17,466\n" in out


def test_any_network_for_any_image_is_summarised(capsys):
    utils.summarise(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(48, 10)), (3, 4, 4))
    assert "Total params: 490" in capsys.readouterr().out


def test_a_summary_leaves_the_network_as_it_is():
    net = Net()
    before, state = copy.deepcopy(net.state_dict()), torch.get_rng_state()
    net.summary()
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
    assert net.training


DEPLOYED = """
import sys
sys.modules["torchsummary"] = None  # not installed
import torch
from model import Net
net = Net()
net.load_state_dict(torch.load("net.pt", weights_only=True))
print(net.eval()(torch.zeros(2, 1, 28, 28)).shape)
"""


def test_the_file_alone_and_its_weights_can_be_used_elsewhere(tmp_path):
    for file in ("model.py", "results/net.pt"):
        shutil.copy(ROOT / file, tmp_path)
    command = [sys.executable, "-c", DEPLOYED]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "torch.Size([2, 10])\n"


def test_forward_gives_log_probabilities():
    log_probabilities = Net()(torch.randn(5, 1, 28, 28))
    assert log_probabilities.shape == (5, 10)
    torch.testing.assert_close(log_probabilities.exp().sum(dim=1), torch.ones(5))


@pytest.mark.parametrize("shape", [(28, 28), (1, 28, 28), (2, 3, 28, 28), (2, 1, 32, 32), (2, 784)])
def test_forward_names_the_shape_it_cannot_take(shape):
    with pytest.raises(ValueError, match=r"\(N, 1, 28, 28\)") as error:
        Net()(torch.zeros(shape))
    assert str(tuple(shape)) in str(error.value)


@pytest.mark.parametrize("dropout", [-0.1, 1.5])
def test_dropout_is_a_probability(dropout):
    with pytest.raises(ValueError, match="dropout"):
        Net(dropout)


def test_dropout_acts_in_training_alone_after_the_two_1x1_convolutions():
    torch.manual_seed(0)
    net, image = Net(0.3), torch.randn(2, 1, 28, 28)
    zeroed = []
    for block in (net.shrink1, net.shrink2):
        block.register_forward_hook(lambda *hooked: zeroed.append((hooked[2] == 0).float().mean()))
    net(image)
    torch.testing.assert_close(torch.stack(zeroed), torch.full((2,), 0.3), atol=0.05, rtol=0)
    assert torch.equal(net.eval()(image), net(image))
    assert zeroed[2:] == [0] * 4


def test_convolutions_of_the_last_block_start_as_he_et_al_have_it():
    """With a deviation of sqrt(2 / inputs of a weight), so that ReLUs keep a signal's size."""
    torch.manual_seed(0)
    for layer in Net().digits:
        if isinstance(layer, torch.nn.Conv2d):
            count = layer.weight.numel()
            expected = (2 / layer.weight[0].numel()) ** 0.5
            # The deviation of a deviation is 1/sqrt(2 count) of it; five of them.
            assert layer.weight.std().item() == pytest.approx(expected, rel=5 / (2 * count) ** 0.5)
            assert abs(layer.weight.mean().item()) < 5 * expected / count**0.5
            assert not layer.bias.any()
