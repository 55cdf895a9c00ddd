"""Networks as graphs: the page computes and explains what PyTorch does, for all kinds of them."""

import numpy as np
import pytest
import torch
from torch import nn

from common import UserError
from mnist.graph import export, layers_of
from mnist.page import write_page
from model import Net
from tests.browser import in_javascript
from tests.networks import NETWORKS, Gives, log_probabilities, shaken


class Gaps(nn.Module):
    """Convolutions whose windows have gaps and do not always fit the rim, in rows of three."""

    def __init__(self):
        super().__init__()
        generator = np.random.default_rng(0)
        self.rows, self.end = nn.ModuleList(), nn.LazyLinear(10)
        while len(self.rows) < 20:
            row = [self.random_convolution(maps, generator) for maps in (1, 2, 2)]
            try:
                nn.Sequential(*row)(torch.zeros(1, 1, 28, 28))
                self.rows.append(nn.Sequential(*row))
            except RuntimeError:  # a kernel larger than its maps
                continue

    def random_convolution(self, maps, generator):
        kernel, stride, dilation = (
            tuple(map(int, generator.integers(1, most, 2))) for most in (4, 5, 3)
        )
        padding = tuple(int(generator.integers(0, side // 2 + 1)) for side in kernel)
        return nn.Conv2d(maps, 2, kernel, stride, padding, dilation)

    def forward(self, x):
        x = torch.cat([row(x).flatten(1) for row in self.rows], dim=1)
        return self.end(x).log_softmax(dim=1)


def with_a_matrix_for_each_image():
    matrix = torch.rand(1, 10, 10)
    return Gives(lambda x: x[:, None].bmm(matrix.expand(len(x), -1, -1))[:, 0].log_softmax(1))


MODELS = NETWORKS | {
    "the network of model.py": Net,
    "gaps": Gaps,
    "a matrix for each image": with_a_matrix_for_each_image,
}


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
    assert [layer.name for layer in layers[1:4]] == ["product", "convolution", "copies"]
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

# What a pixel depends on is NaN where the pixel then is.
LOOK = """
const computed = IMAGES.map((text) => [...computeAll(readImage(text)).at(-1)]);

const pixelAt = (layer, index) => {
  const { height, width } = NETWORK[layer];
  const [line, column] = [Math.floor(index / width), index % width];
  return { layer, map: Math.floor(line / height), row: line % height, column };
};
const pixels = NETWORK.flatMap(({ size }, layer) =>
  [0, 0.2, 0.5, 0.9, 1].map((share) => pixelAt(layer, Math.round(share * (size - 1)))));
const spoilt = (source, axis, place) => {
  const isSpoilt = (index) => pixelAt(source, index)[axis] === place;
  const values = state.values[source].map((value, index) => (isSpoilt(index) ? NaN : value));
  return computeRest([...state.values.slice(0, source), values]);
};
const depends = (part, axis) => part && {
  map: part.maps,
  row: [part.top, part.top + part.height - 1],
  column: [part.left, part.left + part.width - 1],
}[axis];
const wrong = [];
for (const source of [0, Math.floor(NETWORK.length / 3)]) {
  const { maps, height, width } = NETWORK[source];
  for (const [axis, side] of Object.entries({ map: maps, row: height, column: width })) {
    if (side > 64) continue; // it takes too long
    const all = Array.from({ length: side }, (_, place) => spoilt(source, axis, place));
    for (const pixel of pixels.filter(({ layer }) => layer > source)) {
      const reached = [...all.keys()].filter((place) => Number.isNaN(valueOf(pixel, all[place])));
      const [first, last] = depends(cone(pixel)[source], axis) ?? [];
      const told = [Math.max(first, 0), Math.min(last, side - 1)];
      const right = reached.length ? told[0] === reached[0] && told[1] === reached.at(-1) : !last;
      if (!right) wrong.push({ source, axis, pixel: pixelText(pixel), told, reached });
    }
  }
}

const numbers = (element) => element.matches("data") ? [Number(element.value)]
  : all("span", element).map((cell) => Number(cell.title) || 0);
const explained = pixels.map((pixel) => {
  setPixel(pixel);
  const total = Number(document.querySelector("#how .total").value);
  const parts = all("#how .part").map((part) => Number(part.value));
  const products = all("#how .term").map((term) => {
    const [seen, weights] = all(".grid, data", term).map(numbers);
    return sum(seen.map((value, index) => value * weights[index]));
  });
  const added = parts.length ? sum(parts) : total;
  return [valueOf(pixel, state.values), total, added, products, parts.slice(0, products.length)];
});
return { computed, wrong, explained };
"""


@pytest.mark.parametrize("name", MODELS)
def test_the_page_computes_and_explains_what_pytorch_does(name, images, tmp_path, look_around):
    torch.manual_seed(0)
    model = shaken(MODELS[name]())
    right = log_probabilities(model, images.images)
    write_page(tmp_path / "page.html", model, images, right)
    look = LOOK.replace("IMAGES", in_javascript(images.images[:20]))
    (found,) = look_around(tmp_path / "page.html", [("pixel=0.0.0.0", look)])
    np.testing.assert_allclose(found["computed"], right[:20], rtol=0, atol=1e-4)
    assert found["wrong"] == []
    for value, total, added, products, parts in found["explained"]:
        assert total == value
        assert added == pytest.approx(value, abs=1e-4)
        assert products == pytest.approx(parts, abs=1e-4)
