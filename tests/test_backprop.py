"""The numpy core, judged by torch's autograd, and the command line."""

import csv
import os
import subprocess
import sys

import matplotlib.image
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from backprop.__main__ import main
from backprop.expression import Expression
from backprop.network import COLUMNS, GRADIENTS, WEIGHTS, Problem, descend, evaluate
from backprop.write.pictures import draw_curves
from tests.digits import ROOT

numbers = st.floats(-3, 3)
problems = st.builds(
    Problem,
    inputs=st.tuples(numbers, numbers),
    targets=st.tuples(numbers, numbers),
    weights=st.tuples(*[numbers] * 8),
)


def total_error(problem, weights):
    """The exercise in torch, in matrix form: independent of the columns under test."""
    inputs, targets = torch.tensor([problem.inputs, problem.targets], dtype=torch.float64)
    hidden = torch.sigmoid(weights[:4].view(2, 2) @ inputs)
    output = torch.sigmoid(weights[4:].view(2, 2) @ hidden)
    return 0.5 * ((targets - output) ** 2).sum()


@given(problems, st.floats(0.01, 5))
@settings(max_examples=100, deadline=None)
def test_errors_gradients_and_weights_of_the_descent_are_those_of_torch(problem, learning_rate):
    weights = torch.tensor(problem.weights, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.SGD([weights], lr=learning_rate)
    for row in descend(problem, learning_rate, 5):
        named = dict(zip(COLUMNS, row, strict=True))
        optimizer.zero_grad()
        error = total_error(problem, weights)
        error.backward()
        # Where the two paths of a first weight cancel, only the size of the terms counts.
        for columns, right in (
            (["E_total"], error.view(1)), (GRADIENTS, weights.grad), (WEIGHTS, weights)
        ):  # fmt: skip
            values = [named[column] for column in columns]
            np.testing.assert_allclose(values, right.detach(), rtol=1e-10, atol=1e-13)
        optimizer.step()


def test_the_table_has_its_31_columns():
    assert " ".join(COLUMNS) == (
        "t1 t2 i1 i2 w1 w2 w3 w4 h1 a_h1 h2 a_h2 w5 w6 w7 w8 o1 a_o1 o2 a_o2 E1 E2 E_total "
        "∂E/∂w1 ∂E/∂w2 ∂E/∂w3 ∂E/∂w4 ∂E/∂w5 ∂E/∂w6 ∂E/∂w7 ∂E/∂w8"
    )
    assert descend(Problem(), 0.5, 7).shape == (8, 31)


@pytest.mark.filterwarnings("error")
def test_huge_weights_saturate_without_a_warning():
    row = evaluate(Problem(weights=(-1e5,) * 8).given())
    assert row["a_h1"] == 0
    assert row["E_total"] == 0


def test_expressions_have_the_brackets_they_need_and_no_more():
    a, b, c = (Expression(name) for name in "abc")
    assert (a - (b - c)).text == "a-(b-c)"
    assert (a - b - c).text == "a-b-c"
    assert (a * (b + c)).text == "a*(b+c)"
    assert (a * b + c).text == "a*b+c"
    assert (0.5 * (a - b) ** 2).text == "0.5*(a-b)^2"
    assert (1 / (1 + np.exp(-(a + b)))).text == "1/(1+EXP(-(a+b)))"
    assert (1 / (a * b)).text == "1/(a*b)"


# --- Command line -------------------------------------------------------------------------


def test_trace_prints_the_table_of_a_problem_in_full_precision(capsys):
    words = ["--inputs", "0.9", "-0.4", "--targets", "0.01", "0.99", "--weights", *"12345678"]
    main(["trace", "--learning-rate", "0.8", "--steps", "12", *words])
    header, *rows = csv.reader(capsys.readouterr().out.splitlines())
    assert tuple(header) == COLUMNS
    problem = Problem((0.9, -0.4), (0.01, 0.99), tuple(range(1, 9)))
    np.testing.assert_array_equal(np.array(rows, float), descend(problem, 0.8, 12))


@pytest.mark.parametrize("weight", WEIGHTS)
def test_explain_multiplies_to_the_gradient_and_ends_at_the_weight_of_the_table(weight, capsys):
    main(["explain", weight, "--step", "3", "--learning-rate", "0.8"])
    text = capsys.readouterr().out
    here, after = (dict(zip(COLUMNS, r, strict=True)) for r in descend(Problem(), 0.8, 4)[3:])
    gradient = float(here[f"∂E/∂{weight}"])
    lines = text.splitlines()
    start = lines.index("Factor by factor") + 1
    factors = [float(line.split(" = ")[-1].split()[0]) for line in lines[start : start + 3]]
    assert np.prod(factors) == pytest.approx(gradient, rel=1e-8)
    assert f"= {gradient!r}" in text
    assert text.endswith(f"= {float(after[weight])!r}\n")
    assert ("both outputs" in text) == (weight in WEIGHTS[:4])


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["explain", "w9"], "w9"),
        (["trace", "--steps", "-1"], "--steps: -1"),
        (["trace", "--steps", "ten"], "ten"),
        (["trace", "--learning-rate", "0"], "--learning-rate"),
        (["build", "--weights", "1", "2"], "--weights"),
        (["build", "--inputs", "nan", "1"], "nan"),
        (["build", "--learning-rates", "1", "1.0"], "--learning-rates"),
        (["build", "--steps", "0"], "--steps"),
        (["polish"], "polish"),
    ],
)
def test_bad_options_are_named(words, complaint, capsys):
    with pytest.raises(SystemExit) as exit_:
        main(words)
    assert exit_.value.code == 2
    assert complaint in capsys.readouterr().err.splitlines()[-1]


OVERFLOW = ["1e300", "--targets", "1e10", "0.5"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--learning-rates", "0.3", "--steps", "5", "--out", "file/x"], "cannot write"),
        (["--out", "out", "--learning-rates", *OVERFLOW], "at step 1 with learning rate 1e+300"),
        (["trace", "--learning-rate", *OVERFLOW], "at step 1 with learning rate 1e+300"),
    ],
)
def test_a_failure_is_told_in_one_line_and_nothing_is_written(
    words, told, capsys, tmp_path, monkeypatch
):
    (tmp_path / "file").touch()
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    printed, error = capsys.readouterr()
    assert (printed, error.count("\n")) == ("", 1)
    assert told in error
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("words", [["explain", "w1"], ["explain", "η9"]])
def test_every_letter_is_printed_under_a_windows_code_page(words):
    command = [sys.executable, "-m", "backprop", *words]
    environment = os.environ | {"PYTHONIOENCODING": "cp1252"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, timeout=300)
    assert done.returncode == (0 if words[1] == "w1" else 2)
    letter = "∂E/∂w1" if words[1] == "w1" else "η9"
    assert letter in (done.stdout + done.stderr).decode("utf-8")


# --- Build --------------------------------------------------------------------------------


OWN_NUMBERS = ["--targets", "0.01", "0.99", "--steps", "5"]
FILES = {
    *("Back_Propagation.xlsx", "Exercise.xlsx", "Back_Propagation.html", "Loss_Graph_All.png"),
    *("Loss_Graph_LR0_3.png", "Loss_Graph_LR2_0.png", "Back_Propogation_Img.png"),
}


def test_a_build_of_ones_own_is_complete_and_repeats_byte_for_byte(tmp_path, monkeypatch, capsys):
    """Where nothing says where to, it does not touch tracked files."""
    monkeypatch.chdir(tmp_path)
    words = ["--learning-rates", "0.3", "2", *OWN_NUMBERS]
    assert main([*words, "--out", "mine"]) == 0
    capsys.readouterr()
    assert main(words) == 0
    assert {*capsys.readouterr().out.split()} == {f"runs/backprop/{name}" for name in FILES}
    assert {file.name for file in tmp_path.rglob("*.*")} == FILES
    for name in FILES:
        file = tmp_path / "mine" / name
        assert file.read_bytes() == (tmp_path / "runs" / "backprop" / name).read_bytes(), name
        if file.suffix == ".png":
            pixels = matplotlib.image.imread(file)
            assert min(pixels.shape[:2]) > 300
            assert pixels[..., :3].std() > 0.05
    assert main(["check", "mine/Back_Propagation.xlsx", *OWN_NUMBERS]) == 0
    page = (tmp_path / "mine" / "Back_Propagation.html").read_text(encoding="utf-8")
    assert '"t1": 0.01,\n"t2": 0.99,\n' in page
    assert "const STEPS = 5;" in page


@pytest.mark.parametrize("count", [4, 5, 7])
def test_no_empty_plot_is_left_for_any_number_of_rates(count, tmp_path, monkeypatch):
    figures = []
    monkeypatch.setattr(
        "backprop.write.pictures.png_bytes", lambda figure: figures.append(figure) or b""
    )
    draw_curves(tmp_path, Problem(), [0.1 * index for index in range(1, count + 1)], 2)
    drawn = [ax for ax in figures[-1].axes if ax.axison]
    assert len(drawn) == count
    assert all(ax.lines for ax in drawn)
