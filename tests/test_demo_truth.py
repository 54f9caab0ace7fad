"""The truth beside a demo is what happened where it happened, and changes of configuration are exact sums of it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from router_core.config import RoutingConfig, build_config, plain, set_values
from router_core.decision import Reason
from router_core.demo import DemoTruth, fill, true_change, truth, truth_path
from router_core.demo.world import configs
from router_core.errors import InputError
from router_core.ledger.store import Ledger, open_ledger
from router_core.policy import propensities, tier_for_score

NOW = round(datetime(2026, 11, 23, 15, 20, tzinfo=UTC).timestamp() * 1000)
LIVE = configs()[-1]


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    with open_ledger(tmp_path_factory.mktemp("demo") / "demo.db") as opened:
        fill(opened, decisions=6_000, seed=1, now_ms=NOW)
        yield opened


@pytest.fixture(scope="module")
def known(ledger: Ledger) -> DemoTruth:
    return truth(ledger.engine.url.database or "")


def test_what_happened_is_the_truth_of_the_tier_it_happened_on(ledger: Ledger, known: DemoTruth) -> None:
    with ledger.reading() as connection:
        rows = connection.exec_driver_sql("SELECT decided_at_ms, cost_nusd, quality_ppm FROM decision").all()
    place = np.arange(len(known))
    happened = known.cost_nusd[place, known.tier]
    # Decisions of the same millisecond may stand in another order, so they are compared as sets.
    assert sorted(zip(known.at_ms.tolist(), happened.tolist(), strict=True)) == sorted((row[0], row[1]) for row in rows)
    labelled = {(row[0], round(row[2] / 1e6, 4)) for row in rows if row[2] is not None}
    quality = known.quality[place, known.tier]
    assert labelled <= {(at, round(float(value), 4)) for at, value in zip(known.at_ms.tolist(), quality, strict=True)}


def test_a_stronger_tier_is_better_and_dearer(known: DemoTruth) -> None:
    assert (np.diff(known.quality.mean(axis=0)) > 0.01).all()
    assert (np.diff(known.cost_nusd.sum(axis=0)) > 0).all()
    assert (known.quality >= 0).all()
    assert (known.quality <= 1).all()


def test_the_same_configuration_changes_exactly_nothing(known: DemoTruth) -> None:
    change = true_change(known, LIVE, LIVE)
    assert (change.cost_nusd, change.quality, change.moved_share) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    "settings",
    [
        ["boundaries.COMPLEX=90"],
        ["boundaries.MEDIUM=20", "boundaries.REASONING=85"],
        ["features.support_chat.boundaries.COMPLEX=70"],
        ["features.contract_review.pin=~"],
        ["features.support_chat.pin=REASONING"],
        ["exploration.rate=0.2"],
    ],
)
def test_a_change_is_the_plain_sum_over_requests(known: DemoTruth, settings: list[str]) -> None:
    target = set_values(LIVE, settings)

    def expected(config: RoutingConfig, place: int) -> tuple[float, float]:
        feature, score = known.features[known.feature[place]], int(known.score[place])
        entry = config.features.get(feature)
        due = tier_for_score(config, feature, score)
        chances = (
            {entry.pin: 1.0} if entry is not None and entry.pin is not None else propensities(config, feature, due)
        )
        on = [chances.get(tier, 0.0) for tier in known.tiers]
        return (
            float(np.dot(on, known.cost_nusd[place])),
            float(np.dot(on, known.quality[place].astype(float))),
        )

    cost = quality = 0.0
    for place in range(len(known)):
        if known.reason[place] in (Reason.POLICY, Reason.EXPLORE, Reason.PIN):
            after, before = expected(target, place), expected(LIVE, place)
            cost += after[0] - before[0]
            quality += after[1] - before[1]
    change = true_change(known, target, LIVE)
    assert change.cost_nusd == pytest.approx(cost, rel=1e-9, abs=1)
    assert change.quality == pytest.approx(quality / len(known), rel=1e-6, abs=1e-12)


def test_moving_traffic_up_costs_more_and_is_better_and_down_the_reverse(known: DemoTruth) -> None:
    up = true_change(known, set_values(LIVE, ["boundaries.MEDIUM=20"]), LIVE)
    down = true_change(known, set_values(LIVE, ["boundaries.REASONING=100"]), LIVE)
    assert up.cost_nusd > 0 > down.cost_nusd
    assert up.quality > 0 > down.quality
    assert 0 < down.moved_share < up.moved_share < 0.5


def test_a_window_can_be_cut_out(known: DemoTruth) -> None:
    middle = int(known.at_ms[3000])
    early, late = known.between(0, middle), known.between(middle, NOW)
    assert len(early) + len(late) == len(known)
    target = set_values(LIVE, ["boundaries.COMPLEX=90"])
    parts = [true_change(part, target, LIVE).cost_nusd for part in (early, late)]
    assert sum(parts) == pytest.approx(true_change(known, target, LIVE).cost_nusd)


def test_what_cannot_be_read_or_compared_is_explained(tmp_path: Path, known: DemoTruth) -> None:
    with pytest.raises(InputError, match="only 'tierwise demo' keeps one"):
        truth(tmp_path / "none.db")
    truth_path(tmp_path / "bad.db").write_bytes(b"not a zip")
    with pytest.raises(InputError, match="cannot be read"):
        truth(tmp_path / "bad.db")
    data = plain(LIVE)
    other = build_config({**data, "tiers": data["tiers"][:2], "features": {}, "rules": [], "baseline_model": None})
    with pytest.raises(InputError, match="the demo knows the tiers SIMPLE, MEDIUM, COMPLEX, REASONING"):
        true_change(known, other, LIVE)
