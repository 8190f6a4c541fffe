"""Ways to break the world, as steps of `dag_runs`, and the stage on which they are played."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import duckdb
import pandas as pd
from tagloom.sources import Source
from tagloom.transform import LAYERS

from sample_data.landing import write_landing
from sample_data.world import World
from tests.pipeline.broken_world import MINUTES, mail_server, prepare_home, write_deliveries
from tests.pipeline.dag_runs import Server

DAYS = 21
"""Local days of the world: the alarm of a channel needs two weeks before the three days that are low."""

ENOUGH_PERSONS = 84
"""Holders of a card; with those whom other systems know there are more than a hundred, so that drift is judged."""

LOOK = {"call": "tests.pipeline.looks:state"}
"""A step that says what is open and held."""


@dataclass(frozen=True)
class Stage:
    """Where the breakages happen."""

    home: Path
    project: Path
    world: World
    day: date
    """The last local day: it has landed, and is not built yet when the first breakage comes."""
    sources: list[Source]

    def ingest(self, source: str, days_before: int = 0) -> dict:
        """A step that lands the last deliveries of a source: the day, and the evening in New York after it."""
        days = {"first_day": self.day - timedelta(days=days_before), "end_day": self.day + timedelta(days=2)}
        return {"dag": f"ingest_{source}", "conf": {name: day.isoformat() for name, day in days.items()}}

    def build(self, until: str = "publish") -> dict:
        """A step that builds the last day; the layers above `until` are marked as done without being built."""
        tasks = ["landing", *LAYERS, "publish"]
        conf = {"as_of_date": self.day.isoformat()}
        return {"dag": "build_tags", "conf": conf, "only": tasks[: tasks.index(until) + 1]}

    def delivery(self, name: str, frame: pd.DataFrame, folder: str, days_before: int = 0) -> list[tuple[Path, Path]]:
        """Write the last deliveries of a table, as they are in this frame, beside the home: (file, its place)."""
        source, table = name.split(".")
        declared = next(one for one in self.sources if one.name == source).table(table)
        if declared.grain == "event":
            first = pd.Timestamp(self.day - timedelta(days=days_before))
            frame = frame[frame[declared.event_time] >= first]
        beside = self.home.parent / folder
        files = write_landing({name: frame}, beside, self.sources, snapshot_date=self.day)
        return [(file, self.home / "landing" / file.relative_to(beside)) for file in files]


def late_source(stage: Stage) -> list[dict]:
    """The day's loyalty cards have not come when the day is built, and come later."""
    cards, place = _cards_of_the_next_day(stage)
    check = stage.build("landing")
    return [check, LOOK, {"copy": [str(cards), str(place)]}, stage.ingest("loyalty"), check, LOOK]


def empty_delivery(stage: Stage) -> list[dict]:
    """The tills' file of the day has no row."""

    def empty(file: Path) -> None:
        with duckdb.connect() as connection:
            connection.execute(
                "create table columns as from read_parquet(?, hive_partitioning = false) limit 0", [str(file)]
            )
            connection.execute(f"copy columns to '{file}' (format parquet)")

    return _delivered_wrong(stage, "empty", "pos.basket_lines", change_file=empty)


def duplicated_delivery(stage: Stage) -> list[dict]:
    """The file of the day before comes once more, beside the one of the day."""
    place = stage.home / "landing" / "pos" / "basket_lines"
    yesterday = place / f"date={stage.day - timedelta(days=1)}" / "part-0.parquet"
    again = place / f"date={stage.day}" / "part-1.parquet"
    return [
        {"copy": [str(yesterday), str(again)]},
        stage.ingest("pos"),
        stage.build(),
        LOOK,
        {"remove": str(again)},
        stage.ingest("pos"),
        stage.build("landing"),
        LOOK,
    ]


def column_renamed(stage: Stage) -> list[dict]:
    """The survey's card_number is called card_no all of a sudden: nothing can land."""

    def rename(file: Path) -> None:
        file.write_text(file.read_text(encoding="utf-8").replace("card_number", "card_no", 1), encoding="utf-8")

    return _delivered_wrong(stage, "renamed", "survey.respondents", change_file=rename, is_built=False)


def nulls_in_a_key(stage: Stage) -> list[dict]:
    """Every third ticket has no number: too many bad rows to land."""

    def forget(tickets: pd.DataFrame) -> pd.DataFrame:
        return tickets.assign(ticket_id=tickets["ticket_id"].where([number % 3 != 0 for number in range(len(tickets))]))

    return _delivered_wrong(stage, "nulls", "support.tickets", forget, is_built=False)


def unit_change(stage: Stage) -> list[dict]:
    """The day's sales are in cents."""

    def in_cents(lines: pd.DataFrame) -> pd.DataFrame:
        is_new = lines["sold_at"] >= pd.Timestamp(stage.day)
        return lines.assign(sales_value=lines["sales_value"].where(~is_new, lines["sales_value"] * 100))

    return _delivered_wrong(stage, "cents", "pos.basket_lines", in_cents)


def category_explosion(stage: Stage) -> list[dict]:
    """Every product has a category of its own."""

    def explode(products: pd.DataFrame) -> pd.DataFrame:
        own = products["product_category"].fillna("OTHER").astype(str) + " " + products["product_id"].astype(str)
        return products.assign(product_category=own)

    return _delivered_wrong(stage, "exploded", "catalogue.products", explode)


def contract_typo(stage: Stage) -> list[dict]:
    """Somebody mistypes a key of a Soda contract."""
    contract = stage.project / "soda" / "contracts" / "landing" / "wifi" / "sightings.yml"
    right, wrong = stage.home.parent / "right.yml", stage.home.parent / "wrong.yml"
    text = contract.read_text(encoding="utf-8")
    assert text.count("- duplicate:") == 1, "the contract is another one now"
    right.write_text(text, encoding="utf-8")
    wrong.write_text(text.replace("- duplicate:", "- duplicates:"), encoding="utf-8")
    return [
        {"copy": [str(wrong), str(contract)]},
        stage.build(),
        LOOK,
        {"copy": [str(right), str(contract)]},
        stage.build("landing"),
        LOOK,
    ]


def over_merge(stage: Stage) -> list[dict]:
    """The CRM's contacts have slipped down by one row: strangers share card and address. Repaired by what follows."""
    customers = stage.world["crm.customers"]
    slipped = customers.assign(loyalty_card=customers["loyalty_card"].shift(1), email=customers["email"].shift(1))
    return [
        *_copies(stage.delivery("crm.customers", slipped, "slipped")),
        stage.ingest("crm"),
        stage.build(),
        LOOK,
        *_copies(stage.delivery("crm.customers", customers, "not_slipped")),
        stage.ingest("crm"),
    ]


def _tidied_models(stage: Stage) -> tuple[list[dict], list[dict]]:
    """Steps that put tidied staging models into the project: words of products in lower case, amounts in cents.

    And those that put the right ones back. Every table still agrees with every other one, and what landed is as it was:
    only that tags are not what they were the day before shows that rules compare words and limits with the old ones.
    """
    staging = stage.project / "dbt_project" / "models" / "staging"
    edits = {
        staging / "catalogue" / "stg_catalogue__products.sql": {
            f"        {column},\n": f"        lower({column}) as {column},\n"
            for column in ("department", "product_category", "product_type")
        },
        staging / "pos" / "stg_pos__basket_lines.sql": {
            f" {column} as ": f" 100 * {column} as "
            for column in ("sales_value", "retail_discount", "coupon_discount", "coupon_match_discount")
        },
    }
    tidied, right = [], []
    for model, replaced in edits.items():
        text = changed = model.read_text(encoding="utf-8")
        for before, after in replaced.items():
            assert changed.count(before) == 1, f"{model.name} is another one now"
            changed = changed.replace(before, after)
        for steps, name, content in ((tidied, "tidied", changed), (right, "right", text)):
            file = stage.home.parent / f"{name}_{model.name}"
            file.write_text(content, encoding="utf-8")
            steps.append({"copy": [str(file), str(model)]})
    return tidied, right


def drift_channel_and_disk(stage: Stage) -> list[dict]:
    """Staging models are tidied, nobody pays in the web shop for three days, and the disk of versions is full."""
    tidied, _ = _tidied_models(stage)
    return [
        *tidied,
        *_copies(stage.delivery("web.events", _nobody_buys(stage), "nobody_buys", days_before=2)),
        stage.ingest("web", days_before=2),
        {
            "call": "tests.pipeline.looks:put_on_full_disk",
            "with": {"folder": str(stage.home / "published"), "spare_bytes": 1 << 18},
        },
        stage.build(),
        LOOK,
        {"dag": "monitor_channels", "conf": {"as_of_date": stage.day.isoformat()}},
        LOOK,
    ]


def all_well(stage: Stage) -> list[dict]:
    """There is room again, the models are the right ones, and what was delivered wrongly comes as it should be."""
    _, right = _tidied_models(stage)
    return [
        *right,
        {"call": "tests.pipeline.looks:put_on_usual_disk", "with": {"folder": str(stage.home / "published")}},
        *_copies(stage.delivery("web.events", stage.world["web.events"], "some_buy", days_before=2)),
        stage.ingest("web", days_before=2),
        stage.build(),
        {"dag": "monitor_channels", "conf": {"as_of_date": stage.day.isoformat()}},
        LOOK,
    ]


PARTS: dict[str, Callable[[Stage], list[dict]]] = {
    "late source": late_source,
    "empty delivery": empty_delivery,
    "duplicated delivery": duplicated_delivery,
    "column renamed": column_renamed,
    "nulls in a key": nulls_in_a_key,
    "unit change": unit_change,
    "category explosion": category_explosion,
    "contract typo": contract_typo,
    "over-merge": over_merge,
    "drift, channel and disk": drift_channel_and_disk,
    "all well": all_well,
}
"""What is played, in this order."""


def _copies(pairs: list[tuple[Path, Path]]) -> list[dict]:
    return [{"copy": [str(file), str(place)]} for file, place in pairs]


def _delivered_wrong(
    stage: Stage,
    folder: str,
    name: str,
    change: Callable[[pd.DataFrame], pd.DataFrame] = lambda frame: frame,
    change_file: Callable[[Path], None] = lambda file: None,
    is_built: bool = True,
) -> list[dict]:
    """Deliver the last day of a table wrongly, land and build it; then deliver, land and check it as it should be."""
    frame, ingest = stage.world[name], stage.ingest(name.split(".")[0])
    wrong, right = (
        stage.delivery(name, change(frame), f"{folder}_wrong"),
        stage.delivery(name, frame, f"{folder}_right"),
    )
    change_file(wrong[0][0])
    broken = [*_copies(wrong), ingest, *([stage.build()] if is_built else []), LOOK]
    return [*broken, *_copies(right), ingest, *([stage.build("landing")] if is_built else []), LOOK]


def _cards_of_the_next_day(stage: Stage) -> tuple[Path, Path]:
    beside, following = stage.home.parent / "late", stage.day + timedelta(days=1)
    (file,) = write_landing(
        {"loyalty.cards": stage.world["loyalty.cards"]}, beside, stage.sources, snapshot_date=following
    )
    return file, stage.home / "landing" / file.relative_to(beside)


def _nobody_buys(stage: Stage) -> pd.DataFrame:
    """The web events without the purchases of the last three days: everybody leaves at the payment."""
    events = stage.world["web.events"]
    is_late = events["occurred_at"] >= pd.Timestamp(stage.day - timedelta(days=2))
    return events[~(is_late & (events["event"] == "purchase"))]


def land_everything(stage: Stage) -> list[dict]:
    """Make the home with all deliveries, and return the steps that land them."""
    settings = prepare_home(stage.home)
    yesterday = stage.day - timedelta(days=1)
    write_deliveries(stage.world, settings.landing, stage.sources, [yesterday, stage.day])
    return [stage.ingest(source.name, days_before=DAYS) for source in stage.sources]


def set_stage(stage: Stage, server: Server) -> None:
    """Land everything but the last loyalty cards, and publish the tags of the day before the last."""
    steps, build = land_everything(stage), stage.build()
    for step in steps:
        if step["dag"] == "ingest_loyalty":
            step["conf"]["end_day"] = (stage.day + timedelta(days=1)).isoformat()
    build["conf"]["as_of_date"] = (stage.day - timedelta(days=1)).isoformat()
    with mail_server() as (box, url):
        results = server.start(stage.home, "base", [*steps, build], TAGLOOM_SMTP_URL=url).wait(MINUTES * 60)
    failed = [result["dag"] for result in results if result["state"] != "success"]
    assert failed == [], "the world is clean before it is broken"
    assert [mail["Subject"] for mail in box.mails] == [], "the world is clean before it is broken"
