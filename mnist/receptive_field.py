"""What each block of a network gives, and how much of the image a pixel of it can see."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook


class Block(NamedTuple):
    """A block's name, the shape of its output, and the side of its receptive field in pixels."""

    name: str
    shape: tuple[int, ...]
    sees: int


@torch.inference_mode()
def trace(model: nn.Module, images: Tensor) -> list[Block]:
    """Send images through a model, and note what each of its blocks makes of them.

    The receptive field of a layer is that of the layer before, wider by (kernel - 1) steps, where
    a step is the distance on the image between what two neighbouring pixels see; a layer's stride
    multiplies it. Only layers that are modules count, not functions called in `forward`.

    Args:
        images: a batch as the model takes it.
    """
    names = {block: name for name, block in model.named_children()}
    blocks, sees, step = [], 1, 1

    def note(layer: nn.Module, _, output: Tensor) -> None:
        nonlocal sees, step
        if hasattr(layer, "kernel_size"):
            sees += (_side(layer.kernel_size) - 1) * _side(getattr(layer, "dilation", 1)) * step
            step *= _side(layer.stride)
        if layer in names:
            blocks.append(Block(names[layer], tuple(output.shape), sees))

    with register_module_forward_hook(note):
        model.eval()(images)
    return blocks


def _side(size: int | tuple[int, ...]) -> int:
    return size if isinstance(size, int) else size[0]
