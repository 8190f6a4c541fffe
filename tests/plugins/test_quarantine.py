"""Bad rows can be counted, read, taken out, repaired and brought back, and it may all be done twice."""

from __future__ import annotations

import csv
import json
import shutil
import stat
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

import duckdb
import pytest
import yaml
from tagloom.__main__ import main
from tagloom.landing.land import land_source
from tagloom.quarantine import (
    Filter,
    QuarantineError,
    entries,
    export,
    groups,
    original_rows,
    read_repaired,
    replay_days,
    replay_rows,
    still_bad,
)
from tagloom.repairs import read_repairs, repaired_ids, repairs_file
from tagloom.settings import Settings, load_settings
from tagloom.sources import load_source
from tagloom.warehouse import open_warehouse

DAY = date(2017, 12, 31)

COLUMNS = [
    {"name": "ticket_number", "type": "text", "required": True, "pattern": "P[0-9]{6}"},
    {"name": "email", "type": "text", "personal_data": "direct"},
    {"name": "left_at", "type": "timestamp", "required": True},
    {"name": "fee", "type": "decimal(8,2)", "delivered_as": "Fee"},
]

HEADER = "ticket_number,email,left_at,Fee\n"

GOOD = "P000301,ann@example.com,2017-12-31 18:43:00,2.00\n"

BAD = (
    "P000302,bo@example.com,31/12/2017 18:43,2.00\n"
    "P000303,cy@example.com,2017-12-31 18:43:00,two\n"
    "P000304,di@example.com,2017-12-31 18:43:00,2.00,surplus\n"
)


@pytest.fixture
def settings(monkeypatch, tmp_path) -> Settings:
    """A home with one source, whose one delivery has a good row on line 2 and bad ones on lines 3 to 5."""
    monkeypatch.setenv("TAGLOOM_SOURCES", str(tmp_path / "sources"))
    settings = load_settings()
    settings.make_folders()
    settings.sources.mkdir()
    declare(settings)
    deliver(settings, DAY, HEADER + GOOD + BAD)
    land(settings)
    return settings


def declare(settings: Settings, format_name: str = "csv", columns: list[dict] = COLUMNS, **changes) -> None:
    table = {
        "name": "stays",
        "title": "Stays",
        "reader": {"kind": "files", "format": format_name, "path": f"stays/{{date}}.{format_name}"},
        "grain": "event",
        "primary_key": ["ticket_number"],
        "columns": columns,
    }
    source = {
        "name": "parking",
        "title": "Car parks",
        "title_zh": "停车场",
        "owner": "stores@example.com",
        "party": "first",
        "consent_basis": "contract",
        "licence": "own data",
        "tolerated_bad_rows": 3,
        "tables": [table | changes],
    }
    (settings.sources / "parking.yml").write_text(yaml.safe_dump(source, allow_unicode=True), encoding="utf-8")


def deliver(settings: Settings, day: date, content: str, format_name: str = "csv") -> Path:
    path = settings.landing / "parking" / "stays" / f"{day}.{format_name}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    return path


def land(settings: Settings, day: date = DAY) -> None:
    with open_warehouse(settings) as connection:
        source = load_source(settings.sources / "parking.yml")
        land_source(connection, settings, source, day, day + timedelta(days=1), "test")


def stays(settings: Settings) -> list[tuple]:
    with open_warehouse(settings) as connection:
        return connection.execute(
            "select ticket_number, email, left_at::varchar, fee::varchar from raw_parking.stays order by 1"
        ).fetchall()


def bad_rows(settings: Settings, **wanted) -> list:
    with open_warehouse(settings) as connection:
        return entries(connection, Filter(**wanted))


def taken_out(settings: Settings, file: Path, **wanted) -> list[dict]:
    """Rows of quarantine as `export` writes them."""
    with open_warehouse(settings) as connection:
        export(connection, settings, entries(connection, Filter(**wanted)), file)
    if file.suffix == ".csv":
        with file.open(encoding="utf-8", newline="") as stream:
            return list(csv.DictReader(stream))
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def put_back(file: Path, records: list[dict]) -> Path:
    file.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return file


def replay(settings: Settings, file: Path) -> tuple[dict, list]:
    with open_warehouse(settings) as connection:
        return replay_rows(connection, settings, read_repaired(file))


def repaired(records: list[dict]) -> list[dict]:
    """All three rows as they should have been."""
    right = {
        "left_at": {"left_at": "2017-12-31 18:43:00"},
        "fee": {"fee": "2.00"},
        "": {"ticket_number": "P000304", "left_at": "2017-12-31 18:43:00", "fee": "2.00"},
    }
    return [record | right[record["_problem"].split(" ")[0] if not record["_raw"] else ""] for record in records]


# --- Looking ---------------------------------------------------------------------------------------------------------


def test_rows_are_counted_by_what_is_wrong(settings):
    deliver(settings, DAY + timedelta(days=1), HEADER + GOOD.replace("301", "401") + BAD.splitlines()[1] + "\n")
    land(settings, DAY + timedelta(days=1))
    with open_warehouse(settings) as connection:
        found = {group.problem: group for group in groups(connection, Filter())}
    assert {problem: group.rows for problem, group in found.items() if problem.startswith(("fee", "left_at"))} == {
        "fee is no decimal(8,2)": 2,
        "left_at is no timestamp": 1,
    }
    fee = found["fee is no decimal(8,2)"]
    assert (fee.source, fee.table, fee.first_day, fee.last_day) == ("parking", "stays", DAY, DAY + timedelta(days=1))
    assert fee.place == "parking/stays/2017-12-31.csv line 4"
    assert fee.example == bad_rows(settings, reason="FEE is")[0].quarantine_id


@pytest.mark.parametrize(
    ("wanted", "lines"),
    [
        ({}, [3, 4, 5]),
        ({"reason": "timestamp"}, [3]),
        ({"source": "parking", "table": "stays", "day": DAY}, [3, 4, 5]),
        ({"source": "web"}, []),
        ({"day": DAY - timedelta(days=1)}, []),
    ],
)
def test_rows_are_found_by_their_properties(settings, wanted, lines):
    assert [row.line for row in bad_rows(settings, **wanted)] == lines


def test_what_is_stored_hides_persons_and_the_original_does_not(settings):
    fee = bad_rows(settings, reason="fee")[0]
    assert "cy@example.com" not in fee.raw
    assert json.loads(fee.raw)["fee"] == "two"
    with open_warehouse(settings) as connection:
        originals = original_rows(connection, settings, entries(connection, Filter()))
    assert originals[fee.quarantine_id] == {
        **{"ticket_number": "P000303", "email": "cy@example.com"},
        **{"left_at": "2017-12-31 18:43:00", "fee": "two"},
    }
    [torn] = [row for row in originals.values() if "_raw" in row]
    assert torn["_raw"] == "P000304,di@example.com,2017-12-31 18:43:00,2.00,surplus"


def test_an_id_that_is_not_there_is_named(settings):
    with pytest.raises(QuarantineError, match=r"0123456789abcdef: no such row lies in quarantine"):
        bad_rows(settings, ids=("0123456789abcdef",))


def test_a_delivery_that_is_gone_is_named(settings):
    (settings.landing / "parking" / "stays" / f"{DAY}.csv").unlink()
    with open_warehouse(settings) as connection:
        rows = entries(connection, Filter())
        with pytest.raises(QuarantineError, match=r"2017-12-31\.csv: is no longer in the landing zone"):
            original_rows(connection, settings, rows)


def test_a_delivery_that_was_cut_since_is_named(settings):
    deliver(settings, DAY, HEADER + GOOD)
    with open_warehouse(settings) as connection:
        rows = entries(connection, Filter())
        with pytest.raises(QuarantineError, match=r"has no line 3 any more: it was delivered anew"):
            original_rows(connection, settings, rows)


# --- Taking out ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["bad.jsonl", "bad.csv"])
def test_rows_are_taken_out_as_they_were_delivered_for_the_owner_alone(settings, tmp_path, name):
    records = taken_out(settings, tmp_path / name)
    assert [record["email"] or "" for record in records] == ["bo@example.com", "cy@example.com", ""]
    assert [record["_place"] for record in records] == [f"parking/stays/{DAY}.csv line {line}" for line in (3, 4, 5)]
    assert records[0]["_problem"] == "left_at is no timestamp"
    assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_csv_file_holds_one_table(settings, tmp_path):
    text = (settings.sources / "parking.yml").read_text(encoding="utf-8")
    (settings.sources / "garage.yml").write_text(text.replace("name: parking", "name: garage"), encoding="utf-8")
    shutil.copytree(settings.landing / "parking", settings.landing / "garage")
    with open_warehouse(settings) as connection:
        garage = load_source(settings.sources / "garage.yml")
        land_source(connection, settings, garage, DAY, DAY + timedelta(days=1), "test")
        rows = entries(connection, Filter())
        with pytest.raises(QuarantineError, match=r"rows of 2 tables \(garage\.stays, parking\.stays\)"):
            export(connection, settings, rows, tmp_path / "bad.csv")
        export(connection, settings, rows, tmp_path / "bad.jsonl")
    assert len(read_repaired(tmp_path / "bad.jsonl")) == 6


def test_other_files_than_these_two_are_refused(settings, tmp_path):
    with pytest.raises(QuarantineError, match=r"bad\.xlsx: must end in \.jsonl or \.csv"):
        taken_out(settings, tmp_path / "bad.xlsx")


# --- Bringing back ---------------------------------------------------------------------------------------------------


def test_repaired_rows_land_and_leave_quarantine(settings, tmp_path):
    file = tmp_path / "bad.jsonl"
    put_back(file, repaired(taken_out(settings, file)))
    problems, landed = replay(settings, file)
    assert problems == {}
    assert [(day.day, day.before, day.after, day.problem) for day in landed] == [(DAY, 3, 0, "")]
    moment = "2017-12-31 18:43:00"
    assert stays(settings) == [
        ("P000301", "ann@example.com", moment, "2.00"),
        ("P000302", "bo@example.com", moment, "2.00"),
        ("P000303", "cy@example.com", moment, "2.00"),
        ("P000304", None, moment, "2.00"),
    ]
    assert bad_rows(settings) == []
    assert len(bad_rows(settings, with_repaired=True)) == 3


def test_repairing_twice_and_landing_again_give_the_same_rows(settings, tmp_path):
    file = tmp_path / "bad.jsonl"
    put_back(file, repaired(taken_out(settings, file)))
    replay(settings, file)
    before = stays(settings)
    problems, _ = replay(settings, file)
    assert problems == {}
    assert stays(settings) == before
    with open_warehouse(settings) as connection:
        connection.execute("delete from operations.landed_files")
    land(settings)
    assert stays(settings) == before
    assert bad_rows(settings) == []


def test_the_books_add_up_after_a_repair(settings, tmp_path):
    file = tmp_path / "bad.jsonl"
    put_back(file, repaired(taken_out(settings, file))[:2])
    replay(settings, file)
    with open_warehouse(settings) as connection:
        logged = connection.execute(
            "select rows_read, rows_landed + rows_quarantined + duplicates from operations.landing_log"
        ).fetchall()
    assert len(logged) == 2
    assert all(read == accounted for read, accounted in logged)
    assert len(bad_rows(settings)) == 1


def test_rows_that_are_still_bad_are_named_and_the_others_land(settings, tmp_path):
    file = tmp_path / "bad.jsonl"
    first, second, torn = repaired(taken_out(settings, file))
    second["fee"] = "two dollars"
    torn["ticket_number"] = "304"
    put_back(file, [first, second, torn])
    problems, _ = replay(settings, file)
    assert problems == {
        second["_quarantine_id"]: "fee is no decimal(8,2)",
        torn["_quarantine_id"]: "ticket_number does not match P[0-9]{6}",
    }
    assert [row[0] for row in stays(settings)] == ["P000301", "P000302"]
    assert {row.quarantine_id for row in bad_rows(settings)} == set(problems)


def test_a_column_that_nobody_declared_is_no_repair(settings, tmp_path):
    file = tmp_path / "bad.jsonl"
    first, *_ = repaired(taken_out(settings, file))
    put_back(file, [first | {"Fee": "3.00"}])
    problems, landed = replay(settings, file)
    assert problems == {first["_quarantine_id"]: "Fee is no column of parking.stays"}
    assert landed == []


def test_a_csv_of_repaired_rows_is_taken_as_well(settings, tmp_path):
    file = tmp_path / "bad.csv"
    records = repaired(taken_out(settings, file))
    with file.open("w", encoding="utf-8-sig", newline="") as stream:
        writer = csv.DictWriter(stream, list(records[0]))
        writer.writeheader()
        writer.writerows(records)
    problems, _ = replay(settings, file)
    assert problems == {}
    assert len(stays(settings)) == 4


@pytest.mark.parametrize("name", ["bad.jsonl", "bad.csv"])
def test_line_ends_within_a_value_stay_there(settings, tmp_path, name):
    file = tmp_path / name
    record, *_ = repaired(taken_out(settings, file))
    record["email"] = 'bo\u2028"x"\r\n,@example.com'
    if name.endswith("csv"):
        with file.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, list(record))
            writer.writeheader()
            writer.writerow(record)
    else:
        put_back(file, [record])
    for _ in range(2):
        problems, _ = replay(settings, file)
        assert problems == {}
    assert stays(settings)[1][1] == record["email"]


def test_a_second_repair_adds_to_the_first_and_a_new_one_replaces_it(settings, tmp_path):
    file = tmp_path / "bad.jsonl"
    first, second, _ = repaired(taken_out(settings, file))
    replay(settings, put_back(file, [first]))
    replay(settings, put_back(file, [second]))
    assert [row[0] for row in stays(settings)] == ["P000301", "P000302", "P000303"]
    replay(settings, put_back(file, [second | {"fee": "5.00"}]))
    assert {row[0]: row[3] for row in stays(settings)} == {"P000301": "2.00", "P000302": "2.00", "P000303": "5.00"}


def test_a_repair_that_clashes_with_another_row_can_be_repaired_again(settings, tmp_path):
    file = tmp_path / "bad.jsonl"
    first, *_ = repaired(taken_out(settings, file))
    replay(settings, put_back(file, [first | {"ticket_number": "P000301"}]))
    [clash] = [row for row in bad_rows(settings) if "_repairs" in row.source_file]
    assert "primary key" in clash.reason
    records = taken_out(settings, file, ids=(clash.quarantine_id,))
    assert records[0]["ticket_number"] == "P000301"
    problems, _ = replay(settings, put_back(file, [records[0] | {"ticket_number": "P000302"}]))
    assert problems == {}
    assert [row[0] for row in stays(settings)] == ["P000301", "P000302"]
    assert not [row for row in bad_rows(settings) if "_repairs" in row.source_file]


def test_a_delivery_with_too_many_bad_rows_lands_once_they_are_repaired(settings, tmp_path):
    declare(settings, title="Stays again")
    text = (settings.sources / "parking.yml").read_text(encoding="utf-8")
    (settings.sources / "parking.yml").write_text(text.replace("tolerated_bad_rows: 3", "tolerated_bad_rows: 0"))
    deliver(settings, DAY, HEADER + GOOD.replace("301", "305") + BAD)
    with pytest.raises(ValueError, match="Nothing of"):
        land(settings)
    assert [row[0] for row in stays(settings)] == ["P000301"]
    file = tmp_path / "bad.jsonl"
    problems, landed = replay(settings, put_back(file, repaired(taken_out(settings, file))))
    assert problems == {}
    assert [day.problem for day in landed] == [""]
    assert [row[0] for row in stays(settings)] == ["P000302", "P000303", "P000304", "P000305"]


def test_a_repair_does_not_excuse_other_rows_of_a_new_delivery(settings, tmp_path):
    file = tmp_path / "bad.jsonl"
    replay(settings, put_back(file, repaired(taken_out(settings, file))))
    assert len(repaired_ids(settings.landing, "parking", "stays")) == 3
    deliver(settings, DAY, HEADER + GOOD + BAD.replace("P00030", "P00090"))
    land(settings)
    assert repaired_ids(settings.landing, "parking", "stays") == []
    assert [row.line for row in bad_rows(settings)] == [3, 4, 5]
    assert [row[0] for row in stays(settings)] == ["P000301", "P000302", "P000303", "P000304"]


def test_a_corrected_declaration_lands_the_days_with_bad_rows_again(settings):
    lenient = [COLUMNS[0], COLUMNS[1], COLUMNS[2] | {"required": False, "format": "%d/%m/%Y %H:%M"}, COLUMNS[3]]
    declare(settings, columns=lenient)
    with open_warehouse(settings) as connection:
        landed = replay_days(connection, settings, Filter(source="parking", table="stays"))
    assert [(day.day, day.before, day.after) for day in landed] == [(DAY, 3, 2)]
    assert "P000302" in [row[0] for row in stays(settings)]


def test_a_replay_that_is_killed_before_it_lands_is_finished_by_the_next_run(settings, tmp_path, monkeypatch):
    file = tmp_path / "bad.jsonl"
    put_back(file, repaired(taken_out(settings, file)))
    with monkeypatch.context() as patch:
        patch.setattr("tagloom.quarantine._land_again", lambda *arguments: None)
        replay(settings, file)
    assert len(bad_rows(settings)) == 3
    land(settings)
    assert len(stays(settings)) == 4
    assert bad_rows(settings) == []


def test_nothing_to_replay_is_nothing(settings):
    with open_warehouse(settings) as connection:
        assert replay_days(connection, settings, Filter(source="web")) == []


def test_validating_leaves_no_trace(settings):
    before = {path: path.stat().st_mtime_ns for path in settings.home.rglob("*")}
    source = load_source(settings.sources / "parking.yml")
    rows = {"a" * 16: {"ticket_number": "P1"}, "b" * 16: {"ticket_number": "P000001", "left_at": "2017-12-31"}}
    assert still_bad(settings, source, source.table("stays"), DAY, rows) == {
        "a" * 16: "ticket_number does not match P[0-9]{6}"
    }
    assert {path: path.stat().st_mtime_ns for path in settings.home.rglob("*")} == before


def test_parquet_rows_are_repaired_as_text(settings, tmp_path):
    (settings.landing / "parking" / "stays" / f"{DAY}.csv").unlink()
    land(settings)
    with open_warehouse(settings) as connection:
        connection.execute("drop table raw_parking.stays")
    declare(settings, "parquet", [column for column in COLUMNS if column["name"] != "email"])
    path = settings.landing / "parking" / "stays" / f"{DAY}.parquet"
    duckdb.sql(
        "select 'P000301' as ticket_number, timestamp '2017-12-31 18:43:00' as left_at, 2.5 as \"Fee\" "
        "union all select '302', timestamp '2017-12-31 18:44:00', 3.5"
    ).write_parquet(str(path))
    land(settings)
    file = tmp_path / "bad.jsonl"
    records = taken_out(settings, file)
    assert [(record["ticket_number"], record["left_at"], record["fee"]) for record in records] == [
        ("302", "2017-12-31 18:44:00", "3.5")
    ]
    problems, _ = replay(settings, put_back(file, [records[0] | {"ticket_number": "P000302"}]))
    assert problems == {}
    with open_warehouse(settings) as connection:
        rows = connection.execute("select ticket_number, fee::varchar from raw_parking.stays order by 1").fetchall()
    assert rows == [("P000301", "2.50"), ("P000302", "3.50")]


WRONG_FILES = {
    "no id": ('{"ticket_number": "P000302"}\n', "line 1: lacks _quarantine_id"),
    "no JSON": ('{"_quarantine_id": "a"}\nP000302\n', "line 2: is no JSON"),
    "a list": ("[1]\n", "line 1: is no JSON object"),
    "an id twice": ('{"_quarantine_id": "a"}\n\n{"_quarantine_id": "a"}\n', "line 3: a stands there twice"),
    "nothing": ("\n", "holds no row"),
}


@pytest.mark.parametrize("case", WRONG_FILES)
def test_a_file_that_cannot_be_taken_back_is_one_sentence(tmp_path, case):
    content, sentence = WRONG_FILES[case]
    file = tmp_path / "repaired.jsonl"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(QuarantineError, match=sentence):
        read_repaired(file)


def test_a_csv_line_of_another_width_is_named(tmp_path):
    file = tmp_path / "repaired.csv"
    file.write_text("_quarantine_id,fee\na,1\nb,2,3\n", encoding="utf-8")
    with pytest.raises(QuarantineError, match=r"line 3: has more or fewer columns than the header"):
        read_repaired(file)


def test_a_repair_file_is_replaced_whole(settings, tmp_path):
    file = tmp_path / "bad.jsonl"
    replay(settings, put_back(file, repaired(taken_out(settings, file))))
    written = repairs_file(settings.landing, "parking", "stays", DAY)
    assert [path.name for path in written.parent.iterdir()] == [written.name]
    assert [record["fee"] for record in read_repairs([written])] == ["2.00"] * 3


# --- The commands ----------------------------------------------------------------------------------------------------


def test_list_and_show_and_replay(settings, tmp_path, capsys):
    assert main(["quarantine", "list"]) == 0
    listed = capsys.readouterr().out
    assert "parking.stays  fee is no decimal(8,2)" in listed
    assert "3 rows; one in full: quarantine show " in listed
    fee = bad_rows(settings, reason="fee")[0].quarantine_id
    assert fee in listed

    assert main(["quarantine", "show", fee]) == 0
    masked = capsys.readouterr().out
    assert "parking/stays/2017-12-31.csv line 4, delivered for 2017-12-31" in masked
    assert "> fee            two" in masked
    assert "cy@example.com" not in masked
    assert main(["quarantine", "show", "--source", "parking", "--reason", "fee", "--unmasked"]) == 0
    assert "email          cy@example.com" in capsys.readouterr().out
    assert main(["quarantine", "show", "--limit", "2"]) == 0
    assert capsys.readouterr().out.count("parking/stays/2017-12-31.csv line") == 2

    file = tmp_path / "bad.jsonl"
    assert main(["quarantine", "show", "--source", "parking", "--to", str(file)]) == 0
    assert f"wrote 3 rows with original values to {file}" in capsys.readouterr().out
    first, second, torn = repaired([json.loads(line) for line in file.read_text().splitlines()])
    put_back(file, [first, second | {"fee": "two"}])
    assert main(["quarantine", "replay", str(file)]) == 1
    output = capsys.readouterr()
    assert output.err == f"{fee}: still bad: fee is no decimal(8,2)\n"
    assert output.out.splitlines()[0] == "1 of 2 repaired rows are in order"
    assert output.out.splitlines()[2].split() == ["parking.stays", "2017-12-31", "3", "2"]
    put_back(file, [second, torn])
    assert main(["quarantine", "replay", str(file)]) == 0
    capsys.readouterr()
    assert main(["quarantine", "list"]) == 0
    assert capsys.readouterr().out == "nothing is in quarantine\n"
    assert main(["quarantine", "list", "--repaired"]) == 0
    assert "3 rows" in capsys.readouterr().out


def test_replay_of_a_source_says_before_and_after(settings, capsys):
    assert main(["quarantine", "replay", "--source", "parking"]) == 0
    assert capsys.readouterr().out.splitlines()[1].split() == ["parking.stays", "2017-12-31", "3", "3"]
    assert main(["quarantine", "replay", "--source", "web"]) == 0
    assert capsys.readouterr().out == "nothing is in quarantine that is like that\n"


def test_replay_names_a_day_that_does_not_land(settings, capsys):
    declare(settings, columns=[*COLUMNS[:3], COLUMNS[3] | {"delivered_as": "Price", "required": True}])
    assert main(["quarantine", "replay", "--source", "parking"]) == 1
    assert "parking.stays of 2017-12-31 did not land: " in capsys.readouterr().err


COMMANDS = {
    "neither file nor source": (["replay"], "Give a file of repaired rows, or --source"),
    "both": (["replay", "x.jsonl", "--source", "parking"], "Give either a file of repaired rows or a source"),
    "a file that is not there": (["replay", "nothing.jsonl"], "nothing.jsonl"),
    "a row that is not there": (["show", "0123456789abcdef"], "no such row lies in quarantine"),
}


@pytest.mark.parametrize("case", COMMANDS)
def test_what_cannot_be_done_is_one_sentence(settings, case, capsys):
    arguments, sentence = COMMANDS[case]
    assert main(["quarantine", *arguments]) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert sentence in line


def test_before_the_first_landing_there_is_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TAGLOOM_HOME", str(tmp_path / "empty"))
    assert main(["quarantine", "list"]) == 1
    assert capsys.readouterr().err == "Nothing has landed yet, so nothing is in quarantine.\n"


def test_a_warehouse_that_another_process_holds_is_one_sentence(settings, monkeypatch, capsys):
    monkeypatch.setattr("tagloom.warehouse.LOCK_WAIT_SECONDS", 0)
    script = "import duckdb, sys; held = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"
    holder = subprocess.Popen(
        [sys.executable, "-c", script, str(settings.warehouse)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout.readline() == "held\n"
        assert main(["quarantine", "list"]) == 1
        assert "is open in another process" in capsys.readouterr().err
    finally:
        holder.communicate()
