"""Twelve ways in which the world breaks, through real DAG runs: one right mail, what depends on it held, one recovery.

A home is made once: a clean world of three weeks, tags of the day before the last. Then one thing after another breaks
there and is repaired, in one process, against one mail server. What shows in what landed stops the build before its
first layer; the repair then is shown by the same checks. What shows only in tags needs the whole build, once broken and
once repaired: drifted tags, a channel and a full disk share these two, since each is told by a mail of its own.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from email.message import EmailMessage

import pytest
from tagloom.publish import open_current
from tagloom.settings import PROJECT
from tagloom.sources import load_sources

from sample_data.landing import last_local_day
from tests.pipeline.broken_world import MINUTES, busy_world, copy_project, mail_server
from tests.pipeline.conftest import settings_of
from tests.pipeline.dag_runs import Server
from tests.pipeline.ways_to_break import DAYS, ENOUGH_PERSONS, PARTS, Stage, set_stage

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


WELL = "WELL AGAIN"
"""How the subject of a recovery mail begins."""

EVERYBODY = "data-team@example.com"
"""Hears of everything."""


@dataclass(frozen=True)
class Breakage:
    """What a way to break the world must lead to."""

    title: str
    """What the subject calls it."""
    kind: str
    """Section of the runbook that the mail names."""
    owner: str
    """Who hears of it besides those who hear of everything."""
    says: tuple[str, ...]
    """Patterns of the text: what is wrong and how badly."""
    severity: str = "FAILED"
    """How the subject begins."""
    table: str = ""
    """<schema>.<table> that it is about."""
    source: str = ""
    """<source>.<table> whose tags are held; `all` for the tags of all; empty when nothing is."""
    audiences: tuple[str, ...] = ()
    """Audiences that are held."""


BIRTHDAY, DORMANT = "audience_birthday_next_month", "audience_dormant_big_spenders"

BREAKAGES = {
    "late source": Breakage(
        title="deliveries of loyalty",
        severity="LATE",
        kind="late-source",
        owner="loyalty@example.com",
        says=("are needed; what has landed ends with",),
        table="raw_loyalty.cards",
        source="loyalty.cards",
        audiences=(BIRTHDAY, DORMANT),
    ),
    "empty delivery": Breakage(
        title="checks of landing",
        kind="check-failed",
        owner="stores@example.com",
        says=("till lines", r"Measured:\s+0"),
        table="raw_pos.basket_lines",
        source="pos.basket_lines",
        audiences=(BIRTHDAY, DORMANT),
    ),
    "duplicated delivery": Breakage(
        title="checks of landing",
        kind="check-failed",
        owner="stores@example.com",
        says=("No product is in a basket twice", r"Measured:\s+\d{2,3}\s", r"Allowed:\s+exactly 0"),
        table="raw_pos.basket_lines",
        source="pos.basket_lines",
        audiences=(BIRTHDAY, DORMANT),
    ),
    "column renamed": Breakage(
        title="landing of survey",
        kind="task-failed",
        owner="research@example.com",
        says=("lacks the required column card_number", "perhaps card_no is what card_number"),
        table="raw_survey.respondents",
        source="survey.respondents",
    ),
    "nulls in a key": Breakage(
        title="landing of support",
        kind="quarantine",
        owner="service@example.com",
        says=(r"\d{2} of \d{2} rows are bad \(3[0-6]\.\d%\)", "ticket_id is missing"),
        table="raw_support.tickets",
        source="support.tickets",
    ),
    "unit change": Breakage(
        title="checks of landing",
        kind="check-failed",
        owner="stores@example.com",
        says=("A till line of the day is worth about as much", r"Measured:\s+(9\d|10\d)[.\d]* times"),
        table="raw_pos.basket_lines",
        source="pos.basket_lines",
        audiences=(BIRTHDAY, DORMANT),
    ),
    "category explosion": Breakage(
        title="checks of landing",
        kind="check-failed",
        owner="assortment@example.com",
        says=("categor",),
        table="raw_catalogue.products",
        source="catalogue.products",
        audiences=(BIRTHDAY,),
    ),
    "contract typo": Breakage(
        title="checks of landing",
        kind="not-evaluated",
        owner="stores@example.com",
        says=("'?duplicates'?: is not a known key; did you mean 'duplicate'",),
        table="raw_wifi.sightings",
        source="wifi.sightings",
    ),
    "over-merge": Breakage(
        title="checks of identity mapping",
        kind="identity",
        owner="",
        says=("two names and two birth dates", r"Measured:\s+[1-9]\d[.\d]* %"),
        table="identity_mapping.identity_metrics",
        source="all",
        audiences=(BIRTHDAY, DORMANT),
    ),
    "tag drift": Breakage(
        title="checks of tag integration",
        severity="WARNING",
        kind="warning-digest",
        owner="",
        says=(
            "Few tags have other values than on the day before",
            r"Measured:\s+(1\d|2\d|3\d)(\.\d+)? ?%",
            "For example person, favourite_department",
            "person, fixed_rfm_cell",
        ),
        table="tag_integration.tag_statistics",
    ),
    "disk full": Breakage(
        title="publishing",
        kind="publish-failed",
        owner="",
        says=("[Nn]o space left on device",),
        source="all",
        audiences=(BIRTHDAY, DORMANT),
    ),
    "channel collapse": Breakage(
        title="channels",
        severity="ALARM",
        kind="channel-alarm",
        owner="online@example.com",
        says=(
            r"Payments that go through, web shop\s+0\.0% on the last 3 days, below 80% of the mean of",
            # What is not paid is not bought either.
            "Carts that are bought, by entry channel",
        ),
    ),
}
"""Everything that breaks, in the order in which it does."""


SHARED = "drift, channel and disk"
"""The part that breaks what only a whole build shows."""

OWN_PARTS = tuple(name for name in PARTS if name in BREAKAGES and name != "over-merge")
"""Breakages that begin and end in a part of their own."""


@dataclass(frozen=True)
class Played:
    """What came of it all."""

    stage: Stage
    results: list[dict]
    mails: list[tuple[float, EmailMessage]]
    """With the moment at which each came."""

    def results_of(self, part: str) -> list[dict]:
        """What the steps of a part gave."""
        return [result for result in self.results if result["part"] == part]

    def states_of(self, part: str) -> list[dict]:
        """What was open and held, each time that the part asks."""
        return [result["returned"] for result in self.results_of(part) if isinstance(result.get("returned"), dict)]

    def runs_of(self, part: str) -> list[tuple[str, str]]:
        """DAGs of a part and how their runs ended."""
        return [(result["dag"], result["state"]) for result in self.results_of(part) if "dag" in result]

    @property
    def had_full_disk(self) -> bool:
        """Whether this machine let a test make a disk of its own, which could be full."""
        return any(result.get("returned") is True for result in self.results_of(SHARED))

    def mails_of(self, name: str, severity: str) -> list[EmailMessage]:
        """Mails about a breakage, in the order in which they came."""
        breakage = BREAKAGES[name]
        parts = [name] if name in OWN_PARTS else [part for part in PARTS if part not in OWN_PARTS]
        steps = [step for part in parts for step in self.results_of(part)]
        return [
            mail
            for moment, mail in self.mails
            if steps[0]["began"] <= moment <= steps[-1]["ended"]
            and re.match(rf"\[Tagloom\] {severity}: {breakage.title}(,| -|$)", _subject(mail))
        ]


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    """Everything that breaks, one after the other, in a home that was well."""
    folder = tmp_path_factory.mktemp("breakages")
    project, world, sources = (
        copy_project(folder / "project"),
        busy_world(DAYS, persons=ENOUGH_PERSONS),
        load_sources(PROJECT / "sources"),
    )
    stage = Stage(folder / "home", project, world, last_local_day(world), sources)
    server = Server(folder, project)
    try:
        set_stage(stage, server)
        yield play(stage, server, PARTS)
    finally:
        server.close()


def play(stage: Stage, server: Server, parts: dict[str, Callable[[Stage], list[dict]]]) -> Played:
    """Break and repair, part by part, in one process."""
    steps = [{**step, "part": part} for part, make in parts.items() for step in make(stage)]
    mounts = {"call": "tests.pipeline.looks:own_mounts", "part": "before"}
    with mail_server() as (box, url):
        results = server.start(stage.home, "play", [mounts, *steps], TAGLOOM_SMTP_URL=url).wait(MINUTES * 60)
        return Played(stage, results, list(box.received))


def _skip_without_full_disk(played: Played, name: str) -> None:
    if name == "disk full" and not played.had_full_disk:
        pytest.skip("this machine lets no test mount a small disk")


def _subject(mail: EmailMessage) -> str:
    return " ".join(mail["Subject"].split())


def _text(mail: EmailMessage) -> str:
    return mail.get_body(("plain",)).get_content().replace("\r\n", "\n")


SURVEY_TAGS = {
    "age_band",
    "has_kids",
    "home_ownership",
    "household.has_children",
    "household_size",
    "household_type",
    "income_band",
    "income_tier",
    "kids_count",
    "life_stage",
    "marital_status",
    "spend_headroom_365d",
    "spend_percentile_in_age_band",
}
"""What comes from the survey, as people know it."""


def catalogue(stage: Stage) -> list[tuple[str, str, set[str]]]:
    """Tag, model and source tables of every tag in the published catalogue."""
    with open_current(settings_of(stage.home)) as connection:
        rows = connection.execute(
            "select object, tag, model, coalesce(upstream_sources, '') from tag_integration.tag_catalog"
        ).fetchall()
    return [
        (tag if owner == "person" else f"{owner}.{tag}", model, {*sources.split(", ")})
        for owner, tag, model, sources in rows
    ]


def everything(stage: Stage) -> set[str]:
    """Every tag."""
    return {tag for tag, _, _ in catalogue(stage)}


def tags_of(stage: Stage, source: str) -> tuple[set[str], set[str]]:
    """Tags whose columns come from a source table, and those whose models read it, but for who is who."""
    manifest = json.loads((settings_of(stage.home).dbt_target / "manifest.json").read_text(encoding="utf-8"))
    schema, table = source.split(".")
    reached, waiting = (
        set(),
        [
            name
            for name, node in manifest["sources"].items()
            if (node["schema"], node["identifier"]) == (f"raw_{schema}", table)
        ],
    )
    while waiting:
        name = waiting.pop()
        path = manifest["nodes"].get(name, {}).get("original_file_path", "")
        if name not in reached and not path.startswith("models/identity_mapping/"):
            reached.add(name)
            waiting += manifest["child_map"][name]
    models = {manifest["nodes"][name]["name"] for name in reached if name in manifest["nodes"]}
    tags = catalogue(stage)
    return {tag for tag, _, sources in tags if source in sources}, {tag for tag, model, _ in tags if model in models}


FAILING = [name for name, breakage in BREAKAGES.items() if breakage.severity in ("FAILED", "LATE")]


@pytest.mark.parametrize("name", BREAKAGES)
def test_each_breakage_gives_each_recipient_one_mail_and_one_when_it_is_well(played: Played, name: str) -> None:
    _skip_without_full_disk(played, name)
    expected = {EVERYBODY: 1, **({BREAKAGES[name].owner: 1} if BREAKAGES[name].owner else {})}
    told = played.mails_of(name, BREAKAGES[name].severity)
    well = played.mails_of(name, WELL)
    assert Counter(mail["To"] for mail in told) == expected
    assert Counter(mail["To"] for mail in well) == expected
    assert {mail["X-Tagloom-Kind"] for mail in well} == {"recovery"}


@pytest.mark.parametrize("name", BREAKAGES)
def test_the_mail_is_the_right_one(played: Played, name: str) -> None:
    breakage = BREAKAGES[name]
    for mail in played.mails_of(name, breakage.severity):
        assert mail["X-Tagloom-Kind"] == breakage.kind
        text, page = _text(mail), mail.get_body(("html",)).get_content()
        for pattern in breakage.says:
            assert re.search(pattern, text), f"{pattern} is not in\n{text}"
        assert re.search(rf"https?://\S+#{breakage.kind}\s", text)
        assert re.search(rf'href="https?://[^"]+#{breakage.kind}"', page)
        assert not breakage.table or breakage.table in text.lower()
        assert not breakage.owner or breakage.owner in text


def test_every_mail_is_about_something_that_broke(played: Played) -> None:
    known = [
        mail
        for name, breakage in BREAKAGES.items()
        for severity in (breakage.severity, WELL)
        for mail in played.mails_of(name, severity)
    ]
    assert sorted(_subject(mail) for _, mail in played.mails) == sorted(_subject(mail) for mail in known)


@pytest.mark.parametrize("kind", sorted({breakage.kind for breakage in BREAKAGES.values()} | {"recovery"}))
def test_the_runbook_has_the_section_that_mails_link_to(kind: str) -> None:
    headings = re.findall(r"^#+ (.+)$|<a (?:id|name)=\"([^\"]+)\"", (PROJECT / "docs" / "runbook.md").read_text(), re.M)
    anchors = {anchor or re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading, anchor in headings}
    assert kind in anchors


@pytest.mark.parametrize("name", [name for name in FAILING if name in OWN_PARTS])
def test_what_depends_on_it_is_held_until_it_is_well(played: Played, name: str) -> None:
    broken, well = played.states_of(name)
    (hold,) = broken["holds"]
    assert hold["table"] == BREAKAGES[name].table
    columns, models = tags_of(played.stage, BREAKAGES[name].source)
    assert set(hold["tags"]) == columns
    assert columns
    if name != "late source":
        # What stands on a card comes to the tags by the golden record, which is part of who is who.
        assert columns <= models
    assert set(hold["others"].get("audience", ())) == set(BREAKAGES[name].audiences)
    assert [one for one in well["incidents"] if one["severity"] == "failed"] == []
    assert well["holds"] == []


def test_a_survey_that_fails_holds_what_people_know_from_surveys(played: Played) -> None:
    ((hold,), _) = [state["holds"] or [None] for state in played.states_of("column renamed")]
    assert set(hold["tags"]) == SURVEY_TAGS


def test_persons_mixed_up_hold_everything(played: Played) -> None:
    ((hold,),) = [state["holds"] for state in played.states_of("over-merge")]
    assert hold["table"] == BREAKAGES["over-merge"].table
    assert set(hold["tags"]) == everything(played.stage)


def test_a_version_that_is_not_published_holds_everything_and_nothing_else_does(played: Played) -> None:
    _skip_without_full_disk(played, "disk full")
    (unpublished, alarmed) = played.states_of(SHARED)
    (hold,) = unpublished["holds"]
    assert "publish" in hold["reason"].lower()
    assert set(hold["tags"]) == everything(played.stage)
    assert alarmed["holds"] == unpublished["holds"], "an alarm of a channel holds nothing: its tables are right"


def test_drifted_tags_are_a_warning_that_holds_nothing(played: Played) -> None:
    table = BREAKAGES["tag drift"].table
    (warned, _), (well,) = played.states_of(SHARED), played.states_of("all well")
    assert [one["severity"] for one in warned["incidents"] if one["table"] == table] == ["warning"]
    assert [hold for hold in warned["holds"] if hold["table"] == table] == []
    assert [one for one in well["incidents"] if one["table"] == table] == []


def test_in_the_end_nothing_is_wrong_or_held(played: Played) -> None:
    (end,) = played.states_of("all well")
    assert [one for one in end["incidents"] if one["severity"] == "failed"] == []
    assert end["holds"] == []


def test_readers_keep_the_version_before_until_all_is_well(played: Played) -> None:
    _skip_without_full_disk(played, "disk full")
    versions = [result["version"] for result in played.results if "version" in result]
    changes = [version for number, version in enumerate(versions) if number == 0 or version != versions[number - 1]]
    assert [version[:8] for version in changes] == [
        f"{played.stage.day - timedelta(days=1):%Y%m%d}",
        f"{played.stage.day:%Y%m%d}",
    ]
    assert played.results_of("all well")[-2]["version"] == changes[1]
