"""Everything pages read, cached here and nowhere else: bounded, and keyed by what would change the answer."""

from __future__ import annotations

import getpass
import os
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, time
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import streamlit as st

from dashboard import filters, summary
from dashboard.filters import View
from dashboard.summary import Baseline, Totals
from dashboard.traffic import Traffic
from router_core.cli import DEFAULT_DB
from router_core.config import dump_config
from router_core.errors import LedgerError, TierwiseError
from router_core.ledger import queries
from router_core.ledger.call_sums import CallSums, call_sums
from router_core.ledger.config_versions import live_version
from router_core.ledger.evidence import Evidence, evidence
from router_core.ledger.metered import MeteredLine
from router_core.ledger.metered import metered as metered_lines
from router_core.ledger.price_rows import price_revision, read_prices
from router_core.ledger.rollup import refresh
from router_core.ledger.store import Ledger, open_ledger
from router_core.lifecycle import versions
from router_core.lifecycle.versions import Version
from router_core.prices import Price, PriceBook
from router_core.projection import Cube, Money, Preview
from router_core.projection.baseline import find_model, on_one_model, overheads
from router_core.projection.optimize import frontier
from router_core.projection.pricing import nusd_per_token, successors

FRESH_SECONDS = 10
NANO = 1_000_000_000


@dataclass(frozen=True)
class Stamp:
    """What the cached answers depend on: which ledger, its cells, the live configuration and the prices."""

    url: str
    file: str
    watermark: int
    version: int
    prices: int


def database() -> str:
    """Return the path or URL of the ledger to show."""
    return os.environ.get("TIERWISE_DB", DEFAULT_DB)


def ledger() -> Ledger:
    """Return the open ledger; raises ``LedgerError`` where there is none, or where its file has gone."""
    url = database()
    return _open(url, _file_identity(url))


def stamp() -> Stamp:
    """Return what today's answers depend on, having summed what is new in the ledger; cheap."""
    url = database()
    file = _file_identity(url)
    opened = _open(url, file)
    _sum_new_rows(url, file)
    return Stamp(url, file, queries.watermark(opened), live_version(opened), price_revision(opened))


def author() -> str:
    """Return who is at the dashboard: the signed-in person, or the user of this machine."""
    try:
        signed_in = st.user.get("email")
    except Exception:  # noqa: BLE001 - outside a session there is nobody signed in, whatever Streamlit raises
        signed_in = None
    if isinstance(signed_in, str) and signed_in:
        return signed_in
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "dashboard"


def warm() -> None:
    """Open the ledger before the first page asks, where there is one."""
    try:
        now = stamp()
        last = window(now).last_day
        if last is not None:
            view = filters.last(last, filters.USUAL)
            preview(now, view.since, view.until)
            for each in (view, view.before()):
                calls(now, each)
    except TierwiseError:
        return


@st.cache_data(max_entries=8, show_spinner=False)
def window(stamp: Stamp) -> queries.Window:
    """Return which days the ledger holds."""
    return queries.window(ledger())


def zone(stamp: Stamp) -> ZoneInfo:
    """Return the reporting zone, in which days and times are told."""
    return zone_of(window(stamp))


def zone_of(window: queries.Window) -> ZoneInfo:
    """Return the reporting zone of a window."""
    return ZoneInfo(window.timezone)


@st.cache_data(max_entries=4, show_spinner=False)
def names(stamp: Stamp, kind: str) -> list[str]:
    """Return the names of one kind that the ledger knows, sorted, without the empty one."""
    return sorted(name for name in ledger().dimension_names(kind).values() if name)


@st.cache_data(max_entries=200, show_spinner=False)
def spend(stamp: Stamp, view: View, by: tuple[str, ...]) -> pd.DataFrame:
    """Return the sums of spend cells within a view, a column a key and a column a sum."""
    lines = queries.spend(ledger(), by, view.since, view.until, view.where)
    return frame_of(lines, by)


@st.cache_data(max_entries=100, show_spinner=False)
def totals(stamp: Stamp, view: View) -> Totals:
    """Return what a view adds up to."""
    return summary.totals(spend(stamp, view, ("day", "status")))


@st.cache_data(max_entries=50, show_spinner=False)
def daily(stamp: Stamp, view: View) -> pd.DataFrame:
    """Return a view's figures a day, as ``summary.daily`` makes them."""
    return summary.daily(spend(stamp, view, ("day", "status")))


@st.cache_data(max_entries=50, show_spinner=False)
def breakdown(stamp: Stamp, view: View, key: str) -> pd.DataFrame:
    """Return a view's figures for each value of ``key``, as ``summary.breakdown`` makes them."""
    return summary.breakdown(spend(stamp, view, (key, "day", "status")), key)


@st.cache_data(max_entries=24, show_spinner=False)
def team_shares(stamp: Stamp, view: View) -> pd.DataFrame:
    """Return each team's share of every feature's cost within a view."""
    return summary.team_shares(spend(stamp, view, ("team", "feature")))


def frame_of(lines: Sequence[queries.SpendLine], by: Sequence[str]) -> pd.DataFrame:
    """Turn lines into a frame; an empty one still has its columns."""
    sums = [field.name for field in fields(queries.SpendLine) if field.name != "keys"]
    columns: dict[str, list[object]] = {key: [line.keys[place] for line in lines] for place, key in enumerate(by)}
    columns |= {name: [getattr(line, name) for line in lines] for name in sums}
    return pd.DataFrame(columns)


@st.cache_data(max_entries=50, show_spinner=False)
def latency(stamp: Stamp, view: View, by: tuple[str, ...]) -> pd.DataFrame:
    """Return latencies within a view's days; team and feature are not kept with them."""
    lines = queries.latency(ledger(), by, view.since, view.until)
    columns: dict[str, list[object]] = {key: [line.keys[place] for line in lines] for place, key in enumerate(by)}
    for name in ("attempts", "p50_ms", "p95_ms", "p99_ms"):
        columns[name] = [getattr(line, name) for line in lines]
    return pd.DataFrame(columns)


@st.cache_resource(max_entries=24, show_spinner=False)
def calls(stamp: Stamp, view: View) -> CallSums:
    """Return what a view's calls add up to by what they were for and what priced them; teams are not kept apart."""
    return call_sums(ledger(), view.since, view.until, {"feature": (view.feature,)} if view.feature else {})


@st.cache_data(max_entries=8, ttl=FRESH_SECONDS, show_spinner=False)
def metered(stamp: Stamp, since: date | None, until: date | None) -> list[MeteredLine]:
    """Return spend that reports of others summed, by source and provider; it is no part of any cell."""
    return metered_lines(ledger(), ("source", "provider"), since, until)


@st.cache_data(max_entries=4, show_spinner=False)
def prices(stamp: Stamp) -> PriceBook:
    """Return all dated prices."""
    return PriceBook(read_prices(ledger()))


@st.cache_resource(max_entries=6, show_spinner="Preparing the preview")
def preview(stamp: Stamp, since: date, until: date) -> Preview:
    """Return a prepared preview of all traffic within these days; raises ``NoSupportError`` where there is none."""
    book = prices(stamp)
    cube = Cube.from_evidence(_evidence(stamp, since, until), live(stamp).config, book)
    answers = queries.latency_histograms(ledger(), ("tier",), since, until, {"kind": ("answer",)})
    waits = {str(tier): counts for (tier,), counts in answers.items()}
    return Preview(cube, live(stamp).config, book, latencies=waits)


def price_effect(stamp: Stamp, since: date, until: date, added: Sequence[Price]) -> pd.DataFrame:
    """Return what further prices would have changed, had they held on these days: ``model``, ``usd``, ``change``.

    Exact: token sums times the difference of the rates. Calls without a price so far count from nothing.
    """
    calls, book = preview(stamp, since, until).cube.calls, prices(stamp)
    change = calls.repriced(successors(calls.rows, book, book.with_prices(added))).astype(float)
    unpriced = np.array([row is None for row in calls.rows])[calls.price]
    for price in added:
        if price.model in calls.models:
            entries = unpriced & (calls.model == calls.models.index(price.model))
            change[entries] = np.rint(calls.tokens[entries] @ np.nan_to_num(np.array(nusd_per_token(price))))
    models = np.array(calls.models, dtype=object)[calls.model]
    frame = pd.DataFrame({"model": models, "usd": calls.cost / NANO, "change": change / NANO})
    return frame.groupby("model", as_index=False).sum()


@st.cache_data(max_entries=24, show_spinner=False)
def baseline(stamp: Stamp, since: date, until: date, name: str) -> Baseline:
    """Return what the days' requests would have cost with everything on one tier or model, by feature and in all.

    What routing itself costs (classifiers, judges, summaries, samples) is no part of it. Raises ``NoSupportError``
    where there is no traffic, ``UnpricedModelError`` where a model has no price.
    """
    view = View(since, until)
    if name not in live(stamp).config.tier_names:
        return _on_model(stamp, view, name)
    prepared = preview(stamp, since, until)
    cube, side = prepared.cube, overheads(calls(stamp, view))
    on = np.zeros((len(cube.features), len(cube.tiers)))
    on[:, cube.tiers.index(name)] = 1
    rows = []
    for place, feature in enumerate(cube.features):
        # Features left out of the shares stay as they are, so the change is that of this one alone.
        alone = np.where(np.arange(len(on))[:, None] == place, on, 0)
        logged = int(cube.cost_by_feature[place]) - side.get(feature, 0)
        ends = _ends(prepared.at_random(alone).cost, logged)
        requests = int(cube.decisions_by_feature[place])
        rows.append((feature, *(np.nan if end is None else end / requests for end in ends)) if requests else None)
    frame = pd.DataFrame(
        [row for row in rows if row is not None], columns=["feature", "nusd_per_request", "low", "high"]
    )
    nusd, low, high = _ends(prepared.at_random(on).cost, cube.total_cost - sum(side.values()))
    return Baseline(frame, nusd, low, high, f"every request on {name}", "95%")


def _on_model(stamp: Stamp, view: View, name: str) -> Baseline:
    noon = datetime.combine(view.until, time(12), UTC)
    at_ms, book = round(noon.timestamp() * 1000), prices(stamp)
    provider, model = find_model(name, live(stamp).config, book, at_ms)
    found = on_one_model(calls(stamp, view), provider, model, book, at_ms)
    rows = [(feature, *(end / one.requests for end in (one.nusd, one.low, one.high))) for feature, one in found.items()]
    frame = pd.DataFrame(rows, columns=["feature", "nusd_per_request", "low", "high"])
    nusd, low, high = (
        round(sum(getattr(one, end) for one in found.values())) if found else None for end in ("nusd", "low", "high")
    )
    of = f"every request answered once by {model} of {provider} with the same tokens"
    return Baseline(frame, nusd, low, high, of, "at half to three times the answer tokens")


def _ends(cost: Money, logged: int) -> tuple[int | None, int | None, int | None]:
    changes = (cost.change, cost.low, cost.high)
    return tuple(None if change is None else logged + change for change in changes)  # type: ignore[return-value]


@st.cache_data(max_entries=8, show_spinner=False)
def traffic(stamp: Stamp, since: date, until: date) -> Traffic:
    """Return how many requests these days have of each score."""
    return Traffic.of(_evidence(stamp, since, until))


@st.cache_data(max_entries=8, show_spinner=False)
def best(stamp: Stamp, since: date, until: date) -> pd.DataFrame:
    """Return cost and quality of the settings nothing cheaper equals: ``usd`` and ``quality``; empty where unknown."""
    prepared = preview(stamp, since, until)
    logged = prepared.at(prepared.config)
    points = frontier(prepared) if logged.quality.logged is not None else []
    rows = [
        ((logged.cost.logged + point.cost_change) / NANO, (logged.quality.logged or 0.0) + point.quality_change)
        for point in points
    ]
    return pd.DataFrame(rows, columns=["usd", "quality"])


@st.cache_data(max_entries=12, show_spinner=False)
def history(stamp: Stamp) -> list[Version]:
    """Return every version, newest first."""
    return sorted(versions.history(ledger()), key=lambda version: -version.version)


@st.cache_resource(max_entries=4, show_spinner=False)
def _evidence(stamp: Stamp, since: date, until: date) -> Evidence:
    return evidence(ledger(), since, until)


@st.cache_data(max_entries=4, show_spinner=False)
def live(stamp: Stamp) -> Version:
    """Return the live configuration with its number."""
    return versions.live(ledger())


@st.cache_data(max_entries=4, show_spinner=False)
def live_text(stamp: Stamp) -> str:
    """Return the live configuration as YAML."""
    return dump_config(live(stamp).config)


@st.cache_resource(max_entries=2, show_spinner=False, on_release=lambda ledger: ledger.close())
def _open(url: str, file: str) -> Ledger:
    return open_ledger(url, create=False)


@st.cache_data(ttl=FRESH_SECONDS, max_entries=2, refresh_mode="background", show_spinner="Summing new requests")
def _sum_new_rows(url: str, file: str) -> None:
    refresh(_open(url, file))


def _file_identity(url: str) -> str:
    """Tell one SQLite file from another at the same path; raises ``LedgerError`` where it has gone."""
    if "://" in url and not url.startswith("sqlite:"):
        return ""
    path = Path(url.removeprefix("sqlite:///"))
    try:
        found = path.stat()
    except OSError:
        raise LedgerError(
            f"there is no ledger at {str(path)!r}; fill one with 'tierwise demo --db {path}', or restore the file"
        ) from None
    return f"{found.st_dev}:{found.st_ino}"
