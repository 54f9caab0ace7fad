"""A change of cascade or compression is told as a range: its ends hold whatever may come, and nothing is told twice."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_core.config import set_values
from router_core.decision import Kind
from router_core.projection import Preview
from router_core.projection.pricing import ESCALATION
from router_core.projection.ranges import _tokens_of_long_prompts
from router_core.projection.result import Range
from router_core.projection.scenario import Scenario
from router_core.projection.whatif import what_if
from tests.logs import Log, simulate


@pytest.fixture(scope="module")
def log() -> Log:
    return simulate(21, 4_000, features=3)  # its last feature is pinned


@pytest.fixture(scope="module")
def cascading(log: Log) -> Preview:
    config = set_values(log.config, ["strategy=cascade"])
    made = replace(log, config=config)
    return Preview(made.cube, config, log.prices, replicates=20)


def the_range(preview: Preview, *settings: str) -> Range:
    projection = preview.at(set_values(preview.config, settings))
    (found,) = projection.ranges
    assert not any("not in them" in note for note in projection.notes)
    assert projection.cost.change == 0
    assert projection.as_json()["ranges"][0]["setting"] == found.setting
    return found


def test_where_neither_differs_there_is_no_range(cascading: Preview) -> None:
    assert cascading.at(cascading.config).ranges == ()
    assert cascading.at(set_values(cascading.config, ["boundaries.MEDIUM=50"])).ranges == ()
    assert cascading.at(set_values(cascading.config, ["compress.above_tokens=10"])).ranges == ()  # it is off
    pinned = ["features.feature-2.strategy=direct"]
    assert cascading.at(set_values(cascading.config, pinned)).ranges == ()  # a pin is never cascaded


def test_the_end_of_a_cascade_is_what_the_scenario_makes_of_it(cascading: Preview) -> None:
    free = ["features.feature-0.strategy=direct", "features.feature-1.strategy=direct"]
    found = the_range(cascading, *free)
    calls, cube = cascading.cube.calls, cascading.cube
    own = (calls.part == ESCALATION) & (calls.feature != cube.features.index("feature-2"))
    count = int(calls.attempts[own].sum())
    assert found.cost_low == found.cost_high == -int(calls.cost[own].sum())
    assert found.quality_low == pytest.approx(-count / cube.decisions)
    assert found.quality_high == 0
    scenario = what_if(cascading, Scenario(name="off", calls={"escalation": 0.0})).projection
    pinned = int(calls.cost[(calls.part == ESCALATION) & ~own].sum())
    assert scenario.cost.change == pytest.approx(found.cost_low - pinned, abs=2)


def test_a_lower_threshold_lies_between_today_and_no_cascade_and_a_higher_one_beyond(cascading: Preview) -> None:
    none = the_range(cascading, "features.feature-0.strategy=direct", "features.feature-1.strategy=direct")
    lower = the_range(cascading, "cascade.acceptance_threshold=0.5")
    assert (lower.cost_low, lower.cost_high) == (none.cost_low, 0)
    assert (lower.quality_low, lower.quality_high) == (none.quality_low, 0)
    higher = the_range(cascading, "cascade.acceptance_threshold=0.9")
    assert (higher.cost_low, higher.quality_low) == (0, 0)
    other = the_range(cascading, "cascade.on_error=accept")
    assert (other.cost_low, other.cost_high) == (lower.cost_low, higher.cost_high)
    assert (other.quality_low, other.quality_high) == (lower.quality_low, higher.quality_high)


def test_every_draft_turned_down_costs_about_what_so_many_escalations_more_would(cascading: Preview) -> None:
    found = the_range(cascading, "cascade.acceptance_threshold=1")
    calls, tally = cascading.cube.calls, cascading.cube.tally
    free = [0, 1]
    own = (calls.part == ESCALATION) & np.isin(calls.feature, free)
    spent, count = int(calls.cost[own].sum()), int(calls.attempts[own].sum())
    drafts = int(tally.served[:, free, :-1].sum())
    assert found.cost_high is not None
    assert found.quality_high is not None
    assert found.cost_high == pytest.approx(spent / count * drafts - spent, rel=0.4)
    # Only an answer that was not good can become better.
    assert 0 < found.quality_high < drafts / cascading.cube.decisions


def test_a_chain_has_no_range_and_is_said_to_be_left_out(cascading: Preview) -> None:
    projection = cascading.at(set_values(cascading.config, ["features.feature-0.strategy=chain"]))
    assert projection.ranges == ()
    assert any("the strategy of feature-0 is not in them" in note for note in projection.notes)


def test_without_labels_or_prices_an_end_is_unknown_not_zero() -> None:
    bare = simulate(3, 1_000, labelled=0.0, missing_price=2)
    preview = Preview(bare.cube, bare.config, bare.prices, replicates=5)
    (found,) = preview.at(set_values(bare.config, ["strategy=cascade"])).ranges
    assert found.cost_high is None
    assert (found.quality_low, found.quality_high) == (None, None)
    assert "unknown" in str(found)


def test_compression_holds_every_share_that_may_be_left_out(log: Log) -> None:
    preview = Preview(log.cube, log.config, log.prices, replicates=5)
    found = the_range(preview, "compress.enabled=true", "compress.above_tokens=1")
    assert found.cost_low is not None
    assert found.cost_high is not None
    for kept in (0.01, 0.5, 0.9):
        scenario = what_if(preview, Scenario(name="shorter", compress={"*": kept})).projection
        assert scenario.cost.change is not None
        assert found.cost_low <= scenario.cost.change <= found.cost_high
    narrow = the_range(preview, "compress.enabled=true", "compress.above_tokens=100000")
    assert narrow.cost_low is not None
    assert found.cost_low < narrow.cost_low <= 0
    assert (found.quality_low, found.quality_high) == (0, 0)
    assert "answers are taken to stay as good and as long" in str(found)


def test_without_summaries_in_the_log_ending_compression_changes_nothing(log: Log) -> None:
    config = set_values(log.config, ["compress.enabled=true"])
    preview = Preview(replace(log, config=config).cube, config, log.prices, replicates=5)
    assert not (preview.cube.calls.kind == Kind.COMPRESS).any()
    found = the_range(preview, "compress.enabled=false")
    assert (found.cost_low, found.cost_high) == (0, 0)


@given(seed=st.integers(0, 50), above=st.integers(1, 3_000))
def test_prompts_above_a_length_never_hold_more_tokens_than_the_bound(seed: int, above: int) -> None:
    log = simulate(seed, 300, plain=True, features=1)
    bound = float(_tokens_of_long_prompts(log.cube, 0, above).sum())
    sent = log.lines.input_tokens
    assert float(sent[sent > above].sum()) <= bound * (1 + 1e-9)
    assert bound <= float(sent.sum()) * (1 + 1e-9)
