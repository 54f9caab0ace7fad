"""The doubly robust cross-check agrees where the models are right, and warns where they are wrong."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from router_core.decision import Reason
from router_core.projection import Preview
from tests.logs import simulate


def test_it_agrees_with_models_that_are_right() -> None:
    log = simulate(6, 20_000, plain=True, explore=0.1)
    projection = Preview(log.cube, log.config, log.prices, 60).at_boundaries([0, 55, 85])
    check = projection.cross_check
    assert check is not None
    assert check.low is not None
    assert check.high is not None
    assert check.low < (projection.quality.change or 0) < check.high
    assert not projection.contradicted
    assert projection.as_json()["cross_check"]["change"] == check.change


def test_it_warns_where_explored_requests_contradict_the_models() -> None:
    log = simulate(6, 40_000, plain=True, explore=0.1)
    lines = log.lines
    # A cliff narrower than any curve bends: SIMPLE fails everything between 40 and 47, where only chance sends it.
    cliff = (lines.reason == Reason.EXPLORE) & (lines.tier == 0) & (lines.score >= 40) & (lines.score < 47)
    broken = replace(log, lines=replace(lines, quality_ppm=np.where(cliff, 0, lines.quality_ppm)))
    projection = Preview(broken.cube, log.config, log.prices, 60).at_boundaries([0, 47, 75])
    assert projection.contradicted
    assert any("chance sent" in note for note in projection.as_json()["notes"])


def test_without_exploration_there_is_nothing_to_check() -> None:
    log = simulate(6, 3000, plain=True, explore=0.0)
    projection = Preview(log.cube, log.config, log.prices, 20).at_boundaries([0, 45, 75])
    assert projection.cross_check is None
    assert not projection.contradicted
