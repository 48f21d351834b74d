"""Log batches: every record once, in order, within what a service takes in one call."""

from __future__ import annotations

import base64
import json
from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.events import FORMAT, GROUP, STREAM, Record, event_log, line_of, rows_with, sliced
from tests.support.examples import examples

from flowglass.deliver.aws import Service, ServiceSettings
from flowglass.deliver.ordering import ByInterface, encoded, ordered
from flowglass.deliver.rows import Rows
from flowglass.deliver.sinks import CloudWatchSink, EventBatch, FirehoseSink
from flowglass.fields.contracts import TrafficType
from flowglass.format import TextFormat

T = 1_529_511_600
NOWHERE = ServiceSettings(endpoint="http://127.0.0.1:1")
LOGS = CloudWatchSink("/vpc/flow", Service("logs", NOWHERE), event_log(GROUP))
FIREHOSE = FirehoseSink("flows", Service("firehose", NOWHERE), event_log(STREAM))


@st.composite
def runs(draw: st.DrawFn, most: int) -> list[Record]:
    """Records in runs of alike ones, so that a few draws pass a limit: by number, by bytes, by time.

    `most`: records in a run.
    """
    records: list[Record] = []
    for _ in range(draw(st.integers(0, 4))):
        count, size = draw(
            st.one_of(
                st.tuples(st.integers(1, 40), st.integers(1, 300_000)),
                st.tuples(st.integers(1, most), st.integers(1, 60)),
                st.tuples(st.integers(1, 3), st.sampled_from([1_023_000, 1_024_000, 1_048_540, 1_048_560, 1_100_000])),
            )
        )
        text = draw(st.sampled_from(["a", "é", "\\", "x\\"])) * size
        text = text.encode()[:size].decode(errors="ignore") or "-"
        interface = draw(st.sampled_from(["eni-a", "eni-b", "eni-c"]))
        start, step = T + draw(st.integers(-200_000, 200_000)), draw(st.sampled_from([0, 1, -1, 60, 86_399, 86_400]))
        records += [(interface, start + step * number, text) for number in range(count)]
    order = draw(st.randoms(use_true_random=False))
    if draw(st.booleans()):
        order.shuffle(records)
    return records


def cuts(records: Sequence[Record]) -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(0, len(records)), max_size=3)


class TestOrder:
    """A part is in order of time within each stream, and what the parts are does not depend on how records come."""

    @settings(deadline=None, max_examples=examples(60))
    @given(st.data(), st.integers(1, 3000))
    def test_parts_follow_from_the_records_alone(self, data: st.DataObject, max_bytes: int) -> None:
        record = st.tuples(
            st.sampled_from(["eni-a", "eni-b"]), st.integers(T, T + 5), st.sampled_from(["a", "b" * 99, "c" * 999])
        )
        records = data.draw(st.lists(record, max_size=60))
        found = []
        for pieces in ([rows_with(records)], sliced(records, data.draw(cuts(records)))):
            parts = ordered(pieces, TextFormat(FORMAT), ByInterface(TrafficType.ALL), max_bytes=max_bytes)
            found.append([(part.stream, part.times_s.tolist(), encoded(part.lines)) for part in parts])
        assert found[0] == found[1]
        assert found[0] == list(self.plainly(records, max_bytes))

    @staticmethod
    def plainly(records: Sequence[Record], max_bytes: int) -> list[tuple[str, list[int], list[bytes]]]:
        """The same, a record at a time."""
        parts: list[dict[str, list[tuple[int, bytes]]]] = [{}]
        size = 0
        for number, record in enumerate(records):
            line = line_of(number, record)
            parts[-1].setdefault(f"{record[0]}-all", []).append((record[1], line))
            size += len(line)
            if size >= max_bytes:
                parts.append({})
                size = 0
        result = []
        for part in parts:
            for stream, lines in part.items():
                lines.sort(key=lambda line: line[0])
                result.append((stream, [time for time, _ in lines], [line for _, line in lines]))
        return result


class TestLogEvents:
    """PutLogEvents: at most 10,000 events, 1,048,576 bytes with 26 for each, 24 hours, in order, of one stream."""

    @settings(deadline=None, max_examples=examples(30))
    @given(runs(12_000), st.data())
    def test_every_event_is_in_one_batch_within_the_limits(self, records: list[Record], data: st.DataObject) -> None:
        batches = list(LOGS.cut(sliced(records, data.draw(cuts(records)))))
        assert batches == list(LOGS.cut([rows_with(records)]))
        got: dict[str, list[tuple[int, bytes]]] = defaultdict(list)
        for batch in batches:
            events = list(zip(batch.times_ms, batch.messages, strict=True))
            assert 0 < len(events) <= 10_000
            assert sum(len(message) + 26 for _, message in events) <= 1_048_576 or len(events) == 1
            assert events[-1][0] - events[0][0] <= 24 * 3_600_000
            assert [time for time, _ in events] == sorted(time for time, _ in events)
            got[batch.stream] += events
        expected: dict[str, list[tuple[int, bytes]]] = defaultdict(list)
        for number, record in enumerate(records):
            expected[f"{record[0]}-all"].append((record[1] * 1000, line_of(number, record)))
        assert {name: Counter(events) for name, events in got.items()} == {
            name: Counter(events) for name, events in expected.items()
        }

    def test_batches_are_as_full_as_the_limits_allow(self) -> None:
        records: list[Record] = [("eni-a", T, "a" * 20)] * 25_000
        assert [len(batch.messages) for batch in LOGS.cut([rows_with(records)])] == [10_000, 10_000, 5000]
        # Exactly 1 MiB: eight lines of 131,046 bytes, each with 26 more.
        records = [("eni-a", T, "a" * 131_044)] * 8 + [("eni-a", T, "b")]
        assert [len(batch.messages) for batch in LOGS.cut([rows_with(records)])] == [8, 1]
        records = [("eni-a", T + hour * 3600, "a") for hour in range(49)]
        assert [len(batch.messages) for batch in LOGS.cut([rows_with(records)])] == [24, 24, 1]


class TestStreamRecords:
    """PutRecordBatch: at most 500 records and 4 MiB in base64; records as they come."""

    @settings(deadline=None, max_examples=examples(30))
    @given(runs(1200), st.data())
    def test_every_record_is_in_one_batch_within_the_limits(self, records: list[Record], data: st.DataObject) -> None:
        batches = list(FIREHOSE.cut(sliced(records, data.draw(cuts(records)))))
        assert batches == list(FIREHOSE.cut([rows_with(records)]))
        for batch in batches:
            assert 0 < len(batch.messages) <= 500
            sent = [{"Data": base64.b64encode(message).decode()} for message in batch.messages]
            request = json.dumps({"DeliveryStreamName": "s" * 64, "Records": sent})
            assert len(request) <= 4_194_304
        messages = [json.loads(message)["message"] for batch in batches for message in batch.messages]
        assert messages == [line_of(number, record).decode() for number, record in enumerate(records)]
        assert all(message.endswith(b"}\n") for batch in batches for message in batch.messages)

    def test_batches_are_as_full_as_the_limits_allow(self) -> None:
        records: list[Record] = [("eni-a", T, "a")] * 1200
        assert [len(batch.messages) for batch in FIREHOSE.cut([rows_with(records)])] == [500, 500, 200]
        records = [("eni-a", T, "a" * 1_000_000)] * 7
        assert [len(batch.messages) for batch in FIREHOSE.cut([rows_with(records)])] == [3, 3, 1]


def test_nothing_is_cut_from_nothing() -> None:
    none: list[EventBatch] = []
    empty = rows_with([])
    nobody = Rows(rows_with([("eni-a", T, "a")]).batch, np.zeros(0, np.int64))
    for sink in (LOGS, FIREHOSE):
        assert list(sink.cut([])) == list(sink.cut([empty, nobody])) == none
