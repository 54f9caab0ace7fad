"""Latency histograms: logarithmic bins within 2 % of every value, merged by adding, asked for quantiles."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

_GROWTH = 1.04  # the highest value of a bin over its lowest, at most
_LARGEST_MS = 2**31 - 1


def _lower_edges() -> list[int]:
    edges, edge = [0], 1
    while edge <= _LARGEST_MS:
        edges.append(edge)
        edge = int(edge * _GROWTH) + 1
    return edges


# The lowest whole millisecond of each bin: below 25 ms each value has its own. Numbers are stored; never change them.
_LOWEST: list[int] = _lower_edges()
_EDGES: npt.NDArray[np.int64] = np.array(_LOWEST, dtype=np.int64)
BINS = len(_LOWEST)

_highest = np.append(_EDGES[1:] - 1, _LARGEST_MS)
# The harmonic mean of a bin's ends is as far from one as from the other, relative to them.
_VALUES: npt.NDArray[np.float64] = np.where(
    _EDGES == 0, 0.0, 2.0 * _EDGES * _highest / np.maximum(_EDGES + _highest, 1)
)

# Looking up is quicker than searching, and most calls end within 16 seconds.
_QUICK: list[int] = (np.searchsorted(_EDGES, np.arange(1 << 14), side="right") - 1).tolist()

_BLOB = np.dtype([("bin", "<u2"), ("count", "<u4")])


def latency_bin(ms: int) -> int:
    """Return the number of the bin that holds ``ms`` milliseconds; negative values fall in the first."""
    if 0 <= ms < len(_QUICK):
        return _QUICK[ms]
    return bisect_right(_LOWEST, ms) - 1 if ms > 0 else 0


def latency_bins(ms: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Return the bin numbers of an array of milliseconds."""
    return np.maximum(np.searchsorted(_EDGES, np.asarray(ms), side="right") - 1, 0)


def pack(bins: Sequence[int], counts: Sequence[int]) -> bytes:
    """Return bin numbers and their counts as the compact bytes kept in a cell, lowest bin first."""
    pairs = np.empty(len(bins), dtype=_BLOB)
    pairs["bin"] = bins
    pairs["count"] = counts
    pairs.sort(order="bin")
    return pairs.tobytes()


def merge(blobs: Iterable[bytes]) -> npt.NDArray[np.int64]:
    """Add packed histograms; returns one count a bin, shape (BINS,)."""
    pairs = np.frombuffer(b"".join(blobs), dtype=_BLOB)
    return np.bincount(pairs["bin"], weights=pairs["count"], minlength=BINS).astype(np.int64)


def quantiles(counts: npt.NDArray[np.int64], shares: Sequence[float]) -> list[float | None]:
    """Return the nearest-rank quantiles in milliseconds, each within 2 % of the true one; None without any value."""
    running = np.cumsum(counts)
    total = int(running[-1])
    if total == 0:
        return [None for _ in shares]
    ranks = np.maximum(np.ceil(np.asarray(shares) * total), 1)
    return [float(value) for value in _VALUES[np.searchsorted(running, ranks, side="left")]]


def quantile_of_each(counts: npt.NDArray[np.int64], share: float) -> npt.NDArray[np.float64]:
    """Return one nearest-rank quantile of many histograms, (R, bins) counts, in milliseconds, (R,); 0 without any."""
    running = np.cumsum(counts, axis=1)
    ranks = np.maximum(np.ceil(share * running[:, -1]), 1)
    places = np.minimum((running < ranks[:, None]).sum(axis=1), counts.shape[1] - 1)
    found: npt.NDArray[np.float64] = np.where(running[:, -1] > 0, _VALUES[places], 0.0)
    return found
