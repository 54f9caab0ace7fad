"""The `tierwise import`, `export` and `reconcile` verbs: logs and reports in, spend and decisions out."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from router_core.cli import DEFAULT_DB, DbOption, JsonOption, app, note, print_json
from router_core.cli.days import read_days

if TYPE_CHECKING:
    from router_core.exchange.load import Progress
    from router_core.exchange.reconcile import Reconciliation


RateOption = Annotated[
    list[str] | None,
    typer.Option(metavar="EUR=1.08@DATE", help="What another currency is worth in US dollars from a day on."),
]


@app.command("import")
def import_(
    format: Annotated[
        str, typer.Argument(help="litellm, otel, langfuse, helicone, openrouter, openai, ... or auto.")
    ] = "auto",
    file: Annotated[str | None, typer.Argument(help="The file; - reads standard input.")] = None,
    score: Annotated[
        list[str] | None, typer.Option(help="A score that is the answer's quality; by default the first met.")
    ] = None,
    rate: RateOption = None,
    rejects: Annotated[Path | None, typer.Option(help="Where bad rows go; by default FILE.rejects.jsonl.")] = None,
    db: DbOption = DEFAULT_DB,
    config: Annotated[
        Path | None, typer.Option("--config", help="YAML pushed as the first version when the ledger is new.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Import a log or a report of another tool, told by its content; importing it again changes nothing."""
    from router_core.cli.ledgers import open_with_config
    from router_core.exchange.currencies import parse_rates
    from router_core.exchange.load import import_file
    from router_core.gateway.engine import key_path
    from router_core.ledger.rollup import refresh
    from router_core.serving.hashing import read_hash_key

    gc.set_threshold(100_000)  # nearly all that is made here is freed as it goes; looking for cycles takes time
    if file is None:  # `tierwise import FILE` leaves the format to us
        format, file = "auto", format
    with open_with_config(db, config, author="tierwise import") as ledger:
        with _progress(f"Importing {file}", hidden=json) as step:
            report = import_file(
                ledger,
                file,
                format,
                hash_key=read_hash_key(key_path(ledger)),
                scores=tuple(score or ()),
                rates=parse_rates(rate or ()),
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
    if report.rejected and not report.loaded and not report.duplicates:
        raise typer.Exit(2)


@app.command()
def export(
    format: Annotated[str, typer.Argument(help="focus, csv, parquet, jsonl, otlp or litellm.")],
    file: Annotated[str, typer.Argument(help="Where to; - writes to standard output.")],
    since: Annotated[
        str | None, typer.Option(metavar="DATE", help="First day: 2026-01-31, or 7d for the last 7.")
    ] = None,
    until: Annotated[str | None, typer.Option(metavar="DATE", help="Last day, included.")] = None,
    by: Annotated[str, typer.Option(help="What csv is summed by, separated by commas.")] = "",
    focus_version: Annotated[str, typer.Option(help="1.2 (with the columns of 1.4 beside) or 1.4.")] = "1.2",
    account: Annotated[str, typer.Option(help="The billing account that FOCUS rows name.")] = "tierwise",
    db: DbOption = DEFAULT_DB,
    json: JsonOption = False,
) -> None:
    """Write spend (focus, csv), decisions (parquet, jsonl, otlp) or the live configuration (litellm).

    Says how many rows it wrote, what they add up to, the days, and a checksum.
    """
    from router_core.exchange.export import export as write
    from router_core.ledger.rollup import refresh
    from router_core.ledger.store import open_ledger
    from router_core.ledger.writer import replay_spool

    with open_ledger(db, create=False) as ledger:
        first, last = read_days(since, until, ledger.zone)
        if format != "litellm":
            replay_spool(ledger)
            refresh(ledger)
        statement = write(
            ledger,
            format,
            file,
            since=first,
            until=last,
            by=[part.strip() for part in by.split(",") if part.strip()],
            focus_version=focus_version,
            account=account,
        )
        ledger.event("command line", "export", f"{statement.rows} rows of {statement.format} to {statement.file}")
    if file == "-":  # what was exported stands on standard output alone
        for sentence in statement.sentences():
            note(sentence)
    elif json:
        print_json(statement.plain())
    else:
        for sentence in statement.sentences():
            typer.echo(sentence)


@app.command()
def reconcile(
    invoice: Annotated[
        Path, typer.Argument(help="OpenAI costs, an Anthropic cost report, or a CSV: day, model, cost.")
    ],
    tolerance: Annotated[float, typer.Option(min=0, max=1, help="Share of a bill that may differ.")] = 0.01,
    rate: RateOption = None,
    all_lines: Annotated[bool, typer.Option("--all", help="Also show the lines that agree.")] = False,
    db: DbOption = DEFAULT_DB,
    json: JsonOption = False,
) -> None:
    """Set what was metered here against what a provider billed, by provider, model and UTC day."""
    from router_core.exchange.currencies import parse_rates
    from router_core.exchange.reconcile import reconcile_file
    from router_core.ledger.rollup import refresh
    from router_core.ledger.store import open_ledger
    from router_core.ledger.writer import replay_spool

    with open_ledger(db, create=False) as ledger:
        replay_spool(ledger)
        refresh(ledger)
        result = reconcile_file(ledger, invoice, tolerance=tolerance, rates=parse_rates(rate or ()))
    if json:
        print_json(result.plain())
        return
    _show(result, all_lines=all_lines)


def _show(result: Reconciliation, *, all_lines: bool) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, show_footer=True, footer_style="bold")
    table.add_column("provider", footer="total", no_wrap=True)
    table.add_column("model", no_wrap=True)
    table.add_column("day (UTC)", no_wrap=True)
    for name, nusd in (
        ("metered, $", result.metered_nusd),
        ("billed, $", result.billed_nusd),
        ("difference, $", result.difference_nusd),
    ):
        table.add_column(name, footer=_dollars(nusd), justify="right")
    table.add_column("likely reason")
    shown = [line for line in result.lines if all_lines or not line.agrees]
    for line in shown:
        figures = (line.metered_nusd, line.billed_nusd, line.difference_nusd)
        model = line.model or "(not a model)"
        table.add_row(line.provider_name, model, str(line.day), *map(_dollars, figures), line.reason or "agrees")
    console = Console()
    if not console.is_terminal:
        console = Console(width=200)  # a pipe has no width, and nothing should be cut for it
    typer.echo(f"{result.title}, {result.since} to {result.until}")
    console.print(table)
    agreeing = sum(line.agrees for line in result.lines)
    note(
        f"{agreeing:,} of {len(result.lines):,} lines agree."
        + ("" if all_lines or not agreeing else " --all shows them.")
    )
    for sentence in result.notes:
        note(sentence)
    if result.rejected:
        note(f"tierwise: {result.rejected:,} lines of the invoice could not be read and are in no sum")


def _dollars(nusd: int) -> str:
    return f"{nusd / 1e9:,.4f}"


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
