"""A real gateway as a process of its own, and what tests ask of its ledger."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

from openai import AsyncOpenAI, OpenAI

from router_core.decision import RoutingDecision
from router_core.ledger.store import open_ledger

TIERWISE = Path(sys.executable).with_name("tierwise")


@dataclass(slots=True)
class Gateway:
    """A running gateway; ``url`` has no path."""

    url: str
    db: Path
    process: subprocess.Popen[str]
    log: Path
    clients: dict[str, OpenAI] = field(default_factory=dict)

    def client(self, key: str = "any") -> OpenAI:
        """Return the real client, set not to repeat requests by itself; it is closed with the gateway."""
        if key not in self.clients:
            self.clients[key] = OpenAI(base_url=f"{self.url}/v1", api_key=key, max_retries=0)
        return self.clients[key]

    def async_client(self, key: str = "any") -> AsyncOpenAI:
        """Return the real asynchronous client."""
        return AsyncOpenAI(base_url=f"{self.url}/v1", api_key=key, max_retries=0)

    def decision(self, decision_id: str) -> RoutingDecision:
        """Return a decision of the ledger by the id that the gateway's header gave."""
        with open_ledger(self.db) as ledger:
            return ledger.read_decision(UUID(decision_id).bytes)

    def kill(self) -> None:
        """End the process at once, as a machine that fails would."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


@contextmanager
def gateway(db: Path, config: Path | None = None, *arguments: str, **environ: str) -> Iterator[Gateway]:
    """Run a gateway on a free port, and end it with the signal that lets it drain."""
    log = db.with_suffix(".log")
    command = [str(TIERWISE), "serve", "--db", str(db), "--port", "0", "--json", *arguments]
    if config is not None:
        command += ["--config", str(config)]
    with log.open("a") as errors:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, text=True, env={**os.environ, **environ}
        )
        try:
            assert process.stdout is not None
            said = ""
            for line in process.stdout:
                said += line
                if line.startswith("}"):
                    break
            assert said, log.read_text()
            running = Gateway(json.loads(said)["url"], db, process, log)
            try:
                yield running
            finally:
                for client in running.clients.values():
                    client.close()
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait(timeout=30)
            assert process.stdout is not None
            process.stdout.close()


def write_config(path: Path, base_url: str, models: dict[str, str], **more: str) -> Path:
    """Write a configuration whose tiers are ``models`` (configured name to the upstream's), each falling back to none.

    ``more`` adds top-level YAML by key.
    """
    lines = ["tiers:", "  - {name: SIMPLE, models: [cheap]}", "  - {name: STRONG, models: [strong], score_min: 100}"]
    lines += ["models:"]
    lines += [f"  {name}: {{provider: up, name: {upstream}}}" for name, upstream in models.items()]
    lines += ["providers:", f'  up: {{base_url: "{base_url}", api_key_env: UP_KEY}}']
    lines += [f"{key}: {value}" for key, value in more.items()]
    path.write_text("\n".join(lines) + "\n")
    return path
