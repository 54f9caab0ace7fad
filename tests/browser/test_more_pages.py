"""The pages about answers and health in a real browser: by keyboard, by link, on a phone, over nearly nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import running
from decisions import a_decision
from playwright.sync_api import Page, expect
from running import Tab

from router_core.ledger.explorer import Search, find
from router_core.ledger.rollup import refresh
from router_core.ledger.store import open_ledger

pytestmark = pytest.mark.browser

PAGES = {
    "quality": "Quality",
    "explorer": "Explorer",
    "what_if": "What-if",
    "review_queue": "Review queue",
    "health": "Health",
}
TUNED = {
    "tuning": "Tuning",
    "tuning?draft=,MEDIUM:20;,strategy=cascade": "Tuning",
    "what_if?view=Scenarios": "What-if",
    "prices": "Prices",
    "versions": "Versions",
}
Opened = Callable[..., Tab]
Demo = tuple[str, Path]


def reviewed(ledger: Path) -> list[tuple[int, int | None]]:
    """Return the labels a review has kept, as quality in millionths and the number of the tier needed."""
    with sqlite3.connect(ledger) as connection:
        found = connection.execute(
            "SELECT quality_ppm, needed_tier_id FROM quality_label WHERE note = 'review' ORDER BY id"
        ).fetchall()
    connection.close()
    return found


def span(view: Page) -> str:
    """Return which decisions a page of the Explorer says it lists."""
    return view.locator(".st-key-found [data-testid=stMarkdown]").first.inner_text()


@pytest.mark.parametrize("path", PAGES)
def test_each_page_draws_the_demo_without_an_error(path: str, demo: Demo, tab: Opened) -> None:
    view = tab(demo[0]).open(path)
    expect(view.get_by_role("heading", name=PAGES[path], level=1)).to_be_visible()
    expect(view.get_by_text("Demo data").first).to_be_visible()


def test_each_page_fits_on_a_phone_in_the_dark(demo: Demo, tab: Opened) -> None:
    with open_ledger(demo[1]) as ledger:
        one = find(ledger, Search()).lines[0].id.hex()
    phone = tab(demo[0], theme="dark", size=(390, 844))
    for path in (*PAGES, f"explorer?decision={one}"):
        width = phone.open(path).evaluate("document.querySelector('[data-testid=stMain]').scrollWidth")
        assert width <= 390, f"{path} is {width} px wide"


def test_ten_answers_are_labelled_by_keyboard_alone(demo: Demo, tab: Opened) -> None:
    queue = tab(demo[0])
    view = queue.open("review_queue")
    before = reviewed(demo[1])
    for place in range(10):
        expect(view.get_by_text(f"{place} of 20 in this round")).to_be_visible()
        view.keyboard.press("1234"[place % 4])
        queue.settle()
        view.keyboard.press("asdfg"[place % 5])
        queue.settle()
    expect(view.get_by_text("10 of 20 in this round")).to_be_visible()
    kept = reviewed(demo[1])[len(before) :]
    assert [quality for quality, _ in kept] == [0, 250_000, 500_000, 750_000, 1_000_000] * 2
    with open_ledger(demo[1]) as ledger:
        names = ledger.dimension_names("tier")
    assert [names[tier or 0] for _, tier in kept[:4]] == ["SIMPLE", "MEDIUM", "COMPLEX", "REASONING"]
    view.keyboard.press("z")
    expect(view.get_by_text("9 of 20 in this round")).to_be_visible()
    view.keyboard.press("x")
    expect(view.get_by_text("10 of 20 in this round")).to_be_visible()


def test_a_search_turned_to_its_second_page_is_sent_as_a_link(demo: Demo, tab: Opened) -> None:
    first = tab(demo[0])
    view = first.open("explorer?tier=MEDIUM")
    newest = span(view)
    view.keyboard.press("j")
    expect(view.locator(".st-key-found [data-testid=stMarkdown]").first).not_to_have_text(newest)
    first.settle()
    assert "before=" in view.url
    other = tab(demo[0])
    assert span(other.open(view.url.removeprefix(f"{demo[0]}/"))) == span(view)
    view.keyboard.press("k")
    expect(view.locator(".st-key-found [data-testid=stMarkdown]").first).to_have_text(newest)


def test_a_row_opens_its_decision_and_the_link_opens_it_again(demo: Demo, tab: Opened) -> None:
    first = tab(demo[0])
    view = first.open("explorer")
    table = view.locator(".st-key-found [data-testid=stDataFrame]").bounding_box()
    assert table is not None
    view.mouse.click(table["x"] + 260, table["y"] + 35 * 2.5)  # the second row, anywhere in it
    expect(view.get_by_text("Why this tier")).to_be_visible()
    first.settle()
    with open_ledger(demo[1]) as ledger:
        wanted = find(ledger, Search()).lines[1].id.hex()
    assert view.url.split("decision=")[1].replace("-", "").startswith(wanted)
    told = view.locator(".st-key-why").inner_text()
    other = tab(demo[0])
    assert other.open(view.url.removeprefix(f"{demo[0]}/")).locator(".st-key-why").inner_text() == told
    view.get_by_role("button", name="List").click()
    expect(view.get_by_text("Why this tier")).to_be_hidden()
    first.settle()
    assert "decision=" not in view.url


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The addresses of dashboards over an empty ledger and over one with a single request."""
    folder = tmp_path_factory.mktemp("small")
    open_ledger(folder / "empty.db").close()
    with open_ledger(folder / "one.db") as ledger:
        ledger.write_decisions([a_decision()])
        refresh(ledger)
    with running.dashboard(folder / "empty.db") as empty, running.dashboard(folder / "one.db") as one:
        yield empty, one


def test_each_page_draws_next_to_nothing_without_an_error(small: tuple[str, str], tab: Opened) -> None:
    for address in small:
        one = tab(address)
        for path, title in {"": "Overview", "tiers": "Tiers and routes", **PAGES, **TUNED}.items():
            expect(one.open(path).get_by_role("heading", name=title, level=1)).to_be_visible()


def test_nonsense_in_a_link_shows_no_error(demo: Demo, tab: Opened) -> None:
    nonsense = "days=9&feature=%3Cb%3E&tier=x&status=1&reason=;&before=%00&after=-&events_before=x&draft=;;"
    lost = tab(demo[0])
    for path, title in PAGES.items():
        view = lost.open(f"{path}?{nonsense}")
        expect(view.get_by_role("heading", name=title, level=1)).to_be_visible()
        expect(view.get_by_text("Nothing in this view")).to_be_hidden()
