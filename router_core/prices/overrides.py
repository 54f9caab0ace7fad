"""Prices people write down: entries of data/prices.yaml and of the command line, checked and explained."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import yaml

from router_core.errors import ConfigError
from router_core.prices.price import LAYERS, PROCESSINGS, Layer, Price

_RATES = ("input", "output", "cache_read", "cache_write")
_KEYS = (
    "provider",
    "model",
    "layer",
    "effective_from",
    "processing",
    "min_input_tokens",
    "utc_from",
    "utc_to",
    *_RATES,
    "source",
    "note",
)
_NOTHING = ("", "~", "null", "none")
_HIGHEST = Decimal(1_000_000)  # a dollar a token; beyond it the unit was mistaken


def price_from_entry(entry: Mapping[str, Any], *, line: int | None = None) -> Price:
    """Check one written price and return it, without an id.

    Keys: provider ("*" for any), model, effective_from (a UTC date), input, output, cache_read, cache_write (US dollars
    per million tokens), layer (contract unless given), processing, min_input_tokens, utc_from and utc_to (HH:MM),
    source, note. Raises ``ConfigError``, naming the line where one is given.
    """
    given = {str(key): str(value).strip() for key, value in entry.items() if value is not None}
    given = {key: value for key, value in given.items() if value.lower() not in _NOTHING}
    for key in given:
        if key not in _KEYS:
            near = difflib.get_close_matches(key, _KEYS, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"the keys are {', '.join(_KEYS)}"
            raise ConfigError(f"unknown key {key!r} in a price; {hint}", path=key, line=line)
    for key in ("provider", "model", "effective_from"):
        if key not in given:
            raise ConfigError(f"a price needs {key!r}", path=key, line=line)
    usd = {key: _rate(given, key, line) for key in _RATES}
    if usd["input"] is None and usd["output"] is None:
        raise ConfigError(
            f"the price of {given['model']!r} names neither 'input' nor 'output', in US dollars per million tokens",
            path="input",
            line=line,
        )
    minute_from, minute_to = _minute(given, "utc_from", line), _minute(given, "utc_to", line)
    if (minute_from is None) != (minute_to is None):
        raise ConfigError("a time-of-day price needs both 'utc_from' and 'utc_to'", path="utc_from", line=line)
    if minute_from is not None and minute_from == minute_to:
        raise ConfigError("'utc_from' and 'utc_to' are the same; leave both out for all day", path="utc_to", line=line)
    return Price(
        None,
        given["provider"],
        given["model"],
        _layer(given.get("layer", "contract"), line),
        _day(given["effective_from"], line),
        _processing(given.get("processing", "standard"), line),
        _tokens(given.get("min_input_tokens", "0"), line),
        minute_from,
        minute_to,
        usd["input"],
        usd["output"],
        usd["cache_read"],
        usd["cache_write"],
        given.get("source", ""),
        given.get("note", ""),
    )


def _rate(given: Mapping[str, str], key: str, line: int | None) -> Decimal | None:
    text = given.get(key)
    if text is None:
        return None
    try:
        rate = Decimal(text)
    except InvalidOperation:
        rate = Decimal("NaN")
    if not rate.is_finite():
        raise ConfigError(
            f"{key!r} of {given['model']!r} is {text!r}, which is not a number; write US dollars per million tokens, "
            "such as 0.15",
            path=key,
            line=line,
        )
    if rate < 0:
        raise ConfigError(f"{key!r} of {given['model']!r} is {text}; a price cannot be negative", path=key, line=line)
    if rate > _HIGHEST:
        raise ConfigError(
            f"{key!r} of {given['model']!r} is {text}, above a dollar a token; write US dollars per million tokens",
            path=key,
            line=line,
        )
    return abs(rate)  # no negative zero


def _layer(text: str, line: int | None) -> Layer:
    for layer in LAYERS:
        if layer == text:
            return layer
    raise ConfigError(f"there is no layer {text!r}; choose one of {', '.join(LAYERS)}", path="layer", line=line)


def _processing(text: str, line: int | None) -> str:
    if text not in PROCESSINGS:
        raise ConfigError(
            f"there is no processing {text!r}; choose one of {', '.join(PROCESSINGS)}", path="processing", line=line
        )
    return text


def _day(text: str, line: int | None) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ConfigError(
            f"{text!r} is not a date; write the UTC date it starts, such as 2026-01-31",
            path="effective_from",
            line=line,
        ) from None


def _tokens(text: str, line: int | None) -> int:
    if not re.fullmatch(r"[0-9]{1,12}", text):
        raise ConfigError(
            f"'min_input_tokens' is {text!r}; write a whole number of tokens", path="min_input_tokens", line=line
        )
    return int(text)


def _minute(given: Mapping[str, str], key: str, line: int | None) -> int | None:
    text = given.get(key)
    if text is None:
        return None
    clock = re.fullmatch(r"([01]?[0-9]|2[0-3]):([0-5][0-9])", text)
    if clock is None:
        raise ConfigError(f"{key!r} is {text!r}; write a UTC time such as 16:30", path=key, line=line)
    return int(clock[1]) * 60 + int(clock[2])


def parse_price_overrides(text: str) -> list[Price]:
    """Read ``prices: [...]`` from YAML; numbers keep every decimal. Raises ``ConfigError`` with the line."""
    try:
        # BaseLoader leaves every scalar as the text that was written, so 0.1 is a tenth.
        node = yaml.compose(text.removeprefix("\ufeff"), Loader=yaml.BaseLoader)
        data = yaml.BaseLoader("").construct_document(node) if node is not None else {}
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        raise ConfigError(f"this is not YAML: {error.problem}", line=mark.line + 1 if mark else None) from None
    except yaml.YAMLError as error:
        raise ConfigError(f"this is not YAML: {str(error).splitlines()[0]}") from None
    except RecursionError:
        raise ConfigError("this is nested too deeply for a list of prices") from None
    if data and (not isinstance(data, dict) or list(data) != ["prices"]):
        raise ConfigError("price overrides are one list under the key 'prices'", line=1)
    entries = data["prices"] if data else []
    if entries in ("", "~", "null"):
        return []
    if not isinstance(entries, list):
        raise ConfigError("'prices' is a list, one entry a price", path="prices", line=1)
    nodes = node.value[0][1].value if node is not None and entries else []
    return [_written(entry, item) for entry, item in zip(entries, nodes, strict=True)]


def _written(entry: Any, node: yaml.Node) -> Price:
    line = node.start_mark.line + 1
    if not isinstance(entry, dict) or not all(isinstance(value, str) for value in entry.values()):
        raise ConfigError("each price is a mapping such as {provider: openai, model: gpt-4.1, ...}", line=line)
    keys = [key.value for key, _ in node.value]
    if len(keys) != len(entry):
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ConfigError(f"{twice!r} is given twice in one price", path=twice, line=line)
    return price_from_entry(entry, line=line)


def load_price_overrides(path: str | Path) -> list[Price]:
    """Read a file of price overrides; raises ``ConfigError`` where it cannot be read or used."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigError(f"cannot read the prices {str(path)!r}: {reason}") from None
    return parse_price_overrides(text)
