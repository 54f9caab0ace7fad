"""The `tierwise spend` verb: what was spent, on what, how well it went and how fast."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any

import typer

from router_core.cli import DEFAULT_DB, DbOption, JsonOption, app, note, print_json
from router_core.cli.days import read_days

if TYPE_CHECKING:
    from router_core.ledger.queries import LatencyLine, SpendLine
    from router_core.ledger.store import Ledger

_NUSD = 1_000_000_000


@app.command()
def spend(
    by: Annotated[
        str, typer.Option(help="What to sum by, separated by commas: day,hour,team,feature,tier,model,status,kind.")
    ] = "tier",
    since: Annotated[
        str | None, typer.Option(metavar="DATE", help="First day: 2026-01-31, or 7d for the last 7.")
    ] = None,
    until: Annotated[str | None, typer.Option(metavar="DATE", help="Last day, included.")] = None,
    exact: Annotated[
        bool, typer.Option("--exact", help="Latency from every call, to the millisecond, instead of within 2 %.")
    ] = False,
    db: DbOption = DEFAULT_DB,
    as_json: JsonOption = False,
) -> None:
    """Show spend, quality, fall-backs and latency; days are those of the ledger's reporting zone.

    Spend by tier is that of the tier assigned, whichever answered in the end; latency is that of the calls to a tier.
    """
    from router_core.ledger import queries
    from router_core.ledger.rollup import refresh
    from router_core.ledger.store import open_ledger
    from router_core.ledger.writer import replay_spool

    keys = [part.strip() for part in by.split(",") if part.strip()]
    with open_ledger(db, create=False) as ledger:
        first, last = read_days(since, until, ledger.zone)
        replay_spool(ledger)
        refresh(ledger)
        lines = queries.spend(ledger, keys, first, last)
        total = queries.spend(ledger, (), first, last)
        speed = _latencies(ledger, keys, first, last, exact=exact)
        window = queries.window(ledger)
    whole = total[0] if total else None
    if as_json:
        print_json(
            {
                "since": str(first or window.first_day or ""),
                "until": str(last or window.last_day or ""),
                "timezone": window.timezone,
                "demo": window.is_demo,
                "by": keys,
                "lines": [_plain(line, keys, whole, speed.get(line.keys)) for line in lines],
                "total": None if whole is None else _plain(whole, (), whole, speed.get(())),
            }
        )
    elif whole is None:
        note("There was no traffic in these days.")
    else:
        _print(keys, lines, whole, speed)
        if window.is_demo:
            note("This is simulated traffic, made by 'tierwise demo'.")


def _latencies(
    ledger: Ledger, keys: Sequence[str], since: date | None, until: date | None, *, exact: bool
) -> dict[tuple[Any, ...], LatencyLine]:
    """Return latencies by the keys of spend lines, where they are kept by those, and that of all calls under ()."""
    from router_core.ledger import queries

    ask: Callable[[Ledger, Sequence[str], date | None, date | None], list[LatencyLine]] = queries.latency
    if exact:
        from router_core.ledger.engines.exact import exact_latency

        ask = exact_latency
    found = ask(ledger, (), since, until)
    if keys and all(key in queries.LATENCY_BY for key in keys):
        found += ask(ledger, keys, since, until)
    return {line.keys: line for line in found}


def _plain(line: SpendLine, keys: Sequence[str], whole: SpendLine | None, speed: LatencyLine | None) -> dict[str, Any]:
    plain: dict[str, Any] = {
        key: value.isoformat() if isinstance(value, date) else value for key, value in zip(keys, line.keys, strict=True)
    }
    plain |= {field.name: getattr(line, field.name) for field in fields(line) if field.name != "keys"}
    plain["quality"] = line.quality
    plain["spend_share"] = _share(line, whole)
    plain["priced_share"] = line.priced_share
    for name in ("p50_ms", "p95_ms", "p99_ms"):
        plain[name] = None if speed is None else round(getattr(speed, name))
    return plain


def _share(line: SpendLine, whole: SpendLine | None) -> float | None:
    return line.list_cost_nusd / whole.list_cost_nusd if whole is not None and whole.list_cost_nusd else None


def _print(
    keys: Sequence[str], lines: Sequence[SpendLine], whole: SpendLine, speed: dict[tuple[Any, ...], LatencyLine]
) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, show_footer=bool(keys), footer_style="bold")
    columns = ("cost, $", "share", "requests", "calls", "failed", "fall-backs", "quality", "p50, s", "p95, s", "priced")
    foot = _cells(whole, whole, speed.get(()))
    for place, key in enumerate(keys):
        table.add_column(key, footer="total" if place == 0 else "", no_wrap=True)
    for name, value in zip(columns, foot, strict=True):
        table.add_column(name, footer=value, justify="right")
    for line in lines:
        shown = [str(key) if key != "" else "(none)" for key in line.keys]
        table.add_row(*shown, *_cells(line, whole, speed.get(line.keys)))
    console = Console()
    if not console.is_terminal:
        console = Console(width=160)  # a pipe has no width, and nothing should be cut for it
    console.print(table)


def _cells(line: SpendLine, whole: SpendLine, speed: LatencyLine | None) -> tuple[str, ...]:
    return (
        f"{line.list_cost_nusd / _NUSD:,.2f}",
        _percent(_share(line, whole)),
        f"{line.decisions:,}",
        f"{line.attempts:,}",
        _percent(line.failed_attempts / line.attempts if line.attempts else None),
        _percent(line.failovers / line.decisions if line.decisions else None),
        "" if line.quality is None else f"{line.quality:.3f}",
        "" if speed is None else f"{speed.p50_ms / 1000:.2f}",
        "" if speed is None else f"{speed.p95_ms / 1000:.2f}",
        _percent(line.priced_share),
    )


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.1%}"
