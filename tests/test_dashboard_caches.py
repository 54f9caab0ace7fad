"""Everything the dashboard keeps is bounded, and forgotten when what it came from changes."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

DASHBOARD = Path(__file__).parent.parent / "dashboard"
CACHES = ("cache_data", "cache_resource")


def cached() -> Iterator[tuple[str, set[str], list[str]]]:
    """Yield each cached function's name, the settings of its cache and what it is keyed by."""
    for module in sorted(DASHBOARD.rglob("*.py")):
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                for decorator in node.decorator_list:
                    called = decorator.func if isinstance(decorator, ast.Call) else decorator
                    if isinstance(called, ast.Attribute) and called.attr in CACHES:
                        settings = decorator.keywords if isinstance(decorator, ast.Call) else []
                        keys = [argument.arg for argument in node.args.args if not argument.arg.startswith("_")]
                        yield f"{module.stem}.{node.name}", {str(each.arg) for each in settings}, keys


@pytest.mark.parametrize(
    ("name", "settings", "keys"), list(cached()), ids=lambda value: value if type(value) is str else ""
)
def test_a_cache_is_bounded_and_keyed_by_what_would_change_its_answer(
    name: str, settings: set[str], keys: list[str]
) -> None:
    assert "max_entries" in settings, f"{name} may grow without end"
    # The stamp holds the ledger's file, its sums, the live version and the prices; a ttl is for what it does not hold.
    keyed = "stamp" in keys or "file" in keys or "ttl" in settings
    assert keyed or not keys, f"{name} would answer from a ledger that has changed"
