"""Measure training speed against the classic MNIST pipeline and against a matrix product.

Run it on an idle machine with MNIST in `data/`: `python -m results.benchmark`, about nine minutes
on two cores. The two pipelines train alternately for whole epochs, then ours alternates with ours
without one of its parts, for part of an epoch. `--until` instead measures how long the classic
pipeline takes to reach an accuracy.
"""

import argparse
import csv
import io
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import NamedTuple

import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from torch import nn
from torchvision import datasets, transforms
from tqdm import tqdm

import utils
from common import UserError, write_whole
from common.figures import png_bytes
from mnist import dataset, trial
from mnist.history import LOG_HEADER, Epoch, log_line, save_history
from model import Net

ROOT = Path(__file__).resolve().parent.parent
CPU = torch.device("cpu")
BATCH_SIZE = 256
EPOCHS = 19
CLIP = 2.0
PAIRS = 3
EPOCH_IMAGES, LEVER_IMAGES = 60_000, 60 * BATCH_SIZE


@dataclass(frozen=True)
class Pipeline:
    """The parts of a training pipeline that are compared."""

    keeps_memory: bool = True
    channels_last: bool = True
    own_loader: bool = True
    own_loop: bool = True
    fastest_precision: bool = True


OURS, CLASSIC = "ours", "the classic pipeline"
PIPELINES = {
    OURS: Pipeline(),
    CLASSIC: Pipeline(False, False, False, False, False),
    "ours, but freed memory returned": Pipeline(keeps_memory=False),
    "ours, but default memory format": Pipeline(channels_last=False),
    "ours, but PIL and two workers": Pipeline(own_loader=False),
    "ours, but float32": Pipeline(fastest_precision=False),
}


# --- The two pipelines --------------------------------------------------------------------


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


def make_optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Make the optimizer of the notebook's default settings."""
    return torch.optim.SGD(
        model.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-4
    )


# --- One measurement ----------------------------------------------------------------------


class Measurement(NamedTuple):
    """How fast a pipeline trained, and how fast a matrix product was right after."""

    images_per_second: float
    flops: float


def measure(pipelines: list[Pipeline], count: int) -> list[Measurement]:
    """Train with each pipeline in turn on `count` images, after a short warm-up."""
    measured = []
    if pipelines[0].keeps_memory:  # the same for all of a process
        utils.keep_freed_memory()
    for pipeline in pipelines:
        torch.manual_seed(1)
        model = Net(0.3)
        if pipeline.channels_last:
            model = model.to(memory_format=torch.channels_last)
        optimizer = make_optimizer(model)
        make = own_data if pipeline.own_loader else classic_data
        name = (
            trial.fastest_precision(model, torch.rand(16, *utils.IMAGE_SHAPE))
            if pipeline.fastest_precision
            else "float32"
        )
        precision = getattr(torch, name)
        train = (
            partial(utils.train, precision=precision, clip=CLIP)
            if pipeline.own_loop
            else classic_train
        )
        train(model, CPU, make(4 * BATCH_SIZE), optimizer)
        loader = make(count)
        began = time.perf_counter()
        train(model, CPU, loader, optimizer)
        speed = count / (time.perf_counter() - began)
        measured.append(Measurement(speed, matrix_product_flops(precision)))
    return measured


def matrix_product_flops(precision: torch.dtype) -> float:
    """Floating-point operations per second of a large matrix product, at its best."""
    size = 2048
    a, b = torch.randn(size, size, dtype=precision), torch.randn(size, size, dtype=precision)
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
    model(torch.zeros(1, *utils.IMAGE_SHAPE))
    return total


# --- All of them --------------------------------------------------------------------------


def in_a_process(pipelines: list[Pipeline], count: int) -> list[Measurement]:
    """Measure in a process of its own, which starts with no memory kept and nothing warm."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(measure, pipelines, count).result()


def pairs(other: Pipeline, count: int, bar: tqdm) -> list[tuple[Measurement, Measurement]]:
    """Measure ours and another pipeline in turns, a pair in one process where that can be."""
    ours = PIPELINES[OURS]
    alike = other.keeps_memory and other.own_loader
    measured = []
    for _ in range(PAIRS):
        pair = []
        for group in [[ours, other]] if alike else [[ours], [other]]:
            pair += in_a_process(group, count)
            bar.update(len(group) * count)
        measured.append(tuple(pair))
    return measured


def benchmark() -> list[dict[str, object]]:
    """Measure ours against the classic pipeline over whole epochs, then part by part.

    Returns:
        A row for each pipeline; see `make_row`. One that lacks a part has a row only if the effect
        is larger than the spread of its pairs.
    """
    others = {name: pipeline for name, pipeline in PIPELINES.items() if name != OURS}
    counts = {name: EPOCH_IMAGES if name == CLASSIC else LEVER_IMAGES for name in others}
    total = 2 * PAIRS * sum(counts.values())
    print(f"{total:,} images to train on: some nine minutes on two cores")
    rows = []
    with tqdm(total=total, unit=" images", unit_scale=True) as bar:
        for name, other in others.items():
            bar.set_description(name)
            measured = pairs(other, counts[name], bar)
            ours, these = zip(*measured, strict=True)
            ratios = [a.images_per_second / b.images_per_second for a, b in measured]
            if name == CLASSIC:
                rows.append(make_row(OURS, ours, [1.0]))
            if name == CLASSIC or abs(median(ratios) - 1) > max(ratios) - min(ratios):
                rows.append(make_row(name, these, ratios))
            else:
                spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
                tqdm.write(f"{name}: no row, its effect is within the spread ({spread})")
    return rows


def make_row(
    name: str, measured: tuple[Measurement, ...], ratios: list[float]
) -> dict[str, object]:
    """Sum up one pipeline's measurements.

    Returns:
        Images per second, ours over this in the same pair, and the share of a matrix product's
        speed that the multiply-adds of training reach, which are three times those forward: of
        each the median, of the first two the lowest and the highest too.
    """
    speeds = [one.images_per_second for one in measured]
    shares = [6 * multiply_adds() * one.images_per_second / one.flops for one in measured]
    return {
        "pipeline": name,
        "images_per_second": round(median(speeds)),
        "lowest": round(min(speeds)),
        "highest": round(max(speeds)),
        "ours_to_this": f"{median(ratios):.2f}",
        "lowest_ratio": f"{min(ratios):.2f}",
        "highest_ratio": f"{max(ratios):.2f}",
        "percent_of_matrix_product": round(100 * median(shares)),
    }


def table(rows: list[dict[str, object]]) -> str:
    """Write the rows as a Markdown table."""
    lines = [
        "| training | images per second | lowest | highest | speedup of ours | lowest | highest "
        "| % of a matrix product |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [f"| {' | '.join(str(value) for value in row.values())} |" for row in rows]
    return "\n".join(lines)


def sentence(rows: list[dict[str, object]]) -> str:
    """Write how much faster ours is than the classic pipeline."""
    classic = next(row for row in rows if row["pipeline"] == CLASSIC)
    return (
        f"**{classic['ours_to_this']} times** as many images per second "
        f"({classic['lowest_ratio']} to {classic['highest_ratio']} in {PAIRS} pairs of epochs)"
    )


def draw(rows: list[dict[str, object]], path: Path) -> None:
    """Draw the medians as bars, their range as a line."""
    figure = Figure(figsize=(9, 1.4 + 0.5 * len(rows)), layout="constrained")
    ax = figure.subplots()
    colours = ["#1f6fb4", "#c8371b", *["#9db8d2"] * (len(rows) - 2)]
    medians = [row["images_per_second"] for row in rows]
    below = [row["images_per_second"] - row["lowest"] for row in rows]
    above = [row["highest"] - row["images_per_second"] for row in rows]
    ax.barh(
        [row["pipeline"] for row in rows], medians, color=colours,
        xerr=[below, above], error_kw={"elinewidth": 1, "capsize": 3, "ecolor": "#444444"},
    )  # fmt: skip
    for index, speed in enumerate(medians):
        ax.annotate(
            f"{speed:,}", (0, index), (6, 0), textcoords="offset points",
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
    model = Net(0.3)
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
        "--until",
        type=float,
        metavar="ACCURACY",
        help="instead, train the classic pipeline to its first epoch at so many percent of the "
        "test images, into results/classic.csv; takes a quarter of an hour or more",
    )
    arguments = parser.parse_args()
    try:
        dataset.fetch(ROOT / "data")
    except UserError as error:
        parser.exit(2, f"{error}\n")
    if arguments.until is not None:
        train_classic_until(arguments.until)
        return
    rows = benchmark()
    file = io.StringIO()
    writer = csv.DictWriter(file, rows[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_whole(ROOT / "results" / "benchmark.csv", file.getvalue().encode())
    draw(rows, ROOT / "Test_Images" / "Benchmark.png")
    print(f"\n{table(rows)}\n\n{sentence(rows)}")
    print(f"{multiply_adds():,} multiply-adds per image forward")


if __name__ == "__main__":
    main()
