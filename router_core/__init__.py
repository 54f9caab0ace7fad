"""Tierwise's core: score a request, route it, answer it, record it, and project what a change would do.

A ``Router`` serves requests, and each answer carries its ``RoutingDecision``, with every call made for it and what it
cost. ``project`` says what another configuration would have cost and how good it would have been, with an interval.
Whatever goes wrong is a ``TierwiseError``. Nothing else is promised to stay.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from router_core.decision import RoutingDecision
    from router_core.errors import TierwiseError
    from router_core.projection import project
    from router_core.serving.router import Router

__all__ = ["Router", "RoutingDecision", "TierwiseError", "project"]

# Imported when first asked for, so that importing any one room does not load the others.
_HOMES = {
    "Router": "router_core.serving.router",
    "RoutingDecision": "router_core.decision",
    "TierwiseError": "router_core.errors",
    "project": "router_core.projection",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
