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
    from router_core.lifecycle.track_record import PushOutcome
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
    from router_core.cli.ledgers import servable_config

    config = servable_config(file)
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
    foretell: Annotated[
        bool, typer.Option(help="Keep a projection with the version, to be set against what comes of it.")
    ] = True,
    db: DbOption = DEFAULT_DB,
    as_json: JsonOption = False,
) -> None:
    """Make a configuration file live as the next version; running gateways take it up within a second."""
    from router_core.cli.ledgers import servable_config
    from router_core.config import diff_configs
    from router_core.ledger.store import open_ledger
    from router_core.lifecycle import versions

    config = servable_config(file)
    with open_ledger(db, timezone=config.timezone) as ledger:
        before = versions.live(ledger)
        changes = diff_configs(before.config, config)
        if changes:
            after = versions.push(
                ledger,
                config,
                author=author or login(),
                note=why,
                expected=expected or before.version,
                projection=_foretold(ledger, config) if foretell and expected in (None, before.version) else None,
            )
        else:
            after = before
    _tell(after, changes, as_json, f"Version {after.version} is live already and says the same; nothing was pushed.")


@config_app.command()
def history(
    record: Annotated[bool, typer.Option("--record", help="Say what each push promised, and what came of it.")] = False,
    db: DbOption = DEFAULT_DB,
    as_json: JsonOption = False,
) -> None:
    """List every version with who pushed it, when, why, and what it changed."""
    from router_core.config import diff_configs
    from router_core.ledger.rollup import refresh
    from router_core.lifecycle import versions
    from router_core.lifecycle.track_record import share_held, track_record

    with _open(db) as ledger:
        listed = versions.history(ledger)
        if record:
            refresh(ledger)
        outcomes = {one.version: one for one in track_record(ledger)} if record else {}
    changes = [[], *(diff_configs(a.config, b.config) for a, b in itertools.pairwise(listed))]
    if as_json:
        facts = [{**_facts(one), "changes": _plain(what)} for one, what in zip(listed, changes, strict=True)]
        for fact in facts if record else ():
            outcome = outcomes.get(fact["version"])
            fact["outcome"] = None if outcome is None else outcome.as_json()
        print_json(facts)
        return
    for one, what in zip(listed, changes, strict=True):
        live = ", live" if one is listed[-1] else ""
        typer.echo(f"{one.version}  {_when(one)}  {one.author}{live}  {one.note}".rstrip())
        for change in what:
            typer.echo(f"     {change}")
        if one.version in outcomes:
            _tell_outcome(outcomes[one.version])
    if record:
        held, judged = share_held(list(outcomes.values()))
        typer.echo(f"{held} of {judged} promises held." if judged else "No push has both a projection and traffic yet.")


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


def _foretold(ledger: Ledger, config: RoutingConfig) -> dict[str, Any] | None:
    """Project a configuration on the whole log; None where the log cannot tell."""
    import time

    from router_core.errors import ConfigError, NoSupportError
    from router_core.ledger.rollup import refresh
    from router_core.lifecycle.foretell import foretell

    refresh(ledger)
    try:
        return foretell(ledger, config, at_ms=time.time_ns() // 1_000_000).as_json()
    except NoSupportError:  # no traffic yet
        return None
    except ConfigError as error:
        note(f"No projection is kept with it: {error}")
        return None


def _tell_outcome(outcome: PushOutcome) -> None:
    for name, one, unit in (("saving", outcome.saving, "%"), ("quality", outcome.quality, "points")):
        promised = _figure(one.promised, one.promised_low, one.promised_high, unit)
        came = _figure(one.realised, one.realised_low, one.realised_high, unit)
        verdict = "" if one.held is None else ": held" if one.held else ": did not hold"
        typer.echo(f"     {name} promised {promised}, came {came}{verdict}")
    for sentence in outcome.notes:
        note(sentence)


def _figure(value: float | None, low: float | None, high: float | None, unit: str) -> str:
    if low is None or high is None:
        return "unknown"
    between = f"{low * 100:+.2f} to {high * 100:+.2f} {unit}"
    return between if value is None else f"{value * 100:+.2f} ({between})"


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
