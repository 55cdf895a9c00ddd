"""What each block of a network gives, and how much of the image a pixel of it can see."""

from math import nan, prod
from typing import Any, NamedTuple

import torch
from torch import fx, nn

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

    What a pixel sees is given for one in the middle, without padding: the rows and columns of the
    image that, filled with NaN, make the pixel NaN. Modules that only reorder numbers, such as
    nn.Flatten, or do nothing in a test, such as nn.Dropout, are left out.

    Args:
        shape: of a batch: images, channels, height, width.

    Raises:
        UserError: if the network cannot be exported, or has an operation that is not known.
    """
    count, *sides = shape
    exported = export(model, torch.zeros(1, *sides))
    last = {layer.call: layer for layer in layers_of(exported) if layer.call[0]}
    seen = {call: ([], []) for call in last}
    network = Recorder(exported.module())
    with torch.no_grad():
        for axis in (0, 1):
            for place in range(sides[1 + axis]):
                image = torch.linspace(0.1, 1, prod(sides)).view(1, *sides)
                image.select(2 + axis, place).fill_(nan)
                network.run(image)
                for call, layer in last.items():
                    middle = tuple(side // 2 for side in layer.shape)
                    if network.results[layer.node][middle].isnan():
                        seen[call][axis].append(place)
    shapes = shapes_of_calls(exported)
    return [
        Block(call[0], (count, *shapes[call][1:]), (extent(rows), extent(columns)))
        for call, (rows, columns) in seen.items()
    ]


def extent(places: list[int]) -> int:
    """From the first of some places to the last."""
    return places[-1] - places[0] + 1 if places else 0
