"""Requests are drawn from the ledger by cell: exactly those of the cells, each equally likely, without a full scan."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from router_core.decision import (
    Attempt,
    Kind,
    QualitySource,
    Reason,
    RoutingDecision,
    Status,
    Strategy,
    new_decision_id,
)
from router_core.ledger.sampling import Drawable, answering_costs, drawable
from router_core.ledger.store import Ledger, open_ledger
from router_core.usage import Usage

START = datetime(2026, 3, 1, tzinfo=UTC)
TIERS = ("LOW", "HIGH")
FEATURES = ("chat", "search")
COUNT = 3_000


def decision(place: int, random: np.random.Generator) -> RoutingDecision:
    # Most of the traffic comes in one hour of each day, so that time tells nothing of how many requests there are.
    hour = 12 if place % 4 else int(random.integers(0, 24))
    at = START + timedelta(days=int(random.integers(0, 5)), hours=hour, seconds=int(random.integers(0, 3600)))
    at_ms = int(at.timestamp() * 1000) + place % 1000
    score = int(random.integers(0, 101))
    reason = Reason(int(random.choice([0, 0, 0, 0, 1, 2, 3])))
    calls = [Attempt(Kind.ANSWER, "LOW", "p", "m", usage=Usage(10, 5), list_cost_nusd=100 + place)]
    if place % 5 == 0:
        calls.append(Attempt(Kind.CLASSIFIER, "", "p", "m", final=False, usage=Usage(10, 1), list_cost_nusd=7))
    if place % 7 == 0:
        calls.append(Attempt(Kind.ESCALATION, "HIGH", "p", "m", usage=Usage(10, 5), list_cost_nusd=None))
    return RoutingDecision(
        new_decision_id(at_ms),
        at_ms,
        1,
        "s" if place % 10 else "other",
        FEATURES[place % 2],
        "",
        None if reason == Reason.RULE and place % 3 else score,
        "rules",
        TIERS[int(score >= 50)],
        reason,
        1.0,
        Strategy.CACHE_EXACT if place % 11 == 0 else Strategy.DIRECT,
        Status.OK,
        5,
        tuple(calls),
        quality=None if place % 3 else 0.5,
        quality_source=None if place % 3 else QualitySource.JUDGE,
    )


@pytest.fixture(scope="module")
def decisions() -> list[RoutingDecision]:
    random = np.random.default_rng(3)
    return [decision(place, random) for place in range(COUNT)]


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory, decisions: list[RoutingDecision]) -> Iterator[Ledger]:
    with open_ledger(tmp_path_factory.mktemp("sampling") / "ledger.db") as opened:
        opened.write_decisions(decisions)
        yield opened


def cells() -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    wanted = np.zeros((2, 2, 101), dtype=bool)
    wanted[0, 0, 20:50] = wanted[1, 1, 50:60] = True
    return wanted


def found(ledger: Ledger, **changes: object) -> Drawable:
    asked: dict[str, object] = {
        "features": FEATURES,
        "tiers": TIERS,
        "scorer": "s",
        "since": date(2026, 3, 1),
        "until": date(2026, 3, 5),
        "decisions": COUNT,
    }
    return drawable(ledger, cells(), **{**asked, **changes})  # type: ignore[arg-type]


def expected(decisions: list[RoutingDecision]) -> dict[bytes, RoutingDecision]:
    wanted = cells()
    return {
        one.id: one
        for one in decisions
        if one.scorer_version == "s"
        and one.reason in (Reason.POLICY, Reason.PIN)
        and one.score is not None
        and wanted[FEATURES.index(one.feature), TIERS.index(one.tier), one.score]
    }


def test_all_requests_of_the_cells_and_no_others_are_found(ledger: Ledger, decisions: list[RoutingDecision]) -> None:
    drawn, wanted = found(ledger), expected(decisions)
    assert set(drawn.ids) == set(wanted)
    assert len(drawn) == len(wanted) > 300
    assert drawn.every == 1
    for place, key in enumerate(drawn.ids):
        one = wanted[key]
        assert (FEATURES[drawn.feature[place]], drawn.score[place]) == (one.feature, one.score)
        assert drawn.cached[place] == (one.strategy == Strategy.CACHE_EXACT)
        assert (one.quality is None and np.isnan(drawn.quality[place])) or drawn.quality[place] == one.quality


def test_days_outside_the_window_are_left_out(ledger: Ledger, decisions: list[RoutingDecision]) -> None:
    some = found(ledger, since=date(2026, 3, 2), until=date(2026, 3, 3))
    days = {datetime.fromtimestamp(int.from_bytes(key[:6], "big") / 1000, UTC).date() for key in some.ids}
    assert days == {date(2026, 3, 2), date(2026, 3, 3)}


def test_of_many_rows_one_in_so_many_is_read_and_each_is_equally_likely(
    ledger: Ledger, decisions: list[RoutingDecision]
) -> None:
    wanted = expected(decisions)
    times: dict[bytes, int] = dict.fromkeys(wanted, 0)
    sizes = []
    for seed in range(30):
        drawn = found(ledger, most=1000, seed=seed)
        assert drawn.every == 3
        assert set(drawn.ids) <= set(wanted)
        sizes.append(len(drawn))
        for key in drawn.ids:
            times[key] += 1
    assert np.mean(sizes) == pytest.approx(len(wanted) / 3, rel=0.05)
    # Quiet hours and the busy one are drawn alike.
    busy = [count for key, count in times.items() if _hour(key) == 12]
    quiet = [count for key, count in times.items() if _hour(key) != 12]
    assert np.mean(busy) / 30 == pytest.approx(1 / 3, abs=0.04)
    assert np.mean(quiet) / 30 == pytest.approx(1 / 3, abs=0.07)
    assert found(ledger, most=1000, seed=1).ids == found(ledger, most=1000, seed=1).ids


def _hour(key: bytes) -> int:
    return datetime.fromtimestamp(int.from_bytes(key[:6], "big") / 1000, UTC).hour


def test_names_the_ledger_never_saw_find_nothing(ledger: Ledger) -> None:
    assert len(found(ledger, features=("nobody", "none"))) == 0
    assert len(found(ledger, scorer="never")) == 0


def test_what_answering_cost_leaves_out_what_any_tier_would_have_cost(
    ledger: Ledger, decisions: list[RoutingDecision]
) -> None:
    some = decisions[:60]
    costs = answering_costs(ledger, [one.id for one in some])
    for one, cost in zip(some, costs, strict=True):
        place = next(call.list_cost_nusd for call in one.attempts if call.kind == Kind.ANSWER)
        assert cost == (None if any(call.kind == Kind.ESCALATION for call in one.attempts) else place)
    assert answering_costs(ledger, [bytes(16)]) == [0]


def test_a_ledger_without_rows_gives_nothing(tmp_path: Path) -> None:
    with open_ledger(tmp_path / "empty.db") as empty:
        assert len(found(empty)) == 0
