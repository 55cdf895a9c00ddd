"""What each block of a network gives, and how much of the image a pixel of it can see."""

import functools
from bisect import bisect_left
from math import nan, prod
from typing import Any, NamedTuple

import torch
from torch import Tensor, fx, nn

from common import UserError
from mnist.graph import export, layers_of, shapes_of_calls


class Block(NamedTuple):
    """A block's name, its output's shape, and the height and width of its receptive field."""

    name: str
    shape: tuple[int, ...]
    sees: tuple[int, int]


class Recorder(fx.Interpreter):
    """Computes a traced network and keeps what each of its nodes gives."""

    def __init__(self, network: fx.GraphModule) -> None:
        super().__init__(network)
        self.results = {}

    def run_node(self, node: fx.Node) -> Any:
        result = super().run_node(node)
        several = result if isinstance(result, (tuple, list)) else [result]
        self.results |= {(node.name, number): part for number, part in enumerate(several)}
        return result


def trace(model: nn.Module, shape: tuple[int, ...]) -> list[Block]:
    """List the modules that the network itself calls, each time it does so.

    What a pixel sees is given for one in the middle, without padding: from the first to the last
    row and column of the image that, filled with NaN, makes the pixel NaN. Modules that only
    reorder numbers, such as nn.Flatten, or do nothing in a test, such as nn.Dropout, are left out.

    Args:
        shape: of a batch: images, channels, height, width.

    Raises:
        UserError: if the network cannot be exported, has an operation that is not known, or gives
            NaN for an image without any.
    """
    count, *sides = shape
    exported = export(model, torch.zeros(1, *sides))
    last = {layer.call: layer for layer in layers_of(exported) if layer.call[0]}
    middles = {call: tuple(side // 2 for side in layer.shape) for call, layer in last.items()}
    network = Recorder(exported.module())

    def run(axis: int, start: int, end: int) -> dict[tuple[str, int], Tensor]:
        """Give each call's result for an image that is NaN from one row or column to another."""
        image = torch.linspace(0.1, 1, prod(sides)).view(1, *sides)
        image.narrow(2 + axis, start, end - start).fill_(nan)
        with torch.no_grad():
            network.run(image)
        return {call: network.results[layer.node] for call, layer in last.items()}

    @functools.cache
    def reached(axis: int, start: int, end: int) -> set[tuple[str, int]]:
        results = run(axis, start, end)
        return {call for call in last if results[call][middles[call]].isnan()}

    def extent(call: tuple[str, int], axis: int) -> int:
        size = sides[1 + axis]
        before = bisect_left(range(size), True, key=lambda row: call in reached(axis, 0, row + 1))
        after = bisect_left(
            range(size), True, key=lambda row: call in reached(axis, size - 1 - row, size)
        )
        return max(size - before - after, 0)

    for (name, _), result in run(0, 0, 0).items():
        if result.isnan().any():
            raise UserError(f"{name} gives NaN for an image without any: what is seen is not known")
    shapes = shapes_of_calls(exported)
    return [
        Block(call[0], (count, *shapes[call][1:]), (extent(call, 0), extent(call, 1)))
        for call in last
    ]
