"""A photo or drawing of a digit: read from its file, prepared as in MNIST, classified."""

import contextlib
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from scipy import ndimage
from torch import Tensor, nn

from common import UserError
from mnist.segmentation import Found, find_digit

WORKING_SIZE = 1000  # pixels of the longer side at most: a digit of 1 cm on an A4 page has 34
NOISE = 0.3  # share of the darkest ink below which a pixel counts as paper
DIGIT_SIZE, FIELD_SIZE = 20, 28  # http://yann.lecun.com/exdb/mnist/: a 20x20 box in 28x28 pixels

with contextlib.suppress(ImportError):
    from pillow_heif import register_heif_opener

    register_heif_opener()


def read_digit(path: str | Path) -> tuple[Image.Image, Found, Tensor]:
    """Read a photo or a drawing of a digit.

    Returns:
        The photo, what was taken for the digit, and the digit as `mnist_like` gives it.

    Raises:
        UserError: if the file cannot be read as an image, or no digit is found on it.
    """
    photo = read_image(Path(path).expanduser())
    found = find_digit(photo)
    return photo, found, mnist_like(found.ink)


def read_image(path: str | Path) -> Image.Image:
    """Read a photo or a drawing of a digit as grey values, upright, at most 1000 pixels long.

    Values of more than 8 bits are spread from the least to the largest. What is transparent
    becomes paper: white under dark ink, black under light ink.

    Raises:
        UserError: if the file cannot be read as an image, or is too large.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as file:
                file.draft(None, (WORKING_SIZE, WORKING_SIZE))  # shrinks a JPEG while it is read
                image = _grey(ImageOps.exif_transpose(file))
    except Image.DecompressionBombError:
        most = 2 * Image.MAX_IMAGE_PIXELS / 1e6
        raise UserError(f"{path} has over {most:.0f} million pixels: save it smaller") from None
    except (OSError, ValueError, SyntaxError) as error:
        reason = "pip install pillow-heif, or save it as JPEG" if _needs_heif(path) else error
        raise UserError(f"cannot read an image from {path}: {reason}") from None
    image.thumbnail((WORKING_SIZE, WORKING_SIZE))
    return image


def _needs_heif(path: str | Path) -> bool:
    """Tell whether a file is HEIC, whatever its name, and the package that reads it is missing."""
    if "HEIF" in Image.OPEN or not Path(path).is_file():
        return False
    with open(path, "rb") as file:
        return file.read(12)[4:8] == b"ftyp"


def _grey(image: Image.Image) -> Image.Image:
    if image.mode.startswith(("I", "F")):
        values = np.nan_to_num(np.asarray(image, dtype=np.float32), posinf=0, neginf=0)
        low, high = np.percentile(values, (0.01, 99.99))  # without a hot pixel
        values = np.clip((values - low) / ((high - low) or 1), 0, 1)
        return Image.fromarray(np.rint(255 * values).astype(np.uint8))
    if "A" not in image.getbands() and "transparency" not in image.info:
        return image.convert("L")
    image = image.convert("RGBA")
    opaque = np.asarray(image.convert("L"))[np.asarray(image.getchannel("A")) > 127]
    light_ink = opaque.size > 0 and np.percentile(opaque, 2) > 127  # nothing opaque is dark
    paper = Image.new("RGBA", image.size, "black" if light_ink else "white")
    return Image.alpha_composite(paper, image).convert("L")


def mnist_like(ink: np.ndarray) -> Tensor:
    """Turn the ink of a digit into an image like those of MNIST.

    The ink is scaled into a box of 20x20 pixels, its shape kept, and its centre of mass is
    put into the middle of 28x28.

    Args:
        ink: uint8, 255 on paper 0, as `find_digit` gives it.

    Returns:
        uint8 tensor of shape (1, 28, 28), ink 255 on paper 0.
    """
    digit = Image.fromarray(np.where(ink < 255 * NOISE, 0, ink))
    digit = digit.crop(digit.getbbox())
    scale = DIGIT_SIZE / max(digit.size)
    width, height = (max(1, round(side * scale)) for side in digit.size)
    # Pillow's versions differ in which way they go first, and so in the pixels.
    digit = digit.resize((width, digit.height), Image.LANCZOS).resize(
        (width, height), Image.LANCZOS
    )
    top, left = (
        round(FIELD_SIZE / 2 - 0.5 - centre)
        for centre in ndimage.center_of_mass(np.asarray(digit, dtype=float))
    )
    field = Image.new("L", (FIELD_SIZE, FIELD_SIZE))
    field.paste(digit, (left, top))
    return torch.from_numpy(np.array(field)).unsqueeze(0)


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
