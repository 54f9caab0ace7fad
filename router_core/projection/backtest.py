"""Back-test: logs drawn from recorded outcomes, previews made of them, and how often the known truth lay inside.

One resample draws 1,420 to 2,000 requests without replacement, routes them by a score fitted on prompts that none of
them is among, under random boundaries, explores and labels a share, and previews moves of 5 to 40 % of the traffic to
cheaper and to stronger tiers. The truth is the change on the log's own requests: every model's answer to every one of
them is known. ``coverage_population`` is against the change over all prompts that could have been drawn instead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt

from router_core.config import RoutingConfig, build_config
from router_core.decision import Reason
from router_core.errors import InputError
from router_core.prices import PriceBook
from router_core.projection.cube import Cube
from router_core.projection.estimate import Preview
from router_core.projection.outcomes import Outcomes
from router_core.projection.rivals import Answer, Rivals, replay
from router_core.projection.simulated import Lines, evidence_of
from router_core.projection.target import SCORES, Target

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

SMALLEST, LARGEST = 1_420, 2_000
SHARES = (0.05, 0.10, 0.20, 0.30, 0.40)
FEWEST = 500  # scored prompts
_DAY = date(2026, 1, 1)
_ALPHA = 0.05
_REPLICATES = 200


@dataclass(frozen=True)
class Protocol:
    """How logs are drawn: the share explored, the share labelled, and whether categories are product features."""

    explore: float = 0.0
    label_share: float = 1.0
    by_category: bool = False
    seed: int = 0


@dataclass(frozen=True)
class Scored:
    """Recorded outcomes with a score for each, given by a scorer fitted on other prompts, and what it is worth."""

    outcomes: Outcomes
    score: Ints
    skill: str


@dataclass(frozen=True)
class Trial:
    """One preview beside its truth; ``answers`` maps (measure, method) to what it said, None where it said nothing."""

    target: str
    direction: str
    colour: str
    truth: dict[str, float]
    population: dict[str, float]
    answers: dict[tuple[str, str], tuple[float | None, float, float] | None]


def score_outcomes(outcomes: Outcomes, seed: int, progress: Callable[[int, int], None] | None = None) -> Scored:
    """Fit a scorer on a random half of the prompts and score the other half. Raises ``InputError`` where too few."""
    from router_core.complexity.fit import fit

    fitted = fit(outcomes.graded, train_share=0.5, seed=seed, progress=progress)
    held_out = outcomes.take(fitted.held_out)
    if len(held_out) < FEWEST:
        raise InputError(
            f"{len(held_out):,} prompts are left to draw logs from; a back-test needs at least {FEWEST}",
            source=outcomes.source,
        )
    score = np.array([fitted.scorer.score(prompt) for prompt in held_out.prompts], dtype=np.int64)
    return Scored(held_out, score, fitted.sentence)


def run(scored: Scored, protocol: Protocol, resamples: Sequence[int]) -> list[Trial]:
    """Preview every target of every resample; the same numbers give the same trials."""
    return [trial for number in resamples for trial in _resample(scored, protocol, number)]


def _resample(scored: Scored, protocol: Protocol, number: int) -> Iterator[Trial]:
    random = np.random.default_rng([protocol.seed, number, round(protocol.explore * 1e6)])
    outcomes, tiers = scored.outcomes, len(scored.outcomes.models)
    most = min(LARGEST, int(0.6 * len(outcomes)))
    size = int(random.integers(min(SMALLEST, most), most + 1))
    drawn = np.sort(random.choice(len(outcomes), size, replace=False))
    marks = np.sort(random.choice(np.arange(20, 81), tiers - 1, replace=False)).astype(np.int64)
    log = _Log.draw(scored, protocol, drawn, marks, random)
    preview = Preview(log.cube, log.config, log.prices, _REPLICATES, seed=number)
    rivals = Rivals(log.cube, preview.live, _REPLICATES, seed=number)
    for direction, share, moved_marks in _targets(marks, tiers):
        starts = np.broadcast_to(moved_marks, (len(log.cube.features), tiers - 1))
        target = Target(starts, preview.live.exploration)
        goes, stays = _tier(log.score, moved_marks), _tier(log.score, marks)
        moved = goes != stays
        if not 0.02 < moved.mean() < 0.6:
            continue  # ties in the score can move far more or less than was meant
        policy = moved & ~log.explored
        new = np.where(policy, goes, np.where(log.explored & moved & (log.tier == goes), stays, log.tier))
        truth = _difference(outcomes, drawn, log.tier, new, log.cube.total_cost)
        population = _population(scored, protocol.explore, marks, moved_marks)
        projection = preview.project(target)
        quality, saving = projection.quality, projection.saving
        price = np.array([[_rate(p.input_usd_per_mtok), _rate(p.output_usd_per_mtok)] for p in outcomes.prices])
        answers: dict[tuple[str, str], tuple[float | None, float, float] | None] = {
            ("quality", "ours"): None if quality.low is None else (quality.change, quality.low, _some(quality.high)),
            ("quality", "models"): preview.models_say(target),
            ("quality", "envelope"): _plain(rivals.envelope(target)),
            ("quality", "naive"): _plain(rivals.naive_quality(target)),
            ("cost", "ours"): None if saving.low is None else (saving.value, saving.low, _some(saving.high)),
            ("cost", "naive"): _plain(rivals.naive_saving(target, price)),
        }
        rows = np.flatnonzero(policy)
        if len(rows) > 1:
            both = drawn[rows]
            gained = outcomes.quality[both, goes[rows]] - outcomes.quality[both, log.tier[rows]]
            saved = (outcomes.cost[both, log.tier[rows]] - outcomes.cost[both, goes[rows]]) / log.cube.total_cost
            answers["quality", "replay"] = _plain(replay(gained, len(rows) / size, random))
            answers["cost", "replay"] = _plain(replay(saved, float(len(rows)), random))
        colour = projection.support.colour
        yield Trial(f"{share:.0%}", direction, colour, truth, population, answers)


@dataclass(frozen=True)
class _Log:
    """A drawn log: per request its score, the tier it was sent to and whether by chance; and the cube made of it."""

    score: Ints
    tier: Ints
    explored: Bools
    cube: Cube
    config: RoutingConfig
    prices: PriceBook

    @classmethod
    def draw(cls, scored: Scored, protocol: Protocol, drawn: Ints, marks: Ints, random: np.random.Generator) -> _Log:
        outcomes, tiers, size = scored.outcomes, len(scored.outcomes.models), len(drawn)
        score = scored.score[drawn]
        chosen = _tier(score, marks)
        explored = random.random(size) < protocol.explore
        tier = np.where(explored, (chosen + random.integers(1, tiers, size)) % tiers, chosen)
        labelled = random.random(size) < protocol.label_share
        groups = [outcomes.groups[row] for row in drawn.tolist()] if protocol.by_category else [""] * size
        features = tuple(sorted(set(groups)))
        zeros = np.zeros(size, dtype=np.int64)
        propensity = np.where(explored, protocol.explore / (tiers - 1), 1 - protocol.explore)
        cost = outcomes.cost[drawn, tier]
        lines = Lines(
            scorer=zeros,
            feature=np.array([features.index(group) for group in groups], dtype=np.int64),
            score=score,
            tier=tier,
            strategy=zeros,
            reason=np.where(explored, int(Reason.EXPLORE), int(Reason.POLICY)),
            kind=zeros,
            model=tier,
            price_id=tier + 1,
            own=zeros + 1,
            status=zeros,
            quality_ppm=np.where(labelled, np.rint(outcomes.quality[drawn, tier] * 1e6), -1).astype(np.int64),
            propensity_ppm=np.rint(propensity * 1e6).astype(np.int64),
            cost_nusd=cost,
            input_tokens=outcomes.input_tokens[drawn, tier],
            output_tokens=outcomes.output_tokens[drawn, tier],
            cache_read_input_tokens=zeros,
            cache_write_input_tokens=zeros,
            list_cost_nusd=cost,
        )
        evidence = evidence_of(
            lines,
            scorers=("back-test",),
            features=features,
            tiers=tuple(f"TIER_{place}" for place in range(tiers)),
            models=outcomes.models,
            since=_DAY,
            until=_DAY,
        )
        config = _config(outcomes.models, marks, protocol.explore)
        prices = PriceBook(outcomes.prices, resolve=lambda provider, model: None)
        return cls(score, tier, explored, Cube.from_evidence(evidence, config, prices), config, prices)


def _config(models: Sequence[str], marks: Ints, explore: float) -> RoutingConfig:
    return build_config(
        {
            "tiers": [
                {"name": f"TIER_{place}", "models": [model], "score_min": start}
                for place, (model, start) in enumerate(zip(models, [0, *marks.tolist()], strict=True))
            ],
            "models": {model: {"provider": "recorded"} for model in models},
            "providers": {"recorded": {"base_url": "recorded:"}},
            "exploration": {"rate": explore},
        }
    )


def _targets(marks: Ints, tiers: int) -> Iterator[tuple[str, float, Ints]]:
    """Yield boundaries that move about so much of the traffic, a part of it over each boundary."""
    for direction, sign in (("cheaper", 1), ("stronger", -1)):
        for share in SHARES:
            yield direction, share, np.clip(marks + sign * round(100 * share / (tiers - 1)), 0, SCORES)


def _tier(score: Ints, marks: Ints) -> Ints:
    return np.asarray((score[:, None] >= marks).sum(axis=1), dtype=np.int64)


def _difference(outcomes: Outcomes, rows: Ints, old: Ints, new: Ints, cost: int) -> dict[str, float]:
    gained = outcomes.quality[rows, new] - outcomes.quality[rows, old]
    saved = outcomes.cost[rows, old] - outcomes.cost[rows, new]
    return {"quality": float(gained.mean()), "cost": float(saved.sum()) / cost}


def _population(scored: Scored, explore: float, marks: Ints, moved_marks: Ints) -> dict[str, float]:
    """Return the same over all scored prompts, each with the chance of every tier that exploration gives it."""
    outcomes, tiers = scored.outcomes, len(scored.outcomes.models)

    def chances(boundaries: Ints) -> Floats:
        chosen = np.eye(tiers)[_tier(scored.score, boundaries)]
        return chosen * (1 - explore) + (1 - chosen) * explore / (tiers - 1)

    before, after = chances(marks), chances(moved_marks)
    cost = (outcomes.cost * before).sum()
    return {
        "quality": float((outcomes.quality * (after - before)).sum(axis=1).mean()),
        "cost": float((outcomes.cost * (before - after)).sum() / cost),
    }


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
