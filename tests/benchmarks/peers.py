"""LiteLLM and Portkey's gateway, each in an environment of its own outside the tree, and as running processes.

``TIERWISE_PEERS`` names the folder of these environments. A benchmark makes what is missing there; where that fails,
and for everybody else, what is missing is said in one sentence and its comparisons are skipped.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx

HOME = Path(os.environ.get("TIERWISE_PEERS", Path.home() / ".cache" / "tierwise" / "peers"))
INSTALL_S = 900
START_S = 120

_LITELLM_ENVIRON = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # it would fetch its price list at the start
    "LITELLM_MODE": "PRODUCTION",
    "LITELLM_LOG": "ERROR",
    "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true",  # without keys, as the others here
}


class Absent(Exception):
    """A peer that is not here and cannot be brought; says which and why."""


def litellm_python(*, install: bool) -> Path:
    """Return the interpreter that has LiteLLM and its proxy; raises ``Absent``."""
    python = HOME / "litellm" / "bin" / "python"
    ready = HOME / "litellm" / ".ready"
    if ready.exists():
        return python
    if not install:
        raise Absent(f"LiteLLM is not installed under {HOME}; 'make bench' installs it there")
    _run("LiteLLM", [sys.executable, "-m", "venv", str(HOME / "litellm")])
    _run("LiteLLM", [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "litellm[proxy]"])
    ready.touch()
    return python


def portkey_script(*, install: bool) -> Path:
    """Return the script that starts Portkey's gateway; raises ``Absent``."""
    folder = HOME / "portkey"
    script = folder / "node_modules" / "@portkey-ai" / "gateway" / "build" / "start-server.js"
    if shutil.which("node") is None or shutil.which("npm") is None:
        raise Absent("Portkey's gateway needs node and npm, which are not installed")
    if script.exists():
        return script
    if not install:
        raise Absent(f"Portkey's gateway is not installed under {HOME}; 'make bench' installs it there")
    folder.mkdir(parents=True, exist_ok=True)
    asked = ["npm", "install", "--prefix", str(folder), "--no-audit", "--no-fund", "--silent", "@portkey-ai/gateway"]
    _run("Portkey's gateway", asked)
    return script


def _run(what: str, command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Absent(f"{what} could not be installed: {error}") from None
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise Absent(f"{what} could not be installed: {said[-1] if said else 'no reason given'}")


def litellm_environ(**more: str) -> dict[str, str]:
    """Return an environment in which LiteLLM starts without looking for anything outside this machine."""
    return {**os.environ, **_LITELLM_ENVIRON, **more}


@contextmanager
def litellm_proxy(folder: Path, config: Mapping[str, object], **environ: str) -> Iterator[tuple[str, int]]:
    """Run LiteLLM's proxy with one worker and no database; give its URL and process id. Raises ``Absent``."""
    python = litellm_python(install=True)
    settings = folder / "litellm.json"
    settings.write_text(json.dumps(config))  # JSON is YAML
    port = _free_port()
    script = str(python.with_name("litellm"))
    command = [str(python), script, "--config", str(settings), "--host", "127.0.0.1", "--port", str(port)]
    with _running(
        "LiteLLM's proxy", command, port, "/health/liveliness", folder, litellm_environ(**environ)
    ) as process:
        yield f"http://127.0.0.1:{port}", process


@contextmanager
def portkey_gateway(folder: Path) -> Iterator[tuple[str, int]]:
    """Run Portkey's gateway; give its URL and process id. Raises ``Absent``."""
    script = portkey_script(install=True)
    port = _free_port()
    environ = {**os.environ, "NODE_ENV": "production", "TRUSTED_CUSTOM_HOSTS": "127.0.0.1"}
    command = ["node", str(script), f"--port={port}", "--headless"]
    with _running("Portkey's gateway", command, port, "/", folder, environ) as process:
        yield f"http://127.0.0.1:{port}", process


@contextmanager
def _running(
    what: str, command: list[str], port: int, path: str, folder: Path, environ: Mapping[str, str]
) -> Iterator[int]:
    log = folder / f"{port}.log"
    with log.open("w") as out, subprocess.Popen(command, stdout=out, stderr=out, env=environ, cwd=folder) as process:
        try:
            until = time.monotonic() + START_S
            while not _answers(f"http://127.0.0.1:{port}{path}"):
                if process.poll() is not None or time.monotonic() > until:
                    said = log.read_text(errors="replace").strip().splitlines()
                    raise Absent(f"{what} did not start: {said[-1] if said else 'it said nothing'}")
                time.sleep(0.2)
            yield process.pid
        finally:
            process.kill()


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2).status_code == 200
    except httpx.HTTPError:
        return False


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
