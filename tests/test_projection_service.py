"""Fallbacks and waiting are projected too: nothing moved changes nothing, and each tier brings its own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from router_core.decision import Kind
from router_core.ledger.latency import BINS, latency_bins
from router_core.projection import Preview
from tests.logs import Log, simulate


def failing(share: list[float]) -> Log:
    """A log in which each tier's first model fails a share of its requests."""
    log = simulate(4, 8000, plain=True, explore=0.1)
    random = np.random.default_rng(1)
    failed = random.random(len(log.lines.own)) < np.array(share)[log.lines.tier]
    return replace(log, lines=replace(log.lines, kind=np.where(failed, int(Kind.FAILOVER), log.lines.kind)))


def histogram(median_ms: float) -> np.ndarray:
    waits = np.random.default_rng(2).lognormal(np.log(median_ms), 0.3, 20_000)
    return np.bincount(latency_bins(waits), minlength=BINS)


def test_the_unchanged_configuration_changes_neither() -> None:
    log = failing([0.02, 0.05, 0.2])
    made = Preview(log.cube, log.config, log.prices, 40, latencies={name: histogram(500) for name in log.cube.tiers})
    now = made.at(log.config)
    assert now.latency_p95_ms is not None
    assert now.fallbacks is not None
    for value in (now.fallbacks, now.latency_p95_ms):
        assert (value.change, value.low, value.high) == (0, 0, 0)
        assert value.projected == value.logged
    assert now.fallbacks.logged == pytest.approx((log.lines.kind == Kind.FAILOVER).mean())


def test_traffic_moved_off_a_failing_tier_falls_back_less() -> None:
    log = failing([0.02, 0.05, 0.2])
    fallbacks = Preview(log.cube, log.config, log.prices, 100).at_boundaries([0, 40, 90]).fallbacks
    moved = float(((log.lines.score >= 75) & (log.lines.score < 90) & (log.lines.tier == 2)).mean())
    assert fallbacks is not None
    assert fallbacks.low is not None
    assert fallbacks.high is not None
    assert fallbacks.low < -0.15 * moved < fallbacks.high < 0
    assert fallbacks.high - fallbacks.low < 0.03


def test_a_log_without_fallbacks_projects_none_or_hardly_any() -> None:
    log = simulate(4, 2000, plain=True)
    fallbacks = Preview(log.cube, log.config, log.prices, 40).at_boundaries([0, 50, 90]).fallbacks
    assert fallbacks is not None
    assert fallbacks.logged == 0
    assert fallbacks.projected == pytest.approx(0, abs=0.002)


def test_waiting_is_the_tiers_own_waiting_mixed_anew() -> None:
    log = simulate(4, 8000, plain=True, explore=0.0)
    waits = {name: histogram(ms) for name, ms in zip(log.cube.tiers, (300, 600, 3000), strict=True)}
    made = Preview(log.cube, log.config, log.prices, 100, latencies=waits)
    slower, quicker = (made.at_boundaries(marks).latency_p95_ms for marks in ([0, 40, 60], [0, 40, 100]))
    assert slower is not None
    assert quicker is not None
    assert slower.logged == quicker.logged
    assert slower.change is not None
    assert quicker.projected is not None
    assert slower.change > 0
    assert quicker.projected < 1500  # hardly anything is left on the slow tier


def test_a_tier_whose_waiting_is_unknown_leaves_it_unknown() -> None:
    log = simulate(4, 2000, plain=True)
    made = Preview(log.cube, log.config, log.prices, 20, latencies={"SIMPLE": histogram(300)})
    assert made.at_boundaries([0, 50, 90]).latency_p95_ms is None
    assert Preview(log.cube, log.config, log.prices, 20).at_boundaries([0, 50, 90]).latency_p95_ms is None
