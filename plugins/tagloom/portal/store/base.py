"""What people save in the portal, in SQLite by default or in PostgreSQL: sessions and the tables' common ground."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from sqlalchemy import DateTime, Engine, MetaData, create_engine, event, make_url
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.exc import ArgumentError
from sqlalchemy.orm import DeclarativeBase, Session, sessionmaker
from sqlalchemy.types import TypeDecorator

from tagloom.settings import Settings, SettingsError

BUSY_MILLISECONDS = 10_000
"""How long a writer waits for another process that writes to the same SQLite file."""


class Base(DeclarativeBase):
    """Base of every table; constraints are named, so that migrations can change them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class Moment(TypeDecorator[datetime]):
    """A point in time, kept and given back in UTC, always with its time zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse a time without a zone: nobody could say which moment is meant."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("A moment needs a time zone; write datetime.now(UTC).")
        moment = value.astimezone(UTC)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give the zone back, which SQLite does not keep."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def now() -> datetime:
    """This moment in UTC."""
    return datetime.now(UTC)


class Store:
    """The portal's database. Thread-safe; sessions are not, each belongs to one request or run."""

    def __init__(self, url: str):
        self.url = url
        self.engine = _engine(url)
        self._sessions = sessionmaker(self.engine, expire_on_commit=False)
        self._upgraded = False
        self._lock = threading.Lock()

    def upgrade(self) -> None:
        """Bring the tables to this version of the portal; does nothing when they are."""
        with self._lock:
            if not self._upgraded:
                from tagloom.portal.store.tables import upgrade

                upgrade(self.engine)
                self._upgraded = True

    def session(self) -> Session:
        """Open a session; the caller commits and closes it."""
        self.upgrade()
        return self._sessions()

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """Give a session that is committed at the end, or rolled back when an error leaves the block."""
        self.upgrade()
        with self._sessions.begin() as session:
            yield session


_stores: dict[str, Store] = {}
_stores_lock = threading.Lock()


def database_url(settings: Settings) -> str:
    """Return TAGLOOM_PORTAL_DATABASE, or the SQLite file portal.sqlite in the home."""
    return os.environ.get("TAGLOOM_PORTAL_DATABASE") or f"sqlite:///{settings.home / 'portal.sqlite'}"


def store_exists(settings: Settings) -> bool:
    """Tell whether anybody has saved anything here: a reader must not create the file by looking."""
    return bool(os.environ.get("TAGLOOM_PORTAL_DATABASE")) or (settings.home / "portal.sqlite").exists()


def open_store(settings: Settings) -> Store:
    """Return the store of this installation; the same one each time in a process.

    Raises SettingsError when TAGLOOM_PORTAL_DATABASE is no address of a database.
    """
    url = database_url(settings)
    with _stores_lock:
        if url not in _stores:
            settings.home.mkdir(parents=True, exist_ok=True)
            _stores[url] = Store(url)
        return _stores[url]


def _engine(url: str) -> Engine:
    try:
        parsed = make_url(url)
        if parsed.drivername in ("postgres", "postgresql"):
            parsed = parsed.set(drivername="postgresql+psycopg")
        engine = create_engine(parsed, pool_pre_ping=parsed.get_backend_name() != "sqlite")
    except (ArgumentError, ImportError) as error:
        raise SettingsError(
            "TAGLOOM_PORTAL_DATABASE is no address of a database; its form is "
            "postgresql://user@host:5432/database (the password goes into PGPASSWORD), or leave it empty for SQLite."
        ) from error
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
    return engine


def _prepare_sqlite(connection: object, record: object) -> None:
    cursor = connection.cursor()
    # Readers do not wait for a writer, and a killed process leaves nothing half-written.
    cursor.execute("pragma journal_mode=wal")
    cursor.execute("pragma synchronous=normal")
    cursor.execute(f"pragma busy_timeout={BUSY_MILLISECONDS}")
    cursor.execute("pragma foreign_keys=on")
    cursor.close()
