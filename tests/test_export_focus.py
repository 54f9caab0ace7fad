"""FOCUS: the columns of the published samples, one row a meter, and costs that hold to the nano-dollar."""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections import defaultdict
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT
from decisions import DAY_MS, NOON_MS, a_decision, an_attempt, traffic
from hypothesis import given
from hypothesis import strategies as st
from imports import prices

from router_core.config import load_config
from router_core.decision import Attempt, RoutingDecision, new_decision_id
from router_core.exchange.export_focus import export_focus
from router_core.exchange.meters import apportion
from router_core.ledger.queries import spend
from router_core.ledger.rollup import refresh
from router_core.ledger.store import Ledger, open_ledger
from router_core.prices import PriceBook
from router_core.usage import Usage

SAMPLES = Path(os.environ.get("TIERWISE_SHARED_FORMATS", ROOT.parent / "shared" / "formats")) / "focus"
MANDATORY_1_2 = (
    "BilledCost",
    "BillingAccountId",
    "BillingAccountName",
    "BillingCurrency",
    "BillingPeriodStart",
    "BillingPeriodEnd",
    "ChargeCategory",
    "ChargeClass",
    "ChargeDescription",
    "ChargePeriodStart",
    "ChargePeriodEnd",
    "ContractedCost",
    "EffectiveCost",
    "InvoiceIssuerName",
    "ListCost",
    "PricingQuantity",
    "PricingUnit",
    "ProviderName",
    "PublisherName",
    "ServiceCategory",
    "ServiceName",
)


@pytest.fixture
def ledger(new_ledger: Path, db_path: Path) -> Iterator[Ledger]:
    shutil.copy(new_ledger, db_path)
    with open_ledger(db_path) as opened:
        yield opened


def call(
    book: PriceBook, usage: Usage, at_ms: int, *, provider: str = "openai", model: str = "gpt-4.1-mini"
) -> Attempt:
    cost = book.list_cost(usage, provider_name=provider, model=model, at_ms=at_ms)
    return an_attempt(
        provider_name=provider,
        model=model,
        usage=usage,
        list_cost_nusd=None if cost is None else cost.nusd,
        price_id=None if cost is None else cost.price.id,
    )


def exported(ledger: Ledger, tmp_path: Path, **options: Any) -> list[dict[str, str]]:
    refresh(ledger)
    export_focus(ledger, tmp_path / "focus.csv", **options)
    with (tmp_path / "focus.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(("version", "sample"), [("1.2", "focus-1.2+1.4-superset.csv"), ("1.4", "focus-1.4.csv")])
def test_the_columns_are_those_of_the_published_sample(
    version: str, sample: str, ledger: Ledger, tmp_path: Path
) -> None:
    if not (SAMPLES / sample).is_file():
        pytest.skip(f"the published samples are not present at {SAMPLES}")
    ledger.write_decisions([a_decision()])
    ours = list(exported(ledger, tmp_path, version=version)[0])
    with (SAMPLES / sample).open(newline="") as file:
        published = next(csv.reader(file))
    assert set(published) <= set(ours)
    assert all(name.startswith("x_") for name in set(ours) - set(published))
    own = [name.startswith("x_") for name in ours]
    assert own == sorted(own)  # FOCUS's columns come first


def test_the_published_sample_is_what_we_would_write(ledger: Ledger, tmp_path: Path) -> None:
    if not SAMPLES.is_dir():
        pytest.skip(f"the published samples are not present at {SAMPLES}")
    with (SAMPLES / "focus-1.2+1.4-superset.csv").open(newline="") as file:
        published = list(csv.DictReader(file))
    at_ms = 1795168800000  # in the day of the sample
    usage = Usage(1_240_000, 210_000, 400_000)
    attempt = call(prices(ledger), usage, at_ms, model="gpt-4o-mini")
    ledger.write_decisions(
        [a_decision(at_ms, team="Support", feature="support-bot", tier="cheap", attempts=(attempt,))]
    )
    ours = exported(ledger, tmp_path)
    same = [name for name in published[0] if not name.startswith(("x_", "Billing", "Sku", "Tags"))] + [
        "SkuId",
        "SkuMeter",
    ]
    assert [[row[name] for name in same] for row in ours] == [[row[name] for name in same] for row in published]
    for mine, theirs in zip(ours, published, strict=True):
        details = json.loads(theirs["SkuPriceDetails"])
        details.pop("x_ModelFamily")  # nobody tells us families
        assert json.loads(mine["SkuPriceDetails"]) == details


def test_every_row_holds_together(ledger: Ledger, tmp_path: Path) -> None:
    book = prices(ledger)
    models = (("openai", "gpt-4.1-mini"), ("anthropic", "claude-sonnet-4-6"), ("acme", "tiny"))
    found: list[RoutingDecision] = []
    for number in range(300):
        at_ms = NOON_MS + number * DAY_MS // 60
        provider, model = models[number % 3]
        usage = Usage(1000 + number, 50 + number, number * 3 % 700, 7 if provider == "anthropic" else 0)
        attempt = call(book, usage, at_ms, provider=provider, model=model)
        team = ("ops", "legal", "")[number // 3 % 3]
        found.append(a_decision(at_ms, id=new_decision_id(at_ms), team=team, attempts=(attempt,)))
    ledger.write_decisions(found)
    rows = exported(ledger, tmp_path)
    for row in rows:
        assert all(row[name] != "" or name in ("ChargeClass", *_COSTS) for name in MANDATORY_1_2)
        assert row["ProviderName"] == row["InvoiceIssuerName"]
        assert Decimal(row["ConsumedQuantity"]) == Decimal(row["PricingQuantity"]) * 1_000_000
        assert row["ChargePeriodStart"] < row["ChargePeriodEnd"] <= row["BillingPeriodEnd"]
        if row["x_UnpricedRequests"] == "0":
            # a whole cell was rounded call by call, so it may lie half a nano-dollar a call from the product
            exact = Decimal(row["ListUnitPrice"]) * Decimal(row["PricingQuantity"])
            assert abs(Decimal(row["ListCost"]) - exact) <= Decimal(row["x_Requests"]) * Decimal("1e-9")
        else:
            assert [row[name] for name in _COSTS] == [""] * len(_COSTS)  # unknown, not free
            assert row["ProviderName"] == "acme"
    tokens: defaultdict[str, int] = defaultdict(int)
    for row in rows:
        tokens[row["SkuMeter"]] += int(Decimal(row["ConsumedQuantity"]))
    (whole,) = spend(ledger, ())
    assert tokens["Output Tokens"] == whole.output_tokens
    assert tokens["Cache Read Input Tokens"] == whole.cache_read_input_tokens
    assert sum(tokens.values()) == whole.input_tokens + whole.output_tokens
    assert sum(Decimal(row["ListCost"] or 0) for row in rows) == Decimal(whole.list_cost_nusd).scaleb(-9)


_COSTS = ("BilledCost", "ContractedCost", "EffectiveCost", "ListCost")


def test_one_row_a_meter_day_team_feature_tier_and_model(ledger: Ledger, tmp_path: Path) -> None:
    ledger.write_decisions(list(traffic(800, seed=5)))
    rows = exported(ledger, tmp_path)
    keys = [
        (row["ChargePeriodStart"], row["SubAccountName"], row["Tags"], row["SkuId"], row["SkuPriceId"]) for row in rows
    ]
    assert len(keys) == len(set(keys))


def test_charge_periods_are_days_of_the_reporting_zone(tmp_path: Path) -> None:
    with open_ledger(tmp_path / "zurich.db", timezone="Europe/Zurich") as ledger:
        at_ms = 1774738800000  # 2026-03-29 00:00 in Zurich, a day of 23 hours
        ledger.write_decisions([a_decision(at_ms)])
        row = exported(ledger, tmp_path)[0]
        assert (row["ChargePeriodStart"], row["ChargePeriodEnd"]) == ("2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z")
        assert (row["BillingPeriodStart"], row["BillingPeriodEnd"]) == ("2026-02-28T23:00:00Z", "2026-03-31T22:00:00Z")


def test_a_price_change_in_the_middle_parts_the_rows(ledger: Ledger, tmp_path: Path) -> None:
    book = prices(ledger)
    usage = Usage(1000, 100)
    before, after = 1749513600000 - 3_600_000, 1749513600000 + 3_600_000  # o3 became cheaper on 2025-06-10
    ledger.write_decisions([a_decision(at, attempts=(call(book, usage, at, model="o3"),)) for at in (before, after)])
    rows = exported(ledger, tmp_path)
    assert [(row["SkuMeter"], row["ListUnitPrice"], row["ListCost"]) for row in rows] == [
        ("Input Tokens", "10", "0.01"),
        ("Output Tokens", "40", "0.004"),
        ("Input Tokens", "2", "0.002"),
        ("Output Tokens", "8", "0.0008"),
    ]


def test_the_baseline_says_what_the_strongest_model_would_have_cost(ledger: Ledger, tmp_path: Path) -> None:
    config = load_config(ROOT / "data" / "config.yaml")
    ledger.write_decisions([a_decision(attempts=(call(prices(ledger), Usage(1000, 100), NOON_MS),))])
    refresh(ledger)
    rows = exported(ledger, tmp_path, config=config)
    assert config.baseline_model == "gpt-5.2"
    strong = prices(ledger).find("openai", "gpt-5.2", NOON_MS)
    assert strong is not None
    assert Decimal(rows[0]["x_BaselineCost"]) == 1000 * (strong.input_usd_per_mtok or 0) / 1_000_000


def test_days_bound_what_is_exported(ledger: Ledger, tmp_path: Path) -> None:
    ledger.write_decisions(list(traffic(500, seed=9)))
    refresh(ledger)
    day = date(2026, 3, 4)
    statement = export_focus(ledger, tmp_path / "focus.csv", since=day, until=day)
    assert statement.list_cost_nusd == spend(ledger, (), day, day)[0].list_cost_nusd
    with (tmp_path / "focus.csv").open(newline="") as file:
        assert {row["ChargePeriodStart"] for row in csv.DictReader(file)} == {"2026-03-04T00:00:00Z"}


@given(total=st.integers(0, 10**15), weights=st.lists(st.integers(0, 10**9), min_size=1, max_size=6))
def test_parts_add_up_and_are_within_one_of_their_share(total: int, weights: list[int]) -> None:
    parts = apportion(total, weights)
    assert sum(parts) == total
    if any(weights):
        for part, weight in zip(parts, weights, strict=True):
            assert abs(part - Decimal(total) * weight / sum(weights)) < 1
