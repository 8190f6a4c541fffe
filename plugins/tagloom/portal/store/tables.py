"""All tables of the store, wherever they are declared, and the migrations that bring a database to them."""

from __future__ import annotations

import logging
from importlib import import_module
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

MODULES = ("audit", "tokens", "audiences", "charts", "decisions")
"""Modules of this package that declare tables."""

MIGRATIONS = Path(__file__).parent / "migrations"

VERSION_TABLE = "portal_version"
"""Says which migration a database has; Airflow's own table of this kind may be in the same database."""

LOCK = 0x7A61676C6F6F6D
"""Number of the PostgreSQL lock that one process holds while it migrates."""


def declare() -> None:
    """Import every module that declares tables, so that Base.metadata knows them."""
    for name in MODULES:
        import_module(f"tagloom.portal.store.{name}")


def upgrade(engine: Engine) -> None:
    """Bring a database, empty or of an older version, to the tables of this version.

    All in one transaction under a lock: processes that start at the same moment wait for the first, and one that is
    killed leaves the database as it was. Raises RuntimeError when the database is of a newer version of Tagloom.
    """
    declare()
    with engine.connect() as connection:
        newest = ScriptDirectory(str(MIGRATIONS)).get_current_head()
        if _version(connection) == newest:
            return
        connection.rollback()
        _lock(connection)
        version = _version(connection)
        if version not in {None, *_known()}:
            raise RuntimeError(
                f"The portal's database has version {version}, which this Tagloom does not know: a newer one has used "
                "it. Install that one again, or restore the copy of the database from before."
            )
        logging.getLogger("alembic").setLevel(logging.WARNING)
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        connection.commit()


def _version(connection: Connection) -> str | None:
    return MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE}).get_current_revision()


def _known() -> set[str]:
    return {script.revision for script in ScriptDirectory(str(MIGRATIONS)).walk_revisions()}


def _lock(connection: Connection) -> None:
    if connection.dialect.name == "sqlite":
        # From here on the driver leaves the transaction alone, so that it holds the changes of tables too.
        connection.exec_driver_sql("begin immediate")
    else:
        connection.execute(text("select pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
