"""Device, data and training: what S6.ipynb calls, in the order it calls it."""

import ctypes
import math
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler
from torch.utils.data import BatchSampler, DataLoader, Dataset, RandomSampler, SequentialSampler
from tqdm import tqdm

from common import UserError
from mnist import dataset

# --- Device -------------------------------------------------------------------------------


def choose_device() -> torch.device:
    """The fastest device there is: CUDA, else Apple's MPS, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
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


def place(model: nn.Module, device: torch.device) -> nn.Module:
    """Move a model to the device; on a CPU, with channels last, which its convolutions prefer."""
    if device.type == "cpu":
        return model.to(device, memory_format=torch.channels_last)
    return model.to(device)


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
        validation_size: if not 0, this many of the 60,000 training images, always the same
            ones, replace the test set, so that settings can be chosen without looking at it.

    Returns:
        The images to train with and the images to test with.

    Raises:
        dataset.DataError: if MNIST cannot be fetched.
    """
    images, labels, test_images, test_labels = dataset.read(data_dir)
    if validation_size:
        order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
        held_out, kept = order[:validation_size], order[validation_size:]
        test_images, test_labels = images[held_out], labels[held_out]
        images, labels = images[kept], labels[kept]
    return (
        ImageBatches(images.to(device), labels.to(device), train_transform),
        ImageBatches(test_images.to(device), test_labels.to(device), test_transform),
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
    # batch_size=None: each index that the sampler gives is a whole batch's list of indices.
    return DataLoader(data, sampler=BatchSampler(sampler, batch_size, False), batch_size=None)


# --- Training -----------------------------------------------------------------------------


def one_cycle(optimizer: Optimizer, steps: int) -> LambdaLR:
    """Raise the rate linearly to the optimizer's over a fifth of the steps, then lower it to 0."""
    rise = max(1, steps // 5)

    def factor(step: int) -> float:
        if step < rise:
            return (step + 1) / rise
        return (steps - step) / max(1, steps - rise)

    return LambdaLR(optimizer, factor)


class Diverged(UserError):
    """The loss is no longer a finite number."""


# While the rate rises, many gradients have a larger norm; later none do. Steps of their full length
# can undo what was learned, because the last block has no batch norm.
MAX_GRADIENT_NORM = 2.0


def train(
    model: nn.Module,
    device: torch.device,
    train_loader: DataLoader,
    optimizer: Optimizer,
    scheduler: LRScheduler | None = None,
    bar: tqdm | None = None,
    precision: torch.dtype = torch.float32,
) -> tuple[float, float]:
    """Train for one epoch, with a step of the scheduler and of the bar after each batch.

    Gradients are clipped to the norm MAX_GRADIENT_NORM, as in Pascanu et al., "On the
    difficulty of training recurrent neural networks" (2013).

    Args:
        precision: the type of the forward pass, up to the log-probabilities; weights, gradients
            and the sums of the loss stay in float32.

    Returns:
        Mean loss (nats per image) and accuracy (percent) of the batches as trained on.

    Raises:
        Diverged: as soon as the bar is redrawn, or the epoch over, after a loss that is not finite.
    """
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
        nn.utils.clip_grad_norm_(model.parameters(), MAX_GRADIENT_NORM)
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


@torch.inference_mode()
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


@torch.inference_mode()
def predict(model: nn.Module, device: torch.device, loader: DataLoader) -> Tensor:
    """Give the log-probabilities of every image of the loader, in its order; shape (N, 10)."""
    model.eval()
    return torch.cat([model(images.to(device)) for images, _ in loader])
