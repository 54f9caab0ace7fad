"""How many tokens a request takes on each tier, by score, and what an escalation adds to its cost."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from router_core.projection.curves import Family, fit_curves

Floats = npt.NDArray[np.floating]

# What was sent goes to another tier as it is; of what made an answer long, only a part was the request.
CARRIED_INPUT, CARRIED_OUTPUT = 1.0, 0.5
_LEAST = 0.2
# However unevenly amounts are spread, the log is heard; the resamples show how unevenly.
_MOST_DISPERSED = 2.0
_MOST = 3.0  # times the greatest mean of ten scores on any tier: no request is taken to need more than that
_BIN = 10


def levels(
    families: tuple[Family, ...], served: Floats, sums: Floats, dispersion: Floats, random: np.random.Generator
) -> Iterator[Floats]:
    """Yield, for each family of curves, the expected amount a request, (R, F, K, 101).

    ``served`` and ``sums`` are (R, F, K, 101): requests that called a model, and their tokens or nano-dollars.
    ``dispersion`` (K,) is the variance of one request's amount over its mean squared: where amounts of a tier vary
    more than their own size, as many requests say as much less.
    """
    typical = max(float(sums[0].sum() / max(served[0].sum(), 1)), 1e-9)
    weight = 1 / dispersion[:, None]
    most = _MOST * _greatest(served[0], sums[0])
    for expected in fit_curves(families, served * weight, sums * (weight / typical), "log", random):
        yield np.minimum(typical * expected, most)


def _greatest(served: Floats, sums: Floats) -> float:
    """Return the greatest mean amount of any tier over ten scores that hold ten requests; the overall mean else."""
    edges = np.arange(0, served.shape[-1], _BIN)
    count, total = (np.add.reduceat(values.sum(axis=0), edges, axis=-1) for values in (served, sums))
    enough = count >= _BIN
    overall = float(sums.sum() / max(served.sum(), 1))
    return max(float((total[enough] / count[enough]).max(initial=0)), overall, 1e-9)


def dispersion_of(served: npt.NDArray[np.int64], sums: Floats, squares: Floats) -> Floats:
    """Return the variance of one request's amount within its cell over the tier's mean squared, (K,).

    Arrays are (group, F, K, 101). 1 where a tier says nothing of it.
    """
    explained = np.divide(sums**2, served, out=np.zeros(sums.shape), where=served > 0)
    free = np.maximum(served - 1, 0).sum(axis=(0, 1, 3))
    within = np.maximum((squares - explained).sum(axis=(0, 1, 3)), 0) / np.maximum(free, 1)
    mean = sums.sum(axis=(0, 1, 3)) / np.maximum(served.sum(axis=(0, 1, 3)), 1)
    ratio = np.divide(within, mean**2, out=np.ones_like(within), where=(mean > 0) & (free > 10))
    bounded: Floats = np.clip(ratio, 0.01, _MOST_DISPERSED)
    return bounded


def requests_worth(served: Floats, amount: Floats, level: Floats, carried: float) -> Floats:
    """Return how many usual requests' worth an amount is on another tier, (R, group, F, K, 101).

    ``carried`` is the share of its departure from the usual ``level`` (R, F, K, 101) that goes with the request, not
    with the tier. Where next to nothing is usual, a departure is not blown up by dividing by it.
    """
    usual = level[:, None]
    mean = level.mean(axis=(1, 3), keepdims=True)[:, None]
    departure = (amount - served * usual) / np.maximum(usual, _LEAST * mean)
    worth: Floats = np.maximum(served + np.asarray(carried, dtype=served.dtype) * departure, 0)
    return worth
