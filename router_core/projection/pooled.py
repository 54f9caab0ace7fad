"""Regression on grouped counts with partial pooling over tiers and features, for all bootstrap replicates at once.

The linear predictor at a score is ``basis @ (shared + tier's own + feature's own)``, each with a Gaussian prior, so
that no count is too small for a fit. In a replicate the prior means are themselves drawn from their priors
("randomise, then optimise"): where the data are silent, replicates spread as widely as the prior, instead of agreeing
on its centre. Cells stand on the full grid of scores; empty ones weigh nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]

Link = Literal["logit", "log"]
_MOST = 15.0  # of the linear predictor; beyond it exp() only loses digits
_STRIDE = 3.0  # the most a linear predictor moves in one step, so that a step from afar cannot overshoot


@dataclass(frozen=True)
class Prior:
    """Standard deviations of the Gaussian priors, (1 + K, B): of the coefficients shared by tiers, and each tier's own.

    ``common`` is of those all features share, ``own`` of a feature's departures, where 0 means that it has none.
    ``drawn`` marks the common ones whose means replicates draw; the others keep theirs at zero.
    """

    common: Floats
    own: Floats
    drawn: npt.NDArray[np.bool_]

    @property
    def departs(self) -> npt.NDArray[np.int64]:
        """Places of the coefficients, flattened, in which features may depart."""
        return np.flatnonzero(self.own)


@dataclass(frozen=True)
class Fit:
    """Coefficients ``common`` (R, 1 + K, B) and ``own`` (R, F, 1 + K, B), zero where features cannot depart."""

    common: Floats
    own: Floats

    def predictor(self, basis: Floats) -> Floats:
        """Return the linear predictor on the grid, (R, F, K, scores), for ``basis`` (scores, B)."""
        both = self.common[:, None] + self.own
        predictor: Floats = np.matmul(both[:, :, :1] + both[:, :, 1:], basis.T)
        return predictor


def fit(
    basis: Floats,
    counts: Floats,
    sums: Floats,
    prior: Prior,
    link: Link,
    *,
    centre: Fit | None = None,
    start: Fit | None = None,
    steps: int = 25,
) -> Fit:
    """Fit by Newton's method; ``counts`` and ``sums`` are (R, F, K, scores), ``centre`` the prior means, else zero.

    ``logit`` takes sums of outcomes in 0..1, ``log`` sums of non-negative outcomes whose standard deviation is in
    proportion to their mean, as that of lengths and amounts is: a short answer then says as much as a long one.
    """
    replicates, features, tiers, _ = counts.shape
    width = basis.shape[1]
    departs, common_weight = prior.departs, prior.common.ravel() ** -2.0
    own_weight = prior.own.ravel()[departs] ** -2.0
    mean = centre or Fit(np.zeros((replicates, 1 + tiers, width)), np.zeros((replicates, features, 1 + tiers, width)))
    start = start or mean
    found = Fit(
        np.broadcast_to(start.common, mean.common.shape).copy(), np.broadcast_to(start.own, mean.own.shape).copy()
    )
    for _ in range(steps):
        predictor = found.predictor(basis)
        information, score = _derivatives(basis, counts, sums, predictor, link)
        common_pull = common_weight * (found.common - mean.common).reshape(replicates, -1)
        own_pull = own_weight * (found.own - mean.own).reshape(replicates, features, -1)[..., departs]
        step = _solve(information, score, departs, common_weight, own_weight, common_pull, own_pull)
        step = Fit(step.common.reshape(mean.common.shape), step.own.reshape(mean.own.shape))
        stride = np.abs(step.predictor(basis)).max(axis=(1, 2, 3))
        damping = np.minimum(1.0, _STRIDE / np.maximum(stride, 1e-30))[:, None, None]
        found.common[:] += damping * step.common
        found.own[:] += damping[:, None] * step.own
        if stride.max() < 1e-7:
            break
    return found


def _derivatives(basis: Floats, counts: Floats, sums: Floats, predictor: Floats, link: Link) -> tuple[Floats, Floats]:
    """Return the information (R, F, P, P) and the score (R, F, P) of the data, P = (1 + K) * B."""
    replicates, features, tiers, _ = counts.shape
    width = basis.shape[1]
    np.clip(predictor, -_MOST, _MOST, out=predictor)
    residual: Floats
    weight: Floats
    if link == "logit":
        mean = 1 / (1 + np.exp(-predictor))
        residual = sums - counts * mean
        weight = counts * mean * (1 - mean)
    else:
        residual = sums * np.exp(-predictor) - counts
        weight = counts
    own_score = np.matmul(residual, basis)
    products = (basis[:, :, None] * basis[:, None, :]).reshape(len(basis), -1)
    blocks = np.matmul(weight, products).reshape(replicates, features, tiers, width, width)
    information = np.zeros((replicates, features, 1 + tiers, width, 1 + tiers, width))
    shared = blocks.sum(axis=2)
    information[:, :, 0, :, 0] = shared
    for tier in range(tiers):
        block = blocks[:, :, tier]
        information[:, :, 0, :, 1 + tier] = block
        information[:, :, 1 + tier, :, 0] = block
        information[:, :, 1 + tier, :, 1 + tier] = block
    score = np.concatenate([own_score.sum(axis=2, keepdims=True), own_score], axis=2)
    size = (1 + tiers) * width
    return information.reshape(replicates, features, size, size), score.reshape(replicates, features, size)


def _solve(
    information: Floats,
    score: Floats,
    departs: npt.NDArray[np.int64],
    common_weight: Floats,
    own_weight: Floats,
    common_pull: Floats,
    own_pull: Floats,
) -> Fit:
    """Solve the Newton system, whose matrix is block-diagonal over features but for the common coefficients."""
    across = information[:, :, departs, :]
    block = across[..., departs] + np.diag(own_weight)
    right = score[..., departs] - own_pull
    solved = np.linalg.solve(block, np.concatenate([across, right[..., None]], axis=-1))
    reduced = information.sum(axis=1) + np.diag(common_weight)
    turned = across.transpose(0, 1, 3, 2)
    reduced -= np.matmul(turned, solved[..., :-1]).sum(axis=1)
    remaining = score.sum(axis=1) - common_pull - np.matmul(turned, solved[..., -1:])[..., 0].sum(axis=1)
    common = np.linalg.solve(reduced, remaining[..., None])[..., 0]
    own = np.zeros_like(score)
    own[..., departs] = solved[..., -1] - np.matmul(solved[..., :-1], common[:, None, :, None])[..., 0]
    return Fit(common, own)


def draw_centre(random: np.random.Generator, prior: Prior, features: int, replicates: int) -> Fit:
    """Draw prior means for replicates."""
    common = random.standard_normal((replicates, *prior.common.shape)) * prior.common * prior.drawn
    own = random.standard_normal((replicates, features, *prior.own.shape)) * prior.own
    return Fit(common, own)


def log_evidence(basis: Floats, counts: Floats, sums: Floats, prior: Prior, link: Link, found: Fit) -> float:
    """Return the log marginal likelihood of the log itself (R = 1) by Laplace's method, up to a constant."""
    predictor = np.clip(found.predictor(basis), -_MOST, _MOST)
    information, _ = _derivatives(basis, counts, sums, predictor.copy(), link)
    if link == "logit":
        fitted = (sums * predictor - counts * np.logaddexp(0, predictor)).sum()
    else:
        fitted = -(sums * np.exp(-predictor) + counts * predictor).sum()
    departs = prior.departs
    own = prior.own.ravel()[departs]
    departure = found.own[0].reshape(len(found.own[0]), -1)[:, departs]
    fitted -= 0.5 * ((found.common[0] / prior.common) ** 2).sum() + 0.5 * ((departure / own) ** 2).sum()
    block = information[0][:, departs[:, None], departs] + np.diag(own**-2.0)
    across = information[0][:, departs, :]
    reduced = information[0].sum(axis=0) + np.diag(prior.common.ravel() ** -2.0)
    reduced -= np.matmul(across.transpose(0, 2, 1), np.linalg.solve(block, across)).sum(axis=0)
    volume = np.linalg.slogdet(reduced)[1] + np.linalg.slogdet(block)[1].sum()
    volume += 2 * np.log(prior.common).sum() + 2 * len(block) * np.log(own).sum()
    return float(fitted - 0.5 * volume)


def own_variance(basis: Floats, counts: Floats, sums: Floats, prior: Prior, link: Link, found: Fit) -> Floats:
    """Return the posterior variances (F, 1 + K, B) of features' departures in the log itself, given the rest."""
    information, _ = _derivatives(basis, counts, sums, found.predictor(basis), link)
    departs = prior.departs
    block = information[0][:, departs[:, None], departs] + np.diag(prior.own.ravel()[departs] ** -2.0)
    variance = np.zeros((len(block), prior.own.size))
    variance[:, departs] = np.diagonal(np.linalg.inv(block), axis1=1, axis2=2)
    return variance.reshape(-1, *prior.own.shape)
