"""The seam to the models: one protocol with one method, and the two providers that ship with it."""

from router_core.serving.providers.http import HttpProvider, HttpSession, http_providers
from router_core.serving.providers.recorded import Outcomes, Recorded, RecordedProvider
from router_core.serving.providers.seam import Call, Chunks, Provider, Reply

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
