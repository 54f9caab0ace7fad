"""Capabilities: what a request asks of a model, and which endpoints are known not to have it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from router_core.config import RoutingConfig
from router_core.serving.failover import Endpoint
from router_core.serving.messages import prompt_text
from router_core.usage import estimate_tokens

# An estimate is within about a tenth, so a prompt this close to the window is taken not to fit.
_MARGIN = 1.1


class Capabilities:
    """Picks the endpoints that suit a request; without anything known of a model, it suits."""

    def __init__(self, config: RoutingConfig) -> None:
        windows = [model.context_window for model in config.models.values() if model.context_window is not None]
        self._smallest = min(windows, default=None)
        self._asks = any(model.capabilities is not None for model in config.models.values())

    def fitting(
        self, chain: Sequence[Endpoint], body: Mapping[str, Any], above: Iterable[Endpoint], *, expected: int = 0
    ) -> tuple[Sequence[Endpoint], str]:
        """Return the endpoints to ask, and why they are not the whole chain from its beginning (empty: they are).

        Those of ``chain`` that suit come first, then those ``above`` it; where none suits the chain is returned, and
        the model's own refusal tells the caller what is wrong. ``expected`` is how many tokens the answer is expected
        to have, for callers who set no limit.
        """
        needs = _needs(body) if self._asks else ()
        tokens = self._tokens(body, expected)
        if not needs and not tokens:
            return chain, ""
        lack = ""
        suited = []
        for endpoint in chain:
            missing = _missing(endpoint, needs, tokens)
            if missing:
                lack = lack or missing
            else:
                suited.append(endpoint)
        if not lack:
            return chain, ""
        if not suited:
            known = {endpoint.model for endpoint in chain}
            suited = [one for one in above if one.model not in known and not _missing(one, needs, tokens)]
        if not suited:
            return chain, ""
        return suited, "" if suited[0] is chain[0] else lack

    def _tokens(self, body: Mapping[str, Any], expected: int) -> int:
        """Return the tokens that must fit; 0 where they fit every window without being counted."""
        if self._smallest is None:
            return 0
        room = body.get("max_completion_tokens") or body.get("max_tokens") or expected
        size = 0
        for message in body["messages"]:
            content = message.get("content")
            size += len(content) if isinstance(content, str) else _listed(content)
        if body.get("tools"):
            size = self._smallest  # seldom, so it is worth a closer look
        if (size + room) * _MARGIN <= self._smallest:  # no estimate exceeds one token a character
            return 0
        return round(estimate_tokens(prompt_text(body)) * _MARGIN) + room


def _listed(content: object) -> int:
    if not isinstance(content, list):
        return 0
    return sum(len(part["text"]) for part in content if isinstance(part, Mapping) and isinstance(part.get("text"), str))


def _needs(body: Mapping[str, Any]) -> tuple[str, ...]:
    needs = []
    if body.get("tools") or body.get("functions"):
        needs.append("tools")
    wanted = body.get("response_format")
    if wanted and str(wanted.get("type", "")).startswith("json"):
        needs.append("json")
    for message in body["messages"]:
        content = message.get("content")
        if isinstance(content, list) and any(
            isinstance(part, Mapping) and part.get("type") in ("image_url", "image", "input_image") for part in content
        ):
            needs.append("images")
            break
    return tuple(needs)


def _missing(endpoint: Endpoint, needs: Sequence[str], tokens: int) -> str:
    if endpoint.capabilities is not None:
        for need in needs:
            if need not in endpoint.capabilities:
                return f"needs {need}"
    if tokens and endpoint.context_window is not None and tokens > endpoint.context_window:
        return "needs a larger window"
    return ""
