"""The page of the network in a real browser: its numbers against PyTorch's, its drawing."""

import base64
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
from torch import nn
from torchvision import transforms

import utils
from common import UserError, relative
from mnist.__main__ import main
from mnist.page import write_page
from mnist.photo import mnist_like
from model import Net
from tests import browser
from tests.browser import MNIST, image_text, text_of
from tests.networks import TRANSFORM, Chain, Gives, log_probabilities, shaken, trained
from utils import ImageBatches

visit = partial(browser.visit, MNIST)


@pytest.fixture(scope="module")
def page_of(images, tmp_path_factory):
    """Write the page of a network, with the small data's images."""

    def write(model, data=images):
        path = tmp_path_factory.mktemp("page") / "page.html"
        write_page(path, model, data, log_probabilities(model, data.images))
        return path

    return write


@visit(["pixel=1.0.0.0"], "return pad.earlier.length")
def test_there_is_nothing_to_undo_at_the_start(seen):  # the first visit of all
    assert seen == [0]


# --- Its numbers --------------------------------------------------------------------------


COMPUTED = """
const computed = ({ pixels, answer }) => [[...pixels], answer, [...computeAll(pixels).at(-1)]];
return KNOWN.map(computed);
"""


@visit(["pixel=0.0.0.0"], COMPUTED)
def test_the_images_in_the_page_are_computed_as_by_pytorch(seen):
    images, answers, computed = zip(*seen[0], strict=True)
    right = log_probabilities(trained(), torch.tensor(images).to(torch.uint8).view(-1, 1, 28, 28))
    np.testing.assert_allclose(computed, right, rtol=0, atol=1e-4)
    assert list(answers) == np.argmax(computed, axis=1).tolist() == right.argmax(dim=1).tolist()
    assert len(answers) > 20


ON_A_PHONE = """
document.body.style.width = "390px"; // the browser's own window is never narrower than 500
const sights = all(".sees").map((sight) => sight.textContent);
return [document.body.scrollWidth, words("seen-name"), sights];
"""


def test_large_windows_fit_a_phone_and_see_all_of_the_image_only_where_they_do(
    look_around, page_of
):
    torch.manual_seed(5)
    layers = nn.Conv2d(1, 10, 29, padding=14), nn.Conv2d(10, 10, 8), nn.AvgPool2d(21)
    places = ["pixel=1.0.0.0", "pixel=1.0.13.13", "pixel=2.0.3.3", "pixel=3.3.0.0"]
    visits = [(place, ON_A_PHONE) for place in places]
    page = page_of(Chain(*layers, nn.Flatten()).eval())
    sights = look_around(page, visits, "--window-size=500,844")
    widths, (corner, middle, _, mean), (labels, *_, last_labels) = zip(*sights, strict=True)
    assert widths == (390,) * 4
    assert "29×29" in corner
    assert "29×29" not in middle
    assert middle == mean
    assert "29×29" in labels[1]
    assert labels[3] == labels[4]
    assert "56×56" not in last_labels[3]


# --- Drawing --------------------------------------------------------------------------------

DRAW = """
const { left, top, width } = pad.canvas.getBoundingClientRect();
const send = (name, element, [x, y]) => point(element, name, left + x * width, top + y * width);
const found = [];
for (const strokes of DRAWINGS) {
  click("clear");
  for (const stroke of strokes) {
    send("down", pad.canvas, stroke[0]);
    for (const place of stroke.slice(1)) send("move", document.body, place);
    send("up", document.body, stroke.at(-1));
  }
  await painted();
  const ink = Array.from(pad.ink(), (value) => String.fromCharCode(value)).join("");
  found.push([btoa(ink), settings.image, words("answer")]);
}
return found;
"""


generator = np.random.default_rng(1)
ZIGZAGS = [
    (0.5 + size * generator.uniform(-0.4, 0.4, (2, 4, 2))).tolist()
    for size in generator.uniform(0.2, 1, 50)
]


@visit(["pixel=0.0.0.0"], DRAW.replace("DRAWINGS", json.dumps(ZIGZAGS)))
def test_a_drawing_is_made_mnist_like_and_read_as_in_python(seen):
    (drawn,) = seen
    model = trained()
    assert len(drawn) == 50
    for ink, image, answer in drawn:
        right = mnist_like(np.frombuffer(base64.b64decode(ink), np.uint8).reshape(280, 280))
        assert image_text(right).rstrip("=") == image
        assert answer.startswith(str(int(log_probabilities(model, right[None]).argmax())))


BY_HAND = """
const ink = () => state.image.reduce((one, other) => one + other);
const example = document.querySelector("#examples button");
const told = {};
for (const key of ["ArrowRight", "ArrowDown", "PageDown", "ArrowLeft"]) press(byId("map"), key);
told.pixel = settings.pixel;
type("map-number", 5);
told.map = settings.pixel;
for (const layer of [20, 22, 1]) type("layer", layer);
told.back = settings.pixel;
await new Promise((resolve) => setTimeout(resolve, 600));
const spoken = words("pixel-told");
told.spoken = ["map-name", "seen-name"].map((id) => spoken.includes(words(id)));
told.value = words("map-name").includes(short(valueOf(readPixel(settings.pixel), state.values)));
click("clear");
await painted();
told.cleared = [ink(), /^\\d/.test(words("answer"))];
const empty = words("answer");
for (const key of [" ", ...Array(14).fill("ArrowDown"), " ", "ArrowLeft"]) press(pad.canvas, key);
await painted();
told.drawn = [ink() > 0, pad.drawing.strokes.map((stroke) => stroke.length)];
click("undo");
await painted();
told.undone = ink();
click("undo");
await painted();
told.again = settings.image === DEFAULTS.image;
example.click();
told.taken = [ink() > 0, example.getAttribute("aria-pressed")];
click("clear");
await painted();
press(pad.canvas, " ");
await painted();
told.dot = [ink(), /^\\d/.test(words("answer")), words("answer") === empty];
press(pad.canvas, " ");
press(byId("map"), "ArrowLeft", { altKey: true });
told.alt = settings.pixel;
const mistakes = [...byId("mistakes").children];
mistakes[0].focus();
told.focus = ["ArrowRight", "ArrowRight", "ArrowLeft"].map((key) => {
  press(document.activeElement, key);
  return mistakes.indexOf(document.activeElement);
});
told.tabbable = mistakes.map((button) => button.tabIndex).indexOf(0);
told.scrolls = document.querySelector(".ask").tabIndex;
change({ image: TEST_DIGITS[4].image });
type("layer", 20);
told.entered = [readPixel(settings.pixel).map, answerOf(state.values)];
change({ pixel: "20.3.2.2", image: DEFAULTS.image });
anchor = undefined; // as a tap leaves it
for (const layer of [19, 20]) type("layer", layer);
told.kept = settings.pixel;
told.short = short(-1.5e-7);
return told;
"""


@visit(["pixel=1.2.10.10"], BY_HAND)
def test_keys_and_buttons_do_what_they_say(seen):
    (told,) = seen
    assert told == {
        "pixel": "1.3.11.10", "map": "1.5.11.10", "alt": "1.5.11.10",
        "back": "1.5.11.10",  # however coarse the layers between
        "spoken": [True, True], "value": True, "short": "−1.5e−07",
        "cleared": [0, False], "drawn": [True, [15]], "undone": 0, "again": True,
        "taken": [True, "true"], "dot": [0, False, False],
        "focus": [1, 2, 1], "tabbable": 1, "scrolls": 0,
        "entered": [4, 4], "kept": "20.3.2.2",
    }  # fmt: skip


# What happens, where on the diagonal, and with which buttons; then the points of each stroke.
HAPPENS = [
    # One pointer draws, and undo ends what it draws.
    ("down mouse", 30, 1, [1]),
    ("down touch", 50, 1, [1]),
    ("move touch", 90, 1, [1]),
    ("click undo", 0, 0, []),
    ("move mouse", 90, 1, []),
    ("down other", 30, 1, []),  # the mouse is still down
    ("move mouse", 90, 0, []),
    ("down other", 30, 1, [1]),
    ("click example", 0, 0, []),
    ("move other", 90, 1, []),
    ("click undo", 0, 0, [1]),
    ("click clear", 0, 0, []),
    ("click clear", 0, 0, []),
    ("click undo", 0, 0, [1]),
    ("up other", 90, 0, [1]),
    ("click clear", 0, 0, []),
    # A pen takes over from the palm.
    ("down touch", 30, 1, [1]),
    ("move touch", 35, 1, [2]),
    ("over pen", 60, 1, [2]),
    ("down pen", 60, 1, [1]),
    ("move pen", 90, 1, [2]),
    ("move touch", 40, 1, [2]),
    ("up pen", 90, 0, [2]),
    ("up touch", 40, 0, [2]),
    ("down touch", 30, 1, [2]),  # while the pen hovers
    ("out-to-page pen", 90, 1, [2]),
    ("down touch", 30, 1, [2]),
    ("out pen", 90, 1, [2]),  # it is put away
    ("down touch", 30, 1, [2, 1]),
    ("down mouse", 50, 1, [2, 1]),
    ("click undo", 0, 0, [2]),
    ("up touch", 30, 0, [2]),
]
POINTERS = """
const { left, top } = pad.canvas.getBoundingClientRect();
const ids = ["mouse", "touch", "pen", "other"];
const happen = (name, pointerType, where, buttons) => {
  if (pointerType === "example") return document.querySelector("#examples button").click();
  if (name === "click") return click(pointerType);
  const relatedTarget = name === "out-to-page" ? document.body : null;
  point(name === "down" ? pad.canvas : document.body, name.split("-")[0], left + where, top + where,
    { pointerId: ids.indexOf(pointerType), pointerType, buttons, relatedTarget });
};
click("clear");
return EVENTS.map(([what, where, buttons]) => {
  happen(...what.split(" "), where, buttons);
  return pad.drawing.strokes.map((stroke) => stroke.length);
});
"""


@visit(["pixel=1.0.0.0"], POINTERS.replace("EVENTS", json.dumps(HAPPENS)))
def test_what_pointers_draw(seen):
    assert seen == [[strokes for *_, strokes in HAPPENS]]


SCRIBBLE = """
CanvasRenderingContext2D.prototype.getImageData = (x, y, width, height) =>
  new ImageData(new Uint8ClampedArray(4 * width * height).map(() => 256 * Math.random()), width);
const { left, top, width, height } = pad.canvas.getBoundingClientRect();
click("clear");
[0.2, 0.4, 0.6, 0.8].forEach((y, index) =>
  point(pad.canvas, index ? "move" : "down", left + width / 2, top + y * height));
await painted();
point(document.body, "up", 0, 0);
const hasMethod = "getCoalescedEvents" in PointerEvent.prototype;
return [pad.drawing.strokes[0].length, words("answer")[0], hasMethod, isSecureContext];
"""


def test_a_drawing_is_read_over_plain_http_by_a_browser_that_falsifies_canvases(look_around):
    """From another computer, browsers leave out what is for secure contexts: getCoalescedEvents."""
    servers = []

    def address(page):
        handler = partial(SimpleHTTPRequestHandler, directory=page.parent)
        servers.append(ThreadingHTTPServer(("127.0.0.1", 0), handler))
        threading.Thread(target=servers[0].serve_forever, daemon=True).start()
        return f"http://page.test:{servers[0].server_port}/{page.name}"

    rule = "--host-resolver-rules=MAP page.test 127.0.0.1"
    seen = look_around(MNIST, [("pixel=1.0.0.0", SCRIBBLE)], rule, address=address)
    servers[0].shutdown()
    assert seen == [[4, "1", False, False]]


SLIDER = """
return NETWORK.map((_, layer) => {
  chooseLayer(layer);
  const { width, top } = byId("layer").getBoundingClientRect();
  return [width, top];
});
"""


@visit(["pixel=1.0.0.0"], SLIDER)
def test_the_slider_stays_where_it_is_while_it_is_dragged(seen):
    (boxes,) = seen
    assert len(set(map(tuple, boxes))) == 1
    assert boxes[0][0] > 100


WHY = """
const box = document.querySelector("#seen-mark .mark");
const drawn = ["y", "x", "height", "width"].map((name) => Number(box.getAttribute(name)));
const { top: first, left, height, width } = sightOf(readPixel(settings.pixel));
const isOutlined = String(drawn) === String([first, left, height, width]);
const fact = all("#fact strong").map((size) => parseInt(size.textContent));
const beyond = all("#fact .beyond").length;
scrollTo(0, 3000);
const { top, bottom } = byId("map-name").getBoundingClientRect();
const inSight = 0 <= top && bottom <= innerHeight;
const names = [words("why")];
click("why");
names.push(words("why"));
const how = document.querySelector(".how");
const went = document.activeElement === how && how.getBoundingClientRect().top < innerHeight;
click("why");
const isBack = scrollY === 3000 && names[0] === words("why") && names[0] !== names[1];
return [fact, beyond, words("seen-name"), isOutlined, inSight && went && isBack];
"""


@visit(["pixel=20.1.2.3", "pixel=22.1.0.0", "pixel=1.0.5.5", "pixel=1.0.0.0"], WHY)
def test_what_a_pixel_sees_is_outlined_and_why_goes_to_the_explanation_and_back(seen):
    facts, beyond, (last, end, inner, rim), outlined, went = zip(*seen, strict=True)
    assert facts[0] == [3, 5, 7, 9, 18, 20, 22]
    assert facts[1] == [6, 8, 10, 12, 14, 28, 30, 32]
    assert facts[2] == [3]
    assert beyond[:2] == (0, 2)  # 30x30 of 28x28 in layer 3, and 32x32
    assert "22×22" in last
    assert not re.search(r"\d", end)
    assert rim != inner
    assert outlined == went == (True,) * 4


POINTED = """
const canvas = canvasOf(4);
const box = canvas.getBoundingClientRect();
const [x, y] = cornerOf(state.places[4], 17);
const scale = state.places[4].pixel;
const at = [box.left + x + 2.5 * scale, box.top + y + 9.5 * scale];
point(canvas, "move", ...at, { buttons: 0 });
const seen = [pixelText(shownPixel()), settings.pixel];
point(canvas, "leave", ...at, { buttons: 0 });
seen.push(pixelText(shownPixel()));
canvas.dispatchEvent(new PointerEvent("click", { clientX: at[0], clientY: at[1] }));
seen.push(settings.pixel);
const presses = [["touch", canvas], ["mouse", document.body], ["mouse", canvas]];
for (const [pointerType, from] of presses) {
  point(from, "down", ...at, { pointerType });
  point(canvas, "move", at[0] + 3 * scale, at[1], { pointerType });
  seen.push(settings.pixel);
}
return seen;
"""


@visit(["pixel=1.0.3.3"], POINTED)
def test_a_pixel_is_shown_while_the_mouse_is_there_and_chosen_by_a_click(seen):
    (places,) = seen
    assert places[:4] == ["4.17.9.2", "1.0.3.3", "1.0.3.3", "4.17.9.2"]
    # A finger scrolls, and a mouse that was pressed elsewhere does something else.
    assert places[4:] == ["4.17.9.2", "4.17.9.2", "4.17.9.5"]


FROM_STROKE_TO_PICTURE = """
for (const layer of [0, 1, 2, 3, 4]) state.visible.add(layer);
const took = Array.from({ length: 40 }, (_, run) => {
  pad.drawing = { strokes: [[[60, 40], [220, 50], [120 + run, 240]]] };
  const began = performance.now();
  apply({ image: imageText(pad.read()) });
  return performance.now() - began;
});
document.body.replaceChildren(html("pre", { id: "took" }, Math.min(...took)));
"""


def test_a_stroke_is_read_and_shown_in_50_ms(browse):
    # Without a budget, whose time does not pass in scripts.
    document, _ = browse(MNIST, script=FROM_STROKE_TO_PICTURE, budget=None)
    assert 0 < float(text_of(document, "took")) < 50


# --- The file ---------------------------------------------------------------------------------


def test_the_tracked_page_is_the_one_that_is_written(real_mnist, tmp_path, capsys):
    assert main(["page", "--out", str(tmp_path / "page.html"), "--data", str(real_mnist)]) == 0
    page = (tmp_path / "page.html").read_bytes()
    assert page == MNIST.read_bytes()
    assert len(page) < 250_000


EMBEDDED = """
const of = ({ index, label, answer, image }) => [index, label, answer, image];
return [TEST_DIGITS.map(of), MISTAKES.map(of), words("mistakes-title")];
"""


def test_an_image_of_each_digit_and_all_mistakes_stand_in_the_page(look_around, page_of, images):
    model = shaken(Net())  # guesses, so that nearly all are mistakes
    answers = log_probabilities(model, images.images).argmax(dim=1)
    ((digits, mistakes, _),) = look_around(page_of(model), [("pixel=0.0.0.0", EMBEDDED)])
    wrong = set((answers != images.labels).nonzero().flatten().tolist())
    assert {index for index, *_ in mistakes} < wrong
    assert [label for _, label, *_ in digits] == sorted(set(images.labels.tolist()))
    for index, label, answer, image in [*digits, *mistakes]:
        assert (label, answer) == (images.labels[index], answers[index])
        assert image == image_text(images.images[index]).rstrip("=")


def test_poor_weights_do_not_make_the_page_grow_without_end(page_of, look_around):
    model = shaken(Net())
    noise = torch.randint(0, 256, (300, 1, 28, 28), dtype=torch.uint8)
    wrong = (log_probabilities(model, noise).argmax(dim=1) + 1) % 10
    page = page_of(model, ImageBatches(noise, wrong, TRANSFORM))
    ((_, mistakes, title),) = look_around(page, [("pixel=0.0.0.0", EMBEDDED)])
    assert page.stat().st_size < 250_000
    assert 20 < len(mistakes) < 300
    assert title.startswith(f"{len(mistakes)} of the 300 ")


# --- What the page refuses ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "told"),
    [
        (Gives(lambda x: x.sort(dim=1)[0].cumsum(dim=1)), "the page does not know: sort, cumsum"),
        (Chain(nn.ConvTranspose2d(1, 10, 1), nn.AvgPool2d(28), nn.Flatten()), "transposed"),
        (Chain(nn.AdaptiveAvgPool2d(3), nn.Flatten(), nn.Linear(9, 10)), "adaptive pooling"),
        (Gives(lambda x: (x if x.sum() > 0 else -x).log_softmax(1)), "torch.export fails"),
        (Gives(lambda x: (x * len(x)).log_softmax(1)), "for an image alone"),
        (Gives(lambda x: x), "log_softmax"),
        (Chain(nn.Flatten(), nn.Linear(784, 9)), "ten log-probabilities"),
        (Gives(lambda x: x.log_softmax(1) / 0), "not finite numbers"),
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


def test_the_command_writes_the_page_of_ones_own_weights(small_mnist, tmp_path, capsys):
    weights, page = tmp_path / "net.pt", tmp_path / "mine.html"
    command = ["page", "--weights", str(weights), "--out", str(page), "--data", str(small_mnist)]
    assert main(command) == 2
    assert re.fullmatch(r".*net.pt .*\n", capsys.readouterr().err)
    assert not page.exists()
    torch.save(shaken(Net()).state_dict(), weights)
    assert main(command) == 0
    assert page.stat().st_size < 250_000
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
