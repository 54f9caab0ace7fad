"""A trial is run through the configured providers: priced first, graded blind both ways, every call on the record."""

from __future__ import annotations

import json
import random
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa

from router_core.cli import main
from router_core.config import RoutingConfig, set_values
from router_core.decision import Attempt, Kind, QualitySource, RoutingDecision, Status
from router_core.errors import ConfigError, NoSupportError
from router_core.ledger.evidence import evidence
from router_core.ledger.price_rows import add_prices, read_prices
from router_core.ledger.rollup import refresh
from router_core.ledger.store import Ledger, open_ledger
from router_core.lifecycle import trials, versions
from router_core.lifecycle.grading import grades_of
from router_core.lifecycle.proving import TrialState, run_trial, start_trial, trial_state
from router_core.lifecycle.quoting import price_trial
from router_core.prices import PriceBook, price_from_entry
from router_core.projection import Cube, Preview
from router_core.usage import Usage
from tests import served
from tests.decisions import NOON_MS, a_decision, an_attempt
from tests.upstream import upstream

REQUESTS = 800
FOREVER = 4_102_444_800_000
CHANGE = ["boundaries.MEDIUM=70"]  # from 60: a tenth of the traffic goes to SIMPLE
USAGE = Usage(11, 6)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with upstream() as running:
        yield running


def settings(url: str, **models: str) -> RoutingConfig:
    says = {"cheap": "says:I do not know", "middle": "ok", "strong": "grades", **models}
    return served.config(url, says, "classifier: {judge_model: strong}\ntimeout: 5")


def decision(place: int, draw: random.Random) -> RoutingDecision:
    score = draw.randrange(101)
    tier = ("SIMPLE", "MEDIUM", "STRONG")[(score >= 60) + (score >= 90)]
    model = dict(zip(served.TIERS, served.RATES, strict=True))[tier]
    call = an_attempt(
        tier=tier, provider_name=model, model=model, usage=USAGE, list_cost_nusd=served.CALL[model], price_id=None
    )
    good = float(draw.random() < {"SIMPLE": 0.5, "MEDIUM": 0.85, "STRONG": 0.9}[tier])
    return a_decision(
        NOON_MS + 1000 * place,
        scorer_version="",
        score=score,
        tier=tier,
        propensity=1.0,
        attempts=(call,),
        quality=good,
        quality_source=QualitySource.CHECK,
    )


@dataclass
class Scene:
    """A ledger with traffic whose prompts are kept, behind a configuration whose models the upstream plays."""

    ledger: Ledger
    path: Path
    url: str

    def push(self, **models: str) -> None:
        versions.push(self.ledger, settings(self.url, **models), author="ann", note="")

    @property
    def target(self) -> RoutingConfig:
        return set_values(versions.live(self.ledger).config, CHANGE)

    def preview(self) -> Preview:
        config, prices = versions.live(self.ledger).config, PriceBook(read_prices(self.ledger))
        cube = Cube.from_evidence(evidence(self.ledger, None, None), config, prices)
        return Preview(cube, config, prices, replicates=20)

    def forget(self, share: float = 1.0) -> None:
        with self.ledger.writing() as connection:
            keys = [row[0] for row in connection.execute(sa.text("SELECT decision_id FROM captured_prompt"))]
            some = keys[: int(share * len(keys))]
            connection.execute(
                sa.text("DELETE FROM captured_prompt WHERE decision_id IN :ids").bindparams(
                    sa.bindparam("ids", expanding=True)
                ),
                {"ids": some},
            )

    def calls(self) -> list[dict[str, object]]:
        return [call["body"] for call in httpx.get(self.url.replace("/v1", "/calls")).json()["calls"]]

    def attempts(self, state: TrialState) -> list[Attempt]:
        found = [self.ledger.read_decision(bytes.fromhex(one.id)).attempts for one in state.held.trial.chosen]
        return [one for attempts in found for one in attempts if one.reason.startswith("trial")]


@pytest.fixture(scope="module")
def filled(url: str, new_ledger: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("kept") / "ledger.db"
    shutil.copy(new_ledger, path)
    draw = random.Random(4)
    with open_ledger(path) as ledger:
        versions.push(ledger, settings(url), author="ann", note="")
        entries = [
            {"provider": name, "model": model, "effective_from": "2020-01-01", "input": str(rate)}
            | {"output": str(2 * rate)}
            for name, rate in served.RATES.items()
            for model in (name, "ok", "says:I do not know", "grades", "http-500", "says:no grade", "hang")
        ]
        add_prices(ledger, [price_from_entry(entry) for entry in entries])
        decisions = [decision(place, draw) for place in range(REQUESTS)]
        ledger.write_decisions(decisions)
        with ledger.writing() as connection:
            connection.execute(
                sa.text("INSERT INTO captured_prompt (decision_id, expires_at_ms, prompt) VALUES (:id, :until, :text)"),
                [{"id": one.id, "until": FOREVER, "text": f"What is {place}?"} for place, one in enumerate(decisions)],
            )
        refresh(ledger)
    return path


@pytest.fixture
def scene(filled: Path, db_path: Path, url: str) -> Iterator[Scene]:
    shutil.copy(filled, db_path)
    with open_ledger(db_path) as ledger:
        yield Scene(ledger, db_path, url)


def finished(ledger: Ledger, number: int, seconds: float = 30) -> TrialState:
    until = time.monotonic() + seconds
    while (state := trial_state(ledger, number)).state == "running":
        assert time.monotonic() < until, state
        time.sleep(0.02)
    return state


def test_a_trial_started_here_is_answered_graded_and_proved(scene: Scene) -> None:
    ledger = scene.ledger
    quote = price_trial(ledger, scene.preview(), scene.target, 20)
    assert quote.obstacle is None
    assert (quote.judge, quote.calls) == ("strong", 80)
    before = len(scene.calls())
    state = finished(ledger, start_trial(ledger, quote, author="ann"))
    assert (state.state, state.wanted, state.graded, state.failed) == ("done", 20, 20, 0)
    calls = scene.calls()[before:]
    assert len(calls) == 80
    # Where it stands is worth a point to either answer, in either order alike: 9 and 8 make .85, 4 and 3 make .35.
    moved = state.held.trial
    proof = state.proof
    assert proof is not None
    share = sum(moved.counts) / moved.decisions
    assert proof.quality.change == pytest.approx(-0.5 * share, abs=0.02)
    # All moved requests would have cost a tenth, to the nano-dollar.
    saved = sum(moved.counts) * (served.CALL["middle"] - served.CALL["cheap"])
    assert proof.cost.change == -saved
    # Every call is an attempt of its request, at what it cost; those of a trial are no evidence for any tier.
    made = scene.attempts(state)
    kinds = [(one.kind, one.model) for one in made]
    assert kinds.count((Kind.TRIAL, "says:I do not know")) == kinds.count((Kind.TRIAL, "ok")) == 20
    assert kinds.count((Kind.JUDGE, "grades")) == 40
    assert state.spent_nusd == sum(one.list_cost_nusd or 0 for one in made)
    assert state.spent_nusd == 20 * served.CALL["cheap"] + 20 * served.CALL["middle"] + 40 * served.CALL["strong"]
    assert state.spent_nusd <= state.most_nusd
    assert quote.answers_nusd == 20 * (served.CALL["cheap"] + served.CALL["middle"])
    refresh(ledger)
    again = scene.preview().at(scene.target)
    assert again.quality.change == quote.proposal.projection.quality.change


def test_the_judge_is_not_told_whose_an_answer_is_and_sees_both_orders(scene: Scene) -> None:
    quote = price_trial(scene.ledger, scene.preview(), scene.target, 10)
    before = len(scene.calls())
    finished(scene.ledger, start_trial(scene.ledger, quote, author="ann"))
    asked = [str(call["messages"]) for call in scene.calls()[before:] if call["model"] == "grades"]
    assert len(asked) == 20
    first = ["I do not know" in text.split("First answer")[1].split("Second answer")[0] for text in asked]
    assert sum(first) == 10
    for word in ("cheap", "middle", "SIMPLE", "MEDIUM", "logged"):
        assert not any(word in text for text in asked)


def test_requests_whose_text_is_not_kept_are_not_drawn(scene: Scene) -> None:
    ledger = scene.ledger
    scene.forget(0.7)
    quote = price_trial(ledger, scene.preview(), scene.target, 10)
    assert finished(ledger, start_trial(ledger, quote, author="ann")).graded == 10
    scene.forget()
    with pytest.raises(NoSupportError, match="the text of none of the requests this change moves is kept"):
        price_trial(ledger, scene.preview(), scene.target, 10)


def test_who_cannot_be_asked_is_named_before_anything_is_spent(scene: Scene) -> None:
    ledger, live = scene.ledger, versions.live(scene.ledger).config
    keyed = live.model_dump(mode="json")
    keyed["providers"]["cheap"]["api_key_env"] = "A_KEY_THAT_IS_NOT_SET"
    versions.push(ledger, keyed, author="ann", note="")
    quote = price_trial(ledger, scene.preview(), scene.target, 10)
    assert "needs the key in A_KEY_THAT_IS_NOT_SET" in str(quote.obstacle)
    with pytest.raises(NoSupportError, match="needs the key"):
        start_trial(ledger, quote, author="ann")
    assert (
        price_trial(ledger, scene.preview(), scene.target, 10, environ={"A_KEY_THAT_IS_NOT_SET": "k"}).obstacle is None
    )
    with pytest.raises(ConfigError, match="'nobody' is not a configured model"):
        price_trial(ledger, scene.preview(), scene.target, 10, judge="nobody")
    assert trials.held(ledger) == []


@pytest.mark.parametrize(
    ("models", "why"),
    [({"cheap": "http-500"}, "500"), ({"strong": "says:no grade"}, "did not answer with two grades")],
)
def test_a_trial_that_cannot_be_finished_says_why_and_goes_on_when_it_can(
    scene: Scene, models: dict[str, str], why: str
) -> None:
    ledger = scene.ledger
    scene.push(**models)
    quote = price_trial(ledger, scene.preview(), scene.target, 12)
    number = start_trial(ledger, quote, author="ann")
    state = finished(ledger, number)
    assert (state.state, state.graded, state.failed, state.proof) == ("stopped", 0, 12, None)
    assert why in state.message
    failed = [one for one in scene.attempts(state) if one.status != Status.OK]
    assert len(failed) == (24 if "cheap" in models else 0)  # each was tried twice


def test_what_was_graded_is_not_asked_again(scene: Scene) -> None:
    ledger = scene.ledger
    quote = price_trial(ledger, scene.preview(), scene.target, 12)
    number = start_trial(ledger, quote, author="ann")
    state = finished(ledger, number)
    before = len(scene.calls())
    assert run_trial(ledger, number) == state
    assert len(scene.calls()) == before


def test_a_trial_stops_where_the_agreed_price_is_spent(scene: Scene) -> None:
    ledger = scene.ledger
    quote = price_trial(ledger, scene.preview(), scene.target, 20)
    one = served.CALL["cheap"] + served.CALL["middle"] + 2 * served.CALL["strong"]
    state = finished(ledger, start_trial(ledger, replace(quote, cost_most_nusd=12 * one), author="ann"))
    assert state.state == "stopped"
    assert "The price agreed to is spent" in state.message
    assert state.graded == 12
    assert state.spent_nusd == state.most_nusd


def test_the_command_says_the_price_and_asks_before_it_spends(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(["trial", *arguments, "--db", str(scene.path)])
        captured = capsys.readouterr()
        return int(ended.value.code or 0), captured.out, captured.err

    before = len(scene.calls())
    code, out, err = run("--set", CHANGE[0], "-n", "10", "--run")
    assert code == 2
    assert "40 calls, about $0." in out
    assert "--yes" in err
    assert len(scene.calls()) == before
    assert trials.held(scene.ledger) == []
    code, out, err = run("--set", CHANGE[0], "-n", "10", "--run", "--yes", "--json")
    assert code == 0, err
    told = json.loads(out)
    assert (told["trial"], told["replays"], told["spent_nusd"] > 0) == (1, 10, True)
    assert told["quality"]["low"] <= told["quality"]["change"] <= told["quality"]["high"]
    code, out, _ = run("--resume", "1")
    assert code == 0
    assert out.startswith("Trial 1, 10 replays for $0.")
    scene.forget()
    code, _, err = run("--set", CHANGE[0], "--run", "--yes")
    assert code == 2
    assert err.count("\n") == 1
    assert "is kept" in err


@pytest.mark.parametrize(
    ("answer", "grades"),
    [
        ("7 9", (7, 9)),
        ("10, 0", (10, 0)),
        ("First: 7\nSecond: 8", (7, 8)),
        ("7/10 and 8/10", None),
        ("7.5 8", None),
        ("11 3", None),
        ("both are good", None),
        ("7", None),
        (None, None),
    ],
)
def test_grades_are_two_whole_numbers_or_nothing(answer: str | None, grades: tuple[int, int] | None) -> None:
    assert grades_of(answer) == grades
