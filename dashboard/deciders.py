"""Who decided on requests: their share, how good the answers were, and what finding out how hard they are cost."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd
import streamlit as st

from dashboard import data
from dashboard.data import Stamp
from dashboard.filters import View
from router_core.decision import Reason
from router_core.ledger.stages import stages
from router_core.lifecycle.feedback import mean

MILLION: Final = 1_000_000

# Where something else than a score decided, that is who did; else the stage whose score stood.
BY_REASON: Final = {
    Reason.RULE: "Rules",
    Reason.PIN: "Pins of features",
    Reason.STICKY: "Warm conversations",
    Reason.EXPLORE: "Exploration",
    Reason.UNCERTAIN: "Nobody was sure, so one tier up",
    Reason.BUDGET: "Spent budgets",
    Reason.NAMED: "Callers, naming a model",
}
BY_STAGE: Final = {
    "rules": "Rules",
    "embedding": "Fitted scorer",
    "reference": "Shipped reference",
    "judge": "Judge model",
    "imported": "Another tool, before the import",
    "": "Nobody: no score",
}
_REASONS: Final = {reason.name.lower(): who for reason, who in BY_REASON.items()}
_SUMS: Final = ["decisions", "labelled", "quality", "calls", "unpriced", "seconds", "usd"]


@st.cache_data(max_entries=24, show_spinner=False)
def deciders(stamp: Stamp, view: View) -> pd.DataFrame:
    """Return a row for each who decided, the busiest first; teams are not kept apart.

    ``who``; ``decisions`` and their ``share``; ``quality`` with ``low``, ``high`` and ``labelled``; ``calls`` made to
    score these requests, how many of them are ``unpriced``, ``usd`` in all and ``usd_per_request`` (both unknown where
    one of them is unpriced), and ``wait``, the seconds they took on average, unknown where there was none.
    """
    where = {"feature": (view.feature,)} if view.feature else {}
    lines = stages(data.ledger(), ("stage", "reason"), view.since, view.until, where)
    rows = [
        {
            "who": who(str(line.keys[0]), str(line.keys[1])),
            "decisions": line.decisions,
            "labelled": line.labelled,
            "quality": line.quality_ppm_sum / MILLION,
            "calls": line.calls,
            "unpriced": line.unpriced_calls,
            "seconds": line.latency_ms / 1000,
            "usd": line.list_cost_nusd / data.NANO,
        }
        for line in lines
    ]
    found = pd.DataFrame(rows, columns=["who", *_SUMS]).groupby("who", as_index=False)[_SUMS].sum()
    judged = [mean(int(n), float(total)) for n, total in zip(found["labelled"], found["quality"], strict=True)]
    usd = found["usd"].where(found["unpriced"] == 0).astype(float)
    found = found.assign(
        share=found["decisions"] / max(found["decisions"].sum(), 1),
        quality=[np.nan if one is None else one.value for one in judged],
        low=[np.nan if one is None else one.low for one in judged],
        high=[np.nan if one is None else one.high for one in judged],
        usd=usd,
        usd_per_request=usd / found["decisions"].where(found["decisions"] > 0),
        wait=found["seconds"] / found["calls"].where(found["calls"] > 0),
    )
    ordered: pd.DataFrame = found.sort_values(["decisions", "who"], ascending=[False, True], ignore_index=True)
    return ordered


def who(stage: str, reason: str) -> str:
    """Return who decided, from the stage whose score stands and why the tier was assigned."""
    return _REASONS.get(reason) or BY_STAGE.get(stage, stage)
