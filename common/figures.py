"""Figures drawn as PNG; apart from the rest of `common`, since matplotlib takes long to import."""

from io import BytesIO

from matplotlib.figure import Figure


def png_bytes(figure: Figure) -> bytes:
    """Draw a figure as PNG, with no version in it: the same figure gives the same bytes."""
    file = BytesIO()
    figure.savefig(file, dpi=110, metadata={"Software": None})
    return file.getvalue()
