"""The Python interface and the whole program: where objects land, what they hold, and that it is always the same."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.support import frames as link
from tests.support import packets as ip
from tests.support import pcapfile
from tests.support.pcapfile import NS, Packet
from tests.support.program import START_S, capture, objects, udp

import flowglass
from flowglass.fields.contracts import FileFormat, TrafficType
from flowglass.format import parse_key

FORMAT = "${start} ${end} ${srcport} ${packets} ${action} ${log-status} ${x-verdict-source} ${account-id} ${region}"
INVENTORY = """
account: "111111111111"
region: eu-west-1
vpcs:
  - {id: vpc-0000000a, cidrs: [10.0.0.0/24]}
  - {id: vpc-0000000b, cidrs: [10.0.1.0/24], account: "222222222222", region: us-east-1}
subnets:
  - {id: subnet-0000000a, vpc: vpc-0000000a, cidr: 10.0.0.0/24, zone: euw1-az1}
  - {id: subnet-0000000b, vpc: vpc-0000000b, cidr: 10.0.1.0/24, zone: use1-az1}
interfaces:
  - {id: eni-0000000a, subnet: subnet-0000000a, ipv4: [10.0.0.1]}
  - {id: eni-0000000b, subnet: subnet-0000000b, ipv4: [10.0.1.1]}
"""


def rows(folder: Path) -> list[dict[str, Any]]:
    """All records below a folder, in order of time."""
    read: list[dict[str, Any]] = flowglass.read(folder).to_arrow().to_pylist()
    return sorted(read, key=lambda row: (row["start"], row["end"], row.get("srcport") or 0))


def recorded(
    folder: Path, packets: Sequence[Packet], **options: Any
) -> tuple[flowglass.Recorded, list[dict[str, Any]]]:
    """Record packets; the run's account and its records."""
    path = capture(folder / "in.pcap", packets)
    run = flowglass.record(path, folder / "out", **{"format": FORMAT, **options})
    assert set(run.summary.differences().values()) == {0}
    assert run.damage == ()
    return run, rows(folder / "out")


class TestLayout:
    """Every form of object lands under AWS's key and reads back."""

    @pytest.mark.parametrize(
        ("file_format", "hive", "per_hour"), list(itertools.product(FileFormat, (False, True), (False, True)))
    )
    def test_keys(self, tmp_path: Path, file_format: FileFormat, hive: bool, per_hour: bool) -> None:
        packets = [udp(second, second + 1) for second in (0, 299, 300, 599)]
        run, read = recorded(tmp_path, packets, file_format=file_format, hive=hive, per_hour=per_hour)
        folders = "AWSLogs/000000000000/vpcflowlogs/local-1/2020/09/13"
        if hive:
            folders = (
                "AWSLogs/aws-account-id=000000000000/aws-service=vpcflowlogs/aws-region=local-1"
                "/year=2020/month=09/day=13"
            )
        if per_hour:
            folders += "/hour=12" if hive else "/12"
        names = objects(tmp_path / "out")
        assert names == sorted(made.key for made in run.summary.objects)
        assert {str(Path(name).parent) for name in names} == {folders}
        parts = [parse_key(name) for name in names]
        assert [part and part.period_start_s for part in parts] == [START_S, START_S + 300]
        assert all(part is not None and part.file_format is file_format for part in parts)
        assert [f"_{part.flow_log_id}_" in name for part, name in zip(parts, names, strict=True) if part] == [True] * 2
        assert [row["srcport"] for row in read if row["log_status"] == "OK"] == [1, 300, 301, 600]
        assert not (tmp_path / "out" / ".partial").exists()

    @pytest.mark.parametrize("codec", ["zstd", "gzip"])
    def test_parquet_codecs_hold_the_same(self, tmp_path: Path, codec: str) -> None:
        packets = [udp(second, second + 1) for second in range(9)]
        _, text = recorded(tmp_path, packets, format="all")
        (tmp_path / "parquet").mkdir()
        options = {"format": "all", "file_format": FileFormat.PARQUET, "parquet_codec": codec}
        _, parquet = recorded(tmp_path / "parquet", packets, **options)
        assert text == parquet

    def test_objects_hold_the_records_that_end_in_their_five_minutes(self, tmp_path: Path) -> None:
        packets = [udp(second, port) for second in range(0, 900, 7) for port in (1, 2)]
        run, _ = recorded(tmp_path, packets)
        assert len(run.summary.objects) == 3
        for made in run.summary.objects:
            part = parse_key(made.key)
            assert part is not None
            ends = [row["end"] for row in rows(tmp_path / "out" / made.key)]
            assert made.records == len(ends)
            assert all(part.period_start_s <= end < part.period_start_s + 300 for end in ends)

    def test_the_same_input_gives_the_same_objects(self, tmp_path: Path) -> None:
        packets = [udp(second / 3, second % 50) for second in range(3000)]
        for name in ("one", "two"):
            (tmp_path / name).mkdir()
            recorded(tmp_path / name, packets, format="all")
        one, two = tmp_path / "one" / "out", tmp_path / "two" / "out"
        assert objects(one) == objects(two)
        assert [(one / name).read_bytes() for name in objects(one)] == [
            (two / name).read_bytes() for name in objects(two)
        ]

    def test_another_flow_log_has_another_id(self, tmp_path: Path) -> None:
        path = capture(tmp_path / "a.pcap", [udp(0)])
        forms: list[dict[str, Any]] = [{}, {"interval": 600}, {"hive": True}, {"account": "111111111111"}]
        forms += [{"format": "all"}, {"file_format": FileFormat.PARQUET}, {"assume_accept": True}]
        ids = [flowglass.record(path, tmp_path / "out", **form).summary.flow_logs for form in forms]
        assert len(set(ids)) == len(forms)


class TestVerdicts:
    """The capture's verdict stands; where nothing judged it prints `-`, or ACCEPT because a person chose so."""

    @staticmethod
    def judged(folder: Path) -> Path:
        """Port 1 accepted, port 2 rejected, port 3 not judged."""
        blocks = [pcapfile.section(), pcapfile.interface(1, name="eth0")]
        for port, verdict in ((1, pcapfile.tc_verdict(0)), (2, pcapfile.tc_verdict(2)), (3, None)):
            blocks.append(pcapfile.enhanced(udp(port, port), verdict=verdict))
        path = folder / "judged.pcapng"
        path.write_bytes(b"".join(blocks))
        return path

    @pytest.mark.parametrize(
        ("traffic_type", "assume", "expected"),
        [
            (TrafficType.ALL, False, [(1, "ACCEPT", "capture"), (2, "REJECT", "capture"), (3, None, None)]),
            (TrafficType.ALL, True, [(1, "ACCEPT", "capture"), (2, "REJECT", "capture"), (3, "ACCEPT", "assumed")]),
            (TrafficType.ACCEPT, False, [(1, "ACCEPT", "capture")]),
            (TrafficType.ACCEPT, True, [(1, "ACCEPT", "capture"), (3, "ACCEPT", "assumed")]),
            (TrafficType.REJECT, False, [(2, "REJECT", "capture")]),
            (TrafficType.REJECT, True, [(2, "REJECT", "capture")]),
        ],
    )
    def test_traffic_types(
        self, tmp_path: Path, traffic_type: TrafficType, assume: bool, expected: list[tuple[int, str, str]]
    ) -> None:
        run = flowglass.record(
            self.judged(tmp_path),
            tmp_path / "out",
            format=FORMAT,
            traffic_type=traffic_type,
            assume_accept=assume,
        )
        read = [(row["srcport"], row["action"], row["x_verdict_source"]) for row in rows(tmp_path / "out")]
        assert read == expected
        assert run.summary.filtered == 3 - len(expected)
        assert set(run.summary.differences().values()) == {0}

    def test_verdict_by_nflog_prefix(self, tmp_path: Path) -> None:
        packets = []
        for port, prefix in ((1, b"drop: in"), (2, b"pass"), (3, None), (4, b"dro")):
            packet = ip.ipv4("10.0.0.1", "10.0.0.2", ip.UDP, ip.udp(port, 53))
            packets.append(Packet(link.nflog(packet, prefix=prefix), (START_S + port) * NS))
        path = capture(tmp_path / "nflog.pcap", packets, link.NFLOG)
        rules = ("REJECT=drop", "ACCEPT=pa")
        flowglass.record(path, tmp_path / "out", format=FORMAT, nflog_verdict=rules)
        assert [(row["srcport"], row["action"]) for row in rows(tmp_path / "out")] == [
            (1, "REJECT"),
            (2, "ACCEPT"),
            (3, None),
            (4, None),
        ]


class TestPlaces:
    """Account and region come from the inventory, else from the options."""

    def test_without_an_inventory(self, tmp_path: Path) -> None:
        _, plain = recorded(tmp_path, [udp(0)])
        assert [(row["account_id"], row["region"]) for row in plain] == [("000000000000", "local-1")]
        (tmp_path / "b").mkdir()
        run, chosen = recorded(tmp_path / "b", [udp(0)], account="333333333333", region="eu-north-1")
        assert [(row["account_id"], row["region"]) for row in chosen] == [("333333333333", "eu-north-1")]
        assert "AWSLogs/333333333333/vpcflowlogs/eu-north-1/" in run.summary.objects[0].key

    def test_two_accounts_are_two_flow_logs(self, tmp_path: Path) -> None:
        (tmp_path / "net.yaml").write_text(INVENTORY, encoding="utf-8")
        packets = [udp(0, 1, src="10.0.0.1", dst="10.0.1.1"), udp(1, 2, src="10.0.0.1", dst="192.0.2.1")]
        run, read = recorded(tmp_path, packets, inventory=tmp_path / "net.yaml")
        assert len(set(run.summary.flow_logs)) == 2
        assert Counter((row["account_id"], row["region"], row["srcport"]) for row in read) == {
            ("111111111111", "eu-west-1", 1): 1,
            ("222222222222", "us-east-1", 1): 1,
            ("111111111111", "eu-west-1", 2): 1,
        }
        for name in objects(tmp_path / "out"):
            part = parse_key(name)
            assert part is not None
            assert {row["account_id"] for row in rows(tmp_path / "out" / name)} == {part.account}

    def test_options_stand_for_the_defaults_of_the_inventory(self, tmp_path: Path) -> None:
        (tmp_path / "net.yaml").write_text(INVENTORY, encoding="utf-8")
        packets = [udp(0, 1, src="10.0.0.1", dst="10.0.1.1")]
        options = {"inventory": tmp_path / "net.yaml", "account": "333333333333", "region": "eu-north-1"}
        _, read = recorded(tmp_path, packets, **options)
        assert sorted((row["account_id"], row["region"]) for row in read) == [
            ("222222222222", "us-east-1"),
            ("333333333333", "eu-north-1"),
        ]


class TestWindows:
    """Quiet windows, late packets and ten-minute windows, through the whole program."""

    @pytest.mark.parametrize(
        ("gap_s", "quiet"), [(60, 0), (120, 1), (300, 4), (3600, 59), (3660, 60), (3720, 0), (86_400, 0)]
    )
    def test_quiet_windows_get_nodata_unless_the_gap_is_longer_than_an_hour(
        self, tmp_path: Path, gap_s: int, quiet: int
    ) -> None:
        run, read = recorded(tmp_path, [udp(5), udp(5 + gap_s)])
        empty = [row for row in read if row["log_status"] == "NODATA"]
        begin = START_S // 60 * 60
        assert [(row["start"] - begin, row["end"] - begin) for row in empty] == [
            (60 * number, 60 * number + 59) for number in range(1, quiet + 1)
        ]
        assert {(row["packets"], row["srcport"], row["action"]) for row in empty} <= {(None, None, None)}
        assert run.summary.nodata == quiet
        assert run.summary.records == quiet + 2

    def test_nodata_goes_to_every_traffic_type(self, tmp_path: Path) -> None:
        _, read = recorded(tmp_path, [udp(5), udp(125)], traffic_type=TrafficType.REJECT)
        assert [row["log_status"] for row in read] == ["NODATA"]

    def test_late_packets_make_further_records(self, tmp_path: Path) -> None:
        run, read = recorded(tmp_path, [udp(5), udp(65), udp(125), udp(6), udp(185), udp(245)])
        first = [row for row in read if row["start"] < START_S + 60]
        assert [(row["start"] - START_S, row["packets"]) for row in first] == [(5, 1), (6, 1)]
        assert [point.counts.late for point in run.summary.points] == [1]
        assert [row["log_status"] for row in read] == ["OK"] * 6

    def test_windows_of_ten_minutes(self, tmp_path: Path) -> None:
        begin = -(-START_S // 600) * 600 - START_S
        _, read = recorded(tmp_path, [udp(begin + second) for second in (0, 599, 600, 2400)], interval=600)
        assert [(row["start"] - START_S - begin, row["end"] - START_S - begin, row["packets"]) for row in read] == [
            (0, 599, 2),
            (600, 600, 1),
            (1200, 1799, None),
            (1800, 2399, None),
            (2400, 2400, 1),
        ]

    def test_early_drains_lose_nothing(self, tmp_path: Path) -> None:
        packets = [udp(second / 10, second % 7 + 1) for second in range(500)]
        run, read = recorded(tmp_path, packets, max_flows=3)
        assert run.summary.early_drains > 0
        assert sum(row["packets"] for row in read) == 500
        by_port = Counter(packet.data[34] << 8 | packet.data[35] for packet in packets)
        read_by_port: Counter[int] = Counter()
        for row in read:
            read_by_port[row["srcport"]] += row["packets"]
        assert read_by_port == by_port


class TestInterface:
    """What Python callers give and get."""

    def test_one_path_or_several_of_any_kind(self, tmp_path: Path) -> None:
        one, two = capture(tmp_path / "a.pcap", [udp(0)]), capture(tmp_path / "b.pcap", [udp(1)])
        assert flowglass.record(str(one), str(tmp_path / "out")).summary.frames == 1
        assert flowglass.record([one, str(two)], tmp_path / "out").summary.frames == 2
        assert flowglass.record([f"x={one}", f"y={two}"], tmp_path / "out").summary.frames == 2

    def test_damage_is_returned(self, tmp_path: Path) -> None:
        (tmp_path / "cut.pcap").write_bytes(pcapfile.pcap([udp(0), udp(1)])[:-1])
        run = flowglass.record(tmp_path / "cut.pcap", tmp_path / "out")
        assert run.summary.frames == 1
        assert len(run.damage) == 1

    def test_reading_passes_over_what_is_not_finished(self, tmp_path: Path) -> None:
        recorded(tmp_path, [udp(0)])
        (tmp_path / "out" / ".partial").mkdir()
        (tmp_path / "out" / ".partial" / "left.log.gz").write_bytes(b"half")
        assert len(rows(tmp_path / "out")) == 1
