"""What a log's requests would have cost without a router: each answered once, by one model of one's choice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from router_core.config import RoutingConfig
from router_core.decision import Kind
from router_core.errors import UnpricedModelError
from router_core.prices import PriceBook
from router_core.projection.pricing import nusd_per_token
from router_core.projection.whatif import VERBOSITIES

if TYPE_CHECKING:
    from router_core.ledger.call_sums import CallSums

OVERHEADS: Final = (Kind.CLASSIFIER, Kind.EMBEDDING, Kind.JUDGE, Kind.COMPRESS, Kind.SHADOW, Kind.TRIAL)
"""Calls that are made because requests are routed, whichever tier answers them."""


@dataclass(frozen=True)
class OneModel:
    """What ``requests`` of a feature would have cost on one model, in nano-dollars.

    ``nusd`` takes as many tokens as were used; ``low`` and ``high`` half and three times as many to answer, since
    models differ by so much and the log cannot say what this one would have used.
    """

    requests: int
    nusd: float
    low: float
    high: float


def find_model(name: str, config: RoutingConfig, prices: PriceBook, at_ms: int) -> tuple[str, str]:
    """Return (provider, the provider's name) of a priced model: one of the configuration's, ``provider/model``, or a
    bare name that one provider's price list has. Raises ``UnpricedModelError`` where no price of it holds."""
    provider, slash, model = name.partition("/")
    known = [config.price_names(name)] if name in config.models else []
    known += [(provider, model)] if slash else []
    known += [pair for pair in prices.models() if pair[1] == name]
    for pair in known:
        price = prices.find(*pair, at_ms)
        if price is not None and None not in (price.input_usd_per_mtok, price.output_usd_per_mtok):
            return pair
    raise UnpricedModelError(*(known[0] if known else ("any provider", name)))


def on_one_model(calls: CallSums, provider: str, model: str, prices: PriceBook, at_ms: int) -> Mapping[str, OneModel]:
    """Return, by feature, what its requests would have cost had this model alone answered them, each once.

    A request takes the tokens that the calls which answered took; one that a cache served takes those of its
    feature's others. Prices are those that hold at ``at_ms``, UTC epoch milliseconds. Features that no call answered
    are left out. Raises ``UnpricedModelError`` where there is no price.
    """
    answered = (calls.decisions > 0) & (calls.metered_attempts > 0) & ~np.isin(calls.kind, OVERHEADS)
    read, written = calls.cache_read_input_tokens, calls.cache_write_input_tokens
    tokens = np.stack([calls.input_tokens - read - written, calls.output_tokens, read, written], axis=1)
    each = tokens * (calls.decisions / np.maximum(calls.metered_attempts, 1))[:, None]
    found = {}
    for place, feature in enumerate(calls.features):
        own = calls.feature == place
        served = int(calls.decisions[own & answered].sum())
        if not served:
            continue
        requests = int(calls.decisions[own].sum())
        mean = each[own & answered].sum(axis=0) / served
        price = prices.find(provider, model, at_ms, round(float(mean[0] + mean[2] + mean[3])))
        rates = nusd_per_token(price)
        if price is None or np.isnan(rates[0]) or np.isnan(rates[1]):
            raise UnpricedModelError(provider, model)
        # Where cached input has no rate of its own it costs what input costs.
        cached = [rates[0] if np.isnan(rate) else rate for rate in rates[2:]]
        sent = requests * float(mean[0] * rates[0] + mean[2] * cached[0] + mean[3] * cached[1])
        written_out = requests * float(mean[1] * rates[1])
        low, high = (sent + times * written_out for times in VERBOSITIES)
        found[feature] = OneModel(requests, sent + written_out, low, high)
    return found


def overheads(calls: CallSums) -> Mapping[str, int]:
    """Return what calls made for routing's sake cost, in nano-dollars, by feature."""
    side = np.where(np.isin(calls.kind, OVERHEADS), calls.list_cost_nusd, 0)
    return {name: int(side[calls.feature == place].sum()) for place, name in enumerate(calls.features)}
