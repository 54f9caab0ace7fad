"""On recorded outcomes, whose truth is known, a replay of 100 with all the log knows beats a plain one of 100."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from router_core.config import RoutingConfig, build_config, set_values
from router_core.prices import Price, PriceBook
from router_core.projection import Cube, Preview
from router_core.projection.moves import Moves
from router_core.projection.proof import Outcome, Proof, prove
from router_core.projection.simulated import Lines, evidence_of
from router_core.projection.trial import Drawn, Plan, draw, open_trial

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

RATES = {
    "gemini-1.5-flash-002": (75, 300),  # nano-dollars a token
    "gemini-1.5-pro-002": (1_250, 5_000),
    "Meta-Llama-3_1-8B-Instruct": (50, 80),
}
REQUESTS = 1_500


@dataclass(frozen=True)
class Recorded:
    """Prompts both models answered: a score each, and by model quality, cost and tokens, (n, 2), cheap one first."""

    score: Ints
    quality: Floats
    cost: Ints
    tokens: Ints
    prices: PriceBook


def read(folder: Path, cheap: str, strong: str) -> Recorded:
    """Score half of the prompts by how much the strong model gains on the other half's prompts of their category."""
    prompts = pd.read_parquet(folder / "mmlu_pro" / "prompts.parquet", columns=["prompt_id", "category"])
    answers = pd.read_parquet(folder / "mmlu_pro" / "responses.parquet")
    both = answers[answers["model"].isin([cheap, strong])].pivot(index="prompt_id", columns="model").dropna()
    both = both.loc[both.index.isin(prompts["prompt_id"])]
    category = prompts.set_index("prompt_id")["category"].loc[both.index].to_numpy()
    quality = both["quality"][[cheap, strong]].to_numpy(float)
    tokens = np.stack([both[side][[cheap, strong]].to_numpy(np.int64) for side in ("input_tokens", "output_tokens")], 2)
    random = np.random.default_rng(1)
    half = random.random(len(both)) < 0.5
    gain = quality[:, 1] - quality[:, 0]
    by_category = pd.Series(gain[half]).groupby(category[half]).mean()
    merit = by_category.loc[category[~half]].to_numpy() + 0.05 * random.standard_normal(int((~half).sum()))
    score = (101 * merit.argsort().argsort() / len(merit)).astype(np.int64)
    rates = np.array([RATES[cheap], RATES[strong]])
    rows = [
        Price(
            place + 1,
            "p",
            name,
            "manual",
            date(2020, 1, 1),
            input_usd_per_mtok=Decimal(int(rate[0])) / 1000,
            output_usd_per_mtok=Decimal(int(rate[1])) / 1000,
        )
        for place, (name, rate) in enumerate(zip("ab", rates, strict=True))
    ]
    cost = (tokens * rates[None]).sum(axis=2)
    kept = ~half
    return Recorded(
        score, quality[kept], cost[kept], tokens[kept], PriceBook(rows, resolve=lambda provider, model: None)
    )


def configured(boundary: int) -> RoutingConfig:
    return build_config(
        {
            "tiers": [{"name": "LOW", "models": ["a"]}, {"name": "HIGH", "models": ["b"], "score_min": boundary}],
            "models": {"a": {"provider": "p"}, "b": {"provider": "p"}},
            "providers": {"p": {"base_url": "http://127.0.0.1:9/v1"}},
        }
    )


@dataclass(frozen=True)
class Tried:
    """One resample: the truth, what a plain replay of 100 said (mean, half width), and what ours said."""

    truth: float
    plain: tuple[float, float]
    proof: Proof
    true_cost: float


def tried(known: Recorded, live: int, target: int, seed: int) -> Tried:
    random = np.random.default_rng(seed)
    at = random.choice(len(known.score), REQUESTS, replace=False)
    score, quality, cost, tokens = known.score[at], known.quality[at], known.cost[at], known.tokens[at]
    every, none = np.arange(REQUESTS), np.zeros(REQUESTS, dtype=np.int64)
    old, new = (score >= live).astype(np.int64), (score >= target).astype(np.int64)
    lines = Lines(
        **dict.fromkeys(("scorer", "feature", "strategy", "reason", "kind", "status"), none),
        **dict.fromkeys(("cache_read_input_tokens", "cache_write_input_tokens"), none),
        score=score,
        tier=old,
        model=old,
        price_id=old + 1,
        own=none + 1,
        quality_ppm=np.rint(quality[every, old] * 1e6).astype(np.int64),
        propensity_ppm=none + 1_000_000,
        cost_nusd=cost[every, old],
        list_cost_nusd=cost[every, old],
        input_tokens=tokens[every, old, 0],
        output_tokens=tokens[every, old, 1],
    )
    names = {"scorers": ("s",), "features": ("all",), "tiers": ("LOW", "HIGH"), "models": ("a", "b")}
    evidence = evidence_of(lines, **names, since=date(2026, 1, 1), until=date(2026, 1, 2))
    config = configured(live)
    preview = Preview(Cube.from_evidence(evidence, config, known.prices), config, known.prices, replicates=2)
    plan = Plan.of(Moves.of(preview, set_values(config, [f"boundaries.HIGH={target}"])), 100)
    moved = np.flatnonzero(old != new)
    gain, extra = quality[every, new] - quality[every, old], cost[every, new] - cost[every, old]
    some = random.choice(moved, 100, replace=False)
    share = len(moved) / REQUESTS
    reach = 1.984 * gain[some].std(ddof=1) / 10 * np.sqrt(1 - 100 / len(moved)) * share
    places, cells = draw(plan, none[moved], score[moved], seed=seed)
    chosen = moved[places]
    ids = [int(place + 1).to_bytes(16, "big") for place in chosen]
    drawn = Drawn(cells, ids, quality[chosen, old[chosen]], cost[chosen, old[chosen]].tolist(), [False] * 100)
    trial = open_trial(plan, drawn, logged_quality=None, logged_cost_nusd=int(cost[every, old].sum()))
    outcomes = [
        Outcome(key.hex(), float(quality[place, new[place]]), None, int(cost[place, new[place]]))
        for key, place in zip(ids, chosen, strict=True)
    ]
    return Tried(gain.sum() / REQUESTS, (gain[some].mean() * share, reach), prove(trial, outcomes), float(extra.sum()))


@pytest.mark.parametrize(
    ("cheap", "live", "target", "ratio"),
    [
        ("gemini-1.5-flash-002", 70, 45, 0.90),
        ("Meta-Llama-3_1-8B-Instruct", 50, 75, 0.90),
    ],
)
def test_the_truth_is_held_in_a_narrower_interval(
    recorded: Path, cheap: str, live: int, target: int, ratio: float
) -> None:
    known = read(recorded, cheap, "gemini-1.5-pro-002")
    runs = [tried(known, live, target, seed) for seed in range(40)]
    widths, plain, held, errors, cost_held = [], [], [], [], []
    for run in runs:
        quality, cost = run.proof.quality, run.proof.cost
        assert quality.low is not None
        assert quality.high is not None
        assert quality.change is not None
        assert cost.low is not None
        assert cost.high is not None
        widths.append(quality.high - quality.low)
        plain.append(2 * run.plain[1])
        held.append(quality.low <= run.truth <= quality.high)
        cost_held.append(cost.low <= run.true_cost <= cost.high)
        errors.append(quality.change - run.truth)
    # True 95 % intervals hold 38 of 40, and fewer than 36 once in twenty times.
    assert sum(held) >= 36
    assert sum(cost_held) >= 36
    assert np.mean(widths) <= ratio * np.mean(plain)
    assert abs(np.mean(errors)) <= 3 * np.std(errors) / np.sqrt(len(errors))
