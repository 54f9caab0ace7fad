"""LiteLLM's list of prices (model_prices_and_context_window.json): US dollars a token, by name of the model."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from router_core.prices.catalogue import known_provider
from router_core.prices.price import Price
from router_core.prices.quotes import BY_REASONING, Name, NotARowError, Usd, quote, rate

TITLE = "LiteLLM"

_MODES = ("chat", "completion", "responses", "embedding", None)
_MILLION = 1_000_000
_KEYS = {
    "input_cost_per_token": "input",
    "output_cost_per_token": "output",
    "cache_read_input_token_cost": "cache_read",
    "cache_creation_input_token_cost": "cache_write",
}
_PROCESSINGS = {"": "standard", "_batches": "batch", "_flex": "flex", "_priority": "priority"}
_KEY = re.compile(rf"({'|'.join(_KEYS)})(?:_above_(\d+)(k?)_tokens)?({'|'.join(filter(None, _PROCESSINGS))}|)")
_CLOCK = re.compile(r"(\d\d):(\d\d)-(\d\d):(\d\d)")

_When = tuple[str, int]  # processing, min_input_tokens


def fits(data: Mapping[str, Any]) -> bool:
    """Say whether this is LiteLLM's list."""
    return any(isinstance(entry, dict) and "litellm_provider" in entry for entry in data.values())


def entries(data: Mapping[str, Any], source: str) -> Iterator[tuple[Name, list[Price] | NotARowError]]:
    """Yield every model that works on text with its rows, or why it has none."""
    for key, entry in data.items():
        if key == "sample_spec" or not isinstance(entry, dict) or entry.get("mode") not in _MODES:
            continue
        name = _name(key, str(entry.get("litellm_provider") or ""))
        try:
            yield name, _rows(name, entry, source)
        except NotARowError as error:
            yield name, error


def _name(key: str, provider: str) -> Name:
    """Return (provider, model): most keys are the model's own name, with or without the provider before it."""
    front, mark, rest = key.partition("/")
    known = known_provider(provider)
    return (known, rest) if mark and known_provider(front) == known else (known, key)


def _rows(name: Name, entry: Mapping[str, Any], source: str) -> list[Price]:
    if entry.get("output_cost_per_reasoning_token") not in (None, entry.get("output_cost_per_token")):
        raise NotARowError(BY_REASONING)
    if entry.get("input_cost_per_request"):
        raise NotARowError("charged by request as well")
    usd: dict[_When, dict[str, Any]] = {}
    for key, value in entry.items():
        if found := _KEY.fullmatch(key):
            rates, size, thousand, suffix = found.groups()
            least = int(size) * (1000 if thousand else 1) + 1 if size else 0
            usd.setdefault((_PROCESSINGS[suffix], least), {})[_KEYS[rates]] = rate(value, _MILLION)
    for step in entry.get("tiered_pricing") or ():
        first = int(step["range"][0]) if isinstance(step, dict) and isinstance(step.get("range"), list) else -1
        if first < 0:
            raise NotARowError("at prices by something else than the size of the prompt")
        given = {mine: rate(step[theirs], _MILLION) for theirs, mine in _KEYS.items() if theirs in step}
        usd.setdefault(("standard", first + 1 if first else 0), {}).update(given)
    plain = usd.get(("standard", 0), {})
    rows = [quote(name, Usd(*map(plain.get, Usd._fields)), source)]
    for (processing, least), given in sorted(usd.items()):
        if (processing, least) != ("standard", 0) and given.get("input", given.get("output")) is not None:
            whole = {**usd.get((processing, 0), {}), **given}  # what a long prompt does not change stays
            each = Usd(*map(whole.get, Usd._fields))
            rows.append(quote(name, each, source, processing=processing, min_input_tokens=least))
    return rows + _off_peak(name, entry, plain, source)


def _off_peak(name: Name, entry: Mapping[str, Any], plain: Mapping[str, Any], source: str) -> list[Price]:
    """Return the rows of cheaper hours; what they do not name costs what it costs all day."""
    told = entry.get("off_peak_pricing")
    if not isinstance(told, dict):
        return []
    windows = told.get("windows", [{"hours_utc": told.get("hours_utc")}])
    if not isinstance(windows, list) or any(not isinstance(one, dict) or one.get("weekdays") for one in windows):
        raise NotARowError("at prices that differ by the day of the week")
    spans = [span for one in windows for span in _spans(one.get("hours_utc"))]
    given = {mine: rate(told.get(theirs), _MILLION) for theirs, mine in _KEYS.items() if theirs in told}
    usd = Usd(*(given.get(key, plain.get(key)) for key in Usd._fields))
    return [quote(name, usd, source, minutes=span) for span in spans]


def _spans(hours: Any) -> Iterator[tuple[int, int]]:
    for text in hours if isinstance(hours, list) else [hours]:
        clock = _CLOCK.fullmatch(text) if isinstance(text, str) else None
        if clock is None:
            raise NotARowError("at prices by hours that cannot be read")
        begin, end = (int(clock[place]) * 60 + int(clock[place + 1]) for place in (1, 3))
        if begin >= 1440 or end > 1440 or begin == end:
            raise NotARowError("at prices by hours that cannot be read")
        yield begin, end % 1440
