"""Replaying a trial's requests: each asked of its new tier and its logged one, and both answers graded blind."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json

from router_core.config import RoutingConfig
from router_core.decision import Attempt, Kind, Status, UsageSource
from router_core.errors import ConfigError, ProviderError, TierwiseError
from router_core.ledger.capture import kept_prompts
from router_core.ledger.days import id_time_ms
from router_core.ledger.price_rows import read_prices
from router_core.ledger.store import Ledger
from router_core.ledger.trials import add_replays
from router_core.lifecycle.grading import grade_both_orders
from router_core.lifecycle.trials import HeldTrial
from router_core.prices import PriceBook
from router_core.projection.trial import Chosen
from router_core.serving.failover import Chains, Endpoint, status_of
from router_core.serving.messages import answer_text, answer_values, prompt_text
from router_core.serving.providers import Call, HttpSession, Provider, Reply, http_providers
from router_core.serving.requests import outgoing

LEAST_GRADED = 10
_AT_ONCE = 4  # requests in the air
_TRIES = 2
# Of a kept request, what shapes the answer; how it was to be delivered is nobody's business now.
_CARRIED = (
    "tools",
    "tool_choice",
    "functions",
    "response_format",
    "max_tokens",
    "max_completion_tokens",
    "temperature",
)

Step = Callable[["Graded | None", "tuple[str, str] | None", int], None]


@dataclass(frozen=True)
class Graded:
    """One request (its id in hex), answered anew on both tiers and graded: qualities 0..1.

    ``cost_nusd`` is what the new tier's answer would have cost at the prices of the logged request, None where unknown.
    """

    id: str
    quality_target: float
    quality_logged: float
    cost_nusd: int | None


@dataclass(frozen=True)
class Calls:
    """Whom a trial asks: each tier's first model as it was (``old``), as the target has it (``new``), and the judge."""

    old: Mapping[str, Endpoint]
    new: Mapping[str, Endpoint]
    judge: Endpoint
    live: RoutingConfig
    target: RoutingConfig


def calls_for(live: RoutingConfig, target: RoutingConfig, judge: str | None = None) -> Calls:
    """Return whom to ask; raises ``ConfigError`` where ``judge`` is no configured model."""
    named = judge or live.classifier.judge_model or live.tiers[-1].models[0]
    chains = Chains(live)
    if named not in chains.by_model:
        raise ConfigError(f"the judge {named!r} is not a configured model; there are {', '.join(live.models)}")
    old, new = ({tier: chain[0] for tier, chain in side.by_tier.items()} for side in (chains, Chains(target)))
    return Calls(old, new, chains.by_model[named][0], live, target)


class Replayer:
    """Asks, grades, and records every call as an attempt of the request it was made for.

    ``providers`` answer instead of the configured ones where they are given.
    """

    def __init__(
        self, ledger: Ledger, held: HeldTrial, calls: Calls, providers: Mapping[str, Provider] | None = None
    ) -> None:
        self._ledger, self._held, self._calls, self._given = ledger, held, calls, providers
        self._prices = PriceBook(read_prices(ledger))
        chosen = held.trial.chosen
        self._prompts = kept_prompts(ledger, [bytes.fromhex(one.id) for one in chosen])
        self._providers: dict[str, Mapping[str, Provider]] = {}

    def run(
        self, *, done: Collection[str], left_nusd: int, step: Step, beat: Callable[[], None], beat_s: float
    ) -> str | None:
        """Replay the requests that are not ``done``, and call ``step`` after each with what it gave and cost.

        ``beat`` is called every ``beat_s`` seconds. Returns a sentence where it stopped because ``left_nusd`` is spent.
        """
        return asyncio.run(self._run(done, left_nusd, step, beat, beat_s))

    async def _run(
        self, done: Collection[str], left_nusd: int, step: Step, beat: Callable[[], None], beat_s: float
    ) -> str | None:
        session = HttpSession()
        for side, config in (("live", self._calls.live), ("target", self._calls.target)):
            self._providers[side] = http_providers(config, session) if self._given is None else self._given
        waiting = iter([one for one in self._held.trial.chosen if one.id not in done])
        spent, finished, flying, stopped = 0, 0, 0, None

        async def work() -> None:
            nonlocal spent, finished, flying, stopped
            for one in waiting:
                usual = spent / finished if finished else 0.0
                if spent + (flying + 1) * usual > left_nusd:
                    stopped = "The price agreed to is spent; go on with a new trial, or with fewer replays."
                    return
                flying += 1
                graded, failure, cost = await self._replay(one)
                flying, finished, spent = flying - 1, finished + 1, spent + cost
                step(graded, failure, cost)

        async def tick() -> None:
            while True:
                await asyncio.sleep(beat_s)
                beat()

        ticking = asyncio.create_task(tick())
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(_AT_ONCE):
                    group.create_task(work())
        except* TierwiseError as errors:
            raise errors.exceptions[0] from None
        finally:
            ticking.cancel()
            await session.close()
        return stopped

    async def _replay(self, one: Chosen) -> tuple[Graded | None, tuple[str, str] | None, int]:
        """Return the grades of one request, or its id and why there are none, and what its calls cost."""
        key = bytes.fromhex(one.id)
        made: list[Attempt] = []
        prompt = self._prompts.get(key)
        if prompt is None:
            return None, (one.id, "its text is no longer kept"), 0
        body = body_of(prompt)
        calls, failures = self._calls, list[str]()

        async def asked(endpoint: Endpoint, side: str, body: dict[str, Any], kind: Kind, reason: str) -> Reply | None:
            for _ in range(_TRIES):
                try:
                    return await self._ask(endpoint, side, body, kind, reason, made)
                except ProviderError as error:
                    failures.append(str(error))
            return None

        async def judged(body: dict[str, Any], order: str) -> str | None:
            reply = await asked(calls.judge, "live", body, Kind.JUDGE, order)
            return None if reply is None else answer_text(answer_values(reply.body))

        try:
            new, old = await asyncio.gather(
                asked(calls.new[one.new], "target", body, Kind.TRIAL, "new answer"),
                asked(calls.old[one.old], "live", body, Kind.TRIAL, "logged tier again"),
            )
            if new is None or old is None:
                return None, (one.id, failures[-1]), _cost(made)
            logged, anew = (answer_text(answer_values(reply.body)) for reply in (old, new))
            grades = await grade_both_orders(prompt_text(body), logged, anew, judged)
            if grades is None:
                why = failures[-1] if failures else f"{calls.judge.model!r} did not answer with two grades"
                return None, (one.id, why), _cost(made)
        finally:
            add_replays(self._ledger, [(key, attempt) for attempt in made], once=False)
        return Graded(one.id, grades[1], grades[0], self._then(key, calls.new[one.new], new)), None, _cost(made)

    async def _ask(
        self, endpoint: Endpoint, side: str, body: dict[str, Any], kind: Kind, reason: str, made: list[Attempt]
    ) -> Reply:
        config = self._calls.target if side == "target" else self._calls.live
        out = outgoing(body, endpoint.upstream_model, endpoint.max_output_tokens)
        begun, status, reply = time.monotonic(), Status.BAD_ANSWER, None
        try:
            call = Call(endpoint.upstream_model, out, timeout_s=config.timeout)
            reply = await self._providers[side][endpoint.provider_name].complete(call)
            status = Status.OK
        except ProviderError as error:
            status = status_of(error)
            raise
        finally:
            now = time.time_ns() // 1_000_000
            usage = None if reply is None else reply.usage
            cost = usage and self._prices.list_cost(
                usage, provider_name=endpoint.provider_name, model=endpoint.upstream_model, at_ms=now
            )
            made.append(
                Attempt(
                    kind,
                    endpoint.tier,
                    endpoint.provider_name,
                    endpoint.upstream_model,
                    status,
                    final=False,
                    reason=f"trial {self._held.number}: {reason}",
                    latency_ms=round((time.monotonic() - begun) * 1000),
                    usage=usage,
                    usage_source=UsageSource.PROVIDER if reply is None else reply.usage_source,
                    list_cost_nusd=cost.nusd if cost else None,
                    reported_cost_nusd=None if reply is None else reply.reported_cost_nusd,
                    price_id=cost.price.id if cost else None,
                )
            )
        return reply

    def _then(self, key: bytes, endpoint: Endpoint, reply: Reply) -> int | None:
        """Return what an answer would have cost when the request it replays was logged."""
        cost = reply.usage and self._prices.list_cost(
            reply.usage,
            provider_name=endpoint.provider_name,
            model=endpoint.upstream_model,
            at_ms=id_time_ms(key),
        )
        return cost.nusd if cost else None


def body_of(prompt: str) -> dict[str, Any]:
    """Return the chat request that a kept prompt was: its messages where it is JSON, else one message."""
    try:
        kept = from_json(prompt)
    except ValueError:
        kept = None
    messages = kept.get("messages") if isinstance(kept, dict) else kept
    if isinstance(messages, list) and messages and all(isinstance(one, dict) and "role" in one for one in messages):
        settings = {key: value for key, value in kept.items() if key in _CARRIED} if isinstance(kept, dict) else {}
        return {**settings, "messages": messages}
    return {"messages": [{"role": "user", "content": prompt}]}


def _cost(made: Sequence[Attempt]) -> int:
    return sum(one.list_cost_nusd or 0 for one in made)
