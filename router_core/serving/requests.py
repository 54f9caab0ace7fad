"""What callers send: an OpenAI chat request checked as far as routing reads it, and made ready to go out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from router_core.decision import Request
from router_core.errors import InputError
from router_core.serving.messages import judged_text

AUTO = "auto"
"""The model callers name to have their request routed."""

LABELS = ("feature", "team", "conversation", "user_tier", "expected_format", "language")
"""What callers may say about a request in ``metadata``; read here and not passed on."""

_PRIVATE = frozenset((*LABELS, "prompt_id"))
_LONGEST_LABEL = 200


def check_body(body: object) -> dict[str, Any]:
    """Return the body of a chat request; raises ``InputError`` naming the field (its ``source``) that is wrong.

    Only what routing reads is checked; everything else passes through to the model.
    """
    if not isinstance(body, dict):
        raise InputError(f"a request is a JSON object with 'model' and 'messages', not {_kind(body)}")
    if not isinstance(body.get("model", AUTO), str) or body.get("model") == "":
        raise InputError(f"is {_kind(body['model'])}; name a model, or 'auto' to have one chosen", source="model")
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        what = "is missing" if messages is None else "is empty" if messages == [] else f"is {_kind(messages)}"
        raise InputError(f"{what}; send a list of messages such as [{{'role': 'user', ...}}]", source="messages")
    for index, message in enumerate(messages):
        where = f"messages[{index}]"
        if not isinstance(message, dict):
            raise InputError(f"is {_kind(message)}; a message is an object with 'role' and 'content'", source=where)
        if not isinstance(message.get("role"), str):
            raise InputError("is missing or not text; write 'user', 'system' or 'assistant'", source=f"{where}.role")
        if not isinstance(content := message.get("content"), str | list | None):
            raise InputError(f"is {_kind(content)}; write text or a list of parts", source=f"{where}.content")
    for field, kinds, expected in _FIELDS:
        value = body.get(field)
        if value is not None and (not isinstance(value, kinds) or (kinds is int and isinstance(value, bool))):
            raise InputError(f"is {_kind(value)}; it must be {expected}", source=field)
    for name, value in (body.get("metadata") or {}).items():
        if name in _PRIVATE and not isinstance(value, str | None):
            raise InputError(f"is {_kind(value)}; it must be text", source=f"metadata.{name}")
    return body


_FIELDS: tuple[tuple[str, type, str], ...] = (
    ("stream", bool, "true or false"),
    ("stream_options", dict, "an object"),
    ("metadata", dict, "an object"),
    ("response_format", dict, "an object"),
    ("max_tokens", int, "a whole number"),
    ("max_completion_tokens", int, "a whole number"),
    ("n", int, "a whole number"),
)


def request_of(body: Mapping[str, Any], said: Mapping[str, str | None] | None = None) -> Request:
    """Return what routing needs to know of a checked body; ``said`` (keys: ``LABELS``) wins over its ``metadata``.

    Raises ``InputError`` where a label is too long.
    """
    labels: dict[str, str] = {}
    for source in (body.get("metadata"), said):
        if source:
            labels.update((name, text) for name in LABELS if (text := source.get(name)))
    for name, text in labels.items():
        if len(text) > _LONGEST_LABEL:
            raise InputError(f"is {len(text)} characters long; at most {_LONGEST_LABEL} are kept", source=name)
    if "expected_format" not in labels and (wanted := body.get("response_format")):
        labels["expected_format"] = "json" if str(wanted.get("type", "")).startswith("json") else ""
    return Request(
        judged_text(body["messages"]),
        feature=labels.get("feature", "default"),
        team=labels.get("team", ""),
        user_tier=labels.get("user_tier", ""),
        conversation=labels.get("conversation", ""),
        expected_format=labels.get("expected_format", ""),
        language=labels.get("language", ""),
    )


def body_of(
    asked: Mapping[str, Any] | Sequence[Mapping[str, Any]], settings: Mapping[str, Any]
) -> tuple[dict[str, Any], Request]:
    """Return the checked body of a request given as a body or as its messages, and what routing is to know of it.

    ``settings`` are further fields of the body, and labels, which stay out of it. Raises ``InputError``.
    """
    said = {name: value for name in LABELS if (value := settings.get(name)) is not None}
    for name, value in said.items():
        if not isinstance(value, str):
            raise InputError(f"is {_kind(value)}; it must be text", source=name)
    more = {name: value for name, value in settings.items() if name not in LABELS}
    if isinstance(asked, Mapping):
        body = check_body({**asked, **more})
    else:
        body = check_body({"messages": asked if isinstance(asked, str) else list(asked), **more})
    return body, request_of(body, said)


def outgoing(body: Mapping[str, Any], model: str, max_output_tokens: int | None) -> dict[str, Any]:
    """Return the body as it goes to a model: renamed, without our labels, and capped where its tier has a cap."""
    out = dict(body)
    out["model"] = model
    if metadata := body.get("metadata"):
        out["metadata"] = {key: value for key, value in metadata.items() if key not in _PRIVATE}
        if not out["metadata"]:
            del out["metadata"]
    if max_output_tokens is not None:
        field = "max_tokens" if body.get("max_tokens") is not None else "max_completion_tokens"
        asked = body.get(field)
        out[field] = max_output_tokens if asked is None else min(asked, max_output_tokens)
    return out


def _kind(value: object) -> str:
    if value is None:
        return "null"
    names = {bool: "a truth value", int: "a number", float: "a number", str: "text", list: "a list", dict: "an object"}
    return names.get(type(value), type(value).__name__)
