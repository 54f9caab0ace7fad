"""The Overview's outlook: what changed and why, the month's end, alerts, any baseline, and spend metered elsewhere."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import apps
import pytest
from apps import checked, figures, opened, rows, words
from decisions import a_decision, an_attempt
from streamlit.testing.v1 import AppTest

from dashboard import changed, outlook
from router_core.config import Budget
from router_core.ledger.metered import Metered, write_metered
from router_core.ledger.rollup import refresh
from router_core.ledger.store import open_ledger
from router_core.lifecycle import versions
from router_core.lifecycle.forecast import Forecast
from router_core.projection.spend_change import PARTS, SpendChange

demo_source, empty_app, demo_app = apps.demo_source, apps.empty_app, apps.demo_app


def figure(app: AppTest, key: str) -> dict[str, object]:
    """Return a figure's specification by the key of its element."""
    found = [chart for chart in app.get("plotly_chart") if f"-{key}" in chart.proto.id or chart.proto.id.endswith(key)]
    assert len(found) == 1, [chart.proto.id for chart in app.get("plotly_chart")]
    spec: dict[str, object] = json.loads(found[0].proto.spec)
    return spec


def budgeted(path: Path, *budgets: Budget) -> None:
    """Push the live configuration with these budgets."""
    with open_ledger(path) as ledger:
        live = versions.live(ledger).config
        versions.push(ledger, live.model_copy(update={"budgets": budgets}), author="test", note="budgets")


def test_the_waterfall_goes_from_what_was_to_what_is(demo_app: Path) -> None:
    app = opened("overview", days="7d")
    bars = figure(app, "changed_figure")["data"]
    assert isinstance(bars, list)
    told = {bar["y"][0]: bar["customdata"][0] for bar in bars}
    spent = [
        float(str(cost))
        for (cost,) in rows(
            demo_app,
            "SELECT SUM(list_cost_nusd) / 1e9 FROM spend_cell WHERE day > (SELECT MAX(day) FROM spend_cell) - 14 "
            "GROUP BY day > (SELECT MAX(day) FROM spend_cell) - 7 ORDER BY MIN(day)",
        )
    ]
    assert told["Before"] == pytest.approx(spent[0], abs=1e-8)
    assert told["Now"] == pytest.approx(spent[1], abs=1e-8)
    steps = [value for name, value in told.items() if name not in ("Before", "Now")]
    assert told["Before"] + sum(steps) == pytest.approx(told["Now"], abs=1e-8)
    assert "more requests" in words(app) or "fewer requests" in words(app) or "mostly" in words(app)


def test_a_window_with_nothing_before_it_says_so(demo_app: Path) -> None:
    assert "does not hold the 30 days before" in words(opened("overview"))


def test_parts_too_small_to_matter_are_not_told() -> None:
    parts = dict.fromkeys(PARTS, 0) | {"volume": 10, "price": -300}
    by = {part: {"chat": nusd} if nusd else {} for part, nusd in parts.items()}
    found = SpendChange(1000, 710, 10, 10, parts, by, {"gpt-5.2": -300})  # type: ignore[arg-type]
    (line,) = changed.said(found)
    assert line == "**Prices -$0.0000003**: the same tokens at other rates; gpt-5.2 -$0.0000003."


def test_a_waterfall_of_small_steps_begins_its_axis_where_they_are_seen() -> None:
    parts = dict.fromkeys(PARTS, 0) | {"volume": 10**9}
    found = SpendChange(100 * 10**9, 101 * 10**9, 1, 1, parts, {part: {} for part in PARTS}, {})  # type: ignore[arg-type]
    assert 90 < changed.begins_at(changed.waterfall(found, "Before", "Now")) < 100
    nothing = SpendChange(0, 10**9, 0, 1, parts, {part: {} for part in PARTS}, {})  # type: ignore[arg-type]
    assert changed.begins_at(changed.waterfall(nothing, "Before", "Now")) == 0


def test_the_month_is_foretold_with_its_interval(demo_app: Path) -> None:
    app = opened("overview")
    assert "by 30 Nov (" in words(app)
    traces = figure(app, "outlook_figure")["data"]
    assert isinstance(traces, list)
    assert {"foretold", "November"} <= {trace.get("name") for trace in traces}


def test_too_few_days_foretell_nothing_and_a_month_that_is_over_is_told() -> None:
    month = date(2026, 11, 1), date(2026, 11, 30)
    short = outlook.told(Forecast(*month, 5 * 10**9, 12, 3, None, None, None))
    assert short == ("**$5.00** spent in November so far", "A forecast needs 14 whole days with traffic; there are 3.")
    over = outlook.told(Forecast(*month, 5 * 10**9, 0, 30, 5 * 10**9, 5 * 10**9, 5 * 10**9))
    assert over == ("**$5.00** in November", "the month is over")


def test_budgets_are_told_of_once_with_the_worst_first(demo_app: Path) -> None:
    budgeted(demo_app)
    assert "Nothing needs attention" in words(opened("overview"))
    with open_ledger(demo_app) as ledger:
        spent = sum(
            int(str(cost))
            for (cost,) in rows(demo_app, "SELECT list_cost_nusd FROM spend_cell WHERE day >= 20758")  # 1 Nov 2026
        )
        assert ledger.zone.key == "UTC"
    dollars = spent / 1e9
    budgeted(demo_app, Budget(max_budget=dollars * 1.05), Budget(scope="team:support", max_budget=1e-6))
    app = opened("overview")
    said = words(app)
    assert "Needs attention" in said
    assert said.count("for team support is spent") == 1
    assert "of the budget of" not in said  # near it, but what is foretold is worse
    assert said.count("pass the budget of") == 1
    assert said.index("team support is spent") < said.index("pass the budget of")
    assert ":red[:material/error:] The budget" in said
    budget = figure(app, "outlook_figure")["layout"]
    assert isinstance(budget, dict)
    assert "budget" in budget["annotations"][0]["text"]


def test_a_call_without_a_price_is_an_alert(empty_app: Path) -> None:
    with open_ledger(empty_app) as ledger:
        calls = (an_attempt(model="brand-new", list_cost_nusd=None, price_id=None),)
        ledger.write_decisions([a_decision(attempts=calls), a_decision()])
        refresh(ledger)
    assert "of calls have no known price (brand-new)" in words(opened("overview"))


def test_savings_can_be_measured_against_any_model_with_a_price(demo_app: Path) -> None:
    usual = figures(opened("overview"))["Saved"]
    app = opened("overview", baseline="openai/gpt-4o")
    assert "every request answered once by gpt-4o of openai" in words(app)
    assert figures(app)["Saved"] not in (usual, "–")
    cheap = checked(app.selectbox(key="baseline").set_value("gpt-4.1-nano").run())
    assert figures(cheap)["Saved"].startswith("-$")  # routing costs more than the cheapest model alone
    unknown = opened("overview", baseline="no such model")
    assert figures(unknown)["Saved"] == "–"
    assert "no price is known for 'no such model'" in words(unknown)


def test_spend_metered_elsewhere_stands_apart_and_is_in_no_figure(demo_app: Path) -> None:
    before = figures(opened("overview"))
    assert "Metered elsewhere" not in words(opened("overview"))
    bucket = Metered(
        bytes(16), "openai_usage", date(2026, 11, 10), 0, 1, "openai", "gpt-4.1", reported_cost_nusd=9_999 * 10**9
    )
    with open_ledger(demo_app) as ledger:
        write_metered(ledger, [bucket])
    apps.st.cache_data.clear()
    app = opened("overview")
    assert "Metered elsewhere" in words(app)
    assert figures(app) == before
    table = next(frame.value for frame in app.dataframe if "reported" in frame.value)
    assert table["reported"].tolist() == [9_999]
    assert table["list"].isna().all()


def test_an_import_of_nothing_but_reports_shows_them(empty_app: Path) -> None:
    with open_ledger(empty_app) as ledger:
        write_metered(ledger, [Metered(bytes(16), "report", date(2026, 11, 10), 0, 1, "openai", "gpt-4.1", requests=3)])
    said = words(opened("overview"))
    assert "No requests yet" in said
    assert "Metered elsewhere" in said


def test_an_alert_is_put_aside_for_everybody_and_put_back(demo_app: Path) -> None:
    app = opened("overview")
    said = words(app)
    assert "Needs attention" in said
    assert "Team engineering" in said or "for team engineering" in said
    (seen,) = [button for button in app.button if button.label == "Seen"]
    checked(seen.click().run())
    ((who,),) = rows(demo_app, "SELECT seen_by FROM alert_notice")
    assert who
    for page in ("overview", "health"):
        again = opened(page)
        assert "Needs attention" not in words(again)
        assert f":gray[Seen by {who}, just now.]" in words(again)
        assert "1 alert seen already" in again.expander[0].label
    (back,) = [button for button in again.button if button.label == "Show again"]
    checked(back.click().run())
    assert "Needs attention" in words(opened("overview"))
    audit = [str(what) for (what,) in rows(demo_app, "SELECT what FROM event ORDER BY id DESC LIMIT 2")]
    assert audit == ["alert shown again", "alert seen"]
