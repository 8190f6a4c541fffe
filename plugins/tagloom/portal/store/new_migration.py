"""Writes a migration for what the models say and the migrations do not say yet:

PYTHONPATH=plugins python -m tagloom.portal.store.new_migration "exports have a priority"
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from tagloom.portal.store.base import Store
from tagloom.portal.store.tables import MIGRATIONS


def main(message: str) -> None:
    """Write migrations/versions/<number>_<message>.py; `make format` it, and read it before you commit it."""
    number = len(list(ScriptDirectory(str(MIGRATIONS)).walk_revisions())) + 1
    with tempfile.TemporaryDirectory() as folder:
        store = Store(f"sqlite:///{Path(folder) / 'portal.sqlite'}")
        store.upgrade()
        with store.engine.connect() as connection:
            config = Config()
            config.set_main_option("script_location", str(MIGRATIONS))
            config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
            config.attributes["connection"] = connection
            written = command.revision(config, message, autogenerate=True, rev_id=f"{number:04}")
    file = Path(written.path)
    lines = file.read_text(encoding="utf-8").splitlines()
    file.write_text("\n".join(line for line in lines if "# ###" not in line) + "\n", encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit('Say what changes: python -m tagloom.portal.store.new_migration "exports have a priority"')
    main(sys.argv[1])
