"""Helpers of `utils.py` and the notebook: data set, settings, resumable run, pictures."""

from mnist.data import fetch

__all__ = ["fetch"]
