"""What a projection says of a demo's traffic holds against the truth kept beside it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from router_core.config import RoutingConfig, set_values
from router_core.demo import DemoTruth, fill, true_change, truth
from router_core.ledger.evidence import evidence
from router_core.ledger.price_rows import read_prices
from router_core.ledger.queries import window
from router_core.ledger.rollup import refresh
from router_core.ledger.store import Ledger, open_ledger
from router_core.lifecycle import versions
from router_core.prices import PriceBook
from router_core.projection.cube import Cube
from router_core.projection.estimate import Preview

NOW = round(datetime(2026, 11, 23, 15, 20, tzinfo=UTC).timestamp() * 1000)

TARGETS = (
    ["boundaries.MEDIUM=30"],
    ["boundaries.MEDIUM=38"],
    ["boundaries.MEDIUM=55"],
    ["boundaries.MEDIUM=65"],
    ["boundaries.COMPLEX=65"],
    ["boundaries.COMPLEX=72"],
    ["boundaries.COMPLEX=88"],
    ["boundaries.REASONING=85"],
    ["boundaries.REASONING=97"],
    ["boundaries.REASONING=100"],
    ["boundaries.MEDIUM=60", "boundaries.COMPLEX=88", "boundaries.REASONING=97"],
    ["boundaries.MEDIUM=35", "boundaries.COMPLEX=70", "boundaries.REASONING=88"],
)


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    with open_ledger(tmp_path_factory.mktemp("demo") / "demo.db") as opened:
        fill(opened, decisions=60_000, seed=5, now_ms=NOW)
        refresh(opened)
        yield opened


@pytest.fixture(scope="module")
def live(ledger: Ledger) -> RoutingConfig:
    return versions.live(ledger).config


@pytest.fixture(scope="module")
def preview(ledger: Ledger, live: RoutingConfig) -> Preview:
    prices = PriceBook(read_prices(ledger))
    return Preview(Cube.from_evidence(evidence(ledger, None, None), live, prices), live, prices)


@pytest.fixture(scope="module")
def known(ledger: Ledger) -> DemoTruth:
    return truth(ledger.engine.url.database or "")


def test_the_window_is_marked_as_demo(ledger: Ledger) -> None:
    shown = window(ledger)
    assert shown.is_demo
    assert shown.decisions == 60_000
    assert (str(shown.first_day), str(shown.last_day)) == ("2026-10-25", "2026-11-23")


def test_the_live_configuration_projects_exactly_nothing(preview: Preview, live: RoutingConfig) -> None:
    same = preview.at(live)
    assert (same.cost.change, same.quality.change) == (0, 0.0)


def test_the_truth_of_moved_boundaries_lies_within_the_interval(
    preview: Preview, known: DemoTruth, live: RoutingConfig
) -> None:
    missed: dict[str, list[str]] = {"cost": [], "quality": []}
    for settings in TARGETS:
        target = set_values(live, settings)
        projection, true = preview.at(target), true_change(known, target, live)
        cost, quality = projection.cost, projection.quality
        assert cost.low is not None
        assert cost.high is not None
        assert quality.low is not None
        assert quality.high is not None
        if not cost.low <= true.cost_nusd <= cost.high:
            missed["cost"].append(f"{settings}: {true.cost_nusd} not in {cost.low}..{cost.high}")
        if not quality.low <= true.quality <= quality.high:
            missed["quality"].append(f"{settings}: {true.quality} not in {quality.low}..{quality.high}")
    assert all(len(found) <= len(TARGETS) // 6 for found in missed.values()), missed
