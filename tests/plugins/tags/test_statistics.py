"""Statistics of tags: exact counts and quantiles, bins that two days share, drift that is known beforehand."""

from __future__ import annotations

import datetime
import hashlib
import math

import pytest
from tagloom.tags.statistics import shape, statistics_files

from tests.plugins.tags.rendered_tables import RenderedTables
from tests.plugins.tags.tag_models import model, tag

TAGS = [
    tag("is_big", "boolean"),
    tag("tier", "varchar", values={"gold": "金", "silver": "银"}),
    tag("city", "varchar"),
    tag("orders"),
    tag("spend", "decimal(14,2)"),
    tag("ratio", "double"),
    tag("score", unit="score 1-5"),
    tag("share", unit="percent"),
    tag("last_on", "date", unit="date"),
]

DAY = "2017-12-31"

COLUMNS = ", ".join(f"{each.name} {each.data_type}" for each in TAGS)


class Layer(RenderedTables):
    """The table of one category, its distributions and statistics."""

    def __init__(self) -> None:
        super().__init__(statistics_files([model("tag_value__a", *TAGS)]))
        self.connection.execute(
            f"""
            create table person_tags_value (person_id bigint, {COLUMNS});
            create table tag_catalog (object varchar, tag varchar, model varchar, status varchar);
            create table stg_operations__model_runs
                (as_of_date date, layer varchar, model varchar, seconds double, table_rows bigint);
            """
        )

    def put(self, **values: list) -> None:
        """One person per value; what is left out is null."""
        self.connection.execute("delete from person_tags_value")
        length = max((len(each) for each in values.values()), default=0)
        rows = [[number, *(each[number] for each in values.values())] for number in range(length)]
        if rows:
            names = ", ".join(["person_id", *values])
            places = ", ".join("?" * (len(values) + 1))
            self.connection.executemany(f"insert into person_tags_value ({names}) values ({places})", rows)

    def build_day(self, day: str = DAY) -> dict[str, dict]:
        """Tag -> its statistics."""
        self.build("tag_value_counts", day)
        self.build("tag_distributions", day)
        self.build("tag_statistics", day)
        rows = self.dicts(f"from tag_statistics where as_of_date = date '{day}' order by tag")
        return {row["tag"]: row for row in rows}

    def bins(self, name: str) -> dict[str, int]:
        """Bin -> objects, in order."""
        query = f"select bin, objects from tag_distributions where tag = '{name}' order by bin_from nulls last, bin"
        return dict(self.rows(query))


@pytest.fixture
def layer() -> Layer:
    return Layer()


def test_what_is_filled_is_counted(layer):
    layer.put(tier=["gold", "gold", "silver", None], is_big=[True, False, None, False], spend=[1, 2.5, None, 2.5])
    rows = layer.build_day()
    tier, is_big, spend = rows["tier"], rows["is_big"], rows["spend"]
    assert (tier["objects"], tier["filled"], tier["missing"], tier["coverage"]) == (4, 3, 1, 0.75)
    assert (tier["distinct_values"], tier["lowest_value"], tier["highest_value"]) == (2, "gold", "silver")
    assert (tier["mean_value"], tier["p50"], tier["top_values"]) == (None, None, "gold: 2, silver: 1")
    assert (is_big["lowest_value"], is_big["highest_value"], is_big["top_values"]) == (
        "false",
        "true",
        "false: 2, true: 1",
    )
    assert (spend["lowest_value"], spend["highest_value"], spend["mean_value"]) == ("1", "2.5", 2.0)
    assert {row["as_of_date"] for row in rows.values()} == {datetime.date(2017, 12, 31)}
    assert list(rows) == sorted(each.name for each in TAGS)


def test_a_tag_that_nobody_has(layer):
    layer.put(tier=[None, None])
    row = layer.build_day()["spend"]
    assert (row["objects"], row["filled"], row["coverage"], row["distinct_values"]) == (2, 0, 0.0, 0)
    assert {row[name] for name in ("lowest_value", "mean_value", "p50", "top_values", "psi_previous", "drift")} == {
        None
    }
    assert layer.bins("spend") == {"no value": 2}


def test_of_no_objects_there_are_no_statistics(layer):
    layer.put()
    assert layer.build_day() == {}


def test_quantiles_are_values_that_occur(layer):
    layer.put(orders=[*range(1, 101), None], ratio=[number / 10 for number in range(100)] + [None])
    rows = layer.build_day()
    assert [rows["orders"][name] for name in ("p05", "p25", "p50", "p75", "p95")] == [5, 25, 50, 75, 95]
    assert [rows["ratio"][name] for name in ("p05", "p50", "p95")] == [0.4, 4.9, 9.4]


def test_a_date_has_quantiles_of_its_age_but_no_mean(layer):
    dates = [datetime.date(2017, 12, 31) - datetime.timedelta(days=days) for days in (0, 10, 30)]
    layer.put(last_on=dates)
    row = layer.build_day()["last_on"]
    assert (row["lowest_value"], row["highest_value"]) == ("2017-12-01", "2017-12-31")
    assert (row["p05"], row["p50"], row["p95"], row["mean_value"]) == (0, 10, 30, None)


def test_the_five_most_frequent_values_are_named_in_order_and_rare_ones_never(layer):
    words = [word for number, word in enumerate("abcdefg", start=1) for _ in range(8 - number)]
    layer.put(city=words)
    assert layer.build_day()["city"]["top_values"] == "a: 7, b: 6, c: 5, d: 4, e: 3"
    layer.put(orders=list(range(2_000)))
    assert layer.build_day()["orders"]["top_values"] is None, "each is one in two thousand"


@pytest.mark.parametrize(
    ("name", "values", "bins"),
    [
        ("is_big", [True, False, None], {"false": 1, "true": 1, "no value": 1}),
        ("tier", ["gold", "gold", None], {"gold": 2, "no value": 1}),
        (
            "orders",
            [None, 0, 1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 15, 16, 22, 23],
            {
                "0": 1,
                "1": 1,
                "2": 1,
                "3": 1,
                "4 to 5": 2,
                "6 to 7": 2,
                "8 to 11": 2,
                "12 to 15": 2,
                "16 to 22": 2,
                "23 to 31": 1,
                "no value": 1,
            },
        ),
        ("orders", [-1, -4, -5, -8, -11, -12], {"-15 to -12": 1, "-11 to -8": 2, "-5 to -4": 2, "-1": 1}),
        (
            "spend",
            [0, 1, 1.41, 1.42, 2, 100, -3],
            {"-4 to -2.828": 1, "0": 1, "1 to 1.414": 2, "1.414 to 2": 1, "2 to 2.828": 1, "90.51 to 128": 1},
        ),
        ("ratio", [0.001, 0.0001, 0.5], {"0.008 to 0.011": 2, "0.5 to 0.707": 1}),
        ("score", [1, 5, 5, 7, None], {"1": 1, "5": 3, "no value": 1}),
        ("share", [0, 9, 10, 100, 250, None], {"0 to 10": 2, "10 to 20": 1, "90 to 100": 2, "no value": 1}),
        (
            "last_on",
            ["2017-12-31", "2017-12-30", "2017-12-20", "2018-01-01", None],
            {"-1 days": 1, "0 days": 1, "1 days": 1, "8 to 11 days": 1, "no value": 1},
        ),
    ],
)
def test_bins(layer, name, values, bins):
    layer.put(**{name: values})
    layer.build_day()
    assert layer.bins(name) == bins


def test_any_text_is_put_into_one_of_fifty_bins_always_the_same(layer):
    words = [f"city {number}" for number in range(2_000)]
    layer.put(city=[*words, None])
    layer.build_day()
    first = layer.bins("city")
    assert len(first) == 51
    assert first["no value"] == 1
    assert max(first.values()) < 80
    layer.put(city=["city 7"])
    layer.build_day()
    number = int(hashlib.md5(b"city 7").hexdigest()[:7], 16) % 50
    assert list(layer.bins("city")) == [f"group {number}"]


def test_drift_is_the_population_stability_index(layer):
    layer.put(tier=["gold"] * 150 + ["silver"] * 50)
    layer.build_day("2017-12-30")
    layer.put(tier=["gold"] * 100 + ["silver"] * 100)
    row = layer.build_day()["tier"]
    before, now = [150.5 / 201, 50.5 / 201], [0.5, 0.5]
    expected = sum((share - other) * math.log(share / other) for share, other in zip(now, before, strict=True))
    assert row["psi_previous"] == pytest.approx(expected, abs=5e-5)
    assert (row["psi_28d"], row["drift"]) == (None, "strong")


@pytest.mark.parametrize(("gold", "drift"), [(150, "none"), (130, "none"), (120, "slight"), (100, "strong")])
def test_drift_has_a_name(layer, gold, drift):
    layer.put(tier=["gold"] * 150 + ["silver"] * 50)
    layer.build_day("2017-12-30")
    layer.put(tier=["gold"] * gold + ["silver"] * (200 - gold))
    assert layer.build_day()["tier"]["drift"] == drift


def test_drift_of_a_handful_of_objects_is_not_judged(layer):
    layer.put(tier=["gold"] * 99)
    layer.build_day("2017-12-30")
    layer.put(tier=["silver"] * 99)
    row = layer.build_day()["tier"]
    assert row["psi_previous"] > 1
    assert row["drift"] is None


def test_a_slow_drift_shows_against_twenty_eight_days_ago(layer):
    for day, gold in (("2017-12-02", 200), ("2017-12-03", 100), ("2017-12-04", 180), ("2017-12-30", 21)):
        layer.put(tier=["gold"] * gold + ["silver"] * (200 - gold))
        layer.build_day(day)
    layer.put(tier=["gold"] * 20 + ["silver"] * 180)
    row = layer.build_day()["tier"]
    assert row["psi_previous"] < 0.001
    assert row["psi_28d"] > 0.25, "the newest day of at least 28 days ago is the third of December"
    layer.put(tier=["gold"] * 100 + ["silver"] * 100)
    assert layer.build_day()["tier"]["psi_28d"] < 0.001
    assert row["drift"] == "strong"


def test_a_tag_that_is_new_has_not_drifted(layer):
    layer.put(orders=[1] * 200)
    layer.build_day("2017-12-30")
    layer.connection.execute("delete from tag_distributions where tag = 'orders'")
    row = layer.build_day()["orders"]
    assert (row["psi_previous"], row["drift"]) == (None, None)


def test_a_day_built_again_replaces_its_rows_and_leaves_others_alone(layer):
    for day, orders in (("2017-12-30", 1), ("2017-12-31", 2)):
        layer.put(orders=[orders] * 3)
        layer.build_day(day)
    later = "from {} where as_of_date = date '2017-12-31' order by all"
    before = [layer.rows(later.format(table)) for table in ("tag_statistics", "tag_distributions")]
    layer.put(orders=[5] * 4)
    past = layer.build_day("2017-12-30")["orders"]
    assert (past["objects"], past["mean_value"], past["psi_previous"]) == (4, 5.0, None)
    assert [layer.rows(later.format(table)) for table in ("tag_statistics", "tag_distributions")] == before
    once = layer.rows("from tag_distributions order by all")
    layer.build_day("2017-12-30")
    assert layer.rows("from tag_distributions order by all") == once
    assert layer.rows("select as_of_date::varchar, count(*) from tag_statistics group by 1 order by 1") == [
        ("2017-12-30", len(TAGS)),
        ("2017-12-31", len(TAGS)),
    ]


def test_the_seconds_of_a_model_are_divided_among_its_published_tags(layer):
    layer.put(orders=[1])
    layer.connection.execute(
        """
        insert into tag_catalog values
            ('person', 'orders', 'tag_value__a', 'published'), ('person', 'spend', 'tag_value__a', 'published'),
            ('person', 'tier', 'tag_value__b', 'published'), ('person', 'secret', 'tag_value__a', 'draft');
        insert into stg_operations__model_runs values
            (date '2017-12-31', 'tag_category', 'tag_value__a', 3.0, 1),
            (date '2017-12-30', 'tag_category', 'tag_value__a', 9.0, 1),
            (date '2017-12-31', 'intermediate', 'tag_value__a', 9.0, 1);
        """
    )
    rows = layer.build_day()
    assert {name: rows[name]["run_seconds"] for name in ("orders", "spend", "tier")} == {
        "orders": 1.5,
        "spend": 1.5,
        "tier": None,
    }


@pytest.mark.parametrize(
    ("of", "expected"),
    [
        (tag("a", "boolean"), "listed"),
        (tag("a", "varchar", values={"x": "一"}), "listed"),
        (tag("a", "varchar"), "text"),
        (tag("a", "date"), "date"),
        (tag("a", "bigint"), "whole"),
        (tag("a", "double"), "number"),
        (tag("a", "decimal(14,2)", unit="US dollars"), "number"),
        (tag("a", unit="index 0-100"), [0, 100, 10]),
        (tag("a", "decimal(14,1)", unit="percent"), [0, 100, 10]),
        (tag("a", unit="score 1-5"), [1, 5, 1]),
        (tag("a", unit="decile 1-10"), [1, 10, 1]),
        (tag("a", unit="month"), [1, 12, 1]),
        (tag("a", "double", unit="probability 0-1"), [0, 1, 0.1]),
        (tag("a", unit="range 9-2"), "whole"),
        (tag("a", unit=None), "whole"),
    ],
)
def test_the_shape_of_a_tag_follows_from_type_values_and_unit(of, expected):
    assert shape(of) == expected


@pytest.mark.slow
def test_the_statistics_are_spark_sql():
    sqlfluff = pytest.importorskip("sqlfluff")
    tables = RenderedTables(statistics_files([model("tag_value__a", *TAGS)]), engine="spark")
    for name in ("tag_distributions", "tag_statistics"):
        assert "unparsable" not in str(sqlfluff.parse(tables.sql(name, DAY), dialect="sparksql"))
