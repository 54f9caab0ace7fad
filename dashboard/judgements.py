"""What people and machines said of the answers: read from cells, and shaped into means with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

import numpy as np
import pandas as pd
import streamlit as st

from dashboard import data, summary
from dashboard.data import Stamp
from dashboard.filters import View
from router_core.decision import Reason
from router_core.ledger.judgements import agreed, judged
from router_core.lifecycle.feedback import Drift, Labelled, Mean, Suggestion, drift, mean, suggestions

MILLION: Final = 1_000_000
SOURCES: Final = ("check", "feedback", "judge", "person")  # in rising precedence
RECENT_DAYS: Final = 7
ROUTED: Final = (Reason.POLICY.name.lower(), Reason.EXPLORE.name.lower(), Reason.UNCERTAIN.name.lower())
EVIDENCE_DAYS: Final = 90  # how far back the newest labels are looked for


@st.cache_data(max_entries=50, show_spinner=False)
def labels(stamp: Stamp, view: View, by: tuple[str, ...], routed: bool = False) -> pd.DataFrame:
    """Return labels within a view: a column a key, then ``labels``, ``carried`` and ``quality`` (a sum, 0..1 each).

    With ``routed`` only those whose tier the router itself chose.
    """
    where = {"feature": (view.feature,)} if view.feature else {}
    lines = judged(data.ledger(), by, view.since, view.until, {**where, "reason": ROUTED} if routed else where)
    columns: dict[str, list[object]] = {key: [line.keys[place] for line in lines] for place, key in enumerate(by)}
    columns |= {"labels": [line.labels for line in lines], "carried": [line.carried for line in lines]}
    return pd.DataFrame({**columns, "quality": [line.quality_ppm_sum / MILLION for line in lines]})


@dataclass(frozen=True)
class Agreement:
    """How far a source agrees with people on whether answers are good, over ``decisions`` that both judged.

    ``share`` has its 95 % interval; ``kappa`` is what agreement is beyond chance, 0 none and 1 all, None where one of
    the two always says the same; ``leniency`` the source's mean quality less people's.
    """

    source: str
    decisions: int
    share: Mean
    kappa: float | None
    leniency: float


@st.cache_data(max_entries=20, show_spinner=False)
def agreements(stamp: Stamp, view: View) -> list[Agreement]:
    """Return how each source agrees with people, those with the most common decisions first."""
    where = {"feature": (view.feature,)} if view.feature else {}
    tables: dict[str, tuple[np.ndarray, int]] = {}
    for line in agreed(data.ledger(), ("source",), view.since, view.until, where):
        table, gap = tables.setdefault(str(line.keys[0]), (np.zeros((2, 2)), 0))
        table[int(line.good), int(line.person_good)] += line.decisions
        tables[str(line.keys[0])] = table, gap + line.quality_ppm_sum - line.person_ppm_sum
    found = [_agreement(source, table, gap) for source, (table, gap) in tables.items()]
    return sorted(found, key=lambda one: -one.decisions)


def _agreement(source: str, table: np.ndarray, gap_ppm: int) -> Agreement:
    n = int(table.sum())
    share = mean(n, float(table.trace()))
    assert share is not None
    chance = float((table.sum(axis=0) * table.sum(axis=1)).sum()) / n**2
    kappa = None if chance >= 1 else (share.value - chance) / (1 - chance)
    return Agreement(source, n, share, kappa, gap_ppm / MILLION / n)


@st.cache_data(max_entries=20, show_spinner=False)
def suggested(stamp: Stamp, until: date, feature: str) -> list[Suggestion]:
    """Return what measured quality suggests as of a day."""
    view = View(until - timedelta(days=EVIDENCE_DAYS - 1), until, feature=feature)
    lines = data.spend(stamp, view, ("day", "feature", "tier"))
    return suggestions(labelled(lines), data.live(stamp).config)


def drifted(lines: pd.DataFrame, tiers: Sequence[str], view: View) -> list[Drift]:
    """Return how the last week of a view differs from what came before it; nothing in a view of less than two."""
    if view.days < 2 * RECENT_DAYS:
        return []
    since = view.until - timedelta(days=RECENT_DAYS - 1)
    return drift(labelled(lines), tiers, since)


def labelled(lines: pd.DataFrame) -> list[Labelled]:
    """Turn spend lines by ``day`` and ``tier``, and ``feature`` where they have it, into labelled answers."""
    rows = lines[lines["labelled"] > 0]
    features = rows["feature"] if "feature" in rows else pd.Series("", index=rows.index)
    return [
        Labelled(day, feature, tier, int(count), total / MILLION)
        for day, feature, tier, count, total in zip(
            rows["day"], features, rows["tier"], rows["labelled"], rows["quality_ppm_sum"], strict=True
        )
    ]


def over_time(lines: pd.DataFrame, tier: str, view: View) -> pd.DataFrame:
    """Return a tier's quality as ``day``, ``labels``, ``quality``, ``low`` and ``high``, from spend lines by day.

    Where there are weeks of days, each one's figure is of the seven days that end with it.
    """
    rows = lines[lines["tier"] == tier].groupby("day")[["labelled", "quality_ppm_sum"]].sum()
    days = [view.since + timedelta(days=place) for place in range(view.days)]
    rows = rows.reindex(days, fill_value=0)
    if view.days >= summary.WEEKS:
        rows = rows.rolling(RECENT_DAYS, min_periods=RECENT_DAYS).sum().iloc[RECENT_DAYS - 1 :]
    means = [
        (day, found.labels, found.value, found.low, found.high)
        for day, count, total in zip(rows.index, rows["labelled"], rows["quality_ppm_sum"], strict=True)
        if (found := mean(int(count), total / MILLION)) is not None
    ]
    return pd.DataFrame(means, columns=["day", "labels", "quality", "low", "high"])


def whole(lines: pd.DataFrame, tier: str | None = None) -> Mean | None:
    """Return the mean quality of spend lines, of one tier or of all."""
    rows = lines if tier is None else lines[lines["tier"] == tier]
    return mean(int(rows["labelled"].sum()), float(rows["quality_ppm_sum"].sum()) / MILLION)


@dataclass(frozen=True)
class Routing:
    """Assigned against needed tiers where people named one: ``right``, sent to ``stronger`` or ``cheaper`` than needed.

    ``table`` has a row for each assigned tier and a column for each needed one, both cheapest first, with counts.
    """

    right: Mean
    stronger: int
    cheaper: int
    table: pd.DataFrame


def routing(frame: pd.DataFrame, tiers: Sequence[str]) -> Routing | None:
    """Set people's needed tiers against the assigned ones, from labels by ``tier``, ``source`` and ``needed_tier``."""
    rows = frame[(frame["source"] == "person") & frame["tier"].isin(tiers) & frame["needed_tier"].isin(tiers)]
    table = rows.pivot_table(index="tier", columns="needed_tier", values="labels", aggfunc="sum", fill_value=0)
    table = table.reindex(index=list(tiers), columns=list(tiers), fill_value=0)
    counts = table.to_numpy(dtype=float)
    right = mean(int(counts.sum()), float(counts.trace()))
    if right is None:
        return None
    return Routing(right, int(np.tril(counts, -1).sum()), int(np.triu(counts, 1).sum()), table)


def coverage(frame: pd.DataFrame, requests: pd.DataFrame) -> pd.DataFrame:
    """Return the share of requests judged, by ``day`` and ``source``, from labels by both and spend lines by day."""
    answered = requests.groupby("day")["decisions"].sum()
    rows = frame.groupby(["day", "source"], as_index=False)["carried"].sum()
    shares: pd.DataFrame = rows.assign(share=rows["carried"] / rows["day"].map(answered).astype(float))
    return shares


def checks(frame: pd.DataFrame, lines: pd.DataFrame) -> pd.DataFrame:
    """Return a row a feature and tier whose answers are checked, the most troubled first.

    From labels by ``feature``, ``tier`` and ``source``, and spend lines by ``feature`` and ``tier``: ``checked`` and
    ``failed`` answers, ``share`` of them that failed, and ``escalated``, the share of requests whose draft was refused.
    """
    said = frame[frame["source"] == "check"].groupby(["feature", "tier"])[["labels", "quality"]].sum()
    asked = lines.groupby(["feature", "tier"])[["decisions", "escalations"]].sum()
    rows = asked.join(said, how="left").fillna(0.0)
    rows = rows[(rows["labels"] > 0) | (rows["escalations"] > 0)]
    failed = rows["labels"] - rows["quality"]
    found = pd.DataFrame(
        {
            "checked": rows["labels"].astype(int),
            "failed": failed.round().astype(int),
            "share": failed / rows["labels"].where(rows["labels"] > 0),
            "escalated": rows["escalations"] / rows["decisions"].where(rows["decisions"] > 0),
        }
    )
    found["worst"] = found[["share", "escalated"]].max(axis=1)
    return found.sort_values("worst", ascending=False).drop(columns="worst").reset_index()


def feedback_only(frame: pd.DataFrame, key: str) -> list[str]:
    """Return the names of a key whose answers users alone judged, from labels by it and ``source``.

    Who says something of an answer is no sample of those who got one, so such quality is biased.
    """
    counts = frame.pivot_table(index=key, columns="source", values="labels", aggfunc="sum", fill_value=0)
    if "feedback" not in counts:
        return []
    others = counts.drop(columns="feedback").sum(axis=1)
    return [str(name) for name in counts.index[(others == 0) & (counts["feedback"] > 0)]]


def by_source(frame: pd.DataFrame, found: Sequence[Agreement]) -> pd.DataFrame:
    """Return a row a source: labels, mean quality with its interval, and its agreement with people."""
    known = {one.source: one for one in found}
    rows = []
    for source in SOURCES:
        part = frame[frame["source"] == source]
        said = mean(int(part["labels"].sum()), float(part["quality"].sum()))
        if said is None:
            continue
        one = known.get(source)
        rows.append(
            {
                "source": source,
                "labels": said.labels,
                "carried": int(part["carried"].sum()),
                "quality": said.value,
                "low": said.low,
                "high": said.high,
                "agreement": None if one is None else one.share.value,
                "kappa": None if one is None else one.kappa,
                "leniency": None if one is None else one.leniency,
                "both": 0 if one is None else one.decisions,
            }
        )
    columns = ["source", "labels", "carried", "quality", "low", "high", "agreement", "kappa", "leniency", "both"]
    return pd.DataFrame(rows, columns=columns)
