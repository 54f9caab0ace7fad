"""Usage and cost reports that somebody else summed: spend by bucket, replaced by newer figures, never evidence."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from imports import as_csv, kept, load

from router_core.ledger.evidence import evidence
from router_core.ledger.metered import metered
from router_core.ledger.queries import spend
from router_core.ledger.rollup import refresh
from router_core.ledger.store import Ledger, open_ledger

DAY = date(2026, 11, 20)
STARTS, ENDS = 1795132800, 1795219200


@pytest.fixture
def ledger(new_ledger: Path, db_path: Path) -> Iterator[Ledger]:
    shutil.copy(new_ledger, db_path)
    with open_ledger(db_path) as opened:
        yield opened


def page(*results: dict[str, Any]) -> str:
    bucket = {"object": "bucket", "start_time": STARTS, "end_time": ENDS, "results": list(results)}
    return json.dumps({"object": "page", "data": [bucket], "has_more": False})


def used(**changes: Any) -> dict[str, Any]:
    return {
        "object": "organization.usage.completions.result",
        "input_tokens": 1_000_000,
        "output_tokens": 100_000,
        "num_model_requests": 500,
        "input_cached_tokens": 200_000,
        "project_id": "p1",
        "model": "gpt-4.1-mini",
        "batch": False,
        **changes,
    }


def cost(value: Any, **changes: Any) -> dict[str, Any]:
    return {
        "object": "organization.costs.result",
        "amount": {"value": value, "currency": "usd"},
        "line_item": "gpt-4.1-mini, output_tokens",
        "project_id": "p1",
        **changes,
    }


def test_sums_are_spend_of_their_own_and_no_evidence(ledger: Ledger) -> None:
    report = load(ledger, page(used()))
    refresh(ledger)
    assert kept(ledger) == []
    assert spend(ledger, ()) == []
    assert evidence(ledger).decisions.size == 0
    (line,) = metered(ledger, ("source", "day", "provider", "model"))
    assert line.keys == ("openai usage", DAY, "openai", "gpt-4.1-mini")
    assert (line.requests, line.input_tokens, line.output_tokens, line.reported_cost_nusd) == (
        500,
        1_000_000,
        100_000,
        None,
    )
    assert line.list_cost_nusd == 800_000 * 400 + 200_000 * 100 + 100_000 * 1600
    assert any("a preview cannot rest on them" in sentence for sentence in report.sentences())


def test_many_calls_are_not_priced_as_one_long_one(ledger: Ledger) -> None:
    load(ledger, page(used(model="gpt-5.5", input_cached_tokens=0)))  # dearer for calls above 272,000 tokens
    (line,) = metered(ledger)
    assert line.list_cost_nusd == 1_000_000 * 5_000 + 100_000 * 30_000


def test_batch_use_has_a_bucket_and_a_price_of_its_own(ledger: Ledger) -> None:
    load(ledger, page(used(), used(batch=True)))
    plain, batch = metered(ledger, ("meter",))
    assert (plain.keys, batch.keys) == (("",), ("batch",))
    assert batch.list_cost_nusd is not None
    assert plain.list_cost_nusd is not None
    assert batch.list_cost_nusd < plain.list_cost_nusd


def test_a_report_fetched_again_replaces_what_it_said(ledger: Ledger) -> None:
    load(ledger, page(cost(1.25)))
    report = load(ledger, page(cost(2.5)))
    assert (report.loaded, report.changed, report.duplicates) == (1, 1, 0)
    (line,) = metered(ledger)
    assert line.reported_cost_nusd == 2_500_000_000


def test_rows_of_the_same_name_in_one_report_are_both_kept(ledger: Ledger) -> None:
    twice = page(cost(1.0), cost(1.0))
    load(ledger, twice)
    assert load(ledger, twice).duplicates == 2
    (line,) = metered(ledger)
    assert (line.rows, line.reported_cost_nusd) == (2, 2_000_000_000)


def test_thirty_decimals_are_read_to_the_nano_dollar(ledger: Ledger) -> None:
    row = {
        "start_time": STARTS,
        "end_time": ENDS,
        "amount_value": "0.123456789500000000000000000001",
        "amount_currency": "usd",
        "quantity": "",
        "quantity_unit": "",
        "line_item": "web search",
        "project_id": "p1",
    }
    empty = dict.fromkeys(row, "") | {"start_time": STARTS, "end_time": ENDS}
    report = load(ledger, as_csv([empty, row]))
    assert (report.rows, report.loaded) == (1, 1)
    (line,) = metered(ledger, ("model", "meter"))
    assert (line.keys, line.reported_cost_nusd) == (("", "web search"), 123_456_790)


def test_another_currency_is_put_aside_and_the_rest_loaded(ledger: Ledger) -> None:
    report = load(ledger, page(cost(1.0), cost(9.0, amount={"value": 9.0, "currency": "eur"})))
    assert (report.loaded, report.rejected) == (1, 1)
    assert report.rejects[0].reason.startswith("the currency is 'eur'; only USD can be added up")


def test_a_usage_export_without_any_use_is_empty_but_known(ledger: Ledger) -> None:
    row = {"start_time": STARTS, "end_time": ENDS, "start_time_iso": "2026-11-20T00:00:00+00:00", "end_time_iso": ""}
    assert load(ledger, as_csv([row])).loaded == 0
    assert load(ledger, page()).loaded == 0


def anthropic(*results: dict[str, Any]) -> str:
    bucket = {"starting_at": "2026-11-20T00:00:00Z", "ending_at": "2026-11-21T00:00:00Z", "results": list(results)}
    return json.dumps({"data": [bucket], "has_more": False}, indent=1)


def test_anthropic_input_comes_in_parts_and_amounts_in_cents(ledger: Ledger) -> None:
    load(
        ledger,
        anthropic(
            {
                "uncached_input_tokens": 1000,
                "cache_creation": {"ephemeral_5m_input_tokens": 300, "ephemeral_1h_input_tokens": 200},
                "cache_read_input_tokens": 500,
                "output_tokens": 100,
                "model": "claude-sonnet-4-6",
                "context_window": "0-200k",
            }
        ),
    )
    load(
        ledger,
        anthropic({"amount": "12.345", "currency": "USD", "token_type": "output_tokens", "model": "claude-sonnet-4-6"}),
    )
    costs, usage = metered(ledger, ("source",))
    assert costs.reported_cost_nusd == 123_450_000
    assert (usage.input_tokens, usage.cache_read_input_tokens, usage.cache_write_input_tokens) == (2000, 500, 500)


def test_long_context_buckets_take_the_long_context_price(ledger: Ledger) -> None:
    def result(window: str) -> dict[str, Any]:
        return {
            "uncached_input_tokens": 1_000_000,
            "output_tokens": 0,
            "model": "claude-sonnet-4-5",
            "context_window": window,
        }

    load(ledger, anthropic(result("0-200k"), result("200k-1M")))
    short, long = (line.list_cost_nusd or 0 for line in metered(ledger, ("account",)))
    assert (short, long) == (3_000_000_000, 6_000_000_000)


def test_a_deepseek_row_of_an_unknown_meter_is_put_aside(ledger: Ledger) -> None:
    def row(kind: str, price: str, amount: int) -> dict[str, Any]:
        times = {"start_time_iso": "2026-11-20T00:00:00Z", "end_time_iso": "2026-11-20T01:00:00Z"}
        return {"user_id": "u", **times, "model": "deepseek-chat", "type": kind, "price": price, "amount": amount}

    report = load(ledger, as_csv([row("output_tokens", "0.0000011", 1000), row("images", "1", 2)]))
    assert (report.loaded, report.rejected) == (1, 1)
    assert report.reported_cost_nusd == 1_100_000
