"""The `tierwise dashboard` verb: the Streamlit app on this machine, with the settings shipped beside it."""

from __future__ import annotations

import os
import socket
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from router_core.cli import DEFAULT_DB, DbOption, JsonOption, app, note, print_json
from router_core.errors import InputError

ADDRESS = "127.0.0.1"


@app.command()
def dashboard(
    db: DbOption = DEFAULT_DB,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port on this machine.")] = 8501,
    as_json: JsonOption = False,
) -> None:
    """Open the dashboard on this machine and keep it open until it is stopped."""
    script = _script()
    _require_free(port)
    url = f"http://{ADDRESS}:{port}"
    if "://" not in db and not Path(db).exists():
        note(
            f"There is no ledger at {db} yet: fill one with 'tierwise demo --db {db}', "
            "or route traffic with 'tierwise serve'."
        )
    if as_json:
        print_json({"url": url, "db": db})
    else:
        typer.echo(f"Tierwise is at {url} (ledger {db}); Ctrl+C stops it.")
    sys.stdout.flush()
    command = [sys.executable, "-m", "streamlit", "run", str(script)]
    settings = [f"--server.port={port}", f"--server.address={ADDRESS}", "--server.headless=true"]
    # Replacing this process leaves one process to stop, and signals reach the server itself.
    os.execve(sys.executable, command + settings, {**os.environ, "TIERWISE_DB": db})


def _script() -> Path:
    """Find the app by name: the core must not import what it is shown by."""
    package = find_spec("dashboard")
    if package is None or package.origin is None:
        raise InputError("the dashboard is not installed; install Tierwise with its 'dashboard' package")
    return Path(package.origin).parent / "asgi.py"


def _require_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((ADDRESS, port))
        except OSError:
            raise InputError(f"port {port} is in use on {ADDRESS}; choose another with --port") from None
