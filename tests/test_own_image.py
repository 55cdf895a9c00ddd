"""An image of one's own: read, its digit found, made MNIST-like and classified."""

from functools import partial
from itertools import product

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw, ImageOps
from scipy import ndimage
from torchvision import transforms

from common import UserError
from mnist.photo import classify, mnist_like, read_image
from mnist.segmentation import AT_THE_EDGE, TWO_DIGITS, find_digit
from model import Net
from results import photos
from results.draw_digits import STROKES, draw_digit
from tests.digits import CPU, ROOT

DRAWN = {digit: draw_digit(digit) for digit in STROKES}


@pytest.fixture(scope="module")
def trained():
    model = Net()
    model.load_state_dict(torch.load(ROOT / "results" / "net.pt", weights_only=True))
    return model


def found_in(image):
    return mnist_like(find_digit(image).ink)


def drawn(*shapes, size=(600, 800)):
    """Light paper with shapes on it: methods of ImageDraw and their arguments."""
    page = Image.new("L", size, 225)
    for shape, *arguments in shapes:
        getattr(ImageDraw.Draw(page), shape)(*arguments)
    return page


# --- What is read -------------------------------------------------------------------------


@pytest.mark.parametrize("digit", DRAWN)
def test_the_drawn_examples_are_read_by_a_transform_of_many_or_of_one(digit, trained):
    tracked = read_image(ROOT / "Test_Images" / f"Own_{digit}.png")
    difference = np.asarray(tracked, dtype=int) - np.asarray(DRAWN[digit], dtype=int)
    assert np.abs(difference).mean() < 1
    probabilities = classify(trained, CPU, photos.TRANSFORM, found_in(tracked))
    assert probabilities.sum() == pytest.approx(1)
    assert probabilities[digit] > 0.9
    of_one = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))])
    torch.testing.assert_close(classify(trained, CPU, of_one, found_in(tracked)), probabilities)


@pytest.mark.parametrize("kind", photos.KINDS)
def test_photos_of_every_kind_are_read(kind, trained, tmp_path):
    digits = [(digit, found_in(image)[0].numpy()) for digit, image in DRAWN.items()]
    if kind.startswith(("A4", "12 megapixels")):  # large photos, which take seconds
        digits = digits[:1]
    for digit, path in photos.take(kind, digits, tmp_path):
        answer, warning = photos.read(trained, path)
        assert (answer, bool(warning)) == (digit, kind == "two digits")


def on_transparent(mode, has_light_ink):
    """As drawing programs save it: the hidden colour of the background is black."""
    ink = DRAWN[7].point(lambda grey: 255 if grey < 100 else 0)
    grey = ink if has_light_ink else Image.new("L", ink.size)
    image = Image.merge("LA", [grey, ink])
    return image.convert("RGBA").quantize() if mode == "P" else image.convert(mode)


def card_with_a_transparent_margin():
    card = DRAWN[7].point(lambda grey: 0 if grey < 100 else 255).convert("LA")
    image = Image.new("LA", (card.width * 2, card.height * 2))
    image.paste(card, (card.width // 2, card.height // 2))
    return image


def scan_with_a_hot_pixel_and_what_is_no_number():
    scan = np.asarray(DRAWN[7], dtype=np.float32) / 255
    scan[5, 5], scan[6, 6], scan[7, 7] = 50, np.nan, np.inf
    return Image.fromarray(scan)


def bar_apart_from_its_stem(pen, gap):
    bar = "line", (80, 100, 220, 100), 40, pen
    stem = "line", (215, 104 + pen // 2 + gap, 140, 300), 40, pen
    return drawn(bar, stem, size=(300, 400))


SEVENS = [
    *(partial(on_transparent, *kind) for kind in product(("RGBA", "LA", "P"), (False, True))),
    card_with_a_transparent_margin,
    scan_with_a_hot_pixel_and_what_is_no_number,
    *(partial(bar_apart_from_its_stem, *widths) for widths in product((4, 10, 20), (4, 14))),
]


@pytest.mark.parametrize("make", SEVENS)
def test_an_unusual_seven_is_read(make, trained, tmp_path):
    image = make()
    path = tmp_path / ("seven.tiff" if image.mode == "F" else "seven.png")
    image.save(path)
    assert photos.read(trained, path) == (7, "")


def test_heic_is_read_where_its_package_is(trained, tmp_path):
    pytest.importorskip("pillow_heif", reason="pillow-heif is not installed")
    DRAWN[7].convert("RGB").save(tmp_path / "photo.jpg", "HEIF")
    assert photos.read(trained, tmp_path / "photo.jpg") == (7, "")


# --- What is found ------------------------------------------------------------------------


@pytest.mark.parametrize("digit", DRAWN)
@pytest.mark.parametrize("width", [60, 300, 1000])
def test_ink_is_scaled_into_20_pixels_and_centred_by_mass(digit, width):
    scale = width / DRAWN[digit].width
    pixels = found_in(ImageOps.scale(DRAWN[digit], scale))
    assert pixels.shape == (1, 28, 28)
    assert pixels.dtype == torch.uint8
    assert ndimage.center_of_mass(pixels[0].numpy()) == pytest.approx((13.5, 13.5), abs=0.6)
    left, top, right, bottom = Image.fromarray(pixels[0].numpy()).getbbox()
    assert max(right - left, bottom - top) == pytest.approx(20, abs=1)


def test_the_box_is_around_the_digit():
    found = find_digit(drawn(("line", (300, 400, 330, 480), 40, 9)))
    assert found.box == pytest.approx([296, 396, 335, 485], abs=4)
    assert found.ink.shape == (800, 600)


def ring(top):
    return "ellipse", (150, top, 250, top + 140), None, 40, 14


def dot(radius):
    return "ellipse", (300 - radius, 400 - radius, 300 + radius, 400 + radius), 40


PAPER_ONLY = "no digit stands out from the paper: draw it thicker or darker"


@pytest.mark.parametrize(
    ("page", "advice"),
    [
        (drawn(), PAPER_ONLY),
        (drawn(size=(1, 1)), PAPER_ONLY),
        (drawn(size=(2, 90)), PAPER_ONLY),
        (drawn(dot(2)), "what stands out from the paper is too small to be read: take it larger"),
        (drawn(dot(60)), "nothing on the photo looks like a digit: crop it to the digit's paper"),
        (drawn(ring(100), ring(260)), TWO_DIGITS),
        (drawn(ring(100), ring(280)), TWO_DIGITS),
        (drawn(("line", (200, 0, 220, 150), 40, 14)), AT_THE_EDGE),
    ],
)
def test_the_advice_fits_the_cause(page, advice):
    try:
        given = find_digit(page).warning
    except UserError as error:
        given = str(error)
    assert given == advice


@pytest.mark.parametrize("quality", [60, 75, 90])
@pytest.mark.parametrize("size", [(180, 240), (600, 800)])
def test_the_noise_of_a_blank_page_that_jpeg_smooths_is_no_digit(quality, size, tmp_path):
    for seed in range(3):
        nothing = np.zeros((28, 28), np.uint8)
        page = photos.photo(nothing, np.random.default_rng(seed), size)
        page.save(tmp_path / "page.jpg", quality=quality)
        with pytest.raises(UserError, match="stands out"):
            find_digit(read_image(tmp_path / "page.jpg"))


# --- What is refused ----------------------------------------------------------------------


def test_a_large_picture_is_made_smaller_without_a_warning_and_a_huge_one_refused(
    tmp_path, recwarn
):
    Image.new("L", (9600, 9600), 255).save(tmp_path / "large.jpg")
    assert max(read_image(tmp_path / "large.jpg").size) <= 1000
    assert not recwarn
    Image.new("1", (14000, 14000)).save(tmp_path / "huge.png")
    with pytest.raises(UserError, match="save it smaller"):
        read_image(tmp_path / "huge.png")


@pytest.mark.parametrize("name", ["photo.HEIC", "photo.jpg"])
def test_heic_is_refused_with_a_way_out_where_its_package_is_not(name, tmp_path, monkeypatch):
    monkeypatch.delitem(Image.OPEN, "HEIF", raising=False)
    monkeypatch.setattr(Image, "ID", list(Image.OPEN))
    path = tmp_path / name
    path.write_bytes(b"\0\0\0\x18ftypheic" + bytes(40))
    with pytest.raises(UserError, match=r"pillow-heif.* JPEG"):
        read_image(path)


@pytest.mark.parametrize("content", [None, b"", b"no image", b"\x89PNG\r\n\x1a\n" + bytes(50)])
def test_what_is_no_image_is_named(content, tmp_path):
    path = tmp_path / "digit.png"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=r"cannot read an image from .*digit.png"):
        read_image(path)
