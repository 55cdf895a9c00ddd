"""Draw the exercise with a slip in it: `python -m results.draw_exercise`, by LibreOffice.

The sheet is filled in with right formulas, but that o1 uses w5 where w6 belongs.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import openpyxl
from PIL import Image, ImageChops, ImageOps

from backprop.check.answers import GIVEN
from backprop.network import WEIGHTS
from backprop.write.marks import RATE_CELL
from backprop.write.sheet import cell, formulas

ROOT = Path(__file__).resolve().parent.parent
ROWS = 15  # of the table, filled in
WIDTH = 1840  # pixels of the first columns, at the resolution below
DOTS = 200  # per inch


def fill_in(path: Path) -> None:
    """Write a copy of the exercise, filled in with a slip."""
    workbook = openpyxl.load_workbook(ROOT / "backprop" / "Exercise.xlsx")
    sheet = workbook["Exercise"]
    sheet._charts[0].visible_cells_only = False  # openpyxl does not keep that
    for step in range(ROWS):
        texts = formulas(step, RATE_CELL)
        texts["o1"] = texts["o1"].replace(cell("w6", step), cell("w5", step))
        for column, text in texts.items():
            if step > 0 or column not in WEIGHTS:
                sheet[cell(column, step)] = f"={text}"
        if step > 0:
            for column in GIVEN:
                sheet[cell(column, step)] = f"={cell(column, step - 1)}"
    workbook.save(path)


def main() -> None:
    missing = [program for program in ("soffice", "pdftoppm") if shutil.which(program) is None]
    if missing:
        sys.exit(f"cannot draw the exercise without {' and '.join(missing)}")
    with tempfile.TemporaryDirectory() as folder:
        fill_in(Path(folder) / "exercise.xlsx")
        profile = f"-env:UserInstallation={Path(folder).as_uri()}/profile"
        for command in (
            ["soffice", profile, "--headless", "--convert-to", "pdf", "exercise.xlsx"],
            ["pdftoppm", "-r", str(DOTS), "-f", "1", "-singlefile", "-png", "exercise.pdf", "page"],
        ):
            subprocess.run(command, cwd=folder, check=True, capture_output=True)
        page = Image.open(Path(folder) / "page.png").convert("RGB")
    left, top, right, bottom = ImageChops.invert(page).getbbox()  # without the white margins
    page = ImageOps.expand(page.crop((left, top, min(right, left + WIDTH), bottom)), 12, "white")
    page.save(ROOT / "Test_Images" / "Exercise.png", optimize=True)


if __name__ == "__main__":
    main()
