"""Draft: a decision while its request is being served; it becomes the record once the outcome is known."""

from __future__ import annotations

from dataclasses import dataclass, field

from router_core.complexity.score import Score
from router_core.config import Capture
from router_core.decision import (
    Attempt,
    Kind,
    QualitySource,
    Reason,
    Request,
    RoutingDecision,
    Status,
    Strategy,
)
from router_core.prices import PriceBook
from router_core.serving.budget import Reservation
from router_core.serving.failover import Endpoint, Try

# Kinds of attempts whose result a caller may get.
_ANSWERS = (Kind.ANSWER, Kind.ESCALATION, Kind.FAILOVER, Kind.CHAIN)
# What is so whatever the score, and not worth a call to know it better.
_SETTLED = (Reason.PIN, Reason.STICKY)
_SAMPLED = 256 // 10  # the last byte of an id is random


@dataclass(slots=True)
class Draft:
    """What is known of a decision so far; ``started`` is on the router's timer, ``tries`` grows as calls are made.

    ``final`` is the try whose answer the caller gets; until it is known, the last that tried to answer. ``outcome`` is
    how the request ended where no try says so: it was served from a cache, blocked, or given up. ``reservations`` are
    what is set aside for it until it is settled. ``kept`` once it was handed over to be recorded.
    """

    id: bytes
    decided_at_ms: int
    started: float
    config_version: int
    prices: PriceBook
    request: Request
    team: str
    score: Score | None
    tier: str
    reason: Reason
    propensity: float
    chain: tuple[Endpoint, ...]
    prompt_hash: int
    conversation_hash: int | None
    capture: Capture
    tries: list[Try] = field(default_factory=list)
    strategy: Strategy = Strategy.DIRECT
    final: Try | None = None
    outcome: Status | None = None
    draw: float = 0.0
    kept: bool = False
    reservations: list[Reservation] = field(default_factory=list)

    @property
    def unsure(self) -> bool:
        """Whether a further stage is to be asked: no score was sure, and one that is could change the tier."""
        return self.score is not None and self.score.uncertain and self.reason not in _SETTLED

    @property
    def captured(self) -> bool:
        """Whether its text is to be kept; of those sampled it is one in ten, the same ones wherever that is asked."""
        wanted = self.capture.prompts
        return wanted == "all" or (wanted == "sample" and self.id[-1] < _SAMPLED)

    def ended(self, now: float, status: Status | None = None) -> RoutingDecision:
        """Return the record of it at ``now`` on the router's timer.

        ``status`` is how the answer passed on to the caller, known only after its first piece.
        """
        last = self.final
        if last is None and (self.outcome is None or self.outcome == Status.ABORTED):
            last = next((one for one in reversed(self.tries) if one.kind in _ANSWERS), None)
        if status is not None:
            if last is not None and last.reply is not None and last.reply.chunks is not None:
                last.status = status
                last.seconds = now - self.started - last.offset_s
            elif status != Status.OK:
                self.outcome = status
        attempts = tuple(self._attempt(one, one is last) for one in self.tries)
        score, reply = self.score, last.reply if last is not None else None
        ttft_ms = None
        if last is not None and reply is not None and reply.ttft_ms is not None:
            ttft_ms = reply.ttft_ms + round(last.offset_s * 1000)
        quality = reply.quality if reply is not None else None
        outcome = self.outcome
        if outcome is None:
            outcome = last.status if last is not None else Status.ABORTED
        return RoutingDecision(
            id=self.id,
            decided_at_ms=self.decided_at_ms,
            config_version=self.config_version,
            scorer_version=score.scorer if score is not None else "",
            feature=self.request.feature,
            team=self.team,
            score=score.value if score is not None else None,
            stage=score.stage if score is not None else "",
            tier=self.tier,
            reason=self.reason,
            propensity=self.propensity,
            strategy=self.strategy,
            status=outcome,
            latency_ms=round((now - self.started) * 1000),
            attempts=attempts,
            user_tier=self.request.user_tier,
            ttft_ms=ttft_ms,
            expected_output_tokens=score.expected_output_tokens if score is not None else None,
            conversation_hash=self.conversation_hash,
            prompt_hash=self.prompt_hash,
            quality=quality,
            quality_source=QualitySource.CHECK if quality is not None else None,
        )

    def _attempt(self, one: Try, final: bool) -> Attempt:
        endpoint, reply = one.endpoint, one.reply
        offset_ms = round(one.offset_s * 1000)
        usage = one.usage
        cost = None
        if usage is not None:
            cost = self.prices.list_cost(
                usage,
                provider_name=endpoint.provider_name,
                model=endpoint.upstream_model,
                at_ms=self.decided_at_ms + offset_ms,
            )
        return Attempt(
            kind=one.kind,
            tier=endpoint.tier,
            provider_name=endpoint.provider_name,
            model=endpoint.model,
            status=one.status,
            final=final,
            reason=one.reason,
            offset_ms=offset_ms,
            latency_ms=round(one.seconds * 1000),
            ttft_ms=reply.ttft_ms if reply is not None else None,
            usage=usage,
            usage_source=one.usage_source,
            list_cost_nusd=cost.nusd if cost is not None else None,
            reported_cost_nusd=reply.reported_cost_nusd if reply is not None else None,
            price_id=cost.price.id if cost is not None else None,
        )
