"""A network that does no better than guessing: reported, and stopped if it does not recover."""

from collections.abc import Sequence
from functools import cached_property

import torch
from torch import nn
from torch.utils.data import DataLoader

from common import UserError
from mnist.history import Epoch


class LearnsNothing(UserError):
    """The network guesses, and stays there."""


class Guessing:
    """The accuracy of guessing on the images of a loader, and whether a network does better.

    Reading the images leaves the random state as it was, so watching a run does not change it.
    """

    def __init__(self, model: nn.Module, loader: DataLoader) -> None:
        self.model, self.loader = model, loader

    @cached_property
    def accuracy(self) -> float:
        """The accuracy, in percent, of always answering the most frequent digit."""
        with torch.random.fork_rng(devices=[]):
            labels = torch.cat([labels for _, labels in self.loader])
        return 100 * labels.bincount().max().item() / len(labels)

    @torch.inference_mode()
    def has_died(self) -> bool:
        """Whether every image gets the same answer: no ReLU of some layer passes anything on."""
        self.model.eval()
        device = next(self.model.parameters()).device
        with torch.random.fork_rng(devices=[]):
            answers = torch.cat([self.model(images.to(device)) for images, _ in self.loader])
        return bool((answers - answers[0]).abs().max() < 1e-4)

    def warning(self, history: Sequence[Epoch], peak_rate: float) -> str | None:
        """Say what is wrong if the last epoch is no better than guessing.

        Args:
            history: the epochs so far.
            peak_rate: the highest learning rate of the run.

        Returns:
            The warning, or None.

        Raises:
            LearnsNothing: if the epoch before was no better either, and the network has died or
                its training loss does not fall. A slow start is no death.
        """
        last = history[-1]
        if last.test_accuracy > self.accuracy:
            return None
        words = (
            f"{last.test_accuracy:.2f} % is no better than guessing, with learning_rate "
            f"{peak_rate:g} ({last.learning_rate:.4f} at the start of the epoch)"
        )
        advice = "lower learning_rate or momentum"
        if died := self.has_died():
            words += ", and every image gets the same answer"
        else:
            advice += ", or raise a learning_rate close to 0"
        again = len(history) > 1 and history[-2].test_accuracy <= self.accuracy
        if again and (died or last.train_loss >= history[-2].train_loss):
            raise LearnsNothing(f"{words}. {advice.capitalize()}")
        return f"{words}. If this continues, {advice}"
