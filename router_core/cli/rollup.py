"""The `tierwise rollup` verb: cells brought up to date with the decisions they sum."""

from __future__ import annotations

from typing import Annotated

import typer

from router_core.cli import DEFAULT_DB, DbOption, JsonOption, app, print_json


@app.command()
def rollup(
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Sum every day anew, not only those that changed.")
    ] = False,
    db: DbOption = DEFAULT_DB,
    as_json: JsonOption = False,
) -> None:
    """Sum decisions into the cells that dashboards and projections read: the days that changed."""
    from rich.console import Console
    from rich.progress import Progress

    from router_core.ledger.rollup import refresh
    from router_core.ledger.store import open_ledger
    from router_core.ledger.writer import replay_spool

    with (
        open_ledger(db, create=False) as ledger,
        Progress(console=Console(stderr=True), transient=True) as bar,
    ):
        replayed = replay_spool(ledger)
        task = bar.add_task("Summing days", total=None)
        report = refresh(
            ledger,
            rebuild=rebuild,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    if as_json:
        print_json(
            {"days": report.days, "cells": report.cells, "replayed": replayed, "seconds": round(report.seconds, 3)}
        )
        return
    if replayed:
        typer.echo(f"{replayed:,} decisions came from the spool.")
    if report.days:
        typer.echo(f"{report.days:,} days were summed into {report.cells:,} cells in {report.seconds:.1f} s.")
    else:
        typer.echo("Every day is summed already.")
