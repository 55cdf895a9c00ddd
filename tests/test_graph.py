"""Networks as graphs: the page computes and explains what PyTorch does, for all kinds of them."""

import json
from itertools import count

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.modules.module import (
    register_module_forward_hook,
    register_module_forward_pre_hook,
)

from common import UserError
from mnist.graph import cone, export, layers_of
from mnist.page import write_page
from mnist.receptive_field import trace
from model import Net
from tests.browser import in_javascript
from tests.networks import NETWORKS, log_probabilities, shaken

SHAPE = (64, 1, 28, 28)
MODELS = NETWORKS | {"the network of model.py": Net}


# --- Receptive fields, against gradients ----------------------------------------------------


def kept_in_scale(model):
    """Weights above 0, so that no two paths cancel, with a mean of one over the inputs of each."""
    generator = torch.Generator().manual_seed(0)
    model = model.double().eval()
    for module in model.modules():
        for name, layer in module.named_children():
            if isinstance(layer, nn.AdaptiveMaxPool2d):  # it would take one pixel in an image
                setattr(module, name, nn.AdaptiveAvgPool2d(layer.output_size))
    for name, tensor in model.state_dict().items():
        if tensor.ndim > 1:
            random = torch.rand(tensor.shape, generator=generator, dtype=torch.float64)
            tensor.copy_((0.5 + random) / tensor[0].numel())
        elif tensor.is_floating_point():  # biases and means 0; scales and variances 1
            tensor.fill_(not name.endswith(("bias", "mean")))
    return model


def seen_by_gradient(model):
    """For each module that the network itself calls: what its middle pixel depends on."""
    names = {module: name for name, module in model.named_modules()}
    inside, outputs = [], []

    def enter(module, _):
        inside.append(module)

    def leave(module, _, output):
        inside.pop()
        if inside == [model] and isinstance(output, Tensor):
            outputs.append((names[module], output))

    # In each image, a pooling takes another pixel of its window.
    images = torch.rand(SHAPE, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    images.requires_grad_()
    with register_module_forward_pre_hook(enter), register_module_forward_hook(leave):
        model(images)
    return [(name, sides(images, output)) for name, output in outputs]


def sides(images, output):
    """Height and width of what the numbers in the middle of an output depend on."""
    if output.ndim == 4:
        middle = output[:, :, output.shape[2] // 2, output.shape[3] // 2]
    elif output.ndim == 3:
        middle = output[:, output.shape[1] // 2]
    else:
        middle = output
    weights = 0.5 + torch.rand(middle.shape, generator=torch.Generator().manual_seed(0))
    (gradient,) = torch.autograd.grad((weights * middle).sum(), images, retain_graph=True)
    seen = (gradient != 0).any(dim=0).any(dim=0)
    rows, columns = (seen.any(dim=axis).nonzero().flatten() for axis in (1, 0))
    return int(rows[-1] - rows[0] + 1), int(columns[-1] - columns[0] + 1)


@pytest.mark.parametrize("name", [name for name in MODELS if name != "one type"])
def test_receptive_fields_are_those_of_gradients(name):
    torch.manual_seed(0)
    model = kept_in_scale(MODELS[name]())
    right = seen_by_gradient(model)
    traced = trace(model, SHAPE)
    assert traced
    for block in traced:
        while right[0][0] != block.name:  # dropout, and what only reorders numbers
            right.pop(0)
        _, sees = right.pop(0)
        if len(block.shape) > 2 or sees == (28, 28):
            assert block.sees == sees, block.name


def stacked(generator):
    """Three convolutions whose windows have gaps and do not always fit the rim."""
    layers, maps = [], 1
    for _ in range(3):
        kernel, stride, dilation = (
            tuple(map(int, generator.integers(1, most, 2))) for most in (4, 5, 3)
        )
        padding = tuple(int(generator.integers(0, side // 2 + 1)) for side in kernel)
        layers.append(nn.Conv2d(maps, 2, kernel, stride, padding, dilation))
        maps = 2
    return nn.Sequential(*layers)


def test_windows_with_gaps_see_what_gradients_say():
    generator = np.random.default_rng(0)
    compared = 0
    while compared < 40:
        model = kept_in_scale(stacked(generator))
        try:
            (*_, (_, right)) = seen_by_gradient(model)
        except (RuntimeError, IndexError):  # a kernel larger than its maps; a pixel of padding only
            continue
        assert trace(model, SHAPE)[-1].sees == right, model
        compared += 1


class Shapes(nn.Module):
    """Modules that end in another shape than their last operation gives."""

    def __init__(self):
        super().__init__()
        self.shuffle = nn.Sequential(nn.Conv2d(1, 4, 3), nn.PixelShuffle(2))
        self.flat = nn.Sequential(nn.ZeroPad2d((80, 0, 80, 0)), nn.Flatten())

    def forward(self, x):
        return self.flat(self.shuffle(x))


def test_the_table_has_the_shapes_of_modules_and_pixels_that_see_nothing():
    blocks = trace(Shapes(), SHAPE)
    assert [block.shape for block in blocks] == [(64, 1, 52, 52), (64, 132 * 132)]
    assert blocks[1].sees == (0, 0)


class Counts(nn.Module):
    """Counts its calls and changes the image in place."""

    def __init__(self):
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))
        self.conv = nn.Conv2d(1, 10, 4, stride=4)

    def forward(self, x):
        self.calls.add_(1)
        x.mul_(2)
        x = nn.functional.interpolate(self.conv(x), scale_factor=2)
        return x.amax(dim=(2, 3)).log_softmax(dim=1)


def test_what_a_network_changes_on_the_way_is_no_answer():
    layers = layers_of(export(Counts(), torch.rand(1, 1, 28, 28)))
    assert [it.name for it in layers[1:]][:3] == ["product", "convolution", "copies"]
    assert layers[-1].shape == (1, 10)


# Each of them would be computed wrongly if it were taken for something that is known.
ODD = {
    "to numbers of another type": lambda x: (x > 0.5).float() + x.to(torch.int32).float(),
    "convolution of this kind": lambda x: nn.functional.conv2d(x, x[:, :, :3, :3]),
    "linear of this kind": lambda x: nn.functional.linear(torch.ones(1, 28), x[0, 0]),
    "linear with weights from the image": lambda x: nn.functional.linear(x, x[0, 0]),
    "mul|sort": lambda x: x.sort(dim=2)[0],
}


@pytest.mark.parametrize("told", ODD)
def test_what_is_not_known_is_named(told):
    class Odd(nn.Module):
        forward = staticmethod(ODD[told])

    with pytest.raises(UserError, match=told):
        layers_of(export(Odd(), torch.rand(1, 1, 28, 28)))


# --- The page, in a browser -----------------------------------------------------------------

LOOK = """
const computed = IMAGES.map((text) => [...computeAll(readImage(text)).at(-1)]);
const cones = PIXELS.map((pixel) => cone(pixel).map((part) => part && [part.top, part.left,
  part.height, part.width, ...part.maps]));
const told = PIXELS.map((pixel) => {
  setPixel(pixel);
  return [document.querySelector("#how .total")?.value, valueOf(pixel, state.values)].map(Number);
});
return { computed, cones, told };
"""


def pixels_of(layers):
    """Some pixels of each layer, as the page and as PyTorch number them."""
    generator = np.random.default_rng(0)
    for number, layer in enumerate(layers):
        shape = layer.shape if len(layer.shape) > 2 else (*layer.shape, 1, 1)
        height, width = shape[-2:]
        for index in generator.integers(np.prod(layer.shape), size=3):
            row, column = int(index) // width % height, int(index) % width
            place = np.unravel_index(int(index), layer.shape)
            page = {"layer": number, "map": int(index) // (height * width)}
            yield {**page, "row": row, "column": column}, tuple((int(it), int(it)) for it in place)


def part_of(box, shape):
    """A box as the page has it: top, left, height, width, first and last map."""
    if len(shape) < 3:
        box, shape = (*box, (0, 0), (0, 0)), (*shape, 1, 1)
    *outer, (top, bottom), (left, right) = box
    maps = [np.ravel_multi_index([it[end] for it in outer], shape[:-2]) for end in (0, 1)]
    return [top, left, bottom - top + 1, right - left + 1, *map(int, maps)]


@pytest.mark.parametrize("name", MODELS)
def test_the_page_computes_and_explains_what_pytorch_does(name, images, tmp_path, look_around):
    torch.manual_seed(0)
    model = shaken(MODELS[name]())
    right = log_probabilities(model, images.images)
    write_page(tmp_path / "page.html", model, images, right)
    layers = layers_of(export(model, torch.rand(1, 1, 28, 28)))
    asked = list(pixels_of(layers))
    look = LOOK.replace("IMAGES", in_javascript(images.images[:20]))
    look = look.replace("PIXELS", json.dumps([pixel for pixel, _ in asked]))
    (found,) = look_around(tmp_path / "page.html", [("pixel=0.0.0.0", look)])
    np.testing.assert_allclose(found["computed"], right[:20], rtol=0, atol=1e-4)
    for (pixel, box), parts in zip(asked, found["cones"], strict=True):
        boxes = cone(layers, pixel["layer"], box)
        assert {number for number, part in zip(count(), parts) if part} == boxes.keys()
        for number, part in boxes.items():
            assert parts[number] == part_of(part, layers[number].shape), (pixel, number)
    assert all(total == value for total, value in found["told"])
