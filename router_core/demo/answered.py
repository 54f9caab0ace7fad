"""What every tier would have made of each simulated request: its calls, tokens, cost, delay and quality."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from router_core.config import RoutingConfig
from router_core.decision import QualitySource, Status
from router_core.demo.asked import GRADERS, NAMES, Asked
from router_core.demo.pricing import Pricer
from router_core.demo.world import FEATURES, INCIDENT_PROVIDER, TALKERS, Window, adequacy

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

_FAILS, _FAILS_AGAIN, _FAILS_IN_INCIDENT = 0.004, 0.012, 0.72
_ABORTED = 0.004
_NOTICED, _FALSE_ALARM = 0.85, 0.04  # of bad and of good drafts, how many the cascade's check turns down
_TIMEOUT_MS, _REFUSAL_MS = 60_000, 180
_FAILURES = np.array([Status.TIMEOUT, Status.RATE_LIMITED, Status.REFUSED])
_COMPRESSED_TO = 0.55
_SUMMARY_TOKENS = 650


@dataclass
class Calls:
    """One call for each request; tokens are as the ledger counts them, totals including their subsets."""

    model: Ints
    input: Ints
    output: Ints
    reasoning: Ints
    read: Ints
    write: Ints
    cost: Ints
    price: Ints
    ttft_ms: Ints
    latency_ms: Ints


@dataclass
class Answered:
    """The answers each tier would have given; (n, tiers) where several, and ``answers`` one ``Calls`` a tier.

    ``cost`` is of the whole decision in nano-dollars, ``quality`` what the request's grader would say of the answer
    the caller would get. ``refused`` marks drafts the cascade's check turns down. ``failed`` is whether the first
    model does not answer, ``failed_too`` nor the second; ``failure`` is how, ``failure_cost`` what it cost (n, tiers).
    """

    answers: Sequence[Calls]
    cost: Ints
    quality: Floats
    refused: Bools
    compress: Calls
    compressed: Bools
    failed: Bools
    failed_too: Bools
    failure: Ints
    failure_calls: Sequence[Calls]
    aborted: Bools


class Models:
    """The configured models as numbers: the two of each tier that answer, and how each talks."""

    def __init__(self, config: RoutingConfig) -> None:
        self.names = tuple(config.models)
        self.price_names = [config.price_names(name) for name in self.names]
        self.first = np.array([self.names.index(tier.models[0]) for tier in config.tiers])
        self.second = np.array([self.names.index(tier.models[min(1, len(tier.models) - 1)]) for tier in config.tiers])
        talkers = [TALKERS[name] for name in self.names]
        self.input_ratio = np.array([talker.input_ratio for talker in talkers])
        self.verbosity = np.array([talker.verbosity for talker in talkers])
        self.ttft_ms = np.array([talker.ttft_ms for talker in talkers])
        self.tokens_per_s = np.array([talker.tokens_per_s for talker in talkers])
        self.reasoning = np.array([talker.reasoning for talker in talkers])
        self.writes_cache = np.array([talker.writes_cache for talker in talkers])
        self.troubled = np.array([provider == INCIDENT_PROVIDER for provider, _ in self.price_names])


def answer(
    asked: Asked, models: Models, pricer: Pricer, window: Window, cascades: Bools, random: np.random.Generator
) -> Answered:
    """Draw what every tier would answer; ``cascades`` says of each feature whether its drafts are checked."""
    n, tiers = len(asked), len(models.first)
    began, ended = window.incident_ms or (0, 0)
    trouble = (asked.at_ms >= began) & (asked.at_ms < ended)
    chance = np.where(trouble & models.troubled[models.first[0]], _FAILS_IN_INCIDENT, _FAILS)
    failed = random.random(n) < chance
    failed_too = failed & (random.random(n) < _FAILS_AGAIN)
    failure = _FAILURES[random.choice(3, n, p=(0.35, 0.25, 0.4))]
    aborted = (random.random(n) < _ABORTED) & ~failed

    above = np.array([FEATURES[name].compress_above or np.inf for name in NAMES])[asked.feature]
    compressed = asked.input > above
    summary = np.full(n, float(_SUMMARY_TOKENS))
    blur = random.standard_normal((n, 3))
    compress = _call(asked, models, pricer, np.full(n, models.first[0]), asked.input * 0.8, summary, 0.0, blur)
    shorter = np.where(compressed, asked.input * _COMPRESSED_TO, asked.input)
    length = np.where(aborted, 0.4 * asked.output, asked.output)

    answers, failures = [], []
    for tier in range(tiers):
        blur = random.standard_normal((n, 3))
        which = np.where(failed, models.second[tier], models.first[tier])
        answers.append(_call(asked, models, pricer, which, shorter, length, asked.known_share, blur))
        failures.append(_timed_out(asked, models, pricer, np.full(n, models.first[tier]), shorter))

    adequate = random.random(n)[:, None] < adequacy(asked.difficulty, asked.offset)
    graded = _graded(asked, adequate, random)
    turned_down = np.where(adequate, random.random((n, 1)) < _FALSE_ALARM, random.random((n, 1)) < _NOTICED)
    refused = turned_down & cascades[asked.feature][:, None] & ~failed_too[:, None]
    refused[:, -1] = False

    each = np.stack([call.cost for call in answers], axis=1)
    each[failed_too] = 0
    above_each = np.concatenate([each[:, 1:], np.zeros((n, 1), dtype=np.int64)], axis=1)
    lost = np.stack([call.cost for call in failures], axis=1)
    lost = np.where((failed & (failure == Status.TIMEOUT))[:, None], lost, 0)
    cost = each + np.where(refused, above_each, 0) + lost + np.where(compressed, compress.cost, 0)[:, None]
    better = np.concatenate([graded[:, 1:], graded[:, -1:]], axis=1)
    quality = np.where(refused, better, graded)
    cost[asked.again >= 0] = 0
    return Answered(
        answers, cost, quality, refused, compress, compressed, failed, failed_too, failure, failures, aborted
    )


def _graded(asked: Asked, adequate: Bools, random: np.random.Generator) -> Floats:
    """Return what the grader says: judges in quarters, everybody else yes or no."""
    draw = random.random(len(asked))[:, None]
    judged = np.where(
        adequate, np.where(draw < 0.2, 0.75, 1.0), np.where(draw < 0.3, 0.5, np.where(draw < 0.7, 0.25, 0))
    )
    judges = (asked.grader == GRADERS.index(QualitySource.JUDGE))[:, None]
    return np.where(judges, judged, adequate.astype(float))


def _call(
    asked: Asked,
    models: Models,
    pricer: Pricer,
    model: Ints,
    prompt: Floats,
    length: Floats,
    known: Floats | float,
    blur: Floats,
) -> Calls:
    """Draw one call a request to ``model``; ``blur`` is three standard normal numbers each."""
    tokens_in = np.maximum(np.rint(prompt * models.input_ratio[model]), 8).astype(np.int64)
    visible = np.maximum(length * models.verbosity[model] * np.exp(0.2 * blur[:, 0]), 1)
    hidden = models.reasoning[model] * (0.3 + 1.4 * asked.difficulty) * np.exp(0.45 * blur[:, 1])
    reasoning = np.rint(hidden).astype(np.int64)
    output = np.rint(visible).astype(np.int64) + reasoning
    # Providers cache prefixes of 1,024 tokens and more, in steps of 128.
    cached = (tokens_in * known).astype(np.int64) // 128 * 128
    read = np.where(cached >= 1024, cached, 0)
    write = np.where(models.writes_cache[model] & (read == 0), (tokens_in * 0.4).astype(np.int64), 0)
    cost, price = pricer.price(model, asked.at_ms, np.stack([tokens_in, output, read, write]))
    ttft = models.ttft_ms[model] * np.exp(0.28 * blur[:, 2]) + 0.012 * (tokens_in - read)
    speaking = output / models.tokens_per_s[model] * 1000 * np.exp(0.12 * blur[:, 1])
    return Calls(model, tokens_in, output, reasoning, read, write, cost, price, _whole(ttft), _whole(ttft + speaking))


def _timed_out(asked: Asked, models: Models, pricer: Pricer, model: Ints, prompt: Floats) -> Calls:
    """Return what a call that is never answered costs: its input, as we count it ourselves."""
    tokens_in = np.maximum(np.rint(prompt * models.input_ratio[model]), 8).astype(np.int64)
    none = np.zeros(len(asked), dtype=np.int64)
    cost, price = pricer.price(model, asked.at_ms, np.stack([tokens_in, none, none, none]))
    late = np.full(len(asked), _TIMEOUT_MS)
    return Calls(model, tokens_in, none, none, none, none, cost, price, none, late)


def refusal_ms(failure: Ints) -> Ints:
    """Return how long each failing call took."""
    return np.where(failure == Status.TIMEOUT, _TIMEOUT_MS, _REFUSAL_MS)


def _whole(values: Floats) -> Ints:
    return np.maximum(np.rint(values), 1).astype(np.int64)
