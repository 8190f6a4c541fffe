"""What a run finds, as people hear of it over the runs: told once, again after a while, and when it is well."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from email import message_from_bytes, policy
from zoneinfo import ZoneInfo

import pytest
from tagloom.alerting.book import acknowledge, dependents_of, open_book, open_incidents, waiting
from tagloom.alerting.messages import Alert
from tagloom.alerting.report import Desk, report, report_changes, write_digest
from tagloom.alerting.routing import Routing
from tagloom.lineage import Dependents

from tests.plugins.alerting.test_messages import FAILED, PASSED, WARNED

NOON = datetime(2017, 12, 31, 17, tzinfo=UTC)
"""In New York."""

HOUR = timedelta(hours=1)
ALERT = Alert("run-1", date(2017, 12, 31), "build_tags", "landing", "checks of landing")


@pytest.fixture
def desk(tmp_path) -> Desk:
    return Desk(tmp_path / "alerts.sqlite", Routing(), ("data@example.com",), ZoneInfo("America/New_York"))


def run(desk: Desk, *results, number: int = 1, at: datetime = NOON, exception: str = "", owner: str = "") -> list:
    """Report one run and return the mails that it queued."""
    before = {delivery.delivery_id for delivery in _waiting(desk)}
    alert = replace(ALERT, run_id=f"run-{number}", results=results, exception=exception, owner=owner)
    queued = report(desk, "checks of landing", alert, at)
    new = [delivery for delivery in _waiting(desk) if delivery.delivery_id not in before]
    assert queued == len(new)
    return [message_from_bytes(delivery.content, policy=policy.default) for delivery in new]


def _waiting(desk: Desk) -> list:
    with open_book(desk.book) as book:
        return waiting(book, NOON + timedelta(days=100))


def told(mails: list) -> dict[str, str]:
    return {mail["To"]: mail["Subject"].removeprefix("[Tagloom] ").partition(":")[0] for mail in mails}


def text_of(mail) -> str:
    return mail.get_body(("plain",)).get_content()


def test_everybody_hears_what_concerns_them_once(desk):
    stores = replace(FAILED, table="raw_pos.lines", owner="stores@example.com", name="There are lines")
    mails = run(desk, PASSED, FAILED, stores)
    assert told(mails) == dict.fromkeys(["data@example.com", "loyalty@example.com", "stores@example.com"], "FAILED")
    by_recipient = {mail["To"]: text_of(mail) for mail in mails}
    assert FAILED.name in by_recipient["loyalty@example.com"]
    assert "There are lines" not in by_recipient["loyalty@example.com"]
    assert all(name in by_recipient["data@example.com"] for name in (FAILED.name, "There are lines"))


def test_the_same_run_reported_twice_is_told_once(desk):
    assert run(desk, FAILED)
    assert run(desk, FAILED) == []


def test_a_failure_that_stays_is_told_again_after_a_day(desk):
    run(desk, FAILED)
    assert run(desk, FAILED, number=2, at=NOON + HOUR) == []
    mails = run(desk, FAILED, number=3, at=NOON + 25 * HOUR)
    assert set(told(mails).values()) == {"STILL FAILED"}
    assert "3 runs" in text_of(mails[0])
    assert run(desk, FAILED, number=4, at=NOON + 26 * HOUR) == []


def test_who_was_told_hears_of_the_end(desk):
    run(desk, FAILED)
    mails = run(desk, PASSED, number=2, at=NOON + HOUR)
    assert told(mails) == dict.fromkeys(["data@example.com", "loyalty@example.com"], "WELL AGAIN")
    assert run(desk, PASSED, number=3, at=NOON + 2 * HOUR) == []


def test_one_thing_ends_and_another_begins_in_one_mail(desk):
    run(desk, FAILED)
    other = replace(FAILED, name="Each card is there once")
    mails = {mail["To"]: text_of(mail) for mail in run(desk, other, number=2, at=NOON + HOUR)}
    assert set(mails) == {"data@example.com", "loyalty@example.com"}
    for text in mails.values():
        assert text.index("Each card is there once") < text.index("WELL AGAIN") < text.index(FAILED.name)


def test_who_was_told_of_an_end_only_gets_the_end(desk):
    run(desk, FAILED)
    stores = replace(FAILED, table="raw_pos.lines", owner="stores@example.com", name="There are lines")
    assert told(run(desk, stores, number=2, at=NOON + HOUR)) == {
        "data@example.com": "FAILED",
        "loyalty@example.com": "WELL AGAIN",
        "stores@example.com": "FAILED",
    }


def test_a_new_failure_brings_what_is_known_along(desk):
    run(desk, FAILED)
    other = replace(FAILED, name="Each card is there once")
    text = text_of(run(desk, FAILED, other, number=2, at=NOON + HOUR)[0])
    assert FAILED.name in text
    assert "2 runs" in text


def test_nobody_is_reminded_of_what_somebody_works_on(desk):
    run(desk, FAILED)
    with open_book(desk.book) as book:
        acknowledge(book, open_incidents(book)[0].incident_id, "ann@example.com", "", NOON)
    assert run(desk, FAILED, number=2, at=NOON + 48 * HOUR) == []
    assert "ann@example.com worked on it" in text_of(run(desk, PASSED, number=3, at=NOON + 49 * HOUR)[0])


def test_a_task_that_failed_is_told_and_its_end_too(desk):
    assert told(run(desk, exception="the disk is full", owner="crm@example.com")) == {
        "data@example.com": "FAILED",
        "crm@example.com": "FAILED",
    }
    assert set(told(run(desk, number=2)).values()) == {"WELL AGAIN"}


def test_warnings_alone_wait_for_the_digest_of_the_next_morning(desk):
    assert run(desk, WARNED, PASSED) == []
    assert write_digest(desk, NOON + 21 * HOUR) == 2
    mails = [message_from_bytes(delivery.content, policy=policy.default) for delivery in _waiting(desk)]
    assert told(mails) == {"data@example.com": "WARNING", "stores@example.com": "WARNING"}
    assert WARNED.name in text_of(mails[0])
    assert write_digest(desk, NOON + 22 * HOUR) == 0


def test_a_digest_is_not_written_before_its_time_nor_without_warnings(desk):
    at_seven = datetime(2018, 1, 1, 12, 30, tzinfo=UTC)
    assert write_digest(desk, NOON) == 0
    run(desk, WARNED, at=NOON)
    with open_book(desk.book) as book:
        book.execute("insert into alerts values (99, 'digest', 'warning', '', '', '', '', ?)", [NOON.isoformat()])
    assert write_digest(desk, at_seven) == 0
    assert write_digest(desk, at_seven + HOUR) == 2


def test_a_warning_that_ends_before_anybody_heard_of_it_is_not_told(desk):
    run(desk, WARNED)
    assert run(desk, PASSED, number=2) == []
    assert write_digest(desk, NOON + 24 * HOUR) == 0


def test_warnings_ride_along_with_a_failure(desk):
    mails = {mail["To"]: text_of(mail) for mail in run(desk, FAILED, WARNED)}
    assert WARNED.name in mails["data@example.com"]
    assert WARNED.name not in mails["loyalty@example.com"]
    assert "stores@example.com" not in mails, "a warning alone wakes nobody"


def test_warnings_may_be_told_at_once(desk):
    desk = replace(desk, routing=Routing(warnings="at once"))
    assert set(told(run(desk, WARNED)).values()) == {"WARNING"}


def test_quiet_hours_hold_warnings_and_let_failures_through(desk):
    quiet = {"begins": "12:00", "ends": "13:00"}
    desk = replace(desk, routing=Routing(warnings="at once", quiet_hours=quiet))
    run(desk, WARNED)
    run(desk, WARNED, FAILED, number=2)
    with open_book(desk.book) as book:
        now, later = waiting(book, NOON), waiting(book, NOON + HOUR)
    assert {delivery.recipient for delivery in now} == {"data@example.com", "loyalty@example.com"}
    assert len(later) == len(now) + 2


def test_a_chat_hears_of_it_as_well(desk):
    routing = Routing.model_validate(
        {
            "routes": [{"when": {"severity": "failed"}, "webhooks": ["shop"]}],
            "webhooks": {"shop": {"format": "slack", "address_variable": "TAGLOOM_WEBHOOK_SHOP"}},
        }
    )
    desk = replace(desk, routing=routing)
    report(desk, "checks of landing", replace(ALERT, results=(FAILED,)), NOON)
    assert [delivery.channel for delivery in _waiting(desk)] == ["mail", "mail", "shop"]
    report(desk, "checks of landing", replace(ALERT, run_id="run-2", results=(PASSED,)), NOON)
    assert [delivery.channel for delivery in _waiting(desk)].count("shop") == 2


def test_changed_deliveries_are_told_at_once_and_once(desk):
    alert = replace(ALERT, owner="web@example.com", warnings={"raw_web.events": ("There is a new column.",)})
    assert report_changes(desk, alert, NOON) == 2
    assert report_changes(desk, alert, NOON) == 0
    assert report_changes(desk, ALERT, NOON) == 0
    with open_book(desk.book) as book:
        assert open_incidents(book) == []


CARDS = Dependents(
    tags=("age_band", "order_count", "rfm_segment"),
    tags_by_identity=("rfm_segment",),
    audiences=("audience_birthday", "audience_lapsed"),
    others={"reports": ("report_sales",)},
    by_identity=("audience_lapsed",),
    tables=("staging.cards",),
)


def test_what_depends_on_a_failure_is_kept_and_told_and_released(desk):
    desk = replace(desk, users=lambda tags: ["audience Young (Ann)"] if "age_band" in tags else [])
    held = "2 tags, audience_birthday, report_sales, audience Young (Ann)"

    def look(number: int, *results, impact: dict) -> list:
        before = {delivery.delivery_id for delivery in _waiting(desk)}
        alert = replace(ALERT, run_id=f"run-{number}", results=results, impact=impact)
        report(desk, "checks of landing", alert, NOON + number * HOUR)
        new = [delivery for delivery in _waiting(desk) if delivery.delivery_id not in before]
        return [message_from_bytes(delivery.content, policy=policy.default) for delivery in new]

    for mail in look(1, FAILED, PASSED, impact={FAILED.table: CARDS}):
        assert f"Held back:    {held}" in text_of(mail)
    with open_book(desk.book) as book:
        assert dependents_of(book, [1]) == {
            "tag": {"age_band", "order_count"},
            "audience": {"audience_birthday"},
            "report": {"report_sales"},
            "table": {"staging.cards"},
        }
    other = replace(FAILED, table="staging.orders", name="There are orders", owner="")
    look(2, FAILED, other, impact={FAILED.table: CARDS, "staging.orders": Dependents(tags=("order_count",))})
    for mail in look(3, other, PASSED, impact={"staging.orders": Dependents(tags=("order_count",))}):
        assert "Released:     1 tag, audience_birthday, report_sales, audience Young (Ann)" in text_of(mail)
    (mail,) = look(4, PASSED, impact={})
    assert "Released:     1 tag" in text_of(mail).splitlines()


def test_a_warning_holds_nothing_and_its_end_releases_nothing(desk):
    desk = replace(desk, routing=Routing(warnings="at once"))
    (*mails, _) = run(desk, WARNED), run(desk, PASSED, number=2)
    assert all("Held back" not in text_of(mail) and "Released" not in text_of(mail) for sent in mails for mail in sent)
