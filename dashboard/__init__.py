"""The Streamlit dashboard: shows what the core has measured and lets people change it safely."""
