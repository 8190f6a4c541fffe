"""${message[:1].upper() + message[1:]}."""

import sqlalchemy as sa
from alembic import op
from tagloom.portal.store.base import Moment

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}


def upgrade() -> None:
    """Change the tables."""
    ${upgrades if upgrades else "pass"}
