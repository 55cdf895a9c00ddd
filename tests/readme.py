"""The two READMEs, and a look for figures in them."""

import re

from tests.digits import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
RESULTS = (ROOT / "results" / "README.md").read_text(encoding="utf-8")


def says(page, *figures):
    """The page holds each figure, whatever words stand around it."""
    return all(
        re.search(rf"(?<![\d.,]){re.escape(figure)}(?![\d]|\.\d)", page) for figure in figures
    )
