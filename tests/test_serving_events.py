"""Streams on their way through: nothing is changed, and what matters is seen wherever the bytes are cut."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_core.errors import BadAnswerError
from router_core.serving.messages import streamed_text
from router_core.serving.providers.events import EventReader


def event(data: object, end: str = "\n\n") -> bytes:
    return f"data: {json.dumps(data)}{end}".encode()


def token(text: str, end: str = "\n\n") -> bytes:
    return event({"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}], "usage": None}, end)


STOP = event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
USAGE = event({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}})
DONE = b"data: [DONE]\n\n"


def read(reader: EventReader, pieces: list[bytes]) -> bytes:
    return b"".join(reader.feed(piece) for piece in pieces)


@given(
    st.lists(st.text(max_size=20), max_size=6),
    st.lists(st.integers(0, 2000), max_size=12),
    st.sampled_from(("\n\n", "\r\n\r\n")),
)
def test_however_the_bytes_are_cut_the_same_events_pass_and_the_same_is_seen(
    texts: list[str], cuts: list[int], end: str
) -> None:
    tokens = b": a comment\n\n" + b"".join(token(text, end) for text in texts)
    stream = tokens + STOP + USAGE + DONE
    marks = sorted({0, len(stream), *(cut % len(stream) for cut in cuts)})
    reader = EventReader(wants_usage=False)
    passed = read(reader, [stream[a:b] for a, b in pairwise(marks)])
    assert passed == tokens + STOP
    assert reader.done
    assert reader.finished
    assert reader.usage == {"prompt_tokens": 3, "completion_tokens": 2}
    assert reader.spoke == any(texts)
    assert streamed_text(passed) == "".join(texts)


def test_the_usage_event_reaches_a_caller_who_asked_for_it() -> None:
    assert read(EventReader(wants_usage=True), [token("a") + STOP + USAGE + DONE]) == token("a") + STOP + USAGE


def test_usage_beside_an_answer_passes_whoever_asked() -> None:
    both = event({"choices": [{"delta": {"content": "a"}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 1}})
    reader = EventReader(wants_usage=False)
    assert reader.feed(both) == both
    assert reader.finished
    assert reader.usage == {"prompt_tokens": 1}


def test_what_a_model_says_about_usage_or_done_is_only_text() -> None:
    text = token('"usage": {"prompt_tokens": 9} "finish_reason": "stop" "error": {} \ndata: [DONE]\n\n')
    reader = EventReader(wants_usage=False)
    assert reader.feed(text) == text
    assert (reader.usage, reader.finished, reader.done) == (None, False, False)


def test_an_error_inside_the_stream_is_raised_with_its_words() -> None:
    reader = EventReader(wants_usage=False)
    with pytest.raises(BadAnswerError) as caught:
        reader.feed(event({"error": {"message": "overloaded", "code": 529}}))
    assert "overloaded" in caught.value.body


def test_nothing_passes_after_the_end() -> None:
    reader = EventReader(wants_usage=True)
    assert reader.feed(STOP + DONE + token("late")) == STOP


def test_an_event_that_does_not_end_is_given_up() -> None:
    reader = EventReader(wants_usage=False)
    with pytest.raises(BadAnswerError, match="does not end"):
        read(reader, [b"x" * 2**20] * 20)
