"""The simulated company: what its features ask, how good and how talkative its models are, what it changed and when."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import Literal

import numpy as np
import numpy.typing as npt

from router_core.config import RoutingConfig, build_config, default_config, plain, set_values

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

SCORER = "demo-1"


@dataclass(frozen=True)
class Feature:
    """One product feature of the simulated company.

    ``weight`` is its share of traffic; ``office`` how far it keeps office hours, 0..1; ``difficulty`` the two
    parameters of a beta distribution; tokens are medians with the sigma of their logarithm; ``turns`` the mean length
    of a conversation, 1 where there are none; ``cached`` the share of input a provider has seen before; ``labels``
    how likely each of check, feedback, judge and person labels an answer.
    """

    weight: float
    teams: Mapping[str, float]
    user_tiers: Mapping[str, float]
    office: float
    difficulty: tuple[float, float]
    input: tuple[float, float]
    output: tuple[float, float]
    labels: tuple[float, float, float, float]
    turns: float = 1.0
    cached: float = 0.0
    small_talk: float = 0.0
    classification: float = 0.0
    cache_hits: float = 0.0
    compress_above: int | None = None
    offset: float = 0.0


FEATURES: Mapping[str, Feature] = {
    "support_chat": Feature(
        weight=0.34,
        teams={"support": 0.8, "customer_success": 0.2},
        user_tiers={"free": 0.5, "pro": 0.35, "enterprise": 0.15},
        office=0.35,
        difficulty=(1.3, 2.6),
        input=(4_600, 0.5),
        output=(260, 0.55),
        labels=(0.0, 0.14, 0.07, 0.015),
        turns=1.5,
        cached=0.55,
        small_talk=0.07,
    ),
    "code_assistant": Feature(
        weight=0.2,
        teams={"engineering": 0.75, "data": 0.25},
        user_tiers={"pro": 0.6, "enterprise": 0.4},
        office=0.9,
        difficulty=(1.9, 1.7),
        input=(12_000, 0.7),
        output=(1_000, 0.65),
        labels=(0.22, 0.05, 0.05, 0.01),
        turns=1.45,
        cached=0.6,
        compress_above=36_000,
        offset=-0.01,
    ),
    "contract_review": Feature(
        weight=0.04,
        teams={"legal": 1.0},
        user_tiers={"enterprise": 1.0},
        office=1.0,
        difficulty=(3.0, 1.8),
        input=(32_000, 0.45),
        output=(1_300, 0.4),
        labels=(0.0, 0.0, 0.15, 0.2),
        cached=0.2,
    ),
    "search_summaries": Feature(
        weight=0.2,
        teams={"search": 1.0},
        user_tiers={"free": 0.7, "pro": 0.3},
        office=0.25,
        difficulty=(1.2, 4.0),
        input=(6_800, 0.4),
        output=(210, 0.4),
        labels=(0.0, 0.06, 0.13, 0.01),
        cached=0.25,
        cache_hits=0.18,
    ),
    "email_drafts": Feature(
        weight=0.12,
        teams={"sales": 0.65, "marketing": 0.35},
        user_tiers={"pro": 0.8, "enterprise": 0.2},
        office=0.8,
        difficulty=(1.2, 3.2),
        input=(2_100, 0.5),
        output=(380, 0.45),
        labels=(0.0, 0.22, 0.04, 0.01),
        cached=0.3,
        offset=0.005,
    ),
    "data_extraction": Feature(
        weight=0.1,
        teams={"operations": 0.7, "data": 0.3},
        user_tiers={"enterprise": 1.0},
        office=0.6,
        difficulty=(1.6, 2.4),
        input=(9_000, 0.6),
        output=(520, 0.5),
        labels=(0.45, 0.0, 0.02, 0.02),
        cached=0.35,
        classification=0.12,
    ),
}


@dataclass(frozen=True)
class Talker:
    """One model: tokens it makes of the same text and of the same answer, and how fast it speaks.

    ``reasoning`` is the median of hidden output tokens at middling difficulty; ``writes_cache`` is set where cached
    input is charged for when it is first written.
    """

    input_ratio: float
    verbosity: float
    ttft_ms: float
    tokens_per_s: float
    reasoning: float = 0.0
    writes_cache: bool = False


TALKERS: Mapping[str, Talker] = {
    "gpt-4.1-nano": Talker(1.0, 0.82, 330, 170),
    "gemini-2.5-flash-lite": Talker(1.06, 1.1, 300, 230),
    "gpt-4.1-mini": Talker(1.0, 1.0, 420, 95),
    "gemini-2.5-flash": Talker(1.06, 1.25, 450, 190),
    "gpt-4.1": Talker(1.0, 1.12, 560, 78),
    "claude-sonnet-4-5": Talker(1.13, 1.3, 780, 66, writes_cache=True),
    "gpt-5.2": Talker(1.0, 1.05, 900, 84, reasoning=900),
    "claude-opus-4-5": Talker(1.13, 1.2, 950, 52, reasoning=300, writes_cache=True),
}

# What an answer is worth where nothing is difficult, what is lost where all is, and how suddenly; cheapest tier first.
_TOP = np.array([0.965, 0.972, 0.978, 0.984])
_LOSS = np.array([0.80, 0.52, 0.27, 0.10])
_BEND = np.array([3.0, 3.3, 3.6, 4.0])
_SCORE_NOISE = 0.55  # chosen so that routing by the score has the skill of a well fitted scorer (APGR about .75)
_REFERENCE = 60_000


def adequacy(difficulty: Floats, offset: Floats) -> Floats:
    """Return the probability that each tier's answer is adequate, shape (n, tiers)."""
    lost = _LOSS * difficulty[:, None] ** _BEND
    chances: Floats = np.clip(_TOP - lost + offset[:, None], 0.01, 0.995)
    return chances


def gain(difficulty: Floats) -> Floats:
    """Return how much likelier the strongest tier is to be adequate than the cheapest, shape (n,)."""
    chances = adequacy(difficulty, np.zeros_like(difficulty))
    return np.asarray(chances[:, -1] - chances[:, 0])


@dataclass(frozen=True)
class Scale:
    """How the simulated scorer turns gain into a percentile: by rank, blurred by what a scorer cannot see."""

    gains: Floats
    edges: Floats

    def score(self, difficulty: Floats, noise: Floats) -> Ints:
        """Return scores 0..100 for difficulties, given one standard normal number each."""
        return np.searchsorted(self.edges, self._blurred(difficulty, noise)).astype(np.int64)

    def _blurred(self, difficulty: Floats, noise: Floats) -> Floats:
        rank = (np.searchsorted(self.gains, gain(difficulty)) + 0.5) / (len(self.gains) + 1)
        return np.asarray(np.log(rank / (1 - rank)) * 0.55 + _SCORE_NOISE * noise)


@cache
def scale() -> Scale:
    """Return the scale fitted to the company's usual mix of traffic; always the same."""
    random = np.random.default_rng(20_260)
    names = list(FEATURES)
    weights = np.array([FEATURES[name].weight for name in names])
    which = random.choice(len(names), _REFERENCE, p=weights / weights.sum())
    shapes = np.array([FEATURES[name].difficulty for name in names])[which]
    difficulty = random.beta(shapes[:, 0], shapes[:, 1])
    bare = Scale(np.sort(gain(difficulty)), np.empty(0))
    blurred = bare._blurred(difficulty, random.standard_normal(_REFERENCE))
    return Scale(bare.gains, np.quantile(blurred, np.arange(1, 101) / 101))


@dataclass(frozen=True)
class Event:
    """Something that happened in the window, ``at`` a share of it."""

    at: float
    note: str


PUSHES = (
    Event(-0.02, "product features: teams, a cascade for extraction, answers of search kept for an hour"),
    Event(
        0.68,
        "the easier half of COMPLEX goes to MEDIUM: quality held in the preview; budgets from spend so far",
    ),
)
DISCOUNT = Event(0.55, "volume discount agreed with the provider")
DISCOUNTED = ("openai", "gpt-5.2")
DISCOUNT_FACTOR = Decimal("0.85")
INCIDENT_PROVIDER = "openai"


@cache
def configs() -> tuple[RoutingConfig, RoutingConfig]:
    """Return the two configurations the company pushed, on top of the shipped one."""
    data = plain(default_config())
    features = {
        **data.get("features", {}),
        "search_summaries": {"team": "search", "cache": {"mode": "exact", "ttl_seconds": 3600}},
        "email_drafts": {"team": "sales"},
        "data_extraction": {"team": "operations", "strategy": "cascade"},
    }
    compress = {"enabled": True, "above_tokens": FEATURES["code_assistant"].compress_above}
    first = build_config({**data, "features": features, "compress": compress})
    return first, set_values(first, ["boundaries.COMPLEX=80"])


@dataclass(frozen=True)
class Limit:
    """A budget the company gives itself: ``times`` what its scope would spend in a period at the rate so far."""

    scope: str
    duration: Literal["7d", "month"]
    times: float
    mode: Literal["alert", "downgrade"] = "alert"


LIMITS = (
    Limit("all", "month", 1.45),
    Limit("team:engineering", "month", 0.88),
    Limit("feature:search_summaries", "7d", 1.9, "downgrade"),
)


@dataclass(frozen=True)
class Window:
    """The time simulated, in UTC epoch milliseconds; ``incident_ms`` is when a provider fails, None in a short one."""

    start_ms: int
    end_ms: int
    incident_ms: tuple[int, int] | None = None

    def at(self, share: float) -> int:
        """Return the moment that share of the window has passed."""
        return self.start_ms + round((self.end_ms - self.start_ms) * share)
