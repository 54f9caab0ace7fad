"""Money in other currencies: what each is worth in US dollars from a day on, as people state it, and a trace of it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

from router_core.errors import InputError

_DOLLARS = ("", "USD", "$", "US$")
_WRITTEN = re.compile(r"\s*([A-Za-z]{3})\s*=\s*([0-9.]+)\s*@\s*(\d{4}-\d\d-\d\d)\s*")
_EXAMPLE = "EUR=1.08@2026-11-20"
_ONE = Decimal(1)


@dataclass(frozen=True, slots=True)
class Rate:
    """What one unit of a currency is worth in US dollars, from a UTC date on."""

    currency: str
    usd: Decimal
    of: date


class Notes(Counter[str]):
    """What a reader had to assume, counted by sentence; ``rates`` are the exchange rates it may use."""

    rates: tuple[Rate, ...] = ()


def parse_rates(texts: Iterable[str]) -> tuple[Rate, ...]:
    """Read rates written as ``EUR=1.08@2026-11-20``; raises ``InputError`` where one is not."""
    found = []
    for text in texts:
        written = _WRITTEN.fullmatch(text)
        try:
            if written is None:
                raise ValueError
            rate = Rate(written[1].upper(), Decimal(written[2]), date.fromisoformat(written[3]))
        except (ValueError, InvalidOperation):
            raise InputError(
                f"the rate {text!r} cannot be read; write what one unit is worth in US dollars and from when, as "
                f"{_EXAMPLE}"
            ) from None
        if not rate.usd:
            raise InputError(f"the rate {text!r} is zero; write what one unit is worth in US dollars, as {_EXAMPLE}")
        found.append(rate)
    return tuple(found)


def worth(currency: Any, day: date, notes: Counter[str]) -> Decimal:
    """Return what one unit of a currency is worth in US dollars on a UTC day; nothing given means dollars.

    It is the newest rate stated that is not later than the day, and ``notes`` say so. Raises ``ValueError``, with the
    reason, where there is none.
    """
    code = str(currency or "").strip().upper()
    if code in _DOLLARS:
        return _ONE
    rates: Sequence[Rate] = notes.rates if isinstance(notes, Notes) else ()
    rate = max((one for one in rates if one.currency == code and one.of <= day), key=lambda one: one.of, default=None)
    if rate is None:
        none = (
            f"no rate of it is stated for {day}"
            if any(one.currency == code for one in rates)
            else "only USD can be added up"
        )
        raise ValueError(f"{none}; state what it is worth, as --rate {code[:3] or 'EUR'}=1.08@{day}")
    notes[f"amounts in {code} were counted at {rate.usd} US dollars, the rate of {rate.of}"] += 1
    return rate.usd
