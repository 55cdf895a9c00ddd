"""The figures of both pages are those of the logs in `results/` and of the code."""

import csv
import re
from statistics import mean, median_low, stdev

import pytest
import xlsxwriter

from backprop.derivation import derivation, sigmoid_rule
from backprop.expression import LaTeX
from backprop.network import COLUMNS, LEARNING_RATES, Problem, descend
from mnist.history import Epoch, log_line, read_history
from results import benchmark, summary, survey, verify
from tests.digits import ROOT
from tests.learners_sheets import COMMONEST, labelled
from tests.readme import README, RESULTS, says

EPOCHS = {"quick": 5, "one-epoch": 1}  # 19 in the other folders


def seeds(folder="."):
    """The histories in a folder of `results/` by seed, none left out and all whole."""
    histories = summary.read_seeds(ROOT / "results" / folder)
    assert list(histories) == list(range(min(histories), max(histories) + 1))
    for history in histories.values():
        assert [row.epoch for row in history] == list(range(1, EPOCHS.get(folder, 19) + 1))
    return histories


def ends(folder=".", column="test_accuracy"):
    """What each seed's run in a folder of `results/` ended at."""
    return [getattr(history[-1], column) for history in seeds(folder).values()]


def spread(values, digits):
    return f"{mean(values):.{digits}f} ± {stdev(values):.{digits}f}"


# --- The seeds ----------------------------------------------------------------------------


def history(*accuracies, seconds=1.0):
    return [
        Epoch(epoch, 0.1, 1.0, 50.0, 1.0, accuracy, seconds)
        for epoch, accuracy in enumerate(accuracies, 1)
    ]


def test_tables_gains_and_races_by_hand():
    histories = {1: history(98.0, 99.5, 99.0), 2: history(98.0, 99.0, 99.2)}
    last, best = summary.table(histories).splitlines()[2:]
    # 12.706: the 97.5 % point of Student's t with one degree of freedom; 99.1 ± 12.706 x 0.1.
    assert "| 99.100 ± 0.141 | 97.829 to 100.371 | 99.00 | 99.20 | 2 |" in last
    assert "| 99.350 ± 0.212 | 97.444 to 101.256 | 99.20 | 99.50 | 2 |" in best
    # Variances of 0.02 and 0.08 over two runs each.
    others = {1: history(98.6), 2: history(99.0)}
    assert summary.gain(histories, others) == pytest.approx((0.3, 0.05**0.5))
    quick = {1: history(98, 99, seconds=5), 2: history(98, 99, seconds=7)}
    assert summary.race(quick, history(97, 98, 99, seconds=20)) == (12, 60)


def test_the_seeds_are_in_the_readme():
    assert summary.table(seeds()) in README
    assert says(README.partition("##")[0], f"{mean(ends()):.3f} %")


def test_the_accurate_setting_is_in_the_pages():
    """On the front page only if its gain is larger than twice its standard error."""
    gain, error = summary.gain(seeds("accurate"), seeds())
    assert all(says(page, f"{gain:.3f}", f"{error:.3f}") for page in (README, RESULTS))
    assert (summary.table(seeds("accurate")) in README) is (gain > 2 * error)


def test_the_quick_setting_is_in_the_readme():
    quick, classic = seeds("quick"), read_history(ROOT / "results" / "classic.csv")
    assert summary.table(quick) in README
    seconds, classic_seconds = summary.race(quick, classic)
    assert says(README, f"{seconds:.0f} s", f"{classic_seconds:.0f} s")
    assert says(README, f"{classic_seconds / seconds:.1f} times")
    assert f"papermill S6.ipynb runs/quick.ipynb -p epochs {len(quick[1])} " in README
    assert mean(ends("quick")) >= summary.QUICK_ACCURACY
    reached = [row.test_accuracy >= summary.QUICK_ACCURACY for row in classic]
    assert reached == [False] * (len(classic) - 1) + [True]


def test_one_epoch_counts_with_every_seed():
    accuracies = ends("one-epoch")
    assert min(accuracies) >= 98
    figures = f"{min(accuracies):.2f} to {max(accuracies):.2f} %"
    assert all(says(page, figures) for page in (README, RESULTS))


def test_the_committed_notebook_is_seed_1():
    notebook = (ROOT / "S6.ipynb").read_text(encoding="utf-8")
    assert all(log_line(row) in notebook for row in seeds()[1])
    last = seeds()[1][-1]
    assert says(README, f"{last.test_accuracy:.2f} %", f"{last.test_loss:.4f}")


def test_the_weights_are_as_accurate_as_the_readme_says(real_mnist):
    accuracy = verify.verify(real_mnist)
    assert accuracy == pytest.approx(median_low(ends()))
    assert f"`weights from results/net.pt: {accuracy:.2f} % of 10,000 images right`" in README


def test_the_figure_of_seeds_holds_every_run_and_the_mean():
    *runs, means, _ = (list(line.get_ydata()) for line in summary.draw(seeds()).axes[0].lines)
    assert runs == [[row.test_accuracy for row in history] for history in seeds().values()]
    assert means == pytest.approx([mean(epoch) for epoch in zip(*runs, strict=True)])


# --- How the settings were chosen ---------------------------------------------------------


@pytest.mark.parametrize("folder", ["start/before", "start/after", "start/he-throughout"])
def test_what_became_of_each_start_is_in_the_table(folder):
    cells = [", ".join(f"{accuracy:.2f}" for accuracy in ends(folder))]
    for column, digits in (("test_accuracy", 3), ("test_loss", 4), ("train_loss", 4)):
        cells.append(spread(ends(folder, column), digits))
    assert f"]({folder}) | {' | '.join(cells)} |" in RESULTS


def test_what_the_start_costs_is_in_the_results():
    before, after = ends("start/before"), ends("start/after")
    loss, error = summary.gain(seeds("start/before"), seeds("start/after"))
    assert says(RESULTS, f"{loss:.3f}", f"{error:.3f}")
    assert says(RESULTS, f"{mean(before[8:13]):.3f} %", f"{mean(after[8:13]):.3f} %")


def validation_table(folder):
    """Read the table of a folder of validation logs, loss and accuracy; hold it to the logs."""
    rows = re.findall(rf"\| \[([^\]]+\.csv)\]\({folder}/\1\) \| (\S+) \| (\S+) \|", RESULTS)
    logs = ROOT / "results" / folder
    assert {name for name, *_ in rows} == {file.name for file in logs.iterdir()}
    for name, *figures in rows:
        *_, last = csv.DictReader((logs / name).read_text().splitlines())
        held_out = r"(validation|test)_(loss|accuracy)"  # older logs name them in full
        loss, accuracy = (float(last[key]) for key in last if re.fullmatch(held_out, key))
        assert [f"{loss:.4f}", f"{accuracy:.2f}"] == figures, name
    return {name: (float(loss), float(accuracy)) for name, loss, accuracy in rows}


def test_nothing_on_the_validation_split_beats_the_recipe_by_more_than_seeds_differ():
    loss = {name: figures[0] for name, figures in validation_table("validation").items()}
    chosen, rival = (
        (loss[f"{name}.csv"], loss[f"{name}-seed-2.csv"]) for name in ("base", "weight-decay-5e-4")
    )
    difference = max(abs(first - second) for first, second in (chosen, rival))
    assert all(sum(chosen) / 2 - value < difference for value in loss.values())
    assert says(RESULTS, *(f"{accuracy:.2f} %" for accuracy in ends("weight-decay-5e-4")))


def test_the_quick_setting_is_the_best_of_its_validation_table():
    chosen, *others = validation_table("quick/validation").values()
    assert all(chosen[0] < loss and chosen[1] > accuracy for loss, accuracy in others)


def test_the_accurate_setting_was_chosen_in_its_validation_table():
    table = validation_table("accurate/validation")
    chosen, stronger = (
        [accuracy for name, (_, accuracy) in table.items() if name.startswith(setting)]
        for setting in ("chosen", "stronger")
    )
    assert says(RESULTS, f"{spread(chosen, 3)} %")
    assert mean(chosen) > mean(stronger)


# --- Speed, the derivation, the survey ----------------------------------------------------


def test_the_benchmark_is_in_both_pages():
    with open(ROOT / "results" / "benchmark.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert benchmark.table(rows) in RESULTS
    classic = rows[1]
    assert all(says(page, f"{classic['ours_to_this']} times") for page in (README, RESULTS))
    assert says(RESULTS, f"{classic['lowest_ratio']} to {classic['highest_ratio']}")
    assert says(RESULTS, f"{benchmark.multiply_adds():,}")


def test_errors_after_100_steps_are_those_of_the_readme():
    for rate in LEARNING_RATES:
        error = descend(Problem(), rate, 100)[-1, COLUMNS.index("E_total")]
        figure = re.search(rf"^\| {rate} \| (\S+) \|", README, re.MULTILINE)[1]
        assert float(figure) == pytest.approx(error, rel=2e-3)
    (start,) = descend(Problem(), 0.5, 0)
    assert says(README, f"{start[COLUMNS.index('E_total')]:.6f}")


def test_every_formula_of_the_derivation_is_in_the_readme():
    page = same_latex(README)
    lines = [sigmoid_rule(LaTeX), *(line for _, lines in derivation(LaTeX) for line in lines)]
    assert [line for line in lines if same_latex("".join(line)) not in page] == []


def same_latex(text):
    """Write LaTeX without what only spaces it, and with no more braces than it needs."""
    text = re.sub(r"\\[td]frac", r"\\frac", text.replace("w_k", "w"))
    text = re.sub(r"\\cdot|\\[,;]|[&\s]", "", text)
    return re.sub(r"\{(\w)\}", r"\1", text)


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
