"""The dashboard in a real browser: pages draw without an error, and a change goes from slider to running gateway."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote

import pytest
import running
from gateways import gateway, write_config
from playwright.sync_api import Locator, Page, expect
from running import Tab
from upstream import upstream

from router_core.ledger.price_rows import read_prices
from router_core.ledger.store import open_ledger
from router_core.lifecycle import versions

pytestmark = pytest.mark.browser
expect.set_options(timeout=15_000)

PAGES = {"": "Overview", "tiers": "Tiers and routes", "tuning": "Tuning", "prices": "Prices", "versions": "Versions"}
Opened = Callable[..., Tab]
Demo = tuple[str, Path]


def shown(view: Page, label: str) -> Locator:
    """Return where a figure of the row stands."""
    metric = view.get_by_test_id("stMetric").filter(has=view.get_by_text(label, exact=True))
    return metric.get_by_test_id("stMetricValue")


def figure(view: Page, label: str) -> str:
    """Return what a figure of the row says."""
    return shown(view, label).inner_text()


def press(tab: Tab, slider: str, key: str, times: int = 1) -> None:
    """Move a slider by the keyboard."""
    handle = tab.view.get_by_role("slider", name=slider)
    handle.focus()
    for _ in range(times):
        handle.press(key)
    tab.settle()


@pytest.mark.parametrize("path", PAGES)
def test_each_page_draws_the_demo_without_an_error(path: str, demo: Demo, tab: Opened) -> None:
    view = tab(demo[0]).open(path)
    expect(view.get_by_role("heading", name=PAGES[path], level=1)).to_be_visible()
    expect(view.get_by_text("Demo data").first).to_be_visible()


def test_pages_are_reached_from_the_navigation_and_fit_on_a_phone(demo: Demo, tab: Opened) -> None:
    phone = tab(demo[0], size=(390, 844))
    view = phone.open()
    for title in list(PAGES.values())[1:]:
        if view.get_by_test_id("stExpandSidebarButton").is_visible():
            view.get_by_test_id("stExpandSidebarButton").click()
        view.get_by_role("link", name=title).click()
        expect(view.get_by_role("heading", name=title, level=1)).to_be_visible()
        phone.settle()
        width = view.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth")
        assert width <= 390, f"{title} is {width} px wide"


@pytest.mark.parametrize(("theme", "colour"), [("light", "rgb(22, 179, 163)"), ("dark", "rgb(45, 212, 191)")])
def test_figures_take_the_colours_of_the_theme(theme: str, colour: str, demo: Demo, tab: Opened) -> None:
    view = tab(demo[0], theme=theme).open()
    bars = view.locator(".st-key-spend_by_tier .trace.bars").first.locator(".point path").first
    expect(bars).to_be_visible()
    assert bars.evaluate("bar => getComputedStyle(bar).fill") == colour


def test_a_link_opens_the_same_view(demo: Demo, tab: Opened) -> None:
    first = tab(demo[0])
    view = first.open()
    view.get_by_role("radio", name="7d").click()
    first.settle()
    press_team = view.get_by_role("combobox", name="Team")
    press_team.click()
    view.get_by_role("option").nth(1).click()
    first.settle()
    said = [figure(view, label) for label in ("Spend", "Quality", "Saved")]
    assert "days=7d" in view.url
    assert "team=" in view.url
    second = tab(demo[0])
    other = second.open(view.url.removeprefix(f"{demo[0]}/"))
    assert [figure(other, label) for label in ("Spend", "Quality", "Saved")] == said


def test_a_boundary_is_moved_previewed_pushed_and_rolled_back(demo: Demo, tab: Opened) -> None:
    address, ledger = demo
    tuning = tab(address)
    view = tuning.open("tuning")
    with open_ledger(ledger) as opened:
        first = versions.live(opened)
    expect(shown(view, "Saving")).to_have_text("0.0%")
    press(tuning, "MEDIUM starts at", "ArrowRight", times=5)
    expect(shown(view, "Saving")).not_to_have_text("0.0%")
    one = figure(view, "Saving")
    press(tuning, "MEDIUM starts at", "ArrowRight", times=5)
    expect(shown(view, "Saving")).not_to_have_text(one)
    # Keys pressed faster than the page follows are not lost.
    boundary = first.config.boundaries()[1] + 10
    expect(view.get_by_role("slider", name="MEDIUM starts at")).to_have_value(str(boundary))
    expect(view.get_by_text(f"MEDIUM starts at {boundary}, not {boundary - 10}")).to_be_visible()
    assert f"MEDIUM:{boundary}" in unquote(view.url)
    view.get_by_role("textbox", name="Note").fill("ten points more for the cheapest tier")
    view.get_by_role("textbox", name="Note").press("Tab")
    tuning.settle()
    view.get_by_role("button", name=f"Push version {first.version + 1}").click()
    expect(view.get_by_text(f"configuration v{first.version + 1}")).to_be_visible()
    tuning.settle()
    with open_ledger(ledger) as opened:
        pushed = versions.live(opened)
    assert pushed.version == first.version + 1
    assert pushed.note == "ten points more for the cheapest tier"
    assert pushed.config.boundaries()[1] == first.config.boundaries()[1] + 10

    view = tuning.open(f"versions?version=Version {first.version}")
    view.get_by_role("button", name=f"Roll back to version {first.version}").click()
    expect(view.get_by_text(f"version {first.version + 2} is live").first).to_be_visible()
    with open_ledger(ledger) as opened:
        assert versions.live(opened).config == first.config


def test_an_edited_price_shows_its_effect_and_is_kept(demo: Demo, tab: Opened) -> None:
    address, ledger = demo
    prices = tab(address)
    view = prices.open("prices")
    with open_ledger(ledger) as opened:
        before = len(read_prices(opened))
    table = view.locator(".st-key-in_use [data-testid=stDataFrame]")
    expect(table.get_by_test_id("glide-cell-4-0")).to_be_attached()
    view.wait_for_timeout(500)  # the canvas that takes the click follows its table
    table.click(position={"x": 320, "y": 52})
    for column in (2, 3):  # from the provider to the output rate of the first row
        expect(table.get_by_test_id(f"glide-cell-{column}-0")).to_have_attribute("aria-selected", "true")
        view.keyboard.press("ArrowRight")
    expect(table.get_by_test_id("glide-cell-4-0")).to_have_attribute("aria-selected", "true")
    view.keyboard.press("Enter")
    rate = view.locator("input.gdg-input")
    rate.fill("99")
    rate.press("Enter")
    expect(view.get_by_text("Effect on spend")).to_be_visible(timeout=15_000)
    prices.settle()
    assert figure(view, "With these prices") != figure(view, "As charged")
    view.get_by_role("button", name="Save 1 price").click()
    expect(view.get_by_text("Effect on spend")).to_be_hidden()
    prices.settle()
    with open_ledger(ledger) as opened:
        after = read_prices(opened)
    assert len(after) == before + 1
    assert after[-1].output_usd_per_mtok == 99


def test_an_empty_ledger_says_what_to_do_next(tmp_path: Path, tab: Opened) -> None:
    path = tmp_path / "empty.db"
    open_ledger(path).close()
    with running.dashboard(path) as address:
        empty = tab(address)
        for page in ("", "tuning"):
            expect(empty.open(page).get_by_text("No requests yet")).to_be_visible()
        empty.open("prices")
        path.unlink()
        expect(empty.open("").get_by_text("there is no ledger", exact=False)).to_be_visible()
        empty.close()  # before its server goes, which it would complain of


def test_a_running_gateway_uses_a_pushed_version_within_a_second(tmp_path: Path, tab: Opened) -> None:
    body = {"model": "auto", "messages": [{"role": "user", "content": "hello"}]}
    with upstream() as url:
        config = write_config(tmp_path / "config.yaml", url, {"cheap": "ok", "strong": "ok"})
        with gateway(tmp_path / "ledger.db", config, UP_KEY="k") as served:
            ask = served.client().chat.completions.with_raw_response.create
            first = [ask(**body).headers for _ in range(20)]  # type: ignore[call-overload]
            assert {(reply["x-tierwise-version"], reply["x-tierwise-tier"]) for reply in first} == {("1", "SIMPLE")}
            with running.dashboard(tmp_path / "ledger.db") as address:
                tuning = tab(address)
                view = tuning.open("tuning")
                press(tuning, "STRONG starts at", "Home")
                view.get_by_role("textbox", name="Note").fill("everything on the strong tier")
                view.get_by_role("textbox", name="Note").press("Tab")
                tuning.settle()
                view.get_by_role("textbox", name="Why all the same?").fill("nothing is judged yet")
                view.get_by_role("textbox", name="Why all the same?").press("Tab")
                tuning.settle()
                view.get_by_role("button", name="Push version 2").click()
                expect(view.get_by_text("configuration v2")).to_be_visible()
                time.sleep(1)
                reply = ask(**body).headers  # type: ignore[call-overload]
                assert (reply["x-tierwise-version"], reply["x-tierwise-tier"]) == ("2", "STRONG")
                tuning.close()  # before its server goes, which it would complain of
