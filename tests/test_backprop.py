"""The numpy core, judged by torch's autograd and by central differences."""

import contextlib
import csv
import io
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
from backprop.expression import Expression, LaTeX, MathML, Plain
from backprop.network import (
    COLUMNS,
    GRADIENTS,
    LEARNING_RATES,
    WEIGHTS,
    Problem,
    descend,
    evaluate,
)
from backprop.pictures import draw_curves
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
    hidden = torch.sigmoid(
        weights[:4].view(2, 2) @ torch.tensor(problem.inputs, dtype=torch.float64)
    )
    output = torch.sigmoid(weights[4:].view(2, 2) @ hidden)
    targets = torch.tensor(problem.targets, dtype=torch.float64)
    return 0.5 * ((targets - output) ** 2).sum()


@given(problems)
@settings(max_examples=200, deadline=None)
def test_gradients_are_those_of_autograd(problem):
    weights = torch.tensor(problem.weights, dtype=torch.float64, requires_grad=True)
    error = total_error(problem, weights)
    error.backward()
    row = evaluate(problem.given())
    assert row["E_total"] == pytest.approx(error.item(), rel=1e-12)
    # Where the two paths of a first weight cancel, only the size of the terms counts.
    np.testing.assert_allclose(
        [row[name] for name in GRADIENTS], weights.grad.numpy(), rtol=1e-12, atol=1e-15
    )


@given(problems)
@settings(max_examples=50, deadline=None)
def test_gradients_are_central_differences(problem):
    row = evaluate(problem.given())
    step = 1e-5
    for weight, name in zip(WEIGHTS, GRADIENTS, strict=True):
        here = problem.given()
        above = evaluate(here | {weight: here[weight] + step})["E_total"]
        below = evaluate(here | {weight: here[weight] - step})["E_total"]
        assert row[name] == pytest.approx((above - below) / (2 * step), rel=1e-5, abs=1e-9)


@given(problems, st.floats(0.01, 5))
@settings(max_examples=30, deadline=None)
def test_descent_is_that_of_torch(problem, learning_rate):
    weights = torch.tensor(problem.weights, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.SGD([weights], lr=learning_rate)
    for row in descend(problem, learning_rate, 5):
        named = dict(zip(COLUMNS, row, strict=True))
        np.testing.assert_allclose(
            [named[weight] for weight in WEIGHTS], weights.detach(), rtol=1e-10, atol=1e-13
        )
        optimizer.zero_grad()
        total_error(problem, weights).backward()
        optimizer.step()


def test_the_known_start():
    assert evaluate(Problem().given())["E_total"] == pytest.approx(0.014181377937891659, rel=1e-15)


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


def test_every_notation_writes_fractions_powers_and_numbers_as_it_does():
    def formula(notation):
        a, b = (notation(notation.symbol(name)) for name in ("a_h1", "∂E/∂w1"))
        return (0.5 * (a - b) ** 2 / (1 + np.exp(-a))).text

    assert formula(Plain) == "½·(a_h1 − ∂E/∂w1)²/(1 + e^(−a_h1))"
    numerator = r"\frac{1}{2} \cdot (a_{h1} - \frac{\partial E}{\partial w_{1}})^{2}"
    assert formula(LaTeX) == rf"\frac{{{numerator}}}{{1 + e^{{-a_{{h1}}}}}}"
    a = "<msub><mi>a</mi><mrow><mi>h</mi><mn>1</mn></mrow></msub>"
    assert MathML.symbol("a_h1") == a
    assert (1 / (1 + np.exp(-MathML(a)))).text == (
        "<mfrac><mrow><mn>1</mn></mrow><mrow><mn>1</mn><mo>+</mo>"
        f"<msup><mi>e</mi><mrow><mo>−</mo>{a}</mrow></msup></mrow></mfrac>"
    )


# --- Command line -------------------------------------------------------------------------


def test_trace_prints_the_table_in_full_precision(capsys):
    main(["trace", "--learning-rate", "0.8", "--steps", "12"])
    rows = list(csv.reader(io.StringIO(capsys.readouterr().out)))
    assert tuple(rows[0]) == COLUMNS
    np.testing.assert_array_equal(np.array(rows[1:], float), descend(Problem(), 0.8, 12))


def test_trace_takes_another_problem(capsys):
    main(["trace", "--steps", "0", "--targets", "0.01", "0.99", "--weights", *"12345678"])
    row = dict(csv.DictReader(io.StringIO(capsys.readouterr().out)).__next__())
    assert (row["t1"], row["t2"], row["w1"], row["w8"]) == ("0.01", "0.99", "1.0", "8.0")


@pytest.mark.parametrize("weight", WEIGHTS)
def test_explain_ends_at_the_numbers_of_the_table(weight, capsys):
    main(["explain", weight, "--step", "3", "--learning-rate", "0.8"])
    text = capsys.readouterr().out
    here, after = (dict(zip(COLUMNS, r, strict=True)) for r in descend(Problem(), 0.8, 4)[3:])
    assert f"= {float(here[f'∂E/∂{weight}'])!r}" in text
    assert text.rstrip().endswith(f"= {float(after[weight])!r}")
    assert ("two outputs" in text or "both outputs" in text) == (weight in WEIGHTS[:4])


def test_explain_multiplies_the_factors_it_shows(capsys):
    main(["explain", "w6"])
    lines = capsys.readouterr().out.splitlines()
    start = lines.index("Factor by factor") + 1
    factors = [float(line.split(" = ")[-1]) for line in lines[start : start + 3]]
    assert np.prod(factors) == pytest.approx(0.012976084910698517, rel=1e-8)


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


def test_an_unwritable_folder_is_named(tmp_path, capsys):
    (tmp_path / "file").touch()
    words = ["--learning-rates", "0.3", "--steps", "5", "--out", str(tmp_path / "file" / "x")]
    assert main(words) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "cannot write" in error


@pytest.mark.parametrize(
    "words", [["build", "--out", "out", "--learning-rates", "0.5"], ["trace", "--learning-rate"]]
)
def test_an_overflow_is_told_with_its_rate_and_step(words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main([*words, "1e300", "--targets", "1e10", "0.5"]) == 2
    printed, error = capsys.readouterr()
    assert printed == ""
    assert error.count("\n") == 1
    assert "at step 1 with learning rate 1e+300" in error
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", [["explain", "w1"], ["explain", "η9"]])
def test_every_letter_is_printed_under_a_windows_code_page(words):
    command = [sys.executable, "-m", "backprop", *words]
    environment = os.environ | {"PYTHONIOENCODING": "cp1252"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=False)
    assert done.returncode == (0 if words[1] == "w1" else 2)
    letter = "∂E/∂w1" if words[1] == "w1" else "η9"
    assert letter in (done.stdout + done.stderr).decode("utf-8")


# --- Build --------------------------------------------------------------------------------


def pictures(rates):
    curves = [f"Loss_Graph_LR{str(float(rate)).replace('.', '_')}.png" for rate in rates]
    return {"Back_Propogation_Img.png", *curves, "Loss_Graph_All.png"}


OWN_RATES = ["--learning-rates", "0.3", "2", "--steps", "5"]
OWN_FILES = {"Back_Propagation.xlsx", "Exercise.xlsx", "Back_Propagation.html", *pictures([0.3, 2])}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The folder of a build with rates and steps of one's own."""
    folder = tmp_path_factory.mktemp("built")
    assert main([*OWN_RATES, "--out", str(folder)]) == 0
    return folder


def test_build_writes_every_file_and_none_is_blank(built):
    assert {file.name for file in built.iterdir()} == OWN_FILES
    for file in built.glob("*.png"):
        pixels = matplotlib.image.imread(file)
        assert min(pixels.shape[:2]) > 300
        assert pixels[..., :3].std() > 0.05


@pytest.fixture(scope="module")
def built_again(tmp_path_factory):
    """The same build where nothing says where to; gives its folder and what it printed."""
    folder = tmp_path_factory.mktemp("built-again")
    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(printed):
        patch.chdir(folder)
        assert main(OWN_RATES) == 0
    return folder, printed.getvalue().splitlines()


def test_a_build_of_ones_own_does_not_touch_tracked_files(built_again):
    folder, printed = built_again
    assert printed[0] == "runs/backprop/Back_Propagation.xlsx"
    assert set(printed) == {f"runs/backprop/{name}" for name in OWN_FILES}
    assert {file.name for file in folder.rglob("*.*")} == OWN_FILES


def test_build_repeats_byte_for_byte(built, built_again):
    folder, printed = built_again
    for name in printed:
        file = folder / name
        assert file.read_bytes() == (built / file.name).read_bytes(), name


@pytest.mark.parametrize("count", [4, 5, 7])
def test_no_empty_plot_is_left_for_any_number_of_rates(count, tmp_path, monkeypatch):
    figures = []
    monkeypatch.setattr("backprop.pictures.png_bytes", lambda it: figures.append(it) or b"")
    draw_curves(tmp_path, Problem(), [0.1 * index for index in range(1, count + 1)], 2)
    drawn = [ax for ax in figures[-1].axes if ax.axison]
    assert len(drawn) == count
    assert all(ax.lines for ax in drawn)


def test_the_tracked_pictures_have_their_names():
    for name in pictures(LEARNING_RATES):
        assert (ROOT / "Test_Images" / name).is_file()
    for ending in (".xlsx", ".html"):
        assert (ROOT / "backprop" / f"Back_Propagation{ending}").is_file()
