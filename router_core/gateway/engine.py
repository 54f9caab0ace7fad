"""Engine: a router wired to a ledger, and kept current with what is pushed, priced and allowed there."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from router_core.complexity.classify import Classifier
from router_core.complexity.scorer import Scorer
from router_core.config import RoutingConfig
from router_core.decision import RoutingDecision
from router_core.gateway.access import Access
from router_core.gateway.metrics import Metrics
from router_core.ledger.answer_cache import SqliteAnswers, answers_path
from router_core.ledger.budgets import Budgets
from router_core.ledger.capture import Capture
from router_core.ledger.price_rows import price_revision, read_prices
from router_core.ledger.scorers import read_scorer
from router_core.ledger.store import Ledger
from router_core.ledger.warm import answered_lately
from router_core.ledger.writer import LedgerWriter
from router_core.lifecycle.versions import ConfigWatch
from router_core.prices import PriceBook
from router_core.serving.cache import AnswerStore
from router_core.serving.conversations import Conversations, Warm
from router_core.serving.hashing import read_hash_key
from router_core.serving.redis_answers import RedisAnswers
from router_core.serving.router import Router

_log = logging.getLogger("tierwise.gateway")

_LOOK_S = 0.1  # how often the watched version is compared with the router's
_REREAD_S = 1.0  # how often keys and prices are looked at in the ledger


class Engine:
    """What a running gateway holds. Start it inside the event loop that serves, and close it there.

    Raises ``ConfigError``, ``InputError`` or ``LedgerError`` where the live version cannot be served.
    """

    def __init__(self, ledger: Ledger, *, durability: Literal["process", "power"] = "process") -> None:
        self._ledger = ledger
        self.access = Access()
        self.access.refresh(ledger)
        self._watch = ConfigWatch(ledger)
        version, config = self._watch.current
        self._revision = price_revision(ledger)
        self._prices = PriceBook(read_prices(ledger))
        self._writer = LedgerWriter(ledger, durability=durability)
        self._budgets = Budgets(ledger)
        self._capture = Capture(ledger)
        self.router = Router(
            config,
            version=version,
            classifier=classifier_for(config, ledger),
            prices=self._prices,
            record=self._record,
            hash_key=read_hash_key(key_path(ledger)),
            answers=answers_for(config, ledger),
            purse=self._budgets,
            capture=self._capture.keep,
            conversations=_warm(ledger, config.sticky.warm_seconds),
        )
        self.metrics = Metrics(self._gauges)
        self._kept_in = config.cache.url, config.cache.max_bytes
        self._unusable = 0
        self._task: asyncio.Task[None] | None = None

    @property
    def away(self) -> bool:
        """Whether the ledger cannot be reached at the moment, so that decisions go to the spool."""
        return self._writer.stats().away

    async def _record(self, decision: RoutingDecision) -> None:
        await self._writer.record(decision)
        self.metrics.observe(decision)

    def _gauges(self) -> Mapping[tuple[str, str], float]:
        stats = self._writer.stats()
        return {
            ("tierwise_config_version", "Configuration version in use"): self.router.version,
            ("tierwise_resting_endpoints", "Endpoints that are cooling down"): self.router.resting,
            ("tierwise_ledger_away", "1 while the ledger cannot be reached"): int(stats.away),
            ("tierwise_ledger_queue", "Decisions waiting to be committed"): stats.queued,
            ("tierwise_ledger_spool_bytes", "Bytes spooled for the ledger"): stats.spool_bytes,
            ("tierwise_ledger_committed", "Decisions committed since the start"): stats.committed,
        }

    def start(self) -> None:
        """Begin to follow the ledger."""
        self._task = asyncio.get_running_loop().create_task(self._follow(), name="tierwise-follow")

    async def close(self) -> None:
        """Stop following, close connections, and make every decision durable."""
        if self._task is not None:
            self._task.cancel()
        await self.router.close()
        await asyncio.to_thread(self._watch.close)
        await asyncio.to_thread(self._writer.close)
        await asyncio.to_thread(self._capture.close)
        self._budgets.close()

    async def _follow(self) -> None:
        loop = asyncio.get_running_loop()
        reread_at = loop.time() + _REREAD_S
        problem = ""
        while True:
            await asyncio.sleep(_LOOK_S)
            version, config = self._watch.current
            if version not in (self.router.version, self._unusable):
                await self._adopt(version, config)
            if loop.time() >= reread_at:
                reread_at = loop.time() + _REREAD_S
                try:
                    if await asyncio.to_thread(self._reread):
                        self.router.reprice(self._prices)
                    problem = ""
                except Exception as error:  # noqa: BLE001 - whatever it is, what comes later is to be followed
                    if problem != str(error):
                        _log.warning("keys and prices are as they were: %s", error)
                    problem = str(error)

    async def _adopt(self, version: int, config: RoutingConfig) -> None:
        try:
            classifier = await asyncio.to_thread(classifier_for, config, self._ledger)
            moved = (config.cache.url, config.cache.max_bytes) != self._kept_in
            answers = answers_for(config, self._ledger) if moved else None
            self.router.adopt(config, version=version, classifier=classifier, prices=self._prices, answers=answers)
            self._kept_in = config.cache.url, config.cache.max_bytes
            _log.info("configuration version %d is in use", version)
        except Exception as error:  # noqa: BLE001 - as above
            self._unusable = version
            _log.warning("still using configuration version %d: %s", self.router.version, error)

    def _reread(self) -> bool:
        """Read keys, and prices where there are new ones; return whether there were."""
        self.access.refresh(self._ledger)
        revision = price_revision(self._ledger)
        if revision == self._revision:
            return False
        self._prices, self._revision = PriceBook(read_prices(self._ledger)), revision
        return True


def _warm(ledger: Ledger, warm_seconds: int) -> Conversations:
    """Return the conversations that this gateway, or another on the ledger, served until a moment ago."""
    now_ms, now = time.time_ns() // 1_000_000, time.monotonic()
    warm = Conversations()
    for turn in answered_lately(ledger, now_ms - 1000 * warm_seconds):
        warm.keep(turn.conversation, Warm(turn.tier, turn.model, now - (now_ms - turn.at_ms) / 1000))
    return warm


def classifier_for(config: RoutingConfig, ledger: Ledger) -> Classifier:
    """Return the classifier of a configuration, with its fitted scorer from the ledger where it names one.

    Raises ``ConfigError``, ``InputError`` or ``LedgerError`` where that scorer or the rules cannot be used.
    """
    name = config.classifier.scorer
    return Classifier(config, None if name is None else Scorer.from_bytes(read_scorer(ledger, name).artefact))


def answers_for(config: RoutingConfig, ledger: Ledger) -> AnswerStore:
    """Return where answers are cached: in the Redis that the configuration names, else in a file beside the ledger."""
    if config.cache.url is not None:
        return RedisAnswers(config.cache.url)
    return SqliteAnswers(answers_path(ledger), max_bytes=config.cache.max_bytes)


def key_path(ledger: Ledger) -> Path:
    """Return where the key of a ledger's hashes is kept: beside a SQLite file, else in the current folder."""
    return Path(f"{ledger.engine.url.database}.key")
