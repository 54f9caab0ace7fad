"""Logs drawn from recorded outcomes and routed by random boundaries: what any other policy had given them is known."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt

from router_core.config import RoutingConfig, build_config
from router_core.decision import Reason
from router_core.errors import InputError
from router_core.prices import PriceBook
from router_core.projection.cube import Cube
from router_core.projection.outcomes import Outcomes
from router_core.projection.simulated import Lines, evidence_of
from router_core.projection.target import SCORES

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

SMALLEST, LARGEST = 1_420, 2_000
SHARES = (0.05, 0.10, 0.20, 0.30, 0.40)
FEWEST = 500  # scored prompts
_DAY = date(2026, 1, 1)


@dataclass(frozen=True)
class Protocol:
    """How logs are drawn: the share explored, the share labelled, and whether categories are product features.

    ``replays`` is how many requests of each move are replayed to prove it; 0 previews it instead.
    """

    explore: float = 0.0
    label_share: float = 1.0
    by_category: bool = False
    seed: int = 0
    replays: int = 0


@dataclass(frozen=True)
class Scored:
    """Recorded outcomes with a score for each, given by a scorer fitted on other prompts, and what it is worth."""

    outcomes: Outcomes
    score: Ints
    skill: str


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


@dataclass(frozen=True)
class Move:
    """Boundaries that move about ``share`` of a drawn log to one side, and what that truly changes.

    ``rows`` are the places, within the log, of requests that the boundaries had routed and that go to ``goes`` now;
    ``others`` is how many explored ones change too, since chance had sent them where the boundaries now do.
    ``truth`` holds the change on the log's own requests: in mean quality, and in cost as a share of the log's that is
    saved; ``population`` the same over all prompts that could have been drawn.
    """

    direction: str
    share: float
    marks: Ints
    rows: Ints
    goes: Ints
    others: int
    truth: dict[str, float]
    population: dict[str, float]


@dataclass(frozen=True)
class DrawnLog:
    """A drawn log: per request the prompt it is (``rows``), its score, the tier it was sent to, whether that was by
    chance, and whether it is labelled; and the cube made of it. ``marks`` are its boundaries, ``random`` goes on."""

    scored: Scored
    explore: float
    random: np.random.Generator
    rows: Ints
    marks: Ints
    score: Ints
    tier: Ints
    explored: Bools
    labelled: Bools
    cube: Cube
    config: RoutingConfig
    prices: PriceBook

    @classmethod
    def of(cls, scored: Scored, protocol: Protocol, number: int) -> DrawnLog:
        """Draw the log of that number; the same number gives the same log."""
        random = np.random.default_rng([protocol.seed, number, round(protocol.explore * 1e6)])
        outcomes, tiers = scored.outcomes, len(scored.outcomes.models)
        most = min(LARGEST, int(0.6 * len(outcomes)))
        size = int(random.integers(min(SMALLEST, most), most + 1))
        rows = np.sort(random.choice(len(outcomes), size, replace=False))
        marks = np.sort(random.choice(np.arange(20, 81), tiers - 1, replace=False)).astype(np.int64)
        return cls._routed(scored, protocol, rows, marks, random)

    @classmethod
    def _routed(
        cls, scored: Scored, protocol: Protocol, drawn: Ints, marks: Ints, random: np.random.Generator
    ) -> DrawnLog:
        outcomes, tiers, size = scored.outcomes, len(scored.outcomes.models), len(drawn)
        score = scored.score[drawn]
        chosen = tier_at(score, marks)
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
        cube = Cube.from_evidence(evidence, config, prices)
        return cls(
            scored, protocol.explore, random, drawn, marks, score, tier, explored, labelled, cube, config, prices
        )

    def moves(self) -> Iterator[Move]:
        """Yield moves of a part of the traffic over each boundary, to cheaper tiers and then to stronger ones."""
        tiers, stays = len(self.scored.outcomes.models), tier_at(self.score, self.marks)
        for direction, sign in (("cheaper", 1), ("stronger", -1)):
            for share in SHARES:
                marks = np.clip(self.marks + sign * round(100 * share / (tiers - 1)), 0, SCORES)
                goes = tier_at(self.score, marks)
                moved = goes != stays
                if not 0.02 < moved.mean() < 0.6:
                    continue  # ties in the score can move far more or less than was meant
                policy = moved & ~self.explored
                swapped = self.explored & moved & (self.tier == goes)
                new = np.where(policy, goes, np.where(swapped, stays, self.tier))
                rows = np.flatnonzero(policy)
                truth, population = self._change(self.tier, new), self._population(marks)
                yield Move(direction, share, marks, rows, goes[rows], int(swapped.sum()), truth, population)

    def gained(self, move: Move) -> tuple[Floats, Floats]:
        """Return what each of a move's ``rows`` gains in quality, and saves of the log's whole cost."""
        outcomes, rows, was = self.scored.outcomes, self.rows[move.rows], self.tier[move.rows]
        quality = outcomes.quality[rows, move.goes] - outcomes.quality[rows, was]
        return quality, (outcomes.cost[rows, was] - outcomes.cost[rows, move.goes]) / self.cube.total_cost

    def _change(self, old: Ints, new: Ints) -> dict[str, float]:
        outcomes, rows = self.scored.outcomes, self.rows
        gained = outcomes.quality[rows, new] - outcomes.quality[rows, old]
        saved = outcomes.cost[rows, old] - outcomes.cost[rows, new]
        return {"quality": float(gained.mean()), "cost": float(saved.sum()) / self.cube.total_cost}

    def _population(self, marks: Ints) -> dict[str, float]:
        """Return the change over all scored prompts, each with the chance of every tier that exploration gives it."""
        outcomes, tiers = self.scored.outcomes, len(self.scored.outcomes.models)

        def chances(boundaries: Ints) -> Floats:
            chosen = np.eye(tiers)[tier_at(self.scored.score, boundaries)]
            return chosen * (1 - self.explore) + (1 - chosen) * self.explore / (tiers - 1)

        before, after = chances(self.marks), chances(marks)
        cost = (outcomes.cost * before).sum()
        return {
            "quality": float((outcomes.quality * (after - before)).sum(axis=1).mean()),
            "cost": float((outcomes.cost * (before - after)).sum() / cost),
        }


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


def tier_at(score: Ints, marks: Ints) -> Ints:
    """Return the tier of each score, given the score at which each tier but the first begins."""
    return np.asarray((score[:, None] >= marks).sum(axis=1), dtype=np.int64)
