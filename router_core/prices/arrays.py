"""Many calls priced at once: which price held for each, and what it cost, exactly as one by one would give."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from router_core.prices.book import PriceBook
from router_core.prices.price import Price, cost_nusd, rates
from router_core.usage import Usage

if TYPE_CHECKING:
    Ints = np.typing.NDArray[np.int64]
    Bools = np.typing.NDArray[np.bool_]

_DAY_MS = 86_400_000
_SAFE = 2**62


def prices_held(
    book: PriceBook, name: tuple[str, str], started_at_ms: Ints, input_tokens: Ints, processing: str = "standard"
) -> list[tuple[Price, Ints]]:
    """Return the prices that held for calls of one (provider, model), each with the places of its calls.

    Times are UTC epoch milliseconds. Places that are in none of them have no price.
    """
    plain = all(
        one.min_input_tokens == 0 and one.minute_from is None and one.minute_to is None for one in book.history(*name)
    )
    if plain:  # then nothing but the day decides
        days, place = np.unique(started_at_ms // _DAY_MS, return_inverse=True)
        at = [(int(day) * _DAY_MS, 0) for day in days]
    else:
        at = list(zip(started_at_ms.tolist(), input_tokens.tolist(), strict=True))
        place = np.arange(len(at))
    found: dict[int, Price] = {}
    which = np.zeros(len(at), np.int64)
    for position, (moment, tokens) in enumerate(at):
        one = book.find(*name, moment, tokens, processing)
        if one is not None:
            which[position] = id(one)
            found[id(one)] = one
    mine = which[place]
    return [(one, np.flatnonzero(mine == code)) for code, one in found.items()]


def costs_nusd(price: Price, counted: Sequence[Ints]) -> tuple[Ints, Bools]:
    """Return what calls cost under one price in nano-dollars, and where every rate they need is known.

    ``counted`` are arrays of input, output, cache-read and cache-written tokens; the first includes the last two.
    """
    tokens_in, tokens_out, read, write = counted
    counts = (tokens_in - read - write, tokens_out, read, write)
    rate = rates(price)
    each = (rate.input, rate.output, rate.cache_read, rate.cache_write)
    most = sum(int(count.max(initial=0)) * (one or 0) for count, one in zip(counts, each, strict=True))
    size = len(tokens_in)
    if max(most, rate.divisor) >= _SAFE:  # beyond 64 bits, so in whole numbers of any size
        exact = [cost_nusd(price, Usage(*one)) for one in zip(*(column.tolist() for column in counted), strict=True)]
        known = [cost is not None for cost in exact]
        return np.array([cost or 0 for cost in exact], np.int64), np.array(known, np.bool_)
    total, sure = np.zeros(size, np.int64), np.ones(size, np.bool_)
    for count, one in zip(counts, each, strict=True):
        if one is None:
            sure &= count == 0
        else:
            total += count * one
    whole, rest = np.divmod(total, rate.divisor)
    twice = 2 * rest
    return whole + ((twice > rate.divisor) | ((twice == rate.divisor) & (whole % 2 == 1))), sure
