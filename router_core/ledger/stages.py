"""Questions about who decided: shares, quality and the cost of judging by stage, answered from cells alone."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from router_core.ledger.filters import Key, check
from router_core.ledger.stage_cells import COLUMNS, TABLE
from router_core.ledger.store import Ledger
from router_core.ledger.sums import EVERYWHERE, summed

STAGES_BY = ("day", "feature", "stage", "reason")

_SUMS = COLUMNS[len(STAGES_BY) :]


@dataclass(frozen=True, slots=True)
class StageLine:
    """Requests that share ``keys``, how many of them are judged and how well, and the calls that scored them.

    ``quality_ppm_sum`` is in millionths; ``latency_ms`` is summed over ``calls``, and ``list_cost_nusd`` leaves out the
    ``unpriced_calls``. A stage that looks at the text itself makes no call.
    """

    keys: tuple[Key, ...]
    decisions: int
    labelled: int
    quality_ppm_sum: int
    calls: int
    unpriced_calls: int
    latency_ms: int
    list_cost_nusd: int


def stages(
    ledger: Ledger,
    by: Sequence[str],
    since: date | None = None,
    until: date | None = None,
    where: Mapping[str, Collection[str]] = EVERYWHERE,
) -> list[StageLine]:
    """Sum decisions by some of ``STAGES_BY`` over days, ``until`` included; lines in the order of their keys.

    The stage is the one whose score stands, empty where nothing was scored; the reason says whether that score decided
    at all. Raises ``InputError`` where a dimension is unknown.
    """
    check(by, STAGES_BY)
    check(list(where), STAGES_BY[1:])
    return [StageLine(keys, *sums) for keys, _, sums in summed(ledger, TABLE, by, _SUMS, since, until, where)]
