"""Fail-over: the endpoints of a tier one after another, resting those that are ill, each try kept for the record."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from router_core.config import RoutingConfig
from router_core.decision import Kind, Status, UsageSource
from router_core.errors import (
    BadAnswerError,
    ContentPolicyError,
    ContextOverflowError,
    ProviderError,
    ProviderRefusedError,
    ProviderTimeoutError,
    RateLimitedError,
)
from router_core.serving.hedge import hedged
from router_core.serving.messages import prompt_text
from router_core.serving.providers.seam import Call, Provider, Reply
from router_core.usage import Usage, estimate_tokens

_STATUS: dict[type[ProviderError], Status] = {
    ProviderRefusedError: Status.REFUSED,
    ContentPolicyError: Status.REFUSED,
    ProviderTimeoutError: Status.TIMEOUT,
    RateLimitedError: Status.RATE_LIMITED,
    ContextOverflowError: Status.CONTEXT_OVERFLOW,
    BadAnswerError: Status.BAD_ANSWER,
}
_ANSWERS = (Kind.ANSWER, Kind.ESCALATION)
_log = logging.getLogger("tierwise.serving")
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
    context_window: int | None = None
    capabilities: frozenset[str] | None = None


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
    sent: Usage | None = None  # an estimate, of a call that was given up before it was answered

    @property
    def usage(self) -> Usage | None:
        """The tokens it used, as far as they are known."""
        if self.reply is not None:
            return self.reply.usage
        return self.error.usage if self.error is not None else self.sent

    @property
    def usage_source(self) -> UsageSource:
        """Who counted them."""
        if self.reply is not None:
            return self.reply.usage_source
        return UsageSource.PROVIDER if self.sent is None else UsageSource.ESTIMATED


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
            entry = self._config.models[model]
            able = None if entry.capabilities is None else frozenset(entry.capabilities)
            chain.append(Endpoint(model, home, provider_name, upstream, most, entry.context_window, able))
        return tuple(chain)

    def above(self, tier: str) -> Iterator[Endpoint]:
        """Yield the endpoints of the tiers above one, the next tier's first."""
        names = self._config.tier_names
        for name in names[names.index(tier) + 1 :] if tier in names else ():
            yield from self.by_tier[name]

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
    """Endpoints that rest, and until when on the router's timer; one request then finds out whether they are well."""

    def __init__(self) -> None:
        self._until: dict[tuple[str, str], float] = {}

    def rest(self, endpoint: Endpoint, until: float) -> None:
        """Let an endpoint rest."""
        self._until[endpoint.provider_name, endpoint.upstream_model] = until

    def wake(self, endpoint: Endpoint) -> None:
        """Use an endpoint again: it answered."""
        if self._until:
            self._until.pop((endpoint.provider_name, endpoint.upstream_model), None)

    def resting(self, now: float) -> int:
        """Return how many endpoints rest."""
        return sum(until > now for until in self._until.values())

    def rested(self, chain: Sequence[Endpoint], now: float) -> Sequence[Endpoint]:
        """Return the endpoints that may be asked: those that do not rest, or all where all do."""
        if not self._until:
            return chain
        awake = [one for one in chain if self._until.get((one.provider_name, one.upstream_model), now) <= now]
        return awake or chain

    def asleep(self, chain: Sequence[Endpoint], now: float) -> bool:
        """Return whether every one of these endpoints rests."""
        known = self._until
        return bool(known) and all(known.get((one.provider_name, one.upstream_model), now) > now for one in chain)

    def probe(self, endpoint: Endpoint, now: float, seconds: float) -> bool:
        """Return whether this request may ask an endpoint whose rest is over.

        The first to ask may; the others leave it alone until that one has an answer, ``seconds`` at most.
        """
        if not self._until:
            return True
        key = endpoint.provider_name, endpoint.upstream_model
        until = self._until.get(key)
        if until is None:
            return True
        if until > now:
            return False
        self._until[key] = now + seconds
        return True


class Failover:
    """Asks one endpoint after another until one answers; one instance shares its cool-downs among all requests."""

    def __init__(self, *, timer: Callable[[], float]) -> None:
        self.cooldowns = Cooldowns()
        self._timer = timer

    def asleep(self, chain: Sequence[Endpoint]) -> bool:
        """Return whether all of a chain rests, so that a call which is not needed had better not be made."""
        return self.cooldowns.asleep(chain, self._timer())

    async def answer(
        self,
        chain: Sequence[Endpoint],
        call: Callable[[Endpoint], Call],
        *,
        providers: Mapping[str, Provider],
        config: RoutingConfig,
        started: float,
        tries: list[Try],
        kind: Kind = Kind.ANSWER,
        reason: str = "",
        moved: str = "",
        wider: Callable[[], Iterable[Endpoint]] = tuple,
    ) -> Try:
        """Return the first try that was answered; every try, the failed ones too, is added to ``tries``.

        The same endpoint is tried again (``num_retries``) after a time-out, a 5xx or a broken answer; after anything
        else the next one's turn has come. After a context overflow those known to take no longer prompts are left
        out, and ``wider`` is asked for more that do. After ``hedge_after`` seconds without a word of the first the next
        one is asked as well. Tries to answer after the first are kept as fail-overs; ``moved``
        says why the chain does not begin where the tier's does, ``reason`` why the call is made at all. Raises the last
        ``ProviderError`` where nobody answered.
        """
        last: ProviderError | None = None
        failover = Kind.FAILOVER if kind in _ANSWERS else kind
        rested = self.cooldowns.rested(chain, started)
        waiting = list(rested)
        widest = 0

        def tried(endpoint: Endpoint, kind: Kind, why: str) -> Try:
            one = Try(endpoint, kind, Status.ABORTED, why, self._timer() - started, 0.0)
            tries.append(one)
            return one

        def rival() -> Try | None:
            while waiting:
                if self.cooldowns.probe(endpoint := waiting.pop(0), self._timer(), config.timeout):
                    return tried(endpoint, failover, "hedge")
            return None

        async def ask(one: Try) -> Try:
            return await self._ask(one, call, providers[one.endpoint.provider_name], config)

        while waiting:
            endpoint = waiting.pop(0)
            if widest and endpoint.context_window is not None and endpoint.context_window <= widest:
                continue
            if (
                rested is not chain
                and not self.cooldowns.probe(endpoint, self._timer(), config.timeout)
                and (waiting or last is not None)
            ):
                continue
            for repeat in range(1 + config.num_retries):
                if repeat:
                    await asyncio.sleep(min(_FIRST_PAUSE_S * 2 ** (repeat - 1), _LONGEST_PAUSE_S))
                primary = last is None and not repeat and not moved and endpoint is chain[0]
                why = reason if primary or kind not in _ANSWERS else "" if last is not None else moved or "cooling down"
                one = tried(endpoint, kind if primary else failover, why)
                if config.hedge_after is not None and waiting and last is None and kind in _ANSWERS:
                    one = await hedged(one, rival, ask, after_s=config.hedge_after)
                else:
                    one = await ask(one)
                if one.reply is not None:
                    return one
                last = one.error
                assert last is not None  # or it would have been answered
                if one.endpoint is not endpoint or not _worth_repeating(last):
                    break
            assert last is not None  # as above
            if isinstance(last, ContextOverflowError):
                widest = max(widest, endpoint.context_window or 0)
                if not waiting:
                    known = {one.endpoint.model for one in tries}
                    waiting += [one for one in wider() if one.model not in known and (one.context_window or 0) > widest]
        assert last is not None  # a chain is never empty
        raise last

    async def _ask(self, one: Try, call: Callable[[Endpoint], Call], provider: Provider, config: RoutingConfig) -> Try:
        """Make one call, and note on it and in the cool-downs what became of it; only a cancellation is raised."""
        endpoint, begun = one.endpoint, self._timer()
        out: Call | None = None
        try:
            out = call(endpoint)
            one.reply = await provider.complete(out)
        except ProviderError as error:
            one.error = error
        except asyncio.CancelledError:
            if out is not None:  # whoever was asked has read the prompt, and may bill it
                one.sent = Usage(estimate_tokens(prompt_text(out.body)), 0)
            raise
        except Exception as error:  # noqa: BLE001 - a provider is anybody's code; the request is recorded all the same
            _log.exception("provider %r failed on %r", endpoint.provider_name, endpoint.upstream_model)
            one.error = BadAnswerError(
                f"{endpoint.provider_name!r} failed on {endpoint.upstream_model!r} ({type(error).__name__})",
                provider_name=endpoint.provider_name,
                request_model=endpoint.upstream_model,
            )
        finally:
            one.seconds = self._timer() - begun
        rest_s = 0.0
        if one.error is None:
            one.status = Status.OK
        else:
            one.status = status_of(one.error)
            one.reason = f"{one.error.reason} {one.error.status}" if one.error.status is not None else one.error.reason
            if _ill(one.error):
                asked = one.error.retry_after_s
                rest_s = config.cooldown_time if asked is None else asked
        if rest_s > 0:
            self.cooldowns.rest(endpoint, self._timer() + rest_s)
        else:
            self.cooldowns.wake(endpoint)
        return one


def status_of(error: ProviderError) -> Status:
    """Return how an attempt that raised ``error`` ended."""
    return _STATUS.get(type(error), Status.REFUSED)


def _worth_repeating(error: ProviderError) -> bool:
    if isinstance(error, ProviderRefusedError):
        return error.status is not None and error.status >= 500
    return isinstance(error, ProviderTimeoutError | BadAnswerError)


def _ill(error: ProviderError) -> bool:
    """Whether the next request would fare no better; a 400 or an overflow is about this request only."""
    if isinstance(error, ContextOverflowError | ContentPolicyError):
        return False
    status = error.status
    return not isinstance(error, ProviderRefusedError) or status is None or status >= 500 or status in (401, 403, 404)
