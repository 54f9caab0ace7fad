"""Draft: a decision while its request is being served; it becomes the record once the outcome is known."""

from __future__ import annotations

from dataclasses import dataclass, field

from router_core.complexity.score import Score
from router_core.decision import (
    Attempt,
    QualitySource,
    Reason,
    Request,
    RoutingDecision,
    Status,
    Strategy,
    UsageSource,
)
from router_core.prices import PriceBook
from router_core.serving.failover import Endpoint, Try


@dataclass(slots=True)
class Draft:
    """What is known of a decision so far; ``started`` is on the router's timer, ``tries`` grows as calls are made."""

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
    tries: list[Try] = field(default_factory=list)

    def ended(self, now: float, status: Status | None = None) -> RoutingDecision:
        """Return the record of it at ``now`` on the router's timer; ``status`` is how the last try ended, if that
        came to light only after its first piece."""
        last = self.tries[-1]
        if status is not None:
            last.status = status
            last.seconds = now - self.started - last.offset_s
        attempts = tuple(self._attempt(one, one is last) for one in self.tries)
        score, reply = self.score, last.reply
        ttft_ms = attempts[-1].ttft_ms
        quality = reply.quality if reply is not None else None
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
            strategy=Strategy.DIRECT,
            status=last.status,
            latency_ms=round((now - self.started) * 1000),
            attempts=attempts,
            user_tier=self.request.user_tier,
            ttft_ms=ttft_ms + attempts[-1].offset_ms if ttft_ms is not None else None,
            expected_output_tokens=score.expected_output_tokens if score is not None else None,
            conversation_hash=self.conversation_hash,
            prompt_hash=self.prompt_hash,
            quality=quality,
            quality_source=QualitySource.CHECK if quality is not None else None,
        )

    def _attempt(self, one: Try, final: bool) -> Attempt:
        endpoint, reply = one.endpoint, one.reply
        offset_ms = round(one.offset_s * 1000)
        usage = reply.usage if reply is not None else one.error.usage if one.error is not None else None
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
            usage_source=reply.usage_source if reply is not None else UsageSource.PROVIDER,
            list_cost_nusd=cost.nusd if cost is not None else None,
            reported_cost_nusd=reply.reported_cost_nusd if reply is not None else None,
            price_id=cost.price.id if cost is not None else None,
        )
