"""List prices of many calls at once: the price book asked once for each day, hour and size, its rates times arrays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from router_core.errors import UnpricedModelError
from router_core.prices import Price, PriceBook, rates

Ints = npt.NDArray[np.int64]

_DAY_MS, _MINUTE_MS = 86_400_000, 60_000


class Pricer:
    """Prices calls to the models of a list of (provider, model) names."""

    def __init__(self, book: PriceBook, names: Sequence[tuple[str, str]]) -> None:
        self._book = book
        self._names = names
        history = [[row for row in book.history(*name) if row.processing == "standard"] for name in names]
        self._sizes = [np.array(sorted({row.min_input_tokens for row in rows} - {0})) for rows in history]
        self._minutes = [
            np.array(sorted({edge for row in rows for edge in (row.minute_from, row.minute_to) if edge is not None}))
            for rows in history
        ]

    def price(self, model: Ints, at_ms: Ints, tokens: Ints) -> tuple[Ints, Ints]:
        """Return list costs in nano-dollars and the ids of the price rows.

        ``model`` indexes the names; ``tokens`` is (4, n): input, output, and of the input what was read from and
        written to a cache. Raises ``UnpricedModelError`` where a price or a rate is not known.
        """
        cost, row = np.zeros(len(model), dtype=np.int64), np.zeros(len(model), dtype=np.int64)
        for number in np.unique(model):
            mine = np.flatnonzero(model == number)
            day = at_ms[mine] // _DAY_MS
            size = np.searchsorted(self._sizes[number], tokens[0, mine], side="right")
            hour = np.searchsorted(self._minutes[number], at_ms[mine] // _MINUTE_MS % 1440, side="right")
            key = (day * (len(self._sizes[number]) + 1) + size) * (len(self._minutes[number]) + 1) + hour
            _, first, group = np.unique(key, return_index=True, return_inverse=True)
            for place, example in enumerate(mine[first]):
                price = self._find(int(number), int(at_ms[example]), int(tokens[0, example]))
                same = mine[group == place]
                cost[same], row[same] = self._cost(price, int(number), tokens[:, same]), price.id or 0
        return cost, row

    def _find(self, number: int, at_ms: int, input_tokens: int) -> Price:
        price = self._book.find(*self._names[number], at_ms, input_tokens)
        if price is None:
            raise UnpricedModelError(*self._names[number])
        return price

    def _cost(self, price: Price, number: int, tokens: Ints) -> Ints:
        rate = rates(price)
        each = [value for value in rate[:4] if value is not None]
        if len(each) < 4:
            raise UnpricedModelError(*self._names[number])
        # Some rates have so many decimals that their products need integers of unbounded size.
        fits = max(*each, 1) * int(tokens[:2].sum(axis=0).max(initial=1)) < 2**61 and rate.divisor < 2**61
        counts = tokens if fits else tokens.astype(object)
        plain = counts[0] - counts[2] - counts[3]
        total = plain * each[0] + counts[1] * each[1] + counts[2] * each[2] + counts[3] * each[3]
        whole, rest = total // rate.divisor, total % rate.divisor
        up = (2 * rest > rate.divisor) | ((2 * rest == rate.divisor) & (whole % 2 == 1))
        rounded: Ints = (whole + up).astype(np.int64)
        return rounded
