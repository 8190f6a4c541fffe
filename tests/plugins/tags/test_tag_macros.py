"""The shared shapes of tags give what they promise on both sides of each edge, and are SQL that Spark reads too."""

from __future__ import annotations

import random
import re
from functools import cache
from typing import get_args

import duckdb
import jinja2
import pytest
import sqlglot
import yaml
from tagloom.settings import PROJECT
from tagloom.tags.definitions import Tag, load_tags

MACROS = PROJECT / "dbt_project" / "macros"
AS_OF_DATE = "2017-12-31"


class _ReturnError(Exception):
    """What dbt's `return` does: it leaves the macro with a value that is no text."""


class CompilerError(Exception):
    """What dbt's raise_compiler_error does."""


class Exceptions:
    @staticmethod
    def raise_compiler_error(message: str) -> None:
        raise CompilerError(message)


class Macros:
    """The project's macros for tags, rendered as dbt renders them for an engine."""

    def __init__(self, engine: str = "default") -> None:
        texts = [
            path.read_text(encoding="utf-8")
            for folder in ("tags", "time", "dialect")
            for path in sorted((MACROS / folder).rglob("*.sql"))
        ]
        environment = jinja2.Environment()
        environment.globals |= {
            "tagloom": self,
            "adapter": self,
            "exceptions": Exceptions,
            "execute": True,
            "return": self._return,
            "env_var": lambda _name, default="": default,
            "var": lambda _name, _default="": AS_OF_DATE,
        }
        self._engine = engine
        self._module = environment.from_string("\n".join(texts)).module

    @staticmethod
    def _return(value: object) -> None:
        raise _ReturnError(value)

    def dispatch(self, name: str, _package: str):
        own = f"{self._engine}__{name}"
        return getattr(self, own if hasattr(self._module, own) else f"default__{name}")

    def __getattr__(self, name: str):
        macro = getattr(self._module, name)

        def call(*arguments: object, **named: object) -> str:
            try:
                return str(macro(*arguments, **named)).strip()
            except _ReturnError as returned:
                return str(returned.args[0])

        return call


macros = cache(Macros)
MACRO = macros()


def values(rows: str, expression: str) -> list:
    """An expression over the rows of a values list, in their order by the column `n`."""
    with duckdb.connect() as connection:
        return [
            value
            for (value,) in connection.execute(f"select {expression} as value from ({rows}) order by n").fetchall()
        ]


def rows(*given: object) -> str:
    """The column x with these values, numbered by n."""
    listed = ", ".join(f"({n}, {'null' if value is None else value})" for n, value in enumerate(given))
    return f"select * from (values {listed}) as given (n, x)"


def days(*given: str) -> str:
    return rows(*(f"date '{day}'" for day in given))


def test_decay_halves_in_steps_and_ends():
    dates = days("2017-12-31", "2017-10-03", "2017-10-02", "2017-07-05", "2017-07-04", "2017-01-06", "2017-01-05")
    assert [float(weight) for weight in values(dates, MACRO.decay("x", 90))] == [1, 1, 0.5, 0.5, 0.25, 0.125, 0]
    assert [float(weight) for weight in values(dates, MACRO.decay("x", 90, halvings=1))] == [1, 1, 0.5, 0.5, 0, 0, 0]
    assert [float(weight) for weight in values(days("2018-01-01"), MACRO.decay("x", 90))] == [0]


def test_decayed_weights_add_up_to_the_same_in_any_order():
    dates = [f"date '2017-{month:02}-{day:02}'" for month in range(1, 13) for day in range(1, 29)]
    sums = set()
    for seed in range(5):
        random.Random(seed).shuffle(dates)
        sums |= set(
            values(f"select 1 as n, sum(w) as s from (select {MACRO.decay('x', 90)} as w from ({rows(*dates)}))", "s")
        )
    assert len(sums) == 1


def index(weight: float, own: float, of_all: float, whole: float, prior: float) -> int | None:
    sql = MACRO.preference_index(weight, own, of_all, whole, prior=prior)
    return values("select 1 as n", sql)[0]


def test_preference_index_is_own_share_beside_everybodys():
    assert index(10, 100, 100, 1000, prior=0) == 50
    assert index(30, 100, 100, 1000, prior=0) == 75
    assert index(0, 100, 100, 1000, prior=0) == 0
    assert index(100, 100, 1, 1_000_000, prior=0) == 100
    assert index(0, 100, 0, 1000, prior=0) is None


def test_preference_index_trusts_little_evidence_little():
    assert index(1, 1, 1, 1000, prior=0) == 100
    assert index(0, 0, 100, 1000, prior=10) == 50
    few, many = index(2, 4, 100, 1000, prior=10), index(50, 100, 100, 1000, prior=10)
    assert 50 < few < many
    assert index(2, 4, 100, 1000, prior=1000) == 50


def test_fixed_cuts_score_gives_a_value_at_a_cut_its_score():
    most = MACRO.fixed_cuts_score("x", "most", 6, 12, 26)
    assert values(rows(0, 5, 6, 11, 12, 25, 26, 999, None), most) == [1, 1, 2, 2, 3, 3, 4, 4, None]
    least = MACRO.fixed_cuts_score("x", "least", 90, 30, 7)
    assert values(rows(0, 7, 8, 30, 31, 90, 91, None), least) == [4, 4, 3, 3, 2, 2, 1, None]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("orders", "most"), r"fixed_cuts_score of orders needs 'most' or 'least' and at least one cut after it"),
        (("orders", "best", 1, 2), r"fixed_cuts_score of orders needs 'most' or 'least'"),
        (("orders", "most", 10, 5), r"The cuts of orders are 10, 5; write them from the score of 2 on, rising\."),
        (("days", "least", 5, 10), r"The cuts of days are 5, 10; write them from the score of 2 on, falling\."),
    ],
)
def test_fixed_cuts_score_says_what_is_wrong(arguments, sentence):
    with pytest.raises(CompilerError, match=sentence):
        MACRO.fixed_cuts_score(*arguments)


def test_percentile_within_counts_who_has_less():
    spend = "select * from (values (1, 10, 'a'), (2, 20, 'a'), (3, 20, 'a'), (4, 30, 'a'), (5, 99, 'b')) as t (n, x, g)"
    assert values(spend, MACRO.percentile_within("x", "g", least=4)) == [0, 33, 33, 100, None]
    assert values(spend, MACRO.percentile_within("x", "g", least=5)) == [None] * 5
    assert values(spend, MACRO.percentile_within("x", "g", least=1))[4] is None


def test_percentile_within_leaves_out_who_has_no_value_or_no_group():
    spend = (
        "select * from (values (1, 10, 'a'), (2, null, 'a'), (3, 20, 'a'), (4, 1, null), (5, 2, null)) as t (n, x, g)"
    )
    assert values(spend, MACRO.percentile_within("x", "g", least=2)) == [0, None, 100, None, None]
    assert values(spend, MACRO.percentile_within("x", "g", least=3)) == [None] * 5


def test_points_grow_to_the_full_and_no_further():
    assert values(rows(-5, 0, 3, 12, 24, 240, None), MACRO.points("x", 24, 50)) == [0, 0, 6.25, 25, 50, 50, 0]


def test_first_places_as_text_keeps_the_order_and_the_number():
    tastes = "select * from (values ('c', 3), ('a', 1), ('d', 4), ('b', 2)) as t (x, place)"
    for places, text in ((1, "a"), (3, "a, b, c"), (5, "a, b, c, d")):
        expression = MACRO.first_places_as_text("x", "place", places)
        assert values(f"select 1 as n, {expression} as t from ({tastes})", "t") == [text]


def test_ntile_score_does_not_depend_on_the_order_of_rows():
    spend = [5, 1, 4, 4, 2, 3, 4, None, 1, 9]
    expected = {1: 1, 2: 2, 3: 2, 4: 3, 5: 4, 9: 5, None: None}
    for seed in range(5):
        random.Random(seed).shuffle(spend)
        assert values(rows(*spend), MACRO.ntile_score("x", 5)) == [expected[value] for value in spend]


def test_days_after_counts_whole_days():
    due = values(days("2017-12-31", "2016-02-28"), MACRO.days_after("x", 1))
    assert [str(day) for day in due] == ["2018-01-01", "2016-02-29"]


def test_quantile_lies_between_two_values_and_leaves_out_missing_ones():
    middle = f"select 1 as n, {MACRO.quantile('x', 0.5)} as q from ({rows(4, None, 1, 2, 9)})"
    assert values(middle, "q") == [3.0]


CALLS = {
    "count_in_last_days": ("day", 30),
    "days_after": ("day", "gap"),
    "decay": ("day", 90),
    "first_places_as_text": ("name", "place", 3),
    "fixed_cuts_score": ("days", "least", 90, 30, 7),
    "full_years_between": ("earlier", "later"),
    "ntile_score": ("spend", 5),
    "part_of_day": ("hour",),
    "percentile_within": ("spend", "state"),
    "points": ("orders", 24, 50),
    "quantile": ("gap_days", 0.5),
    "preference_index": ("weight", "own", "of_all", "whole"),
    "ratio": ("part", "whole"),
    "share_index": ("part", "whole"),
    "spend_trend": ("recent", "previous"),
    "sum_in_last_days": ("amount", "day", 30),
    "weekday_name": ("weekday",),
}


@pytest.mark.parametrize("name", CALLS)
def test_is_sql_for_both_engines(name):
    for engine, dialect in (("default", "duckdb"), ("spark", "spark")):
        expression = getattr(macros(engine), name)(*CALLS[name])
        parsed = sqlglot.parse_one(f"select {expression} as value from facts", read=dialect)
        assert not list(parsed.find_all(sqlglot.exp.Command)), f"{name} for {dialect}: {expression}"


def test_every_macro_of_tags_is_documented_and_tried_here():
    written = yaml.safe_load((MACROS / "tags" / "_tags.yml").read_text(encoding="utf-8"))["macros"]
    documented = {macro["name"] for macro in written if macro["description"]}
    defined = {
        line.split("macro ", 1)[1].split("(")[0]
        for path in (MACROS / "tags").glob("*.sql")
        for line in path.read_text(encoding="utf-8").splitlines()
        if line.startswith("{% macro ")
    }
    assert defined == documented
    assert defined <= set(CALLS)


PAGE = PROJECT / "docs" / "tag-kinds.md"


def sections() -> dict[str, str]:
    """Kind -> its section of the page, from the heading on."""
    parts = PAGE.read_text(encoding="utf-8").split("\n## ")[1:]
    return {part.split("\n", 1)[0]: part for part in parts}


def test_the_page_of_kinds_has_a_section_for_each():
    kinds = get_args(Tag.model_fields["kind"].annotation)
    assert tuple(sections()) == kinds


@pytest.mark.parametrize("kind", sections())
def test_the_sql_of_a_kind_is_in_the_model_that_is_named_above_it(kind):
    shown = re.findall(r"\]\(\.\./(dbt_project/models/[^)]+\.sql)\)|```sql\n(.*?)```", sections()[kind], re.DOTALL)
    model = ""
    blocks = 0
    for path, block in shown:
        if path:
            model = _without_margins((PROJECT / path).read_text(encoding="utf-8"))
        else:
            blocks += 1
            assert _without_margins(block) in model, f"{PAGE.name}, {kind}: the model has this no more:\n{block}"
    assert blocks


@pytest.mark.parametrize("kind", sections())
def test_each_kind_is_in_use(kind):
    assert kind in kinds_of_published_tags()


@cache
def kinds_of_published_tags() -> set[str]:
    models = load_tags(PROJECT / "dbt_project" / "models" / "tag_category")
    return {tag.kind for model in models for tag in model.columns if tag.status == "published"}


def _without_margins(sql: str) -> str:
    return "\n".join(line.strip() for line in sql.strip().splitlines())
