"""Cascade: a cheap draft first, checked; a stronger tier answers where it does not pass."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from router_core.decision import Kind, Reason, Status
from router_core.errors import ProviderError
from router_core.serving.checks import Answer, Verdict, judge
from router_core.serving.failover import Endpoint, Try
from router_core.serving.job import Job
from router_core.serving.messages import answer_text, answer_values, content_text
from router_core.serving.plan import Plan

# What was assigned for safety, or by name, is never tried on anything weaker.
_HELD = (Reason.PIN, Reason.RULE)


async def cascade(job: Job, plan: Plan) -> Try:
    """Answer from the first tier whose answer passes the checks.

    It begins with ``start_tier`` of the plan's cascade, else with the assigned tier. An answer below
    ``acceptance_threshold`` stays on record as rejected, and the next tier answers: at least the assigned one, at most
    ``max_escalations`` times; so it does where a tier gives no answer at all. The last that may be asked is not
    checked, so only that one streams; the others are held back until they are accepted. Where nobody above answers, the
    best of the rejected answers is the caller's. Raises the last ``ProviderError`` where no tier did.
    """
    settings, names = plan.cascade, job.live.config.tier_names
    assigned = names.index(job.draft.tier)
    place = assigned
    if settings.start_tier is not None and job.draft.reason not in _HELD:
        place = names.index(settings.start_tier)
    rejected: list[tuple[float, Try]] = []
    failed: ProviderError | None = None
    why = ""
    for step in range(settings.max_escalations + 1):
        last = step == settings.max_escalations or place == len(names) - 1
        chain = job.draft.chain if place == assigned else job.live.chains.by_tier[names[place]]
        body = job.body if last else _checked_body(job.body, plan)
        try:
            one = await job.ask(chain, body=body, kind=Kind.ESCALATION if step else Kind.ANSWER, reason=why)
        except ProviderError as error:
            failed, why = error, "no answer"
            if last:
                break
            place = max(place + 1, assigned)
            continue
        if last:
            return one
        verdict = await _verdict(job, plan, one, body)
        if plan.logprobs and not job.body.get("logprobs"):
            _without_logprobs(one)
        if verdict.score >= settings.acceptance_threshold:
            return one
        one.status, why = Status.REJECTED, f"check {verdict.check}"
        rejected.append((verdict.score, one))
        place = max(place + 1, assigned)
    if not rejected:
        assert failed is not None  # or a draft was looked at
        raise failed
    _, best = max(rejected, key=lambda pair: pair[0])
    best.status = Status.OK
    return best


def _checked_body(body: Mapping[str, Any], plan: Plan) -> dict[str, Any]:
    """Return the body of a draft: whole, so that it can be checked, and with token probabilities where one asks."""
    whole = {key: value for key, value in body.items() if key not in ("stream", "stream_options")}
    if plan.logprobs:
        whole["logprobs"] = True
    return whole


async def _verdict(job: Job, plan: Plan, one: Try, body: Mapping[str, Any]) -> Verdict:
    """Return what the checks say of a draft: of several answers in it, of the worst."""
    assert one.reply is not None  # it was answered
    values = answer_values(one.reply.body)

    async def again(samples: int) -> Sequence[str]:
        return await _again(job, one.endpoint, body, samples)

    worst = Verdict(1.0)
    for choice in values.get("choices") or ():
        answer = _answer(choice, values)
        if answer is not None and worst.score > 0.0:
            found = await judge(answer, plan.checks, again, on_error=plan.cascade.on_error)
            worst = min(worst, found, key=lambda verdict: verdict.score)
    return worst


async def _again(job: Job, endpoint: Endpoint, body: Mapping[str, Any], samples: int) -> list[str]:
    """Ask the model that answered for further answers at once, each on record as a judgement of the first."""
    asked = {key: value for key, value in body.items() if key != "logprobs"}
    calls = (job.ask((endpoint,), body=asked, kind=Kind.JUDGE, reason="check self_consistency") for _ in range(samples))
    answered = await asyncio.gather(*calls, return_exceptions=True)
    texts = []
    for one in answered:
        if isinstance(one, Try) and one.reply is not None:
            texts.append(answer_text(answer_values(one.reply.body)))
        elif isinstance(one, BaseException) and not isinstance(one, ProviderError):
            raise one
    if not texts:
        raise next(one for one in answered if isinstance(one, ProviderError))
    return texts


def _answer(choice: Mapping[str, Any], values: Mapping[str, Any]) -> Answer | None:
    """Return what checks look at; None for an answer that calls tools, whose text says nothing."""
    message = choice.get("message") or {}
    if message.get("tool_calls") or message.get("function_call"):
        return None
    told = choice.get("logprobs")
    listed = told.get("content") if isinstance(told, Mapping) else None
    tokens = [token.get("logprob") for token in listed if isinstance(token, Mapping)] if listed else []
    logprobs = [float(one) for one in tokens if isinstance(one, int | float)]
    return Answer(content_text(message.get("content")), str(choice.get("finish_reason") or ""), logprobs, values)


def _without_logprobs(one: Try) -> None:
    """Take out of an answer what only a check asked for."""
    from pydantic_core import to_json

    assert one.reply is not None
    values = dict(answer_values(one.reply.body))
    values["choices"] = [{**choice, "logprobs": None} for choice in values.get("choices") or ()]
    one.reply.body = to_json(values)
