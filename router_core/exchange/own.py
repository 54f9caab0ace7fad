"""Our own decisions, as JSON lines and as Parquet: what is exported comes back unchanged."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import fields
from enum import IntEnum
from typing import Any

from router_core.decision import (
    Attempt,
    Kind,
    QualitySource,
    Reason,
    RoutingDecision,
    Status,
    Strategy,
    UsageSource,
)
from router_core.errors import InputError, UsageError
from router_core.exchange.calls import Item, Rejected
from router_core.exchange.format import Format
from router_core.exchange.source import Source
from router_core.ledger.lines import decode
from router_core.usage import Usage


def _by_name(codes: type[IntEnum]) -> dict[str, IntEnum]:
    return {code.name.lower(): code for code in codes}


_CODES = {
    "reason": _by_name(Reason),
    "strategy": _by_name(Strategy),
    "status": _by_name(Status),
    "quality_source": _by_name(QualitySource),
}
_ATTEMPT_CODES = {"kind": _by_name(Kind), "status": _by_name(Status), "usage_source": _by_name(UsageSource)}
_PLAIN = tuple(one.name for one in fields(RoutingDecision) if one.name not in ("id", "attempts", *_CODES))
_ATTEMPT_PLAIN = tuple(one.name for one in fields(Attempt) if one.name not in ("usage", *_ATTEMPT_CODES))
_USAGE = (
    "input_tokens",
    "output_tokens",
    "cache_read_input_tokens",
    "cache_write_input_tokens",
    "reasoning_output_tokens",
)
_FIRST_MS, _LAST_MS = 946_684_800_000, 4_102_444_800_000
_LARGEST = 2**31 - 1
_LARGEST_NUSD = 2**62
_LONGEST_NAME = 1000


def read_lines(source: Source) -> Iterator[Item]:
    """Yield the decisions of JSON lines."""
    for line in source.lines():
        if isinstance(line, Rejected):
            yield line
            continue
        raw = source.text(line.content)
        try:
            decision = decode(raw.encode())
            check(decision)
        except (ValueError, RecursionError) as error:
            yield Rejected(line.number, str(error), raw)
        else:
            yield decision


def read_parquet(source: Source) -> Iterator[Item]:
    """Yield the decisions of a Parquet file; raises ``InputError`` where it is damaged or holds something else."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with tempfile.TemporaryFile() as whole:  # Parquet is read from its end, and standard input has none to go to
        for chunk in source.chunks():
            whole.write(chunk)
        whole.seek(0)
        try:
            file = pq.ParquetFile(whole)
            missing = [
                column for column in ("id", "decided_at_ms", "attempts") if column not in file.schema_arrow.names
            ]
            if missing:
                raise InputError(f"these are not decisions: there is no column {missing[0]!r}", source=source.name)
            number = 0
            for batch in file.iter_batches(batch_size=5_000):
                for row in batch.to_pylist():
                    number += 1
                    try:
                        decision = _of_row(row)
                        check(decision)
                    except (ValueError, KeyError, TypeError, UsageError) as error:
                        yield Rejected(number, f"not a decision: {error}", json.dumps(row, default=repr))
                    else:
                        yield decision
        except (pa.ArrowException, OSError) as error:
            raise InputError(f"the Parquet file is damaged or was cut: {error}", source=source.name) from None


def _of_row(row: Mapping[str, Any]) -> RoutingDecision:
    values = {key: row[key] for key in _PLAIN}
    for key, codes in _CODES.items():
        values[key] = None if row[key] is None else codes[row[key]]
    return RoutingDecision(id=row["id"], attempts=tuple(_attempt(call) for call in row["attempts"] or ()), **values)


def _attempt(call: Mapping[str, Any]) -> Attempt:
    values = {key: call[key] for key in _ATTEMPT_PLAIN}
    for key, codes in _ATTEMPT_CODES.items():
        values[key] = codes[call[key]]
    usage = None if call["input_tokens"] is None else Usage(*(call[key] for key in _USAGE))
    return Attempt(usage=usage, **values)


def check(decision: RoutingDecision) -> None:
    """Refuse, with a ``ValueError``, a decision whose values no ledger can keep."""
    if len(decision.id) != 16:
        raise ValueError("the id is not 16 bytes")
    if not _whole(decision.decided_at_ms, _FIRST_MS, _LAST_MS):
        raise ValueError(f"decided_at_ms is {decision.decided_at_ms!r}, not between the years 2000 and 2100")
    if decision.score is not None and not _whole(decision.score, 0, 100):
        raise ValueError(f"score is {decision.score!r}, not 0 to 100")
    for what, share in (("propensity", decision.propensity), ("quality", decision.quality)):
        if share is not None and not (isinstance(share, int | float) and 0 <= share <= 1):
            raise ValueError(f"{what} is {share!r}, not a share from 0 to 1")
    for field in ("scorer_version", "feature", "team", "stage", "tier", "user_tier"):
        _check_name(field, getattr(decision, field))
    for field in ("config_version", "latency_ms"):
        _check_count(field, getattr(decision, field), optional=False)
    for field in ("ttft_ms", "expected_output_tokens"):
        _check_count(field, getattr(decision, field))
    for field in ("conversation_hash", "prompt_hash"):
        value = getattr(decision, field)
        if value is not None and not _whole(value, -(2**63), 2**63 - 1):
            raise ValueError(f"{field} is {value!r}, not a 64-bit number")
    for attempt in decision.attempts:
        for field in ("tier", "provider_name", "model", "reason"):
            _check_name(field, getattr(attempt, field))
        for field in ("offset_ms", "latency_ms"):
            _check_count(field, getattr(attempt, field), optional=False)
        _check_count("ttft_ms", attempt.ttft_ms)
        for field in ("list_cost_nusd", "reported_cost_nusd", "price_id"):
            _check_count(field, getattr(attempt, field), most=_LARGEST_NUSD)
        if attempt.usage is not None:
            for field in _USAGE:
                _check_count(field, getattr(attempt.usage, field), optional=False)


def _whole(value: Any, least: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _check_name(field: str, value: Any) -> None:
    if not isinstance(value, str) or len(value) > _LONGEST_NAME or not _storable(value):
        raise ValueError(f"{field} is {str(value)[:60]!r}, not a name of at most {_LONGEST_NAME:,} characters")


def _storable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # a lone surrogate, which no database keeps
        return False
    return True


def _check_count(field: str, value: Any, *, optional: bool = True, most: int = _LARGEST) -> None:
    if not ((optional and value is None) or _whole(value, 0, most)):
        raise ValueError(f"{field} is {value!r}, not a whole number from 0 to {most}")


def _is_ours(value: Mapping[str, Any], key: str) -> bool:
    return "decided_at_ms" in value and "attempts" in value and "propensity" in value


FORMATS = (
    Format("jsonl", "Tierwise decisions (JSON lines)", "decisions", read_lines, fits=_is_ours),
    Format("parquet", "Tierwise decisions (Parquet)", "decisions", read_parquet),
)
