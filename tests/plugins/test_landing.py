"""Landing: every row read is landed, quarantined or dropped as a duplicate, and a repeated run changes nothing."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import duckdb
import pandas as pd
import pytest
from tagloom.landing import BadDeliveryError, land_source
from tagloom.readers import DeliveryError
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
    table = {
        "name": "orders",
        "title": "Orders",
        "format": file_format,
        "path": f"orders_{{date}}.{file_format}",
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
    }
    return Source.model_validate({**source, "tables": [{**table, **changes}]})


def land(connection, settings, source, first=FIRST, end=END):
    (landing,) = land_source(connection, settings, source, first, end, "run")
    return landing


def rows(connection, columns="order_id, amount, email, _line"):
    return connection.execute(f"select {columns} from raw_shop.orders order by all").fetchall()


def quarantine(connection):
    return connection.execute(
        "select line, column_name, reason, raw from operations.quarantine order by all"
    ).fetchall()


def test_good_rows_land_and_bad_rows_are_kept_with_line_column_and_reason(connection, settings, shop):
    (shop / "orders_2017-01-01.csv").write_text(
        "order_id,amount,email\n1,10.50,a@b.c\n,1.00,\nx,1.00,d@e.f\n2,many,\n3,,\n1,10.50,a@b.c\n"
    )
    landing = land(connection, settings, declare())
    assert (landing.rows_read, landing.rows_landed, landing.rows_quarantined, landing.duplicates) == (6, 2, 4, 0)
    assert [(order, str(amount), email, line) for order, amount, email, line in rows(connection)] == [
        ("1", "10.50", "a@b.c", 2),
        ("3", "None", None, 6),
    ]
    assert [entry[:3] for entry in quarantine(connection)] == [
        (3, "order_id", "is missing"),
        (4, "order_id", "does not match [0-9]+"),
        (5, "amount", "is no decimal(8,2)"),
        (7, None, "repeats the primary key of an earlier row"),
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
        '{"order_id": "1", "amount": 1.5, "email": null}\n{"order_id": "2", "amo\n\n[1]\n'
        '{"order_id": "3", "color": "red"}\n'
    )
    landing = land(connection, settings, declare("jsonl"))
    assert [(order, line) for order, line in rows(connection, "order_id, _line")] == [("1", 1), ("3", 5)]
    assert [(line, reason) for line, _, reason, _ in quarantine(connection)] == [
        (2, "the line is not a JSON object"),
        (4, "the line is not a JSON object"),
    ]
    assert landing.undeclared_columns == "color"


def test_parquet_and_excel_land_the_same_rows(connection, settings, shop):
    frame = pd.DataFrame({"order_id": ["1", "2"], "amount": [1.25, None], "email": ["a@b.c", None]})
    frame.to_excel(shop / "orders_2017-01-01.excel", index=False, engine="openpyxl")
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
    changed = declare(title="Orders, another declaration")
    assert land(connection, settings, changed).status == "landed"


def test_files_taken_back_take_their_rows_with_them(connection, settings, shop):
    file = shop / "orders_2017-01-01.csv"
    file.write_text("order_id,amount,email\n1,1.00,\n")
    land(connection, settings, declare())
    file.unlink()
    land(connection, settings, declare())
    assert rows(connection) == []


def test_the_newest_snapshot_replaces_the_table(connection, settings, shop):
    (shop / "orders_2017-01-01.csv").write_text("order_id,amount,email\n1,1.00,\n2,1.00,\n")
    (shop / "orders_2017-01-02.csv").write_text("order_id,amount,email\n2,5.00,\n")
    land(connection, settings, declare(grain="snapshot"))
    assert [order for (order,) in rows(connection, "order_id")] == ["2"]
    assert (
        land(connection, settings, declare(grain="snapshot"), first=date(2017, 1, 5), end=date(2017, 1, 6)).files == 0
    )
    assert [order for (order,) in rows(connection, "order_id")] == ["2"]


def test_exact_duplicates_are_dropped_and_counted_where_declared(connection, settings, shop):
    (shop / "orders_2017-01-01.csv").write_text("order_id,amount,email\n1,1.00,\n1,1.00,\n")
    landing = land(connection, settings, declare(duplicates="drop_exact"))
    assert (landing.rows_landed, landing.duplicates, landing.rows_quarantined) == (1, 1, 0)


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


def test_a_missing_column_names_the_file_and_the_column(connection, settings, shop):
    (shop / "orders_2017-01-01.csv").write_text("order_id,email\n1,\n")
    with pytest.raises(DeliveryError, match=r"orders_2017-01-01\.csv: lacks the declared column amount"):
        land(connection, settings, declare())


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
