"""From a unit to its records and objects."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pytest
from tests.support import enrich_world as world
from tests.support import packets as ip
from tests.support import pcapfile
from tests.support.frames import RAW
from tests.support.merging import KEY, MemorySpool, Record, records_of, spool_batch
from tests.support.records import TAG_KEYS, flow_log, parquet_log
from tests.support.small_disk import mounted

from flowglass.aggregate import FlowTable
from flowglass.app.engine import Engine
from flowglass.app.outputs import Output, SpoolOutput, Wanted
from flowglass.app.targets import Target
from flowglass.capture import CaptureFile, CaptureFiles
from flowglass.deliver import Delivered, DirectorySink, ObjectBuilder, Spool, StagedObject, Unit
from flowglass.deliver.assemble import rows_of
from flowglass.deliver.merge import PARTITION_RECORDS
from flowglass.deliver.periods import renamed_key, unit_namer
from flowglass.deliver.planner import spans
from flowglass.deliver.rows import BASE_FIELDS, Rows, union
from flowglass.fields import EXTENSION_FIELDS, Column, LogFormat, all_fields
from flowglass.fields.contracts import I64, FileFormat, FinishedObject, FlowLog
from flowglass.fields.errors import DestinationFull
from flowglass.format import parse_key, read_object
from flowglass.inventory import Snapshot

BASE_S: Final = 1_600_000_200  # a multiple of 600
NS: Final = 1_000_000_000
FORMAT: Final = LogFormat.of(["version", "vpc-id", "srcaddr", "packets", "tcp-flags"])
EVERYTHING: Final = LogFormat((*all_fields(TAG_KEYS).columns, *LogFormat.of(f.name for f in EXTENSION_FIELDS).columns))
SECOND_PARTITION: Final = 2 * PARTITION_RECORDS


def minute(number: int, **more: Any) -> dict[str, Any]:
    """The record of a flow in a minute of the ten."""
    start = BASE_S + 60 * number
    flow = {"interface-id": "eni-1", "srcaddr": "10.0.0.1", "dstaddr": "10.0.0.2", "srcport": 1, "dstport": 2}
    counts = {"packets": 1, "bytes": 40, "start": start + 5, "end": start + 50, "log-status": "OK"}
    return {**flow, "protocol": 6, "action": "ACCEPT", "tcp-flags": 0, **counts, **more}


def quiet(number: int, status: str = "NODATA", interface: str = "eni-1") -> dict[str, Any]:
    start = BASE_S + 60 * number
    return {"interface-id": interface, "start": start, "end": start + 59, "log-status": status}


def held(folder: Path, log: FlowLog, records: Sequence[Record], windows: Sequence[int] = range(10)) -> MemorySpool:
    """A spool with a segment of all records."""
    spool = MemorySpool(folder)
    spool.hold([Rows(spool_batch(log, records))], [BASE_S + 60 * number for number in windows])
    return spool


def read(spool: MemorySpool, log: FlowLog) -> list[dict[str, Any]]:
    return [record for rows in rows_of(spool, spool.unit(log)) for record in records_of(rows)]


def test_records_stream_with_the_version_of_their_own_format(tmp_path: Path) -> None:
    log = flow_log(FORMAT)
    spool = held(tmp_path, log, [minute(0, version=11), minute(1, version=11)])
    (rows,) = rows_of(spool, spool.unit(log))
    assert rows.chosen is None
    assert [record["version"] for record in records_of(rows)] == [3, 3]
    assert spool.asked == [["vpc-id", "srcaddr", "packets", "tcp-flags", *BASE_FIELDS]]
    assert rows.batch.schema.names == [*spool.asked[0], "version"]


def test_a_format_without_version_gets_none(tmp_path: Path) -> None:
    log = flow_log(LogFormat.of(["packets"]))
    spool = held(tmp_path, log, [minute(0)])
    (rows,) = rows_of(spool, spool.unit(log))
    assert rows.batch.schema.names == ["packets", *BASE_FIELDS]


def test_windows_that_are_long_already_are_not_merged(tmp_path: Path) -> None:
    log = flow_log(FORMAT, interval_s=600)
    spool = MemorySpool(tmp_path)
    spool.hold([Rows(spool_batch(log, [minute(0), minute(0)]))], [BASE_S], window_s=600)
    assert len(read(spool, log)) == 2


def test_merged_records_have_the_formats_columns_and_the_fields_of_every_record(tmp_path: Path) -> None:
    log = flow_log(FORMAT, interval_s=600)
    records = [minute(3, **{"tcp-flags": 2}), minute(4, **{"tcp-flags": 1})]
    (record,) = read(held(tmp_path, log, records), log)
    wanted = {"version": 3, "vpc-id": None, "srcaddr": "10.0.0.1", "packets": 2, "tcp-flags": 3}
    times = {"start": BASE_S + 185, "end": BASE_S + 290}
    assert record == {**wanted, **times, "interface-id": "eni-1", "resource-id": None, "log-status": "OK"}


@pytest.mark.parametrize("field", KEY)
def test_flows_that_differ_in_one_field_of_the_key_stay_apart(tmp_path: Path, field: str) -> None:
    log = flow_log(LogFormat.of(["packets"]), interval_s=600)
    number = field in ("srcport", "dstport", "protocol")
    values = (0, 7, None) if number else ("a", "b", None)
    records = [minute(place % 10, **{field: value}) for place, value in enumerate(values * 4)]
    for many in (0, SECOND_PARTITION):
        spool = held(tmp_path, log, records)
        unit = spool.unit(log)
        unit = replace(unit, shares=(replace(unit.shares[0], records=many),))
        merged = [record for rows in rows_of(spool, unit) for record in records_of(rows)]
        assert [record["packets"] for record in merged] == [4, 4, 4]


def test_flows_stay_apart_whatever_numbers_their_keys_are_made_of(tmp_path: Path) -> None:
    log = flow_log(LogFormat.of(["srcport"]), interval_s=600)
    top = (1 << 31) - 1
    keys = [(0, 0, 0), (4, 0, 0), (1, 1, 2), (top, top, top)]  # 4 * 2^31 * 2^31 is 0 in 64 bits
    records = [minute(0, srcport=here, dstport=there, protocol=number) for here, there, number in keys]
    assert [record["srcport"] for record in read(held(tmp_path, log, records), log)] == [0, 4, 1, top]


def test_late_records_of_an_older_window_are_not_the_newest(tmp_path: Path) -> None:
    log = flow_log(FORMAT, interval_s=600)
    records = [minute(1, **{"vpc-id": "vpc-new"}), minute(0, **{"vpc-id": "vpc-old"})]
    assert [record["vpc-id"] for record in read(held(tmp_path, log, records), log)] == ["vpc-new"]


@pytest.mark.parametrize(
    ("records", "windows", "left"),
    [
        ([quiet(n) for n in range(10)], range(10), [("NODATA", 0, 599)]),
        ([quiet(n) for n in range(3, 7)], range(3, 7), [("NODATA", 180, 419)]),
        ([quiet(n) for n in range(9)], range(10), []),
        ([*(quiet(n) for n in range(9)), quiet(8)], range(10), []),
        ([*(quiet(n) for n in range(9)), minute(9)], range(10), [("OK", 545, 590)]),
        ([*(quiet(n) for n in range(10)), minute(9)], range(10), [("OK", 545, 590)]),
        ([*(quiet(n) for n in range(9)), quiet(9, "SKIPDATA")], range(10), [("SKIPDATA", 540, 599)]),
        ([quiet(2, "SKIPDATA"), quiet(5, "SKIPDATA")], range(10), [("SKIPDATA", 120, 359)]),
        ([minute(0), quiet(5, "SKIPDATA")], range(10), [("OK", 5, 50), ("SKIPDATA", 300, 359)]),
        ([*(quiet(n) for n in range(10)), minute(0, **{"interface-id": "eni-2"})], range(10),
         [("OK", 5, 50), ("NODATA", 0, 599)]),
    ],
)  # fmt: skip
def test_what_is_left_of_windows_without_traffic(
    tmp_path: Path, records: list[Record], windows: range, left: list[tuple[str, int, int]]
) -> None:
    log = flow_log(FORMAT, interval_s=600)
    found = read(held(tmp_path, log, records, windows), log)
    assert [(record["log-status"], record["start"] - BASE_S, record["end"] - BASE_S) for record in found] == left


def test_only_the_chosen_rows_count(tmp_path: Path) -> None:
    log = flow_log(FORMAT, interval_s=600)
    spool = MemorySpool(tmp_path)
    spool.hold([Rows(spool_batch(log, [minute(0), minute(1), minute(2)]), np.array([2, 0]))], [BASE_S])
    assert [(record["packets"], record["start"] - BASE_S) for record in read(spool, log)] == [(2, 5)]


def many_flows(log: FlowLog, count: int, number: int) -> pa.RecordBatch:
    """A window in which each of `count` flows has a packet; every second window has other ones."""
    one = spool_batch(log, [minute(number, bytes=number)])
    columns = {name: one.column(name).take(np.zeros(count, np.int64)) for name in one.schema.names}
    places = np.arange(count) + number % 2 * count
    columns["srcaddr"] = pa.array([f"10.{place >> 16}.{place >> 8 & 255}.{place & 255}" for place in places.tolist()])
    return pa.RecordBatch.from_pydict(columns)


def partitioned(folder: Path, log: FlowLog) -> tuple[MemorySpool, Unit]:
    """Ten windows, in three partitions."""
    spool = MemorySpool(folder)
    for number in range(10):
        spool.hold([Rows(many_flows(log, 20_000, number))], [BASE_S + 60 * number])
    unit = spool.unit(log)
    more = replace(unit.shares[0], records=SECOND_PARTITION)
    return spool, replace(unit, shares=(more, *unit.shares[1:]))


def test_many_flows_are_merged_by_partitions_that_wait_on_disk(tmp_path: Path) -> None:
    log = flow_log(LogFormat.of(["srcaddr", "packets", "bytes"]), interval_s=600)
    spool, unit = partitioned(tmp_path, log)
    batches: list[pa.RecordBatch] = []
    sizes: list[int] = []
    for rows in rows_of(spool, unit):
        sizes.append(len(list(tmp_path.rglob("*.tmp"))))
        batches.append(rows.batch)
    assert [size for size, _ in Counter(sizes).items()] == [3]
    assert list(tmp_path.rglob("*.tmp")) == []
    assert min(batch.num_rows for batch in batches) > 10_000  # the flows are spread evenly
    table = pa.Table.from_batches(batches)
    assert table.num_rows == 40_000
    assert len(set(table["srcaddr"].to_pylist())) == 40_000
    assert set(table["packets"].to_pylist()) == {5}
    assert set(table["bytes"].to_pylist()) == {0 + 2 + 4 + 6 + 8, 1 + 3 + 5 + 7 + 9}
    assert [rows.batch for rows in rows_of(spool, unit)] == batches


def test_who_stops_in_the_middle_leaves_no_file(tmp_path: Path) -> None:
    log = flow_log(LogFormat.of(["packets"]), interval_s=600)
    spool, unit = partitioned(tmp_path, log)
    records = rows_of(spool, unit)
    next(records)
    assert list(tmp_path.rglob("*.tmp"))
    del records
    assert list(tmp_path.rglob("*.tmp")) == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    with mounted(tmp_path, "size=64k") as disk:
        yield disk


def test_a_disk_without_room_for_partitions_is_told(small_disk: Path) -> None:
    log = flow_log(LogFormat.of(["packets"]), interval_s=600)
    spool, unit = partitioned(small_disk, log)
    with pytest.raises(DestinationFull, match="make room"):
        list(rows_of(spool, unit))
    assert list(small_disk.rglob("*.tmp")) == []


def built(folder: Path, spool: MemorySpool, unit: Unit, writer: str = "w", **more: int) -> list[Delivered]:
    namer = unit_namer(writer, unit.id)
    builder = ObjectBuilder(unit.flow_log, DirectorySink(folder), namer=namer, **more)
    for rows in rows_of(spool, unit):
        builder.add(rows.batch, rows.batch.column("end").to_numpy(), rows.chosen)
    return builder.close()


@pytest.mark.parametrize("file_format", FileFormat)
@pytest.mark.parametrize("interval_s", [60, 600])
def test_a_unit_gives_the_same_objects_again(tmp_path: Path, file_format: FileFormat, interval_s: int) -> None:
    log = flow_log(LogFormat.of(["srcaddr", "packets"]), file_format=file_format, interval_s=interval_s)
    spool = MemorySpool(tmp_path / "spool")
    for number in range(10):
        spool.hold([Rows(many_flows(log, 100, number))], [BASE_S + 60 * number])
    unit = spool.unit(log)
    first = built(tmp_path, spool, unit)
    assert sum(made.records for made in first) == (1000 if interval_s == 60 else 200)
    assert [made.created for made in first] == [True] * len(first)
    assert [(made.key, made.created) for made in built(tmp_path, spool, unit)] == [(m.key, False) for m in first]
    for other in (built(tmp_path, spool, unit, "x"), built(tmp_path, spool, replace(unit, id=8))):
        assert [made.created for made in other] == [True] * len(first)


@pytest.mark.parametrize(
    "log", [flow_log(LogFormat.of(["srcaddr"])), parquet_log(log_format=LogFormat.of(["srcaddr"]))]
)
def test_a_large_unit_makes_several_objects(tmp_path: Path, log: FlowLog) -> None:
    spool = MemorySpool(tmp_path / "spool")
    spool.hold([Rows(many_flows(log, 50_000, number)) for number in range(4)], [BASE_S])
    made = built(tmp_path, spool, spool.unit(log), max_bytes=100_000)
    assert len({each.key for each in made}) > 1
    assert sum(each.records for each in made) == 200_000
    found = [read_object(tmp_path / each.key).table["srcaddr"].to_pylist() for each in made]
    assert Counter(text for part in found for text in part) == dict.fromkeys(
        (f"10.{place >> 16}.{place >> 8 & 255}.{place & 255}" for place in range(100_000)), 2
    )


def test_a_foreign_object_makes_way_for_another_key_with_the_same_facts() -> None:
    log = flow_log(hive=True, prefix="my_logs")
    digits = unit_namer("writer", 7)(log, BASE_S, 0, "content", "file")
    key = f"my_logs/AWSLogs/year=2020/123456789012_vpcflowlogs_us-east-1_fl-1234abcd_20200913T1230Z_{digits}.log.gz"
    finished = FinishedObject("path", key, "file", BASE_S, BASE_S, 1)
    staged = StagedObject(number=0, finished=finished, period_start_s=BASE_S)
    keys = [renamed_key(log, staged, "writer", 7, salt) for salt in range(4)]
    assert keys[0] == key
    assert len(set(keys)) == 4
    parts = [parse_key(each) for each in keys]
    assert [(part.period_start_s, part.flow_log_id) for part in parts if part] == [(BASE_S, "fl-1234abcd")] * 4
    assert {each.rpartition("_")[0] for each in keys} == {key.rpartition("_")[0]}


@dataclass(frozen=True, slots=True)
class Windows:
    """Everything, in windows of one length."""

    flow_log: FlowLog
    interval_s: int

    @property
    def columns(self) -> tuple[Column, ...]:
        return union([self.flow_log])

    @property
    def version(self) -> int:
        return self.flow_log.log_format.version

    @property
    def assume_accept(self) -> bool:
        return False

    @property
    def place(self) -> tuple[str, str]:
        return "123456789012", "eu-west-1"

    def targets(self, snapshot: Snapshot) -> list[Target]:
        return [Target(self.flow_log, np.ones(len(snapshot.interfaces), np.bool_))]


class Collected:
    """Records as values."""

    def __init__(self) -> None:
        self.results: list[Delivered] = []
        self.records: list[dict[str, Any]] = []

    def add(self, batch: pa.RecordBatch, _window_start_s: int, _end_s: I64, wanted: Wanted) -> None:
        ((_, rows),) = wanted
        self.records += records_of(Rows(batch, rows))

    def settle(self, before_s: int) -> None:
        pass

    def close(self) -> None:
        pass

    def abort(self) -> int:
        return 0


def capture(folder: Path, *, unordered: bool) -> Path:
    """Half an hour of traffic of the small network; ZONE is quiet after the first ten minutes."""
    random = Random(5)  # noqa: S311 (the same traffic every time)
    inside = ["10.0.0.10", "10.0.0.11", "10.0.0.12", "10.0.1.20", "10.0.0.13"]
    packets: list[tuple[int, bytes]] = []
    for second in range(0, 1800, 2):
        for _ in range(2):
            here = random.choice(["10.0.2.5", *inside] if second < 600 else inside)
            there = random.choice(["203.0.113.5", "198.51.100.9", *inside])
            ends = (here, there) if random.random() < 0.5 else (there, here)
            kind = random.choice([ip.TCP, ip.TCP, ip.UDP, ip.ICMP])
            if kind == ip.TCP:
                flags = random.choice([ip.SYN, ip.SYN | ip.ACK, ip.ACK, ip.FIN | ip.ACK, ip.RST, ip.PSH])
                payload = ip.tcp(random.choice([443, 40_000]), random.choice([443, 40_000]), flags, bytes(5))
            elif kind == ip.UDP:
                payload = ip.udp(random.choice([53, 40_000]), 53, bytes(random.randrange(9)))
            else:
                payload = ip.icmp(8 if unordered else random.choice([0, 8, 3]), 0)
            packets.append((second * NS + random.randrange(NS), ip.ipv4(*ends, kind, payload)))
        v6 = random.choice(["2001:db8:a::10", "2001:db8:a:1::20"])
        packets.append((second * NS, ip.ipv6(v6, "2001:db8::1", ip.TCP, ip.tcp(1, 2, ip.SYN))))
    packets.sort(key=lambda packet: packet[0] + (random.randrange(200 * NS) if unordered else 0))
    path = folder / "capture.pcap"
    made = [pcapfile.Packet(data, BASE_S * NS + ts_ns) for ts_ns, data in packets]
    path.write_bytes(pcapfile.pcap(made, link_type=RAW, nanoseconds=True))
    return path


def record(path: Path, plan: Windows, snapshot: Snapshot | None, output: Output) -> None:
    engine = Engine(CaptureFiles([CaptureFile(str(path))]), plan, snapshot, FlowTable(10_000), output)
    for block in engine.source:
        engine.feed(block)
    engine.finish()


@pytest.mark.parametrize("unordered", [False, True])
@pytest.mark.parametrize("known", [False, True])
def test_a_capture_in_the_spool_gives_what_windows_of_ten_minutes_give(
    tmp_path: Path, known: bool, unordered: bool
) -> None:
    log = flow_log(EVERYTHING, interval_s=600)
    path = capture(tmp_path, unordered=unordered)
    snapshot = world.snapshot_of_world(tmp_path) if known else None
    long = Collected()
    record(path, Windows(log, 600), snapshot, long)
    spool = Spool.open(tmp_path / "spool", now_ms=lambda: 0)
    recording = spool.begin("capture:1", [log], window_s=60)
    record(path, Windows(log, 60), snapshot, SpoolOutput(recording))
    short = recording.commit()
    units = [spool.assign(shares) for shares in spans(spool.shares()).values()]
    assert [len(unit.shares) for unit in units] == [2, 2, 2]
    merged = [record for unit in units for rows in rows_of(spool, unit) for record in records_of(rows)]
    spool.close()
    assert short > 2 * len(long.records)
    statuses = Counter(record["log-status"] for record in long.records)
    assert statuses["OK"] > 100
    assert (statuses["NODATA"] > 0) == known
    assert _counted(merged) == _counted(long.records)


def _counted(records: list[dict[str, Any]]) -> Counter[tuple[tuple[str, Any], ...]]:
    return Counter(tuple(sorted(record.items())) for record in records)
