"""Cache: an answer given before is given again, to the same request or to one that asks the same."""

from __future__ import annotations

import hmac
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic_core import from_json, to_json

from router_core.config import Cache
from router_core.serving.similarity import fingerprint
from router_core.serving.vector_print import VectorPrint

_log = logging.getLogger("tierwise.serving")

# What changes neither the answer nor its form once it is whole.
_UNHEEDED = ("stream", "stream_options", "metadata", "user", "model")
_KEPT_FINISHES = ("stop", "tool_calls", "function_call")
CANDIDATES = 256
"""How many of the newest answers with the same guard are compared with a prompt."""


class AnswerStore(Protocol):
    """Where answers are kept until they expire. What it raises is logged, and counts as nothing found."""

    async def find(self, key: bytes) -> bytes | None:
        """Return the answer kept under a key, None where there is none or it has expired."""
        ...

    async def near(self, scope: bytes) -> Sequence[tuple[bytes, bytes]]:
        """Return (key, fingerprint) of the newest answers of a scope, at most ``CANDIDATES``."""
        ...

    async def keep(self, key: bytes, answer: bytes, ttl_s: int, near: tuple[bytes, bytes] | None) -> None:
        """Keep an answer for ``ttl_s`` seconds; ``near`` is (scope, fingerprint) where others may find it."""
        ...

    async def close(self) -> None:
        """Let go of whatever it holds."""
        ...


class Print(Protocol):
    """A prompt as far as likeness goes; only prints of one guard are compared."""

    @property
    def guard(self) -> int:
        """What two prompts must have in common."""
        ...

    def likeness_to(self, kept: bytes) -> float:
        """Return how alike, 0..1, a prompt of the same guard is that ``to_bytes`` wrote."""
        ...

    def to_bytes(self) -> bytes:
        """Return it as a store keeps it."""
        ...


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as the cache knows it: ``key`` names it whole, ``scope`` all but its last message and its guard.

    ``print`` is None where a request may be answered by an exact repetition only.
    """

    key: bytes
    scope: bytes
    print: Print | None


@dataclass(frozen=True, slots=True)
class Hit:
    """An answer found; ``likeness`` of the two prompts is 1 for the same request."""

    answer: bytes
    semantic: bool
    likeness: float


class AnswerCache:
    """Finds and keeps answers. ``key`` keys every hash, so that a store tells nothing about prompts."""

    def __init__(self, store: AnswerStore, key: bytes) -> None:
        self._store = store
        self._key = key

    def asked(self, body: Mapping[str, Any], *, team: str, feature: str, tier: str, settings: Cache) -> Asked:
        """Return what a request is known by: never beyond its team, its feature and the tier (or model) chosen.

        Alike are only requests that are equal up to their last message, a plain question of the user, and whose
        answer is plain text: offered tools, other formats and several answers are repeated exactly or not at all.
        """
        heeded = {name: body[name] for name in sorted(body) if name not in _UNHEEDED and body[name] is not None}
        where = [team, feature, tier]
        key = self._hash([where, heeded])
        last = body["messages"][-1]
        if (
            settings.mode != "semantic"
            or last.get("role") != "user"
            or not isinstance(last.get("content"), str)
            or any(body.get(name) for name in ("tools", "functions", "response_format"))
            or body.get("n") not in (None, 1)
        ):
            return Asked(key, b"", None)
        print_ = fingerprint(last["content"], self._key)
        if print_ is None:
            return Asked(key, b"", None)
        rest = {**heeded, "messages": body["messages"][:-1]}
        return Asked(key, self._hash([where, rest, print_.guard]), print_)

    def by_vector(self, asked: Asked, vector: NDArray[np.float64] | None, whose: str) -> Asked:
        """Return a request known by an endpoint's vector in place of its words; by neither where there is none."""
        if asked.print is None or vector is None:
            return Asked(asked.key, b"", None)
        scope = self._hash([asked.scope.hex(), whose])
        return Asked(asked.key, scope, VectorPrint.of(vector, asked.print.guard, self._key))

    async def find(self, asked: Asked, settings: Cache) -> Hit | None:
        """Return the answer to the same request, else the one to the most alike that clears the threshold."""
        try:
            found = await self._store.find(asked.key)
            if found is not None:
                return Hit(found, False, 1.0)
            if asked.print is None:
                return None
            best, key = 0.0, b""
            for other, weights in await self._store.near(asked.scope):
                likeness = asked.print.likeness_to(weights)
                if likeness > best:
                    best, key = likeness, other
            if best < settings.similarity_threshold:
                return None
            found = await self._store.find(key)
            return None if found is None else Hit(found, True, best)
        except Exception as error:  # noqa: BLE001 - without its cache a request is dearer, not lost
            _log.warning("the answer cache could not be read: %s", error)
            return None

    async def keep(self, asked: Asked, answer: bytes, settings: Cache) -> None:
        """Keep an answer, where it is complete."""
        try:
            choices = from_json(answer).get("choices") or ()
            if not choices or any(choice.get("finish_reason") not in _KEPT_FINISHES for choice in choices):
                return
            near = None if asked.print is None else (asked.scope, asked.print.to_bytes())
            await self._store.keep(asked.key, answer, settings.ttl_seconds, near)
        except Exception as error:  # noqa: BLE001 - as above
            _log.warning("an answer could not be cached: %s", error)

    async def close(self) -> None:
        """Close the store."""
        await self._store.close()

    def _hash(self, value: object) -> bytes:
        return hmac.digest(self._key, to_json(value), "sha256")


class MemoryAnswers:
    """Answers in this process only, at most ``max_bytes`` of them, the least recently used forgotten first."""

    def __init__(self, max_bytes: int = 64 * 2**20, *, clock: Callable[[], float] = time.time) -> None:
        self._max_bytes = max_bytes
        self._clock = clock
        self._bytes = 0
        self._kept: OrderedDict[bytes, tuple[float, bytes, tuple[bytes, bytes] | None]] = OrderedDict()
        self._scopes: dict[bytes, OrderedDict[bytes, bytes]] = {}

    async def find(self, key: bytes) -> bytes | None:
        """Return the answer kept under a key."""
        found = self._kept.get(key)
        if found is None:
            return None
        if found[0] <= self._clock():
            self._forget(key)
            return None
        self._kept.move_to_end(key)
        return found[1]

    async def near(self, scope: bytes) -> Sequence[tuple[bytes, bytes]]:
        """Return the newest fingerprints of a scope."""
        return list(reversed(self._scopes.get(scope, {}).items()))[:CANDIDATES]

    async def keep(self, key: bytes, answer: bytes, ttl_s: int, near: tuple[bytes, bytes] | None) -> None:
        """Keep an answer."""
        if key in self._kept:
            self._forget(key)
        self._kept[key] = self._clock() + ttl_s, answer, near
        self._bytes += len(answer)
        if near is not None:
            self._scopes.setdefault(near[0], OrderedDict())[key] = near[1]
        while self._bytes > self._max_bytes and self._kept:
            self._forget(next(iter(self._kept)))

    async def close(self) -> None:
        """Nothing is held."""

    def _forget(self, key: bytes) -> None:
        _, answer, near = self._kept.pop(key)
        self._bytes -= len(answer)
        if near is not None and (scope := self._scopes.get(near[0])) is not None:
            scope.pop(key, None)
            if not scope:
                del self._scopes[near[0]]
