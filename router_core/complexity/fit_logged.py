"""Fitting on one's own log, where each request was answered by one tier only, chosen with a known chance."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.model_selection import KFold

from router_core.complexity.excerpt import excerpt
from router_core.complexity.fit import Features, Fit, Progress, adequate, judged, path, split
from router_core.complexity.logged import Logged
from router_core.complexity.scorer import Scorer, percentile_cuts
from router_core.errors import InputError

FEWEST_ON_A_TIER = 100
FEWEST_EXPLORED = 30

_STRENGTHS = (0.1, 0.3, 1.0, 3.0)
_FOLDS = 5


def fit_logged(log: Logged, *, train_share: float = 0.7, seed: int = 0, progress: Progress | None = None) -> Fit:
    """Fit a gain scorer: what is to be expected of the cheapest tier from the requests it answered, and so of the
    strongest; the skill on held-out requests is measured with both tiers' answers weighed by their chances.

    Raises ``InputError`` where either tier has fewer than 100 judged requests, or fewer than 30 were explored: without
    those there is nothing to tell what the other tier would have made of a request.
    """
    counts = int(log.on_cheap.sum()), int(log.on_strong.sum())
    if min(counts) < FEWEST_ON_A_TIER or log.explored < FEWEST_EXPLORED:
        raise InputError(
            f"{log.source} holds {counts[0]:,} judged requests with text on {log.cheap}, {counts[1]:,} on {log.strong} "
            f"and {log.explored:,} explored; at least {FEWEST_ON_A_TIER} on each and {FEWEST_EXPLORED} explored are "
            "needed; keep prompts ('capture'), explore, and label more answers",
            source="--from-log",
        )
    train, test = split(len(log), train_share, seed)
    taught, held = log.part(train), log.part(test)
    features = Features(taught.prompts)
    rows = features.of(taught.prompts)
    sides = taught.on_cheap, taught.on_strong
    strengths = [_choose(rows[side], taught.quality[side], seed) for side in sides]
    if progress is not None:
        progress(1, 2)
    models = [
        model
        for side, strength in zip(sides, strengths, strict=True)
        for model in path(rows[side], taught.quality[side], (strength,))
    ]
    head = features.fold(models)
    gain = np.array([head.raw(excerpt(text), len(text))[0] for text in held.prompts])
    cheap, strong = (adequate(model, features.of(held.prompts)) for model in models)
    if progress is not None:
        progress(2, 2)
    scorer = Scorer(head, percentile_cuts(gain))
    return judged(scorer, head, log, train, test, gain, max(strengths), seed, gains=held.gains(cheap, strong))


def _choose(rows: sp.csr_matrix, quality: NDArray[np.float64], seed: int) -> float:
    """Return the regularisation whose chances are nearest to what was found in folds it was not trained on."""
    if len(quality) < 2 * _FOLDS:
        return _STRENGTHS[0]
    errors = np.zeros(len(_STRENGTHS))
    for inside, outside in KFold(_FOLDS, shuffle=True, random_state=seed).split(quality):
        tried: Sequence[float] = _STRENGTHS
        for turn, model in enumerate(path(rows[inside], quality[inside], tried)):
            errors[turn] += float(((adequate(model, rows[outside]) - quality[outside]) ** 2).sum())
    return _STRENGTHS[int(np.argmin(errors))]
