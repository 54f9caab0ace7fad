"""The `tierwise keys` verbs: gateway keys, given out once and kept as hashes."""

from __future__ import annotations

from typing import Annotated

import typer

from router_core.cli import DEFAULT_DB, DbOption, JsonOption, app, note, print_json

keys = typer.Typer(no_args_is_help=True, help="Keys of the gateway: add, list, revoke.")
app.add_typer(keys, name="keys")

_Name = Annotated[str, typer.Argument(help="What the key is called, for instance the service that uses it.")]


@keys.command()
def add(
    name: _Name,
    team: Annotated[str, typer.Option(help="Team whose spend its requests are.")] = "",
    feature: Annotated[list[str] | None, typer.Option(help="Feature it may name; repeat it; none means all.")] = None,
    db: DbOption = DEFAULT_DB,
    json: JsonOption = False,
) -> None:
    """Make a key and print it; it cannot be shown again."""
    from router_core.ledger.gateway_keys import create_key
    from router_core.ledger.store import open_ledger

    with open_ledger(db) as ledger:
        key = create_key(ledger, name=name, team=team, features=feature or ())
        ledger.event("tierwise keys", "key added", name)
    if json:
        print_json({"name": name, "team": team, "features": feature or [], "key": key})
    else:
        note(f"The key {name!r}; keep it now, it cannot be shown again:")
        typer.echo(key)


@keys.command("list")
def list_keys(db: DbOption = DEFAULT_DB, json: JsonOption = False) -> None:
    """List every key ever made."""
    from datetime import UTC, datetime

    from router_core.ledger.gateway_keys import gateway_keys
    from router_core.ledger.store import open_ledger

    def day(at_ms: int | None) -> str:
        return "" if at_ms is None else datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M")

    with open_ledger(db, create=False) as ledger:
        found = gateway_keys(ledger)
    if json:
        print_json(
            [
                {
                    "name": key.name,
                    "team": key.team,
                    "features": list(key.features),
                    "created_at_ms": key.created_at_ms,
                    "revoked_at_ms": key.revoked_at_ms,
                }
                for key in found
            ]
        )
        return
    if not found:
        note("No keys: the gateway takes any key and listens on this machine only.")
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("name", "team", "features", "created (UTC)", "revoked (UTC)")
    for key in found:
        features = ", ".join(key.features) or "all"
        table.add_row(key.name, key.team, features, day(key.created_at_ms), day(key.revoked_at_ms))
    Console().print(table)


@keys.command()
def revoke(name: _Name, db: DbOption = DEFAULT_DB, json: JsonOption = False) -> None:
    """Make a key useless; running gateways refuse it within a second or two."""
    from router_core.ledger.gateway_keys import revoke_key
    from router_core.ledger.store import open_ledger

    with open_ledger(db, create=False) as ledger:
        revoke_key(ledger, name)
        ledger.event("tierwise keys", "key revoked", name)
    if json:
        print_json({"name": name, "revoked": True})
    else:
        note(f"The key {name!r} is revoked.")
