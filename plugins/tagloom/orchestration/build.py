"""build_tags, which turns what landed into published tags, and update_tags, which does so for what came in since."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from airflow.sdk import DAG, AssetAll, AssetAny, Context, Param, chain, get_current_context, task
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from tagloom import day_build, layer_state, microbatch
from tagloom.alerting.late import Late, late_for_day
from tagloom.alerting.wording import deadline_scope, run_title
from tagloom.landing.work import LANDED, UNCHANGED
from tagloom.lineage import load_manifest
from tagloom.microbatch import IDENTITY
from tagloom.operations import create_operations_tables
from tagloom.orchestration.alerts import QualityError, send_alerts, tell_end, tell_results
from tagloom.orchestration.common import (
    BUILD_TAGS,
    DAY,
    FIRST_IN_LINE,
    PUBLISHED,
    START_DATE,
    default_arguments,
    layer_asset,
    log,
    raw_asset,
)
from tagloom.orchestration.lateness import build_deadline, look_at_the_clock, tell_run_failure
from tagloom.publish import publish
from tagloom.settings import CONTRACTS, PROJECT, Settings, load_settings
from tagloom.sources import Source, readable_sources
from tagloom.tags import run_times
from tagloom.transform import LAYERS, NodeResult, TransformError, build_layer
from tagloom.warehouse import POOL, open_warehouse

if TYPE_CHECKING:
    from tagloom.quality import CheckResult

LONGEST_RUN = timedelta(hours=24)
"""A run that takes longer is stopped and told of."""


def build_tags_dag(declarations: Path, documentation: str) -> DAG:
    """Make the DAG that builds, checks and publishes everything, layer by layer."""
    awaited = [raw_asset(name) for name in awaited_sources(declarations)]
    with DAG(
        dag_id=BUILD_TAGS,
        description="Persons, tags, audiences and reports (人群标签)",
        doc_md=documentation,
        schedule=AssetAll(*awaited),
        start_date=START_DATE,
        catchup=False,
        max_active_runs=1,
        params={
            "as_of_date": Param(
                None,
                type=["null", "string"],
                pattern=DAY,
                description="Last day to know of; empty: the last complete one",
            ),
            "rebuild": Param(False, type="boolean", description="Build layers again although nothing has changed"),
        },
        default_args=default_arguments(),
        on_failure_callback=tell_run_failure,
        # A run that hangs would keep all later ones from starting.
        dagrun_timeout=LONGEST_RUN,
        deadline=build_deadline(load_settings()),
        tags=["build"],
    ) as dag:
        landing = _check_landing()
        layers = [
            _build_and_check.override(task_id=layer, outlets=[layer_asset(layer)])(layer, landing) for layer in LAYERS
        ]
        published = _publish.override(outlets=[PUBLISHED])(landing)
        chain(landing, *layers, published)
    return dag


def update_tags_dag(sources: list[Source], documentation: str) -> DAG:
    """Make the DAG that updates tags after each small batch."""
    watched = [source.name for source in sources if source.is_on_arrival]
    # A build that has ended is followed by an update: what landed meanwhile has waited for it.
    batches = AssetAny(*(raw_asset(name) for name in watched), layer_asset(LAYERS[-1])) if watched else None
    with DAG(
        dag_id="update_tags",
        description="Tags of persons with new events (微批更新)",
        doc_md=documentation,
        schedule=batches,
        start_date=START_DATE,
        catchup=False,
        max_active_runs=1,
        default_args=default_arguments(),
        on_failure_callback=tell_run_failure,
        dagrun_timeout=LONGEST_RUN,
        tags=["build"],
    ) as dag:
        _update.override(outlets=[PUBLISHED])(watched)
    return dag


@task(task_id="landing", pool=POOL)
def _check_landing() -> str:
    """Decide which day to build for, and check what landed."""
    settings = load_settings()
    context = get_current_context()
    as_of_date = _as_of_date(settings, context)
    log.info("building for %s", as_of_date)
    _check(settings, "landing", as_of_date, context["run_id"], late=_late_sources(settings, as_of_date))
    return as_of_date.isoformat()


@task(pool=POOL)
def _build_and_check(layer: str, as_of_date: str) -> dict:
    """Build one layer with dbt in this process and check it with Soda, unless it is built from the same inputs."""
    settings = load_settings()
    day = date.fromisoformat(as_of_date)
    look_at_the_clock(settings, get_current_context())
    fingerprint = _begin(settings, layer, day)
    if fingerprint is None:
        log.info("%s: unchanged", layer)
        return {"as_of_date": as_of_date, "unchanged": True}
    started = time.monotonic()
    nodes, way = _built(settings, layer, day)
    built = time.monotonic()
    results = _check(settings, layer, day, get_current_context()["run_id"], fingerprint)
    if layer == day_build.LAYERS[-1]:
        with open_warehouse(settings) as connection:
            day_build.finish(connection, settings, day)
    models = {
        node.name: {"status": node.status, "rows": node.rows, "seconds": node.seconds}
        for node in nodes
        if node.kind != "test"
    }
    tests = [node for node in nodes if node.kind == "test"]
    summary = {
        "as_of_date": as_of_date,
        **way,
        "models": models,
        "data_tests": len(tests),
        "data_tests_warned": [node.name for node in tests if node.status == "warn"],
        "checks": {outcome: sum(result.outcome == outcome for result in results) for outcome in ("passed", "warned")},
        "build_seconds": round(built - started, 2),
        "check_seconds": round(time.monotonic() - built, 2),
    }
    log.info(
        "%s: %s models and seeds, %s data tests in %.1f s; %s checks in %.1f s",
        layer,
        len(models),
        len(tests),
        summary["build_seconds"],
        len(results),
        summary["check_seconds"],
    )
    get_current_context()["outlet_events"][layer_asset(layer)].extra = summary
    return summary


def _built(settings: Settings, layer: str, day: date) -> tuple[list[NodeResult], dict]:
    """Build a layer, and say in which way: in full or incrementally, why, and for how many persons.

    Identity mapping is followed by matching, and built again when that has found other links.
    """
    # Brings pandas, which the processes that only read the DAG do without.
    from tagloom.identity.matching import match_persons
    from tagloom.identity.matching_model import MatchingError

    try:
        if layer == "tag_category":
            _check_definitions(settings, day)
        if layer in day_build.LAYERS:
            built = day_build.build_layer_of_day(
                settings, layer, day, rebuild=get_current_context()["params"]["rebuild"]
            )
            nodes, way = built.nodes, built.summary
        else:
            nodes, way = build_layer(settings, layer, day), {}
        if layer == IDENTITY and match_persons(settings, day).links_changed:
            nodes = build_layer(settings, layer, day)
    except (TransformError, MatchingError) as error:
        raise AirflowFailException(str(error)) from error
    with open_warehouse(settings) as connection:
        run_times.record(connection, day, layer, nodes)
    return nodes, way


def _check_definitions(settings: Settings, day: date) -> None:
    """Refuse to compute tags when one that is a draft, retired or deleted is used; note what each is made of."""
    # Brings sqlglot, which the processes that only read the DAG do without.
    from tagloom.tags import preflight
    from tagloom.tags.definitions import TagError

    manifest = load_manifest(settings.dbt_target / "manifest.json")
    try:
        with open_warehouse(settings) as connection:
            preflight.prepare(connection, manifest, PROJECT / "dbt_project", day)
    except TagError as error:
        raise AirflowFailException(str(error)) from error


@task(task_id="publish", pool=POOL)
def _publish(as_of_date: str) -> dict:
    """Make the checked tables the version that readers see, and hand in mails that are still waiting."""
    settings = load_settings()
    day = date.fromisoformat(as_of_date)
    with open_warehouse(settings) as connection:
        reasons = layer_state.reasons_not_to_publish(connection, day)
    if reasons:
        raise AirflowFailException(
            "Only a whole version that has passed its checks is published; readers keep the one before. "
            f"{' '.join(reasons)} Clear the first task of build_tags that this names, or run build_tags again."
        )
    version = publish(settings, day)
    log.info("published version %s: %s tables", version.name, len(version.tables))
    tell_end(settings, get_current_context(), [deadline_scope(BUILD_TAGS)], run_title(BUILD_TAGS))
    send_alerts(settings)
    get_current_context()["outlet_events"][PUBLISHED].extra = {"version": version.name, "as_of_date": as_of_date}
    return {"version": version.name, "tables": version.tables}


@task(task_id="update", pool=POOL, **FIRST_IN_LINE)
def _update(source_names: list[str]) -> dict:
    """Bring the tags of the persons up to date whom new rows are about, and publish them."""
    settings = load_settings()
    try:
        # All sources, not only those whose events started the run: Airflow may leave events out of a run that came
        # while another one was under way. What is new is found out from the rows.
        done = microbatch.update(settings, source_names, run_id=get_current_context()["run_id"])
    except microbatch.FullBuildNeededError as error:
        raise AirflowSkipException(str(error)) from error
    except (TransformError, microbatch.UpdateError) as error:
        raise AirflowFailException(str(error)) from error
    log.info("update: %s new records, %s persons, version %s", done.new_records, done.affected_persons, done.version)
    send_alerts(settings)
    if done.version is None:
        # Who waits for a new version is not to be started.
        raise AirflowSkipException("The new rows are about nobody who is known: nothing was published.")
    extra = {"version": done.version, "as_of_date": done.as_of_date.isoformat()}
    get_current_context()["outlet_events"][PUBLISHED].extra = extra
    return done.as_dict()


def _late_sources(settings: Settings, as_of_date: date) -> list[Late]:
    """Which of the sources that a build waits for have not delivered the whole day that is built for."""
    zone = ZoneInfo(settings.time_zone)
    with open_warehouse(settings) as connection:
        create_operations_tables(connection)
        landed = dict(
            connection.execute(
                "select source, max(end_day) from operations.landing_log where status in (?, ?) group by source",
                [LANDED, UNCHANGED],
            ).fetchall()
        )
    awaited = readable_sources(settings.sources)[0]
    late = late_for_day(awaited, landed, first_end_day_of(as_of_date, zone))
    for one in late:
        log.warning("%s: %s", one.source.name, one.sentence)
    return late


def first_end_day_of(day: date, time_zone: ZoneInfo) -> date:
    """The first UTC day at whose beginning the local day is over; the other way round than `last_complete_day`."""
    ends = (day + timedelta(days=number) for number in (1, 2, 3))
    return next(end for end in ends if last_complete_day(end, time_zone) >= day)


def _begin(settings: Settings, step: str, as_of_date: date) -> str | None:
    """Fingerprint of the inputs of a step that is to be done now, None when it was done from the same ones."""
    with open_warehouse(settings) as connection:
        fingerprint = layer_state.inputs_fingerprint(connection, settings, as_of_date)
        rebuild = get_current_context()["params"]["rebuild"]
        if not rebuild and layer_state.is_current(connection, step, fingerprint):
            return None
        layer_state.begin(connection, step)
    return fingerprint


def _check(
    settings: Settings,
    layer: str,
    as_of_date: date,
    run_id: str,
    fingerprint: str | None = None,
    late: Sequence[Late] = (),
) -> list[CheckResult]:
    """Check a layer; when it passes and `fingerprint` is given, remember what it was built from.

    `late`: sources of which something is missing, for the same mail.
    """
    # Loaded here: updates check nothing with Soda, and should begin at once.
    from tagloom import quality_book
    from tagloom.quality import check_layer, record_results

    with open_warehouse(settings) as connection:
        results = check_layer(connection, CONTRACTS, layer, run_id, as_of_date)
        stops = any(result.stops for result in results)
        # First of all: whatever happens to the books, nobody reads a layer that is not well.
        layer_state.note_checks(connection, layer, as_of_date, run_id, passed=not stops)
        record_results(connection, results)
        told = tell_results(settings, connection, get_current_context(), layer, results, late)
        quality_book.record(settings, connection, results)
        if fingerprint and not stops:
            layer_state.finish(connection, layer, fingerprint, as_of_date)
    if told:
        send_alerts(settings)
    if stops:
        # Data do not get better by looking again: no retry.
        error = QualityError(layer, results)
        raise AirflowFailException(str(error)) from error
    return results


def awaited_sources(declarations: Path) -> list[str]:
    """Names of the sources that a build waits for.

    One whose declaration is wrong is still waited for when that says so: tags must not be built without it unawares.
    """
    sources = {source.name: source for source in readable_sources(declarations)[0]}
    return [
        path.stem
        for path in sorted(declarations.glob("*.yml"))
        if (sources[path.stem].build_waits_for_it if path.stem in sources else _seems_awaited(path))
    ]


def _seems_awaited(declaration: Path) -> bool:
    text = declaration.read_text(encoding="utf-8", errors="replace")
    return re.search(r"^build_waits_for_it:\s*true\b", text, re.MULTILINE | re.IGNORECASE) is not None


def _as_of_date(settings: Settings, context: Context) -> date:
    """The day to build for: the parameter, else the last local day that is complete in what landed.

    A run that assets start has no logical date; what the assets' events say landed decides.
    """
    if context["params"]["as_of_date"]:
        return date.fromisoformat(context["params"]["as_of_date"])
    events = [event for group in context["triggering_asset_events"].values() for event in group]
    end_days = [date.fromisoformat(event.extra["end_day"]) for event in events if event.extra.get("end_day")]
    end_day = min(end_days) if end_days else _last_landed_day(settings)
    return last_complete_day(end_day, ZoneInfo(settings.time_zone))


def last_complete_day(end_day: date, time_zone: ZoneInfo) -> date:
    """Last local day that is over when UTC days before end_day have landed.

    In New York the UTC day of the 31st ends at 19:00, so it completes the 30th; in Shanghai it completes the 31st.
    """
    landed_until = datetime(end_day.year, end_day.month, end_day.day, tzinfo=UTC)
    return landed_until.astimezone(time_zone).date() - timedelta(days=1)


def _last_landed_day(settings: Settings) -> date:
    awaited = awaited_sources(settings.sources)
    with open_warehouse(settings) as connection:
        create_operations_tables(connection)
        (end_day,) = connection.execute(
            """
            select min(end_day)
            from (select max(end_day) as end_day from operations.landing_log
                  where status = 'landed' and list_contains($sources, source) group by source)
            """,
            {"sources": awaited},
        ).fetchall()[0]
    if end_day is None:
        raise AirflowFailException(f"Nothing has landed yet; run ingest_{awaited[0]} first or set as_of_date.")
    return end_day
