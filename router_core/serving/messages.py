"""Where the text is in OpenAI's chat bodies: prompts, answers and streamed pieces."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic_core import from_json, to_json

EVENT = re.compile(rb".*?(?:\r?\n){2}", re.DOTALL)
"""One server-sent event, with the empty line that ends it."""

_SPOKEN = ("content", "reasoning_content", "reasoning", "refusal")


def content_text(content: object) -> str:
    """Return the text of a message's ``content``: a string, or the text parts of a list."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        texts = (part.get("text") for part in content if isinstance(part, Mapping))
        return "\n".join(text for text in texts if isinstance(text, str))
    return ""


def judged_text(messages: Iterable[Mapping[str, Any]]) -> str:
    """Return what people said and read, newest turn last: neither instructions nor what tools returned."""
    turns = [
        content_text(message.get("content")) for message in messages if message.get("role") in ("user", "assistant")
    ]
    return turns[0] if len(turns) == 1 else "\n\n".join(turn for turn in turns if turn)


def prompt_text(body: Mapping[str, Any]) -> str:
    """Return everything of a request that is counted as input tokens: all messages, and the tools on offer."""
    texts = [content_text(message.get("content")) for message in body.get("messages", ())]
    if isinstance(given := body.get("input"), str):  # of an embeddings request
        texts.append(given)
    texts += [to_json(body[key]).decode() for key in ("tools", "functions", "response_format") if body.get(key)]
    return "\n".join(texts)


def answer_text(answer: Mapping[str, Any], part: str = "message") -> str:
    """Return everything of an answer that is counted as output tokens; ``part`` is ``delta`` for streamed pieces."""
    return "".join(_spoken(answer, part))


def _spoken(answer: Mapping[str, Any], part: str) -> Iterator[str]:
    choices = answer.get("choices")
    for choice in choices if isinstance(choices, list) else ():
        message = choice.get(part) if isinstance(choice, Mapping) else None
        if not isinstance(message, Mapping):
            continue
        for key in _SPOKEN:
            if isinstance(text := message.get(key), str):
                yield text
        for tool in message.get("tool_calls") or ():
            function = tool.get("function") if isinstance(tool, Mapping) else None
            if isinstance(function, Mapping):
                yield f"{function.get('name') or ''}{function.get('arguments') or ''}"


def answer_values(body: bytes) -> dict[str, Any]:
    """Return the JSON of a whole answer; empty where it is no object."""
    try:
        values = from_json(body)
    except ValueError:
        return {}
    return values if isinstance(values, dict) else {}


def event_data(event: bytes) -> Any:
    """Return the JSON carried by one server-sent event; None where it carries none."""
    lines = [line[5:].strip() for line in event.splitlines() if line.startswith(b"data:")]
    try:
        return from_json(b"\n".join(lines)) if lines else None
    except ValueError:
        return None


def streamed_text(received: bytes) -> str:
    """Return the text that streamed events carried."""
    pieces = (event_data(event) for event in EVENT.findall(received))
    return "".join(answer_text(piece, "delta") for piece in pieces if isinstance(piece, Mapping))
