"""What the demo prints at its end: what came in, who is who, which tags there are, what the checks say."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from tagloom.publish import current_version
from tagloom.settings import Settings
from tagloom.warehouse import open_warehouse

from sample_data.accuracy import measure_accuracy

if TYPE_CHECKING:
    import duckdb


def print_summary(settings: Settings, seconds: dict[str, float]) -> None:
    """Print the summary of the last run to the terminal."""
    with open_warehouse(settings) as connection:
        _print_landing(connection)
        _print_identity(connection, settings)
        _print_tags(connection)
        _print_segments(connection)
        _print_checks(connection)
    _print_seconds(settings, seconds)
    _print_places(settings)


def _print_landing(connection: duckdb.DuckDBPyConnection) -> None:
    rows = connection.execute(
        """
        with last_landings as (
            select *, row_number() over (partition by source, table_name order by logged_at desc) as age
            from operations.landing_log
            where status = 'landed'
        )
        select source || '.' || table_name, files, rows_read, rows_landed, rows_quarantined, duplicates
        from last_landings where age = 1 order by source, table_name
        """
    ).fetchall()
    _print_table("What landed", ("table", "files", "rows read", "landed", "quarantined", "duplicates"), rows)
    reasons = connection.execute(
        "select source || '.' || table_name, coalesce(column_name || ' ', '') || reason, count(*) "
        "from operations.quarantine group by all order by 3 desc, 1 limit 5"
    ).fetchall()
    for table, reason, count in reasons:
        print(f"  quarantined in {table}: {reason} ({count})")


def _print_identity(connection: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    identifiers, mapped, persons, with_card = connection.execute(
        """
        select (select count(*) from identity_mapping.identity_identifiers),
            (select count(*) from identity_mapping.identity_map), count(*), count(*) filter (loyalty_cards > 0)
        from identity_mapping.persons
        """
    ).fetchall()[0]
    accuracy = measure_accuracy(connection, settings.home / "truth")
    rejected = connection.execute(
        "select rejected_because, count(*) from identity_mapping.identity_rejected_edges group by all order by all"
    ).fetchall()
    _heading("Who is who")
    print(
        f"  {identifiers:,} identifiers, {mapped:,} of them of {persons:,} persons; {with_card:,} hold a loyalty card"
    )
    print(f"  {accuracy.records:,} customer records against the truth kept apart, pair by pair:")
    print(f"  precision {accuracy.precision:.4f}   recall {accuracy.recall:.4f}   F1 {accuracy.f1:.4f}")
    households, members, relations = connection.execute(
        """
        select (select count(*) from identity_mapping.households),
            (select count(*) from identity_mapping.household_members),
            (select count(*) from identity_mapping.person_relations)
        """
    ).fetchall()[0]
    print(f"  {households:,} households of {members:,} persons; {relations:,} pairs share a household or a device")
    print("  links rejected: " + ", ".join(f"{count:,} {reason}" for reason, count in rejected))


def _print_tags(connection: duckdb.DuckDBPyConnection) -> None:
    rows = connection.execute(
        """
        select catalogue.object, split_part(catalogue.category, '/', 1) as category, count(*),
            round(100 * avg(coverage), 1)::varchar || ' %',
            first(catalogue.title || ' ' || catalogue.title_zh order by tag)
        from tag_integration.tag_catalog as catalogue
        inner join tag_integration.tag_statistics using (object, tag)
        where as_of_date = (select max(as_of_date) from tag_integration.tag_statistics)
        group by all order by all
        """
    ).fetchall()
    _print_table("Tags", ("object", "category", "tags", "mean coverage", "for example"), rows)


def _print_segments(connection: duckdb.DuckDBPyConnection) -> None:
    rows = connection.execute(
        "select rfm_segment, persons, orders, sales_amount from serving.report_sales_by_segment order by 4 desc"
    ).fetchall()
    totals = ("all", sum(row[1] for row in rows), sum(row[2] for row in rows), sum(row[3] for row in rows))
    _print_table("Report: sales by segment", ("RFM segment", "persons", "orders", "sales, $"), [*rows, totals])
    audiences = connection.execute(
        "select table_name, estimated_size from duckdb_tables() "
        "where schema_name = 'serving' and starts_with(table_name, 'audience_') order by all"
    ).fetchall()
    for name, persons in audiences:
        print(f"  {name}: {persons:,} persons")


def _print_checks(connection: duckdb.DuckDBPyConnection) -> None:
    # A layer that was not built again was not checked again: each layer's last results count.
    connection.execute(
        """
        create or replace temp view last_results as
        select *
        from operations.check_results
        where (layer, run_id) in (
            select layer, last(run_id order by rowid) from operations.check_results group by layer
        )
        """
    )
    rows = connection.execute(
        """
        select layer, count(*) filter (outcome = 'passed'), count(*) filter (outcome = 'warned'),
            count(*) filter (outcome in ('failed', 'not evaluated')), round(sum(milliseconds) / 1000, 2)
        from last_results
        group by layer
        order by list_position(
            ['landing', 'staging', 'identity_mapping', 'intermediate', 'tag_category', 'tag_integration'], layer
        ) nulls last
        """
    ).fetchall()
    _print_table("Checks", ("layer", "passed", "warned", "failed", "seconds"), rows)
    warned = connection.execute(
        "select table_name, check_name, measured, threshold from last_results where outcome = 'warned' order by all"
    ).fetchall()
    for table, name, measured, threshold in warned:
        print(f"  warned: {table}: {name} (measured {measured:g}, {threshold})")


def _print_seconds(settings: Settings, seconds: dict[str, float]) -> None:
    _heading("Seconds")
    for part, value in seconds.items():
        print(f"  {part:<20} {value:7.1f}")
    print(f"  {'all':<20} {sum(seconds.values()):7.1f}")


def _print_places(settings: Settings) -> None:
    version = current_version(settings)
    published = settings.published / version.file
    _heading("Where things are")
    for title, place in (
        ("published tags", published),
        ("warehouse", settings.warehouse),
        ("landing files", settings.landing),
        ("model documentation", settings.dbt_target / "static_index.html"),
        ("log of this run", settings.home / "logs" / "demo.log"),
    ):
        print(f"  {title:<20} {place}")
    _heading("What to look at next")
    print("  the portal            make portal: tags, audiences, customers, quality (in Airflow, too: make up)")
    print("  one person's tags     .venv/bin/python -c \"import duckdb; print(duckdb.connect(")
    print(f"                          '{published}', read_only=True)")
    print("                          .sql('from tag_integration.person_tags limit 1').df().T.to_string())\"")
    print("  an alert mail         make demo-alert")
    print("  how good the data is  make quality-report")
    print("  the scheduled service make up")
    print("  add a tag             docs/add-a-tag.md")


def _heading(text: str) -> None:
    print(f"\n{text}\n{'-' * len(text)}")


def _print_table(title: str, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    _heading(title)
    texts = [[_text(value) for value in row] for row in rows]
    widths = [max(len(name), *(len(row[index]) for row in texts), 0) for index, name in enumerate(header)]
    numeric = [all(not isinstance(row[index], str) for row in rows) for index in range(len(header))]
    for line in (header, *texts):
        cells = [
            f"{cell:>{width}}" if is_number else f"{cell:<{width}}"
            for cell, width, is_number in zip(line, widths, numeric, strict=True)
        ]
        print("  " + "  ".join(cells).rstrip())


def _text(value: object) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else f"{value:,}"
