"""The `tierwise` command: one module a noun, each verb thin over the core; here is what all verbs share."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Annotated, Any

import typer

from router_core.errors import TierwiseError

DEFAULT_DB = "data/tierwise.db"

DbOption = Annotated[
    str, typer.Option("--db", envvar="TIERWISE_DB", help="Ledger: a SQLite file or any SQLAlchemy URL.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for other programs.")]

app = typer.Typer(
    name="tierwise",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="See what LLM routing costs, tune it, and know what a change will save before it is pushed.",
)

# Each module registers its verbs on `app` when imported; heavy imports wait inside the verbs.
_NOUNS = (
    "demo",
    "serve",
    "keys",
    "dashboard",
    "run",
    "spend",
    "alerts",
    "project",
    "backtest",
    "suggest",
    "trial",
    "scenario",
    "claims",
    "calculate",
    "config",
    "prices",
    "price_refresh",
    "recost",
    "fit",
    "route",
    "rollup",
    "archive",
    "exchange",
    "capture",
)


def print_json(value: Any) -> None:
    """Print a value as JSON; integers stay exact."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False, sort_keys=False))


def note(sentence: str) -> None:
    """Tell the person something without disturbing what is read by programs."""
    typer.echo(sentence, err=True)


def register() -> None:
    """Import every noun, so that `app` knows every verb."""
    for noun in _NOUNS:
        import_module(f"router_core.cli.{noun}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; a mistake of the user's is one sentence on standard error and exit code 2."""
    register()
    try:
        app(args=list(arguments) if arguments is not None else None, standalone_mode=True)
    except TierwiseError as error:
        typer.echo(f"tierwise: {error}", err=True)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)
