"""The command line: a table of all runs, and the page of a trained network."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from common import UserError, print_utf8, relative

ROOT = Path(__file__).resolve().parent.parent


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m mnist", description="Look at runs, and at the network that one has trained."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    runs = commands.add_parser("runs", help="print a table of all runs, and draw their curves")
    runs.add_argument(
        "folder", type=Path, nargs="?", default=Path("runs/mnist"), metavar="DIR",
        help="the output_dir of the runs; default: runs/mnist",
    )  # fmt: skip
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


def runs(folder: Path) -> None:
    """Print what each run of a folder reached and changed, and draw their curves into `runs.png`.

    Raises:
        UserError: if there are none, or the picture cannot be written.
    """
    from mnist import plots
    from mnist.history import read_runs, table
    from mnist.notebook import show

    found = read_runs(folder)
    if not found:
        raise UserError(f"there are no runs in {folder}: name the output_dir of your runs")
    print(table(found))
    show(plots.accuracies(found), folder / "runs.png")
    print(f"\n{relative(folder / 'runs.png')}")


def page(weights: Path, out: Path, data_dir: Path) -> None:
    """Write the page of these weights, judged on the test set.

    Raises:
        UserError: if MNIST cannot be fetched, the weights cannot be used, or the page cannot be
            written.
    """
    import torch
    from torchvision import transforms

    import utils
    from mnist.checkpoint import load_weights
    from mnist.page import write_page
    from model import Net

    cpu = torch.device("cpu")
    transform = transforms.Compose([utils.to_unit_range, utils.normalise])
    model = utils.prepare(Net(), cpu)
    load_weights(model, relative(weights))
    _, data = utils.load_mnist(data_dir, cpu, transform, transform)
    loader = utils.make_loader(data, batch_size=1000)
    write_page(out, model, data, utils.predict(model, cpu, loader).log_probabilities)
    print(f"{relative(out)}, {out.stat().st_size / 1e6:.1f} MB")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; gives its exit code."""
    print_utf8()
    parsed = make_parser().parse_args(arguments)
    try:
        if parsed.command == "runs":
            runs(parsed.folder)
        else:
            page(parsed.weights, parsed.out, parsed.data)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
