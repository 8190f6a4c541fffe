"""The runbook as a page: an anchor for each section, and no link that leads nowhere."""

from __future__ import annotations

import re

from tagloom.portal.pages.runbook import RUNBOOK, anchor, as_html

SECTIONS = (
    *("check-failed", "not-evaluated", "task-failed", "deadline-missed", "drift", "quarantine", "channel-alarm"),
    *("identity", "late-source", "publish-failed", "warning-digest", "recovery"),
)
"""What mails link to."""


def test_every_kind_of_mail_has_its_section():
    title, sections, body = as_html(RUNBOOK.read_text(encoding="utf-8"))
    anchors = [name for name, _ in sections]
    assert title == "Runbook"
    assert set(SECTIONS) <= set(anchors)
    for name in SECTIONS:
        assert body.count(f'id="{name}"') == 1


def test_links_to_files_are_text_and_others_stay():
    text = "# T\n\n## One `a`\n\n[file](alerts.md#x) [part](#two) [web](https://example.com)\n\n### Two\n"
    _, sections, body = as_html(text)
    assert sections == (("one-a", "One a"),)
    assert '<h3 id="two"' in body
    assert "<span>file</span>" in body
    assert re.findall(r'href="([^"]+)"', body) == ["#two", "https://example.com"]
    assert body.count("</a>") == 2


def test_html_in_the_text_is_shown_and_not_used():
    assert "&lt;script&gt;" in as_html("# T\n\nx <script>alert(1)</script>\n")[2]


def test_anchors_are_those_of_github():
    assert anchor("Too many mails, or none") == "too-many-mails-or-none"
    assert anchor("Check failed") == "check-failed"
