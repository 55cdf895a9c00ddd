"""The network: its parameters, shapes, receptive fields and dropout."""

import pytest
import torch

from model import Dropout, Net

TABLE = """\
----------------------------------------------------------------
        Layer (type)               Output Shape         Param #
================================================================
            Conv2d-1           [-1, 16, 28, 28]             160
              ReLU-2           [-1, 16, 28, 28]               0
       BatchNorm2d-3           [-1, 16, 28, 28]              32
            Conv2d-4           [-1, 32, 28, 28]           4,640
              ReLU-5           [-1, 32, 28, 28]               0
       BatchNorm2d-6           [-1, 32, 28, 28]              64
         MaxPool2d-7           [-1, 32, 14, 14]               0
            Conv2d-8            [-1, 8, 14, 14]             264
           Dropout-9            [-1, 8, 14, 14]               0
           Conv2d-10           [-1, 16, 12, 12]           1,168
             ReLU-11           [-1, 16, 12, 12]               0
      BatchNorm2d-12           [-1, 16, 12, 12]              32
           Conv2d-13           [-1, 32, 10, 10]           4,640
             ReLU-14           [-1, 32, 10, 10]               0
      BatchNorm2d-15           [-1, 32, 10, 10]              64
           Conv2d-16            [-1, 8, 10, 10]             264
          Dropout-17            [-1, 8, 10, 10]               0
           Conv2d-18             [-1, 16, 8, 8]           1,168
             ReLU-19             [-1, 16, 8, 8]               0
           Conv2d-20             [-1, 32, 6, 6]           4,640
             ReLU-21             [-1, 32, 6, 6]               0
           Conv2d-22             [-1, 10, 6, 6]             330
        AvgPool2d-23             [-1, 10, 1, 1]               0
================================================================
Total params: 17,466
Trainable params: 17,466
Non-trainable params: 0
----------------------------------------------------------------
Input size (MB): 0.00
Forward/backward pass size (MB): 1.11
Params size (MB): 0.07
Estimated Total Size (MB): 1.18
----------------------------------------------------------------
"""


def test_summary_is_the_table(capsys):
    Net().summary()
    assert capsys.readouterr().out == TABLE


def test_parameter_count():
    assert sum(parameter.numel() for parameter in Net().parameters()) == 17_466


@pytest.mark.parametrize("training", [True, False])
def test_summary_leaves_no_trace(training, capsys):
    net = Net().train(training)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    random_state = torch.get_rng_state()
    net.summary()
    assert torch.equal(torch.get_rng_state(), random_state)
    assert all(module.training is training for module in net.modules())
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
    assert not any(module._forward_hooks for module in net.modules())


def test_summary_runs_on_a_copy_on_the_cpu_whatever_the_device(monkeypatch):
    runs = []
    monkeypatch.setattr("model.summary", lambda *args, **kwargs: runs.append((args, kwargs)))
    net = Net()
    net.summary()
    (copied, shape), options = runs[0]
    assert copied is not net
    assert shape == (1, 28, 28)
    assert options == {"device": "cpu"}


def test_forward_gives_log_probabilities():
    log_probabilities = Net()(torch.randn(5, 1, 28, 28))
    assert log_probabilities.shape == (5, 10)
    torch.testing.assert_close(log_probabilities.exp().sum(dim=1), torch.ones(5))


@pytest.mark.parametrize("shape", [(28, 28), (1, 28, 28), (2, 3, 28, 28), (2, 1, 32, 32), (2, 784)])
def test_forward_names_the_shape_it_cannot_take(shape):
    with pytest.raises(ValueError, match=r"\(N, 1, 28, 28\)") as error:
        Net()(torch.zeros(shape))
    assert str(tuple(shape)) in str(error.value)


@pytest.mark.parametrize("dropout", [-0.1, 1.5])
def test_dropout_is_a_probability(dropout):
    with pytest.raises(ValueError, match="dropout"):
        Net(dropout)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("probability", [0.0, 0.3, 0.9, 0.999999, 1.0])
def test_dropout_zeroes_its_share_everywhere_and_scales_up_the_rest(probability, layout):
    torch.manual_seed(0)
    ones = torch.ones(1000, 4, 5, 7).to(memory_format=layout).requires_grad_()
    output = Dropout(probability)(ones)
    assert output.is_contiguous(memory_format=layout)
    kept = output != 0
    torch.testing.assert_close(output[kept] * (1 - probability), torch.ones(int(kept.sum())))
    # 1,000 draws at each of 140 places: five standard deviations of a share, or two draws.
    bound = max(5 * (probability * (1 - probability) / 1000) ** 0.5, 0.0021)
    assert (kept.float().mean(dim=0) - (1 - probability)).abs().max() < bound
    output.sum().backward()
    assert torch.equal(ones.grad, output)


def test_dropout_decides_for_each_activation_by_itself():
    """Also for the four that share a random number."""
    torch.manual_seed(0)
    kept = (Dropout(0.5)(torch.ones(40_000, 8, 1, 1)) != 0).double().flatten(start_dim=1)
    together = torch.corrcoef(kept.T) - torch.eye(8)
    assert together.abs().max() < 0.025  # five standard deviations, 1/sqrt(40,000) each


def test_dropout_is_another_one_each_time_and_the_same_by_seed():
    ones, dropout = torch.ones(8, 2, 3, 3), Dropout(0.5)
    torch.manual_seed(3)
    first, second = dropout(ones), dropout(ones)
    torch.manual_seed(3)
    assert torch.equal(dropout(ones), first)
    assert not torch.equal(first, second)
    assert dropout.eval()(ones) is ones


def test_dropout_takes_any_count_of_activations():
    for count in range(1, 9):
        assert Dropout(0.5)(torch.ones(1, count, 1, 1)).shape == (1, count, 1, 1)


@pytest.mark.parametrize(("block", "size"), [("edges", 5), ("strokes", 14)])
def test_receptive_fields_are_those_of_the_comments(block, size):
    """A pixel matters to the middle of a map exactly where the receptive field says so."""
    torch.manual_seed(0)
    net = Net().eval().double()
    outputs = {}
    getattr(net, block).register_forward_hook(lambda _, __, output: outputs.update(map=output))
    image = torch.rand(1, 1, 28, 28, dtype=torch.float64, requires_grad=True)
    net(image)
    middle = outputs["map"].shape[-1] // 2
    outputs["map"][0, :, middle, middle].sum().backward()
    rows = image.grad[0, 0].abs().sum(dim=1).nonzero()
    assert rows.max() - rows.min() + 1 == size
