"""Scenarios combine what-ifs freely on one log: each exact where it can be, none narrower than it is known."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router_core.config import build_config, set_values
from router_core.decision import Kind
from router_core.errors import ConfigError, InputError, UnpricedModelError
from router_core.prices import PriceBook
from router_core.projection import Preview, Projection
from router_core.projection.pricing import ESCALATION, FIXED
from router_core.projection.scenario import Scenario, build_scenario
from router_core.projection.whatif import WhatIf, what_if
from tests.logs import Log, simulate


@dataclass(frozen=True)
class Repeating:
    """A feature whose requests repeat as often as it says."""

    logged_share: float
    shares: dict[int, float]

    def hit_share(self, ttl_seconds: int, now_seconds: int) -> float:
        return self.shares[ttl_seconds]


@pytest.fixture(scope="module")
def log() -> Log:
    return simulate(21, 4_000, features=3)


@pytest.fixture(scope="module")
def preview(log: Log) -> Preview:
    return Preview(log.cube, log.config, log.prices, replicates=40)


def scenario(**parts: Any) -> Scenario:
    return build_scenario({"name": "it", **parts})


def run(preview: Preview, **parts: Any) -> Projection:
    return what_if(preview, scenario(**parts)).projection


def money(found: Projection) -> tuple[int, int, int]:
    cost = found.cost
    assert cost.change is not None
    assert cost.low is not None
    assert cost.high is not None
    return cost.change, cost.low, cost.high


def quality(found: Projection) -> tuple[float, float, float]:
    one = found.quality
    assert one.change is not None
    assert one.low is not None
    assert one.high is not None
    return one.change, one.low, one.high


def assert_alike(found: Projection, expected: Projection) -> None:
    """Compare what is said of quality: figures, a range, or nothing."""
    ours, theirs = (vars(one.quality) for one in (found, expected))
    for name, value in theirs.items():
        assert ours[name] == (None if value is None else pytest.approx(value, abs=1e-6)), name


def test_nothing_different_changes_exactly_nothing(preview: Preview) -> None:
    found = run(preview)
    assert money(found) == (0, 0, 0)
    assert quality(found) == (0.0, 0.0, 0.0)
    assert found.decisions == preview.cube.decisions
    assert found.cost.logged == preview.cube.total_cost


@settings(max_examples=15, deadline=None)
@given(st.integers(30, 70), st.integers(71, 100), st.sampled_from([0.05, 0.0, 0.2]))
def test_a_change_of_configuration_alone_is_its_preview(
    preview: Preview, medium: int, complex_: int, explore: float
) -> None:
    changed = [f"boundaries.MEDIUM={medium}", f"boundaries.COMPLEX={complex_}", f"exploration.rate={explore}"]
    found, expected = run(preview, settings=changed), preview.at(set_values(preview.config, changed))
    assert money(found) == pytest.approx(money(expected), rel=1e-4, abs=2)  # resamples are kept in single precision
    assert_alike(found, expected)
    assert found.support.moved_share == pytest.approx(expected.support.moved_share)
    assert found.support.colour == expected.support.colour


def test_a_pin_is_projected_as_in_a_preview(preview: Preview) -> None:
    pin = ["features.feature-0.pin=COMPLEX"]
    assert money(run(preview, settings=pin)) == pytest.approx(
        money(preview.at(set_values(preview.config, pin))), rel=1e-5
    )


@settings(max_examples=15, deadline=None)
@given(st.floats(-0.9, 4))
def test_all_traffic_growing_alike_scales_money_with_its_interval_and_leaves_quality(
    preview: Preview, growth: float
) -> None:
    changed = ["boundaries.MEDIUM=55"]
    one, grown = run(preview, settings=changed), run(preview, settings=changed, growth={"*": growth})
    assert grown.decisions == pytest.approx((1 + growth) * one.decisions, abs=1)
    today = preview.cube.total_cost
    scaled = [(1 + growth) * (today + end) - today for end in money(one)]
    assert money(grown) == pytest.approx(scaled, rel=1e-5, abs=5)
    # More of the same traffic is no more evidence.
    assert_alike(grown, one)


def test_traffic_of_one_feature_shifts_the_mix(preview: Preview) -> None:
    cube = preview.cube
    found = run(preview, growth={"feature-1": 1.0})
    own = int(cube.cost_by_feature[cube.features.index("feature-1")])
    assert money(found) == (own, own, own)
    means = preview.quality_by_feature / cube.decisions_by_feature
    weights = cube.decisions_by_feature * np.array([1 + (name == "feature-1") for name in cube.features])
    assert found.quality.projected == pytest.approx(float(means @ weights / weights.sum()))
    gone = run(preview, growth={"feature-1": -1.0})
    assert money(gone)[0] == -own
    assert "feature-1" in [one.feature for one in gone.by_feature]
    assert sum(one.cost.change or 0 for one in gone.by_feature) == -own


def test_features_named_come_before_every_feature(preview: Preview) -> None:
    found = run(preview, growth={"*": 0.5, "feature-0": 0.0})
    cube = preview.cube
    expected = sum(
        int(cost) for name, cost in zip(cube.features, cube.cost_by_feature, strict=True) if name != "feature-0"
    )
    assert money(found)[0] == pytest.approx(0.5 * expected, abs=2)


@pytest.mark.parametrize("change", [-0.5, 0.25, -1.0])
def test_a_price_change_is_exact(preview: Preview, log: Log, change: float) -> None:
    found = run(preview, prices={"model-MEDIUM": {"change": change}})
    calls = preview.cube.calls
    own = [row is not None and row.model == "model-MEDIUM" for row in calls.rows]
    cost = int(calls.cost[np.array(own)[calls.price]].sum())
    assert money(found) == pytest.approx((change * cost,) * 3, rel=1e-9, abs=len(calls.cost))


def test_rates_that_are_given_take_the_place_of_those_that_were(preview: Preview) -> None:
    now = next(row for row in preview.cube.calls.rows if row is not None and row.model == "model-MEDIUM")
    same = {"input": float(now.input_usd_per_mtok or 0), "output": float(now.output_usd_per_mtok or 0)}
    assert money(run(preview, prices={"model-MEDIUM": same}))[0] == 0
    doubled = {name: 2 * rate for name, rate in same.items()}
    both = run(preview, prices={"model-MEDIUM": doubled}), run(preview, prices={"acme/model-MEDIUM": {"change": 1.0}})
    assert money(both[0]) == money(both[1])


def test_prices_of_a_day_price_all_calls(log: Log) -> None:
    rows = [log.prices.history("acme", f"model-{name}")[0] for name in log.config.tier_names]
    cheaper = replace(
        rows[2],
        id=99,
        effective_from=date(2027, 1, 1),
        input_usd_per_mtok=(rows[2].input_usd_per_mtok or Decimal(0)) / 2,
        output_usd_per_mtok=(rows[2].output_usd_per_mtok or Decimal(0)) / 2,
    )
    book = PriceBook([*rows, cheaper], resolve=lambda provider, model: None)
    preview = Preview(log.cube, log.config, book, replicates=2)
    before, after = run(preview, prices_at="2026-12-31"), run(preview, prices_at="2027-01-01")
    assert money(before)[0] == 0
    assert money(after)[0] == money(run(preview, prices={"model-COMPLEX": {"change": -0.5}}))[0] < 0


def test_a_price_and_a_boundary_together_are_projected_together(preview: Preview) -> None:
    changed = ["boundaries.COMPLEX=90"]
    apart = (
        money(run(preview, settings=changed))[0] + money(run(preview, prices={"model-COMPLEX": {"change": -0.5}}))[0]
    )
    together = money(run(preview, settings=changed, prices={"model-COMPLEX": {"change": -0.5}}))[0]
    assert together > apart  # what is no longer sent to the model that became cheaper saves only half as much


def test_calls_by_batch_cost_in_proportion(log: Log) -> None:
    rows = [log.prices.history("acme", f"model-{name}")[0] for name in log.config.tier_names]
    batch = [
        replace(
            row,
            id=50 + place,
            processing="batch",
            input_usd_per_mtok=(row.input_usd_per_mtok or Decimal(0)) / 2,
            output_usd_per_mtok=(row.output_usd_per_mtok or Decimal(0)) / 2,
        )
        for place, row in enumerate(rows[:2])
    ]
    book = PriceBook([*rows, *batch], resolve=lambda provider, model: None)
    preview = Preview(log.cube, log.config, book, replicates=2)
    whole, part = (what_if(preview, scenario(batch={"feature-0": share})) for share in (1.0, 0.4))
    assert money(part.projection)[0] == pytest.approx(0.4 * money(whole.projection)[0], rel=1e-6)
    assert money(whole.projection)[0] < 0
    assert any("No batch price is known of model-COMPLEX" in said for said in whole.assumptions)
    assert money(whole.projection)[0] == pytest.approx(
        sum(one.cost.change or 0 for one in whole.projection.by_feature if one.feature == "feature-0")
    )


def test_a_longer_kept_cache_saves_calls_to_answer_and_no_others(preview: Preview) -> None:
    repeats = {"feature-0": Repeating(0.05, {600: 0.24, 0: 0.0}), "feature-1": Repeating(0.0, {600: 0.0, 0: 0.0})}
    found = what_if(preview, scenario(cache_ttl={"*": 600}), repeats)
    calls = preview.cube.calls
    answering = (calls.feature == preview.cube.features.index("feature-0")) & (calls.part != 0)
    saved = calls.cost[answering].sum() * (1 - (1 - 0.24) / (1 - 0.05))
    assert money(found.projection)[0] == pytest.approx(-saved, abs=2)
    assert quality(found.projection) == (0.0, 0.0, 0.0)
    told = " ".join(found.assumptions)
    assert (
        "feature-0 keeps answers for 600 s (0 s now): 24.0% of its requests are answered from there (5.0% now)" in told
    )
    assert "Keeping answers of feature-1 so long changes nothing" in told
    assert "Nothing is known of how requests of feature-2 repeat" in told


def test_a_model_swapped_for_a_neighbours_does_what_that_tier_does(preview: Preview) -> None:
    found = what_if(preview, scenario(swaps={"MEDIUM": {"model": "model-SIMPLE"}}))
    same = preview.at(set_values(preview.config, ["boundaries.MEDIUM=75"]))
    assert money(found.projection) == pytest.approx(money(same), rel=1e-5)
    assert_alike(found.projection, same)
    assert any("answers the requests of MEDIUM as it answers those of SIMPLE" in said for said in found.assumptions)
    down = what_if(preview, scenario(swaps={"COMPLEX": {"model": "model-MEDIUM"}})).projection
    as_one = ["boundaries.COMPLEX=100", "features.feature-2.pin=MEDIUM"]  # what is pinned to a tier gets its model too
    assert money(down) == pytest.approx(money(preview.at(set_values(preview.config, as_one))), rel=0.05)


def test_an_unknown_model_costs_its_price_and_nothing_is_said_of_its_quality(log: Log) -> None:
    config = set_values(log.config, ["models.[other].provider=acme"])
    rows = [log.prices.history("acme", f"model-{name}")[0] for name in log.config.tier_names]
    other = replace(rows[0], id=7, model="other")
    book = PriceBook([*rows, other], resolve=lambda provider, model: None)
    preview = Preview(log.cube, config, book, replicates=20)
    known = what_if(preview, scenario(swaps={"COMPLEX": {"model": "other", "verbosity": 1.0}}))
    open_ = what_if(preview, scenario(swaps={"COMPLEX": {"model": "other"}}))
    ratio = float((rows[0].output_usd_per_mtok or 0) / (rows[2].output_usd_per_mtok or 1))
    calls = preview.cube.calls
    own = np.array([row is not None and row.model == "model-COMPLEX" for row in calls.rows])[calls.price]
    assert money(known.projection)[0] == pytest.approx(-(1 - ratio) * calls.cost[own].sum(), rel=1e-6)
    assert money(open_.projection)[0] == money(known.projection)[0]
    assert money(open_.projection)[1] < money(known.projection)[1]
    assert money(open_.projection)[2] > money(known.projection)[2]
    assert known.projection.quality.projected is None
    assert any("a trial would" in note for note in known.projection.notes)
    assert any("half to three times" in said for said in open_.assumptions)


def test_another_classifier_changes_what_judging_complexity_costs_and_nothing_else(preview: Preview) -> None:
    calls = preview.cube.calls
    spent = int(calls.cost[calls.kind == Kind.CLASSIFIER].sum())
    assert spent > 0
    for factor in (0.0, 0.5, 2.0):
        found = what_if(preview, scenario(calls={"classifier": factor}))
        assert money(found.projection)[0] == pytest.approx((factor - 1) * spent, abs=1)
        assert quality(found.projection) == (0.0, 0.0, 0.0)
        assert f"{factor:.0%} of today's calls to judge complexity are made" in " ".join(found.assumptions)


def test_without_a_cascade_escalations_cost_nothing_and_quality_is_a_range(preview: Preview) -> None:
    calls, cube = preview.cube.calls, preview.cube
    escalations = calls.part == ESCALATION
    spent, count = int(calls.cost[escalations].sum()), int(calls.attempts[escalations].sum())
    assert count > 0
    off = what_if(preview, scenario(calls={"escalation": 0.0}))
    assert money(off.projection)[0] == pytest.approx(-spent, abs=1)
    # Each of them may have put a right answer in the place of a wrong draft, or have been for nothing.
    kept = off.projection.quality
    assert kept.change is None
    assert kept.low == pytest.approx(-count / cube.decisions)
    assert kept.high == 0.0
    twice = what_if(preview, scenario(calls={"escalation": 2.0}))
    assert money(twice.projection)[0] == pytest.approx(spent, abs=1)
    assert twice.projection.quality.high == pytest.approx(count / cube.decisions)
    assert any("Drafts are turned down 0% as often as today" in said for said in off.assumptions)


def test_compression_saves_input_tokens_and_pays_whoever_shortens_them(preview: Preview, log: Log) -> None:
    calls, cube = preview.cube.calls, preview.cube
    own = (calls.feature == cube.features.index("feature-1")) & (calls.part != FIXED)
    sent = calls.tokens[:, 0].astype(float)  # of these, none came from a provider's cache
    of_input = calls.rates()[calls.price, 0]
    cheapest = log.prices.history("acme", "model-SIMPLE")[0]
    a_token = 1000 * float(cheapest.input_usd_per_mtok or 0) + 0.1 * 1000 * float(cheapest.output_usd_per_mtok or 0)
    found = what_if(preview, scenario(compress={"feature-1": 0.6}))
    expected = 0.4 * (a_token * sent[own].sum() - (sent * of_input)[own].sum())
    assert money(found.projection)[0] == pytest.approx(expected, rel=1e-6)
    told = " ".join(found.assumptions)
    assert "60% of what is sent for feature-1 is left." in told
    assert "model-SIMPLE reads what is left out and writes 10% of it as a summary" in told


def test_every_part_says_what_it_assumes(preview: Preview) -> None:
    found = what_if(
        preview,
        scenario(
            settings=["boundaries.MEDIUM=50"],
            prices_at="2026-02-01",
            prices={"model-SIMPLE": {"input": 1.0, "output": 2.0}, "model-MEDIUM": {"change": -0.2}},
            growth={"feature-0": 0.1, "feature-1": -0.3},
            batch={"*": 0.5},
        ),
    )
    told = "\n".join(found.assumptions)
    for sentence in (
        "requests from 2026-01-01 to 2026-01-31 come again",
        "The configuration has boundaries.MEDIUM=50.",
        "All calls cost what they cost on 2026-02-01.",
        "model-SIMPLE costs $1 for a million input and $2 for a million output tokens",
        "model-MEDIUM costs 20% less.",
        "Traffic of feature-0 grows by 10%; its requests stay of the same kind.",
        "Traffic of feature-1 shrinks by 30%",
        "50% of the calls for all features go by batch",
    ):
        assert sentence in told
    text = json.dumps(found.as_json(), allow_nan=False)
    assert json.loads(text)["name"] == "it"
    assert json.loads(text)["cost_nusd"]["logged"] == preview.cube.total_cost


@settings(max_examples=20, deadline=None)
@given(
    st.dictionaries(st.sampled_from(["*", "feature-0", "feature-2"]), st.floats(-0.99, 3)),
    st.dictionaries(st.sampled_from(["*", "feature-1"]), st.floats(0, 1)),
    st.sampled_from([(), ("boundaries.MEDIUM=50",), ("boundaries.COMPLEX=60", "exploration.rate=0.1")]),
    st.sampled_from([{}, {"model-SIMPLE": {"change": 0.5}}]),
)
def test_the_laws_of_every_combination(
    preview: Preview,
    growth: dict[str, float],
    batch: dict[str, float],
    changed: tuple[str, ...],
    prices: dict[str, Any],
) -> None:
    built = scenario(growth=growth, batch=batch, settings=changed, prices=prices)
    assert build_scenario(json.loads(built.model_dump_json(exclude_defaults=True))) == built
    found = what_if(preview, built).projection
    change, low, high = money(found)
    assert low <= change <= high
    assert found.cost.projected == found.cost.logged + change
    assert found.saving.value == pytest.approx(-change / found.cost.logged)
    parts = [one.cost.logged for one in found.by_feature]
    assert sum(parts) == found.cost.logged
    if found.quality.low is not None and found.quality.change is not None and found.quality.high is not None:
        assert found.quality.low <= found.quality.change <= found.quality.high
        assert found.quality.projected == pytest.approx((found.quality.logged or 0) + found.quality.change)
    assert 0 <= found.support.unsupported_share <= 1


@pytest.mark.parametrize(
    ("parts", "sentence"),
    [
        ({"growth": {"feature-0": -1.5}}, "traffic of 'feature-0' cannot shrink by 150%: less than nothing is left"),
        ({"growth": {"*": -1.01}}, "traffic of every feature cannot shrink by 101%"),
        ({"growth": {"*": float("nan")}}, "growth"),
        ({"batch": {"*": 1.5}}, r"batch.\*: input should be less than or equal to 1 \(it is 1.5\)"),
        ({"cache_ttl": {"*": -5}}, "cache_ttl.*greater than or equal to 0"),
        ({"prices_at": "soon"}, "prices_at"),
        ({"prices": {"m": {}}}, "a new price is either 'input' and 'output', or a 'change'"),
        ({"prices": {"m": {"change": -2}}}, "prices.m.change: input should be greater than or equal to -1"),
        ({"swaps": {"MEDIUM": {"model": "x", "verbosity": 0}}}, "swaps.MEDIUM.verbosity"),
        ({"wishes": 1}, "wishes: extra inputs are not permitted"),
        ({"name": ""}, "name: string should have at least 1 character"),
    ],
)
def test_a_scenario_that_cannot_be_is_one_sentence(parts: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        build_scenario({"name": "it", **parts})


def test_a_scenario_that_does_not_fit_the_log_is_one_sentence(preview: Preview) -> None:
    for parts, kind, sentence in (
        ({"growth": {"feature-9": 1}}, InputError, "there is no traffic of a feature 'feature-9' in this window"),
        ({"growth": {"*": -1}}, InputError, "leaves no traffic at all"),
        ({"swaps": {"NOWHERE": {"model": "model-SIMPLE"}}}, ConfigError, "there is no tier 'NOWHERE'"),
        ({"swaps": {"MEDIUM": {"model": "nobody"}}}, InputError, "there is no model 'nobody'"),
        ({"prices": {"nobody": {"change": 1}}}, InputError, "there is no model 'nobody'"),
        ({"settings": ["boundaries.MEDIUM=x"]}, ConfigError, "boundaries|score_min"),
    ):
        with pytest.raises(kind, match=sentence):
            run(preview, **parts)


def test_a_swap_for_a_model_without_a_price_is_refused(log: Log) -> None:
    config = build_config(
        {**log.config.model_dump(), "models": {**log.config.model_dump()["models"], "mystery": {"provider": "acme"}}}
    )
    preview = Preview(log.cube, config, log.prices, replicates=2)
    with pytest.raises(UnpricedModelError, match="no price is known for 'mystery'"):
        run(preview, swaps={"COMPLEX": {"model": "mystery"}})


def test_a_log_without_labels_still_prices_a_scenario() -> None:
    bare = simulate(2, 1_000, labelled=0.0)
    preview = Preview(bare.cube, bare.config, bare.prices, replicates=5)
    found: WhatIf = what_if(preview, scenario(settings=["boundaries.MEDIUM=50"], growth={"*": 0.5}))
    assert money(found.projection)[0] > 0
    assert found.projection.quality.projected is None
