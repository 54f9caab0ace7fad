"""Tuning from slider to proof: slide, search, prove by replay, push, roll back; and links that show the same."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import running
from playwright.sync_api import Page, expect
from running import Tab
from upstream import upstream

from router_core.ledger.price_rows import add_prices
from router_core.ledger.store import Ledger, open_ledger
from router_core.lifecycle import trials, versions
from router_core.prices import Price

pytestmark = pytest.mark.browser

Opened = Callable[..., Tab]
Demo = tuple[str, Path]
FIGURES = ("Saving", "Quality", "Fallback rate", "Slowest 5%", "Requests moved")


def figures(view: Page, labels: tuple[str, ...] = FIGURES) -> list[str]:
    """Return what figures of the row say."""
    found = []
    for label in labels:
        metric = view.get_by_test_id("stMetric").filter(has=view.get_by_text(label, exact=True))
        found.append(metric.get_by_test_id("stMetricValue").inner_text())
    return found


def answering(ledger: Ledger, url: str) -> None:
    """Let all providers of the live configuration be a server here, and one of its models a judge."""
    plain: dict[str, Any] = versions.live(ledger).config.model_dump(mode="json")
    for provider in plain["providers"].values():
        provider |= {"base_url": f"{url}/v1", "api_key_env": None}
    plain["models"]["judge"] = {"provider": "openai", "name": "grades"}
    plain["classifier"]["judge_model"] = "judge"
    price = Price(
        None,
        "openai",
        "grades",
        "manual",
        date(2026, 1, 1),
        input_usd_per_mtok=Decimal("0.1"),
        output_usd_per_mtok=Decimal("0.4"),
    )
    add_prices(ledger, [price])
    versions.push(ledger, plain, author="test", note="answered here")


@pytest.fixture(scope="module")
def answered(demo_ledger: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """A dashboard over a demo ledger whose prompts are kept and whose providers answer."""
    path = tmp_path_factory.mktemp("answered") / "ledger.db"
    shutil.copy(demo_ledger, path)
    with upstream() as url:
        with open_ledger(path) as ledger:
            answering(ledger, url)
        with sqlite3.connect(path) as connection:
            connection.execute(
                "INSERT INTO captured_prompt (decision_id, expires_at_ms, prompt) "
                "SELECT id, 99999999999999, 'What is six times seven?' FROM decision"
            )
        connection.close()
        with running.dashboard(path) as address:
            yield address, path


def test_a_draft_is_slid_searched_proved_pushed_and_rolled_back(answered: Demo, tab: Opened) -> None:
    address, path = answered
    with open_ledger(path) as ledger:
        first = versions.live(ledger)
    tuning = tab(address)
    view = tuning.open("tuning")
    handle = view.get_by_role("slider", name="MEDIUM starts at")
    handle.focus()
    handle.press("ArrowRight")
    tuning.settle()
    slid = figures(view)
    assert slid[-1] != "0.0%"
    view.get_by_role("button", name="Find the cheapest safe setting").click()
    expect(view.get_by_text("The draft is now the cheapest setting")).to_be_visible()
    tuning.settle()
    assert figures(view)[0] != slid[0]
    assert "draft=" in view.url

    view.get_by_role("spinbutton", name="Requests to replay").fill("20")
    view.get_by_role("spinbutton", name="Requests to replay").press("Enter")
    tuning.settle()
    view.get_by_role("button", name="What would it cost?").click()
    start = view.get_by_role("button", name="Start, for at most $")
    expect(start).to_be_visible()
    expect(view.locator(".st-key-prove")).to_contain_text("80 calls")
    start.click()
    expect(view.get_by_text("Quality, proved")).to_be_visible(timeout=30_000)
    tuning.settle()
    with open_ledger(path) as ledger:
        held = trials.held(ledger)[0]
    assert held.proof is not None
    assert held.proof.replays == 20
    expect(view.locator(".st-key-prove")).to_contain_text("20 replays made it this")

    view.get_by_role("textbox", name="Note").fill("cheaper, and proved")
    view.get_by_role("textbox", name="Note").press("Tab")
    tuning.settle()
    reason = view.get_by_role("textbox", name="Why all the same?")
    if reason.is_visible():  # what was proved may lie under the floor
        reason.fill("a rehearsal")
        reason.press("Tab")
        tuning.settle()
    view.get_by_role("button", name=f"Push version {first.version + 1}").click()
    expect(view.get_by_text(f"configuration v{first.version + 1}")).to_be_visible()
    tuning.settle()
    with open_ledger(path) as ledger:
        pushed = versions.live(ledger)
    assert pushed.config == held.target
    assert pushed.note.startswith("cheaper, and proved")
    assert pushed.projection is not None

    view = tuning.open(f"versions?version=Version {first.version}")
    view.get_by_role("button", name=f"Roll back to version {first.version}").click()
    expect(view.get_by_text(f"version {first.version + 2} is live").first).to_be_visible()
    tuning.settle()
    with open_ledger(path) as ledger:
        assert versions.live(ledger).config == first.config


def test_a_draft_below_its_floor_is_pushed_only_with_a_reason(answered: Demo, tab: Opened) -> None:
    address, path = answered
    with open_ledger(path) as ledger:
        before = versions.live(ledger).version
    tuning = tab(address)
    view = tuning.open("tuning?draft=,MEDIUM:97,COMPLEX:98,REASONING:99;,quality_floor=0.95")
    expect(view.locator(".st-key-review")).to_contain_text("below the floor of 95.0%")
    view.get_by_role("textbox", name="Note").fill("everything cheap")
    view.get_by_role("textbox", name="Note").press("Tab")
    tuning.settle()
    push = view.get_by_role("button", name="all the same")
    push.click()
    expect(view.get_by_text("Say why it should go live all the same")).to_be_visible()
    tuning.settle()
    with open_ledger(path) as ledger:
        assert versions.live(ledger).version == before
    view.get_by_role("textbox", name="Why all the same?").fill("the budget is spent")
    view.get_by_role("textbox", name="Why all the same?").press("Tab")
    tuning.settle()
    push.click()
    expect(view.get_by_text(f"configuration v{before + 1}")).to_be_visible()
    tuning.settle()
    with open_ledger(path) as ledger:
        note = versions.live(ledger).note
    assert note.startswith("everything cheap (past the gate: the budget is spent")


def test_links_of_a_draft_and_of_a_scenario_show_the_same(demo: Demo, tab: Opened) -> None:
    first, second = tab(demo[0]), tab(demo[0])
    view = first.open("tuning?days=7d&draft=,MEDIUM:60")
    view.get_by_role("radio", name="by team").click()
    first.settle()
    assert "effect_by=by+team" in view.url
    other = second.open(view.url.removeprefix(f"{demo[0]}/"))
    assert figures(other) == figures(view)
    expect(other.get_by_role("radio", name="by team")).to_be_checked()

    view = first.open("what_if")
    view.get_by_role("button", name="Traffic and mix").click()
    first.settle()
    choice = view.get_by_role("combobox", name="Features")
    choice.click()
    view.get_by_role("option", name="every feature").click()
    choice.press("Escape")
    amount = view.get_by_role("spinbutton", name="every feature, change in %")
    amount.fill("100")
    amount.press("Enter")
    first.settle()
    assert '"growth":{"*":1.0}' in unquote(view.url)
    drawn = view.locator(".st-key-sides_figure .ytick")
    expect(drawn.filter(has_text="New scenario")).to_be_visible()
    names = drawn.all_text_contents()
    other = second.open(view.url.removeprefix(f"{demo[0]}/"))
    expect(other.get_by_role("spinbutton", name="every feature, change in %")).to_have_value("100")
    expect(other.locator(".st-key-sides_figure .ytick")).to_have_text(names)
