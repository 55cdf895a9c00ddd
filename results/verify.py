"""Load the trained weights and count what they get right: `python -m results.verify`."""

import sys
from pathlib import Path

import torch
from torchvision import transforms

import utils
from common import UserError, relative
from mnist.checkpoint import load_weights
from model import Net

WEIGHTS = Path(__file__).resolve().parent / "net.pt"


def verify(data_dir: str | Path) -> float:
    """Judge the trained weights on the test set, and print the accuracy.

    Returns:
        Percent of the test images right.

    Raises:
        data.DataError: if MNIST cannot be fetched.
    """
    cpu = torch.device("cpu")
    utils.keep_freed_memory()
    transform = transforms.Compose([utils.to_unit_range, utils.normalise])
    _, test_data = utils.load_mnist(data_dir, cpu, transform, transform)
    loader = utils.make_loader(test_data, batch_size=1000)
    model = Net()
    load_weights(model, WEIGHTS)
    _, accuracy = utils.test(utils.prepare(model, cpu), cpu, loader)
    name = relative(WEIGHTS)
    print(f"weights from {name}: {accuracy:.2f} % of {len(test_data):,} images right")
    return accuracy


if __name__ == "__main__":
    try:
        verify("data")
    except UserError as error:
        sys.exit(str(error))
