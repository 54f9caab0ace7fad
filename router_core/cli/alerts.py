"""The `tierwise alerts` verb: what wants attention, who has seen it, and telling the webhook."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from router_core.cli import DEFAULT_DB, DbOption, JsonOption, app, note, print_json
from router_core.errors import InputError, LedgerError

if TYPE_CHECKING:
    from router_core.config import RoutingConfig
    from router_core.ledger.alert_notices import Notice
    from router_core.ledger.store import Ledger
    from router_core.lifecycle.alerts import Alert


@app.command()
def alerts(
    seen: Annotated[
        str | None, typer.Option("--seen", metavar="ID", help="Keep that you have seen this one; it is not sent.")
    ] = None,
    send: Annotated[
        bool, typer.Option("--send", help="Post what nobody has seen, each once, to alerts.webhook.")
    ] = False,
    every: Annotated[
        int | None, typer.Option("--every", metavar="SECONDS", min=1, help="With --send: do so again and again.")
    ] = None,
    db: DbOption = DEFAULT_DB,
    as_json: JsonOption = False,
) -> None:
    """Show what wants attention now: budgets, forecast, prices, fall-backs, quality, endpoints, sums."""
    from router_core.ledger.alert_notices import notices
    from router_core.ledger.store import open_ledger

    if every is not None and not send:
        raise InputError("--every says how often to send; give --send with it")
    with open_ledger(db, create=False) as ledger:
        if every is not None:
            _keep_sending(ledger, every)
        config, found = _found(ledger)
        if seen is not None:
            _see(ledger, found, seen)
        if send:
            why = _send(ledger, config, found)
            if why:
                note(f"The webhook was not told: {why}")
                raise typer.Exit(1)
        kept = notices(ledger)
    if as_json:
        print_json([_plain(alert, kept.get(alert.key)) for alert in found])
    elif not found:
        note("Nothing needs attention.")
    else:
        _print(found, kept)


def _found(ledger: Ledger) -> tuple[RoutingConfig, list[Alert]]:
    from router_core.ledger.rollup import refresh
    from router_core.lifecycle.attention import gathered
    from router_core.lifecycle.versions import live

    refresh(ledger)
    config = live(ledger).config
    return config, gathered(ledger, config, time.time_ns() // 1_000_000)


def _see(ledger: Ledger, found: Sequence[Alert], name: str) -> None:
    from router_core.cli.config import login
    from router_core.ledger.alert_notices import see

    alert = next((one for one in found if name in (one.id, one.key)), None)
    if alert is None:
        listed = ", ".join(one.id for one in found) or "none"
        raise InputError(f"no alert {name!r} stands now; those that do: {listed}")
    see(ledger, alert.key, who=login(), sentence=alert.sentence, at_ms=time.time_ns() // 1_000_000)


def _send(ledger: Ledger, config: RoutingConfig, found: Sequence[Alert]) -> str:
    from router_core.lifecycle.webhook import deliver

    if config.alerts.webhook is None:
        raise InputError("there is nobody to tell: set alerts.webhook in the configuration and push it")
    demo = ledger.meta("demo") == "1"
    delivered = deliver(ledger, config.alerts.webhook, found, time.time_ns() // 1_000_000, demo=demo)
    if delivered.sent:
        note(f"{delivered.sent} sent.")
    return delivered.why


def _keep_sending(ledger: Ledger, every: int) -> None:
    """Send until interrupted; a receiver or a ledger that is away for a while ends nothing, and is said once."""
    told = ""
    while True:
        try:
            why = _send(ledger, *_found(ledger))
        except LedgerError as error:
            why = str(error)
        if why and why != told:
            note(f"The webhook was not told: {why}; it is tried again every {every} s.")
        told = why
        time.sleep(every)


def _plain(alert: Alert, notice: Notice | None) -> dict[str, object]:
    return {
        "id": alert.id,
        "key": alert.key,
        "kind": alert.kind,
        "subject": alert.subject,
        "severity": alert.severity,
        "sentence": alert.sentence,
        "page": alert.page,
        "seen_at_ms": notice and notice.seen_at_ms,
        "seen_by": notice.seen_by if notice is not None and notice.seen_at_ms is not None else None,
        "sent_at_ms": notice and notice.sent_at_ms,
    }


def _print(found: Sequence[Alert], kept: Mapping[str, Notice]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for name in ("id", "", "what", "seen by", "sent"):
        table.add_column(name, no_wrap=name == "id")
    for alert in found:
        notice = kept.get(alert.key)
        who = notice.seen_by if notice is not None and notice.seen_at_ms is not None else ""
        went = "yes" if notice is not None and notice.sent_at_ms is not None else ""
        table.add_row(alert.id, alert.severity, alert.sentence, who, went)
    console = Console()
    (console if console.is_terminal else Console(width=200)).print(table)
