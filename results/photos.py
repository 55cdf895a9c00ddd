"""Count how many photos of digits are read, of each kind: `python -m results.photos`.

The digits are MNIST's test images: of each class the first, on which the reader's thresholds were
chosen, and the fifth, on which none was.
"""

import tempfile
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFilter, ImageOps
from skimage.morphology import skeletonize
from torchvision import transforms
from tqdm import tqdm

import utils
from common import UserError
from mnist import data
from mnist.checkpoint import load_weights
from mnist.photo import classify, mnist_like, read_image
from mnist.segmentation import find_digit
from model import Net

ROOT = Path(__file__).resolve().parent.parent
CPU = torch.device("cpu")
TRANSFORM = transforms.Compose([utils.to_unit_range, utils.normalise])
PAPER, INK, BLUE_INK = (225, 225, 225), (40, 40, 45), (50, 70, 160)
BOARD, CHALK, WOOD = (52, 70, 60), (215, 220, 215), (70, 62, 55)
RED, BLUE, GREY = (200, 60, 70), (150, 175, 215), (70, 75, 90)
A4 = (1240, 1754)  # pixels at 150 dots per inch, 59 to the centimetre
PHONE = (3000, 4000)

Size = tuple[int, int]  # width and height in pixels
Colour = tuple[int, int, int]
Pen = Callable[[np.ndarray, int], Image.Image]
Draw = Callable[[np.ndarray, np.random.Generator], Image.Image]


def broad(digit: np.ndarray, size: int) -> Image.Image:
    """Enlarge the ink of 28x28 pixels to `size` pixels along its longer side, with sharp edges."""
    image = Image.fromarray(digit)
    image = image.crop(image.getbbox())
    scale = size / max(image.size)
    image = image.resize([max(1, round(side * scale)) for side in image.size], Image.BICUBIC)
    image = image.filter(ImageFilter.GaussianBlur(size / 60))
    return image.point(lambda value: min(255, max(0, (value - 96) * 4)))


def thin(digit: np.ndarray, size: int) -> Image.Image:
    """Write the same with lines of about a fortieth of its size, as a ballpoint's at 3 cm."""
    line = Image.fromarray(skeletonize(np.asarray(broad(digit, size)) > 127))
    return line.convert("L").filter(ImageFilter.MaxFilter(size // 80 * 2 + 1))


def blank(size: Size = (180, 240), paper: Colour = PAPER) -> Image.Image:
    return Image.new("RGB", size, paper)


def ruled(
    generator: np.random.Generator,
    across: int,
    down: int,
    colour: Colour,
    width: int = 1,
    turn: float = 0,
) -> Image.Image:
    """Paper with a line every `down` pixels and every `across`, if not 0, turned by degrees."""
    sheet = blank((460, 540))
    pencil = ImageDraw.Draw(sheet)
    for x in range(5, 460, across) if across else ():
        pencil.line((x, 0, x, 540), colour, width)
    for y in range(7, 540, down):
        pencil.line((0, y, 460, y), colour, width)
    degrees = turn + generator.uniform(-2, 2)
    return sheet.rotate(degrees, Image.BICUBIC).crop((70, 70, 390, 470))


def put_on(
    sheet: Image.Image,
    generator: np.random.Generator,
    colour: Colour,
    size: Size,
    corner: tuple[int, int] = (0, 0),
    degrees: float = 0,
) -> Image.Image:
    """Put a sheet with its corner at a place of something larger, turned by up to so much."""
    scene = blank(size, colour)
    scene.paste(sheet, corner)
    return scene.rotate(generator.uniform(-degrees, degrees), Image.BICUBIC, fillcolor=colour)


def photo(
    digit: np.ndarray,
    generator: np.random.Generator,
    size: Size = (180, 240),
    paper: Colour = PAPER,
    ruling: tuple | None = None,
    ink: Colour = INK,
    height: int = 110,
    reach: float = 0.1,
    pen: Pen = broad,
    place: tuple | None = None,
    mark: tuple | None = None,
    blur: float = 0.7,
    light: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None,
    noise: float = 4,
    change: Callable[[Image.Image], Image.Image] | None = None,
) -> Image.Image:
    """Write a digit on a sheet, and photograph it.

    Args:
        digit: ink of 28x28 pixels.
        size: of blank paper.
        ruling: arguments of `ruled`, which makes other paper.
        height: of the digit, or its width if that is larger, in pixels.
        reach: shares of the sheet's sides by which the digit may lie off the middle.
        place: arguments of `put_on`, which puts the sheet there.
        mark: a shape beside the digit: a method of ImageDraw and its arguments.
        light: how much lighter white paper is, by how far right and down, both from 0 to 1.
        noise: standard deviation, in grey values.
        change: of the photo before it is saved.
    """
    scene = ruled(generator, *ruling) if ruling else blank(size, paper)
    stroke = pen(digit, height)
    corner = tuple(
        round((whole - part) / 2 + whole * generator.uniform(-reach, reach))
        for whole, part in zip(scene.size, stroke.size, strict=True)
    )
    scene.paste(Image.new("RGB", stroke.size, ink), corner, stroke)
    if place:
        scene = put_on(scene, generator, *place)
    if mark:
        shape, *arguments = mark
        getattr(ImageDraw.Draw(scene), shape)(*arguments)
    pixels = np.asarray(scene.filter(ImageFilter.GaussianBlur(blur)), dtype=float)
    if light:
        down, right = np.mgrid[: scene.height, : scene.width].astype(np.float32)
        lighter = light(right / scene.width, down / scene.height)
        pixels = pixels * (1 + lighter[..., None] / PAPER[0])
    grain = generator.standard_normal(pixels.shape[:2], dtype=np.float32) * noise
    image = Image.fromarray(np.clip(pixels + grain[..., None], 0, 255).astype(np.uint8))
    return change(image) if change else image


def bare(
    digit: np.ndarray,
    _,
    margin: float,
    pen: Pen = broad,
    change: Callable[[Image.Image], Image.Image] = ImageOps.invert,
) -> Image.Image:
    """A change of light ink on black, with `margin` of its size around it."""
    return change(ImageOps.expand(pen(digit, 140), round(140 * margin)))


def transparent(ink: Image.Image) -> Image.Image:
    """The pen's ink, and nothing beside it, as drawing programs write it."""
    sheet = Image.new("RGB", ink.size, INK)
    sheet.putalpha(ink)
    return sheet


def deep(largest: float, kind: type) -> Callable[[Image.Image], Image.Image]:
    """Make a scan of a photo, of which 255 has become `largest`."""
    return lambda photo: Image.fromarray(
        (np.asarray(photo.convert("L")) / 255 * largest).astype(kind)
    )


def on_its_side(photo: Image.Image) -> Image.Image:
    """Turn a photo, with the note of EXIF that says so."""
    photo = photo.transpose(Image.ROTATE_90)
    photo.getexif()[274] = 6  # "turn by 90 degrees, clockwise"
    return photo


def kind(
    suffix: str, make: Callable[..., Image.Image] = photo, **options: object
) -> tuple[str, Draw]:
    """What the name of a file ends in, and what draws the photo in it."""
    return suffix, partial(make, **options)


jpg, png, tiff = (partial(kind, suffix) for suffix in (".jpg", ".png", ".tiff"))

KINDS = {
    "A4 page, digit of 1 cm": jpg(size=A4, height=59),
    "A4 page, digit of 3.4 cm": jpg(size=A4, height=200),
    "12 megapixels, digit of 80 pixels": jpg(size=PHONE, height=80),
    "12 megapixels, digit of 200 pixels": jpg(size=PHONE, height=200),
    "cropped to the ink": png(bare, margin=0),
    "cropped with 5 % around the ink": png(bare, margin=0.05),
    "16-bit PNG": png(change=deep(65535, np.uint16)),
    "12 bits in 16": png(change=deep(4095, np.uint16)),
    "16-bit TIFF": tiff(change=deep(65535, np.uint16)),
    "float TIFF": tiff(change=deep(1, np.float32)),
    "sheet on a dark table": jpg(height=90, place=(WOOD, (261, 324), (36, 36), 8)),
    "table at one side": jpg(height=90, place=(WOOD, (234, 240))),
    "red margin line": png(reach=0.02, mark=("line", (30, 0, 31, 240), RED, 2)),
    "dark squared paper": png(ruling=(28, 28, GREY, 2), height=190),
    "dark squared paper, turned by 6 degrees": png(ruling=(28, 28, GREY, 2, 6), height=190),
    "pencil beside a black dot": png(
        ink=(180, 180, 182), reach=0.02, mark=("ellipse", (14, 14, 24, 24), (20, 20, 20))
    ),
    "note on a desk": jpg(
        size=(200, 200), paper=(165, 160, 150), place=((240,) * 3, (800, 600), (300, 200))
    ),
    "printed box": png(reach=0.02, mark=("rectangle", (18, 40, 162, 205), None, INK, 2)),
    "dark corners": jpg(light=lambda x, y: -190 * ((x - 0.5) ** 2 + (y - 0.5) ** 2)),
    "shadow with an edge": jpg(light=lambda x, y: -90.0 * (x + y / 3 > 0.7)),
    "soft shadow": jpg(light=lambda x, y: -100 / (1 + np.exp(-30 * (x + y / 3 - 0.6)))),
    "thumb in the corner": jpg(
        height=100, reach=0.04, mark=("ellipse", (-35, 195, 45, 300), (120, 85, 70)), blur=1
    ),
    "plain": png(),
    "blue pen": jpg(ink=BLUE_INK),
    "ballpoint": jpg(size=(720, 960), height=320, ink=BLUE_INK, pen=thin),
    "ballpoint, cropped with 5 %": png(bare, margin=0.05, pen=thin),
    "ballpoint on squared paper": jpg(ruling=(20, 20, BLUE), height=190, pen=thin),
    "pencil": jpg(ink=(150, 150, 152)),
    "yellow marker": jpg(ink=(235, 205, 60)),
    "chalk": jpg(paper=BOARD, ink=CHALK, noise=8),
    "blackboard on a light wall": jpg(
        size=(200, 220),
        paper=BOARD,
        ink=CHALK,
        place=((205, 200, 190), (260, 300), (30, 45)),
        noise=6,
    ),
    "white on black, cropped to the ink": png(bare, margin=0, change=Image.Image.copy),
    "white on black, cropped with 5 %": png(bare, margin=0.05, change=Image.Image.copy),
    "CMYK": jpg(change=lambda image: image.convert("CMYK")),
    "GIF": kind(".gif", change=lambda image: image.quantize(64)),
    "1-bit": png(change=lambda image: image.convert("1", dither=Image.Dither.NONE)),
    "turned by EXIF": jpg(change=on_its_side),
    "transparent": png(bare, margin=0.5, change=transparent),
    "faint ruling": png(ruling=(0, 32, (200, 208, 222)), height=190),
    "ruling": png(ruling=(0, 32, BLUE), height=190),
    "squared paper": png(ruling=(20, 20, BLUE), height=190),
    "underlined": png(height=100, reach=0.02, mark=("line", (40, 200, 140, 196), INK, 5)),
    "two digits": png(  # a smaller 1 at the right
        reach=0.02, place=(PAPER, (260, 240)), mark=("line", (215, 90, 205, 160), INK, 9)
    ),
    "MNIST's own image": png(lambda digit, generator: Image.fromarray(digit)),
}


def digits(index: int) -> Iterator[tuple[int, np.ndarray]]:
    """Each class with its `index`-th test image, counted from 0."""
    images, labels = data.read(data.fetch(ROOT / "data"), train=False)
    for label in range(10):
        place = (labels == label).nonzero()[index]
        yield label, images[place].squeeze().numpy()


def take(
    kind: str, digits: Iterable[tuple[int, np.ndarray]], folder: Path
) -> Iterator[tuple[int, Path]]:
    """Make a photo of a kind of each digit, given with its label; always the same photo."""
    suffix, draw = KINDS[kind]
    for label, digit in digits:
        photo = draw(digit, np.random.default_rng([label, *digit.tobytes()]))
        path = folder / f"{label}{suffix}"
        photo.save(path, exif=photo.getexif())
        yield label, path


def read(model: Net, path: Path) -> tuple[int | None, str]:
    """Give the digit that a photo is taken for, if any, and the warning."""
    try:
        found = find_digit(read_image(path))
    except UserError:
        return None, ""
    return int(classify(model, CPU, TRANSFORM, mnist_like(found.ink)).argmax()), found.warning


def count(index: int) -> dict[str, int]:
    """Count how many of ten photos of each kind are read, made of `digits(index)`."""
    model = utils.prepare(Net(), CPU)
    load_weights(model, ROOT / "results" / "net.pt")
    chosen = list(digits(index))
    with tempfile.TemporaryDirectory() as folder:
        return {
            kind: sum(
                read(model, path)[0] == label for label, path in take(kind, chosen, Path(folder))
            )
            for kind in tqdm(KINDS, unit=" kinds")
        }


if __name__ == "__main__":
    chosen_on, others = count(0), count(4)
    print("| photo | read, of 10 | of 10 others |\n|---|---|---|")
    for kind in KINDS:
        print(f"| {kind} | {chosen_on[kind]} | {others[kind]} |")
    print(f"| all {10 * len(KINDS)} | {sum(chosen_on.values())} | {sum(others.values())} |")
