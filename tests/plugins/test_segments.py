"""The durable append log: what is left after a crash, a full disk or a stranger's hand is whole batches."""

import errno
import json
import os
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tagloom.collector import segments as module
from tagloom.collector.remembered import RememberedBatches, content_digest
from tagloom.collector.segments import LOCK_NAME, SEALED_NAME, Batch, LockedError, Segments, kept_batches, whole_batches

NOON = datetime(2026, 3, 1, 12, 0, 0, 5, tzinfo=UTC)


def _batch(name: str = "b1", events: int = 1, *, moment: datetime | None = None, digest: bool = True) -> Batch:
    content = [b'{"event_id": "%s-%d"}' % (name.encode(), number) for number in range(events)]
    digest_text = content_digest("events", content) if digest else None
    return Batch("web", "events", moment or datetime.now(UTC), name, digest_text, content)


def _segments(folder: Path, seal_seconds: float = 60.0, segment_bytes: int = 1_000_000) -> Segments:
    return Segments(folder, seal_seconds, segment_bytes)


def _crash(segments: Segments) -> None:
    """Leave everything as a killed process does: only the system takes its lock back."""
    os.close(segments._lock)


def _files(folder: Path) -> list[Path]:
    return sorted((folder / "web" / "events").glob("*/*"))


def _rows(folder: Path) -> list[dict]:
    return [json.loads(line) for path in _files(folder) for line in path.read_text(encoding="utf-8").splitlines()]


class TestLines:
    def test_an_event_stays_as_it_was_sent(self) -> None:
        events = [
            b'{"price": 1.10, "id": 123456789012345678901234567890, "x": 1e999}',
            b"{}",
            b'{ "a": "\xe4\xb8\xad" }',
        ]
        batch = Batch("web", "events", NOON, "b1", None, events)
        marks = b'"_batch":"b1","_number":%d,"_of":3,"_received_at":"2026-03-01T12:00:00.000005Z"'
        assert batch.lines.split(b"\n") == [
            b"{" + marks % 1 + b',"price": 1.10, "id": 123456789012345678901234567890, "x": 1e999}',
            b"{" + marks % 2 + b"}",
            b"{" + marks % 3 + b',"a": "\xe4\xb8\xad" }',
            b"",
        ]

    def test_an_event_over_several_lines_becomes_one(self) -> None:
        event = b'{\r\n  "a": [\n 1,\r2],\n "b": "x\\ny"\n}'
        lines = Batch("web", "events", NOON, "b1", None, [event]).lines
        assert lines.count(b"\n") == 1
        assert b"\r" not in lines
        assert json.loads(lines)["b"] == "x\ny"
        assert json.loads(lines)["a"] == [1, 2]

    def test_only_the_first_line_of_a_batch_with_a_key_has_its_hash(self) -> None:
        rows = [json.loads(line) for line in _batch(events=3).lines.splitlines()]
        assert ["_digest" in row for row in rows] == [True, False, False]
        assert "_digest" not in json.loads(_batch(digest=False).lines)


_SIZES = st.lists(st.integers(1, 5), min_size=0, max_size=6)


class TestWholeBatches:
    @given(sizes=_SIZES, cut=st.integers(0), rest=st.binary(max_size=40))
    def test_wherever_it_is_cut_whole_batches_stay_and_no_half_one(
        self, sizes: list[int], cut: int, rest: bytes
    ) -> None:
        batches = [_batch(f"b{n}", size, moment=NOON, digest=n % 2 == 0).lines for n, size in enumerate(sizes)]
        content = b"".join(batches)
        cut %= len(content) + 1
        ends = [0]
        for batch in batches:
            ends.append(ends[-1] + len(batch))
        expected = max(end for end in ends if end <= cut)
        assert whole_batches(content[:cut]) == expected
        assert whole_batches(content[:expected]) == expected, "what was repaired is in order"
        # A power cut may leave anything behind what was written, such as zeros.
        kept = whole_batches(content[:cut] + b"\0" + rest)
        assert kept == expected

    @given(sizes=_SIZES.filter(bool), place=st.integers(0))
    def test_a_missing_line_ends_what_is_kept(self, sizes: list[int], place: int) -> None:
        lines = b"".join(_batch(f"b{n}", size).lines for n, size in enumerate(sizes)).splitlines(keepends=True)
        place %= len(lines)
        batch, before = 0, 0
        while before + sizes[batch] <= place:
            before += sizes[batch]
            batch += 1
        content = b"".join(lines[:place] + lines[place + 1 :])
        kept = whole_batches(content)
        # A batch of one line that is taken out leaves no trace; all others are noticed.
        if sizes[batch] > 1:
            assert kept == sum(len(line) for line in lines[:before])
        else:
            assert kept == len(content)

    @pytest.mark.parametrize(
        "line",
        [
            b"not json\n",
            b"{}\n",
            b'{"_batch":"x","_number":2,"_of":2,"_received_at":"2026-03-01T12:00:00Z"}\n',
            b'{"_batch":"x","_number":1,"_of":0,"_received_at":"2026-03-01T12:00:00Z"}\n',
            b'{"_batch":"x","_number":1,"_of":1,"_received_at":"2026-03-01T12:00:00Z","a":"\xff\n',
        ],
    )
    def test_a_line_that_is_not_the_collectors_ends_what_is_kept(self, line: bytes) -> None:
        good = _batch(events=2).lines
        assert whole_batches(good + line + _batch("b2").lines) == len(good)


class TestSegments:
    def test_readers_see_a_segment_only_when_it_is_sealed(self, tmp_path: Path) -> None:
        segments = _segments(tmp_path)
        assert _files(tmp_path) == []
        assert segments.commit([_batch(events=2)]) == [None]
        (path,) = _files(tmp_path)
        assert path.name.endswith(".jsonl.open")
        assert len(_rows(tmp_path)) == 2, "it is in the file before anybody is told"
        segments.close()
        (path,) = _files(tmp_path)
        assert SEALED_NAME.fullmatch(path.name)
        assert path.name.startswith(f"{datetime.now(UTC):%Y-%m-%d}_")

    def test_one_fsync_serves_many_batches(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        segments = _segments(tmp_path)
        segments.commit([_batch("first")])
        calls = []
        real = os.fsync
        monkeypatch.setattr(os, "fsync", lambda descriptor: calls.append(real(descriptor)))
        assert segments.commit([_batch(f"b{number}") for number in range(50)]) == [None] * 50
        assert len(calls) == 1
        segments.close()
        assert len(_rows(tmp_path)) == 51

    def test_file_and_folder_are_synced_before_a_batch_is_safe(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        segments = _segments(tmp_path)
        synced = []
        real = os.fsync

        def note(descriptor: int) -> None:
            synced.append(Path(f"/proc/self/fd/{descriptor}").readlink())
            real(descriptor)

        monkeypatch.setattr(os, "fsync", note)
        segments.commit([_batch()])
        folder = tmp_path / "web" / "events"
        (file,) = _files(tmp_path)
        assert synced == [tmp_path, tmp_path / "web", folder, file.parent, file]
        segments.close()
        assert synced[-1] == file.parent

    def test_it_is_sealed_when_quiet_or_old_or_large(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        clock = [1000.0]
        monkeypatch.setattr(module.time, "monotonic", lambda: clock[0])
        segments = _segments(tmp_path, seal_seconds=5, segment_bytes=4000)
        assert segments.seconds_until_due() is None

        segments.commit([_batch("quiet")])
        assert 0 < (segments.seconds_until_due() or 0) <= 1
        segments.seal_due()
        assert segments.open_count == 1
        clock[0] += 1.0
        assert segments.seconds_until_due() == 0
        segments.seal_due()
        assert segments.open_count == 0

        for step in range(11):
            segments.commit([_batch(f"busy {step}")])
            segments.seal_due()
            assert segments.open_count == (1 if step < 10 else 0), f"{step * 0.5} s old"
            clock[0] += 0.5
        segments.commit([_batch("large", events=50)])
        assert segments.open_count == 0
        segments.close()
        assert len(_files(tmp_path)) == 3
        assert len(_rows(tmp_path)) == 62

    def test_days_have_files_of_their_own_and_a_day_that_is_over_is_sealed(self, tmp_path: Path) -> None:
        now = datetime.now(UTC)
        yesterday = now - timedelta(days=1)
        segments = _segments(tmp_path)
        segments.commit([_batch("late", moment=yesterday), _batch("new", moment=now)])
        segments.seal_due()
        sealed, still_open = _files(tmp_path)
        assert sealed.name.startswith(f"{yesterday:%Y-%m-%d}_")
        assert sealed.suffix == ".jsonl"
        assert still_open.name.startswith(f"{now:%Y-%m-%d}_")
        assert still_open.suffix == ".open"
        segments.close()

    def test_a_name_is_never_used_twice(self, tmp_path: Path) -> None:
        for number in range(3):
            segments = _segments(tmp_path)
            segments.commit([_batch(f"b{number}")])
            segments.close()
        assert len(_files(tmp_path)) == 3

    def test_a_second_collector_is_told_who_has_the_folder(self, tmp_path: Path) -> None:
        segments = _segments(tmp_path)
        with pytest.raises(LockedError, match=rf"process {os.getpid()}\) already writes to .*TAGLOOM_LANDING"):
            _segments(tmp_path)
        segments.close()
        _segments(tmp_path).close()
        assert (tmp_path / LOCK_NAME).name.startswith("."), "no reader takes it for a delivery"


class TestRecovery:
    def test_a_torn_batch_is_cut_off_and_the_rest_is_sealed(self, tmp_path: Path) -> None:
        segments = _segments(tmp_path)
        segments.commit([_batch("whole", events=3)])
        (path,) = _files(tmp_path)
        torn = _batch("torn", events=3).lines
        with path.open("ab") as stream:
            stream.write(torn[: torn.index(b"\n", torn.index(b"\n") + 1) + 20])
        _crash(segments)

        again = _segments(tmp_path)
        assert again.recover() == 1
        assert again.recover() == 0
        again.close()
        (path,) = _files(tmp_path)
        assert SEALED_NAME.fullmatch(path.name)
        assert [row["_batch"] for row in _rows(tmp_path)] == ["whole"] * 3

    def test_a_segment_without_a_whole_batch_disappears(self, tmp_path: Path) -> None:
        folder = tmp_path / "web" / "events" / "2026-03-01"
        folder.mkdir(parents=True)
        (folder / "2026-03-01_120000_000001.jsonl.open").write_bytes(b"")
        (folder / "2026-03-01_120000_000002.jsonl.open").write_bytes(_batch("torn", events=2).lines[:-1])
        segments = _segments(tmp_path)
        assert segments.recover() == 2
        segments.close()
        assert _files(tmp_path) == []

    def test_what_others_have_open_is_left_alone(self, tmp_path: Path) -> None:
        folder = tmp_path / "web" / "events" / "2026-03-01"
        folder.mkdir(parents=True)
        (folder / "2026-03-01.jsonl.open").write_bytes(b"an upload of somebody else")
        segments = _segments(tmp_path)
        assert segments.recover() == 0
        segments.close()
        assert [path.name for path in _files(tmp_path)] == ["2026-03-01.jsonl.open"]

    def test_what_was_whole_but_not_answered_is_known_afterwards(self, tmp_path: Path) -> None:
        batch = _batch("asked again", events=4)
        segments = _segments(tmp_path)
        segments.commit([_batch("before"), batch, _batch("no key", digest=False)])
        _crash(segments)

        again = _segments(tmp_path)
        again.recover()
        found = list(kept_batches(tmp_path, "web", "events", datetime.now(UTC).date()))
        again.close()
        assert [(each.name, each.events) for each in found] == [("before", 1), ("asked again", 4)]
        assert found[1].digest == batch.digest
        assert found[1].received_at == batch.received_at

    def test_only_the_days_that_are_remembered_are_read(self, tmp_path: Path) -> None:
        folder = tmp_path / "web" / "events"
        for day in ("2026-02-26", "2026-02-27", "2026-02-28"):
            (folder / day).mkdir(parents=True)
            (folder / day / f"{day}_120000_000001.jsonl").write_bytes(_batch(day).lines)
        (folder / "2026-02-28" / "2026-02-28.jsonl").write_bytes(_batch("not a segment").lines)
        found = kept_batches(tmp_path, "web", "events", date(2026, 2, 27))
        assert [each.name for each in found] == ["2026-02-27", "2026-02-28"]

    def test_an_event_cannot_look_like_the_beginning_of_a_batch(self, tmp_path: Path) -> None:
        trick = b'{"text": "\\n{\\"_digest\\":\\"", "inside": {"_digest":"00000000000000000000000000000000"}}'
        segments = _segments(tmp_path)
        segments.commit([Batch("web", "events", datetime.now(UTC), "b1", None, [trick, trick])])
        segments.close()
        assert list(kept_batches(tmp_path, "web", "events", date.min)) == []


class TestFailures:
    def _half_write(self, monkeypatch: pytest.MonkeyPatch) -> None:
        real = os.write

        def write(descriptor: int, content: bytes) -> int:
            real(descriptor, bytes(content)[: len(content) // 2])
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(os, "write", write)

    def test_a_full_disk_leaves_nothing_of_a_batch(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        segments = _segments(tmp_path)
        segments.commit([_batch("accepted", events=2)])
        with monkeypatch.context() as patch:
            self._half_write(patch)
            outcomes = segments.commit([_batch("refused", events=9), _batch("too", events=2)])
            assert [outcome.errno for outcome in outcomes if outcome] == [errno.ENOSPC] * 2
            assert {row["_batch"] for row in _rows(tmp_path)} == {"accepted"}
            assert segments.commit([_batch("refused again")])[0] is not None
        assert segments.commit([_batch("later")]) == [None]
        segments.close()
        assert [row["_batch"] for row in _rows(tmp_path)] == ["accepted", "accepted", "later"]
        assert all(SEALED_NAME.fullmatch(path.name) for path in _files(tmp_path))

    def test_what_cannot_be_cut_back_stays_hidden_until_it_can(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        segments = _segments(tmp_path)
        segments.commit([_batch("accepted")])
        with monkeypatch.context() as patch:
            self._half_write(patch)
            patch.setattr(os, "ftruncate", lambda *_: (_ for _ in ()).throw(OSError(errno.EIO, "broken")))
            assert segments.commit([_batch("refused", events=9)])[0] is not None
            segments.seal_due()
            assert [path.suffix for path in _files(tmp_path)] == [".open"]
            assert segments.seconds_until_due() == module.QUIET_SECONDS
        segments.seal_due()
        assert [path.suffix for path in _files(tmp_path)] == [".jsonl"]
        assert [row["_batch"] for row in _rows(tmp_path)] == ["accepted"]
        segments.close()

    def test_a_failed_fsync_accepts_nothing(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        segments = _segments(tmp_path)
        segments.commit([_batch("accepted")])
        real, failures = os.fsync, [OSError(errno.EIO, "Input/output error")]

        def fsync(descriptor: int) -> None:
            if failures:
                raise failures.pop()
            real(descriptor)

        monkeypatch.setattr(os, "fsync", fsync)
        assert segments.commit([_batch("refused")])[0] is not None
        segments.close()
        assert [row["_batch"] for row in _rows(tmp_path)] == ["accepted"]

    def test_one_table_that_cannot_be_written_does_not_stop_the_others(self, tmp_path: Path) -> None:
        (tmp_path / "app").write_text("a file where a folder should be", encoding="utf-8")
        segments = _segments(tmp_path)
        wrong = Batch("app", "events", datetime.now(UTC), "b", None, [b"{}"])
        outcomes = segments.commit([wrong, _batch("right")])
        assert isinstance(outcomes[0], OSError)
        assert outcomes[1] is None
        segments.close()
        assert [row["_batch"] for row in _rows(tmp_path)] == ["right"]

    def test_a_deleted_segment_accepts_nothing_more(self, tmp_path: Path) -> None:
        segments = _segments(tmp_path)
        segments.commit([_batch("deleted")])
        _files(tmp_path)[0].unlink()
        assert segments.commit([_batch("refused")])[0] is not None
        assert segments.commit([_batch("new")]) == [None]
        segments.close()
        assert [row["_batch"] for row in _rows(tmp_path)] == ["new"]

    def test_a_rename_whose_sync_failed_is_not_a_loss(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        segments = _segments(tmp_path, seal_seconds=0.01)
        segments.commit([_batch()])
        time.sleep(0.02)
        with monkeypatch.context() as patch:
            patch.setattr(module, "_sync_folder", lambda _: (_ for _ in ()).throw(OSError(errno.EIO, "broken")))
            segments.seal_due()
            assert segments.open_count == 1
        segments.seal_due()
        assert segments.open_count == 0
        segments.close()
        assert "lost" not in caplog.text
        assert len(_rows(tmp_path)) == 1


class TestRemembered:
    def test_a_batch_is_known_for_so_many_hours(self) -> None:
        remembered = RememberedBatches(hours=48, most=10)
        remembered.add("web", "b1", "0" * 32, 7, NOON)
        assert remembered.find("web", "b1", NOON + timedelta(hours=48)) == ("0" * 32, 7)
        assert remembered.find("app", "b1", NOON) is None
        assert remembered.find("web", "b2", NOON) is None
        assert remembered.find("web", "b1", NOON + timedelta(hours=48, seconds=1)) is None
        assert len(remembered) == 1, "the hour is not over"
        assert remembered.find("web", "b1", NOON + timedelta(hours=49)) is None
        assert len(remembered) == 0

    def test_when_there_are_too_many_the_oldest_go_and_the_log_says_so(self, caplog: pytest.LogCaptureFixture) -> None:
        remembered = RememberedBatches(hours=48, most=20)
        for number in range(100):
            remembered.add("web", f"b{number}", "0" * 32, 1, NOON + timedelta(minutes=number))
            assert len(remembered) <= 20
        known = [n for n in range(100) if remembered.find("web", f"b{n}", NOON + timedelta(minutes=100))]
        assert known == list(range(100 - len(known), 100))
        assert len(known) >= 18
        assert "forgotten before their time (TAGLOOM_COLLECTOR_REMEMBER_BATCHES)" in caplog.text

    def test_the_hash_tells_batches_apart(self) -> None:
        contents = [("events", [b"{}"]), ("other", [b"{}"]), ("events", [b"{}", b"{}"]), ("events", [b"{}\n2\n{}"])]
        assert len({content_digest(table, events) for table, events in contents}) == 4
