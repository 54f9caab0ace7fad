"""Latency histograms answer quantiles within 2 %, merged in any order."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router_core.ledger.latency import BINS, latency_bin, latency_bins, merge, pack, quantile_of_each, quantiles

SHARES = (0.01, 0.5, 0.9, 0.95, 0.99, 1.0)


def packed(values: npt.NDArray[np.int64]) -> bytes:
    bins, counts = np.unique(latency_bins(values), return_counts=True)
    return pack(bins.tolist(), counts.tolist())


@given(values=st.lists(st.integers(0, 2**31 - 1), min_size=1, max_size=300))
@settings(max_examples=300, deadline=None)
def test_every_quantile_is_within_2_percent_of_the_true_one(values: list[int]) -> None:
    true = np.quantile(values, SHARES, method="inverted_cdf")
    found = quantiles(merge([packed(np.array(values))]), SHARES)
    assert found == pytest.approx(list(true), rel=0.02)


@given(values=st.lists(st.integers(0, 10**7), min_size=1, max_size=60), cut=st.integers(0, 60))
def test_merged_parts_are_the_whole(values: list[int], cut: int) -> None:
    whole = np.array(values)
    parts = [packed(part) for part in (whole[:cut], whole[cut:]) if len(part)]
    assert (merge(parts) == merge([packed(whole)])).all()
    assert (merge(reversed(parts)) == merge(parts)).all()
    assert merge(parts).sum() == len(values)


@given(ms=st.integers(-5, 2**31 - 1))
def test_one_value_and_an_array_of_values_fall_in_the_same_bins(ms: int) -> None:
    assert latency_bin(ms) == latency_bins([ms])[0]
    assert 0 <= latency_bin(ms) < BINS


def test_bins_rise_with_latency_and_are_exact_below_25_ms() -> None:
    bins = latency_bins(np.arange(100_000))
    assert (np.diff(bins) >= 0).all()
    assert [quantiles(merge([packed(np.array([ms]))]), (0.5,)) for ms in range(25)] == [[float(ms)] for ms in range(25)]


def test_nothing_measured_has_no_quantile() -> None:
    assert quantiles(merge([]), (0.5, 0.95)) == [None, None]


@given(st.lists(st.lists(st.integers(0, 50), min_size=5, max_size=5), min_size=1, max_size=6), st.floats(0, 1))
def test_quantiles_of_many_histograms_are_those_of_each(rows: list[list[int]], share: float) -> None:
    counts = np.array(rows)
    assert quantile_of_each(counts, share).tolist() == [quantiles(row, (share,))[0] or 0.0 for row in counts]
