"""The parts of a training that can be kept, and weights in the forms in which people save them."""

import re
from collections import deque

import numpy as np
import pytest
import torch
from torch import nn
from torch.optim import SGD, lr_scheduler
from torch.optim.swa_utils import AveragedModel

from common import UserError
from mnist.checkpoint import as_bytes, from_bytes, load_weights, why_not_kept
from model import Net


class Part:
    """Keeps what it is given."""

    def __init__(self, kept):
        self.kept = kept

    def state_dict(self):
        return {"kept": self.kept}

    def load_state_dict(self, state):
        self.kept = state["kept"]


class Around(SGD):
    """An optimizer around another, as SAM is: its own state_dict does not have the other's."""

    def __init__(self, parameters):
        super().__init__(parameters, lr=0.1)
        self.base = SGD(self.param_groups, lr=0.1, momentum=0.9)


class Sharing(Around):
    def __init__(self, parameters):
        super().__init__(parameters)
        self.base.state = self.state


class Lookahead(Part):
    def __init__(self, optimizer):
        self.base = optimizer

    def state_dict(self):
        return {"base": self.base.state_dict(), "steps": 3}


class Warm(lr_scheduler.LambdaLR):
    """A schedule that holds another in its state."""

    def __init__(self, optimizer):
        self.then = lr_scheduler.StepLR(optimizer, 1)
        super().__init__(optimizer, lambda epoch: 1.0)


MODEL = nn.Linear(2, 1)
OPTIMIZER = SGD(MODEL.parameters(), lr=0.1)
PARTS = {"model": MODEL, "optimizer": OPTIMIZER}


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        (object(), "has no state_dict and load_state_dict"),
        (Part(np.zeros(2)), "has a state_dict with more than tensors"),
        (Part(deque(maxlen=3)), "has a state_dict with more than tensors"),
        (Part(lambda x: x), "has a state_dict with more than tensors"),
        (Warm(OPTIMIZER), "has a state_dict with more than tensors"),
        (Around(MODEL.parameters()), r"has a state_dict without that of its base \(SGD\)"),
        (Sharing(MODEL.parameters()), None),
        (Lookahead(SGD(MODEL.parameters(), lr=0.1)), None),
        (Part({"best": np.float64(1), "at": [np.int64(3), None, torch.ones(2)]}), None),
        (AveragedModel(MODEL), None),
        (lr_scheduler.StepLR(OPTIMIZER, 1), None),
        *((part, None) for part in PARTS.values()),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_part_whose_state_is_lost_is_told(part, reason):
    why = why_not_kept(part, PARTS)
    assert (why and re.match(reason, why)) if reason else why is None


def test_numpy_s_numbers_become_python_s():
    assert from_bytes(as_bytes({"a": [np.float64(0.5), np.int64(2)]})) == {"a": [0.5, 2]}


def under(name):
    return lambda net: {"epoch": 3, "optimizer": {"state": {}}, name: net}


def with_prefix(prefix):
    return lambda net: {f"{prefix}{name}": value for name, value in net.items()}


@pytest.mark.parametrize(
    "kept",
    [
        *map(under, ("net", "model", "model_state", "best_model", "state_dict_ema")),
        *map(with_prefix, ("module.", "_orig_mod.", "module._orig_mod.", "model.")),
        lambda net: {"state_dict": with_prefix("model.")(net), "pytorch-lightning_version": "2"},
        lambda net: {"model": net, "accuracy": np.float64(99.5), "epoch": np.int64(3)},
        lambda net: {**with_prefix("module.")(net), "n_averaged": torch.tensor(3)},
        lambda net: [{"parts": {"model": net}}],
    ],
)
def test_weights_of_all_common_forms_are_taken(kept, tmp_path):
    saved, model = Net(), Net()
    torch.save(kept(saved.state_dict()), tmp_path / "net.pt")
    load_weights(model, tmp_path / "net.pt")
    for name, value in saved.state_dict().items():
        assert torch.equal(value, model.state_dict()[name])


def test_weights_in_safetensors_are_taken(tmp_path):
    safetensors = pytest.importorskip("safetensors.torch")
    saved, model = Net(), Net()
    safetensors.save_file(saved.state_dict(), tmp_path / "net.safetensors")
    load_weights(model, tmp_path / "net.safetensors")
    assert torch.equal(saved.digits[0].weight, model.digits[0].weight)


NAME = "edges.0.weight"
OTHER = {name: value for name, value in Net().state_dict().items() if name != NAME}


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (None, "does not exist"),
        (b"no weights", "is damaged, or has more than tensors"),
        (torch.ones(3), f"has no weights of this network. .*Missing .*{NAME}"),
        (OTHER, f"Missing .*{NAME}"),
        (OTHER | {NAME: torch.ones(4, 7)}, rf"mismatch for {NAME}: .*\[4, 7\].*\[16, 1, 3, 3\]"),
        (OTHER | {NAME: 3}, f'"{NAME}", expected .* received .*int'),
        (Net().state_dict() | {"mine": torch.ones(3)}, 'Unexpected .*"mine"'),
    ],
)
def test_weights_that_cannot_be_used_are_named_in_one_line(content, named, tmp_path):
    path = tmp_path / "net.pt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        torch.save(content, path)
    with pytest.raises(UserError, match=rf"net\.pt[^\n]* {named}[^\n]*$"):
        load_weights(Net(), path)
