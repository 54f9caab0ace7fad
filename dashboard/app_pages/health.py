"""Health: whether what people see is complete, current and priced, and what to do where it is not."""

from __future__ import annotations

import time
from typing import Final

import pandas as pd
import streamlit as st

from dashboard import attention, condition, data, filters, tables, ui, wording
from dashboard.condition import Fact
from dashboard.data import Stamp
from router_core.ledger.scorers import StoredScorer
from router_core.lifecycle.versions import Version

DAYS: Final = 30
_PILLS: Final = {"good": "#0f9d6b33", "watch": "#f59e0b33", "bad": "#d6405a33", "unknown": "#64748b2b"}
_OLDER: Final = "events_before"


def main() -> None:
    stamp = data.stamp()
    window = data.window(stamp)
    live = data.live(stamp)
    now_ms = time.time_ns() // 1_000_000
    place = ui.header("Health")
    with place.controls:
        st.button("Look again", icon=":material/refresh:", key="again", help="Reads everything anew.")
    with place.caption:
        ui.about(
            f"looked at {wording.moment(now_ms, data.zone(stamp))}, times in {window.timezone}",
            demo=window.is_demo,
        )
        name, where = condition.place(stamp.url)
        st.caption(f"· {name}", width="content", help=where)
    view = None if window.last_day is None else filters.last(window.last_day, DAYS)
    by_model = data.frame_of([], ("model",)) if view is None else data.spend(stamp, view, ("model",))
    scorer = None if live.config.classifier.scorer is None else condition.scorer(stamp, live.config.classifier.scorer)
    facts = [
        condition.arriving(condition.lag(stamp.url), now_ms),
        condition.spooled(condition.weight(stamp.url)),
        condition.summed(condition.lag(stamp.url)),
        condition.answering(condition.resting_now(stamp.url, live.config.cooldown_time), live.config.cooldown_time),
        condition.pricing(by_model),
        condition.scoring(live.config, scorer, now_ms),
        condition.access(condition.keys(stamp.url)),
        condition.capturing(live.config),
    ]
    _figures(stamp, live, now_ms)
    if view is not None:
        attention.show(attention.found(stamp, view))
    _facts(facts)
    left, right = st.columns([3, 2])
    with left, ui.card("Models called", f"failures in the last {DAYS} days", key="models"):
        _models(by_model)
    with right, ui.card("Scorer's skill", "on requests held out of its fit", key="skill"):
        _skill(live, scorer)
    with ui.card("Audit log", "who did what, newest first", key="audit", tall=False):
        _audit(stamp)


def _figures(stamp: Stamp, live: Version, now_ms: int) -> None:
    weight, lag = condition.weight(stamp.url), condition.lag(stamp.url)
    decisions, calls = condition.rows(stamp)
    with st.grid(5, min_column_width=165, gap=14):
        ui.metric(
            "Requests kept",
            wording.count(decisions),
            wording.count(calls),
            against="calls",
            good="neither",
            arrow=False,
            help="As of the last sums.",
        )
        ui.metric(
            "Ledger",
            wording.UNKNOWN if weight.bytes is None else wording.size(weight.bytes),
            None if weight.bytes is None or not decisions else f"{weight.bytes / decisions:,.0f} B",
            against="a request",
            good="neither",
            arrow=False,
            help=f"Indexes and sums included; {wording.size(weight.journal_bytes)} of journal merge in by themselves.",
        )
        ui.metric(
            "Newest request",
            wording.UNKNOWN if lag.newest_ms is None else wording.ago(now_ms - lag.newest_ms).removesuffix(" ago"),
            None if lag.newest_ms is None else wording.moment(lag.newest_ms, data.zone(stamp)),
            good="neither",
            arrow=False,
        )
        ui.metric(
            "Waiting in the spool",
            wording.count(weight.spooled),
            wording.size(weight.spool_bytes) if weight.spool_bytes else None,
            good="neither",
            arrow=False,
            help="Decisions kept beside the ledger while it could not be written.",
        )
        ui.metric(
            "Configuration",
            f"v{live.version}",
            wording.ago(now_ms - live.created_at_ms),
            against=f"by {live.author}",
            good="neither",
            arrow=False,
        )


def _facts(facts: list[Fact]) -> None:
    column = st.column_config
    worst = [fact for fact in facts if fact.verdict in ("watch", "bad")]
    note = f"{wording.plural(len(worst), 'thing')} to look at" if worst else "all is well"
    with ui.card("State", note, key="state", tall=False):
        urgent = sorted(facts, key=lambda fact: ("bad", "watch", "unknown", "good").index(fact.verdict))
        frame = pd.DataFrame([{**vars(fact), "verdict": [fact.verdict]} for fact in urgent])
        st.dataframe(
            frame,
            key="facts",
            hide_index=True,
            row_height=tables.ROW,
            height="content",
            column_order=["verdict", "name", "state", "remedy"],
            column_config={
                "verdict": column.MultiselectColumn(
                    "", options=list(_PILLS), color=list(_PILLS.values()), width=90, pinned=True
                ),
                "name": column.TextColumn("What", width=140),
                "state": column.TextColumn("How it is", width="large"),
                "remedy": column.TextColumn("What to do", width="large"),
            },
            alt="State of the ledger and of what feeds it",
        )


def _models(by_model: pd.DataFrame) -> None:
    frame = condition.failing(by_model)
    frame = frame[frame["model"] != ""]
    if frame.empty:
        st.caption("No model was called in these days.")
        return
    column = st.column_config
    tables.show(
        frame,
        key="failing",
        columns={
            "model": column.TextColumn("Model", pinned=True, width=180),
            "attempts": column.NumberColumn("Calls", format="localized"),
            "failed": column.NumberColumn("Failed", format="localized"),
            "share": column.ProgressColumn(
                "Share",
                format="%.2f%%",
                min_value=0,
                max_value=max(5.0, 100 * float(frame["share"].max())),
                color="red",
            ),
        },
        file="tierwise-failing-models.csv",
        alt="Calls and failed calls of each model, the most troubled first",
    )


def _skill(live: Version, scorer: StoredScorer | None) -> None:
    version = live.config.classifier.scorer
    if version is None:
        st.caption(
            "Requests are scored on the shipped reference scale. Fit a scorer on labelled prompts of your own, and its "
            "skill on held-out ones is shown here beside chance, length and rules."
        )
        st.code("tierwise fit FOLDER --db " + condition.from_here(data.database()), language=None, wrap_lines=True)
        return
    found = pd.DataFrame() if scorer is None else condition.skills(scorer)
    if found.empty:
        st.caption(f"No skill was measured for {version}.")
        return
    if scorer is not None:
        age = wording.ago(time.time_ns() // 1_000_000 - scorer.fitted_at_ms)
        st.caption(f"{version}, fitted {age}; 0.5 is chance, and a score should beat every line below it.")
    column = st.column_config
    st.dataframe(
        found,
        key="skills",
        hide_index=True,
        row_height=tables.ROW,
        height="content",
        placeholder=wording.UNKNOWN,
        column_config={
            "group": column.TextColumn("Prompts"),
            "n": column.NumberColumn("Held out", format="localized"),
            "scorer": column.TextColumn("Score"),
            "apgr": column.NumberColumn("Skill", format="%.2f", help="0.5 is chance, 1 finds every gain first."),
            "low": column.NumberColumn("from", format="%.2f"),
            "high": column.NumberColumn("to", format="%.2f"),
        },
        alt="Skill of the scorer on held-out requests beside its baselines",
    )


def _audit(stamp: Stamp) -> None:
    asked = st.query_params.get(_OLDER, "")
    before = int(asked) if asked.isascii() and asked.isdecimal() and len(asked) < 16 else None
    found = condition.audit(stamp.url, before)
    shown = found[: condition.EVENTS]
    if not shown:
        st.caption("Nothing yet: pushes, prices and keys will be listed here.")
    else:
        zone = data.zone(stamp)
        tables.show(
            pd.DataFrame(
                [
                    {"at": wording.moment(one.at_ms, zone), "who": one.who, "what": one.what, "detail": one.detail}
                    for one in shown
                ]
            ),
            key="events",
            columns={
                "at": st.column_config.TextColumn("When", width=140),
                "who": st.column_config.TextColumn("Who", width=110),
                "what": st.column_config.TextColumn("What", width=90),
                "detail": st.column_config.TextColumn("Detail", width=700),
            },
            file="tierwise-audit.csv",
            alt="Audit log, newest first",
        )
    with st.container(horizontal=True, gap="xsmall"):
        if before is not None:
            st.button("Newest", key="newest_events", on_click=_turn, args=(None,), icon=":material/first_page:")
        if len(found) > condition.EVENTS:
            st.button(
                "Older", key="older_events", on_click=_turn, args=(shown[-1].id,), icon=":material/chevron_right:"
            )


def _turn(before: int | None) -> None:
    st.query_params.pop(_OLDER, None)
    if before is not None:
        st.query_params[_OLDER] = str(before)


main()
