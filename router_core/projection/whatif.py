"""What a scenario comes to: the log's traffic re-weighted and re-priced, projected, and set against today."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from router_core.config import RoutingConfig, set_values, suggest
from router_core.decision import Kind
from router_core.errors import InputError
from router_core.projection.estimate import Preview
from router_core.projection.pricing import ESCALATION, FIXED
from router_core.projection.ranges import IN_DOUBT, SHORTENED, left_out
from router_core.projection.repriced import SUMMARY, Repricing, Rows
from router_core.projection.result import Estimate, FeatureEstimate, Interval, Money, Projection, Range, Share, Support
from router_core.projection.reweighted import Repetition, Traffic
from router_core.projection.scenario import EVERY, Scenario
from router_core.projection.support import colour
from router_core.projection.target import SCORES, Target
from router_core.projection.verdict import Change, Ground, estimate, nothing_moves

Floats = npt.NDArray[np.float64]

_CLASSIFYING = (Kind.CLASSIFIER, Kind.EMBEDDING)

VERBOSITIES = (0.5, 3.0)
"""How many output tokens a model may take for one of another's, where nobody knows: what was measured."""


@dataclass(frozen=True)
class WhatIf:
    """One scenario: what it assumes, sentence by sentence, and its projection, set against the log as it is."""

    scenario: Scenario
    assumptions: tuple[str, ...]
    projection: Projection

    def as_json(self) -> dict[str, Any]:
        """Return the scenario, its assumptions and its figures as plain data."""
        return {
            "name": self.scenario.name,
            "note": self.scenario.note,
            "scenario": self.scenario.model_dump(mode="json", exclude_defaults=True),
            "assumptions": list(self.assumptions),
            **self.projection.as_json(),
        }


def what_if(preview: Preview, scenario: Scenario, repeats: Mapping[str, Repetition] | None = None) -> WhatIf:
    """Project a scenario on a prepared log; ``repeats`` by feature are needed where it changes the cache.

    The figures are set against the log as it was: what it cost, how good it was. Raises ``ConfigError`` and
    ``InputError`` where the scenario does not fit the log.
    """
    target = set_values(preview.config, scenario.settings)
    _check_names(preview, scenario)
    swaps = [name for name in scenario.swaps if not _takes_over(preview.config, scenario, name)]
    unknown = scenario.model_copy(update={"swaps": {name: scenario.swaps[name] for name in swaps}})
    prices = Repricing(preview.cube, preview.config, preview.prices, unknown)
    traffic = Traffic.of(preview, scenario, repeats or {})
    run = _Run(preview, scenario, _target(preview, target, scenario), traffic, prices)
    unsaid, beside = left_out(preview, target)
    notes = [*preview.notes, *unsaid]
    said = [_say_window(preview), *_say_target(preview, scenario), *prices.said, *traffic.said]
    said += [*run.say_batch(), *run.say_compressed(), *run.say_calls()]
    answered = sum(preview.cube.tally.decisions[:, :, preview.cube.tiers.index(name)].sum() for name in swaps)
    projection = run.project(
        notes,
        beside,
        silent=[scenario.swaps[name].model for name in swaps] if answered else [],
        open_ended=_open(unknown),
    )
    return WhatIf(scenario, tuple(said), projection)


def _open(scenario: Scenario) -> bool:
    return any(swap.verbosity is None for swap in scenario.swaps.values())


class _Run:
    """One scenario on one log, its parts worked out feature by feature and added up by weight."""

    def __init__(
        self, preview: Preview, scenario: Scenario, target: Target, traffic: Traffic, prices: Repricing
    ) -> None:
        self.preview, self.target, self.traffic, self.prices = preview, target, traffic, prices
        features = preview.cube.features
        self.batch = [float(scenario.of(name, scenario.batch, 0.0)) for name in features]
        self.kept = [float(scenario.of(name, scenario.compress, 1.0)) for name in features]
        self.escalated = float(scenario.calls.get("escalation", 1.0))
        self.classified = float(scenario.calls.get("classifier", 1.0))

    def project(
        self, notes: list[str], beside: tuple[Range, ...], silent: Sequence[str], *, open_ended: bool
    ) -> Projection:
        cube = self.preview.cube
        every = range(len(cube.features))
        decisions = float(self.traffic.requests @ cube.decisions_by_feature)
        if decisions <= 0:
            raise InputError("this scenario leaves no traffic at all, so there is nothing to project")
        found, change = self._estimated(every, notes, open_ended)
        quality = found.quality
        if silent:
            notes.append(
                f"The log holds no answer of {', '.join(silent)} to these requests, so nothing is said of quality; a "
                "trial would."
            )
            quality = Interval(quality.logged, None, None, None, None)
        share = change.unsupported / cube.decisions
        return replace(
            self.preview.project(self.target),
            cost=found.cost,
            saving=found.saving,
            quality=quality,
            decisions=round(decisions),
            support=Support(share, change.moved / cube.decisions, colour(share)),
            notes=tuple(dict.fromkeys(notes)),
            ranges=beside,
            _controls=dict,
            _by_feature=lambda: [self._of_feature(index, silent, open_ended) for index in every if self._asked(index)],
        )

    def say_batch(self) -> list[str]:
        features = self.preview.cube.features
        asked = [index for index in range(len(features)) if self._asked(index)]
        said = []
        for share in dict.fromkeys(self.batch[index] for index in asked):
            if share:
                names = [features[index] for index in asked if self.batch[index] == share]
                which = "all features" if len(names) == len(asked) > 1 else ", ".join(names)
                said.append(f"{share:.0%} of the calls for {which} go by batch, at batch prices, and may wait a day.")
        missing = self.prices.without_batch() if said else []
        if missing:
            said.append(f"No batch price is known of {', '.join(missing)}; their calls cost what they do now.")
        return said

    def say_compressed(self) -> list[str]:
        names = self.preview.cube.features
        asked = [index for index in range(len(names)) if self._asked(index) and self.kept[index] < 1]
        said = [f"{self.kept[index]:.0%} of what is sent for {names[index]} is left." for index in asked]
        if said:
            model, _ = self.prices.summarising()
            said.append(f"{model} reads what is left out and writes {SUMMARY:.0%} of it as a summary; {SHORTENED}")
        return said

    def say_calls(self) -> list[str]:
        said = []
        if self.classified != 1:
            said.append(
                f"{self.classified:.0%} of today's calls to judge complexity are made; scores are taken to stay what "
                "they are, which another classifier's would not quite."
            )
        if self.escalated != 1:
            said.append(f"Drafts are turned down {self.escalated:.0%} as often as today, on every tier; {IN_DOUBT}")
        return said

    def _asked(self, index: int) -> bool:
        return bool(self.preview.cube.decisions_by_feature[index])

    def _of_feature(self, index: int, silent: Sequence[str], open_ended: bool) -> FeatureEstimate:
        cube = self.preview.cube
        found, change = self._estimated([index], [], open_ended)
        count = cube.tally.decisions.sum(axis=(0, 2))[index]
        tier = self.target.tier_of()[index]
        shares = np.bincount(tier, count, minlength=len(cube.tiers)) / max(int(count.sum()), 1)
        quality = Interval(found.quality.logged, None, None, None, None) if silent else found.quality
        return FeatureEstimate(
            found.cost,
            found.saving,
            quality,
            cube.features[index],
            round(float(self.traffic.requests[index] * cube.decisions_by_feature[index])),
            round(change.moved * float(self.traffic.requests[index])),
            dict(zip(cube.tiers, shares.tolist(), strict=True)),
        )

    def _estimated(self, features: Sequence[int], notes: list[str], open_ended: bool) -> tuple[Estimate, Change]:
        """Estimate some features together; an unknown verbosity widens the interval of cost to all it may be."""
        found, change = self._at(features, 1.0, notes)
        if open_ended:
            ends = [self._at(features, verbosity, [])[0].cost for verbosity in VERBOSITIES]
            cost = found.cost
            lows = [one.low for one in (cost, *ends) if one.low is not None]
            highs = [one.high for one in (cost, *ends) if one.high is not None]
            if lows and highs:
                cost = Money(cost.logged, cost.projected, cost.change, min(lows), max(highs))
            found = Estimate(cost, _share(cost), found.quality)
        return found, change

    def _at(self, features: Sequence[int], verbosity: float, notes: list[str]) -> tuple[Estimate, Change]:
        preview, cube = self.preview, self.preview.cube
        requests, calls = self.traffic.requests, self.traffic.calls
        changes, bill = [], 0.0
        for index in features:
            plain, kept = self.prices.rows(self.batch[index], verbosity), self.kept[index]
            rows = plain if kept == 1 else self.prices.rows(self.batch[index], verbosity, kept)
            fixed, answering = self._bill(index, plain, rows)
            bill += requests[index] * (fixed + calls[index] * answering)
            changes.append(preview.change(self.target, index, rows))
        here = list(features)
        today = int(cube.cost_by_feature[here].sum())
        # Requests are counted in today's number, so that quality is a mean over a whole one.
        was, comes = int(cube.decisions_by_feature[here].sum()), float(requests[here] @ cube.decisions_by_feature[here])
        count = requests[here] * (was / comes if comes else 0.0)
        change = _added(changes, count, requests[here] * calls[here], round(bill) - today, len(cube.tiers))
        good = preview.quality_by_feature[here]
        ground = Ground(today, was, float(count @ good) if cube.labelled else None)
        found = estimate(change, ground, cube.tiers, preview.labels_by_tier, preview.tariff.priced, notes)
        logged = float(good.sum() / was) if cube.labelled and was else None
        quality = self._in_doubt(_against(found.quality, logged), here)
        return Estimate(found.cost, found.saving, quality), change

    def _bill(self, index: int, plain: Rows, rows: Rows) -> tuple[float, float]:
        """Return what a feature's calls cost: whichever tier they go to, at ``plain`` prices, and to answer on a tier,
        with what shortening their input costs."""
        calls = self.preview.cube.calls
        own = calls.feature == index
        fixed = own & (calls.part == FIXED)
        free = (calls.cost + (calls.repriced(plain) if plain else 0)).astype(float)
        free[np.isin(calls.kind, _CLASSIFYING)] *= self.classified
        cost = (calls.cost + (calls.repriced(rows) if rows else 0)).astype(float)
        cost[calls.part == ESCALATION] *= self.escalated
        answering = float(cost[own & ~fixed].sum())
        if self.kept[index] < 1:
            often = np.where(calls.part == ESCALATION, self.escalated, 1.0)
            sent = float((calls.tokens[:, [0, 2, 3]].sum(axis=1) * often)[own & ~fixed].sum())
            answering += (1 - self.kept[index]) * sent * self.prices.summarising()[1]
        return float(free[fixed].sum()), answering

    def _in_doubt(self, quality: Interval, features: Sequence[int]) -> Interval:
        """Widen quality by all the answers that another threshold of the cascade would change, good or bad."""
        if self.escalated == 1 or quality.low is None or quality.high is None:
            return quality
        calls, cube = self.preview.cube.calls, self.preview.cube
        own = (calls.part == ESCALATION) & np.isin(calls.feature, features)
        requests = self.traffic.requests
        share = float((requests[calls.feature[own]] * calls.attempts[own]).sum()) / max(
            float(requests[list(features)] @ cube.decisions_by_feature[list(features)]), 1e-9
        )
        if not share:
            return quality
        concerned = abs(1 - self.escalated) * share
        down, up = (concerned, 0.0) if self.escalated < 1 else (0.0, concerned)
        return Interval(quality.logged, None, None, quality.low - down, quality.high + up)


def _added(changes: Sequence[Change], count: Floats, spent: Floats, repriced: int, tiers: int) -> Change:
    """Add features' changes up: requests and quality as often as ``count`` says, cost as often as ``spent``."""
    moving = [(one, often, paid) for one, often, paid in zip(changes, count, spent, strict=True) if not one.same]
    if not moving:
        return nothing_moves(tiers, repriced)

    def total(of: Callable[[Change], Any]) -> Any:
        return sum(np.asarray(of(one)) * often for one, often, _ in moving)

    def money(of: Callable[[Change], Any]) -> Any:
        return sum(np.asarray(of(one)) * paid for one, _, paid in moving)

    return Change(
        quality=total(lambda one: one.quality),
        quality_draws=total(lambda one: one.quality_draws),
        cost=money(lambda one: one.cost),
        cost_draws=money(lambda one: one.cost_draws),
        floor=lambda: total(lambda one: one.floor()),
        moved=float(total(lambda one: one.moved)),
        unsupported=float(total(lambda one: one.unsupported)),
        onto=total(lambda one: one.onto).tolist(),
        same=False,
        repriced=repriced,
    )


def _against(quality: Interval, logged: float | None) -> Interval:
    """Set quality under another mix of traffic against that of the log."""
    if logged is None or quality.logged is None:
        return Interval(logged, None, None, None, None)
    shift = quality.logged - logged
    low, high = (None if end is None else end + shift for end in (quality.low, quality.high))
    if quality.change is None:
        return Interval(logged, None, None, low, high)
    return Interval(logged, logged + quality.change + shift, quality.change + shift, low, high)


def _share(cost: Money) -> Share:
    if cost.change is None or cost.low is None or cost.high is None or not cost.logged:
        return Share(None, None, None)
    return Share(0.0 - cost.change / cost.logged, 0.0 - cost.high / cost.logged, 0.0 - cost.low / cost.logged)


def _check_names(preview: Preview, scenario: Scenario) -> None:
    features = preview.cube.features
    for values in (scenario.growth, scenario.cache_ttl, scenario.batch, scenario.compress):
        for name in values:
            if name != EVERY and name not in features:
                raise InputError(f"there is no traffic of a feature {name!r} in this window; {suggest(name, features)}")
    for tier in scenario.swaps:
        preview.config.tier(tier)


def _takes_over(config: RoutingConfig, scenario: Scenario, tier: str) -> int | None:
    """Return the neighbouring tier (by place) that the swapped model is already the first of, None where there is none.

    What that tier is known to do, this one then does.
    """
    place = config.tier_names.index(tier)
    for near in (place - 1, place + 1):
        if 0 <= near < len(config.tiers) and config.tiers[near].models[0] == scenario.swaps[tier].model:
            return near + 1  # so that the first tier is not taken for none
    return None


def _target(preview: Preview, config: RoutingConfig, scenario: Scenario) -> Target:
    """Read a configuration, with each tier given up whose model becomes that of a neighbour."""
    cube = preview.cube
    numbers = Target.of(config, cube.features, cube.tiers)
    starts = np.concatenate(
        [np.zeros((len(cube.features), 1), dtype=np.int64), numbers.starts, np.full((len(cube.features), 1), SCORES)],
        axis=1,
    )
    for tier in scenario.swaps:
        near = _takes_over(preview.config, scenario, tier)
        if near is not None:
            place = cube.tiers.index(tier)
            if near - 1 > place:
                starts[:, place + 1] = starts[:, place]
            else:
                starts[:, place] = starts[:, place + 1]
    return Target(starts[:, 1:-1], numbers.exploration)


def _say_window(preview: Preview) -> str:
    cube = preview.cube
    come = f"{cube.decisions:,} requests" if cube.decisions != 1 else "one request"
    return f"The {come} from {cube.since} to {cube.until} come{'' if cube.decisions != 1 else 's'} again."


def _say_target(preview: Preview, scenario: Scenario) -> list[str]:
    said = [f"The configuration has {', '.join(scenario.settings)}."] if scenario.settings else []
    for tier in scenario.swaps:
        near = _takes_over(preview.config, scenario, tier)
        if near is not None:
            other = preview.config.tiers[near - 1].name
            said.append(f"{scenario.swaps[tier].model} answers the requests of {tier} as it answers those of {other}.")
    return said
