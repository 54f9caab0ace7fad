"""The least a page with a slider can be: what the dashboard's own speed is measured against."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import streamlit as st


@asynccontextmanager
async def lifespan(_: Any) -> AsyncIterator[dict[str, Any]]:
    """Import what the page needs and freeze it, as the dashboard does."""
    for name in ("pandas", "pyarrow", "plotly.graph_objects"):
        import_module(name)
    gc.collect()
    gc.freeze()
    yield {}


app = st.App(Path(__file__).with_name("bare_page.py"), lifespan=lifespan)
