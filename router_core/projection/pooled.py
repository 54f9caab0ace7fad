"""Regression on grouped counts with partial pooling over features, fitted to all bootstrap replicates at once.

The linear predictor of a cell is ``x @ (common + own[feature])``: coefficients common to all features plus each
feature's own departure, both with Gaussian priors, so that no count is too small for a fit. In a replicate the prior
means are themselves drawn from their priors ("randomise, then optimise"): where the data are silent, replicates then
spread as widely as the prior, instead of agreeing on its centre.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

Link = Literal["logit", "log"]
_MOST = {"logit": 12.0, "log": 25.0}  # of the linear predictor; beyond it exp() only loses digits
_STRIDE = 3.0  # the most a linear predictor moves in one step, so that a step from afar cannot overshoot


@dataclass(frozen=True)
class Design:
    """The cells of a fit. ``x`` is (cells, P); ``slices`` cuts the cells, sorted by feature, into F runs; ``own``
    lists the columns in which features may depart."""

    x: Floats
    slices: tuple[slice, ...]
    own: Ints

    @classmethod
    def of(cls, x: Floats, feature: Ints, features: int, own: Ints) -> Design:
        """Cut sorted cells into features."""
        edges = np.searchsorted(feature, np.arange(features + 1))
        return cls(x, tuple(slice(int(a), int(b)) for a, b in pairwise(edges)), own)


@dataclass(frozen=True)
class Prior:
    """Standard deviations of the Gaussian priors: ``common`` (P,), ``own`` (columns of ``Design.own``,)."""

    common: Floats
    own: Floats


@dataclass(frozen=True)
class Fit:
    """Coefficients ``common`` (R, P) and ``own`` (R, F, P), the latter zero where features cannot depart."""

    common: Floats
    own: Floats

    def predictor(self, x: Floats) -> Floats:
        """Return the linear predictor of rows ``x`` (N, P) for every replicate and feature, (R, F, N)."""
        coefficients: Floats = self.common[:, None, :] + self.own
        return coefficients @ x.T


def fit(
    design: Design,
    counts: Floats,
    sums: Floats,
    prior: Prior,
    link: Link,
    *,
    centre: Fit | None = None,
    start: Fit | None = None,
    steps: int = 25,
    tolerance: float = 1e-8,
) -> Fit:
    """Fit by Newton's method; ``counts`` and ``sums`` are (R, cells), ``centre`` the prior means (zero unless given).

    ``logit`` takes sums of outcomes in 0..1, ``log`` sums of non-negative outcomes with variance in proportion to
    the mean. Both links are canonical, so fitted totals equal observed ones wherever a coefficient is free.
    """
    replicates, (cells, width), features = counts.shape[0], design.x.shape, len(design.slices)
    own, zeros = design.own, np.zeros
    common_mean = centre.common if centre is not None else zeros((replicates, width))
    own_mean = centre.own[:, :, own] if centre is not None else zeros((replicates, features, len(own)))
    if start is None:
        common, departure = common_mean.copy(), own_mean.copy()
    else:
        common = np.broadcast_to(start.common, (replicates, width)).copy()
        departure = np.broadcast_to(start.own[:, :, own], (replicates, features, len(own))).copy()
    common_weight, own_weight = prior.common**-2.0, prior.own**-2.0
    products = design.x[:, :, None] * design.x[:, None, :]
    most = _MOST[link]
    information = np.empty((replicates, features, width, width))
    score = np.empty((replicates, features, width))
    predictor = np.empty((replicates, cells))
    for _ in range(steps):
        for feature, part in enumerate(design.slices):
            x = design.x[part]
            predictor[:, part] = common @ x.T + departure[:, feature] @ x[:, own].T
        bounded = np.clip(predictor, -most, most)
        if link == "logit":
            mean = 1 / (1 + np.exp(-bounded))
            weight = counts * mean * (1 - mean)
        else:
            mean = np.exp(bounded)
            weight = counts * mean
        residual = sums - counts * mean
        for feature, part in enumerate(design.slices):
            flat = products[part].reshape(-1, width * width)
            information[:, feature] = (weight[:, part] @ flat).reshape(-1, width, width)
            score[:, feature] = residual[:, part] @ design.x[part]
        pull = own_weight * (departure - own_mean)
        own_score = score[:, :, own] - pull
        block = information[:, :, own[:, None], own[None, :]] + np.diag(own_weight)
        across = information[:, :, own, :]
        solved = np.linalg.solve(block, np.concatenate([across, own_score[..., None]], axis=-1))
        reduced = information.sum(axis=1) - np.einsum("rfop,rfoq->rpq", across, solved[..., :-1], optimize=True)
        reduced += np.diag(common_weight)
        right = score.sum(axis=1) - common_weight * (common - common_mean)
        right -= np.einsum("rfop,rfo->rp", across, solved[..., -1], optimize=True)
        common_step = np.linalg.solve(reduced, right[..., None])[..., 0]
        own_step = solved[..., -1] - np.einsum("rfop,rp->rfo", solved[..., :-1], common_step, optimize=True)
        moved = np.zeros(replicates)
        for feature, part in enumerate(design.slices):
            x = design.x[part]
            if len(x):
                stride = np.abs(common_step @ x.T + own_step[:, feature] @ x[:, own].T).max(axis=1)
                moved = np.maximum(moved, stride)
        damping = np.minimum(1.0, _STRIDE / np.maximum(moved, 1e-300))
        common += damping[:, None] * common_step
        departure += damping[:, None, None] * own_step
        if moved.max(initial=0.0) < tolerance:
            break
    full = zeros((replicates, features, width))
    full[:, :, own] = departure
    return Fit(common, full)


def draw_centre(random: np.random.Generator, prior: Prior, design: Design, replicates: int, drawn: Floats) -> Fit:
    """Draw prior means for replicates; ``drawn`` (P,) is 0 for common coefficients that keep theirs at zero."""
    features, width = len(design.slices), design.x.shape[1]
    common = random.standard_normal((replicates, width)) * prior.common * drawn
    own = np.zeros((replicates, features, width))
    own[:, :, design.own] = random.standard_normal((replicates, features, len(design.own))) * prior.own
    return Fit(common, own)
