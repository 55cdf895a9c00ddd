"""Draw three digits that look photographed: `python -m results.draw_digits`."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

ROOT = Path(__file__).resolve().parent.parent
STROKES = {  # in a square of 100 by 100, y downwards
    2: [(28, 32), (34, 20), (48, 14), (64, 18), (71, 32), (64, 48), (46, 64), (28, 82), (74, 80)],
    4: [(58, 12), (46, 34), (28, 60), (76, 58), (62, 58), (63, 30), (61, 88)],
    7: [(26, 20), (50, 19), (74, 17), (62, 44), (52, 66), (46, 88)],
}
LOOKS = {  # size in pixels, ink, paper, how much darker the paper is at the right, degrees
    2: ((360, 480), 40, 200, 70, -6),
    4: ((300, 260), 235, 60, 30, 5),  # chalk on a board
    7: ((600, 460), 70, 225, 90, 8),
}


def draw_digit(digit: int) -> Image.Image:
    """Draw a digit as a pen would, on paper in uneven light, blurred and noisy."""
    (width, height), ink, paper, falloff, degrees = LOOKS[digit]
    generator = np.random.default_rng(digit)
    side = min(width, height)
    pen = Image.new("L", (width, height))
    points = [
        (width / 2 + (x - 50) * side / 130, height / 2 + (y - 50) * side / 130)
        for x, y in STROKES[digit]
    ]
    thickness = side // 16
    draw = ImageDraw.Draw(pen)
    draw.line(points, fill=255, width=thickness, joint="curve")
    for x, y in (points[0], points[-1]):
        radius = thickness / 2
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
    pen = pen.rotate(degrees, Image.BICUBIC).filter(ImageFilter.GaussianBlur(side / 150))
    share = np.asarray(pen) / 255
    light = paper - falloff * np.linspace(0, 1, width)
    photo = share * ink + (1 - share) * light + generator.normal(0, 4, (height, width))
    return Image.fromarray(np.clip(photo, 0, 255).astype(np.uint8))


if __name__ == "__main__":
    for digit in STROKES:
        draw_digit(digit).save(ROOT / "Test_Images" / f"Own_{digit}.png", optimize=True)
