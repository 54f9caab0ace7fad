"""Every page for everyone: what axe-core finds, light and dark, wide and narrow, and what the keyboard reaches."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import screenshots
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page
from running import Tab

pytestmark = pytest.mark.browser

APP = Path(__file__).parents[2] / "dashboard" / "app_pages"
DRAFT = "draft=,MEDIUM:52,COMPLEX:82,REASONING:95"
ADDRESSES = [
    "",
    f"tuning?{DRAFT}",
    *sorted(page.stem for page in APP.glob("*.py") if page.stem not in ("overview", "tuning")),
]
LOOKS = [(theme, size) for size in ((1440, 900), (390, 844)) for theme in ("light", "dark")]
STREAMLITS = {
    "list": "[data-testid=stSidebarNavItems]",  # its navigation puts the sections of its list into boxes
    "listitem": "[data-testid=stSidebarNavItems]",
}
Opened = Callable[..., Tab]

FOUND = """async streamlits => {
  const {violations} = await axe.run({resultTypes: ['violations']});
  const own = (rule, {target}) => streamlits[rule] && document.querySelector(target[0])?.closest(streamlits[rule]);
  return violations.filter(({impact}) => ['serious', 'critical'].includes(impact)).flatMap(({id, nodes}) =>
    nodes.filter(node => !own(id, node)).map(({html, failureSummary}) => `${id}: ${html} ${failureSummary}`));
}"""

# What has the focus now, and whether what had it before looks otherwise without it: a focus that can be seen.
FOCUS = """() => {
  const look = elements => JSON.stringify(elements.map(element => {
    const {outline, boxShadow, backgroundColor, borderColor, color} = getComputedStyle(element);
    return [outline, boxShadow, backgroundColor, borderColor, color];
  }));
  const one = document.activeElement, before = window.focused;
  const near = [one, one.parentElement, one.parentElement.parentElement, ...one.parentElement.children];
  window.focused = {near, look: look(near)};
  const labelled = one.getAttribute('aria-labelledby')?.split(' ').map(id => document.getElementById(id)?.innerText);
  const named = one.getAttribute('aria-label') || labelled?.join(' ') || one.labels?.[0]?.innerText;
  return {
    name: (named || (one.matches('a, button') ? one.innerText : '')).replace(/\\s+/g, ' '),
    kind: one.getAttribute('role') || one.tagName.toLowerCase(),
    seen: !before || look(before.near) !== before.look,
  };
}"""


@pytest.mark.parametrize("address", ADDRESSES)
def test_axe_finds_nothing_serious_in_any_look(address: str, demo: tuple[str, Path], tab: Opened) -> None:
    one = tab(demo[0])
    view = one.open(address)
    view.evaluate(Axe().axe_script)
    found: dict[str, list[str]] = {}
    for theme, (width, height) in LOOKS:
        view.emulate_media(color_scheme="dark" if theme == "dark" else "light")
        view.set_viewport_size({"width": width, "height": height})
        view.wait_for_timeout(250)
        one.settle()
        found[f"{theme}, {width} px"] = view.evaluate(FOUND, STREAMLITS)
    assert {look: wrong for look, wrong in found.items() if wrong} == {}


def walk(view: Page, last: str, most: int = 60) -> list[tuple[str, bool]]:
    """Press the tabulator until something of that name has the focus; return what had it, and if that could be seen."""
    steps: list[dict[str, Any]] = []
    while len(steps) < most and not (steps and last in steps[-1]["name"]):
        view.keyboard.press("Tab")
        view.wait_for_timeout(60)  # focus may fade in
        steps.append(view.evaluate(FOCUS))
    # That something was seen is known once it has lost the focus.
    view.keyboard.press("Tab")
    view.wait_for_timeout(60)
    seen = [step["seen"] for step in (*steps[1:], view.evaluate(FOCUS))]
    return [(f"{step['kind']} {step['name']}", each) for step, each in zip(steps, seen, strict=True)]


def test_the_tabulator_reaches_what_tuning_needs_and_shows_where_it_is(demo: tuple[str, Path], tab: Opened) -> None:
    one = tab(demo[0])
    steps = walk(one.open(f"tuning?{DRAFT}"), "Push version")
    names = [name for name, _ in steps]
    order = [
        "Overview",
        "Feature",
        "MEDIUM starts at",
        "COMPLEX starts at",
        "REASONING starts at",
        "Find",
        "Note",
        "Push",
    ]
    places = [next((place for place, name in enumerate(names) if part in name), -1) for part in order]
    assert -1 not in places, names
    assert places == sorted(places), names
    # The page itself, which scrolls, has nothing to show; a table draws its focus within its picture.
    assert [name for name, seen in steps if not seen and not name.startswith(("main ", "canvas "))] == []


def test_every_page_is_photographed() -> None:
    assert {address.partition("?")[0] or "overview" for address in screenshots.PAGES.values()} == {
        page.stem for page in APP.glob("*.py")
    }
