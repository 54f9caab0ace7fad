"""What newer price lists would change in a ledger: asked with its own prices and the models it uses."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from router_core.ledger.price_rows import read_prices
from router_core.ledger.priced import called
from router_core.ledger.store import Ledger
from router_core.lifecycle import versions
from router_core.prices import PriceBook
from router_core.prices.lists import INSTALLED, PriceList, installed_list, read_price_list
from router_core.prices.refresh import Change, changes


def read_lists(sources: Sequence[str]) -> tuple[PriceList, list[PriceList]]:
    """Return the list that is asked and those that may disagree, the installed genai-prices always among them.

    Each is "installed", a file or a URL, the first is the one asked; raises ``InputError`` where one cannot be read.
    """
    offered, *others = [read_price_list(source) for source in sources] or [installed_list()]
    if INSTALLED not in sources and sources:
        others.append(installed_list())
    return offered, others


def price_changes(ledger: Ledger, offered: PriceList, on: date, others: Sequence[PriceList] = ()) -> list[Change]:
    """Return what a list would change in a ledger from a UTC date on, models in use first; nothing is changed yet."""
    config = versions.live(ledger).config
    used = {config.price_names(model) for model in config.models} | called(ledger)
    return changes(PriceBook(read_prices(ledger)), offered, on, others=others, used=used)
