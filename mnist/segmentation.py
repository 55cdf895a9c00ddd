"""The digit on a photo: its ink, told from paper and shadow, from lines and from the table."""

from itertools import permutations
from typing import NamedTuple

import numpy as np
from PIL import Image
from scipy import ndimage
from skimage.measure import label, regionprops
from skimage.morphology import reconstruction

from common import UserError

# Chosen on photos made of some test images, and counted on others: see results/README.md.
WIDEST = 1 / 3  # of the photo's longer side: a line is less wide, a shadow or a table wider
FAINTEST = 1 / 4  # of the strongest contrast
NOISE = 7  # standard deviations of the noise from pixel to pixel, and
LEAST = 10  # of 256 grey values: what differs less from the paper is no ink
GRAIN = 4  # standard deviations of the paper's own contrast, which ink exceeds
LIKE = 0.6  # share of the strongest contrast that the parts of a digit have
LOWEST = 12  # pixels of height that a digit needs
FLATTEST = 1 / 6  # of its width: an underline is lower
ALONG = 0.35  # share of the photo's rim that a frame covers and a digit does not
FULLEST = 0.7  # share of the square around it that a digit may fill; the median of MNIST is 0.28
PAPER = 0.5  # and light paper with a digit on it fills more than this
SOLID = 0.8  # share of its box that a sheet of paper covers
ASKEW = range(-10, 11)  # degrees by which the lines of the paper may be turned
EDGE = 4  # pixels beside ink in which it fades
ROUNDS = 3  # of looking for a digit among what is fainter than all that is none

TWO_DIGITS = "two digits? Only the framed one is read: crop the photo"
AT_THE_EDGE = "is this the digit? It touches the edge: leave some paper around it"


class Found(NamedTuple):
    """What was taken for the digit."""

    ink: np.ndarray  # uint8, of the photo's shape: 255 where ink is strong, 0 on paper
    box: tuple[int, int, int, int]  # left, top, right and bottom on the photo, in pixels
    warning: str  # of what else may be a digit, or empty


class Mark(NamedTuple):
    """A connected piece of ink; lengths in pixels."""

    tone: str  # "dark" on lighter paper, or "light"
    number: int  # in the image of labels
    top: int
    left: int
    bottom: int
    right: int
    area: int
    contrast: float  # to the paper, in grey values
    rim: float  # share of the photo's rim that it covers

    @property
    def height(self) -> int:
        return self.bottom - self.top

    @property
    def width(self) -> int:
        return self.right - self.left

    @property
    def fill(self) -> float:
        return self.area / max(self.height, self.width) ** 2

    def holds(self, other: "Mark") -> bool:
        """Whether the other's box is inside this one's."""
        return (
            self.top < other.top
            and self.left < other.left
            and self.bottom > other.bottom
            and self.right > other.right
        )

    def is_near(self, part: "Mark") -> bool:
        """Whether `part` may belong to a digit whose other parts are here.

        Parts of a digit are small or close; two digits stand apart, beside or above each other.
        """
        across = max(part.left - self.right, self.left - part.right) / self.height
        down = max(part.top - self.bottom, self.top - part.bottom) / self.height
        is_small = part.height < self.height / 2
        return down < (0.3 if is_small else 0.05) and across < (0.25 if is_small else 0.02)

    def is_underline(self, of: "Mark") -> bool:
        """Whether it is a flat mark that is no bar on top of a 5 or a 7."""
        is_on_top = self.bottom < of.top + of.height / 4 and self.width < 1.5 * of.height
        return self.height <= FLATTEST * self.width and not is_on_top

    def around(self, parts: list["Mark"]) -> "Mark":
        """The same mark with the box of all its parts."""
        return self._replace(
            top=min(part.top for part in parts),
            left=min(part.left for part in parts),
            bottom=max(part.bottom for part in parts),
            right=max(part.right for part in parts),
        )


def find_digit(photo: Image.Image) -> Found:
    """Find a digit of any size, dark on light or light on dark.

    Args:
        photo: grey values, as `read_image` gives them.

    Raises:
        UserError: if there is none; the advice fits the cause.
    """
    grey = np.asarray(photo, dtype=float)
    contrasts = {"dark": _contrast(grey), "light": _contrast(-grey)}
    # A normal distribution's standard deviation is 1.48 times its median deviation.
    noise = 1.48 * np.median(np.abs(grey - ndimage.median_filter(grey, 3)))
    least = max(NOISE * noise, LEAST)
    seen: list[Mark] = []
    for _ in range(ROUNDS):
        threshold = max(least, FAINTEST * np.max([*contrasts.values()]))
        labels = {
            tone: label(_without_lines(contrast > threshold), connectivity=2)
            for tone, contrast in contrasts.items()
        }
        marks = [mark for tone in labels for mark in _marks(tone, labels[tone], contrasts[tone])]
        strokes = _strokes([mark for mark in marks if mark.height >= LOWEST])
        main = max(strokes, key=lambda mark: mark.height * (1 - mark.rim), default=None)
        if sheet := _sheet_of(main, marks):
            return _on_sheet(photo, sheet)
        if main:
            layer = contrasts[main.tone], labels[main.tone]
            if not _stands_out(main, *layer):
                break
            digit, parts, others = _grouped(main, marks)
            box = digit.left, digit.top, digit.right, digit.bottom
            ink = _ink(parts, digit.height, *layer)
            return Found(ink, box, _warning(digit, others, photo.size))
        seen += marks
        # What is no digit may hide a fainter one: a dark table, a pencil's digit.
        strong = [mark for mark in marks if mark.contrast > 1.5 * threshold]
        if not strong:
            break
        for tone, contrast in contrasts.items():
            numbers = [mark.number for mark in strong if mark.tone == tone]
            gone = np.isin(labels[tone], numbers)
            contrast[ndimage.binary_dilation(gone, iterations=EDGE)] = 0
    if not seen or main:
        raise UserError("no digit stands out from the paper: draw it thicker or darker")
    if all(mark.height < LOWEST for mark in seen):
        raise UserError("what stands out from the paper is too small to be read: take it larger")
    raise UserError("nothing on the photo looks like a digit: crop it to the digit's paper")


def _sheet_of(main: Mark | None, marks: list[Mark]) -> Mark | None:
    """Find a note or board within the photo that holds a digit, or may hold one."""
    sheets = [
        mark
        for mark in marks
        if mark.rim == 0
        and min(mark.height, mark.width) > 4 * LOWEST
        and mark.area > SOLID * mark.height * mark.width
        and (mark.holds(main) if main else mark.fill > PAPER)
    ]
    return max(sheets, key=lambda mark: mark.area, default=None)


def _on_sheet(photo: Image.Image, sheet: Mark) -> Found:
    """Find the digit within a sheet, whose edges are left out."""
    margin = max(1, min(sheet.height, sheet.width) // 40)
    left, top = sheet.left + margin, sheet.top + margin
    right, bottom = sheet.right - margin, sheet.bottom - margin
    found = find_digit(photo.crop((left, top, right, bottom)))
    ink = np.pad(found.ink, ((top, photo.height - bottom), (left, photo.width - right)))
    box = tuple(side + start for side, start in zip(found.box, (left, top) * 2, strict=True))
    return Found(ink, box, found.warning)


def _grouped(main: Mark, marks: list[Mark]) -> tuple[Mark, list[Mark], list[Mark]]:
    """Join the parts of a digit; gives it, its parts and the other marks like them."""
    others = [
        mark
        for mark in marks
        if mark.tone == main.tone
        and mark is not main
        and not mark.holds(main)  # a frame
        and (main.rim > 0 or mark.rim == 0)
        and not mark.is_underline(main)
        and mark.area > main.area / 50
        and mark.contrast > LIKE * main.contrast
    ]
    digit, parts = main, [main]
    while close := [mark for mark in others if digit.is_near(mark)]:
        others = [mark for mark in others if mark not in close]
        parts += close
        digit = digit.around(parts)
    return digit, parts, others


def _ink(parts: list[Mark], height: int, contrast: np.ndarray, labels: np.ndarray) -> np.ndarray:
    taken = np.isin(labels, [part.number for part in parts])
    # The outline is fainter than the rest of a line, and so below the threshold.
    taken = ndimage.binary_dilation(taken, iterations=max(1, height // 20))
    contrast = np.where(taken, contrast, 0)
    strongest = np.percentile(contrast[taken], 90)
    return np.rint(255 * np.clip(contrast / strongest, 0, 1)).astype(np.uint8)


def _warning(digit: Mark, others: list[Mark], size: tuple[int, int]) -> str:
    if any(mark.height > digit.height / 2 for mark in others):
        return TWO_DIGITS
    spans = (digit.left, digit.right, size[0]), (digit.top, digit.bottom, size[1])
    cut = any(
        (start == 0 or end == whole) and end - start < 0.9 * whole for start, end, whole in spans
    )
    return AT_THE_EDGE if cut else ""


def _stands_out(mark: Mark, contrast: np.ndarray, labels: np.ndarray) -> bool:
    """Tell ink from what the noise of empty paper may look like, also after JPEG smoothed it."""
    paper = contrast[labels == 0]
    usual = np.median(paper)
    return mark.contrast > usual + GRAIN * 1.48 * np.median(np.abs(paper - usual))


def _contrast(grey: np.ndarray) -> np.ndarray:
    """How much darker than the paper each pixel is; the paper is the photo without lines.

    It is closed by reconstruction (Vincent 1993, doi.org/10.1109/83.217222): what is nowhere as
    wide as `WIDEST` goes, and what is wider, such as a shadow, keeps its outline.
    """
    side = max(grey.shape)
    smooth = ndimage.gaussian_filter(grey, min(1, side / 400))
    width = max(1, round(WIDEST * side))
    closed = ndimage.grey_closing(smooth, (width, width), mode="constant", cval=smooth.max())
    return reconstruction(closed, smooth, method="erosion") - smooth


def _without_lines(ink: np.ndarray) -> np.ndarray:
    """Leave out thin lines that run over half of the photo, as on ruled or squared paper."""
    angle = _skew(ink)
    turned = np.asarray(Image.fromarray(ink).rotate(angle, expand=True))
    lines = _lines(turned) | _lines(turned.T).T
    if angle == 0:
        return ink & ~lines
    back = np.asarray(Image.fromarray(lines).rotate(-angle, expand=True))
    top, left = ((whole - part) // 2 for whole, part in zip(back.shape, ink.shape, strict=True))
    back = back[top : top + ink.shape[0], left : left + ink.shape[1]]
    return ink & ~ndimage.binary_dilation(back)


def _skew(ink: np.ndarray) -> int:
    """Find by how many degrees a sheet with three lines or more is turned."""
    small = Image.fromarray(ink).convert("L")
    small.thumbnail((250, 250), Image.BOX)

    def sums(angle: int) -> list[np.ndarray]:
        turned = np.asarray(small.rotate(angle, expand=True), dtype=float) > 50
        return [turned.sum(axis=1 - axis) for axis in (0, 1)]

    angle = max(ASKEW, key=lambda angle: max(line.std() for line in sums(angle)))
    full = (line > small.size[axis] / 2 for axis, line in enumerate(sums(angle)))
    return angle if max(label(rows).max() for rows in full) > 2 else 0  # neighbours are one


def _lines(ink: np.ndarray) -> np.ndarray:
    """Find lines across: they may be up to a 50th of the photo thick and lie 2 degrees askew."""
    side = max(ink.shape)
    spread = ndimage.maximum_filter1d(ink.astype(np.uint8), max(1, side // 80), axis=0)
    long = ndimage.grey_opening(spread, (1, max(1, ink.shape[1] // 2)))
    thick = ndimage.grey_opening(ink.astype(np.uint8), (max(1, side // 50), 1))
    return ink & (long > thick)


def _marks(tone: str, labels: np.ndarray, contrast: np.ndarray) -> list[Mark]:
    rim = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    marks = []
    for region in regionprops(labels, contrast):
        if region.area > LOWEST:
            on_rim = np.mean(rim == region.label)
            size = *region.bbox, region.area
            marks.append(Mark(tone, region.label, *size, region.intensity_mean, on_rim))
    return marks


def _strokes(marks: list[Mark]) -> list[Mark]:
    """Leave those that may be a digit's main part."""
    marks = [
        mark
        for mark in marks
        if mark.fill < FULLEST and mark.height > FLATTEST * mark.width and mark.rim < ALONG
    ]
    inner = [mark for mark in marks if mark.rim == 0] or marks
    strongest = max((mark.contrast for mark in inner), default=0)
    marks = [mark for mark in marks if mark.contrast > LIKE * strongest]
    gone = set()
    for outer, inside in permutations(marks, 2):
        if not outer.holds(inside):
            continue
        is_large = inside.height > outer.height / 5
        is_frame = outer.tone == inside.tone
        is_paper = outer.tone == "light" and outer.fill > PAPER
        if is_large and (is_frame or is_paper):
            gone.add(outer)
        elif not is_frame:
            gone.add(inside)  # a hole
    marks = [mark for mark in marks if mark not in gone]
    return [mark for mark in marks if mark.rim == 0] or marks
