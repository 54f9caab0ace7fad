"""Invoices set against what was metered: by provider, model and day, with the likeliest reason where they differ."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from decisions import a_decision, an_attempt
from imports import as_csv, prices

from router_core.decision import Attempt
from router_core.errors import InputError
from router_core.exchange.invoice import read_invoice
from router_core.exchange.reconcile import Line, Reconciliation, reconcile
from router_core.exchange.source import Source
from router_core.ledger.rollup import refresh
from router_core.ledger.store import Ledger, open_ledger
from router_core.usage import Usage

DAY = date(2026, 11, 20)
NOON = 1795176000000
DAY_S = 86_400


@pytest.fixture
def ledger(new_ledger: Path, db_path: Path) -> Iterator[Ledger]:
    shutil.copy(new_ledger, db_path)
    with open_ledger(db_path) as opened:
        yield opened


def call(ledger: Ledger, usage: Usage, *, provider: str = "openai", model: str = "gpt-4.1-mini") -> Attempt:
    cost = prices(ledger).list_cost(usage, provider_name=provider, model=model, at_ms=NOON)
    return an_attempt(
        provider_name=provider,
        model=model,
        usage=usage,
        list_cost_nusd=None if cost is None else cost.nusd,
        price_id=None if cost is None else cost.price.id,
    )


def meter(ledger: Ledger, *usages: Usage, at_ms: int = NOON, **who: str) -> None:
    ledger.write_decisions(
        [a_decision(at_ms + number, attempts=(call(ledger, usage, **who),)) for number, usage in enumerate(usages)]
    )
    refresh(ledger)


def costs(*lines: tuple[str, str, float, float | None], day: int = 0) -> str:
    """OpenAI's costs of one day: (model, meter, dollars, tokens)."""
    starts = 1795132800 + day * DAY_S
    results = [
        {
            "object": "organization.costs.result",
            "amount": {"value": dollars, "currency": "usd"},
            "line_item": f"{model}, {kind}" if model else kind,
            "quantity": tokens,
            "quantity_unit": None if tokens is None else "tokens",
        }
        for model, kind, dollars, tokens in lines
    ]
    bucket = {"object": "bucket", "start_time": starts, "end_time": starts + DAY_S, "results": results}
    return json.dumps({"object": "page", "data": [bucket]})


def against(ledger: Ledger, invoice: str, **options: Any) -> Reconciliation:
    return reconcile(ledger, read_invoice(Source(io.BytesIO(invoice.encode()), "an invoice")), **options)


def only(result: Reconciliation) -> Line:
    (line,) = result.lines
    return line


USAGE = Usage(1_000_000, 100_000, 400_000)
BILLED = (
    ("gpt-4.1-mini-2025-04-14", "input_tokens", 0.24, 600_000.0),
    ("gpt-4.1-mini-2025-04-14", "input_cached_tokens", 0.04, 400_000.0),
    ("gpt-4.1-mini-2025-04-14", "output_tokens", 0.16, 100_000.0),
)


def test_what_was_metered_is_what_was_billed(ledger: Ledger) -> None:
    meter(ledger, USAGE)
    result = against(ledger, costs(*BILLED))
    line = only(result)
    assert (line.provider_name, line.model, line.day) == (
        "openai",
        "gpt-4.1-mini",
        DAY,
    )  # a dated name is the same model
    assert (line.metered_nusd, line.billed_nusd, line.difference_nusd) == (440_000_000, 440_000_000, 0)
    assert (line.metered_tokens, line.billed_tokens, line.agrees, line.reason) == (1_100_000, 1_100_000, True, "")
    assert (result.metered_nusd, result.billed_nusd, result.difference_nusd) == (440_000_000, 440_000_000, 0)


def test_calls_that_went_past_show_as_more_tokens(ledger: Ledger) -> None:
    meter(ledger, Usage(500_000, 100_000, 400_000))
    line = only(against(ledger, costs(*BILLED)))
    assert not line.agrees
    assert line.reason.startswith("billed for 83.3% more tokens: calls that did not come through here")


def test_a_discount_shows_as_the_same_tokens_at_another_price(ledger: Ledger) -> None:
    meter(ledger, USAGE)
    half = [(model, kind, dollars / 2, tokens) for model, kind, dollars, tokens in BILLED]
    line = only(against(ledger, costs(*half)))
    assert line.reason == "the same tokens at 0.50 times our price: a discount, or a price that is wrong here"


def test_a_model_nobody_called_here_is_named(ledger: Ledger) -> None:
    meter(ledger, USAGE)
    result = against(ledger, costs(*BILLED, ("o3", "output_tokens", 5.0, 625_000.0), ("", "file storage", 1.5, None)))
    reasons = {line.model: line.reason for line in result.lines if not line.agrees}
    assert reasons == {
        "o3": "none of these calls came through here; another key or program made them",
        "": "billed for something other than a model's tokens, such as storage or searches",
    }
    assert result.difference_nusd == 6_500_000_000


def test_what_was_metered_but_not_billed_is_named(ledger: Ledger) -> None:
    meter(ledger, USAGE)
    meter(ledger, Usage(1000, 100), model="gpt-4.1", at_ms=NOON + 1000)
    meter(ledger, Usage(1000, 100), provider="anthropic", model="claude-sonnet-4-6", at_ms=NOON + 2000)
    result = against(ledger, costs(*BILLED))
    assert {line.model: line.reason for line in result.lines} == {
        "gpt-4.1-mini": "",
        "gpt-4.1": "not on the invoice: not billed yet, billed by somebody else, or free",
    }  # another provider's calls are not this one's business


def test_calls_without_a_price_are_the_first_suspects(ledger: Ledger) -> None:
    meter(ledger, USAGE, Usage(5, 5), model="gpt-99-turbo")
    line = only(against(ledger, costs(("gpt-99-turbo", "output_tokens", 3.0, None))))
    assert (line.metered_nusd, line.unpriced_calls) == (0, 2)
    assert line.reason == "2 calls have no price here; 'tierwise prices set' adds one"


def test_days_of_another_zone_are_put_on_utc_days(tmp_path: Path) -> None:
    with open_ledger(tmp_path / "tokyo.db", timezone="Asia/Tokyo") as ledger:
        meter(ledger, USAGE, at_ms=NOON)  # 21:00 in Tokyo
        meter(ledger, USAGE, at_ms=NOON + 6 * 3_600_000)  # 03:00 of the next day there, still the 20th in UTC
        result = against(
            ledger, costs(*[(m, k, 2 * dollars, 2 * tokens) for m, k, dollars, tokens in BILLED if tokens])
        )
        line = only(result)
        assert (line.metered_nusd, line.billed_nusd, line.agrees) == (880_000_000, 880_000_000, True)
        assert any("Asia/Tokyo" in note for note in result.notes)


def test_a_shift_between_days_is_noticed(ledger: Ledger) -> None:
    meter(ledger, USAGE, USAGE)
    first = json.loads(costs(*BILLED))
    first["data"] += json.loads(costs(*BILLED, day=1))["data"]
    result = against(ledger, json.dumps(first))
    assert [line.difference_nusd for line in result.lines] == [-440_000_000, 440_000_000]
    assert any("as where days begin at different hours" in note for note in result.notes)


def test_the_tolerance_is_a_share_of_the_bill(ledger: Ledger) -> None:
    meter(ledger, USAGE)
    more = [*BILLED[:2], ("gpt-4.1-mini", "output_tokens", 0.165, 100_000.0)]
    assert not only(against(ledger, costs(*more))).agrees
    assert only(against(ledger, costs(*more), tolerance=0.02)).agrees


def test_anthropic_reports_are_in_cents(ledger: Ledger) -> None:
    meter(ledger, Usage(1_000_000, 0), provider="anthropic", model="claude-sonnet-4-6")
    billed = {
        "amount": "300.00",
        "currency": "USD",
        "token_type": "uncached_input_tokens",
        "model": "claude-sonnet-4-6",
    }
    bucket = {"starting_at": "2026-11-20T00:00:00Z", "ending_at": "2026-11-21T00:00:00Z", "results": [billed]}
    report = {"data": [bucket]}
    line = only(against(ledger, json.dumps(report)))
    assert (line.metered_nusd, line.billed_nusd, line.agrees) == (3_000_000_000, 3_000_000_000, True)


@pytest.mark.parametrize(
    "row",
    [
        {"day": "2026-11-20", "provider": "OpenAI", "model": "gpt-4.1-mini", "cost": "$0.44"},
        {"Date": "2026-11-20T00:00:00Z", "Model": "gpt-4.1-mini", "Amount": "0.44", "Currency": "USD"},
        {"usage_date": "2026-11-20", "line_item": "openai/gpt-4.1-mini", "billed_usd": 0.44},
    ],
)
def test_any_csv_with_days_models_and_amounts_will_do(ledger: Ledger, row: dict[str, Any]) -> None:
    meter(ledger, USAGE)
    line = only(against(ledger, as_csv([row])))
    assert (line.provider_name, line.model, line.billed_nusd, line.agrees) == (
        "openai",
        "gpt-4.1-mini",
        440_000_000,
        True,
    )


def test_lines_that_cannot_be_read_are_counted_and_in_no_sum(ledger: Ledger) -> None:
    meter(ledger, USAGE)
    rows = [
        {"day": "2026-11-20", "model": "gpt-4.1-mini", "cost": "0.44", "currency": "USD"},
        {"day": "2026-11-20", "model": "gpt-4.1-mini", "cost": "5", "currency": "EUR"},
        {"day": "soon", "model": "gpt-4.1-mini", "cost": "5", "currency": "USD"},
    ]
    result = against(ledger, as_csv(rows))
    assert (result.rejected, result.billed_nusd) == (2, 440_000_000)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("a,b\n1,2\n", "this is no cost report known here; give a cost report of OpenAI or Anthropic, or a CSV"),
        (
            "day,cost\n2026-11-20,much\n",
            "a CSV of costs holds no cost; its first bad line (2): cost is 'much', not a number",
        ),
        ('{"trace_id": "t", "model_group": "m", "response_cost": 1}', "this is LiteLLM StandardLoggingPayload; give"),
    ],
)
def test_what_is_no_invoice_is_refused(content: str, told: str) -> None:
    with pytest.raises(InputError) as caught:
        read_invoice(Source(io.BytesIO(content.encode()), "a file"))
    assert f"a file: {told}" in str(caught.value)
