"""One quote of somebody's price list as a row of ours: rates as exact decimals, or the reason why it is none."""

from __future__ import annotations

from decimal import Context, Decimal
from typing import Any, NamedTuple

from router_core.prices.price import FIRST_KNOWN, Price

Name = tuple[str, str]
"""Provider and model."""

_DIGITS = Context(prec=12)

NO_TOKENS = "without a price of tokens"
BY_REASONING = "charged by reasoning token as well"


class NotARowError(ValueError):
    """A quote that our rows cannot say; its text is why, after "models "."""


class Usd(NamedTuple):
    """Rates of one quote in US dollars per million tokens; None where it names none."""

    input: Decimal | None
    output: Decimal | None
    cache_read: Decimal | None = None
    cache_write: Decimal | None = None


def quote(
    name: Name,
    usd: Usd,
    source: str,
    *,
    processing: str = "standard",
    min_input_tokens: int = 0,
    minutes: tuple[int | None, int | None] = (None, None),
) -> Price:
    """Return the row of a quote that says nothing of dates; raises ``NotARowError`` where it prices no tokens."""
    if usd.input is None and usd.output is None:
        raise NotARowError(NO_TOKENS)
    return Price(None, *name, "catalogue", FIRST_KNOWN, processing, min_input_tokens, *minutes, *usd, source)


def rate(value: Any, times: int = 1) -> Decimal | None:
    """Return a written rate times a whole number, exactly; raises ``NotARowError`` where it is not a rate."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise NotARowError("at a price that is not a number")
    usd = Decimal(value) * times
    if not usd.is_finite() or usd < 0:
        raise NotARowError("at a price below zero or without end")
    # Lists are written by programs that count in binary: 1.6000000000000001 is 1.6, and 0.1500000 is 0.15.
    return Decimal(format(abs(usd).normalize(_DIGITS), "f"))
