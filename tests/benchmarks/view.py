"""What is asked of a ledger of any size, in a process that does nothing else."""

from __future__ import annotations

import os
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


def measure_exact(url: str, answer: Any) -> None:
    """Put the calls that exact quantiles by tier and model rest on, and the CPU seconds they took."""
    from router_core.ledger.engines.exact import exact_latency  # the other measurement does without Arrow

    with open_ledger(url) as ledger:
        before = sum(os.times()[:4])
        lines = exact_latency(ledger, ["tier", "model"])
        answer.put((sum(line.attempts for line in lines), sum(os.times()[:4]) - before))
