"""The `tierwise archive` verb: days kept as Parquet, and taken out of the ledger where that is asked."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from router_core.cli import DEFAULT_DB, DbOption, JsonOption, app, print_json
from router_core.errors import InputError


@app.command()
def archive(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the archive; made where there is none.")],
    older_than: Annotated[str, typer.Option("--older-than", help="Keep days that ended so long ago.")] = "30d",
    prune: Annotated[
        bool, typer.Option("--prune", help="Then take their rows out of the ledger; its sums stay.")
    ] = False,
    db: DbOption = DEFAULT_DB,
    as_json: JsonOption = False,
) -> None:
    """Keep whole days of decisions as Parquet, a file a table and day, with a manifest of counts and checksums."""
    from datetime import datetime, timedelta

    from rich.console import Console
    from rich.progress import Progress

    from router_core.ledger.archive import archive as keep
    from router_core.ledger.store import open_ledger
    from router_core.ledger.writer import replay_spool

    days = re.fullmatch(r"(\d{1,5})d?", older_than.strip())
    if days is None:
        raise InputError(f"--older-than is a number of days such as 30d, not {older_than!r}")
    with (
        open_ledger(db, create=False) as ledger,
        Progress(console=Console(stderr=True), transient=True) as bar,
    ):
        replay_spool(ledger)
        task = bar.add_task("Keeping days", total=None)
        report = keep(
            ledger,
            folder,
            before=datetime.now(ledger.zone).date() - timedelta(days=int(days[1])),
            prune=prune,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    if as_json:
        print_json(
            {
                "folder": str(folder),
                "written_days": report.written,
                "unchanged_days": report.unchanged,
                "pruned_days": report.pruned,
                "decisions": report.decisions,
                "attempts": report.attempts,
                "bytes": report.bytes,
                "waiting": [{"day": day.isoformat(), "why": why} for day, why in report.waiting],
            }
        )
        return
    if report.written:
        typer.echo(
            f"{report.written:,} days were kept in {folder}: {report.decisions:,} decisions with {report.attempts:,} "
            f"attempts in {report.bytes / 2**20:,.1f} MB."
        )
    elif report.unchanged:
        typer.echo(f"{folder} holds all {report.unchanged:,} days already.")
    else:
        typer.echo(f"No day in the ledger ended {days[1]} days ago or earlier.")
    if prune:
        typer.echo(f"The rows of {report.pruned:,} days left the ledger; their sums stay.")
    for day, why in report.waiting:
        typer.echo(f"{day} changed, but its rows could not be brought back: {why}", err=True)
