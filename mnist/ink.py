"""The digit on a photo: its ink, told from paper and shadow, from lines and from the table."""

from itertools import permutations
from typing import NamedTuple

import numpy as np
from PIL import Image
from scipy import ndimage
from skimage.measure import label, regionprops
from skimage.morphology import reconstruction

from common import UserError

# Chosen on the first half of the photos of `results/photos.py` and on 1200 images of MNIST.
WIDEST = 1 / 3  # of the photo's longer side: a line is less wide, a shadow or a table wider
FAINTEST = 1 / 4  # of the strongest contrast
NOISE = 7  # standard deviations of the noise, and
LEAST = 5  # of 256 grey values: what differs less from the paper is no ink
LIKE = 0.6  # share of the strongest contrast that the parts of a digit have
LOWEST = 8  # pixels of height that a digit needs
FLATTEST = 1 / 6  # of its width: an underline is lower
ALONG = 0.35  # share of the photo's rim that a frame covers and a digit does not
FULLEST = 0.7  # share of the square around it that a digit may fill; the median of MNIST is 0.28
PAPER = 0.5  # and light paper with a digit on it fills more than this


class Found(NamedTuple):
    """What was taken for the digit."""

    ink: np.ndarray  # uint8, of the photo's shape: 255 where ink is strong, 0 on paper
    box: tuple[int, int, int, int]  # left, top, right and bottom on the photo, in pixels
    warning: str  # of what else may be a digit, or empty


class Mark(NamedTuple):
    """A connected piece of ink; lengths in pixels."""

    light: bool  # on darker paper
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

        Parts of a digit are small or lie above each other; two digits stand side by side.
        """
        across = max(part.left - self.right, self.left - part.right) / self.height
        down = max(part.top - self.bottom, self.top - part.bottom) / self.height
        return down < 0.3 and across < (0.25 if part.height < self.height / 2 else 0.02)

    def joined(self, part: "Mark") -> "Mark":
        """The same mark, its box grown around a part."""
        return self._replace(
            top=min(self.top, part.top),
            left=min(self.left, part.left),
            bottom=max(self.bottom, part.bottom),
            right=max(self.right, part.right),
        )


def find_digit(photo: Image.Image) -> Found:
    """Find a digit of any size, dark on light or light on dark.

    Args:
        photo: grey values, as `read_image` gives them.

    Raises:
        UserError: if there is none; the advice fits the cause.
    """
    grey = np.asarray(photo, dtype=float)
    contrasts = [_contrast(grey), _contrast(-grey)]
    # A normal distribution's standard deviation is 1.48 times its median deviation.
    noise = 1.48 * np.median(np.abs(grey - ndimage.median_filter(grey, 3)))
    least = max(FAINTEST * np.max(contrasts), NOISE * noise, LEAST)
    labels = [label(_without_lines(contrast > least), connectivity=2) for contrast in contrasts]
    marks = [it for light in (False, True) for it in _marks(labels[light], contrasts[light], light)]
    if not marks:
        raise UserError("no digit stands out from the paper: draw it thicker or darker")
    if all(mark.height < LOWEST for mark in marks):
        raise UserError("what stands out from the paper is too small to be read: crop the photo")
    strokes = _strokes([mark for mark in marks if mark.height >= LOWEST])
    if not strokes:
        raise UserError("nothing on the photo looks like a digit: crop it to the digit's paper")
    main = max(strokes, key=lambda mark: mark.height * (1 - mark.rim))
    others = [
        mark
        for mark in marks
        if mark.light == main.light
        and mark is not main
        and not mark.holds(main)  # a frame
        and (main.rim > 0 or mark.rim == 0)
        and mark.height > FLATTEST * mark.width
        and mark.area > main.area / 50
        and mark.contrast > LIKE * main.contrast
    ]
    digit, parts = main, [main]
    while near := [mark for mark in others if digit.is_near(mark)]:
        others = [mark for mark in others if mark not in near]
        parts += near
        for mark in near:
            digit = digit.joined(mark)
    taken = np.isin(labels[main.light], [part.number for part in parts])
    # The outline is fainter than the rest of a line, and so below the threshold.
    taken = ndimage.binary_dilation(taken, iterations=max(1, digit.height // 20))
    contrast = np.where(taken, contrasts[main.light], 0)
    strongest = np.percentile(contrast[taken], 90)
    return Found(
        np.rint(255 * np.clip(contrast / strongest, 0, 1)).astype(np.uint8),
        (digit.left, digit.top, digit.right, digit.bottom),
        "two digits? Only the larger is read: crop the photo"
        if any(mark.height > digit.height / 2 for mark in others)
        else "",
    )


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
    """Leave out thin lines that run over half of the photo, as on ruled paper."""
    return ink & ~_lines(ink) & ~_lines(ink.T).T


def _lines(ink: np.ndarray) -> np.ndarray:
    """Find lines across: they may be up to a 50th of the photo thick and lie 2 degrees askew."""
    side = max(ink.shape)
    spread = ndimage.maximum_filter1d(ink.astype(np.uint8), max(1, side // 80), axis=0)
    long = ndimage.grey_opening(spread, (1, max(1, ink.shape[1] // 2)))
    thick = ndimage.grey_opening(ink.astype(np.uint8), (max(1, side // 50), 1))
    return ink & (long > thick)


def _marks(labels: np.ndarray, contrast: np.ndarray, light: bool) -> list[Mark]:
    rim = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    on_rim = np.bincount(rim, minlength=labels.max() + 1) / len(rim)
    return [
        Mark(light, it.label, *it.bbox, it.area, it.intensity_mean, on_rim[it.label])
        for it in regionprops(labels, contrast)
        if it.area > LOWEST
    ]


def _strokes(marks: list[Mark]) -> list[Mark]:
    """Leave those that may be a digit's main part."""
    marks = [
        it
        for it in marks
        if it.fill < FULLEST and it.height > FLATTEST * it.width and it.rim < ALONG
    ]
    inner = [mark for mark in marks if mark.rim == 0] or marks
    strongest = max((mark.contrast for mark in inner), default=0)
    marks = [mark for mark in marks if mark.contrast > LIKE * strongest]
    gone = set()
    for outer, inside in permutations(marks, 2):
        if not outer.holds(inside):
            continue
        large = inside.height > outer.height / 5
        if inside.light == outer.light:  # a frame, if it is no speck within a digit
            gone |= {outer} if large else set()
        elif large and outer.fill > PAPER:
            gone.add(outer)
        else:
            gone.add(inside)  # a hole
    marks = [mark for mark in marks if mark not in gone]
    return [mark for mark in marks if mark.rim == 0] or marks
