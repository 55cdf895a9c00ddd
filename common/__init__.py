"""What both parts use: errors in one line, files that are whole or not there, output in UTF-8."""

import contextlib
import os
import sys
from pathlib import Path


class UserError(Exception):
    """Something the user can fix; the message says what is wrong and what to do."""

    def _render_traceback_(self) -> list[str]:
        """Let IPython show one line in place of a traceback."""
        return [f"{type(self).__name__}: {self}"]


def write_whole(path: str | Path, content: bytes) -> None:
    """Write a file under a temporary name beside `path`, then move it into place.

    Whatever happens on the way, `path` holds either its old content or all of the new.

    Raises:
        UserError: if it cannot be written, because the disk is full or permission is missing.
    """
    path = Path(path)
    if not path.name:
        raise UserError(f"cannot write {path}: Is a directory")
    temporary = path.with_name(f".{os.getpid()}-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(content)
        temporary.replace(path)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from None
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def relative(path: str | Path) -> str:
    """Write a path from the working directory on, if both are on the same drive."""
    with contextlib.suppress(ValueError):
        return os.path.relpath(path)
    return str(path)


def print_utf8() -> None:
    """Print UTF-8 from here on: a Windows code page has no ∂, no η and not every file name."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a notebook's has none, and takes all characters
            stream.reconfigure(encoding="utf-8", errors="replace")  # file names may be no text
