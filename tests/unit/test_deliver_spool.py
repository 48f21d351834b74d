"""The spool: what is recorded waits, is delivered once, and is given up only where the limits say so."""

from __future__ import annotations

import errno
import os
import resource
import sqlite3
import stat
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.numbered import (
    ALL,
    BOTH,
    NOW_MS,
    SOME,
    WINDOW_S,
    arrived,
    batch,
    deliver,
    deliver_all,
    files,
    numbers_of,
    open_spool,
    record,
    renamed,
    stage,
    waiting,
)
from tests.support.small_disk import mounted

from flowglass.deliver.manifest import manifest_path, verify
from flowglass.deliver.spool import LIVE, SpoolView, ledger, recording, recovery, segment
from flowglass.deliver.spool.segment import SegmentFile
from flowglass.fields.errors import DeliveryError, DestinationFull, DestinationUnwritable, StateError

DAY_MS = 86_400_000


def in_another_process(root: Path) -> str:
    """What becomes of a process that opens the spool."""
    reading, writing = os.pipe()
    if os.fork() == 0:
        try:
            open_spool(root)
            os.write(writing, b"opened")
        except StateError as error:
            os.write(writing, str(error).encode())
        finally:
            os._exit(0)
    os.wait()
    said = os.read(reading, 1000).decode()
    os.close(reading)
    os.close(writing)
    return "another process has this spool" if "another process has this spool" in said else said


class TestRecording:
    """A source is in the spool whole or not at all, once a flow log."""

    def test_what_is_committed_waits_and_stays(self, tmp_path: Path) -> None:
        spool = open_spool(tmp_path)
        assert record(spool, "a", range(10)) == 15
        writer = spool.writer
        spool.close()
        spool = open_spool(tmp_path)
        assert spool.writer == writer
        assert waiting(spool) == {ALL.id: list(range(10)), SOME.id: [1, 3, 5, 7, 9]}
        assert [share.flow_log for share in spool.shares()] == list(BOTH)
        assert spool.recorded("a") == {ALL.id, SOME.id}
        assert spool.recorded("b") == frozenset()
        assert spool.counters() == {"windows": 1}

    def test_what_is_abandoned_leaves_nothing(self, tmp_path: Path) -> None:
        spool = open_spool(tmp_path)
        recording = spool.begin("a", [ALL], window_s=60)
        recording.add(batch(range(7)), WINDOW_S, {ALL.id: None})
        assert recording.abandon() == 7
        assert recording.abandon() == 0
        assert not spool.shares()
        assert not spool.recorded("a")
        assert not files(tmp_path)

    def test_a_source_without_records_is_recorded_too(self, tmp_path: Path) -> None:
        spool = open_spool(tmp_path)
        recording = spool.begin("a", BOTH, window_s=60)
        recording.add(batch(range(3)), WINDOW_S, {})
        assert recording.commit() == 0
        assert not spool.shares()
        assert not files(tmp_path)
        assert spool.recorded("a") == {ALL.id, SOME.id}

    def test_a_source_is_taken_once_a_flow_log(self, tmp_path: Path) -> None:
        spool = open_spool(tmp_path)
        first = spool.begin("a", [ALL], window_s=60)
        first.add(batch(range(4)), WINDOW_S, {ALL.id: None})
        first.commit({"sources": 1})
        record(spool, "a", range(4))
        assert waiting(spool) == {ALL.id: [0, 1, 2, 3], SOME.id: [1, 3]}
        second = spool.begin("a", [ALL], window_s=60)
        second.add(batch(range(4)), WINDOW_S, {ALL.id: None})
        second.commit({"sources": 1})
        assert waiting(spool) == {ALL.id: [0, 1, 2, 3], SOME.id: [1, 3]}
        assert spool.counters()["sources"] == 1
        assert len(files(tmp_path)) == 2

    def test_a_capture_has_a_segment_a_period_and_a_live_window_one(self, tmp_path: Path) -> None:
        spool = open_spool(tmp_path)
        capture = spool.begin("capture", [ALL], window_s=60)
        for window in range(7):
            window_s = WINDOW_S + 60 * window
            capture.add(batch([window], window_s), window_s, {ALL.id: None})
        capture.commit()
        record(spool, "live", [99], live=True)
        first, second, live, _ = (share.segment for share in spool.shares())
        assert (first.stream, first.period_start_s, first.window_s) == ("capture", WINDOW_S, 60)
        assert first.windows == tuple(range(WINDOW_S, WINDOW_S + 300, 60))
        assert (second.period_start_s, second.windows) == (WINDOW_S + 300, (WINDOW_S + 300, WINDOW_S + 360))
        assert (live.stream, live.created_ms) == (LIVE, NOW_MS)

    def test_a_long_capture_keeps_few_files_open(self, tmp_path: Path) -> None:
        spool = open_spool(tmp_path)
        before = len(list(Path("/proc/self/fd").iterdir()))
        capture = spool.begin("capture", [ALL], window_s=60)
        for period in [*range(100), 0, 50]:
            window_s = WINDOW_S + 300 * period
            capture.add(batch([period], window_s), window_s, {ALL.id: None})
            assert len(list(Path("/proc/self/fd").iterdir())) <= before + 2 * recording.OPEN_SEGMENTS
        assert capture.commit() == 102
        assert Counter(waiting(spool)[ALL.id]) == Counter([*range(100), 0, 50])

    def test_only_the_newest_sources_are_remembered(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(ledger, "KEPT_SOURCES", {False: 3, True: 2})
        spool = open_spool(tmp_path)
        for number in range(6):
            record(spool, f"capture-{number}", [number])
            record(spool, f"live-{number}", [number], live=True)
        assert [bool(spool.recorded(f"capture-{number}")) for number in range(6)] == [False] * 3 + [True] * 3
        assert [bool(spool.recorded(f"live-{number}")) for number in range(6)] == [False] * 4 + [True] * 2

    def test_other_definitions_of_a_flow_log_are_kept_apart_and_go_with_their_last_share(self, tmp_path: Path) -> None:
        spool = open_spool(tmp_path)
        for source, prefix in (("a", ""), ("b", "x")):
            recording = spool.begin(source, [replace(ALL, prefix=prefix)], window_s=60)
            recording.add(batch([1]), WINDOW_S, {ALL.id: None})
            recording.commit()
        old, new = spool.shares()
        assert (old.flow_log.prefix, new.flow_log.prefix) == ("", "x")
        with pytest.raises(ValueError, match="other flow logs"):
            spool.assign([old, new])
        spool.finish(spool.assign([old]))
        rows = sqlite3.connect(tmp_path / "spool" / "journal.db").execute("SELECT definition FROM flow_logs").fetchall()
        assert len(rows) == 1


class TestDelivery:
    """Everything arrives once, and leaves when everybody has it."""

    def test_everything_arrives_and_nothing_is_left(self, tmp_path: Path) -> None:
        spool, bucket = open_spool(tmp_path), tmp_path / "bucket"
        for number in range(3):
            record(spool, f"s{number}", range(10 * number, 10 * number + 10))
        deliver_all(spool, bucket)
        assert arrived(bucket, ALL) == Counter(range(30))
        assert arrived(bucket, SOME) == Counter(range(1, 30, 2))
        assert (spool.shares(), spool.units(), files(tmp_path), spool.size_bytes()) == ([], [], [], 0)
        assert {(s.flow_log_id, s.message, s.objects, s.records) for s in spool.statuses()} == {
            (ALL.id, None, 6, 30),
            (SOME.id, None, 6, 15),
        }

    def test_a_segment_stays_until_the_last_flow_log_has_it(self, tmp_path: Path) -> None:
        spool, bucket = open_spool(tmp_path), tmp_path / "bucket"
        record(spool, "a", range(10))
        first, second = spool.shares()
        deliver(spool, spool.assign([first]), bucket)
        assert len(files(tmp_path)) == 1
        assert numbers_of(spool, second) == [1, 3, 5, 7, 9]
        deliver(spool, spool.assign([second]), bucket)
        assert files(tmp_path) == []

    def test_units_are_as_they_were_after_a_restart(self, tmp_path: Path) -> None:
        spool = open_spool(tmp_path)
        for number in range(3):
            record(spool, f"s{number}", [number])
        shares = [share for share in spool.shares() if share.flow_log == ALL]
        bare = spool.assign(shares[:1])
        tried = spool.assign(shares[1:])
        tried = spool.staged(tried, stage(spool, tried, 3))
        tried = spool.attempting(tried, 1)
        tried = spool.attempting(tried, 1)
        assert tried.staged is not None
        tried = spool.renamed(tried, 2, renamed(tried.staged[2], "other"), 5)
        tried = spool.delivered(tried, 0, place="here")
        spool.close()
        spool = open_spool(tmp_path)
        assert spool.units() == [bare, tried]
        assert tried.staged is not None
        assert [(told.attempts, told.salt, told.delivered) for told in tried.staged] == [
            (0, 0, True),
            (2, 0, False),
            (0, 5, False),
        ]
        assert tried.staged[2].finished.key == "other"
        with pytest.raises(ValueError, match="not delivered"):
            spool.finish(tried)

    def test_units_have_numbers_that_are_never_given_again(self, tmp_path: Path) -> None:
        spool = open_spool(tmp_path)
        numbers = []
        for number in range(3):
            record(spool, f"s{number}", [number])
            unit = spool.assign(spool.shares()[:1])
            numbers.append(unit.id)
            spool.finish(unit)
            spool.close()
            spool = open_spool(tmp_path)
        assert len(set(numbers)) == 3

    def test_log_batches_that_nobody_confirmed_are_counted_when_they_are_sent_again(self, tmp_path: Path) -> None:
        spool = open_spool(tmp_path)
        record(spool, "a", range(10))
        unit = spool.assign(spool.shares()[:1])
        unit = spool.sent(spool.sending(unit, 0), 1, events=4)
        unit = spool.sending(unit, 1)
        spool.close()
        spool = open_spool(tmp_path)
        assert spool.units() == [unit]
        assert (unit.progress, unit.begun) == (1, True)
        unit = spool.sent(spool.sending(unit, 1), 2, events=6, rejected=3, reason="too old")
        spool.finish(unit)
        status = next(iter(spool.statuses()))
        assert (status.doubtful, status.rejected, status.records, status.message) == (1, 3, 4 + 6 - 3, None)
        assert spool.counters()["batches_doubtful"] == 1
        assert spool.take_events() == [("events_rejected", {"flow_log": ALL.id, "events": 3, "reason": "too old"})]

    def test_a_failure_is_told_until_something_arrives(self, tmp_path: Path) -> None:
        spool = open_spool(tmp_path)
        record(spool, "a", range(3))
        spool.failed(ALL.id, "Access error", "no such bucket")
        assert [(s.message, s.reason) for s in spool.statuses()] == [("Access error", "no such bucket")]
        deliver_all(spool, tmp_path / "bucket")
        assert {(s.message, s.reason) for s in spool.statuses()} == {(None, "")}

    def test_a_damaged_object_is_built_again_with_its_name_and_attempts(self, tmp_path: Path) -> None:
        spool, bucket = open_spool(tmp_path), tmp_path / "bucket"
        record(spool, "a", range(10))
        unit = spool.assign(spool.shares()[:1])
        unit = spool.staged(unit, stage(spool, unit, 2))
        unit = spool.delivered(spool.attempting(unit, 0), 0, place="here")
        unit = spool.attempting(unit, 1)
        assert unit.staged is not None
        spool.close()
        Path(unit.staged[1].finished.path).write_bytes(b"rotten")
        spool = open_spool(tmp_path)
        (again,) = spool.units()
        assert again.staged is None
        assert [name for name, _ in spool.take_events()] == ["staged_damaged"]
        again = spool.staged(again, stage(spool, again, 2))
        assert again.staged is not None
        assert [replace(told.finished, path="") for told in again.staged] == [
            replace(told.finished, path="") for told in unit.staged
        ]
        assert [(told.attempts, told.delivered) for told in again.staged] == [(1, True), (1, False)]
        deliver(spool, again, bucket)
        assert arrived(bucket, ALL) == Counter(range(1, 10, 2))  # the other object was said to be there
        assert "objects_built_otherwise" not in spool.counters()
        assert [path.name for path in (tmp_path / "spool" / "staged").iterdir()] == []

    def test_manifests_have_every_object_once_in_a_chain_also_after_a_crash(self, tmp_path: Path) -> None:
        spool, bucket = open_spool(tmp_path), tmp_path / "bucket"
        for number in range(3):
            record(spool, f"s{number}", range(10))
        deliver_all(spool, bucket)
        path = manifest_path(tmp_path, ALL.id, spool.writer)
        lines = path.read_bytes().splitlines(keepends=True)
        assert len(lines) == 6
        spool.close()
        path.write_bytes(b"".join(lines)[:-20])
        open_spool(tmp_path).close()
        assert path.read_bytes().splitlines(keepends=True) == lines
        assert list(verify(lines)) == []

    def test_threads_deliver_while_others_record(self, tmp_path: Path) -> None:
        spool, bucket = open_spool(tmp_path), tmp_path / "bucket"
        ended = threading.Event()

        def recorder(first: int) -> None:
            for number in range(first, first + 10):
                record(spool, f"s{number}", range(10 * number, 10 * number + 10), live=True)

        def worker(flow_log_id: str) -> None:
            while not ended.is_set() or any(share.flow_log.id == flow_log_id for share in spool.shares()):
                for share in spool.shares():
                    if share.flow_log.id == flow_log_id:
                        deliver(spool, spool.assign([share]), bucket)
                spool.enforce()

        recorders = [threading.Thread(target=recorder, args=(first,)) for first in (0, 10)]
        workers = [threading.Thread(target=worker, args=(flow_log.id,)) for flow_log in BOTH]
        for thread in recorders + workers:
            thread.start()
        for thread in recorders:
            thread.join()
        ended.set()
        for thread in workers:
            thread.join()
        assert arrived(bucket, ALL) == Counter(range(200))
        assert arrived(bucket, SOME) == Counter(range(1, 200, 2))


class TestDisk:
    """A disk that is full or damaged loses nothing that was committed."""

    @pytest.fixture
    def small_disk(self, tmp_path: Path) -> Iterator[Path]:
        with mounted(tmp_path, "size=2m") as disk:
            yield disk

    def test_a_full_disk_refuses_what_does_not_fit_and_delivers_what_it_has(
        self, small_disk: Path, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        spool, bucket = open_spool(small_disk, min_free_bytes=0), tmp_path_factory.mktemp("bucket")
        ballast = small_disk / "ballast"
        ballast.write_bytes(bytes(1_000_000))
        kept: list[int] = []
        for number in range(1000):
            numbers = range(1000 * number, 1000 * number + 1000)
            try:
                record(spool, f"s{number}", numbers)
            except DestinationFull:
                break
            kept += numbers
        assert 0 < len(kept) < 1_000_000
        assert waiting(spool)[ALL.id] == kept
        with pytest.raises(DestinationFull):
            record(spool, "more", range(50_000))
        ballast.unlink()
        spool.close()
        spool = open_spool(small_disk, min_free_bytes=0)
        record(spool, "after", [10**9])
        for _ in range(20):  # as the worker does
            with suppress(DestinationFull):
                deliver_all(spool, bucket)
        assert arrived(bucket, ALL) == Counter([*kept, 10**9])
        assert spool.size_bytes() == 0

    def test_a_start_on_a_full_disk_says_that_it_is_full(self, small_disk: Path) -> None:
        open_spool(small_disk).close()
        with (small_disk / "ballast").open("wb", buffering=0) as ballast, suppress(OSError):
            while ballast.write(bytes(4096)):
                pass
        with pytest.raises(DestinationFull, match="make room"):
            open_spool(small_disk)

    def test_recordings_leave_room_on_the_disk(self, small_disk: Path) -> None:
        spool = open_spool(small_disk)
        (small_disk / "ballast").write_bytes(bytes(1_900_000))
        with pytest.raises(DestinationFull, match="are kept for what waits"):
            spool.begin("a", [ALL], window_s=60)

    def test_a_file_that_may_not_grow_leaves_the_spool_as_it_was(self, tmp_path: Path) -> None:
        spool = open_spool(tmp_path)
        record(spool, "a", range(10))
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
        try:
            with pytest.raises(DeliveryError):
                record(spool, "b", range(100_000))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert waiting(spool)[ALL.id] == list(range(10))
        assert spool.recorded("b") == frozenset()
        record(spool, "b", [77])
        assert waiting(spool)[ALL.id] == [*range(10), 77]

    def test_a_journal_that_cannot_be_written_says_that_the_disk_is_to_be_checked(self, tmp_path: Path) -> None:
        spool = open_spool(tmp_path)
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1, hard))
        try:
            with pytest.raises(DestinationUnwritable, match=r"journal.db: disk I/O error; check the disk"):
                spool.count({"windows": 1})
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        spool.count({"windows": 1})
        assert spool.counters() == {"windows": 1}

    def test_a_damaged_file_that_somebody_removes_just_now_has_no_size(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        spool = open_spool(tmp_path, max_bytes=1)
        listed = recovery.files_in
        monkeypatch.setattr(recovery, "files_in", lambda folder: [*listed(folder), folder / "gone"])
        spool.enforce()
        assert spool.size_bytes() == 0

    def test_folders_among_the_files_of_the_spool_are_left_alone(self, tmp_path: Path) -> None:
        folders = [
            tmp_path / "spool" / of / name for of in ("segments", "staged", "damaged") for name in ("a", "b.tmp")
        ]
        for folder in folders:
            folder.mkdir(parents=True)
        spool = open_spool(tmp_path)
        assert spool.size_bytes() == spool.drop_damaged() == 0
        assert all(folder.is_dir() for folder in folders)
        assert spool.take_events() == []

    def test_a_segment_that_cannot_be_read_stays_with_the_rest_of_its_recording_until_it_can(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        spool = open_spool(tmp_path)
        capture = spool.begin("a", [ALL], window_s=60)
        for number in range(3):
            capture.add(batch([number], WINDOW_S + 300 * number), WINDOW_S + 300 * number, {ALL.id: None})
        capture.commit()
        spool.close()
        (tmp_path / "spool" / "journal.db").unlink()
        names = sorted(files(tmp_path))
        with monkeypatch.context() as patch:

            def proven(path: Path) -> SegmentFile | None:
                if path.name == names[1]:
                    raise PermissionError(errno.EACCES, "Permission denied")
                return segment.proven(path)

            patch.setattr(recovery, "proven", proven)
            spool = open_spool(tmp_path)
        assert spool.take_events() == [("segment_unreadable", {"file": names[1], "reason": "Permission denied"})]
        assert spool.shares() == []
        assert sorted(files(tmp_path)) == names
        spool.close()
        assert Counter(waiting(open_spool(tmp_path))[ALL.id]) == Counter(range(3))

    def test_a_missing_segment_is_marked_at_the_start(self, tmp_path: Path) -> None:
        spool = open_spool(tmp_path)
        record(spool, "a", range(10))
        spool.close()
        for path in (tmp_path / "spool" / "segments").iterdir():
            path.unlink()
        spool = open_spool(tmp_path)
        assert [share.skipped for share in spool.shares()] == [True, True]
        name, facts = spool.take_events()[0]
        assert (name, facts["missing"]) == ("segment_damaged", True)

    def test_a_segment_that_is_lost_after_its_objects_were_built_loses_nothing(self, tmp_path: Path) -> None:
        spool, bucket = open_spool(tmp_path), tmp_path / "bucket"
        record(spool, "a", range(10))
        for share in spool.shares():
            unit = spool.assign([share])
            spool.staged(unit, stage(spool, unit, 1))
        spool.close()
        for path in (tmp_path / "spool" / "segments").iterdir():
            path.unlink()
        spool = open_spool(tmp_path)
        deliver_all(spool, bucket)
        assert arrived(bucket, ALL) == Counter(range(10))
        assert "records_dropped" not in spool.counters()

    @pytest.mark.parametrize("damage", [b"not a database, but long enough to be read as one" * 99, b""])
    def test_a_damaged_journal_is_told_with_what_to_do(self, tmp_path: Path, damage: bytes) -> None:
        spool = open_spool(tmp_path)
        for number in range(200):
            spool.count({f"counter-{number}": 1})
        spool.close()
        path = tmp_path / "spool" / "journal.db"
        content = path.read_bytes()
        path.write_bytes(damage or content[: len(content) // 2])
        with pytest.raises(StateError, match=r"journal.db: the journal is damaged .* move it aside"):
            open_spool(tmp_path)

    def test_a_journal_that_was_moved_aside_is_made_again_from_the_segments(self, tmp_path: Path) -> None:
        spool = open_spool(tmp_path)
        record(spool, "a", range(10))
        spool.close()
        (tmp_path / "spool" / "journal.db").unlink()
        spool = open_spool(tmp_path)
        assert waiting(spool) == {ALL.id: list(range(10)), SOME.id: [1, 3, 5, 7, 9]}
        assert spool.recorded("a") == {ALL.id, SOME.id}

    def test_a_journal_of_a_newer_version_is_left_alone(self, tmp_path: Path) -> None:
        open_spool(tmp_path).close()
        connection = sqlite3.connect(tmp_path / "spool" / "journal.db")
        connection.execute("PRAGMA user_version = 99")
        connection.close()
        with pytest.raises(StateError, match="newer version"):
            open_spool(tmp_path)


class TestOtherProcesses:
    """One process has the spool; others look at it and leave requests."""

    def test_spool_and_manifests_are_their_owners_alone_and_objects_are_not(self, tmp_path: Path) -> None:
        before = os.umask(0o022)
        try:
            spool, bucket = open_spool(tmp_path), tmp_path / "bucket"
            record(spool, "a", range(10))
            first, _ = spool.shares()
            deliver(spool, spool.assign([first]), bucket)
        finally:
            os.umask(before)
        parts = [path for name in ("spool", "manifests") for path in (tmp_path / name, *(tmp_path / name).rglob("*"))]
        modes = {path.relative_to(tmp_path).as_posix(): stat.S_IMODE(path.stat().st_mode) for path in parts}
        assert {"spool/journal.db", "spool/journal.db-wal", "spool/journal.db-shm"} < set(modes)
        assert modes == {str(path.relative_to(tmp_path)): 0o700 if path.is_dir() else 0o600 for path in parts}
        assert len(files(tmp_path)) == 1
        assert {stat.S_IMODE(path.stat().st_mode) for path in (bucket / ALL.id).iterdir()} == {0o644}

    def test_a_second_process_is_refused(self, tmp_path: Path) -> None:
        spool = open_spool(tmp_path)
        assert in_another_process(tmp_path) == "another process has this spool"
        spool.close()
        assert in_another_process(tmp_path) == "opened"

    def test_a_view_shows_what_waits_while_it_is_written(self, tmp_path: Path) -> None:
        assert SpoolView.open(tmp_path / "spool") == SpoolView(root=tmp_path / "spool")
        spool = open_spool(tmp_path)
        record(spool, "a", range(10))
        unit = spool.assign(spool.shares()[:1])
        unit = spool.staged(unit, stage(spool, unit, 2))
        spool.failed(ALL.id, "Rate limited", "slow down")
        view = SpoolView.open(tmp_path / "spool")
        assert view.in_use
        assert (view.writer, view.shares, view.units) == (spool.writer, spool.shares(), [unit])
        assert (view.statuses, view.counters) == (spool.statuses(), spool.counters())
        assert (view.damaged, view.size_bytes) == ([], spool.size_bytes())
        record(spool, "b", range(10))
        assert len(view.shares) == 1
        assert len(SpoolView.open(tmp_path / "spool").shares) == 3
        spool.close()
        assert not SpoolView.open(tmp_path / "spool").in_use

    def test_requests_are_taken_and_answered(self, tmp_path: Path) -> None:
        with pytest.raises(StateError, match="there is no spool"):
            SpoolView.open(tmp_path / "spool").request("retry", now_ms=0)
        spool = open_spool(tmp_path)
        view = SpoolView.open(tmp_path / "spool")
        number = view.request("retry", ALL.id, now_ms=NOW_MS)
        spool.request("drop")
        first, second = spool.take_requests()
        assert (first.id, first.action, first.argument) == (number, "retry", ALL.id)
        assert view.answer(number) is None
        spool.done(first, "tried")
        assert view.answer(number) == "tried"
        assert spool.take_requests() == [second]
