"""The cube: all that a projection needs of a log, by feature, score and assigned tier; rows are never read again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from router_core.config import RoutingConfig
from router_core.decision import Kind, Reason, Strategy
from router_core.errors import NoSupportError
from router_core.prices import PriceBook
from router_core.projection.pricing import Calls

if TYPE_CHECKING:
    from router_core.ledger.evidence import Evidence

SCORES = 101
POLICY, EXPLORED = 0, 1

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

# A rule that names a tier, a warm conversation, a budget or a named model keep their tier whatever the boundaries say.
_MOVABLE = {Reason.POLICY: POLICY, Reason.PIN: POLICY, Reason.EXPLORE: EXPLORED}
_CACHED = (Strategy.CACHE_EXACT, Strategy.CACHE_SEMANTIC)
_FALLBACKS = (Kind.ESCALATION, Kind.FAILOVER)
# What a request costs whichever tier it is given: judging its complexity, shortening it, experiments beside it.
_TIER_FREE = (Kind.CLASSIFIER, Kind.EMBEDDING, Kind.JUDGE, Kind.COMPRESS, Kind.SHADOW, Kind.TRIAL)


@dataclass(frozen=True)
class Tally:
    """Sums over the requests a boundary can move; every array is (group, feature, assigned tier, score).

    Groups are ``POLICY`` (the boundaries, or a pin, chose the tier) and ``EXPLORED`` (chance did). ``served`` counts
    those that called a model (no cache hit); token moments are per request over its calls to answer, in tokens;
    ``cost`` and ``escalation_cost`` in nano-dollars, the first without the second; ``quality`` sums labels in 0..1;
    ``fallbacks`` counts requests that another model than the first one asked had to answer.
    """

    decisions: Ints
    served: Ints
    fallbacks: Ints
    labelled: Ints
    quality: Floats
    quality_squares: Floats
    inverse_propensity: Floats
    cost: Ints
    escalation_cost: Ints
    input: Floats
    output: Floats
    input_squares: Floats
    output_squares: Floats


@dataclass(frozen=True)
class Cube:
    """One window of a log, summed. Build it with ``Cube.from_evidence``; it does not depend on the size of the log.

    ``config`` is the live configuration, whose tiers it speaks of, and ``prices`` the book its price rows stand in.
    ``total_cost`` is the exact sum of list costs in nano-dollars, of all calls of all requests; ``decisions``,
    ``labelled``, ``quality`` and ``fallbacks`` count all requests by feature (shape F), movable or not, and
    ``decisions_by_tier`` (K,) by the tier assigned. ``notes`` are sentences on what could not be used.
    """

    config: RoutingConfig
    prices: PriceBook
    features: tuple[str, ...]
    tiers: tuple[str, ...]
    scorer: str
    since: date | None
    until: date | None
    days: int
    tally: Tally
    calls: Calls
    total_cost: int
    cost_by_feature: Ints
    decisions_by_feature: Ints
    labelled_by_feature: Ints
    quality_by_feature: Floats
    fallbacks_by_feature: Ints
    decisions_by_tier: Ints
    notes: tuple[str, ...]

    @property
    def decisions(self) -> int:
        """Requests in the window, movable or not."""
        return int(self.decisions_by_feature.sum())

    @property
    def labelled(self) -> int:
        """Labelled requests in the window, movable or not."""
        return int(self.labelled_by_feature.sum())

    @classmethod
    def from_evidence(cls, evidence: Evidence, config: RoutingConfig, prices: PriceBook) -> Cube:
        """Sum evidence cells under the tiers of ``config``; ``prices`` names the price rows the cells refer to.

        Raises ``NoSupportError`` where the window holds no request.
        """
        if int(np.sum(evidence.decisions)) == 0:
            raise NoSupportError("there is no traffic in this window; choose a longer one, or another")
        notes: list[str] = []
        chosen = _scorer(evidence, config, notes)
        features, tiers = tuple(evidence.features), config.tier_names
        shape = (2, len(features), len(tiers), SCORES)

        place = np.array([tiers.index(name) if name in tiers else -1 for name in evidence.tiers] or [-1])
        tier = place[evidence.tier]
        group = np.array([_MOVABLE.get(Reason(code), -1) for code in range(len(Reason))])[evidence.reason]
        scored = (evidence.score >= 0) & (evidence.score < SCORES)
        movable = (group >= 0) & scored & (tier >= 0) & (evidence.scorer == chosen)
        _say_unknown_tiers(evidence, tier, notes)

        at = np.ravel_multi_index(
            (group[movable], evidence.feature[movable], tier[movable], evidence.score[movable]), shape
        )

        def total(values: npt.NDArray[np.generic], keep: Bools | None = None) -> Ints:
            return _sums(values[movable], at, shape, None if keep is None else keep[movable])

        cached = np.isin(evidence.strategy, _CACHED)
        escalation = evidence.kind == Kind.ESCALATION
        answering = ~np.isin(evidence.kind, _TIER_FREE) & ~escalation
        every = np.asarray(evidence.feature)
        by_feature = (len(features),)
        tally = Tally(
            decisions=total(evidence.decisions),
            served=total(evidence.decisions, ~cached),
            fallbacks=total(evidence.decisions, np.isin(evidence.kind, _FALLBACKS)),
            labelled=total(evidence.labelled),
            quality=total(evidence.quality_ppm_sum) / 1e6,
            quality_squares=total(evidence.quality_ppm_squares) / 1e6,
            inverse_propensity=total(evidence.inverse_propensity_ppm) / 1e6,
            cost=total(evidence.list_cost_nusd, answering),
            escalation_cost=total(evidence.list_cost_nusd, escalation),
            input=total(evidence.input_tokens, answering).astype(float),
            output=total(evidence.output_tokens, answering).astype(float),
            input_squares=total(evidence.input_squares, answering).astype(float),
            output_squares=total(evidence.output_squares, answering).astype(float),
        )
        where = np.full(len(every), -1, dtype=np.int64)
        where[movable] = at
        calls = Calls.from_evidence(evidence, where, answering, escalation, prices)
        return cls(
            config=config,
            prices=prices,
            features=features,
            tiers=tiers,
            scorer=evidence.scorers[chosen] if evidence.scorers else "",
            since=evidence.since,
            until=evidence.until,
            days=evidence.days,
            tally=tally,
            calls=calls,
            total_cost=int(np.sum(evidence.list_cost_nusd)),
            cost_by_feature=_sums(evidence.list_cost_nusd, every, by_feature),
            decisions_by_feature=_sums(evidence.decisions, every, by_feature),
            labelled_by_feature=_sums(evidence.labelled, every, by_feature),
            quality_by_feature=_sums(evidence.quality_ppm_sum, every, by_feature) / 1e6,
            fallbacks_by_feature=_sums(evidence.decisions, every, by_feature, np.isin(evidence.kind, _FALLBACKS)),
            decisions_by_tier=_sums(evidence.decisions[tier >= 0], tier[tier >= 0], (len(tiers),)),
            notes=tuple(notes),
        )


def _sums(values: npt.ArrayLike, at: Ints, shape: Sequence[int], keep: Bools | None = None) -> Ints:
    """Add integers up at flat places; exact, which a weighted bincount is not."""
    sums = np.zeros(int(np.prod(shape)), dtype=np.int64)
    numbers = np.asarray(values, dtype=np.int64)
    if keep is not None:
        numbers = np.where(keep, numbers, 0)
    np.add.at(sums, at, numbers)
    return sums.reshape(shape)


def _scorer(evidence: Evidence, config: RoutingConfig, notes: list[str]) -> int:
    """Choose the one scorer version whose scores are used: that of the configuration, else the newest in the window."""
    present = [int(index) for index in np.unique(evidence.scorer[evidence.score >= 0])]
    if not present:
        return -1
    names = list(evidence.scorers)
    wanted = config.classifier.scorer
    chosen = names.index(wanted) if wanted in names and names.index(wanted) in present else present[-1]
    others = [index for index in present if index != chosen]
    if others:
        left = int(evidence.decisions[np.isin(evidence.scorer, others)].sum())
        notes.append(
            f"The window holds scores of {len(present)} scorer versions, which are never mixed: "
            f"{names[chosen] or 'the unnamed one'!r} is used, and {left:,} requests scored by others stay as logged."
        )
    return chosen


def _say_unknown_tiers(evidence: Evidence, tier: Ints, notes: list[str]) -> None:
    unknown = sorted({evidence.tiers[index] for index in np.unique(evidence.tier[tier < 0])})
    left = int(evidence.decisions[tier < 0].sum())
    if unknown and left:
        named = ", ".join(repr(name) for name in unknown)
        notes.append(f"{left:,} requests went to tiers the configuration no longer has ({named}); they stay as logged.")
