"""dbt's manifest of the project as it stands, for the tests of its rules."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from tagloom.settings import PROJECT

from tests.parsed_once import share_parsing


@pytest.fixture(scope="session")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> dict:
    """What `dbt parse` writes, read once; it needs no warehouse."""
    from dbt.cli.main import dbtRunner

    share_parsing()
    folder = tmp_path_factory.mktemp("dbt")
    project = str(PROJECT / "dbt_project")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "environ", os.environ.copy())
        os.environ |= {"TAGLOOM_WAREHOUSE": str(folder / "warehouse.duckdb"), "DBT_SEND_ANONYMOUS_USAGE_STATS": "false"}
        options = ["--project-dir", project, "--profiles-dir", project, "--quiet"]
        folders = ["--target-path", str(folder / "target"), "--log-path", str(folder / "logs")]
        outcome = dbtRunner().invoke(["parse", *options, *folders])
    assert outcome.success, f"dbt parse: {outcome.exception}"
    return json.loads(Path(folder, "target", "manifest.json").read_text(encoding="utf-8"))
