"""Buckets that somebody else summed: named so that a newer report replaces them, priced, and kept as spend."""

from __future__ import annotations

import json
from collections import Counter
from hashlib import sha256

from router_core.exchange.calls import MeteredSpend
from router_core.exchange.report import Report
from router_core.ledger.metered import Metered, write_metered
from router_core.ledger.store import Ledger
from router_core.prices import PriceBook, cost_nusd

_AT_ONCE = 5_000


class Metering:
    """Takes buckets, and writes where enough have come together."""

    def __init__(self, ledger: Ledger, prices: PriceBook, report: Report) -> None:
        self._ledger = ledger
        self._prices = prices
        self._report = report
        self._pending: list[Metered] = []
        self._seen: Counter[tuple[object, ...]] = Counter()

    def take(self, item: MeteredSpend) -> None:
        """Take one bucket."""
        self._report.rows += 1
        self._pending.append(self._metered(item))
        if len(self._pending) >= _AT_ONCE:
            self.write()

    def write(self) -> None:
        """Write what waits."""
        batch, self._pending = self._pending, []
        written = write_metered(self._ledger, batch)
        report = self._report
        report.loaded += len(written.kept)
        report.changed += written.changed
        report.duplicates += written.unchanged
        for row in written.kept:
            report.at(row.starts_at_ms, row.ends_at_ms)
            report.calls += 1
            report.requests += row.requests or 0
            if row.input_tokens is not None:
                report.metered += 1
                report.priced += row.list_cost_nusd is not None
            report.input_tokens += row.input_tokens or 0
            report.output_tokens += row.output_tokens or 0
            report.cache_read_input_tokens += row.cache_read_input_tokens or 0
            report.cache_write_input_tokens += row.cache_write_input_tokens or 0
            report.reasoning_output_tokens += row.reasoning_output_tokens or 0
            report.list_cost_nusd += row.list_cost_nusd or 0
            report.reported += row.reported_cost_nusd is not None
            report.reported_cost_nusd += row.reported_cost_nusd or 0

    def _metered(self, item: MeteredSpend) -> Metered:
        bucket = (
            item.source,
            item.starts_at_ms,
            item.ends_at_ms,
            item.provider_name,
            item.model,
            item.meter,
            item.account,
        )
        self._seen[bucket] += 1  # a report may have several rows of one name; the second stays the second
        usage = item.usage
        return Metered(
            row_hash=sha256(json.dumps([*bucket, self._seen[bucket]]).encode()).digest()[:16],
            source=item.source,
            day=item.day,
            starts_at_ms=item.starts_at_ms,
            ends_at_ms=item.ends_at_ms,
            provider_name=item.provider_name,
            model=item.model,
            meter=item.meter,
            account=item.account,
            requests=item.requests,
            input_tokens=usage.input_tokens if usage is not None else None,
            output_tokens=usage.output_tokens if usage is not None else None,
            cache_read_input_tokens=usage.cache_read_input_tokens if usage is not None else None,
            cache_write_input_tokens=usage.cache_write_input_tokens if usage is not None else None,
            reasoning_output_tokens=usage.reasoning_output_tokens if usage is not None else None,
            list_cost_nusd=self._list_cost(item),
            reported_cost_nusd=item.reported_cost_nusd,
        )

    def _list_cost(self, item: MeteredSpend) -> int | None:
        if item.list_cost_nusd is not None or item.usage is None:
            return item.list_cost_nusd
        # The tokens are those of many calls, so they do not tell which long-context price holds; the report may.
        found = self._prices.find(
            item.provider_name, item.model, item.starts_at_ms, item.call_input_tokens, item.processing
        )
        return cost_nusd(found, item.usage) if found is not None else None
