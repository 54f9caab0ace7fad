"""Spend as CSV: one line for each combination of what it is summed by, with every figure the spend page has."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import fields
from datetime import date
from pathlib import Path

from router_core.exchange.outlet import Outlet, Statement, agree, usd
from router_core.ledger.queries import SpendLine, spend
from router_core.ledger.store import Ledger

DEFAULT_BY = ("day", "team", "feature", "tier", "model")

_FIGURES = tuple(field.name for field in fields(SpendLine) if field.name not in ("keys", "quality_ppm_sum"))


def export_csv(
    ledger: Ledger,
    path: str | Path,
    *,
    since: date | None = None,
    until: date | None = None,
    by: Sequence[str] = DEFAULT_BY,
) -> Statement:
    """Write spend by some dimensions; costs stand in nano-dollars and in dollars, quality is a mean of 0..1.

    Raises ``InputError`` where a dimension is unknown or the file cannot be written, ``LedgerError`` where the total
    does not hold.
    """
    lines = spend(ledger, by, since, until)
    whole = spend(ledger, (), since, until)
    total = sum(line.list_cost_nusd for line in lines)
    agree(total, whole[0].list_cost_nusd if whole else 0)
    with Outlet(path) as outlet:
        outlet.write(_row((*by, *_FIGURES, "list_cost_usd", "reported_cost_usd", "quality")))
        for line in lines:
            figures = [getattr(line, name) for name in _FIGURES]
            reported = usd(line.reported_cost_nusd) if line.reported_attempts else ""
            priced = usd(line.list_cost_nusd) if line.priced_attempts or not line.unpriced_attempts else ""
            quality = "" if line.quality is None else f"{line.quality:.6f}"
            outlet.write(_row((*line.keys, *figures, priced, reported, quality)))
        unpriced = sum(line.unpriced_attempts for line in lines)
        return outlet.statement(
            f"spend by {', '.join(by) or 'nothing'} (CSV)",
            rows=len(lines),
            list_cost_nusd=total,
            unpriced_calls=unpriced,
            since=since,
            until=until,
        )


def _row(values: Sequence[object]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(values)
    return text.getvalue().encode()
