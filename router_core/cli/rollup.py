"""The `tierwise rollup` verb: cells brought up to date with the decisions they sum."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from router_core.cli import DEFAULT_DB, DbOption, JsonOption, app, note, print_json
from router_core.errors import InputError

if TYPE_CHECKING:
    from router_core.ledger.rollup import Engine


@app.command()
def rollup(
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Sum every day anew, not only those that changed.")
    ] = False,
    engine: Annotated[
        str,
        typer.Option(
            "--engine",
            help="What sums: sql (the database itself), duckdb, or spark; auto: sql, or duckdb to rebuild a file.",
        ),
    ] = "auto",
    master: Annotated[
        str, typer.Option("--master", help="Address of the Spark cluster, such as spark://host:7077.")
    ] = "local[*]",
    staging: Annotated[
        Path | None,
        typer.Option("--staging", help="Folder that all of a Spark cluster can read, for days on their way."),
    ] = None,
    db: DbOption = DEFAULT_DB,
    as_json: JsonOption = False,
) -> None:
    """Sum decisions into the cells that dashboards and projections read: the days that changed."""
    from rich.console import Console
    from rich.progress import Progress

    from router_core.ledger.rollup import refresh
    from router_core.ledger.store import open_ledger
    from router_core.ledger.writer import replay_spool

    summing = _engine(engine, master, staging)
    with (
        open_ledger(db, create=False) as ledger,
        Progress(console=Console(stderr=True), transient=True) as bar,
    ):
        replayed = replay_spool(ledger)
        if engine == "auto" and rebuild and ledger.engine.dialect.name == "sqlite" and find_spec("duckdb") is not None:
            summing = _engine("duckdb", master, staging)
        task = bar.add_task("Summing days", total=None)
        report = refresh(
            ledger,
            rebuild=rebuild,
            engine=summing,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    if as_json:
        print_json(
            {
                "days": report.days,
                "cells": report.cells,
                "replayed": replayed,
                "seconds": round(report.seconds, 3),
                "waiting": [{"day": day.isoformat(), "why": why} for day, why in report.waiting],
            }
        )
        return
    if replayed:
        typer.echo(f"{replayed:,} decisions came from the spool.")
    if report.days:
        typer.echo(f"{report.days:,} days were summed into {report.cells:,} cells in {report.seconds:.1f} s.")
    else:
        typer.echo("Every day is summed already.")
    for day, why in report.waiting:
        note(f"{day} is left as it was, since its rows could not be read: {why}")


def _engine(name: str, master: str, staging: Path | None) -> Engine | None:
    if name in ("auto", "sql"):
        return None
    if name == "duckdb":
        from router_core.ledger.engines.by_duckdb import DuckDb

        return DuckDb()
    if name == "spark":
        from router_core.ledger.engines.by_spark import Spark

        return Spark(master, staging)
    raise InputError(f"--engine is auto, sql, duckdb or spark, not {name!r}")
