"""Alert mails hold the same facts as text and as HTML, for those they concern, once."""

import re
from dataclasses import replace
from datetime import date
from email import message_from_bytes, policy
from html.parser import HTMLParser

import pytest
from tagloom.alerts import SHOWN_NAMES, Alert, alert_messages
from tagloom.lineage import Dependents
from tagloom.mail import queue
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


def bodies(message) -> tuple[str, str]:
    """Text and HTML, after a journey through bytes as a mail makes it."""
    message = message_from_bytes(message.as_bytes(), policy=policy.default)
    assert message.get_content_type() == "multipart/alternative"
    text, html = message.iter_parts()
    assert (text.get_content_type(), html.get_content_type()) == ("text/plain", "text/html")
    return text.get_content(), html.get_content()


def mails(alert: Alert, *recipients: str) -> dict:
    return {message["To"]: message for message in alert_messages(alert, recipients, SENDER)}


def test_text_and_html_hold_every_fact():
    message = mails(ALERT, "data@example.com")["data@example.com"]
    assert message["Subject"] == (
        "[Tagloom] FAILED: staging of loyalty cards, 1 check of 3 - tags of 2017-12-31 not published"
    )
    text, html = bodies(message)
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
    _, html = bodies(mails(alert, "data@example.com")["data@example.com"])
    page = Text(html)
    assert not {"script", "img", "link", "iframe", "b"} & set(page.tags)
    assert evil in page.text
    assert [link for link in page.links if not link.startswith("mailto:")] == ["https://example.com/?a=1&b=2"]
    assert "url(" not in html
    assert "@import" not in html


def test_html_knows_phones_and_dark_mode():
    _, html = bodies(mails(ALERT, "data@example.com")["data@example.com"])
    assert 'name="viewport"' in html
    assert "prefers-color-scheme: dark" in html
    assert "max-width: 480px" in html


def test_each_recipient_gets_one_mail_with_what_concerns_them():
    found = mails(ALERT, "data@example.com", "DATA@example.com ")
    assert set(found) == {"data@example.com", "loyalty@example.com", "stores@example.com"}
    loyalty, _ = bodies(found["loyalty@example.com"])
    assert "At most 1 % of the cards" in loyalty
    assert "till lines" not in loyalty
    stores, _ = bodies(found["stores@example.com"])
    assert "till lines" in stores
    assert "At most 1 % of the cards" not in stores
    assert found["loyalty@example.com"]["Subject"].startswith(
        "[Tagloom] FAILED: staging of loyalty cards, 1 check of 2"
    )
    assert found["stores@example.com"]["Subject"].startswith("[Tagloom] WARNING: ")


def test_an_owner_who_is_a_default_recipient_gets_one_mail_with_everything():
    found = mails(ALERT, "loyalty@example.com")
    assert set(found) == {"loyalty@example.com", "stores@example.com"}
    assert "till lines" in bodies(found["loyalty@example.com"])[0]


def test_a_result_without_an_owner_goes_to_all():
    unreadable = replace(
        FAILED, owner="", table="", check_type="contract", outcome="not evaluated", problem="x.yml: line 3: is not YAML"
    )
    found = mails(replace(ALERT, results=(FAILED, unreadable)), "data@example.com")
    for message in found.values():
        text, html = bodies(message)
        assert "x.yml: line 3: is not YAML" in text
        assert "x.yml: line 3: is not YAML" in Text(html).text
        assert "2 checks of 2" in message["Subject"]


def test_a_task_that_failed_by_itself():
    alert = replace(
        ALERT,
        title="delivery of tills",
        results=(),
        exception="pos: 5 % bad rows in\nbasket_lines of 2017-12-31",
        owner="stores@example.com",
        what_to_do="Ask the stores for the delivery again.",
    )
    found = mails(alert, "data@example.com")
    assert set(found) == {"data@example.com", "stores@example.com"}
    assert found["data@example.com"]["Subject"] == (
        "[Tagloom] FAILED: delivery of tills - tags of 2017-12-31 not published"
    )
    text, html = bodies(found["stores@example.com"])
    for fact in ["pos: 5 % bad rows in", "basket_lines of 2017-12-31", "Ask the stores for the delivery again."]:
        assert fact in text
        assert fact in Text(html).text


def test_nothing_wrong_is_no_mail():
    assert alert_messages(replace(ALERT, results=(PASSED,)), ["data@example.com"], SENDER) == []


def test_long_lists_are_counted():
    tags = tuple(f"tag_{number:02}" for number in range(SHOWN_NAMES + 8))
    alert = replace(ALERT, impact={"staging.cards": Dependents(tags=tags)})
    text, html = bodies(mails(alert, "data@example.com")["data@example.com"])
    for body in (text, Text(html).text):
        assert f"{SHOWN_NAMES + 8} tags" in body
        assert tags[SHOWN_NAMES - 1] in body
        assert tags[SHOWN_NAMES] not in body
        assert "and 8 more" in body


def test_tags_through_identity_are_counted_only():
    dependents = Dependents(tags=("a_tag", "b_tag"), tags_by_identity=("b_tag",))
    alert = replace(ALERT, impact={"staging.cards": dependents})
    text, html = bodies(mails(alert, "data@example.com")["data@example.com"])
    for body in (text, Text(html).text):
        assert "1 tag through identity mapping" in body
        assert "a_tag" in body
        assert "b_tag" not in body


def test_unknown_lineage_is_said():
    alert = replace(ALERT, impact={"staging.cards": Dependents(note="What depends on it is not known.")})
    text, html = bodies(mails(alert, "data@example.com")["data@example.com"])
    assert "What depends on it is not known." in text
    assert "What depends on it is not known." in Text(html).text


def test_a_title_with_a_line_break_makes_no_header():
    message = mails(replace(ALERT, title="cards\nBcc: all@example.com"), "data@example.com")["data@example.com"]
    assert message["Bcc"] is None
    assert "cards Bcc: all@example.com" in message["Subject"]


@pytest.mark.parametrize(
    ("change", "again"),
    [
        ({}, False),
        ({"run_id": "run-2"}, True),
        ({"results": (FAILED,)}, True),
        ({"task_id": "check_serving"}, True),
        ({"dag_id": "ingest_pos"}, True),
    ],
)
def test_the_same_alert_is_one_mail(tmp_path, change, again):
    (first, *_) = alert_messages(ALERT, ["data@example.com"], SENDER)
    (second, *_) = alert_messages(replace(ALERT, **change), ["data@example.com"], SENDER)
    assert queue(first, tmp_path) is not None
    assert (queue(second, tmp_path) is not None) == again
