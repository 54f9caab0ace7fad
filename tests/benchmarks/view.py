"""What the first page asks of a ledger, and what that needs of memory in a process that does nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from router_core.ledger import queries
from router_core.ledger.store import Ledger, open_ledger


def look(ledger: Ledger) -> None:
    """Ask for the window, spend by day, tier and outcome, and latency by tier."""
    queries.window(ledger)
    queries.spend(ledger, ["day", "tier", "status"])
    queries.latency(ledger, ["tier"])


def weigh(url: str, answer: Any) -> None:
    """Look once, and put the process's peak in megabytes."""
    with open_ledger(url) as ledger:
        look(ledger)
    # Not getrusage: what that calls a peak is inherited from the process that started this one.
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    answer.put(int(status["VmHWM"].split()[0]) / 1024)
