"""Several captures in one run: what each interface sees counts once, and quiet windows are told from all of them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from tests.support import frames as link
from tests.support import packets as ip
from tests.support import pcapfile
from tests.support.pcapfile import NS, Packet
from tests.support.program import START_S, capture, udp

import flowglass
from flowglass.fields.errors import OptionError

FORMAT = "${interface-id} ${srcport} ${start} ${packets} ${log-status}"
HEAD = """
account: "111111111111"
region: eu-west-1
vpcs: [{id: vpc-0000000a, cidrs: [10.0.0.0/24]}]
subnets: [{id: subnet-0000000a, vpc: vpc-0000000a, cidr: 10.0.0.0/24, zone: euw1-az1}]
interfaces:
"""


def recorded(folder: Path, interfaces: str, *captures: str) -> tuple[list[dict[str, Any]], flowglass.Recorded]:
    """The records of a run with these interfaces, and its account."""
    (folder / "net.yaml").write_text(HEAD + interfaces, encoding="utf-8")
    run = flowglass.record(captures, folder / "out", inventory=folder / "net.yaml", format=FORMAT)
    assert set(run.summary.differences().values()) == {0}
    rows: list[dict[str, Any]] = flowglass.read(folder / "out").to_arrow().to_pylist()
    return rows, run


class TestOneInterfaceAtTwoPoints:
    """An interface with a device among the points is seen there only, whichever capture begins first."""

    OWN = "  - {id: eni-0000000a, subnet: subnet-0000000a, ipv4: [10.0.0.1], device: veth1}\n"

    def test_the_bridge_begins_first(self, tmp_path: Path) -> None:
        seconds = (0, 60, 120, 180)
        capture(tmp_path / "bridge", [udp(second) for second in seconds])
        capture(tmp_path / "device", [udp(second + 0.001) for second in seconds])
        rows, run = recorded(tmp_path, self.OWN, f"br0={tmp_path}/bridge", f"veth1={tmp_path}/device")
        assert Counter(row["start"] for row in rows) == Counter(START_S + second for second in seconds)
        assert run.summary.observed.second_look_flows == 4

    def test_an_interface_is_bound_by_the_mac_address_that_the_capture_tells(self, tmp_path: Path) -> None:
        mac = "02:00:00:00:00:0a"
        block = pcapfile.interface(1, name="e9", mac=bytes.fromhex(mac.replace(":", "")))
        packet = Packet(link.ethernet(ip.ipv4("192.0.2.1", "192.0.2.2", ip.UDP, ip.udp(7, 53))), START_S * NS)
        (tmp_path / "a").write_bytes(pcapfile.section() + block + pcapfile.enhanced(packet, direction=1))
        own = f'  - {{id: eni-0000000a, subnet: subnet-0000000a, ipv4: [10.0.0.1], mac: "{mac}"}}\n'
        rows, _ = recorded(tmp_path, own, f"{tmp_path}/a")
        assert [(row["interface_id"], row["srcport"]) for row in rows] == [("eni-0000000a", 7)]


class TestQuietWindows:
    """NODATA waits until every capture was read where their points differ."""

    TWO = """  - {id: eni-0000000a, subnet: subnet-0000000a, ipv4: [10.0.0.1]}
  - {id: eni-0000000b, subnet: subnet-0000000a, ipv4: [10.0.0.9]}
"""

    def test_of_different_link_types(self, tmp_path: Path) -> None:
        capture(tmp_path / "a", [udp(0, 7, src="10.0.0.9"), *(udp(second) for second in range(0, 360, 60))])
        raw = [ip.ipv4("10.0.0.9", "192.0.2.1", ip.UDP, ip.udp(9, 53)) for _ in range(6)]
        packets = [Packet(data, (START_S + 1 + 60 * place) * NS) for place, data in enumerate(raw)]
        capture(tmp_path / "b", packets, link.RAW)
        rows, _ = recorded(tmp_path, self.TWO, f"{tmp_path}/a", f"{tmp_path}/b")
        assert [row for row in rows if row["log_status"] == "NODATA"] == []
        assert len(rows) == 13

    def test_a_quiet_interface_is_told_from_the_others(self, tmp_path: Path) -> None:
        bound = self.TWO.replace("[10.0.0.1]}", "[10.0.0.1], device: e1}").replace(
            "[10.0.0.9]}", "[10.0.0.9], device: e2}"
        )
        capture(tmp_path / "a", [udp(second) for second in (0, 60, 120)])
        capture(tmp_path / "b", [udp(second, 9, src="10.0.0.9") for second in (1, 121)])
        rows, _ = recorded(tmp_path, bound, f"e1={tmp_path}/a", f"e2={tmp_path}/b")
        quiet = [(row["interface_id"], row["start"] - START_S) for row in rows if row["log_status"] == "NODATA"]
        assert quiet == [("eni-0000000b", 60)]


class TestAdvice:
    """What gave no record, or an empty column, is told in one line with what to do."""

    OTHER = "  - {id: eni-0000000a, subnet: subnet-0000000a, ipv4: [10.0.0.77], tags: {Name: web}}\n"

    def advised(self, folder: Path, **options: Any) -> tuple[str, ...]:
        (folder / "net.yaml").write_text(HEAD + self.OTHER, encoding="utf-8")
        path = capture(folder / "a.pcap", [udp(0)])
        return flowglass.record(path, folder / "out", **options).summary.warnings

    def test_nothing_of_the_inventory(self, tmp_path: Path) -> None:
        (line,) = self.advised(tmp_path, inventory=tmp_path / "net.yaml")
        assert "none of 1 flows is of an interface of the inventory" in line
        assert "DEVICE=FILE" in line

    def test_nothing_of_the_traffic_type(self, tmp_path: Path) -> None:
        (line,) = self.advised(tmp_path, traffic_type="REJECT")
        assert "--traffic-type ALL" in line

    def test_a_tag_that_nothing_has(self, tmp_path: Path) -> None:
        options = {"format": "${srcaddr} ${interface-tag} ${interface-tag-2}", "inventory": tmp_path / "net.yaml"}
        lines = self.advised(tmp_path, tag_keys=["network-interface=Name,Nmae"], **options)
        assert [line for line in lines if "tag" in line] == [
            "interface-tag-2 prints -: no network-interface of the inventory has the tag Nmae"
        ]

    def test_tag_keys_without_a_tag_field(self, tmp_path: Path) -> None:
        with pytest.raises(OptionError, match="has no tag field"):
            self.advised(tmp_path, tag_keys=["instance=Name"])

    def test_a_codec_without_parquet(self, tmp_path: Path) -> None:
        with pytest.raises(OptionError, match="needs --file-format parquet"):
            self.advised(tmp_path, parquet_codec="gzip")
