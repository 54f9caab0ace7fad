"""Price lists to choose from: the installed genai-prices, or LiteLLM's and models.dev's JSON from a file or URL."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from router_core.errors import InputError
from router_core.prices import litellm_map, models_dev
from router_core.prices.catalogue import catalogue
from router_core.prices.price import Price
from router_core.prices.quotes import Name, NotARowError

INSTALLED = "installed"
"""What a person writes for the prices of the installed genai-prices."""

_LARGEST_MB = 64
_PATIENCE_S = 30
_KNOWN = (litellm_map, models_dev)


@dataclass(frozen=True, slots=True)
class PriceList:
    """One list of prices: catalogue rows without ids by (provider, model).

    A ``dated`` list says from when a price holds, and of every size, hour and processing. In others rows start at
    ``FIRST_KNOWN``, which is not meant, and what they leave out may only be unknown to them. ``twice`` are the models
    that stand in the list at different prices, of which the first counts; ``left_out`` counts by reason those that are
    no rows.
    """

    title: str
    rows: Mapping[Name, tuple[Price, ...]]
    dated: bool = False
    twice: frozenset[Name] = frozenset()
    left_out: Mapping[str, int] = field(default_factory=dict)


def installed_list() -> PriceList:
    """Return the prices of the installed genai-prices."""
    rows: dict[Name, list[Price]] = {}
    for price in catalogue():
        rows.setdefault((price.provider_name, price.model), []).append(price)
    title = next((prices[0].source for prices in rows.values()), "genai-prices")
    return PriceList(title, {name: tuple(prices) for name, prices in rows.items()}, dated=True)


def read_price_list(where: str) -> PriceList:
    """Read a list: "installed", a file, or an http(s) URL; raises ``InputError`` where it cannot be read or used."""
    if where == INSTALLED:
        return installed_list()
    fetch = _fetched if where.startswith(("http://", "https://")) else _read
    return parse_price_list(fetch(where), where)


def parse_price_list(content: bytes, where: str) -> PriceList:
    """Read LiteLLM's or models.dev's JSON; ``where`` is how sentences call it. Raises ``InputError``."""
    try:
        data = json.loads(content.decode("utf-8-sig"), parse_float=Decimal, parse_constant=Decimal)
    except (UnicodeDecodeError, ValueError, ArithmeticError, RecursionError) as error:
        line = error.lineno if isinstance(error, json.JSONDecodeError) else None
        raise InputError("this is not JSON; give LiteLLM's or models.dev's prices", source=where, line=line) from None
    kind = next((known for known in _KNOWN if isinstance(data, dict) and known.fits(data)), None)
    if kind is None:
        raise InputError(
            "no list of prices known here looks like this; give LiteLLM's model_prices_and_context_window.json or "
            "models.dev's api.json",
            source=where,
        )
    found: dict[Name, tuple[Price, ...]] = {}
    twice: set[Name] = set()
    left_out: Counter[str] = Counter()
    for name, rows in kind.entries(data, f"{kind.TITLE}, {where if '://' in where else Path(where).name}"):
        if isinstance(rows, NotARowError):
            left_out[str(rows)] += 1
        elif found.setdefault(name, tuple(rows)) != tuple(rows):
            twice.add(name)
    if not found:
        raise InputError("this list prices no model by its tokens", source=where)
    return PriceList(kind.TITLE, found, twice=frozenset(twice), left_out=left_out)


def _read(path: str) -> bytes:
    try:
        with Path(path).open("rb") as file:
            return _bounded(file.read(_LARGEST_MB * 2**20 + 1), path)
    except OSError as error:
        raise InputError(f"the prices cannot be read: {error.strerror}", source=path) from None


def _fetched(url: str) -> bytes:
    import httpx  # waits until somebody asks for the network

    content = b""
    try:
        with httpx.stream("GET", url, follow_redirects=True, timeout=_PATIENCE_S) as answer:
            if answer.status_code != httpx.codes.OK:
                raise InputError(f"the prices cannot be fetched: the answer is {answer.status_code}", source=url)
            for piece in answer.iter_bytes(2**20):
                content = _bounded(content + piece, url)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        reason = str(error) or type(error).__name__
        raise InputError(f"the prices cannot be fetched: {reason}", source=url) from None
    return content


def _bounded(content: bytes, where: str) -> bytes:
    if len(content) > _LARGEST_MB * 2**20:
        raise InputError(f"this is larger than {_LARGEST_MB} MB, which no list of prices is", source=where)
    return content
