"""Who is who: how well persons are put together, why, and what stewards decide about it.

Decisions are requests in the portal's database (tagloom.steering.requests): carried out at once when nobody has the
warehouse, else by the DAG steer_identity; the next build follows them. Nothing is deleted, everything can be withdrawn.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Depends
from sqlalchemy import select
from starlette.responses import Response

from tagloom.identity.policy import POLICY_FILE, PolicyError, load_policy
from tagloom.portal import profile, who_is_who
from tagloom.portal.errors import ConflictError, NotFoundError, PortalError
from tagloom.portal.page import Page, page_of
from tagloom.portal.pages.persons import FEWEST, LOOKED_UP
from tagloom.portal.rights import needs
from tagloom.portal.store.decisions import CANCELLED, DONE, OPEN, REFUSED, WAITING, SteeringRequest
from tagloom.settings import SettingsError
from tagloom.steering.requests import DECISIONS, SIMULATE, RequestError, ask

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tagloom.portal.who_is_who import Cluster, Edge

router = APIRouter()

DECIDED = "identity decided"
"""Action in the audit log: somebody asked for a decision, a withdrawal or a simulation."""

STATS = (
    # metric, title, how it is written
    ("persons", "Persons", "number"),
    ("identifiers", "Identifiers", "number"),
    ("largest_component", "Identifiers of the largest person", "number"),
    ("singleton_rate", "Persons with one identifier", "percent"),
    ("over_merge_rate", "Persons with two names and birth dates", "percent"),
    ("unresolved_rate", "Records that could not be matched", "percent"),
    ("pairwise_precision", "Precision of pairs", "percent"),
    ("pairwise_recall", "Recall of pairs", "percent"),
)

LONGEST_REASON = 500
LONGEST_POLICY = 200_000


@dataclass(frozen=True)
class Wanted:
    """A decision as a form asks for it."""

    kind: str
    content: dict[str, Any]


@router.get("/identity", dependencies=[needs("see")])
def overview(page: Page = Depends(page_of)) -> Response:
    """Show how well persons are put together."""
    snapshot = page.snapshot
    found = who_is_who.metrics(snapshot)
    days, trends = who_is_who.metric_trend(snapshot, ["persons", "over_merge_rate", "unresolved_rate"])
    guards = sorted(
        ((name.removeprefix(who_is_who.GUARD), value) for name, value in found.items() if _is_guard(name) and value),
        key=lambda one: -one[1],
    )
    rates = [
        (page.t("Two names and birth dates"), trends.get("over_merge_rate", [])),
        (page.t("Could not be matched"), trends.get("unresolved_rate", [])),
    ]
    changed = who_is_who.changes_by_day(snapshot)
    change_days = sorted({one["as_of_date"] for one in changed})
    counts = {(one["as_of_date"], one["kind"]): one["changes"] for one in changed}
    return page.render(
        "identity/overview.html",
        tabs=_tabs(page),
        metrics=found,
        stats=[(metric, title, form) for metric, title, form in STATS if metric in found],
        days=[day.isoformat() for day in days],
        trends=trends,
        guards=guards,
        guard_names=[page.t(name.replace("_", " ")) for name, _ in guards],
        guard_values=[value for _, value in guards],
        rate_series=[
            {"name": title, "values": [None if value is None else round(100 * value, 3) for value in values]}
            for title, values in rates
            if any(value is not None for value in values)
        ],
        sizes=who_is_who.sizes(snapshot, 1 if page.may("see_personal") else FEWEST),
        change_days=[day.isoformat() for day in change_days],
        change_series=[
            {"name": page.t(kind), "values": [counts.get((day, kind), 0) for day in change_days]}
            for kind in who_is_who.CHANGE_KINDS
            if any(one["kind"] == kind for one in changed)
        ],
        open_requests=_number_open(page),
    )


@router.get("/identity/go", dependencies=[needs("see_person")])
def go(page: Page = Depends(page_of)) -> Response:
    """Go to the person whose number was typed."""
    number = _whole(page.request.query_params.get("person", "").strip(), None)
    return page.redirect("/identity" if number is None else f"/identity/persons/{number}")


@router.get("/identity/persons/{person_id:int}", dependencies=[needs("see_person")])
def person(person_id: int, page: Page = Depends(page_of)) -> Response:
    """Draw what a person consists of and why; stewards split it, link it or keep it apart from others here."""
    snapshot = page.snapshot
    living, way = profile.living_person(snapshot, person_id) if person_id < 2**63 else (None, [])
    if living is None:
        raise NotFoundError(
            page.t("Nobody has the number {number} in version {name}.", number=person_id, name=snapshot.name)
        )
    if way:
        notice = page.t("Person {old} was merged into person {new}.", old=person_id, new=living)
        return page.redirect(f"/identity/persons/{living}", notice)
    page.audit(LOOKED_UP, f"person:{person_id}", "identity")
    cluster = who_is_who.cluster(snapshot, person_id)
    history, _ = who_is_who.changes(snapshot, person=person_id)
    policy = profile.policy_in_force()
    anchor = who_is_who.strongest(cluster.members, policy)
    return page.render(
        "identity/person.html",
        tabs=_tabs(page),
        person=person_id,
        cluster=cluster,
        anchor=anchor,
        graph=_graph(page, cluster, anchor),
        titles=profile.identifier_titles(policy, page.language),
        history=history,
        requests=_requests_about(page, cluster),
    )


@router.get("/identity/suspects", dependencies=[needs("see_person")])
def suspects(page: Page = Depends(page_of)) -> Response:
    """List identifiers that join people who should be apart, each with the decision that would cure it."""
    from tagloom.steering.notes import SUSPECTS, read_note

    rows, taken_at = read_note(page.store, SUSPECTS)
    if taken_at is None:
        rows = [_as_note(row) for row in who_is_who.published_suspects(page.snapshot)]
    return page.render(
        "identity/suspects.html",
        tabs=_tabs(page),
        suspects=rows,
        taken_at=taken_at,
        titles=profile.identifier_titles(profile.policy_in_force(), page.language),
        asked=_asked(page),
    )


@router.get("/identity/review", dependencies=[needs("steer_identity")])
def review(page: Page = Depends(page_of)) -> Response:
    """Show pairs of persons that matching found to be alike, to accept or refuse."""
    from tagloom.steering.notes import REVIEWS, read_note

    rows, taken_at = read_note(page.store, REVIEWS)
    asked = _asked(page)
    policy = profile.policy_in_force()
    return page.render(
        "identity/review.html",
        tabs=_tabs(page),
        pairs=[row for row in rows if _pair(row["left"]["hash"], row["right"]["hash"]) not in asked],
        taken_at=taken_at,
        enabled=policy.matching.enabled,
        titles=profile.identifier_titles(policy, page.language),
    )


@router.get("/identity/changes", dependencies=[needs("see_person")])
def changes(kind: str = "", page: Page = Depends(page_of)) -> Response:
    """List what happened to persons: created, merged, split, and the link that caused it."""
    query = page.request.query_params
    kind = kind if kind in who_is_who.CHANGE_KINDS else ""
    here = _whole(query.get("page", "1"), 1)
    about = _whole(query.get("person", ""), None)
    rows, number = who_is_who.changes(page.snapshot, kind, about, here)
    if about is not None:
        page.audit(LOOKED_UP, f"person:{about}", "identity changes")
    return page.render(
        "identity/changes.html",
        tabs=_tabs(page),
        kind=kind,
        kinds=who_is_who.CHANGE_KINDS,
        about=about,
        rows=rows,
        number=number,
        page_number=here,
        last_page=max(-(-number // who_is_who.CHANGES_A_PAGE), 1),
        titles=profile.identifier_titles(profile.policy_in_force(), page.language),
    )


@router.get("/identity/decisions", dependencies=[needs("see_person")])
def decisions(page: Page = Depends(page_of)) -> Response:
    """List what was decided, by whom and why, whether the tables follow it, and what still waits."""
    from tagloom.steering.notes import DECISIONS as NOTE
    from tagloom.steering.notes import read_note

    rows, taken_at = read_note(page.store, NOTE)
    batches: dict[int, list[dict[str, Any]]] = {}
    for row in rows:
        batches.setdefault(row["batch"], []).append(row)
    requests = page.store.scalars(
        select(SteeringRequest)
        .where(SteeringRequest.kind.in_(DECISIONS), SteeringRequest.status.in_((*OPEN, REFUSED)))
        .order_by(SteeringRequest.id.desc())
        .limit(50)
    ).all()
    return page.render(
        "identity/decisions.html",
        tabs=_tabs(page),
        batches=batches,
        taken_at=taken_at,
        requests=requests,
        withdrawing={one.content.get("batch") for one in requests if one.kind == "withdraw" and one.status in OPEN},
        titles=profile.identifier_titles(profile.policy_in_force(), page.language),
    )


@router.post("/identity/decisions", dependencies=[needs("steer_identity")])
def decide(page: Page = Depends(page_of)) -> Response:
    """Ask for a decision, or with `do=simulate` for what it would change, and carry it out if that is possible now."""
    wanted = _wanted(page)
    reason = str(page.form.get("reason", "")).strip()
    if len(reason) > LONGEST_REASON:
        raise PortalError(page.t("The reason is longer than {most} characters.", most=LONGEST_REASON))
    if page.form.get("do") == "simulate":
        tried = {"policy": None, "decisions": [{"kind": wanted.kind, "content": wanted.content}], "only_identity": True}
        request = _ask(page, SIMULATE, tried, reason)
        return page.redirect(f"/identity/simulate/{request.id}")
    request = _ask(page, wanted.kind, wanted.content, reason)
    _carry_out(page)
    page.store.refresh(request)
    if request.status == REFUSED:
        raise ConflictError(
            page.t("The decision was refused: {answer}", answer=request.answer), page.t("Nothing changed.")
        )
    if request.status == DONE:
        notice = page.t("Noted as batch {batch}. The next build follows it.", batch=request.batch)
    else:
        notice = page.t("Noted. A build is using the warehouse; the decision is written as soon as that is over.")
    return page.redirect(_back(page, "/identity/decisions"), notice)


@router.post("/identity/requests/{number:int}/cancel", dependencies=[needs("steer_identity")])
def cancel(number: int, page: Page = Depends(page_of)) -> Response:
    """Take back a request that is not carried out yet."""
    request = page.store.get(SteeringRequest, number)
    if request is None or request.status != WAITING:
        raise ConflictError(page.t("The request is carried out already, or there is none."))
    request.status = CANCELLED
    request.answer = f"Cancelled by {page.user.name}."
    page.audit(DECIDED, f"request:{number}", "cancelled")
    back = "/identity/simulate" if request.kind == SIMULATE else "/identity/decisions"
    return page.redirect(back, page.t("The request is cancelled."))


@router.get("/identity/simulate", dependencies=[needs("steer_identity")])
def simulations(page: Page = Depends(page_of)) -> Response:
    """Ask what another policy would change, and list what was asked before."""
    return _simulate_page(page, POLICY_FILE.read_text(encoding="utf-8"))


@router.post("/identity/simulate", dependencies=[needs("steer_identity")])
def simulate(page: Page = Depends(page_of)) -> Response:
    """Ask for a simulation of a policy; the DAG steer_identity or the command runs it."""
    text = str(page.form.get("policy", ""))[:LONGEST_POLICY].replace("\r\n", "\n")
    problem = _policy_problem(text)
    if problem:
        page.status = 422
        return _simulate_page(page, text, problem)
    content = {
        "policy": text,
        "decisions": [],
        "only_identity": page.form.get("only_identity") == "yes",
    }
    request = _ask(page, SIMULATE, content, str(page.form.get("reason", "")).strip()[:LONGEST_REASON])
    return page.redirect(f"/identity/simulate/{request.id}")


@router.get("/identity/simulate/{number:int}", dependencies=[needs("steer_identity")])
def simulation(number: int, page: Page = Depends(page_of)) -> Response:
    """Show what a simulation found, or that it still waits."""
    request = page.store.get(SteeringRequest, number)
    if request is None or request.kind != SIMULATE:
        raise NotFoundError(page.t("There is no simulation {number}.", number=number))
    present = POLICY_FILE.read_text(encoding="utf-8")
    return page.render(
        "identity/simulation.html",
        tabs=_tabs(page),
        request=request,
        found=request.result,
        difference=_difference(present, request.content.get("policy") or present),
        tag_titles={name: page.title(tag) for name, tag in page.snapshot.tags.items()},
        titles=profile.identifier_titles(profile.policy_in_force(), page.language),
    )


def _tabs(page: Page) -> list[tuple[str, str, bool]]:
    entries = [
        ("Overview", "/identity", "see"),
        ("Suspects", "/identity/suspects", "see_person"),
        ("To review", "/identity/review", "steer_identity"),
        ("Changes", "/identity/changes", "see_person"),
        ("Decisions", "/identity/decisions", "see_person"),
        ("Simulate", "/identity/simulate", "steer_identity"),
    ]
    here = max((path for _, path, _ in entries if page.path.startswith(path)), key=len, default="")
    here = "" if page.path.startswith("/identity/persons") else here
    return [(page.t(title), path, path == here) for title, path, right in entries if page.may(right)]


def _is_guard(metric: str) -> bool:
    return metric.startswith(who_is_who.GUARD) and metric != who_is_who.GUARD.rstrip("_")


def _graph(page: Page, cluster: Cluster, anchor: dict[str, Any] | None) -> dict[str, Any]:
    """The strongest links that hold the person together, from the anchor outwards, for charts.js.

    Identifiers that were held apart stand in the last layer, with the number of their person.
    """
    titles = profile.identifier_titles(profile.policy_in_force(), page.language)
    layers, tree = who_is_who.layers(cluster, anchor["identifier_key"] if anchor else "")
    outside = max(layers.values(), default=0) + 1
    nodes = []
    for key, end in cluster.ends.items():
        title = titles.get(end.type, end.type)
        inside = key in layers
        nodes.append(
            {
                "name": key,
                "label": title if inside else f"{title} · {_owner(page, end.person)}",
                "note": f"{key[:8]}…",
                "group": title,
                "layer": layers.get(key, outside),
                "size": 20 if anchor and key == anchor["identifier_key"] else 14 if inside else 10,
                "tone": None if inside else "bad",
                "url": page.url(f"/identity/persons/{end.person}") if end.person and not inside else None,
            }
        )
    links = [
        {
            "source": edge.left.key,
            "target": edge.right.key,
            "label": page.t(edge.rejected_because) if edge.rejected_because else f"{edge.source} ×{edge.count}",
            "dashed": edge.rejected_because is not None,
            "tone": "bad" if edge.rejected_because else None,
            "width": 1 + edge.strength / 2,
        }
        for edge in (*tree, *_drawn(cluster, layers))
    ]
    return {"kind": "graph", "directed": False, "nodes": nodes, "links": links}


def _drawn(cluster: Cluster, inside: Mapping[str, int]) -> list[Edge]:
    """Refused links, one to each identifier that is held apart: the strongest says enough, the table has them all."""
    drawn: dict[str, Edge] = {}
    for edge in cluster.refused:
        apart = edge.right.key if edge.left.key in inside else edge.left.key
        drawn.setdefault(apart, edge)
    return list(drawn.values())


def _owner(page: Page, person_id: int | None) -> str:
    return page.t("nobody") if person_id is None else page.t("person {number}", number=person_id)


def _as_note(row: dict[str, Any]) -> dict[str, Any]:
    """A published suspect in the form of the note that a steering run takes."""
    identifier = {"type": row["identifier_type"], "hash": row["identifier_key"], "person": row["person_id"]}
    proposal = None
    if row["left_key"] and row["right_key"]:
        left, right = ({"type": row[f"{side}_type"], "hash": row[f"{side}_key"]} for side in ("left", "right"))
        proposal = {"kind": "never_link", "left": left, "right": right}
    elif row["proposal"].startswith("block"):
        proposal = {"kind": "block", "left": identifier}
    return {
        "identifier": identifier,
        "persons": row["persons"],
        "records": row["records"],
        "because": row["because"],
        "command": row["proposal"],
        "proposal": proposal,
    }


def _wanted(page: Page) -> Wanted:
    """The decision that the form asks for. Raises PortalError for one that is not complete."""
    form = page.form
    kind = str(form.get("kind", ""))
    if kind == "withdraw":
        batch = _whole(str(form.get("batch", "")), None)
        if batch is None:
            raise PortalError(page.t("Say which batch is to be withdrawn."))
        return Wanted(kind, {"batch": batch})
    if kind == "split":
        leaving = [_end(page, str(text)) for text in form.getlist("identifiers")]
        person_id = _whole(str(form.get("person", "")), None)
        if not leaving or person_id is None:
            raise PortalError(page.t("Choose the identifiers that leave the person."))
        return Wanted(kind, {"person": person_id, "identifiers": leaving})
    if kind == "block":
        return Wanted(kind, {"left": _end(page, str(form.get("left", "")))})
    if kind in ("link", "never_link"):
        sides = [_end(page, str(form.get("left", ""))), _end(page, _other_side(page))]
        if sides[0] == sides[1]:
            raise PortalError(page.t("Both sides are the same; choose two."))
        left, right = sorted(sides, key=lambda end: (end["type"], end["hash"]))
        return Wanted(kind, {"left": left, "right": right})
    raise PortalError(page.t("There is no such decision."))


def _other_side(page: Page) -> str:
    """The right side as the form names it: an identifier, or a person by number, whose strongest identifier it is."""
    given = str(page.form.get("right", ""))
    if given:
        return given
    number = _whole(str(page.form.get("other_person", "")), None)
    if number is None:
        raise PortalError(page.t("Say which other person is meant, by number."))
    living, _ = profile.living_person(page.snapshot, number)
    members = profile.identifiers_of(page.snapshot, living) if living is not None else []
    found = who_is_who.strongest(members, profile.policy_in_force())
    if found is None:
        raise PortalError(page.t("Nobody has the number {number}.", number=number))
    return f"{found['identifier_type']}:{found['identifier_key']}"


def _end(page: Page, text: str) -> dict[str, str]:
    """`phone:3f9a…` -> type and hash. Raises PortalError for anything else."""
    kind, _, key = text.partition(":")
    if (
        kind not in profile.policy_in_force().identifier_types
        or len(key) != 64
        or not set(key) <= set("0123456789abcdef")
    ):
        raise PortalError(page.t("Choose an identifier from the page."))
    return {"type": kind, "hash": key}


def _ask(page: Page, kind: str, content: dict[str, Any], reason: str) -> SteeringRequest:
    try:
        request = ask(page.store, kind, content, reason, page.user.name)
    except RequestError as error:
        raise PortalError(str(error)) from error
    page.audit(DECIDED, f"request:{request.id}", f"{kind} {_masked(content)}: {reason}".strip(": "))
    return request


def _masked(content: dict[str, Any]) -> str:
    """What a request is about, for the audit log: no hash in full, no policy."""
    if "batch" in content:
        return f"batch {content['batch']}"
    if "left" not in content and "identifiers" not in content:
        tried = content.get("decisions") or []
        return "; ".join(f"{one['kind']} {_masked(one['content'])}" for one in tried) or "policy"
    ends = [content[side] for side in ("left", "right") if side in content] + content.get("identifiers", [])
    who = f"person {content['person']}: " if "person" in content else ""
    return who + ", ".join(f"{end['type']} {end['hash'][:8]}…" for end in ends)


def _carry_out(page: Page) -> None:
    """Write what waits into the warehouse if nobody has it; else the DAG does so later."""
    from tagloom.steering.notes import DECISIONS as NOTE
    from tagloom.steering.notes import note_down
    from tagloom.steering.requests import carry_out_decisions

    try:
        carry_out_decisions(
            page.settings, page.store, then=lambda connection: note_down(connection, page.store, (NOTE,))
        )
    except SettingsError:
        # A portal without the identity key cannot open the warehouse; who has it carries the request out.
        return


def _asked(page: Page) -> set[tuple[str, str]]:
    """Pairs of hashes (a block: one and nothing) that somebody has decided about or asked for, but those withdrawn."""
    rows = page.store.scalars(
        select(SteeringRequest).where(
            SteeringRequest.kind.in_(("link", "never_link", "block")), SteeringRequest.status.in_((*OPEN, DONE))
        )
    )
    withdrawn = {
        one.content["batch"]
        for one in page.store.scalars(
            select(SteeringRequest).where(SteeringRequest.kind == "withdraw", SteeringRequest.status == DONE)
        )
    }
    return {
        _pair(one.content["left"]["hash"], one.content.get("right", {}).get("hash", ""))
        for one in rows
        if one.batch is None or one.batch not in withdrawn
    }


def _pair(left: str, right: str) -> tuple[str, str]:
    return (left, right) if left <= right else (right, left)


def _requests_about(page: Page, cluster: Cluster) -> list[SteeringRequest]:
    """Requests that name an identifier of the person and are not carried out yet, or wait for the next build."""
    keys = {row["identifier_key"] for row in cluster.members}
    rows = page.store.scalars(
        select(SteeringRequest)
        .where(SteeringRequest.kind.in_(DECISIONS), SteeringRequest.status.in_((*OPEN, DONE)))
        .order_by(SteeringRequest.id.desc())
        .limit(500)
    )

    def names(content: dict[str, Any]) -> set[str]:
        ends = [content[side] for side in ("left", "right") if side in content] + content.get("identifiers", [])
        return {end["hash"] for end in ends}

    return [one for one in rows if names(one.content) & keys][:10]


def _number_open(page: Page) -> int:
    rows = page.store.scalars(select(SteeringRequest.id).where(SteeringRequest.status.in_(OPEN)))
    return len(rows.all())


def _simulate_page(page: Page, policy: str, problem: str = "") -> Response:
    asked = page.store.scalars(
        select(SteeringRequest).where(SteeringRequest.kind == SIMULATE).order_by(SteeringRequest.id.desc()).limit(30)
    ).all()
    return page.render(
        "identity/simulate.html",
        tabs=_tabs(page),
        policy=policy,
        problem=problem,
        only_identity=page.form.get("only_identity") == "yes" if problem else True,
        reason=str(page.form.get("reason", "")),
        asked=asked,
    )


def _policy_problem(text: str) -> str:
    """What is wrong with a policy, with the key; empty when it can be tried."""
    if text.strip() == POLICY_FILE.read_text(encoding="utf-8").strip():
        return "This is the policy that holds; change something to see what that would do."
    with TemporaryDirectory() as folder:
        file = Path(folder) / "policy.yml"
        file.write_text(text, encoding="utf-8")
        try:
            load_policy(file)
        except PolicyError as error:
            return str(error).replace(f"{folder}/", "")
    return ""


def _difference(before: str, after: str) -> list[str]:
    from difflib import unified_diff

    return [line for line in unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=2)][2:]


def _whole(text: str, otherwise: int | None) -> int | None:
    return int(text) if text.isdecimal() and 0 < int(text[:20] or 0) < 2**63 and len(text) < 20 else otherwise


def _back(page: Page, otherwise: str) -> str:
    """Where the form came from, if that is an identity or customer page of ours."""
    back = str(page.form.get("back", ""))
    return back if back.startswith(("/identity", "/persons")) and back.isprintable() and "//" not in back else otherwise
