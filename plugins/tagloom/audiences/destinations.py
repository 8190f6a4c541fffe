"""Where exports may go besides files: destinations that the environment names, so that nobody types an address.

`TAGLOOM_EXPORT_WEBHOOK_<NAME>` is the address of a webhook, `TAGLOOM_EXPORT_DATABASE_<NAME>` the SQLAlchemy URL of a
database. People choose a destination by its name, in lower case; addresses and passwords stay with who runs Tagloom.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from tagloom.settings import SettingsError

PREFIXES = {"webhook": "TAGLOOM_EXPORT_WEBHOOK_", "table": "TAGLOOM_EXPORT_DATABASE_"}
"""Target of an export -> what the names of its environment variables begin with."""

_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")


def destinations(target: str, environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the destinations of a target by name; none for files.

    Raises SettingsError when a webhook's address is not http or https.
    """
    prefix = PREFIXES.get(target)
    if prefix is None:
        return {}
    found = {}
    for variable, address in sorted((os.environ if environment is None else environment).items()):
        name = variable.removeprefix(prefix).lower()
        if variable.startswith(prefix) and address and _NAME.fullmatch(name):
            if target == "webhook" and urlsplit(address).scheme not in ("http", "https"):
                raise SettingsError(f"{variable} must be an address that begins with https:// or http://.")
            found[name] = address
    return found


def variable_of(target: str, name: str) -> str:
    """Return the environment variable that holds a destination's address."""
    return f"{PREFIXES[target]}{name.upper()}"
