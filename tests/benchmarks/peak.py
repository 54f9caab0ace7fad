"""What a preview needs of memory, measured in a process that has read nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from router_core.config import RoutingConfig
from router_core.ledger.evidence import Evidence
from router_core.prices import PriceBook
from router_core.projection import Cube, Preview


def preview(evidence: Evidence, config: RoutingConfig, prices: PriceBook, replicates: int, answer: Any) -> None:
    """Build a preview, ask it for a setting with its controls, and put the process's peak in megabytes."""
    cube = Cube.from_evidence(evidence, config, prices)
    projection = Preview(cube, config, prices, replicates).at_boundaries([0, 50, 80, 95])
    assert projection.controls
    # Not getrusage: what that calls a peak is inherited from the process that started this one.
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    answer.put(int(status["VmHWM"].split()[0]) / 1024)
