"""The policy: from a score, the request and one random draw to a tier, why, and how likely that tier was."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

from router_core.complexity.score import Score
from router_core.config import RoutingConfig
from router_core.decision import Reason, Request


@dataclass(frozen=True, slots=True)
class Assignment:
    """The tier a request was given.

    ``propensity`` is the probability with which the policy gives it this tier; over the tiers it could have got they
    sum to 1. ``rule`` is the path of the rule that named the tier, empty where none did.
    """

    tier: str
    reason: Reason
    propensity: float
    rule: str = ""


def assign(
    score: Score, request: Request, config: RoutingConfig, *, draw: float, warm_tier: str | None = None
) -> Assignment:
    """Choose the tier of one request; the same inputs always give the same assignment.

    ``draw`` is a random number, 0 <= draw < 1. ``warm_tier`` is the tier this conversation is being served by, None
    where it is new or has cooled down. First of these that speaks decides: the feature's pin (which is there for
    safety, so nothing overrides it), a rule that names a tier, the warm conversation, then the boundaries. A warm
    tier that the configuration no longer has is ignored. An uncertain score goes one tier above its boundary.
    Exploration sends the share ``exploration.rate`` of what the boundaries decide, for the features listed there (none
    listed: all), to another tier, each of those listed (none: each) equally likely.
    """
    feature = config.features.get(request.feature)
    if feature is not None and feature.pin is not None:
        return Assignment(feature.pin, Reason.PIN, 1.0)
    if score.rule_tier is not None:
        return Assignment(score.rule_tier, Reason.RULE, 1.0, score.rule)
    names = config.tier_names
    if warm_tier is not None and warm_tier in names:
        return Assignment(warm_tier, Reason.STICKY, 1.0)
    index = bisect_right(config.boundaries(request.feature), score.value) - 1
    if score.uncertain and index < len(names) - 1:
        return Assignment(names[index + 1], Reason.UNCERTAIN, 1.0)
    tier = names[index]
    rate = config.exploration.rate
    if rate > 0.0:
        others = _explored(config, request.feature, tier)
        if others:
            if draw < rate:
                place = min(int(draw / rate * len(others)), len(others) - 1)
                return Assignment(others[place], Reason.EXPLORE, rate / len(others))
            return Assignment(tier, Reason.POLICY, 1.0 - rate)
    return Assignment(tier, Reason.POLICY, 1.0)


def tier_for_score(config: RoutingConfig, feature: str | None, score: int) -> str:
    """Return the tier whose boundary is the highest at or below ``score``; of equal boundaries, the strongest tier."""
    return config.tier_names[bisect_right(config.boundaries(feature), score) - 1]


def one_tier_down(config: RoutingConfig, tier: str, reason: Reason) -> str | None:
    """Return the tier below, for a request whose budget is spent; None where there is none or it must not move.

    A pin is there for safety, and whoever names a model wants that one, so these stay.
    """
    names = config.tier_names
    if reason in (Reason.PIN, Reason.NAMED) or tier not in names or (place := names.index(tier)) == 0:
        return None
    return names[place - 1]


def propensities(config: RoutingConfig, feature: str, tier: str) -> dict[str, float]:
    """Return the probability of every tier, for a request that the boundaries send to ``tier``; they sum to 1."""
    others = _explored(config, feature, tier)
    rate = config.exploration.rate if others else 0.0
    return {
        name: 1.0 - rate if name == tier else rate / len(others) if name in others else 0.0
        for name in config.tier_names
    }


def _explored(config: RoutingConfig, feature: str, tier: str) -> list[str]:
    exploration = config.exploration
    if exploration.features and feature not in exploration.features:
        return []
    return [name for name in config.tier_names if name != tier and (not exploration.tiers or name in exploration.tiers)]
