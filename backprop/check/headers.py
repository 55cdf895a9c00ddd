"""The names that people give to the columns of the table."""

import functools
import re
import unicodedata
from collections.abc import Iterator

from backprop.check.limits import LONGEST_HEADER
from backprop.network import gradient_of

IF_NO_OTHER = "?"  # ends a doubtful name, used only if no other header in the row gives that column

# Three kinds of schwa are found typed for ∂.
_DERIVATIVE_SIGNS = str.maketrans({**dict.fromkeys("∂δәəǝ", "d"), "∇": "g"})
_ERROR = "(?:e|err|error|loss|cost)"
_TOTAL = "(?:t|tot|total)"
_ACTIVATED = "(?:a|act|activated|activation|out|output|σ|sig|sigma|sigmoid)"
_NET = "(?:net|z|in|sum)"

# How each column is called, without spaces, brackets, case and signs; 0 for the letter o is common.
_SPELLINGS: tuple[tuple[str, str], ...] = (
    (r"(?:t|target|y|expected|desired)[o0]?([12])", "t{}"),
    (r"(?:i|in|inp|input|x)([12])", "i{}"),
    (r"(?:w|weight)([1-8])", "w{}"),
    (rf"{_NET}?h(?:idden)?([12])", "h{}"),
    (rf"h([12]){_NET}", "h{}"),
    (rf"{_ACTIVATED}h(?:idden)?([12])", "a_h{}"),
    (rf"h([12]){_ACTIVATED}", "a_h{}"),
    (rf"{_NET}?[o0]([12])", "o{}"),
    (rf"[o0]([12]){_NET}", "o{}"),
    (rf"{_ACTIVATED}[o0]([12])", "a_o{}"),
    (rf"[o0]([12]){_ACTIVATED}", "a_o{}"),
    (rf"{_ERROR}a?[o0]?([12])", "E{}"),
    (rf"{_ERROR}{_TOTAL}?|{_TOTAL}{_ERROR}", "E_total"),
    (rf"d?(?:{_ERROR}|[lcj])?{_TOTAL}?/?dw([1-8])", gradient_of("w{}")),
    (rf"d?{_ERROR}{_TOTAL}?/?w([1-8])", gradient_of("w{}")),
    (r"d?e1/?d?w([56])", gradient_of("w{}")),
    (r"d?e2/?d?w([78])", gradient_of("w{}")),
    (r"g(?:rad|radient)?(?:of)?w([1-8])", gradient_of("w{}")),
    (r"d?e[12]/?d?w([1-8])", gradient_of("w{}") + IF_NO_OTHER),
)

# Of networks that are larger than the exercise's, or have biases.
_OTHERS: tuple[tuple[str, str], ...] = (
    (r"(?:i|in|inp|input|x)(?:[3-9]|[1-9]\d)", "a third input"),
    (rf"(?:{_NET}|{_ACTIVATED})?h(?:idden)?(?:[3-9]|[1-9]\d)", "a third hidden neuron"),
    (rf"h(?:[3-9]|[1-9]\d)(?:{_NET}|{_ACTIVATED})", "a third hidden neuron"),
    (rf"(?:{_NET}|{_ACTIVATED})?o(?:[3-9]|[1-9]\d)", "a third output"),
    (rf"{_ERROR}[o0]?(?:[3-9]|[1-9]\d)", "a third output"),
    (r"bias|(?:b|bias)(?:\d|[ho][12]?)", "a bias"),
    (r"(?:w|weight)(?:9|[1-9]\d)", "a ninth weight"),
)


@functools.lru_cache(maxsize=10_000)
def column_of(header: str) -> str | None:
    """Tell which column a header names, None if none; `IF_NO_OTHER` ends a doubtful one.

    Knows `∂`, `𝜕`, `δ` and `d`, `E_tot`, `out_h1`, `E∂w1` and the like, and a name with an
    explanation behind it: `h1 = w1*i1 + w2*i2`, `h2 (hidden)`.
    """
    if len(header) > LONGEST_HEADER:
        return None
    for text in _readings(header):
        for spelling, column in _SPELLINGS:
            if match := re.fullmatch(spelling, text):
                return column.format(*match.groups())
    return None


def part_of_another_network(header: str) -> tuple[int, str] | None:
    """Tell which part that the exercise does not have a header names, such as i3; None if none.

    The number is the smaller, the more the part says of the other network.
    """
    for text in _readings(header) if len(header) <= LONGEST_HEADER else ():
        for rank, (spelling, part) in enumerate(_OTHERS):
            if re.fullmatch(spelling, text):
                return rank, f"{part}, {header.strip()}"
    return None


def _readings(header: str) -> Iterator[str]:
    """Give the header without signs, and then the parts of it that may be the name alone."""
    text = re.sub("[Δ∆]", "change", unicodedata.normalize("NFKC", header))
    text = text.casefold().translate(_DERIVATIVE_SIGNS)
    yield _letters(text)
    for end in ("=", ":", "\n", "("):
        if end in text:
            yield _letters(text.split(end)[0])


def _letters(text: str) -> str:
    return re.sub(r"[^a-z0-9σ/]", "", text)
