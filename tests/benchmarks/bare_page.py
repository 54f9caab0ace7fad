"""Two pages over no data at all: a slider with three Plotly figures and four metrics, and three figures of nothing."""

from __future__ import annotations

import plotly.graph_objects as go
import streamlit as st


def slider() -> None:
    """The least a page with a live control can be."""
    follow()


@st.fragment
def follow() -> None:
    """Draw everything from the slider's value."""
    value = st.slider("Value", 0, 100, 45, key="value")
    for column, name in zip(st.columns(4), "abcd", strict=True):
        column.metric(name, value)
    scores = list(range(101))
    for place, column in enumerate(st.columns(3)):
        heights = [(score * 7 + value + place) % 50 for score in scores]
        column.plotly_chart(go.Figure(go.Bar(x=scores, y=heights)), key=f"figure {place}")


def empty() -> None:
    """The least a page with figures can be."""
    for place, column in enumerate(st.columns(3)):
        column.plotly_chart(go.Figure(), key=f"empty {place}")


st.set_page_config(layout="wide")
st.navigation([st.Page(slider, title="Slider", default=True), st.Page(empty, title="Empty")]).run()
