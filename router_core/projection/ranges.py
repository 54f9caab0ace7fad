"""Ranges: what a change of cascade or compression may come to, where no log can say how often it would take effect."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from router_core.config import Cascade, Compress, RoutingConfig
from router_core.decision import Kind
from router_core.errors import UnpricedModelError
from router_core.prices import PriceBook
from router_core.projection.cube import Cube
from router_core.projection.prepared import Side
from router_core.projection.pricing import ESCALATION, FIXED
from router_core.projection.repriced import SUMMARY, Repricing
from router_core.projection.result import Range
from router_core.projection.scenario import Scenario
from router_core.projection.target import unprojected
from router_core.projection.tariff import Tariff

Floats = npt.NDArray[np.float64]

IN_DOUBT = (
    "whether the answers this concerns are good is not known, so quality is a range that holds either, a stronger "
    "tier's answer taken to be no worse than the draft."
)
SHORTENED = "answers are taken to stay as good and as long, which a trial would check."


class Prepared(Protocol):
    """What ranges are taken from: a log with its configuration and prices, and what was fitted to it."""

    config: RoutingConfig
    cube: Cube
    prices: PriceBook

    @property
    def expected(self) -> Side:
        """What the fitted models expect of one request, by family, feature, tier and score."""

    @property
    def quality_by_feature(self) -> npt.NDArray[np.floating]:
        """Summed quality of each feature's requests as logged, (F,)."""

    @property
    def tariff(self) -> Tariff:
        """What each tier charges a token, as the log was priced."""


class _Ends(NamedTuple):
    low: float
    high: float


@dataclass(frozen=True)
class Switches:
    """What two configurations do otherwise, by feature: cascades (None: no cascade there) and compression.

    ``left`` names in words what is neither in the figures nor in a range.
    """

    cascades: dict[str, tuple[Cascade | None, Cascade | None]]
    compressions: dict[str, tuple[Compress, Compress]]
    left: tuple[str, ...]

    @classmethod
    def between(cls, live: RoutingConfig, target: RoutingConfig, features: Sequence[str]) -> Switches:
        """Compare the configurations for these features; what is pinned is never cascaded."""
        cascades: dict[str, tuple[Cascade | None, Cascade | None]] = {}
        compressions: dict[str, tuple[Compress, Compress]] = {}
        unsaid: dict[str, list[str]] = {}
        for name in features:
            entry = target.features.get(name)
            strategies = [_strategy(config, name) for config in (live, target)]
            before, after = (
                _cascade(config, name) if strategy == "cascade" else None
                for config, strategy in zip((live, target), strategies, strict=True)
            )
            if "chain" in strategies and strategies[0] != strategies[1]:
                unsaid.setdefault("the strategy of", []).append(name)
            elif before != after and (entry is None or entry.pin is None):
                if any(one is not None and one.start_tier is not None for one in (before, after)):
                    unsaid.setdefault("where cascades begin for", []).append(name)
                else:
                    cascades[name] = before, after
            shortened = _compress(live, name), _compress(target, name)
            if shortened[0] != shortened[1] and any(one.enabled for one in shortened):
                compressions[name] = shortened
        left = tuple(f"{what} {_named(names)}" for what, names in unsaid.items())
        return cls(cascades, compressions, left)


def left_out(log: Prepared, target: RoutingConfig) -> tuple[tuple[str, ...], tuple[Range, ...]]:
    """Return what a target changes that its figures do not hold: in sentences, and as ranges where there are ends, at
    the prices of the log."""
    cube = log.cube
    live = log.config
    same = all(getattr(live, name) == getattr(target, name) for name in ("strategy", "cascade", "compress"))
    own = (
        target.features.keys() | live.features.keys()
    )  # the only ones that can differ where the global settings do not
    asked = [
        name
        for name, count in zip(cube.features, cube.decisions_by_feature.tolist(), strict=True)
        if count and (not same or name in own)
    ]
    switches = Switches.between(live, target, asked)
    found = []
    if switches.cascades:
        found.append(_of_cascades(log, switches.cascades))
    if switches.compressions:
        found.append(_of_compression(log, switches.compressions))
    return unprojected(live, target, switches.left), tuple(found)


def _of_cascades(log: Prepared, changed: dict[str, tuple[Cascade | None, Cascade | None]]) -> Range:
    """From no draft turned down that may not be to every one that may; both ends against what the log holds."""
    cube = log.cube
    cost, quality = np.zeros(2), np.zeros(2)
    said: dict[str, list[str]] = {}
    priced = True
    for name, (before, after) in changed.items():
        index = cube.features.index(name)
        own = (cube.calls.part == ESCALATION) & (cube.calls.feature == index)
        spent, count = int(cube.calls.cost[own].sum()), int(cube.calls.attempts[own].sum())
        all_cost, all_count, known = _all_turned_down(log, index, after) if after is not None else (0.0, 0.0, True)
        fewer, more = _turned_down(before, after)
        said.setdefault(_often(fewer, more, checked=after is not None), []).append(name)
        good = log.quality_by_feature[index] / max(int(cube.decisions_by_feature[index]), 1)
        if fewer:
            cost[0] -= spent
            quality[0] -= count
        if more:
            priced &= known
            cost[1] += max(all_cost - spent, 0.0)
            quality[1] += max(all_count - count, 0.0) * (1 - good)
        elif after is None:
            cost[1] -= spent  # nothing is turned down where nothing is checked
    low, high = (quality / cube.decisions).tolist() if cube.labelled else (None, None)
    sentences = [f"Drafts of {_named(names)} {often}; {IN_DOUBT}" for often, names in said.items()]
    return Range(
        "cascade",
        round(cost[0]),
        round(cost[1]) if priced else None,
        low,
        high,
        (*sentences, "Calls that checks make themselves are not in it."),
    )


def _turned_down(before: Cascade | None, after: Cascade | None) -> tuple[bool, bool]:
    """Return whether fewer drafts may be turned down, and whether more may."""
    if before is None or after is None:
        return before is not None, after is not None
    if before.model_copy(update={"acceptance_threshold": after.acceptance_threshold}) != after:
        return True, True  # other checks, or more of them
    return (
        after.acceptance_threshold < before.acceptance_threshold,
        after.acceptance_threshold > before.acceptance_threshold,
    )


def _often(fewer: bool, more: bool, *, checked: bool) -> str:
    if not checked:
        return "are no longer checked, so none is turned down"
    least, most = "never" if fewer else "as often as today", "always" if more else "as often as today"
    return f"are turned down anywhere from {least} to {most}"


def _all_turned_down(log: Prepared, feature: int, cascade: Cascade) -> tuple[float, float, bool]:
    """Return what it costs to turn every draft of a feature down, nano-dollars, how many drafts that are, and whether
    all it takes is priced: the dearest of what the models expect of the tiers above."""
    cube, tariff, expected = log.cube, log.tariff, log.expected
    served = cube.tally.served[:, feature].sum(axis=0)  # (K, 101)
    top = len(cube.tiers) - 1
    most, known = 0.0, True
    for family, of_input in enumerate(expected.input):
        level = of_input[0, feature] * tariff.rates[feature, :, 0, None]
        level = level + expected.output[family][0, feature] * tariff.rates[feature, :, 1, None]
        total = 0.0
        for step in range(1, cascade.max_escalations + 1):
            for tier in range(max(top - step + 1, 0)):
                total += float(served[tier] @ level[tier + step])
                known &= bool(tariff.priced[tier + step]) or not served[tier].any()
        most = max(most, total)
    count = float(served[:top].sum()) if cascade.max_escalations else 0.0
    return most * _whole(cube, feature), count * _whole(cube, feature), known


def _of_compression(log: Prepared, changed: dict[str, tuple[Compress, Compress]]) -> Range:
    cube = log.cube
    try:
        model, a_token = Repricing(cube, log.config, log.prices, Scenario(name="-")).summarising()
    except UnpricedModelError as error:
        return Range(
            "compress", None, None, 0.0, 0.0, (f"No price is known of the model that shortens prompts: {error}.",)
        )
    cost, said = np.zeros(2), []
    shorter: list[str] = []
    again: list[str] = []
    for name, (before, after) in changed.items():
        index = cube.features.index(name)
        if _shortens_more(before, after):
            share, effect = _all_left_out(cube, index, after.above_tokens, a_token)
            cost += effect[effect < 0].sum(), effect[effect > 0].sum()
            shorter.append(f"{share:.0%} for {_named([name])}")
        if _shortens_more(after, before):
            ends = _sent_again(log, index, before)
            # A milder setting undoes some of it, none of it or all; without any, all is undone.
            cost += ends if not after.enabled else (min(ends.low, 0.0), max(ends.high, 0.0))
            again += [name] if any(ends) else []
    if shorter:
        said.append(f"Of what is sent, anything from nothing to {_listed(shorter)} is summarised.")
    if again:
        said.append(f"What summaries left out of prompts of {_named(again)} is sent again.")
    said.append(f"{model} reads what is left out and writes {SUMMARY:.0%} of it as a summary; {SHORTENED}")
    return Range("compress", round(cost[0]), round(cost[1]), 0.0, 0.0, tuple(said))


def _shortens_more(before: Compress, after: Compress) -> bool:
    """Whether anything is shortened under ``after`` that is not under ``before``."""
    if not after.enabled:
        return False
    return not before.enabled or after.above_tokens < before.above_tokens or after.keep_last < before.keep_last


def _all_left_out(cube: Cube, feature: int, above: int, a_token: float) -> tuple[float, Floats]:
    """Return the share of a feature's input that prompts of more than ``above`` tokens may hold, and what leaving all
    of that out would change by entry of the calls, where shortening costs ``a_token`` for each token left out."""
    calls = cube.calls
    total = cube.tally.input[:, feature].sum(axis=(0, 2))
    long = np.divide(_tokens_of_long_prompts(cube, feature, above), total, out=np.zeros_like(total), where=total > 0)
    own = (calls.feature == feature) & (calls.part != FIXED)
    tier = np.unravel_index(np.maximum(calls.where[own], 0), cube.tally.decisions.shape)[2]
    share = np.where(calls.where[own] >= 0, long[tier], long.max(initial=0.0))
    tokens = calls.tokens[own][:, [0, 2, 3]]
    paid = (tokens * np.nan_to_num(calls.rates()[calls.price[own]][:, [0, 2, 3]])).sum(axis=1)
    sent = tokens.sum(axis=1)
    effect: Floats = share * (sent * a_token - paid)
    return float(share @ sent) / max(float(sent.sum()), 1.0), effect


def _tokens_of_long_prompts(cube: Cube, feature: int, above: int) -> Floats:
    """Return, by tier, the most tokens that prompts of more than ``above`` can hold together, given the mean and the
    spread of all: Scarf's bound on what lies above, Cantelli's on how many do."""
    tally = cube.tally
    count, total, squares = (
        one[:, feature].sum(axis=(0, 2)).astype(float) for one in (tally.served, tally.input, tally.input_squares)
    )
    mean = np.divide(total, count, out=np.zeros_like(total), where=count > 0)
    variance = np.maximum(np.divide(squares, count, out=np.zeros_like(total), where=count > 0) - mean**2, 0)
    room = above - mean
    distance = np.sqrt(variance + room**2)
    over = (distance - room) / 2
    often = np.where(room > 0, np.divide(variance, distance**2, out=np.zeros_like(mean), where=distance > 0), 1.0)
    most: Floats = np.minimum(mean, over + above * often) * count
    return most


def _sent_again(log: Prepared, feature: int, before: Compress) -> _Ends:
    """Return what it costs to send again what the log's summaries left out: once each, or to every turn that a summary
    is kept for. Where the tier is not known, it is the one with the cheapest input, or the dearest."""
    calls, cube = log.cube.calls, log.cube
    own = (calls.kind == Kind.COMPRESS) & (calls.feature == feature)
    rates = log.tariff.rates[feature, :, 0]
    at = calls.where[own]
    tier = np.where(at >= 0, np.unravel_index(np.maximum(at, 0), cube.tally.decisions.shape)[2], -1)
    tokens = calls.tokens[own]
    more = np.maximum(tokens[:, [0, 2, 3]].sum(axis=1) - tokens[:, 1], 0)
    cheapest, dearest = (np.where(tier >= 0, rates[tier], end) for end in (rates.min(), rates.max()))
    spent, turns = float(calls.cost[own].sum()), max(1, -(-before.keep_last // 2))
    return _Ends(float(more @ cheapest) - spent, turns * float(more @ dearest) - spent)


def _whole(cube: Cube, feature: int) -> float:
    """Return how many requests of a feature stand behind each that a boundary can move."""
    return float(cube.decisions_by_feature[feature]) / max(float(cube.tally.decisions[:, feature].sum()), 1.0)


def _named(features: Sequence[str]) -> str:
    return _listed([name or "no feature" for name in features])


def _listed(parts: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(parts[:-1]), parts[-1]]))


def _strategy(config: RoutingConfig, feature: str) -> str:
    entry = config.features.get(feature)
    return config.strategy if entry is None or entry.strategy is None else entry.strategy


def _cascade(config: RoutingConfig, feature: str) -> Cascade:
    entry = config.features.get(feature)
    return config.cascade if entry is None or entry.cascade is None else entry.cascade


def _compress(config: RoutingConfig, feature: str) -> Compress:
    entry = config.features.get(feature)
    return config.compress if entry is None or entry.compress is None else entry.compress
