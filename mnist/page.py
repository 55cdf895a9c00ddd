"""The page: draw a digit, see what every layer makes of it, and what each of its pixels sees."""

import base64
import copy
import json
import re
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from common import UserError
from common.page import assemble
from mnist.dataset import ImageBatches
from mnist.predictions import misread

TEMPLATE = Path(__file__).parent / "draw_a_digit" / "page.html"
ROOM = 40_000  # bytes of packed images, so that the page of `Net` stays under 250 KB
DIGITS = 10
COMPARED = 500  # images on which the page's layers and the network must agree
NO_CHAIN = (
    "the page supports only networks that apply modules such as nn.ReLU one after another and end "
    "in F.log_softmax, and this network does not"
)


@dataclass(frozen=True)
class Kind:
    """What the page must know about one kind of layer.

    Args:
        name: of the function in network.js that computes it.
        numbers: attributes that the page gets as they are, the same in height and width.
        tensors: attributes with weights.
        fixed: the attributes for which the page knows one value only.
    """

    name: str
    numbers: dict[str, str] = field(default_factory=dict)  # here: in PyTorch
    tensors: tuple[str, ...] = ()
    fixed: dict[str, Any] = field(default_factory=dict)


WINDOW = {"kernel": "kernel_size", "stride": "stride", "padding": "padding"}
KINDS = {
    nn.Conv2d: Kind(
        "convolution",
        {"maps": "out_channels", **WINDOW},
        ("weight", "bias"),
        {"groups": 1, "dilation": 1, "padding_mode": "zeros"},
    ),
    nn.ReLU: Kind("ReLU"),
    nn.BatchNorm2d: Kind(
        "batch norm",
        {"epsilon": "eps"},
        ("weight", "bias", "running_mean", "running_var"),
        {"affine": True, "track_running_stats": True},
    ),
    nn.MaxPool2d: Kind("max pooling", WINDOW, fixed={"dilation": 1, "ceil_mode": False}),
    nn.Dropout: Kind("dropout"),
    nn.AvgPool2d: Kind(
        "average pooling",
        WINDOW,
        fixed={"ceil_mode": False, "count_include_pad": True, "divisor_override": None},
    ),
}


def write_page(
    path: str | Path, model: nn.Module, data: ImageBatches, log_probabilities: Tensor
) -> None:
    """Write the page of a network; the same weights and answers give the same bytes.

    Args:
        model: a chain of layers of the `KINDS`, ending in log-softmax.
        data: the first image of each digit goes into the page, and those that the network gets
            wrong, the most confident mistakes first, as many as there is room for.
        log_probabilities: of each image of `data`, in its order; shape (N, 10).

    Raises:
        UserError: if the network is not such a chain, if the images are others than those of
            `utils.load_mnist`, or if the file cannot be written.
    """
    if not isinstance(data, ImageBatches):
        raise UserError("the page supports only the images that utils.load_mnist gives")
    model = copy.deepcopy(model).cpu().float().eval()
    compared = data[list(range(min(len(data.images), COMPARED)))][0]
    grey = greys(data, compared)
    layers = chain(model, compared.cpu())
    described = [describe(name, layer) for name, layer in layers]
    weights = [grey, *(tensor for _, layer in layers for tensor in tensors(layer))]
    answers = log_probabilities.argmax(dim=1)
    examples = [int((data.labels == digit).nonzero()[0]) for digit in data.labels.unique()]
    wrong = misread(data.labels.cpu(), log_probabilities)
    shown = [(index, packed(data.images[index])) for index in examples + wrong]
    sizes = accumulate(len(pixels) for _, pixels in shown)
    shown = [it for it, size in zip(shown, sizes, strict=True) if size <= ROOM]
    written = {
        "LAYERS": described,
        "WEIGHTS": _base64(b"".join(map(_float32, weights))),
        "EXAMPLES": [
            {"index": it, "label": int(data.labels[it]), "answer": int(answers[it])}
            for it, _ in shown
        ],
        "PIXELS": _base64(b"".join(pixels for _, pixels in shown)),
        "TESTED": {"images": len(data.labels), "wrong": len(wrong), "digits": len(examples)},
    }
    constants = (f"const {name} = {json.dumps(value)};\n" for name, value in written.items())
    assemble(path, TEMPLATE, {"network": "".join(constants)})


def greys(data: ImageBatches, transformed: Tensor) -> Tensor:
    """List what the network gets for each of the 256 values of a pixel.

    Args:
        transformed: the first images of `data`, as the network gets them.

    Raises:
        UserError: if it gets something else than 28x28 pixels, each computed from its own value.
    """
    flat = torch.arange(256, dtype=torch.uint8, device=data.images.device).view(-1, 1, 1, 1)
    grey = data.transform(flat.expand(-1, *data.images.shape[1:]))[:, 0, 0, 0]
    if not torch.equal(grey[data.images[: len(transformed)].long()], transformed):
        raise UserError(
            "the page supports only transforms that compute each of the 28x28 pixels from its own "
            "value, such as to_unit_range and normalise"
        )
    return grey


def chain(model: nn.Module, images: Tensor) -> list[tuple[str, nn.Module]]:
    """List the layers with their names in the order in which images go through them.

    Raises:
        UserError: unless they compute, one after another and with log-softmax at the end, what
            the model computes.
    """
    names = {layer: name for name, layer in model.named_modules()}
    order = []
    hooks = [
        layer.register_forward_hook(lambda layer, *_: order.append(layer))
        for layer in names
        if not list(layer.children())
    ]
    with torch.inference_mode():
        expected = model(images)
        for hook in hooks:
            hook.remove()
        if not expected.isfinite().all():
            raise UserError("the network's answers are not finite numbers: train it anew")
        given = images
        for layer in order:
            _kind(layer)
            try:
                given = layer(given)
            except RuntimeError:  # of a shape that it does not take
                raise UserError(NO_CHAIN) from None
    if given.shape[1:] != (DIGITS, 1, 1):
        raise UserError(f"the last layer gives {tuple(given.shape[1:])}, not 10 single numbers")
    if not torch.equal(F.log_softmax(given.flatten(start_dim=1), dim=1), expected):
        raise UserError(NO_CHAIN)
    return [(names[layer], layer) for layer in order]


def describe(name: str, layer: nn.Module) -> dict[str, Any]:
    """Describe a layer for the page, without its weights.

    Raises:
        UserError: if the page knows no such layer.
    """
    kind = _kind(layer)
    for attribute, value in kind.fixed.items():
        if getattr(layer, attribute) not in (value, (value, value)):
            raise UserError(f"the page supports no {kind.name} with this {attribute}: {layer}")
    block, _, _ = name.rpartition(".")
    numbers = {here: _single(layer, there) for here, there in kind.numbers.items()}
    kernel = numbers.get("kernel", 1)
    if numbers.get("stride", 1) > kernel:
        raise UserError(f"the page needs a stride that is not larger than the kernel: {layer}")
    if numbers.get("padding", 0) >= kernel:
        raise UserError(f"the page needs a padding that is smaller than the kernel: {layer}")
    return {"kind": kind.name, "block": block, **numbers}


def tensors(layer: nn.Module) -> list[Tensor]:
    """List a layer's weights; a layer without bias has one of zeros."""
    found = [getattr(layer, name) for name in _kind(layer).tensors]
    return [torch.zeros(len(layer.weight)) if it is None else it for it in found]


def _kind(layer: nn.Module) -> Kind:
    if type(layer) not in KINDS:
        known = ", ".join(kind.__name__ for kind in KINDS)
        raise UserError(f"the page does not support the layer {layer}, only {known}")
    return KINDS[type(layer)]


def _single(layer: nn.Module, attribute: str) -> float:
    """Give an attribute of height and width that is the same for both."""
    value = getattr(layer, attribute)
    sides = set(value if isinstance(value, tuple) else (value,))
    if len(sides) > 1 or isinstance(value, str):
        raise UserError(f"the page needs the same {attribute} for height and width: {layer}")
    return sides.pop()


def packed(image: Tensor) -> bytes:
    """Pack a uint8 image row by row: a run of up to 255 zeros becomes a zero and its length."""
    pixels = image.cpu().numpy().tobytes()
    return re.sub(rb"\0{1,255}", lambda run: bytes([0, len(run[0])]), pixels)


def _float32(tensor: Tensor) -> bytes:
    return tensor.detach().cpu().contiguous().numpy().astype("<f4").tobytes()


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()
