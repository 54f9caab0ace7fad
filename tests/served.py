"""A router with a real ledger before a real upstream process, and what came of each request as the ledger has it."""

from __future__ import annotations

import atexit
import json
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import httpx

from router_core.config import RoutingConfig, parse_config
from router_core.decision import Attempt, RoutingDecision
from router_core.ledger.answer_cache import SqliteAnswers, answers_path
from router_core.ledger.budgets import Budgets
from router_core.ledger.store import Ledger, open_ledger
from router_core.ledger.writer import LedgerWriter
from router_core.prices import PriceBook, price_from_entry
from router_core.serving.messages import streamed_text
from router_core.serving.router import Answer, Router

TIERS = ("SIMPLE", "MEDIUM", "STRONG")
RATES = {"cheap": 1, "middle": 10, "strong": 100}
CALL = {name: 11 * rate * 1_000 + 6 * rate * 2_000 for name, rate in RATES.items()}
"""What one call costs in nano-dollars: the upstream counts 11 tokens in and 6 out."""


def config(url: str, models: Mapping[str, str] | None = None, yaml: str = "", **entries: str) -> RoutingConfig:
    """Return three tiers with one model each; ``models`` says how each behaves, ``entries`` adds to its entry."""
    behaves = {name: (models or {}).get(name, "ok") for name in (*RATES, *(models or {}))}
    listed = "\n".join(
        f"  {name}: {{provider: {name}, name: {json.dumps(upstream)}{entries.get(name, '')}}}"
        for name, upstream in behaves.items()
    )
    providers = "\n".join(f'  {name}: {{base_url: "{url}"}}' for name in behaves)
    tiers = "tiers:\n  - {name: SIMPLE, models: [cheap]}\n  - {name: MEDIUM, models: [middle], score_min: 60}\n"
    tiers += "  - {name: STRONG, models: [strong], score_min: 90}\n"
    if "tiers:" in yaml:
        tiers = ""
    return parse_config(f"{tiers}models:\n{listed}\nproviders:\n{providers}\n{yaml}\n")


class Served:
    """The router at work."""

    def __init__(self, url: str, ledger: Ledger, router: Router) -> None:
        self.url = url
        self.ledger = ledger
        self.router = router

    async def ask(self, text: str = "hello", **body: Any) -> tuple[str, RoutingDecision]:
        """Return the answer's text and the decision that the ledger holds once it is there."""
        body.setdefault("messages", [{"role": "user", "content": text}])
        answer = await self.router.complete(body)
        if answer.chunks is None:
            said = json.loads(answer.body)["choices"][0]["message"]["content"]
        else:
            said = streamed_text(b"".join([piece async for piece in answer.chunks]))
        return said, self.kept(answer)

    def kept(self, answer: Answer) -> RoutingDecision:
        """Return a decision from the ledger."""
        return self.ledger.read_decision(answer.decision_id)

    def calls(self) -> list[dict[str, Any]]:
        """Return the bodies the upstream received."""
        return [call["body"] for call in httpx.get(self.url.replace("/v1", "/calls")).json()["calls"]]

    def closed_early(self) -> int:
        """Return how many answers nobody waited for to the end."""
        return int(httpx.get(self.url.replace("/v1", "/calls")).json()["closed_early"])


@cache
def _unused_ledger() -> Path:
    """Return a ledger nobody has used, to be copied: making one fills it with every known price."""
    folder = mkdtemp(prefix="tierwise-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = Path(folder) / "ledger.db"
    open_ledger(path).close()
    return path


@asynccontextmanager
async def served(url: str, path: Path, settings: RoutingConfig, **arguments: Any) -> AsyncIterator[Served]:
    """Run a router on a ledger of its own."""
    prices = PriceBook(
        price_from_entry(
            {"provider": name, "model": model.name or name, "effective_from": "2020-01-01", "input": str(rate)}
            | {"output": str(2 * rate)}
        )
        for name, model in settings.models.items()
        for rate in (RATES.get(name, 1),)
    )
    if not path.exists():
        shutil.copy(_unused_ledger(), path)
    with open_ledger(path) as ledger, LedgerWriter(ledger) as writer:
        budgets = Budgets(ledger)
        router = Router(
            settings,
            version=1,
            prices=prices,
            record=writer.record,
            hash_key=b"k" * 32,
            **{"answers": SqliteAnswers(answers_path(ledger), max_bytes=2**24), "purse": budgets, **arguments},
        )
        try:
            yield Served(url, ledger, router)
        finally:
            await router.close()
            budgets.close()


def told(attempts: tuple[Attempt, ...]) -> list[tuple[str, str, str, bool]]:
    """Return (kind, model, status, final) of attempts, in their order."""
    return [(one.kind.name, one.model, one.status.name, one.final) for one in attempts]
