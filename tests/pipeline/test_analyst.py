"""An analyst adds a tag, changes another and retires one, with nothing but the commands of docs/add-a-tag.md.

Done in a copy of the checkout that git knows, over a copy of a home in which everything was built.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import pytest
from tagloom.settings import PROJECT

from tests.pipeline.conftest import copy_home
from tests.pipeline.dag_runs import KEY

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

DAY = "2017-01-11"

TAG = "is_large_basket_shopper"
PAIR = Path("dbt_project/models/tag_category/person/habit/tag_habit__basket_size")
STAGE = Path("dbt_project/models/tag_category/person/lifecycle/tag_lifecycle__stage")
AUDIENCE = Path("dbt_project/models/serving/audiences/audience_large_baskets")

SQL = """\
with orders as (
    select
        person_id,
        lines
    from {{ ref('int_orders') }}
    where
        person_id is not null
        and {{ tagloom.in_last_days('order_date', 90) }}
),

tagged as (
    select
        person_id,
        max(lines) >= 2 as is_large_basket_shopper
    from orders
    group by person_id
)

select * from tagged
"""

TEST = """\
    given:
      - input: ref('int_orders')
        rows:
          - {person_id: 1, order_date: 2017-12-31, lines: 2}
          - {person_id: 1, order_date: 2017-12-31, lines: 1}
          - {person_id: 2, order_date: 2017-12-31, lines: 1}
          - {person_id: 2, order_date: 2017-10-02, lines: 9}
    expect:
      rows:
        - {person_id: 1, is_large_basket_shopper: true}
        - {person_id: 2, is_large_basket_shopper: false}
"""

AUDIENCE_SQL = """\
with person_tags as (
    select
        person_id,
        is_large_basket_shopper
    from {{ ref('person_tags') }}
),

large_baskets as (
    select person_id
    from person_tags
    where is_large_basket_shopper
)

select * from large_baskets
"""

AUDIENCE_YAML = """\
models:
  - name: audience_large_baskets
    description: One row per person with large baskets.
    columns:
      - {name: person_id, description: Person., data_type: bigint, data_tests: [not_null, unique]}
"""

BUILD = f"""
from tagloom.orchestration import foreground_run
from tagloom.service import prepare_metadata
from tagloom.settings import load_settings

settings = load_settings()
settings.make_folders()
prepare_metadata(settings)
print("RESULT " + foreground_run("build_tags", {{"as_of_date": "{DAY}"}}))
"""


@dataclass
class Analyst:
    """Somebody at a terminal, in a checkout and over a home of their own."""

    checkout: Path
    home: Path
    done: dict[str, subprocess.CompletedProcess] = field(default_factory=dict)
    """What each step printed, by its name."""

    def run(self, step: str, *command: str) -> subprocess.CompletedProcess:
        """Run a command of Python's module search, such as tagloom, and keep what came of it."""
        variables = {
            name: value for name, value in os.environ.items() if not name.startswith(("TAGLOOM", "AIRFLOW", "DBT"))
        }
        variables |= {
            "PYTHONPATH": str(self.checkout / "plugins"),
            "TAGLOOM_HOME": str(self.home),
            "TAGLOOM_IDENTITY_KEY": KEY,
            "TAGLOOM_THREADS": "2",
        }
        self.done[step] = subprocess.run(
            [sys.executable, "-m", *command],
            cwd=self.checkout,
            env=variables,
            capture_output=True,
            text=True,
            timeout=400,
            check=False,
        )
        return self.done[step]

    def unit_test(self, step: str) -> None:
        """dbt's unit tests of the new tag."""
        self.run(step, "tagloom.environment", "dbt", "test", "--select", f"{PAIR.name},test_type:unit")

    def git(self, *arguments: str) -> None:
        """Run git in the checkout."""
        identity = ["-c", "user.name=Ann", "-c", "user.email=ann@example.com"]
        subprocess.run(["git", "-C", str(self.checkout), *identity, *arguments], check=True, capture_output=True)

    def commit(self) -> None:
        """Commit everything."""
        self.git("add", ".")
        self.git("commit", "-qm", "as it is")

    def edit(self, file: Path, suffix: str, changes: dict[str, str]) -> None:
        """Replace texts of a file, each of which must be there."""
        path = self.checkout / f"{file}{suffix}"
        text = path.read_text(encoding="utf-8")
        for old, new in changes.items():
            assert old in text, f"{path.name} has no {old!r}"
            text = text.replace(old, new)
        path.write_text(text, encoding="utf-8")

    def write(self, file: Path, suffix: str, text: str) -> None:
        """Write a file."""
        (self.checkout / f"{file}{suffix}").write_text(text, encoding="utf-8")

    def rows(self, query: str) -> list[tuple]:
        """What a query over the warehouse gives."""
        with duckdb.connect(str(self.home / "warehouse.duckdb"), read_only=True) as connection:
            return connection.execute(query).fetchall()

    def state(self) -> str:
        """Hash of what nobody may touch: the warehouse and what is published."""
        digest = hashlib.sha256((self.home / "warehouse.duckdb").read_bytes())
        for path in sorted((self.home / "published").iterdir()):
            digest.update(path.name.encode() + path.read_bytes())
        return digest.hexdigest()


@pytest.fixture(scope="module")
def analyst(clean, tmp_path_factory) -> Analyst:
    """The whole story, step by step; the tests look at what came of each."""
    folder = tmp_path_factory.mktemp("analyst")
    checkout = folder / "checkout"
    for part in ("plugins", "dags", "dbt_project", "identity", "sources", "soda"):
        shutil.copytree(PROJECT / part, checkout / part, ignore=shutil.ignore_patterns("__pycache__", "target", "logs"))
    analyst = Analyst(checkout, copy_home(clean, folder / "home"))
    analyst.git("init", "-q", "-b", "main")
    analyst.commit()

    before = analyst.state()
    new = ["tag", "new", TAG, "--category", "habit/basket", "--kind", "rule", "--topic", "basket_size"]
    analyst.run("new", "tagloom", *new)
    analyst.run("new again", "tagloom", *new)
    analyst.unit_test("test of the template")
    analyst.run("tags with open words", "tagloom", "tags")
    analyst.write(PAIR, ".sql", SQL)
    analyst.run("preview", "tagloom", "tag", "preview", TAG)
    fill_in(analyst)
    analyst.run("tags", "tagloom", "tags")
    analyst.unit_test("test")
    analyst.run("diff of a new tag", "tagloom", "tag", "diff", "--markdown", str(folder / "diff.md"))
    assert analyst.state() == before, "preview or diff has changed the warehouse or what is published"
    built = analyst.run("build", "tagloom.environment", sys.executable, "-c", BUILD)
    assert "RESULT success" in built.stdout, built.stdout[-4000:] + built.stderr[-4000:]
    analyst.commit()

    before = analyst.state()
    analyst.edit(STAGE, ".sql", {"'new'": "'fresh'"})
    analyst.edit(STAGE, ".yml", {"[new, ": "[fresh, ", "{new: ": "{fresh: "})
    analyst.run("diff under the same version", "tagloom", "tag", "diff")
    analyst.edit(STAGE, ".yml", {"values: {fresh": "version: 2, values: {fresh"})
    analyst.run("diff above a share", "tagloom", "tag", "diff", "--fail-above", "1")
    assert analyst.state() == before, "diff has changed the warehouse or what is published"
    analyst.git("checkout", "-q", "--", ".")
    [(person,)] = analyst.rows(f"select min(person_id) from tag_category.{PAIR.name} where {TAG}")
    analyst.run("explain", "tagloom", "tag", "explain", str(person), TAG)

    analyst.write(AUDIENCE, ".sql", AUDIENCE_SQL)
    analyst.write(AUDIENCE, ".yml", AUDIENCE_YAML)
    analyst.edit(PAIR, ".yml", {"status: published": "status: retired"})
    analyst.run("tags after it is retired", "tagloom", "tags")
    analyst.run("check after it is retired", "tagloom", "tags", "--check")
    return analyst


def fill_in(analyst: Analyst) -> None:
    twin = analyst.checkout / f"{PAIR}.yml"
    text = twin.read_text(encoding="utf-8").partition("    given:")[0] + TEST
    twin.write_text(text, encoding="utf-8")
    analyst.edit(
        PAIR,
        ".yml",
        {
            'description: ""  # what': "description: Buys several things at once; offer delivery.  # what",
            'description: ""  # which': "description: Two lines are large; day 91 is out.  # which",
            'title: ""': "title: Large baskets",
            'title_zh: ""': "title_zh: 大篮子顾客",
            "status: draft": "status: published",
        },
    )


def test_the_template_writes_the_pair(analyst):
    assert analyst.done["new"].stdout.splitlines()[:2] == [f"wrote {PAIR}.sql", f"wrote {PAIR}.yml"]


def test_the_same_name_is_refused(analyst):
    refused = analyst.done["new again"]
    assert (refused.returncode, refused.stdout) == (1, "")
    assert f"NAME: {TAG} is taken: tag_habit__basket_size has a person tag of this name." in refused.stderr


def test_the_unit_test_of_the_template_fails(analyst):
    printed = analyst.done["test of the template"].stdout
    assert "Failure in unit_test basket_size_at_its_edges" in printed
    assert "Compilation Error" not in printed


def test_what_is_open_is_named(analyst):
    refused = analyst.done["tags with open words"]
    assert refused.returncode == 1
    assert [line.split(": ")[2] for line in refused.stderr.splitlines()] == [
        "description",
        "meta.tag.title",
        "meta.tag.title_zh",
    ]


def test_a_draft_is_previewed(analyst):
    shown = analyst.done["preview"].stdout
    rows, filled = analyst.rows(
        "select count(*), count(*) filter (largest >= 2) from (select person_id, max(lines) as largest "
        "from intermediate.int_orders where person_id is not null group by person_id)"
    )[0]
    assert f"As of {DAY}: {rows:,} rows" in shown
    assert f"  true {filled:>5}".split() == next(line for line in shown.splitlines() if " true " in line).split()[:2]
    assert "meta.tag.title_zh: '' is not allowed" in shown


def test_the_unit_test_passes_when_it_is_filled_in(analyst):
    assert analyst.done["tags"].returncode == 0, analyst.done["tags"].stderr
    assert analyst.done["test"].returncode == 0, analyst.done["test"].stdout


def test_a_new_tag_changes_nobody_elses_value(analyst):
    diff = analyst.done["diff of a new tag"]
    assert diff.returncode == 0, diff.stderr
    assert f"{TAG}: new, " in diff.stdout
    models = [line.split()[:2] for line in diff.stdout.splitlines() if line.startswith("tag_")]
    assert models == [["tag_habit__basket_size", "new"]]
    markdown = (analyst.checkout.parent / "diff.md").read_text(encoding="utf-8")
    assert f"| {TAG} | new → published |" in markdown


def test_the_tag_is_in_the_catalogue_and_has_statistics(analyst):
    assert analyst.rows(
        f"select object, kind, status, version, category from tag_integration.tag_catalog where tag = '{TAG}'"
    ) == [("person", "rule", "published", 1, "habit/basket")]
    [(filled, coverage)] = analyst.rows(
        f"select filled, coverage from tag_integration.tag_statistics where tag = '{TAG}' and as_of_date = '{DAY}'"
    )
    assert filled > 0
    assert 0 < coverage <= 1


def test_the_tag_is_published(analyst):
    pointer = json.loads((analyst.home / "published" / "CURRENT.json").read_text(encoding="utf-8"))
    with duckdb.connect(str(analyst.home / "published" / pointer["file"]), read_only=True) as connection:
        [(true, false)] = connection.execute(
            f"select count(*) filter ({TAG}), count(*) filter (not {TAG}) from tag_integration.person_tags"
        ).fetchall()
    assert true > 0
    assert false > 0


def test_values_that_change_under_the_same_version_are_refused(analyst):
    diff = analyst.done["diff under the same version"]
    assert diff.returncode == 3, diff.stderr
    assert "new -> fresh" in diff.stdout
    assert "lifecycle_stage: " in diff.stderr
    assert "write version: 2 into models/tag_category/person/lifecycle/tag_lifecycle__stage.yml" in diff.stderr


def test_more_changes_than_wanted_are_refused(analyst):
    diff = analyst.done["diff above a share"]
    assert diff.returncode == 2, diff.stderr
    assert "of the values differ, more than 1%" in diff.stderr
    assert "1 -> 2" in diff.stdout


def test_a_value_is_explained_down_to_the_delivery(analyst):
    shown = analyst.done["explain"]
    assert shown.returncode == 0, shown.stderr
    assert f"{TAG} of person" in shown.stdout
    assert "1. orders: " in shown.stdout
    assert "2. tagged: 1 row" in shown.stdout
    assert "of pos.basket_lines in" in shown.stdout
    assert "pos/basket_lines/date=" in shown.stdout
    assert max(map(len, shown.stdout.splitlines())) <= 100


def test_a_tag_that_an_audience_uses_is_not_retired(analyst):
    refused = analyst.done["check after it is retired"]
    assert refused.returncode == 1
    assert TAG in refused.stderr
    assert "audience_large_baskets" in refused.stderr


def test_nothing_is_left_behind(analyst):
    assert [path.name for path in analyst.home.iterdir() if path.name.startswith(".tag-diff-")] == []
