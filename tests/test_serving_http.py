"""HttpProvider against a real upstream process: what it sends, what it reads, and what each fault is called."""

from __future__ import annotations

import asyncio
import json
import socket
import traceback
import urllib.request
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from upstream import USAGE, WORDS, upstream

from router_core.decision import UsageSource
from router_core.errors import (
    BadAnswerError,
    ContextOverflowError,
    ProviderError,
    ProviderRefusedError,
    ProviderTimeoutError,
    RateLimitedError,
)
from router_core.serving.messages import streamed_text
from router_core.serving.providers import Call, HttpProvider, HttpSession, Reply
from router_core.usage import Usage, estimate_tokens

COUNTED = Usage(11, 6, cache_read_input_tokens=3, reasoning_output_tokens=2)
SECRET = "-".join(("sk", "hidden"))
PROMPT = "What is the answer to everything?"


@pytest.fixture(scope="module")
def base_url() -> Iterator[str]:
    with upstream() as url:
        yield url


@pytest.fixture
async def session() -> AsyncIterator[HttpSession]:
    session = HttpSession()
    yield session
    await session.close()


def call(model: str, *, stream: bool = False, timeout_s: float = 5.0, wants_usage: bool = False) -> Call:
    body: dict[str, Any] = {"model": model, "messages": [{"role": "user", "content": PROMPT}]}
    if stream:
        body["stream"] = True
    return Call(model, body, timeout_s=timeout_s, wants_usage=wants_usage)


class Environment(dict[str, str]):
    """Variables that a traceback does not show."""

    def __repr__(self) -> str:
        return "Environment(...)"


async def pieces(reply: Reply) -> bytes:
    assert reply.chunks is not None
    return b"".join([piece async for piece in reply.chunks])


def calls_of(base_url: str, model: str) -> list[dict[str, Any]]:
    with urllib.request.urlopen(base_url.removesuffix("/v1") + "/calls") as response:
        return [one for one in json.load(response)["calls"] if one["body"]["model"] == model]


async def test_an_answer_is_handed_on_byte_for_byte_with_the_tokens_it_counts(
    base_url: str, session: HttpSession
) -> None:
    reply = await HttpProvider("up", base_url, session=session).complete(call("ok"))
    assert json.loads(reply.body)["choices"][0]["message"]["content"] == "".join(WORDS)
    assert (reply.usage, reply.usage_source, reply.reported_cost_nusd) == (COUNTED, UsageSource.PROVIDER, None)


async def test_the_cost_a_provider_states_is_kept_to_the_nano_dollar(base_url: str, session: HttpSession) -> None:
    reply = await HttpProvider("up", base_url, session=session).complete(call("cost"))
    assert reply.reported_cost_nusd == 125_000


async def test_an_answer_without_usage_is_estimated_and_marked(base_url: str, session: HttpSession) -> None:
    reply = await HttpProvider("up", base_url, session=session).complete(call("no-usage"))
    assert reply.usage == Usage(estimate_tokens(PROMPT), estimate_tokens("".join(WORDS)))
    assert reply.usage_source == UsageSource.ESTIMATED


@pytest.mark.parametrize("wants_usage", [False, True])
async def test_a_stream_is_asked_for_usage_and_passes_it_on_only_to_who_asked(
    base_url: str, session: HttpSession, wants_usage: bool
) -> None:
    reply = await HttpProvider("up", base_url, session=session).complete(
        call("ok", stream=True, wants_usage=wants_usage)
    )
    assert reply.usage is None
    passed = await pieces(reply)
    assert (reply.usage, reply.usage_source) == (COUNTED, UsageSource.PROVIDER)
    assert reply.ttft_ms is not None
    assert (json.dumps(USAGE).encode() in passed) is wants_usage
    assert b"[DONE]" not in passed
    assert reply.tail == b"data: [DONE]\n\n"
    assert calls_of(base_url, "ok")[-1]["body"]["stream_options"] == {"include_usage": True}


async def test_a_stream_without_usage_is_estimated_and_marked(base_url: str, session: HttpSession) -> None:
    reply = await HttpProvider("up", base_url, session=session).complete(call("no-usage", stream=True))
    await pieces(reply)
    assert reply.usage == Usage(estimate_tokens(PROMPT), estimate_tokens("".join(WORDS)))
    assert reply.usage_source == UsageSource.ESTIMATED


async def test_a_stream_given_up_is_closed_at_the_model_and_counted_as_far_as_it_came(
    base_url: str, session: HttpSession
) -> None:
    reply = await HttpProvider("up", base_url, session=session).complete(call("slow", stream=True))
    assert reply.chunks is not None
    await anext(reply.chunks)
    await reply.chunks.aclose()
    assert reply.usage is not None
    assert reply.usage.input_tokens == estimate_tokens(PROMPT)
    assert 1 <= reply.usage.output_tokens <= 3
    assert reply.usage_source == UsageSource.ESTIMATED
    for _ in range(40):
        with urllib.request.urlopen(base_url.removesuffix("/v1") + "/calls") as response:
            if json.load(response)["closed_early"]:
                return
        await asyncio.sleep(0.05)
    pytest.fail("the upstream never saw its caller leave")


async def test_connections_are_kept_and_used_again(base_url: str, session: HttpSession) -> None:
    provider = HttpProvider("up", base_url, session=session)
    for stream in (False, True, False, True):
        reply = await provider.complete(call("ok", stream=stream))
        if stream:
            await pieces(reply)
    connector = session.get().connector
    assert connector is not None
    assert sum(len(waiting) for waiting in connector._conns.values()) == 1


FAULTS = [
    ("http-500", ProviderRefusedError, 500),
    ("http-400", ProviderRefusedError, 400),
    ("http-403", ProviderRefusedError, 403),
    ("http-302", ProviderRefusedError, 302),
    ("http-504", ProviderTimeoutError, 504),
    ("http-413", ContextOverflowError, 413),
    ("wait-429", RateLimitedError, 429),
    ("overflow", ContextOverflowError, 400),
    ("html", BadAnswerError, None),
    ("cut", BadAnswerError, None),
    ("cut-early", BadAnswerError, None),
    ("no-choices", BadAnswerError, None),
    ("hang", ProviderTimeoutError, None),
]


@pytest.mark.parametrize(("model", "kind", "status"), FAULTS)
async def test_each_fault_has_its_own_error(
    base_url: str, session: HttpSession, model: str, kind: type[ProviderError], status: int | None
) -> None:
    with pytest.raises(ProviderError) as caught:
        await HttpProvider("up", base_url, session=session).complete(call(model, timeout_s=0.3))
    error = caught.value
    assert type(error) is kind
    assert (error.status, error.provider_name, error.request_model) == (status, "up", model)
    assert "\n" not in str(error)
    if model == "wait-429":
        assert error.retry_after_s == 3.0
    if model == "no-choices":
        assert error.usage == COUNTED


@pytest.mark.parametrize(
    ("model", "kind"),
    [
        ("html", BadAnswerError),
        ("cut-early", BadAnswerError),
        ("error-event", BadAnswerError),
        ("http-500", ProviderRefusedError),
        ("wait-429", RateLimitedError),
        ("hang", ProviderTimeoutError),
    ],
)
async def test_a_stream_that_fails_before_its_first_piece_fails_at_once(
    base_url: str, session: HttpSession, model: str, kind: type[ProviderError]
) -> None:
    with pytest.raises(kind):
        await HttpProvider("up", base_url, session=session).complete(call(model, stream=True, timeout_s=0.3))


@pytest.mark.parametrize(
    "body",
    [
        {"choices": "several"},
        {"choices": [None]},
        {"choices": [{"index": 0}]},
        {"choices": [{"message": "forty-two"}]},
        {"choices": [], "usage": [1]},
        ["choices"],
    ],
)
async def test_json_that_is_no_answer_is_a_bad_one(base_url: str, session: HttpSession, body: object) -> None:
    with pytest.raises(BadAnswerError):
        await HttpProvider("up", base_url, session=session).complete(call(f"raw:{json.dumps(body)}"))


async def test_comments_before_the_first_event_leave_time_to_fail_over(base_url: str, session: HttpSession) -> None:
    provider = HttpProvider("up", base_url, session=session)
    with pytest.raises(BadAnswerError, match="overloaded"):
        await provider.complete(call("mutters-error", stream=True))
    reply = await provider.complete(call("mutters", stream=True, wants_usage=True))
    said = await pieces(reply)
    assert said.startswith(b": still waiting")
    assert streamed_text(said) == "".join(WORDS)
    assert reply.ttft_ms is not None
    assert reply.ttft_ms >= 250  # a comment is no token
    with pytest.raises(BadAnswerError):  # beyond the time-out the stream is passed on as it is
        await pieces(await provider.complete(call("mutters-error", stream=True, timeout_s=0.15)))


@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_without_end_is_given_up(base_url: str, session: HttpSession, stream: bool) -> None:
    with pytest.raises(BadAnswerError, match=r"more than 67,108,864 bytes"):
        await HttpProvider("up", base_url, session=session).complete(call("flood", stream=stream, timeout_s=20))


async def test_a_stream_cut_in_the_middle_says_so_and_counts_what_came(base_url: str, session: HttpSession) -> None:
    reply = await HttpProvider("up", base_url, session=session).complete(call("cut", stream=True))
    assert reply.chunks is not None
    assert b"The" in await anext(reply.chunks)
    with pytest.raises(BadAnswerError):
        await pieces(reply)
    assert reply.usage == Usage(estimate_tokens(PROMPT), estimate_tokens("The answer is"))
    assert reply.usage_source == UsageSource.ESTIMATED


async def test_nothing_listening_is_a_refusal_that_names_the_address(session: HttpSession) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(ProviderRefusedError, match=f"127.0.0.1:{port}") as caught:
        await HttpProvider("up", f"http://127.0.0.1:{port}/v1", session=session).complete(call("ok"))
    assert caught.value.status is None


async def test_an_address_that_is_none_is_a_refusal(session: HttpSession) -> None:
    with pytest.raises(ProviderRefusedError, match="cannot be used"):
        await HttpProvider("up", "recorded:", session=session).complete(call("ok"))


async def test_the_key_is_read_at_each_call_and_sent(base_url: str, session: HttpSession) -> None:
    environ = {"UP_KEY": "sk-first"}
    provider = HttpProvider("up", base_url, session=session, api_key_env="UP_KEY", environ=environ)
    await provider.complete(call("ok"))
    assert calls_of(base_url, "ok")[-1]["authorization"] == "Bearer sk-first"
    environ["UP_KEY"] = " sk-second\n"
    await provider.complete(call("ok"))
    assert calls_of(base_url, "ok")[-1]["authorization"] == "Bearer sk-second"


async def test_a_missing_key_is_named_by_its_variable(base_url: str, session: HttpSession) -> None:
    provider = HttpProvider("up", base_url, session=session, api_key_env="UP_KEY", environ={})
    with pytest.raises(ProviderRefusedError, match="set the environment variable UP_KEY"):
        await provider.complete(call("ok"))


@pytest.mark.parametrize("model", ["echo-key", "hang", "html"])
async def test_no_error_shows_the_key(base_url: str, session: HttpSession, model: str) -> None:
    environ = Environment(UP_KEY=SECRET)
    provider = HttpProvider("up", base_url, session=session, api_key_env="UP_KEY", environ=environ)
    with pytest.raises(ProviderError) as caught:
        await provider.complete(call(model, timeout_s=0.3))
    shown = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
    assert SECRET not in str(caught.value)
    assert SECRET not in caught.value.body
    assert SECRET not in shown


async def test_a_prompt_of_ten_megabytes_is_sent(base_url: str, session: HttpSession) -> None:
    body = {"model": "ok", "messages": [{"role": "user", "content": "word " * 2_000_000}]}
    reply = await HttpProvider("up", base_url, session=session).complete(Call("ok", body))
    assert reply.usage == COUNTED
    assert calls_of(base_url, "ok")[-1]["bytes"] > 10_000_000
