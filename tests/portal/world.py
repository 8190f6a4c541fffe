"""A small published version of made-up persons with the real catalogue of tags, for tests of what reads it.

Columns, types and values are those of the tag twins, so a test meets every tag that the project has. The values are
drawn from a fixed seed; those that people compare on one page agree with each other: the RFM scores with the cell,
the segment and the events, the orders with the spend.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import pairwise
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
from tagloom.publish import Model, Version, publish_from
from tagloom.settings import PROJECT, Settings, load_settings
from tagloom.tags.catalogue import CATALOGUE_COLUMNS, _catalogue_row, _catalogue_type
from tagloom.tags.definitions import OBJECT_KEYS, Tag, TagModel, load_tags

DAY = date(2017, 12, 31)

HISTORY_MONTHS = 12
"""Month ends for which statistics and histories are there."""

EVENTS = {
    # event: title, title_zh, source, events per person, share of persons, mean amount
    "purchase": ("Purchase in a store", "门店购买", "pos", 9, 0.90, 42.0),
    "web_visit": ("Visit to the web shop", "访问网店", "web", 4, 0.45, None),
    "product_view": ("Product looked at", "浏览商品", "web", 6, 0.40, None),
    "cart": ("Product put into the cart", "加入购物车", "web", 2, 0.25, None),
    "web_purchase": ("Purchase in the web shop", "网店购买", "web", 1, 0.20, 35.0),
    "store_visit": ("Visit to a store", "到店", "wifi", 5, 0.35, None),
    "campaign_sent": ("Campaign received", "收到营销活动", "campaigns", 3, 0.60, None),
    "coupon_redeemed": ("Coupon redeemed", "核销优惠券", "campaigns", 1, 0.20, None),
    "support_ticket": ("Ticket opened", "提交客服工单", "support", 1, 0.15, None),
    "app_installed": ("App installed", "安装应用", "app", 1, 0.30, None),
}

IDENTIFIERS = {
    # type: label, share of persons
    "loyalty_card": ("Loyalty card", 0.95),
    "email": ("E-mail address", 0.80),
    "phone": ("Phone number", 0.60),
    "web_account": ("Web account", 0.45),
    "app_device": ("App installation", 0.30),
}

USED_BY = {"rfm_segment": "report_sales_by_segment", "monetary_score": "person.loyalty_level"}
"""Tag -> who uses it, as the catalogue of a build says it."""

SORTED = {
    "serving.person_events": Model(sorted_by=("person_id", "happened_at", "event"), enums=("event", "source")),
    "serving.person_identifiers": Model(sorted_by=("identifier_key",)),
    "tag_integration.tag_history": Model(sorted_by=("object", "tag", "object_id", "valid_from")),
    "serving.person_edges": Model(sorted_by=("person_id", "left_key", "right_key")),
}
"""What the models of the project say of how they are published."""

WORDS = {
    "rfm_cell": None,
    "state": ["nsw", "vic", "qld", "wa", "sa", "tas", "act", "nt"],
    "favourite_department": ["GROCERY", "DRUG GM", "PRODUCE", "MEAT", "DELI", "PASTRY"],
    "distinctive_department": ["GROCERY", "DRUG GM", "PRODUCE", "MEAT", "DELI", "PASTRY"],
    "income_band": ["Under 15K", "15-24K", "25-34K", "35-49K", "50-74K", "75-99K", "100-124K"],
}


def make_world(
    home: Path, persons: int = 2_000, seed: int = 1, day: date = DAY, computed_at: datetime | None = None
) -> Settings:
    """Publish `persons` made-up persons as of `day` below `home` and return the settings of that home.

    Again with other figures: a new version beside the one before. Takes below 3 s for 2,000 persons.
    """
    settings = replace(load_settings(), home=home, landing=home / "landing")
    settings.make_folders()
    publish_world(settings, persons, seed, day, computed_at)
    return settings


def publish_world(
    settings: Settings, persons: int = 2_000, seed: int = 1, day: date = DAY, computed_at: datetime | None = None
) -> Version:
    """The same into an installation that is there, and the version that it became."""
    chance = np.random.default_rng(seed)
    models = load_models()
    events = made_events(chance, persons, day)
    tables = {
        "tag_integration.person_tags": person_tags(chance, models, events, persons, day),
        "tag_integration.tag_catalog": _catalogue(models),
        "serving.person_events": events,
        "serving.event_catalog": _event_catalog(events),
    }
    tables |= _other_objects(chance, models, day)
    tables |= _identity(chance, persons, day)
    tables |= _history(chance, models, tables["tag_integration.person_tags"], day)
    with duckdb.connect(config={"threads": settings.threads}) as connection:
        connection.execute("set time zone 'UTC'")
        connection.execute("create schema tag_integration; create schema serving")
        for name, frame in tables.items():
            _store(connection, name, frame, models)
        _statistics(connection, models, day)
        moment = computed_at or datetime(day.year, day.month, day.day, 6, tzinfo=UTC) + timedelta(days=1)
        return publish_from(connection, settings, day, moment, SORTED)


@cache
def load_models() -> tuple[TagModel, ...]:
    """The tag models of the project."""
    return tuple(load_tags(PROJECT / "dbt_project" / "models" / "tag_category"))


def _tags(models: tuple[TagModel, ...], object_name: str) -> list[Tag]:
    return [
        tag for model in models if model.object == object_name for tag in model.columns if tag.status == "published"
    ]


def person_tags(
    chance: np.random.Generator, models: tuple[TagModel, ...], events: pd.DataFrame, persons: int, day: date
) -> pd.DataFrame:
    """One row per person with a column for every published tag of the project."""
    columns: dict[str, object] = {"person_id": np.arange(1, persons + 1, dtype="int64")}
    for tag in _tags(models, "person"):
        columns[tag.name] = _values(chance, tag, persons, day)
    frame = pd.DataFrame(columns)
    _agree_with_orders(frame, events, day)
    return frame


def _values(chance: np.random.Generator, tag: Tag, count: int, day: date) -> pd.array:
    """Values of a tag: of its words the first are the most frequent, numbers fit its unit, some are unknown."""
    unknown = chance.random(count) < (0.0 if tag.if_missing != "null" else chance.uniform(0.05, 0.6))
    words = list(tag.values) if tag.values else WORDS.get(tag.name)
    kind = tag.data_type.lower()
    unit = tag.unit or ""
    if kind == "boolean":
        values = pd.array(chance.random(count) < chance.uniform(0.1, 0.6), dtype="boolean")
    elif kind == "date":
        days = np.datetime64(day) - chance.exponential(90, count).astype("int64").astype("timedelta64[D]")
        values = pd.array(days.astype("datetime64[s]"))
    elif kind.startswith("decimal"):
        scale = 1 if kind.endswith(",1)") else 2
        values = pd.array(np.round(chance.gamma(2.0, 40.0 if "dollar" in unit else 4.0, count), scale), dtype="Float64")
    elif kind in ("integer", "bigint"):
        values = pd.array(_whole_numbers(chance, unit, count), dtype="Int64")
    else:
        words = words or [f"{tag.name[:1].upper()}{number:02}" for number in range(1, 13)]
        weights = 1 / np.arange(2, len(words) + 2)
        chosen = chance.choice(len(words), count, p=weights / weights.sum())
        values = pd.array(np.array(words, dtype=object)[chosen], dtype="str")
    values[unknown] = pd.NaT if kind == "date" else pd.NA
    return values


def _whole_numbers(chance: np.random.Generator, unit: str, count: int) -> np.ndarray:
    low, high = 0, 30
    for word, limits in {
        "1-5": (1, 5),
        "1-10": (1, 10),
        "0-100": (0, 100),
        "percent": (0, 100),
        "hour": (0, 23),
        "month": (1, 12),
    }.items():
        if word in unit:
            low, high = limits
            return chance.integers(low, high, count, endpoint=True)
    return np.minimum(chance.geometric(0.15, count) - 1, high)


def _agree_with_orders(frame: pd.DataFrame, events: pd.DataFrame, day: date) -> None:
    """Make the tags about orders those of the events, and the RFM tags those of the orders."""
    bought = events[events["event"] == "purchase"]
    days = (pd.Timestamp(day) - bought["happened_on"]).dt.days
    orders = bought[days < 365].groupby("person_id")
    key = frame["person_id"]
    recency = (pd.Timestamp(day) - orders["happened_on"].max()).dt.days.reindex(key)
    number = orders.size().reindex(key)
    spend = orders["amount"].sum().reindex(key)
    first = bought.groupby("person_id")["happened_on"].min().reindex(key)
    last = bought.groupby("person_id")["happened_on"].max().reindex(key)
    has = number.notna().to_numpy()
    scores = {}
    for name, values, rising in (
        ("recency_score", recency, False),
        ("frequency_score", number, True),
        ("monetary_score", spend, True),
    ):
        rank = values.rank(pct=True, ascending=rising).to_numpy()
        scores[name] = np.clip(np.ceil(np.nan_to_num(rank, nan=0.2) * 5), 1, 5).astype("int64")
        frame[name] = _where(scores[name], has, "Int64")
    r, f, m = scores["recency_score"], scores["frequency_score"], scores["monetary_score"]
    frame["rfm_cell"] = _where(np.array([f"{a}{b}{c}" for a, b, c in zip(r, f, m, strict=True)], dtype=object), has)
    segment = np.select(
        [
            (r >= 4) & (f >= 4) & (m >= 4),
            (r >= 3) & (f >= 4),
            (r >= 3) & (m >= 4),
            r >= 4,
            r == 3,
            (f >= 4) | (m >= 4),
            r == 2,
        ],
        ["champion", "loyal", "big basket", "promising", "needs attention", "at risk", "hibernating"],
        "lost",
    )
    frame["rfm_segment"] = _where(segment.astype(object), has)
    stage = np.select(
        [recency < 14, recency < 45, recency < 120, recency < 240],
        ["active", "cooling", "dormant", "dormant"],
        "churned",
    )
    stage[((pd.Timestamp(day) - first).dt.days < 30).to_numpy()] = "new"
    frame["lifecycle_stage"] = _where(stage.astype(object), last.notna().to_numpy())
    frame["orders_365d"] = pd.array(number.fillna(0).to_numpy(), dtype="Int64")
    frame["spend_365d"] = pd.array(np.round(spend.fillna(0).to_numpy(), 2), dtype="Float64")
    days_since = (pd.Timestamp(day) - last).dt.days
    frame["days_since_last_order"] = pd.array(days_since.to_numpy(), dtype="Float64").astype("Int64")
    frame["first_order_date"] = pd.array(first.to_numpy())
    frame["last_order_date"] = pd.array(last.to_numpy())


def _where(values: np.ndarray, known: np.ndarray, dtype: str = "str") -> pd.array:
    column = pd.array(values, dtype=dtype)
    column[~known] = pd.NA
    return column


def made_events(chance: np.random.Generator, persons: int, day: date) -> pd.DataFrame:
    """A year of events of persons who come, stay for a while and go."""
    parts = []
    begin = pd.Timestamp(day) - pd.Timedelta(days=364)
    # Persons come and go, so that cohorts, stages and sequences have something to show.
    arrived = np.clip(chance.exponential(110, persons), 0, 340).astype("int64")
    left = np.minimum(arrived + 20 + chance.exponential(300, persons).astype("int64"), 364)
    for event, (_, _, source, mean, share, amount) in EVENTS.items():
        takes_part = chance.random(persons) < share
        counts = np.where(takes_part, 1 + chance.poisson(mean, persons), 0)
        person = np.repeat(np.arange(1, persons + 1), counts)
        span = np.repeat(left - arrived + 1, counts)
        since = np.repeat(arrived, counts) + (chance.random(len(person)) * span).astype("int64")
        on = begin + pd.to_timedelta(np.minimum(since, 364), unit="D")
        at = on + pd.to_timedelta(chance.integers(14 * 3600, 24 * 3600, len(person)), unit="s")
        parts.append(
            pd.DataFrame(
                {
                    "person_id": person.astype("int64"),
                    "event": event,
                    "happened_at": at,
                    "happened_on": on,
                    "amount": np.round(chance.gamma(2.0, amount / 2, len(person)), 2) if amount else np.nan,
                    "quantity": pd.array(chance.integers(1, 20, len(person)), dtype="Int64") if amount else pd.NA,
                    "what": f"{source} {event.replace('_', ' ')}" if not amount else "store 367",
                    "source": source,
                }
            ).astype({"amount": "Float64", "quantity": "Int64"})
        )
    events = pd.concat(parts, ignore_index=True)
    same = events.groupby(["person_id", "event", "happened_at", "what"])
    return events.assign(number=pd.array(same.cumcount() + 1, dtype="Int64"))


def _event_catalog(events: pd.DataFrame) -> pd.DataFrame:
    grouped = events.groupby("event")
    return pd.DataFrame(
        {
            "event": list(EVENTS),
            "title": [EVENTS[event][0] for event in EVENTS],
            "title_zh": [EVENTS[event][1] for event in EVENTS],
            "events": grouped.size().reindex(list(EVENTS)).to_numpy(),
            "persons": grouped["person_id"].nunique().reindex(list(EVENTS)).to_numpy(),
            "first_on": grouped["happened_on"].min().reindex(list(EVENTS)).to_numpy(),
            "last_on": grouped["happened_on"].max().reindex(list(EVENTS)).to_numpy(),
        }
    )


def _catalogue(models: tuple[TagModel, ...]) -> pd.DataFrame:
    rows = []
    for model in models:
        sql = model.sql_path.read_text(encoding="utf-8")
        for tag in model.columns:
            row = _catalogue_row(model, tag) | {
                "definition_hash": hashlib.md5(tag.name.encode(), usedforsecurity=False).hexdigest(),
                "changed_on": tag.since,
                "upstream_sources": "pos.basket_lines, loyalty.cards",
                "upstream_columns": "stg_pos__basket_lines.sales_amount, stg_pos__basket_lines.sold_at",
                "used_by": USED_BY.get(tag.name, ""),
                "sql": sql,
            }
            rows.append({name: value if value != "" else None for name, value in row.items()})
    return pd.DataFrame(rows)


def _other_objects(chance: np.random.Generator, models: tuple[TagModel, ...], day: date) -> dict[str, pd.DataFrame]:
    """Fifty of each object that is no person."""
    tables = {}
    for object_name, key in OBJECT_KEYS.items():
        if object_name == "person":
            continue
        columns: dict[str, object] = {key: [f"{object_name[0].upper()}{number:04}" for number in range(1, 51)]}
        columns |= {tag.name: _values(chance, tag, 50, day) for tag in _tags(models, object_name)}
        tables[f"tag_integration.{object_name}_tags"] = pd.DataFrame(columns)
    return tables


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _identity(chance: np.random.Generator, persons: int, day: date) -> dict[str, pd.DataFrame]:
    """Identifiers, edges between those of a person, what became of persons, and who lives together."""
    known = min(persons, 5_000)
    midnight = datetime(day.year, day.month, day.day)
    identifiers, edges, attributes = [], [], []
    for person in range(1, known + 1):
        own = [name for name, (_, share) in IDENTIFIERS.items() if chance.random() < share] or ["loyalty_card"]
        first = midnight - timedelta(days=int(chance.integers(30, 700)))
        last = midnight - timedelta(days=int(chance.integers(0, 30)))
        keys = {name: _hash(f"{name}:{person}") for name in own}
        identifiers += [
            {
                "identifier_key": keys[name],
                "identifier_type": name,
                "person_id": person,
                "first_seen": first,
                "last_seen": last,
                "label": f"{IDENTIFIERS[name][0]} {keys[name][:8]}…",
            }
            for name in own
        ]
        edges += [
            _edge(person, person, left, keys[left], right, keys[right], first, last) for left, right in pairwise(own)
        ]
        attributes.append(
            {
                "person_id": person,
                "first_seen_at": first,
                "identifiers": len(own),
                **{
                    column: int(name in own)
                    for column, name in {
                        "loyalty_cards": "loyalty_card",
                        "crm_records": "crm_customer",
                        "web_accounts": "web_account",
                        "app_installations": "app_device",
                        "wifi_devices": "device_mac",
                    }.items()
                },
                "has_email": "email" in own,
                "has_phone": "phone" in own,
                "birth_year": int(chance.integers(1935, 2000)),
                "birth_date_source": "crm",
                "postcode_area": f"{int(chance.integers(20, 80))}··",
                "postcode_source": "loyalty",
                "state": str(chance.choice(["nsw", "vic", "qld"])),
                "state_source": "loyalty",
                "loyalty_registered_at": first,
                "account_created_at": first if "web_account" in own else None,
                "may_email": [True, False, None][int(chance.integers(0, 3))],
                "may_phone": [True, False, None][int(chance.integers(0, 3))],
                "wants_newsletter": "web_account" in own,
                "has_active_card": "loyalty_card" in own,
            }
        )
    # Two persons who share a phone: the guard holds them apart.
    shared = _hash("phone:shared")
    edges.append(
        _edge(1, 2, "loyalty_card", _hash("loyalty_card:1"), "phone", shared, midnight, midnight)
        | {"rejected_because": "shared identifier", "strength": 2}
    )
    changes = [
        _change(number, day - timedelta(days=number % 60), kind, person, other)
        for number, (kind, person, other) in enumerate(
            [("merge", 3, known + 10), ("split", 4, 5), ("create", 6, None), ("merge", 7, known + 11)], start=1
        )
    ]
    suspects = [
        {
            "identifier_key": shared,
            "identifier_type": "phone",
            "label": f"Phone number {shared[:8]}…",
            "person_id": None,
            "persons": 4,
            "records": 9,
            "proposal": "block the identifier",
            "because": "4 persons share it",
            "urgency": 3,
            "left_type": None,
            "left_key": None,
            "right_type": None,
            "right_key": None,
        }
    ]
    members = [
        {"household_id": f"H{number // 2:06}", "person_id": number, "since": midnight - timedelta(days=90)}
        for number in range(10, min(known, 60))
    ]
    metrics = [
        {"as_of_date": day - timedelta(days=back), "metric": metric, "value": value - back / 10}
        for back in range(7)
        for metric, value in {
            "persons": float(persons),
            "identifiers": len(identifiers) * 1.0,
            "merge_rate": 0.8,
        }.items()
    ]
    return {
        "serving.person_identifiers": pd.DataFrame(identifiers),
        "serving.person_edges": pd.DataFrame(edges),
        "serving.person_changes": pd.DataFrame(changes),
        "serving.person_attributes": pd.DataFrame(attributes),
        "serving.person_suspects": pd.DataFrame(suspects),
        "serving.household_members": pd.DataFrame(members),
        "serving.identity_metrics": pd.DataFrame(metrics),
    }


def _edge(
    person: int, other: int, left_type: str, left: str, right_type: str, right: str, first: datetime, last: datetime
) -> dict[str, object]:
    return {
        "person_id": person,
        "other_person_id": None if other == person else other,
        "left_type": left_type,
        "left_key": left,
        "right_type": right_type,
        "right_key": right,
        "source": "crm, loyalty",
        "kind": "exact",
        "first_seen": first,
        "last_seen": last,
        "count": 3,
        "strength": 3,
        "probability": None,
        "rejected_because": None,
    }


def _change(number: int, day: date, kind: str, person: int, other: int | None) -> dict[str, object]:
    return {
        "run_number": number,
        "as_of_date": day,
        "kind": kind,
        "person_id": person,
        "other_person_id": other,
        "identifiers": 2,
        "left_type": "loyalty_card" if other else None,
        "left_key": _hash(f"loyalty_card:{person}") if other else None,
        "right_type": "email" if other else None,
        "right_key": _hash(f"email:{person}") if other else None,
        "because": {"merge": "seen together in crm", "split": "blocked by a steward", "create": "new identifiers"}[
            kind
        ],
    }


def _history(
    chance: np.random.Generator, models: tuple[TagModel, ...], frame: pd.DataFrame, day: date
) -> dict[str, pd.DataFrame]:
    """Values of the tags with words over the month ends before the day: the newest are those of person_tags."""
    days = month_ends(day)
    count = min(len(frame), 20_000)
    parts = []
    for tag in _tags(models, "person"):
        if not tag.history or not tag.values:
            continue
        newest = frame[tag.name].astype(object).to_numpy()[:count]
        value = newest.copy()
        valid_to = np.full(count, np.datetime64("NaT"), dtype="datetime64[s]")
        words = np.array(list(tag.values), dtype=object)
        for month in reversed(days):
            changes = chance.random(count) < 0.15
            is_first = month == days[0]
            ends = np.ones(count, dtype=bool) if is_first else changes
            known = ends & ~pd.isna(value)
            parts.append(
                pd.DataFrame(
                    {
                        "object": "person",
                        "object_id": frame["person_id"].to_numpy()[:count][known].astype(str),
                        "tag": tag.name,
                        "value": value[known],
                        "valid_from": np.datetime64(month).astype("datetime64[s]"),
                        "valid_to": valid_to[known],
                    }
                )
            )
            if is_first:
                break
            # A neighbour in the order of the words: people move step by step.
            place = pd.Series(value).map({word: place for place, word in enumerate(words)}).fillna(0).to_numpy(int)
            step = np.where((chance.random(count) < 0.5) & (place > 0) | (place == len(words) - 1), -1, 1)
            value = np.where(ends, words[np.clip(place + step, 0, len(words) - 1)], value)
            valid_to = np.where(ends, np.datetime64(month).astype("datetime64[s]"), valid_to)
    return {
        "tag_integration.tag_history": pd.concat(parts, ignore_index=True),
        "tag_integration.tag_history_days": pd.DataFrame({"as_of_date": pd.to_datetime(days)}),
    }


def month_ends(day: date) -> list[date]:
    """The ends of the last HISTORY_MONTHS months, the day itself being the last."""
    ends = [day]
    while len(ends) < HISTORY_MONTHS:
        ends.insert(0, ends[0].replace(day=1) - timedelta(days=1))
    return ends


SQL_TYPES = {
    "int64": "bigint",
    "Int64": "integer",
    "boolean": "boolean",
    "bool": "boolean",
    "Float64": "decimal(14,2)",
    "float64": "double",
}

OWN_TYPES = {
    "serving.person_events": {"person_id": "bigint", "happened_on": "date", "happened_at": "timestamp"},
    "serving.event_catalog": {"first_on": "date", "last_on": "date"},
    "serving.person_identifiers": {"first_seen": "timestamp", "last_seen": "timestamp"},
    "serving.person_edges": {
        "other_person_id": "bigint",
        "first_seen": "timestamp",
        "last_seen": "timestamp",
        "strength": "integer",
        "probability": "double",
        "rejected_because": "varchar",
    },
    "serving.person_changes": {"other_person_id": "bigint", "as_of_date": "date", "identifiers": "integer"},
    "serving.person_attributes": {
        "first_seen_at": "timestamp",
        "loyalty_registered_at": "timestamp",
        "account_created_at": "timestamp",
        "may_email": "boolean",
        "may_phone": "boolean",
        **{
            name: "integer"
            for name in (
                "identifiers", "loyalty_cards", "crm_records", "web_accounts", "app_installations", "wifi_devices",
                "birth_year",
            )
        },
    },
    "serving.person_suspects": {
        "person_id": "bigint", "persons": "integer", "urgency": "integer", "left_type": "varchar",
        "left_key": "varchar", "right_type": "varchar", "right_key": "varchar",
    },
    "serving.household_members": {"since": "timestamp"},
    "serving.identity_metrics": {"as_of_date": "date"},
    "tag_integration.tag_history": {"valid_from": "date", "valid_to": "date"},
    "tag_integration.tag_history_days": {"as_of_date": "date"},
    "tag_integration.tag_catalog": {
        **{name: _catalogue_type(name) for name in CATALOGUE_COLUMNS},
        "definition_hash": "varchar", "changed_on": "date", "upstream_sources": "varchar",
        "upstream_columns": "varchar", "used_by": "varchar", "sql": "varchar",
    },
}  # fmt: skip


def _store(connection: duckdb.DuckDBPyConnection, name: str, frame: pd.DataFrame, models: tuple[TagModel, ...]) -> None:
    types = OWN_TYPES.get(name, {})
    if name.endswith("_tags"):
        object_name = name.rpartition(".")[2].removesuffix("_tags")
        types = {tag.name: tag.data_type for tag in _tags(models, object_name)}
    columns = ", ".join(
        f'cast("{column}" as {types.get(column) or SQL_TYPES.get(str(dtype), "varchar")}) as "{column}"'
        for column, dtype in frame.dtypes.items()
    )
    connection.register("frame", frame)
    connection.execute(f"create table {name} as select {columns} from frame")
    connection.unregister("frame")


def _statistics(connection: duckdb.DuckDBPyConnection, models: tuple[TagModel, ...], day: date) -> None:
    """tag_distributions, tag_statistics and tag_scores: of the day as they are, of earlier days a little less."""
    days = month_ends(day)
    connection.execute(
        """
        create table tag_integration.tag_distributions (
            as_of_date date, object varchar, tag varchar, bin varchar, bin_from double, objects bigint
        );
        create table tag_integration.tag_statistics (
            object varchar, tag varchar, as_of_date date, objects bigint, filled bigint, missing bigint,
            coverage double, distinct_values bigint, lowest_value varchar, highest_value varchar, mean_value double,
            p05 double, p25 double, p50 double, p75 double, p95 double, top_values varchar, psi_previous double,
            psi_28d double, drift varchar, run_seconds double
        );
        create table tag_integration.tag_scores (
            object varchar, tag varchar, as_of_date date, coverage integer, stability integer, use integer,
            cost integer, freshness integer, quality integer
        )
        """
    )
    for object_name in OBJECT_KEYS:
        tags = _tags(models, object_name)
        bins = " union all ".join(_bins(object_name, tag, day) for tag in tags)
        connection.execute(f"insert into tag_integration.tag_distributions {bins}")
    listed = ", ".join(f"({number}, date '{past}')" for number, past in enumerate(reversed(days[:-1]), start=1))
    connection.execute(
        f"""
        insert into tag_integration.tag_distributions
        select past.as_of_date, object, tag, bin, bin_from,
            greatest(cast(objects * (1 - 0.01 * past.number * (1 + hash(tag, bin) % 3)) as bigint), 0)
        from tag_integration.tag_distributions
        cross join (values {listed}) as past (number, as_of_date);

        insert into tag_integration.tag_statistics
        select object, tag, as_of_date, sum(objects), sum(objects) filter (bin <> 'no value'),
            coalesce(sum(objects) filter (bin = 'no value'), 0),
            coalesce(sum(objects) filter (bin <> 'no value'), 0) / sum(objects)::double,
            count(distinct bin) filter (bin <> 'no value'), min(bin), max(bin), null, null, null, null, null, null,
            null, (hash(tag, as_of_date) % 300) / 1000.0, (hash(tag, as_of_date) % 320) / 1000.0,
            case when hash(tag, as_of_date) % 320 >= 250 then 'strong' when hash(tag, as_of_date) % 320 >= 100
                then 'slight' else 'none' end,
            0.1
        from tag_integration.tag_distributions
        group by object, tag, as_of_date;

        update tag_integration.tag_statistics set filled = 0 where filled is null;

        insert into tag_integration.tag_scores
        select object, tag, as_of_date, round(100 * coverage)::integer, 90, 50, 100, 100,
            round(0.3 * 100 * coverage + 58)::integer
        from tag_integration.tag_statistics
        where as_of_date = date '{day}'
        """
    )


def _bins(object_name: str, tag: Tag, day: date) -> str:
    table, column = f"tag_integration.{object_name}_tags", f'"{tag.name}"'
    kind = tag.data_type.lower()
    number, width = "null::double", 0
    if kind in ("integer", "bigint") or kind.startswith("decimal"):
        width = 10 if any(word in (tag.unit or "") for word in ("percent", "0-100")) else 0
        width = width or (25 if kind.startswith("decimal") else 1)
        number = f"floor({column}::double / {width}) * {width}"
    elif kind == "date":
        width, number = 30, f"floor(date_diff('day', {column}, date '{day}') / 30.0) * 30"
    word = f"({number})::bigint::varchar" if width else f"{column}::varchar"
    if width > 1:
        word = f"concat(({number})::bigint, '-', ({number})::bigint + {width - 1})"
    return (
        f"select date '{day}', '{object_name}', '{tag.name}', "
        f"case when {column} is null then 'no value' else {word} end as bin, "
        f"case when {column} is not null then {number} end as bin_from, count(*) from {table} group by all"
    )


if __name__ == "__main__":
    import sys

    made = make_world(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 2_000)
    print(made.published)
