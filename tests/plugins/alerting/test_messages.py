"""Alert mails hold the same facts as text and as HTML, for those they concern, once."""

import re
from dataclasses import replace
from datetime import UTC, date, datetime
from email import message_from_bytes, policy
from html.parser import HTMLParser

import pytest
from tagloom.alerting.book import Finding, Incident
from tagloom.alerting.messages import SHOWN_NAMES, Alarm, Alert, Mail, Missing, message, subject_of
from tagloom.lineage import Dependents
from tagloom.quality import CheckResult

SENDER = "tagloom@example.com"
PASSED = CheckResult(
    run_id="run-1",
    as_of_date=date(2017, 12, 31),
    layer="staging",
    contract="staging/cards.yml",
    table="staging.cards",
    column="",
    name="There are cards",
    check_type="row_count",
    outcome="passed",
    measured=2469.0,
    unit="",
    threshold="more than 0",
    owner="loyalty@example.com",
    what_to_do="Ask the loyalty team for the file again.",
    sample=(),
    problem="",
    milliseconds=1.0,
)
FAILED = replace(
    PASSED,
    column="card_number",
    name="At most 1 % of the cards has no number",
    outcome="failed",
    measured=37.42,
    unit=" %",
    threshold="at most 1 %",
    sample=("26••••••••31", "41••••••••02"),
)
WARNED = replace(
    PASSED,
    table="raw_pos.basket_lines",
    name="The day has about as many till lines as usual",
    outcome="warned",
    measured=0.31,
    threshold="between 0.5 and 2",
    owner="stores@example.com",
    what_to_do="Ask whether tills were offline.",
)
ALERT = Alert(
    run_id="run-1",
    as_of_date=date(2017, 12, 31),
    dag_id="build_tags",
    task_id="check_staging",
    title="staging of loyalty cards",
    results=(PASSED, WARNED, FAILED),
    consequence="tags of 2017-12-31 not published",
    impact={"staging.cards": Dependents(tags=("order_count_365d",), audiences=("audience_lapsed",))},
    in_use="Version 2017-12-30-1 stays in use.",
    links={"Task log": "http://localhost:8080/dags/build_tags"},
)


class Text(HTMLParser):
    """What a reader sees of an HTML page, and what the page loads or links."""

    def __init__(self, html: str):
        super().__init__()
        self.tags, self.links, self.words, self.hidden = [], [], [], False
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.hidden = tag in ("style", "title")
        self.links += [value for name, value in attributes if name in ("href", "src", "background")]

    def handle_endtag(self, tag):
        self.hidden = False

    def handle_data(self, data):
        if not self.hidden:
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", "".join(self.words))


NOW = datetime(2018, 1, 1, 6, 30, tzinfo=UTC)


def sent(alert: Alert, kind: str = "failure", **more):
    """The mail, after a journey through bytes."""
    made = message(Mail(kind, alert, "data@example.com", **more), SENDER, NOW)
    return message_from_bytes(made.as_bytes(), policy=policy.default)


def bodies(mail) -> tuple[str, str]:
    """Text and HTML."""
    assert mail.get_content_type() == "multipart/alternative"
    return mail.get_body(("plain",)).get_content(), mail.get_body(("html",)).get_content()


def incident(result: CheckResult = FAILED, runs: int = 1, **changes) -> Incident:
    finding = Finding(subject_of(result), "check", "failed", result.name, result.owner, result.table)
    return replace(Incident(1, finding, datetime(2017, 12, 30, 5, tzinfo=UTC), "run-0", runs), **changes)


def test_text_and_html_hold_every_fact():
    mail = sent(ALERT)
    assert mail["Subject"] == (
        "[Tagloom] FAILED: staging of loyalty cards, 1 check of 3 - tags of 2017-12-31 not published"
    )
    text, html = bodies(mail)
    for fact in [
        "At most 1 % of the cards has no number",
        "37.42 %",
        "at most 1 %",
        "card_number",
        "26••••••••31",
        "41••••••••02",
        "Ask the loyalty team for the file again.",
        "loyalty@example.com",
        "staging.cards",
        "order_count_365d",
        "1 tag",
        "audience_lapsed",
        "The day has about as many till lines as usual",
        "0.31",
        "between 0.5 and 2",
        "Version 2017-12-30-1 stays in use.",
        "build_tags / check_staging",
        "run-1",
    ]:
        assert fact.lower() in re.sub(r"\s+", " ", text).lower()
        assert fact in Text(html).text
    assert "http://localhost:8080/dags/build_tags" in text
    assert "http://localhost:8080/dags/build_tags" in Text(html).links
    assert "There are cards" not in text
    assert text.index("At most 1 %") < text.index("The day has about")


def test_html_is_escaped_and_loads_nothing():
    evil = "<script>alert(1)</script><img src=http://evil.example>"
    alert = replace(
        ALERT,
        title=evil,
        results=(replace(FAILED, name=evil, sample=(evil,), owner='"><b>@example.com', what_to_do=evil),),
        exception=evil,
        impact={"staging.cards": Dependents(tags=(evil,))},
        links={"bad": "javascript:alert(1)", "good": "https://example.com/?a=1&b=2"},
    )
    _, html = bodies(sent(alert))
    page = Text(html)
    assert not {"script", "img", "link", "iframe", "b"} & set(page.tags)
    assert evil in page.text
    assert [link for link in page.links if not link.startswith("mailto:")] == ["https://example.com/?a=1&b=2"]
    assert "url(" not in html
    assert "@import" not in html


def test_html_knows_phones_and_dark_mode():
    _, html = bodies(sent(ALERT))
    assert 'name="viewport"' in html
    assert "prefers-color-scheme: dark" in html
    assert "max-width: 480px" in html


def test_a_contract_that_could_not_be_read():
    unreadable = replace(
        FAILED, owner="", table="", check_type="contract", outcome="not evaluated", problem="x.yml: line 3: is not YAML"
    )
    mail = sent(replace(ALERT, results=(FAILED, unreadable)))
    text, html = bodies(mail)
    assert "x.yml: line 3: is not YAML" in text
    assert "x.yml: line 3: is not YAML" in Text(html).text
    assert "2 checks of 2" in mail["Subject"]


def test_a_task_that_failed_by_itself():
    alert = replace(
        ALERT,
        title="delivery of tills",
        results=(),
        exception="pos: 5 % bad rows in\nbasket_lines of 2017-12-31",
        owner="stores@example.com",
        what_to_do="Ask the stores for the delivery again.",
    )
    mail = sent(alert)
    assert mail["Subject"] == "[Tagloom] FAILED: delivery of tills - tags of 2017-12-31 not published"
    text, html = bodies(mail)
    for fact in ["pos: 5 % bad rows in", "basket_lines of 2017-12-31", "Ask the stores for the delivery again."]:
        assert fact in text
        assert fact in Text(html).text


def test_long_lists_are_counted():
    tags = tuple(f"tag_{number:02}" for number in range(SHOWN_NAMES + 8))
    alert = replace(ALERT, impact={"staging.cards": Dependents(tags=tags)})
    text, html = bodies(sent(alert))
    for body in (text, Text(html).text):
        assert f"{SHOWN_NAMES + 8} tags" in body
        assert tags[SHOWN_NAMES - 1] in body
        assert tags[SHOWN_NAMES] not in body
        assert "and 8 more" in body


def test_tags_through_identity_are_counted_only():
    dependents = Dependents(tags=("a_tag", "b_tag"), tags_by_identity=("b_tag",))
    alert = replace(ALERT, impact={"staging.cards": dependents})
    text, html = bodies(sent(alert))
    for body in (text, Text(html).text):
        assert "1 tag through identity mapping" in body
        assert "a_tag" in body
        assert "b_tag" not in body


def test_unknown_lineage_is_said():
    alert = replace(ALERT, impact={"staging.cards": Dependents(note="What depends on it is not known.")})
    text, html = bodies(sent(alert))
    assert "What depends on it is not known." in text
    assert "What depends on it is not known." in Text(html).text


def test_a_title_with_a_line_break_makes_no_header():
    mail = sent(replace(ALERT, title="cards\nBcc: all@example.com"))
    assert mail["Bcc"] is None
    assert "cards Bcc: all@example.com" in mail["Subject"]


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({}, True),
        ({"run_id": "run-2"}, False),
        ({"results": (FAILED,)}, False),
        ({"task_id": "check_serving"}, False),
        ({"dag_id": "ingest_pos"}, False),
    ],
)
def test_the_same_alert_is_the_same_mail(change, same):
    assert (sent(ALERT)["Message-ID"] == sent(replace(ALERT, **change))["Message-ID"]) == same


def test_the_picture_of_a_trend_travels_with_the_mail():
    alert = replace(ALERT, trends={subject_of(FAILED): (0.4, 0.5, 37.42), subject_of(WARNED): (1.0, 0.31)})
    mail = sent(alert)
    text, html = bodies(mail)
    (picture,) = (part for part in mail.walk() if part.get_content_type() == "image/png")
    (source,) = re.findall(r'<img src="cid:([^"]+)"', html)
    assert picture["Content-ID"] == f"<{source}>"
    assert picture.get_content().startswith(b"\x89PNG")
    assert "Before:     0.4, 0.5" in text


def test_a_mail_says_since_when_and_why():
    alert = replace(ALERT, probable={"staging.cards": ("The newest delivery of loyalty.cards was empty.",)})
    text, html = bodies(sent(alert, incidents=(incident(runs=3), incident(WARNED))))
    for body in (text, Text(html).text):
        assert "2017-12-30 05:00 UTC, 3 runs" in body
        assert body.count("UTC,") == 1, "what is new has no past"
        assert "The newest delivery of loyalty.cards was empty." in body


def test_a_reminder_says_that_it_is_one():
    assert sent(ALERT, "reminder")["Subject"].startswith("[Tagloom] STILL FAILED: staging of loyalty cards, 1 check")


def test_the_end_is_told():
    mail = sent(
        replace(ALERT, results=(PASSED,)), "recovery", resolved=(incident(runs=2, acknowledged_by="ann@example.com"),)
    )
    assert mail["Subject"] == "[Tagloom] WELL AGAIN: staging of loyalty cards, 1 check"
    assert mail["Importance"] is None
    text, html = bodies(mail)
    for body in (text, Text(html).text):
        assert FAILED.name in body
        assert "It was not since 2017-12-30 05:00 UTC, 2 runs; ann@example.com worked on it" in body
        assert "not published" not in body


def test_a_digest_lists_warnings():
    alert = Alert("2018-01-01", date(2018, 1, 1), "send_alerts", "digest", "warnings of the day")
    mail = sent(alert, "digest", incidents=(incident(WARNED), incident(FAILED, runs=4)))
    assert mail["Subject"] == "[Tagloom] WARNING: warnings of the day, 2 warnings"
    text, html = bodies(mail)
    for body in (text, Text(html).text):
        assert WARNED.name in body
        assert WARNED.table in body
        assert "4 runs" in body
        assert "1 run" in body


def test_an_alarm_comes_with_a_drawing():
    alarm = Alarm(
        "pay: web", "Payments, web", "40.0% on the last 3 days", "online@example.com", "Ask.", (0.8, None, 0.4)
    )
    alert = Alert("run-1", date(2017, 12, 31), "monitor_channels", "watch", alarm.title, alarms=(alarm,))
    mail = sent(alert)
    assert mail["Subject"] == "[Tagloom] ALARM: Payments, web, 1 metric"
    assert mail["Importance"] == "high"
    text, html = bodies(mail)
    for body in (text, Text(html).text):
        for fact in ("Payments, web", "40.0% on the last 3 days", "Ask.", "online@example.com"):
            assert fact in body
    (picture,) = (part for part in mail.walk() if part.get_content_type() == "image/png")
    assert f'src="cid:{picture["Content-ID"].strip("<>")}"' in html
    assert sent(alert, "reminder")["Subject"].startswith("[Tagloom] STILL ALARMING: ")


LATE = Missing(
    "late loyalty", "deliveries of loyalty", "Nothing came.", "loyalty@example.com", "staging.*", "Ask for the file."
)
RUNBOOK = "https://tagloom.example.com/runbook"
IDENTITY = replace(FAILED, table="identity_mapping.identity_metrics")
NOT_EVALUATED = replace(FAILED, outcome="not evaluated", problem="no such column")


@pytest.mark.parametrize(
    ("kind", "changes", "section", "word"),
    [
        ("failure", {}, "check-failed", "FAILED"),
        ("failure", {"results": (NOT_EVALUATED,)}, "not-evaluated", "FAILED"),
        ("failure", {"results": (NOT_EVALUATED, FAILED)}, "check-failed", "FAILED"),
        ("failure", {"results": (IDENTITY,)}, "identity", "FAILED"),
        ("failure", {"results": (WARNED,)}, "warning-digest", "WARNING"),
        ("failure", {"results": (), "exception": "x"}, "task-failed", "FAILED"),
        ("failure", {"results": (), "exception": "x", "exception_kind": "quarantine"}, "quarantine", "FAILED"),
        ("failure", {"results": (), "exception": "x", "exception_kind": "deadline"}, "deadline-missed", "LATE"),
        ("reminder", {"results": (), "exception": "x", "exception_kind": "deadline"}, "deadline-missed", "STILL LATE"),
        ("failure", {"results": (), "exception": "x", "task_id": "publish"}, "publish-failed", "FAILED"),
        ("failure", {"results": (), "missing": (LATE,)}, "late-source", "LATE"),
        ("failure", {"results": (FAILED,), "missing": (LATE,)}, "late-source", "FAILED"),
        ("failure", {"results": (IDENTITY,), "missing": (LATE,)}, "identity", "FAILED"),
        ("change", {"results": (), "warnings": {"raw.x": ("new column",)}}, "drift", "WARNING"),
        ("digest", {"results": ()}, "warning-digest", "WELL AGAIN"),
        ("recovery", {"results": ()}, "recovery", "WELL AGAIN"),
    ],
)
def test_every_mail_links_to_its_section_of_the_runbook(kind, changes, section, word):
    mail = sent(replace(ALERT, runbook=RUNBOOK, **changes), kind)
    assert mail["X-Tagloom-Kind"] == section
    assert mail["Subject"].startswith(f"[Tagloom] {word}: ")
    text, html = bodies(mail)
    assert f"{RUNBOOK}#{section}" in text
    assert f"{RUNBOOK}#{section}" in Text(html).links


def test_an_alarm_links_to_the_runbook_too():
    alarm = Alarm("web: shop", "Payments", "30 % of what is usual", "web@example.com", "Look at the provider.")
    assert sent(replace(ALERT, results=(), alarms=(alarm,), runbook=RUNBOOK))["X-Tagloom-Kind"] == "channel-alarm"


def test_without_a_runbook_there_is_no_link():
    assert "runbook" not in "".join(bodies(sent(ALERT)))


def test_what_is_held_and_what_is_released_is_named():
    for kind, changes, word in (
        ("failure", {"held": ("2 tags", "audience_lapsed")}, "Held back:"),
        ("recovery", {"released": ("2 tags", "audience_lapsed")}, "Released:"),
    ):
        text, html = bodies(sent(ALERT, kind, **changes))
        assert f"{word} 2 tags, audience_lapsed" in " ".join(text.split())
        assert f"{word} 2 tags audience_lapsed" in Text(html).text
    assert "Held back" not in "".join(bodies(sent(ALERT)))


def test_a_late_source_is_told_with_what_depends_on_it():
    impact = {"staging.*": Dependents(tags=("age_band",), audiences=("audience_lapsed",))}
    alert = replace(ALERT, title=LATE.title, results=(PASSED,), missing=(LATE,), impact=impact, consequence="")
    mail = sent(alert)
    assert mail["Subject"] == "[Tagloom] LATE: deliveries of loyalty"
    assert mail["Importance"] == "high"
    text, html = bodies(mail)
    for words in (text, Text(html).text):
        for fact in ("Nothing came.", "Ask for the file.", "loyalty@example.com", "age_band", "audience_lapsed"):
            assert fact in words
    two = replace(alert, missing=(LATE, replace(LATE, subject="late pos")))
    assert sent(two)["Subject"].endswith(", 2 sources")


def test_a_failed_task_says_what_depends_on_it():
    impact = {"raw_crm.*": Dependents(tags=("age_band",))}
    alert = replace(ALERT, results=(), exception="no answer", table="raw_crm.*", impact=impact)
    text, html = bodies(sent(alert))
    assert "1 tag: age_band" in text
    assert "RAW_CRM.*" in text
    assert "age_band" in Text(html).text
    nameless = replace(alert, table="", impact={"": Dependents(tags=("age_band",))})
    assert "1 tag: age_band" in bodies(sent(nameless))[0]
