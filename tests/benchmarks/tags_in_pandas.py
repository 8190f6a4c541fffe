"""Ten of the tags in pandas, from the same facts: as they are first written, and as fast as pandas goes.

As first written, what differs from person to person, such as the most frequent store, is a function that groupby calls
for each person. Without such functions there are only groupby, merge and sorting over whole columns. The facts come as
Parquet with the columns that are needed and without rows of nobody.
"""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import duckdb
import pandas as pd

TAGS = {
    "tag_consumption__spend": "spend_365d",
    "tag_lifecycle__stage": "last_order_date",
    "tag_consumption__rhythm": "purchase_interval_days",
    "tag_habit__shopping_time": "usual_weekday",
    "tag_preference__store": "favourite_store_id",
    "tag_value__rfm": "monetary_score",
    "tag_preference__assortment": "favourite_department",
    "tag_consumption__variety": "distinct_products_365d",
    "tag_behaviour__web": "web_sessions_90d",
    "tag_behaviour__cart": "abandoned_carts_365d",
}
"""Model -> the one of its tags that is computed here."""

BEHIND = ("int_categories_bought", "int_order_history", "int_products_bought")
"""Facts that no other tag would be read for: they are computed with the ten tags."""

READ = {
    "int_orders": ["person_id", "order_date", "ordered_at", "store_id", "sales_amount"],
    "int_order_lines": [
        "person_id", "order_date", "product_id", "department", "is_in_catalogue", "counts_pieces", "sales_amount",
    ],
    "int_web_sessions": [
        "person_id", "session_date", "started_at", "ended_at", "web_session_id", "has_cart", "has_purchase",
    ],
}  # fmt: skip

WEEKDAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]


def export(connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """Write the facts as Parquet, amounts as whole cents, for `ten_tags`; not counted."""
    for name, columns in READ.items():
        listed = ["cast(sales_amount * 100 as bigint) as cents" if it == "sales_amount" else it for it in columns]
        connection.execute(
            f"copy (select {', '.join(listed)} from intermediate.{name} where person_id is not null) "
            f"to '{folder / name}.parquet' (format parquet)"
        )


def ten_tags(folder: Path, as_of_date: date, *, whole_columns: bool) -> pd.DataFrame:
    """person_id -> the ten tags. `whole_columns`: without a Python function per person.

    As first written, equally frequent values are told apart by pandas' mode() and not by the last use.
    """
    most_frequent = _most_frequent if whole_columns else _mode
    abandoned_carts = _abandoned_carts if whole_columns else _abandoned_carts_per_person
    year = pd.Timestamp(as_of_date - timedelta(days=365))
    everything = _read(folder, "int_orders")
    orders = everything[everything["order_date"] > year]
    by_person = orders.groupby("person_id", sort=False)
    spend = by_person["cents"].sum()
    if whole_columns:
        days = orders[["person_id", "order_date"]].drop_duplicates().groupby("person_id", sort=False)["order_date"]
        days = days.agg(["count", "min", "max"])
        interval = ((days["max"] - days["min"]).dt.days / (days["count"] - 1)).where(days["count"] >= 3)
    else:
        interval = by_person["order_date"].agg(_mean_gap)
    known = everything.groupby("person_id", sort=False)["order_date"]
    weekday = most_frequent(orders.assign(weekday=orders["order_date"].dt.weekday), "weekday", "ordered_at")
    tags = pd.DataFrame({"last_order_date": known.max()})
    tags["spend_365d"] = (spend / 100).reindex(tags.index).fillna(0)
    tags["purchase_interval_days"] = interval
    tags["usual_weekday"] = weekday.where(by_person.size() >= 3).map(dict(enumerate(WEEKDAYS)))
    tags["favourite_store_id"] = most_frequent(orders, "store_id", "ordered_at")
    rank = spend.rank(method="min")
    tags["monetary_score"] = 1 + ((rank - 1) * 5 // rank.size)

    lines = _read(folder, "int_order_lines")
    lines = lines[lines["order_date"] > year]
    tags["distinct_products_365d"] = (
        lines[["person_id", "product_id"]].drop_duplicates().groupby("person_id", sort=False).size()
    )
    taste = lines["is_in_catalogue"] & lines["counts_pieces"] & ~lines["department"].isin(["COUPON", "MISCELLANEOUS"])
    departments = lines[taste].groupby(["person_id", "department"], sort=False)
    departments = departments.agg(cents=("cents", "sum"), last=("order_date", "max")).reset_index()
    departments = departments.sort_values(["cents", "last", "department"], ascending=[False, False, True])
    tags["favourite_department"] = departments.drop_duplicates("person_id").set_index("person_id")["department"]

    sessions = _read(folder, "int_web_sessions")
    quarter = sessions["session_date"] > pd.Timestamp(as_of_date - timedelta(days=90))
    tags = tags.join(sessions.assign(quarter=quarter).groupby("person_id", sort=False)["quarter"].sum(), how="outer")
    tags = tags.rename(columns={"quarter": "web_sessions_90d"})
    tags["abandoned_carts_365d"] = abandoned_carts(sessions, as_of_date, year)
    return tags


def differences(connection: duckdb.DuckDBPyConnection, tags: pd.DataFrame) -> list[str]:
    """A sentence for each tag that pandas has found otherwise, over the persons with a value of both."""
    found = []
    tags = tags.reset_index()
    for model, tag in TAGS.items():
        ((differing, compared),) = connection.execute(
            f"""
            select count(*) filter (abs_difference > 0), count(*)
            from (
                select case
                    when ours.{tag} is null or pandas.{tag} is null then 0
                    when '{tag}' = 'purchase_interval_days'
                        then cast(abs(try_cast(cast(ours.{tag} as varchar) as double)
                            - try_cast(cast(pandas.{tag} as varchar) as double)) > 0.0501 as integer)
                    when cast(ours.{tag} as varchar) = cast(pandas.{tag} as varchar) then 0
                    when try_cast(cast(ours.{tag} as varchar) as double)
                        = try_cast(cast(pandas.{tag} as varchar) as double) then 0
                    when try_cast(cast(ours.{tag} as varchar) as date)
                        = try_cast(cast(pandas.{tag} as varchar) as timestamp) then 0
                    else 1
                end as abs_difference
                from tag_category.{model} as ours inner join tags as pandas on ours.person_id = pandas.person_id
            )
            """
        ).fetchall()
        if differing or not compared:
            found.append(f"{model}.{tag}: pandas differs for {differing:,} of {compared:,} persons")
    return found


def _read(folder: Path, name: str) -> pd.DataFrame:
    frame = pd.read_parquet(folder / f"{name}.parquet")
    for column in frame.columns:
        if column.endswith("_date"):
            frame[column] = pd.to_datetime(frame[column])
    return frame


def _most_frequent(rows: pd.DataFrame, column: str, time: str) -> pd.Series:
    """Each person's most frequent value; of equally frequent ones the last used, then the smallest."""
    counted = rows.groupby(["person_id", column], sort=False)[time].agg(["count", "max"]).reset_index()
    counted = counted.sort_values(["count", "max", column], ascending=[False, False, True])
    return counted.drop_duplicates("person_id").set_index("person_id")[column]


def _mode(rows: pd.DataFrame, column: str, time: str) -> pd.Series:
    del time
    return rows.groupby("person_id", sort=False)[column].agg(lambda values: values.mode().iat[0])


def _mean_gap(days: pd.Series) -> float | None:
    different = days.drop_duplicates().sort_values()
    return different.diff().mean() / pd.Timedelta(days=1) if len(different) >= 3 else None


def _abandoned_carts_per_person(sessions: pd.DataFrame, as_of_date: date, year: pd.Timestamp) -> pd.Series:
    day = pd.Timestamp(as_of_date)

    def abandoned(own: pd.DataFrame) -> int:
        bought = own.loc[own["has_purchase"], "started_at"].to_numpy()
        carts = own[own["has_cart"] & ~own["has_purchase"] & (own["session_date"] < day) & (own["session_date"] > year)]
        return sum(
            not any(start < purchase and purchase - end <= pd.Timedelta(hours=24) for purchase in bought)
            for start, end in zip(carts["started_at"], carts["ended_at"], strict=True)
        )

    carts = sessions["has_cart"] & (sessions["session_date"] < day)
    with_carts = sessions[sessions["person_id"].isin(sessions.loc[carts, "person_id"])]
    return with_carts.groupby("person_id", sort=False)[list(with_carts.columns[1:])].apply(abandoned)


def _abandoned_carts(sessions: pd.DataFrame, as_of_date: date, year: pd.Timestamp) -> pd.Series:
    sessions = sessions.sort_values(["person_id", "started_at", "web_session_id"])
    purchases = sessions["started_at"].where(sessions["has_purchase"])
    later = purchases.groupby(sessions["person_id"], sort=False).shift(-1)
    next_purchase = later.groupby(sessions["person_id"], sort=False).bfill()
    waited = (next_purchase - sessions["ended_at"]).dt.total_seconds()
    carts = sessions["has_cart"] & (sessions["session_date"] < pd.Timestamp(as_of_date))
    abandoned = carts & ~sessions["has_purchase"] & ~(waited <= 24 * 60 * 60) & (sessions["session_date"] > year)
    persons = sessions[carts].groupby("person_id", sort=False).size()
    return abandoned.groupby(sessions["person_id"], sort=False).sum().reindex(persons.index)
