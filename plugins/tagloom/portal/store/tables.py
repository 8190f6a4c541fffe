"""All tables of the store, wherever they are declared."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

from sqlalchemy import Engine

from tagloom.portal.store.base import Base

MODULES = ("audit", "tokens", "audiences", "charts", "decisions")
"""Modules of this package that declare tables."""


def declare() -> None:
    """Import every module that declares tables."""
    for name in MODULES:
        module = f"tagloom.portal.store.{name}"
        if find_spec(module):
            import_module(module)


def upgrade(engine: Engine) -> None:
    """Bring a database, empty or of an older version, to the tables of this version."""
    declare()
    Base.metadata.create_all(engine)
