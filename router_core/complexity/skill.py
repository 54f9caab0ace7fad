"""Skill: how much of the strong model's advantage a score finds, with the interval that the prompts allow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_REPLICATES = 400
_CHUNK_CELLS = 4_000_000  # replicates x prompts held at once


@dataclass(frozen=True, slots=True)
class Skill:
    """APGR and its 95 % interval; None where the strong model has no advantage to find.

    APGR is the performance gap recovered, averaged over every share of calls, 0 to 1, that the strong model may get:
    0.5 for a router that chooses at random, and more for one that finds where the strong model helps.
    """

    apgr: float | None
    low: float | None
    high: float | None


def apgr(scores: Floats, gains: Floats) -> float:
    """Return the APGR of sending prompts to the strong model in falling order of ``scores``.

    ``gains`` is each prompt's quality from the strong model less that from the cheap one. The curve is integrated
    exactly (trapezoids between all cuts); prompts of equal score go up together. Raises ``ValueError`` where the
    gains do not add up to more than zero, since there is then no gap to recover.
    """
    if gains.sum() <= 0.0:
        raise ValueError("the strong model is not better on these prompts")
    return float(_apgr(_Ties(scores), gains, np.ones((1, len(gains))))[0])


@dataclass(frozen=True, slots=True)
class Comparison:
    """The skill of several scores on the same prompts, and which of them ``first`` beats beyond chance.

    ``beats`` says for each other score whether the first is better in at least 95 % of paired resamples.
    """

    prompts: int
    skills: Mapping[str, Skill]
    beats: Mapping[str, bool]


def compare(scores: Mapping[str, Floats], gains: Floats, *, seed: int = 0) -> Comparison:
    """Compare scores, the first against each other one and against ``random``, by a bootstrap of the prompts.

    The interval of ``random`` is where 95 % of random orders of these very prompts fall. Where resampling leaves it
    open whether the strong model is better at all, no skill can be stated and every figure is None.
    """
    rng = np.random.default_rng(seed)
    first, *others = scores
    names = [first, "random", *others]
    draws: dict[str, list[Floats]] = {name: [] for name in names}
    totals: list[Floats] = []
    ties = {name: _Ties(values) for name, values in scores.items()}
    ones = np.ones((1, len(gains)))
    chunk = max(1, _CHUNK_CELLS // max(1, len(gains)))
    for start in range(0, _REPLICATES, chunk):
        size = min(chunk, _REPLICATES - start)
        weights = rng.poisson(1.0, (size, len(gains))).astype(np.float64)
        totals.append(weights @ gains)
        for name in scores:
            draws[name].append(_apgr(ties[name], gains, weights))
        shuffled = np.stack([rng.permutation(len(gains)) for _ in range(size)])
        positions = 1.0 - (np.arange(len(gains)) + 0.5) / len(gains)
        draws["random"].append((gains[shuffled] @ positions) / gains.sum() if gains.sum() > 0 else np.zeros(size))
    if not len(gains) or np.quantile(np.concatenate(totals), 0.025) <= 0.0:
        return Comparison(len(gains), dict.fromkeys(names, Skill(None, None, None)), dict.fromkeys(names[1:], False))
    drawn = {name: np.concatenate(parts) for name, parts in draws.items()}
    skills = {}
    for name in names:
        value = 0.5 if name == "random" else float(_apgr(ties[name], gains, ones)[0])
        low, high = np.quantile(drawn[name], [0.025, 0.975]).tolist()
        skills[name] = Skill(value, low, high)
    beats = {
        name: bool(np.mean(drawn[first] > (0.5 if name == "random" else drawn[name])) >= 0.95) for name in names[1:]
    }
    return Comparison(len(gains), skills, beats)


class _Ties:
    """The falling order of scores, and where runs of equal ones begin."""

    def __init__(self, scores: Floats) -> None:
        self.order = np.argsort(-scores, kind="stable")
        falling = scores[self.order]
        self.starts = np.flatnonzero(np.append(True, falling[1:] != falling[:-1]))


def _apgr(ties: _Ties, gains: Floats, weights: Floats) -> Floats:
    """Return the APGR for each row of prompt weights (replicates x prompts)."""
    weighted = weights[:, ties.order]
    counts = np.add.reduceat(weighted, ties.starts, axis=1)
    found = np.add.reduceat(weighted * gains[ties.order], ties.starts, axis=1)
    middle = np.cumsum(counts, axis=1) - counts / 2.0
    total = found.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        result: Floats = (found * (1.0 - middle / weights.sum(axis=1, keepdims=True))).sum(axis=1) / total
    return result
