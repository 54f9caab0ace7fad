"""How many tokens a request takes on each tier, by score, and what an escalation adds to its cost."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from router_core.projection.curves import Family, fit_curves

Floats = npt.NDArray[np.floating]


def levels(
    families: tuple[Family, ...], served: Floats, sums: Floats, unit: float, random: np.random.Generator
) -> Iterator[Floats]:
    """Yield, for each family of curves, the expected amount a request, (R, F, K, 101).

    ``served`` and ``sums`` are (R, F, K, 101): requests that called a model, and their tokens or nano-dollars.
    ``unit`` is the variance of one request's amount over its mean: counted in it, amounts vary as counts do, which is
    what the fit takes them to be.
    """
    for expected in fit_curves(families, served, sums / unit, "log", random):
        yield unit * expected


def unit_of(served: npt.NDArray[np.int64], sums: Floats, squares: Floats) -> float:
    """Return the variance of one request's amount within its cell, over its mean; the mean where nothing varies."""
    explained = np.divide(sums**2, served, out=np.zeros(sums.shape), where=served > 0)
    variance = float((squares - explained).sum() / max(np.maximum(served - 1, 0).sum(), 1))
    mean = float(sums.sum() / max(served.sum(), 1))
    return variance / mean if variance > 0 and mean > 0 else max(mean, 1.0)
