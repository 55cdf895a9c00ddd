"""Device, data, network and training: what S6.ipynb calls; and what appears in its cells."""

import re
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from torch import nn
from torch.optim import lr_scheduler
from torchvision.transforms import Compose, ToTensor, v2

import utils
from common import UserError
from common.figures import png_bytes
from mnist import notebook
from mnist.history import read_history
from model import Net
from tests.digits import CPU, TRAIN_COUNT
from tests.networks import Gives
from utils import ImageBatches


def identity(images):
    return images


@pytest.fixture
def data(small_mnist):
    """Training and test images as they are, uint8."""
    return utils.load_mnist(small_mnist, CPU, identity, identity)


NUMBERED = ImageBatches(torch.arange(100).view(100, 1, 1, 1), torch.arange(100) % 10, identity)


def epoch_of(loader):
    """The numbers of the images that an epoch visits, batch by batch."""
    return [images.flatten().tolist() for images, _ in loader]


# --- Device -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cuda", "mps", "expected"),
    [(True, True, "cuda"), (True, False, "cuda"), (False, True, "mps"), (False, False, "cpu")],
)
def test_device_order_and_only_a_cpu_keeps_its_memory(cuda, mps, expected, monkeypatch):
    kept = []
    monkeypatch.setattr(utils, "keep_freed_memory", lambda: kept.append("memory"))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert utils.choose_device() == torch.device(expected)
    assert kept == ["memory"] * (expected == "cpu")


@pytest.mark.parametrize("library", [object(), OSError("no such library")])
def test_keeping_memory_is_harmless_without_glibc(library, monkeypatch):
    def load(name):
        if isinstance(library, OSError):
            raise library
        return library

    monkeypatch.setattr(utils.ctypes, "CDLL", load)
    utils.keep_freed_memory()


# --- Data ---------------------------------------------------------------------------------


def test_an_epoch_has_every_image_once_with_its_label_the_last_batch_short():
    batches = list(utils.make_loader(NUMBERED, 32, shuffle_seed=3))
    assert [len(labels) for _, labels in batches] == [32, 32, 32, 4]
    numbers = torch.cat([images.flatten() for images, _ in batches])
    assert sorted(numbers.tolist()) == list(range(100))
    assert torch.equal(torch.cat([labels for _, labels in batches]), numbers % 10)


def test_order_changes_with_the_epoch_and_repeats_with_the_seed():
    def two_epochs(seed):
        loader = utils.make_loader(NUMBERED, 64, shuffle_seed=seed)
        return epoch_of(loader), epoch_of(loader)

    first, second = two_epochs(3)
    assert first != second
    assert two_epochs(3) == (first, second)
    assert two_epochs(4)[0] != first


def test_without_a_seed_the_order_is_that_of_the_files():
    assert epoch_of(utils.make_loader(NUMBERED, 60)) == [[*range(60)], [*range(60, 100)]]


def test_one_image_is_given_with_its_label():
    image, label = NUMBERED[53]
    assert (image.shape, image.item(), label.item()) == ((1, 1, 1), 53, 3)


def test_validation_images_come_out_of_the_training_set(small_mnist, data):
    parts = utils.load_mnist(small_mnist, CPU, identity, identity, 100)
    assert [len(part) for part in parts] == [TRAIN_COUNT - 100, 100]
    pixels = {image.numpy().tobytes() for part in parts for image in part.images}
    assert pixels == {image.numpy().tobytes() for image in data[0].images}
    _, again = utils.load_mnist(small_mnist, CPU, identity, identity, 100)
    assert torch.equal(parts[1].images, again.images)
    with pytest.raises(UserError, match="leaves none of 600 images to train with"):
        utils.load_mnist(small_mnist, CPU, identity, identity, TRAIN_COUNT)


AFFINE = utils.RandomAffine(7.0, 0.07, 0.1, 1.4)


@pytest.mark.parametrize("name", ["train_transform", "test_transform"])
@pytest.mark.parametrize(
    "fails",
    [Compose([ToTensor(), utils.normalise]), lambda images: 1 / 0, lambda images: (images, 1)],
)
def test_a_transform_that_takes_no_batch_is_refused(fails, name, small_mnist):
    transforms = {"train_transform": identity, "test_transform": identity, name: fails}
    with pytest.raises(UserError, match=f"{name} must turn a batch.*utils.to_unit_range") as error:
        utils.load_mnist(small_mnist, CPU, **transforms)
    assert "\n" not in str(error.value)


def test_a_transform_that_works_in_place_is_tried_on_a_copy(small_mnist):
    _, plain = utils.load_mnist(small_mnist, CPU, identity, identity)
    _, data = utils.load_mnist(small_mnist, CPU, identity, lambda images: images.zero_())
    assert torch.equal(data.images, plain.images)


@pytest.mark.parametrize(
    ("transform", "warned"),
    [
        (v2.RandomAffine(20), True),
        (AFFINE, False),
        (Compose([AFFINE, utils.normalise]), False),
        (identity, False),
    ],
)
def test_a_transform_that_moves_all_images_alike_is_warned_of(
    transform, warned, small_mnist, capsys
):
    transform = Compose([utils.to_unit_range, transform])
    state = torch.get_rng_state()
    utils.load_mnist(small_mnist, CPU, transform, utils.to_unit_range)
    assert torch.equal(torch.get_rng_state(), state)
    assert ("train_transform changes all images" in capsys.readouterr().out) is warned


def test_normalise_gives_mean_0_and_deviation_1():
    black_and_white = torch.tensor([[0, 255]], dtype=torch.uint8)
    normalised = utils.normalise(utils.to_unit_range(black_and_white))
    torch.testing.assert_close(normalised * 0.3081 + 0.1307, torch.tensor([[0.0, 1.0]]))


def test_augmentation_is_per_image_and_keeps_shape_and_range(data):
    torch.manual_seed(0)
    image = utils.to_unit_range(data[0].images[:1])
    copies = image.expand(32, -1, -1, -1)
    augmented = AFFINE(copies)
    assert augmented.shape == copies.shape
    assert augmented.min() >= 0
    assert augmented.max() <= 1
    assert len({one.numpy().tobytes() for one in augmented}) == 32


ROWS, COLUMNS = torch.meshgrid(torch.arange(28) - 13.5, torch.arange(28) - 13.5, indexing="ij")
WIDTH, HEIGHT = 20, 8  # of a bar in the middle


def mean(images, amount):
    """Of an amount at each pixel, weighted by the ink."""
    return (images[:, 0] * amount).sum((1, 2)) / images.sum((1, 2, 3))


def degrees(images):
    """The angle of the axis along which the ink lies."""
    breadth = mean(images, COLUMNS**2) - mean(images, ROWS**2)
    return torch.rad2deg(torch.atan2(2 * mean(images, ROWS * COLUMNS), breadth) / 2)


@pytest.mark.parametrize(
    ("bounds", "measured"),
    [
        ({"shift": 3.0}, lambda images: mean(images, COLUMNS)),
        ({"shift": 3.0}, lambda images: mean(images, ROWS)),
        ({"rotation": 10.0}, degrees),
        ({"scale": 0.2}, lambda images: (images.sum((1, 2, 3)) / (WIDTH * HEIGHT)).sqrt() - 1),
        ({"shear": 0.1}, lambda images: mean(images, ROWS * COLUMNS) / mean(images, ROWS**2)),
    ],
    ids=["right", "down", "rotation", "scale", "shear"],
)
def test_an_image_is_moved_by_up_to_each_bound(bounds, measured):
    torch.manual_seed(0)
    bars = ((COLUMNS.abs() < WIDTH / 2) & (ROWS.abs() < HEIGHT / 2)).float()
    still = {"rotation": 0, "scale": 0, "shear": 0, "shift": 0}
    moved = utils.RandomAffine(**still | bounds)(bars.expand(400, 1, 28, 28))
    (bound,) = bounds.values()
    amounts = measured(moved) / bound
    assert [amounts.min(), amounts.max()] == pytest.approx([-1, 1], abs=0.07)
    assert amounts.mean() == pytest.approx(0, abs=0.1)


def test_a_last_batch_of_one_image_is_left_out_of_training_alone():
    """For batch norm over vectors needs two."""
    train_loader = utils.make_loader(NUMBERED, 33, shuffle_seed=0)
    assert [len(batch) for batch in epoch_of(train_loader)] == [33, 33, 33]
    assert len(train_loader) == 3
    assert [len(batch) for batch in epoch_of(utils.make_loader(NUMBERED, 33))] == [33, 33, 33, 1]


# --- Network ------------------------------------------------------------------------------


class Rows(nn.Module):
    """Reads an image row by row, moved by a parameter of its own."""

    def __init__(self, layer):
        super().__init__()
        self.layer, self.fc = layer, nn.Linear(28, 10)
        self.shift = nn.Parameter(torch.zeros(28))

    def forward(self, x):
        x = x.squeeze(1) + self.shift
        attends = isinstance(self.layer, nn.MultiheadAttention)
        given = self.layer(x, x, x) if attends else self.layer(x)
        given = given[0] if isinstance(given, tuple) else given
        return F.log_softmax(self.fc(given[:, -1]), dim=1)


@pytest.mark.parametrize(
    ("layer", "told"),
    [
        (nn.MultiheadAttention(28, 4, batch_first=True), "counts no other than weight and bias"),
        (nn.Linear(28, 28), "counts no other than weight and bias"),
        (nn.LSTM(28, 28, batch_first=True), "torchsummary fails"),
    ],
)
def test_what_torchsummary_does_not_count_is_told_and_all_is_counted(layer, told, capsys):
    model = Rows(layer)
    utils.summarise(model)
    printed = capsys.readouterr().out
    assert f"{sum(parameter.numel() for parameter in model.parameters()):,} parameters" in printed
    assert told in printed
    assert not any(module._forward_hooks for module in model.modules())


class InTesting(Gives):
    def forward(self, x):
        return super().forward(x) if self.training else self.fc(x.flatten(1))


def test_answers_in_testing_are_looked_at_too():
    with pytest.raises(UserError, match="and gives other numbers"):
        utils.prepare(InTesting(nn.LogSoftmax(dim=1)), CPU)


@pytest.mark.parametrize("training", [True, False])
def test_a_first_look_leaves_mode_and_gradients_as_they_are(training):
    model = utils.prepare(Gives(nn.LogSoftmax(dim=1)).train(training), CPU)
    assert model.training is training
    assert all(parameter.grad is None for parameter in model.parameters())


# --- Training -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("brightness", "options", "shortened"),
    [(100.0, {"clip": 2.0}, True), (0.05, {"clip": 2.0}, False), (100.0, {}, False)],
)
def test_only_a_gradient_longer_than_clip_is_shortened(brightness, options, shortened):
    """A step of plain SGD at rate 1 is the gradient, with the sign turned."""
    torch.manual_seed(0)
    images, labels = brightness * torch.rand(50, 1, 28, 28), torch.arange(50) % 10
    layer = nn.Linear(784, 10, bias=False)
    model = nn.Sequential(nn.Flatten(), layer, nn.LogSoftmax(dim=1))
    before = layer.weight.detach().clone()
    (gradient,) = torch.autograd.grad(F.nll_loss(model(images), labels), layer.weight)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    utils.train(model, CPU, [(images, labels)], optimizer, **options)
    norm = gradient.norm().item()
    assert (norm > 2) is (brightness > 1)
    expected = 2 * gradient / norm if shortened else gradient
    torch.testing.assert_close(before - layer.weight.detach(), expected, rtol=1e-3, atol=1e-7)


def after_three_steps(make):
    """A schedule, made for an optimizer, after three steps of training."""
    model = Gives(nn.LogSoftmax(dim=1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    scheduler = make(optimizer)
    batches = [(torch.rand(4, 1, 28, 28), torch.arange(4))] * 3
    utils.train(model, CPU, batches, optimizer, scheduler)
    return scheduler


@pytest.mark.parametrize(
    "make",
    [
        lambda optimizer: lr_scheduler.LambdaLR(optimizer, lambda step: 1.0),
        lambda optimizer: lr_scheduler.OneCycleLR(optimizer, 0.1, 9),
        lambda optimizer: lr_scheduler.CosineAnnealingLR(optimizer, 9),
        lambda optimizer: lr_scheduler.PolynomialLR(optimizer, 9),
    ],
)
def test_a_schedule_takes_a_step_after_each_batch(make):
    assert after_three_steps(make).last_epoch == 3


def test_a_schedule_that_needs_a_loss_is_told_where_to_step():
    with pytest.raises(UserError, match=r"call scheduler\.step\(loss\) at the end of the loop"):
        after_three_steps(lr_scheduler.ReduceLROnPlateau)


def test_bfloat16_changes_the_steps_a_little_and_leaves_the_weights_in_float32(data):
    train_data, _ = data
    train_data.transform = lambda images: utils.normalise(utils.to_unit_range(images))
    trained = {}
    for precision in (torch.float32, torch.bfloat16):
        torch.manual_seed(0)
        model = Net(0.0)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        loader = utils.make_loader(train_data, 60, shuffle_seed=0)
        loss, _ = utils.train(model, CPU, loader, optimizer, precision=precision)
        trained[precision] = loss, torch.cat([p.detach().flatten() for p in model.parameters()])
        assert {p.dtype for p in model.state_dict().values()} == {torch.float32, torch.int64}
    (loss, exact), (loss_16, rounded) = trained.values()
    assert loss_16 == pytest.approx(loss, rel=0.02)
    assert 0 < (exact - rounded).norm() / exact.norm() < 0.02


def test_the_loss_of_a_batch_is_a_mean_in_float32():
    torch.manual_seed(0)
    answers, labels = torch.randn(50, 10).log_softmax(1), torch.arange(50) % 10
    model = Gives(lambda logits: answers.bfloat16() + 0 * logits.bfloat16())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    batch = [(torch.zeros(50, 1, 28, 28), labels)]
    loss, _ = utils.train(model, CPU, batch, optimizer, precision=torch.bfloat16)
    exact = -answers.bfloat16().double()[torch.arange(50), labels].mean().item()
    assert loss == pytest.approx(exact, rel=1e-6)


def test_the_script_of_the_first_lines_trains(small_mnist, tmp_path, monkeypatch):
    script = re.search(r"```\n(.*)```", utils.__doc__, re.DOTALL)[1]
    assert script.count("\n") < 35
    monkeypatch.chdir(tmp_path)
    exec(compile(script.replace("19", "1").replace("256", "50"), "script.py", "exec"), {})
    (row,) = read_history(tmp_path / "runs" / "script" / "1" / "history.csv")
    assert row.test_accuracy > 20


def test_test_weighs_every_image_alike(data):
    """One batch of all and several with a short one must agree; so must a sum by hand."""
    _, test_data = data
    test_data.transform = lambda images: utils.normalise(utils.to_unit_range(images))
    model = Net()
    loss, accuracy = utils.test(model, CPU, utils.make_loader(test_data, 50))
    with torch.no_grad():
        log_probabilities = model(test_data.transform(test_data.images))
    assert loss == pytest.approx(F.nll_loss(log_probabilities, test_data.labels).item(), rel=1e-5)
    right = (log_probabilities.argmax(1) == test_data.labels).float().mean().item()
    assert accuracy == pytest.approx(100 * right)
    images, labels, answers = utils.predict(model, CPU, utils.make_loader(test_data, 50))
    torch.testing.assert_close(answers, log_probabilities)
    assert torch.equal(images, test_data.transform(test_data.images))
    assert torch.equal(labels, test_data.labels)


def test_a_training_that_moves_nothing_reports_what_a_test_does(data):
    _, test_data = data
    test_data.transform = lambda images: utils.normalise(utils.to_unit_range(images))
    model = nn.Sequential(nn.Flatten(), nn.Linear(784, 10), nn.LogSoftmax(1))
    loader, still = utils.make_loader(test_data, 50), torch.optim.SGD(model.parameters(), lr=0.0)
    trained = utils.train(model, CPU, loader, still)
    assert trained == pytest.approx(utils.test(model, CPU, loader), rel=1e-5)


class Remembering(nn.Module):
    """Keeps a statistic of the last images that it was tested on."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(784, 10)
        self.register_buffer("scale", torch.ones(1))

    def forward(self, images):
        if not self.training:
            self.scale = images.mean() + 1
        return F.log_softmax(self.linear(images.flatten(1)) * self.scale, dim=1)


@pytest.mark.parametrize("look", [utils.test, utils.predict])
def test_a_network_that_keeps_something_in_testing_can_be_trained_afterwards(look, data):
    for part in data:
        part.transform = utils.to_unit_range
    model = Remembering()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    look(model, CPU, utils.make_loader(data[1], 50))
    assert model.scale > 1
    utils.train(model, CPU, utils.make_loader(data[0], 300), optimizer)


@pytest.mark.parametrize(
    ("steps", "warmup", "peak"),
    [(1, 0.2, 0), (5, 0.2, 0), (100, 0.2, 19), (10, 0, 0), (10, 0.5, 4), (10, 1, 9)],
)
def test_the_rate_rises_linearly_for_a_share_of_the_steps_and_falls_to_0(steps, warmup, peak):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    (factor,) = utils.one_cycle(optimizer, steps, warmup).lr_lambdas
    factors = [factor(step) for step in range(steps + 1)]
    rise, fall = factors[: peak + 1], factors[peak + 1 :]
    assert rise == pytest.approx([(step + 1) / (peak + 1) for step in range(peak + 1)])
    assert fall[::-1] == pytest.approx(torch.linspace(0, 1, len(fall)).tolist())


def test_a_warmup_of_a_fifth_rises_as_it_always_did_for_any_number_of_steps():
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    for steps in range(1, 5001):
        (factor,) = utils.one_cycle(optimizer, steps).lr_lambdas
        assert factor(max(1, steps // 5) - 1) == 1
        assert factor(0) == 1 / max(1, steps // 5)


# --- In a notebook's cell -----------------------------------------------------------------


@pytest.fixture
def displayed(monkeypatch):
    """What is displayed; its handle adds what an output is updated to."""
    shown = []

    def display(content, **_):
        shown.append(content)
        return SimpleNamespace(update=lambda content, raw: shown.append(content))

    monkeypatch.setattr(notebook, "display", display)
    return shown


@pytest.fixture
def cell(displayed, monkeypatch):
    """What is displayed, in a notebook."""
    monkeypatch.setattr(notebook, "get_ipython", lambda: SimpleNamespace(kernel=True))
    return displayed


def test_a_figure_is_drawn_once_and_shown_as_it_is_saved(cell, tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(
        notebook, "png_bytes", lambda figure: drawn.append(figure) or png_bytes(figure)
    )
    saved, shown = Figure(), Figure(figsize=(1, 1))
    notebook.show(saved, tmp_path / "new" / "figure.png")
    notebook.show(shown)
    assert drawn == [saved, shown]
    assert (tmp_path / "new" / "figure.png").read_bytes() == png_bytes(saved)
    assert [image.data for image in cell] == [png_bytes(saved), png_bytes(shown)]


def test_outside_of_a_notebook_a_figure_is_only_saved(displayed, tmp_path):
    notebook.show(Figure(), str(tmp_path / "figure.png"))
    assert (tmp_path / "figure.png").stat().st_size > 0
    assert displayed == []


def test_the_bar_in_a_notebook_changes_one_output(cell, monkeypatch):
    with notebook.progress_bar(3) as bar:
        bar.set_description("epoch 1 of 1")
        bar.update(3)
    shown = [content["text/plain"] for content in cell]
    assert "3/3" in shown[-1]
    assert not any("\r" in line or "\n" in line for line in shown)


@pytest.mark.parametrize(
    ("error", "told"),
    [(UserError("no room"), ": no room\n"), (ValueError("a\n  b"), ": ValueError: a b\n")],
)
def test_what_fails_in_an_attempt_is_told_in_one_line_and_the_rest_goes_on(error, told, capsys):
    with notebook.attempt("The page"):
        raise error
    assert capsys.readouterr().out == f"The page could not be made{told}"


def test_a_stop_by_hand_ends_an_attempt():
    with pytest.raises(KeyboardInterrupt), notebook.attempt("The page"):
        raise KeyboardInterrupt
