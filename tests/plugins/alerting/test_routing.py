"""Routing rules: who hears of what, when, and what a wrong file is told."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from tagloom.alerting.book import Finding
from tagloom.alerting.routing import Routing, RoutingError, load_routing

NEW_YORK = ZoneInfo("America/New_York")
EVERYBODY = ("data@example.com",)
CARDS = Finding("cards", "check", "failed", "There are cards", "Loyalty@example.com", "raw_loyalty.cards")


def rules(text: str, tmp_path) -> Routing:
    path = tmp_path / "routing.yml"
    path.write_text(text, encoding="utf-8")
    return load_routing(path)


def targets(routing: Routing, finding: Finding = CARDS, dag: str = "build_tags") -> list[str]:
    return sorted(recipient for _, recipient in routing.targets(finding, dag, EVERYBODY))


def local(hour: int, minute: int = 0, day: int = 15, month: int = 6) -> datetime:
    return datetime(2017, month, day, hour, minute, tzinfo=NEW_YORK).astimezone(UTC)


def test_without_a_file_everybody_and_the_owner_hear_of_it(tmp_path):
    assert targets(load_routing(tmp_path / "none.yml")) == ["data@example.com", "loyalty@example.com"]


def test_the_projects_own_rules_can_be_read():
    assert load_routing().warnings == "digest"


def test_recipients_of_the_file_take_the_place_of_those_of_the_environment(tmp_path):
    routing = rules("recipients: [Head@example.com]\ntell_owners: false", tmp_path)
    assert targets(routing) == ["head@example.com"]


@pytest.mark.parametrize(
    ("when", "fits"),
    [
        ("{severity: failed}", True),
        ("{severity: warning}", False),
        ("{kinds: [check, task]}", True),
        ("{kinds: [alarm]}", False),
        ("{owners: ['loyalty@*']}", True),
        ("{owners: ['LOYALTY@example.com']}", True),
        ("{owners: ['crm@*']}", False),
        ("{tables: [raw_loyalty.*]}", True),
        ("{tables: [raw_pos.*, staging.*]}", False),
        ("{dags: [build_*]}", True),
        ("{dags: [ingest_*]}", False),
        ("{tables: [raw_loyalty.*], dags: [ingest_*]}", False),
        ("{}", True),
    ],
)
def test_a_route_is_for_what_fits_all_its_conditions(tmp_path, when, fits):
    routing = rules(f"routes: [{{when: {when}, to: [oncall@example.com]}}]", tmp_path)
    assert ("oncall@example.com" in targets(routing)) == fits


def test_a_route_may_tell_a_chat_and_nobody_else(tmp_path):
    routing = rules(
        "routes: [{when: {}, webhooks: [shop], instead: true}]\n"
        "webhooks: {shop: {format: slack, address_variable: TAGLOOM_WEBHOOK_SHOP}}",
        tmp_path,
    )
    assert routing.targets(CARDS, "build_tags", EVERYBODY) == {("shop", "shop")}


@pytest.mark.parametrize(
    ("now", "due"),
    [
        (local(20, 59), local(20, 59)),
        (local(21), local(7, day=16)),
        (local(3, day=16), local(7, day=16)),
        (local(7, day=16), local(7, day=16)),
    ],
)
def test_quiet_hours_over_midnight_hold_warnings_until_their_end(tmp_path, now, due):
    routing = rules('quiet_hours: {begins: "21:00", ends: "07:00"}', tmp_path)
    assert routing.due("warning", now, NEW_YORK) == due
    assert routing.due("failed", now, NEW_YORK) == now


def test_quiet_hours_within_a_day(tmp_path):
    routing = rules('quiet_hours: {begins: "12:00", ends: "13:30", hold: [failed]}', tmp_path)
    assert routing.due("failed", local(12, 5), NEW_YORK) == local(13, 30)
    assert routing.due("failed", local(11), NEW_YORK) == local(11)


def test_the_end_of_quiet_hours_is_a_time_of_the_wall_clock_when_clocks_change(tmp_path):
    routing = rules('quiet_hours: {begins: "21:00", ends: "07:00"}', tmp_path)
    # On 12 March 2017 New York went from 02:00 to 03:00.
    due = routing.due("warning", local(23, day=11, month=3), NEW_YORK)
    assert due.astimezone(NEW_YORK).strftime("%d %H:%M") == "12 07:00"


@pytest.mark.parametrize(
    ("now", "last", "is_due"),
    [
        (local(7, 59), None, False),
        (local(8), None, True),
        (local(8, 1), local(8), False),
        (local(12), local(8, day=14), True),
        (local(7), local(8, day=14), False),
    ],
)
def test_a_digest_is_due_once_a_day(now, last, is_due):
    assert Routing().digest_is_due(now, last, NEW_YORK) == is_due


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("recipient: [a@b.c]", "recipient: is not a known key; did you mean 'recipients'?"),
        ("recipients: [nobody]", "recipients 1: 'nobody' is not allowed"),
        ("routes: [{to: [a@b.c]}]", "routes 1.when: is missing"),
        ("routes: [{when: {}}]", "routes 1: tells nobody"),
        ("routes: [{when: {}, webhooks: [shop]}]", "route 1 names the webhook 'shop', which is not declared"),
        ("digest_at: 8:00", "digest_at: "),
        ("webhooks: {mail: {format: slack, address_variable: TAGLOOM_X}}", "cannot be called 'mail'"),
        ("webhooks: {shop: {format: teams, address_variable: TAGLOOM_X}}", "webhooks.shop.format: 'teams' is not"),
        ("- a list", "must hold keys"),
        ("a: [", "is not readable as YAML"),
    ],
)
def test_a_wrong_file_is_told_what_is_wrong(tmp_path, text, message):
    with pytest.raises(RoutingError) as error:
        rules(text, tmp_path)
    assert "routing.yml" in str(error.value)
    assert message in str(error.value)
