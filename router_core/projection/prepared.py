"""A log prepared: every model fitted to it and to its resamples, ready to say what moving requests would change."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from router_core.config import RoutingConfig
from router_core.projection import quality
from router_core.projection.bootstrap import Draws, as_logged, resample
from router_core.projection.cube import POLICY, Cube
from router_core.projection.curves import INPUT, OUTPUT, QUALITY, fit_curves
from router_core.projection.pricing import ESCALATION
from router_core.projection.support import supported
from router_core.projection.tables import Reassignment
from router_core.projection.target import Target
from router_core.projection.tariff import Tariff
from router_core.projection.tokens import CARRIED_INPUT, CARRIED_OUTPUT, dispersion_of, levels, requests_worth

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.int64]


_FEWEST = 40  # replicates: their least and greatest are then the ends of a 95 % interval
_MOST_CURVES = 200 * 100  # replicates times features times tiers: some 500 MB


@dataclass(frozen=True)
class Side:
    """The log itself (R = 1, double) or its resamples (single): their sums, and what each family of curves expects of
    a request by feature, tier and score, (R, F, K, 101)."""

    sums: Draws
    quality: list[Floats]
    input: list[Floats]
    output: list[Floats]
    escalation: list[Floats]


@dataclass(frozen=True)
class Prepared:
    """Both sides of a log under its live configuration. ``live_tier`` (F, 101) is what the live boundaries choose,
    ``backed`` (K, 101) where a tier has support."""

    cube: Cube
    live: Target
    live_tier: Ints
    log: Side
    draws: Side
    backed: npt.NDArray[np.bool_]

    def quality(self, side: Side, *, floor: bool = False) -> Iterator[Reassignment]:
        """Yield by family the change in summed quality; ``floor``: with unsupported requests worth nothing."""
        sums, cube = side.sums, self.cube
        steady = _steadied(sums.decisions, cube.tally.decisions, cube.decisions)
        for expected in side.quality:
            now = quality.logged(sums.decisions, sums.labelled, sums.quality, expected)
            level = expected * self.backed if floor else expected
            yield Reassignment.of(sums.decisions, level, now, self.live_tier).scaled(steady)

    def cost(self, side: Side, tariff: Tariff) -> Iterator[Reassignment]:
        """Yield by family the change in cost, nano-dollars: tokens in proportion to the two tiers' at that score."""
        sums, dtype = side.sums, side.sums.served.dtype
        spent = self._spent(side, tariff)
        escalated = sums.served * _ratio(tariff.escalating, self.cube.tally.served).astype(dtype)
        total = self.cube.total_cost + int(tariff.change.sum())
        steady = _steadied(spent + escalated, tariff.answering + tariff.escalating, total)
        for family, of_input in enumerate(side.input):
            parts = []
            for place, (amount, level) in enumerate(((sums.input, of_input), (sums.output, side.output[family]))):
                rate = tariff.rates[..., place, None].astype(dtype)
                now = spent if place == 0 else np.zeros_like(spent)
                mass = requests_worth(sums.served, amount, level, (CARRIED_INPUT, CARRIED_OUTPUT)[place])
                parts.append(Reassignment.of(mass, level * rate, now, self.live_tier))
            if side.escalation:
                level = side.escalation[family] * tariff.stepped[:, None].astype(dtype)
                parts.append(Reassignment.of(sums.served, level, escalated, self.live_tier))
            yield sum(parts[1:], start=parts[0]).scaled(steady)

    def counts(self) -> Iterator[Reassignment]:
        """Yield requests moved, those of them without support, and those moved onto each tier.

        Moved is what the live configuration treats otherwise, whichever tier an earlier one had logged it on.
        """
        count = self.log.sums.decisions
        tiers, scores = self.backed.shape
        onto = np.repeat(np.eye(tiers)[:, :, None], scores, axis=2)
        elsewhere = np.arange(tiers)[:, None] != self.live_tier[:, None]
        for place, weight in enumerate((np.ones(self.backed.shape), (~self.backed).astype(float), *onto)):
            level = np.broadcast_to(weight, (1, *count.shape[2:]))
            moves = Reassignment.of(count, level, np.zeros_like(count), self.live_tier)
            every = count[:, POLICY].sum(axis=2, keepdims=True) * level
            yield Reassignment((moves.policy if place else every) * elsewhere, moves.explored, moves.swapped)

    def logged_quality(self) -> Floats:
        """Return quality summed over movable requests by feature, (F,): the median of what the families make of it."""
        sums = self.log.sums
        found = [
            quality.logged(sums.decisions, sums.labelled, sums.quality, expected)[0].sum(axis=(0, 2, 3))
            for expected in self.log.quality
        ]
        median: Floats = np.median(found, axis=0)
        return median

    def _spent(self, side: Side, tariff: Tariff) -> Floats:
        """Return what each cell's calls to answer cost: exact in the log, in proportion to tokens in resamples."""
        exact = tariff.answering[None].astype(float)
        if side is self.log:
            return exact

        def worth(sums: Draws) -> Floats:
            of_input, of_output = (tariff.rates[..., place, None].astype(sums.input.dtype) for place in (0, 1))
            value: Floats = sums.input * of_input + sums.output * of_output
            return value

        modelled = worth(self.log.sums)
        ratio = np.divide(exact, modelled, out=np.ones_like(modelled), where=modelled > 0)
        drawn: Floats = worth(side.sums) * ratio.astype(np.float32)
        return drawn


def prepare(cube: Cube, config: RoutingConfig, replicates: int, seed: int) -> Prepared:
    """Fit every model to the log and to ``replicates`` resamples of it; fewer, but 40, for very many features."""
    random = np.random.default_rng(seed)
    curves = len(cube.features) * len(cube.tiers)
    replicates = min(replicates, max(_FEWEST, _MOST_CURVES // max(curves, 1)))
    live = Target.of(config, cube.features, cube.tiers)
    tally = cube.tally
    sums = as_logged(tally), resample(tally, replicates, random)

    def joined(name: str) -> Floats:
        return np.concatenate([getattr(side, name).sum(axis=1) for side in sums]).astype(float)

    fitted: list[list[tuple[Floats, Floats]]] = [[], [], [], []]
    if tally.labelled.any():
        fitted[0] = _kept(fit_curves(QUALITY, joined("labelled"), joined("quality"), "logit", random))
    if tally.served.any():
        served = joined("served")
        spread = dispersion_of(tally.served, tally.input, tally.input_squares)
        fitted[1] = _kept(levels(INPUT, served, joined("input"), spread, random))
        spread = dispersion_of(tally.served, tally.output, tally.output_squares)
        fitted[2] = _kept(levels(OUTPUT, served, joined("output"), spread, random))
        if tally.escalation_cost.any():
            share = _ratio(tally.escalation_cost, tally.served)
            money = np.concatenate([(side.served * share).sum(axis=1) for side in sums])
            # Rare events of about one size vary as one over how often they happen.
            rarity = int(tally.served.sum()) / max(cube.calls.attempted(ESCALATION), 1)
            fitted[3] = _kept(levels(OUTPUT, served, money, np.full(len(cube.tiers), rarity), random))
    sides = [Side(side, *([level[part] for level in family] for family in fitted)) for part, side in enumerate(sums)]
    return Prepared(cube, live, live.tier_of(), sides[0], sides[1], supported(cube))


def _kept(levels: Iterator[Floats]) -> list[tuple[Floats, Floats]]:
    """Keep what is expected of the log in double precision and of its resamples in single."""
    return [(level[:1].copy(), level[1:].astype(np.float32)) for level in levels]


def _ratio(over: Ints, under: Ints) -> npt.NDArray[np.float64]:
    return np.divide(over, under, out=np.zeros(over.shape), where=under > 0)


def _steadied(drawn: Floats, logged: npt.NDArray[Any], total: int) -> Floats:
    """Return what brings each replicate's total, of which only the movable part was drawn, to the log's own, (R,).

    What is asked is the change on this traffic, so how much traffic another window might bring is no part of the doubt.
    """
    if len(drawn) == 1:
        return np.ones(1)
    moving = drawn.sum(axis=(1, 2, 3, 4), dtype=float)
    steady: Floats = (total / np.maximum(total - float(logged.sum()) + moving, 1)).astype(np.float32)
    return steady
