"""`tierwise trial` and `tierwise plan-evidence`: prove a preview, and what proof costs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from router_core.cli import DEFAULT_DB, DbOption, JsonOption, app, note, print_json
from router_core.cli.project import DaysOption, SetOption, prepared

if TYPE_CHECKING:
    from router_core.config import RoutingConfig
    from router_core.ledger.store import Ledger
    from router_core.lifecycle.quoting import Quote
    from router_core.lifecycle.trials import HeldTrial, Proposal, Replay
    from router_core.projection.proof import Proof


@app.command()
def trial(
    settings: SetOption = [],  # noqa: B006 - typer wants a list, and nobody changes it
    replays: Annotated[int, typer.Option("-n", "--replays", min=2, help="Requests to replay.")] = 100,
    export: Annotated[
        Path | None, typer.Option(help="Draw the requests and write them here, JSON lines to be filled in.")
    ] = None,
    outcomes: Annotated[
        Path | None, typer.Option(help="Take the filled in lines back, and say what they prove.")
    ] = None,
    run: Annotated[bool, typer.Option("--run", help="Ask the configured models, and have the judge grade.")] = False,
    judge: Annotated[str | None, typer.Option(help="Configured model that grades; the strongest if left out.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Spend what it costs without asking.")] = False,
    resume: Annotated[int | None, typer.Option(help="Go on with the trial of that number.")] = None,
    source: Annotated[Literal["judge", "person"], typer.Option(help="Who graded the logged answers again.")] = "judge",
    days: DaysOption = None,
    db: DbOption = DEFAULT_DB,
    as_json: JsonOption = False,
) -> None:
    """Prove a preview: replay about 100 of the requests it would move, and grade both answers.

    Without more it only says which and how many, and what that would cost. --run asks the configured models where the
    prompts were kept, and grades blind in both orders; --export and --outcomes are for replays made elsewhere.
    """
    from router_core.cli.config import login
    from router_core.config import set_values
    from router_core.decision import QualitySource
    from router_core.errors import InputError
    from router_core.ledger.store import open_ledger
    from router_core.lifecycle import trials, versions
    from router_core.lifecycle.quoting import price_trial
    from router_core.lifecycle.replay_files import read_replays, write_wanted

    if sum((export is not None, outcomes is not None, run, resume is not None)) > 1:
        raise InputError("give --export to draw a trial or --outcomes to conclude one, or else --run or --resume")
    graded = None if outcomes is None else read_replays(outcomes)
    with open_ledger(db, create=False) as ledger:
        target = set_values(versions.live(ledger).config, settings) if settings else None
        if graded is not None:
            one = trials.trial_of(ledger, graded, target)
            if one is None:
                one = _covered(ledger, target, graded, replays, days, str(outcomes))
            proof = trials.conclude(ledger, one, graded, author=login(), source=QualitySource[source.upper()])
            _tell_proof(one, proof, as_json=as_json)
            return
        if resume is not None:
            _run(ledger, resume, as_json=as_json)
            return
        preview = prepared(ledger, days)
        if run:
            number = _agreed(
                ledger, price_trial(ledger, preview, target or preview.config, replays, judge=judge), yes=yes
            )
            _run(ledger, number, as_json=as_json)
            return
        proposal = trials.propose(ledger, preview, target or preview.config, replays)
        held = None
        if export is not None:
            held = trials.hold(ledger, proposal, author=login())
            write_wanted(held, export)
    _tell_proposal(proposal, held, export, as_json=as_json)


def _agreed(ledger: Ledger, quote: Quote, *, yes: bool) -> int:
    """Say what a trial costs, hold it once that is agreed to, and return its number."""
    from router_core.cli.config import login
    from router_core.errors import InputError, NoSupportError
    from router_core.lifecycle.proving import enlist

    if quote.obstacle is not None or quote.cost_nusd is None or quote.cost_most_nusd is None:
        raise NoSupportError(quote.obstacle or "this trial has no price")
    price = (
        f"{quote.calls} calls, about {_dollars(quote.cost_nusd)} with the grading by {quote.judge}; it stops before it "
        f"spends more than {_dollars(quote.cost_most_nusd)}."
    )
    if not yes:
        typer.echo(price)
        if not sys.stdin.isatty():
            raise InputError("add --yes to spend that, or run it on a terminal, where it asks")
        if not typer.confirm("Spend it?"):
            raise typer.Exit(0)
    return enlist(ledger, quote, author=login())


def _run(ledger: Ledger, number: int, *, as_json: bool) -> None:
    """Run a held trial with a progress bar, and say what it proved."""
    from rich.console import Console
    from rich.progress import Progress

    from router_core.errors import NoSupportError
    from router_core.lifecycle.proving import run_trial

    with Progress(console=Console(stderr=True), disable=not sys.stderr.isatty(), transient=True) as bar:
        task = bar.add_task("Replaying", total=None)
        state = run_trial(
            ledger,
            number,
            progress=lambda now: bar.update(task, total=now.wanted, completed=now.graded + now.failed),
        )
    if state.proof is None:
        raise NoSupportError(f"trial {number} is not done: {state.message} Go on with --resume {number}.")
    _tell_proof(state.held, state.proof, as_json=as_json, spent_nusd=state.spent_nusd)


def _covered(
    ledger: Ledger, target: RoutingConfig | None, graded: list[Replay], replays: int, days: int | None, path: str
) -> HeldTrial:
    """Draw a trial now, where outcomes were not asked for by one, and hold it if they cover what it draws."""
    from router_core.cli.config import login
    from router_core.errors import InputError
    from router_core.lifecycle import trials

    if target is None:
        raise InputError("none of these requests belongs to a trial; draw one with --set ... --export", source=path)
    proposal = trials.propose(ledger, prepared(ledger, days), target, replays)
    known = {replay.id for replay in graded}
    missing = sum(chosen.id not in known for chosen in proposal.trial.chosen)
    if missing:
        raise InputError(
            f"{missing} of the {len(proposal.trial.chosen)} requests drawn for this change have no outcome here; draw "
            "them with --export first",
            source=path,
        )
    return trials.hold(ledger, proposal, author=login())


def _tell_proposal(proposal: Proposal, held: HeldTrial | None, export: Path | None, *, as_json: bool) -> None:
    plan, drawn, projection = proposal.plan, proposal.trial, proposal.projection
    pairs: dict[tuple[str, str], int] = {}
    for chosen in drawn.chosen:
        pairs[chosen.old, chosen.new] = pairs.get((chosen.old, chosen.new), 0) + 1
    if as_json:
        shown = projection.as_json()
        print_json(
            {
                "trial": None if held is None else held.number,
                "replays": len(drawn.chosen),
                "moved": round(plan.moves.moved),
                "cost_nusd": {"expected": plan.cost_nusd, "most": plan.cost_most_nusd},
                "half_width": plan.half_width,
                "moves": [{"from": old, "to": new, "replays": count} for (old, new), count in pairs.items()],
                "projection": {name: shown[name] for name in ("cost_nusd", "quality", "support")},
                "exported": None if export is None else str(export),
                "notes": list(drawn.notes),
            }
        )
        return
    moves = ", ".join(f"{count} from {old} to {new}" for (old, new), count in pairs.items())
    typer.echo(f"Replay {len(drawn.chosen)} of the {plan.moves.moved:,.0f} requests this would move: {moves}.")
    typer.echo(f"Price: {_price(plan.cost_nusd, plan.cost_most_nusd)}")
    quality, reach = projection.quality, plan.half_width
    if quality.low is None or quality.high is None:
        typer.echo(f"The log alone cannot say what this does to quality; the trial will, to about ±{reach * 100:.2f}.")
    else:
        known = f"The log alone says {_points(quality.low)} to {_points(quality.high)} points of quality"
        enough = (quality.high - quality.low) / 2 <= reach
        typer.echo(
            f"{known}, which is as close as so few replays come."
            if enough
            else f"{known}; the trial will say it to about ±{reach * 100:.2f}."
        )
    if held is not None:
        typer.echo(
            f"Trial {held.number} is in {export}: fill in quality_target (and quality_logged, input_tokens, "
            f"output_tokens) on each line, then: tierwise trial --outcomes {export}"
        )
    for sentence in drawn.notes:
        note(sentence)


def _tell_proof(one: HeldTrial, proof: Proof, *, as_json: bool, spent_nusd: int | None = None) -> None:
    if as_json:
        spent = {} if spent_nusd is None else {"spent_nusd": spent_nusd}
        print_json({"trial": one.number, **spent, **proof.as_json()})
        return
    quality, cost, saving = proof.quality, proof.cost, proof.saving
    typer.echo(f"Trial {one.number}, {proof.replays} replays{_for(spent_nusd)}:")
    typer.echo(
        f"quality {_points(quality.change)} points, 95 % interval {_points(quality.low)} to {_points(quality.high)} "
        f"(a plain replay of as many: ±{proof.plain_half_width * 100:.2f})"
    )
    if cost.change is not None and cost.low is not None and cost.high is not None:
        typer.echo(
            f"cost {_dollars(cost.change)}, {_dollars(cost.low)} to {_dollars(cost.high)}; "
            f"saving {_percent(saving.value)}, {_percent(saving.low)} to {_percent(saving.high)}"
        )
    for sentence in proof.notes:
        note(sentence)


def _price(expected: int | None, most: int | None) -> str:
    if expected is None or most is None:
        return "unknown, since a model has no price; grading comes on top."
    return f"about {_dollars(expected)}, at most {_dollars(most)}, but for one time in forty; grading comes on top."


def _for(spent_nusd: int | None) -> str:
    return "" if spent_nusd is None else f" for {_dollars(spent_nusd)}"


def _dollars(nusd: int) -> str:
    value = abs(nusd) / 1e9
    return (
        f"{'-' if nusd < 0 else ''}${value:,.2f}"
        if value >= 0.1 or not nusd
        else f"{'-' if nusd < 0 else ''}${value:.4f}"
    )


def _percent(share: float | None) -> str:
    return "unknown" if share is None else f"{share:.1%}"


def _points(change: float | None) -> str:
    return "unknown" if change is None else f"{change * 100:+.2f}"


@app.command("plan-evidence")
def plan_evidence(
    settings: SetOption = [],  # noqa: B006
    within: Annotated[float, typer.Option(help="Wanted: the change in quality to ± so many points.")] = 1.0,
    explore: Annotated[
        list[float], typer.Option(help="Share to explore, such as 0.05; repeatable. 1, 2, 5 and 10 % if left out.")
    ] = [],  # noqa: B006
    days: DaysOption = None,
    db: DbOption = DEFAULT_DB,
    as_json: JsonOption = False,
) -> None:
    """Say what it takes to know a change's quality to ± some points: replays, or days of exploration, with prices."""
    from router_core.config import set_values
    from router_core.ledger.store import open_ledger
    from router_core.projection import planner

    with open_ledger(db, create=False) as ledger:
        preview = prepared(ledger, days)
    rates = explore or planner.RATES
    plan = planner.plan_evidence(preview, set_values(preview.config, settings), within / 100, rates)
    if as_json:
        print_json(plan.as_json())
        return
    known = "nothing" if plan.known is None else f"±{plan.known * 100:.2f} points"
    typer.echo(f"The log alone knows the change in quality to {known}; wanted are ±{within:g}.")
    replay = plan.replay
    typer.echo(f"Replay: {replay.replays:,} requests. {_price(replay.cost_nusd, replay.cost_most_nusd)}")
    for one in plan.exploration:
        if one.days is None:
            typer.echo(f"Explore {one.rate:.0%}: ten years of it would not do.")
            continue
        cost = "at an unknown cost" if one.cost_nusd is None else f"for {_dollars(one.cost_nusd)}"
        worse = (
            ""
            if one.quality is None
            else f", and {abs(one.quality):,.0f} answers {'worse' if one.quality < 0 else 'better'}"
        )
        typer.echo(f"Explore {one.rate:.0%}: {one.days:,} days, {one.requests:,} requests {cost}{worse}.")
    for sentence in plan.notes:
        note(sentence)
