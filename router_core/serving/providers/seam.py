"""What crosses the seam to a model: the call that goes out and the reply that comes back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from router_core.decision import UsageSource
from router_core.usage import Usage


@dataclass(frozen=True, slots=True)
class Call:
    """One call to one model.

    ``body`` is an OpenAI chat completion request as it goes out, or where ``embeddings`` is set an embeddings request;
    ``model`` is the provider's own name for the model (also in ``body``), ``wants_usage`` whether the caller asked for
    the usage chunk of a stream.
    """

    model: str
    body: Mapping[str, Any]
    timeout_s: float = 60.0
    prompt_id: str = ""
    wants_usage: bool = False
    embeddings: bool = False

    @property
    def stream(self) -> bool:
        """Whether the answer is to come in pieces."""
        return self.body.get("stream") is True


class Chunks(Protocol):
    """The pieces of a stream; any async generator of bytes is one."""

    def __aiter__(self) -> AsyncIterator[bytes]: ...

    async def __anext__(self) -> bytes: ...

    async def aclose(self) -> None:
        """Give the stream up; harmless where it has ended."""
        ...


@dataclass(slots=True)
class Reply:
    """What a model answered: ``body``, one JSON answer, or ``chunks`` where a stream was asked for.

    ``chunks`` yields raw server-sent events, all but the closing one, which is ``tail``. Usage, cost and time to the
    first token of a stream are known once ``chunks`` has ended or was closed; a stream that is cut raises
    ``BadAnswerError`` there. ``ttft_ms`` counts from the start of the call; ``quality`` (0..1) is known for recorded
    outcomes only.
    """

    body: bytes = b""
    chunks: Chunks | None = None
    tail: bytes = b""
    usage: Usage | None = None
    usage_source: UsageSource = UsageSource.PROVIDER
    reported_cost_nusd: int | None = None
    ttft_ms: int | None = None
    quality: float | None = None


class Provider(Protocol):
    """Somebody who answers calls."""

    async def complete(self, call: Call) -> Reply:
        """Answer one call; raises the leaf of ``ProviderError`` that says why there is no answer."""
        ...
