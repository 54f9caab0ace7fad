"""Bootstrap of requests on sums: a Poisson draw a cell and outcome, so that a resample never needs the rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from router_core.projection.cube import Tally

Floats = npt.NDArray[np.floating]


@dataclass(frozen=True)
class Draws:
    """Sums over (R, group, feature, tier, score): of the log itself (R = 1, double) or of its replicates (single)."""

    decisions: Floats
    served: Floats
    labelled: Floats
    quality: Floats
    input: Floats
    output: Floats


def as_logged(tally: Tally) -> Draws:
    """Return the log itself as its only draw."""
    return Draws(
        *(
            np.asarray(values, dtype=float)[None]
            for values in (tally.decisions, tally.served, tally.labelled, tally.quality, tally.input, tally.output)
        )
    )


def resample(tally: Tally, replicates: int, random: np.random.Generator) -> Draws:
    """Draw bootstrap resamples of the requests behind the tally.

    Outcomes of 0 and 1 are drawn as the ordinary bootstrap would; for graded quality and for tokens the mean and
    variance of a resampled sum are those of the ordinary bootstrap.
    """
    labelled, quality = _labels(tally, replicates, random)
    decisions = labelled + _poisson(tally.decisions - tally.labelled, replicates, random)
    served = decisions * _ratio(tally.served, tally.decisions)
    tokens = [
        _tokens(served, tally.served, sums, squares, random)
        for sums, squares in ((tally.input, tally.input_squares), (tally.output, tally.output_squares))
    ]
    return Draws(decisions, served, labelled, quality, *tokens)


def _ratio(over: npt.NDArray[Any], under: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    ratio: npt.NDArray[np.float32] = np.divide(over, under, out=np.zeros(under.shape), where=under > 0).astype(
        np.float32
    )
    return ratio


def _poisson(mean: npt.NDArray[np.generic], replicates: int, random: np.random.Generator) -> npt.NDArray[np.float32]:
    flat = mean.astype(float).ravel()
    drawn = np.zeros((replicates, flat.size), dtype=np.float32)
    some = np.flatnonzero(flat > 0)
    drawn[:, some] = random.poisson(flat[some], (replicates, len(some)))
    return drawn.reshape(replicates, *mean.shape)


def _labels(tally: Tally, replicates: int, random: np.random.Generator) -> tuple[Floats, Floats]:
    count = tally.labelled.astype(float)
    good = np.clip(tally.quality, 0, count)
    up, down = _poisson(good, replicates, random), _poisson(count - good, replicates, random)
    labelled = up + down
    mean = _ratio(good, count).astype(float)
    binary = mean * (1 - mean)
    within = np.clip(_ratio(tally.quality_squares, count) - mean**2, 0, binary)
    # Graded outcomes vary less than 0 and 1 of the same mean do; shrink the draw's departure to match.
    shrink = np.sqrt(np.divide(within, binary, out=np.ones_like(mean), where=binary > 1e-9))
    shrink[shrink > 0.999] = 1.0
    expected = labelled * mean.astype(np.float32)
    return labelled, expected + shrink.astype(np.float32) * (up - expected)


def _tokens(
    served: Floats, count: npt.NDArray[np.int64], total: Floats, squares: Floats, random: np.random.Generator
) -> Floats:
    mean = np.divide(total, count, out=np.zeros(total.shape), where=count > 0)
    within = np.divide(squares, count, out=np.zeros(total.shape), where=count > 0) - mean**2
    drawn = (served * mean.astype(np.float32)).reshape(len(served), -1)
    some = np.flatnonzero(within > 0)
    noise = random.standard_normal((len(served), len(some)), dtype=np.float32)
    spread = served.reshape(len(served), -1)[:, some] * within.ravel()[some].astype(np.float32)
    drawn[:, some] += noise * np.sqrt(spread)
    return np.maximum(drawn, 0).reshape(served.shape)
