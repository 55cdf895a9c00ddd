"""What each block of a network gives, and how much of the image a pixel of it can see."""

from typing import NamedTuple

import torch
from torch import nn

from mnist.graph import cone, export, layers_of


class Block(NamedTuple):
    """A block's name, its output's shape, and the height and width of its receptive field."""

    name: str
    shape: tuple[int, ...]
    sees: tuple[int, int]


def trace(model: nn.Module, shape: tuple[int, ...]) -> list[Block]:
    """List the modules that the network itself calls, each time it does so.

    What a pixel sees is given for one in the middle, without padding. Modules that only reorder
    numbers, such as nn.Flatten, or do nothing in a test, such as nn.Dropout, are left out.

    Args:
        shape: of a batch: images, channels, height, width.

    Raises:
        UserError: if the network cannot be exported, or has an operation that is not known.
    """
    layers = layers_of(export(model, torch.zeros(1, *shape[1:])))
    last = {layer.call: number for number, layer in enumerate(layers) if layer.call[0]}
    blocks = []
    for (name, _), number in last.items():
        middle = tuple((side // 2, side // 2) for side in layers[number].shape)
        *_, rows, columns = cone(layers, number, middle)[0]
        sees = tuple(
            min(end, side - 1) - max(start, 0) + 1
            for (start, end), side in zip((rows, columns), shape[2:], strict=True)
        )
        blocks.append(Block(name, (shape[0], *layers[number].shape[1:]), sees))
    return blocks
