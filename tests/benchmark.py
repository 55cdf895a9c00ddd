"""How much faster than the classic MNIST pipeline, lever by lever, and how near to the machine.

Run by hand on an idle machine with MNIST in `data/`: `python tests/benchmark.py`, under three
minutes on two cores. Every figure comes from a process of its own, in turns.
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
from torch import nn
from torchvision import datasets, transforms
from tqdm import tqdm

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import utils  # noqa: E402
from files import png_bytes, write_whole  # noqa: E402
from model import IMAGE_SHAPE, Net  # noqa: E402

CPU = torch.device("cpu")
BATCH_SIZE = 256
LEVERS = {
    "memory": "freed memory kept by the allocator",
    "channels_last": "channels last",
    "loader": "whole batches as tensors, no worker processes",
    "no_item": "no .item() every step",
}


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


def classic_train(model, device, train_loader, optimizer) -> None:
    """One epoch, with the loss read after every step."""
    model.train()
    correct = 0
    bar = tqdm(train_loader, disable=True)
    for images, labels in bar:
        images, labels = images.to(device), labels.to(device)
        optimizer.zero_grad()
        output = model(images)
        loss = F.nll_loss(output, labels)
        loss.backward()
        optimizer.step()
        correct += output.argmax(dim=1).eq(labels).sum().item()
        bar.set_description(f"loss {loss.item():.4f}, {correct} right")


def measure(levers: set[str], count: int) -> dict[str, float]:
    """Train on `count` images after a short warm-up; images per second."""
    if "memory" in levers:
        utils.keep_freed_memory()
    torch.manual_seed(1)
    model = Net(0.3)
    if "channels_last" in levers:
        model = utils.place(model, CPU)
    optimizer = torch.optim.SGD(
        model.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-4
    )
    make = own_data if "loader" in levers else classic_data
    train = utils.train if "no_item" in levers else classic_train
    train(model, CPU, make(4 * BATCH_SIZE), optimizer)
    loader = make(count)
    began = time.perf_counter()
    train(model, CPU, loader, optimizer)
    return {"images_per_second": count / (time.perf_counter() - began)}


def ceiling() -> dict[str, float]:
    """Floating-point operations per second of a large float32 matrix product, at its best."""
    size = 2048
    a, b = torch.randn(size, size), torch.randn(size, size)
    seconds = []
    for _ in range(12):
        began = time.perf_counter()
        a @ b
        seconds.append(time.perf_counter() - began)
    return {"flops": 2 * size**3 / min(seconds)}


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


def in_a_process(*words: str) -> dict[str, float]:
    command = [sys.executable, __file__, *words]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return json.loads(printed.splitlines()[-1])


def speed(levers: set[str], count: int) -> float:
    words = ["--images", str(count), "--measure", ",".join(sorted(levers))]
    return in_a_process(*words)["images_per_second"]


def benchmark(pairs: int, count: int) -> list[dict[str, object]]:
    """Measure the classic pipeline and ours in turns, then ours with each lever off.

    Returns:
        A row each: what, median, minimum and maximum of images per second, and the median of
        the ratios pair by pair: ours to that row's.
    """
    everything = set(LEVERS)
    variants = {"the classic pipeline": set()}
    variants |= {f"without: {words}": everything - {lever} for lever, words in LEVERS.items()}
    rows, all_ours = [], []
    with tqdm(total=2 * pairs * len(variants), desc="measurements") as bar:
        for name, levers in variants.items():
            theirs, ours = [], []
            for _ in range(pairs):
                for speeds, chosen in ((theirs, levers), (ours, everything)):
                    speeds.append(speed(chosen, count))
                    bar.update()
            all_ours += ours
            ratios = [mine / other for mine, other in zip(ours, theirs, strict=True)]
            rows.append(row_of(name, theirs) | {"ours_to_this": round(median(ratios), 2)})
    return [row_of("ours, every lever", all_ours) | {"ours_to_this": 1.0}, *rows]


def row_of(name: str, speeds: list[float]) -> dict[str, object]:
    figures = {"median": median(speeds), "lowest": min(speeds), "highest": max(speeds)}
    return {"pipeline": name} | {key: round(value) for key, value in figures.items()}


def draw(rows: list[dict[str, object]], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    ax = figure.subplots()
    names = [row["pipeline"] for row in rows]
    colours = ["#1f6fb4", "#c8371b", *["#9db8d2"] * (len(rows) - 2)]
    bars = ax.barh(names, [row["median"] for row in rows], color=colours)
    ax.bar_label(bars, [f" {row['median']:,}" for row in rows])
    ax.invert_yaxis()
    ax.set(xlabel="images per second, training, two CPU cores")
    ax.spines[["top", "right"]].set_visible(False)
    ax.margins(x=0.12)
    write_whole(path, png_bytes(figure))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pairs", type=int, default=2, help="measurements of each (default: 2)")
    parser.add_argument("--images", type=int, default=5120, help="in each (default: 5120)")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure is not None:
        chosen = arguments.measure
        result = ceiling() if chosen == "ceiling" else measure(
            set(filter(None, chosen.split(","))), arguments.images
        )  # fmt: skip
        print(json.dumps(result))
        return
    flops = in_a_process("--measure", "ceiling")["flops"]
    rows = benchmark(arguments.pairs, arguments.images)
    file = io.StringIO()
    writer = csv.DictWriter(file, rows[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_whole(ROOT / "results" / "benchmark.csv", file.getvalue().encode())
    draw(rows, ROOT / "Test_Images" / "Benchmark.png")
    print("\n| training, images per second | median | lowest | highest | ours to this |")
    print("|---|---|---|---|---|")
    for row in rows:
        print(f"| {' | '.join(str(value) for value in row.values())} |")
    needed = 3 * 2 * multiply_adds() * rows[0]["median"]
    print(
        f"\n{multiply_adds():,} multiply-adds per image forward, three times that for a training "
        f"step: {needed / 1e9:.0f} of the {flops / 1e9:.0f} GFLOP/s of a matrix product, "
        f"{100 * needed / flops:.0f} %"
    )


if __name__ == "__main__":
    main()
