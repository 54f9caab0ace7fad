"""Suggestions follow measured quality, never fewer labels than tell something, and drift is more than chance."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from router_core.config import default_config, set_values
from router_core.lifecycle.feedback import Labelled, drift, mean, suggestions

CONFIG = default_config()
TODAY = date(2026, 11, 20)


def days(
    feature: str, tier: str, quality: float, *, labels: int = 50, n: int = 10, until: date = TODAY
) -> list[Labelled]:
    return [Labelled(until - timedelta(days=back), feature, tier, labels, labels * quality) for back in range(n)]


@given(some.integers(1, 10_000), some.floats(0, 1))
def test_an_interval_holds_its_mean_and_stays_within_zero_and_one(labels: int, value: float) -> None:
    found = mean(labels, labels * value)
    assert found is not None
    assert 0 <= found.low <= found.value <= found.high <= 1


@given(some.floats(0, 1))
def test_more_labels_give_a_narrower_interval(value: float) -> None:
    few, many = mean(20, 20 * value), mean(2_000, 2_000 * value)
    assert few is not None
    assert many is not None
    assert many.high - many.low < few.high - few.low


def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    random = np.random.default_rng(1)
    for truth in (0.7, 0.93, 0.99):
        held = [
            (found := mean(200, float(hits))) is not None and found.low <= truth <= found.high
            for hits in random.binomial(200, truth, 3_000)
        ]
        assert np.mean(held) >= 0.93


def test_nothing_labelled_has_no_mean() -> None:
    assert mean(0, 0.0) is None
    assert suggestions([], CONFIG) == []
    assert drift([], CONFIG.tier_names, TODAY) == []


def test_a_bad_cell_goes_one_tier_up_and_a_good_one_one_tier_down() -> None:
    lines = [*days("chat", "SIMPLE", 0.5), *days("mail", "COMPLEX", 0.99), *days("chat", "MEDIUM", 0.85)]
    up, down = sorted(suggestions(lines, CONFIG), key=lambda one: one.feature)
    assert (up.feature, up.tier, up.direction, up.to, up.sure) == ("chat", "SIMPLE", "up", "MEDIUM", True)
    assert (down.feature, down.tier, down.direction, down.to, down.sure) == ("mail", "COMPLEX", "down", "MEDIUM", True)
    assert (up.mark, down.mark) == (CONFIG.feedback.upgrade_below, CONFIG.feedback.downgrade_above)


def test_only_the_newest_labels_of_the_window_count() -> None:
    lines = days("chat", "SIMPLE", 0.5, n=4) + days("chat", "SIMPLE", 0.99, n=30, until=TODAY - timedelta(days=4))
    (found,) = suggestions(lines, CONFIG)
    assert found.evidence.labels == CONFIG.feedback.window == 200
    assert found.since == TODAY - timedelta(days=3)
    assert found.evidence.value == pytest.approx(0.5)


def test_what_cannot_or_may_not_move_is_not_suggested() -> None:
    lines = [
        *days("chat", "REASONING", 0.3),  # nothing is stronger
        *days("chat", "SIMPLE", 0.999),  # nothing is cheaper
        *days("contract_review", "COMPLEX", 0.2),  # pinned
        *days("chat", "GONE", 0.2),  # no such tier any more
        *days("mail", "MEDIUM", 0.1, labels=2),  # too few
    ]
    assert suggestions(lines, CONFIG) == []


def test_a_mean_beyond_the_mark_with_an_interval_across_it_is_not_sure() -> None:
    (found,) = suggestions(days("mail", "MEDIUM", 0.96, labels=20, n=3), CONFIG)
    assert not found.sure
    stricter = set_values(CONFIG, ["feedback.downgrade_above=0.97"])
    assert suggestions(days("mail", "MEDIUM", 0.96, labels=20, n=3), stricter) == []


def test_a_fall_is_drift_and_a_wobble_is_not() -> None:
    since = TODAY - timedelta(days=6)
    earlier = since - timedelta(days=1)
    lines = [
        *days("chat", "SIMPLE", 0.94, n=30, until=earlier),
        *days("chat", "SIMPLE", 0.80, n=7),
        *days("chat", "MEDIUM", 0.94, n=30, until=earlier),
        *days("chat", "MEDIUM", 0.93, n=7),
        *days("chat", "COMPLEX", 0.94, n=30, until=earlier),
    ]
    fell, same = drift(lines, CONFIG.tier_names, since)
    assert (fell.tier, fell.certain, round(fell.change, 2)) == ("SIMPLE", True, -0.14)
    assert fell.low < fell.change < fell.high < 0
    assert (same.tier, same.certain) == ("MEDIUM", False)


def test_drift_is_seldom_seen_where_there_is_none() -> None:
    random = np.random.default_rng(2)
    since, alarms = TODAY - timedelta(days=6), 0
    for _ in range(400):
        lines = [
            Labelled(TODAY - timedelta(days=back), "chat", tier, 40, float(random.binomial(40, 0.92)))
            for back in range(28)
            for tier in CONFIG.tier_names
        ]
        alarms += any(one.certain for one in drift(lines, CONFIG.tier_names, since))
    assert alarms / 400 <= 0.08
