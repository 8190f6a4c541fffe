"""The parts of a tag's score and their weighted mean."""

from __future__ import annotations

import pytest
from tagloom.tags.scores import WEIGHTS, score_files

from tests.plugins.tags.rendered_tables import RenderedTables

NOTHING = {
    "coverage": 1.0,
    "filled": 10,
    "psi_previous": None,
    "psi_28d": None,
    "run_seconds": None,
    "used_by": None,
    "stale": 0,
}


def scores(**changes) -> dict:
    """Scores of a tag with these statistics; another tag took one second."""
    facts = NOTHING | changes
    tables = RenderedTables(score_files())
    tables.connection.execute(
        """
        create table tag_statistics (object varchar, tag varchar, as_of_date date, coverage double, filled bigint,
            psi_previous double, psi_28d double, run_seconds double);
        create table tag_catalog (object varchar, tag varchar, used_by varchar);
        create table tag_stale_values (object varchar, object_id varchar, tag varchar);
        insert into tag_statistics values ('person', 'other', date '2017-12-31', 1, 1, null, null, 1.0),
            ('person', 'a', date '2017-12-30', 0, 0, 9, 9, 99);
        """
    )
    tables.connection.execute(
        "insert into tag_statistics values ('person', 'a', date '2017-12-31', $coverage, $filled, $psi_previous, "
        "$psi_28d, $run_seconds)",
        {name: value for name, value in facts.items() if name not in ("used_by", "stale")},
    )
    tables.connection.execute("insert into tag_catalog values ('person', 'a', ?)", [facts["used_by"]])
    tables.connection.executemany(
        "insert into tag_stale_values values ('person', ?, 'a')", [[str(number)] for number in range(facts["stale"])]
    ) if facts["stale"] else None
    tables.build("tag_scores", "2017-12-31")
    [row] = tables.dicts("from tag_scores where tag = 'a'")
    return row


@pytest.mark.parametrize(
    ("changes", "part", "expected"),
    [
        ({"coverage": 0.256}, "coverage", 26),
        ({}, "stability", None),
        ({"psi_previous": 0.0}, "stability", 100),
        ({"psi_previous": 0.1}, "stability", 80),
        ({"psi_previous": 0.0, "psi_28d": 0.25}, "stability", 50),
        ({"psi_28d": 0.5}, "stability", 0),
        ({"psi_28d": 7.0}, "stability", 0),
        ({}, "use", 0),
        ({"used_by": ""}, "use", 0),
        ({"used_by": "audience_a"}, "use", 50),
        ({"used_by": "audience_a, person.b"}, "use", 75),
        ({"used_by": "audience_a, person.b, report_c"}, "use", 88),
        ({}, "cost", None),
        ({"run_seconds": 0.5}, "cost", 100),
        ({"run_seconds": 1.0}, "cost", 100),
        ({"run_seconds": 3.0}, "cost", 67),
        ({}, "freshness", 100),
        ({"stale": 10}, "freshness", 50),
        ({"filled": 0, "coverage": 0.0}, "freshness", None),
        ({"filled": 0, "stale": 3}, "freshness", 0),
    ],
)
def test_a_part(changes, part, expected):
    assert scores(**changes)[part] == expected


def test_quality_is_the_weighted_mean_of_what_is_known():
    assert sum(WEIGHTS.values()) == 100
    everything = scores(coverage=0.5, psi_28d=0.1, used_by="a", run_seconds=3.0, stale=10)
    assert everything["quality"] == round((30 * 50 + 20 * 80 + 20 * 50 + 10 * 67 + 20 * 50) / 100)
    assert scores()["quality"] == round((30 * 100 + 20 * 0 + 20 * 100) / 70)
    assert set(scores()) == {"object", "tag", "as_of_date", *WEIGHTS, "quality"}
