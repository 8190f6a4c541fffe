"""dbt's unit tests, which show the edges of the tags."""

from __future__ import annotations

import pytest

from tests.pipeline.conftest import History, copy_home
from tests.pipeline.dag_runs import Server

pytestmark = pytest.mark.slow


def test_all_unit_tests_of_dbt_pass(clean: History, dag_server: Server) -> None:
    home = copy_home(clean, clean.settings.home.parent / "unit_tests")
    (result,) = dag_server.start(home, "unit_tests_run", [{"unit_tests": "2017-01-11"}]).wait()
    assert result["problem"] == ""
    assert len(result["passed"]) > 30
