"""The server: the app, warmed and with its collector frozen, and one sentence where something goes wrong."""

from __future__ import annotations

import gc
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import streamlit as st
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route
from streamlit import file_util

HERE = Path(__file__).parent
BESIDE = 'window.__streamlit = {BACKEND_BASE_URL: new URL(".", location.href).href}'
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


async def page(_: Request) -> HTMLResponse:
    """Answer the address of a page with Streamlit's own, told where its server is.

    Left to itself it first looks for the server beside the page, fails, and every reader's console says so.
    """
    return HTMLResponse(_index(), headers={"Cache-Control": "no-cache"})


@cache
def _index() -> str:
    whole = Path(file_util.get_static_dir(), "index.html").read_text(encoding="utf-8")
    return whole.replace("<head>", f"<head><script>{BESIDE}</script>", 1)


PAGES = [Route(f"/{path.stem}", page) for path in sorted((HERE / "app_pages").glob("*.py"))]
app = st.App(HERE / "app.py", lifespan=lifespan, routes=PAGES, on_script_error=explain)
