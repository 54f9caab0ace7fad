"""The `tierwise import`, `export` and `reconcile` verbs: logs and reports in, spend and decisions out."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from router_core.cli import DEFAULT_DB, DbOption, JsonOption, app, note, print_json

if TYPE_CHECKING:
    from router_core.exchange.load import Progress


@app.command("import")
def import_(
    format: Annotated[
        str, typer.Argument(help="litellm, otel, langfuse, helicone, openrouter, openai, ... or auto.")
    ] = "auto",
    file: Annotated[str | None, typer.Argument(help="The file; - reads standard input.")] = None,
    score: Annotated[
        list[str] | None, typer.Option(help="A score that is the answer's quality; by default the first met.")
    ] = None,
    rejects: Annotated[Path | None, typer.Option(help="Where bad rows go; by default FILE.rejects.jsonl.")] = None,
    db: DbOption = DEFAULT_DB,
    json: JsonOption = False,
) -> None:
    """Import a log or a report of another tool, told by its content; importing it again changes nothing."""
    from router_core.exchange.load import import_file
    from router_core.gateway.engine import key_path
    from router_core.ledger.rollup import refresh
    from router_core.ledger.store import open_ledger
    from router_core.serving.hashing import read_hash_key

    if file is None:  # `tierwise import FILE` leaves the format to us
        format, file = "auto", format
    with open_ledger(db) as ledger:
        with _progress(f"Importing {file}", hidden=json) as step:
            report = import_file(
                ledger,
                file,
                format,
                hash_key=read_hash_key(key_path(ledger)),
                scores=tuple(score or ()),
                rejects=rejects,
                progress=step,
            )
        if report.decisions or report.labels:
            refresh(ledger)
        ledger.event("command line", "import", f"{report.title}: {report.loaded} rows of {file}")
    if json:
        print_json(report.plain())
    else:
        for sentence in report.sentences():
            typer.echo(sentence)
    for rejected in report.rejects:
        note(f"tierwise: {file}, line {rejected.line}: {rejected.reason}")
    if report.rejected > len(report.rejects):
        note(f"tierwise: {report.rejected - len(report.rejects):,} more rejected rows are not named here")


@contextmanager
def _progress(what: str, *, hidden: bool) -> Iterator[Progress | None]:
    """Give a function that shows how far a file is read; none where nobody looks at it."""
    if hidden or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, size: bar.update(task, completed=done, total=size)
