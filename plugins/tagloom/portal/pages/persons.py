"""One person: looked up by any identifier, then tags with their reasons, facts, audiences, identifiers, history.

What somebody types to find a person is posted, hashed and forgotten: it stands in no address, log or table. Each look
at a person is written into the audit log.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Depends
from sqlalchemy import select
from starlette.responses import Response

from tagloom.identity.identifiers import IdentifierError
from tagloom.identity.policy import Policy
from tagloom.portal import profile
from tagloom.portal.errors import NotFoundError
from tagloom.portal.page import Page, page_of
from tagloom.portal.rights import needs
from tagloom.portal.security import Limiter
from tagloom.portal.store.audit import AuditEntry
from tagloom.settings import SettingsError, identity_key

if TYPE_CHECKING:
    from tagloom.audiences.evaluate import Reason
    from tagloom.audiences.library import SavedAudience
    from tagloom.portal.serving import Tag

router = APIRouter()

LOOKED_UP = "person looked up"
"""Action in the audit log: somebody opened a person, or searched for one."""

MISSES = Limiter(per_minute=60)
"""Look-ups that find nobody, by user, a quarter of it at once: who tries all phone numbers is slowed down."""

RECENT = 8
"""Persons that somebody looked at last and may want again."""

FEWEST = 10
"""Groups of fewer persons are not counted for who may not see personal data."""


@dataclass(frozen=True)
class Membership:
    """A saved audience and whether the person is in it."""

    audience: SavedAudience
    is_in: bool
    reasons: list[Reason]
    """What each condition says of the person; the first is the whole rule."""
    problem: str
    """Why it cannot be told, such as a tag that is not published any more; empty when it can."""


@router.get("/persons", dependencies=[needs("see_person")])
def search_form(page: Page = Depends(page_of)) -> Response:
    """Ask whom to look up."""
    return _search_page(page)


@router.post("/persons", dependencies=[needs("see_person")])
def search(page: Page = Depends(page_of)) -> Response:
    """Find the person of a typed identifier and go there; the value is neither kept nor shown again."""
    policy = profile.policy_in_force()
    kind = str(page.form.get("kind", ""))
    text = str(page.form.get("value", "")).strip()
    if kind != "person" and kind not in policy.identifier_types:
        raise NotFoundError(page.t("There is no such kind of identifier."), page.t("Choose one from the list."))
    if not text:
        return _search_page(page, policy, kind, page.t("Type what you know of the person."))
    try:
        found = profile.look_up(page.snapshot, kind, text, policy, b"" if kind == "person" else identity_key())
    except (IdentifierError, SettingsError) as error:
        problem = str(error) if isinstance(error, SettingsError) else _not_readable(page, kind, policy)
        return _search_page(page, policy, kind, problem)
    if found.person is None:
        page.audit(LOOKED_UP, found.subject, "nobody")
        MISSES.take(page.user.name)
        return _search_page(page, policy, kind, _nobody(page, kind, policy))
    return page.redirect(f"/persons/{found.person}")


@router.get("/persons/{person_id:int}", dependencies=[needs("see_person")])
def person(person_id: int, tab: str = "tags", page: Page = Depends(page_of)) -> Response:
    """Show a person; a number that was merged into another leads there."""
    tabs = ("tags", "timeline", "audiences", "identifiers", "history")
    tab = tab if tab in tabs else "tags"
    snapshot = page.snapshot
    living, way = _found(page, person_id)
    if way:
        notice = page.t("Person {old} was merged into person {new}.", old=person_id, new=living)
        return page.redirect(f"/persons/{living}", notice)
    page.audit(LOOKED_UP, f"person:{person_id}", tab)
    values = profile.values_of(snapshot, person_id, see_personal=page.may("see_personal"))
    return page.render(
        "persons/person.html",
        tab=tab,
        person=person_id,
        highlights=_highlights(values),
        **_tab(page, tab, person_id, values),
    )


@router.get("/persons/{person_id:int}/tags/{name}", dependencies=[needs("see_person")])
def value(person_id: int, name: str, page: Page = Depends(page_of)) -> Response:
    """Show why a person has a value: what the tag means, which facts it rests on, how it has changed."""
    snapshot = page.snapshot
    tag = snapshot.tags.get(name)
    if tag is None:
        raise NotFoundError(
            page.t("There is no published tag {name}.", name=name), page.t("The catalogue lists all tags.")
        )
    living, way = _found(page, person_id)
    if way:
        return page.redirect(f"/persons/{living}/tags/{name}")
    page.audit(LOOKED_UP, f"person:{person_id}", f"tag {name}")
    values = profile.values_of(snapshot, person_id, see_personal=page.may("see_personal"))
    shown = next(one for one in values if one.tag.name == name)
    facts, number = profile.facts_behind(snapshot, person_id, tag)
    history = [] if shown.is_hidden else profile.history_of(snapshot, person_id, name)
    return page.render(
        "persons/value.html",
        person=person_id,
        shown=shown,
        tag=tag,
        others=_others(page, tag, shown),
        facts=facts,
        fact_number=number,
        sources=profile.sources_of(tag),
        event_titles=_event_titles(page),
        history=history,
        command=f"make explain PERSON={person_id} TAG={name}",
    )


def _search_page(page: Page, policy: Policy | None = None, kind: str = "", problem: str = "") -> Response:
    titles = profile.identifier_titles(policy or profile.policy_in_force(), page.language)
    kinds = [("person", page.t("Person number")), *sorted(titles.items(), key=lambda item: item[1])]
    has_identifiers = "serving.person_identifiers" in page.snapshot.tables
    return page.render(
        "persons/search.html",
        kinds=kinds if has_identifiers else kinds[:1],
        kind=kind or ("loyalty_card" if has_identifiers and "loyalty_card" in titles else "person"),
        problem=problem,
        recent=_recent(page),
    )


def _not_readable(page: Page, kind: str, policy: Policy) -> str:
    title = profile.identifier_titles(policy, page.language)[kind]
    hints = {
        "phone": page.t("Write it with its country code, such as +1 612 555 0100."),
        "device_mac": page.t("It has twelve hexadecimal digits, such as a4:5e:60:c2:91:0f."),
    }
    sentence = page.t("This cannot be read as: {kind}.", kind=title)
    return f"{sentence} {hints[kind]}" if kind in hints else sentence


def _nobody(page: Page, kind: str, policy: Policy) -> str:
    if kind == "person":
        return page.t("There is no person with this number, and none was merged into another.")
    title = profile.identifier_titles(policy, page.language)[kind]
    return page.t(
        "No person has this: {kind}. It may be spelt differently in the source, or new since the last build.",
        kind=title,
    )


def _recent(page: Page) -> list[int]:
    """Persons that the user looked at last, the newest first."""
    subjects = page.store.scalars(
        select(AuditEntry.subject)
        .where(
            AuditEntry.user_name == page.user.name,
            AuditEntry.action == LOOKED_UP,
            AuditEntry.subject.startswith("person:"),
            AuditEntry.detail != "nobody",
        )
        .order_by(AuditEntry.id.desc())
        .limit(20 * RECENT)
    )
    numbers = dict.fromkeys(int(subject.removeprefix("person:")) for subject in subjects)
    return list(numbers)[:RECENT]


def _found(page: Page, person_id: int) -> tuple[int, list[int]]:
    """The living person of a number and the numbers on the way there. Raises NotFoundError."""
    living, way = profile.living_person(page.snapshot, person_id) if person_id < 2**63 else (None, [])
    if living is None:
        page.audit(LOOKED_UP, f"person:{person_id}", "nobody")
        raise NotFoundError(
            page.t("Nobody has the number {number} in version {name}.", number=person_id, name=page.snapshot.name),
            page.t("Look the person up by an identifier."),
        )
    return living, way


def _tab(page: Page, tab: str, person_id: int, values: list[profile.Value]) -> dict[str, Any]:
    """What one tab needs besides the head of the page."""
    snapshot = page.snapshot
    query = page.request.query_params
    hidden = {one.tag.name for one in values if one.is_hidden}
    match tab:
        case "timeline":
            event = query.get("event", "")
            number = query.get("page", "1")
            here = max(int(number), 1) if number.isdecimal() and len(number) < 7 else 1
            facts, total = profile.facts_of(snapshot, person_id, event, here)
            months = profile.months_of(snapshot, person_id, event)
            return {
                "events": profile.events_of(snapshot, person_id),
                "event": event,
                "facts": facts,
                "fact_number": total,
                "page_number": here,
                "last_page": max(-(-total // profile.FACTS_A_PAGE), 1),
                "months": months,
                "month_names": [f"{one['month']:%Y-%m}" for one in months],
                "event_titles": _event_titles(page),
            }
        case "audiences":
            return {"memberships": _memberships(page, person_id), "hidden_tags": hidden}
        case "identifiers":
            return {
                "identifiers": profile.identifiers_of(snapshot, person_id),
                "titles": profile.identifier_titles(profile.policy_in_force(), page.language),
                "attributes": profile.attributes(snapshot, person_id),
                "household": profile.household_of(snapshot, person_id),
                "merged": profile.merged_numbers(snapshot, person_id),
                "consent_tags": [one for one in values if one.tag.category.startswith(CONSENT_CATEGORIES)],
            }
        case "history":
            rows = [row for row in profile.history_of(snapshot, person_id) if row["tag"] not in hidden]
            return {"history": rows, "tags": snapshot.tags}
    groups: dict[str, list[profile.Value]] = {}
    for one in values:
        groups.setdefault(one.tag.category.partition("/")[0], []).append(one)
    return {
        "groups": [
            {
                "title": page.t(name.replace("_", " ").capitalize()),
                "known": sum(one.is_known for one in group),
                # What is known first; within that, tags of one branch stay together.
                "values": sorted(group, key=lambda one: (not one.is_known, one.tag.category)),
            }
            for name, group in sorted(groups.items())
        ],
        "known_number": sum(one.is_known for one in values),
        "all_number": len(values),
    }


CONSENT_CATEGORIES = ("channel/consent", "channel/reachable")
"""Where the catalogue has the tags that say how a person may be reached."""


def _event_titles(page: Page) -> dict[str, str]:
    rows = page.snapshot.rows("select event, title, title_zh from serving.event_catalog")
    return {row["event"]: page.title(row) or row["event"] for row in rows}


HIGHLIGHTS = (
    "lifecycle_stage",
    "rfm_segment",
    "loyalty_level",
    "churn_risk_band",
    "contact_channel",
    "last_order_date",
    "orders_365d",
    "spend_365d",
)
"""Tags that say most of a person in the head of the page; those that this installation does not have are left out."""


def _highlights(values: list[profile.Value]) -> list[profile.Value]:
    known = {one.tag.name: one for one in values if one.value is not None}
    return [known[name] for name in HIGHLIGHTS if name in known]


def _others(page: Page, tag: Tag, shown: profile.Value) -> tuple[int | None, bool]:
    """How many persons have the value too, and whether that is too few to be told; None where it says nothing."""
    comparable = tag.data_type in ("boolean", "text") or (tag.data_type == "integer" and tag.unit != "")
    if shown.is_hidden or shown.value is None or not comparable:
        return None, False
    number = profile.share_of_value(page.snapshot, tag, shown.value)
    if number < FEWEST and not page.may("see_personal"):
        return None, True
    return number, False


def _memberships(page: Page, person_id: int) -> list[Membership]:
    """Every saved audience with whether the person is in it and why; those the person is in come first."""
    from tagloom.audiences import evaluate, library
    from tagloom.audiences.rules import RuleError

    saved = library.list_audiences(page.store)
    names = {audience.id: audience.name for audience in saved}
    of = library.definitions(page.store)
    found = []
    for audience in saved:
        try:
            reasons = evaluate.why(
                page.snapshot,
                audience.definition,
                person_id,
                of,
                page.language,
                lambda number: names.get(number, str(number)),
            )
        except RuleError as error:
            found.append(Membership(audience, False, [], str(error)))
            continue
        found.append(Membership(audience, evaluate.is_member(reasons), reasons, ""))
    return sorted(found, key=lambda one: not one.is_in)
