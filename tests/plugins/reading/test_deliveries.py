from __future__ import annotations

import os
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from tagloom.reading.deliveries import Delivery, DeliveryError, find_deliveries
from tagloom.sources import Table

FIRST, END = date(2017, 7, 1), date(2017, 7, 3)


def table(path: str, grain: str = "event", name: str = "sales") -> Table:
    return Table.model_validate(
        {
            "name": name,
            "title": "Sales",
            "reader": {"kind": "files", "format": "csv", "path": path},
            "grain": grain,
            "primary_key": ["id"],
            "columns": [{"name": "id", "type": "text"}],
        }
    )


def write(folder: Path, *places: str) -> None:
    for place in places:
        path = folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("id\n1\n")


def found(folder: Path, path: str, grain: str = "event") -> list[tuple[str, str]]:
    deliveries = find_deliveries(folder, table(path, grain), FIRST, END)
    return [(delivery.path.relative_to(folder).as_posix(), str(delivery.day)) for delivery in deliveries]


def test_files_of_the_days_come_by_day_and_name(tmp_path):
    write(tmp_path, "b/2017-07-01.csv", "a/2017-07-02.csv", "a/2017-07-01.csv", "a/2017-07-03.csv", "a/2017-06-30.csv")
    assert found(tmp_path, "*/{date}.csv") == [
        ("a/2017-07-01.csv", "2017-07-01"),
        ("b/2017-07-01.csv", "2017-07-01"),
        ("a/2017-07-02.csv", "2017-07-02"),
    ]


def test_snapshots_of_every_day_are_found(tmp_path):
    write(tmp_path, "all_2017-07-01.csv", "all_2017-07-02.csv")
    assert len(found(tmp_path, "all_{date}.csv", grain="snapshot")) == 2


def test_without_date_the_utc_day_of_writing_counts(tmp_path):
    write(tmp_path, "sales.csv")
    late_evening = datetime(2017, 7, 1, 23, 59, tzinfo=UTC).timestamp()
    os.utime(tmp_path / "sales.csv", (late_evening, late_evening))
    assert found(tmp_path, "*.csv") == [("sales.csv", "2017-07-01")]


def test_two_stars_reach_files_at_any_depth(tmp_path):
    write(
        tmp_path, "sales/2017-07-01/x.csv", "sales/2017-07-01/a/b/y.csv", "sales/2017-07-01.csv", "other/2017-07-01/z"
    )
    assert [place for place, _ in found(tmp_path, "sales/{date}/**")] == [
        "sales/2017-07-01/a/b/y.csv",
        "sales/2017-07-01/x.csv",
    ]


@pytest.mark.parametrize("path", ["[sx]ales_?_{date}.csv", "[!q]*_{date}.c*"])
def test_globs_with_sets_and_question_marks(tmp_path, path):
    write(tmp_path, "sales_1_2017-07-01.csv", "qales_1_2017-07-01.csv")
    assert [place for place, _ in found(tmp_path, path)] == ["sales_1_2017-07-01.csv"]


def test_dots_in_the_path_are_dots(tmp_path):
    write(tmp_path, "2017-07-01xcsv")
    assert found(tmp_path, "{date}.csv") == []


def test_unfinished_files_are_left_alone(tmp_path):
    write(tmp_path, ".2017-07-01.csv", "_tmp2017-07-01.csv", "2017-07-01.csv.part", "2017-07-01.csv.tmp", "_tmp/a.csv")
    write(tmp_path, "2017-07-01.csv.open", ".hidden/2017-07-01.csv")
    assert found(tmp_path, "**") == []
    assert found(tmp_path, "*{date}*") == []
    assert found(tmp_path, "**/{date}.csv") == []


def test_repairs_come_last_on_their_day_whatever_the_path(tmp_path):
    write(tmp_path, "_repairs/sales/2017-07-01_ab12.jsonl", "_repairs/sales/2017-07-05_ab12.jsonl", "z/2017-07-01.csv")
    write(
        tmp_path, "_repairs/others/2017-07-01_ab12.jsonl", "_repairs/sales/2017-07-01_x.jsonl.part", "z/2017-07-02.csv"
    )
    deliveries = find_deliveries(tmp_path, table("**/{date}*"), FIRST, END)
    assert deliveries == [
        Delivery(tmp_path / "z/2017-07-01.csv", FIRST),
        Delivery(tmp_path / "_repairs/sales/2017-07-01_ab12.jsonl", FIRST, is_repair=True),
        Delivery(tmp_path / "z/2017-07-02.csv", date(2017, 7, 2)),
    ]


def test_a_day_that_does_not_exist_names_the_file(tmp_path):
    write(tmp_path, "2017-02-30.csv")
    with pytest.raises(DeliveryError, match=r"2017-02-30\.csv: 2017-02-30 is no day of the calendar"):
        found(tmp_path, "{date}.csv")


def test_links_are_followed_but_never_in_circles(tmp_path):
    write(tmp_path / "partner", "2017-07-01.csv")
    folder = tmp_path / "landing"
    folder.mkdir()
    (folder / "in").symlink_to(tmp_path / "partner")
    (tmp_path / "partner" / "again").symlink_to(folder)
    assert [place for place, _ in found(folder, "**/{date}.csv")] == ["in/2017-07-01.csv"]


def test_no_folder_means_no_deliveries(tmp_path):
    assert found(tmp_path / "nothing", "a/b/{date}.csv") == []
