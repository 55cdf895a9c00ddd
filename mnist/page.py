"""The page: draw a digit, see what every layer makes of it, and what each of its pixels sees."""

import base64
import json
import re
from collections.abc import Sequence
from itertools import accumulate
from math import prod
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from common import UserError
from common.template import assemble
from mnist.graph import Input, Layer, Range, export, layers_of
from utils import ImageBatches, copy_of, misread

TEMPLATE = Path(__file__).parent / "draw_a_digit" / "draw_a_digit.html"
ROOM = 34_000  # bytes of packed images, so that the page of `Net` stays under 250 KB
DIGITS = 10
COMPARED = 100  # images for which the graph, one by one, must answer as the network does


def write_page(
    path: str | Path, model: nn.Module, data: ImageBatches, log_probabilities: Tensor
) -> None:
    """Write the page of a network; the same weights and answers give the same bytes.

    Args:
        model: one whose graph has only operations that `mnist.graph` knows.
        data: the first image of each digit goes into the page, and those that the network gets
            wrong, the most confident mistakes first, as many as there is room for.
        log_probabilities: of each image of `data`, in its order; shape (N, 10).

    Raises:
        UserError: if the page cannot compute the network's answers, if the images are others than
            those of `utils.load_mnist`, or if the file cannot be written.
    """
    if not isinstance(data, ImageBatches):
        raise UserError("the page supports only the images that utils.load_mnist gives")
    compared = data[list(range(min(len(data.images), COMPARED)))][0].cpu()
    grey = greys(data, compared)
    layers = exported_layers(model, compared)
    weights = [grey, *(numbers for layer in layers for numbers in numbers_of(layer).values())]
    answers = log_probabilities.argmax(dim=1)
    examples = [int((data.labels == digit).nonzero()[0]) for digit in data.labels.unique()]
    wrong = misread(data.labels.cpu(), log_probabilities)
    shown = [(index, packed(data.images[index])) for index in examples + wrong]
    sizes = accumulate(len(pixels) for _, pixels in shown)
    shown = [image for image, size in zip(shown, sizes, strict=True) if size <= ROOM]
    written = {
        "LAYERS": described(layers),
        "WEIGHTS": _base64(b"".join(map(_float32, weights))),
        "EXAMPLES": [
            {"index": index, "label": int(data.labels[index]), "answer": int(answers[index])}
            for index, _ in shown
        ],
        "PIXELS": _base64(b"".join(pixels for _, pixels in shown)),
        "TESTED": {"images": len(data.labels), "wrong": len(wrong), "digits": len(examples)},
    }
    constants = (
        f"const {name} = {json.dumps(value, separators=(',', ':'))};\n"
        for name, value in written.items()
    )
    assemble(path, TEMPLATE, {"network": "".join(constants)})


def greys(data: ImageBatches, transformed: Tensor) -> Tensor:
    """List what the network gets for each of the 256 values of a pixel.

    Args:
        transformed: the first images of `data`, as the network gets them.

    Raises:
        UserError: if it gets something else than 28x28 pixels, each computed from its own value.
    """
    flat = torch.arange(256, dtype=torch.uint8, device=data.images.device).view(-1, 1, 1, 1)
    grey = data.transform(flat.expand(-1, *data.images.shape[1:]))[:, 0, 0, 0].cpu()
    if not torch.equal(grey[data.images[: len(transformed)].long().cpu()], transformed):
        raise UserError(
            "the page supports only transforms that compute each of the 28x28 pixels from its own "
            "value, such as to_unit_range and normalise"
        )
    return grey


def exported_layers(model: nn.Module, images: Tensor) -> list[Layer]:
    """List a network's layers, whose last gives the log-probabilities of the ten digits.

    Raises:
        UserError: unless they give for each image alone what the network gives for all of them.
    """
    exported = export(model, images[:1])
    layers = layers_of(exported)
    with torch.no_grad():
        expected = copy_of(model).cpu().float().eval()(images)
        alone = exported.module()
        answers = torch.cat([alone(image).view(1, -1) for image in images.split(1)])
    if not expected.isfinite().all():
        raise UserError("the network's answers are not finite numbers: train it anew")
    if answers.shape != expected.shape or not torch.allclose(answers, expected, atol=1e-4):
        raise UserError("the network answers otherwise for an image alone than for many")
    if expected.shape[1] != DIGITS or expected.logsumexp(dim=1).abs().max() > 1e-3:
        raise UserError("the network does not give ten log-probabilities: end in F.log_softmax")
    return layers


def numbers_of(layer: Layer) -> dict[str, Tensor]:
    """The weights of a layer, and its order as numbers."""
    order = {"order": torch.tensor(layer.order)} if layer.order else {}
    return {**layer.weights, **order}


def described(layers: Sequence[Layer]) -> list[dict[str, Any]]:
    """Describe layers for the page, without their weights."""
    of_digits = _of_digits(layers)
    return [
        {
            "operation": layer.operation,
            "name": layer.name,
            "block": layer.block,
            "label": "" if layer.label.isdecimal() else layer.label,
            "shape": layer.shape,
            "inputs": [_source(source, layers) for source in layer.inputs],
            "weights": {name: numbers.numel() for name, numbers in numbers_of(layer).items()},
            **({"ofDigits": True} if number in of_digits else {}),
            **layer.numbers,
        }
        for number, layer in enumerate(layers)
    ]


def _source(given: Input, layers: Sequence[Layer]) -> dict[str, Any]:
    """Where a layer gets numbers from; what is left out is as the page expects it."""
    described = {"layer": given.layer}
    if given.shape != layers[given.layer].shape:
        described["shape"] = given.shape
    if given.reach != tuple(map(Range, range(len(given.shape)))):
        described["reach"] = given.reach
    return described


def _of_digits(layers: Sequence[Layer]) -> set[int]:
    """The layers with one map or number for each digit, from the last one that mixes maps on."""
    found, rest = set(), [len(layers) - 1]
    while rest:
        number = rest.pop()
        if number in found or _maps(layers[number].shape) != DIGITS:
            continue
        found.add(number)
        if layers[number].operation not in ("convolution", "linear", "order"):
            rest += [source.layer for source in layers[number].inputs]
    return found


def _maps(shape: tuple[int, ...]) -> int:
    return prod(shape[:-2]) if len(shape) > 2 else prod(shape)


def packed(image: Tensor) -> bytes:
    """Pack a uint8 image row by row: a run of up to 255 zeros becomes a zero and its length."""
    pixels = image.cpu().numpy().tobytes()
    return re.sub(rb"\0{1,255}", lambda run: bytes([0, len(run[0])]), pixels)


def _float32(tensor: Tensor) -> bytes:
    return tensor.detach().cpu().contiguous().numpy().astype("<f4").tobytes()


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()
