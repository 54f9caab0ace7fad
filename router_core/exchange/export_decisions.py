"""Decisions in full, as JSON lines or as Parquet; importing them into another ledger gives the same decisions."""

from __future__ import annotations

from datetime import date
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from router_core.decision import Kind, QualitySource, Reason, Status, Strategy, UsageSource
from router_core.exchange.outlet import Outlet, Statement, agree
from router_core.ledger.bulk import Row
from router_core.ledger.lines import encode
from router_core.ledger.pages import Names, Pages, decisions
from router_core.ledger.queries import spend
from router_core.ledger.rows import ATTEMPT_COLUMNS, DECISION_COLUMNS
from router_core.ledger.store import Ledger

if TYPE_CHECKING:
    import pyarrow as pa

_MILLION = 1_000_000
_CODES = {
    "reason": Reason,
    "strategy": Strategy,
    "status": Status,
    "quality_source": QualitySource,
    "kind": Kind,
    "usage_source": UsageSource,
}


def export_jsonl(
    ledger: Ledger, path: str | Path, *, since: date | None = None, until: date | None = None
) -> Statement:
    """Write one decision a line, with its calls; raises as ``export_csv`` does."""
    rows = total = unpriced = 0
    with Outlet(path) as outlet:
        for decision in decisions(ledger, since, until):
            outlet.write(encode(decision))
            rows += 1
            for attempt in decision.attempts:
                total += attempt.list_cost_nusd or 0
                unpriced += attempt.usage is not None and attempt.list_cost_nusd is None
        agree(total, spent(ledger, since, until))
        return outlet.statement(
            "decisions (JSON lines)", rows=rows, list_cost_nusd=total, unpriced_calls=unpriced, since=since, until=until
        )


def export_parquet(
    ledger: Ledger, path: str | Path, *, since: date | None = None, until: date | None = None
) -> Statement:
    """Write decisions by column, each with the list of its calls; raises as ``export_csv`` does."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = total = unpriced = 0
    cost, tokens = ATTEMPT_COLUMNS.index("list_cost_nusd"), ATTEMPT_COLUMNS.index("input_tokens")
    schema = _schema()
    with Outlet(path) as outlet:
        pages = Pages(ledger, since, until)
        with pq.ParquetWriter(pa.PythonFile(_File(outlet), mode="w"), schema, compression="zstd") as writer:
            for found, calls in pages:
                writer.write_table(_table(found, calls, pages.names, schema))
                rows += len(found)
                total += sum(call[cost] or 0 for call in calls)
                unpriced += sum(call[cost] is None and call[tokens] is not None for call in calls)
        agree(total, spent(ledger, since, until))
        return outlet.statement(
            "decisions (Parquet)", rows=rows, list_cost_nusd=total, unpriced_calls=unpriced, since=since, until=until
        )


def spent(ledger: Ledger, since: date | None, until: date | None) -> int:
    """Return what spend adds up to, in nano-dollars."""
    lines = spend(ledger, (), since, until)
    return lines[0].list_cost_nusd if lines else 0


class _File:
    """An outlet as Arrow wants a file."""

    closed = False

    def __init__(self, outlet: Outlet) -> None:
        self._outlet = outlet
        self._at = 0

    def write(self, content: Any) -> int:
        self._at += len(content)
        return self._outlet.write(bytes(content))

    def tell(self) -> int:
        return self._at

    def flush(self) -> None:
        pass

    def close(self) -> None:
        pass


def _schema() -> pa.Schema:
    import pyarrow as pa

    name, count, money = pa.dictionary(pa.int32(), pa.string()), pa.int32(), pa.int64()
    attempt = pa.struct(
        [
            *((key, name) for key in ("kind", "tier", "provider_name", "model", "status")),
            ("final", pa.bool_()),
            ("reason", name),
            *((key, count) for key in ("offset_ms", "latency_ms", "ttft_ms")),
            *((key, count) for key in ("input_tokens", "output_tokens", "cache_read_input_tokens")),
            *((key, count) for key in ("cache_write_input_tokens", "reasoning_output_tokens")),
            ("usage_source", name),
            *((key, money) for key in ("list_cost_nusd", "reported_cost_nusd")),
            ("price_id", count),
        ]
    )
    return pa.schema(
        [
            ("id", pa.binary(16)),
            ("decided_at_ms", pa.int64()),
            ("config_version", count),
            *((key, name) for key in ("scorer_version", "feature", "team", "user_tier")),
            ("score", pa.int16()),
            *((key, name) for key in ("stage", "tier", "reason")),
            ("propensity", pa.float64()),
            *((key, name) for key in ("strategy", "status")),
            *((key, count) for key in ("latency_ms", "ttft_ms", "expected_output_tokens")),
            *((key, pa.int64()) for key in ("conversation_hash", "prompt_hash", "cost_nusd")),
            ("quality", pa.float64()),
            ("quality_source", name),
            ("attempts", pa.list_(attempt)),
        ]
    )


def _table(rows: list[Row], calls: list[Row], names: Names, schema: pa.Schema) -> pa.Table:
    import pyarrow as pa

    attempts = schema.field("attempts").type.value_type
    columns = _columns(calls, ATTEMPT_COLUMNS, attempts, names, {"provider_name": "provider", "reason": "why"})
    made = pa.StructArray.from_arrays(columns, fields=list(attempts))
    many = {bytes(key): len(list(group)) for key, group in groupby(calls, key=lambda call: call[0])}
    offsets = np.cumsum([0, *(many.get(bytes(row[0]), 0) for row in rows)], dtype=np.int32)
    plain = pa.schema([field for field in schema if field.name != "attempts"])
    values = _columns(rows, DECISION_COLUMNS, plain, names, {"scorer_version": "scorer"})
    return pa.table([*values, pa.ListArray.from_arrays(offsets, made)], schema=schema)


def _columns(rows: list[Row], known: tuple[str, ...], fields: Any, names: Names, kinds: dict[str, str]) -> list[Any]:
    """Return the columns of rows as the schema has them: names for numbers, shares for millionths."""
    import pyarrow as pa

    by_name: dict[str, tuple[Any, ...]] = dict(
        zip(known, zip(*rows, strict=True) if rows else ((),) * len(known), strict=True)
    )
    found = []
    for field in fields:
        kind = kinds.get(field.name, field.name)
        if kind in names:
            found.append(_named(by_name[f"{kind}_id"], names[kind]))
        elif field.name in _CODES:
            found.append(_named(by_name[field.name], {code.value: code.name.lower() for code in _CODES[field.name]}))
        elif f"{field.name}_ppm" in by_name:
            shares = [None if value is None else value / _MILLION for value in by_name[f"{field.name}_ppm"]]
            found.append(pa.array(shares, field.type))
        elif field.name == "final":
            found.append(pa.array([bool(value) for value in by_name["final"]]))
        else:
            found.append(pa.array(by_name[field.name], field.type))
    return found


def _named(numbers: tuple[int | None, ...], names: dict[int, str]) -> Any:
    import pyarrow as pa

    place = {number: position for position, number in enumerate(names)}
    codes = pa.array([None if number is None else place[number] for number in numbers], pa.int32())
    return pa.DictionaryArray.from_arrays(codes, pa.array(list(names.values()), pa.string()))
