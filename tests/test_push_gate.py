"""A push is held up where its quality may fall below the floor or too little is known, and by nothing else."""

from __future__ import annotations

from dataclasses import replace

from router_core.config import RoutingConfig, default_config, set_values
from router_core.lifecycle.gate import floor_of, objections
from router_core.projection import Money, Projection
from router_core.projection.proof import Proof
from router_core.projection.result import FeatureEstimate, Interval, Share, Support
from router_core.projection.support import Colour

COST, SAVING = Money(100, 90, -10, -12, -8), Share(0.1, 0.08, 0.12)


def projected(
    low: float | None = -0.005, *, colour: Colour = "plain", moved: float = 0.2, of_chat: float | None = None
) -> Projection:
    quality = Interval(0.9, 0.9, 0.0, low, 0.005)
    chat = FeatureEstimate(COST, SAVING, replace(quality, low=of_chat), "chat", 10, 5, {})
    return Projection(
        COST,
        SAVING,
        quality,
        None,
        None,
        30,
        1000,
        Support(0.2 if colour == "red" else 0.0, moved, colour),
        (),
        dict,
        lambda: [chat],
    )


def with_floor(*settings: str) -> RoutingConfig:
    return set_values(default_config(), settings)


def test_a_safe_change_may_be_pushed() -> None:
    assert objections(projected(), with_floor("quality_floor=0.85")) == []


def test_without_a_floor_quality_may_fall_by_a_point() -> None:
    config = with_floor("quality_floor=null")
    assert floor_of(projected(), config) == 0.89
    assert objections(projected(-0.009), config) == []
    (said,) = objections(projected(-0.02), config)
    assert said == "Quality may be as low as 88.0%, below the floor of 89.0%."


def test_a_lower_bound_under_the_floor_is_held_up_though_the_estimate_is_not() -> None:
    (said,) = objections(projected(-0.03), with_floor("quality_floor=0.88"))
    assert "as low as 87.0%" in said


def test_a_features_own_floor_counts() -> None:
    config = with_floor("features.chat.quality_floor=0.89", "quality_floor=0.5")
    assert objections(projected(of_chat=-0.005), config) == []
    (said,) = objections(projected(of_chat=-0.05), config)
    assert said.startswith("Quality of chat may be as low as 85.0%")


def test_thin_support_and_unknown_quality_are_held_up() -> None:
    assert "20% of all requests" in objections(projected(colour="red"), with_floor("quality_floor=0.5"))[0]
    assert objections(projected(None), default_config()) == ["Quality is unknown: too few answers were judged."]


def test_what_moves_nothing_is_not_held_up() -> None:
    assert objections(projected(None, colour="red", moved=0.0), default_config()) == []


def test_a_proof_speaks_in_place_of_the_log() -> None:
    config = with_floor("quality_floor=0.88")
    proof = Proof(100, 0, Interval(0.9, 0.9, 0.0, -0.01, 0.01), COST, SAVING, 0.02, ())
    assert objections(projected(None, colour="red"), config, proof) == []
    worse = replace(proof, quality=Interval(0.9, 0.85, -0.05, -0.06, -0.04))
    assert len(objections(projected(), config, worse)) == 1
