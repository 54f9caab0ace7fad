"""Figures and their sums: one colour a meaning, no more points than can be read, unknown left out rather than zero."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from dashboard import charts, labels, standing, summary
from dashboard.sparkline import sparkline, svg
from dashboard.traffic import Traffic
from router_core.config import default_config
from router_core.demo import fill
from router_core.ledger.rollup import refresh
from router_core.ledger.store import open_ledger

APP = Path(__file__).parent.parent / "dashboard" / "app.py"

TIERS = ("SIMPLE", "MEDIUM", "COMPLEX", "REASONING")
DAYS = [date(2026, 11, 1) + timedelta(days=number) for number in range(30)]


def spend_frame() -> pd.DataFrame:
    rows = [{"day": day, "tier": tier, "usd": 1.5 + place} for day in DAYS for place, tier in enumerate(TIERS)]
    return pd.DataFrame(rows)


def points() -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"name": "today", "role": "live", "usd": 10.0, "quality": 0.9},
            {"name": "draft", "role": "draft", "usd": 8.0, "quality": 0.89, "quality_low": 0.87, "quality_high": 0.9},
            {"name": "all cheapest", "role": "control", "usd": 2.0, "quality_low": 0.5, "quality_high": 0.8},
        ]
    )


def every_figure() -> Iterator[tuple[str, go.Figure]]:
    scores = pd.DataFrame({"score": range(101), "fixed": 1, **dict.fromkeys(TIERS, 10)})
    yield "spend", charts.spend_by_tier(spend_frame(), TIERS)
    yield "picture", standing.cost_and_quality(points(), pd.DataFrame({"usd": [1.0, 9.0], "quality": [0.7, 0.95]}))
    yield "traffic", charts.traffic_by_score(scores, TIERS, (0, 45, 75, 92), (0, 50, 75, 92))
    yield (
        "effect",
        charts.effect_by(pd.DataFrame({"name": ["a", "b"], "usd": [-2.0, 1.0], "low": [-3, 0], "high": [-1, 2]})),
    )
    yield (
        "mix",
        charts.tier_mix(pd.DataFrame({"name": ["a"], "requests": [3], **{tier: [0.25] for tier in TIERS}}), TIERS),
    )
    yield (
        "prices",
        charts.price_history(pd.DataFrame({"from": DAYS[:2], "rate": ["input"] * 2, "usd_per_mtok": [1.0, 2.0]})),
    )
    yield (
        "flow",
        charts.flow(
            pd.DataFrame({"feature": ["a"], "tier": ["SIMPLE"], "answered": ["MEDIUM"], "decisions": [5]}), TIERS
        ),
    )


def empty_figures() -> Iterator[go.Figure]:
    yield charts.spend_by_tier(spend_frame().head(0), TIERS)
    yield standing.cost_and_quality(points().head(0))
    yield charts.effect_by(pd.DataFrame({"name": [], "usd": [], "low": [], "high": []}))
    yield charts.price_history(pd.DataFrame({"from": [], "rate": [], "usd_per_mtok": []}))


def colours(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set().union(*(colours(inner) for key, inner in value.items() if key != "template"), set())
    if isinstance(value, list | tuple):
        return set().union(*(colours(inner) for inner in value), set())
    return {value} if isinstance(value, str) and value.startswith("#") else set()


@pytest.mark.parametrize(
    ("name", "figure"), list(every_figure()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_every_colour_is_a_role_of_the_theme(name: str, figure: go.Figure) -> None:
    roles = {
        *charts.TIERS,
        charts.LIVE,
        charts.DRAFT,
        charts.BASELINE,
        charts.GROUND,
    }
    assert {colour[:7] for colour in colours(figure.to_dict())} <= roles


def test_figures_of_nothing_are_empty_figures() -> None:
    for figure in empty_figures():
        assert all(trace.x is None or len(trace.x) == 0 for trace in figure.data)


def test_a_tier_keeps_its_colour_in_every_figure() -> None:
    figures = dict(every_figure())
    for name in ("spend", "mix"):
        assert {trace.name: trace.marker.color for trace in figures[name].data} == charts.tier_colours(TIERS)
    traffic = {trace.name.split()[0]: trace.fillcolor for trace in figures["traffic"].data}
    assert traffic | charts.tier_colours(TIERS) == traffic


def test_no_series_has_more_points_than_can_be_read() -> None:
    days = [date(2000, 1, 1) + timedelta(days=number) for number in range(3000)]
    figure = charts.spend_by_tier(pd.DataFrame({"day": days, "tier": "SIMPLE", "usd": 1.0}), TIERS)
    assert len(figure.data[0].x) == charts.MOST_POINTS
    assert figure.data[0].x[-1] == days[-1]


def test_where_quality_is_unknown_only_its_range_is_drawn() -> None:
    control = next(trace for trace in standing.cost_and_quality(points()).data if trace.name == "control")
    assert list(control.marker.size) == [0]
    assert (control.y[0] - control.error_y.arrayminus[0], control.y[0] + control.error_y.array[0]) == pytest.approx(
        (0.5, 0.8)
    )


def test_a_name_keeps_its_side_unless_it_would_cover_the_line_or_another_name() -> None:
    ground = labels.Ground((0, 100), (0, 1), log=False, height=200)
    assert ground.sides(["draft"], [(50, 0.5)], ["middle left"], []) == ["middle left"]
    steep = [[(40.0, 0.0), (42.0, 1.0)]]  # where the name would be
    assert ground.sides(["draft"], [(50, 0.5)], ["middle left"], steep) == ["middle right"]
    assert ground.sides(["all strongest"], [(98, 0.5)], ["middle right"], []) == ["middle left"]  # it would leave
    both = ground.sides(["one", "other"], [(50, 0.5), (51, 0.51)], ["middle right", "middle right"], [])
    assert both[0] == "middle right"
    assert both[1] != both[0]


def test_no_name_covers_the_best_settings() -> None:
    frontier = pd.DataFrame({"usd": [4.0, 6.0, 7.5, 9.0], "quality": [0.7, 0.85, 0.89, 0.93]})
    figure, plain = standing.cost_and_quality(points(), frontier), standing.cost_and_quality(points())
    sides, alone = (next(trace for trace in one.data if trace.mode == "text").textposition for one in (figure, plain))
    assert alone[:2] == ("middle right", "middle left")
    assert sides[1] != "middle left"  # the line runs there


def test_every_score_of_the_traffic_has_its_whole_width_and_all_of_it_is_drawn() -> None:
    frame = pd.DataFrame({"score": range(101), "fixed": 1, **dict.fromkeys(TIERS, 0), "SIMPLE": 3})
    figure = charts.traffic_by_score(frame, TIERS, (0, 45, 75, 92), (0, 45, 75, 92))
    assert {(trace.x[0], trace.x[-1]) for trace in figure.data} == {(-1, 101)}
    assert sum(sum(trace.y) for trace in figure.data) == pytest.approx(1)
    assert figure.data[-1].name == "fixed 25%"


def test_boundaries_are_marked_where_their_tier_begins() -> None:
    frame = pd.DataFrame({"score": range(101), "fixed": 0, **dict.fromkeys(TIERS, 1)})
    figure = charts.traffic_by_score(frame, TIERS, (0, 45, 75, 92), (0, 50, 75, 92))
    assert [shape.x0 for shape in figure.layout.shapes if shape.line.dash == "dot"] == [44.5]
    assert [shape.x0 for shape in figure.layout.shapes if shape.line.dash == "solid"] == [49.5, 74.5, 91.5]


def test_each_feature_is_divided_by_its_own_boundaries_and_no_request_is_lost() -> None:
    movable = np.ones((2, 101), dtype=np.int64)
    traffic = Traffic(("chat", "mail"), movable, movable * 2)
    config = default_config().with_boundaries((0, 10, 20, 30), "mail")
    everything = traffic.under(config, "")
    assert everything["fixed"].sum() == 404
    assert everything[list(TIERS)].to_numpy().sum() == 202
    chat, mail = traffic.under(config, "chat"), traffic.under(config, "mail")
    for frame, starts in ((chat, config.boundaries()), (mail, (0, 10, 20, 30))):
        assert [int(frame.loc[frame[tier] > 0, "score"].min()) for tier in TIERS] == list(starts)
    assert (everything[list(TIERS)] == chat[list(TIERS)] + mail[list(TIERS)]).all().all()


def test_more_tiers_than_colours_share_the_last_one() -> None:
    names = [f"tier {number}" for number in range(9)]
    assert charts.tier_colours(names)["tier 8"] == charts.TIERS[-1]
    assert len(set(charts.tier_colours(default_config().tier_names).values())) == 4


def lines(**changes: Any) -> dict[str, Any]:
    usual = {
        "day": DAYS[0],
        "feature": "chat",
        "status": summary.OK,
        "decisions": 10,
        "attempts": 12,
        "priced_attempts": 9,
        "unpriced_attempts": 3,
        "list_cost_nusd": 5_000_000_000,
        "labelled": 4,
        "quality_ppm_sum": 3_000_000,
        "failovers": 1,
        "escalations": 0,
    }
    return {**usual, **changes}


def test_totals_take_shares_of_what_is_known() -> None:
    frame = pd.DataFrame([lines(), lines(status="refused", decisions=10, labelled=0, quality_ppm_sum=0, failovers=0)])
    total = summary.totals(frame)
    assert (total.decisions, total.succeeded, total.cost_nusd) == (20, 10, 10_000_000_000)
    assert total.quality == 0.75
    assert total.labelled_share == 0.2
    assert total.failover_share == 0.05
    assert total.priced_share == 0.75
    assert total.cost_per_success_nusd == 1_000_000_000


def test_totals_of_nothing_are_unknown() -> None:
    total = summary.totals(pd.DataFrame([lines()]).head(0))
    assert (total.decisions, total.cost_nusd) == (0, 0)
    assert {total.quality, total.labelled_share, total.failover_share, total.priced_share} == {None}
    assert total.cost_per_success_nusd is None


def test_a_breakdown_adds_up_to_the_whole_and_leaves_unlabelled_quality_unknown() -> None:
    frame = pd.DataFrame([lines(), lines(feature="mail", labelled=0, quality_ppm_sum=0), lines(day=DAYS[1])])
    broken = summary.breakdown(frame, "feature")
    assert list(broken["feature"]) == ["chat", "mail"]
    assert broken["usd"].sum() == 15
    assert broken["share"].sum() == pytest.approx(1)
    assert broken["daily"][0] == [5.0, 5.0]
    assert broken["daily"][1] == [5.0, 0.0]
    assert pd.isna(broken["quality"][1])


def baseline(feature: str = "chat") -> summary.Baseline:
    each = pd.DataFrame({"feature": [feature], "nusd_per_request": [10**9], "low": [8 * 10**8], "high": [2 * 10**9]})
    return summary.Baseline(each, 21 * 10**9, 20 * 10**9, 22 * 10**9)


def test_a_saving_is_what_the_baseline_would_have_cost_less_what_was_spent() -> None:
    frame = pd.DataFrame([lines(), lines(day=DAYS[1])])
    part = summary.saving(frame, baseline(), whole=False)
    assert part is not None
    assert (part.nusd, part.low_nusd, part.high_nusd) == (10 * 10**9, 6 * 10**9, 30 * 10**9)
    assert part.share == 0.5
    whole = summary.saving(frame, baseline(), whole=True)
    assert whole is not None
    assert (whole.nusd, whole.low_nusd, whole.high_nusd) == (11 * 10**9, 10 * 10**9, 12 * 10**9)
    assert list(summary.daily_saving(frame, baseline())) == [5.0, 5.0]


def test_a_saving_against_an_unpriced_baseline_is_unknown() -> None:
    frame = pd.DataFrame([lines()])
    assert summary.saving(frame, baseline("mail"), whole=False) is None
    assert summary.saving(frame, summary.Baseline(baseline().by_feature, None, None, None), whole=True) is None


def test_days_add_up_to_the_range() -> None:
    frame = pd.DataFrame([lines(day=day) for day in DAYS])
    assert summary.daily(frame)["usd"].sum() * 1e9 == summary.totals(frame).cost_nusd
    assert len(summary.smoothed(summary.daily(frame)["usd"])) == 24


def test_plotly_accepts_every_figure_of_every_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_ledger(tmp_path / "ledger.db") as ledger:
        fill(ledger, decisions=6_000, days=14, seed=3, now_ms=1_795_000_000_000)
        refresh(ledger)
    monkeypatch.setenv("TIERWISE_DB", str(tmp_path / "ledger.db"))
    st.cache_data.clear()
    st.cache_resource.clear()
    seen = 0
    app = AppTest.from_file(str(APP), default_timeout=60).run()
    for page in sorted((APP.parent / "app_pages").glob("*.py")):
        app.switch_page(f"app_pages/{page.name}").run()
        for shown in app.get("plotly_chart"):
            go.Figure(json.loads(shown.proto.spec))  # raises where a name or a value is none of Plotly's
            seen += 1
    assert seen > 10
    st.cache_resource.clear()


def heights(values: list[float]) -> list[float]:
    line = ElementTree.fromstring(svg(values)).find("{*}polyline")
    assert line is not None
    return [float(point.split(",")[1]) for point in line.attrib["points"].split()]


def test_a_sparkline_runs_from_its_lowest_value_to_its_highest() -> None:
    assert heights([2.0, 4.0, 3.0]) == [38.0, 2.0, 20.0]


def test_a_sparkline_of_one_value_all_along_is_a_line_in_the_middle() -> None:
    assert heights([0.5, 0.5, 0.5]) == [20.0, 20.0, 20.0]


def test_a_sparkline_says_what_it_shows() -> None:
    drawn = ElementTree.fromstring(sparkline([1.0, 2.0], 'Cost of "a" & b').replace('px">', 'px"/>'))
    assert drawn.attrib["alt"] == 'Cost of "a" & b'
