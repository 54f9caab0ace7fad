"""One dated price, and what a call costs under it, in integers only."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from fractions import Fraction
from math import lcm
from typing import Literal, NamedTuple, get_args

from router_core.usage import Usage

Layer = Literal["catalogue", "contract", "manual"]
LAYERS: tuple[Layer, ...] = get_args(Layer)
"""Where a price comes from, in rising precedence."""

PROCESSINGS = ("standard", "batch", "flex", "priority", "fast")
"""How fast or slow a provider works on a call, each at a price of its own."""

ANY_PROVIDER = "*"
"""In place of a provider's name: wherever that model is served."""

FIRST_KNOWN = date(1970, 1, 1)
"""The start of a price whose own start is not on record: it holds for all time before the first dated change."""


class Rates(NamedTuple):
    """Rates as whole numbers: nano-dollars a token times ``divisor``; None where a rate is unknown.

    ``input`` is for tokens neither read from nor written to a cache. Where the price names no rate for cached
    tokens the input rate stands in, as it does in genai-prices. Tokens times these, summed, divided by ``divisor``
    and rounded half to even once, is the cost; arrays of tokens work as well as single counts.
    """

    input: int | None
    output: int | None
    cache_read: int | None
    cache_write: int | None
    divisor: int


@dataclass(frozen=True, slots=True)
class Price:
    """What a model costs from a day on, in US dollars per million tokens; None is unknown, which is not free.

    ``effective_from`` is a UTC date. ``min_input_tokens`` is where a long-context price starts: it then holds for
    the whole call. ``minute_from`` (included) to ``minute_to`` (excluded), in UTC minutes of the day and across
    midnight where the first is later, bound a time-of-day price. ``processing`` is standard, batch, flex, priority or
    fast. ``id`` is the row in the ledger.
    """

    id: int | None
    provider_name: str
    model: str
    layer: Layer
    effective_from: date
    processing: str = "standard"
    min_input_tokens: int = 0
    minute_from: int | None = None
    minute_to: int | None = None
    input_usd_per_mtok: Decimal | None = None
    output_usd_per_mtok: Decimal | None = None
    cache_read_usd_per_mtok: Decimal | None = None
    cache_write_usd_per_mtok: Decimal | None = None
    source: str = ""
    note: str = ""
    _rates: Rates | None = field(default=None, init=False, repr=False, compare=False)

    def holds_at(self, minute: int) -> bool:
        """Say whether this price holds at that UTC minute of the day."""
        if self.minute_from is None or self.minute_to is None:
            return True
        if self.minute_from <= self.minute_to:
            return self.minute_from <= minute < self.minute_to
        return minute >= self.minute_from or minute < self.minute_to


def shown_calls(price: Price) -> str:
    """Return which calls a price is for, in words; "" where it is for any."""
    told = [] if price.processing == "standard" else [price.processing]
    if price.min_input_tokens:
        told.append(f"{price.min_input_tokens:,} input tokens or more")
    if price.minute_from is not None and price.minute_to is not None:
        clock = (f"{minute // 60:02d}:{minute % 60:02d}" for minute in (price.minute_from, price.minute_to))
        told.append("–".join(clock) + " UTC")
    return ", ".join(told)


def rates(price: Price) -> Rates:
    """Return the price as whole numbers; worked out once a price."""
    known = price._rates
    if known is None:
        read, write = price.cache_read_usd_per_mtok, price.cache_write_usd_per_mtok
        plain = price.input_usd_per_mtok
        usd = (plain, price.output_usd_per_mtok, plain if read is None else read, plain if write is None else write)
        # A dollar per million tokens is 1,000 nano-dollars a token; fractions keep any number of decimals exact.
        ratios = [None if rate is None else Fraction(rate) * 1000 for rate in usd]
        divisor = lcm(*(ratio.denominator for ratio in ratios if ratio is not None))
        whole = [None if ratio is None else int(ratio * divisor) for ratio in ratios]
        known = Rates(whole[0], whole[1], whole[2], whole[3], divisor)
        object.__setattr__(price, "_rates", known)
    return known


def cost_nusd(price: Price, usage: Usage) -> int | None:
    """Return the list cost in nano-dollars, rounded half to even once; None where a rate it needs is unknown."""
    rate = rates(price)
    read, write = usage.cache_read_input_tokens, usage.cache_write_input_tokens
    total = 0
    for tokens, each in (
        (usage.input_tokens - read - write, rate.input),
        (usage.output_tokens, rate.output),
        (read, rate.cache_read),
        (write, rate.cache_write),
    ):
        if tokens:
            if each is None:
                return None
            total += tokens * each
    whole, rest = divmod(total, rate.divisor)
    twice = 2 * rest
    return whole + (twice > rate.divisor or (twice == rate.divisor and whole % 2 == 1))
