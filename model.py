"""The network: 17,466 parameters from a 28x28 image to ten log-probabilities."""

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Net(nn.Module):
    """A small convolutional network for MNIST.

    Every 3x3 convolution widens the receptive field; the 1x1 convolutions shrink 32 channels to 8
    before the next block, which saves most of the parameters. There is no fully connected layer:
    one channel per digit, averaged over its 6x6 map. The last block has no batch norm, and is
    initialised as in He et al., "Delving Deep into Rectifiers" (2015), with biases at 0.

    Args:
        dropout: probability of zeroing an activation after the first two 1x1 convolutions.

    Raises:
        ValueError: if dropout is not between 0 and 1.
    """

    def __init__(self, dropout: float = 0.3) -> None:
        super().__init__()
        # Beside each layer: channels x height x width of its output, and its receptive field.
        self.edges = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1),  #  16 x 28 x 28   sees 3x3
            nn.ReLU(),
            nn.BatchNorm2d(16),
            nn.Conv2d(16, 32, 3, padding=1),  # 32 x 28 x 28   sees 5x5
            nn.ReLU(),
            nn.BatchNorm2d(32),
        )
        self.shrink1 = nn.Sequential(
            nn.MaxPool2d(2),  #                 32 x 14 x 14   sees 6x6
            nn.Conv2d(32, 8, 1),  #              8 x 14 x 14   sees 6x6
            nn.Dropout(dropout),
        )
        self.strokes = nn.Sequential(
            nn.Conv2d(8, 16, 3),  #             16 x 12 x 12   sees 10x10
            nn.ReLU(),
            nn.BatchNorm2d(16),
            nn.Conv2d(16, 32, 3),  #            32 x 10 x 10   sees 14x14
            nn.ReLU(),
            nn.BatchNorm2d(32),
        )
        self.shrink2 = nn.Sequential(
            nn.Conv2d(32, 8, 1),  #              8 x 10 x 10   sees 14x14
            nn.Dropout(dropout),
        )
        self.digits = nn.Sequential(
            nn.Conv2d(8, 16, 3),  #             16 x 8 x 8     sees 18x18
            nn.ReLU(),
            nn.Conv2d(16, 32, 3),  #            32 x 6 x 6     sees 22x22
            nn.ReLU(),
            nn.Conv2d(32, 10, 1),  #            10 x 6 x 6     sees 22x22
            nn.AvgPool2d(6),  #                 10 x 1 x 1     sees 32x32: the whole image
        )
        # PyTorch's own initialisation is too small where no batch norm follows.
        for layer in self.digits:
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                nn.init.zeros_(layer.bias)

    def forward(self, images: Tensor) -> Tensor:
        """Map images to the log-probability of each digit.

        Args:
            images: float tensor of shape (N, 1, 28, 28), normalised.

        Returns:
            Log-probabilities of shape (N, 10), as `F.nll_loss` takes them.

        Raises:
            ValueError: if the images have another shape.
        """
        if images.ndim != 4 or images.shape[1:] != (1, 28, 28):
            raise ValueError(
                f"Net expects images of shape (N, 1, 28, 28), not {tuple(images.shape)}"
            )
        x = self.shrink1(self.edges(images))
        x = self.shrink2(self.strokes(x))
        logits = self.digits(x).flatten(start_dim=1)
        return F.log_softmax(logits, dim=1)

    def summary(self) -> None:
        """Print the table of layers, output shapes and parameter counts."""
        from torchsummary import summary  # only this table needs it

        # Random images go through a copy: batch norm's statistics and the random state stay.
        with torch.random.fork_rng(devices=[]):
            summary(copy.deepcopy(self).cpu().eval(), (1, 28, 28), device="cpu")
