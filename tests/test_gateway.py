"""The gateway as callers meet it: the real client, a real process, a real upstream with every fault."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import openai
import pytest
from gateways import Gateway, gateway, write_config
from upstream import WORDS, upstream

from router_core.decision import Kind, Reason, RoutingDecision, Status, UsageSource
from router_core.usage import Usage

HELLO = [{"role": "user", "content": "hello"}]
ANSWER = "".join(WORDS)
COUNTED = Usage(11, 6, cache_read_input_tokens=3, reasoning_output_tokens=2)
FAULTS = {
    "refused": "http-403",
    "invalid": "http-400",
    "broken": "http-500",
    "slow-to-answer": "hang",
    "busy": "wait-429",
    "page": "html",
    "cuts": "cut",
    "cuts-early": "cut-early",
    "uncounted": "no-usage",
    "choiceless": "no-choices",
    "too-long": "overflow",
    "interrupted": "error-event",
    "paced": "slow",
}
SECRET = "-".join(("sk", "not", "for", "logs"))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("gateway")
    with upstream() as url:
        models = {"cheap": "ok", "strong": "ok", **FAULTS, "nowhere": "ok", "saved": "ok"}
        config = write_config(folder / "config.yaml", url, models, timeout="1.5", cooldown_time="0")
        text = config.read_text().replace("nowhere: {provider: up,", "nowhere: {provider: closed,")
        text += "fallbacks: {busy: [saved], page: [saved], slow-to-answer: [saved], cuts-early: [saved]}\n"
        text = text.replace("providers:\n", 'providers:\n  closed: {base_url: "http://127.0.0.1:9/v1"}\n')
        config.write_text(text)
        with gateway(folder / "ledger.db", config, "--max-body", str(12_000_000), UP_KEY=SECRET) as running:
            yield running


def ask(served: Gateway, model: str, **more: object) -> tuple[str | None, RoutingDecision]:
    """Ask without a stream; return the text and the decision as the ledger has it when the answer is there."""
    raw = served.client().chat.completions.with_raw_response.create(model=model, messages=HELLO, **more)  # type: ignore[call-overload]
    return raw.parse().choices[0].message.content, served.decision(raw.headers["x-tierwise-decision"])


def refused(served: Gateway, model: str, **more: object) -> tuple[openai.APIStatusError, RoutingDecision]:
    """Ask for what must fail; return the client's error and the decision as the ledger has it."""
    with pytest.raises(openai.APIStatusError) as caught:
        served.client().chat.completions.create(model=model, messages=HELLO, **more)  # type: ignore[call-overload]
    return caught.value, served.decision(caught.value.response.headers["x-tierwise-decision"])


def test_auto_is_routed_answered_and_recorded_with_its_headers(served: Gateway) -> None:
    raw = served.client().chat.completions.with_raw_response.create(model="auto", messages=HELLO)
    assert raw.parse().choices[0].message.content == ANSWER
    decision = served.decision(raw.headers["x-tierwise-decision"])
    assert (decision.tier, decision.reason, decision.status) == ("SIMPLE", Reason.POLICY, Status.OK)
    assert (raw.headers["x-tierwise-tier"], raw.headers["x-tierwise-model"]) == ("SIMPLE", "cheap")
    assert raw.headers["x-tierwise-version"] == str(decision.config_version) == "1"
    assert (decision.attempts[0].usage, decision.attempts[0].usage_source) == (COUNTED, UsageSource.PROVIDER)


def test_a_stream_arrives_whole_and_is_recorded_with_its_usage(served: Gateway) -> None:
    with served.client().chat.completions.with_streaming_response.create(
        model="auto", messages=HELLO, stream=True
    ) as raw:
        pieces = list(raw.parse())
        decision = served.decision(raw.headers["x-tierwise-decision"])
    assert "".join(piece.choices[0].delta.content or "" for piece in pieces) == ANSWER
    assert (decision.status, decision.attempts[0].usage) == (Status.OK, COUNTED)
    assert decision.ttft_ms is not None


def test_a_caller_who_asks_for_usage_in_the_stream_gets_it(served: Gateway) -> None:
    pieces = list(
        served.client().chat.completions.create(
            model="auto", messages=HELLO, stream=True, stream_options={"include_usage": True}
        )
    )
    assert pieces[-1].choices == []
    assert pieces[-1].usage is not None
    assert pieces[-1].usage.prompt_tokens == 11


async def test_the_asynchronous_client_works_the_same(served: Gateway) -> None:
    async with served.async_client() as client:
        answer = await client.chat.completions.create(model="auto", messages=HELLO)  # type: ignore[arg-type]
        assert answer.choices[0].message.content == ANSWER
        stream = await client.chat.completions.create(model="auto", messages=HELLO, stream=True)  # type: ignore[arg-type]
        assert "".join([piece.choices[0].delta.content or "" async for piece in stream]) == ANSWER


def test_a_named_model_passes_through_and_is_recorded_unscored(served: Gateway) -> None:
    text, decision = ask(served, "strong")
    assert text == ANSWER
    assert (decision.reason, decision.score, decision.tier) == (Reason.NAMED, None, "STRONG")
    assert decision.attempts[0].model == "strong"


def test_headers_and_metadata_say_what_a_request_is_for(served: Gateway) -> None:
    _, decision = ask(served, "auto", metadata={"feature": "search", "team": "web", "user_tier": "gold"})
    assert (decision.feature, decision.team, decision.user_tier) == ("search", "web", "gold")
    headers = {"x-tierwise-feature": "chat", "x-tierwise-conversation": "c-1"}
    _, decision = ask(served, "auto", metadata={"feature": "search"}, extra_headers=headers)
    assert decision.feature == "chat"
    assert decision.conversation_hash is not None


def test_an_answer_without_usage_is_priced_by_estimate_and_marked(served: Gateway) -> None:
    _, decision = ask(served, "uncounted")
    assert decision.attempts[0].usage_source == UsageSource.ESTIMATED
    assert decision.attempts[0].usage is not None


@pytest.mark.parametrize(
    ("model", "status", "code", "recorded"),
    [
        ("refused", 502, "upstream_refused", Status.REFUSED),
        ("invalid", 400, "upstream_refused", Status.REFUSED),
        ("broken", 502, "upstream_refused", Status.REFUSED),
        ("nowhere", 502, "upstream_refused", Status.REFUSED),
        ("cuts", 502, "upstream_bad_answer", Status.BAD_ANSWER),
        ("choiceless", 502, "upstream_bad_answer", Status.BAD_ANSWER),
        ("too-long", 400, "context_length_exceeded", Status.CONTEXT_OVERFLOW),
    ],
)
def test_a_fault_nobody_covers_has_its_status_and_is_recorded(
    served: Gateway, model: str, status: int, code: str, recorded: Status
) -> None:
    error, decision = refused(served, model)
    assert (error.status_code, error.code) == (status, code)
    assert (decision.status, decision.attempts[-1].status) == (recorded, recorded)


@pytest.mark.parametrize(
    ("model", "recorded"),
    [
        ("page", Status.BAD_ANSWER),
        ("slow-to-answer", Status.TIMEOUT),
        ("cuts-early", Status.BAD_ANSWER),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_a_fault_with_a_fallback_is_answered_and_every_attempt_recorded(
    served: Gateway, model: str, recorded: Status, stream: bool
) -> None:
    if stream:
        with served.client().chat.completions.with_streaming_response.create(
            model=model, messages=HELLO, stream=True
        ) as raw:
            text = "".join(piece.choices[0].delta.content or "" for piece in raw.parse())
            decision = served.decision(raw.headers["x-tierwise-decision"])
    else:
        text, decision = ask(served, model)  # type: ignore[assignment]
    assert text == ANSWER
    assert [(one.model, one.kind, one.status, one.final) for one in decision.attempts] == [
        (model, Kind.ANSWER, recorded, False),
        ("saved", Kind.FAILOVER, Status.OK, True),
    ]


def test_a_model_that_asks_to_wait_is_left_alone_for_as_long(served: Gateway) -> None:
    _, first = ask(served, "busy")
    assert [(one.model, one.status) for one in first.attempts] == [
        ("busy", Status.RATE_LIMITED),
        ("saved", Status.OK),
    ]
    _, second = ask(served, "busy")
    assert [(one.model, one.kind, one.reason) for one in second.attempts] == [("saved", Kind.FAILOVER, "cooling down")]


def test_a_model_that_asks_to_wait_is_passed_on_as_429_with_the_wait(tmp_path: Path) -> None:
    with upstream() as url:
        config = write_config(tmp_path / "c.yaml", url, {"cheap": "wait-429", "strong": "hang"}, timeout="0.3")
        with gateway(tmp_path / "ledger.db", config, UP_KEY="k") as served:
            error, decision = refused(served, "auto")
            assert (error.status_code, error.code) == (429, "rate_limit_exceeded")
            assert error.response.headers["retry-after"] == "3"
            assert decision.status == Status.RATE_LIMITED
            error, decision = refused(served, "strong")
            assert (error.status_code, error.code) == (504, "upstream_timeout")
            assert decision.status == Status.TIMEOUT


def test_a_stream_cut_in_the_middle_ends_with_an_error_and_is_recorded_as_aborted(served: Gateway) -> None:
    with served.client().chat.completions.with_streaming_response.create(
        model="cuts", messages=HELLO, stream=True
    ) as raw:
        stream = raw.parse()
        assert next(iter(stream)).choices[0].delta.content == "The"
        with pytest.raises(openai.APIError, match="broke off its answer"):
            list(stream)
        decision = served.decision(raw.headers["x-tierwise-decision"])
    assert decision.status == Status.ABORTED
    (attempt,) = decision.attempts
    assert attempt.usage_source == UsageSource.ESTIMATED
    assert attempt.usage is not None
    assert attempt.usage.output_tokens > 0


def test_an_error_event_before_the_first_piece_is_an_error_status(served: Gateway) -> None:
    error, decision = refused(served, "interrupted", stream=True)
    assert (error.status_code, decision.status) == (502, Status.BAD_ANSWER)


def test_a_caller_who_leaves_a_stream_is_charged_for_what_came(served: Gateway) -> None:
    with httpx.stream(
        "POST", f"{served.url}/v1/chat/completions", json={"model": "paced", "messages": HELLO, "stream": True}
    ) as response:
        decision_id = response.headers["x-tierwise-decision"]
        next(response.iter_bytes())
    decision = wait_for(served, decision_id)
    assert decision.status == Status.ABORTED
    assert decision.attempts[0].usage_source == UsageSource.ESTIMATED
    assert decision.latency_ms < 1000


def wait_for(served: Gateway, decision_id: str) -> RoutingDecision:
    """Return a decision that is recorded after the caller has left."""
    import time

    from router_core.errors import LedgerError

    deadline = time.monotonic() + 5
    while True:
        try:
            return served.decision(decision_id)
        except LedgerError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def test_an_unknown_model_is_a_404_that_lists_those_there_are(served: Gateway) -> None:
    with pytest.raises(openai.NotFoundError, match="'auto' or one of 'cheap', 'strong'") as caught:
        served.client().chat.completions.create(model="gpt-17", messages=HELLO)  # type: ignore[arg-type]
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")


def test_the_models_are_auto_and_those_configured(served: Gateway) -> None:
    names = [model.id for model in served.client().models.list()]
    assert names[:3] == ["auto", "cheap", "strong"]
    assert [served.client().models.retrieve(name).owned_by for name in names[:2]] == ["tierwise", "up"]
    with pytest.raises(openai.NotFoundError, match="'auto' or one of 'cheap', 'strong'"):
        served.client().models.retrieve("gpt-17")


@pytest.mark.parametrize(
    ("content", "param"),
    [
        (b"", None),
        (b"{", None),
        (b'{"messages": [}', None),
        (b"\xff\xfe", None),
        (b'"text"', None),
        (b"[" * 100_000, None),
        (b'{"messages": [{"role": "user", "content": "\\ud800"}]}', None),
        (b'{"messages": [{"role": "user", "content": "x"}], "temperature": NaN}', None),
        (b'{"model": "auto"}', "messages"),
        (b'{"model": 3, "messages": [{"role": "user", "content": "x"}]}', "model"),
        (b'{"messages": [{"role": "user", "content": {"text": 1}}]}', "messages[0].content"),
    ],
)
def test_a_malformed_request_is_a_400_that_names_the_field(served: Gateway, content: bytes, param: str | None) -> None:
    response = httpx.post(f"{served.url}/v1/chat/completions", content=content)
    error = response.json()["error"]
    assert response.status_code == 400
    assert (error["type"], error["param"]) == ("invalid_request_error", param)
    assert error["message"]


def test_a_prompt_of_ten_megabytes_is_answered(served: Gateway) -> None:
    messages = [{"role": "user", "content": "word " * 2_000_000}]
    raw = served.client().chat.completions.with_raw_response.create(model="auto", messages=messages)  # type: ignore[arg-type]
    assert raw.parse().choices[0].message.content == ANSWER


@pytest.mark.parametrize("announced", [True, False])
def test_a_body_beyond_the_limit_is_a_413(served: Gateway, announced: bool) -> None:
    body = json.dumps({"model": "auto", "messages": [{"role": "user", "content": "word " * 2_500_000}]}).encode()
    content = body if announced else iter([body[:6_000_000], body[6_000_000:]])
    response = httpx.post(f"{served.url}/v1/chat/completions", content=content)
    assert response.status_code == 413
    assert "12,000,000 bytes" in response.json()["error"]["message"]


def test_other_addresses_and_methods_answer_in_the_same_shape(served: Gateway) -> None:
    assert httpx.get(f"{served.url}/v1/embeddings").json()["error"]["code"] == "not_found"
    response = httpx.get(f"{served.url}/v1/chat/completions")
    assert (response.status_code, response.json()["error"]["code"]) == (405, "method_not_allowed")


def test_health_tells_the_version_and_whether_the_ledger_is_there(served: Gateway) -> None:
    assert httpx.get(f"{served.url}/healthz").json() == {"status": "ok", "version": 1, "ledger": "ok"}


def test_the_providers_key_is_sent_upstream_and_appears_nowhere_else(served: Gateway) -> None:
    with pytest.raises(openai.APIStatusError) as caught:
        served.client().chat.completions.create(model="broken", messages=HELLO)  # type: ignore[arg-type]
    assert SECRET not in caught.value.response.text
    assert SECRET not in served.log.read_text()
    for file in served.db.parent.iterdir():
        assert SECRET.encode() not in file.read_bytes()


def test_the_ledger_holds_no_text_and_no_key(served: Gateway) -> None:
    prompt = "an unmistakable sentence about periwinkle submarines"
    served.client().chat.completions.create(model="auto", messages=[{"role": "user", "content": prompt}])
    key = bytes.fromhex(Path(f"{served.db}.key").read_text())
    for file in (served.db, served.db.with_name(served.db.name + "-wal")):
        content = file.read_bytes()
        assert b"periwinkle" not in content
        assert key not in content
        assert key.hex().encode() not in content
