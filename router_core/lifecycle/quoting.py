"""What a trial held here would take: calls, money, and whether whoever must answer can be asked at all."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from router_core.config import RoutingConfig
from router_core.ledger.store import Ledger
from router_core.lifecycle import trials
from router_core.lifecycle.grading import GRADING_INPUT, GRADING_OUTPUT
from router_core.lifecycle.replaying import calls_for
from router_core.lifecycle.trials import Proposal
from router_core.prices import Price
from router_core.projection import Preview
from router_core.projection.cube import Tally
from router_core.projection.trial import Plan

Floats = npt.NDArray[np.float64]

_CAP = 3.0  # standard deviations above what is expected, where a trial stops
_MARGIN = 1.1  # answers are counted anew, and the mix of models behind a tier may have moved


@dataclass(frozen=True)
class Quote:
    """What it takes to hold a trial here; money in nano-dollars, None where a price is not known.

    Each request is answered by its new tier, and by its logged tier again, since only prompts are kept; ``judge``, a
    configured model, then grades both answers blind in either order. ``cost_nusd`` is expected of all ``calls``, of
    which ``answers_nusd`` is for answers and ``grading_nusd`` for grades; the trial stops before it spends more than
    ``cost_most_nusd``. ``obstacle`` is a sentence where it cannot be held here, else None.
    """

    proposal: Proposal
    judge: str
    calls: int
    answers_nusd: int | None
    grading_nusd: int | None
    cost_nusd: int | None
    cost_most_nusd: int | None
    obstacle: str | None


def price_trial(
    ledger: Ledger,
    preview: Preview,
    target: RoutingConfig,
    replays: int = trials.USUAL_REPLAYS,
    *,
    judge: str | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Quote:
    """Say what a trial of ``target`` would take; no model is asked, and nothing written.

    ``judge`` is a configured model, by default the classifier's judge, else the strongest tier's first model. Raises
    ``NoSupportError`` where the target moves no request whose text is kept, ``ConfigError`` where there is no such
    judge.
    """
    grader = calls_for(preview.config, target, judge).judge
    proposal = trials.propose(ledger, preview, target, replays, kept=True)
    rate = preview.prices.find(grader.provider_name, grader.upstream_model, time.time_ns() // 1_000_000)
    answers, grading, variance = _expected(proposal.plan, preview.cube.tally, rate)
    whole = answers + grading
    return Quote(
        proposal,
        grader.model,
        4 * len(proposal.trial.chosen),
        _whole(answers),
        _whole(grading),
        _whole(whole),
        _whole(_MARGIN * whole + _CAP * variance**0.5),
        _obstacle(preview.config, target, proposal, grader.model, priced=not np.isnan(whole), environ=environ),
    )


def _expected(plan: Plan, tally: Tally, judge: Price | None) -> tuple[float, float, float]:
    """Return what answers and what grades are expected to cost, and the variance of both; NaN where unknown."""
    moves = plan.moves
    old, new = moves.old, moves.new
    draws = (plan.drawn / plan.counts)[plan.stratum] * moves.count  # expected of each cell
    served = np.maximum(tally.served.sum(axis=(0, 1, 3)), 1)
    sent, got, sent_squares, got_squares = (
        sums.sum(axis=(0, 1, 3)) / served
        for sums in (tally.input, tally.output, tally.input_squares, tally.output_squares)
    )
    rates = None if judge is None else (judge.input_usd_per_mtok, judge.output_usd_per_mtok)
    of_input, of_output = (
        (float("nan"), float("nan"))
        if rates is None or rates[0] is None or rates[1] is None
        else (float(rates[0]) * 1000, float(rates[1]) * 1000)
    )
    read = sent[old] + got[old] + got[new] + GRADING_INPUT
    answers = (draws * (moves.cost_before + moves.cost_after)).sum()
    grading = (draws * 2 * (read * of_input + GRADING_OUTPUT * of_output)).sum()
    apart = np.maximum(sent_squares - sent**2, 0)[old] + sum(
        np.maximum(got_squares - got**2, 0)[tier] for tier in (old, new)
    )
    variance = (draws * ((moves.cost_spread**2).sum(axis=0) + (2 * of_input) ** 2 * apart)).sum()
    return float(answers), float(grading), float(variance)


def _whole(nusd: float) -> int | None:
    return None if np.isnan(nusd) else round(nusd)


def _obstacle(
    live: RoutingConfig,
    target: RoutingConfig,
    proposal: Proposal,
    judge: str,
    *,
    priced: bool,
    environ: Mapping[str, str],
) -> str | None:
    asked = {(live.models[judge].provider, judge, False)}
    for one in proposal.trial.chosen:
        old, new = live.tier(one.old).models[0], target.tier(one.new).models[0]
        asked |= {(live.models[old].provider, old, False), (target.models[new].provider, new, True)}
    for name, model, is_target in sorted(asked):
        provider = (target if is_target else live).providers[name]
        who = f"{name!r}, which answers for {model!r},"
        if not provider.base_url.startswith(("http://", "https://")):
            return f"{who} is no endpoint that could be asked: its base_url is {provider.base_url!r}."
        if provider.api_key_env is not None and not environ.get(provider.api_key_env, "").strip():
            return (
                f"{who} needs the key in {provider.api_key_env}, which is not set here; set it, or export the requests "
                "and replay them where it is."
            )
    if not priced:
        return "What this would cost is unknown, since a model has no price; give it one with 'tierwise prices set'."
    return None
