"""Logs for tests of projections: requests of every sort the ledger knows, as arrays, from a seed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt

from router_core.config import RoutingConfig, build_config
from router_core.decision import Kind, Reason, Strategy
from router_core.ledger.evidence import Evidence
from router_core.prices import Price, PriceBook
from router_core.projection import Cube
from router_core.projection.simulated import Lines, evidence_of

Ints = npt.NDArray[np.int64]

FIRST, LAST = date(2026, 1, 1), date(2026, 1, 31)
RATES = ((1, 4), (4, 16), (20, 80), (50, 250))  # whole tenths of a dollar per million tokens, cheapest tier first


@dataclass(frozen=True)
class Log:
    """A simulated log, with the configuration that routed it and the prices that priced it."""

    lines: Lines
    config: RoutingConfig
    prices: PriceBook
    names: dict[str, Any]

    @property
    def evidence(self) -> Evidence:
        return evidence_of(self.lines, **self.names)

    @property
    def cube(self) -> Cube:
        return Cube.from_evidence(self.evidence, self.config, self.prices)


def tier_names(count: int) -> tuple[str, ...]:
    return ("SIMPLE", "MEDIUM", "COMPLEX", "REASONING")[:count]


def configured(starts: list[int], *, explore: float = 0.0, features: dict[str, Any] | None = None) -> RoutingConfig:
    names = tier_names(len(starts))
    return build_config(
        {
            "tiers": [
                {"name": name, "models": [f"model-{name}"], "score_min": start}
                for name, start in zip(names, starts, strict=True)
            ],
            "models": {f"model-{name}": {"provider": "acme"} for name in names},
            "providers": {"acme": {"base_url": "http://127.0.0.1:9/v1"}},
            "features": features or {},
            "exploration": {"rate": explore},
        }
    )


def priced(tiers: int, *, missing: int | None = None) -> PriceBook:
    rows = [
        Price(
            index + 1,
            "acme",
            f"model-{name}",
            "manual",
            date(2020, 1, 1),
            input_usd_per_mtok=Decimal(RATES[index][0]) / 10,
            output_usd_per_mtok=Decimal(RATES[index][1]) / 10,
        )
        for index, name in enumerate(tier_names(tiers))
        if index != missing
    ]
    return PriceBook(rows, resolve=lambda provider, model: None)


def simulate(
    seed: int,
    requests: int = 1500,
    *,
    starts: list[int] | None = None,
    features: int = 2,
    explore: float = 0.05,
    labelled: float = 1.0,
    plain: bool = False,
    missing_price: int | None = None,
    highest_score: int = 100,
) -> Log:
    """Simulate a log; unless ``plain``, with rules, pins, named models, cache hits, escalations and judged scores."""
    random = np.random.default_rng(seed)
    starts = starts or [0, 40, 75]
    tiers = len(starts)
    feature = random.integers(0, features, requests)
    score = random.integers(0, highest_score + 1, requests)
    tier = (score[:, None] >= np.array(starts[1:], dtype=int)).sum(axis=1)
    reason = np.full(requests, int(Reason.POLICY))
    explored = (random.random(requests) < explore) & (tiers > 1)
    tier = np.where(explored, (tier + random.integers(1, max(tiers, 2), requests)) % tiers, tier)
    reason[explored] = Reason.EXPLORE
    strategy = np.zeros(requests, dtype=np.int64)
    own_features = {f"feature-{index}": {} for index in range(features)}
    if not plain:
        kind_of = random.random(requests)
        ruled, sticky, named = kind_of < 0.04, (kind_of > 0.04) & (kind_of < 0.08), (kind_of > 0.08) & (kind_of < 0.1)
        tier = np.where(ruled, 0, tier)
        reason[ruled], reason[sticky], reason[named] = Reason.RULE, Reason.STICKY, Reason.NAMED
        score = np.where(named, -1, score)
        strategy[random.random(requests) < 0.05] = Strategy.CACHE_EXACT
        if features > 1:
            pinned = feature == features - 1
            tier, reason = np.where(pinned, tiers - 1, tier), np.where(pinned, int(Reason.PIN), reason)
            own_features[f"feature-{features - 1}"] = {"pin": tier_names(tiers)[-1]}
    x = np.maximum(score, 0) / 50 - 1
    good = random.random(requests) < 1 / (1 + np.exp(-(1.2 + 0.6 * tier - (1.1 - 0.2 * tier) * x)))
    quality = np.where(random.random(requests) < labelled, good * 1_000_000, -1)
    cached = strategy == Strategy.CACHE_EXACT

    def call(kind: Kind, of: npt.NDArray[np.bool_], model: Ints, own: int) -> dict[str, Ints]:
        sent = np.where(cached, 0, np.rint(np.exp(random.normal(5, 0.8, requests)))).astype(np.int64)
        got = np.where(cached, 0, np.rint(np.exp(random.normal(4.5 + 0.3 * model, 0.6, requests)))).astype(np.int64)
        if kind == Kind.CLASSIFIER:
            got = np.minimum(got, 1)
        rates = np.array(RATES) * 100  # nano-dollars a token
        known = np.array([index != missing_price for index in range(len(RATES))])[model]
        cost = np.where(known, sent * rates[model, 0] + got * rates[model, 1], -1)
        price = np.where(known, model + 1, 0)
        columns = {
            "kind": np.full(requests, int(kind)),
            "model": model,
            "price_id": price,
            "own": np.full(requests, own),
        }
        columns |= {"input_tokens": sent, "output_tokens": got, "list_cost_nusd": cost, "of": of}
        return columns

    everyone = np.ones(requests, dtype=bool)
    calls = [call(Kind.ANSWER, everyone, tier, 1)]
    if not plain:
        escalated = (random.random(requests) < 0.1 + 0.2 * (x > 0.5)) & (tier < tiers - 1) & ~cached
        calls[0]["own"] = np.where(escalated, 0, 1)
        calls.append(call(Kind.ESCALATION, escalated, np.minimum(tier + 1, tiers - 1), 1))
        calls.append(call(Kind.CLASSIFIER, ~cached & (random.random(requests) < 0.3), np.zeros_like(tier), 0))
    cost = sum(np.where(one["of"], np.maximum(one["list_cost_nusd"], 0), 0) for one in calls)
    unknown = np.any([one["of"] & (one["list_cost_nusd"] < 0) for one in calls], axis=0)
    zeros = np.zeros(requests, dtype=np.int64)
    shared = {
        "scorer": zeros,
        "feature": feature,
        "score": score,
        "tier": tier,
        "strategy": strategy,
        "reason": reason,
        "status": zeros,
        "quality_ppm": quality.astype(np.int64),
        "propensity_ppm": np.where(explored, round(1e6 * explore / max(tiers - 1, 1)), round(1e6 * (1 - explore))),
        "cost_nusd": np.where(unknown, -1, cost),
        "cache_read_input_tokens": zeros,
        "cache_write_input_tokens": zeros,
    }
    parts = [Lines(**{**shared, **{k: v for k, v in one.items() if k != "of"}}).take(one["of"]) for one in calls]
    lines = Lines(*(np.concatenate([getattr(part, name) for part in parts]) for name in Lines.__dataclass_fields__))
    names = {
        "scorers": ("scorer-1",),
        "features": tuple(f"feature-{index}" for index in range(features)),
        "tiers": tier_names(tiers),
        "models": tuple(f"model-{name}" for name in tier_names(tiers)),
        "since": FIRST,
        "until": LAST,
    }
    config = configured(starts, explore=explore, features=own_features)
    return Log(lines, config, priced(tiers, missing=missing_price), names)
