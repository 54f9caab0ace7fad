"""`tierwise fit --from-log`: a scorer from the ledger's own judged requests, each answered by one tier."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from prompts import PromptMaker

from router_core.cli import main
from router_core.complexity.fit_logged import fit_logged
from router_core.complexity.logged import Logged
from router_core.complexity.scorer import Scorer
from router_core.complexity.skill import apgr
from router_core.config import parse_config
from router_core.decision import (
    Attempt,
    Kind,
    QualitySource,
    Reason,
    RoutingDecision,
    Status,
    Strategy,
    new_decision_id,
)
from router_core.errors import InputError
from router_core.ledger.capture import Capture
from router_core.ledger.scorers import read_scorer
from router_core.ledger.store import open_ledger
from router_core.lifecycle import versions
from router_core.usage import Usage

TIERS = ("SIMPLE", "MEDIUM", "STRONG")
AT_MS = 1_795_000_000_000


def logged(count: int, *, told: bool = True, texts: bool = True, seed: int = 1) -> tuple[Logged, np.ndarray]:
    """Return a log of a policy that knows nothing and explores, and each request's true gain."""
    maker, rng = PromptMaker(seed), np.random.default_rng(seed)
    prompts = maker.many(count if texts else 100, shortest=20, longest=70)
    prompts = (prompts * count)[:count]
    hard = np.array([any(word in text.lower().split() for word in maker.hard_words) for text in prompts])
    need = hard if told else np.full(count, 0.5)
    chances = np.stack([0.9 - 0.7 * need, np.full(count, 0.7), np.full(count, 0.95)], axis=1)
    tier = rng.choice(3, count, p=[0.6, 0.2, 0.2])
    quality = (rng.random(count) < chances[np.arange(count), tier]).astype(float)
    propensity = np.array([0.6, 0.2, 0.2])[tier]
    log = Logged(
        "a log", "SIMPLE", "STRONG", tuple(prompts), ("chat",) * count, tier == 0, tier == 2, quality, propensity, 99
    )
    return log, chances[:, 2] - chances[:, 0]


def test_a_log_of_one_answer_each_teaches_which_requests_gain() -> None:
    log, gains = logged(3_000)
    found = fit_logged(log, train_share=0.5)
    raw = np.array([found.scorer.raw(log.prompts[index]) for index in found.held_out])
    true = apgr(raw, gains[found.held_out])
    stated = found.skill["all"].skills["gain"]
    assert true > 0.57  # both answers to each, as a folder of graded prompts has them, come to little more
    assert stated.low is not None
    assert stated.high is not None
    assert stated.low < true < stated.high  # measured without ever seeing both answers to a request
    assert found.beats_baselines


def test_the_gains_of_a_log_are_right_on_average_whatever_the_model_expects() -> None:
    log, gains = logged(20_000, texts=False)
    wrong = np.full(len(log), 0.3), np.full(len(log), 0.9)
    assert log.gains(*wrong).mean() == pytest.approx(gains.mean(), abs=0.03)


def test_a_log_that_tells_nothing_gives_a_scorer_that_is_not_used() -> None:
    log, _ = logged(1_000, told=False)
    found = fit_logged(log, train_share=0.5)
    assert not found.beats_baselines
    assert "no better than" in found.sentence or "not measurably better" in found.sentence


def test_without_exploration_or_answers_of_both_tiers_there_is_nothing_to_learn() -> None:
    log, _ = logged(400)
    with pytest.raises(
        InputError, match=r"judged requests with text on SIMPLE, .* at least 100 on each and 30 explored"
    ):
        fit_logged(log.part(np.arange(100)))


def tierwise(capsys: pytest.CaptureFixture[str], *arguments: str | Path, code: int = 0) -> str:
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    ran = capsys.readouterr()
    assert int(ended.value.code or 0) == code, ran.err
    return ran.err if code else ran.out


def test_the_verb_reads_the_ledgers_own_log_and_makes_the_scorer_live(
    capsys: pytest.CaptureFixture[str], db_path: Path
) -> None:
    log, _ = logged(2_400)
    tiers = "\n".join(f"  - {{name: {name}, models: [m], score_min: {40 * place}}}" for place, name in enumerate(TIERS))
    config = parse_config(
        f"tiers:\n{tiers}\nmodels: {{m: {{provider: p}}}}\nproviders: {{p: {{base_url: 'http://x'}}}}"
    )
    decisions = []
    for number, prompt in enumerate(log.prompts):
        tier = "SIMPLE" if log.on_cheap[number] else "STRONG" if log.on_strong[number] else "MEDIUM"
        decisions.append(
            RoutingDecision(
                id=new_decision_id(AT_MS + number),
                decided_at_ms=AT_MS + number,
                config_version=2,
                scorer_version=Scorer.reference().version,
                feature="chat",
                team="",
                score=20,
                stage="reference",
                tier=tier,
                reason=Reason.POLICY if tier == "SIMPLE" else Reason.EXPLORE,
                propensity=float(log.propensity[number]),
                strategy=Strategy.DIRECT,
                status=Status.OK,
                latency_ms=5,
                attempts=(Attempt(Kind.ANSWER, tier, "p", "m", usage=Usage(len(prompt) // 4, 9)),),
                quality=float(log.quality[number]),
                quality_source=QualitySource.PERSON,
            )
        )
    with open_ledger(db_path) as ledger:
        versions.push(ledger, config, author="test", note="three", expected=versions.live(ledger).version)
        ledger.write_decisions(decisions)
        assert "no judged request whose text is kept" in tierwise(capsys, "fit", "--from-log", "--db", db_path, code=2)
        capture = Capture(ledger)
        for decision, prompt in zip(decisions, log.prompts, strict=True):
            capture.keep(decision.id, prompt, decision.decided_at_ms, 10_000)
        capture.close()
        told = json.loads(tierwise(capsys, "fit", "--from-log", "--db", db_path, "--activate", "--json"))
        assert (told["cheap"], told["strong"]) == ("SIMPLE", "STRONG")
        assert told["train"] + told["test"] == 2_400
        assert told["explored"] == sum(one.reason == Reason.EXPLORE for one in decisions)
        assert told["activated"] is told["beats_baselines"] is True
        version = told["scorer"]["version"]
        assert versions.live(ledger).config.classifier.scorer == version
        assert Scorer.from_bytes(read_scorer(ledger, version).artefact).stage == "embedding"
    assert "--from-log needs --db" in tierwise(capsys, "fit", "--from-log", code=2)
