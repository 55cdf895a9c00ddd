"""What a network answers for labelled images, and which of them it gets wrong."""

from typing import NamedTuple

from torch import Tensor


class Predictions(NamedTuple):
    """The images of a loader in its order, their labels and the network's answers, on the CPU."""

    images: Tensor  # as the network gets them, shape (N, C, H, W)
    labels: Tensor  # int64, shape (N,)
    log_probabilities: Tensor  # shape (N, 10)


def misread(labels: Tensor, log_probabilities: Tensor) -> list[int]:
    """Index the images that are read wrong, the most confident mistake first.

    Args:
        labels: true digits, int64 tensor of shape (N,).
        log_probabilities: of the same images; shape (N, 10).
    """
    confidence, answers = log_probabilities.max(dim=1)
    wrong = (answers != labels).nonzero().flatten()
    return wrong[confidence[wrong].argsort(descending=True, stable=True)].tolist()
