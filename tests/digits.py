"""Small stand-ins for MNIST, written as real IDX files, and runs of training on them."""

import hashlib
import itertools
import multiprocessing
import struct
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torchvision import transforms

import utils
from mnist import data, source
from mnist.run import Run
from model import Net

ROOT = Path(__file__).resolve().parent.parent
CPU = torch.device("cpu")
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
    return {name: hashlib.md5((raw / name).read_bytes()).hexdigest() for name in data.MD5}


def stand_in(patch, data_dir: Path) -> None:
    """Have the files of a folder count as the whole MNIST.

    The tests, which train on it, do not count as the code of a run, nor do pytest's arguments.
    """
    patch.setattr(data, "MD5", md5_sums(data_dir / "MNIST" / "raw"))
    patch.setattr(source, "collect", lambda settings: {})
    patch.setattr(sys, "argv", sys.argv[:1])


def kill_once_there(file: Path, work, *arguments) -> None:
    """Call a function of a module in a process of its own, killed as soon as a file is there.

    It is started anew, not forked: a fork of a process in which torch has threads may wait for
    ever. So it has none of the stand-ins of a test.
    """
    process = multiprocessing.get_context("spawn").Process(target=work, args=arguments)
    process.start()
    deadline = time.monotonic() + 300
    try:
        while not file.exists():
            assert process.is_alive()
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        process.kill()
        process.join()


class TrainingRun:
    """A run of a few epochs on the small data, as the notebook sets it up."""

    def __init__(self, data_dir, output_dir, seed=1, epochs=1, learning_rate=0.05, resume=True):
        utils.choose_device()  # which keeps freed memory
        torch.manual_seed(seed)
        plain = transforms.Compose([utils.to_unit_range, utils.normalise])
        moved = [utils.to_unit_range, utils.RandomAffine(7, 0.07, 0.1, 1.4), utils.normalise]
        data = utils.load_mnist(data_dir, CPU, transforms.Compose(moved), plain)
        self.train_loader = utils.make_loader(data[0], 50, shuffle_seed=seed)
        self.test_loader = utils.make_loader(data[1], 50)
        self.settings = {
            "epochs": epochs,
            "learning_rate": learning_rate,
            "precision": "float32",
            "output_dir": str(output_dir),
            "resume": resume,
            "weights": "",
        }
        self.use(Net(0.1))

    def use(self, model):
        """Train this model."""
        settings = self.settings
        self.model = utils.prepare(model, CPU)
        self.optimizer = torch.optim.SGD(
            self.model.parameters(), lr=settings["learning_rate"], momentum=0.9
        )
        self.scheduler = utils.one_cycle(
            self.optimizer, settings["epochs"] * len(self.train_loader)
        )

    def before_step(self, epoch, step, action):
        """Have something done in the middle of an epoch, before a step counted from 0."""
        place, steps = (epoch - 1) * len(self.train_loader) + step, itertools.count()

        def act(*_):
            if next(steps) == place:
                action()

        self.optimizer.register_step_pre_hook(act)

    def begin(self, **more):
        """Begin the run, or take it up."""
        loaders = self.train_loader, self.test_loader
        return Run(self.settings, self.model, self.optimizer, self.scheduler, *loaders, **more)

    def fit(self, at_the_end=None):
        """Train as the notebook's loop does; gives the history.

        Args:
            at_the_end: what a loop of another kind does after an epoch, given its number and
                what the test gave, in place of the schedule's step after each batch; true ends it.
        """
        with self.begin() as run:
            self.folder = run.folder
            for epoch in run.epochs():
                trained = utils.train(
                    self.model, CPU, self.train_loader, self.optimizer,
                    None if at_the_end else self.scheduler, run.bar, run.precision, clip=2.0,
                )  # fmt: skip
                tested = utils.test(self.model, CPU, self.test_loader)
                run.record(trained, tested)
                if at_the_end and at_the_end(epoch, tested):
                    break
        return run.history

    def weights(self):
        """All parameters and batch-norm statistics in one vector."""
        return torch.cat([value.flatten() for value in self.model.state_dict().values()])
