"""The command line: `python -m backprop [build | trace | explain | check]`."""

import argparse
import contextlib
import csv
import dataclasses
import math
import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from backprop.network import COLUMNS, LEARNING_RATES, STEPS, WEIGHTS, Problem, descend
from backprop.write.page import MOST_STEPS, write_page
from common import UserError, print_utf8, relative

ROOT = Path(__file__).resolve().parent.parent
OWN_BUILD = Path("runs") / "backprop"  # where a build with other options goes
EXAMPLES_OF_CHECK = """\
exit code:
  0  right: every cell of every table was judged, and all are right
  1  wrong: a cell is wrong, or a sheet does not start from the required numbers
  2  incomplete or unreadable: nothing is wrong, but something is missing or was not judged

examples:
  python -m backprop check my_sheet.xlsx
  python -m backprop check class --csv findings.csv --mark marked --targets 0.5 0.5 --steps 60
"""


def number(text: str) -> float:
    with contextlib.suppress(ValueError):
        if math.isfinite(value := float(text)):
            return value
    raise argparse.ArgumentTypeError(f"{text.strip()} is not a number")


def positive(text: str) -> float:
    value = number(text)
    if value <= 0:
        raise argparse.ArgumentTypeError(f"{text.strip()} is not above 0")
    return value


def count(text: str, lowest: int = 0, highest: int = 100_000) -> int:
    with contextlib.suppress(ValueError):
        if lowest <= (value := int(text)) <= highest:
            return value
    raise argparse.ArgumentTypeError(
        f"{text.strip()} is not a whole number from {lowest} to {highest}"
    )


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m backprop",
        description="Backpropagation on a 2-2-2 network: rebuild the workbooks, the page and "
        "the pictures, print the table, explain a gradient, check a sheet of your own.",
    )
    problem = argparse.ArgumentParser(add_help=False)
    asked = argparse.ArgumentParser(add_help=False)
    for name, values in dataclasses.asdict(Problem()).items():
        shown = " ".join(f"{value:g}" for value in values)
        numbers = tuple(f"{name[0]}{index}" for index, _ in enumerate(values, start=1))
        problem.add_argument(
            f"--{name}", type=number, nargs=len(values), default=values, metavar=numbers,
            help=f"default: {shown}",
        )  # fmt: skip
        asked.add_argument(
            f"--{name}", type=number, nargs=len(values), metavar=numbers,
            help=f"the {name} that every table must start from; default: any",
        )  # fmt: skip
    commands = parser.add_subparsers(dest="command")
    build = commands.add_parser(
        "build",
        parents=[problem],
        help="write the workbooks, the page and the pictures (the default)",
    )
    build.add_argument(
        "--learning-rates", type=positive, nargs="+", default=LEARNING_RATES, metavar="RATE",
        help=f"default: {' '.join(map(str, LEARNING_RATES))}",
    )  # fmt: skip
    build.add_argument(
        "--steps", type=partial(count, lowest=1, highest=10_000), default=STEPS,
        help=f"default: {STEPS}; the page shows {MOST_STEPS} at most",
    )  # fmt: skip
    build.add_argument(
        "--out", type=Path, metavar="DIR",
        help=f"default: the project's own files or, with other options, {OWN_BUILD}",
    )  # fmt: skip
    trace = commands.add_parser(
        "trace", parents=[problem], help="print the table of 31 columns as CSV"
    )
    trace.add_argument("--learning-rate", type=positive, default=0.5, help="default: 0.5")
    trace.add_argument("--steps", type=count, default=STEPS, help=f"default: {STEPS}")
    explain = commands.add_parser(
        "explain", parents=[problem], help="derive one weight's gradient, with its numbers"
    )
    explain.add_argument("weight", choices=WEIGHTS, metavar="weight", help="w1 to w8")
    explain.add_argument("--learning-rate", type=positive, default=0.5, help="default: 0.5")
    explain.add_argument("--step", type=count, default=0, help="default: 0, the starting weights")
    check = commands.add_parser(
        "check",
        parents=[asked],
        help="say which cells of your own sheets are wrong",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=EXAMPLES_OF_CHECK,
    )
    check.add_argument(
        "paths", type=Path, nargs="+", metavar="FILE_OR_FOLDER", help=".xlsx, or a folder of them"
    )
    check.add_argument("--csv", type=Path, metavar="FILE", help="CSV file for the findings")
    check.add_argument(
        "--mark", type=Path, metavar="FOLDER",
        help="folder for copies with the wrong cells marked",
    )  # fmt: skip
    check.add_argument(
        "--steps", type=count, default=0,
        help="number of steps that every table must reach; default: any",
    )  # fmt: skip
    return parser


def build(arguments: argparse.Namespace) -> int:
    from backprop.write.exercise import is_filled, write_exercise
    from backprop.write.pictures import draw_curves, draw_overview, network_png
    from backprop.write.workbook import write_workbook

    problem, rates, steps = problem_of(arguments), arguments.learning_rates, arguments.steps
    own = (problem, tuple(rates), steps) != (Problem(), LEARNING_RATES, STEPS)
    if arguments.out is None and not own:
        workbook_folder, picture_folder = ROOT / "backprop", ROOT / "Test_Images"
    else:
        workbook_folder = picture_folder = arguments.out or OWN_BUILD
    workbook = workbook_folder / "Back_Propagation.xlsx"
    write_workbook(workbook, problem, rates, steps, network_png(problem))
    print_path(workbook)
    rate = min(rates, key=lambda rate: abs(rate - 0.5))
    exercise = workbook_folder / "Exercise.xlsx"
    if is_filled(exercise):
        print(f"{relative(exercise)} is filled in and stays as it is")
    else:
        write_exercise(exercise, problem, rate, network_png(None))
        print_path(exercise)
    overview = picture_folder / "Back_Propogation_Img.png"
    draw_overview(overview, problem, rate, steps)
    print_path(overview)
    for path in draw_curves(picture_folder, problem, rates, steps):
        print_path(path)
    page = workbook.with_suffix(".html")
    write_page(page, problem, rates, steps)  # the last, for it takes fewer steps than the others
    print_path(page)
    return 0


def print_path(path: Path) -> None:
    print(relative(path), flush=True)


def trace(arguments: argparse.Namespace) -> int:
    rows = descend(problem_of(arguments), arguments.learning_rate, arguments.steps)
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(rows.tolist())
    return 0


def explain(arguments: argparse.Namespace) -> int:
    from backprop.explain import explanation

    problem = problem_of(arguments)
    print(explanation(problem, arguments.weight, arguments.step, arguments.learning_rate))
    return 0


def check(arguments: argparse.Namespace) -> int:
    from backprop.check.command import run
    from backprop.check.findings import Asked

    asked = [
        (f"{name[0]}{index}", value)
        for name in ("inputs", "targets", "weights")
        for index, value in enumerate(getattr(arguments, name) or (), start=1)
    ]
    return run(arguments.paths, arguments.csv, arguments.mark, Asked(tuple(asked), arguments.steps))


def problem_of(arguments: argparse.Namespace) -> Problem:
    return Problem(tuple(arguments.inputs), tuple(arguments.targets), tuple(arguments.weights))


def _shielded(word: str) -> str:
    """Put a blank before a negative number: argparse takes -1e-3 for an option."""
    with contextlib.suppress(ValueError):
        return f" {word}" if word.startswith("-") and math.isfinite(float(word)) else word
    return word


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; gives its exit code."""
    words = [_shielded(word) for word in (sys.argv[1:] if arguments is None else arguments)]
    parser = make_parser()
    if not words or (words[0].startswith("-") and words[0] not in ("-h", "--help")):
        words.insert(0, "build")
    parsed = parser.parse_args(words)
    rates = getattr(parsed, "learning_rates", ())
    if len(set(rates)) < len(rates):
        parser.error("--learning-rates lists the same rate twice")
    commands = {"build": build, "trace": trace, "explain": explain, "check": check}
    try:
        return commands[parsed.command](parsed)
    except BrokenPipeError:  # the reader of the output, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except UserError as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    print_utf8()
    sys.exit(main())
