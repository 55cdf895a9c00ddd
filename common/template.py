"""Pages: one self-contained HTML file each, put together from a template and parts of it."""

import re
from collections.abc import Mapping
from pathlib import Path

from common import write_whole

SHARED = Path(__file__).parent  # shared.css, shared.js and the HTML that both pages have


def assemble(path: str | Path, template: Path, written: Mapping[str, str]) -> None:
    """Write a page: its template, each line such as `/* put in: NAME */` replaced by that part.

    Args:
        template: HTML; in its markup such a line is a comment of HTML.
        written: parts made by Python, by name. Other names are files, beside the template or here.
    """

    def part(line: re.Match) -> str:
        name = line[1]
        if name in written:
            return written[name]
        beside = template.with_name(name)
        return (beside if beside.exists() else SHARED / name).read_text(encoding="utf-8")

    page = re.sub(
        r"^(?:/\*|<!--) put in: (\S+) (?:\*/|-->)\n",
        part,
        template.read_text(encoding="utf-8"),
        flags=re.MULTILINE,
    )
    write_whole(path, page.encode())
