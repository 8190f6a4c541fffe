"""Tables in which ingestion, identity mapping and tags keep their books: schema `operations`. All times are UTC."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

TABLES = {
    # One row per run and table of a source. rows_read = rows_landed + rows_quarantined + duplicates.
    "landing_log": {
        "run_id": "varchar",
        "source": "varchar",
        "table_name": "varchar",
        "first_day": "date",
        "end_day": "date",
        "status": "varchar",
        "files": "integer",
        "bytes": "bigint",
        "rows_read": "bigint",
        "rows_landed": "bigint",
        "rows_quarantined": "bigint",
        "duplicates": "bigint",
        # Rows of earlier runs that this one took away: its own days landed again, rows that a newer copy replaces.
        "rows_removed": "bigint",
        # Days before their delivery's that rows belong to by event_time, with how many rows.
        "restated_days": "varchar",
        "undeclared_columns": "varchar",
        "seconds": "double",
        "fingerprint": "varchar",
        "logged_at": "timestamp",
    },
    # One row per delivered file whose rows are in the raw tables now.
    "landed_files": {
        "source": "varchar",
        "table_name": "varchar",
        "source_file": "varchar",
        "day": "date",
        "bytes": "bigint",
        "modified_at": "bigint",
        "declaration": "varchar",
        "rows_read": "bigint",
        "rows_quarantined": "bigint",
        "run_id": "varchar",
    },
    # One row per row of a delivery that did not land.
    "quarantine": {
        "quarantine_id": "varchar",
        "source": "varchar",
        "table_name": "varchar",
        "source_file": "varchar",
        "line": "bigint",
        "day": "date",
        "column_name": "varchar",
        "reason": "varchar",
        "raw": "varchar",
        "run_id": "varchar",
        "quarantined_at": "timestamp",
        # A corrected row was delivered for it.
        "repaired": "boolean",
    },
    # One row per way in which the newest delivery of a table differs from its declaration.
    "column_drift": {
        "source": "varchar",
        "table_name": "varchar",
        "kind": "varchar",
        "column_name": "varchar",
        "sentence": "varchar",
        "run_id": "varchar",
        "seen_at": "timestamp",
    },
    # One row per pair of identifiers, or blocked identifier, that a person has decided about. Rows are never deleted:
    # a decision that is taken back gets withdrawn_at. One command writes one batch.
    "identity_decisions": {
        "decision_id": "bigint",
        # link, never_link, block
        "kind": "varchar",
        "left_type": "varchar",
        "left_hash": "varchar",
        "right_type": "varchar",
        "right_hash": "varchar",
        "reason": "varchar",
        "decided_by": "varchar",
        "decided_at": "timestamp",
        "withdrawn_at": "timestamp",
        "withdrawn_by": "varchar",
        "batch_id": "bigint",
    },
    # One row per pair of identifiers whose records look alike, with what became of it.
    "identity_matches": {
        "left_type": "varchar",
        "left_hash": "varchar",
        "right_type": "varchar",
        "right_hash": "varchar",
        "probability": "double",
        # accepted, review, declined
        "status": "varchar",
        "model_version": "varchar",
        "matched_at": "date",
        # JSON, attribute -> match weight in bits
        "evidence": "varchar",
    },
    # One row per person as last compared, by its anchor, with a keyed hash of the golden record.
    "identity_matched": {
        "identifier_key": "bigint",
        "record_hash": "varchar",
        "model_version": "varchar",
        "matched_at": "date",
    },
    # One row per definition that a tag has had. Rows are never deleted, those of deleted tags neither.
    "tag_definitions": {
        "object": "varchar",
        "tag": "varchar",
        # 1 for the first definition, the largest is the one in force.
        "change_number": "integer",
        "version": "integer",
        "definition_hash": "varchar",
        # as_of_date of the first and of the newest day built with it, not the day of the clock.
        "first_built_on": "date",
        "last_built_on": "date",
    },
    # One row per tag of any status: what it is computed from and who uses it, as of the last build.
    "tag_lineage": {
        "object": "varchar",
        "tag": "varchar",
        # Comma separated: source.table; staging_model.column; models, <object>.<tag>.
        "upstream_sources": "varchar",
        "upstream_columns": "varchar",
        "used_by": "varchar",
        # The tag model's SQL as written.
        "sql": "varchar",
    },
    # One row per model and build of a layer.
    "model_runs": {
        "as_of_date": "date",
        "layer": "varchar",
        "model": "varchar",
        "seconds": "double",
        "rows": "bigint",
        "ran_at": "timestamp",
    },
}


def create_operations_tables(connection: duckdb.DuckDBPyConnection) -> None:
    """Create what is missing; a table of an older version gets the columns that it lacks."""
    connection.execute("create schema if not exists operations")
    present = connection.execute(
        "select table_name, list(column_name) from duckdb_columns() "
        "where schema_name = 'operations' and database_name = current_database() group by table_name"
    ).fetchall()
    columns_of = dict(present)
    for name, columns in TABLES.items():
        if name not in columns_of:
            listed = ", ".join(f"{column} {sql_type}" for column, sql_type in columns.items())
            connection.execute(f"create table operations.{name} ({listed})")
            continue
        for column, sql_type in columns.items():
            if column not in columns_of[name]:
                connection.execute(f"alter table operations.{name} add column {column} {sql_type}")
