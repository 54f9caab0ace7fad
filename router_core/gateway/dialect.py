"""Dialects: the forms in which callers ask and are answered; within, everything is OpenAI's chat form."""

from __future__ import annotations

from typing import Any, Protocol

from router_core.errors import TierwiseError
from router_core.gateway.refusals import refusal
from router_core.serving.requests import check_body


class Pieces(Protocol):
    """Puts the pieces of one streamed answer into another form."""

    def feed(self, piece: bytes) -> bytes:
        """Return what a piece, whole events of OpenAI's form, is in the other; empty where it is nothing."""
        ...


class Dialect(Protocol):
    """How one form of request becomes OpenAI's, and OpenAI's answer that form."""

    def request(self, body: object) -> dict[str, Any]:
        """Return the checked body of a chat request; raises ``InputError`` naming the field that is wrong."""
        ...

    def whole(self, answer: bytes) -> bytes:
        """Return a whole answer."""
        ...

    def pieces(self) -> Pieces | None:
        """Return what puts the pieces of one stream into form; None where they are passed on as they are."""
        ...

    def refused(self, error: TierwiseError) -> tuple[int, bytes]:
        """Return (HTTP status, JSON body) for an error."""
        ...

    def broken(self, error: TierwiseError) -> bytes:
        """Return the event that tells of an error within a stream."""
        ...


class ChatCompletions:
    """OpenAI's own form: nothing to translate."""

    def request(self, body: object) -> dict[str, Any]:
        """Return the body, checked."""
        return check_body(body)

    def whole(self, answer: bytes) -> bytes:
        """Return the answer."""
        return answer

    def pieces(self) -> Pieces | None:
        """Return None."""
        return None

    def refused(self, error: TierwiseError) -> tuple[int, bytes]:
        """Return the error in OpenAI's form."""
        return refusal(error)

    def broken(self, error: TierwiseError) -> bytes:
        """Return the error as an event of OpenAI's form."""
        return b"data: " + refusal(error)[1] + b"\n\n"
