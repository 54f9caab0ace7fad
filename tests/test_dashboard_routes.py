"""Tiers and routes: every way to break traffic down, who answered in the end, why calls fell back, and overheads."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import apps
import numpy as np
import pandas as pd
import pytest
from apps import figures, opened, rows, words
from decisions import a_decision, an_attempt

from dashboard import overheads, routes
from router_core.config import default_config
from router_core.decision import Kind, QualitySource, Reason, Status, Strategy
from router_core.ledger.call_sums import CallSums
from router_core.ledger.rollup import refresh
from router_core.ledger.store import open_ledger
from router_core.prices import PriceBook
from router_core.serving.shadow import AGREES, DIFFERS

demo_source, empty_app, demo_app = apps.demo_source, apps.empty_app, apps.demo_app


@pytest.mark.parametrize("by", ["model", "feature", "team", "provider", "route"])
def test_each_way_to_break_it_down_adds_up_to_all(by: str, demo_app: Path) -> None:
    app = opened("tiers", compare=by.capitalize(), days="90d")
    tables = [frame.value for frame in app.dataframe if by in frame.value and "usd_per_success" in frame.value]
    assert len(tables) == 1
    ((cost, requests),) = rows(demo_app, "SELECT SUM(list_cost_nusd) / 1e9, SUM(decisions) FROM spend_cell")
    assert tables[0]["usd"].sum() == pytest.approx(cost)
    assert tables[0]["decisions"].sum() == requests
    known = tables[0][tables[0]["labelled"] > 0]
    assert known["interval"].str.contains(" to ").all()
    assert ("p95" in tables[0]) == (by in ("model", "provider"))


def test_tiers_stand_in_the_order_of_the_ladder_with_how_long_calls_took(demo_app: Path) -> None:
    table = next(frame.value for frame in opened("tiers").dataframe if "tier" in frame.value)
    assert table["tier"].tolist() == ["SIMPLE", "MEDIUM", "COMPLEX", "REASONING"]
    assert (table["p50"] <= table["p95"]).all()
    assert (table["p95"] <= table["p99"]).all()


def test_nonsense_to_compare_by_falls_back_to_models(demo_app: Path) -> None:
    app = opened("tiers", compare="<b>")
    assert any("model" in frame.value and "usd_per_success" in frame.value for frame in app.dataframe)


def flowing(**changes: object) -> dict[str, object]:
    usual = {
        "feature": "a",
        "tier": "SIMPLE",
        "model": "gpt-4.1-nano",
        "kind": "answer",
        "status": "ok",
        "decisions": 1,
    }
    return {**usual, **changes}


@pytest.mark.parametrize(
    ("changes", "answered"),
    [
        ({}, "SIMPLE"),
        ({"kind": "failover", "model": "gemini-2.5-flash-lite"}, "SIMPLE"),
        ({"kind": "escalation", "model": "gpt-4.1-mini"}, "MEDIUM"),
        ({"model": ""}, "cache"),
        ({"model": "", "status": "blocked"}, "no answer"),
        ({"status": "timeout"}, "no answer"),
        ({"model": "a stranger"}, "another model"),
        ({"tier": "gone", "model": "gpt-4.1"}, "COMPLEX"),
    ],
)
def test_the_tier_that_answered_is_known_by_its_model(changes: dict[str, object], answered: str) -> None:
    found = routes.answered(pd.DataFrame([flowing(**changes)]), default_config())
    assert found["answered"].tolist() == [answered]


def test_why_calls_fell_back_is_told_with_what_they_took_and_cost(empty_app: Path) -> None:
    draft = an_attempt(status=Status.REJECTED, final=False, latency_ms=2000, list_cost_nusd=3 * 10**9)
    better = an_attempt(kind=Kind.ESCALATION, tier="MEDIUM", model="gpt-4.1-mini", reason="check json_schema")
    late = an_attempt(
        status=Status.TIMEOUT, final=False, latency_ms=9000, usage=None, list_cost_nusd=None, reason="slow"
    )
    other = an_attempt(kind=Kind.FAILOVER, model="gemini-2.5-flash-lite")
    with open_ledger(empty_app) as ledger:
        ledger.write_decisions(
            [
                a_decision(attempts=(draft, better), strategy=Strategy.CASCADE),
                a_decision(attempts=(late, other)),
                a_decision(attempts=(an_attempt(),)),
                a_decision(attempts=(an_attempt(),)),
            ]
        )
        refresh(ledger)
    app = opened("tiers")
    told = figures(app)
    assert told["Escalated"] == "25.00%"
    assert told["Cascade adds"] == "2.00 s"
    assert told["Failed over"] == "25.00%"
    assert told["Paid for no answer"] == "$3.00"
    table = next(frame.value for frame in app.dataframe if "what" in frame.value and "why" in frame.value)
    found = {(row["what"], row["model"], row["why"]): row["attempts"] for _, row in table.iterrows()}
    assert found[("A stronger tier stepped in", "gpt-4.1-mini", "check json_schema")] == 1
    assert found[("Timed out", "gpt-4.1-nano", "slow")] == 1
    assert found[("Turned down by a check", "gpt-4.1-nano", "")] == 1


def test_a_ledger_without_fallbacks_says_so(empty_app: Path) -> None:
    with open_ledger(empty_app) as ledger:
        ledger.write_decisions([a_decision(attempts=(an_attempt(),))])
        refresh(ledger)
    said = words(opened("tiers"))
    assert "Every first call was answered" in said
    assert "Nothing was called but the models that answered" in said
    assert "No request was served from a cache" in said


def test_sampled_cache_hits_tell_how_many_were_false(empty_app: Path) -> None:
    def hit(reason: str) -> object:
        sample = an_attempt(kind=Kind.SHADOW, reason=reason, final=False)
        return a_decision(attempts=(sample,), strategy=Strategy.CACHE_SEMANTIC)

    with open_ledger(empty_app) as ledger:
        ledger.write_decisions([*(hit(AGREES) for _ in range(3)), hit(DIFFERS), a_decision(attempts=(an_attempt(),))])  # type: ignore[list-item]
        refresh(ledger)
    said = words(opened("tiers"))
    assert "Of 4 sampled hits, a model answered 25.0% otherwise: false hits." in said


def calls(**columns: list[int]) -> CallSums:
    n = len(columns["kind"])
    usual = {name: [0] * n for name in CallSums.__dataclass_fields__ if name not in ("features", "tiers", "models")}
    arrays = {name: np.array(values, dtype=np.int64) for name, values in {**usual, **columns}.items()}
    return CallSums(features=("chat",), tiers=("SIMPLE",), models=("m",), **arrays)  # type: ignore[arg-type]


def test_a_cache_spares_what_other_requests_of_the_feature_cost() -> None:
    found = overheads.cached(
        calls(
            kind=[0, 0, 0],
            strategy=[0, Strategy.CACHE_EXACT, Strategy.CACHE_SEMANTIC],
            decisions=[8, 3, 1],
            list_cost_nusd=[16 * 10**9, 0, 0],
        )
    )
    (row,) = found.to_dict("records")
    assert row == {"feature": "chat", "requests": 12, "exact": 3, "semantic": 1, "share": 4 / 12, "usd": 8.0}
    assert overheads.cached(calls(kind=[0], strategy=[0], decisions=[8])).empty


def test_shortening_spares_the_tokens_it_takes_out_at_what_input_cost(demo_app: Path) -> None:
    assert overheads.shortened(calls(kind=[0], attempts=[5]), PriceBook()) is None
    with open_ledger(demo_app) as ledger:
        from router_core.ledger.call_sums import call_sums
        from router_core.ledger.price_rows import read_prices

        found = overheads.shortened(call_sums(ledger), PriceBook(read_prices(ledger)))
    assert found is not None
    count, cost, spared = found
    ((calls_made, spent),) = rows(demo_app, "SELECT COUNT(*), SUM(list_cost_nusd) / 1e9 FROM attempt WHERE kind = 6")
    assert count == calls_made
    assert cost == pytest.approx(spent)
    assert spared > cost


def test_who_decided_is_told_with_shares_quality_and_what_scoring_cost(empty_app: Path) -> None:
    judge = an_attempt(kind=Kind.CLASSIFIER, final=False, latency_ms=500, list_cost_nusd=2 * 10**9)
    good = {"quality": 1.0, "quality_source": QualitySource.PERSON}
    with open_ledger(empty_app) as ledger:
        ledger.write_decisions(
            [
                *(a_decision(stage="judge", attempts=(judge, an_attempt()), **good) for _ in range(2)),
                *(a_decision(stage="embedding") for _ in range(5)),
                a_decision(stage="embedding", reason=Reason.PIN),
                a_decision(stage="rules"),
                a_decision(stage="rules", reason=Reason.RULE),
            ]
        )
        refresh(ledger)
    app = opened("tiers")
    table = next(frame.value for frame in app.dataframe if "who" in frame.value).set_index("who")
    assert table["decisions"].to_dict() == {"Fitted scorer": 5, "Judge model": 2, "Rules": 2, "Pins of features": 1}
    assert table.loc["Judge model", ["share", "usd", "usd_per_request", "calls", "wait"]].tolist() == [20, 4, 2, 2, 0.5]
    assert table.loc["Judge model", "interval"].endswith("to 100.0%")
    assert np.isnan(table.loc["Fitted scorer", "quality"])
    assert table.loc["Rules", "usd"] == 0
    assert "2 calls to score 10 requests for \\$4.00, which is part of all spend shown." in words(app)


def test_a_judge_without_a_price_leaves_its_cost_empty_and_says_so(empty_app: Path) -> None:
    judge = an_attempt(kind=Kind.CLASSIFIER, final=False, list_cost_nusd=None, price_id=None)
    with open_ledger(empty_app) as ledger:
        ledger.write_decisions([a_decision(stage="judge", attempts=(judge, an_attempt()))])
        refresh(ledger)
    app = opened("tiers")
    table = next(frame.value for frame in app.dataframe if "who" in frame.value)
    assert table["usd"].isna().all()
    assert "at a cost that is not known in full" in words(app)
    assert "1 call without a price." in words(app)


def test_days_summed_before_deciders_were_kept_say_what_to_do(demo_app: Path) -> None:
    with sqlite3.connect(demo_app) as connection:
        connection.execute("DELETE FROM stage_cell WHERE day < (SELECT MAX(day) FROM spend_cell)")
    connection.close()
    assert "the others were summed before it was kept" in words(opened("tiers", days="90d"))
    with sqlite3.connect(demo_app) as connection:
        connection.execute("DELETE FROM stage_cell")
        connection.execute("UPDATE meta SET value = '999999' WHERE name = 'rollup_watermark'")
    connection.close()
    assert "summed before it was kept who decided" in words(opened("tiers", days="90d"))
