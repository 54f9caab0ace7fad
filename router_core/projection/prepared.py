"""A log prepared: every model fitted to it and to its resamples, as what giving each cell to each tier would change."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from router_core.config import RoutingConfig
from router_core.prices import PriceBook
from router_core.projection import quality
from router_core.projection.bootstrap import Draws, as_logged, resample
from router_core.projection.cube import Cube
from router_core.projection.curves import fit_curves
from router_core.projection.pricing import ESCALATION
from router_core.projection.support import supported
from router_core.projection.tables import Reassignment
from router_core.projection.target import Target
from router_core.projection.tokens import effective_rates, levels, primary_prices, unit_of

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Family:
    """What one family of curves makes of the log (``point``, double) and of its resamples (``draws``, single)."""

    point: Reassignment
    draws: Reassignment


@dataclass(frozen=True)
class Prepared:
    """Changes by family, and counts that need none.

    ``floor`` is quality where requests without support are worth nothing on their new tier. ``moved``, ``unsupported``
    and ``onto`` (one a tier) count requests. ``logged_quality`` (families, F) sums quality over movable requests.
    ``priced`` says of which tiers the cost is known.
    """

    live: Target
    quality: list[Family]
    floor: list[Reassignment]
    cost: list[Family]
    moved: Reassignment
    unsupported: Reassignment
    onto: list[Reassignment]
    logged_quality: Floats
    labels: Ints
    priced: npt.NDArray[np.bool_]
    notes: tuple[str, ...]


def prepare(cube: Cube, config: RoutingConfig, prices: PriceBook, replicates: int, seed: int) -> Prepared:
    """Fit every model to the log and to ``replicates`` resamples of it."""
    random = np.random.default_rng(seed)
    live = Target.of(config, cube.features, cube.tiers)
    tier = live.tier_of()
    log, draws = as_logged(cube.tally), resample(cube.tally, replicates, random)
    backed = supported(cube)
    notes = list(cube.notes)
    families, floor, logged = _quality(cube, log, draws, tier, backed, random, notes)
    cost, priced = _cost(cube, config, prices, log, draws, tier, random, notes)
    count = log.decisions
    weights = [np.ones(backed.shape), (~backed).astype(float), *_columns(backed.shape)]
    nothing = np.zeros_like(count)
    counts = [
        Reassignment.of(count, np.broadcast_to(weight, (1, *count.shape[2:])), nothing, tier) for weight in weights
    ]
    return Prepared(
        live=live,
        quality=families,
        floor=floor,
        cost=cost,
        moved=counts[0],
        unsupported=counts[1],
        onto=counts[2:],
        logged_quality=logged,
        labels=cube.tally.labelled.sum(axis=(0, 1, 3)),
        priced=priced,
        notes=tuple(notes),
    )


def _columns(shape: tuple[int, ...]) -> Iterator[npt.NDArray[np.float64]]:
    for tier in range(shape[0]):
        column = np.zeros(shape)
        column[tier] = 1
        yield column


def _joined(log: Draws, draws: Draws, name: str) -> Floats:
    """Sum a quantity over groups, the log first and its resamples after it, (R + 1, F, K, 101)."""
    return np.concatenate([getattr(side, name).sum(axis=1) for side in (log, draws)]).astype(float)


def _quality(
    cube: Cube,
    log: Draws,
    draws: Draws,
    live: Ints,
    backed: npt.NDArray[np.bool_],
    random: np.random.Generator,
    notes: list[str],
) -> tuple[list[Family], list[Reassignment], Floats]:
    if not cube.tally.labelled.any():
        notes.append("None of the requests a boundary can move is labelled, so nothing can be said of quality.")
        return [], [], np.zeros((0, len(cube.features)))
    families, floor, logged = [], [], []
    steady = _steadied(draws.decisions, cube.tally.decisions, cube.decisions)
    curves = fit_curves(_joined(log, draws, "labelled"), _joined(log, draws, "quality"), "logit", random)
    for _, curve in curves:
        moves = []
        for side, level in ((log, curve[:1]), (draws, curve[1:].astype(np.float32))):
            now = quality.logged(side.decisions, side.labelled, side.quality, level)
            moves.append(Reassignment.of(side.decisions, level, now, live))
            if side is log:
                logged.append(now[0].sum(axis=(0, 2, 3)))
            else:
                moves[-1] = moves[-1].scaled(steady)
                floor.append(Reassignment.of(side.decisions, level * backed, now, live).scaled(steady))
        families.append(Family(*moves))
    return families, floor, np.array(logged)


def _cost(
    cube: Cube,
    config: RoutingConfig,
    prices: PriceBook,
    log: Draws,
    draws: Draws,
    live: Ints,
    random: np.random.Generator,
    notes: list[str],
) -> tuple[list[Family], npt.NDArray[np.bool_]]:
    tally = cube.tally
    rates = effective_rates(cube, cube.calls.rates(), primary_prices(cube, config, prices))
    priced = np.asarray(~np.isnan(rates).any(axis=(0, 2)), dtype=np.bool_)
    if not priced.all():
        named = ", ".join(name for name, known in zip(cube.tiers, priced, strict=True) if not known)
        notes.append(f"No price is known for the models of {named}, so the cost of moving traffic there is unknown.")
    rates = np.nan_to_num(rates)
    if not tally.served.any():
        return [], priced
    served = _joined(log, draws, "served")
    units = (
        unit_of(tally.served, tally.input, tally.input_squares),
        unit_of(tally.served, tally.output, tally.output_squares),
    )
    curves = [
        levels(served, _joined(log, draws, name), unit, random)
        for name, unit in zip(("input", "output"), units, strict=True)
    ]
    escalated = [_in_step(tally.escalation_cost, tally.served, side.served) for side in (log, draws)]
    if tally.escalation_cost.any():
        sums = np.concatenate([side.sum(axis=1) for side in escalated]).astype(float)
        curves.append(levels(served, sums, cube.calls.mean_cost(ESCALATION), random))
    answered = _answering_costs(cube, log, draws, rates)
    families = []
    spent = [answered[index] + escalated[index] for index in (0, 1)]
    steady = _steadied(spent[1], spent[0], cube.total_cost)
    for fitted in zip(*curves, strict=True):
        moves = []
        for index, side in enumerate((log, draws)):
            dtype = side.served.dtype
            parts = []
            for place, both in enumerate(fitted):
                level = (both[1:] if index else both[:1]).astype(dtype)
                if place < 2:
                    mass = (side.input, side.output)[place] / level[:, None]
                    level = level * rates[None, :, :, None, place].astype(dtype)
                    now = answered[index] if place == 0 else np.zeros_like(mass)
                else:
                    mass, now = side.served, escalated[index]
                parts.append(Reassignment.of(mass, level, now, live))
            whole = sum(parts[1:], start=parts[0])
            moves.append(whole.scaled(steady) if index else whole)
        families.append(Family(*moves))
    return families, priced


def _steadied(drawn: Floats, logged: npt.NDArray[Any], total: int) -> Floats:
    """Return what brings each replicate's total, of which only the movable part was drawn, to the log's own, (R,).

    What is asked is the change on this traffic, so how much traffic another window might bring is no part of the doubt.
    """
    moving = drawn.sum(axis=(1, 2, 3, 4), dtype=float)
    ratio: Floats = (total / np.maximum(total - float(logged.sum()) + moving, 1)).astype(np.float32)
    return ratio


def _in_step(total: Ints, count: Ints, drawn: Floats) -> Floats:
    """Scale a cell's sum with its resampled requests."""
    return drawn * np.divide(total, count, out=np.zeros(total.shape), where=count > 0).astype(drawn.dtype)


def _answering_costs(cube: Cube, log: Draws, draws: Draws, rates: Floats) -> tuple[Floats, Floats]:
    """Return what each cell's calls to answer cost: exactly in the log, in proportion to tokens in its resamples."""

    def worth(side: Draws) -> Floats:
        of_input, of_output = (rates[:, :, None, place].astype(side.input.dtype) for place in (0, 1))
        value: Floats = side.input * of_input + side.output * of_output
        return value

    exact = cube.tally.cost[None].astype(float)
    modelled = worth(log)
    ratio = np.divide(exact, modelled, out=np.ones_like(modelled), where=modelled > 0)
    return exact, worth(draws) * ratio.astype(np.float32)
