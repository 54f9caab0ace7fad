"""Meters of a model's use - input, cached input, output - and what each of them cost, so that they add up exactly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from router_core.prices import Price


@dataclass(frozen=True, slots=True)
class Meter:
    """One kind of token, under the names FOCUS uses."""

    name: str
    slug: str
    direction: str
    cache_action: str | None


INPUT = Meter("Input Tokens", "input-tokens", "Input", "Uncached")
CACHE_READ = Meter("Cache Read Input Tokens", "cache-read-input-tokens", "Input", "Read")
CACHE_WRITE = Meter("Cache Write Input Tokens", "cache-write-input-tokens", "Input", "Write")
OUTPUT = Meter("Output Tokens", "output-tokens", "Output", None)
METERS = (INPUT, CACHE_READ, CACHE_WRITE, OUTPUT)


@dataclass(frozen=True, slots=True)
class Tokens:
    """Tokens of some calls, those read from and written to a cache being part of ``input_tokens``."""

    input_tokens: int
    output_tokens: int
    cache_read_input_tokens: int
    cache_write_input_tokens: int

    def by_meter(self) -> tuple[int, int, int, int]:
        """Return the tokens of each of ``METERS``; these stand beside one another."""
        plain = self.input_tokens - self.cache_read_input_tokens - self.cache_write_input_tokens
        return plain, self.cache_read_input_tokens, self.cache_write_input_tokens, self.output_tokens


def unit_prices(price: Price | None) -> tuple[Decimal | None, Decimal | None, Decimal | None, Decimal | None]:
    """Return US dollars per million tokens of each of ``METERS``; what is cached costs as input unless it is said."""
    if price is None:
        return None, None, None, None
    plain = price.input_usd_per_mtok
    read, write = price.cache_read_usd_per_mtok, price.cache_write_usd_per_mtok
    return plain, plain if read is None else read, plain if write is None else write, price.output_usd_per_mtok


def apportion(total: int, weights: Sequence[Decimal | int]) -> list[int]:
    """Part a whole number in proportion to weights, so that the parts add up to it; the first takes all without any."""
    whole = sum((Decimal(weight) for weight in weights), Decimal(0))
    if not whole:
        return [total, *([0] * (len(weights) - 1))]
    exact = [Decimal(total) * Decimal(weight) / whole for weight in weights]
    parts = [int(part // 1) for part in exact]
    short = total - sum(parts)
    order = sorted(range(len(parts)), key=lambda place: (parts[place] - exact[place], place))
    for place in order[:short]:
        parts[place] += 1
    return parts
