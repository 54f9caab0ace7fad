"""Tariff: what the log cost and what each tier charges a token, at the prices it was logged at or at others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from router_core.config import RoutingConfig
from router_core.prices import Price, PriceBook
from router_core.projection.cube import Cube
from router_core.projection.pricing import ANSWER, ESCALATION, nusd_per_token

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.int64]

_AS_MANY = 20.0  # requests' worth of tokens with which the tier's overall mix of rates joins a feature's own


@dataclass(frozen=True)
class Tariff:
    """Money in nano-dollars. ``rates`` (F, K, 2) is a token's price on input and output in each tier's own mix of
    models, price steps and cached input; 0 where ``priced`` (K,) says that it is unknown.

    ``answering`` and ``escalating`` (group, F, K, 101) are what those calls cost by cell, ``stepped`` (K,) how an
    escalation's cost compares with the logged one. ``change`` (F,) is by how much all logged calls together would
    have cost more than they did.
    """

    rates: Floats
    priced: npt.NDArray[np.bool_]
    answering: Ints
    escalating: Ints
    stepped: Floats
    change: Ints

    @classmethod
    def of(
        cls, cube: Cube, config: RoutingConfig, prices: PriceBook, successors: Mapping[int, Price] | None = None
    ) -> Tariff:
        """Read the tariff of a log; ``successors`` replace price rows, by place in ``cube.calls.rows``."""
        calls, tally = cube.calls, cube.tally
        listed = calls.rates()
        answering, escalating = tally.cost, tally.escalation_cost
        change = np.zeros(len(cube.features), dtype=np.int64)
        stepped = np.ones(len(cube.tiers))
        if successors:
            for row, price in successors.items():
                listed[row] = nusd_per_token(price)
            difference = calls.repriced(successors)
            np.add.at(change, calls.feature, difference)
            answering = answering + _by_cell(cube, difference, ANSWER)
            escalating = escalating + _by_cell(cube, difference, ESCALATION)
            before, after = (money.sum(axis=(0, 1, 3)) for money in (tally.escalation_cost, escalating))
            stepped = np.divide(after, before, out=stepped, where=before > 0)
        rates = _effective_rates(cube, listed, _primary_prices(cube, config, prices))
        priced = np.asarray(~np.isnan(rates).any(axis=(0, 2)), dtype=np.bool_)
        return cls(np.nan_to_num(rates), priced, answering, escalating, stepped, change)


def _by_cell(cube: Cube, money: Ints, part: int) -> Ints:
    calls, shape = cube.calls, cube.tally.cost.shape
    chosen = (calls.part == part) & (calls.where >= 0)
    sums = np.zeros(int(np.prod(shape)), dtype=np.int64)
    np.add.at(sums, calls.where[chosen], money[chosen])
    return sums.reshape(shape)


def _effective_rates(cube: Cube, listed: Floats, fallback: Sequence[Price | None]) -> Floats:
    """Return nano-dollars a token of input and output, (F, K, 2); NaN where nothing is priced.

    ``listed`` (rows, 4) is by price row; ``fallback`` prices a tier without traffic.
    """
    _, features, tiers, _ = shape = cube.tally.decisions.shape
    calls = cube.calls
    priced = listed[calls.price]
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
        usual = np.array([nusd_per_token(price)[place] for price in fallback])
        overall = np.where(counted.sum(axis=0) > 0, spent.sum(axis=0) / np.maximum(counted.sum(axis=0), 1), usual)
        weight = _AS_MANY * np.maximum(counted.sum(axis=0) / served, 1)
        found[..., place] = (spent + weight * overall) / (counted + weight)
    return found


def _primary_prices(cube: Cube, config: RoutingConfig, prices: PriceBook) -> list[Price | None]:
    """Return the price of each tier's first model at the end of the window."""
    at_ms = 0 if cube.until is None else (cube.until.toordinal() - 719_163 + 1) * 86_400_000 - 1
    return [prices.find(*config.price_names(tier.models[0]), at_ms) for tier in config.tiers]
