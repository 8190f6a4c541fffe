from __future__ import annotations

import codecs
import gzip
from pathlib import Path

import pytest
import zstandard
from tagloom.reading import decoding
from tagloom.reading.decoding import Block, detect_encoding, read_blocks, read_line, read_sample
from tagloom.reading.deliveries import DeliveryError

CHINESE = "编号,姓名,城市\n1,王小明,上海\n2,李娜,北京\n" * 5
FRENCH = "id,nom,ville\n1,Zoë Lefèvre,Besançon\n2,Günther Müßig,Köln\n" * 5


def written(tmp_path: Path, content: bytes, name: str = "x.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(content)
    return path


def text_of(path: Path, encoding: str = "auto") -> bytes:
    return b"".join(block.text for block in read_blocks(path, read_sample(path, encoding).encoding))


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        (b"id,name\n1,x\n", "utf-8"),
        (b"", "utf-8"),
        (CHINESE.encode(), "utf-8"),
        (FRENCH.encode(), "utf-8"),
        (CHINESE.encode("gbk"), "gb18030"),
        ("id\n朱镕基,𠀀\n".encode("gb18030") + CHINESE.encode("gbk"), "gb18030"),
        (FRENCH.encode("cp1252"), "cp1252"),
        ("id;prix\n1;5 €\n2;“oui”\n".encode("cp1252"), "cp1252"),
        ("id,имя\n1,Мария Иванова\n2,Сергей Петров из города Казань\n".encode("cp1251") * 5, "cp1251"),
        (codecs.BOM_UTF8 + b"id\n", "utf-8"),
        (codecs.BOM_UTF16_LE + "id\n".encode("utf-16-le"), "utf-16-le"),
        (codecs.BOM_UTF16_BE + "id\n".encode("utf-16-be"), "utf-16-be"),
        (codecs.BOM_UTF32_LE + "id\n".encode("utf-32-le"), "utf-32-le"),
        ("id,name\n1,x\n".encode("utf-16-le"), "utf-16-le"),
        ("id,name\n1,x\n".encode("utf-16-be"), "utf-16-be"),
        ("id,名\n".encode("gb18030"), "gb18030"),
        # A damaged line does not change what the others are.
        (CHINESE.encode() + b"3,\xff\xfe,x\n", "utf-8"),
        (CHINESE.encode("gbk") + b"3,\xff\xff,x\n", "gb18030"),
        (b"id\n1\0\0\n2\n" * 50, "utf-8"),
    ],
)
def test_encodings_are_recognised(content, encoding):
    assert detect_encoding(content) == encoding


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gbk", "gb18030", "utf-16", "utf-16-be", "utf-32", "big5"])
def test_text_of_any_encoding_comes_as_utf_8(tmp_path, encoding, monkeypatch):
    text = "id,name\n1,中文字,é\n".replace("é", "é" if encoding.startswith(("utf", "gb18030")) else "") * 20
    path = written(tmp_path, text.encode(encoding))
    monkeypatch.setattr(decoding, "BLOCK_BYTES", 7)
    assert text_of(path, encoding).decode() == text


@pytest.mark.parametrize("compress", [gzip.compress, zstandard.compress, lambda data: data])
def test_compressed_files_are_read_by_their_content(tmp_path, compress):
    content = b"id\n" + b"12345\n" * 1_000
    two_parts = compress(content[:30]) + compress(content[30:])
    assert text_of(written(tmp_path, two_parts)) == content


@pytest.mark.parametrize("compress", [gzip.compress, zstandard.compress])
def test_a_cut_compressed_file_is_refused(tmp_path, compress):
    content = "".join(f"{number * 7919},\n" for number in range(50_000)).encode()
    whole = compress(content)
    for length in (len(whole) - 1, len(whole) // 2, 12):
        path = written(tmp_path, whole[:length])
        with pytest.raises(DeliveryError, match=r"x\.csv: is cut or damaged, .* Ask for it to be delivered again"):
            text_of(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DeliveryError, match=r"gone\.csv: cannot be read: No such file"):
        read_sample(tmp_path / "gone.csv")


def blocks(tmp_path: Path, content: bytes, size: int, monkeypatch, longest: int = 1 << 20) -> list[Block]:
    monkeypatch.setattr(decoding, "BLOCK_BYTES", size)
    return list(read_blocks(written(tmp_path, content), "utf-8", longest_line=longest))


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 100])
def test_blocks_hold_whole_lines(tmp_path, monkeypatch, line_end, size):
    content = line_end.join([b"a,b", b"", b"12345", b"", b"", b"x"]) + line_end
    found = blocks(tmp_path, content, size, monkeypatch)
    assert all(block.text.endswith((b"\n", b"\r")) for block in found)
    lines = [line for block in found for line in block.text.splitlines()]
    assert lines == content.splitlines()


def test_blank_lines_at_the_very_end_are_no_lines(tmp_path, monkeypatch):
    for size in (1, 4, 100):
        found = blocks(tmp_path, b"a\n\nb\n\r\n\n\n", size, monkeypatch)
        assert b"".join(block.text for block in found) == b"a\n\nb\n"
    assert blocks(tmp_path, b"\n\r\n\n", 2, monkeypatch) == []


def test_a_line_end_is_added_where_the_last_one_is_missing(tmp_path, monkeypatch):
    assert blocks(tmp_path, b"a\nb", 100, monkeypatch) == [Block(b"a\n"), Block(b"b\n")]


@pytest.mark.parametrize("size", [7, 10, 16, 400])
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"])
def test_a_line_that_is_too_long_is_cut_and_the_next_ones_are_read(tmp_path, monkeypatch, size, line_end):
    content = line_end.join([b"a", b"x" * 300, b"b", b"y" * 300, b"c"])
    found = blocks(tmp_path, content, size, monkeypatch, longest=50)
    assert [block.text[:1] for block in found if block.is_cut] in ([b"x", b"y"], []) or size == 400
    whole = b"".join(block.text for block in found if not block.is_cut)
    assert [line for line in whole.splitlines() if len(line) < 300] == [b"a", b"b", b"c"]
    assert sum(block.is_cut for block in found) + whole.count(b"x" * 300) + whole.count(b"y" * 300) == 2


def test_what_is_no_text_is_shown_and_named():
    assert read_line("Köln".encode(), "utf-8") == ("Köln", None)
    assert read_line(b"ab\xffc", "utf-8") == ("ab\\xffc", "is not UTF-8 text: byte 0xff at position 3")


def test_what_is_no_text_in_another_encoding_is_shown_and_named(tmp_path):
    path = written(tmp_path, "1,中文\n".encode("gbk") + b"2,\xd6\xd0\xff,\x81\n" + "3,中\n".encode("gbk"))
    lines = [read_line(line, "gb18030") for line in text_of(path, "gb18030").splitlines()]
    assert lines == [
        ("1,中文", None),
        ("2,中\\xff,\\x81", "is not GB18030 text: byte 0xff at position 4"),
        ("3,中", None),
    ]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("block_bytes", [5, 1000])
def test_a_byte_lost_from_utf_16_costs_one_line(tmp_path, monkeypatch, encoding, block_bytes):
    monkeypatch.setattr(decoding, "BLOCK_BYTES", block_bytes)
    lines = [f"{number},中文\r\n".encode(encoding) for number in range(5)]
    damaged = lines[2][:3] + lines[2][4:]
    path = written(tmp_path, b"".join([*lines[:2], damaged, *lines[3:]]))
    read = [read_line(line, encoding) for line in text_of(path, encoding).splitlines()]
    good = [text for text, reason in read if reason is None]
    assert good == ["0,中文", "1,中文", "3,中文", "4,中文"]
    assert next(reason for _, reason in read if reason).startswith(f"is not {encoding.upper()} text: byte 0x")
