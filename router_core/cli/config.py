"""The `tierwise config` verbs: show, check, compare, push and roll back configurations."""

from __future__ import annotations

import getpass
import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from router_core.cli import DEFAULT_DB, DbOption, JsonOption, app, note, print_json

if TYPE_CHECKING:
    from router_core.config import Change, RoutingConfig
    from router_core.ledger.store import Ledger
    from router_core.lifecycle.versions import Version

config_app = typer.Typer(no_args_is_help=True, help="Versions of the configuration: show, diff, push, roll back.")
app.add_typer(config_app, name="config")

NoteOption = Annotated[str, typer.Option("--note", help="Why; kept with the version.")]
AuthorOption = Annotated[str | None, typer.Option("--author", help="Who; your login name unless given.")]


@config_app.command()
def show(
    version: Annotated[int | None, typer.Option("--version", help="An older version instead of the live one.")] = None,
    db: DbOption = DEFAULT_DB,
    as_json: JsonOption = False,
) -> None:
    """Print the live configuration, or an older version of it, as YAML."""
    from router_core.config import dump_config
    from router_core.lifecycle import versions

    with _open(db) as ledger:
        shown = versions.live(ledger) if version is None else versions.version(ledger, version)
    if as_json:
        print_json({**_facts(shown), "config": shown.config.model_dump(mode="json"), "projection": shown.projection})
    else:
        typer.echo(f"# version {shown.version}, {_when(shown)}, by {shown.author}: {shown.note}")
        typer.echo(dump_config(shown.config), nl=False)


@config_app.command()
def validate(
    file: Annotated[Path, typer.Argument(help="A configuration in YAML.", show_default=False)],
    as_json: JsonOption = False,
) -> None:
    """Check a configuration file without pushing it; a mistake is named with its line, and exits 2."""
    from router_core.config import load_config

    config = load_config(file)
    if as_json:
        boundaries = dict(zip(config.tier_names, config.boundaries(), strict=True))
        print_json(
            {"valid": True, "tiers": boundaries, "models": len(config.models), "features": list(config.features)}
        )
    else:
        tiers = ", ".join(
            f"{name} from {mark}" for name, mark in zip(config.tier_names, config.boundaries(), strict=True)
        )
        typer.echo(f"{file} can be used: {tiers}.")


@config_app.command()
def diff(
    old: Annotated[str, typer.Argument(metavar="A", help="A version number or a file.", show_default=False)],
    new: Annotated[str | None, typer.Argument(metavar="[B]", help="The other; the live version unless given.")] = None,
    db: DbOption = DEFAULT_DB,
    as_json: JsonOption = False,
) -> None:
    """List what differs between two configurations, each a version number or a file."""
    from router_core.config import diff_configs

    changes = diff_configs(_named(old, db), _named(new, db))
    if as_json:
        print_json(_plain(changes))
    elif not changes:
        note("Nothing differs.")
    for change in () if as_json else changes:
        typer.echo(str(change))


@config_app.command()
def push(
    file: Annotated[Path, typer.Argument(help="A configuration in YAML.", show_default=False)],
    why: NoteOption = "",
    author: AuthorOption = None,
    expected: Annotated[
        int | None, typer.Option(min=1, help="The version this file was made from; refused where another is live.")
    ] = None,
    db: DbOption = DEFAULT_DB,
    as_json: JsonOption = False,
) -> None:
    """Make a configuration file live as the next version; running gateways take it up within a second."""
    from router_core.config import diff_configs, load_config
    from router_core.ledger.store import open_ledger
    from router_core.lifecycle import versions

    config = load_config(file)
    with open_ledger(db, timezone=config.timezone) as ledger:
        before = versions.live(ledger)
        changes = diff_configs(before.config, config)
        if changes:
            after = versions.push(
                ledger, config, author=author or login(), note=why, expected=expected or before.version
            )
        else:
            after = before
    _tell(after, changes, as_json, f"Version {after.version} is live already and says the same; nothing was pushed.")


@config_app.command()
def history(db: DbOption = DEFAULT_DB, as_json: JsonOption = False) -> None:
    """List every version with who pushed it, when, why, and what it changed."""
    from router_core.config import diff_configs
    from router_core.lifecycle import versions

    with _open(db) as ledger:
        listed = versions.history(ledger)
    changes = [[], *(diff_configs(a.config, b.config) for a, b in itertools.pairwise(listed))]
    if as_json:
        print_json([{**_facts(one), "changes": _plain(what)} for one, what in zip(listed, changes, strict=True)])
        return
    for one, what in zip(listed, changes, strict=True):
        live = ", live" if one is listed[-1] else ""
        typer.echo(f"{one.version}  {_when(one)}  {one.author}{live}  {one.note}".rstrip())
        for change in what:
            typer.echo(f"     {change}")


@config_app.command()
def rollback(
    to: Annotated[int, typer.Argument(metavar="N", help="The version to go back to.", show_default=False)],
    why: NoteOption = "",
    author: AuthorOption = None,
    db: DbOption = DEFAULT_DB,
    as_json: JsonOption = False,
) -> None:
    """Make an older version live again, as a new version."""
    from router_core.config import diff_configs
    from router_core.lifecycle import versions

    with _open(db) as ledger:
        before = versions.live(ledger)
        after = versions.rollback(ledger, to, author=author or login(), note=why)
    _tell(after, diff_configs(before.config, after.config), as_json, f"Version {after.version} is live.")


def _open(db: str) -> Ledger:
    from router_core.ledger.store import open_ledger

    return open_ledger(db, create=False)


def _named(name: str | None, db: str) -> RoutingConfig:
    from router_core.config import load_config
    from router_core.lifecycle import versions

    if name is not None and not (name.isdigit() and not Path(name).exists()):
        return load_config(name)
    with _open(db) as ledger:
        return (versions.live(ledger) if name is None else versions.version(ledger, int(name))).config


def _tell(version: Version, changes: list[Change], as_json: bool, otherwise: str) -> None:
    if as_json:
        print_json({**_facts(version), "changes": _plain(changes)})
        return
    typer.echo(f"Version {version.version} is live." if changes else otherwise)
    for change in changes:
        typer.echo(f"  {change}")


def _facts(version: Version) -> dict[str, Any]:
    return {
        "version": version.version,
        "created_at_ms": version.created_at_ms,
        "author": version.author,
        "note": version.note,
    }


def _plain(changes: list[Change]) -> list[dict[str, Any]]:
    return [{"path": change.path, "old": change.old, "new": change.new} for change in changes]


def _when(version: Version) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(version.created_at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")


def login() -> str:
    """Return who is at the keyboard, as versions name their author."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # no login name where there is no user database
        return "unknown"
