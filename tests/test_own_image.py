"""An image of one's own, made MNIST-like and classified."""

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from torchvision import transforms

import utils
from common import UserError
from mnist.own_image import classify, mnist_like, read_image
from model import Net
from results.draw_digits import STROKES, draw_digit
from tests.digits import CPU, ROOT

TRANSFORM = transforms.Compose([utils.to_unit_range, utils.normalise])


@pytest.fixture(scope="module")
def trained():
    model = Net()
    model.load_state_dict(torch.load(ROOT / "results" / "net.pt", weights_only=True))
    return model


@pytest.mark.parametrize("digit", STROKES)
@pytest.mark.parametrize("inverted", [False, True])
def test_the_drawn_digits_are_recognised(digit, inverted, trained):
    image = draw_digit(digit)
    image = ImageOps.invert(image) if inverted else image
    probabilities = classify(trained, CPU, TRANSFORM, mnist_like(image))
    assert probabilities.argmax() == digit
    assert probabilities.sum() == pytest.approx(1)
    assert probabilities[digit] > 0.9


def test_a_transform_of_pil_images_classifies_as_one_of_batches(trained):
    digit = mnist_like(draw_digit(4))
    of_one = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))])
    torch.testing.assert_close(
        classify(trained, CPU, of_one, digit), classify(trained, CPU, TRANSFORM, digit)
    )


@pytest.mark.parametrize("light", [False, True])
@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_a_digit_on_a_transparent_background(mode, light, trained, tmp_path):
    """As drawing programs save it: the hidden colour of the background is black."""
    ink = mnist_like(draw_digit(7))[0].numpy().repeat(9, axis=0).repeat(9, axis=1)
    grey = np.where(ink > 127, 255 * light, 0).astype(np.uint8)
    image = Image.merge(
        "LA", [Image.fromarray(grey), Image.fromarray((255 * (ink > 127)).astype(np.uint8))]
    )
    if mode == "P":
        image = image.convert("RGBA").quantize()
    image.convert(mode).save(tmp_path / "digit.png")
    digit = mnist_like(read_image(tmp_path / "digit.png"))
    assert classify(trained, CPU, TRANSFORM, digit)[7] > 0.9


def test_a_card_with_a_transparent_margin(trained, tmp_path):
    card = draw_digit(7).convert("L").point(lambda grey: 0 if grey < 128 else 255)
    image = Image.new("LA", (card.width * 2, card.height * 2))
    image.paste(card.convert("LA"), (card.width // 2, card.height // 2))
    image.save(tmp_path / "card.png")
    digit = mnist_like(read_image(tmp_path / "card.png"))
    assert classify(trained, CPU, TRANSFORM, digit)[7] > 0.9


@pytest.mark.parametrize("digit", STROKES)
def test_the_tracked_examples_are_the_drawn_ones(digit):
    tracked = np.asarray(read_image(ROOT / "Test_Images" / f"Own_{digit}.png"), dtype=int)
    assert np.abs(tracked - np.asarray(draw_digit(digit), dtype=int)).mean() < 1


@pytest.mark.parametrize("digit", STROKES)
@pytest.mark.parametrize("width", [60, 300, 3000])
def test_ink_is_scaled_into_20_pixels_and_centred_by_mass(digit, width):
    image = draw_digit(digit)
    image = image.resize((width, round(width * image.height / image.width)))
    pixels = mnist_like(image)
    assert pixels.shape == (1, 28, 28)
    assert pixels.dtype == torch.uint8
    mass = pixels[0].double()
    for axis in (0, 1):
        position = torch.arange(28) + 0.5
        centre = (mass.sum(dim=1 - axis) * position).sum() / mass.sum()
        assert centre == pytest.approx(14, abs=0.6)
    inked = (mass > 0).nonzero()
    assert (inked.max(dim=0).values - inked.min(dim=0).values + 1).max() == pytest.approx(20, abs=1)


@pytest.mark.parametrize("size", [(1, 1), (2, 90), (200, 200)])
@pytest.mark.parametrize("noise", [0, 3])
def test_a_blank_page_is_named(size, noise):
    grey = np.random.default_rng(0).normal(200, noise, size[::-1]).clip(0, 255)
    with pytest.raises(UserError, match="no digit stands out from the paper"):
        mnist_like(Image.fromarray(grey.astype(np.uint8)))


@pytest.mark.parametrize("content", [None, b"", b"no image", b"\x89PNG\r\n\x1a\n" + bytes(50)])
def test_what_is_no_image_is_named(content, tmp_path):
    path = tmp_path / "digit.png"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=r"cannot read an image from .*digit.png"):
        read_image(path)
