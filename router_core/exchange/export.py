"""Every export there is, by the name a person types."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from router_core.errors import InputError
from router_core.exchange.outlet import Statement
from router_core.ledger.store import Ledger

NAMES = ("focus", "csv", "parquet", "jsonl", "otlp", "litellm")


def export(
    ledger: Ledger,
    format: str,
    path: str | Path,
    *,
    since: date | None = None,
    until: date | None = None,
    by: Sequence[str] = (),
    focus_version: str = "1.2",
    account: str = "tierwise",
) -> Statement:
    """Write a ledger's spend (focus, csv), decisions (parquet, jsonl, otlp) or live configuration (litellm).

    Days are those of the reporting zone, ``until`` included; ``by`` is for csv. Cells must be up to date. Raises
    ``InputError`` where something asked for is unknown or the file cannot be written, ``LedgerError`` where the ledger
    fails or a total does not hold.
    """
    if format not in NAMES:
        near = difflib.get_close_matches(format, NAMES, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"choose one of {', '.join(NAMES)}"
        raise InputError(f"there is no export {format!r}; {hint}")
    if since is not None and until is not None and since > until:
        raise InputError(f"--since {since} is after --until {until}")
    if by and format != "csv":
        raise InputError(f"--by says what csv is summed by; {format} has no use for it")
    if format == "csv":
        from router_core.exchange.export_spend import DEFAULT_BY, export_csv

        return export_csv(ledger, path, since=since, until=until, by=tuple(by) or DEFAULT_BY)
    if format == "jsonl":
        from router_core.exchange.export_decisions import export_jsonl

        return export_jsonl(ledger, path, since=since, until=until)
    if format == "parquet":
        from router_core.exchange.export_decisions import export_parquet

        return export_parquet(ledger, path, since=since, until=until)
    if format == "otlp":
        from router_core.exchange.export_otlp import export_otlp

        return export_otlp(ledger, path, since=since, until=until)

    from router_core.lifecycle.versions import live

    version = live(ledger)
    if format == "focus":
        from router_core.exchange.export_focus import export_focus

        return export_focus(
            ledger, path, since=since, until=until, version=focus_version, account=account, config=version.config
        )
    if since is not None or until is not None:
        raise InputError("a configuration has no days; leave --since and --until out")
    from router_core.exchange.export_litellm import export_litellm

    return export_litellm(path, version.config, version=version.version)
