"""The figures of both pages are those of the logs in `results/` and of the code."""

import csv
import re
from statistics import mean, median_low, stdev, variance

import pytest
import xlsxwriter

from backprop.derivation import derivation, sigmoid_rule
from backprop.expression import LaTeX
from backprop.network import COLUMNS, LEARNING_RATES, Problem, descend
from mnist.history import Epoch, log_line, read_history
from results import benchmark, summary, survey, verify
from tests.digits import ROOT
from tests.readme import README, RESULTS, says
from tests.sheets import COMMONEST, labelled

HISTORIES = summary.read_seeds(ROOT / "results")


def test_every_seed_ran_for_19_epochs():
    assert list(HISTORIES) == list(range(1, 11))
    for history in HISTORIES.values():
        assert [row.epoch for row in history] == list(range(1, 20))


def test_the_table_of_seeds_is_in_the_readme():
    assert summary.table(HISTORIES) in README


def test_the_quick_setting_is_in_the_readme():
    quick = summary.read_seeds(ROOT / "results" / "quick")
    classic = read_history(ROOT / "results" / "classic.csv")
    assert sorted(quick) == [1, 2, 3, 4, 5]
    assert summary.table(quick) in README
    seconds, classic_seconds = summary.race(quick, classic)
    assert says(README, f"{seconds:.0f} s", f"{classic_seconds:.0f} s")
    assert says(README, f"{classic_seconds / seconds:.1f} times")
    assert len({len(history) for history in quick.values()}) == 1
    assert f"papermill S6.ipynb runs/quick.ipynb -p epochs {len(quick[1])} " in README
    assert mean(history[-1].test_accuracy for history in quick.values()) >= summary.QUICK_ACCURACY
    reached = [row.test_accuracy >= summary.QUICK_ACCURACY for row in classic]
    assert reached == [False] * (len(classic) - 1) + [True]


def test_the_race_takes_the_mean_of_the_quick_seeds():
    def history(*seconds):
        return [Epoch(1, 0.1, 1.0, 50.0, 1.0, 50.0, each) for each in seconds]

    quick = {1: history(5, 6), 2: history(5, 4)}
    assert summary.race(quick, history(20, 24, 21)) == (10, 65)


def test_the_benchmark_is_in_both_pages():
    with open(ROOT / "results" / "benchmark.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert benchmark.table(rows) in RESULTS
    classic = next(row for row in rows if row["pipeline"] == benchmark.CLASSIC)
    assert all(says(page, f"{classic['ours_to_this']} times") for page in (README, RESULTS))
    assert says(RESULTS, f"{classic['lowest_ratio']} to {classic['highest_ratio']}")
    assert says(RESULTS, f"{benchmark.multiply_adds():,}")


def test_multiply_adds_are_counted():
    """By hand: places x weights a place, layer by layer."""
    edges = 28 * 28 * (9 * 1 * 16 + 9 * 16 * 32) + 14 * 14 * 32 * 8
    strokes = 12 * 12 * 9 * 8 * 16 + 10 * 10 * (9 * 16 * 32 + 32 * 8)
    digits = 8 * 8 * 9 * 8 * 16 + 6 * 6 * (9 * 16 * 32 + 32 * 10)
    assert benchmark.multiply_adds() == edges + strokes + digits


def test_the_table_says_what_the_logs_say():
    """By hand, on two small histories."""
    two = {}
    for seed, accuracies in ((1, (98.0, 99.5, 99.0)), (2, (98.0, 99.0, 99.2))):
        rows = zip(read_history(ROOT / "results" / "seed-1.csv"), accuracies, strict=False)
        two[seed] = [type(row)(*list(vars(row).values())[:5], a, 1.0) for row, a in rows]
    last, best = summary.table(two).splitlines()[2:]
    # 12.706: the 97.5 % point of Student's t with one degree of freedom; 99.1 ± 12.706 x 0.1.
    assert "| 99.100 ± 0.141 | 97.829 to 100.371 | 99.00 | 99.20 | 2 |" in last
    assert "| 99.350 ± 0.212 | 97.444 to 101.256 | 99.20 | 99.50 | 2 |" in best


def test_one_epoch_counts_with_every_seed():
    histories = summary.read_seeds(ROOT / "results" / "one-epoch")
    assert list(histories) == list(range(1, 11))
    assert all(len(history) == 1 for history in histories.values())
    ends = [history[0].test_accuracy for history in histories.values()]
    assert min(ends) >= 98
    for page in (README, RESULTS):
        assert says(page, f"{min(ends):.2f} to {max(ends):.2f} %")


STARTS = {
    "before": "before",
    "after": "with this initialisation",
    "he-throughout": "He initialisation throughout, gradients clipped to norm 1",
}


def start_figures(name):
    """The last rows of the runs with one start, and their means and deviations as texts."""
    histories = summary.read_seeds(ROOT / "results" / "start" / name)
    assert list(histories) == list(range(1, len(histories) + 1))
    assert all(len(history) == 19 for history in histories.values())
    rows = [history[-1] for history in histories.values()]
    columns = (("test_accuracy", 3), ("test_loss", 4), ("train_loss", 4))
    summed = []
    for column, digits in columns:
        values = [getattr(row, column) for row in rows]
        summed.append(f"{mean(values):.{digits}f} ± {stdev(values):.{digits}f}")
    return rows, summed


@pytest.mark.parametrize("name", STARTS)
def test_what_became_of_each_start_is_in_the_table(name):
    rows, summed = start_figures(name)
    seeds = ", ".join(f"{row.test_accuracy:.2f}" for row in rows)
    cells = " | ".join([f"[{STARTS[name]}](start/{name})", seeds, *summed])
    assert f"| {cells} |" in RESULTS


def test_what_the_start_costs_is_in_the_results():
    before, after = (
        [row.test_accuracy for row in start_figures(name)[0]] for name in ("before", "after")
    )
    error = (variance(before) / len(before) + variance(after) / len(after)) ** 0.5
    assert says(RESULTS, f"{mean(before) - mean(after):.3f}", f"{error:.3f}")
    assert says(RESULTS, f"{mean(before[8:13]):.3f} %", f"{mean(after[8:13]):.3f} %")


def test_the_mean_at_the_top_is_that_of_the_seeds():
    top = README.partition("##")[0]
    assert says(top, f"{mean(history[-1].test_accuracy for history in HISTORIES.values()):.3f} %")


def test_the_committed_notebook_is_seed_1():
    notebook = (ROOT / "S6.ipynb").read_text(encoding="utf-8")
    for row in HISTORIES[1]:
        assert log_line(row) in notebook
    last = HISTORIES[1][-1]
    assert says(README, f"{last.test_accuracy:.2f} %", f"{last.test_loss:.4f}")


# Of the held-out images; the older logs name them in full.
LOSS_AND_ACCURACY = {"validation_loss", "validation_accuracy", "test_loss", "test_accuracy"}


def validation_table(folder):
    """Read the table of a folder of validation logs, and hold it to them."""
    rows = re.findall(rf"\| \[([^\]]+\.csv)\]\({folder}/\1\) \| (\S+) \| (\S+) \|", RESULTS)
    logs = ROOT / "results" / folder
    assert {name for name, *_ in rows} == {file.name for file in logs.iterdir()}
    for name, *figures in rows:
        *_, last = csv.DictReader((logs / name).read_text().splitlines())
        loss, accuracy = (float(it) for key, it in last.items() if key in LOSS_AND_ACCURACY)
        assert [f"{loss:.4f}", f"{accuracy:.2f}"] == figures, name
    return {name: (float(loss), float(accuracy)) for name, loss, accuracy in rows}


def test_nothing_on_the_validation_split_beats_the_recipe_by_more_than_seeds_differ():
    loss = {name: figures[0] for name, figures in validation_table("validation").items()}
    chosen, rival = (
        (loss[f"{name}.csv"], loss[f"{name}-seed-2.csv"]) for name in ("base", "weight-decay-5e-4")
    )
    spread = max(abs(first - second) for first, second in (chosen, rival))
    assert all(sum(chosen) / 2 - value < spread for value in loss.values())


def test_weight_decay_on_the_test_set_ended_as_the_page_says():
    histories = summary.read_seeds(ROOT / "results" / "weight-decay-5e-4").values()
    assert says(RESULTS, *(f"{history[-1].test_accuracy:.2f} %" for history in histories))


def test_the_quick_setting_is_the_best_of_its_validation_table():
    chosen, *others = validation_table("quick/validation").values()
    assert all(chosen[0] < loss and chosen[1] > accuracy for loss, accuracy in others)


def test_errors_after_100_steps_are_those_of_the_readme():
    for rate in LEARNING_RATES:
        error = descend(Problem(), rate, 100)[-1, COLUMNS.index("E_total")]
        figure = re.search(rf"^\| {rate} \| (\S+) \|", README, re.MULTILINE)[1]
        assert float(figure) == pytest.approx(error, rel=2e-3)
    (start,) = descend(Problem(), 0.5, 0)
    assert says(README, f"{start[COLUMNS.index('E_total')]:.6f}")


def test_every_formula_of_the_derivation_is_in_the_readme():
    page = same_latex(README)
    lines = [sigmoid_rule(LaTeX), *(it for _, lines in derivation(LaTeX) for it in lines)]
    assert [line for line in lines if same_latex("".join(line)) not in page] == []


def same_latex(text):
    """Write LaTeX without what only spaces it, and with no more braces than it needs."""
    text = re.sub(r"\\[td]frac", r"\\frac", text.replace("w_k", "w"))
    text = re.sub(r"\\cdot|\\[,;]|[&\s]", "", text)
    return re.sub(r"\{(\w)\}", r"\1", text)


def test_the_figure_of_seeds_holds_every_run_and_the_mean(tmp_path, monkeypatch):
    figures = []
    monkeypatch.setattr(summary, "png_bytes", lambda figure: figures.append(figure) or b"")
    summary.draw(HISTORIES, tmp_path / "Seeds.png")
    lines = [list(line.get_ydata()) for line in figures[0].axes[0].lines]
    runs = [[row.test_accuracy for row in history] for history in HISTORIES.values()]
    assert lines[: len(runs)] == runs
    assert lines[len(runs)] == pytest.approx([mean(epoch) for epoch in zip(*runs, strict=True)])


def test_the_accurate_setting_is_in_the_pages():
    """On the front page only if its gain is larger than twice its standard error."""
    accurate = summary.read_seeds(ROOT / "results" / "accurate")
    assert list(accurate) == list(range(1, 11))
    gain, error = summary.gain(accurate, HISTORIES)
    assert all(says(page, f"{gain:.3f}", f"{error:.3f}") for page in (README, RESULTS))
    assert (summary.table(accurate) in README) is (gain > 2 * error)


def test_the_accurate_setting_was_chosen_in_its_validation_table():
    table = validation_table("accurate/validation")
    chosen = [accuracy for name, (_, accuracy) in table.items() if name.startswith("chosen")]
    stronger = [accuracy for name, (_, accuracy) in table.items() if name.startswith("stronger")]
    assert says(RESULTS, f"{mean(chosen):.3f} ± {stdev(chosen):.3f} %")
    assert mean(chosen) > mean(stronger)


def test_a_gain_is_told_with_its_error():
    def ending(*accuracies):
        return {i: [Epoch(1, 0.1, 1.0, 50.0, 1.0, each, 1.0)] for i, each in enumerate(accuracies)}

    # By hand: variances of 0.02 and 0.08 over two runs each.
    gain, error = summary.gain(ending(99.6, 99.4), ending(99.0, 99.4))
    assert gain == pytest.approx(0.3)
    assert error == pytest.approx(0.05**0.5)


def test_the_weights_are_as_accurate_as_the_readme_says(real_mnist):
    accuracy = verify.verify(real_mnist)
    assert accuracy == pytest.approx(
        median_low(history[-1].test_accuracy for history in HISTORIES.values())
    )
    assert f"`weights from results/net.pt: {accuracy:.2f} % of 10,000 images right`" in README


def test_the_survey_of_published_workbooks():
    rows = survey.read_survey()
    verdicts, slips = survey.verdicts(rows), survey.slips(rows)
    everything = sum(map(len, verdicts.values()))
    slip, files = next(iter(slips.items()))
    assert says(README, f"{everything}", f"{len(verdicts['wrong'])}", f"{len(files)}")
    assert slip == "uses a_h1 where a_h2 belongs"
    assert {row["column"] for row in rows if row["file"] in files} >= {"∂E/∂w3", "∂E/∂w4"}
    assert survey.table(rows) in RESULTS
    assert all(re.fullmatch(r"sheet-\d+", row["file"]) for row in rows)
    assert not set(rows[0]) & set(survey.OF_OTHERS)


def test_a_survey_counts_copies_once_and_tells_nothing_of_others(tmp_path):
    for name, eta in (("sheet-1", 0.5), ("sheet-2", 0.5), ("sheet-3", 2.0)):
        with xlsxwriter.Workbook(str(tmp_path / f"{name}.xlsx")) as workbook:
            labelled(eta, texts=COMMONEST, steps=1)(workbook.add_worksheet("Ada's"))
    text = survey.survey(tmp_path)
    assert "Ada" not in text
    assert "=" not in text
    rows = list(csv.DictReader(text.splitlines()))
    assert [row["distinct"] for row in rows] == ["1", "1", "1", "1", "2", "2"]
    assert survey.slips(rows) == {"uses a_h1 where a_h2 belongs": {"sheet-1", "sheet-2", "sheet-3"}}
