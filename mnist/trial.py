"""What a network does with a few images, tried on a copy of it before it is trained."""

import copy
from contextlib import nullcontext
from weakref import WeakKeyDictionary

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from common import UserError

_versions: WeakKeyDictionary[nn.Module, int] = WeakKeyDictionary()


def answers(
    model: nn.Module,
    images: Tensor,
    training: bool = False,
    precision: torch.dtype = torch.float32,
    memory_format: torch.memory_format = torch.preserve_format,
) -> Tensor:
    """Give what a copy of the model answers; when training, after a backward pass.

    The model, its batch norm's statistics and the random state stay as they are.
    """
    device = images.device
    copied = copy.deepcopy(model).to(memory_format=memory_format).train(training)
    mixed = nullcontext() if precision == torch.float32 else torch.autocast(device.type, precision)
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        with mixed, torch.set_grad_enabled(training):
            given = copied(images)
        if training and isinstance(given, Tensor):
            given.float().sum().backward()
    return given.detach() if isinstance(given, Tensor) else given


def check_answers(model: nn.Module, images: Tensor) -> None:
    """See that a model answers with ten log-probabilities for each image.

    Raises:
        UserError: if not; says what it gives, and what to write instead.
    """
    end = "end forward with F.log_softmax(x, dim=1)"
    for training in (True, False):
        try:
            given = answers(model, images, training)
        except RuntimeError as error:
            if images.shape[2:] == (28, 28) and _runs(model, F.pad(images, (2, 2, 2, 2))):
                advice = "write transforms.Pad(2) before utils.normalise in both transforms"
                raise UserError(f"Net takes images of 32x32 pixels: {advice}") from error
            raise
        if not isinstance(given, Tensor):
            kind = type(given).__name__
            raise UserError(f"Net gives a {kind}, not a tensor of log-probabilities: {end}")
        if given.shape != (len(images), 10):
            raise UserError(
                f"Net gives {tuple(given.shape)} for {len(images)} images, not "
                f"({len(images)}, 10): flatten to ten numbers for each image, and {end}"
            )
        given = given.cpu().double()
        if not given.isfinite().all():
            raise UserError("Net gives numbers that are not finite: see how its weights start")
        # Rounding of ten numbers in float32, or in half precision, stays far below this.
        if torch.logsumexp(given, dim=1).abs().max() < 0.05:
            continue
        if (given >= 0).all() and (given.sum(dim=1) - 1).abs().max() < 0.05:
            raise UserError(f"Net gives probabilities: {end}, in place of softmax")
        if torch.logsumexp(given, dim=0).abs().max() < 0.05:
            raise UserError(f"Net's log-softmax runs over the images: {end}, not dim=0")
        raise UserError(f"Net gives logits: {end}")


def _runs(model: nn.Module, images: Tensor) -> bool:
    try:
        answers(model, images)
    except RuntimeError:
        return False
    return True


def runs_in_channels_last(model: nn.Module, images: Tensor) -> bool:
    """Whether a model runs, and answers the same, with its images in channels-last order."""
    try:
        expected = answers(model, images)
        given = answers(model, images, memory_format=torch.channels_last)
        answers(model, images, training=True, memory_format=torch.channels_last)
    except RuntimeError:  # such as of x.view() after a convolution
        return False
    return torch.allclose(given, expected, rtol=1e-3, atol=1e-3)


def fastest_precision(model: nn.Module, images: Tensor) -> str:
    """The type in which a model is trained fastest at no cost in accuracy.

    That is "bfloat16" on a CPU with instructions for it, if the model runs in it; "float32" on
    other CPUs, on GPUs, and where PyTorch is too old to tell.
    """
    ask = getattr(torch.cpu, "get_capabilities", dict)
    abilities = ask() if images.device.type == "cpu" else {}
    if not (abilities.get("avx512_bf16") or abilities.get("amx_bf16")):
        return "float32"
    try:
        given = answers(model, images, training=True, precision=torch.bfloat16)
    except RuntimeError:  # of operations that mix types
        return "float32"
    return "bfloat16" if given.isfinite().all() else "float32"


def remember_start(model: nn.Module) -> None:
    """Remember how often the weights of a new model have been written so far."""
    _versions[model] = _writes(model)


def starting_weights(model: nn.Module) -> str:
    """Say whether the weights are those the model was made with, or which they are."""
    if _versions.get(model, _writes(model)) == _writes(model):
        return "as made"
    norm = sum(parameter.detach().cpu().double().square().sum() for parameter in model.parameters())
    return f"changed, norm {norm.sqrt().item():.4g}"


def _writes(model: nn.Module) -> int:
    return sum(parameter._version for parameter in model.parameters())
