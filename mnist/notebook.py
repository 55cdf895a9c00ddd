"""What changes or appears in a notebook's cell: the progress bar, and pictures."""

import io

from IPython import get_ipython
from IPython.display import Image, display
from tqdm import tqdm


def in_notebook() -> bool:
    """Whether the program runs in the kernel of a notebook, not in a terminal."""
    return hasattr(get_ipython(), "kernel")


def show_picture(png: bytes) -> None:
    """Show a PNG below the notebook's cell; outside of a notebook, do nothing."""
    if in_notebook():
        display(Image(png))


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
