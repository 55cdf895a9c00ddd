"""What appears in a notebook's cell: the progress bar, pictures, and errors in one line."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from IPython import get_ipython
from IPython.display import Image, display
from matplotlib.figure import Figure
from tqdm import tqdm

from common import UserError, write_whole
from common.figures import png_bytes


def in_notebook() -> bool:
    """Whether the program runs in the kernel of a notebook, not in a terminal."""
    return hasattr(get_ipython(), "kernel")


def show(figure: Figure, path: str | Path | None = None) -> None:
    """Save a figure as PNG, where a path is given, and show the same PNG below a notebook's cell.

    Raises:
        UserError: if it cannot be written.
    """
    png = png_bytes(figure)
    if path is not None:
        write_whole(path, png)
    if in_notebook():
        display(Image(png))


@contextmanager
def attempt(what: str) -> Iterator[None]:
    """Say in one line why something that is only looked at could not be made, and go on."""
    try:
        yield
    except Exception as error:  # whatever it is, what was computed before must not be lost
        kind = "" if isinstance(error, UserError) else f"{type(error).__name__}: "
        print(f"{what} could not be made: {kind}{' '.join(str(error).split())}")


class NotebookLine(io.TextIOBase):
    """A file for tqdm that shows its last line in a notebook's cell and updates it in place.

    A bar on standard error would leave every redraw in the saved notebook, and a line for each
    under `papermill --log-output`. tqdm's own notebook bar leaves widgets, which GitHub does not
    show.
    """

    def __init__(self) -> None:
        self.shown = None

    def write(self, text: str) -> int:
        if line := text.strip("\r\n "):
            content = {"text/plain": line}
            if self.shown is None:
                self.shown = display(content, raw=True, display_id=True)
            else:
                self.shown.update(content, raw=True)
        return len(text)


def progress_bar(steps: int, done: int = 0) -> tqdm:
    """A bar that moves in a notebook's cell or, outside of one, on the terminal."""
    return tqdm(
        total=steps,
        initial=done,
        file=NotebookLine() if in_notebook() else None,
        unit="step",
        mininterval=0.5,
        ascii=False,
        ncols=100,
    )
