"""What an import did: every row is accounted for as loaded, already there, left out or rejected."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from router_core.exchange.calls import Rejected

_SHOWN = 20


@dataclass(slots=True)
class Report:
    """The account of one import.

    ``rows`` is ``loaded + duplicates + left_out + rejected``. Counts of decisions, tokens, costs (nano-dollars) and the
    period (UTC epoch milliseconds) are those of what was loaded. ``calls`` tells of tokens or not; ``metered`` of them
    do, and ``priced`` of those our prices cover. ``changed`` buckets had other figures before.
    """

    title: str
    holds: str
    rows: int = 0
    loaded: int = 0
    duplicates: int = 0
    left_out: int = 0
    rejected: int = 0
    changed: int = 0
    decisions: int = 0
    labels: int = 0
    calls: int = 0
    metered: int = 0
    priced: int = 0
    reported: int = 0
    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_input_tokens: int = 0
    cache_write_input_tokens: int = 0
    reasoning_output_tokens: int = 0
    list_cost_nusd: int = 0
    reported_cost_nusd: int = 0
    first_ms: int | None = None
    last_ms: int | None = None
    seconds: float = 0.0
    rejects_file: str | None = None
    rejects: list[Rejected] = field(default_factory=list)
    notes: Counter[str] = field(default_factory=Counter)

    @property
    def priced_share(self) -> float | None:
        """Share of the calls with known tokens that have a price; None without any."""
        return self.priced / self.metered if self.metered else None

    def at(self, first_ms: int, last_ms: int) -> None:
        """Widen the period."""
        if self.first_ms is None or first_ms < self.first_ms:
            self.first_ms = first_ms
        if self.last_ms is None or last_ms > self.last_ms:
            self.last_ms = last_ms

    def reject(self, rejected: Rejected) -> None:
        """Count a rejected row, and keep the first few to be shown."""
        self.rows += 1
        self.rejected += 1
        if len(self.rejects) < _SHOWN:
            self.rejects.append(rejected)

    def plain(self) -> dict[str, Any]:
        """Return the report as JSON has it."""
        plain = asdict(self)
        plain["rejects"] = [{"line": one.line, "reason": one.reason} for one in self.rejects]
        plain["notes"] = dict(self.notes)
        plain["priced_share"] = self.priced_share
        plain["seconds"] = round(self.seconds, 3)
        return plain

    def sentences(self) -> list[str]:
        """Return the report in words, most important first."""
        told = [f"{self.title}: {self.rows:,} rows read, {self.loaded:,} loaded, {self.duplicates:,} already there."]
        if self.rejected:
            where = f"; they are in {self.rejects_file}" if self.rejects_file else ""
            told.append(f"{self.rejected:,} rows could not be used{where}.")
        if self.holds == "spend":
            told.append(
                "These are sums, not single requests: they count as spend, but a preview cannot rest on them."
                + (f" {self.changed:,} buckets had other figures before." if self.changed else "")
            )
        elif self.decisions:
            told.append(f"{self.decisions:,} requests came of them, with {self.calls:,} calls.")
        if self.labels:
            told.append(f"{self.labels:,} quality labels were attached.")
        if self.loaded and (self.metered or self.reported):
            told.append(self._costs())
        if self.first_ms is not None and self.last_ms is not None:
            told.append(f"They are from {_moment(self.first_ms)} to {_moment(self.last_ms)} UTC.")
        told += [f"{number:,} {sentence}." for sentence, number in sorted(self.notes.items()) if number]
        return told

    def _costs(self) -> str:
        told = []
        if self.metered:
            share = 100 * self.priced / self.metered
            told.append(f"{share:.1f} % of calls priced, ${self.list_cost_nusd / 1e9:,.6f} at list")
        if self.reported:
            told.append(f"${self.reported_cost_nusd / 1e9:,.6f} as the source reports it")
        return "; ".join(told) + "."


def _moment(ms: int) -> str:
    return datetime.fromtimestamp(ms // 1000, UTC).strftime("%Y-%m-%d %H:%M")
