"""Fail-over: who is asked next, who rests, and what is recorded of each try."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator

import pytest

from router_core.config import RoutingConfig, build_config
from router_core.decision import Kind, RoutingDecision, Status
from router_core.errors import (
    BadAnswerError,
    ContextOverflowError,
    ProviderError,
    ProviderRefusedError,
    ProviderTimeoutError,
    RateLimitedError,
)
from router_core.prices import PriceBook, price_from_entry
from router_core.serving.failover import Chains
from router_core.serving.providers import Call, Reply
from router_core.serving.router import Router
from router_core.usage import Usage

BODY = {"messages": [{"role": "user", "content": "hello"}]}
OK = Usage(100, 10)
PRICES = PriceBook(
    price_from_entry({"provider": "p", "model": model, "effective_from": "2020-01-01", "input": "1", "output": "2"})
    for model in ("one", "two", "three")
)


class Scripted:
    """A provider that does what it is told, in order, and then answers."""

    def __init__(self, **script: list[ProviderError]) -> None:
        self.asked: list[str] = []
        self._script = defaultdict(list, script)

    async def complete(self, call: Call) -> Reply:
        self.asked.append(call.model)
        if self._script[call.model]:
            raise self._script[call.model].pop(0)
        return Reply(b"{}", usage=OK)


class Timer:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def config(**settings: object) -> RoutingConfig:
    return build_config(
        {
            "tiers": [
                {"name": "SIMPLE", "models": ["one", "two"]},
                {"name": "STRONG", "models": ["three"], "score_min": 100},
            ],
            "models": {name: {"provider": "p"} for name in ("one", "two", "three")},
            "providers": {"p": {"base_url": "http://nowhere"}},
            **settings,
        }
    )


class Bench:
    """A router on a scripted provider, and what it recorded."""

    def __init__(self, settings: RoutingConfig | None = None, **script: list[ProviderError]) -> None:
        self.provider = Scripted(**script)
        self.timer = Timer()
        self.kept: list[RoutingDecision] = []
        self.router = Router(
            settings or config(), prices=PRICES, providers={"p": self.provider}, record=self.keep, timer=self.timer
        )

    async def keep(self, decision: RoutingDecision) -> None:
        self.kept.append(decision)

    async def ask(self) -> str:
        return (await self.router.complete({**BODY, "model": "auto"})).model


REFUSED = ProviderRefusedError("no", status=403)


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (ProviderRefusedError("nothing listens"), Status.REFUSED, "refused"),
        (ProviderRefusedError("no", status=400), Status.REFUSED, "refused 400"),
        (ProviderRefusedError("broken", status=500), Status.REFUSED, "refused 500"),
        (ProviderTimeoutError("late"), Status.TIMEOUT, "timeout"),
        (RateLimitedError("wait", status=429), Status.RATE_LIMITED, "rate_limited 429"),
        (ContextOverflowError("long", status=400), Status.CONTEXT_OVERFLOW, "context_overflow 400"),
        (BadAnswerError("html"), Status.BAD_ANSWER, "bad_answer"),
    ],
)
async def test_whatever_fails_the_next_model_answers_and_both_tries_are_recorded(
    error: ProviderError, status: Status, reason: str
) -> None:
    bench = Bench(one=[error])
    assert await bench.ask() == "two"
    (decision,) = bench.kept
    failed, answered = decision.attempts
    assert (failed.model, failed.kind, failed.status, failed.final) == ("one", Kind.ANSWER, status, False)
    assert (failed.reason, failed.usage, failed.list_cost_nusd) == (reason, None, None)
    assert (answered.model, answered.kind, answered.status, answered.final) == ("two", Kind.FAILOVER, Status.OK, True)
    assert decision.status == Status.OK
    assert decision.cost_nusd == answered.list_cost_nusd == 100 * 1000 + 10 * 2000


async def test_tokens_that_a_broken_answer_counted_are_priced() -> None:
    bench = Bench(one=[BadAnswerError("no choices", usage=Usage(50, 0))])
    await bench.ask()
    assert bench.kept[0].attempts[0].list_cost_nusd == 50_000
    assert bench.kept[0].cost_nusd == 170_000


async def test_when_nobody_answers_the_last_error_is_raised_and_the_decision_recorded() -> None:
    last = RateLimitedError("wait", status=429, retry_after_s=7)
    bench = Bench(one=[REFUSED], two=[last])
    with pytest.raises(RateLimitedError) as caught:
        await bench.ask()
    (decision,) = bench.kept
    assert caught.value is last
    assert last.decision_id == decision.id
    assert decision.status == Status.RATE_LIMITED
    assert [attempt.final for attempt in decision.attempts] == [False, True]


@pytest.mark.parametrize(
    ("error", "asked"),
    [
        (ProviderTimeoutError("late"), ["one", "one", "one"]),
        (ProviderRefusedError("broken", status=503), ["one", "one", "one"]),
        (BadAnswerError("cut"), ["one", "one", "one"]),
        (ProviderRefusedError("nothing listens"), ["one", "two"]),
        (ProviderRefusedError("bad request", status=400), ["one", "two"]),
        (RateLimitedError("wait"), ["one", "two"]),
        (ContextOverflowError("long"), ["one", "two"]),
    ],
)
async def test_the_same_model_is_tried_again_only_where_that_can_help(error: ProviderError, asked: list[str]) -> None:
    bench = Bench(config(num_retries=2), one=[error, error])
    await bench.ask()
    assert bench.provider.asked == asked
    assert [attempt.kind for attempt in bench.kept[0].attempts][1:] == [Kind.FAILOVER] * (len(asked) - 1)


async def test_a_failing_model_rests_for_the_cooldown_and_then_serves_again() -> None:
    bench = Bench(config(cooldown_time=30), one=[ProviderTimeoutError("late")])
    await bench.ask()
    bench.timer.now += 29
    assert await bench.ask() == "two"
    (attempt,) = bench.kept[1].attempts
    assert (attempt.kind, attempt.reason) == (Kind.FAILOVER, "cooling down")
    bench.timer.now += 1
    assert await bench.ask() == "one"
    assert bench.kept[2].attempts[0].kind == Kind.ANSWER


async def test_a_model_that_asks_to_wait_rests_as_long_as_it_asks() -> None:
    bench = Bench(config(cooldown_time=1), one=[RateLimitedError("wait", retry_after_s=60)])
    await bench.ask()
    bench.timer.now += 59
    assert await bench.ask() == "two"
    bench.timer.now += 1
    assert await bench.ask() == "one"


@pytest.mark.parametrize("error", [ProviderRefusedError("bad", status=400), ContextOverflowError("long", status=400)])
async def test_a_fault_of_the_request_does_not_make_its_model_rest(error: ProviderError) -> None:
    bench = Bench(one=[error])
    await bench.ask()
    assert await bench.ask() == "one"


async def test_when_all_rest_all_are_asked_all_the_same() -> None:
    bench = Bench(one=[REFUSED], two=[REFUSED])
    with pytest.raises(ProviderRefusedError):
        await bench.ask()
    assert await bench.ask() == "one"


async def test_fallbacks_follow_the_tiers_own_models() -> None:
    bench = Bench(config(fallbacks={"one": ["three"]}), one=[REFUSED], two=[REFUSED])
    assert await bench.ask() == "three"
    assert bench.provider.asked == ["one", "two", "three"]
    assert [attempt.tier for attempt in bench.kept[0].attempts] == ["SIMPLE", "SIMPLE", "STRONG"]
    assert bench.kept[0].tier == "SIMPLE"


def test_fallbacks_that_go_in_a_circle_end() -> None:
    chains = Chains(config(fallbacks={"one": ["two"], "two": ["three"], "three": ["one"]}))
    assert [endpoint.model for endpoint in chains.by_tier["SIMPLE"]] == ["one", "two", "three"]
    assert [endpoint.model for endpoint in chains.by_model["three"]] == ["three", "one", "two"]


async def test_after_its_rest_one_request_tries_a_model_and_the_others_wait_for_its_verdict() -> None:
    bench = Bench(config(cooldown_time=30), one=[BadAnswerError("html")])
    assert await bench.ask() == "two"
    bench.timer.now += 31
    gate = asyncio.Event()
    complete = bench.provider.complete

    async def slowly(call: Call) -> Reply:
        if call.model == "one":
            await gate.wait()
        return await complete(call)

    bench.provider.complete = slowly  # type: ignore[method-assign]
    probe = asyncio.ensure_future(bench.ask())
    await asyncio.sleep(0)
    assert [await bench.ask() for _ in range(3)] == ["two", "two", "two"]
    gate.set()
    assert await probe == "one"
    assert await bench.ask() == "one"


async def test_a_model_that_fails_its_trial_rests_again() -> None:
    bench = Bench(config(cooldown_time=30), one=[BadAnswerError("html"), BadAnswerError("html")])
    assert await bench.ask() == "two"
    bench.timer.now += 31
    assert await bench.ask() == "two"
    bench.timer.now += 29
    assert await bench.ask() == "two"
    assert bench.provider.asked == ["one", "two", "one", "two", "two"]
    bench.timer.now += 2
    assert await bench.ask() == "one"


async def test_a_trial_that_nobody_waits_for_does_not_hold_the_model_back_for_ever() -> None:
    bench = Bench(config(cooldown_time=30, timeout=5), one=[BadAnswerError("html")])
    await bench.ask()
    bench.timer.now += 31
    never = asyncio.Event()

    async def hang(_call: Call) -> Reply:
        await never.wait()
        raise AssertionError

    complete, bench.provider.complete = bench.provider.complete, hang  # type: ignore[method-assign]
    probe = asyncio.ensure_future(bench.ask())
    await asyncio.sleep(0)
    probe.cancel()
    bench.provider.complete = complete  # type: ignore[method-assign]
    assert await bench.ask() == "two"
    bench.timer.now += 6
    assert await bench.ask() == "one"


async def test_a_provider_that_raises_what_it_should_not_is_recorded_and_stood_in_for(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench = Bench(one=[ZeroDivisionError("secret detail")])  # type: ignore[list-item]
    assert await bench.ask() == "two"
    (decision,) = bench.kept
    assert (decision.attempts[0].status, decision.attempts[0].reason) == (Status.BAD_ANSWER, "bad_answer")
    assert "ZeroDivisionError" in caplog.text


async def test_a_stream_that_breaks_in_an_unforeseen_way_is_recorded() -> None:
    async def pieces() -> AsyncGenerator[bytes]:
        yield b"data: {}\n\n"
        raise ZeroDivisionError

    class Breaking:
        async def complete(self, _call: Call) -> Reply:
            return Reply(chunks=pieces(), usage=OK)

    bench = Bench()
    bench.router.adopt(config(), version=2, providers={"p": Breaking()})
    answer = await bench.router.complete({**BODY, "model": "auto", "stream": True})
    assert answer.chunks is not None
    with pytest.raises(BadAnswerError, match="broke off"):
        [piece async for piece in answer.chunks]
    (decision,) = bench.kept
    assert decision.status == Status.ABORTED


async def test_a_stream_that_goes_on_for_ever_is_cut() -> None:
    bench = Bench()

    async def pieces() -> AsyncGenerator[bytes]:
        while True:
            bench.timer.now += 1
            yield b"data: {}\n\n"

    class Endless:
        async def complete(self, _call: Call) -> Reply:
            return Reply(chunks=pieces(), usage=OK)

    bench.router.adopt(config(stream_timeout=10), version=2, providers={"p": Endless()})
    answer = await bench.router.complete({**BODY, "model": "auto", "stream": True})
    assert answer.chunks is not None
    for _ in range(10):
        assert await anext(answer.chunks) == b"data: {}\n\n"
    with pytest.raises(ProviderTimeoutError, match="after 10 s"):
        await anext(answer.chunks)
    (decision,) = bench.kept
    assert (decision.status, decision.attempts[0].status) == (Status.TIMEOUT, Status.TIMEOUT)
    assert decision.cost_nusd
