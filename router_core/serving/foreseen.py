"""Foreseen: what a request may cost before it is known, by every call that its plan may make for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from router_core.decision import Reason, Strategy
from router_core.serving.budget import DEFAULT_OUTPUT_TOKENS
from router_core.serving.compress import LONGEST_SUMMARY
from router_core.serving.failover import Endpoint
from router_core.serving.job import Job
from router_core.serving.messages import prompt_text
from router_core.serving.plan import Plan
from router_core.usage import Usage, estimate_tokens

_MOST_TOKENS = 10_000_000  # no answer is longer, whatever a caller would allow


def call_nusd(job: Job, body: Mapping[str, Any], endpoint: Endpoint) -> int:
    """Return what one call may cost in nano-dollars; 0 where its price is unknown."""
    return _nusd(job, endpoint, _tokens(body), _room(job, body, endpoint))


def request_nusd(job: Job, plan: Plan) -> int:
    """Return what all the calls of a request may cost in nano-dollars, fail-overs aside.

    An upper estimate where the length of answers is capped: input tokens are estimated within a tenth, output tokens
    are the cap, a cascade goes as far up as it may and a chain has as many parts.
    """
    tokens = _tokens(job.body)
    return sum(
        calls * _nusd(job, endpoint, tokens, room)
        for endpoint, calls, room in _calls(job, plan)
        for room in [_room(job, job.body, endpoint) if room is None else room]
    )


def _calls(job: Job, plan: Plan) -> Iterator[tuple[Endpoint, int, int | None]]:
    """Yield whom a plan asks, how often, and how long an answer may be (None: as long as the request allows)."""
    draft, live = job.draft, job.live
    named, tiers = draft.reason == Reason.NAMED, live.chains.by_tier
    names = live.config.tier_names
    if plan.compress is not None and not named:
        yield tiers[names[0]][0], 1, LONGEST_SUMMARY
    if plan.strategy == Strategy.CASCADE and not named:
        settings = plan.cascade
        assigned = names.index(draft.tier)
        held = draft.reason in (Reason.PIN, Reason.RULE)
        place = assigned if settings.start_tier is None or held else names.index(settings.start_tier)
        for step in range(settings.max_escalations + 1):
            checked = step < settings.max_escalations and place < len(names) - 1
            yield tiers[names[place]][0], 1 + plan.samples * checked, None
            if not checked:
                return
            place = max(place + 1, assigned)
        return
    if plan.strategy == Strategy.CHAIN and not named:
        steps = live.config.chain
        for name, calls in ((steps.decompose_tier, 1), (steps.reason_tier, steps.max_parts)):
            own = name is None or draft.reason == Reason.PIN
            yield draft.chain[0] if own else tiers[name or ""][0], calls, None
        last = steps.synthesise_tier
        yield draft.chain[0] if last is None or draft.reason == Reason.PIN else tiers[last][0], 1, None
        return
    yield draft.chain[0], 1, None


def _tokens(body: Mapping[str, Any]) -> int:
    return round(1.1 * estimate_tokens(prompt_text(body)))


def _room(job: Job, body: Mapping[str, Any], endpoint: Endpoint) -> int:
    caps = [body.get("max_completion_tokens"), body.get("max_tokens"), endpoint.max_output_tokens]
    known = [cap for cap in caps if cap is not None]
    score = job.draft.score
    expected = score.expected_output_tokens if score is not None else None
    output = min(known) if known else expected or DEFAULT_OUTPUT_TOKENS
    return min(_MOST_TOKENS, max(0, output) * max(1, body.get("n") or 1))


def _nusd(job: Job, endpoint: Endpoint, tokens: int, room: int) -> int:
    cost = job.draft.prices.list_cost(
        Usage(tokens, room),
        provider_name=endpoint.provider_name,
        model=endpoint.upstream_model,
        at_ms=job.draft.decided_at_ms,
    )
    return cost.nusd if cost is not None else 0
