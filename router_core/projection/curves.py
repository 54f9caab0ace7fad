"""Three families of curves that say how an outcome depends on the score, tier by tier, and their fit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from router_core.projection.pooled import Design, Fit, Link, Prior, draw_centre, fit

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_SCORES = 101
_KNOTS = (-0.6, -0.2, 0.2, 0.6)  # scores 20, 40, 60, 80 on the scale below


def scale(score: npt.ArrayLike) -> Floats:
    """Map scores 0..100 to -1..1, where slopes and priors are stated."""
    return np.asarray(score, dtype=float) / 50 - 1


@dataclass(frozen=True)
class Family:
    """One way to let tiers differ. Standard deviations are of the linear predictor, over half the scale of scores.

    ``slope`` is how far a tier's slope departs from the shared one, ``bend`` how much all tiers' slopes may change
    together at each knot, ``own_bend`` how much each tier's may change beyond that.
    """

    name: str
    slope: float
    bend: float
    own_bend: float


FAMILIES = (
    Family("shared slope", 0.02, 0.0, 0.0),
    Family("slope by tier", 2.0, 0.0, 0.0),
    Family("bending", 0.5, 0.5, 0.25),
)

_LEVEL, _TIER_LEVEL, _SLOPE = 5.0, 2.0, 3.0  # weak: what any log of a hundred requests overrules
_FEATURE_LEVEL, _FEATURE_TIER, _FEATURE_SLOPE = 0.7, 0.3, 0.4  # where features' departures start; then estimated


def _hinges(x: Floats) -> Floats:
    """Bend away from the middle at each knot, so that the slope in the middle is the one the priors speak of."""
    knots = np.array(_KNOTS)
    return np.where(knots > 0, np.maximum(0, x[:, None] - knots), np.maximum(0, knots - x[:, None]))


def columns(score: npt.ArrayLike, tier: Ints, tiers: int, family: Family) -> Floats:
    """Return the design rows (N, P) of cells: level, tier levels, slope, tier slopes, bends, tier bends."""
    x = scale(score)
    mine = np.eye(tiers)[tier]
    parts = [np.ones((len(x), 1)), mine, x[:, None], mine * x[:, None]]
    if family.bend:
        bends = _hinges(x)
        parts += [bends, (mine[:, :, None] * bends[:, None, :]).reshape(len(x), -1)]
    return np.concatenate(parts, axis=1)


def _prior(tiers: int, family: Family, own: Floats) -> tuple[Prior, Floats]:
    knots = len(_KNOTS)
    common = [_LEVEL, *[_TIER_LEVEL] * tiers, _SLOPE, *[family.slope] * tiers]
    drawn = [0.0, *[0.0] * tiers, 0.0, *[1.0] * tiers]
    if family.bend:
        common += [family.bend] * knots + [family.own_bend] * (tiers * knots)
        drawn += [1.0] * (knots + tiers * knots)
    return Prior(np.array(common), own), np.array(drawn)


def fit_curves(
    feature: Ints,
    score: Ints,
    tier: Ints,
    counts: Floats,
    sums: Floats,
    link: Link,
    *,
    features: int,
    tiers: int,
    random: np.random.Generator,
) -> Iterator[tuple[Family, Floats]]:
    """Fit every family to cells sorted by feature and yield its linear predictor, (R, F, 101, K).

    ``counts`` and ``sums`` are (R, cells); row 0 is the log itself, the others its bootstrap replicates.
    """
    own = np.array([0, *range(1, tiers + 1), tiers + 1])  # level, tier levels, slope
    spread = np.array([_FEATURE_LEVEL, *[_FEATURE_TIER] * tiers, _FEATURE_SLOPE])
    for family in FAMILIES:
        x = columns(score, tier, tiers, family)
        design = Design.of(x, feature, features, own)
        prior, drawn = _prior(tiers, family, spread)
        prior, point = _with_estimated_spread(design, counts[:1], sums[:1], prior, link, tiers)
        fits = point
        if len(counts) > 1:
            centre = draw_centre(random, prior, design, len(counts) - 1, drawn)
            rest = fit(design, counts[1:], sums[1:], prior, link, centre=centre, start=point, steps=4)
            fits = Fit(np.concatenate([point.common, rest.common]), np.concatenate([point.own, rest.own]))
        grid = np.empty((len(counts), features, _SCORES, tiers))
        for k in range(tiers):
            rows = columns(np.arange(_SCORES), np.full(_SCORES, k), tiers, family)
            grid[..., k] = fits.predictor(rows)
        yield family, grid


def _with_estimated_spread(
    design: Design, counts: Floats, sums: Floats, prior: Prior, link: Link, tiers: int
) -> tuple[Prior, Fit]:
    """Fit the log itself, estimating how much features really differ (empirical Bayes, a few steps of EM)."""
    point = fit(design, counts, sums, prior, link)
    if len(design.slices) < 3:
        return prior, point
    groups = [np.array([0]), np.arange(1, tiers + 1), np.array([tiers + 1])]
    first = prior.own
    for _ in range(4):
        variance = _posterior_variance(design, counts[0], point, prior, link)
        square = (point.own[0][:, design.own] ** 2 + variance).mean(axis=0)
        own = prior.own.copy()
        weight = 4 / len(design.slices)  # the starting value counts as four features
        for group in groups:
            own[group] = np.sqrt((square[group].mean() + weight * (first[group] ** 2).mean()) / (1 + weight))
        prior = replace(prior, own=own)
        point = fit(design, counts, sums, prior, link, start=point)
    return prior, point


def _posterior_variance(design: Design, counts: Floats, point: Fit, prior: Prior, link: Link) -> Floats:
    """Return the variances (F, own columns) of features' departures, given the common coefficients."""
    variance = np.empty((len(design.slices), len(design.own)))
    for feature, part in enumerate(design.slices):
        x = design.x[part]
        predictor = np.clip(x @ (point.common[0] + point.own[0, feature]), -25, 25)
        if link == "logit":
            mean = 1 / (1 + np.exp(-predictor))
            weight = counts[part] * mean * (1 - mean)
        else:
            weight = counts[part] * np.exp(predictor)
        own = x[:, design.own]
        precision = (own * weight[:, None]).T @ own + np.diag(prior.own**-2.0)
        variance[feature] = np.diag(np.linalg.inv(precision))
    return variance
