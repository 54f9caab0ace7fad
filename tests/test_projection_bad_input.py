"""What a log cannot tell is said in a sentence, and what it can tell is still shown."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from router_core.config import set_values
from router_core.decision import Reason
from router_core.errors import ConfigError, NoSupportError
from router_core.projection import Cube, Preview, Projection, project
from tests.logs import Log, configured, simulate


def at(log: Log, *marks: int) -> Projection:
    return Preview(log.cube, log.config, log.prices, 40).at(log.config.with_boundaries([0, *marks]))


def says(projection: Projection, *words: str) -> bool:
    return any(all(word in note for word in words) for note in projection.notes)


def test_without_labels_cost_is_projected_and_quality_is_not() -> None:
    projection = at(simulate(1, labelled=0.0), 60, 80)
    assert projection.cost.change is not None
    assert projection.cost.change < 0
    assert projection.quality.logged is None
    assert projection.quality.change is None
    assert says(projection, "labelled", "quality")


def test_with_one_label_quality_is_not_projected_and_the_tier_is_named() -> None:
    log = simulate(1, plain=True)
    one = np.where(np.arange(len(log.lines.own)) == 0, log.lines.quality_ppm, -1)
    projection = at(replace(log, lines=replace(log.lines, quality_ppm=one)), 60, 80)
    assert projection.quality.logged in (0.0, 1.0)
    assert projection.quality.change is None
    assert projection.quality.low is None
    assert says(projection, "fewer than 100", "SIMPLE")


def test_a_single_tier_leaves_nothing_to_move() -> None:
    log = simulate(1, starts=[0])
    projection = Preview(log.cube, log.config, log.prices, 20).at(log.config)
    assert projection.cost.change == 0
    assert projection.controls["all_cheapest"].cost.change == 0


def test_when_every_answer_is_bad_the_interval_stays_near_nothing() -> None:
    log = simulate(1, plain=True, explore=0.3)
    lines = replace(log.lines, quality_ppm=np.zeros_like(log.lines.quality_ppm))
    quality = at(replace(log, lines=lines), 50, 80).quality
    assert quality.logged == 0
    assert quality.high is not None
    assert quality.low is not None
    assert -0.02 < quality.low <= quality.high < 0.02


def test_an_unpriced_model_leaves_quality_and_names_the_tier() -> None:
    log = simulate(1, missing_price=1)
    projection = at(log, 30, 75)
    assert projection.cost.projected is None
    assert projection.saving.value is None
    assert says(projection, "No price is known", "MEDIUM")
    assert projection.quality.logged is not None
    # Traffic that stays clear of the unpriced tier is still priced.
    elsewhere = at(log, 40, 70)
    assert elsewhere.cost.change is not None


def test_no_traffic_in_the_window_is_refused_with_a_sentence() -> None:
    log = simulate(1, 50)
    empty = log.lines.take(np.zeros(len(log.lines.own), dtype=bool))
    with pytest.raises(NoSupportError, match="no traffic in this window"):
        _ = replace(log, lines=empty).cube


def test_a_feature_never_seen_changes_nothing() -> None:
    log = simulate(1)
    target = set_values(log.config, ["features.newcomer.pin=SIMPLE"])
    projection = project(log.cube, target, replicates=20)
    assert (projection.cost.change, projection.quality.change) == (0, 0.0)
    assert [part.feature for part in projection.by_feature] == ["feature-0", "feature-1"]


def test_equal_boundaries_leave_a_tier_empty() -> None:
    log = simulate(1, plain=True)
    projection = at(log, 75, 75)
    assert projection.by_feature[0].tier_shares["MEDIUM"] == 0
    assert projection.cost.change is not None
    assert projection.cost.change < 0


def test_of_two_scorer_versions_the_newest_is_used_and_the_rest_stays_as_logged() -> None:
    log = simulate(1, plain=True)
    newer = np.arange(len(log.lines.own)) % 3 == 0
    lines = replace(log.lines, scorer=newer.astype(np.int64))
    mixed = replace(log, lines=lines, names={**log.names, "scorers": ("first", "second")})
    projection = at(mixed, 60, 80)
    assert mixed.cube.scorer == "second"
    assert says(projection, "2 scorer versions", "'second'", "1,000 requests")
    assert projection.support.moved_share < 0.4 * at(log, 60, 80).support.moved_share
    chosen = set_values(log.config, ["classifier.scorer=first"])
    assert Cube.from_evidence(mixed.evidence, chosen, log.prices).scorer == "first"


def test_traffic_of_tiers_that_are_gone_stays_as_logged() -> None:
    log = simulate(1, plain=True)
    renamed = replace(log, names={**log.names, "tiers": ("SIMPLE", "MIDDLE", "COMPLEX")})
    projection = at(renamed, 60, 80)
    assert says(projection, "no longer has", "'MIDDLE'")
    assert projection.cost.logged == log.cube.total_cost


def test_a_target_with_other_tiers_is_refused() -> None:
    log = simulate(1)
    with pytest.raises(ConfigError, match="rename tiers"):
        project(log.cube, configured([0, 50]), replicates=5)


def test_what_a_preview_does_not_hold_is_said() -> None:
    log = simulate(1)
    target = set_values(log.config, ["cache.mode=exact", "boundaries.MEDIUM=50"])
    assert says(project(log.cube, target, replicates=5), "cache", "not in them")


def test_traffic_that_no_boundary_moves_stays() -> None:
    log = simulate(1, plain=True)
    lines = replace(log.lines, reason=np.full_like(log.lines.reason, Reason.STICKY))
    projection = at(replace(log, lines=lines), 60, 80)
    assert projection.cost.change == 0
    assert projection.support.moved_share == 0


def test_a_move_far_from_any_evidence_is_red_and_has_a_range_instead_of_an_estimate() -> None:
    log = simulate(1, 3000, plain=True, explore=0.0, starts=[0, 50])
    projection = at(log, 95)
    quality = projection.quality
    assert projection.support.colour == "red"
    assert (quality.change, quality.projected) == (None, None)
    assert quality.low is not None
    assert quality.high is not None
    assert quality.high - quality.low > projection.support.unsupported_share
    assert says(projection, "no labelled requests nearby")


def test_a_large_log_with_exploration_is_plain() -> None:
    projection = at(simulate(1, 20_000, plain=True, explore=0.3), 60, 80)
    assert projection.support.colour == "plain"
    assert projection.quality.change is not None
