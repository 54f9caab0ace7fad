"""The library's small surface, and how little importing it loads."""

from __future__ import annotations

import subprocess
import sys

import pytest

import router_core


def test_what_is_exported_is_what_is_there() -> None:
    assert router_core.__all__ == sorted(router_core.__all__)
    for name in router_core.__all__:
        assert getattr(router_core, name).__name__ == name
        assert name in dir(router_core)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        router_core.nonsense  # noqa: B018


def loaded_by(statement: str) -> set[str]:
    """Return the top-level packages that a fresh interpreter holds after a statement."""
    program = f"import sys; {statement}; print(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    return set(
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    )


def test_importing_the_package_loads_nothing_heavy() -> None:
    assert not loaded_by("import router_core") & {"pydantic", "numpy", "aiohttp", "sqlalchemy"}


@pytest.mark.parametrize("module", ["router_core.serving.router", "router_core.gateway.server"])
def test_the_request_path_never_loads_analysis_libraries(module: str) -> None:
    heavy = {"pandas", "sklearn", "scipy", "streamlit", "plotly", "pyarrow", "genai_prices"}
    assert not loaded_by(f"import {module}") & heavy
