"""The gateway as Anthropic's own client meets it: text, tools, images, streams and errors, routed and recorded."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from gateways import Gateway, gateway, write_config
from upstream import upstream

from router_core.decision import Status
from router_core.errors import InputError
from router_core.gateway.messages import Messages
from router_core.ledger.gateway_keys import create_key
from router_core.ledger.store import open_ledger
from router_core.serving.chunks import streamed
from router_core.usage import Usage

anthropic = pytest.importorskip("anthropic", reason="the anthropic client is not installed")

HELLO: Any = [{"role": "user", "content": "hello"}]
TOOL: Any = {"name": "look_up", "description": "Looks up.", "input_schema": {"type": "object", "properties": {}}}
MODELS = {"cheap": "ok", "strong": "ok", "tools": "calls-tool", "broken": "http-500", "busy": "wait-429", "cuts": "cut"}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("messages")
    with upstream() as url:
        config = write_config(folder / "config.yaml", url, MODELS)
        with gateway(folder / "ledger.db", config, UP_KEY="k") as running:
            yield running


@pytest.fixture
def client(served: Gateway) -> Iterator[Any]:
    with anthropic.Anthropic(base_url=served.url, api_key="any", max_retries=0) as made:
        yield made


def test_a_message_is_routed_answered_and_recorded(served: Gateway, client: Any) -> None:
    raw = client.messages.with_raw_response.create(model="auto", max_tokens=50, messages=HELLO, system="Be brief.")
    message = raw.parse()
    assert [block.text for block in message.content] == ["The answer is forty-two."]
    assert (message.role, message.stop_reason) == ("assistant", "end_turn")
    counts = message.usage
    assert (counts.input_tokens, counts.cache_read_input_tokens, counts.output_tokens) == (8, 3, 6)
    decision = served.decision(raw.headers["x-tierwise-decision"])
    assert (decision.tier, decision.status) == ("SIMPLE", Status.OK)
    assert decision.attempts[0].usage == Usage(11, 6, cache_read_input_tokens=3, reasoning_output_tokens=2)


def test_a_streamed_message_arrives_whole_with_its_usage(served: Gateway, client: Any) -> None:
    with client.messages.stream(model="auto", max_tokens=50, messages=HELLO) as stream:
        pieces = list(stream.text_stream)
        message = stream.get_final_message()
        decision = served.decision(stream.response.headers["x-tierwise-decision"])
    assert "".join(pieces) == "The answer is forty-two."
    assert len(pieces) > 1
    assert (message.stop_reason, message.usage.output_tokens) == ("end_turn", 6)
    assert decision.status == Status.OK
    assert decision.ttft_ms is not None


def test_a_tool_is_offered_called_and_its_result_goes_back(client: Any) -> None:
    message = client.messages.create(model="tools", max_tokens=50, messages=HELLO, tools=[TOOL])
    (use,) = message.content
    assert (use.type, use.name, use.input, message.stop_reason) == ("tool_use", "look_up", {}, "tool_use")
    result = {"type": "tool_result", "tool_use_id": use.id, "content": "found"}
    turns = [*HELLO, {"role": "assistant", "content": message.content}, {"role": "user", "content": [result]}]
    answer = client.messages.create(model="cheap", max_tokens=50, messages=turns, tools=[TOOL])
    assert answer.content[0].text == "The answer is forty-two."


@pytest.mark.parametrize(
    ("model", "kind", "status"),
    [("broken", "api_error", 502), ("busy", "rate_limit_error", 429), ("nobody", "not_found_error", 404)],
)
def test_errors_have_anthropics_shape(client: Any, model: str, kind: str, status: int) -> None:
    with pytest.raises(anthropic.APIStatusError) as caught:
        client.messages.create(model=model, max_tokens=50, messages=HELLO)
    assert caught.value.status_code == status
    assert caught.value.response.json()["error"]["type"] == kind


def test_a_stream_that_is_cut_ends_with_an_error(client: Any) -> None:
    with (
        client.messages.stream(model="cuts", max_tokens=50, messages=HELLO) as stream,
        pytest.raises(anthropic.APIStatusError, match=r"broke off|cut before"),
    ):
        stream.get_final_message()


def test_tokens_are_counted_without_a_call(served: Gateway, client: Any) -> None:
    before = httpx.get(f"{served.url}/metrics").text.count("tierwise_attempts_total{")
    short = client.messages.count_tokens(model="auto", messages=HELLO).input_tokens
    long = client.messages.count_tokens(
        model="auto", messages=[{"role": "user", "content": "hello " * 500}], system="Be brief.", tools=[TOOL]
    ).input_tokens
    assert (short, 500 <= long <= 600) == (1, True)
    assert httpx.get(f"{served.url}/metrics").text.count("tierwise_attempts_total{") == before
    with pytest.raises(anthropic.BadRequestError, match="messages: is empty"):
        client.messages.count_tokens(model="auto", messages=[])


@pytest.mark.parametrize(
    "body",
    [
        [],
        {},
        {"messages": "hello"},
        {"messages": ["hello"]},
        {"messages": [{"role": "user", "content": ["hello"]}]},
        {"messages": HELLO, "tools": [{"type": "web_search_20250305", "name": "web_search"}]},
        {"messages": HELLO, "tools": "all"},
        {"messages": HELLO, "system": {"text": 1}},
        {"messages": HELLO, "metadata": "me"},
        {"messages": [{"role": "user", "content": [{"type": "image"}]}]},
        {"messages": [{"role": "user", "content": [{"type": "document", "source": {"type": "url", "url": "x"}}]}]},
        {"messages": [{"role": "user", "content": [{"type": "search_result", "content": []}]}]},
    ],
)
def test_a_malformed_request_is_a_400_that_says_what_is_wrong(served: Gateway, body: object) -> None:
    response = httpx.post(f"{served.url}/v1/messages", json=body)
    assert response.status_code == 400
    assert response.json()["error"]["type"] == "invalid_request_error"
    assert response.json()["error"]["message"]


def test_documents_and_what_tools_show_go_along_in_their_order() -> None:
    image = {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}}
    pdf = {"type": "document", "title": "bill", "source": {"type": "base64", "media_type": "application/pdf"}}
    pdf["source"]["data"] = "AA"  # type: ignore[index]
    text = {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "40 boxes"}}
    result = {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "seen"}, image]}
    thought = {"type": "thinking", "thinking": "hm", "signature": "s"}
    asked = Messages().request(
        {
            "messages": [
                {"role": "user", "content": [pdf, text, {"type": "text", "text": "Sum up."}]},
                {"role": "assistant", "content": [thought, {"type": "text", "text": "So."}]},
                {"role": "user", "content": [result, {"type": "text", "text": "And?"}]},
            ]
        }
    )
    assert asked["messages"] == [
        {
            "role": "user",
            "content": [
                {"type": "file", "file": {"filename": "bill", "file_data": "data:application/pdf;base64,AA"}},
                {"type": "text", "text": "40 boxes"},
                {"type": "text", "text": "Sum up."},
            ],
        },
        {"role": "assistant", "content": "So."},
        {"role": "tool", "tool_call_id": "t1", "content": "seen"},
        {
            "role": "user",
            "content": [
                {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}},
                {"type": "text", "text": "And?"},
            ],
        },
    ]


def test_what_it_says_is_put_into_openais_form_and_nothing_is_lost() -> None:
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA"}}
    use = {"type": "tool_use", "id": "t1", "name": "look_up", "input": {"a": 1}}
    asked = Messages().request(
        {
            "model": "auto",
            "max_tokens": 9,
            "stream": True,
            "system": [{"type": "text", "text": "One."}, {"type": "text", "text": "Two."}],
            "stop_sequences": ["END"],
            "metadata": {"user_id": "u1", "feature": "chat"},
            "tools": [TOOL],
            "tool_choice": {"type": "tool", "name": "look_up", "disable_parallel_tool_use": True},
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": "See:"}, image]},
                {"role": "assistant", "content": [{"type": "text", "text": "I look."}, use]},
                {
                    "role": "user",
                    "content": [
                        {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "found"}]},
                        {"type": "text", "text": "And?"},
                    ],
                },
            ],
        }
    )
    assert asked["messages"] == [
        {"role": "system", "content": "One.\n\nTwo."},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "See:"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}},
            ],
        },
        {
            "role": "assistant",
            "content": "I look.",
            "tool_calls": [{"id": "t1", "type": "function", "function": {"name": "look_up", "arguments": '{"a":1}'}}],
        },
        {"role": "tool", "tool_call_id": "t1", "content": "found"},
        {"role": "user", "content": "And?"},
    ]
    assert (asked["stop"], asked["user"], asked["metadata"]) == (["END"], "u1", {"feature": "chat"})
    assert asked["tools"][0]["function"]["parameters"] == TOOL["input_schema"]
    assert asked["tool_choice"]["function"]["name"] == "look_up"
    assert asked["parallel_tool_calls"] is False
    assert asked["stream_options"] == {"include_usage": True}
    with pytest.raises(InputError):
        Messages().request({"messages": [3]})


async def test_a_streamed_call_of_two_tools_becomes_two_blocks() -> None:
    calls = [
        {"id": f"c{n}", "type": "function", "function": {"name": "look_up", "arguments": f'{{"n":{n}}}'}}
        for n in (1, 2)
    ]
    answer = {
        "id": "x",
        "model": "m",
        "choices": [{"index": 0, "message": {"content": "Both.", "tool_calls": calls}, "finish_reason": "tool_calls"}],
    }
    form = Messages().pieces()
    assert form is not None
    out = b"".join([form.feed(piece) async for piece in streamed(answer, wants_usage=False)])
    out += form.feed(b"data: [DONE]\n\n")
    events = [json.loads(line[6:]) for line in out.splitlines() if line.startswith(b"data: ")]
    assert [event["type"] for event in events] == [
        "message_start",
        *("content_block_start", "content_block_delta", "content_block_stop") * 3,
        "message_delta",
        "message_stop",
    ]
    assert events[-2]["delta"]["stop_reason"] == "tool_use"


def test_the_key_may_come_as_anthropics_clients_send_it(tmp_path: Path) -> None:
    with upstream() as url:
        config = write_config(tmp_path / "c.yaml", url, {"cheap": "ok", "strong": "ok"})
        with gateway(tmp_path / "ledger.db", config, UP_KEY="k"):
            pass
        with open_ledger(tmp_path / "ledger.db") as ledger:
            key = create_key(ledger, name="ours", team="web")
        with (
            gateway(tmp_path / "ledger.db", UP_KEY="k") as served,
            anthropic.Anthropic(base_url=served.url, api_key=key, max_retries=0) as known,
            anthropic.Anthropic(base_url=served.url, api_key="wrong", max_retries=0) as stranger,
        ):
            assert known.messages.create(model="auto", max_tokens=5, messages=HELLO).content
            assert [one.id for one in known.models.list()][:2] == ["auto", "cheap"]
            assert known.models.retrieve("auto").id == "auto"
            assert httpx.get(f"{served.url}/metrics").status_code == 401
            told = httpx.get(f"{served.url}/metrics", headers={"authorization": f"Bearer {key}"})
            assert "tierwise_decisions_total" in told.text
            with pytest.raises(anthropic.AuthenticationError):
                stranger.messages.create(model="auto", max_tokens=5, messages=HELLO)
