"""LiteLLM's logs: SpendLogs as CSV or as the JSON of /spend/logs/v2, and StandardLoggingPayload lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from router_core.exchange.calls import Item
from router_core.exchange.columns import Columns
from router_core.exchange.format import Format, of_values
from router_core.exchange.litellm_rows import SOURCE, SPEND_LOG_COLUMNS, payload, spend_log
from router_core.exchange.source import Source


def _is_spend_log(value: Mapping[str, Any], key: str) -> bool:
    return "request_id" in value and "spend" in value and "model_group" in value


def _is_payload(value: Mapping[str, Any], key: str) -> bool:
    return "trace_id" in value and "model_group" in value and "response_cost" in value


def _read_spend_logs(source: Source) -> Iterator[Item | Columns]:
    from router_core.exchange.litellm_columns import read  # it wants pyarrow, which a small import can do without

    return read(source)


FORMATS = (
    Format(SOURCE, "LiteLLM SpendLogs (CSV)", "calls", _read_spend_logs, columns=frozenset(SPEND_LOG_COLUMNS)),
    Format(SOURCE, "LiteLLM SpendLogs (JSON)", "calls", of_values(spend_log), fits=_is_spend_log),
    Format(SOURCE, "LiteLLM StandardLoggingPayload", "calls", of_values(payload), fits=_is_payload),
)
