"""Back-test: logs drawn from recorded outcomes, previews made of them, and how often the known truth lay inside.

One resample draws 1,420 to 2,000 requests without replacement, routes them by a score fitted on prompts that none of
them is among, under random boundaries, explores and labels a share, and previews moves of 5 to 40 % of the traffic to
cheaper and to stronger tiers. The truth is the change on the log's own requests: every model's answer to every one of
them is known. ``coverage_population`` is against the change over all prompts that could have been drawn instead.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from router_core.projection.drawn import SHARES, DrawnLog, Move, Protocol, Scored
from router_core.projection.estimate import Preview
from router_core.projection.rivals import Answer, Rivals
from router_core.projection.simulated_trial import proved, replays
from router_core.projection.target import Target

_ALPHA = 0.05
_REPLICATES = 200
_WORTH = 1.5  # moved requests a replay; of fewer, nearly all would be replayed


@dataclass(frozen=True)
class Trial:
    """One preview beside its truth; ``answers`` maps (measure, method) to what it said, None where it said nothing."""

    target: str
    direction: str
    colour: str
    truth: dict[str, float]
    population: dict[str, float]
    answers: dict[tuple[str, str], tuple[float | None, float, float] | None]


def run(scored: Scored, protocol: Protocol, resamples: Sequence[int]) -> list[Trial]:
    """Preview every move of every resample, or prove it by replays where the protocol has any; the same numbers give
    the same trials."""
    each = _replays if protocol.replays else _resample
    return [trial for number in resamples for trial in each(scored, protocol, number)]


def _resample(scored: Scored, protocol: Protocol, number: int) -> Iterator[Trial]:
    log = DrawnLog.of(scored, protocol, number)
    preview = Preview(log.cube, log.config, log.prices, _REPLICATES, seed=number)
    rivals = Rivals(log.cube, preview.live, _REPLICATES, seed=number)
    prices = scored.outcomes.prices
    rates = np.array([[_rate(price.input_usd_per_mtok), _rate(price.output_usd_per_mtok)] for price in prices])
    for move in log.moves():
        starts = np.broadcast_to(move.marks, (len(log.cube.features), len(move.marks)))
        target = Target(starts, preview.live.exploration)
        projection = preview.project(target)
        quality, saving = projection.quality, projection.saving
        answers: dict[tuple[str, str], tuple[float | None, float, float] | None] = {
            ("quality", "ours"): None if quality.low is None else (quality.change, quality.low, _some(quality.high)),
            ("quality", "models"): preview.models_say(target),
            ("quality", "envelope"): _plain(rivals.envelope(target)),
            ("quality", "naive"): _plain(rivals.naive_quality(target)),
            ("cost", "ours"): None if saving.low is None else (saving.value, saving.low, _some(saving.high)),
            ("cost", "naive"): _plain(rivals.naive_saving(target, rates)),
        }
        if len(move.rows) > 1:
            for measure, each in zip(("quality", "cost"), replays(log, move), strict=True):
                answers[measure, "replay"] = each
        yield _trial(move, projection.support.colour, answers)


def _replays(scored: Scored, protocol: Protocol, number: int) -> Iterator[Trial]:
    """Prove every move that is large enough by a replay, with all the log knows and without."""
    log = DrawnLog.of(scored, protocol, number)
    preview = Preview(log.cube, log.config, log.prices, replicates=2, seed=number)
    for move in log.moves():
        if len(move.rows) < _WORTH * protocol.replays:
            continue
        quality, cost = replays(log, move, protocol.replays)
        proof = proved(log, preview, move, protocol.replays, number)
        answers: dict[tuple[str, str], tuple[float | None, float, float] | None] = {
            ("quality", "replay"): quality,
            ("quality", "proof"): (proof.quality.change, _some(proof.quality.low), _some(proof.quality.high)),
            ("cost", "replay"): cost,
            ("cost", "proof"): (proof.saving.value, _some(proof.saving.low), _some(proof.saving.high)),
        }
        yield _trial(move, "all", answers)


def _trial(move: Move, colour: str, answers: dict[tuple[str, str], tuple[float | None, float, float] | None]) -> Trial:
    return Trial(f"{move.share:.0%}", move.direction, colour, move.truth, move.population, answers)


def _rate(dollars: Any) -> float:
    return float(dollars or 0) * 1000


def _some(value: float | None) -> float:
    assert value is not None
    return value


def _plain(answer: Answer) -> tuple[float, float, float]:
    return answer.value, answer.low, answer.high


def summary(trials: Sequence[Trial]) -> list[dict[str, Any]]:
    """Return bias, coverage, width and interval score, in shares (a point is 0.01), by measure, method and direction:
    first over all targets and colours, then by colour, then by target. ``n`` counts previews, ``shown`` those of them
    for which the method gave an interval; ``bias`` is over those for which it gave a point.
    """
    found = []
    cuts: list[tuple[str, str]] = [("all", "all")]
    cuts += [("all", colour) for colour in ("plain", "amber", "red")]
    cuts += [(f"{share:.0%}", "all") for share in SHARES]
    for target, colour in cuts:
        among = [trial for trial in trials if target in ("all", trial.target) and colour in ("all", trial.colour)]
        for direction in ("cheaper", "stronger"):
            here = [trial for trial in among if trial.direction == direction]
            for measure, method in dict.fromkeys(key for trial in here for key in trial.answers):
                found.append(_row(here, target, direction, measure, method, colour))
    return found


def _row(
    trials: Sequence[Trial], target: str, direction: str, measure: str, method: str, colour: str
) -> dict[str, Any]:
    said = [(trial, trial.answers.get((measure, method))) for trial in trials]
    shown = [(trial, answer) for trial, answer in said if answer is not None]
    truth = np.array([trial.truth[measure] for trial, _ in shown])
    population = np.array([trial.population[measure] for trial, _ in shown])
    low, high = np.array([answer[1] for _, answer in shown]), np.array([answer[2] for _, answer in shown])
    errors = [answer[0] - trial.truth[measure] for trial, answer in shown if answer[0] is not None]
    missed = np.maximum(low - truth, 0) + np.maximum(truth - high, 0)

    def mean(values: npt.NDArray[Any]) -> float | None:
        return float(values.mean()) if len(values) else None

    return {
        "target": target,
        "direction": direction,
        "measure": measure,
        "method": method,
        "bias": mean(np.array(errors)),
        "coverage": mean((low <= truth) & (truth <= high)),
        "coverage_population": mean((low <= population) & (population <= high)),
        "width": mean(high - low),
        "interval_score": mean(high - low + 2 / _ALPHA * missed),
        "colour": colour,
        "n": len(trials),
        "shown": len(shown),
    }
