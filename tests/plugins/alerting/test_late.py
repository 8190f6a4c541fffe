"""Late sources: by the clock for those that say when they are expected, and for the day of a build."""

from datetime import UTC, date, datetime
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest
from tagloom import quality_book
from tagloom.alerting.late import landed_until, late_for_day, late_sources
from tagloom.operations import create_operations_tables
from tagloom.settings import PROJECT
from tagloom.sources import Source, SourceError, load_source
from tagloom.warehouse import open_warehouse

NEW_YORK = "America/New_York"
LOYALTY = load_source(PROJECT / "sources" / "loyalty.yml")


def expected(by: str | None = "06:00", schedule: str = "@daily", **more: object) -> Source:
    return LOYALTY.model_copy(update={"expected_by": by, "schedule": schedule, **more})


def at(text: str, zone: str = NEW_YORK) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone))


@pytest.mark.parametrize(
    ("now", "landed", "is_late"),
    [
        # The UTC day of the 1st ends at 19:00 on the 1st in New York; by 06:00 on the 2nd it must have landed.
        ("2018-01-02 05:59", "2018-01-01", False),
        ("2018-01-02 06:00", "2018-01-01", True),
        ("2018-01-02 06:00", "2018-01-02", False),
        ("2018-01-02 18:00", "2018-01-01", True),
        ("2018-01-03 05:00", "2018-01-02", False),
        ("2018-01-03 06:30", "2018-01-02", True),
    ],
)
def test_a_daily_delivery_by_the_clock(now, landed, is_late):
    late = late_sources([expected()], {"loyalty": date.fromisoformat(landed)}, at(now), NEW_YORK)
    assert bool(late) == is_late


def test_the_sentence_says_what_is_missing_since_when():
    (late,) = late_sources([expected()], {"loyalty": date(2018, 1, 1)}, at("2018-01-02 07:00"), NEW_YORK)
    assert late.sentence == (
        "The deliveries up to 2018-01-01 were expected by 2018-01-02 06:00 EST; what has landed ends with 2017-12-31."
    )


def test_an_expected_time_right_at_the_end_of_the_interval():
    source = expected("08:00")
    assert late_sources(
        [source], {"loyalty": date(2018, 1, 1)}, at("2018-01-02 08:00", "Asia/Shanghai"), "Asia/Shanghai"
    )
    assert not late_sources(
        [source], {"loyalty": date(2018, 1, 1)}, at("2018-01-02 07:59", "Asia/Shanghai"), "Asia/Shanghai"
    )


@pytest.mark.parametrize(
    ("schedule", "now", "needed"),
    [
        ("@weekly", "2018-01-11 12:00", date(2018, 1, 7)),
        ("0 */6 * * *", "2018-01-11 06:30", date(2018, 1, 12)),
        ("@quarterly", "2018-02-11 12:00", date(2018, 1, 1)),
        ("30 4 * * 1", "2018-01-11 12:00", date(2018, 1, 9)),
    ],
)
def test_other_schedules(schedule, now, needed):
    (late,) = late_sources([expected(schedule=schedule)], {}, at(now), NEW_YORK)
    assert (late.needed_until, late.landed_until) == (needed, None)
    assert "nothing has ever landed" in late.sentence


def test_who_does_not_say_when_is_never_late_by_the_clock():
    assert late_sources([expected(by=None)], {}, at("2018-01-02 23:00"), NEW_YORK) == []


def test_on_the_day_when_clocks_change():
    for day, offset in (("2018-03-11", "EDT"), ("2018-11-04", "EST")):
        (late,) = late_sources([expected()], {}, at(f"{day} 06:00"), NEW_YORK)
        assert late.sentence.count(f"{day} 06:00 {offset}") == 1


def test_a_build_needs_the_sources_that_it_waits_for():
    needed = date(2018, 1, 2)
    other = LOYALTY.model_copy(update={"name": "wifi", "build_waits_for_it": False})
    assert late_for_day([LOYALTY, other], {"loyalty": needed}, needed) == []
    (late,) = late_for_day([LOYALTY, other], {"loyalty": date(2018, 1, 1)}, needed)
    assert late.sentence == "The deliveries up to 2018-01-01 are needed; what has landed ends with 2017-12-31."
    assert [one.source.name for one in late_for_day([LOYALTY], {}, needed)] == ["loyalty"]


def test_what_comes_on_arrival_has_no_intervals(tmp_path):
    text = (PROJECT / "sources" / "loyalty.yml").read_text(encoding="utf-8")
    file = tmp_path / "loyalty.yml"
    file.write_text(text + 'expected_by: "06:00"\n', encoding="utf-8")
    assert load_source(file).expected_by == "06:00"
    file.write_text(text + 'expected_by: "06:00"\nschedule: on arrival\n', encoding="utf-8")
    with pytest.raises(SourceError, match="expected_by is for a source with a schedule"):
        load_source(file)
    file.write_text(text + "expected_by: 6 am\n", encoding="utf-8")
    with pytest.raises(SourceError, match="expected_by"):
        load_source(file)


def test_how_far_each_source_has_landed_is_read_beside_a_busy_warehouse(settings):
    assert landed_until(settings) is None
    landings = [
        ("loyalty", "2017-12-30", "2017-12-31", "landed"),
        ("loyalty", "2017-12-01", "2017-12-02", "landed"),
        ("loyalty", "2017-12-31", "2018-01-01", "nothing delivered"),
        ("pos", "2017-12-01", "2018-01-01", "unchanged"),
        ("crm", "2017-12-31", "2018-01-01", "stopped"),
    ]
    with open_warehouse(settings) as connection:
        create_operations_tables(connection)
        for number, (source, first_day, end_day, status) in enumerate(landings):
            connection.execute(
                "insert into operations.landing_log (run_id, source, table_name, first_day, end_day, status, "
                "rows_read, rows_landed, rows_quarantined, duplicates, seconds, logged_at) "
                "values (?, ?, 'cards', ?, ?, ?, 1, 1, 0, 0, 1, ?)",
                [f"run-{number}", source, first_day, end_day, status, datetime(2018, 1, 1, number, tzinfo=UTC)],
            )
        quality_book.record(settings, connection, [])
        assert landed_until(settings) == {"loyalty": date(2017, 12, 31), "pos": date(2018, 1, 1)}


def test_sources_of_any_kind_can_be_asked():
    source = SimpleNamespace(name="x", expected_by=None, build_waits_for_it=False)
    assert late_sources([source], {}, at("2018-01-01 00:00"), NEW_YORK) == late_for_day([source], {}, date.max) == []
