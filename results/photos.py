"""Count how many photos of digits are read, of each kind: `python -m results.photos`.

The digits are MNIST's test images: of each class the first, on which the reader's thresholds were
chosen, and the fifth, on which none was.
"""

import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFilter, ImageOps
from skimage.morphology import skeletonize
from torchvision import transforms
from tqdm import tqdm

import utils
from common import UserError
from mnist.ink import find_digit
from mnist.own_image import classify, mnist_like, read_image
from mnist.run import load_weights
from model import Net

ROOT = Path(__file__).resolve().parent.parent
CPU = torch.device("cpu")
TRANSFORM = transforms.Compose([utils.to_unit_range, utils.normalise])
PAPER, INK = (225, 225, 225), (40, 40, 45)
WOOD, SKIN, RED, BLUE = (70, 62, 55), (190, 140, 120), (200, 60, 70), (150, 175, 215)
A4 = (1240, 1754)  # pixels at 150 dots per inch, 59 to the centimetre
PHONE = (3000, 4000)

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


def blank(size: tuple[int, int] = (180, 240), paper: Colour = PAPER) -> Image.Image:
    return Image.new("RGB", size, paper)


def write(
    sheet: Image.Image,
    digit: np.ndarray,
    generator: np.random.Generator,
    size: int = 110,
    ink: Colour = INK,
    reach: float = 0.1,
    pen: Pen = broad,
) -> Image.Image:
    """Write a digit near the middle: at most `reach` of the sheet's sides from it."""
    stroke = pen(digit, size)
    left, top = (
        round((whole - part) / 2 + whole * generator.uniform(-reach, reach))
        for whole, part in zip(sheet.size, stroke.size, strict=True)
    )
    sheet.paste(ink, (left, top, left + stroke.width, top + stroke.height), stroke)
    return sheet


def photograph(
    scene: Image.Image,
    generator: np.random.Generator,
    light: np.ndarray | float = 0,
    noise: float = 4,
    blur: float = 0.7,
) -> Image.Image:
    """Blur a scene a little, add noise, and to white paper `light` of shape (height, width)."""
    pixels = np.asarray(scene.filter(ImageFilter.GaussianBlur(blur)), dtype=np.float32)
    grain = generator.standard_normal(pixels.shape[:2], dtype=np.float32) * noise
    pixels = pixels * (1 + np.atleast_2d(light)[..., None] / PAPER[0]) + grain[..., None]
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def places(scene: Image.Image) -> tuple[np.ndarray, np.ndarray]:
    """How far right and down each pixel is, from 0 to 1."""
    down, right = np.mgrid[: scene.height, : scene.width].astype(np.float32)
    return right / scene.width, down / scene.height


def plain(size: tuple[int, int] = (180, 240), height: int = 110, ink: Colour = INK) -> Draw:
    return lambda digit, generator: photograph(
        write(blank(size), digit, generator, height, ink), generator
    )


def lined(
    across: int, down: int, colour: Colour, width: int = 1, pen: Pen = broad, turn: float = 0
) -> Draw:
    """Paper with a line every `across` pixels and every `down`, 0 for none, turned by degrees."""

    def draw(digit: np.ndarray, generator: np.random.Generator) -> Image.Image:
        sheet = blank((460, 540))
        pencil = ImageDraw.Draw(sheet)
        for x in range(5, 460, across) if across else ():
            pencil.line((x, 0, x, 540), colour, width)
        for y in range(7, 540, down) if down else ():
            pencil.line((0, y, 460, y), colour, width)
        degrees = turn + generator.uniform(-2, 2)
        sheet = sheet.rotate(degrees, Image.BICUBIC).crop((70, 70, 390, 470))
        return photograph(write(sheet, digit, generator, 190, pen=pen), generator)

    return draw


def marked(
    mark: Callable[[ImageDraw.ImageDraw], None], height: int = 110, ink: Colour = INK
) -> Draw:
    """Something drawn on the sheet beside the digit."""

    def draw(digit: np.ndarray, generator: np.random.Generator) -> Image.Image:
        sheet = write(blank(), digit, generator, height, ink, reach=0.02)
        mark(ImageDraw.Draw(sheet))
        return photograph(sheet, generator)

    return draw


def lit(light: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Draw:
    """A sheet in uneven light, by how far right and down a pixel is."""

    def draw(digit: np.ndarray, generator: np.random.Generator) -> Image.Image:
        sheet = write(blank(), digit, generator)
        return photograph(sheet, generator, light(*places(sheet)))

    return draw


def on_table(left: float, top: float, right: float, bottom: float, degrees: float = 0) -> Draw:
    """A sheet on a dark table, whose sides are seen beyond the sheet by these shares of it."""

    def draw(digit: np.ndarray, generator: np.random.Generator) -> Image.Image:
        width, height = 180, 240
        sheet = write(blank(), digit, generator, 90)
        size = round(width * (1 + left + right)), round(height * (1 + top + bottom))
        table, mask = blank(size, WOOD), Image.new("L", size)
        corner = round(width * left), round(height * top)
        table.paste(sheet, corner)
        mask.paste(255, (*corner, corner[0] + width, corner[1] + height))
        turn = generator.uniform(-degrees, degrees)
        table, mask = table.rotate(turn, Image.BICUBIC), mask.rotate(turn, Image.BICUBIC)
        return photograph(Image.composite(table, blank(size, WOOD), mask), generator)

    return draw


def cropped(margin: float, pen: Pen = broad) -> Draw:
    """Black on white, with `margin` of its size around the ink."""

    def draw(digit: np.ndarray, generator: np.random.Generator) -> Image.Image:
        stroke = pen(digit, 140)
        around = round(margin * 140)
        sheet = Image.new("L", (stroke.width + 2 * around, stroke.height + 2 * around), 255)
        sheet.paste(0, (around, around, around + stroke.width, around + stroke.height), stroke)
        return sheet

    return draw


def inverted(draw: Draw) -> Draw:
    return lambda digit, generator: ImageOps.invert(draw(digit, generator))


def converted(change: Callable[[Image.Image], Image.Image]) -> Draw:
    return lambda digit, generator: change(plain()(digit, generator))


def deep(largest: float, kind: type) -> Draw:
    """A scan of which 255 has become `largest`."""
    return converted(
        lambda photo: Image.fromarray((np.asarray(photo.convert("L")) / 255 * largest).astype(kind))
    )


def turned(photo: Image.Image) -> Image.Image:
    """Stored on its side, with the note of EXIF that says so."""
    photo = photo.transpose(Image.ROTATE_90)
    photo.getexif()[274] = 6  # "turn by 90 degrees, clockwise"
    return photo


def transparent(digit: np.ndarray, generator: np.random.Generator) -> Image.Image:
    sheet = Image.new("RGBA", (180, 240))
    return write(sheet, digit, generator, ink=INK)


def ballpoint(digit: np.ndarray, generator: np.random.Generator) -> Image.Image:
    sheet = blank((720, 960))
    return photograph(write(sheet, digit, generator, 320, (50, 70, 160), pen=thin), generator)


def chalk(digit: np.ndarray, generator: np.random.Generator) -> Image.Image:
    board = blank(paper=(52, 70, 60))
    return photograph(write(board, digit, generator, ink=(215, 220, 215)), generator, noise=8)


def in_a_room(digit: np.ndarray, generator: np.random.Generator) -> Image.Image:
    """A blackboard on a light wall."""
    wall = blank((260, 300), (205, 200, 190))
    wall.paste(
        write(blank((200, 220), (52, 70, 60)), digit, generator, ink=(215, 220, 215)), (30, 45)
    )
    return photograph(wall, generator, noise=6)


def note(digit: np.ndarray, generator: np.random.Generator) -> Image.Image:
    """A grey note on a white desk."""
    desk = blank((800, 600), (240, 240, 240))
    desk.paste(write(blank((200, 200), (165, 160, 150)), digit, generator), (300, 200))
    return photograph(desk, generator)


def thumb(digit: np.ndarray, generator: np.random.Generator) -> Image.Image:
    sheet = write(blank(), digit, generator, 100, reach=0.04)
    ImageDraw.Draw(sheet).ellipse((-35, 195, 45, 300), (120, 85, 70))
    return photograph(sheet, generator, blur=1)


def as_in_mnist(digit: np.ndarray, generator: np.random.Generator) -> Image.Image:
    return Image.fromarray(digit)


def two_digits(digit: np.ndarray, generator: np.random.Generator) -> Image.Image:
    """With a smaller 1 at its right."""
    sheet = blank((260, 240))
    sheet.paste(write(blank(), digit, generator, reach=0.02))
    ImageDraw.Draw(sheet).line((215, 90, 205, 160), INK, 9)
    return photograph(sheet, generator)


KINDS: dict[str, tuple[Draw, str]] = {  # and what the file's name ends in
    "A4 page, digit of 1 cm": (plain(A4, 59), ".jpg"),
    "A4 page, digit of 3.4 cm": (plain(A4, 200), ".jpg"),
    "12 megapixels, digit of 80 pixels": (plain(PHONE, 80), ".jpg"),
    "12 megapixels, digit of 200 pixels": (plain(PHONE, 200), ".jpg"),
    "cropped to the ink": (cropped(0), ".png"),
    "cropped with 5 % around the ink": (cropped(0.05), ".png"),
    "16-bit PNG": (deep(65535, np.uint16), ".png"),
    "12 bits in 16": (deep(4095, np.uint16), ".png"),
    "16-bit TIFF": (deep(65535, np.uint16), ".tiff"),
    "float TIFF": (deep(1, np.float32), ".tiff"),
    "sheet on a dark table": (on_table(0.2, 0.15, 0.25, 0.2, 8), ".jpg"),
    "table at one side": (on_table(0, 0, 0.3, 0), ".jpg"),
    "red margin line": (marked(lambda pencil: pencil.line((30, 0, 31, 240), RED, 2)), ".png"),
    "dark squared paper": (lined(28, 28, (70, 75, 90), 2), ".png"),
    "dark squared paper, turned by 6 degrees": (lined(28, 28, (70, 75, 90), 2, turn=6), ".png"),
    "pencil beside a black dot": (
        marked(lambda pencil: pencil.ellipse((14, 14, 24, 24), (20, 20, 20)), 110, (180, 180, 182)),
        ".png",
    ),
    "note on a desk": (note, ".jpg"),
    "printed box": (
        marked(lambda pencil: pencil.rectangle((18, 40, 162, 205), None, INK, 2)),
        ".png",
    ),
    "dark corners": (lit(lambda x, y: -190 * ((x - 0.5) ** 2 + (y - 0.5) ** 2)), ".jpg"),
    "shadow with an edge": (lit(lambda x, y: -90.0 * (x + y / 3 > 0.7)), ".jpg"),
    "soft shadow": (lit(lambda x, y: -100 / (1 + np.exp(-30 * (x + y / 3 - 0.6)))), ".jpg"),
    "thumb in the corner": (thumb, ".jpg"),
    "plain": (plain(), ".png"),
    "blue pen": (plain(ink=(50, 70, 160)), ".jpg"),
    "ballpoint": (ballpoint, ".jpg"),
    "ballpoint, cropped with 5 %": (cropped(0.05, thin), ".png"),
    "ballpoint on squared paper": (lined(20, 20, BLUE, pen=thin), ".jpg"),
    "pencil": (plain(ink=(150, 150, 152)), ".jpg"),
    "yellow marker": (plain(ink=(235, 205, 60)), ".jpg"),
    "chalk": (chalk, ".jpg"),
    "blackboard on a light wall": (in_a_room, ".jpg"),
    "white on black, cropped to the ink": (inverted(cropped(0)), ".png"),
    "white on black, cropped with 5 %": (inverted(cropped(0.05)), ".png"),
    "CMYK": (converted(lambda photo: photo.convert("CMYK")), ".jpg"),
    "GIF": (converted(lambda photo: photo.quantize(64)), ".gif"),
    "1-bit": (converted(lambda photo: photo.convert("1", dither=Image.Dither.NONE)), ".png"),
    "turned by EXIF": (converted(turned), ".jpg"),
    "transparent": (transparent, ".png"),
    "faint ruling": (lined(0, 32, (200, 208, 222)), ".png"),
    "ruling": (lined(0, 32, BLUE), ".png"),
    "squared paper": (lined(20, 20, BLUE), ".png"),
    "underlined": (marked(lambda pencil: pencil.line((40, 200, 140, 196), INK, 5), 100), ".png"),
    "two digits": (two_digits, ".png"),
    "MNIST's own image": (as_in_mnist, ".png"),
}


def digits(index: int) -> Iterator[tuple[int, np.ndarray]]:
    """Each class with its `index`-th test image, counted from 0."""
    _, data = utils.load_mnist(ROOT / "data", CPU, TRANSFORM, TRANSFORM)
    for label in range(10):
        place = int((data.labels == label).nonzero()[index])
        yield label, data.images[place, 0].numpy()


def take(
    kind: str, digits: Iterable[tuple[int, np.ndarray]], folder: Path
) -> Iterator[tuple[int, Path]]:
    """Make a photo of a kind of each digit, given with its label; always the same photo."""
    draw, suffix = KINDS[kind]
    for label, digit in digits:
        photo = draw(digit, np.random.default_rng([label, *digit.tobytes()]))
        path = folder / f"{label}{suffix}"
        photo.save(path, exif=photo.getexif())
        yield label, path


def is_read(model: Net, label: int, path: Path) -> bool:
    try:
        pixels = mnist_like(find_digit(read_image(path)).ink)
    except UserError:
        return False
    return int(classify(model, CPU, TRANSFORM, pixels).argmax()) == label


def count(index: int) -> dict[str, int]:
    """Count how many of ten photos of each kind are read, made of `digits(index)`."""
    model = utils.prepare(Net(), CPU)
    load_weights(model, ROOT / "results" / "net.pt")
    chosen = list(digits(index))
    with tempfile.TemporaryDirectory() as folder:
        return {
            kind: sum(is_read(model, *photo) for photo in take(kind, chosen, Path(folder)))
            for kind in tqdm(KINDS, unit=" kinds")
        }


if __name__ == "__main__":
    chosen_on, others = count(0), count(4)
    print("| photo | read, of 10 | of 10 others |\n|---|---|---|")
    for kind in KINDS:
        print(f"| {kind} | {chosen_on[kind]} | {others[kind]} |")
    print(f"| all {10 * len(KINDS)} | {sum(chosen_on.values())} | {sum(others.values())} |")
