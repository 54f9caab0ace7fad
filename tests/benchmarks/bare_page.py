"""Pages over no data at all: a slider with three figures, three figures of nothing, and all parts of the Overview."""

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


def parts() -> None:
    """The parts that the Overview is made of, with nothing in them: what a page so full costs Streamlit itself."""
    with st.container(horizontal=True):
        st.title("Parts")
        for name in "abc":
            st.selectbox(name, ["x"], key=name)
        st.segmented_control("days", [7, 30, 90], key="days")
        with st.popover("Share"):
            st.markdown("x")
            st.code("x")
    st.caption("x")
    with st.grid(6):
        for name in "abcdef":
            with st.container(border=True):
                st.metric(name, 1, "+1")
    st.caption("x")
    with st.container(border=True):
        st.markdown("**x**")
        with st.container(horizontal=True):
            st.markdown("x")
            st.page_link(pages[0], label="there")
            st.button("x")
    for pair in (0, 2):
        for place, column in enumerate(st.columns([3, 2]), pair):
            with column, st.container(border=True):
                st.markdown("**x**")
                st.plotly_chart(go.Figure(), key=f"part {place}")
                st.markdown("x")
    with st.container(border=True):
        st.markdown("**x**")
        st.segmented_control("by", ["x", "y"], key="by")
        st.dataframe({"x": list(range(10)), "y": list(range(10))})
        st.download_button("x", "x")


st.set_page_config(layout="wide")
pages = [st.Page(slider, title="Slider", default=True), st.Page(empty, title="Empty"), st.Page(parts, title="Parts")]
st.navigation(pages).run()
