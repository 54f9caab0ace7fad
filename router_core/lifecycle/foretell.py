"""What a push promises: its configuration projected on the whole log, at the prices in force when it is pushed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from router_core.config import RoutingConfig
from router_core.ledger.evidence import evidence
from router_core.ledger.price_rows import read_prices
from router_core.ledger.store import Ledger
from router_core.lifecycle import versions
from router_core.prices import PriceBook
from router_core.projection import Cube, Money, Preview, Projection, Share
from router_core.projection.result import FeatureEstimate


def foretell(ledger: Ledger, config: RoutingConfig, *, at_ms: int, replicates: int = 200) -> Projection:
    """Project a configuration on the cells as they are, both it and the live one at the prices of ``at_ms``.

    A promise is about what comes, so a price that changed within the log counts as if it had held all along. Raises
    ``NoSupportError`` where there is no traffic, and ``ConfigError`` where the tiers are not those of the log.
    """
    rows = read_prices(ledger)
    live = versions.live(ledger).config
    cube = Cube.from_evidence(evidence(ledger), live, PriceBook(rows))
    today = datetime.fromtimestamp(at_ms / 1000, UTC).date()
    in_force = [row for row in rows if row.effective_from <= today]
    first = [row for row in in_force if cube.since is None or row.effective_from <= cube.since]
    preview, prices = Preview(cube, live, PriceBook(first), replicates), PriceBook(in_force)
    return _rebased(preview.at(config, prices), preview.at(live, prices))


def _rebased(found: Projection, unchanged: Projection) -> Projection:
    """Count a projection's changes from what the unchanged configuration costs at the same prices."""
    own = {feature.feature: feature.cost.change for feature in unchanged.by_feature}

    def by_feature() -> list[FeatureEstimate]:
        return [
            replace(one, cost=cost, saving=_share(cost))
            for one in found.by_feature
            for cost in [_less(one.cost, own.get(one.feature))]
        ]

    cost = _less(found.cost, unchanged.cost.change)
    return replace(found, cost=cost, saving=_share(cost), _by_feature=by_feature)


def _less(cost: Money, repriced: int | None) -> Money:
    if repriced is None:
        return Money(cost.logged, None, None, None, None)
    change, low, high = (None if end is None else end - repriced for end in (cost.change, cost.low, cost.high))
    return Money(cost.logged + repriced, cost.projected, change, low, high)


def _share(cost: Money) -> Share:
    if cost.change is None or cost.low is None or cost.high is None or not cost.logged:
        return Share(None, None, None)
    return Share(0.0 - cost.change / cost.logged, 0.0 - cost.high / cost.logged, 0.0 - cost.low / cost.logged)
