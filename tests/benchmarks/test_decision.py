"""A whole decision beside twelve plain regexes: CPU in total, CPU of the slowest hundredth, all in one run."""

from __future__ import annotations

import re
import statistics
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from handwritten import PATTERNS
from prompts import PromptMaker

from router_core.complexity.classify import Classifier
from router_core.complexity.fit import fit
from router_core.complexity.graded import Graded
from router_core.complexity.scorer import Scorer
from router_core.config import RoutingConfig, build_config, default_config
from router_core.decision import Attempt, Kind, Request, RoutingDecision, Status, Strategy, new_decision_id
from router_core.ledger.rows import rows_of
from router_core.ledger.store import open_ledger
from router_core.policy import assign
from router_core.usage import Usage

ROUNDS = 7
PROMPTS = 2_000

Decide = Callable[[str], object]


@pytest.fixture(scope="module")
def contestants(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Decide]]:
    if not request.config.getoption("benchmark_enable"):
        pytest.skip("a measurement; 'make bench' runs it")
    with open_ledger(tmp_path_factory.mktemp("bench") / "ledger.db") as ledger:
        rows: list[object] = []

        def keep(decision: RoutingDecision) -> None:
            rows.extend(rows_of([decision], ledger.dimensions, ledger.days))
            if len(rows) > 10_000:
                rows.clear()

        yield {
            "twelve regexes": twelve_regexes(),
            "rules": whole_decision(Classifier(configured(heeded=True)), configured(heeded=True), keep),
            "rules + text model": whole_decision(
                Classifier(configured(heeded=False), fitted()), configured(heeded=False), keep
            ),
        }


def twelve_regexes() -> Decide:
    """Return the yardstick: each pattern searched by itself, and the length."""
    compiled = [re.compile(pattern) for pattern in PATTERNS]

    def search(text: str) -> object:
        return [pattern.search(text) is not None for pattern in compiled], len(text)

    return search


def configured(*, heeded: bool) -> RoutingConfig:
    """Return the same twelve patterns as rules; unheeded, each is tried and none applies, so that all is asked."""
    rules = [
        {"when": {"regex": pattern, **({} if heeded else {"keywords": ["neversaid"]})}, "score": 8 * number}
        for number, pattern in enumerate(PATTERNS, start=1)
    ]
    return build_config({**default_config().model_dump(mode="json"), "rules": rules})


def fitted() -> Scorer:
    """Return a scorer fitted on other prompts of the same kind."""
    prompts = PromptMaker(2).many(1_500)
    rng = np.random.default_rng(0)
    cheap, strong = (rng.random(len(prompts)) < rate for rate in (0.6, 0.8))
    graded = Graded(
        "made up", "cheap", "strong", tuple(prompts), ("",) * len(prompts), cheap.astype(float), strong.astype(float)
    )
    return fit(graded, train_share=0.9).scorer


def whole_decision(classifier: Classifier, config: RoutingConfig, keep: Callable[[RoutingDecision], None]) -> Decide:
    """Return all that a decision costs beside the call: judged, assigned, recorded, and made into rows."""

    def decide(text: str) -> object:
        request = Request(text, feature="chat", team="search")
        score = classifier.classify(request)
        assignment = assign(score, request, config, draw=0.5)
        at_ms = time.time_ns() // 1_000_000
        usage = Usage(len(text) // 4, 150)
        decision = RoutingDecision(
            id=new_decision_id(at_ms),
            decided_at_ms=at_ms,
            config_version=1,
            scorer_version=score.scorer,
            feature=request.feature,
            team=request.team,
            score=score.value,
            stage=score.stage,
            tier=assignment.tier,
            reason=assignment.reason,
            propensity=assignment.propensity,
            strategy=Strategy.DIRECT,
            status=Status.OK,
            latency_ms=420,
            attempts=(
                Attempt(
                    kind=Kind.ANSWER,
                    tier=assignment.tier,
                    provider_name="openai",
                    model="gpt-4.1",
                    latency_ms=420,
                    usage=usage,
                    list_cost_nusd=2 * usage.input_tokens + 8 * usage.output_tokens,
                    price_id=1,
                ),
            ),
        )
        keep(decision)
        return decision

    return decide


def test_a_decision_costs_less_than_the_regexes_it_replaces(contestants: dict[str, Decide]) -> None:
    prompts = PromptMaker(1).many(PROMPTS)
    cpu_ns = {name: np.zeros((ROUNDS, PROMPTS)) for name in contestants}
    for number in range(-1, ROUNDS):  # a first round that does not count
        order = list(contestants) if number % 2 else list(reversed(contestants))
        for name in order:
            decide, spent = contestants[name], cpu_ns[name]
            for place, prompt in enumerate(prompts):
                began = time.thread_time_ns()
                decide(prompt)
                spent[max(number, 0), place] = time.thread_time_ns() - began
    yardstick = cpu_ns["twelve regexes"]
    lines = []
    for name, most, most_p99 in (("rules", 0.4, 0.44), ("rules + text model", 2.0, 2.0)):
        ours = cpu_ns[name]
        lines.append((f"decision, {name}: CPU", _ratio(ours.sum(axis=1), yardstick.sum(axis=1)), most))
        lines.append((f"decision, {name}: median CPU", _ratio(_at(ours, 0.5), _at(yardstick, 0.5)), most))
        lines.append((f"decision, {name}: p99 CPU", _ratio(_at(ours, 0.99), _at(yardstick, 0.99)), most_p99))
    print("\n\nname | ratio | bar | verdict")
    for name, ratio, most in lines:
        print(f"{name} | {ratio:.3f} | <= {most:g} | {'holds' if ratio <= most else 'MISSED'}")
    for name, spent in cpu_ns.items():
        middle, high = np.median(_at(spent, 0.5)) / 1e3, np.median(_at(spent, 0.99)) / 1e3
        print(f"indication: {name}: median {middle:.0f} us, p99 {high:.0f} us")
    print("beside LiteLLM: skipped, since it is not installed in this environment")
    missed = [name for name, ratio, most in lines if ratio > most]
    assert not missed


def _at(spent: np.ndarray, share: float) -> np.ndarray:
    """Return that quantile of the prompts in each round."""
    found: np.ndarray = np.quantile(spent, share, axis=1)
    return found


def _ratio(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Return the median over rounds of ours to theirs, within a round."""
    return float(statistics.median((ours / theirs).tolist()))
