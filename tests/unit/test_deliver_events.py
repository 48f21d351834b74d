"""Records as events of log groups and records of delivery streams in the local store."""

from __future__ import annotations

import hashlib
import json
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.examples import examples
from tests.support.records import flow_log
from tests.support.small_disk import mounted

from flowglass.deliver import DirectorySink, EventBuilder, LocalStore
from flowglass.fields import LogFormat
from flowglass.fields.contracts import I64, Destination, DestinationType, FlowLog, TrafficType
from flowglass.fields.errors import DestinationFull, LogFormatError

PERIOD_S = 1_529_511_600  # 2018-06-20 16:20:00 UTC
FORMAT = LogFormat.of(["srcaddr", "packets", "end"])
ENI = "eni-1235b8ca123456789"
GROUP = Destination(DestinationType.CLOUD_WATCH_LOGS, "/vpc/flow", account="123456789012", region="us-east-1")
STREAM = Destination(DestinationType.FIREHOSE, "my-stream", account="123456789012", region="us-east-1")

Row = tuple[str | None, str | None, int, int, int]
"""Interface, resource, start, end, packets."""


def log(destination: Destination | None = GROUP, **more: Any) -> FlowLog:
    return flow_log(FORMAT, destination=destination, **more)


def records(rows: list[Row], *, coded: bool = True) -> tuple[pa.RecordBatch, I64]:
    """A batch of these rows, and when they end."""
    interfaces, resources, starts, ends, packets = map(list, zip(*rows, strict=True)) if rows else ([],) * 5
    texts: list[Any] = [pa.array(interfaces, pa.string()), pa.array(resources, pa.string())]
    if coded:
        texts = [text.dictionary_encode() for text in texts]
    arrays = {
        "srcaddr": pa.array(["10.0.0.1"] * len(rows), pa.string()),
        "interface-id": texts[0],
        "packets": pa.array(packets, pa.int64()),
        "start": pa.array(starts, pa.int64()),
        "end": pa.array(ends, pa.int64()),
        "resource-id": texts[1],
    }
    return pa.RecordBatch.from_pydict(arrays), np.array(ends, np.int64)


def many(count: int, interfaces: int = 1, seconds: int = 60) -> tuple[pa.RecordBatch, I64]:
    owners = [f"eni-{number % interfaces:017x}" for number in range(count)]
    return records([(owner, None, PERIOD_S + i % seconds, PERIOD_S + i % seconds, i) for i, owner in enumerate(owners)])


def group(root: Path) -> DirectorySink:
    return LocalStore(root).log_group(GROUP.name)


def builder_of(flow_log: FlowLog, root: Path) -> EventBuilder:
    """The builder for the group or the stream, whichever is the flow log's destination."""
    return EventBuilder(
        flow_log, group(root) if flow_log.destination == GROUP else LocalStore(root).delivery_stream(STREAM.name)
    )


def files(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def events(path: Path) -> list[tuple[int, str]]:
    parsed = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert all(event.keys() == {"timestamp", "message"} for event in parsed)
    return [(event["timestamp"], event["message"]) for event in parsed]


def line(end_s: int, packets: int) -> str:
    return f"10.0.0.1 {packets} {end_s}"


def test_every_interface_has_a_stream_whose_events_are_in_order_of_their_start(tmp_path: Path) -> None:
    other = "eni-0000000000000000a"
    batch, ends = records(
        [
            (ENI, None, PERIOD_S + 7, PERIOD_S + 50, 1),
            (other, None, PERIOD_S + 5, PERIOD_S + 40, 2),
            (ENI, None, PERIOD_S - 3, PERIOD_S + 10, 3),
            (ENI, None, PERIOD_S + 7, PERIOD_S + 7, 4),
        ]
    )
    builder = EventBuilder(log(), group(tmp_path))
    builder.add(batch, ends)
    results = builder.close()
    found = {path.split("/")[2]: events(tmp_path / path) for path in files(tmp_path)}
    assert found == {
        f"{ENI}-all": [
            ((PERIOD_S - 3) * 1000, line(PERIOD_S + 10, 3)),
            ((PERIOD_S + 7) * 1000, line(PERIOD_S + 50, 1)),
            ((PERIOD_S + 7) * 1000, line(PERIOD_S + 7, 4)),
        ],
        f"{other}-all": [((PERIOD_S + 5) * 1000, line(PERIOD_S + 40, 2))],
    }
    assert [(result.records, result.created) for result in results] == [(3, True), (1, True)]
    for result in results:
        assert (tmp_path / "logs" / "%2Fvpc%2Fflow" / result.key).stat().st_size == result.size_bytes
        assert result.key.split("/")[1][:15] == "20180620T1620Z_"


@pytest.mark.parametrize("coded", [True, False])
@pytest.mark.parametrize(
    ("traffic_type", "suffix"),
    [(TrafficType.ALL, "all"), (TrafficType.ACCEPT, "accept"), (TrafficType.REJECT, "reject")],
)
def test_streams_are_named_by_interface_or_resource_and_traffic_type(
    tmp_path: Path, traffic_type: TrafficType, suffix: str, *, coded: bool
) -> None:
    rows: list[Row] = [
        (owner, resource, PERIOD_S, PERIOD_S, 1)
        for owner, resource in [(ENI, None), (None, "nat-1234567890abcdef"), (None, None), ("../eni/x", None)]
    ]
    builder = EventBuilder(log(traffic_type=traffic_type), group(tmp_path))
    builder.add(*records(rows, coded=coded))
    builder.close()
    streams = sorted(path.split("/")[2] for path in files(tmp_path))
    expected = [f"%2E.%2Feni%2Fx-{suffix}", f"{ENI}-{suffix}", f"nat-1234567890abcdef-{suffix}", f"unknown-{suffix}"]
    assert streams == expected


def test_records_lie_in_the_five_minutes_of_their_end(tmp_path: Path) -> None:
    rows: list[Row] = [(ENI, None, end - 1, end, end - PERIOD_S) for end in range(PERIOD_S - 10, PERIOD_S + 610, 10)]
    builder = EventBuilder(log(), group(tmp_path))
    builder.add(*records(rows))
    results = builder.close()
    assert [(result.key.split("/")[1][:14], result.records) for result in results] == [
        ("20180620T1615Z", 1),
        ("20180620T1620Z", 30),
        ("20180620T1625Z", 30),
        ("20180620T1630Z", 1),
    ]


@pytest.mark.parametrize("destination", [GROUP, STREAM])
def test_the_same_records_find_their_files_already_there(tmp_path: Path, destination: Destination) -> None:
    batch, ends = many(500, interfaces=3)
    runs = []
    for _ in range(2):
        builder = builder_of(log(destination), tmp_path)
        for first in range(0, 500, 100):
            builder.add(batch, ends, np.arange(first, first + 100))
        runs.append(builder.close())
        assert len(files(tmp_path)) == len(runs[0])
    assert [result.created for result in runs[0]] == [True] * len(runs[0])
    assert [result.created for result in runs[1]] == [False] * len(runs[0])
    assert [result.key for result in runs[0]] == [result.key for result in runs[1]]


@pytest.mark.parametrize("destination", [GROUP, STREAM])
def test_equal_records_of_other_flow_logs_and_later_ones_have_files_of_their_own(
    tmp_path: Path, destination: Destination
) -> None:
    for name in ("fl-1234abcd", "fl-1234abce"):
        builder = builder_of(log(destination, id=name), tmp_path)
        for _ in range(2):
            builder.add(*many(5))
            builder.settle(PERIOD_S + 300)
        assert builder.close() == builder.results
        assert [result.created for result in builder.results] == [True, True]
    assert len(files(tmp_path)) == 4


def test_files_are_named_by_whoever_knows_better(tmp_path: Path) -> None:
    asked: list[tuple[str, int, int]] = []

    def namer(flow_log: FlowLog, start_s: int, number: int, content_sha256: str, file_sha256: str) -> str:
        asked.append((flow_log.id, start_s, number))
        assert content_sha256 == file_sha256
        return file_sha256[:8]

    builder = EventBuilder(log(), group(tmp_path), namer=namer)
    builder.add(*many(4, interfaces=2))
    builder.settle(PERIOD_S + 300)
    builder.add(*many(2))
    builder.close()
    assert asked == [(log().id, PERIOD_S, 0)] * 2 + [(log().id, PERIOD_S, 1)]
    for path in tmp_path.rglob("*.jsonl"):
        assert path.stem == f"20180620T1620Z_{hashlib.sha256(path.read_bytes()).hexdigest()[:8]}"


def test_a_delivery_stream_has_the_lines_as_they_came_in_folders_of_hours(tmp_path: Path) -> None:
    rows: list[Row] = [(ENI, None, PERIOD_S + 9, PERIOD_S + 9, 1), (None, None, PERIOD_S, PERIOD_S, 2)]
    builder = builder_of(log(STREAM), tmp_path)
    builder.add(*records(rows))
    builder.add(*records([("eni-b", None, PERIOD_S + 3, PERIOD_S + 3, 3)]))
    (result,) = builder.close()
    (path,) = files(tmp_path)
    assert path == f"firehose/my-stream/{result.key}"
    assert result.key.startswith("2018/06/20/16/20180620T1620Z_")
    assert result.records == 3
    assert [json.loads(text) for text in (tmp_path / path).read_text().splitlines()] == [
        {"message": line(PERIOD_S + 9, 1)},
        {"message": line(PERIOD_S, 2)},
        {"message": line(PERIOD_S + 3, 3)},
    ]


@pytest.mark.parametrize("destination", [GROUP, STREAM])
@pytest.mark.parametrize("value", ["a\\b", "\\", 'a"b', "a\nb\x07", "é \u2028\ud7ff"])
def test_whatever_a_text_holds_its_line_is_json(tmp_path: Path, destination: Destination, value: str) -> None:
    batch, ends = records([(ENI, None, PERIOD_S, PERIOD_S, 1)] * 3)
    batch = batch.set_column(0, "srcaddr", pa.array([value] * 3, pa.string()))
    builder = builder_of(log(destination), tmp_path)
    builder.add(batch, ends)
    builder.close()
    (path,) = files(tmp_path)
    messages = [json.loads(text)["message"] for text in (tmp_path / path).read_text("utf-8").splitlines()]
    assert len(messages) == 3
    assert messages[0].endswith(f" 1 {PERIOD_S}")
    assert ("\\" in messages[0]) == ("\\" in value)


def test_a_part_that_is_full_is_followed_by_a_further_one(tmp_path: Path) -> None:
    batch, ends = many(20_000, interfaces=4)
    builder = EventBuilder(log(), group(tmp_path), max_bytes=100_000)
    for first in range(0, 20_000, 1000):
        builder.add(batch, ends, np.arange(first, first + 1000))
    results = builder.close()
    assert len(results) > 12
    assert len(files(tmp_path)) == len(results)
    assert max(result.size_bytes for result in results) < 100_000
    found = [event for path in files(tmp_path) for event in events(tmp_path / path)]
    assert sum(result.records for result in results) == len(found) == 20_000


def test_settle_and_the_cap_of_open_periods_finish_what_is_over(tmp_path: Path) -> None:
    rows: list[Row] = [(ENI, None, PERIOD_S + 300 * i, PERIOD_S + 300 * i, i) for i in range(6)]
    builder = EventBuilder(log(), group(tmp_path), open_periods=3)
    builder.add(*records(rows))
    assert len(builder.results) == 3
    builder.settle(PERIOD_S + 1199)
    assert len(builder.results) == 3
    builder.settle(PERIOD_S + 1200)
    assert len(builder.results) == 4
    assert len(builder.close()) == 6


def test_abort_leaves_nothing_unfinished_and_tells_what_was_lost(tmp_path: Path) -> None:
    rows: list[Row] = [(ENI, None, end, end, 0) for end in range(PERIOD_S, PERIOD_S + 600)]
    builder = EventBuilder(log(), group(tmp_path))
    builder.add(*records(rows))
    builder.settle(PERIOD_S + 300)
    assert builder.abort() == 300
    assert len(files(tmp_path)) == 1
    assert builder.abort() == 0


def test_no_records_make_no_group(tmp_path: Path) -> None:
    builder = EventBuilder(log(), group(tmp_path))
    builder.add(*records([]))
    builder.add(*many(5), rows=np.zeros(0, np.int64))
    assert builder.close() == []
    assert list(tmp_path.iterdir()) == []


def test_a_column_that_is_missing_is_told(tmp_path: Path) -> None:
    batch, ends = many(3)
    for name in ("start", "interface-id", "resource-id", "packets"):
        builder = EventBuilder(log(), group(tmp_path))
        with pytest.raises(LogFormatError, match=name):
            builder.add(batch.drop_columns([name]), ends)
        assert builder.abort() == 3
    assert files(tmp_path) == []


def test_a_hundred_thousand_records_are_quick(tmp_path: Path) -> None:
    batch, ends = many(100_000, interfaces=500)
    builder = EventBuilder(log(), group(tmp_path))
    EventBuilder(log(), group(tmp_path)).add(*many(5))  # compiles
    began = time.process_time()
    builder.add(batch, ends)
    assert time.process_time() - began < 2
    assert builder.abort() == 100_000


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    with mounted(tmp_path, "size=640k") as disk:
        yield disk


def test_a_full_disk_is_told_and_no_record_is_counted_twice(small_disk: Path) -> None:
    builder = EventBuilder(log(), group(small_disk))
    builder.add(*many(8000, interfaces=5))  # 530 kB, and as much again in five files
    with pytest.raises(DestinationFull, match="make room"):
        builder.close()
    delivered = sum(result.records for result in builder.results)
    assert 0 < delivered < 8000
    assert builder.abort() == 8000 - delivered
    found = [event for path in files(small_disk) for event in events(small_disk / path)]
    assert len(found) == delivered


def test_a_bucket_is_no_destination_of_events(tmp_path: Path) -> None:
    bucket = Destination(DestinationType.S3, "team-logs")
    with pytest.raises(ValueError, match="neither a log group nor a delivery stream"):
        EventBuilder(log(bucket), group(tmp_path))


ROWS = st.lists(
    st.tuples(
        st.sampled_from([None, "eni-a", "eni-b"]),
        st.sampled_from([None, "nat-a"]),
        st.integers(PERIOD_S - 60, PERIOD_S + 900),
        st.integers(PERIOD_S, PERIOD_S + 900),
        st.just(0),
    ),
    max_size=12,
)


class TestConservation:
    """Every record is one event of its stream, in the file of the five minutes in which it ends."""

    @settings(deadline=None, max_examples=examples(30))
    @given(st.lists(ROWS, max_size=4), st.integers(1, 4), st.integers(1, 2000), st.booleans(), st.data())
    def test_nothing_is_lost_or_doubled(
        self, batches: list[list[Row]], open_periods: int, max_bytes: int, firehose: bool, data: st.DataObject
    ) -> None:
        expected: dict[tuple[str, int], list[tuple[int, str]]] = defaultdict(list)
        found: dict[tuple[str, int], list[tuple[int, str]]] = defaultdict(list)
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            store = LocalStore(root)
            builder = EventBuilder(
                log(STREAM if firehose else GROUP),
                store.delivery_stream(STREAM.name) if firehose else store.log_group(GROUP.name),
                max_bytes=max_bytes,
                open_periods=open_periods,
            )
            number = 0
            for unnumbered in batches:
                rows: list[Row] = [(*row[:4], number + i) for i, row in enumerate(unnumbered)]
                number += len(rows)
                chosen = data.draw(st.permutations(range(len(rows)))) if data.draw(st.booleans()) else None
                batch, ends = records(rows, coded=data.draw(st.booleans()))
                builder.add(batch, ends, None if chosen is None else np.array(chosen, np.int64))
                for i in range(len(rows)) if chosen is None else chosen:
                    owner, resource, start, end, packets = rows[i]
                    stream = "" if firehose else f"{owner or resource or 'unknown'}-all"
                    stamp = 0 if firehose else start * 1000
                    expected[stream, end // 300].append((stamp, line(end, packets)))
                builder.settle(data.draw(st.integers(PERIOD_S, PERIOD_S + 1500)))
            for result in builder.close():
                place = root / ("firehose/my-stream" if firehose else "logs/%2Fvpc%2Fflow") / result.key
                got = [json.loads(text) for text in place.read_text().splitlines()]
                stamped = [(event.get("timestamp", 0), event["message"]) for event in got]
                assert stamped == sorted(stamped, key=lambda event: event[0])
                assert (result.created, result.records) == (True, len(got))
                ends_of = {int(message.split()[2]) // 300 for _, message in stamped}
                assert len(ends_of) == 1
                found["" if firehose else result.key.split("/")[0], ends_of.pop()] += stamped
        assert {key: sorted(value) for key, value in found.items()} == {
            key: sorted(value) for key, value in expected.items()
        }
