"""The seam to the models: one protocol with one method, and the two providers that ship with it."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from router_core.serving.providers.recorded import Outcomes, Recorded, RecordedProvider
from router_core.serving.providers.seam import Call, Chunks, Provider, Reply

if TYPE_CHECKING:
    from router_core.serving.providers.http import HttpProvider, HttpSession, http_providers

__all__ = [
    "Call",
    "Chunks",
    "HttpProvider",
    "HttpSession",
    "Outcomes",
    "Provider",
    "Recorded",
    "RecordedProvider",
    "Reply",
    "http_providers",
]

# The HTTP client is imported by who first asks for it: it takes as long to load as all the rest of the router.
_OF_HTTP = ("HttpProvider", "HttpSession", "http_providers")


def __getattr__(name: str) -> Any:
    if name not in _OF_HTTP:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("router_core.serving.providers.http"), name)
