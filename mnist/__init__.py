"""What stands behind `utils.py` and the notebook: the data set, settings, history and pictures."""

from mnist.dataset import fetch

__all__ = ["fetch"]
