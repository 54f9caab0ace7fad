"""Columns of plain calls become rows of the ledger by arithmetic on arrays: the same that one by one would give."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from itertools import repeat
from typing import Any

import numpy as np

from router_core.decision import Kind, Reason, Status, Strategy, UsageSource
from router_core.exchange.assemble import SCORER, Assembler
from router_core.exchange.columns import Bools, Columns, Ints, combined
from router_core.exchange.report import Report
from router_core.ledger.latency import latency_bins
from router_core.ledger.rows import ATTEMPT_COLUMNS, DECISION_COLUMNS
from router_core.ledger.store import Ledger
from router_core.prices import PriceBook
from router_core.prices.arrays import costs_nusd, prices_held

_MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Priced:
    """List costs in nano-dollars and the ids of the prices, as far as ``known``."""

    cost_nusd: Ints
    price_id: Ints
    known: Bools


def decision_ids(columns: Columns) -> list[bytes]:
    """Return the ids of the decisions, as ``assemble.decision_id`` gives them."""
    prefix = f"{columns.source}\0".encode()
    digests = b"".join([sha256(prefix + name.encode("utf-8", "replace")).digest() for name in columns.request_id])
    ids = np.empty((len(columns), 16), np.uint8)
    seconds = columns.started_at_ms // 1000 * 1000
    ids[:, :6] = seconds.astype(">i8").view(np.uint8).reshape(-1, 8)[:, 2:]
    ids[:, 6:] = np.frombuffer(digests, np.uint8).reshape(-1, 32)[:, :10]
    ids[:, 6] = 0x70 | (ids[:, 6] & 0x0F)
    ids[:, 8] = 0x80 | (ids[:, 8] & 0x3F)
    whole = ids.tobytes()
    return [whole[start : start + 16] for start in range(0, len(whole), 16)]


def price(columns: Columns, book: PriceBook) -> Priced:
    """Price every call that tells of tokens, exactly as ``PriceBook.list_cost`` does."""
    size = len(columns)
    costs, ids, known = np.zeros(size, np.int64), np.zeros(size, np.int64), np.zeros(size, np.bool_)
    key = columns.owner.numbers.astype(np.int64) * len(columns.processing.values) + columns.processing.numbers
    asked = columns.metered & ~columns.cached
    for code in np.unique(key[asked]).tolist():
        owner, processing = divmod(code, len(columns.processing.values))
        rows = np.flatnonzero(asked & (key == code))
        started, tokens = columns.started_at_ms[rows], columns.input_tokens[rows]
        name, how = columns.owner.values[owner], columns.processing.values[processing]
        for found, places in prices_held(book, name, started, tokens, how):
            among = rows[places]
            counted = [column[among] for column in _priced_columns(columns)]
            costs[among], known[among] = costs_nusd(found, counted)
            ids[among] = found.id or 0
    return Priced(costs, ids, known)


def _priced_columns(columns: Columns) -> tuple[Ints, ...]:
    return (
        columns.input_tokens,
        columns.output_tokens,
        columns.cache_read_input_tokens,
        columns.cache_write_input_tokens,
    )


def rows_of(
    columns: Columns, ids: list[bytes], priced: Priced, ledger: Ledger, assembler: Assembler
) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """Return the rows of the decisions and of their attempts, in the order of the tables' columns."""
    names = ledger.dimensions
    started = columns.started_at_ms.tolist()
    day, hour = _days(columns, ledger)
    metered, served = columns.metered, ~columns.cached
    tier = _numbered(columns.tier.values, names.tier, columns.tier.numbers)
    ttft = _maybe(columns.ttft_ms, columns.ttft_known)
    latency = columns.latency_ms.tolist()
    cost: dict[str, Any] = {
        "decision": _maybe(np.where(served, priced.cost_nusd, 0), priced.known | ~served),
        "attempt": _maybe(priced.cost_nusd, priced.known),
    }
    conversations = combined(assembler.conversation_hash, columns.team, columns.conversation)
    decision: dict[str, Any] = {
        "id": ids,
        "decided_at_ms": started,
        "day": day,
        "hour": hour,
        "config_version": repeat(0),
        "scorer_id": repeat(names.scorer[SCORER]),
        "feature_id": _numbered(columns.feature.values, names.feature, columns.feature.numbers),
        "team_id": _numbered(columns.team.values, names.team, columns.team.numbers),
        "user_tier_id": repeat(names.user_tier[""]),
        "stage_id": repeat(names.stage[SCORER]),
        "tier_id": tier,
        "reason": repeat(int(Reason.NAMED)),
        "propensity_ppm": repeat(_MILLION),
        "strategy": np.where(columns.cached, int(Strategy.CACHE_EXACT), int(Strategy.DIRECT)).tolist(),
        "status": repeat(int(Status.OK)),
        "attempts": served.astype(np.int64).tolist(),
        "escalations": repeat(0),
        "failovers": repeat(0),
        "latency_ms": latency,
        "ttft_ms": ttft,
        "conversation_hash": [conversations.values[number] for number in conversations.numbers.tolist()],
        "cost_nusd": cost["decision"],
    }
    attempt: dict[str, Any] = {
        "decision_id": ids,
        "seq": repeat(0),
        "kind": repeat(int(Kind.ANSWER)),
        "tier_id": tier,
        "provider_id": _numbered([owner[0] for owner in columns.owner.values], names.provider, columns.owner.numbers),
        "model_id": _numbered([owner[1] for owner in columns.owner.values], names.model, columns.owner.numbers),
        "status": repeat(int(Status.OK)),
        "final": repeat(1),
        "why_id": repeat(names.why[""]),
        "offset_ms": repeat(0),
        "latency_ms": latency,
        "latency_bin": latency_bins(columns.latency_ms).tolist(),
        "ttft_ms": ttft,
        "input_tokens": _maybe(columns.input_tokens, metered),
        "output_tokens": _maybe(columns.output_tokens, metered),
        "cache_read_input_tokens": _maybe(columns.cache_read_input_tokens, metered),
        "cache_write_input_tokens": _maybe(columns.cache_write_input_tokens, metered),
        "reasoning_output_tokens": _maybe(columns.reasoning_output_tokens, metered),
        "usage_source": repeat(int(UsageSource.PROVIDER)),
        "list_cost_nusd": cost["attempt"],
        "reported_cost_nusd": _maybe(columns.reported_cost_nusd, columns.reported_known),
        "price_id": _maybe(priced.price_id, priced.known & (priced.price_id > 0)),
    }
    rows = list(zip(*(decision.get(name, repeat(None)) for name in DECISION_COLUMNS), strict=False))
    calls = list(zip(*(attempt.get(name, repeat(None)) for name in ATTEMPT_COLUMNS), strict=False))
    return rows, calls if served.all() else [call for call, made in zip(calls, served.tolist(), strict=True) if made]


def count(columns: Columns, priced: Priced, report: Report) -> None:
    """Count what was loaded."""
    size, served = len(columns), ~columns.cached
    metered, reported = columns.metered & served, columns.reported_known & served
    report.loaded += size
    report.decisions += size
    report.requests += size
    report.calls += int(served.sum())
    report.metered += int(metered.sum())
    report.priced += int((priced.known & metered).sum())
    report.reported += int(reported.sum())
    report.list_cost_nusd += int(priced.cost_nusd[priced.known].sum())
    report.reported_cost_nusd += int(columns.reported_cost_nusd[reported].sum())
    report.input_tokens += int(columns.input_tokens[metered].sum())
    report.output_tokens += int(columns.output_tokens[metered].sum())
    report.cache_read_input_tokens += int(columns.cache_read_input_tokens[metered].sum())
    report.cache_write_input_tokens += int(columns.cache_write_input_tokens[metered].sum())
    report.reasoning_output_tokens += int(columns.reasoning_output_tokens[metered].sum())
    report.at(int(columns.started_at_ms.min()), int(columns.started_at_ms.max()))


def _days(columns: Columns, ledger: Ledger) -> tuple[list[int], list[int]]:
    """Return the day and the hour of every call, asked for once a minute, or an hour where that decides."""
    minutes = columns.started_at_ms // 60_000
    found = np.empty((len(columns), 2), np.int64)
    hours, place = np.unique(minutes // 60, return_inverse=True)
    whole = np.empty((len(hours), 2), np.int64)
    split = np.zeros(len(hours), np.bool_)
    for position, hour in enumerate(hours.tolist()):
        whole[position] = ledger.days.of(hour * 3_600_000)
        split[position] = ledger.days.of(hour * 3_600_000 + 59 * 60_000) != tuple(whole[position])
    found[:] = whole[place]
    for row in np.flatnonzero(split[place]).tolist():
        found[row] = ledger.days.of(int(minutes[row]) * 60_000)
    return found[:, 0].tolist(), found[:, 1].tolist()


def _numbered(values: list[str], numbers: dict[str, int], place: Any) -> list[int]:
    found: list[int] = np.array([numbers[value] for value in values], np.int64)[place].tolist()
    return found


def _maybe(values: Any, known: Bools) -> list[int | None]:
    """Return numbers as a list, None where they are not known."""
    if known.all():
        whole: list[int | None] = values.tolist()
        return whole
    return [value if sure else None for value, sure in zip(values.tolist(), known.tolist(), strict=True)]
