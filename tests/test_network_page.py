"""The page of the network in a real browser: its numbers against PyTorch's, its drawing."""

import base64
import copy
import json
import os
import re
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from unittest import mock

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from sklearn.datasets import load_digits
from torch import nn
from torchvision import transforms

import utils
from common import UserError, relative
from mnist.__main__ import main
from mnist.dataset import ImageBatches
from mnist.own_image import mnist_like
from mnist.page import write_page
from model import Net
from tests.digits import CPU, ROOT
from tests.test_page import contrast

TRACKED = ROOT / "mnist" / "Draw_a_Digit.html"
TRANSFORM = transforms.Compose([utils.to_unit_range, utils.normalise])


class Chain(nn.Module):
    """Layers in a row, then log-softmax."""

    def __init__(self, *layers):
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, images):
        return F.log_softmax(self.layers(images).flatten(start_dim=1), dim=1)


def without_bias(layer):
    layer.register_parameter("bias", None)
    return layer


def other_network():
    """Layers of the known kinds, with other sizes than Net's in everything."""
    return Chain(
        nn.Conv2d(1, 5, 5, stride=2, padding=2, bias=False),  # 5 x 14 x 14
        without_bias(nn.BatchNorm2d(5)),
        nn.ReLU(),
        nn.MaxPool2d(3, stride=2, padding=1),  # 5 x 7 x 7
        nn.Conv2d(5, 7, 2),  # 7 x 6 x 6
        nn.Dropout(0.5),
        nn.AvgPool2d(2, padding=1),  # 7 x 4 x 4
        nn.Conv2d(7, 10, 3, padding=1),  # 10 x 4 x 4
        nn.AvgPool2d(4),
    )


def trained():
    model = Net()
    model.load_state_dict(torch.load(ROOT / "results" / "net.pt", weights_only=True))
    return model.eval()


def shaken(model):
    """Give batch norm statistics that it could have from training, and all weights some size."""
    generator = torch.Generator().manual_seed(0)
    for name, tensor in model.state_dict().items():
        if name.endswith("running_mean"):
            tensor.copy_(torch.randn(tensor.shape, generator=generator) * 0.3)
        elif name.endswith("running_var"):
            tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.2)
    return model.eval()


@pytest.fixture(scope="module")
def page_of(images, tmp_path_factory):
    """Write the page of a network, with the small data's images."""

    def write(model, name="page.html"):
        path = tmp_path_factory.mktemp("page") / name
        write_page(path, model, images, log_probabilities(model, images.images))
        return path

    return write


def log_probabilities(model, pixels):
    with torch.inference_mode():
        return model(TRANSFORM(pixels))


def text(pixels):
    """An image as the page's address has it."""
    return base64.urlsafe_b64encode(bytes(pixels.flatten().tolist())).decode()


def in_javascript(pixels):
    return json.dumps([text(image) for image in pixels])


VISITS = []  # to the tracked page, all in one run of the browser, for its start takes the time


def visit(addresses, look):
    """Plan a visit to each address; what was seen there is then at `seen[...]` of the result."""
    VISITS.extend((address, look) for address in addresses)
    return slice(len(VISITS) - len(addresses), len(VISITS))


@pytest.fixture(scope="module")
def seen(look_around):
    """What all the planned visits saw."""
    return look_around(TRACKED, VISITS)


OPENED = visit(["pixel=1.0.0.0"], "return pad.earlier.length")


def test_there_is_nothing_to_undo_at_the_start(seen):
    assert seen[OPENED] == [0]


# --- Its numbers --------------------------------------------------------------------------

COMPUTE = "return {images}.map((text) => [...computeAll(readImage(text)).at(-1)])"


def assert_computes(look_around, page, model, pixels):
    (computed,) = look_around(
        page, [("pixel=0.0.0.0", COMPUTE.format(images=in_javascript(pixels)))]
    )
    right = log_probabilities(model, pixels)
    np.testing.assert_allclose(computed, right, rtol=0, atol=1e-4)
    assert np.argmax(computed, axis=1).tolist() == right.argmax(dim=1).tolist()


def test_200_test_images_are_computed_as_by_pytorch(look_around, real_mnist):
    model = trained()
    _, data = utils.load_mnist(real_mnist, CPU, TRANSFORM, TRANSFORM)
    assert_computes(look_around, TRACKED, model, data.images[:200])


@pytest.mark.parametrize("network", [Net, other_network])
def test_own_weights_and_other_layers_are_computed_as_by_pytorch(
    network, look_around, page_of, images
):
    torch.manual_seed(3)
    model = shaken(network())
    assert_computes(look_around, page_of(model), model, images.images[:50])


READ = """
return DRAWINGS.map((drawing) => {
  const answer = computeAll(mnistLike(bytesOf(drawing), 120).image).at(-1);
  return answer.indexOf(Math.max(...answer));
});
"""


def test_digits_from_elsewhere_are_read_as_by_pytorch(look_around):
    elsewhere = load_digits()
    small = [Image.fromarray(np.uint8(15 * np.pad(it, 2))) for it in elsewhere.images[:100]]
    drawings = [it.resize((120, 120)) for it in small]
    written = json.dumps([base64.b64encode(it.tobytes()).decode() for it in drawings])
    (read,) = look_around(TRACKED, [("pixel=0.0.0.0", READ.replace("DRAWINGS", written))])
    digits = torch.stack([mnist_like(np.asarray(it)) for it in drawings])
    assert read == log_probabilities(trained(), digits).argmax(dim=1).tolist()
    assert np.mean(read == elsewhere.target[:100]) > 0.9


ON_A_PHONE = """
document.body.style.width = "390px"; // the browser's own window is never narrower than 500
const sights = [...document.querySelectorAll(".sees")].map((it) => it.textContent);
return [document.body.scrollWidth, document.getElementById("seen-name").textContent, sights];
"""


def test_large_windows_fit_a_phone_and_see_all_of_the_image_only_where_they_do(
    look_around, page_of
):
    torch.manual_seed(5)
    layers = nn.Conv2d(1, 10, 29, padding=14), nn.Conv2d(10, 10, 8), nn.AvgPool2d(21)
    page = page_of(shaken(Chain(*layers)))
    places = ["pixel=1.0.0.0", "pixel=1.0.13.13", "pixel=2.0.3.3", "pixel=3.3.0.0"]
    looks = [(place, ON_A_PHONE) for place in places]
    corner, middle, eight, mean = look_around(page, looks, "--window-size=500,844")
    assert [width for width, *_ in (corner, middle, eight, mean)] == [390] * 4
    assert "29×29" in corner[1]
    assert "29×29" not in middle[1]
    assert "29×29" in corner[2][1]
    assert middle[1] == mean[1]
    assert corner[2][3] == corner[2][4]
    assert "56×56" not in mean[2][3]


def shown(layers):
    """The layers that do something when a network is tested."""
    return [layer for layer in layers if not isinstance(layer, nn.Dropout)]


@pytest.fixture(scope="module")
def positive():
    """A network whose gradients are nowhere 0: weights above 0, means in place of maxima."""
    model = Net().double().eval()
    for parameter in model.parameters():
        parameter.data.abs_().add_(0.01)
    mean = nn.AvgPool2d(2)
    model.shrink1[0] = mean
    return model


CONES = """
return NETWORK.map((size, layer) => Array.from({ length: size.height * size.width }, (_, index) => {
  const [row, column] = [Math.floor(index / size.width), index % size.width];
  const { top, left, height, width } = sightOf({ layer, map: 0, row, column });
  return [top, left, height, width];
}));
"""


def test_every_pixel_sees_the_square_that_autograd_finds(look_around, page_of, positive):
    (cones,) = look_around(page_of(shaken(Net())), [("pixel=0.0.0.0", CONES)])
    blocks = (positive.edges, positive.shrink1, positive.strokes, positive.shrink2, positive.digits)
    layers = shown(layer for block in blocks for layer in block)
    assert len(cones) == 1 + len(layers) + 1
    for count, seen in enumerate(cones[1:-1], start=1):
        pixels = torch.ones(len(seen), 1, 28, 28, dtype=torch.double, requires_grad=True)
        output = nn.Sequential(*layers[:count])(pixels)
        side = output.shape[-1]
        assert side**2 == len(seen)
        own = output.sum(dim=1).flatten(start_dim=1).diagonal()
        (gradients,) = torch.autograd.grad(own.sum(), pixels)
        assert len({(height, width) for *_, height, width in seen}) == 1
        for gradient, (top, left, height, width) in zip(gradients[:, 0], seen, strict=True):
            square = np.zeros((28, 28), bool)
            square[max(top, 0) : top + height, max(left, 0) : left + width] = True
            assert np.array_equal(gradient != 0, square)
    assert cones[-1] == cones[-2]  # log-softmax


CORNERS = """
const box = document.querySelector("#seen-mark .mark");
const drawn = ["y", "x", "width", "height"].map((name) => Number(box.getAttribute(name)));
const { top, left, width, height } = sightOf(readPixel(settings.pixel));
return [drawn, [top, left, width, height]];
"""
PLACES = [
    (layer, place)
    for layer, side in ((1, 28), (7, 14), (12, 10), (20, 6))
    for place in (0, side - 1)
]


def values_of_layers(model, pixels):
    """What each layer gives for one image, the image as normalised first, the answer last."""
    values = [TRANSFORM(pixels[None])]
    with torch.inference_mode():
        for block in model.children():
            for layer in shown(block):
                values.append(layer(values[-1]))
        values.append(F.log_softmax(values[-1], dim=1))
    return [value[0].numpy() for value in values]


ASK = """
const all = (within, looks) => [...within.querySelectorAll(looks)];
const numbers = (grid) => all(grid, "span").map((it) => Number(it.title) || 0);
const how = document.getElementById("how");
return {
  total: Number(how.querySelector(".total").value),
  parts: all(how, ".part").map((it) => Number(it.value)),
  terms: all(how, ".term").map((it) => all(it, ".grid").map(numbers)),
};
"""


def test_what_a_pixel_says_adds_up_to_the_pixel(look_around, page_of, images):
    torch.manual_seed(4)
    model = shaken(Net())
    pixels = images.images[5]
    values = values_of_layers(model, pixels)
    generator = np.random.default_rng(0)
    asked = [
        (layer, *map(int, generator.integers(value.shape)))
        for layer, value in enumerate(values)
        for _ in range(3)
    ]
    addresses = [f"image={text(pixels)}&pixel={'.'.join(map(str, it))}" for it in asked]
    told = look_around(page_of(model), [(address, ASK) for address in addresses])
    layers = shown(layer for block in model.children() for layer in block)
    for (layer, *place), answer in zip(asked, told, strict=True):
        value = values[layer][tuple(place)]
        assert answer["total"] == pytest.approx(value, abs=1e-4)
        if layer and layer <= len(layers) and isinstance(layers[layer - 1], nn.Conv2d):
            assert sum(answer["parts"]) == pytest.approx(value, abs=1e-4)
            assert len(answer["terms"]) == min(3, layers[layer - 1].in_channels)
            for (window, kernel), part in zip(answer["terms"], answer["parts"], strict=False):
                assert np.dot(window, kernel) == pytest.approx(part, abs=1e-4)
        else:
            assert answer["parts"] == []


SQUARES = visit([f"pixel={layer}.0.{place}.{place}" for layer, place in PLACES], CORNERS)


def test_the_square_is_drawn_where_it_is(seen):
    for drawn, right in seen[SQUARES]:
        assert drawn == right


# --- Drawing --------------------------------------------------------------------------------

STROKES = {  # in a square of 100 by 100, y downwards
    0: [[(50, 8), (28, 20), (22, 50), (30, 82), (50, 92), (72, 80), (78, 50), (70, 20), (50, 8)]],
    1: [[(42, 20), (54, 8), (52, 92)]],
    2: [[(26, 28), (38, 12), (62, 12), (72, 30), (58, 54), (26, 90), (78, 88)]],
    3: [[(28, 14), (60, 10), (70, 28), (48, 46), (72, 64), (66, 86), (28, 90)]],
    4: [[(36, 10), (26, 54), (76, 52)], [(64, 14), (60, 92)]],
    5: [[(72, 10), (36, 10), (32, 44), (62, 44), (74, 64), (62, 88), (28, 88)]],
    6: [[(62, 8), (38, 36), (28, 68), (42, 90), (66, 84), (68, 62), (46, 56), (30, 70)]],
    7: [[(24, 14), (76, 12), (54, 52), (44, 92)]],
    8: [[(66, 20), (46, 8), (32, 24), (66, 66), (56, 90), (34, 84), (34, 64), (66, 32), (64, 18)]],
    9: [[(70, 26), (50, 10), (32, 26), (40, 46), (66, 40), (70, 24), (66, 92)]],
}
# A browser without a screen paints now and then only, so a timer takes the place of its frames.
FRAMES = """
window.requestAnimationFrame = setTimeout;
const frame = () => new Promise(setTimeout);
"""
DRAW = """
const box = pad.canvas.getBoundingClientRect();
const send = (name, target, [x, y]) => target.dispatchEvent(new PointerEvent(name, {
  bubbles: true, pointerId: 7, clientX: box.left + x * box.width, clientY: box.top + y * box.width,
  buttons: 1,
}));
const found = [];
for (const strokes of DIGITS) {
  document.getElementById("clear").click();
  for (const stroke of strokes) {
    send("pointerdown", pad.canvas, stroke[0]);
    for (const point of stroke.slice(1)) send("pointermove", document.body, point);
    send("pointerup", document.body, stroke.at(-1));
  }
  await frame();
  await frame();
  const answer = document.getElementById("answer").textContent;
  const ink = Array.from(pad.ink(), (value) => String.fromCharCode(value)).join("");
  found.push([btoa(ink), settings.image, answer]);
}
return found;
"""


def moved(strokes, generator):
    """Strokes in the unit square, turned, slanted, made smaller and shifted at random."""
    angle, size, shear = generator.uniform((-0.15, 0.4, -0.15), (0.15, 1.2, 0.15))
    turn = [[np.cos(angle), shear - np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    middle = 0.5 + generator.uniform(-0.12, 0.12, 2) * (1 - size)
    return [
        (middle + size * (np.array(it) / 100 - 0.5) @ np.transpose(turn)).tolist() for it in strokes
    ]


generator = np.random.default_rng(1)
DIGITS = [moved(STROKES[digit % 10], generator) for digit in range(50)]
DRAWN = visit(["pixel=0.0.0.0"], FRAMES + DRAW.replace("DIGITS", json.dumps(DIGITS)))


def test_a_drawing_is_made_mnist_like_and_read_as_in_python(seen):
    model = trained()
    answers = []
    (drawn,) = seen[DRAWN]
    assert len(drawn) == 50
    for ink, image, answer in drawn:
        right = mnist_like(np.frombuffer(base64.b64decode(ink), np.uint8).reshape(280, 280))
        assert text(right).rstrip("=") == image
        answers.append(int(log_probabilities(model, right[None]).argmax()))
        assert answer.startswith(str(answers[-1]))
    assert len(set(answers)) == 10


BY_HAND = """
const press = (id, key) => document.getElementById(id).dispatchEvent(
  new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
const ink = () => state.image.reduce((one, other) => one + other);
const click = async (id) => { document.getElementById(id).click(); await frame(); await frame(); };
const told = {};
for (const key of ["ArrowRight", "ArrowDown", "PageDown", "ArrowLeft"]) press("map", key);
told.pixel = settings.pixel;
const slide = (id, value) => {
  const slider = document.getElementById(id);
  slider.value = value;
  slider.dispatchEvent(new Event("input"));
};
slide("map-number", 5);
told.map = settings.pixel;
for (const layer of [20, 22, 1]) slide("layer", layer);
told.back = settings.pixel;
await new Promise((resolve) => setTimeout(resolve, 600));
const words = (id) => document.getElementById(id).textContent;
told.spoken = ["pixel-told", "map-name", "seen-name"].map(words);
told.value = short(valueOf(readPixel(settings.pixel), state.values));
await click("clear");
told.cleared = [ink(), words("answer")];
for (const key of [" ", ...Array(14).fill("ArrowDown"), " ", "ArrowLeft"]) press("pad", key);
await frame(); await frame();
told.drawn = [ink() > 0, pad.drawing.strokes.length, pad.drawing.strokes[0].length];
await click("undo");
told.undone = ink();
await click("undo");
told.again = settings.image === DEFAULTS.image;
document.querySelector("#examples button").click();
told.taken = [ink() > 0, document.querySelector("#examples button").getAttribute("aria-pressed")];
await click("clear");
press("pad", " ");
await frame(); await frame();
told.dot = [ink(), words("answer")];
press("pad", " ");
document.getElementById("map").dispatchEvent(
  new KeyboardEvent("keydown", { key: "ArrowLeft", altKey: true, cancelable: true }));
told.alt = settings.pixel;
told.focus = [];
const row = document.querySelector("#mistakes");
row.firstChild.focus();
for (const key of ["ArrowRight", "ArrowRight", "ArrowLeft"]) {
  document.activeElement.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
  told.focus.push([...row.children].indexOf(document.activeElement));
}
told.tabbable = [...row.children].map((it) => it.tabIndex).indexOf(0);
told.scrolls = document.querySelector(".ask").tabIndex;
change({ image: TEST_DIGITS[4].image });
slide("layer", 20);
told.entered = [readPixel(settings.pixel).map, answerOf(state.values)];
change({ pixel: "20.3.2.2", image: DEFAULTS.image });
anchor = undefined; // as a tap leaves it
for (const layer of [19, 20]) slide("layer", layer);
told.kept = settings.pixel;
told.short = short(-1.5e-7);
return told;
"""


HANDLED = visit(["pixel=1.2.10.10"], FRAMES + BY_HAND)


def test_keys_and_buttons_do_what_they_say(seen):
    (told,) = seen[HANDLED]
    assert told["pixel"] == "1.3.11.10"
    assert told["map"] == "1.5.11.10"
    assert told["back"] == "1.5.11.10"  # however coarse the layers between
    assert told["entered"] == [4, 4]
    assert told["kept"] == "20.3.2.2"
    spoken, place, sight = told["spoken"]
    assert place in spoken
    assert sight in spoken
    assert told["value"] in place
    assert told["cleared"][0] == 0
    assert not re.match(r"\d", told["cleared"][1])
    assert told["dot"][0] == 0
    assert not re.match(r"\d", told["dot"][1])
    assert told["dot"][1] != told["cleared"][1]
    assert told["drawn"] == [True, 1, 15]
    assert told["undone"] == 0
    assert told["again"] is True
    assert told["taken"] == [True, "true"]
    assert told["alt"] == told["back"]
    assert told["focus"] == [1, 2, 1]
    assert told["tabbable"] == 1
    assert told["scrolls"] == 0
    assert told["short"] == "−1.5e−07"


STARTED = """
const send = (name, pointerId, where, target = document.body, buttons = 1) => target.dispatchEvent(
  new PointerEvent(name, { bubbles: true, pointerId, clientX: where, clientY: where, buttons }));
const { left, top } = pad.canvas.getBoundingClientRect();
const at = (offset) => Math.max(left, top) + offset;
const click = (id) => document.getElementById(id).click();
const lengths = () => pad.drawing.strokes.map((stroke) => stroke.length);
click("clear");
send("pointerdown", 1, at(30), pad.canvas);
send("pointerdown", 2, at(50), pad.canvas);
send("pointermove", 2, at(90));
const drawn = [lengths()];
click("undo");
send("pointermove", 1, at(90));
drawn.push(lengths());
send("pointerdown", 3, at(30), pad.canvas); // the first is still down
drawn.push(lengths());
send("pointermove", 1, at(90), document.body, 0);
send("pointerdown", 3, at(30), pad.canvas);
drawn.push(lengths());
document.querySelector("#examples button").click();
send("pointermove", 3, at(90));
drawn.push(lengths());
click("undo");
drawn.push(lengths());
click("clear");
click("clear");
click("undo");
drawn.push(lengths());
send("pointerup", 3, at(90));
return drawn;
"""
STARTING = visit(["pixel=1.0.0.0"], FRAMES + STARTED)


def test_one_pointer_draws_and_undo_ends_what_it_draws(seen):
    assert seen[STARTING] == [[[1], [], [], [1], [], [1], [1]]]


HANDS = """
const ids = { touch: 1, pen: 2, mouse: 3 };
const send = (name, pointerType, where, more = {}) => {
  const looks = { bubbles: true, pointerId: ids[pointerType], pointerType, buttons: 1, ...more };
  const at = { clientX: left + where, clientY: top + where };
  pad.canvas.dispatchEvent(new PointerEvent(name, { ...looks, ...at }));
};
const { left, top } = pad.canvas.getBoundingClientRect();
const lengths = () => pad.drawing.strokes.map((stroke) => stroke.length);
const found = [];
const note = () => found.push(lengths());
document.getElementById("clear").click();
send("pointerdown", "touch", 30); // the palm
send("pointermove", "touch", 35);
note();
send("pointerover", "pen", 60);
send("pointerdown", "pen", 60);
note();
send("pointermove", "pen", 90);
send("pointermove", "touch", 40);
note();
send("pointerup", "pen", 90);
send("pointerup", "touch", 40);
send("pointerdown", "touch", 30); // again, while the pen hovers
note();
send("pointerout", "pen", 90, { relatedTarget: document.body });
send("pointerdown", "touch", 30);
note();
send("pointerout", "pen", 90); // it is put away
send("pointerdown", "touch", 30);
send("pointerdown", "mouse", 50);
note();
document.getElementById("undo").click();
note();
send("pointerup", "touch", 30);
return found;
"""
HAND = visit(["pixel=1.0.0.0"], FRAMES + HANDS)


def test_a_pen_takes_over_from_the_palm_that_rests_on_the_pad(seen):
    assert seen[HAND] == [[[2], [1], [2], [2], [2], [2, 1], [2]]]


SCRIBBLE = (
    FRAMES
    + """
const box = pad.canvas.getBoundingClientRect();
document.getElementById("clear").click();
[0.2, 0.4, 0.6, 0.8].forEach((y, index) => pad.canvas.dispatchEvent(
  new PointerEvent(index ? "pointermove" : "pointerdown", { bubbles: true, pointerId: 1, buttons: 1,
    clientX: box.left + box.width / 2, clientY: box.top + y * box.height })));
await frame();
await frame();
dispatchEvent(new PointerEvent("pointerup", { pointerId: 1 }));
const answer = document.getElementById("answer").textContent;
return [pad.drawing.strokes[0].length, answer[0], isSecureContext, typeof Event.prototype.probe];
"""
)
WITHOUT = "delete PointerEvent.prototype.getCoalescedEvents; Event.prototype.probe = 1;"
FALSIFIED = """
CanvasRenderingContext2D.prototype.getImageData = (x, y, width, height) =>
  new ImageData(new Uint8ClampedArray(4 * width * height).map(() => 256 * Math.random()), width);
"""
BROWSERS = (
    visit(["pixel=1.0.0.0"], FALSIFIED + SCRIBBLE),
    visit(["pixel=1.0.0.0"], WITHOUT + SCRIBBLE),
)


def test_older_browsers_and_those_that_falsify_canvases_read_what_is_drawn(seen):
    assert seen[BROWSERS[0]] == [[4, "1", True, "undefined"]]
    assert seen[BROWSERS[1]] == [[4, "1", True, "number"]]


def test_a_drawing_is_read_over_plain_http_from_another_computer(look_around):
    """Where browsers leave out what they keep for secure contexts, such as getCoalescedEvents."""

    def address(page):
        handler = partial(Silent, directory=page.parent)
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://page.test:{server.server_port}/{page.name}"

    servers = []
    missing = "return 'getCoalescedEvents' in PointerEvent.prototype;"
    rule = "--host-resolver-rules=MAP page.test 127.0.0.1"
    looks = [("pixel=1.0.0.0", SCRIBBLE), ("pixel=2.0.0.0", missing)]
    drawn, has_method = look_around(TRACKED, looks, rule, address=address)
    servers[0].shutdown()
    assert drawn == [4, "1", False, "undefined"]
    assert has_method is False


class Silent(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        """Say nothing of each request."""


WIDTHS = """
const slider = document.getElementById("layer");
return NETWORK.map((_, layer) => {
  chooseLayer(layer);
  const { width, top } = slider.getBoundingClientRect();
  return [width, top];
});
"""
SLIDER = visit(["pixel=1.0.0.0"], WIDTHS)


def test_the_slider_stays_where_it_is_while_it_is_dragged(seen):
    (boxes,) = seen[SLIDER]
    assert len(set(map(tuple, boxes))) == 1
    assert boxes[0][0] > 100


WHY = """
const why = document.getElementById("why");
const named = () => why.textContent;
const fact = [...document.querySelectorAll("#fact strong")].map((it) => parseInt(it.textContent));
const beyond = document.querySelectorAll("#fact .beyond").length;
scrollTo(0, 3000);
const { top, bottom } = document.getElementById("map-name").getBoundingClientRect();
const seen = [named()];
why.click();
seen.push(named());
const how = document.querySelector(".how");
const went = document.activeElement === how && how.getBoundingClientRect().top < innerHeight;
why.click();
seen.push(named());
const whole = document.getElementById("seen-name").textContent;
const inSight = 0 <= top && bottom <= innerHeight;
return { fact, beyond, inSight, seen, went, back: scrollY, whole };
"""
ASKED_WHY = visit(["pixel=20.1.2.2", "pixel=22.1.0.0", "pixel=1.0.0.0", "pixel=1.0.5.5"], WHY)


def test_why_goes_to_the_explanation_and_back(seen):
    last, end, rim, first = seen[ASKED_WHY]
    assert last["fact"] == [3, 5, 7, 9, 18, 20, 22]
    assert end["fact"] == [6, 8, 10, 12, 14, 28, 30, 32]
    assert [end["beyond"], last["beyond"]] == [2, 0]  # 30x30 of 28x28 in layer 3, and 32x32
    assert first["fact"] == [3]
    assert "22×22" in last["whole"]
    assert not re.search(r"\d", end["whole"])
    assert rim["whole"] != first["whole"]
    for asked in (last, end, first):
        assert asked["inSight"]
        assert asked["went"]
        assert asked["back"] == 3000
        assert asked["seen"][0] == asked["seen"][2] != asked["seen"][1]


POINTED = """
const canvas = canvasOf(4);
const box = canvas.getBoundingClientRect();
const [x, y] = cornerOf(state.places[4], 17);
const scale = state.places[4].pixel;
const at = { clientX: box.left + x + 2.5 * scale, clientY: box.top + y + 9.5 * scale };
const send = (name) => canvas.dispatchEvent(new PointerEvent(name, { bubbles: true, ...at }));
send("pointermove");
const seen = [pixelText(shownPixel()), settings.pixel];
send("pointerleave");
seen.push(pixelText(shownPixel()));
send("click");
seen.push(settings.pixel);
const drag = (pointerType, from) => {
  const looks = { bubbles: true, ...at, buttons: 1, pointerType };
  from.dispatchEvent(new PointerEvent("pointerdown", looks));
  const clientX = at.clientX + 3 * scale;
  canvas.dispatchEvent(new PointerEvent("pointermove", { ...looks, clientX }));
  seen.push(settings.pixel);
};
drag("touch", canvas);
drag("mouse", document.body);
drag("mouse", canvas);
return seen;
"""


SHOWN = visit(["pixel=1.0.3.3"], POINTED)


def test_a_pixel_is_shown_while_the_mouse_is_there_and_chosen_by_a_click(seen):
    (places,) = seen[SHOWN]
    assert places[:4] == ["4.17.9.2", "1.0.3.3", "1.0.3.3", "4.17.9.2"]
    # A finger scrolls, and a mouse that was pressed elsewhere does something else.
    assert places[4:] == ["4.17.9.2", "4.17.9.2", "4.17.9.5"]


FROM_STROKE_TO_PICTURE = """
<script>
for (const layer of [0, 1, 2, 3, 4]) state.visible.add(layer);
const took = Array.from({ length: 40 }, (_, run) => {
  pad.drawing = { strokes: [[[60, 40], [220, 50], [120 + run, 240]]] };
  const began = performance.now();
  apply({ image: imageText(pad.read()) });
  return performance.now() - began;
});
document.body.replaceChildren(html("pre", { id: "took" }, Math.min(...took)));
</script>
"""


def test_a_stroke_is_read_and_shown_in_50_ms(browse, tmp_path):
    page = tmp_path / "page.html"
    page.write_text(TRACKED.read_text(encoding="utf-8") + FROM_STROKE_TO_PICTURE, encoding="utf-8")
    document, _ = browse(page, "", budget=None)  # the time of a budget does not pass in scripts
    took = float(re.search(r'id="took">([\d.]+)<', document)[1])
    assert 0 < took < 50


# --- Address ----------------------------------------------------------------------------------

DAMAGES = ["image=abc", f"image={'A' * 1045}*", f"image={'A' * 1047}", "image=", "pixel=99.0.0.0"]
DAMAGES += [
    "pixel=1.0.28.0",
    "pixel=1.16.0.0",
    "pixel=1.0.0",
    "pixel=a.b.c.d",
    "weights=1",
    "%E0%A4%A",
]
DAMAGES += ["toString=1", "pixel=-1.0.0.0"]
TOLD = """
return [document.getElementById("message").textContent,
  ["image", "pixel"].every((name) => settings[name] === DEFAULTS[name])];
"""


DAMAGED = visit([*DAMAGES, "pixel=5.1.2.3"], TOLD)


def test_a_damaged_address_shows_the_start_and_says_so(seen):
    *told, after = seen[DAMAGED]
    assert DAMAGES[0] in told[0][0]
    for damage, (message, is_start) in zip(DAMAGES, told, strict=True):
        assert 0 < len(message) < 200, damage
        assert is_start, damage
    assert after == ["", False]


KEPT = """
change({ pixel: "10.3.4.5", image: MISTAKES[0].image });
writeAddress();
const [read, damage] = readAddress(location.hash.slice(1));
return [read.pixel, read.image === MISTAKES[0].image, damage, location.hash];
"""


ADDRESS = visit(["pixel=1.0.0.0"], KEPT)


def test_an_address_brings_back_image_and_pixel_and_answers_other_tools(browse, seen):
    ((pixel, same, damage, fragment),) = seen[ADDRESS]
    assert (pixel, same, damage) == ("10.3.4.5", True, "")
    image = re.search(r"image=([\w-]+)", fragment)[1]
    pixels = torch.frombuffer(bytearray(base64.urlsafe_b64decode(image + "==")), dtype=torch.uint8)
    model = trained()
    answer = log_probabilities(model, pixels.view(1, 1, 28, 28)).argmax()
    document, complaints = browse(TRACKED, fragment.lstrip("#"))
    assert complaints == []
    found = re.search(r'<output id="answer"[^>]*>(.*?)</output>', document, re.DOTALL)[1]
    assert re.sub(r"<[^>]*>", "", found).startswith(str(int(answer)))


# --- The file ---------------------------------------------------------------------------------


def test_it_opens_without_a_word_and_asks_for_nothing(browse, tmp_path):
    page = tmp_path / "page.html"
    script = (
        "<script>document.body.append(performance.getEntriesByType('resource').length)</script>"
    )
    page.write_text(TRACKED.read_text(encoding="utf-8") + script, encoding="utf-8")
    document, complaints = browse(page, "pixel=20.7.2.2")
    assert complaints == []
    assert re.search(r"(\d+)</body>", document)[1] == "0"


def test_the_browser_refuses_requests_and_code_from_text(browse, tmp_path):
    page = tmp_path / "page.html"
    script = '<img src="https://example.org/x.png"><script>eval("1")</script>'
    page.write_text(TRACKED.read_text(encoding="utf-8") + script, encoding="utf-8")
    _, complaints = browse(page)
    assert len(complaints) == 2
    assert all("Content Security Policy" in line for line in complaints)


def test_the_tracked_page_is_the_one_that_is_written(real_mnist, tmp_path, capsys):
    assert main(["page", "--out", str(tmp_path / "page.html"), "--data", str(real_mnist)]) == 0
    page = (tmp_path / "page.html").read_bytes()
    assert page == TRACKED.read_bytes()
    assert len(page) < 250_000


EMBEDDED = """
return [TEST_DIGITS, MISTAKES].map((group) => group.map(({ index, label, answer, image }) =>
  [index, label, answer, image]));
"""


def test_an_image_of_each_digit_and_all_mistakes_stand_in_the_page(look_around, page_of, images):
    model = shaken(Net())  # guesses, so that nearly all are mistakes
    answers = log_probabilities(model, images.images).argmax(dim=1)
    (groups,) = look_around(page_of(model), [("pixel=0.0.0.0", EMBEDDED)])
    wrong = set((answers != images.labels).nonzero().flatten().tolist())
    assert {index for index, *_ in groups[1]} < wrong
    assert [label for _, label, *_ in groups[0]] == sorted(set(images.labels.tolist()))
    for index, label, answer, image in [*groups[0], *groups[1]]:
        assert (label, answer) == (images.labels[index], answers[index])
        assert image == text(images.images[index]).rstrip("=")


def test_poor_weights_do_not_make_the_page_grow_without_end(page_of, images, look_around, tmp_path):
    model = shaken(Net())
    noise = torch.randint(0, 256, (300, 1, 28, 28), dtype=torch.uint8)
    wrong = (log_probabilities(model, noise).argmax(dim=1) + 1) % 10
    data = ImageBatches(noise, wrong, TRANSFORM)
    write_page(tmp_path / "page.html", model, data, log_probabilities(model, noise))
    look = "return [MISTAKES.length, document.getElementById('mistakes-title').textContent]"
    ((count, told),) = look_around(tmp_path / "page.html", [("pixel=0.0.0.0", look)])
    assert (tmp_path / "page.html").stat().st_size < 250_000
    assert 20 < count < 300
    assert told.startswith(f"{count} of the 300 ")


NAMELESS = """
const words = (id) => document.getElementById(id).textContent;
const named = (it) => it.getAttribute("aria-label") || it.textContent.trim() || it.labels?.length
  || it.getAttribute("aria-labelledby")?.split(" ").every(words);
const all = document.querySelectorAll("button, input, [role=img], [tabindex], section, output");
return [...all].filter((it) => !named(it)).map((it) => it.outerHTML);
"""


NAMES = visit(["pixel=1.0.0.0"], NAMELESS)


def test_whatever_can_be_reached_has_a_name(seen):
    assert seen[NAMES] == [[]]


@pytest.mark.parametrize("scheme", [0, 1])
def test_text_has_the_contrast_of_wcag_aa(scheme):
    blocks = re.findall(r":root \{(.*?)\}", TRACKED.read_text(encoding="utf-8"), re.DOTALL)
    colours = dict(re.findall(r"--([\w-]+): (#\w{6});", "".join(blocks[scheme::2])))
    for ink in ("text", "muted", "accent", "positive", "negative", "wrong", "mark"):
        for ground in ("card", "page"):
            assert contrast(colours[ink], colours[ground]) >= 4.5, (ink, ground)


# --- What the page refuses ----------------------------------------------------------------------


class Odd(Chain):
    """Ends in something that the page does not know."""

    def forward(self, images):
        scores = self.layers(images).flatten(1)
        most, _ = scores.sort(dim=1)
        return F.log_softmax(scores + most.cumsum(dim=1), dim=1)


class Decides(Chain):
    def forward(self, images):
        return super().forward(images if images.sum() > 0 else -images)


class Compares(Chain):
    def forward(self, images):
        return F.log_softmax(self.layers(images).flatten(1) * len(images), dim=1)


class NoSoftmax(Chain):
    def forward(self, images):
        return self.layers(images).flatten(start_dim=1)


def filled(layer, value):
    nn.init.constant_(layer.bias, value)
    return layer


@pytest.mark.parametrize(
    ("model", "told"),
    [
        (Odd(nn.Conv2d(1, 10, 28)), "the page does not know: sort, cumsum"),
        (Chain(nn.ConvTranspose2d(1, 10, 1), nn.AvgPool2d(28)), "transposed"),
        (Chain(nn.Conv2d(1, 10, 1), nn.AdaptiveAvgPool2d(3), nn.AvgPool2d(3)), "adaptive pooling"),
        (Decides(nn.Conv2d(1, 10, 28)), "torch.export fails"),
        (Compares(nn.Conv2d(1, 10, 28)), "for an image alone"),
        (NoSoftmax(nn.Conv2d(1, 10, 28)), "log_softmax"),
        (Chain(nn.Conv2d(1, 9, 28)), "ten log-probabilities"),
        (Chain(filled(nn.Conv2d(1, 10, 28), float("nan"))), "not finite numbers"),
    ],
)
def test_what_the_page_could_not_compute_is_refused_in_one_line(model, told, images, tmp_path):
    with pytest.raises(UserError, match=told) as refused:
        write_page(tmp_path / "page.html", model, images, torch.zeros(len(images), 10))
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "page.html").exists()


@pytest.mark.parametrize(
    "change",
    [
        lambda images: F.pad(images, (2, 2, 2, 2)),
        lambda images: images[:, :, 2:-2, 2:-2],
        lambda images: images / images.amax(dim=(1, 2, 3), keepdim=True),
        lambda images: images.flip(3),
        transforms.GaussianBlur(3),
    ],
)
def test_a_transform_that_the_page_could_not_repeat_is_refused(change, images, tmp_path):
    data = ImageBatches(
        images.images, images.labels, lambda pixels: change(utils.to_unit_range(pixels))
    )
    with pytest.raises(UserError, match="transform"):
        write_page(tmp_path / "page.html", Net(), data, torch.zeros(len(images), 10))


def test_the_network_stays_as_it_is(images, tmp_path):
    model = Net().train()
    before = copy.deepcopy(model.state_dict())
    write_page(tmp_path / "page.html", model, images, torch.zeros(len(images), 10))
    assert model.training
    assert not any(layer._forward_hooks for layer in model.modules())
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_the_command_writes_the_page_of_ones_own_weights(small_mnist, tmp_path, capsys):
    torch.save(shaken(Net()).state_dict(), tmp_path / "net.pt")
    words = ["page", "--weights", str(tmp_path / "net.pt"), "--out", str(tmp_path / "mine.html")]
    assert main([*words, "--data", str(small_mnist)]) == 0
    assert (tmp_path / "mine.html").stat().st_size < 250_000
    assert re.search(r"mine.html, 0\.\d MB\n$", capsys.readouterr().out)


def test_a_page_is_not_written_over_a_folder(images, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in (".", "", tmp_path):
        with pytest.raises(UserError, match="directory"):
            write_page(folder, Net(), images, torch.zeros(len(images), 10))


def test_a_path_on_another_drive_is_named_whole(monkeypatch):
    assert relative(os.path.abspath("net.pt")) == "net.pt"
    monkeypatch.setattr(os.path, "relpath", mock.Mock(side_effect=ValueError))
    assert relative("D:/net.pt") == "D:/net.pt"


def test_weights_that_are_none_are_named(small_mnist, tmp_path, capsys):
    words = ["page", "--weights", str(tmp_path / "none.pt"), "--out", str(tmp_path / "mine.html")]
    assert main([*words, "--data", str(small_mnist)]) == 2
    assert re.fullmatch(r".*none.pt .*\n", capsys.readouterr().err)
    assert not (tmp_path / "mine.html").exists()
