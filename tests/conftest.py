"""Small stand-ins for MNIST, written as real IDX files, so that tests need no network."""

import hashlib
import shutil
import struct
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest

import mnist

mpl.use("Agg")

ROOT = Path(__file__).resolve().parent.parent
TRAIN_COUNT, TEST_COUNT = 600, 130


def idx_bytes(elements: np.ndarray) -> bytes:
    """Pack unsigned bytes as an IDX file."""
    header = struct.pack(f">4B{elements.ndim}I", 0, 0, 8, elements.ndim, *elements.shape)
    return header + elements.astype(np.uint8).tobytes()


def write_digits(raw: Path) -> None:
    """Write four IDX files of ten easy classes: a block at another place for each, in noise."""
    generator = np.random.default_rng(0)
    raw.mkdir(parents=True)
    for part, count in (("train", TRAIN_COUNT), ("t10k", TEST_COUNT)):
        labels = generator.integers(0, 10, count)
        images = generator.integers(0, 60, (count, 28, 28))
        for image, label in zip(images, labels, strict=True):
            row, column = 6 + 9 * (label // 5), 4 + 4 * (label % 5)
            image[row : row + 7, column : column + 5] += 180
        (raw / f"{part}-images-idx3-ubyte").write_bytes(idx_bytes(images))
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(idx_bytes(labels))


def md5_sums(raw: Path) -> dict[str, str]:
    return {name: hashlib.md5((raw / name).read_bytes()).hexdigest() for name in mnist.MD5}


@pytest.fixture(scope="session")
def digits(tmp_path_factory):
    """A data folder of small IDX files; never written to by a test."""
    data_dir = tmp_path_factory.mktemp("digits")
    write_digits(data_dir / "MNIST" / "raw")
    return data_dir


@pytest.fixture
def small_mnist(digits, tmp_path, monkeypatch):
    """A copy of the small data folder whose files count as the whole MNIST."""
    monkeypatch.setattr(mnist, "MD5", md5_sums(digits / "MNIST" / "raw"))
    return Path(shutil.copytree(digits, tmp_path / "data"))


@pytest.fixture
def real_mnist():
    """The data folder with the real MNIST; skips where it is not there."""
    if mnist.missing(ROOT / "data" / "MNIST" / "raw"):
        pytest.skip("the real MNIST is not in data/ (the notebook puts it there)")
    return ROOT / "data"


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")
