import re
from datetime import date
from pathlib import Path

import duckdb
import openpyxl
import pandas as pd
import pytest
from tagloom.settings import PROJECT
from tagloom.sources import load_sources

from sample_data import landing as landing_module
from sample_data.landing import BROKEN_LINE, LandingError, write_landing, write_truth
from sample_data.small import small_world


@pytest.fixture(scope="module")
def world():
    return small_world()


@pytest.fixture(scope="module")
def sources():
    return load_sources(PROJECT / "sources")


@pytest.fixture(scope="module")
def landing(world, sources, tmp_path_factory):
    folder = tmp_path_factory.mktemp("landing")
    write_landing(world, folder, sources)
    return folder


def _tables(sources, world):
    tables = [(source, table) for source in sources for table in source.tables]
    return [(source, table) for source, table in tables if f"{source.name}.{table.name}" in world]


def _read(landing: Path, source, table) -> list[tuple]:
    """All rows of all deliveries in declared columns, whatever their order in the files."""
    files = [str(path) for path in sorted((landing / source.name).glob(table.path.replace("{date}", "*")))]
    if table.format == "excel":
        header, *rows = openpyxl.load_workbook(files[0]).active.iter_rows(values_only=True)
        assert list(header) == table.column_names
        return rows
    types = {column.name: column.sql_type for column in table.columns}
    readers = {
        "csv": f"read_csv(?, header = true, columns = {types}, ignore_errors = true)",
        "jsonl": f"read_json(?, format = 'newline_delimited', columns = {types})",
        "parquet": "read_parquet(?)",
    }
    query = f"select {', '.join(table.column_names)} from {readers[table.format]}"
    with duckdb.connect() as connection:
        return connection.execute(query, [files]).fetchall()


def test_csv_files_begin_with_the_declared_columns(world, sources, landing):
    for source, table in _tables(sources, world):
        if table.format == "csv":
            for path in (landing / source.name).glob(table.path.replace("{date}", "*")):
                assert path.read_text().splitlines()[0] == ",".join(table.column_names)


def test_every_source_is_delivered_as_declared(world, sources, landing):
    written = {f"{source.name}.{table.name}" for source, table in _tables(sources, world)}
    assert written == {name for name in world if not name.startswith("truth.")}
    for source, table in _tables(sources, world):
        name = f"{source.name}.{table.name}"
        rows = _read(landing, source, table)
        frame = world[name]
        broken = int(frame[BROKEN_LINE].notna().sum()) if BROKEN_LINE in frame else 0
        good = [
            row
            for row in rows
            if all(
                (value is not None or not column.required)
                and (value is None or column.pattern is None or re.fullmatch(column.pattern, str(value)))
                for column, value in zip(table.columns, row, strict=True)
            )
        ]
        assert len(good) == len(frame) - broken, name


def test_amounts_and_late_baskets_arrive_exactly(world, landing):
    lines = world["pos.basket_lines"]
    query = """
        select sum(sales_value), count(distinct basket_id), min(filename), max(filename)
        from read_parquet(?, filename = true)
    """
    with duckdb.connect() as connection:
        ((total, baskets, first, last),) = connection.execute(query, [f"{landing}/pos/*/*/*.parquet"]).fetchall()
    assert float(total) == pytest.approx(lines["sales_value"].sum(), abs=1e-9)
    assert baskets == lines["basket_id"].nunique()
    assert "date=2017-01-02/" in first
    assert "date=2017-01-12/" in last


def test_rows_of_an_event_lie_in_the_file_of_their_utc_day(landing):
    query = """
        select count(*) from read_csv(?, filename = true, ignore_errors = true, null_padding = true)
        where strftime(try_cast(seen_at as timestamp), '%Y-%m-%d') <> parse_filename(filename, true)
    """
    with duckdb.connect() as connection:
        assert connection.execute(query, [f"{landing}/wifi/sightings/*.csv"]).fetchall() == [(0,)]


def test_snapshots_carry_the_last_local_day(landing):
    assert (landing / "loyalty" / "cards_2017-01-11.csv").exists()
    assert (landing / "crm" / "customers_2017-01-11.xlsx").exists()


def test_card_numbers_stay_text_without_a_fraction(landing):
    frame = pd.read_csv(landing / "campaigns" / "targets_2017-01-11.csv", dtype="str")
    assert frame["card_number"].str.fullmatch("[0-9]{12}").all()


def test_broken_lines_are_few_enough_to_go_on(world, sources):
    wifi = next(source for source in sources if source.name == "wifi")
    sightings = world["wifi.sightings"]
    broken = sightings[BROKEN_LINE].notna().groupby(sightings["seen_at"].dt.date)
    assert broken.sum().sum() == 1
    assert broken.mean().max() < wifi.tolerated_bad_share


def test_a_broken_line_is_written_as_it_is(world, landing):
    (line,) = world["wifi.sightings"][BROKEN_LINE].dropna()
    texts = [path.read_text().splitlines() for path in (landing / "wifi" / "sightings").glob("*.csv")]
    (lines,) = [lines for lines in texts if line in lines]
    assert 1 < lines.index(line) < len(lines) - 1
    # It stands in the place of its row, not beside it.
    assert sum(len(lines) - 1 for lines in texts) == len(world["wifi.sightings"])


def test_the_truth_is_kept_out_of_the_landing_zone(world, landing, tmp_path):
    assert not [path for path in landing.rglob("*") if "truth" in path.name]
    paths = write_truth(world, tmp_path)
    assert [path.name for path in paths] == ["records.parquet", "cards.parquet"]
    with duckdb.connect() as connection:
        columns = [row[0] for row in connection.execute(f"describe from '{tmp_path}/cards.parquet'").fetchall()]
        records = connection.execute(f"from '{tmp_path}/records.parquet'").fetchall()
    assert columns == ["card_number", "household_id", "true_person"]
    assert len(records) == len(world["truth.records"])


def test_the_same_world_gives_the_same_bytes(world, sources, landing, tmp_path):
    again = write_landing(small_world(), tmp_path, sources)
    assert {path.relative_to(tmp_path) for path in again} == {
        path.relative_to(landing) for path in landing.rglob("*") if path.is_file()
    }
    for path in again:
        assert path.read_bytes() == (landing / path.relative_to(tmp_path)).read_bytes(), path


def test_another_day_can_be_delivered_beside_the_first(world, sources, tmp_path):
    cards = {"loyalty.cards": world["loyalty.cards"]}
    for day in (date(2017, 1, 11), date(2017, 1, 12)):
        write_landing(cards, tmp_path, sources, snapshot_date=day)
    names = sorted(path.name for path in (tmp_path / "loyalty").iterdir())
    assert names == ["cards_2017-01-11.csv", "cards_2017-01-12.csv"]


def test_a_write_that_dies_leaves_the_old_file_whole(world, sources, tmp_path, monkeypatch):
    cards = {"loyalty.cards": world["loyalty.cards"]}
    (path,) = write_landing(cards, tmp_path, sources, snapshot_date=date(2017, 1, 11))
    before = path.read_bytes()

    def die(connection, query, path, broken_lines):
        path.write_text("card_num")
        raise KeyboardInterrupt

    monkeypatch.setattr(landing_module, "_write_csv", die)
    with pytest.raises(KeyboardInterrupt):
        write_landing(cards, tmp_path, sources, snapshot_date=date(2017, 1, 11))
    assert path.read_bytes() == before
    assert list((tmp_path / "loyalty").glob("cards_*.csv")) == [path]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda frame: {"loyalty.card": frame}, r"loyalty\.card: no source declares this table"),
        (lambda frame: {"loyalty.cards": frame.drop(columns="phone")}, r"loyalty\.cards: the frame lacks phone"),
        (lambda frame: {"loyalty.cards": frame.assign(mood="good")}, "has mood, which is not declared"),
        (lambda frame: {"loyalty.cards": frame.assign(registered_at="soon")}, r"loyalty\.cards: a value does not fit"),
    ],
)
def test_a_frame_that_does_not_fit_its_declaration_is_an_error(world, sources, tmp_path, change, sentence):
    with pytest.raises(LandingError, match=sentence):
        write_landing(change(world["loyalty.cards"]), tmp_path, sources, snapshot_date=date(2017, 1, 11))


def test_a_world_without_baskets_needs_a_snapshot_date(world, sources, tmp_path):
    with pytest.raises(LandingError, match="snapshot_date must be given"):
        write_landing({"loyalty.cards": world["loyalty.cards"]}, tmp_path, sources)
