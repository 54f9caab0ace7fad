"""Metrics: what the gateway has done since it started, counted as decisions are recorded, in Prometheus's words."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from router_core.decision import Kind, RoutingDecision, Status
from router_core.serving.shadow import AGREES, DIFFERS

if TYPE_CHECKING:
    from prometheus_client.core import Metric

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"
_BOUNDS_MS = (50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000)
_NUSD = 1_000_000_000


class Metrics:
    """Counters in plain dictionaries, so that a request pays next to nothing for them; ``text`` shapes them.

    ``gauges`` gives what is so at the moment: (name, help) to value.
    """

    def __init__(self, gauges: Callable[[], Mapping[tuple[str, str], float]]) -> None:
        self._gauges = gauges
        self._decisions: defaultdict[tuple[str, ...], int] = defaultdict(int)
        self._attempts: defaultdict[tuple[str, ...], int] = defaultdict(int)
        self._tokens: defaultdict[tuple[str, ...], int] = defaultdict(int)
        self._nusd: defaultdict[tuple[str, ...], int] = defaultdict(int)
        self._unpriced: defaultdict[tuple[str, ...], int] = defaultdict(int)
        self._samples: defaultdict[tuple[str, ...], int] = defaultdict(int)
        self._latencies: defaultdict[str, list[int]] = defaultdict(lambda: [0] * (len(_BOUNDS_MS) + 1))
        self._latency_ms: defaultdict[str, int] = defaultdict(int)

    def observe(self, decision: RoutingDecision) -> None:
        """Count a decision and its attempts."""
        tier = decision.tier
        self._decisions[tier, decision.reason.name, decision.strategy.name, decision.status.name] += 1
        self._latencies[tier][bisect_left(_BOUNDS_MS, decision.latency_ms)] += 1
        self._latency_ms[tier] += decision.latency_ms
        for one in decision.attempts:
            model, kind = one.model, one.kind.name
            self._attempts[model, kind, one.status.name] += 1
            if one.usage is not None:
                self._tokens[model, "input"] += one.usage.input_tokens
                self._tokens[model, "output"] += one.usage.output_tokens
                if one.list_cost_nusd is None:
                    self._unpriced[(model,)] += 1
                else:
                    self._nusd[model, kind] += one.list_cost_nusd
            if one.kind == Kind.SHADOW and one.status == Status.OK and one.reason in (AGREES, DIFFERS):
                self._samples["agrees" if one.reason == AGREES else "differs",] += 1

    def text(self) -> bytes:
        """Return everything in Prometheus's text format."""
        from prometheus_client.core import CollectorRegistry
        from prometheus_client.exposition import generate_latest

        registry = CollectorRegistry(auto_describe=False)
        registry.register(self)
        return generate_latest(registry)

    def collect(self) -> Iterator[Metric]:
        """Yield the families, as the registry asks for them."""
        from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily

        yield _counter(
            "tierwise_decisions", "Requests decided", ("tier", "reason", "strategy", "status"), self._decisions
        )
        yield _counter("tierwise_attempts", "Calls to models", ("model", "kind", "status"), self._attempts)
        yield _counter("tierwise_tokens", "Tokens of calls to models", ("model", "direction"), self._tokens)
        dollars = {labels: nusd / _NUSD for labels, nusd in list(self._nusd.items())}
        yield _counter("tierwise_cost_usd", "List cost of calls to models", ("model", "kind"), dollars)
        yield _counter("tierwise_unpriced_attempts", "Calls whose price is unknown", ("model",), self._unpriced)
        yield _counter(
            "tierwise_cache_samples", "Semantic hits compared with a model's answer", ("result",), self._samples
        )
        family = HistogramMetricFamily(
            "tierwise_latency_seconds", "From a request to its recorded answer", labels=("tier",)
        )
        for tier, counts in list(self._latencies.items()):
            total, buckets = 0, []
            for bound, count in zip((*(f"{ms / 1000:g}" for ms in _BOUNDS_MS), "+Inf"), counts, strict=True):
                total += count
                buckets.append((bound, float(total)))
            family.add_metric((tier,), buckets, self._latency_ms[tier] / 1000)
        yield family
        for (name, what), value in self._gauges().items():
            yield GaugeMetricFamily(name, what, value=value)


def _counter(name: str, what: str, labels: tuple[str, ...], counts: Mapping[tuple[str, ...], Any]) -> Metric:
    from prometheus_client.core import CounterMetricFamily

    family = CounterMetricFamily(name, what, labels=labels)
    for values, count in list(counts.items()):
        family.add_metric(values, count)
    return family
