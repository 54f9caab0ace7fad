"""The server: the app, warmed and with its collector frozen, and one sentence where something goes wrong."""

from __future__ import annotations

import gc
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import streamlit as st

HERE = Path(__file__).parent
log = logging.getLogger("tierwise.dashboard")


@asynccontextmanager
async def lifespan(_: Any) -> AsyncIterator[dict[str, Any]]:
    """Import all that pages need, then freeze it: Streamlit collects after every rerun, and walks it all each time."""
    for name in ("pandas", "pyarrow", "plotly.graph_objects", "dashboard.charts", "dashboard.data", "dashboard.ui"):
        import_module(name)
    # Outside a session Streamlit's caches say so in the log; there is none yet, and that is meant.
    logging.getLogger("streamlit.runtime.scriptrunner_utils.script_run_context").setLevel(logging.ERROR)
    import_module("dashboard.data").warm()
    gc.collect()
    gc.freeze()
    yield {}


def explain(error: Exception) -> bool:
    """Show a sentence instead of a traceback; the traceback is in the log."""
    import_module("dashboard.ui").problem(error)
    return True


app = st.App(HERE / "app.py", lifespan=lifespan, on_script_error=explain)
