"""What every engine runs: the texts that sum, the columns they read, and tables with numbers from files with names."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from router_core.ledger.bulk import Row
from router_core.ledger.cells import EVIDENCE, LATENCIES, SPEND_HOURS
from router_core.ledger.fallback_cells import FALLBACKS
from router_core.ledger.label_cells import AGREEMENTS, LABELS
from router_core.ledger.parts import ATTEMPTS, DECISIONS, Part
from router_core.ledger.parts import LABELS as LABEL_PART
from router_core.ledger.rollup import DaySums, check_days, fold_latencies
from router_core.ledger.stage_cells import STAGES

TEXTS = (SPEND_HOURS, LATENCIES, EVIDENCE, LABELS, AGREEMENTS, FALLBACKS, STAGES)
_ALIASES = {DECISIONS: "d", ATTEMPTS: "a", LABEL_PART: "lpn"}


def columns(part: Part) -> tuple[str, ...]:
    """Return the columns of a table that the texts read, in its order."""
    used = {name for text in TEXTS for name in re.findall(rf"\b[{_ALIASES[part]}]\.(\w+)", text)}
    return tuple(name for name in part.schema.names if name in used)


def numbered(part: Part, source: str) -> str:
    """Return the query that reads a table's columns from ``source``, which has names, with the numbers of the ledger.

    The engine knows the numbers as a table ``names`` of kind, name and number.
    """
    shown, joins = [], []
    for name in columns(part):
        kind = part.kinds.get(name)
        if kind is None:
            shown.append(f"p.{name}")
            continue
        alias = f"n_{name}"
        shown.append(f"{alias}.number AS {name}")
        joins.append(f"LEFT JOIN names {alias} ON {alias}.kind = '{kind}' AND {alias}.name = p.{name[:-3]}")
    return f"SELECT {', '.join(shown)} FROM {source} p {' '.join(joins)}"


def plain(part: Part, source: str) -> str:
    """Return the query that reads a table's columns from ``source``, which has numbers already."""
    return f"SELECT {', '.join(columns(part))} FROM {source}"


def sum_day(day: int, generation: int, run: Callable[[str], Iterable[Row]]) -> DaySums:
    """Return the cells of one day, given what runs a text over its rows; raises ``LedgerError`` where days differ."""
    hours, latencies, evidence, *others = (list(run(text)) for text in TEXTS)
    check_days(day, hours)
    return DaySums(day, generation, hours, fold_latencies(latencies), evidence, *others)
