"""What a trial proved: the change in quality and cost of the whole move, from the graded answers of the replays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from router_core.errors import InputError
from router_core.projection.combine import Predictors, Sample, Total, estimate_total
from router_core.projection.result import Interval, Money, Share
from router_core.projection.trial import Chosen, Trial

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_LEAST = 10  # replays for an interval, unless fewer were asked for
_LEAST_LABELS = 20  # for a logged answer that nobody graded to be taken for an average one
_LEAST_VARIANCE = 0.6  # of that the log expects: where failures are rare, a lucky sample shows too few
_ANY = 1e6  # the doubt about a power that only the sample can tell


@dataclass(frozen=True)
class Outcome:
    """What came of one replay: the quality of the new answer, 0..1, and what it cost in nano-dollars.

    ``quality_logged`` is the quality of the logged answer where it was graded again beside the new one.
    """

    id: str
    quality_target: float
    quality_logged: float | None = None
    cost_nusd: int | None = None


@dataclass(frozen=True)
class Proof:
    """The change of the whole move, as a projection states it; quality and cost are of all requests of the log.

    ``plain_half_width`` is that of the interval in quality that a plain replay of as many requests would have given.
    """

    replays: int
    missing: int
    quality: Interval
    cost: Money
    saving: Share
    plain_half_width: float
    notes: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Return the shape other programs read; money in nano-dollars."""
        return {
            "replays": self.replays,
            "missing": self.missing,
            "quality": _plain(self.quality),
            "cost_nusd": _plain(self.cost),
            "saving_share": _plain(self.saving),
            "plain_half_width": self.plain_half_width,
            "notes": list(self.notes),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Proof:
        """Read what ``as_json`` gave."""
        return cls(
            data["replays"],
            data["missing"],
            Interval(**data["quality"]),
            Money(**data["cost_nusd"]),
            Share(**data["saving_share"]),
            data["plain_half_width"],
            tuple(data["notes"]),
        )


def prove(trial: Trial, outcomes: Sequence[Outcome]) -> Proof:
    """Estimate what the whole move changes, from the outcomes of the replays and all that the log knows.

    Unbiased, since requests were drawn at random within their strata; the logged answers' labels, and what the models
    expect, only make the interval narrower. Raises ``InputError`` where outcomes are too few, given twice, or not
    comparable with the logged answers.
    """
    by_id: dict[str, Outcome] = {}
    for outcome in outcomes:
        if outcome.id in by_id:
            raise InputError(f"the outcome of request {outcome.id} is given twice")
        by_id[outcome.id] = outcome
    pairs = [(one, by_id[one.id]) for one in trial.chosen if one.id in by_id]
    missing = len(trial.chosen) - len(pairs)
    if len(pairs) < min(_LEAST, len(trial.chosen)):
        raise InputError(f"there are outcomes of {len(pairs)} of the {len(trial.chosen)} requests of this trial only")
    notes = [*trial.notes]
    if missing:
        notes.append(f"{missing} of the {len(trial.chosen)} replays have no outcome; the others stand for them.")
    samples = _samples(trial, [one for one, _ in pairs])
    weight = np.array([one.weight for one, _ in pairs])
    values, added = _quality_changes(trial, pairs, weight, samples[0], notes)
    quality = _quality(trial, pairs, weight, values, samples[0], added + trial.others)
    plain = _plain_half_width(weight * values, samples[0]) / trial.decisions
    cost = _cost(trial, pairs, weight, samples[1], notes)
    return Proof(
        len(pairs),
        missing,
        _as_interval(trial, quality),
        _as_money(trial, cost),
        _as_share(trial, cost),
        plain,
        tuple(notes),
    )


def _samples(trial: Trial, answered: Sequence[Chosen]) -> tuple[Sample, Sample]:
    """Return the sample for quality and the one for cost; strata with fewer than two outcomes join their neighbours."""
    stratum = np.array([one.stratum for one in answered], dtype=np.int64)
    drawn = np.bincount(stratum, minlength=len(trial.counts))
    counts = np.array(trial.counts, dtype=np.int64)
    group, gathered, needed = np.zeros(len(counts), dtype=np.int64), 0, np.minimum(counts, 2)
    for place in range(1, len(counts)):
        gathered += int(drawn[place - 1])
        joins = gathered < needed[place - 1] or drawn[place:].sum() < 2
        group[place] = group[place - 1] + (not joins)
        gathered = gathered if joins else 0
    joined = np.bincount(group, counts).astype(np.int64)
    found = []
    for variance in (trial.variance, trial.cost_variance):
        mean = np.bincount(group, counts * np.array(variance)) / np.maximum(joined, 1)
        found.append(Sample(group[stratum], joined, mean))
    return found[0], found[1]


def _quality_changes(
    trial: Trial, pairs: Sequence[tuple[Chosen, Outcome]], weight: Floats, sample: Sample, notes: list[str]
) -> tuple[Floats, float]:
    """Return each replay's change in quality, and the variance that logged answers nobody graded add to the total."""
    logged = np.empty(len(pairs))
    unknown = np.zeros(len(pairs), dtype=np.bool_)
    from_log = 0
    for place, (one, outcome) in enumerate(pairs):
        if outcome.quality_logged is not None:
            logged[place] = outcome.quality_logged
        elif one.quality is not None:
            logged[place] = one.quality
            from_log += 1
        else:
            logged[place] = one.level + trial.labels_mean
            unknown[place] = True
    if from_log and from_log < len(pairs) - int(unknown.sum()):
        notes.append(f"Of {from_log} logged answers the log's own label stands beside newly graded answers of others.")
    new = np.array([outcome.quality_target for _, outcome in pairs])
    if not unknown.any():
        return new - logged, 0.0
    count = int(unknown.sum())
    if trial.labels_count < _LEAST_LABELS:
        raise InputError(
            f"of {count} replayed requests nobody knows how good the logged answer was, and only "
            f"{trial.labels_count} of the moved requests are labelled; give quality_logged for each"
        )
    notes.append(
        f"Of {count} replayed requests the logged answer is not graded; labelled requests like them stand for it. "
        "With quality_logged for each, the interval would be narrower."
    )
    each = sample.counts / np.maximum(sample.drawn, 1)
    standing = float((each[sample.stratum] * weight)[unknown].sum())
    levels = np.array([one.level for one, _ in pairs])[unknown]
    one_answer = float((levels * (1 - levels)).mean())
    return new - logged, abs(standing) * one_answer + standing**2 * one_answer / trial.labels_count


def _quality(
    trial: Trial,
    pairs: Sequence[tuple[Chosen, Outcome]],
    weight: Floats,
    values: Floats,
    sample: Sample,
    added_variance: float,
) -> Total:
    gain = np.array([one.gain for one, _ in pairs])
    label = np.array([0.0 if one.quality is None else one.quality - one.level for one, _ in pairs])
    # The new answer's quality goes with the logged one's about half way, so the change goes against it as far.
    predictors = Predictors(
        np.stack([weight * gain, weight * label], axis=1),
        np.array([trial.gain, trial.labels]),
        np.array([1.0, -0.5]),
        np.array([0.5, 0.5]),
    )
    found = estimate_total(weight * values, predictors, sample, added_variance=added_variance, least=_LEAST_VARIANCE)
    return found.scaled(1 / trial.decisions)


def _cost(
    trial: Trial, pairs: Sequence[tuple[Chosen, Outcome]], weight: Floats, sample: Sample, notes: list[str]
) -> Total | None:
    unpriced = sum(outcome.cost_nusd is None for _, outcome in pairs)
    if unpriced:
        notes.append(f"Of {unpriced} replays neither tokens nor cost are known, so the change in cost is not proved.")
        return None
    if trial.cost_gain is None or trial.costs is None or any(one.cost_nusd is None for one, _ in pairs):
        notes.append("Not every logged call has a price, so the change in cost is not proved.")
        return None
    values = np.array([0.0 if one.cached else _less(outcome.cost_nusd, one.cost_nusd) for one, outcome in pairs])
    gain = np.array([one.cost_gain or 0.0 for one, _ in pairs])
    apart = np.array([_less(one.cost_nusd, one.cost_level) for one, _ in pairs])
    predictors = Predictors(
        np.stack([weight * gain, weight * apart], axis=1),
        np.array([trial.cost_gain, trial.costs]),
        np.array([1.0, 0.0]),
        np.array([0.5, _ANY]),
    )
    new = np.array([0.0 if one.cached else float(outcome.cost_nusd or 0) for one, outcome in pairs])
    return estimate_total(
        weight * values,
        predictors,
        sample,
        added_variance=trial.cost_others,
        skewed=True,
        alike=weight * new,
    )


def _less(one: float | None, other: float | None) -> float:
    return float(one or 0) - float(other or 0)


def _plain_half_width(values: Floats, sample: Sample) -> float:
    """Return what a plain random replay of as many requests would have reached, from what the strata show of all.

    Its variance is never taken to be under what the log expects: a replay that happened to meet no rare failure would
    only have believed that it knew more.
    """
    share = sample.counts / sample.counts.sum()
    drawn = np.maximum(sample.drawn, 1)
    means = np.bincount(sample.stratum, values, len(drawn)) / drawn
    squares = np.bincount(sample.stratum, values**2, len(drawn)) / drawn
    variance = max(float(share @ squares - (share @ means) ** 2), float(share @ sample.expected_variance))
    count, replays = float(sample.counts.sum()), len(values)
    return float(1.96 * (variance * count * (count - replays) / max(replays - 1, 1)) ** 0.5)


def _as_interval(trial: Trial, found: Total) -> Interval:
    logged = trial.logged_quality
    projected = None if logged is None else logged + found.value
    return Interval(logged, projected, found.value, found.low, found.high)


def _as_money(trial: Trial, found: Total | None) -> Money:
    logged = trial.logged_cost_nusd
    if found is None:
        return Money(logged, None, None, None, None)
    return Money(logged, logged + round(found.value), round(found.value), round(found.low), round(found.high))


def _as_share(trial: Trial, found: Total | None) -> Share:
    logged = trial.logged_cost_nusd
    if found is None or not logged:
        return Share(None, None, None)
    return Share(0.0 - found.value / logged, 0.0 - found.high / logged, 0.0 - found.low / logged)


def _plain(value: Any) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__dataclass_fields__}
