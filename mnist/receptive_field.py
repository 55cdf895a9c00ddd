"""What each block of a network gives, and how much of the image a pixel of it can see."""

import copy
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook


class Block(NamedTuple):
    """A block's name, its output's shape, and the height and width of its receptive field."""

    name: str
    shape: tuple[int, ...]
    sees: tuple[int, int]


def trace(model: nn.Module, shape: tuple[int, ...]) -> list[Block]:
    """Send a batch through a model, and see which pixels the middle of each block depends on.

    Those are the pixels at which the gradient is not 0. The batch goes through a copy whose
    weights are all above 0, so that no two paths cancel; it is random, so that a pooling, which
    takes one pixel of each window, takes another one in each image.

    Args:
        shape: of the batch: images, channels, height, width.
    """
    copied = copy.deepcopy(model).cpu().eval()
    with torch.no_grad():
        for parameter in copied.parameters():
            parameter.fill_(0.01)
    names = {block: name for name, block in copied.named_children()}
    outputs = {}

    def note(layer: nn.Module, _, output: Tensor) -> None:
        if layer in names and isinstance(output, Tensor):
            outputs[names[layer]] = output

    images = torch.rand(shape, generator=torch.Generator().manual_seed(0)).requires_grad_()
    with register_module_forward_hook(note):
        copied(images)
    return [Block(name, tuple(it.shape), _seen(images, it)) for name, it in outputs.items()]


def _seen(images: Tensor, output: Tensor) -> tuple[int, int]:
    """Height and width of what the middle pixel of an output, or a flat output, depends on."""
    if output.ndim == 4:
        output = output[:, :, output.shape[2] // 2, output.shape[3] // 2]
    (gradient,) = torch.autograd.grad(output.sum(), images, retain_graph=True)
    seen = (gradient != 0).any(dim=0).any(dim=0)
    rows, columns = (seen.any(dim=axis).nonzero().flatten() for axis in (1, 0))
    return int(rows[-1] - rows[0] + 1), int(columns[-1] - columns[0] + 1)
