"""`tierwise trial` and `tierwise plan-evidence`: prove a preview, and what proof costs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from router_core.cli import DEFAULT_DB, DbOption, JsonOption, app, note, print_json
from router_core.cli.project import DaysOption, SetOption, prepared

if TYPE_CHECKING:
    from router_core.config import RoutingConfig
    from router_core.ledger.store import Ledger
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
    source: Annotated[Literal["judge", "person"], typer.Option(help="Who graded the logged answers again.")] = "judge",
    days: DaysOption = None,
    db: DbOption = DEFAULT_DB,
    as_json: JsonOption = False,
) -> None:
    """Prove a preview: replay about 100 of the requests it would move, and grade both answers.

    Without --export or --outcomes it only says which and how many, and what that would cost. Answers are best graded
    blind and in both orders, by the same judge: quality_target for the new answer, quality_logged for the logged one.
    """
    from router_core.cli.config import login
    from router_core.config import set_values
    from router_core.decision import QualitySource
    from router_core.errors import InputError
    from router_core.ledger.store import open_ledger
    from router_core.lifecycle import trials, versions
    from router_core.lifecycle.replay_files import read_replays, write_wanted

    if export is not None and outcomes is not None:
        raise InputError("give --export to draw a trial or --outcomes to conclude one, not both")
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
        preview = prepared(ledger, days)
        proposal = trials.propose(ledger, preview, target or preview.config, replays)
        held = None
        if export is not None:
            held = trials.hold(ledger, proposal, author=login())
            write_wanted(held, export)
    _tell_proposal(proposal, held, export, as_json=as_json)


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


def _tell_proof(one: HeldTrial, proof: Proof, *, as_json: bool) -> None:
    if as_json:
        print_json({"trial": one.number, **proof.as_json()})
        return
    quality, cost, saving = proof.quality, proof.cost, proof.saving
    typer.echo(f"Trial {one.number}, {proof.replays} replays:")
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
