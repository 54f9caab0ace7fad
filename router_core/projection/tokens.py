"""What a moved request would cost on another tier: its tokens there, at that tier's own mix of rates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from router_core.config import RoutingConfig
from router_core.prices import Price, PriceBook
from router_core.projection.cube import Cube
from router_core.projection.curves import fit_curves
from router_core.projection.pricing import ANSWER, nusd_per_token

Floats = npt.NDArray[np.floating]

_AS_MANY = 20.0  # requests' worth of tokens with which the tier's overall mix of rates joins a feature's own


def effective_rates(cube: Cube, rates: Floats, fallback: Sequence[Price | None]) -> Floats:
    """Return nano-dollars a token of input and output by feature and tier, (F, K, 2); NaN where nothing is priced.

    They hold the tier's own mix of models, price steps and cached input. ``fallback`` prices a tier without traffic.
    """
    _, features, tiers, _ = shape = cube.tally.decisions.shape
    calls = cube.calls
    priced = rates[calls.price]
    at = np.flatnonzero((calls.part == ANSWER) & (calls.where >= 0) & ~np.isnan(priced[:, 1]))
    _, feature, tier, _ = np.unravel_index(calls.where[at], shape)
    tokens = calls.tokens[at].astype(float)
    money = tokens * np.nan_to_num(priced[at])

    def total(values: Floats, columns: list[int]) -> Floats:
        sums = np.bincount(feature * tiers + tier, values[:, columns].sum(axis=1), minlength=features * tiers)
        return sums.reshape(features, tiers).astype(float)

    served = np.maximum(cube.tally.served.sum(axis=(0, 1, 3)), 1)
    found = np.empty((features, tiers, 2))
    for place, columns in enumerate(([0, 2, 3], [1])):  # input: plain, read from and written to cache; output
        spent, counted = total(money, columns), total(tokens, columns)
        listed = np.array([nusd_per_token(price)[place] for price in fallback])
        overall = np.where(counted.sum(axis=0) > 0, spent.sum(axis=0) / np.maximum(counted.sum(axis=0), 1), listed)
        weight = _AS_MANY * np.maximum(counted.sum(axis=0) / served, 1)
        found[..., place] = (spent + weight * overall) / (counted + weight)
    return found


def primary_prices(cube: Cube, config: RoutingConfig, prices: PriceBook) -> list[Price | None]:
    """Return the price of each tier's first model at the end of the window."""
    at_ms = 0 if cube.until is None else (cube.until.toordinal() - 719_163 + 1) * 86_400_000 - 1
    return [prices.find(*config.price_names(tier.models[0]), at_ms) for tier in config.tiers]


def levels(served: Floats, sums: Floats, unit: float, random: np.random.Generator) -> Iterator[Floats]:
    """Yield, for each family of curves, the expected amount a request, (R, F, K, 101).

    ``served`` and ``sums`` are (R, F, K, 101): requests that called a model, and their tokens or nano-dollars.
    ``unit`` is the variance of one request's amount over its mean: counted in it, amounts vary as counts do, which is
    what the fit takes them to be.
    """
    for _, expected in fit_curves(served, sums / unit, "log", random):
        yield unit * expected


def unit_of(served: Floats, sums: Floats, squares: Floats) -> float:
    """Return the variance of one request's amount within its cell, over its mean; 1 where nothing varies."""
    explained = np.divide(sums**2, served, out=np.zeros(sums.shape), where=served > 0)
    free = np.maximum(served - 1, 0).sum()
    variance = float((squares - explained).sum() / max(free, 1))
    mean = float(sums.sum() / max(served.sum(), 1))
    return variance / mean if variance > 0 and mean > 0 else max(mean, 1.0)
