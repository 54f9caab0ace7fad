"""Three Plotly figures, four metrics and one slider in a fragment, over no data at all."""

from __future__ import annotations

import plotly.graph_objects as go
import streamlit as st


@st.fragment
def page() -> None:
    """Draw everything from the slider's value."""
    value = st.slider("Value", 0, 100, 45, key="value")
    for column, name in zip(st.columns(4), "abcd", strict=True):
        column.metric(name, value)
    scores = list(range(101))
    for place, column in enumerate(st.columns(3)):
        heights = [(score * 7 + value + place) % 50 for score in scores]
        column.plotly_chart(go.Figure(go.Bar(x=scores, y=heights)), key=f"figure {place}")


st.set_page_config(layout="wide")
page()
