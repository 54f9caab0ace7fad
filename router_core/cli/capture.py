"""The `tierwise capture` verbs: what a running tool logs, read from where it keeps it."""

from __future__ import annotations

from datetime import UTC, datetime, time
from typing import Annotated

import typer

from router_core.cli import DEFAULT_DB, DbOption, JsonOption, app, note, print_json
from router_core.cli.days import read_day

capture_app = typer.Typer(no_args_is_help=True, help="Read what a running tool logs, bit by bit.")
app.add_typer(capture_app, name="capture")


@capture_app.callback()
def capture() -> None:
    """Read what a running tool logs, bit by bit."""


@capture_app.command()
def litellm(
    source: Annotated[
        str,
        typer.Option(
            "--from", envvar="LITELLM_DATABASE_URL", help="postgresql://user@host/name, better not on the command line."
        ),
    ],
    since: Annotated[
        str | None,
        typer.Option(
            metavar="DATE",
            help="UTC day to begin with, the first time: 2026-01-31, yesterday or 7d; all, unless given.",
        ),
    ] = None,
    settle: Annotated[float, typer.Option(min=0, help="Seconds within which LiteLLM writes a call down.")] = 120.0,
    db: DbOption = DEFAULT_DB,
    json: JsonOption = False,
) -> None:
    """Load what a LiteLLM proxy's PostgreSQL logged since the last time; run it as often as you like.

    Prompts and answers are not read. Failed calls wait until it is known who took over from them.
    """
    from router_core.exchange.litellm_live import capture
    from router_core.gateway.engine import key_path
    from router_core.ledger.rollup import refresh
    from router_core.ledger.store import open_ledger
    from router_core.serving.hashing import read_hash_key

    begin = None if since is None else datetime.combine(read_day("--since", since, UTC), time(), UTC)
    with open_ledger(db) as ledger:
        report = capture(ledger, source, since=begin, settle_s=settle, hash_key=read_hash_key(key_path(ledger)))
        if report.decisions or report.labels:
            refresh(ledger)
        if report.loaded:
            ledger.event("command line", "import", f"{report.title}: {report.loaded} rows")
    if json:
        print_json(report.plain())
        return
    for sentence in report.sentences():
        typer.echo(sentence)
    for rejected in report.rejects:
        note(f"tierwise: row {rejected.line}: {rejected.reason}")
