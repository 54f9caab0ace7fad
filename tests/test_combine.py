"""Prediction-powered totals: unbiased whatever the predictors are worth, and narrower the more they are."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router_core.projection.combine import Predictors, Sample, Total, estimate_total

Floats = npt.NDArray[np.float64]
COUNTS = np.array([300, 500, 200])
DRAWN = np.array([25, 30, 15])


def population(seed: int, *, skewed: bool = False) -> tuple[Floats, Floats]:
    """Return outcomes and one predictor of each of the units, stratum after stratum."""
    random = np.random.default_rng(seed)
    level = np.repeat([0.2, 0.6, 0.9], COUNTS)
    hint = (random.random(len(level)) < level).astype(float)
    if skewed:
        return random.lognormal(level * 3, 1.2), level
    return (random.random(len(level)) < 0.5 * level + 0.4 * hint).astype(float), hint


def drawn(seed: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    random = np.random.default_rng(seed)
    first = np.cumsum(COUNTS) - COUNTS
    chosen = [
        start + random.choice(size, some, replace=False) for start, size, some in zip(first, COUNTS, DRAWN, strict=True)
    ]
    return np.concatenate(chosen), np.repeat(np.arange(3), DRAWN)


def estimated(outcome: Floats, predictor: Floats, seed: int, *, skewed: bool = False, doubt: float = 0.5) -> Total:
    units, stratum = drawn(seed)
    known = Predictors(predictor[units, None], np.array([predictor.sum()]), np.array([0.5]), np.array([doubt]))
    sample = Sample(stratum, COUNTS, np.array([0.16, 0.24, 0.09]))
    return estimate_total(outcome[units], known, sample, skewed=skewed)


def test_the_interval_holds_the_truth_and_the_estimate_is_unbiased() -> None:
    held, errors = [], []
    for seed in range(300):
        outcome, hint = population(seed)
        found = estimated(outcome, hint, seed)
        held.append(found.low <= outcome.sum() <= found.high)
        errors.append(found.value - outcome.sum())
    assert np.mean(held) >= 0.92
    assert abs(np.mean(errors)) < 3 * np.std(errors) / np.sqrt(len(errors))


def test_skewed_amounts_are_held_as_well() -> None:
    held = []
    for seed in range(200):
        outcome, level = population(seed, skewed=True)
        found = estimated(outcome, level, seed, skewed=True)
        held.append(found.low <= outcome.sum() <= found.high)
    assert np.mean(held) >= 0.9


def test_a_good_predictor_narrows_the_interval_and_a_useless_one_neither_helps_nor_biases() -> None:
    widths = {"good": 0.0, "useless": 0.0, "none": 0.0}
    errors = []
    for seed in range(100):
        outcome, hint = population(seed)
        noise = np.random.default_rng(seed + 1).random(len(outcome))
        for name, predictor, doubt in (("good", hint, 0.5), ("useless", noise, 0.5), ("none", 0 * hint, 0.5)):
            found = estimated(outcome, predictor, seed, doubt=doubt)
            widths[name] += found.high - found.low
            errors += [found.value - outcome.sum()] * (name == "useless")
    assert widths["good"] < 0.93 * widths["none"]
    assert widths["useless"] == pytest.approx(widths["none"], rel=0.05)
    assert abs(np.mean(errors)) < 3 * np.std(errors) / 10


def test_a_predictor_that_is_the_outcome_leaves_next_to_no_doubt() -> None:
    outcome, _ = population(3)
    found = estimated(outcome, outcome, 3, doubt=1e6)
    assert found.power[0] == pytest.approx(1)
    assert found.value == pytest.approx(outcome.sum())
    assert found.high - found.low < 0.15 * (
        estimated(outcome, 0 * outcome, 3).high - estimated(outcome, 0 * outcome, 3).low
    )


def test_everything_replayed_leaves_no_doubt_at_all() -> None:
    outcome, hint = population(5)
    stratum = np.repeat(np.arange(3), COUNTS)
    known = Predictors(hint[:, None], np.array([hint.sum()]), np.array([0.0]), np.array([1.0]))
    found = estimate_total(outcome, known, Sample(stratum, COUNTS, np.full(3, 0.2)))
    assert (found.low, found.value, found.high) == pytest.approx((outcome.sum(),) * 3)


def test_a_handful_of_equal_answers_is_not_certainty() -> None:
    stratum = np.repeat(np.arange(3), 3)
    known = Predictors(np.zeros((9, 1)), np.zeros(1), np.zeros(1), np.ones(1))
    found = estimate_total(np.ones(9), known, Sample(stratum, COUNTS, np.full(3, 0.2)))
    assert found.value == 1000
    assert found.high - found.low > 50


def test_doubt_from_elsewhere_widens() -> None:
    outcome, hint = population(1)
    units, stratum = drawn(1)
    known = Predictors(hint[units, None], np.array([hint.sum()]), np.array([0.5]), np.array([0.5]))
    sample = Sample(stratum, COUNTS, np.full(3, 0.2))
    plain, more = (estimate_total(outcome[units], known, sample, added_variance=extra) for extra in (0.0, 1e4))
    assert more.value == plain.value
    assert (more.high - more.low) ** 2 == pytest.approx(
        (plain.high - plain.low) ** 2 + (2 * 1.9977 * 100) ** 2, rel=1e-3
    )


@settings(max_examples=40)
@given(st.integers(0, 10_000), st.floats(0.01, 100), st.floats(-5, 5))
def test_units_of_measure_and_shifts_carry_through(seed: int, unit: float, shift: float) -> None:
    outcome, hint = population(seed % 7)
    plain = estimated(outcome, hint, seed, doubt=1e6)
    units, stratum = drawn(seed)
    known = Predictors(hint[units, None], np.array([hint.sum()]), np.array([0.5]), np.array([1e6]))
    sample = Sample(stratum, COUNTS, np.array([0.16, 0.24, 0.09]) * unit**2)
    moved = estimate_total(unit * (outcome[units] + shift), known, sample)
    assert moved.value == pytest.approx(unit * (plain.value + 1000 * shift), rel=1e-6, abs=1e-6 * unit)
    assert moved.high - moved.low == pytest.approx(unit * (plain.high - plain.low), rel=1e-3)
    back = plain.scaled(-2)
    assert (back.low, back.high) == (-2 * plain.high, -2 * plain.low)


@settings(max_examples=30)
@given(st.integers(0, 10_000))
def test_the_order_of_the_units_changes_nothing(seed: int) -> None:
    outcome, hint = population(2)
    units, stratum = drawn(seed)
    order = np.random.default_rng(seed).permutation(len(units))

    def found(at: npt.NDArray[np.int64]) -> Total:
        known = Predictors(hint[units[at], None], np.array([hint.sum()]), np.array([0.5]), np.array([0.5]))
        return estimate_total(outcome[units[at]], known, Sample(stratum[at], COUNTS, np.full(3, 0.2)))

    first, second = found(np.arange(len(units))), found(order)
    assert (first.low, first.value, first.high) == pytest.approx((second.low, second.value, second.high))
