"""`python -m sample_data [--home DIR] [--force]` makes the demo's landing files and the truth beside them."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from tagloom.settings import SettingsError, load_settings
from tagloom.sources import SourceError

from sample_data.demo import make
from sample_data.landing import LandingError
from sample_data.packages import PackageError


def main() -> int:
    """Run the command; 1 with a sentence on stderr when something is missing or wrong."""
    parser = argparse.ArgumentParser(prog="python -m sample_data", description=__doc__)
    parser.add_argument("--home", type=Path, help="folder to write to (default: TAGLOOM_HOME, else .tagloom)")
    parser.add_argument("--force", action="store_true", help="write all files again")
    arguments = parser.parse_args()
    if arguments.home:
        os.environ["TAGLOOM_HOME"] = str(arguments.home)
    try:
        make(load_settings(), force=arguments.force, report=lambda text: print(text, flush=True))
    except (PackageError, SettingsError, SourceError, LandingError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
