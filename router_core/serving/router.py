"""Router: one request from its text to its recorded answer, under one version of the configuration."""

from __future__ import annotations

import asyncio
import os
import random as randomness
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pydantic_core import PydanticSerializationError, to_json

from router_core.complexity.classify import Classifier
from router_core.config import RoutingConfig
from router_core.decision import Reason, Request, RoutingDecision, Status, new_decision_id
from router_core.errors import ConfigError, InputError, ProviderError, UnknownModelError
from router_core.policy import assign
from router_core.prices import PriceBook
from router_core.serving.conversations import Conversations, Warm
from router_core.serving.draft import Draft
from router_core.serving.failover import Chains, Endpoint, Failover
from router_core.serving.hashing import keyed_hash
from router_core.serving.providers import Call, HttpSession, Provider, Reply, http_providers
from router_core.serving.requests import AUTO, check_body, outgoing, request_of

Record = Callable[[RoutingDecision], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class _Live:
    """Everything a version of the configuration brings; a request takes it once and sees no other."""

    config: RoutingConfig
    version: int
    classifier: Classifier
    prices: PriceBook
    providers: Mapping[str, Provider]
    chains: Chains


@dataclass(slots=True)
class Answer:
    """What the caller gets: ``body``, the model's JSON, or ``chunks`` where a stream was asked for.

    ``model`` is the configured model that answered. ``decision`` is set once it is recorded: before ``complete``
    returns, or before the last of ``chunks``.
    """

    decision_id: bytes
    config_version: int
    tier: str
    model: str
    body: bytes = b""
    chunks: Delivery | None = None
    decision: RoutingDecision | None = None


class Router:
    """Routes, serves and records requests.

    ``record`` keeps a decision and returns when it is durable; without it nothing is kept. ``clock`` gives UTC epoch
    milliseconds, ``timer`` seconds for measuring, ``random`` a number in [0, 1), ``new_id`` an id for a decision made
    at a time. Without ``providers`` calls go to the endpoints of the configuration, without ``prices`` the shipped
    price list holds. Raises ``ConfigError`` where a provider of the configuration is missing.
    """

    def __init__(
        self,
        config: RoutingConfig,
        *,
        version: int = 0,
        classifier: Classifier | None = None,
        prices: PriceBook | None = None,
        providers: Mapping[str, Provider] | None = None,
        record: Record | None = None,
        clock: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        timer: Callable[[], float] = time.monotonic,
        random: Callable[[], float] = randomness.random,
        new_id: Callable[[int], bytes] = new_decision_id,
        hash_key: bytes | None = None,
    ) -> None:
        self._record = record
        self._clock = clock
        self._timer = timer
        self._random = random
        self._new_id = new_id
        self._hash_key = os.urandom(32) if hash_key is None else hash_key
        self._session = HttpSession()
        self._failover = Failover(timer=timer)
        self._conversations = Conversations()
        self._live = self._prepare(config, version, classifier, prices, providers)

    @property
    def config(self) -> RoutingConfig:
        """The configuration that the next request will see."""
        return self._live.config

    @property
    def version(self) -> int:
        """Its version."""
        return self._live.version

    def adopt(
        self,
        config: RoutingConfig,
        *,
        version: int,
        classifier: Classifier | None = None,
        prices: PriceBook | None = None,
        providers: Mapping[str, Provider] | None = None,
    ) -> None:
        """Take another version: requests that begin from now on see it whole, those under way finish as they began."""
        self._live = self._prepare(config, version, classifier, prices or self._live.prices, providers)

    def reprice(self, prices: PriceBook) -> None:
        """Price requests that begin from now on with another book."""
        self._live = replace(self._live, prices=prices)

    async def complete(self, body: Mapping[str, Any], request: Request | None = None) -> Answer:
        """Serve one OpenAI chat request and return its answer, recorded.

        ``request`` says what routing is to know of it, of a body that was checked; without one the body is checked and
        that is read from it. With ``stream`` in
        the body the answer comes in pieces and is recorded before the last. Raises ``InputError`` for a body that
        cannot be used, ``UnknownModelError``, and, once it is recorded, the ``ProviderError`` of a request that no
        endpoint answered; what ``record`` raises passes through.
        """
        if request is None:
            request = request_of(check_body(body))
        live = self._live
        draft = self._begin(live, body, request)
        try:
            reply = await self._failover.answer(
                draft.chain,
                lambda endpoint: _call(live, body, endpoint),
                providers=live.providers,
                config=live.config,
                started=draft.started,
                tries=draft.tries,
            )
        except ProviderError as error:
            error.decision_id = draft.id
            await self._keep(draft.ended(self._timer()))
            raise
        except asyncio.CancelledError:
            if draft.tries:  # the call may have been answered, and billed, all the same
                await self._keep(draft.ended(self._timer()))
            raise
        served = draft.tries[-1].endpoint
        if draft.conversation_hash is not None and draft.score is not None:
            self._conversations.keep(draft.conversation_hash, Warm(draft.tier, served.model, draft.started))
        answer = Answer(draft.id, draft.config_version, draft.tier, served.model, reply.body)
        if reply.chunks is None:
            answer.decision = draft.ended(self._timer())
            await self._keep(answer.decision)
        else:
            answer.chunks = Delivery(answer, reply, draft, self._timer, self._keep)
        return answer

    def complete_sync(self, body: Mapping[str, Any], request: Request | None = None) -> Answer:
        """Serve one request from code without an event loop; a stream must be asked for with ``complete``."""
        if body.get("stream"):
            raise InputError("a stream needs an event loop; await Router.complete instead", source="stream")

        async def once() -> Answer:
            try:
                return await self.complete(body, request)
            finally:
                await self.close()  # connections belong to the event loop that ends here

        return asyncio.run(once())

    async def close(self) -> None:
        """Close the connections to the endpoints."""
        await self._session.close()

    def _prepare(
        self,
        config: RoutingConfig,
        version: int,
        classifier: Classifier | None,
        prices: PriceBook | None,
        providers: Mapping[str, Provider] | None,
    ) -> _Live:
        known = http_providers(config, self._session) if providers is None else providers
        for name in config.providers:
            if name not in known:
                raise ConfigError(f"nobody answers for the provider {name!r}", path=f"providers.{name}")
        return _Live(
            config,
            version,
            classifier or Classifier(config),
            _shipped_prices() if prices is None else prices,
            known,
            Chains(config),
        )

    def _begin(self, live: _Live, body: Mapping[str, Any], request: Request) -> Draft:
        started, decided_at_ms = self._timer(), self._clock()
        config, name = live.config, body.get("model", AUTO)
        feature = config.features.get(request.feature)
        team = request.team or (feature.team if feature is not None else None) or ""
        conversation = self._conversation(team, request.conversation)
        score = None
        if name != AUTO:
            if name not in live.chains.by_model:
                raise UnknownModelError(name, tuple(config.models))
            chain = live.chains.by_model[name]
            tier, reason, propensity = chain[0].tier, Reason.NAMED, 1.0
        else:
            score = live.classifier.classify(request)
            warm = None
            if conversation is not None:
                warm = self._conversations.find(conversation, started, config.sticky.warm_seconds)
            assignment = assign(
                score, request, config, draw=self._random(), warm_tier=warm.tier if warm is not None else None
            )
            tier, reason, propensity = assignment.tier, assignment.reason, assignment.propensity
            chain = live.chains.by_tier[tier]
            if warm is not None and reason == Reason.STICKY:
                chain = _led_by(chain, warm.model)
        return Draft(
            id=self._new_id(decided_at_ms),
            decided_at_ms=decided_at_ms,
            started=started,
            config_version=live.version,
            prices=live.prices,
            request=request,
            team=team,
            score=score,
            tier=tier,
            reason=reason,
            propensity=propensity,
            chain=chain,
            prompt_hash=self._prompt(body),
            conversation_hash=conversation,
        )

    def _prompt(self, body: Mapping[str, Any]) -> int:
        try:
            return keyed_hash(self._hash_key, to_json(body["messages"]))
        except PydanticSerializationError as error:
            raise InputError(f"cannot be written as JSON ({error})", source="messages") from None

    def _conversation(self, team: str, conversation: str) -> int | None:
        if not conversation:
            return None
        return keyed_hash(self._hash_key, f"{team}\0{conversation}".encode("utf-8", "replace"))

    async def _keep(self, decision: RoutingDecision) -> None:
        if self._record is not None:
            await self._record(decision)


class Delivery:
    """The pieces of a streamed answer, raw server-sent events; its decision is recorded before the last one.

    Whoever stops early calls ``aclose``: what has passed is then counted and recorded as aborted.
    """

    def __init__(self, answer: Answer, reply: Reply, draft: Draft, timer: Callable[[], float], keep: Record) -> None:
        assert reply.chunks is not None  # the router saw to it
        self._answer = answer
        self._reply = reply
        self._chunks = reply.chunks
        self._draft = draft
        self._timer = timer
        self._keep = keep
        self._ended = False

    def __aiter__(self) -> Delivery:
        return self

    async def __anext__(self) -> bytes:
        """Return the next piece; raises ``ProviderError`` where the stream is cut, once that is recorded."""
        if self._ended:
            raise StopAsyncIteration
        try:
            return await self._chunks.__anext__()
        except StopAsyncIteration:
            await self._end(Status.OK)
            return self._reply.tail
        except BaseException:
            await self.aclose()
            raise

    async def aclose(self) -> None:
        """Stop listening, and record what has passed as aborted; harmless where the stream has ended."""
        if not self._ended:
            self._ended = True
            await self._chunks.aclose()
            await self._end(Status.ABORTED)

    async def _end(self, status: Status) -> None:
        self._ended = True
        self._answer.decision = self._draft.ended(self._timer(), status)
        await self._keep(self._answer.decision)


def _call(live: _Live, body: Mapping[str, Any], endpoint: Endpoint) -> Call:
    return Call(
        endpoint.upstream_model,
        outgoing(body, endpoint.upstream_model, endpoint.max_output_tokens),
        timeout_s=live.config.timeout,
        prompt_id=(body.get("metadata") or {}).get("prompt_id", ""),
        wants_usage=(body.get("stream_options") or {}).get("include_usage") is True,
    )


def _led_by(chain: tuple[Endpoint, ...], model: str) -> tuple[Endpoint, ...]:
    """Return the chain with one of its models first."""
    return tuple(sorted(chain, key=lambda endpoint: endpoint.model != model))


def _shipped_prices() -> PriceBook:
    from router_core.config import data_dir
    from router_core.prices import catalogue, load_price_overrides

    return PriceBook([*catalogue(), *load_price_overrides(data_dir() / "prices.yaml")])
