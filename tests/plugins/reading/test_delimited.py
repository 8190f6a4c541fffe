from __future__ import annotations

import csv
import io
import random
from pathlib import Path

import pytest
from tagloom.reading import decoding, delimited
from tagloom.reading.deliveries import DeliveryError
from tagloom.sources import Table


def table(columns: str = "id name city", **reader: object) -> Table:
    return Table.model_validate(
        {
            "name": "people",
            "title": "People",
            "reader": {"kind": "files", "format": "csv", "path": "*", **reader},
            "grain": "event",
            "primary_key": [columns.split()[0]],
            "columns": [
                {"name": name, "type": "text", "required": place == 0} for place, name in enumerate(columns.split())
            ],
        }
    )


def written(tmp_path: Path, content: bytes | str) -> Path:
    path = tmp_path / "x.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def read(path: Path, declared: Table) -> tuple[dict[int, tuple], dict[int, tuple[str, str]]]:
    """(line -> values, line -> (raw text, reason))."""
    layout = delimited.read_layout(path, declared)
    good, torn = {}, {}
    for rows in delimited.read_rows(layout, declared.file_format.null_values) if layout else ():
        for at, line in enumerate(rows.lines.to_pylist()):
            assert line not in good
            assert line not in torn
            if rows.torn[at].is_valid:
                torn[line] = (rows.torn[at].as_py(), rows.reasons[at].as_py())
            else:
                good[line] = tuple(column[at].as_py() for column in rows.columns)
    return good, torn


def good_rows(tmp_path: Path, content: bytes | str, declared: Table | None = None) -> dict[int, tuple]:
    good, torn = read(written(tmp_path, content), declared or table())
    assert torn == {}
    return good


def torn_rows(tmp_path: Path, content: bytes | str, declared: Table | None = None) -> dict[int, tuple[str, str]]:
    return read(written(tmp_path, content), declared or table())[1]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_the_one_that_shows_the_declared_names(tmp_path, delimiter):
    content = f'id,name,city\n1,"a{delimiter}b",c,\n'.replace(",", delimiter).replace(f"c{delimiter}\n", "c\n")
    assert good_rows(tmp_path, content) == {2: ("1", f"a{delimiter}b", "c")}


def test_a_declared_delimiter_of_any_character_is_used(tmp_path):
    assert good_rows(tmp_path, 'id§name§city\n1§"a§b"§c\n2§§d\n', table(delimiter="§")) == {
        2: ("1", "a§b", "c"),
        3: ("2", None, "d"),
    }


def test_tsv_has_tabs(tmp_path):
    assert good_rows(tmp_path, "id\tname\tcity\n1\ta,b;c\td\n", table(format="tsv")) == {2: ("1", "a,b;c", "d")}


def test_the_wrong_delimiter_is_named_with_the_cure(tmp_path):
    message = r"x\.csv: is separated by ';' and not by ',', .*: id;name;city\. Declare delimiter: auto"
    with pytest.raises(DeliveryError, match=message):
        read(written(tmp_path, "id;name;city\n1;2;3\n"), table(delimiter=","))


def test_headers_are_stripped_and_may_stand_in_any_order(tmp_path):
    content = b"\xef\xbb\xbf city ,more,\t id\n\xe4\xb8\x8a\xe6\xb5\xb7,x,1\n"
    assert good_rows(tmp_path, content) == {2: ("1", None, "上海")}


def test_skipped_and_blank_lines_above_the_header_still_count_as_lines(tmp_path):
    assert good_rows(tmp_path, "report of, today\n\n\nid,name,city\n1,a,b\n", table(skip_lines=1)) == {
        5: ("1", "a", "b")
    }


@pytest.mark.parametrize("content", ["", "\n\n", "id,name,city", "id,name,city\r\n\r\n", '"id","name"\n'])
def test_a_file_without_rows_has_none(tmp_path, content):
    assert read(written(tmp_path, content), table()) == ({}, {})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("name,city\na,b\n", r"lacks the required column id \(it has name, city\)"),
        ("i_d,name\n1,a\n", "perhaps i_d is what id is called now"),
        ("Id,name\n1,a\n", "perhaps Id is what id is called now"),
        ("id,name,id\n1,a,2\n", "has the column id twice"),
        ("a,b\n1,2\n", r"has none of the declared columns \(id, name, city\) in its header: a, b"),
        ("1,x,y\n2,x,y\n", "in its header: 1, x, y"),
        ("id\0,name\n1,a\n", r"header \(line 1\) holds a NUL byte"),
    ],
)
def test_a_header_that_cannot_be_used_is_refused(tmp_path, content, message):
    with pytest.raises(DeliveryError, match=f"x.csv: .*{message}"):
        read(written(tmp_path, content), table())


def test_a_name_in_another_encoding_than_declared_is_refused(tmp_path):
    path = written(tmp_path, "id,stätte\n1,a\n".encode("cp1252"))
    with pytest.raises(DeliveryError, match=r"its header \(line 1\) is not UTF-8 text: byte 0xe4 at position 6"):
        read(path, table(encoding="utf-8"))


def test_undeclared_names_may_stand_twice(tmp_path):
    assert good_rows(tmp_path, "id,x,x,\n1,a,b,c\n") == {2: ("1", None, None)}


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_every_line_end_ends_a_line(tmp_path, line_end):
    content = line_end.join(["id,name,city", "1,a,b", '2,"c,d",', "3,é,f"])
    assert good_rows(tmp_path, content) == {2: ("1", "a", "b"), 3: ("2", "c,d", None), 4: ("3", "é", "f")}


def test_mixed_line_ends_count_as_one_line_each(tmp_path):
    assert good_rows(tmp_path, 'id,name,city\r\n1,a,b\r2,a,b\n3,"x\r\ny",b\r4,a,b') == {
        2: ("1", "a", "b"),
        3: ("2", "a", "b"),
        4: ("3", "x\r\ny", "b"),
        6: ("4", "a", "b"),
    }


@pytest.mark.parametrize(
    ("line", "values"),
    [
        ('1,"say ""hi""",x', ("1", 'say "hi"', "x")),
        ('1,"two\nlines",x', ("1", "two\nlines", "x")),
        ('1,"blank\n\nline",x', ("1", "blank\n\nline", "x")),
        ('1,"""",x', ("1", '"', "x")),
        ('"1","",""', ("1", None, None)),
        ('1,5" disk,x', ("1", '5" disk', "x")),
        ('1, "a",x', ("1", ' "a"', "x")),
        ("1,NULL,x", ("1", None, "x")),
        ('1,"NULL",x', ("1", None, "x")),
        ("1,\ufeff,x", ("1", "\ufeff", "x")),
        ('1,"lots\n1,a,b\nof prose",x', ("1", "lots\n1,a,b\nof prose", "x")),
    ],
)
def test_values_are_what_was_written(tmp_path, line, values):
    declared = table(null_values=["NULL"])
    below = line.count("\n")
    content = f"id,name,city\n0,a,b\n{line}\n9,c,d\n"
    assert good_rows(tmp_path, content, declared) == {2: ("0", "a", "b"), 3: values, 4 + below: ("9", "c", "d")}
    # The same beside something odd, which is read another way.
    good, torn = read(written(tmp_path, content + "torn\n"), declared)
    assert good == {2: ("0", "a", "b"), 3: values, 4 + below: ("9", "c", "d")}
    assert list(torn) == [5 + below]


@pytest.mark.parametrize(
    ("line", "raw", "reason"),
    [
        (b"1,a", "1,a", "has 2 columns, but the header has 3"),
        (b"1,a,b,c", "1,a,b,c", "has 4 columns, but the header has 3"),
        (b"1", "1", "has 1 column, but the header has 3"),
        (b"", "", "is blank"),
        (b"  ", "  ", "is blank"),
        (b"id,name,city", "id,name,city", "repeats the header"),
        (b"\xef\xbb\xbfid,name,city", "\ufeffid,name,city", "repeats the header"),
        (b"1,a\0,b", "1,a\0,b", "holds a NUL byte"),
        (b"1,\xff,b", "1,\\xff,b", "is not UTF-8 text: byte 0xff at position 3"),
        (b'1,"a"b,c', '1,"a"b,c', "has text behind a closing quote"),
        (b'1,"a,b', '1,"a,b', "opens a quote that is not closed"),
        (b'"', '"', "opens a quote that is not closed"),
    ],
)
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"])
def test_a_torn_line_costs_only_itself(tmp_path, line, raw, reason, line_end):
    lines = [b"id,name,city", b"0,a,b", line, b"2,c,d", b'3,"e",f']
    good, torn = read(written(tmp_path, line_end.join(lines) + line_end), table(encoding="utf-8"))
    assert good == {2: ("0", "a", "b"), 4: ("2", "c", "d"), 5: ("3", "e", "f")}
    assert torn == {3: (raw, reason)}


def test_a_quote_that_is_never_closed_does_not_swallow_the_file(tmp_path):
    rows = [f"{number},a,b" for number in range(3_000)]
    rows[10] = '10,"a,b'
    good, torn = read(written(tmp_path, "id,name,city\n" + "\n".join(rows)), table())
    assert len(good) == 2_999
    assert torn == {12: ('10,"a,b', "opens a quote that is not closed")}


def test_two_lost_quotes_do_not_make_one_value_of_the_rows_between(tmp_path):
    rows = [f"{number},a,b" for number in range(20)]
    rows[3], rows[8] = '3,"a,b', '8,a",b'
    good, torn = read(written(tmp_path, "id,name,city\n" + "\n".join(rows)), table())
    assert list(torn) == [5]
    assert {values[0] for values in good.values()} == {str(number) for number in range(20)} - {"3"}


def test_a_blank_line_is_a_value_where_there_is_only_one_column(tmp_path):
    assert good_rows(tmp_path, "id\na\n\nb\n\n\n", table("id")) == {2: ("a",), 3: (None,), 4: ("b",)}


def test_a_huge_field_lands_and_a_monstrous_line_is_torn(tmp_path):
    huge, monstrous = "x" * 2_000_000, "y" * (17 << 20)
    content = f"id,name,city\n1,{huge},b\n2,a,b\n3,{monstrous},b\n4,a,b\n"
    good, torn = read(written(tmp_path, content), table())
    assert good == {2: ("1", huge, "b"), 3: ("2", "a", "b"), 5: ("4", "a", "b")}
    assert torn == {4: ((f"3,{monstrous}")[:10_000], "is too long for one line")}


def test_a_torn_line_in_a_large_file_is_found_by_its_number(tmp_path):
    lines = [f"{number},name {number},city" for number in range(200_000)]
    lines[150_000] += ",more"
    good, torn = read(written(tmp_path, "id,name,city\n" + "\n".join(lines)), table())
    assert list(torn) == [150_002]
    assert len(good) == 199_999
    assert good[150_003] == ("150001", "name 150001", "city")
    assert good[200_001] == ("199999", "name 199999", "city")


@pytest.mark.parametrize("seed", range(40))
def test_both_ways_of_reading_agree_with_the_standard_library(tmp_path, monkeypatch, seed):
    chance = random.Random(seed)
    pieces = ["a", "上海", ",", '"', "\n", "\r\n", " ", "", "long text ", "'", "1", ";"]
    rows = [
        [str(number)] + ["".join(chance.choices(pieces, k=chance.randrange(5))) for _ in range(2)]
        for number in range(60)
    ]
    file = io.StringIO()
    csv.writer(file, lineterminator=chance.choice(["\n", "\r\n"]), quoting=chance.choice([0, 1])).writerows(
        [["id", "name", "city"], *rows]
    )
    path = written(tmp_path, file.getvalue())
    monkeypatch.setattr(decoding, "BLOCK_BYTES", chance.choice([1, 7, 50, 1 << 20]))
    expected = [tuple(value or None for value in row) for row in rows]
    fast, torn = read(path, table())
    assert torn == {}
    assert [fast[line] for line in sorted(fast)] == expected
    monkeypatch.setattr(delimited._Reader, "_read_fast", lambda reader, text: None)
    slow, torn = read(path, table())
    assert torn == {}
    assert slow == fast
