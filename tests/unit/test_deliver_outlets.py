"""From a unit to its destination: what is tried, confirmed and journalled, in which order, and what is tried again."""

from __future__ import annotations

import builtins
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.records import flow_log
from tests.support.spooled import (
    PERIOD_S,
    Clock,
    ScriptedEvents,
    ScriptedSink,
    delivered_bytes,
    record,
    unit_of,
)

from flowglass.deliver import (
    BucketSettings,
    DestinationRules,
    DirectorySink,
    LocalStore,
    ObjectBuilder,
    Outlets,
    ServiceSettings,
    Spool,
    Step,
    Unit,
    objects_at,
    verify_objects,
)
from flowglass.deliver.outlet import EventOutlet, ObjectOutlet
from flowglass.deliver.sinks import Sent
from flowglass.deliver.spool import Stage, UnitChanged
from flowglass.fields.contracts import Destination, DestinationType, FinishedObject, FlowLog
from flowglass.fields.errors import (
    DestinationFull,
    DestinationRefused,
    DestinationThrottled,
    DestinationUnreachable,
    DestinationUnwritable,
    OptionError,
    RecordsTooNew,
)
from flowglass.format import read_object

REFUSED = DestinationRefused("no right to write")
UNREACHABLE = DestinationUnreachable("no answer")
THROTTLED = DestinationThrottled("slow down")
TOO_NEW = RecordsTooNew("of tomorrow")
BUCKET = Destination(DestinationType.S3, "logs")
GROUP = Destination(DestinationType.CLOUD_WATCH_LOGS, "/vpc", account="123456789012", region="us-east-1")
STREAM = Destination(DestinationType.FIREHOSE, "stream", account="123456789012", region="us-east-1")


@pytest.fixture
def steps() -> list[Step]:
    return []


@pytest.fixture
def spool(tmp_path: Path, steps: list[Step]) -> Iterator[Spool]:
    opened = Spool.open(tmp_path / "spool", now_ms=Clock().now_ms, watch=steps.append)
    yield opened
    opened.close()


@pytest.fixture
def sink(tmp_path: Path) -> ScriptedSink:
    return ScriptedSink(DirectorySink(tmp_path / "bucket"))


@pytest.fixture
def objects(spool: Spool, sink: ScriptedSink) -> ObjectOutlet:
    return ObjectOutlet(
        name="there", at_once=True, spool=spool, sink=lambda _: sink, build=ObjectBuilder,
        building=threading.Semaphore(1),
    )  # fmt: skip


@pytest.fixture
def service() -> ScriptedEvents:
    return ScriptedEvents()


@pytest.fixture
def events(spool: Spool, service: ScriptedEvents) -> EventOutlet:
    return EventOutlet(name="service", spool=spool, sink=lambda _: service, building=threading.Semaphore(1))


def again(spool: Spool) -> Unit:
    (unit,) = spool.units()
    return unit


def left_in(spool: Spool, tmp_path: Path) -> tuple[int, int, int]:
    """Units, segments and staged files that are left."""
    folders = [list((tmp_path / "spool" / name).iterdir()) for name in ("segments", "staged")]
    return len(spool.units()), len(folders[0]), len(folders[1])


def numbers(service: ScriptedEvents) -> list[int]:
    return [int(message) for message in service.sent]


def doubtful(spool: Spool) -> int:
    return sum(status.doubtful for status in spool.statuses())


# -- objects ----------------------------------------------------------------------------------------------------------


def test_a_unit_becomes_an_object_and_leaves_nothing_behind(
    spool: Spool, objects: ObjectOutlet, tmp_path: Path, steps: list[Step]
) -> None:
    unit = unit_of(spool)
    steps.clear()
    objects.deliver(unit)
    assert delivered_bytes(tmp_path / "bucket") == list(range(10))
    assert left_in(spool, tmp_path) == (0, 0, 0)
    (status,) = spool.statuses()
    assert (status.message, status.objects, status.records) == (None, 1, 10)
    assert steps == [
        Step.OBJECT_STAGED,
        Step.OBJECTS_JOURNALLED,
        Step.ATTEMPT_JOURNALLED,
        Step.OBJECT_PUT,
        Step.DELIVERY_JOURNALLED,
        Step.MANIFEST_WRITTEN,
        Step.UNIT_FINISHED,
        Step.FILES_REMOVED,
    ]


def test_a_refused_object_is_put_again_as_it_is(
    spool: Spool, objects: ObjectOutlet, sink: ScriptedSink, tmp_path: Path
) -> None:
    unit = unit_of(spool)
    sink.script = [REFUSED]
    with pytest.raises(DestinationRefused):
        objects.deliver(unit)
    assert left_in(spool, tmp_path)[2] == 1
    objects.deliver(again(spool))
    assert sink.puts[0] == sink.puts[1]
    assert delivered_bytes(tmp_path / "bucket") == list(range(10))


def test_what_is_there_after_an_attempt_whose_answer_was_lost_is_ours(
    spool: Spool, objects: ObjectOutlet, sink: ScriptedSink, tmp_path: Path
) -> None:
    unit = unit_of(spool)
    sink.script, sink.lost = [UNREACHABLE], True
    with pytest.raises(DestinationUnreachable):
        objects.deliver(unit)
    objects.deliver(again(spool))
    assert len(sink.puts) == 2
    assert delivered_bytes(tmp_path / "bucket") == list(range(10))
    assert spool.statuses()[0].objects == 1


def test_a_foreign_object_keeps_its_key_and_ours_gets_another(
    spool: Spool, objects: ObjectOutlet, sink: ScriptedSink, tmp_path: Path
) -> None:
    unit = unit_of(spool)
    sink.script = [False, False]
    objects.deliver(unit)
    keys = [finished.key for finished in sink.puts]
    assert len(set(keys)) == 3
    assert len({key[: -len("01234567.log.gz")] for key in keys}) == 1
    assert [str(path.relative_to(tmp_path / "bucket")) for path in (tmp_path / "bucket").rglob("*.gz")] == keys[2:]
    assert delivered_bytes(tmp_path / "bucket") == list(range(10))


def test_a_failure_after_a_foreign_object_does_not_take_the_next_one_for_ours(
    spool: Spool, objects: ObjectOutlet, sink: ScriptedSink, tmp_path: Path
) -> None:
    unit = unit_of(spool)
    sink.script = [False, REFUSED]
    with pytest.raises(DestinationRefused):
        objects.deliver(unit)
    assert again(spool).staged is not None
    objects.deliver(again(spool))
    assert sink.puts[2].key == sink.puts[1].key != sink.puts[0].key
    assert delivered_bytes(tmp_path / "bucket") == list(range(10))


def test_a_destination_that_says_of_every_name_that_it_is_taken_is_broken(
    spool: Spool, objects: ObjectOutlet, sink: ScriptedSink
) -> None:
    unit = unit_of(spool)
    sink.script = [False] * 100
    with pytest.raises(DestinationUnreachable, match="there: it answered 8 times"):
        objects.deliver(unit)
    assert again(spool).staged is not None


def test_objects_that_were_delivered_before_a_failure_are_not_put_again(
    spool: Spool, objects: ObjectOutlet, sink: ScriptedSink, tmp_path: Path
) -> None:
    record(spool, flow_log(), PERIOD_S, 10)
    record(spool, flow_log(), PERIOD_S + 300, 10, first=10)
    unit = spool.assign(spool.shares())
    sink.script = [None, UNREACHABLE]
    with pytest.raises(DestinationUnreachable):
        objects.deliver(unit)
    assert [told.delivered for told in again(spool).staged or ()] == [True, False]
    objects.deliver(again(spool))
    assert len(sink.puts) == 3
    assert delivered_bytes(tmp_path / "bucket") == list(range(20))


@pytest.mark.parametrize("missing", [False, True])
def test_an_object_that_the_disk_damages_while_it_waits_is_built_again_before_it_is_put(
    spool: Spool, objects: ObjectOutlet, sink: ScriptedSink, tmp_path: Path, *, missing: bool
) -> None:
    unit = unit_of(spool)
    sink.script = [UNREACHABLE]
    with pytest.raises(DestinationUnreachable):
        objects.deliver(unit)
    (file,) = (tmp_path / "spool" / "staged").iterdir()
    if missing:
        file.unlink()
    else:
        content = bytearray(file.read_bytes())
        content[30] ^= 1
        file.write_bytes(content)
    objects.deliver(again(spool))
    assert delivered_bytes(tmp_path / "bucket") == list(range(10))
    assert sink.puts[0].key == sink.puts[1].key
    assert left_in(spool, tmp_path) == (0, 0, 0)
    assert spool.counters()["objects_damaged"] == 1
    assert "objects_built_otherwise" not in spool.counters()
    assert ("staged_damaged", 1) in [(name, facts.get("objects")) for name, facts in spool.take_events()]


def test_a_failed_build_leaves_no_file(
    spool: Spool, objects: ObjectOutlet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(spool, flow_log(), PERIOD_S)
    record(spool, flow_log(), PERIOD_S + 300)
    unit = spool.assign(spool.shares())
    put = Stage.put

    def full(stage: Stage, finished: FinishedObject) -> bool:
        if stage.objects:
            raise DestinationFull("no space left")
        return put(stage, finished)

    monkeypatch.setattr(Stage, "put", full)
    with pytest.raises(DestinationFull):
        objects.deliver(unit)
    assert left_in(spool, tmp_path) == (1, 2, 0)


def test_objects_that_the_journal_does_not_take_leave_no_file(
    spool: Spool, objects: ObjectOutlet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unit = unit_of(spool)

    def full(*_: object) -> Unit:
        raise DestinationFull("no space left")

    monkeypatch.setattr(Spool, "staged", full)
    with pytest.raises(DestinationFull):
        objects.deliver(unit)
    assert left_in(spool, tmp_path) == (1, 1, 0)


def test_a_damaged_segment_gives_its_skipdata_records_at_the_next_attempt(
    spool: Spool, objects: ObjectOutlet, tmp_path: Path
) -> None:
    unit = unit_of(spool)
    (file,) = (tmp_path / "spool" / "segments").iterdir()
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(UnitChanged, match="changed meanwhile"):
        objects.deliver(unit)
    objects.deliver(again(spool))
    (path,) = (tmp_path / "bucket").rglob("*.gz")
    assert read_object(path).table["log_status"].to_pylist() == ["SKIPDATA"] * 2
    assert left_in(spool, tmp_path) == (0, 0, 0)


# -- log events -------------------------------------------------------------------------------------------------------


def test_batches_are_sent_in_order_each_journalled_before_and_after(
    spool: Spool, events: EventOutlet, service: ScriptedEvents, tmp_path: Path, steps: list[Step]
) -> None:
    unit = unit_of(spool)
    steps.clear()
    events.deliver(unit)
    assert numbers(service) == list(range(10))
    assert left_in(spool, tmp_path) == (0, 0, 0)
    assert spool.statuses()[0].records == 10
    assert steps[:6] == [Step.BATCH_JOURNALLED, Step.BATCH_SENT, Step.PROGRESS_JOURNALLED] * 2
    assert doubtful(spool) == 0


@pytest.mark.parametrize(("error", "doubts"), [(REFUSED, 0), (THROTTLED, 0), (TOO_NEW, 0), (UNREACHABLE, 2)])
def test_after_a_failure_it_goes_on_with_that_batch_which_is_doubtful_if_nobody_knows(
    spool: Spool, events: EventOutlet, service: ScriptedEvents, error: Exception, doubts: int
) -> None:
    unit = unit_of(spool)
    service.script = [None, error, error]
    for _ in range(2):
        with pytest.raises(type(error)):
            events.deliver(unit)
        unit = again(spool)
        assert (unit.progress, unit.begun) == (1, True)
    events.deliver(unit)
    assert numbers(service) == list(range(10))
    assert doubtful(spool) == doubts


def test_a_batch_that_was_begun_before_a_crash_is_sent_again_and_counted(
    spool: Spool, events: EventOutlet, service: ScriptedEvents
) -> None:
    unit = unit_of(spool)
    spool.sending(unit, 0)
    events.deliver(again(spool))
    assert numbers(service) == list(range(10))
    assert doubtful(spool) == 1


def test_events_that_were_not_taken_are_sent_again_alone(
    spool: Spool, events: EventOutlet, service: ScriptedEvents
) -> None:
    unit = unit_of(spool, 4)
    service.script = [1, 2]
    events.deliver(unit)
    assert numbers(service) == [0, 1, 2, 3]
    assert doubtful(spool) == 0


def test_events_that_are_never_taken_make_the_destination_wait_and_only_they_are_sent_then(
    spool: Spool, events: EventOutlet, service: ScriptedEvents
) -> None:
    unit = unit_of(spool, 4)
    service.script = [3, 0, 0, 0]
    with pytest.raises(DestinationThrottled, match="service: 1 events were not taken 4 times"):
        events.deliver(unit)
    events.deliver(again(spool))
    assert numbers(service) == [0, 1, 2, 3]
    assert doubtful(spool) == 0


def test_of_a_batch_that_was_taken_in_part_only_the_rest_is_doubtful(
    spool: Spool, events: EventOutlet, service: ScriptedEvents
) -> None:
    unit = unit_of(spool, 4)
    service.script = [3, UNREACHABLE]
    with pytest.raises(DestinationUnreachable):
        events.deliver(unit)
    events.deliver(again(spool))
    assert numbers(service) == [0, 1, 2, 3]
    assert doubtful(spool) == 1


def test_what_is_too_new_waits_while_other_units_go_and_nothing_of_it_is_sent_twice(
    spool: Spool, events: EventOutlet, service: ScriptedEvents
) -> None:
    waits, goes = unit_of(spool, 4), unit_of(spool, 4, window_start_s=PERIOD_S + 300)
    service.script = [3, TOO_NEW, REFUSED, None, None]
    with pytest.raises(RecordsTooNew):
        events.deliver(waits)
    with pytest.raises(DestinationRefused):
        events.deliver(goes)
    for unit in reversed(spool.units()):
        events.deliver(unit)
    assert sorted(numbers(service)) == sorted([*range(4), *range(4)])
    assert doubtful(spool) == 0
    assert events._rests == {}  # nothing is kept of what is gone


def test_what_is_left_of_units_that_are_gone_is_forgotten(
    spool: Spool, events: EventOutlet, service: ScriptedEvents
) -> None:
    service.script = [TOO_NEW, TOO_NEW]
    for minute in range(2):
        with pytest.raises(RecordsTooNew):
            events.deliver(unit_of(spool, 4, window_start_s=PERIOD_S + 60 * minute))
        (unit,) = spool.units()
        assert list(events._rests) == [unit.id]
        spool.finish(unit)


def test_rejected_events_are_counted_and_told(spool: Spool, events: EventOutlet, service: ScriptedEvents) -> None:
    unit = unit_of(spool)
    service.script = [Sent(rejected=4, reason="too old")]
    events.deliver(unit)
    assert numbers(service) == list(range(4, 10))
    assert (spool.statuses()[0].records, spool.statuses()[0].rejected) == (6, 4)
    assert ("events_rejected", "too old", 4) in [
        (name, facts.get("reason"), facts.get("events")) for name, facts in spool.take_events()
    ]


def test_what_is_left_of_a_unit_that_was_given_up_meanwhile_is_not_sent(
    spool: Spool, events: EventOutlet, service: ScriptedEvents
) -> None:
    unit = unit_of(spool, 4)
    service.script = [REFUSED]
    with pytest.raises(DestinationRefused):
        events.deliver(unit)
    spool.drop(flow_log_id=unit.flow_log.id)
    service.script = []
    with pytest.MonkeyPatch.context() as patch:
        cut = ScriptedEvents.cut
        patch.setattr(ScriptedEvents, "cut", lambda self, rows: cut(self, _renamed(rows)))
        events.deliver(again(spool))
    assert service.sent == [b"SKIPDATA", b"SKIPDATA"]


def _renamed(rows: Any) -> Iterator[Any]:
    """Rows whose `bytes` are their log status."""
    for batch, chosen in rows:
        place = batch.schema.get_field_index("bytes")
        yield batch.set_column(place, "bytes", batch.column("log-status").cast("string")), chosen


# -- which outlet -----------------------------------------------------------------------------------------------------

REAL = DestinationRules(
    buckets={"logs": BucketSettings(endpoint="http://127.0.0.1:1")},
    cloudwatch_logs=ServiceSettings(endpoint="http://127.0.0.1:1"),
    firehose=ServiceSettings(endpoint="http://127.0.0.1:1"),
)


def outlets(spool: Spool, data: Path, rules: DestinationRules) -> Outlets:
    return Outlets(spool, LocalStore(data), rules)


def log_to(destination: Destination | None, **more: Any) -> FlowLog:
    return flow_log(destination=destination, **more)


def test_every_destination_has_its_outlet(spool: Spool, tmp_path: Path) -> None:
    found = {
        (made.name, made.at_once, made.ordered)
        for rules in (DestinationRules(), REAL)
        for destination in (BUCKET, GROUP, STREAM)
        for made in [outlets(spool, tmp_path, rules).outlet(log_to(destination))]
    }
    assert found == {
        ("local:s3/logs", True, False),
        ("local:logs/%2Fvpc", True, False),
        ("local:firehose/stream", True, False),
        ("s3://logs", False, False),
        ("logs:us-east-1:123456789012:/vpc", True, True),
        ("firehose:us-east-1:123456789012:stream", True, True),
    }


def test_flow_logs_of_one_bucket_share_its_outlet_whatever_their_folders(spool: Spool, tmp_path: Path) -> None:
    made = outlets(spool, tmp_path, REAL)
    one = made.outlet(log_to(BUCKET))
    assert made.outlet(log_to(Destination(DestinationType.S3, "logs", "folder"), id="fl-00000002")) is one
    assert made.outlet(log_to(Destination(DestinationType.S3, "other"))) is not one


def test_a_local_bucket_takes_objects_once_it_is_there_and_the_manifest_fits(spool: Spool, tmp_path: Path) -> None:
    log = log_to(Destination(DestinationType.S3, "logs", "flows"), prefix="flows")
    outlet = outlets(spool, tmp_path, DestinationRules()).outlet(log)
    unit = unit_of(spool, log=log)
    with pytest.raises(DestinationUnwritable, match="'logs': it does not exist"):
        outlet.deliver(unit)
    LocalStore(tmp_path).create_bucket("logs", 0)
    outlet.deliver(again(spool))
    assert delivered_bytes(tmp_path / "s3" / "logs" / "flows" / "AWSLogs") == list(range(10))
    report = verify_objects(tmp_path, lambda place: objects_at(place, tmp_path, DestinationRules()))
    assert (report.objects, report.findings) == (1, [])


def test_a_folder_that_leads_elsewhere_is_refused(spool: Spool, tmp_path: Path) -> None:
    LocalStore(tmp_path).create_bucket("logs", 0)
    log = log_to(BUCKET, prefix="../other")
    with pytest.raises(DestinationUnwritable, match=r"fl-1234abcd: the folder '\.\./other'"):
        outlets(spool, tmp_path, DestinationRules()).outlet(log).deliver(unit_of(spool, log=log))


@pytest.mark.parametrize(("destination", "folder"), [(GROUP, "logs/%2Fvpc"), (STREAM, "firehose/stream")])
def test_local_log_groups_and_streams_take_files(
    spool: Spool, tmp_path: Path, destination: Destination, folder: str
) -> None:
    log = log_to(destination)
    outlets(spool, tmp_path, DestinationRules()).outlet(log).deliver(unit_of(spool, log=log))
    lines = [line for path in (tmp_path / folder).rglob("*.jsonl") for line in path.read_text().splitlines()]
    assert len(lines) == 10
    assert spool.statuses()[0].records == 10
    report = verify_objects(tmp_path, lambda place: objects_at(place, tmp_path, DestinationRules()))
    assert report.objects == spool.statuses()[0].objects
    assert report.findings == []


@pytest.mark.parametrize("destination", [BUCKET, GROUP, STREAM])
def test_without_boto3_a_service_fails_when_it_is_used_and_nothing_else_does(
    spool: Spool, tmp_path: Path, destination: Destination, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_import = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.partition(".")[0] in ("boto3", "botocore"):
            raise ImportError(name)
        return real_import(name, *rest)

    log = log_to(destination)
    unit = unit_of(spool, log=log)
    monkeypatch.setattr(builtins, "__import__", without)
    outlet = outlets(spool, tmp_path, REAL).outlet(log)
    with pytest.raises(OptionError, match=r"flowglass\[aws\]"):
        outlet.deliver(unit)
    assert len(spool.units()) == 1


def test_a_flow_log_without_a_destination_has_no_outlet(spool: Spool, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="fl-1234abcd has no destination"):
        outlets(spool, tmp_path, REAL).outlet(log_to(None))
