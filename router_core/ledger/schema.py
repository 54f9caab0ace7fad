"""The version of a ledger's schema: recognised, created, and brought up to date by Alembic's numbered steps."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection

from router_core.errors import LedgerError, NotALedgerError
from router_core.ledger.connect import shown

if TYPE_CHECKING:
    from alembic.config import Config

HEAD = "0012"
VERSION_TABLE = "tierwise_version"


def current(connection: Connection, url: URL) -> str | None:
    """Return the schema version of a database, None where it is empty; raises where it is not, or a newer, ledger."""
    tables = set(sa.inspect(connection).get_table_names())
    if VERSION_TABLE not in tables:
        if tables:
            raise NotALedgerError(
                f"{shown(url)} is a database, but not a Tierwise ledger (it holds {min(tables)!r}); "
                "give another path with --db"
            )
        return None
    found = connection.exec_driver_sql(f"SELECT version_num FROM {VERSION_TABLE}").scalar()
    if found == HEAD:
        return HEAD
    if found not in _steps():
        raise LedgerError(
            f"the ledger {shown(url)} was made by a newer Tierwise (schema {found}, this one knows {HEAD}); "
            "upgrade Tierwise to open it"
        )
    return str(found)


def upgrade(connection: Connection, to: str = HEAD) -> None:
    """Bring the schema up to a step within the connection's transaction."""
    from alembic import command

    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, to)


def declared() -> sa.MetaData:
    """Return the tables as the code has them, which the steps lead to."""
    from router_core.ledger.cell_tables import SpendCellRow
    from router_core.ledger.kept_tables import MetaRow
    from router_core.ledger.tables import DecisionRow

    (metadata,) = {row.metadata for row in (DecisionRow, SpendCellRow, MetaRow)}
    return metadata


def _config() -> Config:
    from alembic.config import Config  # only a ledger that is not up to date needs it

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def _steps() -> set[str]:
    from alembic.script import ScriptDirectory

    return {step.revision for step in ScriptDirectory.from_config(_config()).walk_revisions()}
