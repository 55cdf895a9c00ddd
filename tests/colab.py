"""A stand-in for Google Colab: the package `google.colab`, and a kernel with a shell of its own."""

from pathlib import Path

FILES = {
    "google/colab/__init__.py": "",
    "google/colab/drive.py": """import os


def mount(folder):
    if "NO_DRIVE" in os.environ:
        raise ValueError("mount failed")
    print("mounted at", folder)
""",
    "google/colab/_kernel.py": """from ipykernel.ipkernel import IPythonKernel
from ipykernel.zmqshell import ZMQInteractiveShell
from traitlets import Type


class Shell(ZMQInteractiveShell): ...


class Kernel(IPythonKernel):
    shell_class = Type(Shell)
""",
    "ipython/profile_default/ipython_kernel_config.py": (
        'get_config().IPKernelApp.kernel_class = "google.colab._kernel.Kernel"\n'
    ),
}


def write_stand_in(folder: Path) -> dict[str, str]:
    """Write it into a folder; gives the environment variables of a kernel that is in Colab."""
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return {"PYTHONPATH": str(folder), "IPYTHONDIR": str(folder / "ipython")}
