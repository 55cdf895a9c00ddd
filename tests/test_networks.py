"""Networks of other people's kinds: each goes through the notebook's steps, or is told why not."""

import threading

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

import utils
from common import UserError
from mnist import plots
from mnist.history import read_runs, table
from mnist.notebook import attempt
from mnist.page import write_page
from mnist.photo import classify
from mnist.receptive_field import trace
from model import Net
from tests.digits import CPU, TrainingRun
from tests.networks import NETWORKS, Chain, Functional, Gives, Residual, lenet


@pytest.mark.parametrize("name", NETWORKS)
def test_each_network_is_summarised_trained_judged_and_in_the_table(
    name, small_mnist, tmp_path, capsys
):
    run = TrainingRun(small_mnist, tmp_path, epochs=2)
    torch.manual_seed(0)
    run.use(NETWORKS[name]())
    run.settings["precision"] = "auto"
    utils.summarise(run.model)
    assert trace(run.model, (4, 1, 28, 28))  # one type: in float32
    history = run.fit()
    assert history[-1].train_loss < history[0].train_loss
    predictions = utils.predict(run.model, CPU, run.test_loader)
    plots.mistakes(predictions)
    plots.confusion_matrix(predictions)
    write_page(tmp_path / "page.html", run.model, run.test_loader.dataset, predictions[2])
    count = sum(parameter.numel() for parameter in run.model.parameters())
    assert f" {count:,} " in table(read_runs(tmp_path))


def test_torchvision_s_mnist_in_a_plain_loader_goes_through_all_steps(
    small_mnist, tmp_path, capsys
):
    normal = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.13,), (0.31,))])
    data = datasets.MNIST(small_mnist, transform=normal)
    tested = datasets.MNIST(small_mnist, train=False, transform=normal)
    run = TrainingRun(small_mnist, tmp_path)
    run.train_loader = DataLoader(data, batch_size=50, shuffle=True)
    run.test_loader = DataLoader(tested, batch_size=50)
    run.fit()
    predictions = utils.predict(run.model, CPU, run.test_loader)
    assert torch.equal(predictions.labels, tested.targets)
    figures = plots.train_samples(data), plots.mistakes(predictions)
    assert all(figure.axes for figure in figures)
    probabilities = classify(run.model, CPU, normal, tested.data[:1])
    torch.testing.assert_close(probabilities, predictions.log_probabilities[0].exp())
    capsys.readouterr()
    with attempt("The page"):
        write_page(tmp_path / "page.html", run.model, tested, predictions.log_probabilities)
    assert "only the images that utils.load_mnist gives" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("model", "channels_last"),
    [(Functional(), False), (Residual(), True), (Residual("GN"), True), (lenet(), True)],
)
def test_channels_last_only_where_a_network_runs_with_it(model, channels_last, capsys):
    prepared = utils.prepare(model, CPU)
    convolution = next(
        weight for weight in prepared.parameters() if weight.ndim == 4 and weight.shape[1] > 1
    )
    assert convolution.is_contiguous(memory_format=torch.channels_last) is channels_last
    assert ("channels last" in capsys.readouterr().out) is channels_last


class Looks(nn.Module):
    """Answers otherwise where it sees its maps in channels-last order."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 10, 3)

    def forward(self, x):
        x = self.conv(x)
        sign = 1 if x.is_contiguous() else -1
        return F.log_softmax(sign * x.mean(dim=(2, 3)), dim=1)


def test_channels_last_only_where_a_network_answers_the_same(capsys):
    utils.prepare(Looks(), CPU)
    assert "default memory order" in capsys.readouterr().out


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    "look",
    [
        lambda model, images, path: utils.prepare(model, CPU),
        lambda model, images, path: utils.summarise(model),
        lambda model, images, path: trace(model, (4, 1, 28, 28)),
        lambda model, images, path: write_page(path, model, images, torch.zeros(len(images), 10)),
    ],
    ids=["prepare", "summarise", "trace", "write_page"],
)
def test_a_look_leaves_no_trace(look, training, images, tmp_path):
    model = NETWORKS["blocks"]().train(training)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.get_rng_state()
    look(model, images, tmp_path / "page.html")
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)
    assert not any(module._forward_hooks for module in model.modules())
    assert all(module.training is training for module in model.modules())


def of_wrong_size(x):
    return x @ torch.ones(9, 9)


@pytest.mark.parametrize(
    ("end", "told"),
    [
        (lambda x: x, r"other numbers of shape \(16, 10\)"),
        (lambda x: x.softmax(1), r"other numbers of shape \(16, 10\)"),
        (lambda x: x.log_softmax(0), r"other numbers of shape \(16, 10\)"),
        (lambda x: x.log_softmax(1) / 0, r"other numbers of shape \(16, 10\)"),
        (lambda x: (x.log_softmax(1), x), "a tuple"),
        (lambda x: {"logits": x}, "a dict"),
        (lambda x: x.log_softmax(1)[:, :9], r"other numbers of shape \(16, 9\)"),
    ],
)
def test_other_answers_are_named_before_training_with_what_to_write(end, told):
    with pytest.raises(
        UserError, match=rf"log-probabilities .*, and gives {told}: end forward with F"
    ):
        utils.prepare(Gives(end), CPU)


def test_answers_in_training_count_too():
    model = Gives(None)
    model.end = lambda x: (x.log_softmax(1),) if model.training else x.log_softmax(1)
    with pytest.raises(UserError, match="and gives a tuple: end"):
        utils.prepare(model, CPU)


def test_layers_whose_shapes_come_with_the_first_images_get_them():
    model = Chain(nn.Conv2d(1, 4, 5), nn.Flatten(), nn.LazyLinear(10))
    utils.prepare(model, CPU)
    assert model[2].weight.shape == (10, 2304)
    assert model.training


def test_errors_of_a_network_pass_as_they_are():
    with pytest.raises(RuntimeError):
        utils.prepare(Gives(of_wrong_size), CPU)
    lenet = Chain(nn.Conv2d(1, 6, 5), nn.MaxPool2d(4), nn.Flatten(), nn.Linear(294, 10))
    with pytest.raises(RuntimeError):
        utils.prepare(lenet, CPU)
    assert utils.prepare(lenet, CPU, (1, 32, 32)) is lenet


class Holding(Chain):
    """Holds the tensor of a graph, weights made anew in every pass, and a lock."""

    def __init__(self):
        normed = torch.nn.utils.weight_norm(nn.Conv2d(1, 4, 5))
        super().__init__(normed, nn.Flatten(), nn.Linear(2304, 10))
        self.lock = threading.Lock()

    def forward(self, x):
        self.last = {"answers": super().forward(x)}
        return self.last["answers"]


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_networks_that_hold_what_cannot_be_copied_are_trained_and_seen(small_mnist, tmp_path):
    run = TrainingRun(small_mnist, tmp_path)
    run.use(Holding())
    assert len(run.fit()) == 1
    utils.summarise(run.model)
    locked = NETWORKS["blocks"]()
    locked.lock = threading.Lock()
    assert trace(locked, (4, 1, 28, 28))
    log_probabilities = torch.zeros(len(run.test_loader.dataset), 10)
    write_page(tmp_path / "page.html", locked, run.test_loader.dataset, log_probabilities)


def minding_autocast(x):
    assert not torch.is_autocast_enabled("cpu")
    return x


@pytest.mark.parametrize(
    ("model", "precision"),
    [
        (lenet(), "bfloat16"),
        (Gives(lambda x: torch.dot(x[0], torch.ones(10)) + x), "float32"),  # of two types
        (Gives(minding_autocast), "float32"),
    ],
)
def test_bfloat16_only_where_a_network_runs_in_it(model, precision, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": True}, raising=False)
    assert utils.fastest_precision(model, torch.rand(8, 1, 28, 28)) == precision


@pytest.mark.parametrize(
    ("abilities", "expected"),
    [
        ({"avx512_bf16": True, "amx_bf16": False}, "bfloat16"),
        ({"amx_bf16": True}, "bfloat16"),
        ({"avx512_bf16": False}, "float32"),
        (None, "float32"),
    ],
)
def test_bfloat16_where_the_processor_computes_in_it(abilities, expected, monkeypatch):
    if abilities is None:  # an older PyTorch
        monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    else:
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: abilities, raising=False)
    assert utils.fastest_precision(Net(), torch.rand(4, 1, 28, 28)) == expected
    assert utils.fastest_precision(Net(), torch.rand(4, 1, 28, 28, device="meta")) == "float32"
