"""Landing: every row read is landed, quarantined or dropped as a duplicate, and a repeated run changes nothing."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import duckdb
import pandas as pd
import pytest
from tagloom.landing.land import BadDeliveryError, land_source
from tagloom.reading.deliveries import DeliveryError
from tagloom.settings import Settings
from tagloom.sources import Source

FIRST, END = date(2017, 1, 1), date(2017, 1, 3)

COLUMNS = [
    {"name": "order_id", "type": "text", "required": True, "pattern": "[0-9]+"},
    {"name": "amount", "type": "decimal(8,2)"},
    {"name": "email", "type": "text", "personal_data": "direct"},
]


@pytest.fixture
def connection():
    with duckdb.connect() as connection:
        yield connection


@pytest.fixture
def shop(settings: Settings) -> Path:
    folder = settings.landing / "shop"
    folder.mkdir(parents=True)
    return folder


def declare(file_format: str = "csv", **changes) -> Source:
    suffix = "xlsx" if file_format == "excel" else file_format
    table = {
        "name": "orders",
        "title": "Orders",
        "reader": {"kind": "files", "format": file_format, "path": f"orders_{{date}}*.{suffix}"},
        "grain": "event",
        "primary_key": ["order_id"],
        "columns": COLUMNS,
    }
    source = {
        "name": "shop",
        "title": "Shop",
        "title_zh": "商店",
        "owner": "shop@example.com",
        "party": "first",
        "consent_basis": "contract",
        "licence": "own data",
        "tolerated_bad_share": changes.pop("tolerated_bad_share", 0.9),
        **{key: changes.pop(key) for key in ("tolerated_bad_rows", "retention_days", "time_zone") if key in changes},
    }
    return Source.model_validate({**source, "tables": [{**table, **changes}]})


def land(connection, settings, source, first=FIRST, end=END):
    (landing,) = land_source(connection, settings, source, first, end, "run")
    return landing


def rows(connection, columns="order_id, amount, email, _line"):
    return connection.execute(f"select {columns} from raw_shop.orders order by all").fetchall()


def history(connection):
    found = connection.execute(
        "select order_id, amount, _valid_from, _valid_to from raw_shop.orders_history order by all"
    ).fetchall()
    return [tuple(str(value) for value in row) for row in found]


def declare_changes() -> Source:
    columns = [*COLUMNS[:2], {"name": "op", "type": "text"}, {"name": "changed_at", "type": "timestamp"}]
    return declare(grain="change", columns=columns, operation="op", event_time="changed_at")


def quarantine(connection):
    return connection.execute(
        "select line, column_name, reason, raw from operations.quarantine order by all"
    ).fetchall()


def test_good_rows_land_and_bad_rows_are_kept_with_line_column_and_reason(connection, settings, shop):
    (shop / "orders_2017-01-01.csv").write_text(
        "order_id,amount,email\n1,10.50,a@b.c\n,1.00,\nx,1.00,d@e.f\n2,many,\n3,,\n1,10.50,a@b.c\n"
    )
    landing = land(connection, settings, declare())
    assert (landing.rows_read, landing.rows_landed, landing.rows_quarantined, landing.duplicates) == (6, 2, 3, 1)
    assert [(order, str(amount), email, line) for order, amount, email, line in rows(connection)] == [
        ("1", "10.50", "a@b.c", 2),
        ("3", "None", None, 6),
    ]
    assert [entry[:3] for entry in quarantine(connection)] == [
        (3, "order_id", "is missing"),
        (4, "order_id", "does not match [0-9]+"),
        (5, "amount", "is no decimal(8,2)"),
    ]
    assert '"email":"•••"' in quarantine(connection)[1][3]
    assert "d@e.f" not in str(quarantine(connection))


def test_torn_lines_are_kept_and_later_lines_keep_their_number(connection, settings, shop):
    (shop / "orders_2017-01-01.csv").write_text(
        "order_id,amount,email\n1,1.00,\n2,2.00,,surplus\n3\n4,4.00,\n5,5.00,,surplus\n6,6.00,\n"
    )
    landing = land(connection, settings, declare())
    assert [(order, line) for order, line in rows(connection, "order_id, _line")] == [("1", 2), ("4", 5), ("6", 7)]
    assert [line for line, *_ in quarantine(connection)] == [3, 4, 6]
    assert landing.rows_read == 6 == landing.rows_landed + landing.rows_quarantined
    assert "hidden" in quarantine(connection)[0][3]


def test_json_lines_that_are_no_object_are_kept(connection, settings, shop):
    (shop / "orders_2017-01-01.jsonl").write_text(
        '{"order_id": "1", "amount": 1.5, "email": null}\n{"order_id": "2", "amo\n[1]\n'
        '{"order_id": "3", "color": "red"}\n'
    )
    landing = land(connection, settings, declare("jsonl"))
    assert [(order, line) for order, line in rows(connection, "order_id, _line")] == [("1", 1), ("3", 4)]
    assert [(line, reason) for line, _, reason, _ in quarantine(connection)] == [
        (2, "is not valid JSON"),
        (3, "is not a JSON object"),
    ]
    assert landing.undeclared_columns == "color"


def test_parquet_and_excel_land_the_same_rows(connection, settings, shop):
    frame = pd.DataFrame({"order_id": ["1", "2"], "amount": [1.25, None], "email": ["a@b.c", None]})
    frame.to_excel(shop / "orders_2017-01-01.xlsx", index=False, engine="openpyxl")
    connection.execute(f"copy frame to '{shop}/orders_2017-01-01.parquet' (format parquet)")
    land(connection, settings, declare("excel"))
    from_excel = rows(connection, "order_id, amount, email")
    land(connection, settings, declare("parquet"))
    assert rows(connection, "order_id, amount, email") == from_excel
    assert len(from_excel) == 2


def test_a_run_replaces_its_own_days_and_no_others(connection, settings, shop):
    (shop / "orders_2017-01-01.csv").write_text("order_id,amount,email\n1,1.00,\n")
    (shop / "orders_2017-01-02.csv").write_text("order_id,amount,email\n2,2.00,\n")
    land(connection, settings, declare())
    (shop / "orders_2017-01-02.csv").write_text("order_id,amount,email\n2,9.00,\n3,3.00,\n")
    land(connection, settings, declare(), first=date(2017, 1, 2))
    assert [(order, str(amount)) for order, amount in rows(connection, "order_id, amount")] == [
        ("1", "1.00"),
        ("2", "9.00"),
        ("3", "3.00"),
    ]


def test_an_unchanged_delivery_is_not_read_again(connection, settings, shop):
    (shop / "orders_2017-01-01.csv").write_text("order_id,amount,email\n1,1.00,\n")
    assert land(connection, settings, declare()).status == "landed"
    assert land(connection, settings, declare()).status == "unchanged"
    assert land(connection, settings, declare(title="Orders, another title")).status == "unchanged"
    stricter = declare(columns=[*COLUMNS[:2], {**COLUMNS[2], "pattern": ".+@.+"}])
    assert land(connection, settings, stricter).status == "landed"


def test_files_taken_back_take_their_rows_with_them(connection, settings, shop):
    file = shop / "orders_2017-01-01.csv"
    file.write_text("order_id,amount,email\n1,1.00,\n")
    land(connection, settings, declare())
    file.unlink()
    land(connection, settings, declare())
    assert rows(connection) == []


def test_the_newest_snapshot_is_current_and_the_others_are_history(connection, settings, shop):
    (shop / "orders_2017-01-01.csv").write_text("order_id,amount,email\n1,1.00,\n2,1.00,\n")
    (shop / "orders_2017-01-02.csv").write_text("order_id,amount,email\n2,5.00,\n")
    land(connection, settings, declare(grain="snapshot"))
    assert [order for (order,) in rows(connection, "order_id")] == ["2"]
    nothing = land(connection, settings, declare(grain="snapshot"), first=date(2017, 1, 5), end=date(2017, 1, 6))
    assert nothing.status == "nothing delivered"
    assert history(connection) == [
        ("1", "1.00", "2017-01-01", "2017-01-02"),
        ("2", "1.00", "2017-01-01", "2017-01-02"),
        ("2", "5.00", "2017-01-02", "None"),
    ]


def test_an_older_snapshot_that_comes_late_changes_the_past_alone(connection, settings, shop):
    (shop / "orders_2017-01-01.csv").write_text("order_id,amount,email\n1,1.00,\n")
    (shop / "orders_2017-01-03.csv").write_text("order_id,amount,email\n1,3.00,\n")
    source = declare(grain="snapshot")
    land(connection, settings, source, end=date(2017, 1, 4))
    (shop / "orders_2017-01-02.csv").write_text("order_id,amount,email\n1,2.00,\n")
    land(connection, settings, source, first=date(2017, 1, 2), end=date(2017, 1, 3))
    assert history(connection) == [
        ("1", "1.00", "2017-01-01", "2017-01-02"),
        ("1", "2.00", "2017-01-02", "2017-01-03"),
        ("1", "3.00", "2017-01-03", "None"),
    ]


def test_a_snapshot_that_was_tidied_away_stays_true(connection, settings, shop):
    file = shop / "orders_2017-01-01.csv"
    file.write_text("order_id,amount,email\n1,1.00,\n")
    land(connection, settings, declare(grain="snapshot"))
    file.unlink()
    assert land(connection, settings, declare(grain="snapshot")).status == "nothing delivered"
    assert [order for (order,) in rows(connection, "order_id")] == ["1"]


def test_changes_give_what_is_true_now_and_what_was(connection, settings, shop):
    source = declare_changes()
    (shop / "orders_2017-01-01.csv").write_text(
        "order_id,amount,op,changed_at\n1,1.00,I,2017-01-01 08:00:00\n1,2.00,U,2017-01-01 09:00:00\n"
        "2,5.00,I,2017-01-01 08:00:00\n2,5.00,I,2017-01-01 08:00:00\n"
    )
    (shop / "orders_2017-01-02.csv").write_text("order_id,amount,op,changed_at\n2,5.00,D,2017-01-02 10:00:00\n")
    landing = land(connection, settings, source)
    assert (landing.rows_read, landing.rows_landed, landing.duplicates) == (5, 4, 1)
    assert [(order, str(amount)) for order, amount in rows(connection, "order_id, amount")] == [("1", "2.00")]
    changes = connection.execute(
        "select order_id, amount::varchar, _valid_from::varchar, _valid_to::varchar from raw_shop.orders_history "
        "order by all"
    ).fetchall()
    assert changes == [
        ("1", "1.00", "2017-01-01 08:00:00", "2017-01-01 09:00:00"),
        ("1", "2.00", "2017-01-01 09:00:00", None),
        ("2", "5.00", "2017-01-01 08:00:00", "2017-01-02 10:00:00"),
    ]


def test_exact_copies_are_counted_and_rows_that_contradict_them_set_aside(connection, settings, shop):
    (shop / "orders_2017-01-01.csv").write_text("order_id,amount,email\n1,1.00,\n1,1.00,\n1,2.00,a@b.c\n")
    landing = land(connection, settings, declare())
    assert (landing.rows_landed, landing.duplicates, landing.rows_quarantined) == (1, 1, 1)
    ((line, column, reason, raw),) = quarantine(connection)
    assert (line, column, reason) == (4, None, "repeats the primary key of another row with other content")
    assert "orders_2017-01-01.csv line 2" in raw
    assert "a@b.c" not in raw


@pytest.mark.parametrize(("duplicates", "winner"), [("keep_first", "1.00"), ("keep_last", "3.00")])
def test_the_declared_winner_stays_and_the_others_are_counted(connection, settings, shop, duplicates, winner):
    columns = [*COLUMNS[:2], {"name": "paid_at", "type": "timestamp"}]
    (shop / "orders_2017-01-01.csv").write_text(
        "order_id,amount,paid_at\n1,3.00,2017-01-01 10:00:00\n1,1.00,2017-01-01 08:00:00\n1,2.00,2017-01-01 09:00:00\n"
    )
    source = declare(columns=columns, event_time="paid_at", duplicates=duplicates)
    landing = land(connection, settings, source)
    assert (landing.rows_landed, landing.duplicates, landing.rows_quarantined) == (1, 2, 0)
    assert [str(amount) for (amount,) in rows(connection, "amount")] == [winner]


def test_a_new_file_of_a_landed_day_is_added_and_compared_with_what_is_there(connection, settings, shop):
    (shop / "orders_2017-01-01_a.csv").write_text("order_id,amount,email\n1,1.00,\n2,2.00,\n")
    land(connection, settings, declare())
    (shop / "orders_2017-01-01_b.csv").write_text("order_id,amount,email\n2,2.00,\n3,3.00,\n")
    landing = land(connection, settings, declare())
    assert (landing.rows_read, landing.rows_landed, landing.duplicates, landing.rows_removed) == (2, 1, 1, 0)
    assert [order for (order,) in rows(connection, "order_id")] == ["1", "2", "3"]


def test_of_overlapping_deliveries_the_last_is_seen_in_whatever_order_they_land(connection, settings, shop):
    source = declare(overlap_days=1)
    (shop / "orders_2017-01-01.csv").write_text("order_id,amount,email\n1,1.00,\n2,2.00,\n")
    (shop / "orders_2017-01-02.csv").write_text("order_id,amount,email\n2,2.50,\n3,3.00,\n")
    for first in (date(2017, 1, 2), date(2017, 1, 1)):
        land(connection, settings, source, first=first, end=date(2017, 1, first.day + 1))
    assert [(order, str(amount)) for order, amount in rows(connection, "order_id, amount")] == [
        ("1", "1.00"),
        ("2", "2.50"),
        ("3", "3.00"),
    ]


def test_rows_that_belong_to_earlier_days_are_listed(connection, settings, shop):
    columns = [*COLUMNS[:2], {"name": "paid_at", "type": "timestamp"}]
    (shop / "orders_2017-01-02.csv").write_text(
        "order_id,amount,paid_at\n1,1.00,2017-01-02 10:00:00\n2,1.00,2016-12-30 10:00:00\n3,,2016-12-30 11:00:00\n"
    )
    landing = land(connection, settings, declare(columns=columns, event_time="paid_at"))
    assert landing.restated_days == "2016-12-30 (2 rows)"


def test_a_row_from_the_future_is_set_aside(connection, settings, shop):
    columns = [*COLUMNS[:2], {"name": "paid_at", "type": "timestamp"}]
    (shop / "orders_2017-01-01.csv").write_text(
        "order_id,amount,paid_at\n1,1.00,2017-01-02 23:59:00\n2,1.00,2017-01-03 00:00:00\n"
    )
    land(connection, settings, declare(columns=columns, event_time="paid_at"))
    assert [order for (order,) in rows(connection, "order_id")] == ["1"]
    assert [entry[1:3] for entry in quarantine(connection)] == [("paid_at", "lies after the day of its delivery")]


@pytest.mark.parametrize(
    ("value", "type_", "landed"),
    [
        ("12", "integer", "12"),
        (" 12 ", "integer", "12"),
        ("12.0", "integer", "12"),
        ("12.5", "integer", None),
        ("15e-1", "integer", None),
        ("1e3", "integer", "1000"),
        ("9223372036854775808", "integer", None),
        ("1.5", "number", "1.5"),
        ("nan", "number", None),
        ("inf", "number", None),
        ("3.999", "decimal(8,2)", "4.00"),
        ("1234567.00", "decimal(8,2)", None),
        ("true", "boolean", "true"),
        (" no ", "boolean", "false"),
        ("perhaps", "boolean", None),
        ("2017-01-31", "date", "2017-01-31"),
        ("2017-02-30", "date", None),
        ("2017-01-01 08:00:00", "timestamp", "2017-01-01 08:00:00"),
        ("2017-01-01T08:00:00+08:00", "timestamp", "2017-01-01 00:00:00"),
        ("2017-01-01T08:00:00.123Z", "timestamp", "2017-01-01 08:00:00.123"),
        ("2017-01-01T08:00Z", "timestamp", "2017-01-01 08:00:00"),
        ("infinity", "timestamp", None),
        ("next week", "timestamp", None),
    ],
)
def test_a_value_lands_as_what_it_says_or_not_at_all(connection, settings, shop, value, type_, landed):
    (shop / "orders_2017-01-01.csv").write_text(f"order_id,value\n1,{value}\n2,\n")
    land(connection, settings, declare(columns=[COLUMNS[0], {"name": "value", "type": type_}]))
    values = [text for (text,) in rows(connection, "value::varchar")]
    assert values == ([landed, None] if landed else [None])
    assert [entry[1:3] for entry in quarantine(connection)] == ([] if landed else [("value", f"is no {type_}")])


def test_dates_in_the_writing_of_the_source(connection, settings, shop):
    columns = [COLUMNS[0], {"name": "paid_on", "type": "date", "format": "%d/%m/%Y"}]
    (shop / "orders_2017-01-01.csv").write_text("order_id,paid_on\n1,03/04/2017\n2,13/13/2017\n")
    land(connection, settings, declare(columns=columns))
    assert [str(day) for (day,) in rows(connection, "paid_on")] == ["2017-04-03"]


def test_new_columns_land_by_the_declared_policy(connection, settings, shop):
    file = shop / "orders_2017-01-01.csv"
    file.write_text("order_id,amount,email,colour\n1,1.00,,red\n")
    landing = land(connection, settings, declare())
    assert landing.undeclared_columns == "colour"
    assert landing.drift == (
        "shop.orders: Column colour is new and not declared; its values do not land until it is declared.",
    )
    assert "_extra" not in dict(connection.execute("select column_name, 1 from (describe raw_shop.orders)").fetchall())
    land(connection, settings, declare(new_columns="land"))
    assert rows(connection, "_extra") == [('{"colour":"red"}',)]
    file.write_text("order_id,amount,email,colour\n1,1.00,,blue\n")
    with pytest.raises(DeliveryError, match="columns that nobody declared: colour"):
        land(connection, settings, declare(new_columns="refuse"))
    assert rows(connection, "_extra") == [('{"colour":"red"}',)]


def test_drift_is_told_once_and_again_when_it_comes_back(connection, settings, shop):
    file = shop / "orders_2017-01-01.csv"
    told = []
    for header in (
        "order_id,amount,email,colour",
        "order_id,amount,email,colour",
        "order_id,amount,email",
        "order_id,e_mail,amount",
    ):
        file.write_text(f"{header}\n1,,,\n" if header.count(",") == 3 else f"{header}\n{len(told)},,\n")
        told.append(land(connection, settings, declare()).drift)
    assert [len(sentences) for sentences in told] == [1, 0, 0, 1]
    assert "perhaps it is called e_mail now" in told[3][0]


def test_small_deliveries_need_more_than_one_bad_row_to_stop(connection, settings, shop):
    (shop / "orders_2017-01-01.csv").write_text("order_id,amount,email\nx,1.00,\n")
    landing = land(connection, settings, declare(tolerated_bad_share=0.0, tolerated_bad_rows=1))
    assert landing.rows_quarantined == 1


def test_what_is_older_than_the_retention_goes_with_its_files(connection, settings, shop):
    source = declare(retention_days=1)
    for day in (1, 2, 3):
        (shop / f"orders_2017-01-0{day}.csv").write_text(f"order_id,amount,email\n{day},1.00,\nx,,\n")
        land(connection, settings, source, first=date(2017, 1, day), end=date(2017, 1, day + 1))
    assert [order for (order,) in rows(connection, "order_id")] == ["2", "3"]
    assert len(quarantine(connection)) == 2
    assert sorted(path.name for path in shop.iterdir()) == ["orders_2017-01-02.csv", "orders_2017-01-03.csv"]


def test_a_table_of_an_older_version_is_carried_over(connection, settings, shop):
    connection.execute("create schema raw_shop")
    connection.execute(
        "create table raw_shop.orders as select '1' as order_id, 1.0::decimal(8,2) as amount, null::varchar as email, "
        "'old.csv' as _source_file, 2::bigint as _line, date '2017-01-01' as _interval, now()::timestamp as _landed_at"
    )
    (shop / "orders_2017-01-02.csv").write_text("order_id,amount,email\n2,2.00,\n")
    land(connection, settings, declare(grain="snapshot"))
    assert history(connection) == [
        ("1", "1.00", "2017-01-01", "2017-01-02"),
        ("2", "2.00", "2017-01-02", "None"),
    ]


def test_rows_landed_less_rows_removed_are_the_rows_that_are_there(connection, settings, shop):
    for content in ("1,1.00,\n2,2.00,\n", "1,1.00,\n", "1,1.00,\n1,1.00,\n5,5.00,\nx,,\n"):
        (shop / "orders_2017-01-01.csv").write_text("order_id,amount,email\n" + content)
        land(connection, settings, declare())
    log = connection.execute(
        "select sum(rows_landed) - sum(rows_removed), "
        "bool_and(rows_read = rows_landed + rows_quarantined + duplicates) "
        "from operations.landing_log"
    ).fetchall()
    assert log == [(len(rows(connection)), True)]


def test_too_many_bad_rows_stop_the_run_and_keep_what_was_there(connection, settings, shop):
    file = shop / "orders_2017-01-01.csv"
    file.write_text("order_id,amount,email\n1,1.00,\n")
    land(connection, settings, declare(tolerated_bad_share=0.1))
    file.write_text("order_id,amount,email\nx,1.00,\n2,1.00,\n")
    with pytest.raises(
        BadDeliveryError, match=r"shop\.orders: 1 of 2 rows are bad \(50\.0%\).*line 2.*shop@example.com"
    ):
        land(connection, settings, declare(tolerated_bad_share=0.1))
    assert [order for (order,) in rows(connection, "order_id")] == ["1"]
    assert len(quarantine(connection)) == 1


def test_a_missing_required_column_names_the_file_and_the_column(connection, settings, shop):
    (shop / "orders_2017-01-01.csv").write_text("amount,email\n1,\n")
    with pytest.raises(DeliveryError, match=r"orders_2017-01-01\.csv.* order_id"):
        land(connection, settings, declare())


def test_a_missing_optional_column_is_null_and_told(connection, settings, shop):
    (shop / "orders_2017-01-01.csv").write_text("order_id,email\n1,\n")
    landing = land(connection, settings, declare())
    assert rows(connection, "order_id, amount") == [("1", None)]
    assert landing.drift == ("shop.orders: Column amount is missing; it is null until it comes back.",)


def test_a_retyped_column_says_what_to_do(connection, settings, shop):
    (shop / "orders_2017-01-01.csv").write_text("order_id,amount,email\n1,1,\n")
    land(connection, settings, declare())
    retyped = declare(columns=[COLUMNS[0], {**COLUMNS[1], "type": "integer"}, COLUMNS[2]])
    with pytest.raises(DeliveryError, match=r"shop\.yml: tables\.orders\.columns\.amount: is declared bigint"):
        land(connection, settings, retyped)


def test_quoted_commas_and_line_ends_stay_one_row(connection, settings, shop):
    (shop / "orders_2017-01-01.csv").write_text('order_id,amount,email\n1,1.00,"a, b\nc"\n2,2.00,\n')
    landing = land(connection, settings, declare())
    assert (landing.rows_read, landing.rows_landed) == (2, 2)
    assert rows(connection, "email")[0] == ("a, b\nc",)


def test_local_timestamps_land_in_utc(connection, settings, shop):
    (shop / "orders_2017-01-01.csv").write_text("order_id,paid_at\n1,2017-01-01 08:00:00\n")
    columns = [COLUMNS[0], {"name": "paid_at", "type": "timestamp"}]
    source = declare(columns=columns).model_copy(update={"time_zone": "Asia/Shanghai"})
    land(connection, settings, source)
    assert [str(paid) for (paid,) in rows(connection, "paid_at")] == ["2017-01-01 00:00:00"]


def test_a_file_that_is_no_table_is_named(connection, settings, shop):
    (shop / "orders_2017-01-01.parquet").write_bytes(b"this is no parquet file")
    with pytest.raises(DeliveryError, match=r"orders_2017-01-01\.parquet: cannot be read as parquet"):
        land(connection, settings, declare("parquet"))


def test_moments_with_a_zone_in_parquet_are_not_shifted_again(connection, settings, shop):
    connection.execute("set time zone 'UTC'")
    connection.execute(
        f"copy (select '1' as order_id, timestamptz '2017-01-01 00:00:00+00' as paid_at) "
        f"to '{shop}/orders_2017-01-01.parquet' (format parquet)"
    )
    columns = [COLUMNS[0], {"name": "paid_at", "type": "timestamp"}]
    land(connection, settings, declare("parquet", columns=columns, time_zone="Asia/Shanghai"))
    assert [str(paid) for (paid,) in rows(connection, "paid_at")] == ["2017-01-01 00:00:00"]
