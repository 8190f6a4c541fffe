"""Writes a new tag's pair, SQL and YAML twin, from a template of its kind: SQL that runs, a twin to be completed.

The twin is refused by `make tags` until titles and descriptions are filled in, and its unit test fails until it says
what the SQL must give.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches
from pathlib import Path
from string import Template
from typing import Any, get_args

import yaml

from tagloom.tags.definitions import OBJECT_KEYS, Tag
from tagloom.tags.project import TagRequestError

TEMPLATES = Path(__file__).resolve().parents[1] / "templates" / "tag"

KINDS = get_args(Tag.model_fields["kind"].annotation)
"""What KIND may be."""

PERSON_CATEGORIES = (
    "demographics",
    "behaviour",
    "preference",
    "consumption",
    "value",
    "lifecycle",
    "marketing",
    "channel",
    "service",
    "risk",
    "location",
    "habit",
)
"""First levels of the tree of person tags."""

YES_NO = ("is_", "has_", "does_", "can_", "wants_")
"""How names of tags begin that are yes or no."""

NAME = re.compile(r"[a-z][a-z0-9_]*")

LONGEST = 40
"""Characters of a name; what is longer fits into no table."""

PERSONAL_DATA = {"person": "indirect", "household": "indirect"}

_FACTS = {
    "person": "int_orders",
    "store": "int_orders",
    "product": "int_order_lines",
}

_ORDERS = """\
    select
        {key},
        order_date,
        sales_amount
    from {{{{ ref('{fact}') }}}}{where}"""

_ORDERS_OF_HOUSEHOLDS = """\
    select
        members.household_id,
        orders.order_date,
        orders.sales_amount
    from {{ ref('household_members') }} as members
    inner join {{ ref('int_orders') }} as orders
        on members.person_id = orders.person_id"""


@dataclass(frozen=True)
class KnownTag:
    """A tag that has a twin, in order or not."""

    object: str
    category: tuple[str, ...]
    name: str
    model: str
    owner: str | None


@dataclass(frozen=True)
class NewTag:
    """The pair that was written."""

    sql: Path
    twin: Path
    notes: tuple[str, ...]
    """What the writer should think about."""


def new_tag(
    project: Path,
    name: str,
    category: str,
    kind: str,
    object_name: str = "person",
    *,
    topic: str | None = None,
    owner: str | None = None,
    since: date,
    new_category: bool = False,
) -> NewTag:
    """Write the pair of a tag that nobody has yet below `project`, the dbt project's folder.

    category: path of two or three levels, such as habit/trip; topic: second half of the model's name, otherwise the
    tag's name; since: first day of the definition; new_category: let the first level be one that no tag has.

    Raises TagRequestError when the name is taken or something is none of what it may be, with the nearest match.
    """
    models = project / "models" / "tag_category"
    known = known_tags(models)
    _check_choice("OBJECT", object_name, OBJECT_KEYS)
    kind_of_template = _check_kind(kind, object_name, name)
    levels = _check_category(category, object_name, known, new_category)
    _check_name("NAME", name)
    _check_name("TOPIC", topic or name)
    _check_free(name, object_name, known)
    model = f"tag_{levels[0] if object_name == 'person' else object_name}__{topic or name}"
    folder = models / object_name / levels[0]
    sql, twin = folder / f"{model}.sql", folder / f"{model}.yml"
    present = [path for path in (*models.rglob(f"{model}.sql"), *models.rglob(f"{model}.yml"))]
    if present:
        raise TagRequestError(
            f"{present[0].relative_to(project)} is there already; add the tag to it as a column, "
            "or choose another TOPIC."
        )
    owner = owner or _usual_owner(known, object_name, levels)
    if owner is None or not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", owner):
        raise TagRequestError(f"OWNER: {owner!r} is no e-mail address; say who answers for the tag.")
    values = _values(kind_of_template, object_name, name, model, levels, kind, owner, since)
    texts = {sql: f"{kind_of_template}.sql", twin: "twin.yml"}
    texts = {path: Template(_template(name)).substitute(values) for path, name in texts.items()}
    folder.mkdir(parents=True, exist_ok=True)
    for path, text in texts.items():
        path.write_text(text, encoding="utf-8")
    return NewTag(sql, twin, tuple(_notes(name, levels, object_name, known)))


def known_tags(models: Path) -> list[KnownTag]:
    """All tags below models/tag_category, whether or not their twins are complete."""
    found = []
    for path in sorted(models.glob("*/*/*.yml")):
        try:
            content = yaml.safe_load(path.read_text(encoding="utf-8"))
        except yaml.YAMLError:
            continue
        for model in _list(content, "models"):
            for column in _list(model, "columns"):
                meta = _meta(column)
                if meta is None:
                    continue
                category = meta.get("category")
                levels = tuple(map(str, category)) if isinstance(category, list) else (path.parts[-2],)
                place = path.parts[-3]
                found.append(KnownTag(place, levels, str(column.get("name")), path.stem, meta.get("owner")))
    return found


def _list(content: Any, key: str) -> list[dict]:
    value = content.get(key) if isinstance(content, dict) else None
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _meta(column: dict) -> dict | None:
    value: Any = column
    for key in ("config", "meta", "tag"):
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else None


def _check_choice(what: str, given: str, allowed) -> None:
    if given not in allowed:
        close = get_close_matches(given, list(allowed), n=1, cutoff=0.5)
        meant = f"; did you mean {close[0]}? All are" if close else "; it may be"
        raise TagRequestError(f"{what}: {given!r} is unknown{meant} {', '.join(allowed)}.")


def _check_kind(kind: str, object_name: str, name: str) -> str:
    """Name of the template."""
    _check_choice("KIND", kind, KINDS)
    template = "yes_no_rule" if kind == "rule" and name.startswith(YES_NO) else kind
    kinds = yaml.safe_load(_template("kinds.yml"))
    if object_name != "person" and "orders" not in kinds[template]:
        able = ", ".join(one for one in KINDS if "orders" in kinds[one])
        raise TagRequestError(
            f"KIND: the template of {kind} is for persons; for a {object_name} there are {able}. Take the nearest and "
            "write the SQL over it."
        )
    return template


def _check_category(category: str, object_name: str, known: list[KnownTag], new_category: bool) -> list[str]:
    levels = [level.strip() for level in category.split("/")]
    if any(not NAME.fullmatch(level) for level in levels):
        raise TagRequestError(
            f"CATEGORY: {category!r} is no path; write lower-case words with slashes between them, such as habit/trip."
        )
    firsts = sorted(
        {tag.category[0] for tag in known if tag.object == object_name}
        | set(PERSON_CATEGORIES if object_name == "person" else ())
    )
    if levels[0] not in firsts and not new_category:
        close = get_close_matches(levels[0], firsts, n=1, cutoff=0.5)
        meant = f"; did you mean {close[0]}?" if close else ";"
        raise TagRequestError(
            f"CATEGORY: {object_name} tags have no category {levels[0]!r}{meant} There are {', '.join(firsts)}. "
            "To begin another: --new-category."
        )
    if not 2 <= len(levels) <= 3:
        seconds = _seconds(known, object_name, levels[0])
        there = f" There are {', '.join(f'{levels[0]}/{second}' for second in seconds)}." if seconds else ""
        raise TagRequestError(f"CATEGORY: {category!r} has {len(levels)} levels; write two or three.{there}")
    return levels


def _seconds(known: list[KnownTag], object_name: str, first: str) -> list[str]:
    return sorted(
        {
            tag.category[1]
            for tag in known
            if tag.object == object_name and tag.category[0] == first and len(tag.category) > 1
        }
    )


def _check_name(what: str, name: str) -> None:
    if not NAME.fullmatch(name) or name.startswith("tag_") or len(name) > LONGEST:
        raise TagRequestError(
            f"{what}: {name!r} is no name for a tag; write lower-case letters, digits and underscores, a letter first, "
            f"at most {LONGEST}, without tag_ in front."
        )


def _check_free(name: str, object_name: str, known: list[KnownTag]) -> None:
    for tag in known:
        if tag.object == object_name and tag.name == name:
            raise TagRequestError(f"NAME: {name} is taken: {tag.model} has a {object_name} tag of this name.")


def _usual_owner(known: list[KnownTag], object_name: str, levels: list[str]) -> str | None:
    """Who owns most tags of the category, else of the object, else of all."""
    for alike in (
        [tag for tag in known if tag.object == object_name and tag.category[0] == levels[0]],
        [tag for tag in known if tag.object == object_name],
        known,
    ):
        owners = Counter(tag.owner for tag in alike if tag.owner)
        if owners:
            return min(owners, key=lambda owner: (-owners[owner], owner))
    return None


def _values(
    template: str, object_name: str, name: str, model: str, levels: list[str], kind: str, owner: str, since: date
) -> dict[str, str]:
    key = OBJECT_KEYS[object_name]
    said = yaml.safe_load(_template("kinds.yml"))[template]
    known_on = f"{name}_known_on"
    accepted = [{"accepted_values": {"arguments": {"values": list(said["values"])}}}] if "values" in said else []
    return {
        "name": name,
        "model": model,
        "kind": kind,
        "key": key,
        "object": object_name,
        "object_title": object_name.capitalize(),
        "key_type": "bigint" if object_name == "person" else "varchar",
        "relationship": _item({"relationships": {"arguments": {"to": "ref('persons')", "field": key}}}, 10)
        if object_name == "person"
        else "",
        "grain": said["grain"].replace("$object", object_name),
        "data_type": said["data_type"],
        "data_tests": "".join(_item(test, 10) for test in [*said["tests"], *accepted]),
        "category": ", ".join(levels),
        "owner": owner,
        "unit": said["unit"],
        "if_missing": said["if_missing"],
        "valid_for": said["valid_for"],
        "known_on": f"\n              known_on: {known_on}  # the day the value was last learnt"
        if said.get("known_on")
        else "",
        "known_on_column": f"\n      - name: {known_on}\n        description: Day on which {name} was last learnt.\n"
        "        data_type: date"
        if said.get("known_on")
        else "",
        "personal_data": PERSONAL_DATA.get(object_name, "none"),
        "since": since.isoformat(),
        "values": f"\n              values: {_flow(said['values'])}" if "values" in said else "",
        "test": f"{model.partition('__')[2]}_at_its_edges",
        "orders": _orders(object_name, key),
        "given": _given(said, object_name, key),
    }


def _orders(object_name: str, key: str) -> str:
    if object_name == "household":
        return _ORDERS_OF_HOUSEHOLDS
    where = f"\n    where {key} is not null" if object_name == "person" else ""
    return _ORDERS.format(key=key, fact=_FACTS[object_name], where=where)


def _given(said: dict, object_name: str, key: str) -> str:
    inputs = said.get("inputs")
    if inputs is None:
        rows = said["orders"]
        fact_key = "person_id" if object_name == "household" else key
        orders = [{fact_key: number, "order_date": day, "sales_amount": amount} for number, day, amount in rows]
        members = [{key: number, "person_id": number} for number in sorted({number for number, _, _ in rows})]
        inputs = {"household_members": members} if object_name == "household" else {}
        inputs |= {_FACTS.get(object_name, "int_orders"): orders}
    lines = []
    for table, rows in inputs.items():
        lines += [f"      - input: ref('{table}')", "        rows:"]
        lines += [f"          - {_flow(row)}" for row in rows]
    return "\n".join(lines)


def _item(content: Any, indent: int) -> str:
    text = content if isinstance(content, str) else _flow(content)
    if isinstance(content, dict):
        [(name, value)] = content.items()
        text = f"{name}: {_flow(value)}"
    return f"\n{' ' * indent}- {text}"


def _flow(value: Any) -> str:
    """YAML on one line, as people write it."""
    match value:
        case dict():
            return "{" + ", ".join(f"{key}: {_flow(item)}" for key, item in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(_flow, value)) + "]"
        case bool():
            return str(value).lower()
        case float():
            return f"{value:.2f}"
        case _:
            return str(value)


def _notes(name: str, levels: list[str], object_name: str, known: list[KnownTag]) -> list[str]:
    notes = []
    seconds = _seconds(known, object_name, levels[0])
    if levels[1] not in seconds and seconds:
        notes.append(f"{levels[0]}/{levels[1]} is new in the tree; there are {', '.join(seconds)} below {levels[0]}")
    alike = get_close_matches(name, [tag.name for tag in known if tag.object == object_name], n=3, cutoff=0.75)
    if alike:
        notes.append(f"tags of a similar name: {', '.join(alike)}; is one of them what you need?")
    return notes


def _template(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")
