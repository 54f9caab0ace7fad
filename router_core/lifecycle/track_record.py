"""What pushes promised and what came: each stored projection set against the traffic that arrived under it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import numpy as np

from router_core.errors import ConfigError, NoSupportError
from router_core.ledger.between import evidence_between
from router_core.ledger.price_rows import read_prices
from router_core.ledger.store import Ledger
from router_core.lifecycle import versions
from router_core.lifecycle.versions import Version
from router_core.prices import PriceBook
from router_core.projection import Cube, Preview, Projection

LEAST_REQUESTS = 200  # under a version, before anything is said of what came
_DAY_MS = 86_400_000

Figure = tuple[float | None, float | None, float | None]
"""A value with its low and its high."""


@dataclass(frozen=True)
class Compared:
    """One figure as promised and as it came, each with its 95 % interval; None where nothing can be said.

    ``held`` says whether the two lie no further apart than both intervals allow.
    """

    promised: float | None
    promised_low: float | None
    promised_high: float | None
    realised: float | None
    realised_low: float | None
    realised_high: float | None
    held: bool | None

    @classmethod
    def of(cls, promised: Mapping[str, Any], realised: Figure) -> Compared:
        """Compare a promise (its ``value``, ``low`` and ``high``) with a figure, its low and its high."""
        value, low, high = (promised.get(name) for name in ("value", "low", "high"))
        return cls(value, low, high, *realised, _held((value, low, high), realised))

    def as_json(self) -> dict[str, Any]:
        """Return the figures as plain data."""
        return dict(vars(self))


@dataclass(frozen=True)
class PushOutcome:
    """What came of one push, from ``pushed_at_ms`` to ``until_ms``, when the next one followed, or now.

    ``cost_nusd`` is what the ``decisions`` made under ``version`` cost, and ``previous_cost_nusd`` what the version
    before would have cost on them, by the same engine as a preview; None where that cannot be said. ``saving`` is a
    share of the latter; ``quality`` a change in mean quality, 0..1. ``notes`` are sentences.
    """

    version: int
    previous: int
    author: str
    note: str
    pushed_at_ms: int
    until_ms: int
    days: float
    decisions: int
    cost_nusd: int | None
    previous_cost_nusd: int | None
    saving: Compared
    quality: Compared
    notes: tuple[str, ...]

    @property
    def held(self) -> bool | None:
        """Whether all that could be judged held; None where nothing could."""
        judged = [one.held for one in (self.saving, self.quality) if one.held is not None]
        return all(judged) if judged else None

    def as_json(self) -> dict[str, Any]:
        """Return the outcome as plain data."""
        plain = {**vars(self), "notes": list(self.notes), "held": self.held}
        return {**plain, "saving": self.saving.as_json(), "quality": self.quality.as_json()}


def track_record(ledger: Ledger, *, now_ms: int | None = None, replicates: int = 200) -> list[PushOutcome]:
    """Set every push that stored a projection against what came of it, oldest first; reads the cells as they are.

    Traffic is that which arrived while the version was live. It is re-projected backwards: had the version before
    stayed, what would it have cost, and how good would its answers have been?
    """
    now = time.time_ns() // 1_000_000 if now_ms is None else now_ms
    past = versions.history(ledger)
    ends = [*(after.created_at_ms for after in past[1:]), now]
    book: PriceBook | None = None
    found = []
    for (before, pushed), until in zip(pairwise(past), ends[1:], strict=True):
        if pushed.projection is None:
            continue
        if book is None:
            book = PriceBook(read_prices(ledger))
        found.append(_outcome(ledger, before, pushed, max(until, pushed.created_at_ms), book, replicates))
    return found


def share_held(outcomes: Sequence[PushOutcome]) -> tuple[int, int]:
    """Return how many of the promises that could be judged held, and how many those were.

    A push makes two: one of the saving, one of quality.
    """
    judged = [one.held for outcome in outcomes for one in (outcome.saving, outcome.quality) if one.held is not None]
    return sum(judged), len(judged)


def _outcome(
    ledger: Ledger, before: Version, pushed: Version, until_ms: int, book: PriceBook, replicates: int
) -> PushOutcome:
    evidence = evidence_between(ledger, pushed.created_at_ms, until_ms)
    decisions = int(np.sum(evidence.decisions))
    notes: list[str] = []
    back: Projection | None = None
    if decisions < LEAST_REQUESTS:
        notes.append(f"Only {decisions:,} requests came so far; {LEAST_REQUESTS} are needed to judge.")
    else:
        try:
            cube = Cube.from_evidence(evidence, pushed.config, book)
            back = Preview(cube, pushed.config, book, replicates).at(before.config)
            notes += back.notes
        except (ConfigError, NoSupportError) as error:
            notes.append(f"What version {before.version} would have done cannot be said: {error}.")
    promised = pushed.projection or {}
    notes += _changed_prices(book, pushed, until_ms)
    foretold = promised.get("quality") or {}
    return PushOutcome(
        version=pushed.version,
        previous=before.version,
        author=pushed.author,
        note=pushed.note,
        pushed_at_ms=pushed.created_at_ms,
        until_ms=until_ms,
        days=(until_ms - pushed.created_at_ms) / _DAY_MS,
        decisions=decisions,
        cost_nusd=int(np.sum(evidence.list_cost_nusd)) if decisions else None,
        previous_cost_nusd=None if back is None else back.cost.projected,
        saving=Compared.of(promised.get("saving_share") or {}, _saving(back)),
        quality=Compared.of({**foretold, "value": foretold.get("change")}, _quality(back)),
        notes=tuple(notes),
    )


def _changed_prices(book: PriceBook, pushed: Version, until_ms: int) -> list[str]:
    """Name the models in use whose price changed after the push: the promise knew nothing of that."""
    since, until = (datetime.fromtimestamp(at / 1000, UTC).date() for at in (pushed.created_at_ms, until_ms))
    changed = [
        name
        for tier in pushed.config.tiers
        for name in tier.models[:1]
        if any(since < price.effective_from <= until for price in book.history(*pushed.config.price_names(name)))
    ]
    return [f"The price of {', '.join(changed)} changed after the push, which moves the saving too."] if changed else []


def _saving(back: Projection | None) -> Figure:
    """Turn what going back would cost into what having left saved, as a share of what staying would have cost."""
    if back is None or back.cost.change is None or back.cost.low is None or back.cost.high is None:
        return None, None, None
    logged = back.cost.logged
    value, low, high = (
        change / (logged + change) if logged + change > 0 else None
        for change in (back.cost.change, back.cost.low, back.cost.high)
    )
    return value, low, high


def _quality(back: Projection | None) -> Figure:
    """Turn what going back would do to quality into what having left did."""
    if back is None or back.quality.low is None or back.quality.high is None:
        return None, None, None
    change = back.quality.change
    return None if change is None else 0.0 - change, 0.0 - back.quality.high, 0.0 - back.quality.low


def _held(promised: Figure, realised: Figure) -> bool | None:
    value, low, high = promised
    came, came_low, came_high = realised
    if low is None or high is None or came_low is None or came_high is None:
        return None
    if value is None or came is None:  # a range without an estimate: do the two meet?
        return bool(low <= came_high and came_low <= high)
    # Two figures of one truth differ by chance as far as both intervals together let them.
    above = came >= value
    reach = (high - value, came - came_low) if above else (value - low, came_high - came)
    return bool(abs(came - value) <= (reach[0] ** 2 + reach[1] ** 2) ** 0.5 + 1e-12)
