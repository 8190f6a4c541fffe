"""The history of tags does not depend on how often, and in which order, days are built; nothing leaks from it."""

from __future__ import annotations

import random
from datetime import date, timedelta

import pytest
import yaml
from tagloom.tags.history import HISTORY_MACRO, history_files
from tagloom.tags.written_text import FOLDER

from tests.plugins.tags.rendered_tables import KilledError, RenderedTables
from tests.plugins.tags.tag_models import model, tag

TABLE = "person_tags_value"
HISTORY = "person_tags_value_history"

MODELS = [
    model(
        "tag_value__a",
        tag("is_new", "boolean"),
        tag("tier", "varchar", values={"gold": "金", "silver": "银"}),
        tag("orders"),
    )
]

FIRST_DAY = date(2017, 12, 1)

State = dict[int, tuple]
"""Person -> is_new, tier."""


class Layer(RenderedTables):
    """The table of one category and its history."""

    def __init__(self, models=MODELS) -> None:
        super().__init__(history_files(models))

    def put(self, state: State) -> None:
        self.connection.execute(
            f"create or replace table {TABLE} (person_id bigint, is_new boolean, tier varchar, orders integer)"
        )
        if state:
            self.connection.executemany(
                f"insert into {TABLE} values (?, ?, ?, 1)", [[person, *values] for person, values in state.items()]
            )

    def build_day(self, day: int, state: State, *, killed: bool = False) -> None:
        self.put(state)
        self.build("tag_history_days", shown(day))
        self.build(HISTORY, shown(day), killed=killed)

    def periods(self) -> list[tuple]:
        """Rows of the history that say something: person, first day, day after the last, is_new, tier."""
        rows = self.rows(
            f"select person_id, valid_from, valid_to, is_new, tier from {HISTORY} "
            "where valid_to is null or valid_to > valid_from order by all"
        )
        return [(person, number(first), number(end), *values) for person, first, end, *values in rows]

    def as_of(self, day: int) -> State:
        rows = self.rows(f"from {{{{ tagloom.tags_as_of(\"date '{shown(day)}'\") }}}} order by all")
        return {person: tuple(values) for person, *values in rows}


def shown(day: int) -> str:
    return (FIRST_DAY + timedelta(days=day)).isoformat()


def number(day: date | None) -> int | None:
    return None if day is None else (day - FIRST_DAY).days


def some_state(chance: random.Random) -> State:
    values = [(chance.choice((True, False)), chance.choice(("gold", "silver", None))) for _ in range(5)]
    return {person: chance.choice(values) for person in range(1, 6) if chance.random() < 0.8}


def test_a_row_ends_when_a_tag_changes():
    layer = Layer()
    layer.build_day(0, {1: (True, "gold"), 2: (False, None)})
    layer.build_day(1, {1: (True, "gold"), 2: (False, "silver"), 3: (True, None)})
    layer.build_day(2, {1: (False, "gold"), 3: (True, None)})
    assert layer.periods() == [
        (1, 0, 2, True, "gold"),
        (1, 2, None, False, "gold"),
        (2, 0, 1, False, None),
        (2, 1, 2, False, "silver"),
        (3, 1, None, True, None),
    ]


def test_a_day_between_two_built_days_lasts_until_the_later_one():
    layer = Layer()
    layer.build_day(0, {1: (True, "gold")})
    layer.build_day(5, {1: (True, "silver")})
    layer.build_day(2, {1: (False, "gold"), 2: (True, None)})
    assert layer.periods() == [
        (1, 0, 2, True, "gold"),
        (1, 2, 5, False, "gold"),
        (1, 5, None, True, "silver"),
        (2, 2, 5, True, None),
    ]


def test_a_day_before_the_first_one_ends_where_that_began():
    layer = Layer()
    layer.build_day(5, {1: (True, "gold")})
    layer.build_day(2, {1: (True, "gold"), 2: (True, None)})
    assert layer.periods() == [(1, 2, None, True, "gold"), (2, 2, 5, True, None)]


def test_a_table_that_is_new_on_a_past_day_ends_at_the_next_day_that_was_built():
    layer = Layer()
    layer.put({})
    layer.build("tag_history_days", shown(5))
    layer.build_day(2, {1: (True, "gold")})
    assert layer.periods() == [(1, 2, 5, True, "gold")]


@pytest.mark.parametrize("seed", range(10))
def test_any_order_of_builds_gives_the_history_of_the_days_in_order(seed):
    chance = random.Random(seed)
    states: dict[int, State] = {}
    layer = Layer()
    for _ in range(12):
        day = chance.randrange(8)
        states[day] = some_state(chance)
        before = {other: layer.as_of(other) for other in states if other > day} if len(states) > 1 else {}
        if chance.random() < 0.2 and len(states) > 1:
            with pytest.raises(KilledError):
                layer.build_day(day, states[day], killed=True)
        layer.build_day(day, states[day])
        assert {other: layer.as_of(other) for other in before} == before, "a later day has changed"
    in_order = Layer()
    for day in sorted(states):
        in_order.build_day(day, states[day])
    assert layer.periods() == in_order.periods()
    assert {day: layer.as_of(day) for day in states} == states


@pytest.mark.parametrize("seed", range(5))
def test_with_the_objects_that_may_have_changed_it_is_the_history_of_all(seed):
    chance = random.Random(seed)
    state, some, everybody = some_state(chance), Layer(), Layer()
    for day in range(8):
        before, state = state, dict(state)
        changed = chance.sample(range(1, 6), 2)
        for person in changed:
            state.pop(person, None)
            state |= {other: values for other, values in some_state(chance).items() if other == person}
        some.replaced = {HISTORY: f"person_id in ({changed[0]}, {changed[1]})"} if day else {}
        if not day:
            state = before
        for layer in (some, everybody):
            layer.build_day(day, state)
    assert some.periods() == everybody.periods()


def test_of_other_objects_nothing_is_read():
    layer = Layer()
    layer.build_day(0, {1: (True, "gold"), 2: (True, "gold")})
    layer.replaced = {HISTORY: "person_id in (2)"}
    layer.build_day(1, {1: (False, "gold"), 2: (False, "gold")})
    assert layer.periods() == [(1, 0, None, True, "gold"), (2, 0, 1, True, "gold"), (2, 1, None, False, "gold")]


def test_the_same_build_again_writes_nothing():
    layer = Layer()
    layer.build_day(0, {1: (True, "gold")})
    layer.build_day(1, {1: (False, "gold")})
    before = layer.rows(f"from {HISTORY} order by all")
    layer.build_day(1, {1: (False, "gold")})
    assert layer.rows("select count(*) from new_rows") == [(0,)]
    assert layer.rows(f"from {HISTORY} order by all") == before


def test_a_person_without_a_number_of_their_own_has_no_history():
    layer = Layer()
    layer.build_day(0, {-7: (True, "gold"), 1: (True, None)})
    assert layer.periods() == [(1, 0, None, True, None)]


def test_a_new_tag_is_unknown_before_its_first_day():
    layer = Layer([model("tag_value__a", tag("is_new", "boolean"))])
    layer.build_day(0, {1: (True, "gold"), 2: (True, None)})
    layer.take(history_files(MODELS))
    layer.build_day(1, {1: (True, "gold"), 2: (True, None)})
    assert layer.periods() == [(1, 0, 1, True, None), (1, 1, None, True, "gold"), (2, 0, None, True, None)]


def test_a_tag_that_is_no_more_keeps_its_column_and_loses_values_of_rows_that_change():
    layer = Layer()
    layer.build_day(0, {1: (True, "gold"), 2: (True, "gold")})
    layer.take(history_files([model("tag_value__a", tag("is_new", "boolean"))]))
    layer.build_day(1, {1: (False, "gold"), 2: (True, "gold")})
    assert layer.periods() == [(1, 0, 1, True, None), (1, 1, None, False, None), (2, 0, None, True, "gold")]


def test_the_long_form_merges_equal_values_and_leaves_null_out():
    layer = Layer()
    layer.build_day(0, {1: (True, "gold")})
    layer.build_day(1, {1: (False, "gold")})
    layer.build_day(2, {1: (False, None)})
    layer.build_day(3, {1: (False, "gold")})
    layer.build("tag_history", shown(3))
    rows = layer.rows("select object, object_id, tag, value, valid_from, valid_to from tag_history order by all")
    assert [(*row[:4], number(row[4]), number(row[5])) for row in rows] == [
        ("person", "1", "is_new", "false", 1, None),
        ("person", "1", "is_new", "true", 0, 1),
        ("person", "1", "tier", "gold", 0, 2),
        ("person", "1", "tier", "gold", 3, None),
    ]


def test_what_is_written():
    files = history_files(
        [
            *MODELS,
            model("tag_value__b", tag("is_ill", "boolean", personal_data="direct")),
            model("tag_store__a", tag("is_open", "boolean", "sales"), category="sales", of="store"),
            model("tag_store__b", tag("visits", category="visits"), category="visits", of="store"),
        ]
    )
    histories = [
        FOLDER / "person" / "person_tags_value_history",
        FOLDER / "person" / "person_tags_value_personal_history",
        FOLDER / "store" / "store_tags_sales_history",
    ]
    tables = [*histories, FOLDER / "tag_history", FOLDER / "tag_history_days"]
    assert set(files) == {HISTORY_MACRO} | {table.with_suffix(end) for table in tables for end in (".sql", ".yml")}
    [described] = yaml.safe_load(files[histories[0].with_suffix(".yml")])["models"]
    columns = {column["name"]: column["data_type"] for column in described["columns"]}
    assert columns == {
        "person_id": "bigint",
        "valid_from": "date",
        "valid_to": "date",
        "is_new": "boolean",
        "tier": "varchar",
    }


def test_without_any_history_the_view_is_empty():
    tables = RenderedTables(history_files([model("tag_value__a", tag("orders"))]))
    tables.build("tag_history", shown(0))
    assert tables.rows("from tag_history") == []


def test_some_tags_are_asked_for_as_of_a_day():
    layer = Layer()
    layer.build_day(0, {1: (True, "gold")})
    layer.build_day(1, {1: (True, "silver")})
    rows = layer.dicts(f"from {{{{ tagloom.tags_as_of(\"date '{shown(0)}'\", tags=['tier']) }}}}")
    assert rows == [{"person_id": 1, "tier": "gold"}]


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (
            "tags_as_of(\"date '2017-12-01'\", tags=['orders'])",
            "person tag orders has no history; write `history: true`",
        ),
        (
            "tags_as_of(\"date '2017-12-01'\", object='shelf')",
            "No tag of a shelf has a history; .* histories of person",
        ),
        ("training_set('labels', 'day', ['tier'], gap_days=-1)", "gap_days is -1; write 0 or more whole days"),
        ("training_set('labels', 'day', ['tiers'])", "person tag tiers has no history"),
    ],
)
def test_what_cannot_be_asked_is_explained(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        Layer().rows(f"from {{{{ tagloom.{call} }}}}")


@pytest.mark.parametrize("gap_days", [0, 1, 3])
def test_features_are_those_of_the_last_day_before_label_and_gap(gap_days):
    layer = Layer()
    for day in range(8):
        layer.build_day(day, {1: (day % 2 == 0, f"as of {day}")})
    layer.connection.execute(
        "create table labels as select 1 as person_id, 'bought' as label, date '2017-12-07' as day"
    )
    query = f"from {{{{ tagloom.training_set('labels', 'day', ['tier', 'is_new'], gap_days={gap_days}) }}}}"
    [row] = layer.dicts(query)
    known = 5 - gap_days
    assert row == {
        "person_id": 1,
        "label": "bought",
        "day": date(2017, 12, 7),
        "feature_date": date(2017, 12, 1) + timedelta(days=known),
        "tier": f"as of {known}",
        "is_new": known % 2 == 0,
    }


@pytest.mark.parametrize("seed", range(6))
def test_nothing_that_happens_from_the_label_on_changes_a_training_set(seed):
    """Two worlds that are the same up to the day before a label give the same features, whatever comes after."""
    chance = random.Random(seed)
    gap_days = chance.choice((0, 0, 2))
    label_day = chance.randrange(1, 9)
    past = {day: some_state(chance) for day in range(10) if day < label_day - gap_days}
    futures = [{day: some_state(chance) for day in range(10) if day >= label_day - gap_days} for _ in range(2)]
    found = []
    for future in futures:
        layer = Layer()
        days = list((past | future).items())
        chance.shuffle(days)
        for day, state in days:
            layer.build_day(day, state)
        layer.connection.execute("create table labels (person_id bigint, day date)")
        layer.connection.executemany("insert into labels values (?, ?)", [[p, shown(label_day)] for p in range(1, 7)])
        call = f"tagloom.training_set('labels', 'day', ['is_new', 'tier'], gap_days={gap_days})"
        found.append(layer.rows(f"from {{{{ {call} }}}} order by all"))
    assert found[0] == found[1]
    last_state = past[max(past)] if past else {}
    assert {row[0]: tuple(row[3:]) for row in found[0]} == {p: last_state.get(p, (None, None)) for p in range(1, 7)}


@pytest.mark.slow
def test_the_history_is_spark_sql():
    sqlfluff = pytest.importorskip("sqlfluff")
    layer = RenderedTables(history_files(MODELS), engine="spark")
    calls = ("tags_as_of(\"date '2017-12-01'\")", "training_set('labels', 'day', ['tier'], gap_days=2)")
    rendered = [layer.text(f"select * from {{{{ tagloom.{call} }}}} as rows_of_it") for call in calls]
    rendered += [layer.sql(name, "2017-12-31") for name in (HISTORY, "tag_history", "tag_history_days")]
    layer.connection.execute(f"create table {HISTORY} (person_id bigint, valid_from date, valid_to date, tier varchar)")
    rendered.append(layer.sql(HISTORY, "2017-12-31"))
    for sql in rendered:
        assert "unparsable" not in str(sqlfluff.parse(sql, dialect="sparksql"))
