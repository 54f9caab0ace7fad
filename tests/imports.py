"""Importing for tests: bytes into a ledger of their own, and every figure a ledger then gives."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from router_core.exchange.load import import_source
from router_core.exchange.report import Report
from router_core.exchange.source import Source
from router_core.ledger.metered import metered
from router_core.ledger.pages import decisions
from router_core.ledger.price_rows import read_prices
from router_core.ledger.queries import spend
from router_core.ledger.rollup import refresh
from router_core.ledger.store import Ledger
from router_core.prices import PriceBook

KEY = b"k" * 32

_books: list[PriceBook] = []


def prices(ledger: Ledger) -> PriceBook:
    """Return the prices every new ledger starts with, read once for all tests."""
    if not _books:
        _books.append(PriceBook(read_prices(ledger)))
    return _books[0]


def load(ledger: Ledger, content: bytes | str, format: str = "auto", **options: Any) -> Report:
    """Import a file of this content."""
    raw = content.encode() if isinstance(content, str) else content
    source = Source(io.BytesIO(raw), "a file", options.pop("rates", ()))
    return import_source(ledger, source, format, hash_key=KEY, prices=prices(ledger), **options)


def kept(ledger: Ledger) -> list[Any]:
    """Return every decision of a ledger."""
    return list(decisions(ledger))


def everything(ledger: Ledger) -> tuple[Any, ...]:
    """Return all that a ledger's pages and reports rest on."""
    refresh(ledger)
    cells = spend(ledger, ("day", "team", "feature", "tier", "model", "status", "kind"))
    return kept(ledger), cells, metered(ledger, ("source", "day", "model", "meter", "account"))


def spend_log(number: int = 1, **changes: Any) -> dict[str, Any]:
    """One row of LiteLLM's SpendLogs: an answered call to gpt-4.1-mini, with changes; metadata is laid over ours."""
    metadata = {
        "user_api_key_team_alias": "Support",
        "usage_object": {"prompt_tokens_details": {"cached_tokens": 100}},
        "attempted_fallbacks": 0,
        "attempted_retries": 0,
        "spend_logs_metadata": {"feature": "faq"},
        **changes.pop("metadata", {}),
    }
    row: dict[str, Any] = {
        "request_id": f"req-{number}",
        "call_type": "acompletion",
        "spend": 0.000123,
        "prompt_tokens": 500,
        "completion_tokens": 60,
        "total_tokens": 560,
        "startTime": f"2026-11-20T10:{number // 60 % 60:02d}:{number % 60:02d}.250Z",
        "endTime": f"2026-11-20T10:{number // 60 % 60:02d}:{number % 60:02d}.950Z",
        "request_duration_ms": 700,
        "completionStartTime": f"2026-11-20T10:{number // 60 % 60:02d}:{number % 60:02d}.400Z",
        "model": "openai/gpt-4.1-mini",
        "model_group": "auto",
        "custom_llm_provider": "openai",
        "cache_hit": "False",
        "request_tags": ["tier:SIMPLE"],
        "session_id": f"session-{number}",
        "status": "success",
    }
    return {**row, "metadata": metadata, **changes}


def as_csv(rows: Iterable[Mapping[str, Any]], columns: Sequence[str] = (), *, delimiter: str = ",") -> str:
    """Return rows as CSV, objects and lists as JSON text."""
    listed = list(rows)
    names = list(columns) or list(dict.fromkeys(key for row in listed for key in row))
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\n")
    writer.writerow(names)
    for row in listed:
        values = [row.get(name, "") for name in names]
        writer.writerow([json.dumps(v) if isinstance(v, dict | list) else "" if v is None else v for v in values])
    return text.getvalue()


def as_lines(rows: Iterable[Any]) -> str:
    """Return values as JSON lines."""
    return "".join(json.dumps(row) + "\n" for row in rows)
