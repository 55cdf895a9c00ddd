"""What each block of a network gives, and how much of the image a pixel of it can see."""

import copy
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules.module import (
    register_module_forward_hook,
    register_module_forward_pre_hook,
)


class Block(NamedTuple):
    """A block's name, its output's shape, and the height and width of its receptive field."""

    name: str
    shape: tuple[int, ...]
    sees: tuple[int, int]


def trace(model: nn.Module, shape: tuple[int, ...]) -> list[Block]:
    """Send a batch through a model, and see which pixels the middle of each block depends on.

    A block is a module that the model itself calls, each time it does so. Its pixels are those at
    which the gradient is not 0, in a copy with random weights that are all above 0, so
    that no two paths cancel, and that have a mean of one over the inputs of a weight, so that
    neither outputs nor gradients vanish. The batch is random, so that a pooling, which takes one
    pixel of each window, takes another one in each image.

    Args:
        shape: of the batch: images, channels, height, width.
    """
    try:
        return _trace(model, shape, torch.float64)
    except RuntimeError:  # of a network with a type written into it
        return _trace(model, shape, torch.float32)


def _trace(model: nn.Module, shape: tuple[int, ...], dtype: torch.dtype) -> list[Block]:
    generator = torch.Generator().manual_seed(0)
    copied = copy.deepcopy(model).cpu().to(dtype).eval()
    with torch.no_grad():
        for name, tensor in copied.state_dict().items():
            if tensor.ndim > 1:
                random = torch.rand(tensor.shape, generator=generator, dtype=dtype)
                tensor.copy_((0.5 + random) / tensor[0].numel())
            elif tensor.is_floating_point():  # biases and means 0; scales and variances 1
                tensor.fill_(not name.endswith(("bias", "mean")))
    names = {block: name for name, block in copied.named_modules()}
    inside, outputs = [], []

    def enter(layer: nn.Module, _) -> None:
        inside.append(layer)

    def leave(layer: nn.Module, _, output: Tensor) -> None:
        inside.pop()
        if inside == [copied] and isinstance(output, Tensor):
            outputs.append((names.get(layer, type(layer).__name__), output))

    images = torch.rand(shape, generator=generator, dtype=dtype).requires_grad_()
    with (
        register_module_forward_pre_hook(enter),
        register_module_forward_hook(leave),
        torch.random.fork_rng(devices=[]),
    ):
        copied(images)
    return [Block(name, tuple(it.shape), _seen(images, it)) for name, it in outputs]


def _seen(images: Tensor, output: Tensor) -> tuple[int, int]:
    """Height and width of what the middle pixel of an output, or a flat output, depends on."""
    if output.ndim == 4:
        output = output[:, :, output.shape[2] // 2, output.shape[3] // 2]
    # Of a softmax, the plain sum does not depend on anything.
    weights = 0.5 + torch.rand(output.shape, generator=torch.Generator().manual_seed(0))
    (gradient,) = torch.autograd.grad((weights * output).sum(), images, retain_graph=True)
    seen = (gradient != 0).any(dim=0).any(dim=0)
    rows, columns = (seen.any(dim=axis).nonzero().flatten() for axis in (1, 0))
    return int(rows[-1] - rows[0] + 1), int(columns[-1] - columns[0] + 1)
