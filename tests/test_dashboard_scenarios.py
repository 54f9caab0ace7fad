"""Scenarios are built with plain controls, kept by name, set side by side with the draft, and sent in a link."""

from __future__ import annotations

import json
from pathlib import Path

import apps
import pandas as pd
import pytest
from apps import checked, opened, words
from streamlit.testing.v1 import AppTest

from dashboard import scenario_charts, scenarios
from dashboard.draft import EVERYWHERE, Draft
from dashboard.scenarios import DRAFT, MOST, TODAY, Known
from router_core.config import default_config
from router_core.ledger.store import open_ledger
from router_core.lifecycle import scenarios as kept
from router_core.projection.scenario import build_scenario

demo_source, empty_app, demo_app = apps.demo_source, apps.empty_app, apps.demo_app


def compared(app: AppTest) -> pd.DataFrame:
    """The table of scenarios, by name."""
    return app.dataframe[0].value.set_index("name")


def link(**scenario: object) -> str:
    return json.dumps({"name": "Mine", **scenario})


def test_examples_stand_side_by_side_with_today(demo_app: Path) -> None:
    table = compared(opened("what_if"))
    assert table.index[0] == TODAY
    assert len(table) == 6
    assert table.loc["Prices fall by a fifth", "usd"] == pytest.approx(table.loc[TODAY, "usd"] * 0.8)
    assert table.loc["Prices fall by a fifth", "change_share"] == pytest.approx(-20)
    assert table.loc["Prices fall by a fifth", "cost_between"] == "exact"
    assert table.loc["Traffic up by half", "requests"] == pytest.approx(table.loc[TODAY, "requests"] * 1.5, abs=1)


def test_a_link_brings_back_a_scenario_with_its_controls(demo_app: Path) -> None:
    scenario = link(
        growth={"*": 1.0, "support_chat": -0.5},
        prices={"gpt-4.1": {"change": 0.25}},
        swaps={"REASONING": {"model": "gpt-4.1"}},
        batch={"email_drafts": 1.0},
        cache_ttl={"search_summaries": 7200},
        settings=["boundaries.MEDIUM=50", "exploration.rate=0.1", "num_retries=2"],
    )
    app = opened("what_if", scenario=scenario)
    assert compared(app).index[1] == "Mine"
    assert app.number_input(key="build.growth.every feature").value == 100
    assert app.number_input(key="build.growth.support_chat").value == -50
    assert app.number_input(key="build.prices.change.gpt-4.1").value == 25
    assert app.selectbox(key="build.swap.REASONING").value == "gpt-4.1"
    assert app.number_input(key="build.batch.email_drafts").value == 100
    assert app.number_input(key="build.cache_ttl.search_summaries").value == 120
    assert app.number_input(key="build.start.MEDIUM").value == 50
    assert app.number_input(key="build.exploration").value == 10
    assert app.text_area(key="build.more").value == "num_retries=2"
    built = build_scenario(json.loads(app.session_state["built_scenario"]))
    assert built.model_dump() == build_scenario(json.loads(scenario)).model_dump()


def test_a_control_changes_the_scenario_and_nothing_else(demo_app: Path) -> None:
    app = opened("what_if", scenario=link(growth={"*": 1.0}))
    before = compared(app)
    checked(app.number_input(key="build.growth.every feature").set_value(300.0).run())
    after = compared(app)
    assert after.loc["Mine", "usd"] == pytest.approx(before.loc[TODAY, "usd"] * 4)
    assert after.drop("Mine").equals(before.drop("Mine"))


def test_a_scenario_is_kept_by_name_and_forgotten(demo_app: Path) -> None:
    app = opened("what_if", scenario=link(growth={"*": 1.0}, note="twice the traffic"))
    checked(app.button(key="save_scenario").click().run())
    with open_ledger(demo_app) as ledger:
        (saved,) = kept.saved(ledger)
    assert (saved.scenario.name, saved.scenario.growth) == ("Mine", {"*": 1.0})
    assert list(compared(app).index).count("Mine") == 1
    assert "Mine" in compared(opened("what_if", compare="Mine")).index
    checked(app.button(key="forget.Mine").click().run())
    with open_ledger(demo_app) as ledger:
        assert kept.saved(ledger) == []


def test_a_scenario_without_a_name_is_not_kept(demo_app: Path) -> None:
    app = opened("what_if", scenario=json.dumps({"name": "New scenario", "growth": {"*": 1.0}}))
    checked(app.button(key="save_scenario").click().run())
    assert "name of its own" in words(app)
    with open_ledger(demo_app) as ledger:
        assert kept.saved(ledger) == []


def test_the_draft_of_tuning_stands_beside_them(demo_app: Path) -> None:
    app = opened("what_if", draft=",MEDIUM:60,COMPLEX:85,REASONING:95")
    assert compared(app).index[1] == DRAFT
    assert compared(app).loc[DRAFT, "moved"] > 0
    assert "boundaries.MEDIUM=60" in words(app)


def test_a_link_that_holds_no_scenario_says_so(demo_app: Path) -> None:
    for nonsense in ("{", "[]", "7", '{"name": ""}', '{"name": "x", "growth": {"*": "a"}}', '{"no": 1}', "[" * 5000):
        app = opened("what_if", scenario=nonsense)
        assert "cannot be read" in words(app)
        assert TODAY in compared(app).index


def test_a_scenario_that_does_not_fit_says_why(demo_app: Path) -> None:
    for scenario, said in (
        ({"settings": ["num_retry=1"]}, "num_retr"),
        ({"growth": {"*": -1.0}}, "leaves no traffic at all"),
        ({"settings": ["boundaries.MEDIUM=99"]}, "MEDIUM"),
        ({"swaps": {"GONE": {"model": "gpt-4.1"}}}, "GONE"),
    ):
        app = opened("what_if", scenario=link(**scenario))
        if "swaps" not in scenario:  # a tier that is not there has no control, so the scenario has none either
            assert "Mine: " in words(app)
            assert said in words(app)
        assert "Mine" not in compared(app).index


def test_names_that_nobody_knows_and_too_many_are_left_out(demo_app: Path) -> None:
    with open_ledger(demo_app) as ledger:
        for place in range(12):
            kept.save(ledger, build_scenario({"name": f"S{place}", "growth": {"*": place / 10}}), author="test")
    app = AppTest.from_file(str(apps.APP), default_timeout=60)
    app.query_params["compare"] = ["nobody", *(f"S{place}" for place in range(12))]
    app.switch_page("app_pages/what_if.py")
    assert len(compared(checked(app.run()))) <= MOST + 1


def test_what_was_saved_stands_before_examples_and_in_their_place() -> None:
    live = default_config()
    shipped = scenarios.examples(live, ["chat"])
    own = build_scenario({"name": shipped[0].name, "growth": {"*": 9.0}})
    draft = scenarios.of_draft(Draft().with_scope(EVERYWHERE, (0, 50, 80, 95), live), live)
    found = scenarios.choices([Known(own, "anna")], shipped, draft)
    assert list(found)[:2] == [DRAFT, own.name]
    assert found[own.name].origin == "anna"
    assert scenarios.of_draft(Draft(), live) is None


def test_the_figure_draws_no_whiskers_for_what_is_exact() -> None:
    frame = pd.DataFrame(
        {
            "name": [TODAY, "exact", "open"],
            "usd": [10.0, 8.0, 9.0],
            "low": [None, 8.0, 7.0],
            "high": [None, 8.0, 12.0],
            "quality": [0.9, 0.9, None],
            "quality_low": [None, 0.9, 0.5],
            "quality_high": [None, 0.9, 0.9],
        }
    )
    _, dots, cost, quality = scenario_charts.side_by_side(frame).data
    assert (list(cost.y), list(cost.error_x.array), list(cost.error_x.arrayminus)) == ([0], [3.0], [2.0])
    assert list(quality.y) == [0]
    assert list(dots.marker.opacity) == [0, 1, 1]
    assert list(dots.x) == [0.7, 0.9, 0.9]


def test_an_axis_has_few_marks_whatever_its_ends() -> None:
    for low, high in ((0.0, 1e-6), (0.0, 1842.9), (0.917, 0.938), (0.0, 1.03), (0.5, 0.5), (0.0, 7e9)):
        marks = scenario_charts._marks(low, high)
        assert len(marks) <= 3
        assert all(low - 1e-6 <= mark <= high + 1e-6 for mark in marks)
    assert scenario_charts._marks(0.0, 1842.9) == [0.0, 1000.0]
    assert scenario_charts._marks(0.917, 0.938) == [0.92, 0.93]
