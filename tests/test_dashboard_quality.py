"""The Quality page adds up to the labels, and says what to do where there are none."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import apps
import pandas as pd
import pytest
from apps import figures, opened, rows, words

from dashboard import judgements, quality_charts, wording
from dashboard.filters import View
from router_core.decision import QualitySource
from router_core.ledger.explorer import Search, find
from router_core.ledger.judgements import agreed, judged
from router_core.ledger.labels import label
from router_core.ledger.rollup import refresh
from router_core.ledger.store import open_ledger

demo_source, empty_app, demo_app = apps.demo_source, apps.empty_app, apps.demo_app
TIERS = ("SIMPLE", "MEDIUM", "COMPLEX", "REASONING")


def test_its_figures_are_those_of_the_rows(demo_app: Path) -> None:
    app = opened("quality", days="90d")
    ((labelled, decisions, quality),) = rows(
        demo_app, "SELECT COUNT(quality_ppm), COUNT(*), AVG(quality_ppm) / 1e6 FROM decision"
    )
    shown = figures(app)
    assert shown["Quality"] == wording.share(quality)
    assert shown["Judged"] == wording.share(labelled / decisions)
    ((right, named),) = rows(
        demo_app,
        "SELECT SUM(d.tier_id = l.needed_tier_id), COUNT(*) FROM quality_label l JOIN decision d ON d.id = decision_id "
        "WHERE l.source = 4 AND l.needed_tier_id IS NOT NULL AND d.reason IN (0, 1, 8)",
    )
    assert shown["Routing accuracy"] == wording.share(right / named)
    ((same, both),) = rows(
        demo_app,
        "SELECT SUM((l.quality_ppm >= 500000) = (p.quality_ppm >= 500000)), COUNT(*) FROM quality_label l "
        "JOIN quality_label p ON p.decision_id = l.decision_id AND p.source = 4 WHERE l.source = 3",
    )
    assert shown["Judge agrees"] == wording.share(same / both)
    sources = next(frame.value for frame in app.dataframe if "kappa" in frame.value)
    counted = dict(rows(demo_app, "SELECT source, COUNT(*) FROM quality_label GROUP BY source"))
    assert list(sources["labels"]) == [counted[source] for source in (1, 2, 3, 4)]


def test_without_a_label_it_says_how_to_get_some(demo_app: Path) -> None:
    with open_ledger(demo_app) as ledger, ledger.writing() as connection:
        connection.exec_driver_sql("DELETE FROM quality_label")
        connection.exec_driver_sql("UPDATE decision SET quality_ppm = NULL, quality_source = NULL")
    with open_ledger(demo_app) as ledger:
        refresh(ledger, rebuild=True)
    app = opened("quality")
    assert "No answer in this view was judged" in words(app)
    assert "review a sample" in words(app)


def test_only_the_newest_label_of_each_source_counts_and_people_count_most(demo_app: Path) -> None:
    with open_ledger(demo_app) as ledger:
        (line, *_) = find(ledger, Search(tier="SIMPLE", reason="policy")).lines
        day = date(2026, 11, 18)
        before = {one.keys[0]: one for one in judged(ledger, ("source",), day, day, {"tier": ("SIMPLE",)})}
        label(ledger, line.id, 0.0, QualitySource.PERSON, needed_tier="MEDIUM", at_ms=1)
        label(ledger, line.id, 1.0, QualitySource.PERSON, needed_tier="REASONING", at_ms=2)
        label(ledger, line.id, 0.25, QualitySource.JUDGE, at_ms=3)
        refresh(ledger)
        after = {one.keys[0]: one for one in judged(ledger, ("source",), day, day, {"tier": ("SIMPLE",)})}
        assert after["person"].labels == before["person"].labels + 1
        assert after["person"].carried == before["person"].carried + 1
        assert after["person"].quality_ppm_sum == before["person"].quality_ppm_sum + 1_000_000
        named = {one.keys: one.labels for one in judged(ledger, ("needed_tier", "source"), day, day)}
        assert named["REASONING", "person"] >= 1
        assert sum(one.carried for one in judged(ledger, ())) == sum(one.carried for one in judged(ledger, ("day",)))
        ((labelled,),) = rows(demo_app, "SELECT COUNT(quality_ppm) FROM decision")
        assert sum(one.carried for one in judged(ledger, ("source",))) == labelled
        harsh = [one for one in agreed(ledger, ("source",), day, day) if not one.good and one.person_good]
        assert sum(one.decisions for one in harsh) >= 1


def test_agreement_beyond_chance_is_known_where_it_can_be() -> None:
    import numpy as np

    even = judgements._agreement("judge", np.array([[40, 10], [10, 40]]), 0)
    assert even.share.value == pytest.approx(0.8)
    assert even.kappa == pytest.approx(0.6)
    always = judgements._agreement("check", np.array([[0, 0], [0, 7]]), -3_500_000)
    assert (always.kappa, always.leniency) == (None, -0.5)


def test_routing_tells_too_strong_from_too_cheap() -> None:
    frame = pd.DataFrame(
        [
            ("SIMPLE", "person", "SIMPLE", 6),
            ("SIMPLE", "person", "COMPLEX", 1),
            ("REASONING", "person", "SIMPLE", 3),
            ("SIMPLE", "judge", "MEDIUM", 50),  # not people
            ("SIMPLE", "person", "", 50),  # named no tier
            ("SIMPLE", "person", "GONE", 50),  # no such tier now
        ],
        columns=["tier", "source", "needed_tier", "labels"],
    )
    found = judgements.routing(frame, TIERS)
    assert found is not None
    assert (found.right.value, found.right.labels, found.stronger, found.cheaper) == (0.6, 10, 3, 1)
    assert judgements.routing(frame.iloc[3:], TIERS) is None
    figure = quality_charts.needed(found.table)
    assert list(figure.data[0].y) == list(reversed(TIERS))
    assert figure.data[0].z[-1][0] == pytest.approx(6 / 7)


def test_checks_are_counted_by_feature_and_tier_the_most_troubled_first() -> None:
    labels = pd.DataFrame(
        [
            ("chat", "SIMPLE", "check", 10, 7.0),
            ("mail", "SIMPLE", "check", 10, 10.0),
            ("mail", "SIMPLE", "judge", 5, 0.0),
        ],
        columns=["feature", "tier", "source", "labels", "quality"],
    )
    lines = pd.DataFrame(
        [("chat", "SIMPLE", 100, 0), ("mail", "SIMPLE", 100, 5), ("code", "MEDIUM", 50, 20), ("code", "SIMPLE", 9, 0)],
        columns=["feature", "tier", "decisions", "escalations"],
    )
    found = judgements.checks(labels, lines)
    assert list(zip(found["feature"], found["tier"], strict=True)) == [
        ("code", "MEDIUM"),
        ("chat", "SIMPLE"),
        ("mail", "SIMPLE"),
    ]
    assert list(found["failed"]) == [0, 3, 0]
    assert found["escalated"].tolist() == [0.4, 0.0, 0.05]
    assert pd.isna(found["share"][0])
    assert judgements.checks(labels.iloc[:0], lines.iloc[:0]).empty


def test_a_days_figure_is_of_its_week_where_there_are_weeks() -> None:
    days = [date(2026, 11, number) for number in range(1, 29)]
    lines = pd.DataFrame(
        [(day, "SIMPLE", 10, (10 if day.day <= 14 else 5) * 1_000_000) for day in days],
        columns=["day", "tier", "labelled", "quality_ppm_sum"],
    )
    weeks = judgements.over_time(lines, "SIMPLE", View(days[0], days[-1]))
    assert list(weeks["day"]) == days[6:]
    assert (weeks["quality"].iloc[0], weeks["quality"].iloc[-1]) == (1.0, 0.5)
    assert set(weeks["labels"]) == {70}
    few = judgements.over_time(lines, "SIMPLE", View(days[10], days[16]))
    assert list(few["quality"]) == [1.0] * 4 + [0.5] * 3
    assert judgements.over_time(lines, "MEDIUM", View(days[0], days[-1])).empty
    assert ((weeks["low"] <= weeks["quality"]) & (weeks["quality"] <= weeks["high"])).all()


def test_quality_that_rests_on_users_alone_is_called_biased(demo_app: Path) -> None:
    assert "is biased" not in words(opened("quality"))
    with open_ledger(demo_app) as ledger:
        with ledger.writing() as connection:
            feature = "(SELECT id FROM dimension WHERE kind = 'feature' AND name = 'email_drafts')"
            connection.exec_driver_sql(
                "DELETE FROM quality_label WHERE source <> 2 AND decision_id IN "
                f"(SELECT id FROM decision WHERE feature_id = {feature})"
            )
        refresh(ledger, rebuild=True)
    assert "Users alone judged answers of email_drafts." in words(opened("quality"))


def test_one_label_of_another_source_is_no_longer_feedback_alone() -> None:
    frame = pd.DataFrame({"tier": ["A", "A", "B"], "source": ["feedback", "person", "feedback"], "labels": [9, 1, 3]})
    assert judgements.feedback_only(frame, "tier") == ["B"]
    assert judgements.feedback_only(frame[frame["source"] == "person"], "tier") == []
    assert judgements.feedback_only(frame.head(0), "tier") == []
