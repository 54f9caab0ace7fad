"""models.dev's list of prices (api.json): providers, their models, and US dollars per million tokens."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from router_core.prices.catalogue import known_provider
from router_core.prices.price import Price
from router_core.prices.quotes import BY_REASONING, NO_TOKENS, Name, NotARowError, Usd, quote, rate

TITLE = "models.dev"


def fits(data: Mapping[str, Any]) -> bool:
    """Say whether this is models.dev's list."""
    return any(isinstance(entry, dict) and isinstance(entry.get("models"), dict) for entry in data.values())


def entries(data: Mapping[str, Any], source: str) -> Iterator[tuple[Name, list[Price] | NotARowError]]:
    """Yield every model with its rows, or why it has none."""
    for provider, entry in data.items():
        models = entry.get("models") if isinstance(entry, dict) else None
        for model, told in models.items() if isinstance(models, dict) else ():
            name = (known_provider(provider), str(model))
            try:
                yield name, _rows(name, told.get("cost") if isinstance(told, dict) else None, source)
            except NotARowError as error:
                yield name, error


def _rows(name: Name, cost: Any, source: str) -> list[Price]:
    if not isinstance(cost, dict):
        raise NotARowError(NO_TOKENS)
    if cost.get("reasoning") not in (None, cost.get("output")):
        raise NotARowError(BY_REASONING)
    found = [quote(name, _usd(cost), source)]
    tiers = cost.get("tiers")
    for tier in tiers if isinstance(tiers, list) else ():
        mark = tier.get("tier") if isinstance(tier, dict) else None
        if not isinstance(mark, dict) or mark.get("type") != "context" or not isinstance(mark.get("size"), int):
            raise NotARowError("at prices by something else than the size of the prompt")
        found.append(quote(name, _usd(tier), source, min_input_tokens=mark["size"] + 1))
    if not tiers and isinstance(cost.get("context_over_200k"), dict):
        found.append(quote(name, _usd(cost["context_over_200k"]), source, min_input_tokens=200_001))
    return found


def _usd(given: Mapping[str, Any]) -> Usd:
    return Usd(*(rate(given.get(key)) for key in Usd._fields))
