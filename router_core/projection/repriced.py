"""Prices of a scenario: which price takes the place of each that priced the log, by date, change, swap and batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

from router_core.config import RoutingConfig, suggest
from router_core.errors import InputError, UnpricedModelError
from router_core.prices import Price, PriceBook
from router_core.projection.cube import Cube
from router_core.projection.pricing import nusd_per_token
from router_core.projection.scenario import NewPrice, Scenario

Rows = Mapping[int, Price]
"""Prices by the place of the row they replace, in ``cube.calls.rows``."""

SUMMARY = 0.1
"""Tokens that whoever shortens an input writes for one that is left out."""

_Rates = tuple[Decimal | None, Decimal | None, Decimal | None, Decimal | None]


class Repricing:
    """The price rows of a log under one scenario; ``said`` are sentences on what was assumed.

    Raises ``InputError`` where a scenario names a model that is not known, ``UnpricedModelError`` where one has no
    price.
    """

    def __init__(self, cube: Cube, config: RoutingConfig, book: PriceBook, scenario: Scenario) -> None:
        self._rows, self._book, self._scenario = cube.calls.rows, book, scenario
        self._config = config
        self._day = scenario.prices_at or cube.until or date(1970, 1, 1)
        self._changes = {key: new for name, new in scenario.prices.items() for key in self._keys(name)}
        self._swapped = {
            key: (self._price_of(swap.model), swap.verbosity)
            for tier, swap in scenario.swaps.items()
            for key in self._keys(config.tier(tier).models[0])
        }
        self.said = tuple(self._say())

    def rows(self, batch: float = 0.0, verbosity: float = 1.0, kept: float = 1.0) -> dict[int, Price]:
        """Return what replaces each row, with the share ``batch`` of the calls at batch prices; ``verbosity`` stands in
        for that of swapped models where nobody knows it, ``kept`` is the share of the input that is left."""
        found = {}
        for place, row in enumerate(self._rows):
            if row is None:
                continue
            new = self._in_force(row) if self._scenario.prices_at is not None else row
            swapped = self._swapped.get((row.provider_name, row.model))
            if swapped is not None:
                new = _talking(swapped[0], swapped[1] or verbosity)
            named = self._changes.get((new.provider_name, new.model))
            if named is not None:
                new = _changed(new, named)
            if batch:
                new = self._batched(new, batch)
            if kept != 1:
                new = _shortened(new, kept)
            if new != row:
                found[place] = new
        return found

    def summarising(self) -> tuple[str, float]:
        """Return the model that shortens inputs, the first tier's first, and what that costs for a token left out."""
        model = self._config.tiers[0].models[0]
        sent, received, _, _ = nusd_per_token(self._price_of(model))
        return model, sent + SUMMARY * received

    def without_batch(self) -> list[str]:
        """Return the models in use for which no batch price is known."""
        used = {(row.provider_name, row.model) for row in self._rows if row is not None and row.processing != "batch"}
        return sorted(model for provider, model in used if self._batch_price(provider, model, 0) is None)

    def _named(self, name: str) -> tuple[str, str]:
        """Return whose model a name means: one of the configuration, or PROVIDER/MODEL."""
        if name in self._config.models:
            return self._config.price_names(name)
        provider, slash, model = name.partition("/")
        known = {(row.provider_name, row.model) for row in self._rows if row is not None}
        if slash and ((provider, model) in known or self._book.history(provider, model)):
            return provider, model
        raise InputError(f"there is no model {name!r}; {suggest(name, list(self._config.models))}")

    def _keys(self, name: str) -> set[tuple[str, str]]:
        """Return the names under which a model's prices may stand."""
        provider, model = self._named(name)
        return {
            (provider, model),
            *((price.provider_name, price.model) for price in self._book.history(provider, model)),
        }

    def _price_of(self, name: str) -> Price:
        provider, model = self._named(name)
        price = self._book.find(provider, model, _noon(self._day))
        if price is None:
            raise UnpricedModelError(provider, model)
        return price

    def _in_force(self, row: Price) -> Price:
        """Return the price that holds on the scenario's day for the calls that ``row`` had priced."""
        at_ms = _noon(self._day) if row.minute_from is None else _midnight(self._day) + row.minute_from * 60_000
        found = self._book.find(row.provider_name, row.model, at_ms, row.min_input_tokens, row.processing)
        return row if found is None or found.processing != row.processing else found

    def _batch_price(self, provider: str, model: str, input_tokens: int) -> Price | None:
        found = self._book.find(provider, model, _noon(self._day), input_tokens, "batch")
        return found if found is not None and found.processing == "batch" else None

    def _batched(self, row: Price, share: float) -> Price:
        listed = self._batch_price(row.provider_name, row.model, row.min_input_tokens)
        if listed is None or row.processing == "batch":
            return row
        part = Decimal(str(share))
        mixed = [
            None if plain is None or cheap is None else (1 - part) * plain + part * cheap
            for plain, cheap in zip(_rates(row), _rates(listed), strict=True)
        ]
        return _with_rates(row, (mixed[0], mixed[1], mixed[2], mixed[3]))

    def _say(self) -> list[str]:
        said = []
        if self._scenario.prices_at is not None:
            said.append(f"All calls cost what they cost on {self._day}.")
        for name, new in self._scenario.prices.items():
            if new.change is not None:
                said.append(f"{name} costs {abs(new.change):.0%} {'more' if new.change >= 0 else 'less'}.")
            else:
                parts = [f"${rate:g} for a million {unit}" for unit, rate in _given(new)]
                said.append(f"{name} costs {' and '.join(parts)} tokens; cached input in step with input.")
        for tier, swap in self._scenario.swaps.items():
            old = self._config.tier(tier).models[0]
            if swap.verbosity is None:
                how = "in anything from half to three times as many output tokens, which the interval covers"
            else:
                how = f"in {swap.verbosity:g} times as many output tokens"
            said.append(f"{swap.model} answers what {old} answered, {how}.")
        return said


def _given(new: NewPrice) -> list[tuple[str, float]]:
    return [(unit, rate) for unit, rate in (("input", new.input), ("output", new.output)) if rate is not None]


def _rates(price: Price) -> _Rates:
    """Return the rates with the input's in place of those of cached input that are not listed."""
    plain, read, write = price.input_usd_per_mtok, price.cache_read_usd_per_mtok, price.cache_write_usd_per_mtok
    return plain, price.output_usd_per_mtok, plain if read is None else read, plain if write is None else write


def _with_rates(price: Price, rates: _Rates) -> Price:
    return replace(
        price,
        id=None,
        input_usd_per_mtok=rates[0],
        output_usd_per_mtok=rates[1],
        cache_read_usd_per_mtok=rates[2],
        cache_write_usd_per_mtok=rates[3],
    )


def _changed(price: Price, new: NewPrice) -> Price:
    plain, output, read, write = _rates(price)
    if new.change is not None:
        factor = 1 + Decimal(str(new.change))
        plain, output, read, write = (None if rate is None else rate * factor for rate in (plain, output, read, write))
    if new.input is not None:
        sent = Decimal(str(new.input))
        step = sent / plain if plain else None
        read, write = (sent if rate is None or step is None else rate * step for rate in (read, write))
        plain = sent
    if new.output is not None:
        output = Decimal(str(new.output))
    return _with_rates(price, (plain, output, read, write))


def _talking(price: Price, verbosity: float) -> Price:
    """Return a price that charges for one output token what ``verbosity`` of them cost."""
    output = price.output_usd_per_mtok
    return replace(price, id=None, output_usd_per_mtok=None if output is None else output * Decimal(str(verbosity)))


def _shortened(price: Price, kept: float) -> Price:
    """Return a price that charges for a token sent what the share of it that is left costs."""
    part = Decimal(str(kept))
    plain, output, read, write = _rates(price)
    sent = (None if rate is None else rate * part for rate in (plain, read, write))
    plain, read, write = sent
    return _with_rates(price, (plain, output, read, write))


def _midnight(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() * 1000)


def _noon(day: date) -> int:
    return _midnight(day) + 43_200_000
