"""Start: a request before anybody is called for it - who it is, how hard, and which tier it is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pydantic_core import PydanticSerializationError, to_json

from router_core.config import suggest
from router_core.decision import Reason, Request
from router_core.errors import InputError, UnknownModelError
from router_core.policy import assign
from router_core.serving.conversations import Conversations
from router_core.serving.draft import Draft
from router_core.serving.failover import Endpoint
from router_core.serving.hashing import keyed_hash
from router_core.serving.live import Live
from router_core.serving.requests import AUTO

DEFAULT_FEATURE = Request("").feature


class Start:
    """Begins the record of each request. ``key`` keys the hashes; the rest is as the router was given it."""

    def __init__(
        self,
        key: bytes,
        conversations: Conversations,
        *,
        clock: Callable[[], int],
        timer: Callable[[], float],
        random: Callable[[], float],
        new_id: Callable[[int], bytes],
    ) -> None:
        self._key = key
        self._conversations = conversations
        self._clock = clock
        self._timer = timer
        self._random = random
        self._new_id = new_id

    def draft(self, live: Live, body: Mapping[str, Any], request: Request) -> Draft:
        """Return the request scored and assigned; raises ``InputError`` and ``UnknownModelError``."""
        started, decided_at_ms = self._timer(), self._clock()
        config, name = live.config, body.get("model", AUTO)
        feature = config.features.get(request.feature)
        if feature is None and config.unknown_feature == "refuse" and request.feature != DEFAULT_FEATURE:
            hint = suggest(request.feature, list(config.features))
            raise InputError(f"{request.feature!r} is not a feature of this configuration; {hint}", source="feature")
        team = request.team or (feature.team if feature is not None else None) or ""
        routed = name == AUTO
        if not routed and name not in live.chains.by_model:
            raise UnknownModelError(name, tuple(config.models))
        chain = () if routed else live.chains.by_model[name]
        draft = Draft(
            id=self._new_id(decided_at_ms),
            decided_at_ms=decided_at_ms,
            started=started,
            config_version=live.version,
            capture=config.capture,
            prices=live.prices,
            request=request,
            team=team,
            score=live.classifier.classify(request) if routed else None,
            tier="" if routed else chain[0].tier,
            reason=Reason.NAMED,
            propensity=1.0,
            chain=chain,
            prompt_hash=self._prompt(body),
            conversation_hash=self._conversation(team, request.conversation),
        )
        if routed:
            draft.draw = self._random()
            self.assign(live, draft)
        return draft

    def assign(self, live: Live, draft: Draft) -> None:
        """Give a scored request its tier, and whom to ask there; again, where another stage has scored it since."""
        config, warm = live.config, None
        if draft.conversation_hash is not None:
            warm = self._conversations.find(draft.conversation_hash, draft.started, config.sticky.warm_seconds)
        assert draft.score is not None  # it was scored
        assignment = assign(
            draft.score, draft.request, config, draw=draft.draw, warm_tier=warm.tier if warm is not None else None
        )
        draft.tier, draft.reason, draft.propensity = assignment.tier, assignment.reason, assignment.propensity
        draft.chain = live.chains.by_tier[assignment.tier]
        if warm is not None and assignment.reason == Reason.STICKY:
            draft.chain = _led_by(draft.chain, warm.model)

    def _prompt(self, body: Mapping[str, Any]) -> int:
        try:
            return keyed_hash(self._key, to_json(body["messages"]))
        except PydanticSerializationError as error:
            raise InputError(f"cannot be written as JSON ({error})", source="messages") from None

    def _conversation(self, team: str, conversation: str) -> int | None:
        if not conversation:
            return None
        return keyed_hash(self._key, f"{team}\0{conversation}".encode("utf-8", "replace"))


def _led_by(chain: tuple[Endpoint, ...], model: str) -> tuple[Endpoint, ...]:
    """Return the chain with one of its models first."""
    return tuple(sorted(chain, key=lambda endpoint: endpoint.model != model))
