"""Dated prices: what a call to a model cost at the time it was made, exact to the nano-dollar."""

from router_core.prices.book import Cost, PriceBook
from router_core.prices.catalogue import Name, catalogue, resolve_name
from router_core.prices.overrides import load_price_overrides, parse_price_overrides, price_from_entry
from router_core.prices.price import (
    ANY_PROVIDER,
    FIRST_KNOWN,
    LAYERS,
    PROCESSINGS,
    Layer,
    Price,
    Rates,
    cost_nusd,
    rates,
    shown_calls,
)

__all__ = [
    "ANY_PROVIDER",
    "FIRST_KNOWN",
    "LAYERS",
    "PROCESSINGS",
    "Cost",
    "Layer",
    "Name",
    "Price",
    "PriceBook",
    "Rates",
    "catalogue",
    "cost_nusd",
    "load_price_overrides",
    "parse_price_overrides",
    "price_from_entry",
    "rates",
    "resolve_name",
    "shown_calls",
]
