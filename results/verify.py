"""Load the trained weights and count what they get right: `python -m results.verify`."""

from pathlib import Path

import torch
from torchvision import transforms

import utils
from model import Net

WEIGHTS = Path(__file__).resolve().parent / "net.pt"


def verify(data_dir: str | Path) -> tuple[float, float]:
    """Judge the trained weights on the test set: loss in nats per image, accuracy in percent.

    Raises:
        mnist.DataError: if MNIST cannot be had.
    """
    cpu = torch.device("cpu")
    transform = transforms.Compose([utils.to_unit_range, utils.normalise])
    _, test_data = utils.load_mnist(data_dir, cpu, transform, transform)
    model = utils.place(Net(), cpu)
    utils.load_weights(model, cpu, utils.make_loader(test_data, batch_size=1000), WEIGHTS)


if __name__ == "__main__":
    loss, accuracy = verify("data")
    print(f"{accuracy:.2f} % of the 10,000 test images right, loss {loss:.4f}")
