"""The two pages, and what tests look at there: JavaScript that is run at addresses of a page."""

import base64
import html
import json
import re

import pytest

from tests.digits import ROOT

BACKPROP = ROOT / "backprop" / "Back_Propagation.html"
MNIST = ROOT / "mnist" / "Draw_a_Digit.html"
WINDOWS = {BACKPROP: "--window-size=500,900", MNIST: "--window-size=800,600"}

# Goes to each address in turn, and leaves in the document what its look then finds. A browser
# without a screen paints now and then only, so a timer takes the place of its frames.
PROBE = """
(async () => {
  window.requestAnimationFrame = setTimeout;
  const byId = (id) => document.getElementById(id);
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const words = (id) => byId(id).textContent;
  const click = (id) => byId(id).click();
  const type = (id, value) => {
    byId(id).value = value;
    byId(id).dispatchEvent(new Event("input"));
  };
  const press = (element, key, others = {}) => element.dispatchEvent(
    new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true, ...others }));
  const point = (element, name, clientX, clientY, others = {}) => element.dispatchEvent(
    new PointerEvent(`pointer${name}`, { bubbles: true, buttons: 1, clientX, clientY, ...others }));
  const painted = async () => {
    for (const _ of "12") await new Promise(setTimeout);
  };
  const found = [];
  for (const [address, look] of [VISITS]) {
    const gone = new Promise((resolve) => addEventListener("hashchange", resolve, { once: true }));
    if (location.hash === `#${address}`) history.replaceState(null, "", "#");
    location.hash = address; // Chromium allows some 200 of these changes, both kinds together
    await gone;
    found.push(await look());
  }
  document.body.replaceChildren(html("pre", { id: "found" }, JSON.stringify(found)));
})();
"""


def visit(page, addresses, look):
    """Mark a test: at each of the addresses it sees what this look returns."""
    return pytest.mark.visit(page, addresses, look)


def text_of(document, id_):
    """The text of an element, without its tags."""
    inside = re.search(rf'<(\w+)[^>]* id="{id_}"[^>]*>(.*?)</\1>', document, re.DOTALL)[2]
    return html.unescape(re.sub("<[^>]*>", "", inside))


def image_text(pixels):
    """An image as the address of the page has it."""
    return base64.urlsafe_b64encode(bytes(pixels.flatten().tolist())).decode()


def in_javascript(images):
    return json.dumps([image_text(image) for image in images])
