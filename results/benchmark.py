"""How much faster than the classic MNIST pipeline, lever by lever, and how near to the machine.

Run by hand on an idle machine with MNIST in `data/`: `python -m results.benchmark`, under three
minutes on two cores. Every figure comes from a process of its own, in turns. With `--until`,
how long the classic pipeline trains to an accuracy instead.
"""

import argparse
import csv
import io
import json
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from torch import nn
from torchvision import datasets, transforms
from tqdm import tqdm

import utils
from common import UserError, png_bytes, write_whole
from mnist import dataset
from mnist.history import LOG_HEADER, Epoch, log_line, save_history
from model import IMAGE_SHAPE, Dropout, Net

ROOT = Path(__file__).resolve().parent.parent
CPU = torch.device("cpu")
BATCH_SIZE = 256
EPOCHS = 19
LEVERS = {  # and what takes a lever's place where it is off
    "memory": "freed memory given back",
    "channels_last": "default memory format",
    "loader": "PIL and two workers",
    "no_item": ".item() at every step",
    "dropout": "PyTorch's dropout",
    "in_place": "ReLU not in place",
}
OURS, CLASSIC = "ours", "the classic pipeline"


# --- One measurement ----------------------------------------------------------------------


def classic_data(count: int) -> torch.utils.data.DataLoader:
    """The pipeline that everybody writes: PIL, one image at a time, in two workers."""
    transform = transforms.Compose(
        [
            transforms.RandomApply([transforms.CenterCrop(22)], p=0.1),
            transforms.Resize((28, 28)),
            transforms.RandomRotation((-15.0, 15.0), fill=0),
            transforms.ToTensor(),
            transforms.Normalize((utils.MEAN,), (utils.STD,)),
        ]
    )
    data = datasets.MNIST(str(ROOT / "data"), train=True, transform=transform)
    part = torch.utils.data.Subset(data, range(count))
    return torch.utils.data.DataLoader(part, batch_size=BATCH_SIZE, shuffle=True, num_workers=2)


def own_data(count: int) -> torch.utils.data.DataLoader:
    """The project's own loader, augmentation on."""
    moved = utils.RandomAffine(7.0, 0.07, 0.1, 1.4)
    transform = transforms.Compose([utils.to_unit_range, moved, utils.normalise])
    data, _ = utils.load_mnist(ROOT / "data", CPU, transform, transform)
    data.images, data.labels = data.images[:count], data.labels[:count]
    return utils.make_loader(data, BATCH_SIZE, shuffle_seed=1)


def classic_train(model, device, train_loader, optimizer, scheduler=None) -> tuple[float, float]:
    """Train for one epoch, reading the loss after every step.

    Returns:
        Mean loss (nats per image) and accuracy (percent) of the batches as trained on.
    """
    model.train()
    correct, loss_sum = 0, 0.0
    bar = tqdm(train_loader, disable=True)
    for images, labels in bar:
        images, labels = images.to(device), labels.to(device)
        optimizer.zero_grad()
        output = model(images)
        loss = F.nll_loss(output, labels)
        loss.backward()
        optimizer.step()
        if scheduler is not None:
            scheduler.step()
        correct += output.argmax(dim=1).eq(labels).sum().item()
        mean_loss = loss.item()
        loss_sum += mean_loss * len(labels)
        bar.set_description(f"loss {mean_loss:.4f}, {correct} right")
    count = len(train_loader.dataset)
    return loss_sum / count, 100 * correct / count


def make_model(levers: set[str]) -> nn.Module:
    """Make `Net`, with PyTorch's own layers where ours are a lever that is off."""
    model = Net(0.3)
    for block in list(model.children()):
        for index, layer in enumerate(block):
            if isinstance(layer, Dropout) and "dropout" not in levers:
                block[index] = nn.Dropout(layer.p)
            if isinstance(layer, nn.ReLU):
                layer.inplace = "in_place" in levers
    return utils.place(model, CPU) if "channels_last" in levers else model


def make_optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Make the optimizer of the notebook's default settings."""
    return torch.optim.SGD(
        model.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-4
    )


def measure(levers: set[str], count: int) -> dict[str, float]:
    """Train on `count` images after a short warm-up, then ask the machine for its best.

    Returns:
        Images per second, and the floating-point operations per second of a matrix product.
    """
    if "memory" in levers:
        utils.keep_freed_memory()
    torch.manual_seed(1)
    model = make_model(levers)
    optimizer = make_optimizer(model)
    make = own_data if "loader" in levers else classic_data
    train = utils.train if "no_item" in levers else classic_train
    train(model, CPU, make(4 * BATCH_SIZE), optimizer)
    loader = make(count)
    began = time.perf_counter()
    train(model, CPU, loader, optimizer)
    speed = count / (time.perf_counter() - began)
    return {"images_per_second": speed, "flops": matrix_product_flops()}


def matrix_product_flops() -> float:
    """Floating-point operations per second of a large float32 matrix product, at its best."""
    size = 2048
    a, b = torch.randn(size, size), torch.randn(size, size)
    seconds = []
    for _ in range(8):
        began = time.perf_counter()
        a @ b
        seconds.append(time.perf_counter() - began)
    return 2 * size**3 / min(seconds)


def multiply_adds() -> int:
    """Count the multiply-adds of one image's forward pass through the convolutions."""
    total = 0

    def add(layer: nn.Conv2d, _, output: torch.Tensor) -> None:
        nonlocal total
        total += output[0].numel() * layer.weight[0].numel()

    model = Net().eval()
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_hook(add)
    model(torch.zeros(1, *IMAGE_SHAPE))
    return total


# --- All of them --------------------------------------------------------------------------


def in_a_process(levers: set[str], count: int) -> dict[str, float]:
    words = ["--images", str(count), "--measure", ",".join(sorted(levers))]
    command = [sys.executable, "-m", "results.benchmark", *words]
    process = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
    printed = process.stdout
    return json.loads(printed.splitlines()[-1])


def benchmark(rounds: int, count: int) -> list[dict[str, object]]:
    """Measure the classic pipeline and ours in turns, then ours with each lever off.

    Returns:
        A row each; see `make_row`.
    """
    everything = set(LEVERS)
    without = {f"ours, but {words}": everything - {lever} for lever, words in LEVERS.items()}
    pair = {OURS: everything, CLASSIC: set()}
    turns = [pair] + [pair | without] * rounds
    measured = {name: [] for name in (OURS, CLASSIC, *without)}
    ratios = {name: [] for name in measured}
    with tqdm(total=sum(map(len, turns)), desc="measurements", unit="") as bar:
        for turn in turns:
            for name, levers in turn.items():
                measured[name].append(in_a_process(levers, count))
                ours, this = measured[OURS][-1], measured[name][-1]
                ratios[name].append(ours["images_per_second"] / this["images_per_second"])
                bar.update()
    return [make_row(name, measured[name], ratios[name]) for name in measured]


def make_row(name: str, measured: list[dict[str, float]], ratios: list[float]) -> dict[str, object]:
    """Sum up one pipeline's measurements.

    Returns:
        Median, lowest and highest images per second; the median of ours over this, each from
        the same turn; and the median share of a matrix product's speed that the
        multiply-adds of training reach, which are three times those forward.
    """
    speeds = [one["images_per_second"] for one in measured]
    shares = [6 * multiply_adds() * one["images_per_second"] / one["flops"] for one in measured]
    return {
        "pipeline": name,
        "median": round(median(speeds)),
        "lowest": round(min(speeds)),
        "highest": round(max(speeds)),
        "ours_to_this": f"{median(ratios):.2f}",
        "percent_of_matrix_product": round(100 * median(shares)),
    }


def table(rows: list[dict[str, object]]) -> str:
    """Write the rows as a Markdown table."""
    lines = [
        "| training, images per second | median | lowest | highest | ours to this "
        "| % of a matrix product |",
        "|---|---|---|---|---|---|",
    ]
    lines += [f"| {' | '.join(str(value) for value in row.values())} |" for row in rows]
    return "\n".join(lines)


def draw(rows: list[dict[str, object]], path: Path) -> None:
    """Draw the medians as bars, their range as a line."""
    figure = Figure(figsize=(9, 4.2), layout="constrained")
    ax = figure.subplots()
    colours = ["#1f6fb4", "#c8371b", *["#9db8d2"] * (len(rows) - 2)]
    medians = [row["median"] for row in rows]
    below = [row["median"] - row["lowest"] for row in rows]
    above = [row["highest"] - row["median"] for row in rows]
    ax.barh(
        [row["pipeline"] for row in rows], medians, color=colours,
        xerr=[below, above], error_kw={"elinewidth": 1, "capsize": 3, "ecolor": "#444444"},
    )  # fmt: skip
    for index, row in enumerate(rows):
        ax.annotate(
            f"{row['median']:,}", (0, index), (6, 0), textcoords="offset points",
            va="center", color="black" if index > 1 else "white", weight="bold",
        )  # fmt: skip
    ax.invert_yaxis()
    ax.set(xlabel="images per second")
    ax.set_title(f"Training on {torch.get_num_threads()} CPU cores: median and range")
    ax.spines[["top", "right"]].set_visible(False)
    write_whole(path, png_bytes(figure))


# --- The classic pipeline, to an accuracy -------------------------------------------------


def train_classic_until(accuracy: float) -> None:
    """Train the classic pipeline with the default recipe's schedule to its first such epoch."""
    torch.manual_seed(1)
    model = make_model(set())
    optimizer = make_optimizer(model)
    train_loader = classic_data(60_000)
    scheduler = utils.one_cycle(optimizer, EPOCHS * len(train_loader))
    transform = transforms.Compose(
        [transforms.ToTensor(), transforms.Normalize((utils.MEAN,), (utils.STD,))]
    )
    data = datasets.MNIST(str(ROOT / "data"), train=False, transform=transform)
    test_loader = torch.utils.data.DataLoader(data, batch_size=BATCH_SIZE, num_workers=2)
    history = []
    print(LOG_HEADER)
    while len(history) < EPOCHS and not (history and history[-1].test_accuracy >= accuracy):
        began = time.perf_counter()
        rate = optimizer.param_groups[0]["lr"]
        trained = classic_train(model, CPU, train_loader, optimizer, scheduler)
        tested = utils.test(model, CPU, test_loader)
        seconds = time.perf_counter() - began
        history.append(Epoch(len(history) + 1, rate, *trained, *tested, seconds))
        print(log_line(history[-1]), flush=True)
        save_history(history, ROOT / "results" / "classic.csv")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--rounds", type=int, default=2, help="of all rows, after a first pair (default: 2)"
    )
    parser.add_argument(
        "--images", type=int, default=3072, help="in each measurement (default: 3072)"
    )
    parser.add_argument(
        "--until",
        type=float,
        metavar="ACCURACY",
        help="instead, train the classic pipeline to its first epoch at so many percent of the "
        "test images, into results/classic.csv; takes a quarter of an hour or more",
    )
    parser.add_argument("--measure", help=argparse.SUPPRESS)  # what in_a_process asks for
    arguments = parser.parse_args()
    if arguments.measure is not None:
        levers = set(filter(None, arguments.measure.split(",")))
        print(json.dumps(measure(levers, arguments.images)))
        return
    if min(arguments.rounds, arguments.images) < 1:
        parser.error("--rounds and --images must be 1 or more")
    try:
        dataset.fetch(ROOT / "data")
    except UserError as error:
        parser.exit(2, f"{error}\n")
    if arguments.until is not None:
        train_classic_until(arguments.until)
        return
    rows = benchmark(arguments.rounds, arguments.images)
    file = io.StringIO()
    writer = csv.DictWriter(file, rows[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_whole(ROOT / "results" / "benchmark.csv", file.getvalue().encode())
    draw(rows, ROOT / "Test_Images" / "Benchmark.png")
    print(f"\n{table(rows)}\n\n{multiply_adds():,} multiply-adds per image forward")


if __name__ == "__main__":
    main()
