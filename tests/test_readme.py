"""The README is true: its commands run, and nothing public is missing from it."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from router_core import errors
from router_core.cli import app, register
from router_core.config import RoutingConfig
from router_core.exchange.sniff import NAMES

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
SERVERS = ("serve", "dashboard")


def commands() -> list[str]:
    """Return the `tierwise` commands of the README's shell examples, in order, but those that keep running."""
    blocks = re.findall(r"^```sh\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return [
        line.partition("  #")[0].strip()
        for line in lines
        if line.startswith("tierwise ") and line.split()[1] not in SERVERS
    ]


def test_the_shell_examples_run_in_order(tmp_path: Path) -> None:
    """One ledger, the examples as a newcomer would type them, one after the other."""
    shutil.copytree(ROOT / "data", tmp_path / "data", ignore=shutil.ignore_patterns("*.db*", "*.npz", "*.key"))
    environ = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    assert len(commands()) >= 8
    for command in commands():
        words = shlex.split(command)
        if words[1] == "demo":
            words += ["--decisions", "4000", "--days", "15"]  # as quick as an example may be
        done = subprocess.run(words, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"


def test_every_setting_is_named() -> None:
    missing = [name for name in RoutingConfig.model_fields if f"`{name}`" not in README]
    assert not missing


def test_every_error_is_named() -> None:
    missing = [
        name
        for name, thing in vars(errors).items()
        if isinstance(thing, type) and issubclass(thing, errors.TierwiseError) and f"`{name}`" not in README
    ]
    assert not missing


def test_every_page_is_named() -> None:
    pages = [path.stem for path in (ROOT / "dashboard" / "app_pages").glob("*.py") if path.stem != "__init__"]
    assert pages
    missing = [name for name in pages if f"**{name.replace('_', ' ').capitalize()}**" not in README]
    assert not missing


def test_every_format_that_can_be_imported_is_named() -> None:
    missing = [name for name in NAMES if f"`{name}`" not in README]
    assert not missing


def test_every_verb_is_named() -> None:
    register()
    names = [
        f"tierwise {name}"
        for name in typer.main.get_command(app).commands  # type: ignore[attr-defined]
    ]
    missing = [name for name in names if name not in README]
    assert not missing


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([^)#:]+)\)", README))))
def test_every_relative_link_leads_somewhere(link: str) -> None:
    assert (ROOT / link).exists()
