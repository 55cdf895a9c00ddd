"""Measure training speed against the classic MNIST pipeline and against a matrix product.

Run it on an idle machine with MNIST in `data/`: `python -m results.benchmark`, about nine minutes
on two cores. The two pipelines train alternately for whole epochs, then ours alternates with ours
without one of its parts, for part of an epoch. `--until` instead measures how long the classic
pipeline takes to reach an accuracy.
"""

import argparse
import csv
import time
import timeit
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from statistics import median

import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from torch import nn
from torch.utils.data import DataLoader, Subset
from torch.utils.flop_counter import FlopCounterMode
from torchvision import datasets, transforms
from tqdm import tqdm

import utils
from common import UserError, write_whole
from common.figures import png_bytes
from mnist import data
from mnist.history import LOG_HEADER, Epoch, log_line, save_history
from model import Net

ROOT = Path(__file__).resolve().parent.parent
CPU = torch.device("cpu")
BATCH_SIZE = 256
EPOCHS = 19
PAIRS = 3
EPOCH_IMAGES, PART_IMAGES = 60_000, 60 * BATCH_SIZE

PARTS = ("kept memory", "channels last", "own loader", "own loop", "fastest precision")
OURS, CLASSIC = "ours", "the classic pipeline"
LACKING: dict[str, tuple[str, ...]] = {  # the parts of ours that each pipeline is without
    OURS: (),
    CLASSIC: PARTS,
    "ours, but freed memory returned": ("kept memory",),
    "ours, but default memory format": ("channels last",),
    "ours, but PIL and two workers": ("own loader",),
    "ours, but float32": ("fastest precision",),
}


# --- The two pipelines --------------------------------------------------------------------


def classic_data(train: bool, count: int) -> DataLoader:
    """The pipeline that everybody writes: PIL, one image at a time, in two workers."""
    augmentation = [
        transforms.RandomApply([transforms.CenterCrop(22)], p=0.1),
        transforms.Resize((28, 28)),
        transforms.RandomRotation((-15.0, 15.0), fill=0),
    ]
    normalised = [transforms.ToTensor(), transforms.Normalize((utils.MEAN,), (utils.STD,))]
    transform = transforms.Compose([*augmentation, *normalised] if train else normalised)
    data = datasets.MNIST(str(ROOT / "data"), train=train, transform=transform)
    part = Subset(data, range(count))
    return DataLoader(part, batch_size=BATCH_SIZE, shuffle=train, num_workers=2)


def own_data(count: int) -> DataLoader:
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
    for images, labels in train_loader:
        images, labels = images.to(device), labels.to(device)
        optimizer.zero_grad()
        output = model(images)
        loss = F.nll_loss(output, labels)
        loss.backward()
        optimizer.step()
        if scheduler is not None:
            scheduler.step()
        correct += output.argmax(dim=1).eq(labels).sum().item()
        loss_sum += loss.item() * len(labels)
    count = len(train_loader.dataset)
    return loss_sum / count, 100 * correct / count


def make_optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Make the optimizer of the notebook's default settings."""
    return torch.optim.SGD(
        model.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-4
    )


# --- One measurement ----------------------------------------------------------------------


def measure(lacking: tuple[str, ...], count: int) -> tuple[float, float]:
    """Train on `count` images without the lacking parts, after a short warm-up.

    Returns:
        Images per second, and the share of a matrix product's speed that the multiply-adds of
        training reach, which are three times those forward.
    """
    if "kept memory" not in lacking:
        utils.keep_freed_memory()
    torch.manual_seed(1)
    model = Net(0.3)
    if "channels last" not in lacking:
        model = model.to(memory_format=torch.channels_last)
    precision = torch.float32
    if "fastest precision" not in lacking:
        images = torch.rand(16, *utils.IMAGE_SHAPE)
        precision = getattr(torch, utils.fastest_precision(model, images))
    data = partial(classic_data, True) if "own loader" in lacking else own_data
    train = partial(utils.train, precision=precision, clip=2.0)
    if "own loop" in lacking:
        train = classic_train
    optimizer = make_optimizer(model)
    train(model, CPU, data(4 * BATCH_SIZE), optimizer)
    loader = data(count)
    began = time.perf_counter()
    train(model, CPU, loader, optimizer)
    speed = count / (time.perf_counter() - began)
    return speed, 2 * 3 * multiply_adds() * speed / matrix_product_flops(precision)


def matrix_product_flops(precision: torch.dtype) -> float:
    """Floating-point operations per second of a large matrix product, at its best."""
    size = 2048
    a, b = torch.randn(2, size, size, dtype=precision)
    return 2 * size**3 / min(timeit.repeat(lambda: a @ b, number=1, repeat=8))


def multiply_adds() -> int:
    """Count the multiply-adds of one image's forward pass through the convolutions."""
    with FlopCounterMode(display=False) as counter:
        Net().eval()(torch.zeros(1, *utils.IMAGE_SHAPE))
    return counter.get_total_flops() // 2


# --- All of them --------------------------------------------------------------------------


def benchmark() -> list[dict[str, object]]:
    """Measure ours against the classic pipeline over whole epochs, then part by part.

    Returns:
        A row for each pipeline; see `make_row`. One that lacks a part has a row only if the effect
        is larger than the spread of its pairs.
    """
    total = 2 * PAIRS * (EPOCH_IMAGES + (len(LACKING) - 2) * PART_IMAGES)
    print(f"{total:,} images to train on: some nine minutes on two cores")
    rows = []
    with tqdm(total=total, unit=" images", unit_scale=True) as bar:
        for name in list(LACKING)[1:]:
            bar.set_description(name)
            count = EPOCH_IMAGES if name == CLASSIC else PART_IMAGES
            measured = {OURS: [], name: []}
            for pipeline in (OURS, name) * PAIRS:
                # A process of its own starts with no memory kept and nothing warm.
                with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
                    measured[pipeline] += [pool.submit(measure, LACKING[pipeline], count).result()]
                bar.update(count)
            ratios = [a / b for (a, _), (b, _) in zip(*measured.values(), strict=True)]
            if name == CLASSIC:
                rows.append(make_row(OURS, measured[OURS], [1.0]))
            if name == CLASSIC or abs(median(ratios) - 1) > max(ratios) - min(ratios):
                rows.append(make_row(name, measured[name], ratios))
            else:
                spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
                tqdm.write(f"{name}: no row, its effect is within the spread ({spread})")
    return rows


def make_row(
    name: str, measured: list[tuple[float, float]], ratios: list[float]
) -> dict[str, object]:
    """Sum up what was measured of one pipeline.

    Returns:
        Images per second, ours over this in the same pair, and the share of a matrix product's
        speed: of each the median, of the first two the lowest and the highest too.
    """
    speeds, shares = zip(*measured, strict=True)
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
    lines += [f"| {' | '.join(map(str, row.values()))} |" for row in rows]
    return "\n".join(lines)


def draw(rows: list[dict[str, object]]) -> Figure:
    """Draw the medians as bars, their range as a line."""
    figure = Figure(figsize=(9, 1.4 + 0.5 * len(rows)), layout="constrained")
    ax = figure.subplots()
    colours = ["#1f6fb4", "#c8371b", *["#9db8d2"] * (len(rows) - 2)]
    columns = ("pipeline", "images_per_second", "lowest", "highest")
    names, medians, lowest, highest = (np.array([row[key] for row in rows]) for key in columns)
    ax.barh(
        names, medians, color=colours, xerr=[medians - lowest, highest - medians],
        error_kw={"elinewidth": 1, "capsize": 3, "ecolor": "#444444"},
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
    return figure


# --- The classic pipeline, to an accuracy -------------------------------------------------


def train_classic_until(accuracy: float) -> None:
    """Train the classic pipeline with the default recipe's schedule to its first such epoch."""
    torch.manual_seed(1)
    model = Net(0.3)
    optimizer = make_optimizer(model)
    train_loader, test_loader = classic_data(True, EPOCH_IMAGES), classic_data(False, 10_000)
    scheduler = utils.one_cycle(optimizer, EPOCHS * len(train_loader))
    history = []
    print(LOG_HEADER)
    for epoch in range(1, EPOCHS + 1):
        began = time.perf_counter()
        rate = optimizer.param_groups[0]["lr"]
        trained = classic_train(model, CPU, train_loader, optimizer, scheduler)
        tested = utils.test(model, CPU, test_loader)
        history.append(Epoch(epoch, rate, *trained, *tested, time.perf_counter() - began))
        print(log_line(history[-1]), flush=True)
        save_history(history, ROOT / "results" / "classic.csv")
        if history[-1].test_accuracy >= accuracy:
            break


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
        data.fetch(ROOT / "data")
    except UserError as error:
        parser.exit(2, f"{error}\n")
    if arguments.until is not None:
        train_classic_until(arguments.until)
        return
    rows = benchmark()
    with open(ROOT / "results" / "benchmark.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    write_whole(ROOT / "Test_Images" / "Benchmark.png", png_bytes(draw(rows)))
    classic = rows[1]
    print(
        f"\n{table(rows)}\n\n"
        f"**{classic['ours_to_this']} times** as many images per second "
        f"({classic['lowest_ratio']} to {classic['highest_ratio']} in {PAIRS} pairs of epochs)\n"
        f"{multiply_adds():,} multiply-adds per image forward"
    )


if __name__ == "__main__":
    main()
