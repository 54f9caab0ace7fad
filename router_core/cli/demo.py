"""The `tierwise demo` verb: a ledger of simulated traffic to look at, whose true outcomes are known."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from router_core.cli import DEFAULT_DB, DbOption, JsonOption, app, note, print_json

if TYPE_CHECKING:
    from rich.progress import Progress

    from router_core.demo import DemoReport


@app.command()
def demo(
    decisions: Annotated[int, typer.Option(min=1, max=100_000_000, help="Requests to simulate.")] = 200_000,
    days: Annotated[int, typer.Option(min=1, max=3650, help="Days to spread them over; the last one is today.")] = 30,
    seed: Annotated[int, typer.Option(min=0, help="Same seed and same time, same traffic.")] = 0,
    if_empty: Annotated[bool, typer.Option("--if-empty", help="Do nothing where the ledger holds anything.")] = False,
    db: DbOption = DEFAULT_DB,
    as_json: JsonOption = False,
) -> None:
    """Fill an empty ledger with simulated traffic; it is called demo wherever it is shown."""
    from router_core.demo import fill, is_empty
    from router_core.ledger.rollup import refresh
    from router_core.ledger.store import open_ledger

    began = time.monotonic()
    with open_ledger(db) as ledger:
        if if_empty and not is_empty(ledger):
            note(f"The ledger {db} holds something already, so no demo was added.")
            if as_json:
                print_json({"db": db, "filled": False})
            return
        with _progress() as progress:
            simulating = progress.add_task("Simulating traffic", total=decisions)
            report = fill(
                ledger,
                decisions=decisions,
                days=days,
                seed=seed,
                now_ms=time.time_ns() // 1_000_000,
                progress=lambda done, total: progress.update(simulating, completed=done, total=total),
            )
            summing = progress.add_task("Summing it up", total=days)
            refresh(ledger, progress=lambda done, total: progress.update(summing, completed=done, total=total))
    seconds = round(time.monotonic() - began, 1)
    if as_json:
        truth = None if report.truth is None else str(report.truth)
        print_json({"db": db, "filled": True, **_facts(report), "truth": truth, "seconds": seconds})
        return
    typer.echo(
        f"{report.decisions:,} simulated requests from {report.first_day} to {report.last_day}, "
        f"${report.cost_nusd / 1e9:,.2f} at list prices, in {db} ({seconds} s). "
        f"Look at them with: tierwise dashboard --db {db}"
    )


def _facts(report: DemoReport) -> dict[str, object]:
    return {
        "demo": True,
        "decisions": report.decisions,
        "attempts": report.attempts,
        "labelled": report.labelled,
        "cost_nusd": report.cost_nusd,
        "first_day": report.first_day,
        "last_day": report.last_day,
    }


def _progress() -> Progress:
    """Show bars on a terminal, on standard error, so that what is printed stays clean."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
