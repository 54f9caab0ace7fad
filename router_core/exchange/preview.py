"""What a file holds, before it is imported: its format and its first items, with nothing written anywhere."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import Literal

from router_core.exchange.calls import Item, Rejected
from router_core.exchange.columns import Columns
from router_core.exchange.sniff import sniff
from router_core.exchange.source import Source


@dataclass(frozen=True, slots=True)
class Preview:
    """A look at a file; ``items`` are the first that can be used, ``rejected`` the first that cannot."""

    name: str
    title: str
    holds: Literal["calls", "spend", "decisions"]
    items: tuple[Item, ...]
    rejected: tuple[Rejected, ...]


def preview(source: Source, format: str = "auto", *, most: int = 20) -> Preview:
    """Read the beginning of a file, at most ``most`` items of either kind; raises ``InputError`` as an import does.

    The source is used up by this; open the file anew to import it.
    """
    found = sniff(source, format)
    items: list[Item] = []
    rejected: list[Rejected] = []
    for item in found.read(source):
        if isinstance(item, Columns):
            items += [item.call(row) for row in range(min(len(item), most))]
        elif isinstance(item, Rejected):
            rejected.append(item)
        else:
            items.append(item)
        if len(items) >= most or len(rejected) >= most:
            break
    return Preview(found.name, found.title, found.holds, tuple(islice(items, most)), tuple(rejected[:most]))
