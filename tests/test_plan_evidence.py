"""The evidence planner: replays or days of exploration for an interval of a wanted width, each with its price."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router_core.cli import main
from router_core.config import RoutingConfig, set_values
from router_core.demo import fill
from router_core.errors import InputError, NoSupportError
from router_core.ledger.store import open_ledger
from router_core.projection import Preview
from router_core.projection.planner import EvidencePlan, plan_evidence
from tests.logs import simulate

NOW = round(datetime(2026, 11, 23, 15, 20, tzinfo=UTC).timestamp() * 1000)


@pytest.fixture(scope="module")
def preview() -> Preview:
    log = simulate(7, 6_000)
    return Preview(log.cube, log.config, log.prices, replicates=50)


@pytest.fixture(scope="module")
def target(preview: Preview) -> RoutingConfig:
    return set_values(preview.config, ["boundaries.MEDIUM=60"])


def test_the_plan_is_the_smallest_that_reaches_the_width(preview: Preview, target: RoutingConfig) -> None:
    plan = plan_evidence(preview, target, 0.01)
    assert plan.replay.enough
    assert plan.replay.half_width <= 0.01
    fewer = plan_evidence(preview, target, plan.replay.half_width * 1.02)
    assert fewer.replay.replays <= plan.replay.replays
    for one in plan.exploration:
        assert one.half_width is not None
        assert one.half_width <= 0.01
    days = [one.days or 0 for one in plan.exploration]
    assert days == sorted(days, reverse=True)  # the more is explored a day, the sooner it is known


@settings(max_examples=20, deadline=None)
@given(st.floats(0.002, 0.03))
def test_half_the_width_takes_about_four_times_the_evidence(
    preview: Preview, target: RoutingConfig, within: float
) -> None:
    wide, narrow = (plan_evidence(preview, target, width, rates=(0.02,)) for width in (within, within / 2))
    assert narrow.replay.replays >= wide.replay.replays
    if narrow.replay.enough and 30 < wide.replay.replays < 100:
        assert 2 <= narrow.replay.replays / wide.replay.replays <= 4.5  # fewer, as the log itself runs out
    before, after = wide.exploration[0], narrow.exploration[0]
    # What the log's own exploration already told counts for both, so that the first stretch may be short.
    if before.days is not None and after.days is not None and before.days > 30:
        assert after.days / before.days >= 3.3


def test_exploring_cheaper_saves_money_and_costs_answers_and_exploring_dearer_the_reverse(preview: Preview) -> None:
    live = preview.config
    onto_cheapest = plan_evidence(preview, set_values(live, ["boundaries.MEDIUM=60"]), 0.005).exploration[1]
    onto_strongest = plan_evidence(preview, set_values(live, ["boundaries.COMPLEX=60"]), 0.005).exploration[1]
    assert onto_cheapest.cost_nusd is not None
    assert onto_strongest.cost_nusd is not None
    assert onto_cheapest.quality is not None
    assert onto_strongest.quality is not None
    assert onto_cheapest.cost_nusd < 0 < onto_strongest.cost_nusd
    assert onto_cheapest.quality < 0 < onto_strongest.quality


def test_what_the_log_already_knows_is_said(preview: Preview, target: RoutingConfig) -> None:
    plan = plan_evidence(preview, target, 0.2)
    assert plan.known is not None
    assert plan.known < 0.2
    assert any("no more evidence is needed" in note for note in plan.notes)


def test_where_even_everything_replayed_would_not_do_it_says_so(preview: Preview, target: RoutingConfig) -> None:
    plan = plan_evidence(preview, target, 1e-6)
    assert not plan.replay.enough
    assert any("moved requests replayed would leave" in note for note in plan.notes)
    assert all(one.days is None for one in plan.exploration)


def test_without_labels_exploring_tells_nothing_and_replays_still_do() -> None:
    log = simulate(3, 2_000, labelled=0.0)
    preview = Preview(log.cube, log.config, log.prices, replicates=2)
    plan = plan_evidence(preview, set_values(log.config, ["boundaries.MEDIUM=60"]), 0.02)
    assert plan.known is None
    assert plan.replay.enough
    assert all(one.days is None for one in plan.exploration)
    assert any("0% are, if that goes on" in note for note in plan.notes)


def test_what_cannot_be_planned_is_one_sentence(preview: Preview, target: RoutingConfig) -> None:
    with pytest.raises(InputError, match="an interval of ±0 points cannot be planned for"):
        plan_evidence(preview, target, 0.0)
    with pytest.raises(InputError, match="a share of 2 cannot be explored"):
        plan_evidence(preview, target, 0.01, rates=(2.0,))
    with pytest.raises(NoSupportError, match="moves no request"):
        plan_evidence(preview, preview.config, 0.01)


def test_the_command_tells_people_and_programs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    db = tmp_path / "demo.db"
    with open_ledger(db) as ledger:
        fill(ledger, decisions=4_000, seed=1, now_ms=NOW)

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(["plan-evidence", "--set", "boundaries.MEDIUM=60", *arguments, "--db", str(db)])
        captured = capsys.readouterr()
        return int(ended.value.code or 0), captured.out, captured.err

    code, out, err = run("--within", "1.0", "--explore", "0.05", "--json")
    assert code == 0, err
    told = json.loads(out)
    assert set(told) == set(EvidencePlan.__dataclass_fields__)
    assert told["within"] == 0.01
    assert [one["rate"] for one in told["exploration"]] == [0.05]
    assert told["replay"]["cost_nusd"] < told["replay"]["cost_most_nusd"]
    code, out, err = run("--within", "1.0")
    assert code == 0
    assert "Replay: " in out
    assert "Explore 5%: " in out
    code, out, err = run("--within", "-1")
    assert (code, out) == (2, "")
    assert "cannot be planned for" in err
