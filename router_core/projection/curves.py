"""Three families of curves that say how an outcome depends on the score, tier by tier, and their fit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from router_core.projection.pooled import Fit, Link, Prior, draw_centre, fit, log_evidence, own_variance

Floats = npt.NDArray[np.floating]

_SCORES = 101
_AT_ONCE = 16  # replicates fitted together: faster than all, in a fraction of the memory
_LOGISTIC = 3.0  # so that slopes mean about the same: scores 5 and 95 then lie at -1 and 1
_KNOTS = (-0.6, -0.2, 0.2, 0.6)  # scores 20, 40, 60 and 80, on a scale of -1..1


@dataclass(frozen=True)
class Family:
    """One way for outcomes to depend on the score, and for tiers to differ in it.

    Standard deviations are of the linear predictor: ``level`` is how far a tier's level departs from the shared one,
    ``slope`` how far its slope does over half the scale, ``bend`` how much all tiers' slopes change together at each
    knot, ``own_bend`` how much each tier's changes beyond that. Every one of ``scales`` multiplies the last three; what
    the log makes of each decides how many replicates it gets, so that the log itself says how crooked the curves are,
    and with what doubt. A score is a percentile; ``ranked`` slopes lead along what it ranks, whose ends lie far out.
    """

    name: str
    level: float
    slope: float
    bend: float = 0.0
    own_bend: float = 0.0
    scales: tuple[float, ...] = (1.0,)
    weights: tuple[float, ...] = (1.0,)
    drawn: bool = False
    scaled_level: bool = False
    ranked: bool = False


# Log odds of an outcome in 0..1: half a unit separates, say, 60 % from 72 %.
QUALITY = (
    Family("shared slope", 2.0, 0.02),
    Family("slope by tier", 2.0, 1.0),
    Family("bending", 2.0, 0.6, 0.8, 0.5, (0.25, 0.5, 1.0, 2.0, 4.0), (1.0, 2.0, 2.0, 1.0, 0.5), drawn=True),
)
# Logarithms of an amount: half a unit is a factor of 1.65. Models' verbosity differs, more in level than in slope.
OUTPUT = (
    Family("shared slope", 0.7, 0.02),
    Family("slope by tier", 0.7, 0.5, ranked=True),
    Family("bending", 0.7, 0.3, 0.4, 0.25, (0.25, 0.5, 1.0, 2.0, 4.0), (1.0, 2.0, 2.0, 1.0, 0.5), drawn=True),
)
# What is sent is the same text whichever tier gets it: tokenisers differ by a tenth or two, tool calls by more, but
# hardly with the score.
INPUT = (
    Family("same text", 0.04, 0.02),
    Family("slope by tier", 0.25, 0.15, ranked=True),
    Family(
        "bending",
        0.12,
        0.06,
        0.4,
        0.04,
        (0.5, 1.0, 2.0, 4.0, 8.0),
        (1.0, 2.0, 2.0, 1.0, 1.0),
        drawn=True,
        scaled_level=True,
    ),
)

_LEVEL, _SLOPE = 5.0, 3.0  # weak: what any log of a hundred requests overrules
_FEATURE_LEVEL, _FEATURE_TIER, _FEATURE_SLOPE = 0.7, 0.3, 0.4  # where features' departures start; then estimated


def basis_of(family: Family) -> Floats:
    """Return the functions of the score that a family's curves are made of, (101, B): level, slope, bends.

    Bends lead away from the middle, so that the slope in the middle is the one the priors speak of.
    """
    x = np.linspace(-1, 1, _SCORES)
    if family.ranked:
        share = (np.arange(_SCORES) + 0.5) / _SCORES
        x = np.log(share / (1 - share)) / _LOGISTIC
    columns = [np.ones(_SCORES), x]
    if family.bend:
        columns += [np.maximum(0, (x - knot) * np.sign(knot)) for knot in _KNOTS]
    return np.stack(columns, axis=1)


def _prior(family: Family, tiers: int, scale: float, own: Floats) -> Prior:
    width = 2 + len(_KNOTS) * bool(family.bend)
    common = np.empty((1 + tiers, width))
    common[0] = [_LEVEL, _SLOPE, *[family.bend * scale] * (width - 2)]
    common[1:] = [
        family.level * (scale if family.scaled_level else 1),
        family.slope * scale,
        *[family.own_bend * scale] * (width - 2),
    ]
    drawn = np.zeros(common.shape, dtype=np.bool_)
    if family.drawn:
        drawn[0, 2:] = drawn[1:] = True
    return Prior(common, own, drawn)


def fit_curves(
    families: tuple[Family, ...], counts: Floats, sums: Floats, link: Link, random: np.random.Generator
) -> Iterator[Floats]:
    """Fit every family and yield its expected outcome on the grid, (R, F, K, 101).

    ``counts`` and ``sums`` are (R, F, K, 101); row 0 is the log itself, the others its bootstrap replicates.
    """
    for family in families:
        yield expected_under(family, counts, sums, link, random)


def expected_under(family: Family, counts: Floats, sums: Floats, link: Link, random: np.random.Generator) -> Floats:
    """Fit one family and return its expected outcome on the grid, (R, F, K, 101); row 0 is the log itself."""
    _, features, tiers, _ = counts.shape
    basis = basis_of(family)
    own = np.zeros((1 + tiers, basis.shape[1]))
    if features > 1:
        own[0, :2], own[1:, 0] = (_FEATURE_LEVEL, _FEATURE_SLOPE), _FEATURE_TIER
    log = counts[:1], sums[:1]
    spread = _estimated_spread(basis, *log, _prior(family, tiers, 1.0, own), link)
    priors = [_prior(family, tiers, scale, spread) for scale in family.scales]
    points: list[Fit] = []
    for prior in priors:
        points.append(fit(basis, *log, prior, link, start=points[-1] if points else None))
    evidence = np.array(
        [log_evidence(basis, *log, prior, link, point) for prior, point in zip(priors, points, strict=True)]
    )
    weight = np.array(family.weights) * np.exp(evidence - evidence.max())
    weight /= weight.sum()
    outcome = np.empty(counts.shape)
    outcome[0] = sum(
        share * _inverse(link, point.predictor(basis)[0]) for share, point in zip(weight, points, strict=True)
    )
    ends = 1 + np.rint(np.cumsum(weight) * (len(counts) - 1)).astype(int)
    first = 1
    for prior, point, end in zip(priors, points, ends, strict=True):
        for begin in range(first, end, _AT_ONCE):
            part = slice(begin, min(begin + _AT_ONCE, end))
            centre = draw_centre(random, prior, features, part.stop - part.start)
            found = fit(basis, counts[part], sums[part], prior, link, centre=centre, start=point, steps=3)
            outcome[part] = _inverse(link, found.predictor(basis))
        first = max(first, int(end))
    return outcome


def _inverse(link: Link, predictor: Floats) -> Floats:
    bounded = np.clip(predictor, -20, 20)
    return 1 / (1 + np.exp(-bounded)) if link == "logit" else np.exp(bounded)


def _estimated_spread(basis: Floats, counts: Floats, sums: Floats, prior: Prior, link: Link) -> Floats:
    """Estimate how much features really differ: empirical Bayes, a few steps of EM from where the prior starts."""
    features, started = counts.shape[1], prior.own
    if features < 3:
        return started
    levels, slopes = np.s_[0, 0], np.s_[0, 1]
    used = 1 + np.flatnonzero(counts.sum(axis=(0, 1, 3)))  # a tier without traffic says nothing of how features differ
    weight = 4 / features  # the starting value counts as four features
    point = None
    for _ in range(4):
        point = fit(basis, counts, sums, prior, link, start=point)
        square = (point.own[0] ** 2 + own_variance(basis, counts, sums, prior, link, point)).mean(axis=0)
        own = started.copy()
        for group, heard in ((levels, levels), (slopes, slopes), (np.s_[1:, 0], (used, 0))):
            own[group] = np.sqrt((np.mean(square[heard]) + weight * np.mean(started[heard] ** 2)) / (1 + weight))
        prior = replace(prior, own=own)
    return prior.own
