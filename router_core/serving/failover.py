"""Fail-over: the endpoints of a tier one after another, resting those that are ill, each try kept for the record."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from router_core.config import RoutingConfig
from router_core.decision import Kind, Status
from router_core.errors import (
    BadAnswerError,
    ContextOverflowError,
    ProviderError,
    ProviderRefusedError,
    ProviderTimeoutError,
    RateLimitedError,
)
from router_core.serving.providers.seam import Call, Provider, Reply

_STATUS: dict[type[ProviderError], Status] = {
    ProviderRefusedError: Status.REFUSED,
    ProviderTimeoutError: Status.TIMEOUT,
    RateLimitedError: Status.RATE_LIMITED,
    ContextOverflowError: Status.CONTEXT_OVERFLOW,
    BadAnswerError: Status.BAD_ANSWER,
}
_FIRST_PAUSE_S = 0.05  # before the same endpoint is tried again; doubled each time
_LONGEST_PAUSE_S = 2.0


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A configured model at its provider, as part of a chain; ``tier`` is where the model stands."""

    model: str
    tier: str
    provider_name: str
    upstream_model: str
    max_output_tokens: int | None = None


@dataclass(slots=True)
class Try:
    """One call that was made; ``offset_s`` and ``seconds`` on the router's timer, from the start of the request."""

    endpoint: Endpoint
    kind: Kind
    status: Status
    reason: str
    offset_s: float
    seconds: float
    reply: Reply | None = None
    error: ProviderError | None = None


class Chains:
    """Whom to ask, and in which order: by tier, and by model for callers who name one."""

    def __init__(self, config: RoutingConfig) -> None:
        self._config = config
        self._home = {model: tier.name for tier in reversed(config.tiers) for model in reversed(tier.models)}
        self.by_tier = {tier.name: self._chain(tier.models, tier.name, tier.max_output_tokens) for tier in config.tiers}
        self.by_model = {name: self._chain((name,), self._home.get(name, ""), None) for name in config.models}

    def _chain(self, models: Sequence[str], tier: str, most: int | None) -> tuple[Endpoint, ...]:
        chain = []
        for model in dict.fromkeys((*models, *self._fallbacks(models))):
            provider_name, upstream = self._config.price_names(model)
            home = tier if model in models else self._home.get(model, tier)
            chain.append(Endpoint(model, home, provider_name, upstream, most))
        return tuple(chain)

    def _fallbacks(self, models: Iterable[str]) -> Iterator[str]:
        """Follow ``fallbacks`` from model to model; each is followed once, so that a circle ends."""
        followed: set[str] = set()
        waiting = list(models)
        while waiting:
            model = waiting.pop(0)
            if model not in followed:
                followed.add(model)
                waiting.extend(self._config.fallbacks.get(model, ()))
                yield model


class Cooldowns:
    """Endpoints that rest, and until when on the router's timer."""

    def __init__(self) -> None:
        self._until: dict[tuple[str, str], float] = {}

    def rest(self, endpoint: Endpoint, until: float) -> None:
        """Let an endpoint rest."""
        self._until[endpoint.provider_name, endpoint.upstream_model] = until

    def wake(self, endpoint: Endpoint) -> None:
        """Use an endpoint again: it answered."""
        if self._until:
            self._until.pop((endpoint.provider_name, endpoint.upstream_model), None)

    def rested(self, chain: Sequence[Endpoint], now: float) -> Sequence[Endpoint]:
        """Return the endpoints that may be asked: those that do not rest, or all where all do."""
        if not self._until:
            return chain
        awake = [one for one in chain if self._until.get((one.provider_name, one.upstream_model), now) <= now]
        return awake or chain


class Failover:
    """Asks one endpoint after another until one answers; one instance shares its cool-downs among all requests."""

    def __init__(self, *, timer: Callable[[], float]) -> None:
        self.cooldowns = Cooldowns()
        self._timer = timer

    async def answer(
        self,
        chain: Sequence[Endpoint],
        call: Callable[[Endpoint], Call],
        *,
        providers: Mapping[str, Provider],
        config: RoutingConfig,
        started: float,
        tries: list[Try],
    ) -> Reply:
        """Return the first reply; every try, the failed ones too, is added to ``tries``.

        The same endpoint is tried again (``num_retries``) after a time-out, a 5xx or a broken answer; after anything
        else the next one's turn has come. Raises the last ``ProviderError`` where nobody answered.
        """
        last: ProviderError | None = None
        for endpoint in self.cooldowns.rested(chain, started):
            for repeat in range(1 + config.num_retries):
                if repeat:
                    await asyncio.sleep(min(_FIRST_PAUSE_S * 2 ** (repeat - 1), _LONGEST_PAUSE_S))
                begun = self._timer()
                primary = endpoint is chain[0] and not tries
                one = Try(
                    endpoint,
                    Kind.ANSWER if primary else Kind.FAILOVER,
                    Status.ABORTED,
                    "" if primary or tries else "cooling down",
                    begun - started,
                    0.0,
                )
                tries.append(one)
                try:
                    reply = await providers[endpoint.provider_name].complete(call(endpoint))
                except ProviderError as error:
                    one.status, one.error = _STATUS.get(type(error), Status.REFUSED), error
                    one.reason = f"{error.reason} {error.status}" if error.status is not None else error.reason
                    last = error
                    if not _worth_repeating(error):
                        break
                else:
                    one.status, one.reply = Status.OK, reply
                    self.cooldowns.wake(endpoint)
                    return reply
                finally:
                    one.seconds = self._timer() - begun
            if last is not None and _ill(last):
                rest_s = last.retry_after_s if last.retry_after_s is not None else config.cooldown_time
                self.cooldowns.rest(endpoint, self._timer() + rest_s)
        assert last is not None  # a chain is never empty
        raise last


def _worth_repeating(error: ProviderError) -> bool:
    if isinstance(error, ProviderRefusedError):
        return error.status is not None and error.status >= 500
    return isinstance(error, ProviderTimeoutError | BadAnswerError)


def _ill(error: ProviderError) -> bool:
    """Whether the next request would fare no better; a 400 or an overflow is about this request only."""
    if isinstance(error, ContextOverflowError):
        return False
    status = error.status
    return not isinstance(error, ProviderRefusedError) or status is None or status >= 500 or status in (401, 403, 404)
