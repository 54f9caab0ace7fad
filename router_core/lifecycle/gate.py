"""The push gate: what speaks against making a change live; it takes an override with a reason, which is kept."""

from __future__ import annotations

from router_core.config import RoutingConfig
from router_core.projection import Projection
from router_core.projection.optimize import MARGIN
from router_core.projection.proof import Proof
from router_core.projection.result import Interval


def floor_of(projection: Projection, target: RoutingConfig) -> float | None:
    """Return what quality must not fall below: the configured floor, else a point below today's; None where unknown."""
    if target.quality_floor is not None:
        return target.quality_floor
    logged = projection.quality.logged
    return None if logged is None else max(logged - MARGIN, 0.0)


def objections(projection: Projection, target: RoutingConfig, proof: Proof | None = None) -> list[str]:
    """Return sentences on what speaks against a push; none where its quality is safe and well supported.

    What a trial of this very change proved takes the place of what the log alone says. Where a setting adds a range to
    the figures, its lower end counts. A change that moves no request, and may worsen no answer, is not held up.
    """
    doubt = sum(min(one.quality_low or 0.0, 0.0) for one in projection.ranges)
    if not projection.support.moved_share and not doubt:
        return []
    found = []
    if projection.support.colour == "red" and proof is None:
        found.append(
            f"{projection.support.unsupported_share:.0%} of all requests would move to a tier where hardly any like "
            "them were judged."
        )
    floor, quality = floor_of(projection, target), projection.quality if proof is None else proof.quality
    found += _under(quality, floor, "Quality", doubt)
    if proof is None:
        floors = {name: one.quality_floor for name, one in target.features.items() if one.quality_floor is not None}
        for one in projection.by_feature:
            if one.feature in floors and one.moved:
                found += _under(one.quality, floors[one.feature], f"Quality of {one.feature}")
    return found


def _under(quality: Interval, floor: float | None, what: str, doubt: float = 0.0) -> list[str]:
    if quality.logged is None or quality.low is None or floor is None:
        return [f"{what} is unknown: too few answers were judged."]
    low = quality.logged + quality.low + doubt
    return [f"{what} may be as low as {low:.1%}, below the floor of {floor:.1%}."] if low < floor - 1e-9 else []
