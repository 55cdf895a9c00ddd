"""What both pages promise: silence, nothing fetched, an address that is read with care, names."""

import re

import numpy as np
import pytest

from tests.browser import BACKPROP, MNIST, image_text, text_of, visit

both = pytest.mark.parametrize("page", [BACKPROP, MNIST], ids=lambda page: page.stem)


def both_visited(look, **addresses):
    """Give a test both pages, with visits to addresses of each."""
    pages = {"backprop": BACKPROP, "mnist": MNIST}
    given = [
        pytest.param(addresses[name], marks=visit(page, addresses[name], look))
        for name, page in pages.items()
    ]
    return pytest.mark.parametrize("addresses", given, ids=pages)


# --- The file -----------------------------------------------------------------------------

ONE = np.zeros((28, 28), np.uint8)
ONE[4:24, 12:15] = 255


@pytest.mark.parametrize(
    ("page", "address", "shown", "told"),
    [
        (BACKPROP, "eta=2&step=5", "readout", "5 of 100: E_total 0.0"),
        (MNIST, f"image={image_text(ONE)}", "answer", "1 "),
    ],
)
def test_it_opens_at_an_address_without_a_word(page, address, shown, told, browse):
    document, complaints = browse(page, address)
    assert complaints == []
    assert text_of(document, shown).startswith(told)


@both
def test_the_browser_refuses_requests_and_code_from_text(page, browse):
    """The page's Content-Security-Policy blocks both, and the browser reports it."""
    script = "document.body.append(html('img', { src: 'https://example.org/x.png' })); eval('1');"
    _, complaints = browse(page, script=script)
    assert len(complaints) == 2
    assert all("Content Security Policy" in line for line in complaints)


@both
def test_without_script_the_page_says_so_and_shows_no_dead_controls(page):
    (inside,) = re.findall(r"<noscript>(.*?)</noscript>", page.read_text("utf-8"), re.DOTALL)
    assert "JavaScript" in re.sub("<style>.*</style>", "", inside)
    assert re.search(r"form, .*main \{ display: none", inside)


def luminance(colour):
    """The relative luminance of WCAG 2.2."""
    parts = np.array([int(colour[index : index + 2], 16) / 255 for index in (1, 3, 5)])
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722]


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
@both
def test_text_has_the_contrast_of_wcag_aa(page, scheme):
    blocks = re.findall(r":root \{(.*?)\}", page.read_text(encoding="utf-8"), re.DOTALL)
    colours = dict(re.findall(r"--([\w-]+): (#\w{6});", "".join(blocks[scheme::2])))
    inks = colours.keys() - {"card", "page", "line", "on-accent"}
    assert len(inks) > 6
    pairs = [(ink, ground) for ink in inks for ground in ("card", "page")]
    for pair in [*pairs, ("on-accent", "accent")]:
        dark, light = sorted(luminance(colours[name]) for name in pair)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, pair


NAMELESS = """
const isNamed = (element) => element.getAttribute("aria-label")
  || element.getAttribute("aria-labelledby")?.split(" ").every(words)
  || !element.matches("section, [role]") && (element.textContent.trim() || element.labels?.length);
return all("button, input, [role=img], [role=group], [tabindex], section, output")
  .filter((element) => !isNamed(element)).map((element) => element.outerHTML);
"""


@both_visited(NAMELESS, backprop=["step=1"], mnist=["pixel=1.0.0.0"])
def test_whatever_can_be_reached_has_a_name(addresses, seen):
    assert seen == [[]]


# --- The address --------------------------------------------------------------------------

OF_NO_PAGE = ["%E0%A4%A", "toString=1", "weights=1"]
OF_NO_EXERCISE = [
    *("eta=abc", "eta=0", "eta", "i1=", "w1=1e999", "weight=w9"),
    *("step=101", "step=1.5", "steps=0"),
]
OF_NO_DIGIT = [
    *("image=abc", "image=", f"image={'A' * 1045}*", f"image={'A' * 1047}"),
    *("pixel=99.0.0.0", "pixel=1.0.28.0", "pixel=1.16.0.0", "pixel=-1.0.0.0"),
    *("pixel=1.0.0", "pixel=a.b.c.d"),
]
TOLD = """
const isDefault = Object.keys(DEFAULTS).every((name) => settings[name] === DEFAULTS[name]);
return [words("message"), byId("message").hidden, isDefault];
"""


@both_visited(
    TOLD,
    backprop=[*(f"step=7&{wrong}" for wrong in OF_NO_PAGE + OF_NO_EXERCISE), "step=7"],
    mnist=[*(f"pixel=5.1.2.3&{wrong}" for wrong in OF_NO_PAGE + OF_NO_DIGIT), "pixel=5.1.2.3"],
)
def test_a_damaged_address_gives_the_defaults_and_says_so(addresses, seen):
    *damaged, right = zip(addresses, seen, strict=True)
    for address, (message, hidden, is_default) in damaged:
        assert (hidden, is_default) == (False, True), address
        assert re.search(r"&(\w*)", address)[1] in message
        assert 0 < len(message) < 200
        assert "\n" not in message
    assert right[1] == ["", True, False]


KEPT = """
const changes = "eta" in DEFAULTS
  ? { eta: 0.123, step: 8, steps: 12, weight: "w7", scale: "log", w3: -1e-7, t2: 1e21 }
  : { pixel: "10.3.4.5", image: MISTAKES[0].image };
const write = history.replaceState;
let writings = 0;
history.replaceState = (...address) => { writings += 1; write.apply(history, address); };
for (const name in changes) change({ [name]: changes[name] });
await new Promise((resolve) => setTimeout(resolve, 400)); // the address waits for other changes
const address = location.hash.slice(1);
const [read, damage] = readAddress(address);
const names = [...new URLSearchParams(address).keys()];
const kept = Object.keys(settings).every((name) => read[name] === settings[name]);
return [kept, damage, names.sort().join() === Object.keys(changes).sort().join(), writings];
"""


@both_visited(KEPT, backprop=["step=1"], mnist=["pixel=1.0.0.0"])
def test_an_address_brings_back_what_was_set_and_is_written_once(addresses, seen):
    assert seen == [[True, "", True, 1]]
