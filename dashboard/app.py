"""The frame around every page: name, logo, navigation, and one sentence where the ledger cannot be read."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from dashboard import ui
from router_core.errors import TierwiseError

HERE = Path(__file__).parent
STATIC = HERE / "static"
# Streamlit writes the names of what is chosen in white on the primary colour, which cannot be read on a dark theme's.
TAGS = "[data-testid=stMultiSelectTagsContainer] [data-tag] {color: inherit; background: rgba(128, 140, 248, 0.18)}"
# And it clips the names once there are more than a phone's width shows in four rows.
ROWS = "[data-testid=stMultiSelect] .react-aria-ComboBox > div {max-height: none}"

PAGES = {
    "Monitor": [
        st.Page(HERE / "app_pages/overview.py", title="Overview", icon=":material/space_dashboard:", default=True),
        st.Page(HERE / "app_pages/tiers.py", title="Tiers and routes", icon=":material/alt_route:"),
        st.Page(HERE / "app_pages/quality.py", title="Quality", icon=":material/verified:"),
        st.Page(HERE / "app_pages/explorer.py", title="Explorer", icon=":material/manage_search:"),
    ],
    "Optimise": [
        st.Page(HERE / "app_pages/tuning.py", title="Tuning", icon=":material/tune:"),
        st.Page(HERE / "app_pages/what_if.py", title="What-if", icon=":material/experiment:"),
        st.Page(HERE / "app_pages/prices.py", title="Prices", icon=":material/sell:"),
    ],
    "Data": [
        st.Page(HERE / "app_pages/import_data.py", title="Import data", icon=":material/upload_file:"),
        st.Page(HERE / "app_pages/reconcile.py", title="Reconcile", icon=":material/balance:"),
    ],
    "Govern": [
        st.Page(HERE / "app_pages/review_queue.py", title="Review queue", icon=":material/rate_review:"),
        st.Page(HERE / "app_pages/versions.py", title="Versions", icon=":material/history:"),
        st.Page(HERE / "app_pages/health.py", title="Health", icon=":material/monitor_heart:"),
    ],
}

st.set_page_config(
    page_title="Tierwise", page_icon=str(STATIC / "favicon.png"), layout="wide", initial_sidebar_state=232
)
st.html(f"<style>{TAGS} {ROWS}</style>")
st.logo(str(STATIC / "logo.svg"), size="large", icon_image=str(STATIC / "mark.svg"))
page = st.navigation(PAGES)
try:
    page.run()
except TierwiseError as error:
    ui.problem(error)
