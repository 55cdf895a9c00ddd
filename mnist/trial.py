"""What a network does with a few images, tried on a copy of it before it is trained."""

import copy
import traceback
from contextlib import nullcontext
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from common import UserError


class NoCopy(Exception):
    """A network cannot be copied, for something that it holds."""


def answers(
    model: nn.Module,
    images: Tensor,
    training: bool = False,
    precision: torch.dtype = torch.float32,
    memory_format: torch.memory_format = torch.preserve_format,
) -> Tensor:
    """Give what a copy of the model answers; when training, after a backward pass.

    The model, its batch norm's statistics and the random state stay as they are.

    Raises:
        NoCopy: if there can be no copy, and it would not stay as it is without.
    """
    device, mode = images.device, model.training
    try:
        copied = copy.deepcopy(model)
    except Exception as error:  # of what cannot be pickled, anything is raised
        if training or memory_format != torch.preserve_format:
            raise NoCopy from error
        copied = model
    copied = copied.to(memory_format=memory_format).train(training)
    mixed = nullcontext() if precision == torch.float32 else torch.autocast(device.type, precision)
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        with mixed, torch.set_grad_enabled(training):
            given = copied(images)
        if training and getattr(given, "requires_grad", False):
            given.float().sum().backward()
    model.train(mode)
    return given


def check_answers(model: nn.Module, images: Tensor) -> None:
    """See that a model answers with ten log-probabilities for each image.

    A network that cannot be copied is only looked at as it is when it is tested.

    Raises:
        UserError: if not, or if it cannot take the images or be trained; says where, and what to
            write instead.
    """
    for training in (False, True):
        try:
            given = answers(model, images, training)
        except NoCopy:
            return
        except Exception as error:
            if not training and images.shape[2:] == (28, 28) and _runs_in_32(model, images):
                advice = "write transforms.Pad(2) before utils.normalise in both transforms"
                raise UserError(f"Net takes images of 32x32 pixels: {advice}") from None
            raise UserError(
                f"Net fails with images of shape {tuple(images.shape)}{_place(error)}: "
                f"{type(error).__name__}: {error}"
            ) from error
        if complaint := _complaint(given, len(images)):
            raise UserError(f"Net gives {complaint}")
        if training and not given.requires_grad:
            raise UserError(
                "Net gives numbers that depend on no weight that is trained: leave out .detach(), "
                ".data and torch.no_grad() in forward"
            )


def _complaint(given: Tensor, count: int) -> str | None:
    end = "end forward with F.log_softmax(x, dim=1)"
    if not isinstance(given, Tensor):
        return f"a {type(given).__name__}, not a tensor of log-probabilities: {end}"
    if given.shape != (count, 10):
        return (
            f"{tuple(given.shape)} for {count} images, not ({count}, 10): flatten to ten numbers "
            f"for each image, and {end}"
        )
    given = given.detach().cpu().double()
    if not given.isfinite().all():
        return "numbers that are not finite: see how its weights start"
    # Rounding of ten numbers in float32, or in half precision, stays far below this.
    if torch.logsumexp(given, dim=1).abs().max() < 0.05:
        return None
    if torch.logsumexp(given, dim=0).abs().max() < 0.05:
        return f"a log-softmax that runs over the images: {end}, not dim=0"
    if ((given > 0) & (given < 1)).all():
        return f"probabilities: {end}, in place of softmax or sigmoid"
    return f"logits: {end}"


def _runs_in_32(model: nn.Module, images: Tensor) -> bool:
    """Whether a model runs with images of 28x28 pixels in a frame of two."""
    try:
        answers(model, F.pad(images, (2, 2, 2, 2)))
    except Exception:
        return False
    return True


def _place(error: Exception) -> str:
    """Say at which line of the learner's own code an error came up."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [
        frame
        for frame in frames
        if "site-packages" not in frame.filename and frame.filename != __file__
    ]
    if not own:
        return ""
    return f", at {Path(own[-1].filename).name}, line {own[-1].lineno}: {own[-1].line}"


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
    except Exception:  # such as of operations that mix types
        return "float32"
    return "bfloat16" if given.isfinite().all() else "float32"
