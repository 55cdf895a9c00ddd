"""A first look at a network: what a copy of it answers for a few images, before it is trained."""

import copy
from contextlib import nullcontext

import torch
from torch import Tensor, nn

from common import UserError


def copy_of(model: nn.Module) -> nn.Module:
    """Copy a network; what of it cannot be copied, such as a lock, the copy has in common."""
    shared = {}
    for module in model.modules():
        own = [value for name, value in vars(module).items() if not name.startswith("_")]
        for value in [*own, *module.buffers(recurse=False)]:
            try:
                copy.deepcopy(value)
            except Exception:  # of what cannot be pickled, anything is raised
                shared[id(value)] = value
    return copy.deepcopy(model, shared)


def answers(
    model: nn.Module,
    images: Tensor,
    training: bool = False,
    precision: torch.dtype = torch.float32,
    memory_format: torch.memory_format = torch.preserve_format,
) -> Tensor:
    """Give what a copy of the model answers, in training after a backward pass; no state moves."""
    device = images.device
    copied = copy_of(model).to(memory_format=memory_format).train(training)
    mixed = nullcontext() if precision == torch.float32 else torch.autocast(device.type, precision)
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        with mixed, torch.set_grad_enabled(training):
            given = copied(images)
        if training and isinstance(given, Tensor):
            given.float().sum().backward()
    return given


def check_answers(model: nn.Module, images: Tensor) -> None:
    """See that a model gives ten log-probabilities for each image, and can be trained.

    Raises:
        UserError: if it gives something else. Errors of the network itself pass as they are.
    """
    for training in (False, True):
        given, shape = answers(model, images, training), (len(images), 10)
        what = f"a {type(given).__name__}"
        if isinstance(given, Tensor):
            what = f"other numbers of shape {tuple(given.shape)}"
            sums = given.detach().cpu().double().logsumexp(dim=-1).abs()
            # Rounding of ten numbers in float32, or in half precision, stays far below 0.05.
            if given.shape == shape and sums.max() < 0.05:
                continue
        what += ": end forward with F.log_softmax(x, dim=1)"
        raise UserError(f"Net must give log-probabilities of shape {shape}, and gives {what}")


def runs_in_channels_last(model: nn.Module, images: Tensor) -> bool:
    """Whether a model runs, and answers the same, with its images in channels-last order."""
    try:
        expected = answers(model, images)
        given = answers(model, images, memory_format=torch.channels_last)
        answers(model, images, training=True, memory_format=torch.channels_last)
    except Exception:  # such as of x.view() after a convolution
        return False
    return torch.allclose(given, expected, rtol=1e-3, atol=1e-3)


def fastest_precision(model: nn.Module, images: Tensor) -> str:
    """Give "bfloat16" on a CPU that computes in it, if the model runs in it, else "float32"."""
    ask = getattr(torch.cpu, "get_capabilities", dict)  # older PyTorch does not tell
    abilities = ask() if images.device.type == "cpu" else {}
    if not (abilities.get("avx512_bf16") or abilities.get("amx_bf16")):
        return "float32"
    try:
        given = answers(model, images, training=True, precision=torch.bfloat16)
    except Exception:  # such as of operations that mix types
        return "float32"
    return "bfloat16" if given.isfinite().all() else "float32"
