"""What an import did: every row is accounted for as loaded, already there, left out or rejected."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from router_core.decision import RoutingDecision
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

    def add(self, decision: RoutingDecision, *, rows: int) -> None:
        """Count a decision that was loaded, and the rows it came from."""
        self.loaded += rows
        self.decisions += 1
        self.requests += 1
        self.at(decision.decided_at_ms, decision.decided_at_ms)
        for attempt in decision.attempts:
            self.calls += 1
            self.list_cost_nusd += attempt.list_cost_nusd or 0
            self.reported += attempt.reported_cost_nusd is not None
            self.reported_cost_nusd += attempt.reported_cost_nusd or 0
            usage = attempt.usage
            if usage is not None:
                self.metered += 1
                self.priced += attempt.list_cost_nusd is not None
                self.input_tokens += usage.input_tokens
                self.output_tokens += usage.output_tokens
                self.cache_read_input_tokens += usage.cache_read_input_tokens
                self.cache_write_input_tokens += usage.cache_write_input_tokens
                self.reasoning_output_tokens += usage.reasoning_output_tokens

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
        plain["notes"] = {sentence: number for sentence, number in self.notes.items() if number}
        plain["priced_share"] = self.priced_share
        plain["seconds"] = round(self.seconds, 3)
        return plain

    def sentences(self) -> list[str]:
        """Return the report in words, most important first."""
        read = _counted(self.rows, "row")
        told = [f"{self.title}: {read} read, {self.loaded:,} loaded, {self.duplicates:,} already there."]
        if self.rejected:
            where = f"; see {self.rejects_file}" if self.rejects_file else ""
            told.append(f"{_counted(self.rejected, 'row')} could not be used{where}.")
        if self.holds == "spend":
            told.append(
                "These are sums, not single requests: they count as spend, but a preview cannot rest on them."
                + (f" {_counted(self.changed, 'bucket')} had other figures before." if self.changed else "")
            )
        elif self.decisions:
            told.append(f"They are {_counted(self.decisions, 'request')} with {_counted(self.calls, 'call')}.")
        if self.labels:
            told.append(f"{_counted(self.labels, 'quality label')} attached.")
        if self.loaded and (self.metered or self.reported):
            told.append(self._costs())
        if self.first_ms is not None and self.last_ms is not None:
            told.append(f"They are from {_moment(self.first_ms)} to {_moment(self.last_ms)} UTC.")
        told += [f"Note: {sentence} ({number:,})." for sentence, number in sorted(self.notes.items()) if number]
        return told

    def _costs(self) -> str:
        told = []
        if self.metered:
            share = 100 * self.priced / self.metered
            told.append(f"{share:.1f} % of calls priced, ${self.list_cost_nusd / 1e9:,.6f} at list")
        if self.reported:
            told.append(f"${self.reported_cost_nusd / 1e9:,.6f} as the source reports it")
        return "; ".join(told) + "."


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _moment(ms: int) -> str:
    return datetime.fromtimestamp(ms // 1000, UTC).strftime("%Y-%m-%d %H:%M")
