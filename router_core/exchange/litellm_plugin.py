"""The classifier that LiteLLM's complexity router calls: Tierwise's own scores, under the live configuration."""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Callable, Mapping
from typing import Any

from router_core.complexity.classify import Classifier
from router_core.complexity.scorer import Scorer
from router_core.config import RoutingConfig
from router_core.ledger.scorers import read_scorer
from router_core.ledger.store import Ledger, open_ledger
from router_core.lifecycle.versions import ConfigWatch
from router_core.policy import assign
from router_core.serving.requests import LABELS, request_of

DEFAULT_DB = "data/tierwise.db"


class TierwiseClassifier:
    """Names the tier of a request; name an instance of it as LiteLLM's ``classifier_plugin``.

    The ledger, ``TIERWISE_DB`` unless it is given, is opened with the first request; what is pushed there holds for
    the requests that follow within a second. ``draw`` gives the random number that exploration needs.
    """

    def __init__(self, db: str | None = None, *, draw: Callable[[], float] = random.random) -> None:
        self._db = db
        self._draw = draw
        self._lock = threading.Lock()
        self._ledger: Ledger | None = None
        self._watch: ConfigWatch | None = None
        self._ready: tuple[int, RoutingConfig, Classifier] | None = None

    async def classify(self, context: Any) -> str | None:
        """Return the tier for a routing context, None where it holds no messages, which leaves LiteLLM to decide.

        ``context`` is LiteLLM's: ``structured_messages`` in OpenAI's shape, and ``metadata``. Raises what opening the
        ledger raises, and ``InputError`` for labels that cannot be used.
        """
        messages = getattr(context, "structured_messages", None) or getattr(context, "raw_messages", None)
        if not messages:
            return None
        _, config, classifier = self._current()
        given = getattr(context, "metadata", None)
        labels = {name: str(given[name]) for name in LABELS if given.get(name)} if isinstance(given, Mapping) else {}
        request = request_of({"messages": list(messages)}, labels)
        return assign(classifier.classify(request), request, config, draw=self._draw()).tier

    def __deepcopy__(self, _memo: object) -> TierwiseClassifier:
        """Return itself: LiteLLM copies its settings, and every copy is to ask the one ledger."""
        return self

    def close(self) -> None:
        """Let go of the ledger."""
        with self._lock:
            if self._watch is not None:
                self._watch.close()
            if self._ledger is not None:
                self._ledger.close()
            self._watch = self._ledger = self._ready = None

    def _current(self) -> tuple[int, RoutingConfig, Classifier]:
        with self._lock:
            if self._watch is None or self._ledger is None:
                self._ledger = open_ledger(self._db or os.environ.get("TIERWISE_DB", DEFAULT_DB), create=False)
                self._watch = ConfigWatch(self._ledger)
            version, config = self._watch.current
            if self._ready is None or self._ready[0] != version:
                name = config.classifier.scorer
                scorer = Scorer.from_bytes(read_scorer(self._ledger, name).artefact) if name is not None else None
                self._ready = (version, config, Classifier(config, scorer))
            return self._ready


classifier = TierwiseClassifier()
"""What ``classifier_plugin`` names; nothing is opened until it is asked."""
