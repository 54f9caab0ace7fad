"""Recall: the answer cache as one request uses it."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic_core import to_json

from router_core.config import Cache
from router_core.decision import Reason
from router_core.serving.cache import AnswerCache, Asked, Hit
from router_core.serving.chunks import assembled
from router_core.serving.embed import embed
from router_core.serving.job import Job


@dataclass(slots=True)
class Recall:
    """What a request is known by in the cache, under the settings of its feature."""

    job: Job
    cache: AnswerCache
    asked: Asked
    settings: Cache

    @classmethod
    def of(cls, job: Job, cache: AnswerCache, settings: Cache) -> Recall:
        """Return the request's own; a routed one shares answers with its tier, a named model's only with that model."""
        draft = job.draft
        scope = f"model {job.body['model']}" if draft.reason == Reason.NAMED else draft.tier
        asked = cache.asked(job.body, team=draft.team, feature=draft.request.feature, tier=scope, settings=settings)
        return cls(job, cache, asked, settings)

    async def find(self) -> Hit | None:
        """Return an answer kept before, None where there is none.

        Where an endpoint's vectors tell how alike prompts are, it is asked only for what was not repeated exactly.
        """
        endpoint = self.job.live.cache_embedder
        if endpoint is None or self.asked.print is None:
            return await self.cache.find(self.asked, self.settings)
        hit = await self.cache.find(Asked(self.asked.key, b"", None), self.settings)
        if hit is not None:
            return hit
        vector = await embed(self.job, endpoint, self.job.body["messages"][-1]["content"], reason="cache")
        self.asked = self.cache.by_vector(self.asked, vector, endpoint.upstream_model)
        return await self.cache.find(self.asked, self.settings)

    async def keep(self, answer: bytes) -> None:
        """Keep a whole answer."""
        await self.cache.keep(self.asked, answer, self.settings)

    async def keep_pieces(self, pieces: bytes) -> None:
        """Keep the answer that the pieces of a stream make up, where they are complete and of a form that is known."""
        try:
            whole = assembled(pieces)
        except (AttributeError, TypeError):
            return
        if whole is not None:
            await self.keep(to_json(whole))
