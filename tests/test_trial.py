"""A trial draws the requests that tell most, says what it will cost, and proves what the whole move changes."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router_core.config import RoutingConfig, set_values
from router_core.decision import Reason
from router_core.errors import ConfigError, InputError, NoSupportError
from router_core.projection import Preview
from router_core.projection.moves import Moves
from router_core.projection.proof import Outcome, Proof, prove
from router_core.projection.trial import Drawn, Plan, Trial, draw, open_trial
from tests.logs import Log, simulate


def preview_of(log: Log) -> Preview:
    return Preview(log.cube, log.config, log.prices, replicates=20)


@pytest.fixture(scope="module")
def log() -> Log:
    return simulate(11, 4_000)


@pytest.fixture(scope="module")
def preview(log: Log) -> Preview:
    return preview_of(log)


@pytest.fixture(scope="module")
def target(log: Log) -> RoutingConfig:
    return set_values(log.config, ["boundaries.MEDIUM=60"])


@pytest.fixture(scope="module")
def plan(preview: Preview, target: RoutingConfig) -> Plan:
    return Plan.of(Moves.of(preview, target), 100)


def opened(plan: Plan, seed: int = 0) -> Trial:
    """Draw a trial from requests made up to fill the plan's cells, every second one labelled 1."""
    moves = plan.moves
    feature, score = (np.repeat(side, moves.count) for side in (moves.feature, moves.score))
    places, cells = draw(plan, feature, score, seed=seed)
    ids = [int(place + 1).to_bytes(16, "big") for place in places]
    labels = np.where(places % 2 == 0, 1.0, np.nan)
    costs = [1_000 + int(place) for place in places]
    drawn = Drawn(cells, ids, labels, costs, [False] * len(ids))
    return open_trial(plan, drawn, logged_quality=0.8, logged_cost_nusd=10**9)


def answered(trial: Trial, quality: float = 1.0) -> list[Outcome]:
    return [Outcome(one.id, quality, 1.0, 500) for one in trial.chosen]


def test_the_cells_moved_are_those_that_the_two_configurations_route_apart(
    log: Log, preview: Preview, plan: Plan
) -> None:
    moves = plan.moves
    assert set(moves.score.tolist()) == set(range(40, 60))
    assert {(moves.tiers[o], moves.tiers[n]) for o, n in zip(moves.old, moves.new, strict=True)} == {
        ("MEDIUM", "SIMPLE")
    }
    lines = log.lines
    moving = (lines.score >= 40) & (lines.score < 60) & (lines.own == 1) & (lines.feature == 0)
    assert moves.requests == int((moving & (lines.reason == Reason.POLICY) & (lines.tier == 1)).sum())
    # Explored requests that chance had given the cheaper tier go the other way, as the preview counts them.
    back = int((moving & (lines.reason == Reason.EXPLORE) & (lines.tier == 0)).sum())
    assert moves.moved == pytest.approx(moves.requests - back)
    assert moves.undrawn == 0


def test_expectations_of_the_plan_are_those_of_the_preview(preview: Preview, target: RoutingConfig, plan: Plan) -> None:
    projection, moves = preview.at(target), plan.moves
    assert projection.cost.change is not None
    assert projection.quality.change is not None
    # The preview sets logged costs and labels against the models; the plan knows the models alone.
    expected = float((moves.weight * moves.count * (moves.cost_after - moves.cost_before)).sum())
    assert expected == pytest.approx(projection.cost.change, rel=0.15)
    gain = float((moves.weight * moves.count * moves.gain).sum()) / moves.decisions
    assert gain == pytest.approx(projection.quality.change, abs=0.01)


def test_requests_routed_by_an_older_configuration_are_stood_for_by_those_of_the_live_one() -> None:
    log = simulate(4, 3_000, starts=[0, 40, 75], plain=True, explore=0.0, features=1)
    live = set_values(
        log.config, ["boundaries.MEDIUM=50"]
    )  # scores 40 to 49 were answered by MEDIUM, and no longer are
    preview = Preview(log.cube, live, log.prices, replicates=2)
    moves = Moves.of(preview, set_values(live, ["boundaries.MEDIUM=30"]))
    assert set(moves.score.tolist()) == set(range(30, 40))
    in_all = int(((log.lines.score >= 30) & (log.lines.score < 50)).sum())
    assert moves.moved == pytest.approx(in_all)
    assert moves.undrawn == pytest.approx(1 - moves.requests / in_all)
    assert any("the log holds no fresh example of" in note for note in opened(Plan.of(moves, 20)).notes)
    with pytest.raises(NoSupportError, match="were all routed by an older configuration"):
        Plan.of(Moves.of(preview, set_values(live, ["boundaries.MEDIUM=45"])), 20)


@pytest.mark.parametrize("replays", [2, 5, 30, 100, 400])
def test_as_many_are_drawn_as_were_asked_for_or_as_there_are(
    preview: Preview, target: RoutingConfig, replays: int
) -> None:
    plan = Plan.of(Moves.of(preview, target), replays)
    assert plan.replays == min(replays, plan.moves.requests)
    assert (plan.drawn <= plan.counts).all()
    assert (plan.drawn >= 1).all()
    assert plan.counts.sum() == plan.moves.requests


def test_the_more_replays_the_narrower_and_dearer(preview: Preview, target: RoutingConfig) -> None:
    moves = Moves.of(preview, target)
    plans = [Plan.of(moves, replays) for replays in (25, 100, 250, moves.requests)]
    widths = [plan.half_width for plan in plans]
    costs = [plan.cost_nusd or 0 for plan in plans]
    assert widths == sorted(widths, reverse=True)
    assert costs == sorted(costs)
    assert costs[1] == pytest.approx(4 * costs[0], rel=0.15)
    for plan in plans:
        assert plan.cost_nusd is not None
        assert plan.cost_most_nusd is not None
        assert plan.cost_most_nusd > plan.cost_nusd > 0


def test_most_is_drawn_where_outcomes_are_most_in_doubt(preview: Preview, target: RoutingConfig) -> None:
    moves = Moves.of(preview, target)
    doubtful = moves.gain < np.median(moves.gain)
    steered = replace(moves, after=np.where(doubtful, 0.5, 0.98) * np.ones_like(moves.after))
    plan = Plan.of(steered, 100)
    share = plan.drawn / plan.counts
    drawn = share[plan.stratum] * moves.count
    rate = [float(drawn[of].sum() / moves.count[of].sum()) for of in (doubtful, ~doubtful)]
    assert rate[0] > 2 * rate[1]


def test_a_draw_is_random_within_strata_and_the_same_for_the_same_seed(plan: Plan) -> None:
    first, again, other = (opened(plan, seed) for seed in (1, 1, 2))
    assert first == again
    assert {one.id for one in first.chosen} != {one.id for one in other.chosen}
    assert len({one.id for one in first.chosen}) == plan.replays
    drawn = np.bincount([one.stratum for one in first.chosen])
    assert drawn.tolist() == plan.drawn.tolist()


def test_a_trial_survives_being_written_down(plan: Plan) -> None:
    trial = opened(plan)
    assert Trial.from_json(json.loads(json.dumps(trial.as_json(), allow_nan=False))) == trial
    proof = prove(trial, answered(trial))
    assert Proof.from_json(json.loads(json.dumps(proof.as_json(), allow_nan=False))) == proof


def test_answers_as_good_as_the_logged_ones_prove_no_change(plan: Plan) -> None:
    trial = opened(plan)
    proof = prove(trial, answered(trial, 1.0))
    low, change, high = proof.quality.low, proof.quality.change, proof.quality.high
    assert low is not None
    assert change is not None
    assert high is not None
    assert low <= change <= high
    assert abs(change) < plan.half_width


def test_better_answers_prove_a_better_move(plan: Plan) -> None:
    trial = opened(plan)
    changes = [prove(trial, answered(trial, quality)).quality.change or 0.0 for quality in (0.0, 0.5, 1.0)]
    assert changes == sorted(changes)
    moved = plan.moves.moved / plan.moves.decisions
    assert changes[2] - changes[0] == pytest.approx(moved, rel=0.01)


def test_outcomes_that_are_missing_widen_and_are_named(plan: Plan) -> None:
    trial = opened(plan)
    outcomes = answered(trial, 0.5)
    proof, fewer = prove(trial, outcomes), prove(trial, outcomes[::3])
    assert fewer.missing == len(trial.chosen) - len(outcomes[::3])
    assert any(f"{fewer.missing} of the 100 replays have no outcome" in note for note in fewer.notes)
    assert fewer.quality.high is not None
    assert fewer.quality.low is not None
    assert proof.quality.high is not None
    assert proof.quality.low is not None
    assert fewer.quality.high - fewer.quality.low >= proof.quality.high - proof.quality.low


def test_an_outcome_of_a_request_that_was_not_drawn_is_passed_over(plan: Plan) -> None:
    trial = opened(plan)
    stray = Outcome("ff" * 16, 0.0, 0.0, 1)
    assert prove(trial, [*answered(trial), stray]) == prove(trial, answered(trial))


def test_unknown_costs_prove_no_cost(plan: Plan) -> None:
    trial = opened(plan)
    outcomes = [replace(one, cost_nusd=None) for one in answered(trial)]
    proof = prove(trial, outcomes)
    assert proof.cost.change is None
    assert proof.saving.value is None
    assert any("the change in cost is not proved" in note for note in proof.notes)
    assert proof.quality.change is not None


def test_logged_answers_that_nobody_graded_are_stood_for_and_widen(plan: Plan) -> None:
    trial = opened(plan)
    graded = prove(trial, answered(trial, 0.5))
    bare = prove(trial, [replace(one, quality_logged=None) for one in answered(trial, 0.5)])
    assert any("the logged answer is not graded" in note for note in bare.notes)
    assert bare.quality.high is not None
    assert bare.quality.low is not None
    assert graded.quality.high is not None
    assert graded.quality.low is not None
    assert bare.quality.high - bare.quality.low > graded.quality.high - graded.quality.low
    unlabelled = replace(trial, labels_count=3)
    with pytest.raises(InputError, match="nobody knows how good the logged answer was, and only 3"):
        prove(unlabelled, [replace(one, quality_logged=None) for one in answered(trial)])


def test_what_proves_nothing_is_refused(plan: Plan) -> None:
    trial = opened(plan)
    with pytest.raises(InputError, match="outcomes of 3 of the 100 requests of this trial only"):
        prove(trial, answered(trial)[:3])
    twice = answered(trial)
    with pytest.raises(InputError, match="is given twice"):
        prove(trial, [*twice, twice[0]])


def test_a_change_that_moves_nothing_cannot_be_proved(log: Log, preview: Preview) -> None:
    with pytest.raises(NoSupportError, match="moves no request of the log"):
        Plan.of(Moves.of(preview, log.config), 100)
    with pytest.raises(NoSupportError, match="moves no request of the log"):
        Plan.of(Moves.of(preview, set_values(log.config, ["exploration.rate=0.5"])), 100)
    fewer_tiers = simulate(1, 300, starts=[0, 50]).config
    with pytest.raises(ConfigError, match="the target has the tiers SIMPLE, MEDIUM"):
        Moves.of(preview, fewer_tiers)
    with pytest.raises(InputError, match="two replays at least, not 1"):
        Plan.of(Moves.of(preview, set_values(log.config, ["boundaries.MEDIUM=60"])), 1)


def test_a_log_without_labels_or_prices_still_gives_a_trial() -> None:
    bare = simulate(2, 1_500, labelled=0.0, missing_price=0)
    preview = preview_of(bare)
    plan = Plan.of(Moves.of(preview, set_values(bare.config, ["boundaries.MEDIUM=60"])), 40)
    assert plan.cost_nusd is None
    assert plan.half_width > 0
    trial = opened(plan)
    proof = prove(trial, answered(trial, 0.5))
    assert proof.quality.change is not None
    assert proof.cost.change is None


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000), st.integers(41, 100), st.integers(2, 120))
def test_strata_share_out_all_cells_whatever_moves(seed: int, boundary: int, replays: int) -> None:
    log = simulate(seed % 5, 800)
    moves = Moves.of(
        Preview(log.cube, log.config, log.prices, replicates=2),
        set_values(log.config, ["boundaries.COMPLEX=100", f"boundaries.MEDIUM={boundary}"]),
    )
    plan = Plan.of(moves, replays)
    assert plan.replays == min(replays, moves.requests)
    assert np.bincount(plan.stratum, moves.count).tolist() == plan.counts.tolist()
    trial = opened(plan, seed)
    assert sum(trial.counts) == moves.requests
    assert all(0 <= one.stratum < len(trial.counts) for one in trial.chosen)
