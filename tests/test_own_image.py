"""An image of one's own: read, its digit found, made MNIST-like and classified."""

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw, ImageOps
from sklearn.datasets import load_digits
from torchvision import transforms

import utils
from common import UserError
from mnist.ink import find_digit
from mnist.own_image import classify, mnist_like, read_image
from model import Net
from results import photos
from results.draw_digits import STROKES, draw_digit
from tests.digits import CPU, ROOT

TRANSFORM = transforms.Compose([utils.to_unit_range, utils.normalise])


@pytest.fixture(scope="module")
def trained():
    model = Net()
    model.load_state_dict(torch.load(ROOT / "results" / "net.pt", weights_only=True))
    return model


def found_in(image):
    return mnist_like(find_digit(image).ink)


@pytest.mark.parametrize("digit", STROKES)
@pytest.mark.parametrize("inverted", [False, True])
def test_the_drawn_digits_are_recognised(digit, inverted, trained):
    image = draw_digit(digit)
    image = ImageOps.invert(image) if inverted else image
    probabilities = classify(trained, CPU, TRANSFORM, found_in(image))
    assert probabilities.argmax() == digit
    assert probabilities.sum() == pytest.approx(1)
    assert probabilities[digit] > 0.9


def test_a_transform_of_pil_images_classifies_as_one_of_batches(trained):
    digit = found_in(draw_digit(4))
    of_one = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))])
    torch.testing.assert_close(
        classify(trained, CPU, of_one, digit), classify(trained, CPU, TRANSFORM, digit)
    )


@pytest.mark.parametrize("light", [False, True])
@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_a_digit_on_a_transparent_background(mode, light, trained, tmp_path):
    """As drawing programs save it: the hidden colour of the background is black."""
    ink = found_in(draw_digit(7))[0].numpy().repeat(9, axis=0).repeat(9, axis=1)
    grey = np.where(ink > 127, 255 * light, 0).astype(np.uint8)
    image = Image.merge(
        "LA", [Image.fromarray(grey), Image.fromarray((255 * (ink > 127)).astype(np.uint8))]
    )
    if mode == "P":
        image = image.convert("RGBA").quantize()
    image.convert(mode).save(tmp_path / "digit.png")
    digit = found_in(read_image(tmp_path / "digit.png"))
    assert classify(trained, CPU, TRANSFORM, digit)[7] > 0.9


def test_a_card_with_a_transparent_margin(trained, tmp_path):
    card = draw_digit(7).convert("L").point(lambda grey: 0 if grey < 128 else 255)
    image = Image.new("LA", (card.width * 2, card.height * 2))
    image.paste(card.convert("LA"), (card.width // 2, card.height // 2))
    image.save(tmp_path / "card.png")
    digit = found_in(read_image(tmp_path / "card.png"))
    assert classify(trained, CPU, TRANSFORM, digit)[7] > 0.9


@pytest.mark.parametrize("digit", STROKES)
def test_the_tracked_examples_are_the_drawn_ones(digit):
    tracked = np.asarray(read_image(ROOT / "Test_Images" / f"Own_{digit}.png"), dtype=int)
    assert np.abs(tracked - np.asarray(draw_digit(digit), dtype=int)).mean() < 1


@pytest.mark.parametrize("digit", STROKES)
@pytest.mark.parametrize("width", [60, 300, 1000])
def test_ink_is_scaled_into_20_pixels_and_centred_by_mass(digit, width):
    image = draw_digit(digit)
    image = image.resize((width, round(width * image.height / image.width)))
    pixels = found_in(image)
    assert pixels.shape == (1, 28, 28)
    assert pixels.dtype == torch.uint8
    mass = pixels[0].double()
    for axis in (0, 1):
        position = torch.arange(28) + 0.5
        centre = (mass.sum(dim=1 - axis) * position).sum() / mass.sum()
        assert centre == pytest.approx(14, abs=0.6)
    inked = (mass > 0).nonzero()
    assert (inked.max(dim=0).values - inked.min(dim=0).values + 1).max() == pytest.approx(20, abs=1)


LARGE = [it for it in photos.KINDS if it.startswith(("A4", "12 megapixels")) or it == "ballpoint"]
SMALL = [it for it in photos.KINDS if it not in LARGE]


@pytest.fixture(scope="module")
def digits(trained):
    """Of scikit-learn's digits the first of each class that is read as it is, with its label."""
    data, found = load_digits(), {}
    for pixels, label in zip(data.images, data.target, strict=True):
        image = Image.fromarray(np.uint8(pixels * 15.9)).resize((20, 20), Image.BICUBIC)
        ink = np.asarray(photos.broad(np.asarray(image), 110))
        is_read = classify(trained, CPU, TRANSFORM, mnist_like(ink))[label] > 0.9
        if is_read and label not in found:
            found[label] = np.asarray(image)
        if len(found) == 10:
            break
    return sorted(found.items())


def read_and_warned(trained, label, path):
    found = find_digit(read_image(path))
    answer = classify(trained, CPU, TRANSFORM, mnist_like(found.ink)).argmax()
    return answer == label, bool(found.warning)


@pytest.mark.parametrize("kind", SMALL)
def test_photos_of_every_kind_are_read(kind, digits, trained, tmp_path):
    taken = photos.take(kind, digits[1::2], tmp_path)
    read, warned = np.sum([read_and_warned(trained, *it) for it in taken], axis=0)
    assert read >= 4  # of five
    assert warned == (5 if kind == "two digits" else 0)


@pytest.mark.parametrize("kind", LARGE)
def test_a_digit_on_a_large_photo_is_read(kind, digits, trained, tmp_path):
    (taken,) = photos.take(kind, digits[4:5], tmp_path)
    assert read_and_warned(trained, *taken) == (True, False)


def test_the_box_is_around_the_digit():
    page = Image.new("L", (600, 800), 225)
    ImageDraw.Draw(page).line((300, 400, 330, 480), 40, 9)
    left, top, right, bottom = find_digit(page).box
    assert [left, top, right, bottom] == pytest.approx([296, 396, 335, 485], abs=4)
    assert find_digit(page).ink.shape == (800, 600)


@pytest.mark.parametrize("size", [(1, 1), (2, 90), (200, 200)])
@pytest.mark.parametrize("noise", [0, 3])
def test_a_blank_page_is_named(size, noise):
    grey = np.random.default_rng(0).normal(200, noise, size[::-1]).clip(0, 255)
    with pytest.raises(UserError, match="stands out"):
        find_digit(Image.fromarray(grey.astype(np.uint8)))


@pytest.mark.parametrize("quality", [60, 75, 90])
@pytest.mark.parametrize("size", [(180, 240), (600, 800)])
def test_the_noise_of_a_blank_page_that_jpeg_smooths_is_no_digit(quality, size, tmp_path):
    for seed in range(3):
        page = photos.photograph(photos.blank(size), np.random.default_rng(seed))
        page.save(tmp_path / "page.jpg", quality=quality)
        with pytest.raises(UserError, match="stands out"):
            find_digit(read_image(tmp_path / "page.jpg"))


@pytest.mark.parametrize("pen", [4, 10, 20])
@pytest.mark.parametrize("gap", [4, 14])
def test_a_bar_apart_from_its_stem_belongs_to_a_seven(pen, gap, trained):
    page = Image.new("L", (300, 400), 225)
    pencil = ImageDraw.Draw(page)
    pencil.line((80, 100, 220, 100), 40, pen)
    pencil.line((215, 104 + pen // 2 + gap, 140, 300), 40, pen)
    assert classify(trained, CPU, TRANSFORM, found_in(page)).argmax() == 7


@pytest.mark.parametrize("gap", [20, 40])
def test_two_digits_above_each_other_are_named(gap):
    page = Image.new("L", (400, 600), 225)
    for top in (100, 240 + gap):
        ImageDraw.Draw(page).ellipse((150, top, 250, top + 140), None, 40, 14)
    assert find_digit(page).warning.startswith("two digits?")


def test_a_digit_at_the_edge_is_named():
    page = Image.new("L", (400, 600), 225)
    ImageDraw.Draw(page).line((200, 0, 220, 150), 40, 14)
    assert "edge" in find_digit(page).warning


def dotted(radius):
    page = Image.new("L", (600, 800), 225)
    ImageDraw.Draw(page).ellipse((300 - radius, 400 - radius, 300 + radius, 400 + radius), 40)
    return page


@pytest.mark.parametrize(
    ("page", "advice"),
    [
        (Image.new("L", (600, 800), 225), "darker"),
        (dotted(2), "too small"),
        (dotted(60), "crop"),
    ],
)
def test_the_advice_fits_the_cause(page, advice):
    with pytest.raises(UserError, match=advice):
        find_digit(page)


def test_a_huge_picture_is_refused_in_one_line(tmp_path):
    Image.new("1", (14000, 14000)).save(tmp_path / "huge.png")
    with pytest.raises(UserError, match="save it smaller"):
        read_image(tmp_path / "huge.png")


def test_a_large_picture_is_made_smaller_without_a_warning(tmp_path, recwarn):
    Image.new("L", (9600, 9600), 255).save(tmp_path / "large.jpg")
    assert max(read_image(tmp_path / "large.jpg").size) <= 1000
    assert not recwarn


def test_heic_is_read_where_its_package_is(trained, tmp_path):
    pytest.importorskip("pillow_heif", reason="pillow-heif is not installed")
    draw_digit(7).convert("RGB").save(tmp_path / "photo.jpg", "HEIF")
    assert classify(trained, CPU, TRANSFORM, found_in(read_image(tmp_path / "photo.jpg")))[7] > 0.9


@pytest.mark.parametrize("name", ["photo.HEIC", "photo.jpg"])
def test_heic_is_refused_with_a_way_out_where_its_package_is_not(name, tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "OPEN", {it: Image.OPEN[it] for it in Image.OPEN if it != "HEIF"})
    monkeypatch.setattr(Image, "ID", [it for it in Image.ID if it != "HEIF"])
    path = tmp_path / name
    path.write_bytes(b"\0\0\0\x18ftypheic" + bytes(40))
    with pytest.raises(UserError, match=r"pillow-heif.* JPEG"):
        read_image(path)


def test_a_hot_pixel_and_what_is_no_number_do_no_harm(trained, tmp_path):
    scan = np.asarray(draw_digit(7).convert("L"), dtype=np.float32) / 255
    scan[5, 5], scan[6, 6], scan[7, 7] = 50, np.nan, np.inf
    Image.fromarray(scan).save(tmp_path / "scan.tiff")
    digit = found_in(read_image(tmp_path / "scan.tiff"))
    assert classify(trained, CPU, TRANSFORM, digit)[7] > 0.9


@pytest.mark.parametrize("content", [None, b"", b"no image", b"\x89PNG\r\n\x1a\n" + bytes(50)])
def test_what_is_no_image_is_named(content, tmp_path):
    path = tmp_path / "digit.png"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=r"cannot read an image from .*digit.png"):
        read_image(path)
