"""Device, data, network and training: what S6.ipynb calls, in the order it calls it.

A script of some fifteen statements trains as fast, and its runs are kept in the same way:

```
import torch
from torchvision.transforms import Compose

import utils
from mnist.run import Run
from model import Net

device = utils.choose_device()
torch.manual_seed(1)
plain = Compose([utils.to_unit_range, utils.normalise])
moved = Compose([utils.to_unit_range, utils.RandomAffine(7, 0.07, 0.1, 1.4), utils.normalise])
train_data, test_data = utils.load_mnist("data", device, moved, plain)
train_loader = utils.make_loader(train_data, 256, shuffle_seed=1)
test_loader = utils.make_loader(test_data, 1000)
model = utils.prepare(Net(), device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True)
scheduler = utils.one_cycle(optimizer, 19 * len(train_loader))
parts = (model, optimizer, scheduler, train_loader, test_loader)
with Run({"epochs": 19, "output_dir": "runs/script"}, *parts) as run:
    for epoch in run.epochs():
        trained = utils.train(
            model, device, train_loader, optimizer, scheduler, run.bar, run.precision, clip=2.0
        )
        run.record(trained, utils.test(model, device, test_loader))
```
"""

import copy
import ctypes
import io
import math
from collections.abc import Callable
from contextlib import nullcontext, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, ReduceLROnPlateau
from torch.utils.data import BatchSampler, DataLoader, Dataset, RandomSampler, SequentialSampler
from torchsummary import summary
from tqdm import tqdm

from common import UserError
from mnist.data import fetch, read

# --- Device -------------------------------------------------------------------------------


def choose_device() -> torch.device:
    """The fastest device there is: CUDA, else Apple's MPS, else the CPU, which keeps its memory."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    keep_freed_memory()
    return torch.device("cpu")


def keep_freed_memory() -> None:
    """Tell glibc's allocator to keep freed memory instead of handing it back to the system.

    A training step frees and requests activations of up to 26 MB. By default each of them is
    mapped anew, and the page faults slow the step. Does nothing where the C library is not
    glibc. The two parameters are those of mallopt(3), from malloc.h.
    """
    trim_threshold, mmap_max = -1, -4
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    mallopt(mmap_max, 0)
    mallopt(trim_threshold, 2**31 - 1)


# --- Data ---------------------------------------------------------------------------------

MEAN, STD = 0.1307, 0.3081  # of all pixels of the 60,000 training images, black 0 to white 1


def to_unit_range(images: Tensor) -> Tensor:
    """Turn uint8 pixels (0 to 255) into floats from 0 to 1."""
    return images.float() / 255


def normalise(images: Tensor) -> Tensor:
    """Shift and scale pixels so that those of the training set have mean 0 and deviation 1."""
    # Python numbers, not tensors as in torchvision's Normalize: those wait for a GPU's copy.
    return (images - MEAN) / STD


@dataclass(frozen=True)
class RandomAffine:
    """Rotate, scale, shear and shift each image of a batch by random amounts of its own.

    Each amount is uniform between minus and plus its bound.

    Args:
        rotation: bound of the angle, in degrees.
        scale: bound of the relative change in size; 0.07 means 93 % to 107 %.
        shear: bound of the slant, in pixels sideways per pixel up.
        shift: bound of the displacement along each axis, in pixels.
    """

    rotation: float
    scale: float
    shear: float
    shift: float

    def __call__(self, images: Tensor) -> Tensor:
        """Transform float images of shape (N, C, H, W), background 0; the shape stays."""
        count, _, height, width = images.shape
        amounts = 2 * torch.rand(5, count, device=images.device) - 1
        angle = amounts[0] * math.radians(self.rotation)
        size = 1 + amounts[1] * self.scale
        slant = amounts[2] * self.shear
        # The matrix says where an output pixel comes from, so it divides by the size; it
        # measures in half images, from -1 to 1.
        cos, sin = torch.cos(angle) / size, torch.sin(angle) / size
        right, down = amounts[3] * 2 * self.shift / width, amounts[4] * 2 * self.shift / height
        matrix = torch.stack([cos, slant * cos - sin, right, sin, slant * sin + cos, down], dim=1)
        grid = F.affine_grid(matrix.view(count, 2, 3), images.shape, align_corners=False)
        return F.grid_sample(images, grid, align_corners=False)


class ImageBatches(Dataset):
    """Images that stay on the training device and are fetched one batch at a time.

    Args:
        images: uint8 tensor of shape (N, 1, 28, 28).
        labels: int64 tensor of shape (N,).
        transform: applied to a whole batch of uint8 images on the device.
    """

    def __init__(
        self, images: Tensor, labels: Tensor, transform: Callable[[Tensor], Tensor]
    ) -> None:
        self.images, self.labels, self.transform = images, labels, transform

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, indices: int | list[int]) -> tuple[Tensor, Tensor]:
        """Give the transformed images and the labels at a list of indices, or one at an index."""
        if isinstance(indices, int):
            images, labels = self[[indices]]
            return images[0], labels[0]
        # CUDA copies in the order of its work, so the host need not wait for it; MPS may not.
        chosen = torch.tensor(indices)
        chosen = chosen.to(self.labels.device, non_blocking=self.labels.is_cuda)
        return self.transform(self.images[chosen]), self.labels[chosen]


def load_mnist(
    data_dir: str | Path,
    device: torch.device,
    train_transform: Callable[[Tensor], Tensor],
    test_transform: Callable[[Tensor], Tensor],
    validation_size: int = 0,
) -> tuple[ImageBatches, ImageBatches]:
    """Read MNIST onto the device, fetching it first if need be.

    Args:
        train_transform: turns a batch of uint8 images of shape (N, 1, 28, 28) into what the
            network gets. Prints a warning if it changes all images of a batch alike.
        test_transform: the same for the test images.
        validation_size: if not 0, this many of the 60,000 training images, always the same
            ones, replace the test set, so that settings can be chosen without looking at it.

    Returns:
        The images to train with and the images to test with.

    Raises:
        UserError: if MNIST cannot be fetched, or a transform does not take such batches.
    """
    raw = fetch(data_dir)
    images, labels = read(raw, train=True)
    if validation_size >= len(labels):
        raise UserError(f"validation_size leaves none of {len(labels):,} images to train with")
    if validation_size:
        order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
        held_out, kept = order[:validation_size], order[validation_size:]
        test_images, test_labels = images[held_out], labels[held_out]
        images, labels = images[kept], labels[kept]
    else:
        test_images, test_labels = read(raw, train=False)
    train_data = ImageBatches(images.to(device), labels.to(device), train_transform)
    test_data = ImageBatches(test_images.to(device), test_labels.to(device), test_transform)
    _try_transform(train_data, "train_transform")
    _try_transform(test_data, "test_transform")
    return train_data, test_data


def _try_transform(data: ImageBatches, name: str) -> None:
    """See that a transform takes batches, and warn if it draws one random number for them all."""
    copies = data.images[:1].repeat(4, 1, 1, 1)
    with torch.random.fork_rng(devices=[copies.device] if copies.is_cuda else []):
        try:
            batches = [data.transform(copies.clone()) for _ in range(4)]
            first = [batch[:1].expand_as(batch) for batch in batches]
        except Exception as error:  # whatever the transform raises
            raise UserError(
                f"{name} must turn a batch, a uint8 tensor of shape (N, 1, 28, 28), into a tensor; "
                f"it raises {type(error).__name__}: {error}. In place of ToTensor() write "
                "utils.to_unit_range"
            ) from None
    random = any(not torch.equal(batches[0], batch) for batch in batches)
    if random and all(torch.equal(*pair) for pair in zip(first, batches, strict=True)):
        print(
            f"{name} changes all images of a batch alike, not each by an amount of its own, as "
            "utils.RandomAffine does"
        )


def make_loader(data: ImageBatches, batch_size: int, shuffle_seed: int | None = None) -> DataLoader:
    """Make a loader of finished batches; the last one may be short.

    Args:
        shuffle_seed: decides the order, which differs from epoch to epoch; None keeps the
            order of the data.
    """
    if shuffle_seed is None:
        sampler = SequentialSampler(data)
    else:
        sampler = RandomSampler(data, generator=torch.Generator().manual_seed(shuffle_seed))
    # Batch norm needs two images: a last batch of one is left out.
    drop_last = len(data) % batch_size == 1 and shuffle_seed is not None
    # batch_size=None: each index that the sampler gives is a whole batch's list of indices.
    return DataLoader(data, sampler=BatchSampler(sampler, batch_size, drop_last), batch_size=None)


# --- Network ------------------------------------------------------------------------------

IMAGE_SHAPE = (1, 28, 28)  # channels, height, width


def prepare(
    model: nn.Module, device: torch.device, shape: tuple[int, ...] = IMAGE_SHAPE
) -> nn.Module:
    """Move a network to the device, after a first look at what it answers.

    On a CPU it gets channels-last order, which convolutions prefer there, if it runs with that and
    answers the same. Prints the device and the order.

    Args:
        shape: of one image as the network gets it.

    Raises:
        UserError: if it does not give ten log-probabilities for each image; says what to write.
    """
    model = model.to(device)
    # 16 images, since a batch norm over parts of a batch needs 2, 4 or 8 of them.
    images = torch.rand((16, *shape), generator=torch.Generator().manual_seed(0)).to(device)
    if any(map(is_lazy, model.parameters())):  # their shapes come with the first images
        model.eval()(images)
        model.train()
    check_answers(model, images)
    threads = order = ""
    if device.type == "cpu":
        threads, order = f", {torch.get_num_threads()} threads", ", default memory order"
        if runs_in_channels_last(model, images):
            model, order = model.to(memory_format=torch.channels_last), ", channels last"
    print(f"device: {device}{threads}{order}")
    return model


def summarise(model: nn.Module, shape: tuple[int, ...] = IMAGE_SHAPE) -> None:
    """Print torchsummary's table of layers, output shapes and parameter counts.

    torchsummary sends two random images through the model it is given, in whatever mode that is
    in, and knows only CPU and CUDA. So it gets a copy, in evaluation mode and on the CPU, and the
    CPU's random state is put back. A line tells of parameters that it does not count; where it
    fails, their number is all that is printed.
    """
    total = sum(parameter.numel() for parameter in model.parameters())
    table = io.StringIO()
    try:
        with torch.random.fork_rng(devices=[]), redirect_stdout(table):
            summary(copy_of(model).cpu().eval(), shape, device="cpu")
    except Exception as error:  # such as of layers that give several tensors
        print(f"{total:,} parameters; torchsummary fails ({type(error).__name__}: {error})")
        return
    print(table.getvalue(), end="")
    if f"Total params: {total:,}\n" not in table.getvalue():
        print(
            f"The network has {total:,} parameters: torchsummary counts no other than weight and "
            "bias, of the layers that are called, each time that they are called."
        )


def copy_of(model: nn.Module) -> nn.Module:
    """Copy a network; what of it cannot be copied, such as a lock, the copy has in common."""
    shared = {}
    for module in model.modules():
        own = [value for name, value in vars(module).items() if not name.startswith("_")]
        for value in [*own, *module.buffers(recurse=False)]:
            try:
                copy.deepcopy(value)
            except Exception:  # of what cannot be pickled, anything is raised
                shared[id(value)] = value
    return copy.deepcopy(model, shared)


def answers(
    model: nn.Module,
    images: Tensor,
    training: bool = False,
    precision: torch.dtype = torch.float32,
    memory_format: torch.memory_format = torch.preserve_format,
) -> Tensor:
    """Give what a copy of the model answers, in training after a backward pass; no state moves."""
    device = images.device
    copied = copy_of(model).to(memory_format=memory_format).train(training)
    mixed = nullcontext() if precision == torch.float32 else torch.autocast(device.type, precision)
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        with mixed, torch.set_grad_enabled(training):
            given = copied(images)
        if training and isinstance(given, Tensor):
            given.float().sum().backward()
    return given


def check_answers(model: nn.Module, images: Tensor) -> None:
    """See that a model gives ten log-probabilities for each image, and can be trained.

    Raises:
        UserError: if it gives something else. Errors of the network itself pass as they are.
    """
    for training in (False, True):
        given, shape = answers(model, images, training), (len(images), 10)
        what = f"a {type(given).__name__}"
        if isinstance(given, Tensor):
            what = f"other numbers of shape {tuple(given.shape)}"
            sums = given.detach().cpu().double().logsumexp(dim=-1).abs()
            # Rounding of ten numbers in float32, or in half precision, stays far below 0.05.
            if given.shape == shape and sums.max() < 0.05:
                continue
        what += ": end forward with F.log_softmax(x, dim=1)"
        raise UserError(f"Net must give log-probabilities of shape {shape}, and gives {what}")


def runs_in_channels_last(model: nn.Module, images: Tensor) -> bool:
    """Whether a model runs, and answers the same, with its images in channels-last order."""
    try:
        expected = answers(model, images)
        given = answers(model, images, memory_format=torch.channels_last)
        answers(model, images, training=True, memory_format=torch.channels_last)
    except Exception:  # such as of x.view() after a convolution
        return False
    return torch.allclose(given, expected, rtol=1e-3, atol=1e-3)


def fastest_precision(model: nn.Module, images: Tensor) -> str:
    """Give "bfloat16" on a CPU that computes in it, if the model runs in it, else "float32"."""
    ask = getattr(torch.cpu, "get_capabilities", dict)  # older PyTorch does not tell
    abilities = ask() if images.device.type == "cpu" else {}
    if not (abilities.get("avx512_bf16") or abilities.get("amx_bf16")):
        return "float32"
    try:
        given = answers(model, images, training=True, precision=torch.bfloat16)
    except Exception:  # such as of operations that mix types
        return "float32"
    return "bfloat16" if given.isfinite().all() else "float32"


# --- Training -----------------------------------------------------------------------------


def one_cycle(optimizer: Optimizer, steps: int, warmup: float = 0.2) -> LambdaLR:
    """Raise the rate linearly to the optimizer's, then lower it linearly to 0.

    Args:
        steps: of the whole training; the schedule takes a step after each batch.
        warmup: share of the steps in which the rate rises.
    """
    rise = max(1, int(steps * warmup))

    def factor(step: int) -> float:
        if step < rise:
            return (step + 1) / rise
        return (steps - step) / max(1, steps - rise)

    return LambdaLR(optimizer, factor)


class Diverged(UserError):
    """The loss is no longer a finite number."""


def train(
    model: nn.Module,
    device: torch.device,
    train_loader: DataLoader,
    optimizer: Optimizer,
    scheduler: LRScheduler | None = None,
    bar: tqdm | None = None,
    precision: torch.dtype = torch.float32,
    clip: float = 0.0,
) -> tuple[float, float]:
    """Train for one epoch, with a step of the scheduler and of the bar after each batch.

    Args:
        scheduler: stepped after every batch. One that counts epochs, such as `StepLR(optimizer, 5)`
            for five of them, is stepped at the end of the loop instead, and is not given here.
        clip: the longest norm of the gradient of all weights; a longer one is shortened to it, as
            in Pascanu et al., "On the difficulty of training recurrent neural networks" (2013).
            0 clips nothing.
        precision: the type of the forward pass, up to the log-probabilities; weights, gradients
            and the sums of the loss stay in float32.

    Returns:
        Mean loss (nats per image) and accuracy (percent) of the batches as trained on.

    Raises:
        UserError: if the scheduler is ReduceLROnPlateau, whose step needs a value.
        Diverged: as soon as the bar is redrawn, or the epoch over, after a loss that is not finite.
    """
    if isinstance(scheduler, ReduceLROnPlateau):
        raise UserError(
            "ReduceLROnPlateau needs a loss: call scheduler.step(loss) at the end of the loop, and "
            "give train() None for it"
        )
    model.train()
    exact = precision == torch.float32
    mixed = nullcontext() if exact else torch.autocast(device.type, precision)
    losses, rates = [], []
    correct = torch.zeros((), device=device)
    seen = 0
    for images, labels in train_loader:
        images, labels = images.to(device), labels.to(device)  # as they are, from make_loader
        optimizer.zero_grad()
        with mixed:
            log_probabilities = model(images)
        loss = F.nll_loss(log_probabilities.float(), labels)
        loss.backward()
        if clip:
            nn.utils.clip_grad_norm_(model.parameters(), clip)
        optimizer.step()
        # Losses and counts stay on the device: reading one makes the host wait for all work.
        losses.append(loss.detach() * len(labels))
        rates.append(optimizer.param_groups[0]["lr"])
        correct += (log_probabilities.argmax(dim=1) == labels).sum()
        seen += len(labels)
        if scheduler is not None:
            scheduler.step()
        if bar is not None and bar.update():  # true when the bar was redrawn, twice a second
            mean_loss, accuracy = _finite_mean(losses, rates, seen), 100 * correct.item() / seen
            bar.set_postfix_str(f"loss {mean_loss:.4f}, accuracy {accuracy:.2f} %", refresh=False)
    return _finite_mean(losses, rates, seen), 100 * correct.item() / seen


def _finite_mean(losses: list[Tensor], rates: list[float], count: int) -> float:
    sums = torch.stack(losses)
    mean = sums.sum().item() / count
    if not math.isfinite(mean):
        step = int((~sums.isfinite()).nonzero()[0])
        raise Diverged(
            f"the loss is not finite at step {step + 1}, learning rate {rates[step]:.4f}. "
            "Lower learning_rate or momentum"
        )
    return mean


@torch.no_grad()
def test(model: nn.Module, device: torch.device, test_loader: DataLoader) -> tuple[float, float]:
    """Judge the model on every image of the loader.

    Returns:
        Mean loss (nats per image) and accuracy (percent).
    """
    model.eval()
    loss_sum = torch.zeros((), device=device)
    correct = torch.zeros((), device=device)
    for images, labels in test_loader:
        images, labels = images.to(device), labels.to(device)
        log_probabilities = model(images)
        loss_sum += F.nll_loss(log_probabilities, labels, reduction="sum")
        correct += (log_probabilities.argmax(dim=1) == labels).sum()
    count = len(test_loader.dataset)
    return loss_sum.item() / count, 100 * correct.item() / count


class Predictions(NamedTuple):
    """The images of a loader in its order, their labels and the network's answers, on the CPU."""

    images: Tensor  # as the network gets them, shape (N, C, H, W)
    labels: Tensor  # int64, shape (N,)
    log_probabilities: Tensor  # shape (N, 10)


@torch.no_grad()
def predict(model: nn.Module, device: torch.device, loader: DataLoader) -> Predictions:
    """Collect the images of the loader with their labels and the model's answers."""
    model.eval()
    batches = [(images, labels, model(images.to(device))) for images, labels in loader]
    return Predictions(*(torch.cat(column).cpu() for column in zip(*batches, strict=True)))


def misread(labels: Tensor, log_probabilities: Tensor) -> list[int]:
    """Index the images that are read wrong, the most confident mistake first.

    Args:
        labels: true digits, int64 tensor of shape (N,).
        log_probabilities: of the same images; shape (N, 10).
    """
    confidence, answers = log_probabilities.max(dim=1)
    wrong = (answers != labels).nonzero().flatten()
    return wrong[confidence[wrong].argsort(descending=True, stable=True)].tolist()
