"""Projection: what a change would do, as people and programs read it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import Any, Literal

from router_core.projection.support import Colour

CONTRADICTED = (
    "Requests that chance sent where this traffic would go were answered otherwise than the models expect; replay some "
    "before relying on the interval."
)


@dataclass(frozen=True)
class Money:
    """Nano-dollars over the window; ``change``, ``low`` and ``high`` are of the change. None is unknown."""

    logged: int
    projected: int | None
    change: int | None
    low: int | None
    high: int | None


@dataclass(frozen=True)
class Interval:
    """Mean quality, 0..1; ``change``, ``low`` and ``high`` are of the change. None where the log cannot say."""

    logged: float | None
    projected: float | None
    change: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Share:
    """A share of the logged cost; positive is a saving."""

    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Support:
    """``unsupported_share`` and ``moved_share`` are of all traffic."""

    unsupported_share: float
    moved_share: float
    colour: Colour


@dataclass(frozen=True)
class Estimate:
    """Cost and quality of one policy, or of one feature under it."""

    cost: Money
    saving: Share
    quality: Interval

    def as_json(self) -> dict[str, Any]:
        return {
            "cost_nusd": _plain(self.cost),
            "saving_share": _plain(self.saving),
            "quality": _plain(self.quality),
        }


@dataclass(frozen=True)
class FeatureEstimate(Estimate):
    """One feature under the target."""

    feature: str
    decisions: int
    moved: int
    tier_shares: Mapping[str, float]

    def as_json(self) -> dict[str, Any]:
        head = {"feature": self.feature, "decisions": self.decisions, "moved": self.moved}
        return {**head, "tier_shares": dict(self.tier_shares), **super().as_json()}


@dataclass(frozen=True)
class Range:
    """What a setting may come to beside the figures, where the log cannot say how often it takes effect.

    Not an interval: nothing is said of what is likely in between. ``setting`` is ``cascade`` or ``compress``; the ends
    are of the change in cost, nano-dollars, and in mean quality, 0..1; None is unknown. ``said`` are sentences on what
    is assumed.
    """

    setting: Literal["cascade", "compress"]
    cost_low: int | None
    cost_high: int | None
    quality_low: float | None
    quality_high: float | None
    said: tuple[str, ...]

    def __str__(self) -> str:
        cost = _between(self.cost_low, self.cost_high, lambda nusd: f"{'-' if nusd < 0 else ''}${abs(nusd) / 1e9:,.2f}")
        quality = _between(self.quality_low, self.quality_high, lambda share: f"{100 * share:.1f}")
        return (
            f"Not in the figures, and a range rather than an interval: the change of {self.setting} changes cost by "
            f"{cost} and quality by {quality} points. {' '.join(self.said)}"
        )


def _between(low: Any, high: Any, write: Callable[[Any], str]) -> str:
    ends = ["unknown" if end is None else write(end) for end in (low, high)]
    return ends[0] if ends[0] == ends[1] else f"{ends[0]} to {ends[1]}"


def _unknown() -> None:
    return None


@dataclass(frozen=True)
class Projection(Estimate):
    """What a target policy would have cost on the logged traffic, and how good its answers would have been.

    ``notes`` are sentences on what could not be said and why; ``ranges`` what the figures leave out, but for which the
    log has ends. ``controls``, ``by_feature``, ``fallbacks``,
    ``latency_p95_ms`` and ``cross_check`` are worked out when first asked for.
    """

    since: date | None
    until: date | None
    days: int
    decisions: int
    support: Support
    notes: tuple[str, ...]
    _controls: Callable[[], Mapping[str, Estimate]] = field(repr=False, compare=False)
    _by_feature: Callable[[], list[FeatureEstimate]] = field(repr=False, compare=False)
    _fallbacks: Callable[[], Interval | None] = field(default=_unknown, repr=False, compare=False)
    _latency: Callable[[], Interval | None] = field(default=_unknown, repr=False, compare=False)
    _cross_check: Callable[[], Interval | None] = field(default=_unknown, repr=False, compare=False)
    ranges: tuple[Range, ...] = ()

    @cached_property
    def controls(self) -> Mapping[str, Estimate]:
        """``all_cheapest``, ``all_strongest`` and ``shuffled``: the target's tier shares given out at random."""
        return self._controls()

    @cached_property
    def by_feature(self) -> list[FeatureEstimate]:
        """The same figures for each feature, in the order of the cube."""
        return self._by_feature()

    @cached_property
    def fallbacks(self) -> Interval | None:
        """The share of requests that another model than the first one asked had to answer; None where unknown."""
        return self._fallbacks()

    @cached_property
    def latency_p95_ms(self) -> Interval | None:
        """The 95th percentile of how long a call takes; None where it is not known of every tier in use."""
        return self._latency()

    @cached_property
    def cross_check(self) -> Interval | None:
        """The change in quality corrected by explored requests (doubly robust), None where too few were explored.

        Noisy, but right where the models are not: an interval that lies apart from that of ``quality`` is a warning.
        """
        return self._cross_check()

    @property
    def contradicted(self) -> bool:
        """Whether the cross-check's interval and the models' lie apart."""
        check, quality = self.cross_check, self.quality
        if check is None or check.low is None or check.high is None or quality.low is None or quality.high is None:
            return False
        return check.high < quality.low or check.low > quality.high

    def as_json(self) -> dict[str, Any]:
        """Return the shape other programs read; money in nano-dollars."""
        return {
            "window": {
                "since": self.since.isoformat() if self.since else None,
                "until": self.until.isoformat() if self.until else None,
                "days": self.days,
            },
            "decisions": self.decisions,
            **super().as_json(),
            "fallbacks": self.fallbacks and _plain(self.fallbacks),
            "latency_p95_ms": self.latency_p95_ms and _plain(self.latency_p95_ms),
            "cross_check": self.cross_check and _plain(self.cross_check),
            "support": _plain(self.support),
            "controls": {name: control.as_json() for name, control in self.controls.items()},
            "by_feature": [feature.as_json() for feature in self.by_feature],
            "ranges": [{**_plain(one), "said": list(one.said)} for one in self.ranges],
            "notes": [*self.notes, *([CONTRADICTED] if self.contradicted else [])],
        }


def _plain(value: Any) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__dataclass_fields__}
