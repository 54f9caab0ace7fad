"""Fills a ledger with simulated traffic, one day after another, and keeps beside it what truly would have happened."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from itertools import accumulate
from pathlib import Path

import numpy as np

from router_core.config import RoutingConfig
from router_core.demo.answered import Models, answer
from router_core.demo.arrivals import SLOT_MS, Arrivals
from router_core.demo.asked import NAMES, ask
from router_core.demo.assigned import assign
from router_core.demo.budgets import budgets
from router_core.demo.pricing import Pricer
from router_core.demo.reviews import review
from router_core.demo.rows import Numbers, rows
from router_core.demo.truth import DemoTruth, save_truth, truth_path
from router_core.demo.world import DISCOUNT, DISCOUNT_FACTOR, DISCOUNTED, PUSHES, Window, adequacy, configs
from router_core.errors import InputError, LedgerError, NoSupportError
from router_core.ledger.bulk import Row
from router_core.ledger.config_versions import live_version
from router_core.ledger.days import date_of
from router_core.ledger.price_rows import add_prices, read_prices
from router_core.ledger.rollup import refresh
from router_core.ledger.rows import DECISION_COLUMNS
from router_core.ledger.store import Ledger
from router_core.lifecycle import versions
from router_core.lifecycle.foretell import foretell
from router_core.prices import PriceBook

AUTHOR = "demo"
_BATCH = 20_000
_ATTEMPTS, _COST, _SOURCE = (DECISION_COLUMNS.index(name) for name in ("attempts", "cost_nusd", "quality_source"))
_PARTS = ("at_ms", "feature", "score", "reason", "tier", "cost_nusd", "quality")


@dataclass(frozen=True)
class DemoReport:
    """What was written; ``cost_nusd`` is the list cost of all of it, ``truth`` the file beside the ledger, if any."""

    decisions: int
    attempts: int
    labelled: int
    cost_nusd: int
    first_day: str
    last_day: str
    truth: Path | None


def is_demo(ledger: Ledger) -> bool:
    """Return whether a ledger holds simulated traffic."""
    return ledger.meta("demo") == "1"


def is_empty(ledger: Ledger) -> bool:
    """Return whether nothing would be mixed up by filling a ledger: no decision, and no configuration pushed."""
    with ledger.reading() as connection:
        used = connection.exec_driver_sql("SELECT 1 FROM decision LIMIT 1").first() is not None
    return not used and live_version(ledger) <= 1


def fill(
    ledger: Ledger,
    *,
    decisions: int = 200_000,
    days: int = 30,
    seed: int = 0,
    now_ms: int,
    progress: Callable[[int, int], None] | None = None,
) -> DemoReport:
    """Write ``decisions`` simulated ones over the ``days`` that end now (UTC epoch milliseconds); same seed, same rows.

    ``progress`` is told the decisions written and their total. Raises ``InputError`` where the ledger holds decisions
    already: simulated ones are never mixed with real ones. The last days' rollups are left to the caller.
    """
    if not is_empty(ledger):
        what = "simulated traffic already" if is_demo(ledger) else "decisions or a configuration of your own"
        raise InputError(f"this ledger holds {what}, and the demo fills only an empty one; give another --db")
    ledger.set_meta("demo", "1")  # first, so that nothing half written is ever taken for real
    arrivals = Arrivals(decisions, days, now_ms, ledger.days, np.random.default_rng([seed, 0]))
    pushed, numbers_of = configs(), [_push(ledger, 0, arrivals.window)]
    _agree_discount(ledger, arrivals.window)
    models = Models(pushed[0])
    pricer = Pricer(PriceBook(read_prices(ledger)), models.price_names)
    numbers = Numbers(ledger, pushed[0], models)
    cascades = np.array([_strategy(pushed[0], name) == "cascade" for name in NAMES])
    pushed_at = np.array([arrivals.window.at(push.at) for push in PUSHES[1:]])
    warm_ms = pushed[0].sticky.warm_seconds * 1000

    parts: list[DemoTruth] = []
    attempts = labelled = cost = 0
    for day in np.unique(arrivals.day):
        random = np.random.default_rng([seed, int(day)])
        if not arrivals.counts[arrivals.day == day].any():
            continue
        while len(numbers_of) < len(PUSHES) and pushed_at[len(numbers_of) - 1] < ledger.days.start_ms(int(day) + 1):
            numbers_of.append(_push(ledger, len(numbers_of), arrivals.window))
        asked = ask(arrivals, int(day), warm_ms, random)
        version = np.searchsorted(pushed_at, asked.at_ms, side="right")
        assigned = assign(asked, pushed, version, random)
        answered = answer(asked, models, pricer, arrivals.window, cascades, random)
        slot = np.searchsorted(arrivals.slots, asked.at_ms // SLOT_MS * SLOT_MS)
        decision_rows, attempt_rows = rows(
            asked,
            assigned,
            answered,
            models,
            numbers,
            arrivals.day[slot],
            arrivals.hour[slot],
            numbers_of,
            cascades,
            random,
        )
        _write(ledger, decision_rows, attempt_rows)
        adequate = adequacy(asked.difficulty, asked.offset)
        reviewers = np.random.default_rng([seed, int(day), 1])
        review(ledger, decision_rows, adequate, assigned.tier, numbers.tier, reviewers)
        parts.append(
            DemoTruth(
                NAMES,
                pushed[0].tier_names,
                asked.at_ms,
                asked.feature.astype(np.int8),
                asked.score.astype(np.int8),
                assigned.reason.astype(np.int8),
                assigned.tier.astype(np.int8),
                answered.cost,
                answered.quality.astype(np.float32),
            )
        )
        attempts += len(attempt_rows)
        labelled += sum(row[_SOURCE] is not None for row in decision_rows)
        cost += sum(row[_COST] for row in decision_rows)
        if progress is not None:
            progress(sum(map(len, parts)), decisions)
    held = arrivals.day[arrivals.counts.any(axis=1)]  # just after midnight nobody may have asked anything today
    return DemoReport(
        decisions,
        attempts,
        labelled,
        cost,
        date_of(int(held[0])).isoformat(),
        date_of(int(held[-1])).isoformat(),
        _keep(ledger, parts),
    )


def _write(ledger: Ledger, decision_rows: list[Row], attempt_rows: list[Row]) -> None:
    """Write a day in a few transactions, each decision together with its attempts."""
    beyond = list(accumulate((row[_ATTEMPTS] for row in decision_rows), initial=0))
    for start in range(0, len(decision_rows), _BATCH):
        end = min(start + _BATCH, len(decision_rows))
        ledger.write_rows(decision_rows[start:end], attempt_rows[beyond[start] : beyond[end]])


def _push(ledger: Ledger, number: int, window: Window) -> int:
    """Push one of the company's configurations, dated as it was, with its projection on the traffic written so far."""
    event, config, at_ms = PUSHES[number], configs()[number], window.at(PUSHES[number].at)
    projection = None
    if number:
        refresh(ledger)
        with suppress(NoSupportError):
            projection = foretell(ledger, config, at_ms=at_ms, replicates=100).as_json()
        config = config.model_copy(update={"budgets": budgets(ledger, at_ms - window.start_ms)})
    return versions.push(ledger, config, author=AUTHOR, note=event.note, projection=projection, at_ms=at_ms).version


def _agree_discount(ledger: Ledger, window: Window) -> None:
    """Add the contract price that starts within the window."""
    at_ms = window.at(DISCOUNT.at)
    listed = PriceBook(read_prices(ledger)).find(*DISCOUNTED, at_ms)
    if listed is None:
        raise LedgerError(f"the ledger knows no price of {DISCOUNTED[1]!r}, which the demo starts from")
    start = datetime.fromtimestamp(at_ms / 1000, UTC).date()
    contract = replace(
        listed,
        id=None,
        layer="contract",
        effective_from=start,
        input_usd_per_mtok=_less(listed.input_usd_per_mtok),
        output_usd_per_mtok=_less(listed.output_usd_per_mtok),
        cache_read_usd_per_mtok=_less(listed.cache_read_usd_per_mtok),
        cache_write_usd_per_mtok=_less(listed.cache_write_usd_per_mtok),
        source="demo",
        note=DISCOUNT.note,
    )
    add_prices(ledger, [contract])
    ledger.event(AUTHOR, "price", f"{DISCOUNTED[0]} {DISCOUNTED[1]} from {start}: {DISCOUNT.note}")


def _less(rate: Decimal | None) -> Decimal | None:
    return None if rate is None else rate * DISCOUNT_FACTOR


def _strategy(config: RoutingConfig, feature: str) -> str | None:
    return config.features[feature].strategy if feature in config.features else None


def _keep(ledger: Ledger, parts: list[DemoTruth]) -> Path | None:
    """Keep the truth beside a ledger that is a file; a server has nowhere to put it."""
    url = ledger.engine.url
    if url.get_backend_name() != "sqlite" or url.database is None:
        return None
    path = truth_path(url.database)
    joined = {name: np.concatenate([getattr(part, name) for part in parts]) for name in _PARTS}
    save_truth(DemoTruth(parts[0].features, parts[0].tiers, **joined), path)
    return path
