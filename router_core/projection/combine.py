"""Prediction-powered estimation: what a stratified sample and predictors known of all units say of their total."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_PRIOR_WEIGHT = 1.0  # observations' worth with which the expected variance's proportions join a stratum's own
# Observations' worth with which its size joins; more for skewed values: a log has seen tails that a sample may miss.
_LOG_WEIGHT, _LOG_WEIGHT_SKEWED = 10.0, 40.0
_MOST_MISSED = 10.0
_LEAST_FREE = 0.3  # of a unit's own departure, however much it drew the power towards itself
_RESAMPLES = 999


@dataclass(frozen=True)
class Total:
    """An estimated total; ``low`` and ``high`` are its 95 % interval, ``power`` (p,) what the predictors deserved."""

    value: float
    low: float
    high: float
    power: tuple[float, ...]

    def scaled(self, by: float) -> Total:
        """Return the total in another unit."""
        low, high = sorted((self.low * by, self.high * by))
        return Total(self.value * by, low, high, self.power)


@dataclass(frozen=True)
class Predictors:
    """What is known of all units: ``values`` (n, p) of the sampled ones, ``totals`` (p,) over all.

    ``power`` (p,) is the weight each is expected to deserve, and ``doubt`` (p,) how far it may lie from that: where
    the sample says little, the power stays there.
    """

    values: Floats
    totals: Floats
    power: Floats
    doubt: Floats


@dataclass(frozen=True)
class Sample:
    """Units drawn without replacement: ``stratum`` (n,) of each, among ``counts`` (H,) units of the strata.

    ``expected_variance`` (H,) is that of one unit within its stratum, as a log of many more units knows it. It joins
    what the sample shows, so that a handful of equal answers in one stratum is not taken for certainty, nor a sample
    without the rare unit that is ten times as dear for the whole of them.
    """

    stratum: Ints
    counts: Ints
    expected_variance: Floats

    @property
    def drawn(self) -> Ints:
        """Units drawn from each stratum, (H,)."""
        return np.bincount(self.stratum, minlength=len(self.counts)).astype(np.int64)

    @property
    def lever(self) -> Floats:
        """What one unit's variance adds to that of the estimated total, by stratum, (H,)."""
        drawn, counts = self.drawn, self.counts.astype(float)
        return np.divide(counts * (counts - drawn), drawn, out=np.zeros(len(counts)), where=drawn > 0)


def estimate_total(
    values: Floats,
    predictors: Predictors,
    sample: Sample,
    *,
    added_variance: float = 0.0,
    skewed: bool = False,
    alike: Floats | None = None,
    least: float = 0.0,
) -> Total:
    """Estimate the total of a quantity that is known of the sampled units only, ``values`` (n,).

    The estimate is the predictors' known total, times the power given to each, plus the sample's mean departure from
    it: unbiased whatever the predictors are worth. Power is tuned to make the variance least, as in PPI++
    (Angelopoulos, Duchi, Zrnic 2023); over strata that is the survey statistician's regression estimator.
    ``added_variance`` is doubt from elsewhere. Of ``skewed`` values, such as costs, the interval comes from a
    studentised bootstrap instead of Student's t. ``alike`` (n,) is what the sample's ``expected_variance`` is about,
    where that is not ``values``; the variance found is never taken to be under the share ``least`` of it.
    """
    from scipy.special import stdtrit

    power, leverage = _tuned(values, predictors, sample)
    rest = values - predictors.values @ power
    spare = float(np.maximum(sample.drawn - 1, 0).sum())
    freedom = max(spare - float(leverage.sum()), 1.0)
    total, _ = _summed(rest[None], sample)
    value = float(predictors.totals @ power + total[0])
    # A unit that drew the power towards itself lies closer than others will: HC3 of the regression literature.
    apart = rest + _centred(rest[:, None], sample)[:, 0] * (1 / np.maximum(1 - leverage, _LEAST_FREE) - 1)
    _, one = _summed(apart[None], sample)
    # Widened after the bootstrap has found how such a sample departs, or its quantiles would take it back again.
    known = _LOG_WEIGHT_SKEWED if skewed else _LOG_WEIGHT
    missed = (spare + known * _missed(values if alike is None else alike, sample)) / (spare + known)
    variance = max(missed * float(one[0] @ sample.lever), least * float(sample.expected_variance @ sample.lever))
    error = (variance + added_variance) ** 0.5
    least_t, most = -float(stdtrit(freedom, 0.975)), float(stdtrit(freedom, 0.975))
    if skewed and error:
        least_t, most = _studentised(apart, sample)
    return Total(value, value - most * error, value - least_t * error, tuple(power.tolist()))


def _tuned(values: Floats, predictors: Predictors, sample: Sample) -> tuple[Floats, Floats]:
    """Return the power of each predictor, and each unit's leverage on it, (n,); these sum to the freedom it took."""
    drawn, lever = sample.drawn, sample.lever
    spare = np.maximum(drawn - 1, 0)
    # In units of the variance expected, so that what the sample shows can be weighed against what was expected.
    unit = float(spare.sum()) / max(float(lever @ sample.expected_variance), 1e-300)
    weight = (lever / np.maximum(spare, 1))[sample.stratum] * unit
    centred = _centred(predictors.values, sample)
    shown = centred.T @ (weight[:, None] * centred)
    belief = np.diag(predictors.doubt**-2.0)
    told = centred.T @ (weight * _centred(values[:, None], sample)[:, 0])
    power = np.asarray(np.linalg.solve(shown + belief, told + belief @ predictors.power), dtype=np.float64)
    leverage: Floats = weight * np.einsum("ij,ij->i", centred, np.linalg.solve(shown + belief, centred.T).T)
    return power, leverage


def _missed(values: Floats, sample: Sample) -> float:
    """Return by what factor the variance expected exceeds what the sample shows, from 1 to 10."""
    spare = np.maximum(sample.drawn - 1, 1)
    shown = np.bincount(sample.stratum, _centred(values[:, None], sample)[:, 0] ** 2, len(sample.counts)) / spare
    expected = float(sample.lever @ sample.expected_variance)
    return min(max(expected / max(float(sample.lever @ shown), 1e-300), 1.0), _MOST_MISSED)


def _centred(values: Floats, sample: Sample) -> Floats:
    """Return how far each unit lies from its stratum's mean, column by column."""
    sums = np.zeros((len(sample.counts), values.shape[1]))
    np.add.at(sums, sample.stratum, values)
    centred: Floats = values - (sums / np.maximum(sample.drawn, 1)[:, None])[sample.stratum]
    return centred


def _summed(rest: Floats, sample: Sample) -> tuple[Floats, Floats]:
    """Return the total, (B,), and one unit's variance by stratum, (B, H), of every sample, rows of ``rest`` (B, n)."""
    drawn, expected = sample.drawn, np.maximum(sample.expected_variance, 1e-300)
    member = (sample.stratum[:, None] == np.arange(len(drawn))).astype(float)
    means = rest @ member / np.maximum(drawn, 1)
    squares = np.maximum(rest**2 @ member - drawn * means**2, 0)
    spare = np.maximum(drawn - 1, 0)
    scale = ((squares / expected).sum(axis=1, keepdims=True) + 1) / (spare.sum() + 1)
    one = (squares + _PRIOR_WEIGHT * scale * expected) / (spare + _PRIOR_WEIGHT)
    total: Floats = means @ sample.counts
    return total, one


def _studentised(rest: Floats, sample: Sample) -> tuple[float, float]:
    """Return the quantiles at 2.5 and 97.5 % of the departure from the mean in standard errors, by resampling."""
    random = np.random.default_rng(len(rest))
    order = np.argsort(sample.stratum, kind="stable")
    sorted_ = Sample(sample.stratum[order], sample.counts, sample.expected_variance)
    drawn = sample.drawn
    size, first = drawn[sorted_.stratum], (np.cumsum(drawn) - drawn)[sorted_.stratum]
    picked = order[(random.random((_RESAMPLES, len(rest))) * size).astype(np.int64) + first]
    centre, _ = _summed(rest[None], sample)
    totals, one = _summed(rest[picked], sorted_)
    # Resamples are drawn with replacement, so each stratum's own mean varies by (n - 1) / n of what it would.
    lever = sample.counts.astype(float) ** 2 * np.maximum(drawn - 1, 1) / np.maximum(drawn, 1) ** 2
    spread = np.sqrt(np.maximum(one @ lever, 1e-300))
    low, high = np.quantile((totals - centre) / spread, (0.025, 0.975))
    return float(low), float(high)
