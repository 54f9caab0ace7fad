"""What a format is: how its files are recognised by their content, and how each row or value becomes an item."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from router_core.errors import UsageError
from router_core.exchange.calls import Item, Rejected
from router_core.exchange.columns import Columns
from router_core.exchange.currencies import Notes
from router_core.exchange.fields import BadRowError
from router_core.exchange.source import Source
from router_core.exchange.table import Row, rows
from router_core.exchange.values import Value, values

Convert = Callable[[Mapping[str, Any], Notes], Item | list[Item] | None]

NOT_A_CALL = "rows that tell of no model call or judgement were left out"


@dataclass(frozen=True, slots=True)
class Format:
    """One format of one tool.

    ``name`` is what a person types, shared by all formats of the tool; ``title`` what this one is called. ``holds`` is
    calls (single requests), spend (sums of many), or decisions (our own). CSV is recognised by ``columns`` that are
    all there; JSON by ``fits``, asked about the first value and the key of the array it stood in.
    """

    name: str
    title: str
    holds: Literal["calls", "spend", "decisions"]
    read: Callable[[Source], Iterator[Item | Columns]]
    columns: frozenset[str] = frozenset()
    fits: Callable[[Mapping[str, Any], str], bool] | None = None


def of_rows(convert: Convert) -> Callable[[Source], Iterator[Item | Columns]]:
    """Return a reader of CSV that converts row by row."""

    def read(source: Source) -> Iterator[Item | Columns]:
        return converted(rows(source), convert, source.notes)

    return read


def of_values(convert: Convert) -> Callable[[Source], Iterator[Item | Columns]]:
    """Return a reader of JSON that converts value by value."""

    def read(source: Source) -> Iterator[Item | Columns]:
        return converted(_objects(values(source)), convert, source.notes)

    return read


def of_buckets(convert: Convert) -> Callable[[Source], Iterator[Item | Columns]]:
    """Return a reader of JSON reports that converts each result of each bucket, laid over what the bucket says."""

    def read(source: Source) -> Iterator[Item | Columns]:
        return converted(_results(_objects(values(source))), convert, source.notes)

    return read


def results(bucket: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the results of a bucket; empty where it has none."""
    found = bucket.get("results", bucket.get("result"))
    return [result for result in found if isinstance(result, dict)] if isinstance(found, list) else []


def _results(found: Iterator[Row | Rejected]) -> Iterator[Row | Rejected]:
    for row in found:
        if isinstance(row, Rejected):
            yield row
            continue
        for result in results(row.values):
            yield Row(row.line, {**row.values, **result}, json.dumps(result, ensure_ascii=False))


def _objects(found: Iterator[Value | Rejected]) -> Iterator[Row | Rejected]:
    for one in found:
        if isinstance(one, Rejected):
            yield one
        elif isinstance(one.value, dict):
            yield Row(one.line, one.value, one.raw)
        else:
            yield Rejected(one.line, f"this is a {type(one.value).__name__}, not a JSON object", one.raw)


def converted(found: Iterator[Row | Rejected], convert: Convert, notes: Notes) -> Iterator[Item]:
    """Yield what rows become; one that cannot be used is refused with the reason."""
    for row in found:
        if isinstance(row, Rejected):
            yield row
            continue
        try:
            item = convert(row.values, notes)
        except (BadRowError, UsageError) as error:
            yield Rejected(row.line, str(error), row.raw)
            continue
        if item is None:
            notes[NOT_A_CALL] += 1
        elif isinstance(item, list):
            yield from item
        else:
            yield item
