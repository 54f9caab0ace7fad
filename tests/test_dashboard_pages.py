"""Every page says something useful over every ledger: empty, one request, a demo, vanished; and to nonsense."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from dashboard import rates, wording
from router_core.decision import Attempt, Kind, Reason, RoutingDecision, Status, Strategy, new_decision_id
from router_core.ledger.price_rows import read_prices
from router_core.ledger.rollup import refresh
from router_core.ledger.store import open_ledger
from router_core.lifecycle import versions
from router_core.prices import Price, cost_nusd
from router_core.usage import Usage

APP = Path(__file__).parent.parent / "dashboard" / "app.py"
PAGES = ("overview", "tiers", "tuning", "prices", "versions", "import_data", "reconcile")


@pytest.fixture(scope="module")
def demo_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from router_core.demo import fill

    path = tmp_path_factory.mktemp("demo") / "ledger.db"
    with open_ledger(path) as ledger:
        fill(ledger, decisions=6_000, days=14, seed=3, now_ms=1_795_000_000_000)
        refresh(ledger)
    return path


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """The path of the ledger the app reads; caches are empty at the start."""
    path = tmp_path / "ledger.db"
    monkeypatch.setenv("TIERWISE_DB", str(path))
    st.cache_data.clear()
    st.cache_resource.clear()
    yield path
    st.cache_resource.clear()


def copied(source: Path, target: Path) -> Path:
    with sqlite3.connect(source) as old, sqlite3.connect(target) as new:
        old.backup(new)
    old.close()
    new.close()
    return target


def decision(*, at_ms: int = 1_795_000_000_000, quality: float | None = None) -> RoutingDecision:
    attempt = Attempt(Kind.ANSWER, "SIMPLE", "openai", "gpt-4.1-nano", usage=Usage(100, 20), list_cost_nusd=18_000)
    return RoutingDecision(
        id=new_decision_id(at_ms),
        decided_at_ms=at_ms,
        config_version=1,
        scorer_version="reference",
        feature="chat",
        team="support",
        score=12,
        stage="rules",
        tier="SIMPLE",
        reason=Reason.POLICY,
        propensity=1.0,
        strategy=Strategy.DIRECT,
        status=Status.OK,
        latency_ms=300,
        attempts=(attempt,),
        quality=quality,
    )


def opened(page: str, **query: str) -> AppTest:
    app = AppTest.from_file(str(APP), default_timeout=60)
    for name, value in query.items():
        app.query_params[name] = value
    app.run()
    if page != "overview":
        app.switch_page(f"app_pages/{page}.py").run()
    assert not app.exception, [error.value for error in app.exception]
    assert not app.error
    return app


def words(app: AppTest) -> str:
    texts = [*app.markdown, *app.caption, *app.warning, *app.title]
    return "\n".join(str(text.value) for text in texts)


@pytest.mark.parametrize("page", PAGES)
def test_without_a_ledger_each_page_says_how_to_make_one(page: str, shown: Path) -> None:
    assert "tierwise demo --db" in words(opened(page))
    assert not shown.exists()


@pytest.mark.parametrize("page", PAGES)
def test_over_an_empty_ledger_each_page_says_what_to_do_next(page: str, shown: Path) -> None:
    open_ledger(shown).close()
    app = opened(page)
    if page in ("overview", "tiers", "tuning"):
        assert "No requests yet" in words(app)
        assert "tierwise demo" in [code.value for code in app.code]
    elif page in ("import_data", "reconcile"):
        assert app.file_uploader
    else:
        assert app.dataframe or app.data_editor


@pytest.mark.parametrize("page", PAGES)
def test_one_unlabelled_request_is_enough_for_each_page(page: str, shown: Path) -> None:
    with open_ledger(shown) as ledger:
        ledger.write_decisions([decision()])
        refresh(ledger)
    app = opened(page)
    assert "No requests yet" not in words(app)
    if page == "overview":
        figures = {metric.label: metric.value for metric in app.metric}
        assert figures["Spend"] == "$0.000018"
        assert figures["Quality"] == "–"


@pytest.mark.parametrize("page", PAGES)
def test_each_page_draws_the_demo_and_says_that_it_is_one(page: str, shown: Path, demo_file: Path) -> None:
    copied(demo_file, shown)
    assert "Demo data" in words(opened(page))


def test_the_overview_adds_up_to_the_rows(shown: Path, demo_file: Path) -> None:
    copied(demo_file, shown)
    app = opened("overview", days="90d")
    with sqlite3.connect(shown) as rows:
        cost, priced, attempts = rows.execute(
            "SELECT SUM(list_cost_nusd), SUM(list_cost_nusd IS NOT NULL), COUNT(*) FROM attempt"
        ).fetchone()
        decisions, labelled, quality = rows.execute(
            "SELECT COUNT(*), COUNT(quality_ppm), AVG(quality_ppm) / 1e6 FROM decision"
        ).fetchone()
    rows.close()
    figures = {metric.label: metric.value for metric in app.metric}
    assert figures["Spend"] == wording.usd(cost)
    assert figures["Quality"] == wording.share(quality)
    assert wording.plural(decisions, "request") in words(app)
    assert f"quality judged on {wording.share(labelled / decisions, digits=0)}" in words(app)
    assert priced <= attempts


def test_a_view_can_be_sent_as_a_link(shown: Path, demo_file: Path) -> None:
    copied(demo_file, shown)
    app = opened("overview", days="7d", feature="support_chat")
    assert app.selectbox(key="feature").value == "support_chat"
    assert app.session_state["days"] == 7
    assert len(app.dataframe[0].value) == 1


@pytest.mark.parametrize("page", PAGES)
def test_nonsense_in_the_link_falls_back_to_the_usual_view(page: str, shown: Path, demo_file: Path) -> None:
    copied(demo_file, shown)
    nonsense = {
        "days": "x",
        "team": "<script>",
        "feature": "none such",
        "by": "7",
        "draft": ";;,MEDIUM:999",
        "version": "-3",
    }
    app = opened(page, **nonsense)
    assert "Nothing in this view" not in words(app)


def test_a_database_that_vanishes_is_one_sentence(shown: Path, demo_file: Path) -> None:
    copied(demo_file, shown)
    app = opened("overview")
    shown.unlink()
    app.run()
    assert not app.exception
    assert "there is no ledger" in words(app).lower()


def test_a_file_that_is_no_ledger_is_one_sentence(shown: Path) -> None:
    shown.write_text("not a database, but long enough to look at")
    assert "is not a Tierwise ledger" in words(opened("overview"))


def test_moving_a_slider_changes_the_projection_and_never_crosses_its_neighbours(shown: Path, demo_file: Path) -> None:
    copied(demo_file, shown)
    app = opened("tuning")
    before = {metric.label: metric.value for metric in app.metric}
    assert before["Requests moved"] == "0.0%"
    app.slider[0].set_value(88).run()
    assert not app.exception
    after = {metric.label: metric.value for metric in app.metric}
    assert after["Requests moved"] != "0.0%"
    assert [slider.value for slider in app.slider] == [88, 88, 92]
    assert any("score_min: 88" in code.value for code in app.code)


def test_the_cheapest_safe_setting_becomes_the_draft_and_nothing_is_pushed(shown: Path, demo_file: Path) -> None:
    copied(demo_file, shown)
    with open_ledger(shown) as ledger:
        before = versions.live(ledger)
    app = opened("tuning")
    app.number_input(key="value::quality_floor").set_value(70.0).run()
    app.button(key="find").click().run()
    assert not app.exception
    figures = {metric.label: metric.value for metric in app.metric}
    assert float(figures["Saving"].rstrip("%")) > 0
    assert "boundaries of their own" in words(app) or "boundaries of its own" in words(app)
    with open_ledger(shown) as ledger:
        assert versions.live(ledger) == before


def test_a_push_needs_a_note_and_then_becomes_the_next_version(shown: Path, demo_file: Path) -> None:
    copied(demo_file, shown)
    app = opened("tuning")
    with open_ledger(shown) as ledger:
        first = versions.live(ledger).version
    app.slider[0].set_value(60).run()
    app.button(key="push").click().run()
    assert "Write a note first" in words(app)
    app.text_input(key="push_note").set_value("cheaper chat").run()
    app.button(key="push").click().run()
    assert not app.exception
    with open_ledger(shown) as ledger:
        live = versions.live(ledger)
    assert (live.version, live.note, live.config.boundaries()[1]) == (first + 1, "cheaper chat", 60)
    assert live.projection is not None
    assert live.projection["support"]["moved_share"] > 0
    assert f"configuration v{first + 1}" in words(app)
    assert "There is nothing to push" in words(app)


def test_two_people_pushing_is_a_conflict_in_a_sentence_and_nothing_is_lost(shown: Path, demo_file: Path) -> None:
    copied(demo_file, shown)
    app = opened("tuning")
    app.slider[0].set_value(60).run()
    with open_ledger(shown) as ledger:
        other = versions.push(ledger, versions.live(ledger).config, author="somebody else", note="meanwhile")
    app.text_input(key="push_note").set_value("mine").run()
    app.button(key="push").click().run()
    assert not app.exception
    said = words(app)
    assert f"version {other.version} is live now" in said
    assert "Nothing was changed" in said
    with open_ledger(shown) as ledger:
        assert versions.live(ledger).version == other.version
    app.button(key="rebase").click().run()
    app.text_input(key="push_note").set_value("mine, having looked").run()
    app.button(key="push").click().run()
    with open_ledger(shown) as ledger:
        assert versions.live(ledger).version == other.version + 1


def test_rolling_back_makes_an_old_version_live_again(shown: Path, demo_file: Path) -> None:
    copied(demo_file, shown)
    with open_ledger(shown) as ledger:
        first = versions.live(ledger)
        pushed = versions.push(
            ledger, first.config.with_boundaries((0, 60, 80, 95)), author="test", note="a change to regret"
        )
    app = opened("versions")
    app.selectbox(key="version").set_value(first.version).run()
    app.button(key="rollback").click().run()
    assert not app.exception
    with open_ledger(shown) as ledger:
        live = versions.live(ledger)
    assert live.version == pushed.version + 1
    assert live.config == first.config


def edit(app: AppTest, rates: dict[str, object], row: int = 0) -> AppTest:
    app.session_state["prices_0"] = {"edited_rows": {row: rates}, "added_rows": [], "deleted_rows": []}
    return app.run()


def test_an_edited_price_shows_its_exact_effect_before_it_is_kept(shown: Path, demo_file: Path) -> None:
    copied(demo_file, shown)
    app = opened("prices", days="90d")
    table = app.data_editor[0].value
    row = int(table["usd"].idxmax())
    model = table["model"][row]
    new = {name: None if pd.isna(table[name][row]) else Decimal(str(table[name][row])) for name in rates.RATES}
    new["output"] = Decimal("99.5")
    app = edit(app, {"output": 99.5}, row)
    assert not app.exception
    price = Price(
        None, "any", model, "manual", date(2026, 1, 1), **{rates.RATES[key]: rate for key, rate in new.items()}
    )
    with sqlite3.connect(shown) as rows:
        calls = rows.execute(
            "SELECT input_tokens, output_tokens, cache_read_input_tokens, cache_write_input_tokens, list_cost_nusd "
            "FROM attempt JOIN dimension ON dimension.id = model_id WHERE name = ? AND price_id IS NOT NULL",
            [model],
        ).fetchall()
    rows.close()
    expected = 0
    for *tokens, cost in calls:
        repriced = cost_nusd(price, Usage(*(count or 0 for count in tokens)))
        assert repriced is not None
        expected += repriced - cost
    effect = next(frame.value for frame in app.dataframe if "change" in frame.value)
    change = effect.set_index("model")["change"]
    assert list(change.index) == [model]
    assert float(change[model]) == pytest.approx(expected / 1e9, abs=len(calls) / 1e9)


def test_keeping_a_price_appends_a_row(shown: Path, demo_file: Path) -> None:
    copied(demo_file, shown)
    with open_ledger(shown) as ledger:
        before = read_prices(ledger)
    app = edit(opened("prices"), {"input": 9.5, "output": 19.0})
    app.button(key="save_prices").click().run()
    assert not app.exception
    with open_ledger(shown) as ledger:
        after = read_prices(ledger)
    assert after[: len(before)] == before
    (added,) = after[len(before) :]
    assert (added.input_usd_per_mtok, added.output_usd_per_mtok, added.layer) == (
        Decimal("9.5"),
        Decimal("19.0"),
        "manual",
    )


@pytest.mark.parametrize("pasted", [-5, float("inf"), 2_000_000, "a lot"])
def test_a_price_outside_its_limits_is_refused_in_a_sentence(pasted: object, shown: Path, demo_file: Path) -> None:
    copied(demo_file, shown)
    app = edit(opened("prices"), {"input": pasted})
    assert not app.exception
    assert not [button for button in app.button if button.key == "save_prices"] or "a lot" in str(pasted)
    if pasted != "a lot":  # a word pasted into a number column does not leave the browser's table
        assert "Nothing was changed" in words(app)
