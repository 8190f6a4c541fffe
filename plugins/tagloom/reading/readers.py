"""Opens delivered files as relations that DuckDB can select from, without judging a single value.

Every line of a file becomes a row: a good one with its columns, or a torn one with its text and the reason.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from tagloom.reading import delimited, json_records, workbooks
from tagloom.reading.deliveries import Delivery, DeliveryError
from tagloom.reading.headers import locate_columns
from tagloom.sources import Table
from tagloom.sql_text import quoted

if TYPE_CHECKING:
    import pyarrow as pa

    from tagloom.reading.row_batches import Rows

PLACE_COLUMNS = ("_torn", "_torn_reason", "_source_file", "_line", "_interval")

_stream_numbers = itertools.count(1)


@dataclass
class Opened:
    """Delivered files as one relation.

    Its columns: every declared column under its name (as delivered: text, or a type of the file's own; null when the
    file lacks an optional one, when the text is empty or when it is one of reader.null_values), then `_extra` (JSON of
    undeclared columns when table.new_columns is "land", else null), `_torn` (text of a row that cannot be split or
    decoded, at most 10,000 characters; null for good rows), `_torn_reason`, `_source_file` (posix path relative to the
    landing zone), `_line` (physical line in the file, from 1, the header included; number of the record in Parquet and
    JSON documents), `_interval` (date: the day of the delivery).
    """

    relation: str
    """Goes behind FROM; may be selected from once."""
    is_text: dict[str, bool]
    """For every declared column: delivered as text, or with a type of its own (Parquet)."""
    deliveries: list[Delivery]
    undeclared: set[str] = field(default_factory=set)
    """Headers nobody declared; final after the relation was read. In JSON lines a sample of the lines is looked at."""
    missing: set[str] = field(default_factory=set)
    """Declared optional columns that a file lacks; final after the relation was read (JSON: that all files lack)."""
    types: dict[str, str] = field(default_factory=dict)
    """Parquet only: declared column -> its DuckDB type in the file."""
    rows: Counter[str] = field(default_factory=Counter)
    """_source_file -> rows in it, torn ones too; final after the relation was read."""
    error: DeliveryError | None = None
    """Why reading stopped in the middle of a file."""
    _connection: duckdb.DuckDBPyConnection | None = field(default=None, repr=False)
    _stream: str | None = None

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Select from the relation within this: what goes wrong with a file arrives as DeliveryError.

        DuckDB passes an exception of a stream on as its own InvalidInputException, and aborts the transaction. Other
        errors of DuckDB, such as a failed cast in the caller's SQL, are passed on as they are.
        """
        try:
            yield
        except duckdb.Error as error:
            if self.error is None and self._stream is None:
                self.error = _unreadable_parquet(self._connection, self.deliveries)
            if self.error is None:
                raise
            raise self.error from error
        finally:
            self.close()

    def close(self) -> None:
        """Let go of the files; the relation cannot be selected from any more."""
        if self._connection is not None and self._stream is not None:
            # In a transaction that was aborted DuckDB forgets nothing; the name is not used again.
            with suppress(duckdb.TransactionException):
                self._connection.unregister(self._stream)
        self._connection = None


def open_deliveries(
    connection: duckdb.DuckDBPyConnection, table: Table, deliveries: list[Delivery], landing: Path
) -> list[Opened]:
    """Open the files delivered for a table, to be read once, within Opened.reading.

    Text formats come as one relation; Parquet files as one for each layout, that is columns and types, that they have;
    repairs, which are JSON lines whatever the table's format, as one of their own.

    Raises DeliveryError when a file cannot be opened, lacks a required column or has none of the declared ones. What
    only shows in the middle of a file, such as a compressed one that is cut, is raised by Opened.reading. What is
    wrong with single rows is never an error: they come as torn.
    """
    delivered = [delivery for delivery in deliveries if not delivery.is_repair]
    repairs = [delivery for delivery in deliveries if delivery.is_repair]
    opened: list[Opened] = []
    if delivered:
        match table.format:
            case "parquet":
                opened += _open_parquet(connection, table, delivered, landing)
            case "jsonl" | "json":
                opened.append(_open_json(connection, table, delivered, landing))
            case "excel":
                opened.append(_open_rows(connection, table, delivered, landing, _workbook))
            case _:
                opened.append(_open_rows(connection, table, delivered, landing, _delimited_file))
    if repairs:
        opened.append(_open_json(connection, table, repairs, landing))
    return opened


@dataclass(frozen=True)
class _Layout:
    """Where the columns of a file stand, and how to get at its rows."""

    names: Sequence[str]
    positions: Sequence[int | None]
    """Where each declared column stands among the names; None when the file lacks it."""
    undeclared: Sequence[int]
    rows: Callable[[], Iterator[Rows]]


def _delimited_file(path: Path, table: Table) -> _Layout | None:
    layout = delimited.read_layout(path, table)
    if layout is None:
        return None
    nulls = table.file_format.null_values
    return _Layout(
        layout.header,
        layout.positions,
        layout.undeclared,
        lambda: delimited.read_rows(layout, nulls, table.new_columns == "land"),
    )


def _workbook(path: Path, table: Table) -> _Layout | None:
    names = workbooks.read_header(path, table)
    if not names:
        return None
    headers = {column.header for column in table.columns}
    positions = locate_columns(table, names, path)
    undeclared = [place for place, name in enumerate(names) if name and name not in headers]
    nulls = table.file_format.null_values
    landed = undeclared if table.new_columns == "land" else []
    return _Layout(names, positions, undeclared, lambda: workbooks.read_rows(path, table, positions, landed, nulls))


def _open_rows(
    connection: duckdb.DuckDBPyConnection,
    table: Table,
    deliveries: list[Delivery],
    landing: Path,
    open_file: Callable[[Path, Table], _Layout | None],
) -> Opened:
    import pyarrow as pa

    stream = _stream_name()
    columns = ", ".join(f'"{name}"' for name in table.column_names)
    extra = "null::varchar"
    if table.new_columns == "land":
        extra = "case when cardinality(_undeclared) > 0 then to_json(_undeclared)::varchar end"
    places = ", ".join(PLACE_COLUMNS)
    if len(deliveries) == 1:
        # A constant is checked and stored faster than a column that holds the same in every row.
        places = places.replace("_source_file", f"{quoted(source_name(deliveries[0].path, landing))} as _source_file")
        places = places.replace("_interval", f"date '{deliveries[0].day}' as _interval")
    relation = f"""(
        select {columns}, {extra} as _extra, {places}
        from {stream}
    )"""
    opened = _opened(table, relation, deliveries)
    layouts: list[tuple[Delivery, _Layout]] = []
    for delivery in deliveries:
        layout = _guarded(delivery.path, lambda path=delivery.path: open_file(path, table))
        if layout is not None:
            layouts.append((delivery, layout))
            opened.undeclared |= {layout.names[place] for place in layout.undeclared}
            places = zip(table.column_names, layout.positions, strict=True)
            opened.missing |= {name for name, place in places if place is None}
    fields = [(name, pa.string()) for name in table.column_names]
    if table.new_columns == "land":
        fields.append(("_undeclared", pa.map_(pa.string(), pa.string())))
    schema = pa.schema(fields + _place_fields())

    def batches() -> Iterator[pa.RecordBatch]:
        for delivery, layout in layouts:
            for rows in _guarded_rows(delivery.path, layout.rows):
                arrays = list(rows.columns)
                if table.new_columns == "land":
                    arrays.append(_as_map([layout.names[place] for place in layout.undeclared], rows))
                opened.rows[source_name(delivery.path, landing)] += len(rows.lines)
                arrays += [rows.torn, rows.reasons, *_places(delivery, landing, rows.lines)]
                yield pa.record_batch(arrays, schema=schema)

    return _registered(connection, opened, stream, schema, batches())


def _as_map(names: list[str], rows: Rows) -> pa.Array:
    """Undeclared columns as one map each row; an empty one for torn rows."""
    import numpy as np
    import pyarrow as pa

    count, width = len(rows.lines), len(names)
    good = rows.torn.is_null().to_numpy(False) if width else np.zeros(count, dtype=bool)
    unique: list[str] = []
    for name in names:
        unique.append(next(new for new in itertools.chain([name], _numbered(name)) if new not in unique))
    keys = pa.array(unique, pa.string()).take(pa.array(np.tile(np.arange(width), int(good.sum()))))
    row_by_row = np.arange(count * width).reshape(width, count).T[good].ravel()
    values = pa.concat_arrays(rows.undeclared or [pa.nulls(0, pa.string())]).take(pa.array(row_by_row))
    offsets = np.concatenate(([0], np.cumsum(good * width)))
    return pa.MapArray.from_arrays(pa.array(offsets, pa.int32()), keys, values)


def _numbered(name: str) -> Iterator[str]:
    return (f"{name}_{number}" for number in itertools.count(2))


def _open_json(
    connection: duckdb.DuckDBPyConnection, table: Table, deliveries: list[Delivery], landing: Path
) -> Opened:
    import pyarrow as pa

    stream = _stream_name()
    is_repair = deliveries[0].is_repair
    is_document = table.format == "json" and not is_repair
    headers = table.column_names if is_repair else [column.header for column in table.columns]
    null_values = [] if is_repair else table.file_format.null_values
    encoding = "utf-8" if is_repair else table.file_format.encoding
    land = table.new_columns == "land"
    relation = json_records.relation(stream, headers, table.column_names, null_values, land)
    opened = _opened(table, relation, deliveries)
    schema = pa.schema([("_text", pa.string()), *_place_fields()])
    for delivery in deliveries if not is_document else ():
        keys = json_records.Keys(frozenset(headers))
        json_records.sample_keys(delivery.path, encoding, keys)
        if not is_repair:
            json_records.require_keys(table, delivery.path, keys)

    def batches() -> Iterator[pa.RecordBatch]:
        seen = json_records.Keys(frozenset(headers))
        for delivery in deliveries:
            keys = json_records.Keys(frozenset(headers))
            for records in _guarded_rows(delivery.path, lambda: read(delivery.path, keys)):  # noqa: B023
                if is_document:
                    json_records.require_keys(table, delivery.path, keys)
                opened.rows[source_name(delivery.path, landing)] += len(records.lines)
                places = _places(delivery, landing, records.lines)
                yield pa.record_batch([records.texts, records.torn, records.reasons, *places], schema=schema)
            opened.undeclared |= keys.undeclared
            seen.seen |= keys.seen
            seen.records += keys.records
        if seen.records and not is_repair:
            optional = [column for column in table.columns if not column.required]
            opened.missing |= {column.name for column in optional if column.header not in seen.seen}

    def read(path: Path, keys: json_records.Keys) -> Iterator[json_records.Records]:
        if is_document:
            return json_records.read_document(path, encoding, table.file_format.records, keys)
        return json_records.read_lines(path, encoding, keys)

    return _registered(connection, opened, stream, schema, batches())


def _open_parquet(
    connection: duckdb.DuckDBPyConnection, table: Table, deliveries: list[Delivery], landing: Path
) -> list[Opened]:
    by_layout: dict[tuple[tuple[str, str], ...], list[Delivery]] = {}
    for delivery in deliveries:
        if not delivery.path.stat().st_size:
            continue
        try:
            described = connection.execute(
                "describe select * from read_parquet($file, hive_partitioning = false)", {"file": str(delivery.path)}
            ).fetchall()
        except duckdb.Error as error:
            raise _parquet_error(delivery.path, error) from error
        by_layout.setdefault(tuple((name, data_type) for name, data_type, *_ in described), []).append(delivery)
    opened = []
    for layout, files in by_layout.items():
        types = dict(layout)
        positions = locate_columns(table, [name for name, _ in layout], files[0].path)
        opened.append(_open_parquet_layout(table, types, positions, files, landing))
        opened[-1]._connection = connection
        counts = connection.execute(
            "select file_name, num_rows from parquet_file_metadata($files)",
            {"files": [str(delivery.path) for delivery in files]},
        ).fetchall()
        opened[-1].rows.update({source_name(Path(file), landing): rows for file, rows in counts})
    return opened


def _open_parquet_layout(
    table: Table, types: dict[str, str], positions: list[int | None], deliveries: list[Delivery], landing: Path
) -> Opened:
    nulls = ", ".join(quoted(value) for value in dict.fromkeys(["", *table.file_format.null_values]))
    is_one = nulls == "''"
    columns, is_text, found = [], {}, {}
    for column, position in zip(table.columns, positions, strict=True):
        header = '"' + column.header.replace('"', '""') + '"'
        data_type = types.get(column.header, "VARCHAR") if position is not None else "VARCHAR"
        is_text[column.name] = data_type in ("VARCHAR", "JSON") or data_type.startswith("ENUM")
        if position is None:
            value = "null::varchar"
        elif is_text[column.name]:
            text = header if data_type == "VARCHAR" else f"{header}::varchar"
            value = f"nullif({text}, '')" if is_one else f"case when {text} not in ({nulls}) then {text} end"
        else:
            value = header
        if position is not None:
            found[column.name] = data_type
        columns.append(f'{value} as "{column.name}"')
    headers = {column.header for column in table.columns}
    undeclared = [name for name in types if name not in headers]
    extra = "null::varchar"
    if table.new_columns == "land" and undeclared:
        identifiers = ['"' + name.replace('"', '""') + '"' for name in undeclared]
        extra = "to_json(struct_pack(" + ", ".join(f"{name} := {name}" for name in identifiers) + "))::varchar"
    files = [str(delivery.path) for delivery in deliveries]
    days = {delivery.day for delivery in deliveries}
    if len(days) == 1:
        day, join = f"date '{days.pop()}'", ""
    else:
        listed = ", ".join(f"({quoted(str(delivery.path))}, date '{delivery.day}')" for delivery in deliveries)
        day = "_days.day"
        join = f"inner join (values {listed}) as _days (file, day) on _file = _days.file"
    source_file = quoted(source_name(deliveries[0].path, landing)) if len(files) == 1 else _sql_source_name(landing)
    relation = f"""(
        select {", ".join(columns)}, {extra} as _extra, null::varchar as _torn, null::varchar as _torn_reason,
            {source_file} as _source_file, file_row_number + 1 as _line, {day} as _interval
        from read_parquet(
            [{", ".join(map(quoted, files))}], filename = '_file', file_row_number = true, hive_partitioning = false
        )
        {join}
    )"""
    return Opened(
        relation=relation,
        is_text=is_text,
        deliveries=deliveries,
        undeclared=set(undeclared),
        missing=set(table.column_names) - set(found),
        types=found,
    )


def source_name(path: Path, landing: Path) -> str:
    """What `_source_file` says: the path below the landing zone; a file from elsewhere has its whole path."""
    return path.relative_to(landing).as_posix() if path.is_relative_to(landing) else path.as_posix()


def _sql_source_name(landing: Path) -> str:
    prefix = quoted(f"{landing}/")
    return f"case when starts_with(_file, {prefix}) then substr(_file, length({prefix}) + 1) else _file end"


def _opened(table: Table, relation: str, deliveries: list[Delivery]) -> Opened:
    return Opened(relation=relation, is_text=dict.fromkeys(table.column_names, True), deliveries=deliveries)


def _stream_name() -> str:
    return f"delivered_stream_{next(_stream_numbers)}"


def _place_fields() -> list[tuple[str, pa.DataType]]:
    import pyarrow as pa

    return [
        ("_torn", pa.string()),
        ("_torn_reason", pa.string()),
        ("_source_file", pa.dictionary(pa.int8(), pa.string())),
        ("_line", pa.int64()),
        ("_interval", pa.date32()),
    ]


def _places(delivery: Delivery, landing: Path, lines: pa.Array) -> list[pa.Array]:
    import numpy as np
    import pyarrow as pa

    count = len(lines)
    file = pa.DictionaryArray.from_arrays(
        pa.array(np.zeros(count, dtype=np.int8)), pa.array([source_name(delivery.path, landing)])
    )
    return [file, lines, pa.repeat(pa.scalar(delivery.day, pa.date32()), count)]


def _registered(
    connection: duckdb.DuckDBPyConnection,
    opened: Opened,
    stream: str,
    schema: pa.Schema,
    batches: Iterator[pa.RecordBatch],
) -> Opened:
    import pyarrow as pa

    def remembering() -> Iterator[pa.RecordBatch]:
        try:
            yield from batches
        except DeliveryError as error:
            opened.error = error
            raise

    connection.register(stream, pa.RecordBatchReader.from_batches(schema, remembering()))
    opened._connection, opened._stream = connection, stream
    return opened


def _guarded(path: Path, read: Callable[[], object]) -> object:
    try:
        return read()
    except OSError as error:
        raise _unreadable(path, error) from error


def _guarded_rows(path: Path, read: Callable[[], Iterator]) -> Iterator:
    try:
        yield from read()
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> DeliveryError:
    return DeliveryError(f"{path}: cannot be read: {error.strerror or error}.")


def _unreadable_parquet(
    connection: duckdb.DuckDBPyConnection | None, deliveries: list[Delivery]
) -> DeliveryError | None:
    """Which of the files cannot be read to its end, if it was that."""
    if connection is None:
        return None
    # A connection of its own, because the failed statement has aborted the caller's transaction.
    with connection.cursor() as cursor:
        for delivery in deliveries:
            try:
                cursor.execute(
                    "select bit_xor(hash(rows)) from read_parquet($file, hive_partitioning = false) as rows",
                    {"file": str(delivery.path)},
                ).fetchall()
            except duckdb.Error as error:
                return _parquet_error(delivery.path, error)
    return None


def _parquet_error(path: Path, error: duckdb.Error) -> DeliveryError:
    reason = " ".join(str(error).split("\n\n")[0].split()).rstrip(".")
    return DeliveryError(f"{path}: cannot be read as parquet: {reason}. Ask for it to be delivered again.")
