"""What one simulated day is asked: requests with difficulty, score, conversation, size and who would judge them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from router_core.decision import QualitySource
from router_core.demo.arrivals import SLOT_MS, Arrivals
from router_core.demo.world import FEATURES, scale

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

NAMES = tuple(FEATURES)
TEAMS = tuple(sorted({team for feature in FEATURES.values() for team in feature.teams}))
USER_TIERS = tuple(sorted({tier for feature in FEATURES.values() for tier in feature.user_tiers}))
GRADERS = (QualitySource.CHECK, QualitySource.FEEDBACK, QualitySource.JUDGE, QualitySource.PERSON)

_SMALL_TALK_SCORE = 5  # what the shipped rule for greetings sets
_GAP_MS = 140_000.0


@dataclass
class Asked:
    """The requests of one day in the order they came; every array has one entry a request.

    ``follows`` is the place of the turn before in a conversation that is still warm, -1 where there is none;
    ``again`` the place of the request whose cached answer is served, -1 where there is none. ``input`` and ``output``
    are tokens as an average model would count them; ``grader`` indexes ``GRADERS``.
    """

    at_ms: Ints
    feature: Ints
    team: Ints
    user_tier: Ints
    conversation: Ints
    follows: Ints
    difficulty: Floats
    offset: Floats
    score: Ints
    by_rule: Bools
    classification: Bools
    again: Ints
    prompt: Ints
    input: Floats
    output: Floats
    known_share: Floats
    grader: Ints
    labelled: Bools

    def __len__(self) -> int:
        return len(self.at_ms)


def ask(arrivals: Arrivals, day: int, warm_ms: int, random: np.random.Generator) -> Asked:
    """Draw the requests of one day (a number of the reporting zone)."""
    rows = np.flatnonzero(arrivals.day == day)
    counts = arrivals.counts[rows]
    feature = np.repeat(np.tile(np.arange(len(NAMES)), len(rows)), counts.ravel())
    slot = np.repeat(np.repeat(arrivals.slots[rows], len(NAMES)), counts.ravel())
    n = len(feature)
    window = arrivals.window
    lowest = np.maximum(slot, window.start_ms)
    highest = np.minimum(slot + SLOT_MS, window.end_ms)
    at_ms = lowest + (random.random(n) * np.maximum(highest - lowest, 1)).astype(np.int64)
    until = min(int(arrivals.slots[rows[-1]]) + SLOT_MS, window.end_ms) if len(rows) else 0

    order = np.argsort(at_ms, kind="stable")
    at_ms, feature = at_ms[order], feature[order]
    conversation, turn, at_ms, gap = _converse(at_ms, feature, until, random)
    order = np.argsort(at_ms, kind="stable")
    at_ms, feature, conversation, turn, gap = (values[order] for values in (at_ms, feature, conversation, turn, gap))
    return _describe(at_ms, feature, conversation, turn, gap, warm_ms, random)


def _converse(at_ms: Ints, feature: Ints, until: int, random: np.random.Generator) -> tuple[Ints, Ints, Ints, Ints]:
    """Make some requests later turns; returns conversation, turn, time, and time since the turn before."""
    n = len(at_ms)
    turns = np.array([FEATURES[name].turns for name in NAMES])[feature]
    conversation = np.arange(n)
    for number, name in enumerate(NAMES):
        mine = np.flatnonzero(feature == number)
        if FEATURES[name].turns <= 1 or len(mine) == 0:
            continue
        opens = random.random(len(mine)) < 1 / FEATURES[name].turns
        opens[0] = True
        opener = np.flatnonzero(opens)
        latest = np.cumsum(opens) - 1
        chosen = np.maximum(latest - random.geometric(0.2, len(mine)) + 1, 0)
        conversation[mine] = np.where(opens, mine, mine[opener[chosen]])
    by_talk = np.lexsort((np.arange(n), conversation))
    talk = conversation[by_talk]
    starts = np.flatnonzero(np.r_[True, talk[1:] != talk[:-1]]) if n else np.empty(0, dtype=np.int64)
    first = np.repeat(starts, np.diff(np.r_[starts, n]))
    turn = np.empty(n, dtype=np.int64)
    turn[by_talk] = np.arange(n) - first
    gap = np.where(turn > 0, 8_000 + random.exponential(_GAP_MS, n), 0.0).astype(np.int64)
    passed = np.cumsum(gap[by_talk])
    later = np.empty(n, dtype=np.int64)
    later[by_talk] = passed - passed[first]
    moved = at_ms[conversation] + later
    late = moved >= until  # the day ends first: these become conversations of their own
    conversation = np.where(late, np.arange(n), conversation)
    turn, gap = np.where(late, 0, turn), np.where(late, 0, gap)
    conversation = np.where(turns > 1, conversation, -1)
    return conversation, turn, np.where(late, at_ms, moved), gap


def _describe(
    at_ms: Ints, feature: Ints, talk: Ints, turn: Ints, gap: Ints, warm_ms: int, random: np.random.Generator
) -> Asked:
    n = len(at_ms)
    worlds = list(FEATURES.values())

    def of(values: list[float]) -> Floats:
        return np.array(values, dtype=float)[feature]

    shape = np.array([world.difficulty for world in worlds])[feature].reshape(n, 2)
    own = random.beta(shape[:, 0], shape[:, 1])
    follows = _before(talk, turn)
    opener = _opener(talk, turn)
    difficulty = np.where(turn > 0, 0.55 * own[opener] + 0.45 * own, own)
    greets = (random.random(n) < of([world.small_talk for world in worlds])) & (turn == 0)
    difficulty = np.where(greets, 0.02 * own, difficulty)
    score = scale().score(difficulty, random.standard_normal(n))
    size = np.array([world.input for world in worlds])[feature].reshape(n, 2)
    long = np.array([world.output for world in worlds])[feature].reshape(n, 2)
    talkative = random.standard_normal((n, 2))
    asked = size[:, 0] * np.exp(size[:, 1] * talkative[:, 0]) * (1 + 0.3 * turn) * np.where(greets, 0.25, 1.0)
    answered = (
        long[:, 0] * np.exp(long[:, 1] * talkative[:, 1]) * (0.75 + 0.9 * difficulty) * np.where(greets, 0.15, 1.0)
    )
    cached = of([world.cached for world in worlds])
    known = np.where(random.random(n) < np.where(turn > 0, 0.85, 0.55), cached * random.uniform(0.7, 1.1, n), 0.0)
    again = _repeats(feature, of([world.cache_hits for world in worlds]), random)
    prompt = random.integers(-(2**62), 2**62, n)
    labels = np.array([world.labels for world in worlds])[feature].reshape(n, len(GRADERS))
    chance = labels.sum(axis=1)
    # Who would judge is drawn for every request, so that what a label would say is known for all of them.
    grader = (random.random(n)[:, None] * chance[:, None] >= np.cumsum(labels, axis=1)).sum(axis=1)
    hashes = random.integers(1, 2**62, n)
    return Asked(
        at_ms=at_ms,
        feature=feature,
        team=_choose([dict(world.teams) for world in worlds], TEAMS, feature, random),
        user_tier=_choose([dict(world.user_tiers) for world in worlds], USER_TIERS, feature, random),
        conversation=np.where(talk >= 0, hashes[opener], 0),
        follows=np.where((turn > 0) & (gap <= warm_ms), follows, -1),
        difficulty=difficulty,
        offset=of([world.offset for world in worlds]),
        score=np.where(greets, _SMALL_TALK_SCORE, score),
        by_rule=greets,
        classification=random.random(n) < of([world.classification for world in worlds]),
        again=again,
        prompt=np.where(again >= 0, prompt[again], prompt),
        input=np.clip(asked, 30, 150_000),
        output=np.clip(answered, 5, 12_000),
        known_share=np.minimum(known, 0.95),
        grader=np.minimum(grader, len(GRADERS) - 1),
        labelled=random.random(n) < chance,
    )


def _before(talk: Ints, turn: Ints) -> Ints:
    """Return the place of the turn before, -1 for first turns."""
    before = np.full(len(talk), -1, dtype=np.int64)
    order = np.lexsort((turn, talk))
    later = order[1:]
    before[later] = np.where(turn[later] > 0, order[:-1], -1)
    return before


def _opener(talk: Ints, turn: Ints) -> Ints:
    """Return the place of the first turn of each conversation; each request's own place where there is none."""
    order = np.lexsort((turn, talk))
    first = np.maximum.accumulate(np.where(turn[order] == 0, np.arange(len(order)), 0))
    opener = np.empty(len(talk), dtype=np.int64)
    opener[order] = order[first]
    return opener


def _repeats(feature: Ints, share: Floats, random: np.random.Generator) -> Ints:
    """Return the place of an earlier request of the same feature that is asked again, -1 where it is not."""
    n = len(feature)
    again = np.full(n, -1, dtype=np.int64)
    draw, which = random.random(n), random.random(n)
    for number in range(len(NAMES)):
        mine = np.flatnonzero(feature == number)
        if len(mine) == 0 or share[mine[0]] == 0:
            continue
        hit = draw[mine] < share[mine]
        fresh = np.append(mine[~hit], -1)  # the last stands for "none yet"
        so_far = np.cumsum(~hit)[hit]
        again[mine[hit]] = fresh[np.where(so_far > 0, (which[mine][hit] * so_far).astype(np.int64), -1)]
    return again


def _choose(
    weights: list[dict[str, float]], names: tuple[str, ...], feature: Ints, random: np.random.Generator
) -> Ints:
    table = np.cumsum([[chances.get(name, 0.0) for name in names] for chances in weights], axis=1)
    chosen: Ints = (random.random(len(feature))[:, None] >= table[feature]).sum(axis=1)
    return np.minimum(chosen, len(names) - 1)
