"""Router: one request from its text to its recorded answer, under one version of the configuration."""

from __future__ import annotations

import os
import random as randomness
import threading
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from router_core.complexity.classify import Classifier
from router_core.complexity.lengths import Lengths
from router_core.config import Cache, RoutingConfig, default_config, load_config
from router_core.decision import Reason, Request, RoutingDecision, Status, Strategy, new_decision_id
from router_core.errors import BudgetExceededError, InputError, ProviderError
from router_core.prices import PriceBook
from router_core.serving.budget import Purse
from router_core.serving.cache import AnswerCache, AnswerStore, Hit, MemoryAnswers
from router_core.serving.cascade import cascade
from router_core.serving.chain import chain
from router_core.serving.chunks import streamed
from router_core.serving.compress import Summaries, compress
from router_core.serving.conversations import Conversations, Warm
from router_core.serving.delivery import Answer, Delivery
from router_core.serving.draft import Draft
from router_core.serving.embed import score_by_embedding
from router_core.serving.failover import Endpoint, Failover, Try
from router_core.serving.foreseen import call_nusd
from router_core.serving.job import Job, direct
from router_core.serving.judge import ask_judge, judge_call
from router_core.serving.live import Live, prepare
from router_core.serving.loop import LoopThread
from router_core.serving.messages import answer_values
from router_core.serving.plan import Plan
from router_core.serving.providers import Provider, Reply
from router_core.serving.providers.events import DONE
from router_core.serving.rated import Rated
from router_core.serving.recall import Recall
from router_core.serving.requests import body_of
from router_core.serving.shadow import compare
from router_core.serving.spending import set_aside, set_aside_nusd, settle
from router_core.serving.start import Start

if TYPE_CHECKING:
    from router_core.serving.providers import HttpSession

DEFAULT_FEATURE = Request("").feature
Record = Callable[[RoutingDecision], Awaitable[None]]
Capture = Callable[[bytes, str, int, int], None]
"""Keeps the text of a request: given the decision's id, the text, when it was decided, and for how many days."""

__all__ = ["Answer", "Delivery", "Record", "Router"]


class Router:
    """Routes, serves and records requests.

    ``record`` keeps a decision and returns when it is durable; without it nothing is kept. ``clock`` gives UTC epoch
    milliseconds, ``timer`` seconds for measuring, ``random`` a number in [0, 1), ``new_id`` an id for a decision made
    at a time. ``answers`` keeps answers for the cache (in memory without it), ``purse`` what budgets have spent
    (without it there are none), ``capture`` is given the text of requests that the configuration wants kept,
    ``conversations`` are those that are warm already. Without ``providers`` calls go to the endpoints of the
    configuration, without ``prices`` the shipped price list holds. Raises ``ConfigError`` where a provider of the
    configuration is missing.
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
        answers: AnswerStore | None = None,
        purse: Purse | None = None,
        capture: Capture | None = None,
        conversations: Conversations | None = None,
    ) -> None:
        self._record = record
        self._capture = capture
        self._purse = purse
        self._loop: LoopThread | None = None
        self._loop_door = threading.Lock()
        self._timer = timer
        self._random = random
        self._hash_key = os.urandom(32) if hash_key is None else hash_key
        self._cache = AnswerCache(answers or MemoryAnswers(), self._hash_key)
        self._outdated: list[AnswerCache] = []  # requests under way may still use them
        self._session: HttpSession | None = None
        self._failover = Failover(timer=timer)
        self._conversations = Conversations() if conversations is None else conversations
        self._start = Start(self._hash_key, self._conversations, clock=clock, timer=timer, random=random, new_id=new_id)
        self._summaries = Summaries()
        self._rated = Rated()
        self._lengths = Lengths()
        self._live = self._prepare(config, version, classifier, prices, providers)

    @classmethod
    def from_file(cls, path: str | Path | None = None, **arguments: Any) -> Router:
        """Return a router for the configuration in a YAML file, the shipped one without; raises ``ConfigError``."""
        return cls(default_config() if path is None else load_config(path), **arguments)

    @property
    def config(self) -> RoutingConfig:
        """The configuration that the next request will see."""
        return self._live.config

    @property
    def version(self) -> int:
        """Its version."""
        return self._live.version

    @property
    def resting(self) -> int:
        """How many endpoints are cooling down."""
        return self._failover.cooldowns.resting(self._timer())

    def adopt(
        self,
        config: RoutingConfig,
        *,
        version: int,
        classifier: Classifier | None = None,
        prices: PriceBook | None = None,
        providers: Mapping[str, Provider] | None = None,
        answers: AnswerStore | None = None,
    ) -> None:
        """Take another version: requests that begin from now on see it whole, those under way finish as they began.

        ``answers`` is where cached answers are kept from now on, where that is to change.
        """
        self._live = self._prepare(config, version, classifier, prices or self._live.prices, providers)
        if answers is not None:
            self._outdated.append(self._cache)
            self._cache = AnswerCache(answers, self._hash_key)

    def reprice(self, prices: PriceBook) -> None:
        """Price requests that begin from now on with another book."""
        self._live = replace(self._live, prices=prices)

    async def complete(
        self, asked: Mapping[str, Any] | Sequence[Mapping[str, Any]], request: Request | None = None, **settings: Any
    ) -> Answer:
        """Serve one request, the body of an OpenAI chat completion or its messages alone, and return its answer.

        ``settings`` are fields of the body, and what routing may know beside it: ``feature``, ``team``,
        ``conversation``, ``user_tier``, ``expected_format``, ``language``. The gateway gives all of that as
        ``request``, of a body that was checked. With ``stream`` the answer comes in pieces and is recorded before the
        last; else it is recorded before it is returned.
        Raises ``InputError`` for a body that cannot be used, ``UnknownModelError``, ``BudgetExceededError``, and, once
        it is recorded, the ``ProviderError`` of a request that no endpoint answered; what ``record`` raises passes
        through.
        """
        body: Mapping[str, Any]
        if request is None:
            body, request = body_of(asked, settings)
        else:
            assert isinstance(asked, Mapping)  # a body that was checked
            body = asked
        live = self._live
        draft = self._start.draft(live, body, request)
        job = Job(live, body, draft, self._failover)
        plan = live.plans.of(request.feature)
        try:
            if live.embedder is not None and draft.unsure:
                await self._ask_embedder(job, live.embedder)
            if live.asks_judge and draft.unsure:
                await self._ask_judge(job)
            if live.config.budgets and self._purse is not None:
                await set_aside(job, plan, self._purse)
            if plan.plain or (draft.reason == Reason.NAMED and plan.cache is None):
                one = await direct(job)
            else:
                return await self._planned(job, plan)
        except (ProviderError, BudgetExceededError) as error:
            error.decision_id = draft.id
            await self._keep(draft, draft.ended(self._timer()))
            raise
        except BaseException:
            if draft.kept:  # it was answered, and only the wait for its record was cut short
                raise
            if draft.tries:  # the call may have been answered, and billed, all the same
                draft.outcome = Status.ABORTED
                await self._keep(draft, draft.ended(self._timer()))
            else:
                await settle(draft, draft.ended(self._timer()), self._purse)
            raise
        return await self._deliver(job, one)

    def complete_sync(self, asked: Mapping[str, Any] | Sequence[Mapping[str, Any]], **settings: Any) -> Answer:
        """Serve one request as ``complete`` does, from code without an event loop; it must not be a stream.

        All such calls, from any thread, share one loop on a thread of its own, and its connections; ``close_sync``
        ends it.
        """
        if settings.get("stream") or (isinstance(asked, Mapping) and asked.get("stream")):
            raise InputError("a stream needs an event loop; await Router.complete instead", source="stream")
        with self._loop_door:
            if self._loop is None:
                self._loop = LoopThread(None if self._session is None else self._session.close)
            loop = self._loop
        return loop.run(self.complete(asked, **settings))

    async def close(self) -> None:
        """Close the connections to the endpoints, and where answers are cached."""
        if self._session is not None:
            await self._session.close()
        for cache in (*self._outdated, self._cache):
            await cache.close()

    def close_sync(self) -> None:
        """Close what ``complete_sync`` opened; harmless where it was not used."""
        with self._loop_door:
            loop, self._loop = self._loop, None
        if loop is not None:
            loop.close()

    async def _planned(self, job: Job, plan: Plan) -> Answer:
        """Serve a request that has more to it than being passed on: a cache, compression, a cascade, a chain."""
        draft, recall = job.draft, None
        named = draft.reason == Reason.NAMED
        if plan.cache is not None:
            recall = Recall.of(job, self._cache, plan.cache)
            hit = await recall.find()
            if hit is not None:
                return await self._from_cache(job, hit, plan.cache)
        if plan.compress is not None and not named:
            await compress(job, plan.compress, self._summaries)
        if plan.strategy == Strategy.CASCADE and not named:
            draft.strategy = Strategy.CASCADE
            one = await cascade(job, plan)
        elif plan.strategy == Strategy.CHAIN and not named:
            draft.strategy = Strategy.CHAIN
            one = await chain(job)
        else:
            one = await direct(job)
        return await self._deliver(job, one, recall)

    async def _from_cache(self, job: Job, hit: Hit, settings: Cache) -> Answer:
        """Answer from the cache; no model is called, but for a sampled comparison."""
        draft = job.draft
        draft.strategy = Strategy.CACHE_SEMANTIC if hit.semantic else Strategy.CACHE_EXACT
        if hit.semantic and settings.false_hit_sample > 0.0 and self._random() < settings.false_hit_sample:
            await compare(job, hit.answer)
        draft.outcome = Status.OK
        answer = Answer(draft.id, draft.config_version, draft.tier, "", hit.answer, strategy=draft.strategy)
        return await self._finished(job, answer, Reply(hit.answer))

    async def _deliver(self, job: Job, one: Try, recall: Recall | None = None) -> Answer:
        """Hand over what a try answered, recorded, and kept where a cache is to have it."""
        draft, reply = job.draft, one.reply
        assert reply is not None  # it was answered
        draft.final = one
        served = one.endpoint
        if draft.conversation_hash is not None and draft.score is not None:
            self._conversations.keep(draft.conversation_hash, Warm(draft.tier, served.model, draft.started))
        answer = Answer(draft.id, draft.config_version, draft.tier, served.model, reply.body, strategy=draft.strategy)
        if recall is None:
            return await self._finished(job, answer, reply)
        if reply.chunks is not None:
            return await self._finished(job, answer, reply, recall.keep_pieces)
        await recall.keep(reply.body)
        return await self._finished(job, answer, reply)

    async def _finished(
        self, job: Job, answer: Answer, reply: Reply, keep: Callable[[bytes], Awaitable[None]] | None = None
    ) -> Answer:
        draft = job.draft
        if reply.chunks is None and not job.body.get("stream"):
            answer.decision = draft.ended(self._timer())
            await self._keep(draft, answer.decision)
            return answer
        if reply.chunks is None:  # held back until it was accepted, or from the cache
            reply = Reply(chunks=streamed(answer_values(reply.body), wants_usage=job.wants_usage), tail=DONE)
        answer.body = b""
        answer.chunks = Delivery(
            answer, reply, draft, self._timer, self._keep, most_s=job.live.config.stream_timeout, kept=keep
        )
        return answer

    async def _ask_embedder(self, job: Job, embedder: Endpoint) -> None:
        score = self._rated.find(embedder.model, job)
        if score is None:
            score = await score_by_embedding(job, embedder)
        if score is not None:
            self._rated.keep(embedder.model, job, score)
            job.draft.score = score
            self._start.assign(job.live, job.draft)

    async def _ask_judge(self, job: Job) -> None:
        draft = job.draft
        chain, body = judge_call(job)
        score = self._rated.find(chain[0].model, job)
        if score is None:
            if job.live.config.budgets and self._purse is not None:
                await set_aside_nusd(job, call_nusd(job, body, chain[0]), self._purse)
            score = await ask_judge(job, chain, body)
        if score is not None:
            self._rated.keep(chain[0].model, job, score)
            draft.score = score
            self._start.assign(job.live, draft)

    def _prepare(
        self,
        config: RoutingConfig,
        version: int,
        classifier: Classifier | None,
        prices: PriceBook | None,
        providers: Mapping[str, Provider] | None,
    ) -> Live:
        known = self._endpoints(config) if providers is None else providers
        live = prepare(config, version, classifier, prices, known)
        live.classifier.lengths = self._lengths
        return live

    def _endpoints(self, config: RoutingConfig) -> Mapping[str, Provider]:
        from router_core.serving.providers import HttpSession, http_providers

        if self._session is None:
            self._session = HttpSession()
        return http_providers(config, self._session)

    async def _keep(self, draft: Draft, decision: RoutingDecision) -> None:
        final = draft.final
        if final is not None and final.usage is not None and decision.status == Status.OK:
            self._lengths.observe(draft.request.feature, final.usage.output_tokens)
        draft.kept = True
        try:
            await settle(draft, decision, self._purse)
        finally:  # whoever gives up meanwhile leaves it on record all the same
            if self._record is not None:
                await self._record(decision)
        if self._capture is not None and draft.captured:
            self._capture(draft.id, draft.request.text, draft.decided_at_ms, draft.capture.retention_days)
