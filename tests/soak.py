"""Kills, damage and mutilation by the thousand: what survives, and what is lost.

Run by hand: `python -m tests.soak`, some minutes. Exits with 1 if anything was lost.
"""

import argparse
import contextlib
import io
import multiprocessing
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SECONDS, MEMORY = 10, 2**30  # that a check of one workbook may take


# --- Training runs that are killed --------------------------------------------------------


def soak_training(kills: int, generator: random.Random, folder: Path) -> tuple[int, int]:
    """Kill training runs at random moments, and compare the end with an uninterrupted run.

    Every other attempt writes its files slowly, so that many a kill falls into a write.
    """
    import torch
    from tqdm import tqdm

    from mnist import dataset
    from tests.digits import TrainingRun, md5_sums, write_digits

    write_digits(folder / "data" / "MNIST" / "raw")
    dataset.MD5 = md5_sums(folder / "data" / "MNIST" / "raw")

    def train(output_dir: Path, slow_writes: bool) -> None:
        if slow_writes:
            os.fsync = sync_slowly
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), 1)
            os.dup2(nowhere.fileno(), 2)
        run = TrainingRun(folder / "data", output_dir, epochs=5)
        run.fit()
        torch.save(run.weights(), output_dir / "end.pt")

    def start(output_dir: Path, slow_writes: bool = False) -> multiprocessing.Process:
        output_dir.mkdir(exist_ok=True)
        process = multiprocessing.get_context("fork").Process(
            target=train, args=(output_dir, slow_writes)
        )
        process.start()
        return process

    began = time.perf_counter()
    start(folder / "whole").join()
    lifetime = time.perf_counter() - began
    expected = torch.load(folder / "whole" / "end.pt")
    killed = runs = lost = 0
    with tqdm(total=kills, desc="training runs killed") as bar:
        while killed < kills:
            output_dir = folder / f"run-{runs}"
            while True:
                process = start(output_dir, slow_writes=killed % 2 == 0)
                process.join(generator.uniform(0.02, 0.8) * lifetime)
                if not process.is_alive():
                    break
                process.kill()
                process.join()
                killed += 1
                bar.update()
            runs += 1
            ended = process.exitcode == 0 and torch.load(output_dir / "end.pt")
            anew = (output_dir / "2").exists()  # after what was taken for damage, or for a change
            lost += anew or ended is False or not torch.equal(ended, expected)
    return killed, lost


def sync_slowly(descriptor: int) -> None:
    """Stay for a while where a file is written and not yet moved into place."""
    time.sleep(0.05)


# --- Workbooks ----------------------------------------------------------------------------


def parts_of(workbook: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(workbook)) as package:
        return {name: package.read(name) for name in package.namelist()}


def packed(parts: list[tuple[str, bytes]]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as package, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of names that stand twice: here they shall
        for name, content in parts:
            package.writestr(name, content)
    return file.getvalue()


def flip(content: bytes, generator: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(generator.choice((1, 2, 5, 20))):
        changed[generator.randrange(len(changed))] = generator.randrange(256)
    return bytes(changed)


SHEET = "xl/worksheets/sheet1.xml"
VALUES = (
    "text", "", "1e999", "-0", "nan", "inf", "1" * 400, "TRUE", "#DIV/0!", "2026-11-22",
    "99999999999", "\ud7ff", "&amp;", "=1+1",
)  # fmt: skip
FORMULAS = (
    "[1]Other!A1", "'file:///etc/passwd'#$A.A1", "A1:XFD1048576", "((((", '"', "1/0", "{", "#REF!",
    "HYPERLINK(A1)", "A" * 9000, "SUM(" * 900, "", "J5", "$K$6+$J$5", "A1+" * 300_000 + "A1",
    "(" * 1000 + "F5" + ")" * 1000, "EXP(" * 1000 + "F5" + ")" * 1000, "9^9^9^9^9^9*F5",
    'REPT("a",1E9)', "1E308*10^F5", "IF(F5,B5:AF17,1)", "F5:G6*D5:E6", "ROUND(F5,-F5)", "F5%^-.5",
)  # fmt: skip
ODD_HEADERS = (
    *("T1", "target 2", "i1", "i2", "W1", "w_2", "w₃", "weight 4", "h1 = w1*i1 + w2*i2", "out_h1"),
    *("net_h2", "act_h2", "w5", "W6", "w7", "w8", "o1", "a_O1", "o2", "a_02", "Error1", "E2"),
    *("E = E1+E2", "dw1", "E∂w2", "Edw3", "Edw3", "dE_total / dw5", "δE_tot/δw6", "slope 7"),
    "ӘE/Әw8",
)
KINDS = ("n", "str", "s", "b", "e", "d", "inlineStr", "x")


def in_sheet(change: Callable[[str, random.Random], str]) -> Callable:
    """Make a mutation of a workbook from one of its sheet's XML."""

    def mutate(workbook: bytes, generator: random.Random) -> bytes:
        parts = parts_of(workbook)
        parts[SHEET] = change(parts[SHEET].decode(), generator).encode(errors="surrogatepass")
        return packed(list(parts.items()))

    return mutate


def replace_value(sheet: str, generator: random.Random) -> str:
    for _ in range(generator.choice((1, 3, 30))):
        cells = sheet.split("<v>")
        place = generator.randrange(1, len(cells))
        _, tail = cells[place].split("</v>", 1)
        cells[place] = f"{generator.choice(VALUES)}</v>{tail}"
        if generator.random() < 0.5:
            opening = cells[place - 1].rsplit("<c ", 1)
            opening[-1] = f't="{generator.choice(KINDS)}" {opening[-1]}'
            cells[place - 1] = "<c ".join(opening)
        sheet = "<v>".join(cells)
    return sheet


def replace_formula(sheet: str, generator: random.Random) -> str:
    for _ in range(generator.choice((1, 1, 20))):
        formulas = sheet.split("<f>")
        if len(formulas) == 1:  # all numbers are typed
            return sheet
        place = generator.randrange(1, len(formulas))
        _, tail = formulas[place].split("</f>", 1)
        formulas[place] = f"{generator.choice(FORMULAS)}</f>{tail}"
        sheet = "<f>".join(formulas)
    return sheet


def claim_rows(sheet: str, generator: random.Random) -> str:
    sheet = sheet.replace('<dimension ref="', '<dimension ref="A1:XFD1048576" x="', 1)
    far = f'<row r="1048576"><c r="{generator.choice(("A", "XFD"))}1048576"><v>1</v></c></row>'
    return sheet.replace("</sheetData>", f"{far}</sheetData>")


def hide_and_merge(sheet: str, generator: random.Random) -> str:
    line = generator.randrange(1, 20)
    merged = f'<mergeCells count="1"><mergeCell ref="B{line}:Z{line + 3}"/></mergeCells>'
    sheet = sheet.replace("</sheetData>", f"</sheetData>{merged}")
    return sheet.replace("<row ", '<row hidden="1" ', generator.randrange(20))


def bomb(sheet: str, generator: random.Random) -> str:
    entities = '<!ENTITY a0 "aaaaaaaaaa">' + "".join(
        f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">' for i in range(1, generator.randrange(2, 10))
    )
    outside = '<!ENTITY secret SYSTEM "file:///etc/passwd">'
    head, body = sheet.split("?>", 1)
    name = generator.choice(("a1", "secret"))
    return f"{head}?><!DOCTYPE x [{entities}{outside}]>{body.replace('<v>', f'<v>&{name};', 1)}"


def without_part(workbook: bytes, generator: random.Random) -> bytes:
    parts = parts_of(workbook)
    del parts[generator.choice(list(parts))]
    return packed(list(parts.items()))


def doubled_part(workbook: bytes, generator: random.Random) -> bytes:
    parts = list(parts_of(workbook).items())
    return packed([*parts, generator.choice(parts)])


def flipped_part(workbook: bytes, generator: random.Random) -> bytes:
    parts = parts_of(workbook)
    name = generator.choice(list(parts))
    return packed(list((parts | {name: flip(parts[name], generator)}).items()))


MUTATIONS: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    flip,
    lambda workbook, generator: workbook[: generator.randrange(len(workbook))],
    flipped_part,
    without_part,
    doubled_part,
    *map(in_sheet, (replace_value, replace_formula, claim_rows, hide_and_merge, bomb)),
)


def check_one(path: Path) -> int:
    """Run `check` as a process does, within the limits of time and memory."""
    from backprop.__main__ import main
    from backprop.check.findings import FAILED

    signal.alarm(SECONDS)
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(out):
        code = main(["check", str(path)])
    signal.alarm(0)
    return -1 if FAILED in out.getvalue() else code


def work() -> None:
    """Check the workbooks named on standard input; print each one's exit code."""
    import backprop.check.command  # noqa: F401, before the limit

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    for line in sys.stdin:
        print(check_one(Path(line.strip())), flush=True)


def soak_workbooks(count: int, generator: random.Random, folder: Path) -> tuple[int, int]:
    """Check mutated workbooks; lost is what ends in a traceback, or takes too much."""
    import xlsxwriter
    from tqdm import tqdm

    from backprop.network import COLUMNS
    from tests.sheets import labelled

    originals, lost = [], 0
    odd = {"headers": dict(zip(COLUMNS, ODD_HEADERS, strict=True)), "digits": 10}
    for manner in ({}, {"digits": 10}, odd, {"decimals": 6}):
        file = io.BytesIO()
        with xlsxwriter.Workbook(file, {"in_memory": True}) as workbook:
            labelled(0.5, **manner)(workbook.add_worksheet("Mine"))
        originals.append(file.getvalue())
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "tests.soak", "--work"]

    def start() -> subprocess.Popen:
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
            cwd=ROOT,
        )

    worker = start()
    for index in tqdm(range(count), desc="workbooks mutilated"):
        path = folder / f"{index}.xlsx"
        mutate = MUTATIONS[index % len(MUTATIONS)]
        path.write_bytes(mutate(generator.choice(originals), generator))
        worker.stdin.write(f"{path}\n")
        worker.stdin.flush()
        if worker.stdout.readline().strip() in ("0", "1", "2"):
            path.unlink()
        else:
            lost += 1
            tqdm.write(f"lost: {path}")
            worker.kill()
            worker = start()
    worker.stdin.close()
    worker.wait()
    return count, lost


# --- Data files ---------------------------------------------------------------------------


def damaged(content: bytes, generator: random.Random) -> bytes:
    kind = generator.randrange(4)
    if kind == 0:
        return flip(content, generator)
    if kind == 1:
        return content[: generator.randrange(len(content))]
    if kind == 2:
        return content + generator.randbytes(generator.randrange(1, 5000))
    header = bytes(generator.choice((0, 1, 3, 8, 127, 255)) for _ in range(16))
    return header[: generator.randrange(1, 17)] + content[16:]


def soak_data(count: int, generator: random.Random, folder: Path) -> tuple[int, int]:
    """Damage MNIST's files; lost is what the checksum passes."""
    from tqdm import tqdm

    from mnist import dataset
    from tests.digits import md5_sums, write_digits

    write_digits(folder / "raw")
    dataset.MD5 = md5_sums(folder / "raw")
    lost = 0
    for _ in tqdm(range(count), desc="data files damaged"):
        path = folder / "raw" / generator.choice(list(dataset.MD5))
        content = path.read_bytes()
        path.write_bytes(damaged(content, generator))
        noticed = dataset.missing(folder / "raw") == [path.name] or path.read_bytes() == content
        lost += not noticed
        path.write_bytes(content)
    return count, lost


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kills", type=int, default=50, help="of training runs (default: 50)")
    parser.add_argument("--workbooks", type=int, default=2000, help="mutilated (default: 2000)")
    parser.add_argument("--files", type=int, default=1000, help="of data, damaged (default: 1000)")
    parser.add_argument("--seed", type=int, default=0, help="of what is done to them (default: 0)")
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        work()
        return 0
    rows = []
    for name, soak, count in (
        ("workbooks mutilated, then checked", soak_workbooks, arguments.workbooks),
        ("data files damaged, then checked", soak_data, arguments.files),
        ("training runs killed, then resumed", soak_training, arguments.kills),
    ):
        folder = Path(tempfile.mkdtemp(prefix="soak-"))
        rows.append((name, *soak(count, random.Random(arguments.seed), folder)))
    print("\n| | tried | passed | failed |\n|---|---|---|---|")
    for name, tried, lost in rows:
        print(f"| {name} | {tried} | {tried - lost} | {lost} |")
    return int(any(lost for *_, lost in rows))


if __name__ == "__main__":
    sys.exit(main())
