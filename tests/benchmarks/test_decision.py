"""A whole decision beside twelve plain regexes: CPU in total, CPU of the slowest hundredth, all in one run."""

from __future__ import annotations

import json
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from handwritten import PATTERNS
from peers import Absent, litellm_environ, litellm_python
from prompts import PromptMaker
from verdicts import Verdicts

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

BESIDE_LITELLM = 500
IMPORTS = 5

Decide = Callable[[str], object]


@dataclass(frozen=True, slots=True)
class Remote:
    """Somebody who decides in another process, on all prompts at once."""

    spent: Callable[[], list[int]]


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
    cpu_ns = measured(contestants, PromptMaker(1).many(PROMPTS))
    yardstick = cpu_ns["twelve regexes"]
    table = Verdicts()
    for name, most, most_p99 in (("rules", 0.4, 0.44), ("rules + text model", 2.0, 2.0)):
        ours = cpu_ns[name]
        table.at_most(
            f"decision, {name}: CPU, to twelve regexes", _ratio(ours.sum(axis=1), yardstick.sum(axis=1)), most
        )
        table.at_most(f"decision, {name}: median CPU", _ratio(_at(ours, 0.5), _at(yardstick, 0.5)), most)
        table.at_most(f"decision, {name}: p99 CPU", _ratio(_at(ours, 0.99), _at(yardstick, 0.99)), most_p99)
    for name, spent in cpu_ns.items():
        middle, high = np.median(_at(spent, 0.5)) / 1e3, np.median(_at(spent, 0.99)) / 1e3
        print(f"indication: {name}: median {middle:.0f} us, p99 {high:.0f} us")
    table.check()


def test_a_decision_beside_litellms(contestants: dict[str, Decide], tmp_path: Path) -> None:
    prompts = PromptMaker(1).many(BESIDE_LITELLM)
    try:
        with litellm_decisions(tmp_path, prompts) as theirs:
            cpu_ns = measured({**contestants, "classify": theirs("classify"), "route": theirs("route")}, prompts)
    except Absent as absent:
        pytest.skip(str(absent))
    totals = {name: spent.sum(axis=1) for name, spent in cpu_ns.items()}
    table = Verdicts()
    table.at_most("decision, rules: CPU, to LiteLLM's full route", _ratio(totals["rules"], totals["route"]), 0.04)
    name = "decision, rules + text model: CPU, to LiteLLM's classify"
    table.at_most(name, _ratio(totals["rules + text model"], totals["classify"]), 0.3)
    table.check()


def test_importing_the_router_beside_importing_litellms(request: pytest.FixtureRequest) -> None:
    if not request.config.getoption("benchmark_enable"):
        pytest.skip("a measurement; 'make bench' runs it")
    try:
        python = litellm_python(install=True)
    except Absent as absent:
        pytest.skip(str(absent))
    turns = []
    for _ in range(IMPORTS):
        ours = imported(Path(sys.executable), "from router_core import Router")
        turns.append((ours, imported(python, "from litellm import Router")))
    table = Verdicts()
    ratio = statistics.median(ours[0] / theirs[0] for ours, theirs in turns)
    table.at_most("import of the router: CPU, to LiteLLM's Router", ratio, 0.15)
    table.at_most("import of the router: MB", statistics.median(ours[1] for ours, _ in turns), 130)
    table.check()


def imported(python: Path, statement: str) -> tuple[float, float]:
    """Return the CPU seconds, and the MB held afterwards, of a fresh interpreter that runs an import."""
    program = f"{statement}\nimport time\nspent = time.process_time()\n"
    program += "held = next(line for line in open('/proc/self/status') if line.startswith('VmHWM'))\n"
    program += "print(spent, int(held.split()[1]) / 1024)"
    ran = subprocess.run([python, "-c", program], capture_output=True, text=True, check=True, env=litellm_environ())
    cpu_s, held = ran.stdout.split()
    return float(cpu_s), float(held)


@contextmanager
def litellm_decisions(folder: Path, prompts: list[str]) -> Iterator[Callable[[str], Remote]]:
    """Run LiteLLM's router as a process; give what makes it decide on all the prompts. Raises ``Absent``."""
    python = litellm_python(install=True)
    file = folder / "prompts.json"
    file.write_text(json.dumps(prompts))
    command = [python, Path(__file__).with_name("litellm_decision.py"), file]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=litellm_environ(), cwd=folder) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        told, said = process.stdin, process.stdout
        if not any(line.strip() == "ready" for line in iter(said.readline, "")):
            raise Absent("LiteLLM's router did not start")

        def decide(what: str) -> Remote:
            def spent() -> list[int]:
                told.write(f"{what}\n")
                told.flush()
                nanoseconds: list[int] = json.loads(said.readline())
                return nanoseconds

            return Remote(spent)

        try:
            yield decide
        finally:
            process.kill()


def measured(contestants: Mapping[str, Decide | Remote], prompts: list[str]) -> dict[str, np.ndarray]:
    """Return the CPU nanoseconds (rounds x prompts) of each, measured by turns."""
    cpu_ns = {name: np.zeros((ROUNDS, len(prompts))) for name in contestants}
    for number in range(-1, ROUNDS):  # a first round that does not count
        for name in list(contestants) if number % 2 else reversed(list(contestants)):
            decide, spent = contestants[name], cpu_ns[name][max(number, 0)]
            if isinstance(decide, Remote):
                spent[:] = decide.spent()
                continue
            for place, prompt in enumerate(prompts):
                began = time.thread_time_ns()
                decide(prompt)
                spent[place] = time.thread_time_ns() - began
    return cpu_ns


def _at(spent: np.ndarray, share: float) -> np.ndarray:
    """Return that quantile of the prompts in each round."""
    found: np.ndarray = np.quantile(spent, share, axis=1)
    return found


def _ratio(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Return the median over rounds of ours to theirs, within a round."""
    return float(statistics.median((ours / theirs).tolist()))
