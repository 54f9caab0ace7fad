"""Job: one request being served, under one version, with all that was asked for it so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from router_core.decision import Kind, Reason
from router_core.serving.draft import Draft
from router_core.serving.failover import Endpoint, Failover, Try
from router_core.serving.live import Live
from router_core.serving.providers import Call
from router_core.serving.requests import outgoing

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(slots=True)
class Job:
    """What a strategy works with: ``body`` is the request as it is to be answered, ``draft`` its record.

    ``vectors`` are the embeddings asked for so far, by model and text.
    """

    live: Live
    body: Mapping[str, Any]
    draft: Draft
    failover: Failover
    vectors: dict[tuple[str, str], NDArray[np.float64]] = field(default_factory=dict)
    wants_usage: bool = field(init=False)
    prompt_id: str = field(init=False)

    def __post_init__(self) -> None:
        self.wants_usage = (self.body.get("stream_options") or {}).get("include_usage") is True
        self.prompt_id = (self.body.get("metadata") or {}).get("prompt_id", "")

    async def ask(
        self,
        chain: Sequence[Endpoint],
        *,
        body: Mapping[str, Any] | None = None,
        kind: Kind = Kind.ANSWER,
        reason: str = "",
        timeout_s: float | None = None,
    ) -> Try:
        """Ask the first of a chain that suits and answers, each for at most ``timeout_s``, where that is sooner.

        Raises the last ``ProviderError`` where none does.
        """
        live, draft = self.live, self.draft
        asked = self.body if body is None else body
        # Whoever names a model wants that one, and no stronger one that would suit better.
        home = chain[0].tier if draft.reason != Reason.NAMED else ""
        expected = draft.score.expected_output_tokens if draft.score is not None else None
        fitting, moved = live.capabilities.fitting(chain, asked, live.chains.above(home), expected=expected or 0)

        longest = live.config.timeout if timeout_s is None else min(timeout_s, live.config.timeout)

        def call(endpoint: Endpoint) -> Call:
            return Call(
                endpoint.upstream_model,
                outgoing(asked, endpoint.upstream_model, endpoint.max_output_tokens),
                timeout_s=longest,
                prompt_id=self.prompt_id,
                wants_usage=self.wants_usage,
            )

        return await self.failover.answer(
            fitting,
            call,
            providers=live.providers,
            config=live.config,
            started=draft.started,
            tries=draft.tries,
            kind=kind,
            reason=reason,
            moved=moved,
            wider=lambda: live.chains.above(home),
        )

    def side(self, messages: Sequence[Mapping[str, Any]], **settings: Any) -> dict[str, Any]:
        """Return the body of a call made beside the answer, such as a judge's; it has none of the caller's settings."""
        return {"model": "", "messages": list(messages), **settings}


async def direct(job: Job) -> Try:
    """Serve a request by the chain of its tier, and nothing else."""
    return await job.ask(job.draft.chain)
