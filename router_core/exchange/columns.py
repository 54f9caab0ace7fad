"""Many plain calls at once, column by column: what makes a long log quick to import."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from router_core.decision import Strategy
from router_core.exchange.calls import ImportedCall, Joins
from router_core.usage import Usage

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

_FEW = 1_000_000  # combinations


@dataclass(frozen=True, slots=True)
class Named:
    """A column of few values: the values, and for each row the number of its own."""

    values: list[Any]
    numbers: npt.NDArray[np.intp]

    def __getitem__(self, row: int) -> Any:
        return self.values[self.numbers[row]]


def combined(make: Callable[..., Any], *columns: Named) -> Named:
    """Return the column that ``make`` gives for the values of others, called once for each combination that occurs."""
    if len(columns) == 1:
        return Named([make(value) for value in columns[0].values], columns[0].numbers)
    key, size = columns[0].numbers.astype(np.int64), len(columns[0].values)
    for column in columns[1:]:
        key, size = key * len(column.values) + column.numbers, size * len(column.values)
    if size <= _FEW:  # counting is quicker than sorting
        found = np.flatnonzero(np.bincount(key, minlength=size))
        place = np.zeros(size, np.intp)
        place[found] = np.arange(len(found))
        numbers = place[key]
    else:
        found, numbers = np.unique(key, return_inverse=True)
    values = []
    for code in found.tolist():
        parts = []
        for column in reversed(columns):
            code, number = divmod(code, len(column.values))
            parts.append(column.values[number])
        values.append(make(*reversed(parts)))
    return Named(values, numbers)


def truths(column: Named) -> Bools:
    """Return a column of truths as an array."""
    return np.asarray(column.values, np.bool_)[column.numbers]


@dataclass(frozen=True, slots=True)
class Columns:
    """Calls that succeeded, each a request of its own; the columns mean what ``ImportedCall`` says of its fields.

    ``owner`` holds (provider name, model). Where a ``known`` mask is False the number beside it means nothing.
    ``maybe`` marks calls that join their trace (the conversation) where that is open.
    """

    source: str
    request_id: list[str]
    started_at_ms: Ints
    owner: Named
    feature: Named
    team: Named
    conversation: Named
    tier: Named
    input_tokens: Ints
    output_tokens: Ints
    cache_read_input_tokens: Ints
    cache_write_input_tokens: Ints
    reasoning_output_tokens: Ints
    reported_cost_nusd: Ints
    reported_known: Bools
    latency_ms: Ints
    ttft_ms: Ints
    ttft_known: Bools
    processing: Named
    cached: Bools
    maybe: Bools

    def __len__(self) -> int:
        return len(self.request_id)

    @property
    def metered(self) -> Bools:
        """Which calls tell of tokens."""
        found: Bools = (self.input_tokens > 0) | (self.output_tokens > 0)
        return found

    def call(self, row: int) -> ImportedCall:
        """Return one row as a call of its own."""
        provider, model = self.owner[row]
        usage = Usage(
            int(self.input_tokens[row]),
            int(self.output_tokens[row]),
            int(self.cache_read_input_tokens[row]),
            int(self.cache_write_input_tokens[row]),
            int(self.reasoning_output_tokens[row]),
        )
        conversation = self.conversation[row]
        return ImportedCall(
            source=self.source,
            request_id=self.request_id[row],
            started_at_ms=int(self.started_at_ms[row]),
            provider_name=provider,
            request_model=model,
            feature=self.feature[row],
            team=self.team[row],
            conversation=conversation,
            tier=self.tier[row],
            usage=usage if self.metered[row] else None,
            reported_cost_nusd=int(self.reported_cost_nusd[row]) if self.reported_known[row] else None,
            latency_ms=int(self.latency_ms[row]),
            ttft_ms=int(self.ttft_ms[row]) if self.ttft_known[row] else None,
            processing=self.processing[row],
            cached=Strategy.CACHE_EXACT if self.cached[row] else None,
            trace=conversation,
            joins=Joins.MAYBE if self.maybe[row] else Joins.NEVER,
        )

    def taken(self, rows: npt.NDArray[Any]) -> Columns:
        """Return only some rows, given by a mask or by their numbers."""
        numbers = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
        changed: dict[str, Any] = {"source": self.source}
        for name in self.__dataclass_fields__:
            value = getattr(self, name)
            if isinstance(value, Named):
                changed[name] = Named(value.values, value.numbers[numbers])
            elif isinstance(value, list):
                changed[name] = [value[number] for number in numbers]
            elif isinstance(value, np.ndarray):
                changed[name] = value[numbers]
        return Columns(**changed)
