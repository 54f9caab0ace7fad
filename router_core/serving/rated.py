"""Rated: scores that an endpoint gave lately, so that nobody is paid twice to judge the same text."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from hashlib import blake2b

from router_core.complexity.excerpt import excerpt
from router_core.complexity.score import Score
from router_core.serving.job import Job


class Rated:
    """The latest ``most`` scores, by who gave them and the excerpt that was judged; in memory only, and no text."""

    def __init__(self, most: int = 20_000) -> None:
        self._most = most
        self._kept: OrderedDict[bytes, Score] = OrderedDict()

    def find(self, who: str, job: Job) -> Score | None:
        """Return the score that ``who`` gave to the job's text before, with what is expected of this answer."""
        score = self._kept.get(_key(who, job))
        before = job.draft.score
        if score is None or before is None:
            return None
        return replace(score, expected_output_tokens=before.expected_output_tokens)

    def keep(self, who: str, job: Job, score: Score) -> None:
        """Remember a score, forgetting the oldest where there are too many."""
        self._kept[_key(who, job)] = score
        if len(self._kept) > self._most:
            self._kept.popitem(last=False)


def _key(who: str, job: Job) -> bytes:
    text = f"{who}\0{job.live.classifier.scorer.version}\0{excerpt(job.draft.request.text)}"
    return blake2b(text.encode("utf-8", "replace"), digest_size=16).digest()
