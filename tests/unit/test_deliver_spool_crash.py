"""A process that is killed right after any step loses nothing and doubles nothing."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.support.numbered import (
    ALL,
    BOTH,
    SOME,
    WINDOW_S,
    Clock,
    arrived,
    batch,
    deliver,
    deliver_all,
    open_spool,
    record,
    some,
)

from flowglass.deliver.manifest import manifest_path, verify
from flowglass.deliver.spool import Spool, Step

SOURCES = range(3)
OF_OBJECTS = [
    step
    for step in Step
    if step not in {Step.BATCH_JOURNALLED, Step.BATCH_SENT, Step.PROGRESS_JOURNALLED, Step.DROP_JOURNALLED}
]


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory, where there is one: of a killed process nothing is lost there either."""
    memory = Path("/dev/shm")  # noqa: S108
    if not os.access(memory, os.W_OK):
        yield tmp_path
        return
    folder = Path(tempfile.mkdtemp(dir=memory))
    yield folder
    shutil.rmtree(folder)


def in_child(work: Callable[[Callable[[Step], None]], None], step: Step, occurrence: int) -> bool:
    """Do the work in a process that kills itself at a step; return whether it came so far."""
    child = os.fork()
    if child == 0:
        seen = 0

        def watch(now: Step) -> None:
            nonlocal seen
            seen += now is step
            if now is step and seen == occurrence:
                os.kill(os.getpid(), signal.SIGKILL)

        try:
            work(watch)
        finally:
            os._exit(1)
    status = os.waitpid(child, 0)[1]
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL


def capture(spool: Spool, source: int) -> None:
    """Record a capture of two periods for both flow logs, unless the spool has it."""
    if spool.recorded(f"s{source}") == {ALL.id, SOME.id}:
        return
    recording = spool.begin(f"s{source}", BOTH, window_s=60)
    for part in range(2):
        numbers = range(100 * source + 10 * part, 100 * source + 10 * part + 10)
        window_s = WINDOW_S + 300 * part
        recording.add(batch(numbers, window_s), window_s, {ALL.id: None, SOME.id: some(numbers)})
    recording.commit({"captures": 1})


def all_of_it(spool: Spool, bucket: Path) -> None:
    for source in SOURCES:
        capture(spool, source)
        if source % 2:
            deliver_all(spool, bucket)
    deliver_all(spool, bucket)


@pytest.mark.parametrize("occurrence", [1, 4])
@pytest.mark.parametrize("step", OF_OBJECTS)
def test_killed_at_a_step_everything_arrives_once(root: Path, step: Step, occurrence: int) -> None:
    bucket = root / "bucket"
    killed = in_child(lambda watch: all_of_it(open_spool(root, Clock(), watch), bucket), step, occurrence)
    assert killed or (step, occurrence) in {(Step.RECORDING_JOURNALLED, 4), (Step.SEGMENT_DURABLE, 4)}
    spool = open_spool(root)
    all_of_it(spool, bucket)
    expected = [100 * source + number for source in SOURCES for number in range(20)]
    assert arrived(bucket, ALL) == Counter(expected)
    assert arrived(bucket, SOME) == Counter(number for number in expected if number % 2)
    assert spool.counters()["captures"] == len(SOURCES)
    assert {status.records for status in spool.statuses()} == {len(expected), len(expected) // 2}
    left = [path for name in ("segments", "staged", "damaged") for path in (root / "spool" / name).iterdir()]
    assert (spool.shares(), spool.units(), left) == ([], [], [])
    for flow_log in BOTH:
        lines = manifest_path(root, flow_log.id, spool.writer).read_bytes().splitlines(keepends=True)
        assert list(verify(lines)) == []
        assert len(lines) == len(list((bucket / flow_log.id).iterdir()))


def test_killed_before_the_last_name_the_source_is_asked_again(root: Path) -> None:
    assert in_child(lambda watch: capture(open_spool(root, Clock(), watch), 1), Step.SEGMENT_NAMED, 1)
    spool = open_spool(root)
    assert (spool.recorded("s1"), spool.shares()) == (frozenset(), [])
    assert spool.counters() == {"segments_unfinished": 1}
    assert list((root / "spool" / "segments").iterdir()) == []


def test_killed_before_the_journal_knows_it_the_recording_is_taken_up(root: Path) -> None:
    assert in_child(lambda watch: capture(open_spool(root, Clock(), watch), 1), Step.SEGMENT_DURABLE, 1)
    spool = open_spool(root)
    assert spool.recorded("s1") == {ALL.id, SOME.id}
    assert spool.counters() == {"captures": 1}
    assert spool.take_events() == [("recording_taken_up", {"source": "s1", "segments": 2, "records": 30})]


def test_a_removed_segment_that_a_crash_brought_back_is_not_taken_up_when_its_source_is_forgotten(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flowglass.deliver.spool.ledger.KEPT_SOURCES", {False: 0, True: 0})
    spool = open_spool(root)
    capture(spool, 1)
    folder = root / "spool" / "segments"
    contents = {path: path.read_bytes() for path in folder.iterdir()}
    deliver_all(spool, root / "bucket")
    spool.close()
    for path, content in contents.items():  # as where the folder was not synced
        path.write_bytes(content)
    spool = open_spool(root)
    assert (spool.shares(), list(folder.iterdir())) == ([], [])


@pytest.mark.parametrize("step", [Step.DROP_JOURNALLED, Step.FILES_REMOVED])
def test_killed_while_dropping_the_marks_arrive(root: Path, step: Step) -> None:
    def work(watch: Callable[[Step], None]) -> None:
        spool = open_spool(root, Clock(), watch)
        record(spool, "a", range(10))
        spool.drop()

    assert in_child(work, step, 1)
    spool, bucket = open_spool(root), root / "bucket"
    deliver_all(spool, bucket)
    assert arrived(bucket, ALL) == Counter({None: 3})
    assert spool.counters()["records_dropped"] == 15


@pytest.mark.parametrize("step", [Step.BATCH_JOURNALLED, Step.PROGRESS_JOURNALLED])
def test_killed_while_sending_batches_only_the_one_in_doubt_is_sent_again(root: Path, step: Step) -> None:
    log = root / "log"

    def send_all(spool: Spool) -> None:
        for unit in spool.units() or [spool.assign(spool.shares()[:1])]:
            for number in range(unit.progress, 4):
                unit = spool.sending(unit, number)  # noqa: PLW2901
                with log.open("a") as file:
                    file.write(f"{number}\n")
                unit = spool.sent(unit, number + 1, events=1)  # noqa: PLW2901
            spool.finish(unit)

    def work(watch: Callable[[Step], None]) -> None:
        spool = open_spool(root, Clock(), watch)
        record(spool, "a", range(10))
        send_all(spool)

    assert in_child(work, step, 3)
    spool = open_spool(root)
    send_all(spool)
    assert log.read_text().split() == ["0", "1", "2", "3"]
    doubtful = {Step.BATCH_JOURNALLED: 1, Step.PROGRESS_JOURNALLED: 0}[step]
    assert next(iter(spool.statuses())).doubtful == doubtful


def test_a_unit_that_was_put_and_not_journalled_is_not_put_again(root: Path) -> None:
    bucket = root / "bucket"

    def work(watch: Callable[[Step], None]) -> None:
        spool = open_spool(root, Clock(), watch)
        record(spool, "a", range(10))
        deliver(spool, spool.assign(spool.shares()[:1]), bucket)

    assert in_child(work, Step.OBJECT_PUT, 2)
    before = sorted(path.name for path in (bucket / ALL.id).iterdir())
    spool = open_spool(root)
    (unit,) = spool.units()
    assert [(told.attempts, told.delivered) for told in unit.staged or ()] == [(1, True), (1, False)]
    deliver(spool, unit, bucket)
    assert sorted(path.name for path in (bucket / ALL.id).iterdir()) == before
