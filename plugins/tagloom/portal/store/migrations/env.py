"""Alembic runs this: it migrates within the transaction of the connection that it is given."""

from alembic import context
from tagloom.portal.store.base import Base, Moment
from tagloom.portal.store.tables import VERSION_TABLE, declare


def _render(kind: str, thing: object, autogenerate: object) -> str | bool:
    return "Moment()" if kind == "type" and isinstance(thing, Moment) else False


declare()
context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    version_table=VERSION_TABLE,
    # SQLite changes a column by copying its table.
    render_as_batch=True,
    compare_type=True,
    render_item=_render,
    include_object=lambda thing, name, kind, reflected, compared: kind != "table" or name in Base.metadata.tables,
)
context.run_migrations()
