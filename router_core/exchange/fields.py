"""Single fields as tools write them - times, counts, money, names - read strictly or refused with a reason."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from math import isfinite
from typing import Any

from router_core.exchange import currencies
from router_core.usage import Usage

_MOST_TOKENS = 2**31 - 1
_LONGEST_MS = 2**31 - 1
_FIRST_MS = 946_684_800_000  # 2000-01-01: an earlier time is a wrong unit, not an old call
_LAST_MS = 4_102_444_800_000  # 2100-01-01
_MOST_NUSD = 2**62
_NANO = Decimal(1_000_000_000)
_ONE = Decimal(1)
_LONGEST_NAME = 200
_KEPT = 1000  # of a text, before it is cleaned
_NOTHING = frozenset(("", "null", "none", "None", "NULL"))
_SPACES = re.compile(r"[\x00-\x1f\x7f]+")

_DECODER = json.JSONDecoder()
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)

NO_ZONE = "times that named no zone were taken as UTC"
BESIDE = "rows counted cached or reasoning tokens beside the total; they were added to it"


class BadRowError(ValueError):
    """A row that cannot be used; its text is the reason, without where."""


def count(value: Any, what: str) -> int | None:
    """Return a whole number of tokens or requests, None where nothing is given; "3.0" is 3."""
    if value is None or value.__class__ is bool:
        return None
    if value.__class__ is str:
        if value.isdecimal() and len(value) < 11:
            number: int = int(value)
            if number > _MOST_TOKENS:
                raise BadRowError(f"{what} is {value}, more than any call has")
            return number
        if value.strip() in _NOTHING:
            return None
    elif value.__class__ is int and 0 <= value <= _MOST_TOKENS:
        return int(value)
    whole = _whole(value, what)
    if whole > _MOST_TOKENS:
        raise BadRowError(f"{what} is {whole}, more than any call has")
    return whole


def total(value: Any, what: str) -> int | None:
    """Return a whole number summed over many calls, None where nothing is given."""
    if value is None or (isinstance(value, str) and value.strip() in _NOTHING):
        return None
    whole = _whole(value, what)
    if whole > _MOST_NUSD:
        raise BadRowError(f"{what} is {value}, which no report can mean")
    return whole


def _whole(value: Any, what: str) -> int:
    number = decimal(value, what)
    if number is None:
        raise BadRowError(f"{what} is missing")
    if number < 0:
        raise BadRowError(f"{what} is negative ({value})")
    if number != number.to_integral_value():
        raise BadRowError(f"{what} is {value}, not a whole number")
    return int(number)


def decimal(value: Any, what: str) -> Decimal | None:
    """Return a number exactly as written, None where nothing is given."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        raise BadRowError(f"{what} is {shown(value)}, not a number")
    text = str(value).strip()
    if text in _NOTHING:
        return None
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise BadRowError(f"{what} is {shown(value)}, not a number") from None
    if not number.is_finite():
        raise BadRowError(f"{what} is {text}, not a number")
    return number


def nano_dollars(value: Any, what: str, *, per_dollar: int = 1, worth: Decimal = _ONE) -> int | None:
    """Return an amount in nano-dollars, rounded half to even once.

    ``per_dollar`` is 100 where it is in cents; ``worth`` is what one unit of its currency is worth in US dollars.
    """
    if value.__class__ is float and isfinite(value) and -1e6 < value < 1e6 and per_dollar == 1 and worth == 1:
        return round(value * 1e9)  # well below a nano-dollar from the decimal that was written
    number = decimal(value, what)
    if number is None:
        return None
    nano = (number * worth * _NANO / per_dollar).to_integral_value()
    if not -_MOST_NUSD < nano < _MOST_NUSD:
        raise BadRowError(f"{what} is {value}, which no bill can mean")
    return int(nano)


def cost(value: Any, what: str, *, per_dollar: int = 1, worth: Decimal = _ONE) -> int | None:
    """Return what one call cost in nano-dollars; a call costs nothing at the least."""
    nano = nano_dollars(value, what, per_dollar=per_dollar, worth=worth)
    if nano is not None and nano < 0:
        raise BadRowError(f"{what} is negative ({value})")
    return nano


def in_dollars(currency: Any, day: date, notes: Counter[str]) -> Decimal:
    """Return what one unit of a currency is worth in US dollars on a UTC day; refuses it where nobody stated that."""
    try:
        return currencies.worth(currency, day, notes)
    except ValueError as error:
        raise BadRowError(f"the currency is {shown(currency)}; {error}") from None


def milliseconds(value: Any, what: str, *, per_unit: int = 1) -> int | None:
    """Return a duration in whole milliseconds, None where unknown or below zero; seconds have 1000 ``per_unit``."""
    if value.__class__ is int:
        ms = value * per_unit
    elif value.__class__ is float and isfinite(value):
        ms = round(value * per_unit)
    else:
        number = decimal(value, what)
        if number is None:
            return None
        ms = int((number * per_unit).to_integral_value())
    if ms > _LONGEST_MS:
        raise BadRowError(f"{what} is {value}, longer than a call lasts")
    return int(ms) if ms >= 0 else None


def instant(value: Any, what: str, notes: Counter[str] | None = None) -> int:
    """Return a time in UTC epoch milliseconds, rounded down.

    Text is ISO 8601, with a space or a T; without a zone it is taken as UTC, which ``notes`` counts. A number counts
    seconds, milli-, micro- or nanoseconds since 1970, whichever falls in this century. Raises ``BadRowError`` where it
    is missing or makes no sense.
    """
    if value.__class__ is str:
        text = value.strip()
        if not text:
            raise BadRowError(f"{what} is missing")
        if "-" in text:
            try:
                moment = datetime.fromisoformat(text)
            except ValueError:
                raise BadRowError(f"{what} is {shown(text)}, not a time such as 2026-01-31T12:00:00Z") from None
            if moment.tzinfo is None:
                moment = moment.replace(tzinfo=UTC)
                if notes is not None:
                    notes[NO_ZONE] += 1
            return _sensible((moment - _EPOCH) // _MILLISECOND, value, what)
    try:
        number = decimal(value, what)
    except BadRowError:
        raise BadRowError(f"{what} is {shown(value)}, not a time such as 2026-01-31T12:00:00Z") from None
    if number is None:
        raise BadRowError(f"{what} is missing")
    for unit_per_ms, below in ((Decimal("0.001"), 10**11), (Decimal(1), 10**14), (Decimal(1000), 10**17)):
        if number < below:
            return _sensible(int(number / unit_per_ms), value, what)
    return _sensible(int(number / 1_000_000), value, what)


def _sensible(ms: int, value: Any, what: str) -> int:
    if not _FIRST_MS <= ms < _LAST_MS:
        raise BadRowError(f"{what} is {shown(value)}, which is not between the years 2000 and 2100")
    return ms


def name(value: Any) -> str:
    """Return a name as it can be kept: one line, no control characters, at most 200 characters; "" for none."""
    if not value or value.__class__ is dict or value.__class__ is list:
        return ""
    text = value if value.__class__ is str else str(value)
    return _name(text if len(text) <= _KEPT else text[:_KEPT])


@lru_cache(maxsize=8192)
def _name(text: str) -> str:
    if not text.isprintable():
        text = _SPACES.sub(" ", text)
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode()  # a lone surrogate cannot be stored
    text = text.strip()
    return text[:_LONGEST_NAME] if text not in ("None", "null") else ""


def truth(value: Any) -> bool | None:
    """Return what a boolean says, however it is written; None where it says nothing."""
    if value is None or isinstance(value, bool):
        return value
    text = str(value).strip().lower()
    if text in ("true", "1", "yes", "t"):
        return True
    if text in ("false", "0", "no", "f"):
        return False
    return None


def mapping(value: Any) -> Mapping[str, Any]:
    """Return a JSON object, given as one or as its text; empty where it is neither."""
    if value.__class__ is dict:
        return value
    if value.__class__ is str and value[:1] == "{":
        try:
            found = _DECODER.decode(value)
        except (ValueError, RecursionError):
            return {}
        if found.__class__ is dict:
            return found
    return {}


def listing(value: Any) -> list[Any]:
    """Return a JSON array, given as one or as its text; empty where it is neither."""
    if value.__class__ is list:
        return value
    if value.__class__ is str and value.lstrip()[:1] == "[":
        try:
            found = _DECODER.decode(value)
        except (ValueError, RecursionError):
            return []
        if found.__class__ is list:
            return found
    return []


def share(value: Any, what: str, *, of: float = 1.0) -> float | None:
    """Return a score as a share of ``of``, None where there is none or it lies outside."""
    if isinstance(value, bool):
        return 1.0 if value else 0.0
    try:
        number = decimal(value, what)
    except BadRowError:
        return None
    if number is None:
        return None
    part = float(number) / of
    return part if 0 <= part <= 1 else None


def usage(
    input_tokens: int | None,
    output_tokens: int | None,
    cache_read: int | None = None,
    cache_write: int | None = None,
    reasoning: int | None = None,
    notes: Counter[str] | None = None,
) -> Usage | None:
    """Return token counts in our convention; None where none were counted.

    Subsets that exceed their total can only stand beside it, so they are added to it, which ``notes`` counts.
    """
    tokens_in, tokens_out = input_tokens or 0, output_tokens or 0
    read, write, thought = cache_read or 0, cache_write or 0, reasoning or 0
    if read + write > tokens_in or thought > tokens_out:
        tokens_in += read + write if read + write > tokens_in else 0
        tokens_out += thought if thought > tokens_out else 0
        if notes is not None:
            notes[BESIDE] += 1
    if not tokens_in and not tokens_out:
        return None
    return Usage(tokens_in, tokens_out, read, write, thought)


def shown(value: Any) -> str:
    """Return a value as a sentence can quote it, cut where it is long."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
