"""Backpropagation on a network small enough for a spreadsheet: 2-2-2, sigmoid, no biases."""
