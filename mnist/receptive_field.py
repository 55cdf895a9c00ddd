"""What each block of a network gives, and how much of the image a pixel of it can see."""

from typing import NamedTuple

import torch
from torch import nn

from mnist.graph import cone, export, layers_of, shapes_of_calls


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
    exported = export(model, torch.zeros(1, *shape[1:]))
    layers = layers_of(exported)
    last = {layer.call: number for number, layer in enumerate(layers) if layer.call[0]}
    shapes = shapes_of_calls(exported)
    blocks = []
    for call, number in last.items():
        middle = tuple((side // 2, side // 2) for side in layers[number].shape)
        seen = cone(layers, number, middle).get(0, ((0, -1),) * len(shape))  # of padding, nothing
        sees = tuple(
            min(end, side - 1) - max(start, 0) + 1
            for (start, end), side in zip(seen[2:], shape[2:], strict=True)
        )
        blocks.append(Block(call[0], (shape[0], *shapes[call][1:]), sees))
    return blocks
