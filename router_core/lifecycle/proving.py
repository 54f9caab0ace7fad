"""Proving a change here: a priced trial started on the configured providers, followed, and concluded when it is done.

Three calls make a button: ``quoting.price_trial`` says what it takes, ``start_trial`` runs it beside everything else,
and ``trial_state`` says how far it is and, at the end, what log and replays together prove.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Literal

from router_core.errors import NoSupportError, TierwiseError
from router_core.ledger.store import Ledger
from router_core.lifecycle import trials, versions
from router_core.lifecycle.quoting import Quote
from router_core.lifecycle.replaying import LEAST_GRADED, Graded, Replayer, calls_for
from router_core.lifecycle.trials import HeldTrial
from router_core.projection.proof import Outcome, Proof
from router_core.serving.providers import Provider

State = Literal["running", "done", "stopped"]

_BEAT_S = 5.0  # how often a running trial says that it is
_SILENT_MS = 60_000  # after which nobody runs it any more


@dataclass(frozen=True)
class TrialState:
    """How far a trial is: ``graded`` of ``wanted`` requests, ``failed`` of them without two answers and grades.

    ``spent_nusd`` counts every call made so far, and ``most_nusd`` is where it stops. ``proof`` is the estimate that
    log and replays give together, None until it is done. ``message`` is a sentence; ``held`` the trial itself.
    """

    state: State
    wanted: int
    graded: int
    failed: int
    spent_nusd: int
    most_nusd: int
    message: str
    held: HeldTrial

    @property
    def proof(self) -> Proof | None:
        """What was proved."""
        return self.held.proof


@dataclass
class _Run:
    """What the ledger keeps of a trial held here, so that what was paid for is never lost."""

    judge: str
    most_nusd: int
    state: State = "running"
    runner: str = ""
    beat_ms: int = 0
    spent_nusd: int = 0
    message: str = ""
    graded: list[Graded] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)

    def keep(self, ledger: Ledger, number: int) -> None:
        self.beat_ms = _now()
        ledger.set_meta(_name(number), json.dumps(asdict(self)))

    @classmethod
    def read(cls, ledger: Ledger, number: int) -> _Run:
        kept = ledger.meta(_name(number))
        if kept is None:
            raise NoSupportError(f"trial {number} was not started here; its replays come from a file")
        data = json.loads(kept)
        return cls(**{**data, "graded": [Graded(**one) for one in data["graded"]]})


def start_trial(ledger: Ledger, quote: Quote, *, author: str, providers: Mapping[str, Provider] | None = None) -> int:
    """Hold a priced trial and begin to run it on a thread of its own; returns its number at once.

    ``providers`` are asked instead of the configured ones. Raises ``NoSupportError`` where the quote names an obstacle.
    """
    number = enlist(ledger, quote, author=author)
    threading.Thread(target=_run_quietly, args=(ledger, number, providers), name=f"trial-{number}", daemon=True).start()
    return number


def enlist(ledger: Ledger, quote: Quote, *, author: str) -> int:
    """Hold a priced trial, ready for ``run_trial``; returns its number. Raises ``NoSupportError`` as ``start_trial``"""
    if quote.obstacle is not None or quote.cost_most_nusd is None:
        raise NoSupportError(quote.obstacle or "this trial has no price")
    held = trials.hold(ledger, quote.proposal, author=author)
    _Run(quote.judge, quote.cost_most_nusd).keep(ledger, held.number)
    return held.number


def run_trial(
    ledger: Ledger,
    number: int,
    *,
    providers: Mapping[str, Provider] | None = None,
    progress: Callable[[TrialState], None] = lambda state: None,
) -> TrialState:
    """Run a trial held here to its end, or go on with one that stopped; what was graded before is not asked again.

    Returns how it ended. Raises ``NoSupportError`` where no such trial was held here, or somebody runs it now.
    """
    held = _held(ledger, number)
    run = _Run.read(ledger, number)
    if held.proof is not None:
        return trial_state(ledger, number)
    if run.state == "running" and run.runner and _now() - run.beat_ms < _SILENT_MS:
        raise NoSupportError(f"trial {number} is being run already")
    run.state, run.message, run.failed, run.runner = "running", "", {}, f"{os.getpid()}-{threading.get_ident()}"
    run.keep(ledger, number)
    live = versions.version(ledger, held.config_version).config
    replayer = Replayer(ledger, held, calls_for(live, held.target, run.judge), providers)

    def step(graded: Graded | None, failure: tuple[str, str] | None, spent: int) -> None:
        run.spent_nusd += spent
        if graded is not None:
            run.graded.append(graded)
        if failure is not None:
            run.failed[failure[0]] = failure[1]
        run.keep(ledger, number)
        progress(_as_state(held, run))

    try:
        stopped = replayer.run(
            done={one.id for one in run.graded},
            left_nusd=run.most_nusd - run.spent_nusd,
            step=step,
            beat=lambda: run.keep(ledger, number),
            beat_s=_BEAT_S,
        )
    except BaseException as error:
        run.state, run.message = "stopped", str(error) or type(error).__name__
        run.keep(ledger, number)
        raise
    _end(ledger, held, run, stopped)
    run.keep(ledger, number)
    return trial_state(ledger, number)


def trial_state(ledger: Ledger, number: int) -> TrialState:
    """Say how far a trial held here is; raises ``NoSupportError`` where none of that number was."""
    held, run = _held(ledger, number), _Run.read(ledger, number)
    if run.state == "running" and _now() - run.beat_ms > _SILENT_MS:
        run = replace(run, state="stopped", message="Whoever ran it is gone; go on with it, nothing graded is lost.")
    return _as_state(held, run)


def _end(ledger: Ledger, held: HeldTrial, run: _Run, stopped: str | None) -> None:
    """Say how a run ended, and prove what it proves where enough was graded."""
    wanted = len(held.trial.chosen)
    if stopped is None and len(run.graded) >= min(LEAST_GRADED, wanted):
        outcomes = [Outcome(one.id, one.quality_target, one.quality_logged, one.cost_nusd) for one in run.graded]
        try:
            trials.keep_proof(ledger, held, outcomes, author=held.author)
            run.state, run.message = "done", f"{len(run.graded)} of {wanted} requests were answered and graded."
            return
        except TierwiseError as error:
            stopped = str(error)
    why = next(iter(run.failed.values()), "")
    run.state = "stopped"
    run.message = stopped or f"Only {len(run.graded)} of {wanted} requests could be answered and graded: {why}"


def _run_quietly(ledger: Ledger, number: int, providers: Mapping[str, Provider] | None) -> None:
    try:
        run_trial(ledger, number, providers=providers)
    except TierwiseError:
        return  # what happened is in the trial's state


def _as_state(held: HeldTrial, run: _Run) -> TrialState:
    wanted = len(held.trial.chosen)
    return TrialState(
        run.state, wanted, len(run.graded), len(run.failed), run.spent_nusd, run.most_nusd, run.message, held
    )


def _held(ledger: Ledger, number: int) -> HeldTrial:
    for one in trials.held(ledger):
        if one.number == number:
            return one
    raise NoSupportError(f"this ledger holds no trial {number}")


def _name(number: int) -> str:
    return f"trial {number}"


def _now() -> int:
    return time.time_ns() // 1_000_000
