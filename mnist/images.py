"""Labelled images, and those of them that a network gets wrong."""

from typing import Protocol

from torch import Tensor


class Images(Protocol):
    """Images with their labels; a list of indices fetches them transformed."""

    images: Tensor  # uint8, shape (N, 1, 28, 28)
    labels: Tensor  # int64, shape (N,)

    def __getitem__(self, indices: list[int]) -> tuple[Tensor, Tensor]: ...

    def transform(self, images: Tensor) -> Tensor:
        """Turn uint8 images into what the network gets."""


def misread(data: Images, log_probabilities: Tensor) -> list[int]:
    """Index the images that are read wrong, the most confident mistake first.

    Args:
        log_probabilities: of each image of `data`, in its order; shape (N, 10).
    """
    confidence, answers = log_probabilities.max(dim=1)
    wrong = (answers != data.labels).nonzero().flatten()
    return wrong[confidence[wrong].argsort(descending=True, stable=True)].tolist()
