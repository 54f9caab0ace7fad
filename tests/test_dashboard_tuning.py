"""Tuning: strategy, exploration and floor are part of the draft; effect by team; a trial is drawn and proved."""

from __future__ import annotations

import json
from pathlib import Path

import apps
import pandas as pd
import pytest
from apps import checked, figures, opened, words
from streamlit.testing.v1 import AppTest

from dashboard import outcomes, summary
from dashboard.draft import Draft
from router_core.ledger.store import open_ledger
from router_core.lifecycle import trials, versions

demo_source, empty_app, demo_app = apps.demo_source, apps.empty_app, apps.demo_app


def draft(app: AppTest) -> Draft:
    found = app.session_state["draft"]
    assert isinstance(found, Draft)
    return found


def test_controls_beside_the_boundaries_change_the_draft_and_its_link(demo_app: Path) -> None:
    app = opened("tuning")
    checked(app.number_input(key="value::exploration.rate").set_value(12.5).run())
    checked(app.selectbox(key="value::strategy").set_value("cascade").run())
    assert draft(app).values == {("", "exploration.rate"): "0.125", ("", "strategy"): "cascade"}
    with open_ledger(demo_app) as ledger:
        live = versions.live(ledger).config
    again = Draft.from_query(draft(app).to_query(live), live)
    assert again == draft(app)
    said = words(app)
    assert "strategy: direct" in said
    assert "are turned down anywhere from as often as today to always" in said  # what the figures leave out has ends
    assert "not in them" not in said
    checked(app.selectbox(key="value::strategy").set_value("direct").run())
    checked(app.number_input(key="value::exploration.rate").set_value(100 * live.exploration.rate).run())
    assert not draft(app).changed


def test_a_draft_that_ends_a_cascade_shows_a_range_and_the_gate_counts_its_lower_end(demo_app: Path) -> None:
    app = opened("tuning", draft="data_extraction,strategy=direct")
    shown, said = figures(app), words(app)
    assert shown["Requests moved"] == "0.0%"
    assert shown["Cascade: cost, range"].startswith("-$")
    assert " to " in shown["Cascade: quality, range"]
    assert "Drafts of data_extraction are no longer checked, so none is turned down" in said
    assert "ranges, not intervals" in said
    checked(app.number_input(key="value::quality_floor").set_value(99.0).run())
    assert "below the floor of 99.0%" in words(app)


def test_prompts_can_be_shortened_in_a_draft_and_no_longer(demo_app: Path) -> None:
    with open_ledger(demo_app) as ledger:
        live = versions.live(ledger).config
    app = opened("tuning")
    above = "value::compress.above_tokens"
    assert app.number_input(key=above).value == live.compress.above_tokens
    checked(app.number_input(key=above).set_value(9_000).run())
    assert draft(app).config(live).compress.above_tokens == 9_000
    assert "Of what is sent, anything from nothing to" in words(app)
    assert figures(app)["Compression: cost, range"].startswith("-$")
    checked(app.number_input(key=above).set_value(None).run())
    assert draft(app).values == {("", "compress.enabled"): "false"}
    assert "left out of prompts of code_assistant is sent again" in words(app)
    checked(app.number_input(key=above).set_value(live.compress.above_tokens).run())
    assert not draft(app).changed


def test_a_feature_has_a_floor_of_its_own(demo_app: Path) -> None:
    app = opened("tuning", feature="support_chat")
    checked(app.number_input(key="value:support_chat:quality_floor").set_value(99.0).run())
    checked(app.slider[0].set_value(90).run())
    assert "Quality of support_chat may be as low as" in words(app)
    assert "below the floor of 99.0%" in words(app)
    checked(app.text_input(key="push_note").set_value("all the same").run())
    checked(app.button(key="push").click().run())
    assert "Say why it should go live all the same" in words(app)
    with open_ledger(demo_app) as ledger:
        assert versions.live(ledger).note != "all the same"


def test_the_search_keeps_the_floor_of_each_feature_and_gives_up_what_was_slid(demo_app: Path) -> None:
    app = opened("tuning", draft=",MEDIUM:99,COMPLEX:99,REASONING:99;support_chat,quality_floor=0.999")
    checked(app.number_input(key="value::quality_floor").set_value(70.0).run())
    checked(app.button(key="find").click().run())
    (said,) = (toast.value for toast in app.toast)
    assert "No setting is known to keep support_chat above its floor, so nothing moves there." in said
    assert "in which every other feature is safely above 70.0%: 4 features changed." in said
    found = draft(app)
    assert "" not in found.boundaries
    assert "support_chat" not in found.boundaries
    assert found.boundaries
    assert found.values == {("", "quality_floor"): "0.7", ("support_chat", "quality_floor"): "0.999"}


def test_fallbacks_and_waiting_are_projected(demo_app: Path) -> None:
    shown = figures(opened("tuning", draft=",MEDIUM:60"))
    assert shown["Fallback rate"].endswith("%")
    assert shown["Slowest 5%"].endswith(" s")


def test_effects_of_teams_add_up_to_those_of_features() -> None:
    features = pd.DataFrame(
        {"name": ["a", "b"], "usd": [-10.0, 4.0], "low": [-12.0, 3.0], "high": [-8.0, 5.0], "requests": 9, "moved": 3}
    )
    spend = pd.DataFrame(
        {"team": ["x", "x", "y", ""], "feature": ["a", "b", "b", "c"], "list_cost_nusd": [5, 30, 10, 0]}
    )
    teams = outcomes.by_team(features, summary.team_shares(spend)).set_index("name")
    assert teams.loc["x", "usd"] == pytest.approx(-10 + 3)
    assert teams.loc["y", "usd"] == pytest.approx(1)
    assert teams["usd"].sum() == pytest.approx(features["usd"].sum())
    assert (teams["low"] <= teams["usd"]).all()


def test_where_no_text_is_kept_a_trial_is_drawn_into_a_file_and_its_proof_takes_the_logs_place(demo_app: Path) -> None:
    app = opened("tuning", draft=",MEDIUM:60,COMPLEX:85,REASONING:95")
    checked(app.number_input(key="replays").set_value(20).run())
    checked(app.button(key="price_trial").click().run())
    assert "cannot be asked again from here" in words(app)
    checked(app.button(key="draw_trial").click().run())
    _, content = app.session_state["trial_file"]
    lines = [json.loads(line) for line in content.decode().splitlines()]
    assert len(lines) == 20
    filled = "".join(json.dumps({**line, "quality_target": 1.0, "quality_logged": 1.0}) + "\n" for line in lines)
    checked(
        app.file_uploader(key="outcomes_file").set_value(("trial.jsonl", filled.encode(), "application/jsonl")).run()
    )
    checked(app.button(key="take_in").click().run())
    with open_ledger(demo_app) as ledger:
        (one,) = trials.held(ledger)
    assert one.proof is not None
    shown = figures(app)
    assert shown["Quality, proved"] == "no change" or shown["Quality, proved"].endswith("pp")
    assert "20 replays made it this" in words(app)


def test_a_conflict_keeps_the_draft_and_says_who_pushed(demo_app: Path) -> None:
    app = opened("tuning")
    checked(app.slider[0].set_value(60).run())
    before = draft(app)
    with open_ledger(demo_app) as ledger:
        config = versions.live(ledger).config
        versions.push(ledger, config.with_boundaries((0, 46, 81, 93)), author="bea", note="a little")
    checked(app.text_input(key="push_note").set_value("mine").run())
    checked(app.button(key="push").click().run())
    said = words(app)
    assert "Your draft is kept" in said
    assert "pushed by bea" in said
    assert "a little" in said
    assert draft(app) == before
