"""Notes how long each model took to build for a day: operations.model_runs, where the cost of tags comes from."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

    from tagloom.transform import NodeResult


def record(connection: duckdb.DuckDBPyConnection, day: date, layer: str, nodes: Iterable[NodeResult]) -> None:
    """Put the seconds and rows of a layer's models in the place of those of an earlier build of the layer for the day.

    A model that was built twice in a run (identity mapping, when matching has found links) counts with the sum.
    Tests and seeds are left out. The tables of schema operations exist (`create_operations_tables`).
    """
    seconds: dict[str, float] = {}
    rows: dict[str, int | None] = {}
    for node in nodes:
        if node.kind == "model":
            seconds[node.name] = seconds.get(node.name, 0.0) + node.seconds
            rows[node.name] = node.rows
    ran_at = datetime.now(UTC).replace(tzinfo=None)
    connection.begin()
    try:
        connection.execute("delete from operations.model_runs where as_of_date = ? and layer = ?", [day, layer])
        if seconds:
            connection.executemany(
                "insert into operations.model_runs (as_of_date, layer, model, seconds, rows, ran_at) "
                "values (?, ?, ?, ?, ?, ?)",
                [[day, layer, model, seconds[model], rows[model], ran_at] for model in sorted(seconds)],
            )
        connection.commit()
    except BaseException:
        connection.rollback()
        raise
