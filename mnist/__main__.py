"""The command line: `python -m mnist page` writes the page of a trained network."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from common import UserError, print_utf8, relative

ROOT = Path(__file__).resolve().parent.parent


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m mnist", description="Write the web page of a trained network."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    page = commands.add_parser(
        "page", help="write the page on which you draw a digit and see what each layer computes"
    )
    page.add_argument(
        "--weights", type=Path, default=ROOT / "results" / "net.pt", metavar="FILE",
        help="the net.pt of a run; default: results/net.pt",
    )  # fmt: skip
    page.add_argument(
        "--out", type=Path, default=ROOT / "mnist" / "Draw_a_Digit.html", metavar="FILE",
        help="default: mnist/Draw_a_Digit.html",
    )  # fmt: skip
    page.add_argument(
        "--data", type=Path, default=ROOT / "data", metavar="DIR",
        help="where MNIST is, or is downloaded to; default: data",
    )  # fmt: skip
    return parser


def page(weights: Path, out: Path, data_dir: Path) -> None:
    """Write the page of these weights, judged on the test set.

    Raises:
        UserError: if MNIST cannot be fetched, the weights cannot be used, or the page cannot be
            written.
    """
    import torch
    from torchvision import transforms

    import utils
    from mnist.page import write_page
    from mnist.weights import load_weights
    from model import Net

    cpu = torch.device("cpu")
    transform = transforms.Compose([utils.to_unit_range, utils.normalise])
    model = utils.place(Net(), cpu)
    load_weights(model, relative(weights))
    _, data = utils.load_mnist(data_dir, cpu, transform, transform)
    loader = utils.make_loader(data, batch_size=1000)
    write_page(out, model, data, utils.predict(model, cpu, loader))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; gives its exit code."""
    print_utf8()
    parsed = make_parser().parse_args(arguments)
    try:
        page(parsed.weights, parsed.out, parsed.data)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    print(relative(parsed.out))
    return 0


if __name__ == "__main__":
    sys.exit(main())
