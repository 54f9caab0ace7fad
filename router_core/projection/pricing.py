"""Re-pricing a log without its rows: token sums by price row, times the rates of the row or of its successor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from router_core.prices import ANY_PROVIDER, LAYERS, Price, PriceBook, rates

if TYPE_CHECKING:
    from router_core.ledger.evidence import Evidence

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

FIXED, ANSWER, ESCALATION = 0, 1, 2
_UNKNOWN = (np.nan, np.nan, np.nan, np.nan)


@dataclass(frozen=True)
class Calls:
    """Token sums of calls by the price row that priced them; every array is (entries,).

    ``where`` is the flat place in the cube's tally, -1 for calls of requests that no boundary moves; ``part`` says
    whether a call's cost depends on the tier (``ANSWER``, ``ESCALATION``) or not (``FIXED``). ``price`` indexes
    ``rows``, whose entry is None where nothing priced the call.
    """

    where: Ints
    feature: Ints
    part: Ints
    kind: Ints  # of attempt
    price: Ints
    rows: tuple[Price | None, ...]
    models: tuple[str, ...]
    model: Ints
    attempts: Ints
    tokens: Ints  # (entries, 4): plain input, output, read from cache, written to cache
    cost: Ints

    @classmethod
    def from_evidence(
        cls,
        evidence: Evidence,
        where: Ints,
        answering: npt.NDArray[np.bool_],
        escalation: npt.NDArray[np.bool_],
        prices: PriceBook,
    ) -> Calls:
        """Take the token sums of evidence cells; ``prices`` holds the rows their ids name."""
        ids, index = np.unique(evidence.price_id, return_inverse=True)
        known = {price.id: price for price in prices if price.id is not None}
        read, written = evidence.cache_read_input_tokens, evidence.cache_write_input_tokens
        return cls(
            where=where,
            feature=np.asarray(evidence.feature, dtype=np.int64),
            part=np.where(answering, ANSWER, np.where(escalation, ESCALATION, FIXED)),
            kind=np.asarray(evidence.kind, dtype=np.int64),
            price=index.astype(np.int64),
            rows=tuple(known.get(int(number)) for number in ids),
            models=tuple(evidence.models),
            model=np.asarray(evidence.model, dtype=np.int64),
            attempts=np.asarray(evidence.attempts, dtype=np.int64),
            tokens=np.stack(
                [evidence.input_tokens - read - written, evidence.output_tokens, read, written], axis=1
            ).astype(np.int64),
            cost=np.asarray(evidence.list_cost_nusd, dtype=np.int64),
        )

    def rates(self) -> Floats:
        """Return nano-dollars a token for each of ``rows``, (rows, 4) in the order of ``tokens``; NaN is unknown."""
        return np.array([nusd_per_token(row) for row in self.rows], dtype=float).reshape(-1, 4)

    def attempted(self, part: int) -> int:
        """Return how many calls of that part the log holds, of requests a boundary can move."""
        return int(self.attempts[(self.part == part) & (self.where >= 0)].sum())

    def repriced(self, successors: Mapping[int, Price]) -> Ints:
        """Return what each entry's cost would change by, in nano-dollars, if the rows at these indices were replaced.

        Tokens times the difference of the two rates, rounded half to even once an entry; untouched entries are 0.
        """
        change = np.zeros(len(self.cost), dtype=np.int64)
        for index, new in successors.items():
            old = self.rows[index]
            entries = np.flatnonzero(self.price == index)
            if old is None or not len(entries):
                continue
            difference = np.nan_to_num(np.array(nusd_per_token(new)) - np.array(nusd_per_token(old)))
            change[entries] = np.rint(self.tokens[entries] @ difference).astype(np.int64)
        return change


def nusd_per_token(price: Price | None) -> tuple[float, float, float, float]:
    """Return nano-dollars a token of plain input, output, cache reads and cache writes; NaN where unknown."""
    if price is None:
        return _UNKNOWN
    whole = rates(price)
    return tuple(
        np.nan if rate is None else rate / whole.divisor
        for rate in (whole.input, whole.output, whole.cache_read, whole.cache_write)
    )  # type: ignore[return-value]


def successors(rows: tuple[Price | None, ...], old: PriceBook, new: PriceBook) -> dict[int, Price]:
    """Return, by index into ``rows``, the row of ``new`` that takes over from each row once it is in force.

    A row takes over where it is not in ``old``, prices the same provider, model, processing, context step and hours,
    and outranks the row: a higher layer, or the same layer and a start no earlier. The newest such row wins.
    """
    before = set(old)
    added = [price for price in new if price not in before]
    found: dict[int, Price] = {}
    for index, row in enumerate(rows):
        if row is None:
            continue
        after = [price for price in added if _same_class(price, row) and _rank(price) >= _rank(row)]
        if after:
            found[index] = max(after, key=_rank)
    return found


def _same_class(new: Price, row: Price) -> bool:
    return (
        new.model == row.model
        and new.provider_name in (row.provider_name, ANY_PROVIDER)
        and new.processing == row.processing
        and new.min_input_tokens == row.min_input_tokens
        and (new.minute_from, new.minute_to) == (row.minute_from, row.minute_to)
    )


def _rank(price: Price) -> tuple[int, int]:
    return LAYERS.index(price.layer), price.effective_from.toordinal()
