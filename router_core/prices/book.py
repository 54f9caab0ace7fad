"""PriceBook: finds the one price that held for a call, among layers, dates, sizes and hours."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import date
from typing import NamedTuple

from router_core.prices.catalogue import Name, resolve_name
from router_core.prices.price import ANY_PROVIDER, LAYERS, Price, cost_nusd
from router_core.usage import Usage

_EPOCH = date(1970, 1, 1).toordinal()
_DAY_MS = 86_400_000
_MOST_REMEMBERED = 20_000  # callers may name any model, so what is remembered must be bounded


class Cost(NamedTuple):
    """What a call cost, in nano-dollars, and the price that says so."""

    nusd: int
    price: Price


class _Candidate(NamedTuple):
    starts_ms: int
    min_input_tokens: int
    whole_day: bool
    price: Price


class PriceBook:
    """All prices known, asked for by model and time.

    Of the prices that fit a call, the winner is decided by, in this order: the processing asked for before standard
    (a row speaks for its own processing only; where none does, the standard price is returned and says so); the
    layer, manual over contract over catalogue, whole rows; the provider named over any provider; the latest start;
    a time-of-day price over an all-day one; the highest ``min_input_tokens``; the row added last.

    A name the book does not hold is resolved as genai-prices would ("gpt-4.1-mini-2025-04-14" is gpt-4.1-mini,
    "gcp.gemini" is google); that library is imported only then.
    """

    def __init__(
        self, prices: Iterable[Price] = (), *, resolve: Callable[[str, str], Name | None] = resolve_name
    ) -> None:
        self._rows: dict[tuple[str, str], list[Price]] = {}
        for price in prices:
            self._rows.setdefault((price.provider_name, price.model), []).append(price)
        self._resolve = resolve
        self._ranked: dict[tuple[str, str, str], tuple[_Candidate, ...]] = {}

    def find(
        self, provider_name: str, model: str, at_ms: int, input_tokens: int = 0, processing: str = "standard"
    ) -> Price | None:
        """Return the price that held at ``at_ms`` (UTC epoch milliseconds) for a call of that many input tokens."""
        key = (provider_name, model, processing)
        ranked = self._ranked.get(key)
        if ranked is None:
            if len(self._ranked) >= _MOST_REMEMBERED:
                self._ranked.clear()
            ranked = self._ranked[key] = self._rank(provider_name, model, processing)
        for starts_ms, min_input_tokens, whole_day, price in ranked:
            if (
                starts_ms <= at_ms
                and min_input_tokens <= input_tokens
                and (whole_day or price.holds_at(at_ms // 60_000 % 1440))
            ):
                return price
        return None

    def list_cost(
        self, usage: Usage, *, provider_name: str, model: str, at_ms: int, processing: str = "standard"
    ) -> Cost | None:
        """Price a call; None where no price, or not every rate it needs, is known."""
        price = self.find(provider_name, model, at_ms, usage.input_tokens, processing)
        if price is None:
            return None
        nusd = cost_nusd(price, usage)
        return None if nusd is None else Cost(nusd, price)

    def history(self, provider_name: str, model: str) -> tuple[Price, ...]:
        """Return every row that may price this model, whatever its processing, the oldest start first."""
        rows = [price for name in self._names(provider_name, model) for price in self._rows.get(name[:2], ())]
        return tuple(sorted(rows, key=lambda price: (price.effective_from, LAYERS.index(price.layer))))

    def rows(self, provider_name: str, model: str) -> tuple[Price, ...]:
        """Return the rows that stand under exactly these names, in the order they were added."""
        return tuple(self._rows.get((provider_name, model), ()))

    def resolved(self, provider_name: str, model: str) -> Name | None:
        """Return where the catalogue keeps a model's prices; None where it does not know it."""
        return self._resolve(provider_name, model)

    def models(self) -> tuple[tuple[str, str], ...]:
        """Return (provider, model) of everything priced, sorted."""
        return tuple(sorted(self._rows))

    def with_prices(self, prices: Iterable[Price]) -> PriceBook:
        """Return a book with further rows, added last; this one stays as it is."""
        return PriceBook([*(price for rows in self._rows.values() for price in rows), *prices], resolve=self._resolve)

    def __iter__(self) -> Iterator[Price]:
        return (price for rows in self._rows.values() for price in rows)

    def __len__(self) -> int:
        return sum(len(rows) for rows in self._rows.values())

    def _names(self, provider_name: str, model: str) -> list[tuple[str, str, bool]]:
        """List the (provider, model) under which rows may stand, closest first, and whether its variants count."""
        names = [(provider_name, model, True), (ANY_PROVIDER, model, True)]
        if not any(price.layer == "catalogue" for name in names for price in self._rows.get(name[:2], ())):
            resolved = self._resolve(provider_name, model) if self._rows else None
            if resolved is not None:
                own = resolved.served_by_owner
                names += [(resolved.provider_name, resolved.model, own), (ANY_PROVIDER, resolved.model, own)]
        return list(dict.fromkeys(names))

    def _rank(self, provider_name: str, model: str, processing: str) -> tuple[_Candidate, ...]:
        found: list[tuple[tuple[int, ...], Price]] = []
        for closeness, (provider, name, variants) in enumerate(self._names(provider_name, model)):
            for position, price in enumerate(self._rows.get((provider, name), ())):
                exact = price.processing == processing and (variants or processing == "standard")
                if not exact and price.processing != "standard":
                    continue
                order = (
                    not exact,
                    -LAYERS.index(price.layer),
                    closeness,
                    -price.effective_from.toordinal(),
                    price.minute_from is None,
                    -price.min_input_tokens,
                    -position,
                )
                found.append((order, price))
        found.sort(key=lambda pair: pair[0])
        return tuple(
            _Candidate(
                (price.effective_from.toordinal() - _EPOCH) * _DAY_MS,
                price.min_input_tokens,
                price.minute_from is None,
                price,
            )
            for _, price in found
        )
