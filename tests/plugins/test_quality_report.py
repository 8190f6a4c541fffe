"""The report over books that the tests write: what stands in it, and that it stands by itself."""

import re
from datetime import UTC, date, datetime, timedelta
from html.parser import HTMLParser

import duckdb
import pytest
from tagloom import quality_book, quality_drawings
from tagloom.alerting.book import Finding, observe, open_book
from tagloom.operations import create_operations_tables
from tagloom.quality import CheckResult
from tagloom.quality_report import measured_text, report, score_text, write_report

DAY = date(2017, 12, 31)


def result(**changes) -> CheckResult:
    fields = {
        "run_id": "run-1",
        "as_of_date": DAY,
        "layer": "landing",
        "contract": "landing/loyalty/cards.yml",
        "table": "raw_loyalty.cards",
        "column": "",
        "name": "There are cards",
        "check_type": "row_count",
        "outcome": "passed",
        "measured": 3.0,
        "unit": "",
        "threshold": "more than 0",
        "owner": "loyalty@example.com",
        "what_to_do": "Ask the loyalty team.",
        "sample": (),
        "problem": "",
        "milliseconds": 12.0,
    }
    return CheckResult(**{**fields, **changes})


@pytest.fixture
def filled(settings):
    warehouse = duckdb.connect()
    create_operations_tables(warehouse)
    warehouse.execute(
        "insert into operations.landing_log by name select 'one' as run_id, 'loyalty' as source, "
        "'cards' as table_name, date '2017-12-01' as first_day, date '2018-01-01' as end_day, 'landed' as status, "
        "2471 as rows_read, 2469 as rows_landed, 0 as rows_quarantined, 2 as duplicates, 0.5 as seconds, "
        "timestamp '2018-01-01 03:30:00' as logged_at"
    )
    warehouse.execute(
        "insert into operations.quarantine by name select 'wifi' as source, 'sightings' as table_name, "
        "'seen_at' as column_name, 'is no <timestamp>' as reason, date '2017-12-31' as day, false as repaired"
    )
    for days in range(3):
        day = DAY - timedelta(days=2 - days)
        last = {"outcome": "failed", "measured": 42.25} if days == 2 else {"measured": 1.5 + days}
        quality_book.record(
            settings,
            warehouse,
            [
                result(run_id=f"{day}", as_of_date=day),
                result(run_id=f"{day}", as_of_date=day, name="Few cards lack a name & <tag>", unit=" %", **last),
                result(run_id=f"{day}", as_of_date=day, layer="serving", table="serving.report", contract="r.yml"),
            ],
        )
    with open_book(settings.alert_book) as book:
        finding = Finding("cards", "check", "failed", "Few cards lack a name", table="raw_loyalty.cards")
        gone = Finding("gone", "check", "failed", "The tills sold something")
        moment = datetime(2018, 1, 1, 4, tzinfo=UTC)
        observe(book, "landing", [gone], "run-0", moment, timedelta(days=1))
        observe(book, "landing", [finding], "run-1", moment, timedelta(days=1))
    return settings


class Tags(HTMLParser):
    """Collects what a page would load, and whether its tags close."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses, self.open, self.scripts = [], [], 0

    def handle_starttag(self, tag, attrs):
        self.addresses += [value for name, value in attrs if name in ("src", "href", "action", "srcset")]
        self.scripts += tag == "script"
        if tag not in ("meta", "br", "circle", "rect", "polyline"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in ("circle", "rect", "polyline"):
            assert self.open.pop() == tag


def text_of(page: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", page.partition("</style>")[2]).split())


def test_it_tells_what_is_not_well_with_measure_and_cure(filled):
    text = text_of(report(filled, 30))
    assert "Data up to 2017-12-31" in text
    assert "failed Few cards lack a name &amp; &lt;tag&gt; raw_loyalty.cards" in text
    assert "Measured 42.25 % , allowed more than 0." in text
    assert "Ask the loyalty team. loyalty@example.com" in text
    # Half of the checks passed, halved again because one failed.
    assert "landing 25.0 1 table 2 checks" in text
    assert "serving 100 1 table 1 check" in text
    assert "ended The tills sold something" in text
    assert "open Few cards lack a name raw_loyalty.cards 2018-01-01 04:00" in text
    assert "loyalty.cards 2017-12-01 to 2017-12-31 2018-01-01 03:30 2,469 0 2" in text
    assert "wifi.sightings seen_at is no &lt;timestamp&gt; 1 2017-12-31" in text


def test_trends_are_drawn_and_days_have_their_tone(filled):
    page = report(filled, 30)
    strip = re.search(r'<svg class="days".*?</svg>', page)[0]
    assert re.findall(r'<rect class="(\w+)"', strip) == ["good", "good", "bad"]
    assert "2017-12-31: 25.0, 1 failed, 0 warned" in strip
    assert 'aria-label="measured on 3 days"' in page
    assert re.findall(r'<rect class="(\w+)"', re.search(r'<svg class="days".*?</svg>', report(filled, 1))[0]) == ["bad"]


def test_it_stands_by_itself(filled):
    page = report(filled, 30)
    found = Tags()
    found.feed(page)
    assert (found.addresses, found.scripts, found.open) == ([], 0, [])
    assert "url(" not in page
    assert "@import" not in page


def test_before_the_first_build_it_says_what_to_do(settings):
    text = text_of(report(settings, 30))
    assert "Nothing has been checked yet." in text
    assert "Layers" not in text


def test_it_is_written_whole_and_again(filled, tmp_path):
    file = tmp_path / "out" / "quality.html"
    assert write_report(filled, file, 30) == file
    first = file.read_text(encoding="utf-8")
    write_report(filled, file, 30)
    assert first.startswith("<!doctype html>")
    assert first.endswith("</html>")
    assert list(file.parent.iterdir()) == [file]


@pytest.mark.parametrize(("score", "text"), [(100.0, "100"), (99.9, "99.9"), (49.0, "49.0"), (0.0, "0.0")])
def test_scores_are_readable(score, text):
    assert score_text(score) == text


@pytest.mark.parametrize(
    ("measured", "unit", "text"), [(None, " %", "nothing"), (1234.0, "", "1,234"), (0.12345, " times", "0.1235 times")]
)
def test_measures_are_readable(filled, measured, unit, text):
    kept = next(item for item in quality_book.latest(filled) if item.outcome == "passed")
    assert measured_text(type(kept)(**{**vars(kept), "measured": measured, "unit": unit})) == text


def test_one_value_is_no_trend_and_equal_values_are_in_the_middle():
    assert quality_drawings.trend([], "none") == ""
    assert quality_drawings.trend([5], "one") == ""
    assert 'cy="18.0"' in quality_drawings.trend([5, 5], "two")


def test_a_trend_ends_where_its_last_value_is():
    high = quality_drawings.trend([0, 100], "up", width=100, height=36, ends=(0, 100))
    assert 'points="3.0,33.0 97.0,3.0"' in high
    # What is outside of the drawing stays at its edge.
    assert 'points="3.0,33.0 97.0,3.0"' in quality_drawings.trend([-5, 900], "wild", width=100, ends=(0, 100))


def test_drawings_escape_what_they_are_told():
    assert "<b>" not in quality_drawings.days([("good", "<b>")], '"<b>"')
    assert 'width="120.0"' in quality_drawings.bar(7, "more than all")
