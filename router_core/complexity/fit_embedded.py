"""Fitting on an endpoint's vectors: centroids and a gain model, whichever does better on prompts it has not seen."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold

from router_core.complexity.embedded import EmbeddedHead, unit
from router_core.complexity.fit import Fit, Progress, adequate, judged, path, split
from router_core.complexity.graded import Graded
from router_core.complexity.scorer import Scorer, percentile_cuts
from router_core.complexity.skill import apgr
from router_core.complexity.vectors import Embedded

Floats = NDArray[np.float64]

# Inverse regularisation tried; vectors of length 1 have small numbers, so it takes larger ones than words do.
_STRENGTHS = (1.0, 3.0, 10.0, 30.0, 100.0)
_FOLDS = 5


def fit_embedded(
    graded: Graded, embedded: Embedded, *, train_share: float = 0.7, seed: int = 0, progress: Progress | None = None
) -> Fit:
    """Fit a scorer on the vectors of graded prompts (one row a prompt) and measure it on those held out.

    Centroids against the gain model, and how strongly that is regularised, are chosen by cross-validation inside the
    training part. Raises as ``fit`` does.
    """
    train, test = split(len(graded), train_share, seed)
    rows = unit(embedded.vectors)
    targets = graded.cheap_quality[train], graded.strong_quality[train]
    strength = _choose(rows[train], targets, seed, progress)
    head = _head(embedded.model, rows[train], targets, strength)
    gain = head.values(rows[test])
    scorer = Scorer(head, percentile_cuts(gain))
    return judged(scorer, head, graded, train, test, gain, strength or 0.0, seed, gains=graded.gains[test])


def _choose(rows: Floats, targets: tuple[Floats, Floats], seed: int, progress: Progress | None) -> float | None:
    """Return the regularisation of the best gain model, None where centroids do better."""
    gains = targets[1] - targets[0]
    out_of_fold = np.zeros((1 + len(_STRENGTHS), len(gains)))
    for number, (inside, outside) in enumerate(KFold(_FOLDS, shuffle=True, random_state=seed).split(gains)):
        low, high = _centroids(rows[inside], gains[inside])
        out_of_fold[0, outside] = rows[outside] @ (high - low)
        paths = [path(rows[inside], target[inside], _STRENGTHS) for target in targets]
        for turn, (cheap, strong) in enumerate(zip(*paths, strict=True), start=1):
            out_of_fold[turn, outside] = adequate(strong, rows[outside]) - adequate(cheap, rows[outside])
        if progress is not None:
            progress(number + 1, _FOLDS)
    if gains.sum() <= 0.0:
        return _STRENGTHS[0]  # without a gap there is nothing to choose by
    best = int(np.argmax([apgr(values, gains) for values in out_of_fold]))
    return None if best == 0 else _STRENGTHS[best - 1]


def _centroids(rows: Floats, gains: Floats) -> tuple[Floats, Floats]:
    """Return the mean directions of prompts that did not gain and of those that did."""
    gained = gains > 0.0
    sides = [rows[which].mean(axis=0) if which.any() else np.zeros(rows.shape[1]) for which in (~gained, gained)]
    return unit(sides[0]), unit(sides[1])


def _head(model: str, rows: Floats, targets: tuple[Floats, Floats], strength: float | None) -> EmbeddedHead:
    centre = unit(rows.mean(axis=0))
    cosines = rows @ centre
    nearness = float(cosines.min()), float(np.quantile(cosines, 0.05))
    if strength is None:
        return EmbeddedHead(
            model, "centroids", np.stack(_centroids(rows, targets[1] - targets[0])), np.zeros(2), centre, nearness
        )
    models: Sequence[LogisticRegression] = [one for target in targets for one in path(rows, target, (strength,))]
    weights = np.stack([one.coef_[0] for one in models])
    return EmbeddedHead(model, "gain", weights, np.array([one.intercept_[0] for one in models]), centre, nearness)
