"""Decisions for tests: one to start from, many that look like traffic, and any that can exist."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from router_core.decision import (
    Attempt,
    Kind,
    QualitySource,
    Reason,
    RoutingDecision,
    Status,
    Strategy,
    UsageSource,
    new_decision_id,
)
from router_core.usage import Usage

NOON_MS = 1_772_366_400_000  # 2026-03-01 12:00 UTC
DAY_MS = 86_400_000

TIERS = ("SIMPLE", "MEDIUM", "COMPLEX", "REASONING")
MODELS = ("gpt-4.1-nano", "gpt-4.1-mini", "gpt-4.1", "gpt-5.2")


def an_attempt(**changes: Any) -> Attempt:
    """One answered call, with changes."""
    call = Attempt(
        kind=Kind.ANSWER,
        tier="SIMPLE",
        provider_name="openai",
        model="gpt-4.1-nano",
        latency_ms=420,
        ttft_ms=80,
        usage=Usage(300, 120, 50, 0, 20),
        list_cost_nusd=71_250,
        price_id=1,
    )
    return replace(call, **changes)


def a_decision(at_ms: int = NOON_MS, **changes: Any) -> RoutingDecision:
    """One plain decision made at that time, with changes; each call gives another id."""
    decision = RoutingDecision(
        id=new_decision_id(at_ms),
        decided_at_ms=at_ms,
        config_version=1,
        scorer_version="tfidf-1",
        feature="chat",
        team="support",
        score=37,
        stage="rules",
        tier="SIMPLE",
        reason=Reason.POLICY,
        propensity=0.95,
        strategy=Strategy.DIRECT,
        status=Status.OK,
        latency_ms=430,
        attempts=(an_attempt(),),
    )
    return replace(decision, **changes)


def traffic(
    count: int, *, seed: int = 0, start_ms: int = NOON_MS, span_ms: int = 10 * DAY_MS
) -> Iterator[RoutingDecision]:
    """Decisions of every shape there is in practice: failed, escalated, cached, unpriced, labelled and unlabelled."""
    draw = random.Random(seed)
    for _ in range(count):
        at_ms = start_ms + draw.randrange(span_ms)
        tier = draw.randrange(4)
        attempts = [_call(draw, tier, final=True)]
        if draw.random() < 0.1:
            failed = _call(draw, tier, final=False)
            attempts.insert(0, replace(failed, status=Status.TIMEOUT, usage=None, list_cost_nusd=None, price_id=None))
            attempts[1] = replace(attempts[1], kind=Kind.FAILOVER)
        if draw.random() < 0.1:
            attempts.insert(0, replace(_call(draw, 0, final=False), kind=Kind.CLASSIFIER))
        cached = draw.random() < 0.05
        labelled = draw.random() < 0.3
        yield RoutingDecision(
            id=new_decision_id(at_ms, draw.randbytes(10)),
            decided_at_ms=at_ms,
            config_version=1 + draw.randrange(3),
            scorer_version=draw.choice(("tfidf-1", "tfidf-2")),
            feature=draw.choice(("chat", "code", "search")),
            team=draw.choice(("support", "platform", "")),
            score=None if draw.random() < 0.02 else draw.randrange(101),
            stage=draw.choice(("rules", "embedding")),
            tier=TIERS[tier],
            reason=Reason(draw.choice((0, 0, 0, 1, 2))),
            propensity=draw.choice((1.0, 0.95, 0.0125, 0.333333)),
            strategy=Strategy.CACHE_EXACT if cached else Strategy.DIRECT,
            status=Status.REFUSED if draw.random() < 0.02 else Status.OK,
            latency_ms=draw.randrange(20_000),
            attempts=() if cached else tuple(attempts),
            quality=draw.randrange(1001) / 1000 if labelled else None,
            quality_source=QualitySource.CHECK if labelled else None,
        )


def _call(draw: random.Random, tier: int, *, final: bool) -> Attempt:
    sent, said = draw.randrange(5000), draw.randrange(2000)
    priced = draw.random() < 0.97
    return Attempt(
        kind=Kind.ANSWER,
        tier=TIERS[tier],
        provider_name="openai",
        model=MODELS[tier],
        final=final,
        latency_ms=round(draw.lognormvariate(7, 1)),
        usage=Usage(sent, said, sent // 3, 0, said // 4),
        usage_source=UsageSource.ESTIMATED if draw.random() < 0.05 else UsageSource.PROVIDER,
        list_cost_nusd=(sent + 4 * said) * 100 * (tier + 1) if priced else None,
        reported_cost_nusd=sent * 100 if draw.random() < 0.2 else None,
        price_id=1 + tier if priced else None,
    )


_names = st.text(max_size=20)
_codes = st.integers(-(2**63), 2**63 - 1)
_ms = st.integers(0, 2**31 - 1)
_share = st.integers(0, 1_000_000).map(lambda ppm: ppm / 1_000_000)


@st.composite
def _usages(draw: st.DrawFn) -> Usage:
    sent, said = draw(st.integers(0, 2**31 - 1)), draw(st.integers(0, 2**31 - 1))
    read = draw(st.integers(0, sent))
    return Usage(sent, said, read, draw(st.integers(0, sent - read)), draw(st.integers(0, said)))


_attempts = st.builds(
    Attempt,
    kind=st.sampled_from(Kind),
    tier=_names,
    provider_name=_names,
    model=_names,
    status=st.sampled_from(Status),
    final=st.just(False),
    reason=_names,
    offset_ms=_ms,
    latency_ms=_ms,
    ttft_ms=st.none() | _ms,
    usage=st.none() | _usages(),
    usage_source=st.sampled_from(UsageSource),
    list_cost_nusd=st.none() | st.integers(0, 10**15),
    reported_cost_nusd=st.none() | st.integers(0, 10**15),
    price_id=st.none() | st.integers(1, 2**31 - 1),
)


@st.composite
def any_decision(draw: st.DrawFn) -> RoutingDecision:
    """Any decision that can exist: at most one final attempt, and one where there is any."""
    at_ms = draw(st.integers(0, 4_102_444_800_000))
    attempts = draw(st.lists(_attempts, max_size=4))
    if attempts:
        place = draw(st.integers(0, len(attempts) - 1))
        attempts[place] = replace(attempts[place], final=True)
    quality = draw(st.none() | _share)
    return RoutingDecision(
        id=new_decision_id(at_ms, draw(st.binary(min_size=10, max_size=10))),
        decided_at_ms=at_ms,
        config_version=draw(st.integers(0, 2**31 - 1)),
        scorer_version=draw(_names),
        feature=draw(_names),
        team=draw(_names),
        user_tier=draw(_names),
        score=draw(st.none() | st.integers(0, 100)),
        stage=draw(_names),
        tier=draw(_names),
        reason=draw(st.sampled_from(Reason)),
        propensity=draw(_share),
        strategy=draw(st.sampled_from(Strategy)),
        status=draw(st.sampled_from(Status)),
        latency_ms=draw(_ms),
        ttft_ms=draw(st.none() | _ms),
        expected_output_tokens=draw(st.none() | st.integers(0, 2**31 - 1)),
        conversation_hash=draw(st.none() | _codes),
        prompt_hash=draw(st.none() | _codes),
        attempts=tuple(attempts),
        quality=quality,
        quality_source=None if quality is None else draw(st.sampled_from(QualitySource)),
    )
