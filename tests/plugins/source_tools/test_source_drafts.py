"""A draft from a sample file says what a person would have written, on what each guess rests, and passes the check."""

from __future__ import annotations

import csv
import gzip
import json
import re
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path

import duckdb
import pandas as pd
import pytest
import yaml
from hypothesis import HealthCheck, given, strategies
from hypothesis import settings as settings_of_hypothesis
from tagloom.__main__ import main
from tagloom.settings import load_settings
from tagloom.source_tools.drafts import draft_declaration, names_from
from tagloom.source_tools.guesses import KnownIdentifier, column_names, guess_column
from tagloom.source_tools.preview import preview
from tagloom.source_tools.samples import read_sample_of
from tagloom.sources import Source, load_source

TYPES = ["loyalty_card", "web_account", "crm_customer", "email", "phone", "device_mac"]

KNOWN = [
    KnownIdentifier("loyalty", "card_number", "loyalty_card", "[0-9]{12}"),
    KnownIdentifier("web", "web_user_id", "web_account", "W[0-9]{6}"),
]


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path) -> Path:
    """Declarations are written here."""
    monkeypatch.setenv("TAGLOOM_SOURCES", str(tmp_path / "sources"))
    return tmp_path / "sources"


def guess(header: str, values: list[str | None]):
    return guess_column(column_names([header])[0], header, values, TYPES, KNOWN)


# --- One column ------------------------------------------------------------------------------------------------------

KINDS = {
    "whole numbers": ("pieces", ["1", "22", "-3"], "integer", None),
    "codes with leading zeros": ("sku", ["0012", "0345"], "text", None),
    "numbers that are names": ("customer_id", ["17", "18"], "text", None),
    "long numbers of one length": ("reference", ["623462547620", "628300607023"], "text", None),
    "money": ("fee", ["2.00", "13.50"], "decimal(12,2)", None),
    "money with whole amounts": ("fee", ["2", "13.5"], "decimal(12,2)", None),
    "measures": ("signal", ["0.12345", "1"], "number", None),
    "powers of ten": ("signal", ["1e-5", "1.5"], "number", None),
    "numbers of many digits": ("amount_in_wei", ["12345678901234567890", "1" * 25], "text", None),
    "moments that the warehouse cannot read": ("at", ["2017-12-31 18:40:00 +08:00"], "text", None),
    "words of truth": ("may_email", ["true", "false"], "boolean", None),
    "words of truth in capitals": ("may_email", ["Y", "N", "Y"], "boolean", None),
    "days": ("day", ["2017-12-31", "2017-01-02"], "date", None),
    "days that do not exist": ("day", ["2017-02-30", "2017-01-02"], "text", None),
    "British days": ("day", ["31/12/2017", "02/01/2017"], "date", "%d/%m/%Y"),
    "American days": ("day", ["12/31/2017", "01/02/2017"], "date", "%m/%d/%Y"),
    "German days": ("day", ["31.12.2017"], "date", "%d.%m.%Y"),
    "Chinese days": ("day", ["2017年12月31日"], "date", "%Y年%m月%d日"),
    "compact days": ("day", ["20171231", "20170102"], "date", "%Y%m%d"),
    "moments": ("at", ["2017-12-31 18:40:00", "2017-12-31T18:40:00.123"], "timestamp", None),
    "moments with a zone": ("at", ["2017-12-31T18:40:00Z", "2017-12-31T18:40:00+08:00"], "timestamp", None),
    "moments without seconds": ("at", ["31/12/2017 18:40"], "timestamp", "%d/%m/%Y %H:%M"),
    "compact moments": ("at", ["20171231 18:40:00"], "timestamp", "%Y%m%d %H:%M:%S"),
    "moments and a mistake": ("at", ["2017-12-31 18:40:00"] * 9 + ["31/12/2017 18:40"], "timestamp", None),
    "numbers and a mistake": ("pieces", ["1", "2", "3", "4", "many"], "integer", None),
    "numbers and mistakes": ("pieces", ["1", "2", "3", "some", "many"], "text", None),
    "words": ("comment", ["fine", "so so"], "text", None),
    "nothing": ("comment", [None, None], "text", None),
}


@pytest.mark.parametrize("case", KINDS)
def test_the_type_follows_from_all_values(case):
    header, values, expected, shape = KINDS[case]
    found = guess(header, values)
    assert (found.type, found.format) == (expected, shape)


def test_a_day_that_may_be_read_in_two_ways_says_so():
    assert any("%m/%d/%Y fits as well" in reason for reason in guess("day", ["01/02/2017"]).reasons)
    assert not any("fits as well" in reason for reason in guess("day", ["31/02/2017", "31/01/2017"]).reasons)
    assert not any("fits as well" in reason for reason in guess("day", ["31/01/2017"]).reasons)


PERSONS = {
    "an e-mail address by its values": ("login", ["a@example.com", "b@example.org"], "direct", "email"),
    "a phone number by its values": ("login", ["+1 212 555 0101", "+49 30 123456"], "direct", "phone"),
    "a Chinese mobile number by its values": ("login", ["13800000001", "13900000002"], "direct", "phone"),
    "a device by its values": ("seen", ["02:1a:00:00:00:01", "02:1A:00:00:00:02"], "indirect", "device_mac"),
    "a card by what others call it": ("card_number", ["623462547620", "628300607023"], "indirect", "loyalty_card"),
    "a card in Chinese": ("会员卡号", ["623462547620", "628300607023"], "indirect", "loyalty_card"),
    "another number called card": ("card_number", ["A-1", "B-2"], "indirect", None),
    "an account by what it looks like": ("shopper", [f"W{n:06d}" for n in range(20)], "indirect", "web_account"),
    "an identifier by its type's name": ("crm_customer_id", ["C1", "C2"], "indirect", "crm_customer"),
    "a name by its name": ("Given Name", ["Ann", "Bo"], "direct", None),
    "a name in Chinese": ("姓名", ["王芳", "李伟"], "direct", None),
    "a name in a nested object": ("customer.name", ["Ann", "Bo"], "direct", None),
    "an address by its name": ("street", ["1 Main St", "2 Main St"], "direct", None),
    "a birthday": ("date_of_birth", ["1980-01-01", "1990-12-31"], "direct", None),
    "a place": ("zip", ["10115", "01234"], "indirect", None),
    "a product's name": ("product_name", ["Milk", "Bread"], "none", None),
    "a count": ("cards", ["1", "2"], "none", None),
    "an amount": ("customer_discount", ["1.50", "2.25"], "none", None),
}


@pytest.mark.parametrize("case", PERSONS)
def test_persons_are_recognised_by_value_and_name(case):
    header, values, personal_data, identifier_type = PERSONS[case]
    found = guess(header, values)
    assert (found.personal_data, found.identifier_type) == (personal_data, identifier_type)


def test_an_identifier_type_that_the_policy_lacks_is_never_guessed():
    assert guess_column("login", "login", ["a@example.com", "b@example.com"], [], KNOWN).identifier_type is None


PATTERNS = {
    "letters and digits": ("code", [f"W{n:06d}" for n in range(20)], "W[0-9]{6}"),
    "digits that grow": ("code", [f"P-{n}" for n in range(95, 115)], "P-[0-9]+"),
    "changing letters": ("code", [f"{letter}{letter}-0{n}" for n, letter in enumerate("ABCDEF")], "[A-Z]{2}-[0-9]{2}"),
    "few words": ("kind", ["desktop", "mobile", "tablet"] * 10, "desktop|mobile|tablet"),
    "few words, and few of them": ("kind", ["desktop", "mobile", "tablet"], None),
    "one word": ("kind", ["desktop"] * 100, None),
    "few codes": ("store_code", ["A406", "A367"] * 30, None),
    "a handful of codes": ("code", ["W000001", "W000002"], None),
    "sentences": ("comment", [f"seen at {n} o'clock" for n in range(20)], None),
    "different shapes": ("code", ["W1", "1W", "W-1", "A", "7"], None),
    "e-mail addresses": ("email", [f"a{n}@example.com" for n in range(20)], None),
}


@pytest.mark.parametrize("case", PATTERNS)
def test_a_pattern_is_guessed_for_what_looks_like_a_code(case):
    header, values, pattern = PATTERNS[case]
    assert guess(header, values).pattern == pattern
    assert pattern is None or all(re.fullmatch(pattern, value) for value in values)


def test_every_guess_says_how_many_rows_it_rests_on():
    assert guess("code", ["a", "b"]).reasons[0] == "unique in 2 rows"
    assert guess("code", ["a", "a"]).reasons[0] == "never empty in 2 rows"
    assert guess("code", ["a", None]).reasons[0] == "empty in 1 of 2 rows"
    assert guess("code", [None]).reasons == ["empty in all 1 row, so its type is unknown"]


def test_names_are_lower_case_words_and_all_different():
    headers = ["Card No.", "cardNo", "customer.name", "shop.name", "金额", "2nd", "???", "id", "user.id", "Größe"]
    assert column_names(headers) == [
        *("card_no", "card_no_2", "customer_name", "shop_name", "amount"),
        *("column_2nd", "column_7", "id", "user_id", "grosse"),
    ]


@pytest.mark.parametrize(
    ("file", "names"),
    [
        ("stays_2017-12-31.csv.gz", "stays"),
        ("Customers-20171231.XLSX", "customers"),
        ("2017-12-31.jsonl", "records"),
        ("Park Stays.csv", "park_stays"),
    ],
)
def test_names_follow_from_the_files_name(file, names):
    assert names_from(Path(file)) == (names, names)


# --- Whole files -----------------------------------------------------------------------------------------------------

HEADER = ["ticket_number", "card_number", "entered_at", "fee"]

STAYS = [
    [f"P{number:06d}", f"6234{number:08d}" if number % 3 else "", f"2017-12-31 {number % 24:02d}:00:00", f"{number}.50"]
    for number in range(301, 401)
]


def write_delimited(path: Path, delimiter: str, encoding: str, header: list[str] = HEADER, above: str = "") -> Path:
    lines = [above, *(delimiter.join(row) + "\n" for row in [header, *STAYS])]
    path.write_bytes("".join(lines).encode(encoding))
    return path


def draft(path: Path, **options) -> tuple[Source, str]:
    """The draft as it is read back, and its text."""
    text = draft_declaration(read_sample_of(path, **options), "parking", "stays", TYPES, KNOWN)
    file = path.parent / "parking.yml"
    file.write_text(text, encoding="utf-8")
    return load_source(file), text


def facts(source: Source) -> tuple:
    stays = source.table("stays")
    return (
        [(column.name, column.type, column.required, column.pattern) for column in stays.columns],
        stays.primary_key,
        stays.event_time,
        stays.identifiers,
        stays.grain,
    )


EXPECTED = (
    [
        ("ticket_number", "text", True, "P[0-9]{6}"),
        ("card_number", "text", False, "[0-9]{12}"),
        ("entered_at", "timestamp", True, None),
        ("fee", "decimal(12,2)", True, None),
    ],
    ["ticket_number"],
    "entered_at",
    {"card_number": "loyalty_card"},
    "event",
)


@pytest.mark.parametrize(
    ("name", "delimiter", "encoding"),
    [
        ("stays_2017-12-31.csv", ",", "utf-8"),
        ("stays_2017-12-31.csv", ";", "utf-8-sig"),
        ("stays_2017-12-31.txt", "|", "utf-16"),
        ("stays_2017-12-31.tsv", "\t", "utf-8"),
    ],
)
def test_the_same_table_is_recognised_however_it_is_written(tmp_path, name, delimiter, encoding):
    source, text = draft(write_delimited(tmp_path / name, delimiter, encoding))
    assert facts(source) == EXPECTED
    assert source.table("stays").path == name.replace("2017-12-31", "{date}")
    assert "unique in 100 rows" in text


def test_a_compressed_chinese_file_with_semicolons(tmp_path):
    header = ["停车票号", "会员卡号", "入场时间", "费用"]
    plain = write_delimited(tmp_path / "plain.csv", ";", "gb18030", header)
    path = tmp_path / "stays_2017-12-31.csv.gz"
    path.write_bytes(gzip.compress(plain.read_bytes()))
    source, _ = draft(path)
    stays = source.table("stays")
    assert [column.header for column in stays.columns] == header
    assert stays.column_names == ["parking_ticket_number", "card_number", "entry_time", "fee"]
    assert (stays.reader.delimiter, stays.reader.encoding, stays.path) == (";", "gb18030", "stays_{date}.csv.gz")


def test_lines_above_the_header_are_skipped(tmp_path):
    path = write_delimited(tmp_path / "stays.csv", ",", "utf-8", above="Car park report\nDecember\n\n")
    source, text = draft(path)
    assert facts(source) == EXPECTED
    assert source.table("stays").reader.skip_lines == 3
    assert "the header is on line 4" in text


def test_json_lines_with_objects_in_objects(tmp_path):
    path = tmp_path / "2017-12-31.jsonl"
    rows = [
        {"ticket_number": ticket, "shown": {"card_number": card or None}, "entered_at": at, "fee": fee}
        for ticket, card, at, fee in STAYS
    ]
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    source, _ = draft(path)
    assert facts(source) == EXPECTED
    assert source.table("stays").column("card_number").delivered_as == "shown.card_number"
    assert source.table("stays").path == "{date}.jsonl"


def test_a_json_document_with_its_records_inside(tmp_path):
    path = tmp_path / "2017-12-31.json"
    rows = [dict(zip(HEADER, [ticket, card or None, at, fee], strict=True)) for ticket, card, at, fee in STAYS]
    path.write_text(json.dumps({"meta": {"pages": [{"n": 1}]}, "data": {"items": rows}}), encoding="utf-8")
    source, _ = draft(path)
    assert facts(source) == EXPECTED
    assert source.table("stays").reader.records == "data.items"


def test_parquet_keeps_its_own_types(tmp_path):
    path = tmp_path / "2017-12-31.parquet"
    frame = pd.DataFrame(  # noqa: F841 (DuckDB reads it)
        [[ticket, card or None, datetime.fromisoformat(at), float(fee)] for ticket, card, at, fee in STAYS],
        columns=HEADER,
    )
    duckdb.sql("select * replace (cast(fee as decimal(8,2)) as fee) from frame").write_parquet(str(path))
    source, text = draft(path)
    columns, *others = facts(source)
    assert columns[:3] == EXPECTED[0][:3]
    assert columns[3] == ("fee", "decimal(8,2)", True, None)
    assert tuple(others) == EXPECTED[1:]
    assert "typed in the file" in text


def test_a_workbook(tmp_path):
    path = tmp_path / "stays_2017-12-31.xlsx"
    frame = pd.DataFrame(
        [[ticket, card or None, datetime.fromisoformat(at), float(fee)] for ticket, card, at, fee in STAYS],
        columns=HEADER,
    )
    with pd.ExcelWriter(path) as workbook:
        frame.to_excel(workbook, sheet_name="stays", index=False)
        frame.to_excel(workbook, sheet_name="notes", index=False)
    source, text = draft(path)
    columns, *others = facts(source)
    assert columns[:3] == EXPECTED[0][:3]
    assert tuple(others) == EXPECTED[1:]
    assert "only the first sheet counts; the others are notes" in text


def test_a_key_of_two_columns_is_found(tmp_path):
    path = tmp_path / "lines_2017-12-31.csv"
    rows = [[f"B{basket}", f"A{line}", "1"] for basket in range(10) for line in range(5)]
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["basket_id", "article_id", "pieces"], *rows])
    source, text = draft(path)
    assert source.table("stays").primary_key == ["basket_id", "article_id"]
    assert "together unique in 50 rows; no column is so alone" in text


def test_no_key_at_all_is_said(tmp_path):
    path = tmp_path / "lines.csv"
    path.write_text("colour,shape\nred,round\nred,round\n", encoding="utf-8")
    _, text = draft(path)
    assert "to be corrected: only 1 of 2 rows differ in it" in text


def test_the_grain_follows_from_times_and_operations(tmp_path):
    path = tmp_path / "cards.csv"
    path.write_text("id,registered_on\n1,2015-03-01\n2,2017-12-31\n", encoding="utf-8")
    assert draft(path)[0].table("stays").grain == "snapshot"
    path.write_text("id,op,changed_at\n1,I,2017-12-31 10:00:00\n1,U,2017-12-31 11:00:00\n", encoding="utf-8")
    stays = draft(path)[0].table("stays")
    assert (stays.grain, stays.operation, stays.event_time) == ("change", "op", "changed_at")
    path.write_text("id,colour\n1,red\n2,blue\n", encoding="utf-8")
    assert draft(path)[0].table("stays").grain == "snapshot"


def test_a_birthday_is_no_event_time(tmp_path):
    path = tmp_path / "persons.csv"
    path.write_text("id,birthday\n1,1980-03-01\n2,1990-12-31\n", encoding="utf-8")
    assert draft(path)[0].table("stays").event_time is None


def test_a_file_without_a_day_in_its_name_belongs_to_the_day_it_was_written(tmp_path):
    source, text = draft(write_delimited(tmp_path / "stays_20171231.csv", ",", "utf-8"))
    assert source.table("stays").path == "stays_*.csv"
    assert "the UTC day on which it was last written" in text


def test_texts_for_nothing_are_declared_and_no_values(tmp_path):
    path = tmp_path / "stays_2017-12-31.csv"
    path.write_text("id,fee,colour\n1,2.50,red\n2,N/A,\\N\n3,NULL,red\n", encoding="utf-8")
    stays = draft(path)[0].table("stays")
    assert stays.reader.null_values == ["N/A", "NULL", "\\N"]
    assert (stays.column("fee").type, stays.column("fee").required) == ("decimal(12,2)", False)


def test_a_file_in_the_landing_zone_tells_its_path(tmp_path, settings, capsys):
    (settings.landing / "parking" / "stays").mkdir(parents=True)
    path = write_delimited(settings.landing / "parking" / "stays" / "2017-12-31.csv", ",", "utf-8")
    assert main(["source", "infer", str(path), "--name", "parking", "--print"]) == 0
    assert yaml.safe_load(capsys.readouterr().out)["tables"][0]["reader"]["path"] == "stays/{date}.csv"


def test_every_column_has_a_comment_and_no_line_is_longer_than_120(tmp_path):
    _, text = draft(write_delimited(tmp_path / "stays_2017-12-31.csv", ",", "utf-8"))
    lines = text.splitlines()
    entries = [number for number, line in enumerate(lines) if line.startswith("      - {")]
    assert len(entries) == 4
    assert all(lines[number - 1].startswith("      # ") for number in entries)
    assert max(map(len, lines)) <= 120


ODD_FILES = {
    "empty.csv": (b"", "holds no columns"),
    "empty.jsonl": (b"", "holds no columns"),
    "empty.json": (b"", "is no JSON document"),
    "empty.xlsx": (b"", "holds no columns"),
    "zeros.csv": (bytes(100), "NUL byte"),
    "doubled.csv": (b"a,a,b\n1,2,3\n", "has the column a twice"),
    "words.jsonl": (b"hello\n", "holds no columns"),
    "numbers.json": (b"[1, 2]", "holds no list of records"),
    "object.json": (b'{"a": 1}', "holds no list of records"),
    "broken.json": (b"[", "is no JSON document"),
    "broken.parquet": (b"PAR1", "cannot be read as parquet"),
    "broken.xlsx": (b"PK", "is no workbook"),
    "cut.csv.gz": (gzip.compress(b"a,b\n1,2\n")[:-6], "cannot be decompressed"),
}


@pytest.mark.parametrize("name", ODD_FILES)
def test_a_file_that_shows_nothing_is_one_sentence(tmp_path, name, capsys):
    content, sentence = ODD_FILES[name]
    (tmp_path / name).write_bytes(content)
    assert main(["source", "infer", str(tmp_path / name), "--print"]) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(str(tmp_path / name))
    assert sentence in line


STRANGE_FILES = {
    "header.csv": b"id,colour\n",
    "single.csv": b"number\n1\n2\n",
    "signs.csv": 'it\'s,"quo""te",ünï,a: b,"[x]",# y\n1,2,3,4,5,6\n'.encode(),
    "quote.csv": b'a;b\n"1;2\n3;4\n',
    "keys.jsonl": b'{"$x": 1, "a b": {"c d": 2}, "": 3, "yes": 4, "null": 5}\n',
    "dots.jsonl": b'{"a": {"b": 1}, "c.d": 2}\n',
    "values.csv": b"a,b\nyes,{x}\n'no',: y\n",
}


@pytest.mark.parametrize("name", STRANGE_FILES)
def test_strange_names_and_values_still_give_a_draft(tmp_path, name):
    (tmp_path / name).write_bytes(STRANGE_FILES[name])
    source, _ = draft(tmp_path / name)
    assert all(column.header for column in source.tables[0].columns)


WORDS = strategies.text("abcXYZ 019.:-/+,;'\"\\äé你", max_size=12).map(str.strip)
DAYS = strategies.dates(date(1999, 1, 1), date(2030, 1, 1))
MOMENTS = strategies.datetimes(datetime(1999, 1, 1), datetime(2030, 1, 1))
VALUES = [
    WORDS,
    strategies.integers(-(10**18) + 1, 10**18 - 1).map(str),
    strategies.integers(0, 10**6).map("{:08d}".format),
    strategies.integers(0, 10**6).map("AB-{}".format),
    strategies.decimals(-(10**6), 10**6, places=2).map(str),
    strategies.floats(-1e9, 1e9).map(repr),
    strategies.sampled_from(["true", "false"]),
    strategies.sampled_from(["Y", "N"]),
    strategies.sampled_from(["desktop", "mobile", "N/A"]),
    strategies.sampled_from(["a@example.com", "+12125550101", "02:1a:00:00:00:01"]),
    *(DAYS.map(lambda day, shape=shape: day.strftime(shape)) for shape in ("%Y-%m-%d", "%d.%m.%Y", "%Y%m%d")),
    *(
        MOMENTS.map(lambda moment, shape=shape: moment.strftime(shape))
        for shape in ("%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S.%fZ", "%m/%d/%Y %I:%M %p", "%Y-%m-%dT%H:%M:%S+08:00")
    ),
]


@strategies.composite
def tables(draw) -> list[list[str]]:
    """A header and rows of values that stand in real columns: one kind in each, sometimes empty."""
    kinds = draw(strategies.lists(strategies.sampled_from(VALUES), min_size=1, max_size=5))
    header = draw(strategies.lists(WORDS.filter(bool), min_size=len(kinds), max_size=len(kinds), unique=True))
    fills = [kind if draw(strategies.booleans()) else strategies.just("") | kind for kind in kinds]
    rows = draw(strategies.lists(strategies.tuples(*fills).map(list), min_size=1, max_size=40))
    return [["row_id", *header], *([f"R{number}", *row] for number, row in enumerate(rows))]


@settings_of_hypothesis(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=tables())
def test_what_a_draft_was_made_from_lands_under_it(tmp_path, rows):
    """Guesses must not be stricter than the sample; only what is odd among its column's values may be set aside."""
    path = tmp_path / "stays_2040-12-31.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    source, text = draft(path)
    folder = tmp_path / "landing" / "parking"
    folder.mkdir(parents=True, exist_ok=True)
    path.rename(folder / path.name)
    trial = replace(load_settings(), home=tmp_path / "trial", landing=tmp_path / "landing")
    [seen] = preview(trial, source)
    assert seen.rows_read == len(rows) - 1
    if "values are none, such as" not in text:
        assert (seen.reasons, seen.problem) == ([], "")


# --- The commands ----------------------------------------------------------------------------------------------------


def test_infer_writes_a_declaration_that_passes_the_check(tmp_path, folder, capsys):
    path = write_delimited(tmp_path / "stays_2017-12-31.csv", ",", "utf-8")
    assert main(["source", "infer", str(path), "--name", "parking", "--table", "parked"]) == 0
    assert load_source(folder / "parking.yml").table("parked").primary_key == ["ticket_number"]
    assert main(["source", "check"]) == 0
    assert capsys.readouterr().out.splitlines()[-2:] == [
        "parking.yml: still to be filled in: title, title_zh, owner, consent_basis, licence, tables.parked.title",
        "1 source declaration with 1 table is in order",
    ]
    assert main(["source", "infer", str(path), "--name", "parking"]) == 1
    assert "is there already" in capsys.readouterr().err


def test_printing_writes_nothing(tmp_path, folder, capsys):
    path = write_delimited(tmp_path / "stays_2017-12-31.csv", ",", "utf-8")
    assert main(["source", "infer", str(path), "--print"]) == 0
    assert yaml.safe_load(capsys.readouterr().out)["name"] == "stays"
    assert not folder.exists()


@pytest.mark.parametrize("kind", ["csv", "excel", "database", "api", "object_storage", "pushed"])
def test_new_writes_a_declaration_that_passes_the_check(folder, capsys, kind):
    assert main(["source", "new", "shop", "--format", kind]) == 0
    assert main(["source", "check", str(folder / "shop.yml")]) == 0
    assert (
        "still to be filled in: title, title_zh, owner, consent_basis, tables.records.title" in capsys.readouterr().out
    )
    assert load_source(folder / "shop.yml").is_on_arrival == (kind == "pushed")


REFUSED = {
    "a name that is none": (["new", "Car Parks"], "NAME: 'Car Parks' is no name"),
    "a kind there is not": (["new", "shop", "--format", "xml"], "--format: 'xml' is none of csv, tsv"),
    "a file that is not there": (["infer", "nothing.csv"], "nothing.csv: there is no such file."),
    "a file of no known kind": (["infer", __file__], "its name does not tell its format"),
    "a format there is not": (["infer", __file__, "--format", "xml"], "--format: 'xml' is none of"),
    "a source that is not there": (["preview", "nobody"], "nobody.yml: there is no such declaration"),
    "no declaration at all": (["check"], "holds no source declaration (*.yml)"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_done_is_one_sentence(case, capsys):
    arguments, sentence = REFUSED[case]
    assert main(["source", *arguments]) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert sentence in line


def test_check_names_every_mistake_of_every_file_at_once(folder, capsys):
    main(["source", "new", "shop"])
    main(["source", "new", "web"])
    main(["source", "new", "crm"])
    shop, web, crm = (folder / f"{name}.yml" for name in ("shop", "web", "crm"))
    shop.write_text(
        shop.read_text().replace("    columns:", "    identifiers: {record_id: loyalty_kard}\n    columns:")
    )
    web.write_text(
        web.read_text()
        .replace("party: first", "party: own")
        .replace('"@daily"', '"@dayly"')
        .replace("grain: event", "grain: hourly")
    )
    crm.write_text(
        crm.read_text().replace("required: true, description: Number", "pattern: '(?!0)[0-9]+', description: Number")
    )
    capsys.readouterr()
    assert main(["source", "check"]) == 1
    problems = capsys.readouterr().err.splitlines()
    assert [problem.split(": ")[:2] for problem in problems] == [
        ["crm.yml", "tables.records.columns.record_id.pattern"],
        ["shop.yml", "tables.records.identifiers.record_id"],
        ["web.yml", "party"],
        ["web.yml", "schedule"],
        ["web.yml", "tables.0.grain"],
    ]
    assert "did you mean loyalty_card?" in problems[1]
    assert main(["source", "check", str(folder / "nobody.yml")]) == 1
    assert "there is no such file" in capsys.readouterr().err


# --- Preview ---------------------------------------------------------------------------------------------------------


def declare_and_deliver(tmp_path: Path, settings, changes: dict[str, str] | None = None) -> None:
    path = write_delimited(tmp_path / "stays_2017-12-31.csv", ",", "utf-8")
    main(["source", "infer", str(path), "--name", "parking"])
    declaration = settings.sources / "parking.yml"
    text = declaration.read_text(encoding="utf-8").replace("personal_data: indirect", "personal_data: direct")
    for old, new in (changes or {}).items():
        assert old in text
        text = text.replace(old, new)
    declaration.write_text(text, encoding="utf-8")
    target = settings.landing / "parking"
    target.mkdir(parents=True)
    content = path.read_text(encoding="utf-8").replace("308.50\n", "308.50,surplus\n").replace("309.50", "three")
    (target / "stays_2017-12-30.csv").write_text(content, encoding="utf-8")
    (target / path.name).write_text(content, encoding="utf-8")


def test_preview_shows_what_would_land_and_keeps_nothing(tmp_path, settings, capsys):
    declare_and_deliver(tmp_path, settings)
    before = sorted(path for path in settings.home.rglob("*"))
    capsys.readouterr()
    assert main(["source", "preview", "parking", "--rows", "3"]) == 0
    shown = capsys.readouterr().out
    assert "parking.stays, delivered for 2017-12-31" in shown
    assert "parking/stays_2017-12-31.csv (" in shown
    assert "utf-8, comma-separated, 4 columns" in shown
    assert "100 rows: 98 would land, 2 would go to quarantine, 0 duplicates would be dropped" in shown
    assert re.search(r"fee is no decimal\(12,2\) +1 +parking/stays_2017-12-31.csv line 10", shown)
    assert shown.count("P0003") == 3
    assert "62••••••••01" in shown
    assert "623400000301" not in shown
    assert sorted(path for path in settings.home.rglob("*")) == before


def test_preview_of_a_day(tmp_path, settings, capsys):
    declare_and_deliver(tmp_path, settings)
    capsys.readouterr()
    assert main(["source", "preview", "parking", "--day", "2017-12-30"]) == 0
    assert "delivered for 2017-12-30" in capsys.readouterr().out
    assert main(["source", "preview", "parking", "--day", "2017-12-29"]) == 0
    assert capsys.readouterr().out == "parking.stays: nothing was delivered for 2017-12-29\n"


def test_preview_says_when_nothing_would_land(tmp_path, settings, capsys):
    declare_and_deliver(tmp_path, settings, {"tolerated_bad_rows: 10": "tolerated_bad_rows: 1"})
    capsys.readouterr()
    assert main(["source", "preview", "parking"]) == 1
    assert "2.0% of the rows are bad, more than the tolerated 1.0%" in capsys.readouterr().out


def test_preview_tells_drift(tmp_path, settings, capsys):
    declare_and_deliver(tmp_path, settings, {"{name: fee,": "{name: price, delivered_as: costs,", "pattern": "pattern"})
    declaration = settings.sources / "parking.yml"
    text = re.sub(r"(delivered_as: costs, type: \S+?), required: true", r"\1", declaration.read_text(encoding="utf-8"))
    declaration.write_text(text, encoding="utf-8")
    capsys.readouterr()
    main(["source", "preview", "parking"])
    shown = capsys.readouterr().out
    assert "drift: Column fee is new and not declared" in shown
    assert "drift: Column costs is missing" in shown


def test_preview_of_what_is_fetched_says_where_it_would_be(settings, capsys):
    main(["source", "new", "shop", "--format", "database"])
    capsys.readouterr()
    assert main(["source", "preview", "shop"]) == 0
    assert capsys.readouterr().out == (
        "shop.records: nothing has been delivered yet; run ingest_shop to fetch it; it comes as "
        "shop/records/{date}.parquet\n"
    )


def test_a_file_that_lacks_everything_is_a_sentence(tmp_path, settings, capsys):
    declare_and_deliver(tmp_path, settings)
    (settings.landing / "parking" / "stays_2017-12-31.csv").write_text("colour\nred\n", encoding="utf-8")
    capsys.readouterr()
    assert main(["source", "preview", "parking"]) == 1
    assert "PROBLEM: " in capsys.readouterr().out


def test_the_day_of_a_sample_follows_from_its_name_or_time(tmp_path):
    from tagloom.source_tools.samples import sample_day

    path = tmp_path / "stays_2017-12-31.csv"
    path.touch()
    assert sample_day(path) == date(2017, 12, 31)
