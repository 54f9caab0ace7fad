"""A figure on its way to the page: plain data, taken for a Plotly figure by Streamlit and by whoever looks into it."""

from __future__ import annotations

from functools import cache
from typing import Any

import plotly.graph_objects as go


class Drawn(go.Figure):  # type: ignore[misc]
    """A Plotly figure that nobody changes any more.

    Plotly copies and checks every part of a figure when it is made and again when it is sent, which takes longer than
    all else between the move of a slider and its figures. This one hands its parts over as they are; they become
    Plotly's objects only where somebody asks for them.
    """

    def __init__(self, traces: list[dict[str, Any]], layout: dict[str, Any]) -> None:
        self._spec: dict[str, Any] = {"data": traces, "layout": {"template": _template(), **layout}}

    def to_dict(self) -> dict[str, Any]:
        """Return what is sent; it is not a copy."""
        return self._spec

    @property
    def data(self) -> tuple[Any, ...]:
        """The traces; raises ``ValueError`` where Plotly knows a name or a value not."""
        return tuple(go.Figure(self._spec).data)

    @property
    def layout(self) -> go.Layout:
        """The layout; raises ``ValueError`` where Plotly knows a name or a value not."""
        return go.Figure(self._spec).layout


@cache
def _template() -> Any:
    """Return the look that Streamlit has set for every figure."""
    return go.Figure().to_dict()["layout"]["template"]
