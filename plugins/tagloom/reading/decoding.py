"""Turns a delivered text file, compressed and encoded as it may be, into blocks of whole lines in UTF-8.

What is no text in the file's encoding stays in the block as bytes that are no UTF-8, so that one check finds both a
broken UTF-8 file and a broken file in any other encoding; read_line says what was wrong.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from tagloom.reading.deliveries import DeliveryError

BLOCK_BYTES = 1 << 20
"""Small enough that a block and the columns cut from it stay in the processor's cache: 8 MB took a quarter longer."""
LONGEST_LINE_BYTES = 16 << 20
"""A longer line is no row of anything; it is set aside, and cut."""
SHOWN_CHARACTERS = 10_000
"""So much of a damaged row is kept."""
SAMPLE_BYTES = 1 << 20
"""So much of a file is looked at to find its encoding and its header."""

_COMPRESSIONS = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
_BYTE_ORDER_MARKS = {  # the longer first: utf-32 begins like utf-16
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
    b"\x84\x31\x95\x33": "gb18030",
}
_CANDIDATES = ["cp1251", "cp1253", "cp1255", "cp1256", "cp932", "euc_jp", "cp949", "big5", "koi8_r"]
_HIGH_BYTES = re.compile(rb"[\x80-\xff]+")
_UNDECODED = 0xDC00
_ERROR_HANDLER = "tagloom.undecoded"


def _mark_undecoded(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "".join(chr(_UNDECODED + byte) for byte in error.object[error.start : error.end]), error.end


# Python's own surrogateescape refuses bytes below 0x80, which damaged multi-byte text has too.
codecs.register_error(_ERROR_HANDLER, _mark_undecoded)


class Block(NamedTuple):
    """Some whole lines of a file; the last one has its line end too."""

    text: bytes
    """UTF-8, and where the file holds something else, bytes that are not."""
    is_cut: bool = False
    """Whether it is the beginning of one line that is too long to be read."""


class Sample(NamedTuple):
    """The beginning of a file and what it says about the whole."""

    encoding: str
    text: bytes
    """Its first SAMPLE_BYTES or so, in UTF-8."""
    is_whole: bool
    """Whether that is all there is."""


def read_sample(path: Path, encoding: str = "auto") -> Sample:
    """Look at the beginning of a file; encoding is a declared one or "auto".

    Raises DeliveryError when the file cannot be opened or decompressed.
    """
    chunks = _raw_chunks(path, SAMPLE_BYTES)
    raw = next(chunks, b"")
    is_whole = next(chunks, None) is None
    if encoding == "auto":
        found = detect_encoding(raw)
    else:
        found = codecs.lookup(encoding).name
        if found in ("utf-16", "utf-32"):
            found = next((name for mark, name in _BYTE_ORDER_MARKS.items() if raw.startswith(mark)), f"{found}-le")
    found = {"utf-8-sig": "utf-8", "ascii": "utf-8"}.get(found, found)
    if is_whole or found == "utf-8":
        return Sample(found, b"".join(_as_utf8([raw], found)), is_whole)
    # A character may be cut at the end of the sample; what is behind the last line end is not needed.
    text = b"".join(_as_utf8([raw], found))
    return Sample(found, text[: text.rfind(b"\n") + 1] or text, is_whole)


def read_blocks(path: Path, encoding: str, longest_line: int = LONGEST_LINE_BYTES) -> Iterator[Block]:
    """All lines of a file in blocks of about BLOCK_BYTES, without the blank ones at its very end.

    Of a line that is longer than longest_line bytes only the beginning comes, in a block of its own.

    Raises DeliveryError when the file cannot be read to its end, such as a compressed one that is cut.
    """
    carried = b""
    is_cut = False
    for chunk in _as_utf8(_raw_chunks(path, BLOCK_BYTES), encoding):
        # The usual case, without a copy too many: the last whole line of the chunk is not blank.
        end = chunk.rfind(b"\n") + 1
        last = chunk[max(end - 3, 0) : end]
        usual_end = last[len(last.rstrip(b"\r\n")) :] in (b"\n", b"\r\n")
        if usual_end and len(last) == 3 and not is_cut and len(carried) < BLOCK_BYTES:
            yield Block(b"".join((carried, memoryview(chunk)[:end])))
            carried = chunk[end:]
            continue
        data = carried + chunk
        if is_cut:
            data, is_cut = _behind_the_line(data)
            if is_cut:
                carried = data
                continue
        if len(data) > longest_line and _is_too_long(data, longest_line):
            yield Block(data[: SHOWN_CHARACTERS * 4], is_cut=True)
            carried, is_cut = _behind_the_line(data)
            continue
        end = _last_line_end(data)
        if not end and len(data) > longest_line:  # blank lines only
            end = len(data) - 2
        if end:
            yield Block(data[:end] if end < len(data) else data)
            data = data[end:]
        carried = data
    rest = b"" if is_cut else carried.rstrip(b"\r\n")
    if rest:
        yield Block(carried[: len(rest)] + b"\n")


def read_line(line: bytes, encoding: str) -> tuple[str, str | None]:
    """The text of one line of a block, and why it is none (a predicate such as "is not UTF-8 text: ...") or None.

    Bytes that are no text are shown as \\xff.
    """
    try:
        return line.decode(), None
    except UnicodeDecodeError as error:
        name = encoding.upper()
        if encoding == "utf-8":
            reason = f"is not {name} text: byte 0x{line[error.start]:02x} at position {error.start + 1}"
            return line.decode("utf-8", "backslashreplace"), reason
    text = line.decode("utf-8", "surrogatepass")
    first = re.search("[\udc00-\udcff]", text)
    if first is None:
        return text, None
    reason = f"is not {name} text: byte 0x{ord(first.group()) - _UNDECODED:02x} at position {first.start() + 1}"
    return re.sub("[\udc00-\udcff]", lambda match: f"\\x{ord(match.group()) - _UNDECODED:02x}", text), reason


def detect_encoding(raw: bytes) -> str:
    """Name of the encoding that the beginning of a file is most likely written in.

    A byte order mark decides; else UTF-8 when the lines that are not ASCII are UTF-8, but for a few; else GB 18030
    (which contains GBK and GB 2312) when they are that and look like Chinese; else what charset-normalizer says, for
    other scripts than the Latin one; else Windows-1252.
    """
    for mark, name in _BYTE_ORDER_MARKS.items():
        if raw.startswith(mark):
            return name
    for name, zeros in (("utf-16-le", raw[1:4096:2]), ("utf-16-be", raw[0:4096:2])):
        if len(zeros) > 1 and zeros.count(0) > 0.4 * len(zeros) and raw[:4096].count(0) < 1.2 * zeros.count(0):
            return name
    if raw.isascii():
        return "utf-8"
    lines = [line for line in raw.splitlines() if not line.isascii()]
    if len(raw) >= SAMPLE_BYTES and len(lines) > 1:
        lines.pop()
    utf_8, gb_18030 = _share_decoded(lines, "utf-8"), _share_decoded(lines, "gb18030")
    # A short word of GBK may be UTF-8 by chance, such as the one for "female".
    if gb_18030 >= 0.7 and gb_18030 > utf_8 + 0.3 and _looks_chinese(b"\n".join(lines)):
        return "gb18030"
    if utf_8 >= 0.5:
        return "utf-8"
    return _best_guess(b"\n".join(lines)[: 64 << 10])


def _share_decoded(lines: list[bytes], encoding: str) -> float:
    decoded = 0
    for line in lines:
        try:
            line.decode(encoding)
        except UnicodeDecodeError:
            continue
        decoded += 1
    return decoded / len(lines)


def _looks_chinese(text: bytes) -> bool:
    """Whether the bytes above ASCII stand in pairs of GB 2312, not alone among letters as accents do."""
    runs = _HIGH_BYTES.findall(text)
    pairs = sum(len(re.findall(rb"[\xa1-\xa9\xb0-\xf7][\xa1-\xfe]", run)) for run in runs)
    return 2 * pairs >= 0.7 * sum(map(len, runs))


def _best_guess(text: bytes) -> str:
    high_bytes = _HIGH_BYTES.findall(text)
    alone = sum(len(run) == 1 for run in high_bytes)
    # In Latin letters the accents stand alone, and a few of them do not tell one such encoding from another.
    if alone < 0.3 * sum(map(len, high_bytes)):
        # Here and not above: only files in rare encodings need it.
        from charset_normalizer import from_bytes

        best = from_bytes(text, cp_isolation=_CANDIDATES).best()
        if best and _share_decoded([text], best.encoding) == 1:
            return codecs.lookup(best.encoding).name
    return "cp1252" if _share_decoded([text], "cp1252") == 1 else "iso8859-1"


def _raw_chunks(path: Path, size: int) -> Iterator[bytes]:
    """The decompressed bytes of a file; what it is compressed with is told by its first bytes."""
    # Here and not above: every parse of the DAGs would pay for it.
    import pyarrow as pa

    try:
        with path.open("rb") as file:
            beginning = file.read(4)
            file.seek(0)
            kind = next((kind for mark, kind in _COMPRESSIONS.items() if beginning.startswith(mark)), None)
            stream = pa.CompressedInputStream(file, kind) if kind else file
            while chunk := stream.read(size):
                yield chunk
    except OSError as error:
        if "kind" in locals() and kind:
            raise DeliveryError(
                f"{path}: is cut or damaged, it cannot be decompressed ({error}). Ask for it to be delivered again."
            ) from error
        raise DeliveryError(f"{path}: cannot be read: {error.strerror or error}.") from error


def _as_utf8(chunks: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    texts = _utf16_as_utf8(chunks, encoding) if encoding.startswith("utf-16") else _others_as_utf8(chunks, encoding)
    is_first = True
    for text in texts:
        if is_first and text:
            text, is_first = text.removeprefix(codecs.BOM_UTF8), False
        if text:
            yield text


def _others_as_utf8(chunks: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    if encoding == "utf-8":
        yield from chunks
        return
    decoder = codecs.getincrementaldecoder(encoding)(_ERROR_HANDLER)
    for chunk in chunks:
        yield decoder.decode(chunk).encode("utf-8", "surrogatepass")
    yield decoder.decode(b"", final=True).encode("utf-8", "surrogatepass")


def _utf16_as_utf8(chunks: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    """Line by line where a byte got lost: from there on all characters would be wrong, but line ends are still seen."""
    line_end = "\n".encode(encoding)
    carried = b""
    for chunk in chunks:
        data = carried + chunk
        end = data.rfind(line_end) + 2
        if end == 1:
            end = len(data) // 2 * 2 if len(data) > LONGEST_LINE_BYTES else 0
        carried = data[end:]
        yield _utf16_lines_as_utf8(data[:end], line_end, encoding)
    yield _utf16_lines_as_utf8(carried, line_end, encoding)


def _utf16_lines_as_utf8(data: bytes, line_end: bytes, encoding: str) -> bytes:
    try:
        text = data.decode(encoding)
        if text.count("\n") == data.count(line_end):
            return text.encode()
    except UnicodeDecodeError:
        pass
    lines = (line.decode(encoding, _ERROR_HANDLER).replace("\n", "\ufffd") for line in data.split(line_end))
    return "\n".join(lines).encode("utf-8", "surrogatepass")


def _last_line_end(data: bytes) -> int:
    """Where the block before the last, unfinished line ends; line ends behind that belong to what follows."""
    end = data.rfind(b"\n") + 1
    if not end:
        # Old line ends: a carriage return at the very end may be the first half of a new one.
        end = data.rfind(b"\r", 0, len(data) - 1) + 1
    while end and data[end - 1] in b"\r\n":
        end -= 1
    if not end:
        return 0
    return end + (2 if data[end : end + 2] == b"\r\n" else 1)


def _is_too_long(data: bytes, longest_line: int) -> bool:
    first = re.search(rb"[\r\n]", data)
    return first is None or first.start() > longest_line


def _behind_the_line(data: bytes) -> tuple[bytes, bool]:
    """What follows the end of a line that is skipped, and whether that end is still to come."""
    match = re.search(rb"\r\n|\n|\r(?=[^\n])", data)
    if match:
        return data[match.end() :], False
    return data[-1:] if data.endswith(b"\r") else b"", True
