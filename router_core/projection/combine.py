"""Prediction-powered estimation: what a stratified sample and predictors known of all units say of their total."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_PRIOR_WEIGHT = 1.0  # observations' worth with which the expected variance joins a stratum's own
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

    ``expected_variance`` (H,) is that of one unit within its stratum. Its proportions join what the sample shows, so
    that a handful of equal answers in one stratum is not taken for certainty.
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
    values: Floats, predictors: Predictors, sample: Sample, *, added_variance: float = 0.0, skewed: bool = False
) -> Total:
    """Estimate the total of a quantity that is known of the sampled units only, ``values`` (n,).

    The estimate is the predictors' known total, times the power given to each, plus the sample's mean departure from
    it: unbiased whatever the predictors are worth. Power is tuned to make the variance least, as in PPI++
    (Angelopoulos, Duchi, Zrnic 2023); over strata that is the survey statistician's regression estimator.
    ``added_variance`` is doubt from elsewhere. Of ``skewed`` values, such as costs, the interval comes from a
    studentised bootstrap instead of Student's t.
    """
    from scipy.special import stdtrit

    power, used = _tuned(values, predictors, sample)
    rest = values - predictors.values @ power
    spare = float(np.maximum(sample.drawn - 1, 0).sum())
    freedom = max(spare - used, 1.0)
    total, one = _summed(rest[None], sample, spare / freedom)
    value = float(predictors.totals @ power + total[0])
    error = (float(one[0] @ sample.lever) + added_variance) ** 0.5
    least, most = -float(stdtrit(freedom, 0.975)), float(stdtrit(freedom, 0.975))
    if skewed and error:
        least, most = _studentised(rest, sample, spare / freedom)
    return Total(value, value - most * error, value - least * error, tuple(power.tolist()))


def _tuned(values: Floats, predictors: Predictors, sample: Sample) -> tuple[Floats, float]:
    """Return the power of each predictor, and how many degrees of freedom the sample spent on finding it."""
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
    return power, float(np.trace(np.linalg.solve(shown + belief, shown)))


def _centred(values: Floats, sample: Sample) -> Floats:
    """Return how far each unit lies from its stratum's mean, column by column."""
    sums = np.zeros((len(sample.counts), values.shape[1]))
    np.add.at(sums, sample.stratum, values)
    centred: Floats = values - (sums / np.maximum(sample.drawn, 1)[:, None])[sample.stratum]
    return centred


def _summed(rest: Floats, sample: Sample, widen: float) -> tuple[Floats, Floats]:
    """Return the total and one unit's variance by stratum, (B,) and (B, H), of every sample, rows of ``rest`` (B, n).

    ``widen`` makes up for the degrees of freedom already spent.
    """
    drawn, expected = sample.drawn, np.maximum(sample.expected_variance, 1e-300)
    member = (sample.stratum[:, None] == np.arange(len(drawn))).astype(float)
    means = rest @ member / np.maximum(drawn, 1)
    squares = widen * np.maximum(rest**2 @ member - drawn * means**2, 0)
    spare = np.maximum(drawn - 1, 0)
    scale = ((squares / expected).sum(axis=1, keepdims=True) + 1) / (spare.sum() + 1)
    one = (squares + _PRIOR_WEIGHT * scale * expected) / (spare + _PRIOR_WEIGHT)
    total: Floats = means @ sample.counts
    return total, one


def _studentised(rest: Floats, sample: Sample, widen: float) -> tuple[float, float]:
    """Return the quantiles at 2.5 and 97.5 % of the departure from the mean in standard errors, by resampling."""
    random = np.random.default_rng(len(rest))
    order = np.argsort(sample.stratum, kind="stable")
    sorted_ = Sample(sample.stratum[order], sample.counts, sample.expected_variance)
    drawn = sample.drawn
    size, first = drawn[sorted_.stratum], (np.cumsum(drawn) - drawn)[sorted_.stratum]
    picked = order[(random.random((_RESAMPLES, len(rest))) * size).astype(np.int64) + first]
    centre, _ = _summed(rest[None], sample, widen)
    totals, one = _summed(rest[picked], sorted_, widen)
    # Resamples are drawn with replacement, so each stratum's own mean varies by (n - 1) / n of what it would.
    lever = sample.counts.astype(float) ** 2 * np.maximum(drawn - 1, 1) / np.maximum(drawn, 1) ** 2
    spread = np.sqrt(np.maximum(one @ lever, 1e-300))
    low, high = np.quantile((totals - centre) / spread, (0.025, 0.975))
    return float(low), float(high)
