"""What serving does around the answer: judging complexity, shortening, sampling, and what caches spare."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from dashboard import data
from dashboard.data import Stamp
from dashboard.filters import View
from router_core.decision import Kind, Strategy
from router_core.ledger.call_sums import CallSums
from router_core.prices import PriceBook
from router_core.projection.pricing import nusd_per_token
from router_core.serving.shadow import AGREES, DIFFERS

NANO: Final = data.NANO
AROUND: Final = {
    Kind.CLASSIFIER: "Judging complexity",
    Kind.EMBEDDING: "Embedding",
    Kind.JUDGE: "Checking answers",
    Kind.COMPRESS: "Shortening prompts",
    Kind.CHAIN: "Steps of chains",
    Kind.ESCALATION: "Escalations",
    Kind.FAILOVER: "Fail-overs",
    Kind.SHADOW: "Samples of cached answers",
    Kind.TRIAL: "Trials",
}
_FREE: Final = (0.0, 0.0, 0.0, 0.0)
_ANSWERS: Final = (Kind.ANSWER, Kind.ESCALATION, Kind.FAILOVER, Kind.CHAIN)


def around(stamp: Stamp, view: View) -> pd.DataFrame:
    """Return a row a kind of call that is not a first answer: ``what``, ``calls``, ``per_request``, ``usd`` and
    ``share`` of all spend, and how long they took in seconds (``p50``, ``p95``), the dearest first."""
    lines = data.spend(stamp, view, ("kind",))
    requests, whole = int(lines["decisions"].sum()), float(lines["list_cost_nusd"].sum())
    names = {kind.name.lower(): what for kind, what in AROUND.items()}
    rows = lines[lines["kind"].isin(names) & (lines["attempts"] > 0)]
    found = pd.DataFrame(
        {
            "kind": rows["kind"],
            "what": rows["kind"].map(names),
            "calls": rows["attempts"],
            "per_request": rows["attempts"] / requests if requests else np.nan,
            "usd": rows["list_cost_nusd"] / NANO,
            "share": rows["list_cost_nusd"] / whole if whole else np.nan,
            "unpriced": rows["unpriced_attempts"],
        }
    )
    waits = data.latency(stamp, View(view.since, view.until), ("kind",))
    seconds = pd.DataFrame({"kind": waits["kind"], "p50": waits["p50_ms"] / 1000, "p95": waits["p95_ms"] / 1000})
    joined: pd.DataFrame = found.merge(seconds, on="kind", how="left")
    return joined.sort_values("usd", ascending=False, ignore_index=True)


def cached(calls: CallSums) -> pd.DataFrame:
    """Return a row a feature that caches served: requests, ``exact`` and ``semantic`` hits, their ``share`` of its
    requests, and ``usd`` they spared, at what its other requests cost on average."""
    hits = {
        name: calls.strategy == strategy
        for name, strategy in (("exact", Strategy.CACHE_EXACT), ("semantic", Strategy.CACHE_SEMANTIC))
    }
    rows = []
    for place, feature in enumerate(calls.features):
        own = calls.feature == place
        requests = int(calls.decisions[own].sum())
        counts = {name: int(calls.decisions[own & which].sum()) for name, which in hits.items()}
        total = sum(counts.values())
        if not total:
            continue
        served = requests - total
        spent = float(calls.list_cost_nusd[own].sum())
        spared = total * spent / served / NANO if served else None
        rows.append({"feature": feature, "requests": requests, **counts, "share": total / requests, "usd": spared})
    columns = ["feature", "requests", "exact", "semantic", "share", "usd"]
    return pd.DataFrame(rows, columns=columns).sort_values("exact", ascending=False, ignore_index=True)


def false_hits(setbacks: pd.DataFrame) -> tuple[int, int]:
    """Return how many sampled hits a model answered otherwise, and how many were sampled; from ``routes.setbacks``."""
    counts = setbacks.groupby("why")["attempts"].sum()
    differ, agree = int(counts.get(DIFFERS, 0)), int(counts.get(AGREES, 0))
    return differ, differ + agree


def shortened(calls: CallSums, prices: PriceBook) -> tuple[int, float, float] | None:
    """Return how many prompts were shortened, what that cost and about what it spared, in dollars; None where none was.

    What is spared: the tokens a summary is shorter by, at what its feature's answers paid for a token of input on
    average. Later turns of a conversation profit again, which is not counted.
    """
    done = calls.kind == Kind.COMPRESS
    count = int(calls.attempts[done].sum())
    if not count:
        return None
    answers = np.isin(calls.kind, _ANSWERS)
    rows = {price.id: nusd_per_token(price) for price in prices if price.id is not None}
    rates = np.nan_to_num(np.array([rows.get(int(row), _FREE) for row in calls.price_id]).reshape(-1, 4))
    read, written = calls.cache_read_input_tokens, calls.cache_write_input_tokens
    paid = (calls.input_tokens - read - written) * rates[:, 0] + read * rates[:, 2] + written * rates[:, 3]
    spared = 0.0
    for place in range(len(calls.features)):
        own = calls.feature == place
        sent = float(calls.input_tokens[own & answers].sum())
        shorter = float((calls.input_tokens - calls.output_tokens)[own & done].sum())
        if sent:
            spared += shorter * float(paid[own & answers].sum()) / sent
    return count, float(calls.list_cost_nusd[done].sum()) / NANO, spared / NANO
