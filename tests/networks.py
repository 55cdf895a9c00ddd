"""Networks: the trained one, and those of other people's kinds, a few lines each."""

import torch
import torch.nn.functional as F
from torch import nn
from torchvision import transforms

import utils
from model import Net
from tests.digits import ROOT

TRANSFORM = transforms.Compose([utils.to_unit_range, utils.normalise])


def log_probabilities(model, pixels):
    with torch.inference_mode():
        return model(TRANSFORM(pixels))


def trained():
    model = Net()
    model.load_state_dict(torch.load(ROOT / "results" / "net.pt", weights_only=True))
    return model.eval()


def shaken(model):
    """Give batch norm statistics that it could have from training."""
    generator = torch.Generator().manual_seed(0)
    for name, tensor in model.state_dict().items():
        if name.endswith("running_mean"):
            tensor.copy_(torch.randn(tensor.shape, generator=generator) * 0.3)
        elif name.endswith("running_var"):
            tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.2)
    return model.eval()


class Chain(nn.Sequential):
    """Layers in a row, then log-softmax."""

    def forward(self, x):
        return F.log_softmax(super().forward(x), dim=1)


class Gives(nn.Module):
    """A linear layer, then what is done with its ten scores."""

    def __init__(self, end):
        super().__init__()
        self.fc, self.end = nn.Linear(784, 10), end

    def forward(self, x):
        return self.end(self.fc(x.flatten(1)))


class Functional(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.conv2 = nn.Conv2d(1, 10, 5), nn.Conv2d(10, 20, 5)
        self.drop, self.fc, self.fc2 = nn.Dropout2d(), nn.Linear(320, 50), nn.Linear(50, 10)

    def forward(self, x):
        x = F.relu(F.max_pool2d(self.conv(x), 2))
        x = F.relu(F.max_pool2d(self.drop(self.conv2(x)), 2)).view(-1, 320)
        return F.log_softmax(self.fc2(F.dropout(F.relu(self.fc(x)), training=self.training)), dim=1)


class Residual(nn.Module):
    def __init__(self, normalisation="BN"):
        super().__init__()
        self.start = nn.Conv2d(1, 8, 3, padding=1)
        norm = nn.BatchNorm2d(8) if normalisation == "BN" else nn.GroupNorm(2, 8)
        self.block = nn.Sequential(nn.ReLU(inplace=True), nn.Conv2d(8, 8, 3, padding=1), norm)
        self.end = nn.Linear(8, 10)

    def forward(self, x):
        x = self.start(x)
        x = x + self.block(x)
        return F.log_softmax(self.end(x.mean(dim=(2, 3))), dim=-1)


class SharedPool(nn.Module):
    def __init__(self):
        super().__init__()
        self.pool = nn.MaxPool2d(2)
        self.convs = nn.ModuleList(nn.Conv2d(a, 8, 3, padding=1) for a in (1, 8, 8, 8))
        self.fc = nn.Linear(8, 10)

    def forward(self, x):
        for conv in self.convs:
            x = self.pool(F.leaky_relu(conv(x)))
        return F.log_softmax(self.fc(x.squeeze()), dim=-1)


class GhostBatchNorm(nn.BatchNorm2d):
    """Batch norm over halves of the batch, whose statistics are averaged when it is tested."""

    def __init__(self, channels):
        super().__init__(channels)
        self.register_buffer("running_mean", torch.zeros(2 * channels))
        self.register_buffer("running_var", torch.ones(2 * channels))

    def train(self, mode=True):
        if self.training and not mode:
            for name in ("running_mean", "running_var"):
                mean = getattr(self, name).view(2, -1).mean(dim=0).repeat(2)
                setattr(self, name, mean)
        return super().train(mode)

    def forward(self, x):
        n, c, h, w = x.shape
        mean, variance = self.running_mean, self.running_var
        if not self.training:
            return F.batch_norm(x, mean[:c], variance[:c], self.weight, self.bias, False)
        weights = self.weight.repeat(2), self.bias.repeat(2)
        x = F.batch_norm(x.view(-1, 2 * c, h, w), mean, variance, *weights, True)
        return x.view(n, c, h, w)


class Branches(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.other = (nn.Conv2d(1, 4, 3, stride=2, dilation=1) for _ in range(2))
        self.join = nn.Conv2d(8, 10, 1, groups=2)

    def forward(self, x):
        x = torch.cat([self.one(x), self.other(x)], dim=1)
        return F.log_softmax(F.adaptive_avg_pool2d(F.silu(self.join(x)), 1)[:, :, 0, 0], dim=1)


class OneType(nn.Module):
    """Works in float32 alone, as code with a type written into it does."""

    def __init__(self):
        super().__init__()
        self.conv, self.weight = nn.Conv2d(1, 4, 3), nn.Parameter(torch.randn(10, 2704) / 100)

    def forward(self, x):
        x = torch.empty(len(x), 2704).copy_(self.conv(x).flatten(1)) + 0
        return torch.addmm(torch.zeros(10), x, self.weight.T).log_softmax(dim=1)


def without_bias(layer):
    layer.register_parameter("bias", None)
    return layer


def lenet(inputs=(1, 6, 16)):
    a, b, c = inputs
    return Chain(
        nn.Conv2d(a, b, 5, padding=2), nn.Tanh(), nn.AvgPool2d(2), nn.Conv2d(b, c, 5), nn.Tanh(),
        nn.AvgPool2d(2), nn.Flatten(), nn.Linear(400, 84), nn.Tanh(), nn.Linear(84, 10),
    )  # fmt: skip


class Arithmetic(nn.Module):
    """A norm and a gate of one's own, in place, and a product with a matrix."""

    def __init__(self):
        super().__init__()
        self.conv, self.gate = nn.Conv2d(1, 6, 5, stride=2, padding=1), nn.Linear(6, 6)
        self.scale = nn.Parameter(torch.rand(6, 1, 1))
        self.matrix = nn.Parameter(torch.randn(6, 10))

    def forward(self, x):
        x = self.conv(F.pad(x, (1, 0, 2, 1), value=0.5))
        x = (x - x.mean(dim=1, keepdim=True)) / (x.var(dim=1, keepdim=True) + 0.1).sqrt()
        x *= self.scale
        x = x + 0.5 * F.hardtanh(x, -0.5, 0.5)
        x += 1
        x = x * torch.sigmoid(self.gate(x.mean(dim=(2, 3))))[:, :, None, None]
        x = torch.maximum(x, 0.1 * x).amax(dim=(2, 3)) @ self.matrix + 0.5
        return x - x.exp().sum(dim=1, keepdim=True).log()


class Tokens(nn.Module):
    """Attention over the rows of an image, with a token and positions of its own."""

    def __init__(self):
        super().__init__()
        self.token = nn.Parameter(torch.randn(1, 1, 8))
        self.places = nn.Parameter(torch.randn(29, 8))
        self.start, self.norm, self.end = nn.Linear(28, 8), nn.LayerNorm(8), nn.Linear(8, 10)
        self.power = nn.Parameter(torch.tensor(2.0))

    def forward(self, x):
        x = self.start(x.squeeze(1))
        x = torch.cat([self.token.expand(len(x), -1, -1), x], dim=1) + self.places
        x = self.norm(x)
        x = x + (x @ x.transpose(1, 2) / 8**0.5).softmax(dim=-1) @ x
        best, _ = x.abs().clamp(min=1e-6).pow(self.power).max(dim=1)
        return F.log_softmax(self.end(best), dim=1)


class Shuffled(nn.Module):
    """Maps in two halves, mixed as ShuffleNet does, and an attention over places by softmax."""

    def __init__(self):
        super().__init__()
        self.first, self.mixing = nn.Conv2d(1, 8, 4, stride=4), nn.Conv2d(4, 4, 3, padding=1)
        self.look, self.end = nn.Conv2d(8, 1, 1), nn.Linear(8, 10)

    def forward(self, x):
        one, other = self.first(x).chunk(2, dim=1)
        x = torch.cat([self.mixing(one).tanh(), other.flip(3)], dim=1)
        x = x.view(-1, 2, 4, 7, 7).transpose(1, 2).flatten(1, 2)
        looked = self.look(x).flatten(2).softmax(dim=2)
        return F.log_softmax(self.end((x.flatten(2) * looked).sum(dim=2)), dim=1)


NETWORKS = {
    "functional": Functional,
    "residual": Residual,
    "group norm": lambda: Residual("GN"),
    "a pool used four times": SharedPool,
    "ghost batch norm": lambda: Chain(
        nn.Conv2d(1, 8, 3),
        GhostBatchNorm(8),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 10),
    ),
    "branches": Branches,
    "one type": OneType,
    "LeNet": lenet,
    "linear layers": lambda: nn.Sequential(
        nn.Flatten(),
        nn.Linear(784, 32),
        nn.BatchNorm1d(32),
        nn.GELU(),
        nn.Linear(32, 10),
        nn.LogSoftmax(dim=1),
    ),
    "layer norm": lambda: Chain(
        nn.Conv2d(1, 8, 3, stride=3),
        nn.LayerNorm([8, 9, 9]),
        nn.Hardswish(),
        nn.AdaptiveMaxPool2d(3),
        nn.Flatten(),
        nn.Linear(72, 10),
    ),
    "blocks": lambda: Chain(
        nn.Sequential(nn.Conv2d(1, 8, 3, bias=False), nn.ReLU(), without_bias(nn.BatchNorm2d(8))),
        nn.Sequential(nn.Conv2d(8, 8, 3, groups=8), nn.PReLU(8), nn.Conv2d(8, 16, 1, groups=2)),
        nn.Sequential(nn.Conv2d(16, 10, 1), nn.Dropout2d(0.1)),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    ),
    "dilated, strided, not square": lambda: Chain(
        nn.Conv2d(1, 6, (3, 5), stride=(2, 1), padding=(0, 3), dilation=(2, 1)),
        nn.LeakyReLU(0.1),
        nn.MaxPool2d(3, stride=2, padding=1, ceil_mode=True),
        nn.Conv2d(6, 6, 2, dilation=3, padding="same"),
        nn.AvgPool2d((3, 2), stride=2, padding=1, count_include_pad=False),
        nn.Dropout(0.2),
        nn.Flatten(),
        nn.BatchNorm1d(216),
        nn.Linear(216, 10),
    ),
    "smooth": lambda: Chain(
        nn.Conv2d(1, 6, 3, padding=1, padding_mode="reflect"),
        nn.SiLU(inplace=True),
        nn.InstanceNorm2d(6, affine=True),
        nn.Conv2d(6, 6, 3, stride=3, padding=1, padding_mode="replicate"),
        nn.ELU(),
        nn.Mish(),
        nn.Softplus(),
        nn.GELU(approximate="tanh"),
        nn.Flatten(),
        nn.Linear(600, 10),
    ),
    "averages": lambda: Chain(
        nn.AvgPool2d(3, ceil_mode=True),
        nn.Conv2d(1, 4, 3, stride=4, padding=1),
        nn.AvgPool2d(2, padding=1, ceil_mode=True, count_include_pad=False),
        nn.Flatten(),
        nn.Linear(16, 10),
    ),
    "arithmetic": Arithmetic,
    "tokens": Tokens,
    "shuffled": Shuffled,
}
