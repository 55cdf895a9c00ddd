"""A photo or drawing of a digit, prepared as the images of MNIST were."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor, nn

from common import UserError

WORKING_SIZE = 280  # pixels of the longer side at most, ten times MNIST's
NOISE = 0.3  # share of the darkest ink below which a pixel counts as paper
DIGIT_SIZE, FIELD_SIZE = 20, 28  # http://yann.lecun.com/exdb/mnist/: a 20x20 box in 28x28 pixels


def read_image(path: str | Path) -> Image.Image:
    """Read a photo or a drawing of a digit, turned upright, as grey values.

    What is transparent becomes paper: white under dark ink, black under light ink.

    Raises:
        UserError: if the file cannot be read as an image.
    """
    try:
        with Image.open(path) as image:
            image = ImageOps.exif_transpose(image)
            if "A" not in image.getbands() and "transparency" not in image.info:
                return image.convert("L")
            image = image.convert("RGBA")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UserError(f"cannot read an image from {path}: {error}") from None
    opaque = np.asarray(image.convert("L"))[np.asarray(image.getchannel("A")) > 127]
    light_ink = opaque.size > 0 and np.percentile(opaque, 2) > 127  # nothing opaque is dark
    paper = Image.new("RGBA", image.size, "black" if light_ink else "white")
    return Image.alpha_composite(paper, image).convert("L")


def mnist_like(image: Image.Image) -> Tensor:
    """Turn a digit of any size, dark on light or light on dark, into an image like those of MNIST.

    The ink is scaled into a box of 20x20 pixels, its shape kept, and its centre of mass is
    put into the middle of 28x28.

    Returns:
        uint8 tensor of shape (1, 28, 28), ink 255 on paper 0.

    Raises:
        UserError: if no digit stands out from the paper.
    """
    image = image.copy()
    image.thumbnail((WORKING_SIZE, WORKING_SIZE))
    ink = _ink(np.asarray(image, dtype=float))
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    if len(rows) == 0:
        raise UserError("no digit stands out from the paper: draw it thicker or darker")
    box = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    digit = Image.fromarray(np.rint(255 * box).astype(np.uint8))
    scale = DIGIT_SIZE / max(digit.size)
    width, height = (max(1, round(side * scale)) for side in digit.size)
    # Pillow's versions differ in which way they go first, and so in the pixels.
    digit = digit.resize((width, digit.height), Image.LANCZOS).resize(
        (width, height), Image.LANCZOS
    )
    pixels = np.asarray(digit, dtype=float)
    top, left = (
        round(FIELD_SIZE / 2 - (pixels.sum(axis=1 - axis) @ (np.arange(size) + 0.5)) / pixels.sum())
        for axis, size in enumerate(pixels.shape)
    )
    field = Image.new("L", (FIELD_SIZE, FIELD_SIZE))
    field.paste(digit, (left, top))
    return torch.from_numpy(np.array(field)).unsqueeze(0)


def _ink(grey: np.ndarray) -> np.ndarray:
    """Tell ink (up to 1) from paper (0), whichever is the darker.

    Paper is a plane through the image's rim, since the light on a photo falls off to one side.
    """
    height, width = grey.shape
    y, x = np.mgrid[:height, :width]
    plane = np.stack([np.ones_like(x), x, y], axis=-1).astype(float)
    rim = np.ones(grey.shape, bool)
    rim[height // 10 + 1 : -(height // 10) - 1, width // 10 + 1 : -(width // 10) - 1] = False
    coefficients, *_ = np.linalg.lstsq(plane[rim], grey[rim], rcond=None)
    contrast = plane @ coefficients - grey  # above 0 where it is darker than paper
    if np.percentile(contrast, 99) < -np.percentile(contrast, 1):
        contrast = -contrast
    strongest = np.percentile(contrast, 99)
    if strongest < 8 * np.median(np.abs(contrast[rim])) or strongest < 10:
        return np.zeros_like(grey)
    ink = np.clip(contrast / strongest, 0, 1)
    return np.where(ink < NOISE, 0, ink)


@torch.no_grad()
def classify(
    model: nn.Module, device: torch.device, transform: Callable[[Any], Tensor], digit: Tensor
) -> Tensor:
    """Give the probability of each digit.

    Args:
        transform: that of the test images, of a batch of tensors or of one PIL image.
        digit: uint8 tensor of shape (1, 28, 28).

    Returns:
        Probabilities of shape (10,), on the CPU.
    """
    model.eval()
    try:
        images = transform(digit.unsqueeze(0).to(device))
    except TypeError:  # torchvision's, of transforms that take PIL images
        images = transform(Image.fromarray(digit.squeeze(0).numpy())).unsqueeze(0)
    return model(images.to(device)).exp().squeeze(0).cpu()
