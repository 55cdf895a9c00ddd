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
from mnist.checkpoint import load_weights, why_not_kept
from model import Net


class Part:
    """Keeps what it is given."""

    def __init__(self, kept):
        self.kept = kept

    def state_dict(self):
        return {"kept": self.kept.state_dict() if isinstance(self.kept, SGD) else self.kept}

    def load_state_dict(self, state): ...


def around(shared):
    """An optimizer around others, as SAM is, whose state may be theirs."""
    outer = SGD(MODEL.parameters(), lr=0.1)
    outer.base = [SGD(outer.param_groups, lr=0.1, momentum=0.9)]
    outer.base[0].state = outer.state if shared else outer.base[0].state
    return outer


MODEL = nn.Linear(2, 1)
OPTIMIZER = SGD(MODEL.parameters(), lr=0.1)
PARTS = MODEL, OPTIMIZER
UNREADABLE = "has a state_dict with more than tensors"


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        (object(), "has no state_dict and load_state_dict"),
        (nn.Flatten(), "has an empty state_dict"),
        (Part(np.zeros(2)), UNREADABLE),
        (Part(deque(maxlen=3)), UNREADABLE),
        (Part(lambda x: x), UNREADABLE),
        (Part(lr_scheduler.StepLR(OPTIMIZER, 1)), UNREADABLE),
        (around(shared=False), r"has a state_dict without that of its base \(SGD\)"),
        (around(shared=True), None),
        (Part(SGD(MODEL.parameters(), lr=0.1)), None),
        (Part({"best": np.float64(1), "at": [np.int64(3), None, torch.ones(2)]}), None),
        (Part([2 * weight for weight in MODEL.parameters()]), None),  # no leaves of a graph
        (AveragedModel(MODEL), None),
        (lr_scheduler.StepLR(OPTIMIZER, 1), None),
        *((part, None) for part in PARTS),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_part_whose_state_is_lost_is_told(part, reason):
    why = why_not_kept(part, PARTS)
    assert (why and re.match(reason, why)) if reason else why is None


def under(name):
    return lambda net: {"epoch": np.int64(3), "optimizer": {"state": {}}, name: net}


def with_prefix(prefix):
    return lambda net: {"n_averaged": 3} | {f"{prefix}{name}": net[name] for name in net}


@pytest.mark.parametrize(
    "kept",
    [
        *map(under, ("net", "model", "model_state", "best_model", "state_dict_ema")),
        *map(with_prefix, ("module.", "_orig_mod.", "module._orig_mod.", "model.")),
        lambda net: {"state_dict": with_prefix("model.")(net), "accuracy": np.float64(99.5)},
        lambda net: [{"parts": {"model": net}}],
        None,  # safetensors
    ],
)
def test_weights_of_all_common_forms_are_taken(kept, tmp_path):
    saved, model = Net().state_dict(), Net()
    if kept is None:
        safetensors = pytest.importorskip("safetensors.torch")
        safetensors.save_file(saved, tmp_path / "net.safetensors")
    else:
        torch.save(kept(saved), tmp_path / "net.pt")
    load_weights(model, *tmp_path.iterdir())
    assert all(torch.equal(saved[name], value) for name, value in model.state_dict().items())


NAME = "edges.0.weight"
OTHER = {name: value for name, value in Net().state_dict().items() if name != NAME}


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (None, "does not exist"),
        ({"f": print}, "is damaged, or has more than tensors"),
        (torch.ones(3), f"has no weights of this network. .*Missing .*{NAME}"),
        (OTHER, f"Missing .*{NAME}"),
        (OTHER | {NAME: torch.ones(4, 7)}, rf"mismatch for {NAME}: .*\[4, 7\].*\[16, 1, 3, 3\]"),
        (Net().state_dict() | {"mine": torch.ones(3)}, 'Unexpected .*"mine"'),
    ],
)
def test_weights_that_cannot_be_used_are_named_in_one_line(content, named, tmp_path):
    path = tmp_path / "net.pt"
    if content is not None:
        torch.save(content, path)
    with pytest.raises(UserError, match=rf"net\.pt[^\n]* {named}[^\n]*$"):
        load_weights(Net(), path)
