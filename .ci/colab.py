"""Run S6.ipynb for one epoch on few images, in a kernel that is in Google Colab by all it can see.

In an environment with the versions of `.ci/colab.txt`: `python .ci/colab.py`. It fails if a cell
fails, writes to standard error or starts pip, and if `pip install -r requirements.txt` would
change a package that Colab's kernel or PyTorch needs.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
KEPT = {
    "ipykernel", "ipython", "jupyter_client", "tornado", "traitlets", "pyzmq",
    "torch", "torchvision", "numpy", "matplotlib",
}  # fmt: skip


def run_notebook(folder: Path) -> list[str]:
    """Run it with the project on a stand-in for Drive; gives all that its cells wrote."""
    from tests.colab import write_stand_in
    from tests.digits import write_digits

    os.environ |= write_stand_in(folder / "stand-in")
    (folder / "stand-in" / "pip").mkdir()
    (folder / "stand-in" / "pip" / "__init__.py").write_text("raise SystemExit('pip was started')")
    write_digits(folder / "data" / "MNIST" / "raw")
    notebook = nbformat.read(ROOT / "S6.ipynb", as_version=4)
    cells = {cell.id: cell for cell in notebook.cells}
    cells["drive"].source = cells["drive"].source.replace("/content/drive/MyDrive/S6", str(ROOT))
    cells["settings"].source += f"""
epochs, batch_size, data_dir, output_dir = 1, 60, {str(folder / "data")!r}, {str(folder / "runs")!r}
"""
    (folder / "content").mkdir()
    NotebookClient(
        notebook, resources={"metadata": {"path": str(folder / "content")}}, timeout=300
    ).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    streams = [output for output in outputs if output.output_type == "stream"]
    assert not [output.text for output in streams if output.name == "stderr"], streams
    return [line for output in streams for line in output.text.splitlines()]


def changed_by_install(folder: Path) -> list[str]:
    """Name what `pip install -r requirements.txt` would install into this environment."""
    report = folder / "report.json"
    command = ["install", "--dry-run", "--quiet", "--report", report, "-r", "requirements.txt"]
    subprocess.run([sys.executable, "-m", "pip", *command], cwd=ROOT, check=True)
    installs = json.loads(report.read_text())["install"]
    return [f"{item['metadata']['name']} {item['metadata']['version']}" for item in installs]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        changed = changed_by_install(Path(name))
        print("pip would install:", ", ".join(changed))
        assert not KEPT & {package.split()[0].lower().replace("-", "_") for package in changed}
        print("\n".join(run_notebook(Path(name))))
