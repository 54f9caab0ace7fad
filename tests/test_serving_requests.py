"""What callers may send, and what of it routing reads."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_core.errors import InputError
from router_core.serving.messages import prompt_text
from router_core.serving.requests import check_body, outgoing, request_of

HELLO = [{"role": "user", "content": "hello"}]


@pytest.mark.parametrize(
    ("body", "field", "says"),
    [
        ([], None, "not a list"),
        ("text", None, "not text"),
        (None, None, "not null"),
        ({}, "messages", "missing"),
        ({"messages": []}, "messages", "empty"),
        ({"messages": "hello"}, "messages", "is text"),
        ({"messages": ["hello"]}, "messages[0]", "is text"),
        ({"messages": [{"content": "hello"}]}, "messages[0].role", "missing"),
        ({"messages": [*HELLO, {"role": "user", "content": 7}]}, "messages[1].content", "a number"),
        ({"messages": HELLO, "model": 4}, "model", "a number"),
        ({"messages": HELLO, "model": ""}, "model", "text"),
        ({"messages": HELLO, "stream": "yes"}, "stream", "true or false"),
        ({"messages": HELLO, "stream_options": []}, "stream_options", "an object"),
        ({"messages": HELLO, "max_tokens": True}, "max_tokens", "a whole number"),
        ({"messages": HELLO, "max_tokens": "many"}, "max_tokens", "a whole number"),
        ({"messages": HELLO, "n": "two"}, "n", "a whole number"),
        ({"messages": HELLO, "n": True}, "n", "a whole number"),
        ({"messages": HELLO, "metadata": "chat"}, "metadata", "an object"),
        ({"messages": HELLO, "metadata": {"feature": 3}}, "metadata.feature", "must be text"),
        ({"messages": HELLO, "response_format": "json"}, "response_format", "an object"),
    ],
)
def test_a_wrong_type_is_named_with_its_field(body: object, field: str | None, says: str) -> None:
    with pytest.raises(InputError) as caught:
        check_body(body)
    assert caught.value.source == field
    assert says in str(caught.value)


def test_fields_that_routing_does_not_read_pass_through_unchecked() -> None:
    body = {"messages": HELLO, "tools": "whatever", "temperature": [], "seed": "two"}
    assert outgoing(check_body(body), "m", None) == {**body, "model": "m"}


def test_what_the_headers_say_wins_over_the_metadata() -> None:
    body = {"messages": HELLO, "metadata": {"feature": "search", "team": "a", "user_tier": "gold", "conversation": "c"}}
    request = request_of(body, {"feature": "chat", "team": None})
    assert (request.feature, request.team, request.user_tier, request.conversation) == ("chat", "a", "gold", "c")


def test_without_labels_a_request_is_of_the_default_feature() -> None:
    assert request_of({"messages": HELLO}).feature == "default"


def test_a_label_beyond_its_length_is_refused() -> None:
    with pytest.raises(InputError, match="feature: is 201 characters"):
        request_of({"messages": HELLO}, {"feature": "x" * 201})


def test_json_that_is_asked_for_is_an_expected_format() -> None:
    body = {"messages": HELLO, "response_format": {"type": "json_schema"}}
    assert request_of(body).expected_format == "json"
    assert request_of({**body, "response_format": {"type": "text"}}).expected_format == ""


def test_what_is_judged_is_what_people_said_and_read() -> None:
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "First."},
        {"role": "assistant", "content": None, "tool_calls": []},
        {"role": "tool", "content": "42"},
        {"role": "assistant", "content": "Second."},
        {"role": "user", "content": [{"type": "text", "text": "Third."}, {"type": "image_url", "image_url": {}}]},
    ]
    assert request_of({"messages": messages}).text == "First.\n\nSecond.\n\nThird."
    assert "Be brief." in prompt_text({"messages": messages})
    assert "42" in prompt_text({"messages": messages})


def test_our_labels_do_not_reach_the_model_but_the_callers_own_metadata_does() -> None:
    body = {"model": "auto", "messages": HELLO, "metadata": {"feature": "chat", "prompt_id": "p", "trace": "t"}}
    assert outgoing(body, "m", None)["metadata"] == {"trace": "t"}
    assert "metadata" not in outgoing({**body, "metadata": {"feature": "chat"}}, "m", None)
    assert body["metadata"] == {"feature": "chat", "prompt_id": "p", "trace": "t"}


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        ({}, {"max_completion_tokens": 100}),
        ({"max_tokens": 50}, {"max_tokens": 50}),
        ({"max_tokens": 500}, {"max_tokens": 100}),
        ({"max_completion_tokens": 500}, {"max_completion_tokens": 100}),
    ],
)
def test_a_tiers_cap_bounds_what_the_caller_asks_for(asked: dict[str, int], sent: dict[str, int]) -> None:
    assert outgoing({"messages": HELLO, **asked}, "m", 100) == {"messages": HELLO, "model": "m", **sent}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
    max_leaves=12,
)
FIELDS = st.sampled_from(("model", "messages", "stream", "stream_options", "metadata", "max_tokens", "response_format"))


@given(st.dictionaries(FIELDS, json_values) | json_values)
def test_any_json_is_either_refused_with_a_sentence_or_can_be_read(body: object) -> None:
    try:
        checked = check_body(body)
    except InputError:
        return
    assert isinstance(request_of(checked).text, str)
    assert outgoing(checked, "m", 10)["model"] == "m"
