"""The `tierwise serve` verb: the OpenAI-compatible gateway."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from router_core.cli import DEFAULT_DB, DbOption, JsonOption, app, note, print_json


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on; other than local ones need a gateway key.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")] = 8400,
    db: DbOption = DEFAULT_DB,
    config: Annotated[
        Path | None, typer.Option("--config", help="YAML pushed as the first version when the ledger is new.")
    ] = None,
    durability: Annotated[
        str, typer.Option(help="process: survives a kill; power: also waits for the disk on each group.")
    ] = "process",
    max_body: Annotated[int, typer.Option(min=1, help="Largest request in bytes.")] = 32 * 2**20,
    max_requests: Annotated[
        int, typer.Option(min=1, help="Most requests at work at once; others are asked to come back.")
    ] = 10_000,
    json: JsonOption = False,
) -> None:
    """Serve the OpenAI-compatible gateway: model "auto" routes, a configured model passes through."""
    from typing import Literal

    from router_core.cli.ledgers import open_with_config
    from router_core.errors import InputError
    from router_core.gateway.engine import Engine
    from router_core.gateway.server import listen
    from router_core.gateway.server import serve as run

    if durability not in ("process", "power"):
        raise InputError(f"is {durability!r}; choose process or power", source="--durability")
    kept: Literal["process", "power"] = "power" if durability == "power" else "process"
    with open_with_config(db, config, author="tierwise serve") as ledger:
        from router_core.ledger.gateway_keys import any_key

        listener = listen(host, port, open_to_all=not any_key(ledger))
        engine = Engine(ledger, durability=kept)

        def started(url: str) -> None:
            if json:
                print_json({"url": url, "version": engine.router.version, "db": ledger.url})
            else:
                note(
                    f"Tierwise gateway at {url}/v1 with configuration version {engine.router.version}; Ctrl-C stops it"
                )

        run(engine, listener, max_body=max_body, max_requests=max_requests, started=started)
