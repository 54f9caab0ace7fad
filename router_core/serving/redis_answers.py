"""RedisAnswers: cached answers in a Redis that several gateways share; what it holds is bounded by its own settings."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from router_core.errors import ConfigError
from router_core.serving.cache import CANDIDATES

_TIMEOUT_S = 0.25  # for one answer of Redis; a slower one counts as nothing found


class RedisAnswers:
    """A store for ``AnswerCache``; raises ``ConfigError`` where the ``redis`` package is not installed."""

    def __init__(self, url: str, *, prefix: str = "tierwise:", clock: Callable[[], float] = time.time) -> None:
        try:
            from redis.asyncio import Redis
        except ModuleNotFoundError:
            raise ConfigError("cache.url needs the redis package; install tierwise[redis]", path="cache.url") from None
        try:
            self._redis: Any = Redis.from_url(url, socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S)
        except ValueError as error:
            raise ConfigError(f"cache.url cannot be used: {error}", path="cache.url") from None
        self._prefix = prefix
        self._clock = clock

    async def find(self, key: bytes) -> bytes | None:
        """Return the answer kept under a key."""
        found: bytes | None = await self._redis.get(self._name("answer", key))
        return found

    async def near(self, scope: bytes) -> Sequence[tuple[bytes, bytes]]:
        """Return the newest fingerprints of a scope; those whose answer has expired are left out."""
        name = self._name("scope", scope)
        await self._redis.zremrangebyscore(name, "-inf", self._clock())
        keys: list[bytes] = await self._redis.zrevrange(name, 0, CANDIDATES - 1)
        if not keys:
            return []
        prints = await self._redis.mget([self._name("print", key) for key in keys])
        return [(key, weights) for key, weights in zip(keys, prints, strict=True) if weights is not None]

    async def keep(self, key: bytes, answer: bytes, ttl_s: int, near: tuple[bytes, bytes] | None) -> None:
        """Keep an answer, and its fingerprint for as long."""
        async with self._redis.pipeline(transaction=True) as together:
            together.set(self._name("answer", key), answer, ex=ttl_s)
            if near is not None:
                scope = self._name("scope", near[0])
                together.set(self._name("print", key), near[1], ex=ttl_s)
                together.zadd(scope, {key: self._clock() + ttl_s})
                together.zremrangebyrank(scope, 0, -CANDIDATES - 1)
                together.expire(scope, ttl_s, gt=True)
                together.expire(scope, ttl_s, nx=True)
            await together.execute()

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.aclose()

    def _name(self, kind: str, key: bytes) -> str:
        return f"{self._prefix}{kind}:{key.hex()}"
