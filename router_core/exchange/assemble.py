"""Calls become decisions: those that served one request are brought together, priced, and given an id that lasts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from hashlib import sha256

from router_core.decision import Attempt, Kind, Reason, RoutingDecision, Status, Strategy, new_decision_id
from router_core.exchange.calls import ImportedCall, Joins
from router_core.prices import Cost, PriceBook
from router_core.serving.hashing import keyed_hash

SCORER = "imported"
"""The scorer version of decisions that were scored elsewhere, or not at all."""

_MOST_OPEN = 20_000
_MOST_IN_TRACE = 200
_SAME_REQUEST_MS = 600_000
_ANSWERS = (Kind.ANSWER, Kind.ESCALATION, Kind.FAILOVER)


class Made:
    """A decision, and the calls it was made from."""

    __slots__ = ("calls", "decision")

    def __init__(self, decision: RoutingDecision, calls: Sequence[ImportedCall]) -> None:
        self.decision = decision
        self.calls = calls


class Assembler:
    """Makes decisions of calls as they come, in any order; holds back only those that others may join.

    ``hash_key`` keys the hashes of conversations; without it they are left out.
    """

    def __init__(self, prices: PriceBook, hash_key: bytes | None = None) -> None:
        self._prices = prices
        self._hash_key = hash_key
        self._open: dict[str, list[ImportedCall]] = {}
        self._hashes: dict[tuple[str, str], int] = {}

    @property
    def waits(self) -> bool:
        """Whether any trace is open."""
        return bool(self._open)

    def is_open(self, trace: str) -> bool:
        """Say whether calls of this trace wait for others."""
        return trace in self._open

    def add(self, call: ImportedCall) -> Iterator[Made]:
        """Take a call; yield what is complete by now."""
        if call.joins >= Joins.UNTIL_ANSWERED or (call.joins == Joins.MAYBE and call.trace in self._open):
            group = self._open.setdefault(call.trace, [])
            group.append(call)
            if len(group) >= _MOST_IN_TRACE:
                yield from self._close(call.trace)
            elif len(self._open) > _MOST_OPEN:
                yield from self._close(next(iter(self._open)))
        else:
            yield self._made((call,))

    def rest(self, until_ms: int | None = None) -> Iterator[Made]:
        """Yield what still waits; nothing more comes, or where the log goes on, nothing that ended by ``until_ms``."""
        for trace, calls in list(self._open.items()):
            ended = max(call.started_at_ms + call.latency_ms for call in calls)
            if until_ms is None or ended + _SAME_REQUEST_MS < until_ms:
                yield from self._close(trace)

    @property
    def waiting(self) -> int:
        """How many calls still wait."""
        return sum(map(len, self._open.values()))

    def _close(self, trace: str) -> Iterator[Made]:
        for calls in _requests(self._open.pop(trace)):
            yield self._made(calls)

    def _made(self, calls: Sequence[ImportedCall]) -> Made:
        return Made(self._decision(calls), calls)

    def _decision(self, calls: Sequence[ImportedCall]) -> RoutingDecision:
        first = final = calls[0]
        tier, team, feature = first.tier, first.team, first.feature
        ended = first.started_at_ms + first.latency_ms
        if len(calls) > 1:
            final = calls[_final(calls)]
            tier = next((call.tier for call in calls if call.tier and call.kind in _ANSWERS), "")
            team = final.team or next((call.team for call in calls if call.team), "")
            feature = _named(calls, final)
            ended = max(call.started_at_ms + call.latency_ms for call in calls)
        attempts = () if final.cached is not None else self._attempts(calls, final, tier)
        cascaded = len(calls) > 1 and any(attempt.kind == Kind.ESCALATION for attempt in attempts)
        offset = final.started_at_ms - first.started_at_ms
        return RoutingDecision(
            id=decision_id(final.source, final.request_id, final.started_at_ms),
            decided_at_ms=first.started_at_ms,
            config_version=0,
            scorer_version=SCORER,
            feature=feature,
            team=team,
            score=None,
            stage=SCORER,
            tier=tier,
            reason=Reason.NAMED,
            propensity=1.0,
            strategy=final.cached if final.cached is not None else Strategy.CASCADE if cascaded else Strategy.DIRECT,
            status=final.status,
            latency_ms=ended - first.started_at_ms,
            attempts=attempts,
            user_tier=final.user_tier,
            ttft_ms=None if final.ttft_ms is None else final.ttft_ms + offset,
            conversation_hash=self.conversation_hash(team, final.conversation),
        )

    def _attempts(self, calls: Sequence[ImportedCall], final: ImportedCall, tier: str) -> tuple[Attempt, ...]:
        attempts = []
        before: ImportedCall | None = None
        for call in calls:
            kind = call.kind
            if kind == Kind.ANSWER:
                if before is not None:
                    kind = Kind.ESCALATION if before.status in (Status.OK, Status.REJECTED) else Kind.FAILOVER
                before = call
            priced = self._cost(call)
            attempts.append(
                Attempt(
                    kind=kind,
                    tier=call.tier or tier,
                    provider_name=call.provider_name,
                    model=call.request_model,
                    status=call.status,
                    final=call is final,
                    reason=call.error,
                    offset_ms=call.started_at_ms - calls[0].started_at_ms,
                    latency_ms=call.latency_ms,
                    ttft_ms=call.ttft_ms,
                    usage=call.usage,
                    usage_source=call.usage_source,
                    list_cost_nusd=priced.nusd if priced is not None else None,
                    reported_cost_nusd=call.reported_cost_nusd,
                    price_id=priced.price.id if priced is not None else None,
                )
            )
        return tuple(attempts)

    def _cost(self, call: ImportedCall) -> Cost | None:
        if call.usage is None:
            return None
        for model in (call.request_model, call.response_model):
            if model:
                cost = self._prices.list_cost(
                    call.usage,
                    provider_name=call.provider_name,
                    model=model,
                    at_ms=call.started_at_ms,
                    processing=call.processing,
                )
                if cost is not None:
                    return cost
        return None

    def conversation_hash(self, team: str, conversation: str) -> int | None:
        """Return the keyed hash of a conversation, the same that serving keeps; None where there is none."""
        if not conversation or self._hash_key is None:
            return None
        found = self._hashes.get((team, conversation))
        if found is None:
            if len(self._hashes) >= 100_000:
                self._hashes.clear()
            found = keyed_hash(self._hash_key, f"{team}\0{conversation}".encode("utf-8", "replace"))
            self._hashes[team, conversation] = found
        return found

    def adopted(self, decision: RoutingDecision) -> RoutingDecision:
        """Return a decision of another ledger with this one's price rows, where they price its calls the same."""
        known = [self._price_id(decision, attempt) for attempt in decision.attempts]
        if known == [attempt.price_id for attempt in decision.attempts]:
            return decision
        attempts = (replace(attempt, price_id=own) for attempt, own in zip(decision.attempts, known, strict=True))
        return replace(decision, attempts=tuple(attempts))

    def _price_id(self, decision: RoutingDecision, attempt: Attempt) -> int | None:
        if attempt.price_id is None or attempt.usage is None:
            return None
        found = self._prices.list_cost(
            attempt.usage,
            provider_name=attempt.provider_name,
            model=attempt.model,
            at_ms=decision.decided_at_ms + attempt.offset_ms,
        )
        return found.price.id if found is not None and found.nusd == attempt.list_cost_nusd else None


def decision_id(source: str, request_id: str, at_ms: int) -> bytes:
    """Return the id of an imported decision: the same whichever file, and in whichever rounding, the call comes.

    Its time is that of the call's start, down to the second.
    """
    return new_decision_id(at_ms // 1000 * 1000, tail_seed(source, request_id))


def tail_seed(source: str, request_id: str) -> bytes:
    """Return the ten bytes that make a call's id its own."""
    return sha256(f"{source}\0{request_id}".encode("utf-8", "replace")).digest()[:10]


def id_tail(source: str, request_id: str) -> bytes:
    """Return the last ten bytes of the id of a call, which its time has no part in."""
    return new_decision_id(0, tail_seed(source, request_id))[6:]


def _requests(calls: list[ImportedCall]) -> Iterator[list[ImportedCall]]:
    """Part the calls of a trace into requests: each ends with the answer that came, or before a long silence."""
    calls.sort(key=lambda call: (call.started_at_ms, call.request_id))
    if calls[0].joins == Joins.ALWAYS:
        yield calls
        return
    request: list[ImportedCall] = []
    for call in calls:
        last = request[-1] if request else None
        if last is not None and call.started_at_ms - last.started_at_ms - last.latency_ms > _SAME_REQUEST_MS:
            yield request
            request = []
        request.append(call)
        if call.kind == Kind.ANSWER and call.status == Status.OK:
            yield request
            request = []
    if request:
        yield request


def _final(calls: Sequence[ImportedCall]) -> int:
    """Return which call's result the caller got: the last answer that came, else the last tried."""
    answers = [position for position, call in enumerate(calls) if call.kind in _ANSWERS]
    good = [position for position in answers if calls[position].status == Status.OK]
    return (good or answers or [len(calls) - 1])[-1]


def _named(calls: Sequence[ImportedCall], final: ImportedCall) -> str:
    if final.feature != "default":
        return final.feature
    return next((call.feature for call in calls if call.feature != "default"), "default")
