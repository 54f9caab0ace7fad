"""Replay: prompts routed and served from recorded outcomes, kept in groups, and what came of it by tier."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from random import Random
from typing import Any

from router_core.complexity.scorer import Scorer
from router_core.config import RoutingConfig, build_config
from router_core.decision import Reason, RoutingDecision, Status, new_decision_id
from router_core.errors import InputError, ProviderError
from router_core.prices import PriceBook, cost_nusd
from router_core.serving.providers import Outcomes, Recorded
from router_core.serving.requests import request_of
from router_core.serving.router import Router
from router_core.usage import Usage

_GROUP = 2_000  # decisions kept in one transaction
_SCALED = 20_000  # requests looked at for a scale
_FEWEST = 100
_PLACES = 4096  # the twelve bits of an id between its time and its variant
_NAMES: Mapping[int, Sequence[str]] = {
    1: ("SIMPLE",),
    2: ("SIMPLE", "COMPLEX"),
    3: ("SIMPLE", "MEDIUM", "COMPLEX"),
    4: ("SIMPLE", "MEDIUM", "COMPLEX", "REASONING"),
}
# Whose price list is looked at, in this order, for a model that was recorded.
_SELLERS = ("recorded", "openai", "anthropic", "google", "mistral", "deepseek", "x-ai", "together", "openrouter")


@dataclass(slots=True)
class TierTally:
    """What one tier was given: decisions, those no model answered, those sent there to explore, cost, quality.

    ``cost_nusd`` sums the decisions whose cost is known; ``unpriced`` counts the answered ones where it is not.
    """

    decisions: int = 0
    failed: int = 0
    explored: int = 0
    unpriced: int = 0
    cost_nusd: int = 0
    labelled: int = 0
    quality_sum: float = 0.0

    def add(self, decision: RoutingDecision) -> None:
        """Count a decision."""
        self.decisions += 1
        self.failed += decision.status != Status.OK
        self.explored += decision.reason == Reason.EXPLORE
        cost = decision.cost_nusd
        if cost is None or (decision.status == Status.OK and decision.attempts[-1].usage is None):
            self.unpriced += 1
        else:
            self.cost_nusd += cost
        if decision.quality is not None:
            self.labelled += 1
            self.quality_sum += decision.quality

    @property
    def quality(self) -> float | None:
        """Mean quality of the labelled decisions, None where none is."""
        return self.quality_sum / self.labelled if self.labelled else None


@dataclass(slots=True)
class Replay:
    """Takes a router's decisions, counts them by assigned tier, and hands them on in groups to ``keep``."""

    keep: Callable[[Sequence[RoutingDecision]], object]
    tiers: dict[str, TierTally] = field(default_factory=dict)
    rejected: list[InputError] = field(default_factory=list)
    _waiting: list[RoutingDecision] = field(default_factory=list)

    async def record(self, decision: RoutingDecision) -> None:
        """Take one decision; this is what a router records with."""
        tally = self.tiers.get(decision.tier)
        if tally is None:
            tally = self.tiers[decision.tier] = TierTally()
        tally.add(decision)
        self._waiting.append(decision)
        if len(self._waiting) >= _GROUP:
            self.flush()

    def flush(self) -> None:
        """Hand on what is still waiting."""
        if self._waiting:
            waiting, self._waiting = self._waiting, []
            self.keep(waiting)

    async def run(
        self,
        router: Router,
        requests: Iterable[Mapping[str, Any] | InputError],
        step: Callable[[], None] = lambda: None,
    ) -> None:
        """Serve chat requests one after another, calling ``step`` after each; rows that are none are collected."""
        for request in requests:
            if isinstance(request, InputError):
                self.rejected.append(request)
            else:
                with suppress(ProviderError):  # recorded, and counted, as failed
                    await router.complete(request)
            step()
        self.flush()


def ordered_ids(rng: Random) -> Callable[[int], bytes]:
    """Return a maker of decision ids that sort in the order they were made, within a millisecond too."""
    last, place = 0, 0

    def new_id(at_ms: int) -> bytes:
        nonlocal last, place
        last, place = (last, place + 1) if at_ms <= last and place < _PLACES - 1 else (max(at_ms, last + 1), 0)
        return new_decision_id(last, place.to_bytes(2, "big") + rng.randbytes(8))

    return new_id


def scale_of(requests: Iterable[Mapping[str, Any] | InputError]) -> Scorer | None:
    """Return the shipped reference on the percentile scale of these requests, so that boundaries are shares of them.

    The first 20,000 are looked at; with fewer than 100 there is no scale, and None is returned.
    """
    texts = [request_of(body).text for body in islice(requests, _SCALED) if not isinstance(body, InputError)]
    return Scorer.reference().rescaled(texts) if len(texts) >= _FEWEST else None


def config_for(outcomes: Outcomes, prices: PriceBook, *, at_ms: int, scorer: str | None = None) -> RoutingConfig:
    """Return a configuration for recorded models: a tier for each, cheapest first, boundaries at equal shares.

    Models are ordered by what their recorded answers cost on average, or where that is unknown by mean quality.
    ``scorer`` is the version of the scorer whose scale the boundaries are on.
    """
    by_model = outcomes.by_model()
    sellers = {model: _seller(model, prices, at_ms) for model in by_model}
    costs = {model: _mean_cost(recorded, sellers[model], model, prices, at_ms) for model, recorded in by_model.items()}
    if None in costs.values():
        ranks = {model: _mean_quality(recorded) for model, recorded in by_model.items()}
    else:
        ranks = {model: float(cost or 0) for model, cost in costs.items()}
    models = sorted(by_model, key=lambda model: ranks[model])
    count = len(models)
    names = _NAMES.get(count) or tuple(f"TIER_{place}" for place in range(1, count + 1))
    return build_config(
        {
            "tiers": [
                {"name": name, "models": [model], "score_min": round(100 * place / count)}
                for place, (name, model) in enumerate(zip(names, models, strict=True))
            ],
            "models": {model: {"provider": sellers[model]} for model in models},
            "providers": {name: {"base_url": "recorded:"} for name in dict.fromkeys(sellers.values())},
            "classifier": {"scorer": scorer},
            "baseline_model": models[-1],
        }
    )


def _seller(model: str, prices: PriceBook, at_ms: int) -> str:
    return next((name for name in _SELLERS if prices.find(name, model, at_ms) is not None), _SELLERS[0])


def _mean_cost(
    recorded: Sequence[Recorded], provider_name: str, model: str, prices: PriceBook, at_ms: int
) -> float | None:
    usages = [one.usage for one in recorded if one.usage is not None]
    if not usages:
        return None
    total = Usage(sum(one.input_tokens for one in usages), sum(one.output_tokens for one in usages))
    price = prices.find(provider_name, model, at_ms, total.input_tokens // len(usages))
    cost = cost_nusd(price, total) if price is not None else None
    return None if cost is None else cost / len(usages)


def _mean_quality(recorded: Sequence[Recorded]) -> float:
    grades = [one.quality for one in recorded if one.quality is not None]
    return sum(grades) / len(grades) if grades else 0.0
