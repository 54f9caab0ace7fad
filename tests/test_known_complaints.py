"""What users of other tools found in their figures, each case here in small: none of it may happen with ours."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Callable, Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from imports import as_csv, as_lines, kept, load, spend_log
from test_import_reports import cost, page
from test_import_tools import generation_span, observation, resource_spans

from router_core.errors import InputError
from router_core.exchange.currencies import parse_rates
from router_core.exchange.export import NAMES, export
from router_core.exchange.invoice import read_invoice
from router_core.exchange.reconcile import reconcile
from router_core.exchange.source import Source
from router_core.ledger.metered import metered
from router_core.ledger.queries import spend
from router_core.ledger.rollup import refresh
from router_core.ledger.store import Ledger, open_ledger
from router_core.usage import Usage

UNCACHED: dict[str, Any] = {"usage_object": {}}


@pytest.fixture
def ledger(new_ledger: Path, db_path: Path) -> Iterator[Ledger]:
    shutil.copy(new_ledger, db_path)
    with open_ledger(db_path) as opened:
        yield opened


def spent(ledger: Ledger, since: date | None = None, until: date | None = None) -> Any:
    refresh(ledger)
    (whole,) = spend(ledger, (), since, until)
    return whole


def as_litellm(usage: Usage) -> str:
    details = {
        "prompt_tokens_details": {"cached_tokens": usage.cache_read_input_tokens},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_output_tokens},
    }
    row = spend_log(
        model="openai/o3",
        prompt_tokens=usage.input_tokens,
        completion_tokens=usage.output_tokens,
        metadata={"usage_object": details},
    )
    return as_csv([row])


def as_otel(usage: Usage) -> str:
    attributes = {
        "gen_ai.request.model": "o3",
        "gen_ai.usage.input_tokens": usage.input_tokens,
        "gen_ai.usage.output_tokens": usage.output_tokens,
        "gen_ai.usage.cache_read.input_tokens": usage.cache_read_input_tokens,
        "gen_ai.usage.reasoning.output_tokens": usage.reasoning_output_tokens,
    }
    return as_lines([resource_spans(generation_span(attributes=attributes))])


def as_langfuse(usage: Usage) -> str:
    details = {  # these keys stand beside one another
        "input": usage.input_tokens - usage.cache_read_input_tokens,
        "input_cached_tokens": usage.cache_read_input_tokens,
        "output": usage.output_tokens - usage.reasoning_output_tokens,
        "output_reasoning_tokens": usage.reasoning_output_tokens,
        "total": usage.input_tokens + usage.output_tokens,
    }
    return as_lines([observation(model="o3", usageDetails=details)])


@pytest.mark.parametrize("write", [as_litellm, as_otel, as_langfuse])
def test_cached_and_reasoning_tokens_are_charged_once_whoever_logged_them(
    write: Callable[[Usage], str], ledger: Ledger
) -> None:
    usage = Usage(100_000, 10_000, 90_000, 0, 8_000)
    load(ledger, write(usage))
    (decision,) = kept(ledger)
    (call,) = decision.attempts
    assert call.usage == usage
    # 10,000 at $2, 90,000 at $0.50 and 10,000 at $8 a million: not $0.325 with cached tokens at the full rate, nor
    # $0.209 with reasoning tokens on top
    assert call.list_cost_nusd == 20_000_000 + 45_000_000 + 80_000_000


def test_a_stream_whose_tokens_nobody_counted_is_unknown_and_not_free(ledger: Ledger) -> None:
    load(ledger, as_lines([spend_log(prompt_tokens=None, completion_tokens=None, spend=None, metadata=UNCACHED)]))
    (decision,) = kept(ledger)
    (call,) = decision.attempts
    assert (call.usage, call.list_cost_nusd, call.reported_cost_nusd) == (None, None, None)
    assert decision.cost_nusd is None
    whole = spent(ledger)
    assert (whole.attempts, whole.priced_attempts) == (1, 0)


def test_a_batch_is_half_the_price_and_counted_once_in_whatever_file_it_comes(ledger: Ledger) -> None:
    same: dict[str, Any] = {"prompt_tokens": 1_000, "completion_tokens": 100, "metadata": UNCACHED}
    batch, plain = spend_log(1, call_type="abatch_completion", **same), spend_log(2, **same)
    for content in (as_csv([batch, plain]), as_lines([batch]), as_lines([plain, batch]), as_csv([batch, batch])):
        load(ledger, content)
    costs = sorted(one.attempts[0].list_cost_nusd or 0 for one in kept(ledger))
    assert len(costs) == 2
    assert costs[0] * 2 == costs[1]


def test_a_model_without_a_price_is_named_and_counted_never_free(ledger: Ledger) -> None:
    rows = [spend_log(number) for number in range(35)]
    rows.append(spend_log(99, model="house/summariser", custom_llm_provider="house"))
    report = load(ledger, as_csv(rows))
    assert report.priced_share == pytest.approx(35 / 36)
    assert any("97.2 % of calls priced" in sentence for sentence in report.sentences())
    refresh(ledger)
    unpriced = {line.keys[0]: line.unpriced_attempts for line in spend(ledger, ("model",)) if line.unpriced_attempts}
    assert unpriced == {"summariser": 1}
    calls = [one.attempts[0] for one in kept(ledger) if one.attempts[0].model == "summariser"]
    assert [call.list_cost_nusd for call in calls] == [None]


def test_a_bill_far_above_what_was_metered_is_explained_line_by_line(ledger: Ledger) -> None:
    load(ledger, as_csv([spend_log(number) for number in range(10)]))
    refresh(ledger)
    bill = page(
        cost(0.5, line_item="gpt-4.1-mini, input_tokens", quantity=1_250_000, quantity_unit="tokens"),
        cost(8.0, line_item="gpt-5.2, output_tokens"),
    )
    result = reconcile(ledger, read_invoice(Source(io.BytesIO(bill.encode()), "bill.json")))
    assert (result.billed_nusd, result.metered_nusd) == (8_500_000_000, spent(ledger).list_cost_nusd)
    assert result.difference_nusd == sum(line.difference_nusd for line in result.lines)
    reasons = {line.model: line.reason for line in result.lines}
    assert "times the tokens: calls that did not come through here" in reasons["gpt-4.1-mini"]
    assert "none of these calls came through here" in reasons["gpt-5.2"]


def test_a_request_with_many_tags_is_in_every_total_once(ledger: Ledger) -> None:
    tags = ["feature:faq", "feature:search", "team:support", "env:prod", "env:eu", "gold", "tier:SIMPLE"]
    load(ledger, as_csv([spend_log(number, request_tags=tags, metadata={}) for number in range(20)]))
    whole = spent(ledger)
    assert whole.decisions == 20
    for dimension in ("team", "feature", "tier", "model", "day", "status"):
        lines = spend(ledger, (dimension,))
        assert sum(line.list_cost_nusd for line in lines) == whole.list_cost_nusd, dimension
        assert sum(line.decisions for line in lines) == 20, dimension


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata", "America/St_Johns", "Pacific/Apia"])
def test_the_days_of_a_range_add_up_to_it_in_any_zone(zone: str, tmp_path: Path) -> None:
    # two days, a call every half hour
    moments = [f"2026-11-{20 + half // 48:02d}T{half % 48 // 2:02d}:{half % 2 * 30:02d}:00.000Z" for half in range(96)]
    rows = [spend_log(number, startTime=at, endTime=at) for number, at in enumerate(moments)]
    with open_ledger(tmp_path / "ledger.db", timezone=zone) as ledger:
        load(ledger, as_csv(rows))
        whole = spent(ledger)
        days = [line.keys[0] for line in spend(ledger, ("day",))]
        assert whole.decisions == 96
        sums = [spent(ledger, day, day) for day in days if isinstance(day, date)]
        assert sum(one.list_cost_nusd for one in sums) == whole.list_cost_nusd
        assert max(one.decisions for one in sums) == 48
        hours = spend(ledger, ("day", "hour"))
        assert sum(line.list_cost_nusd for line in hours) == whole.list_cost_nusd


@pytest.mark.parametrize("format", [name for name in NAMES if name != "litellm"])
def test_no_export_leaves_anything_out_of_what_the_pages_say(format: str, ledger: Ledger, tmp_path: Path) -> None:
    rows = [spend_log(number, model=f"openai/{model}") for number, model in enumerate(["gpt-4.1", "o3", "nobody"] * 9)]
    rows.append(spend_log(500, status="failure", spend=0.0, completion_tokens=0))
    load(ledger, as_csv(rows))
    whole = spent(ledger)
    path = tmp_path / "out"
    statement = export(ledger, format, path)
    assert (statement.list_cost_nusd, statement.unpriced_calls) == (whole.list_cost_nusd, whole.unpriced_attempts)
    assert statement.unpriced_calls == 9
    said = " ".join(statement.sentences())
    assert f"{statement.rows:,} " in said
    assert statement.sha256 in said
    if format in ("csv", "focus"):
        column = {"csv": "list_cost_usd", "focus": "BilledCost"}[format]
        table = list(csv.DictReader(io.StringIO(path.read_text())))
        assert sum(Decimal(row[column] or 0) for row in table) == Decimal(whole.list_cost_nusd).scaleb(-9)
    if format == "jsonl":
        assert len([json.loads(line) for line in path.read_text().splitlines()]) == whole.decisions


def test_another_currency_is_never_counted_as_dollars(ledger: Ledger) -> None:
    euros = cost(100.0, amount={"value": 100.0, "currency": "eur"})
    report = load(ledger, page(cost(1.25), euros))
    assert (report.loaded, report.rejected) == (1, 1)
    assert "eur" in report.rejects[0].reason.lower()
    assert [line.reported_cost_nusd for line in metered(ledger)] == [1_250_000_000]
    bill = page(cost(1.25), euros)
    invoice = read_invoice(Source(io.BytesIO(bill.encode()), "bill.json"))
    assert ([line.billed_nusd for line in invoice.lines], len(invoice.rejected)) == ([1_250_000_000], 1)


def test_money_in_another_currency_counts_at_the_rate_stated_and_dated(ledger: Ledger) -> None:
    euros = [cost(100.0, amount={"value": 100.0, "currency": "eur"}), cost(1.25)]
    rates = parse_rates(["EUR=1.0843@2026-11-01", "eur = 1.1 @ 2026-11-21", "GBP=1.3@2020-01-01"])
    report = load(ledger, page(*euros), rates=rates)
    assert (report.loaded, report.rejected, report.reported_cost_nusd) == (2, 0, 108_430_000_000 + 1_250_000_000)
    said = "amounts in EUR were counted at 1.0843 US dollars, the rate of 2026-11-01"
    assert any(said in sentence for sentence in report.sentences())
    bill = "day,model,cost,currency\n2026-11-20,gpt-4.1-mini,100,EUR\n2026-11-22,gpt-4.1-mini,100,EUR\n"
    invoice = read_invoice(Source(io.BytesIO(bill.encode()), "bill.csv", rates))
    assert [line.billed_nusd for line in invoice.lines] == [108_430_000_000, 110_000_000_000]
    assert len(reconcile(ledger, invoice).notes) == 2  # each rate with its date
    late = read_invoice(Source(io.BytesIO((bill + "2020-01-01,m,1,EUR\n").encode()), "bill.csv", rates))
    assert "no rate of it is stated for 2020-01-01" in late.rejected[0].reason


@pytest.mark.parametrize(
    "text", ["", "EUR", "EUR=1.08", "EUR=1,08@2026-11-20", "EUR=0@2026-11-20", "EUR=1@soon", "€=1@x"]
)
def test_a_rate_that_cannot_be_read_is_told_in_a_sentence(text: str) -> None:
    with pytest.raises(InputError, match=r"EUR=1\.08@2026-11-20"):
        parse_rates([text])
