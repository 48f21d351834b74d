"""Real captures give exactly the reference flows beside them, through the whole program to objects and back."""

from __future__ import annotations

import csv
import ipaddress
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.oracle import Decoded, Frame, decode
from tests.support.shared import captures, needs_captures

from flowglass.app.api import read, record
from flowglass.capture import CaptureFile, CaptureFiles
from flowglass.fields.contracts import Direction, Verdict
from flowglass.fields.errors import CaptureEmpty, CaptureError

FORMAT = " ".join(
    f"${{{name}}}"
    for name in (
        "srcaddr",
        "dstaddr",
        "srcport",
        "dstport",
        "protocol",
        "packets",
        "bytes",
        "tcp-flags",
        "x-tcp-flags",
        "pkt-srcaddr",
        "log-status",
    )
)
AMBIGUOUS = {
    "ip4_fragment_garbage.pcap": "a TCP header cut inside a fragment: the reference reads no flags there",
    "ipv6_mobility_dst_opts.pcap": "malformed options: the reference stops, we go by the header's length",
    "null_loopback.pcap": "a Cisco HDLC frame in a NULL capture, which the reference guesses",
    "tcpreplay_test.pcap": "Ethernet inside an MPLS pseudo-wire, which the reference guesses",
}
"""Files that the collection's own description calls ambiguous, and in what we differ there."""

Key = tuple[str, str, int, int, int]


def reference(path: Path) -> dict[Key, tuple[int, int, int]]:
    """The independent tool's flows: packets, bytes, plain OR of TCP flags by tuple."""
    with Path(f"{path}.flows.csv").open(encoding="utf-8", newline="") as lines:
        return {
            _key(row["src"], row["dst"], row["sport"], row["dport"], row["proto"]): (
                int(row["packets"]),
                int(row["bytes"]),
                int(row["tcp_flags_or"] or 0),
            )
            for row in csv.DictReader(lines)
        }


def _key(src: str, dst: str, sport: object, dport: object, protocol: object) -> Key:
    return (
        str(ipaddress.ip_address(src)),
        str(ipaddress.ip_address(dst)),
        int(str(sport)),
        int(str(dport)),
        int(str(protocol)),
    )


def recorded(path: Path, out: Path, **options: Any) -> tuple[dict[Key, tuple[int, int, int]], dict[Key, int]]:
    """Our records, summed over windows: as the reference, and AWS's flags by tuple."""
    try:
        done = record(path, out, format=FORMAT, **options)
    except CaptureError:
        return {}, {}
    assert set(done.summary.differences().values()) == {0}, done.summary.differences()
    if not done.summary.objects:
        return {}, {}
    sums: dict[Key, tuple[int, int, int]] = {}
    flags: dict[Key, int] = {}
    for row in read(out).to_arrow().to_pylist():
        if row["log_status"] != "OK":
            continue
        key = _key(row["srcaddr"], row["dstaddr"], row["srcport"], row["dstport"], row["protocol"])
        old = sums.get(key, (0, 0, 0))
        sums[key] = (old[0] + row["packets"], old[1] + row["bytes"], old[2] | (row["x_tcp_flags"] or 0))
        flags[key] = flags.get(key, 0) | row["tcp_flags"]
    return sums, flags


def frames_of(path: Path) -> Iterator[Frame]:
    """The frames of a capture as the oracle takes them."""
    source = CaptureFiles([CaptureFile(str(path))])
    for block in source:
        for row in block.frames:
            begin = int(row["offset"])
            yield Frame(
                block.data[begin : begin + int(row["caplen"])].tobytes(),
                wirelen=int(row["wirelen"]),
                link_type=source.points[int(row["point"])].link_type,
                direction=Direction(int(row["direction"])),
                verdict=Verdict(int(row["verdict"])),
            )


def flags_of_packets(path: Path) -> dict[Key, int]:
    """AWS's flags by tuple, from the packets one by one."""
    flags: dict[Key, int] = {}
    for frame in frames_of(path):
        seen = decode(frame)
        if isinstance(seen, Decoded):
            src, dst = (_address(value, seen.key.family) for value in (seen.key.src, seen.key.dst))
            key = (src, dst, seen.key.sport, seen.key.dport, seen.key.protocol)
            flags[key] = flags.get(key, 0) | seen.tcp_flags
    return flags


def _address(value: int, family: int) -> str:
    return str(ipaddress.IPv4Address(value & 0xFFFF_FFFF) if family == 4 else ipaddress.IPv6Address(value))


@needs_captures
@pytest.mark.parametrize("path", captures(), ids=lambda path: path.name)
def test_flows_equal_the_reference(path: Path, tmp_path: Path) -> None:
    if path.name in AMBIGUOUS:
        pytest.skip(f"ambiguous: {AMBIGUOUS[path.name]}")
    sums, flags = recorded(path, tmp_path / "out")
    assert sums == reference(path)
    if sums:
        assert flags == flags_of_packets(path)


@needs_captures
@pytest.mark.parametrize("name", ["mix_wechat.pcap", "whatsapp_24h.pcap", "pcapng_many_interfaces.pcapng"])
def test_windows_of_ten_minutes_and_a_tiny_table_give_the_same_sums(name: str, tmp_path: Path) -> None:
    path = next(path for path in captures() if path.name == name)
    assert recorded(path, tmp_path / "long", interval=600)[0] == reference(path)
    assert recorded(path, tmp_path / "tiny", max_flows=3)[0] == reference(path)


@needs_captures
def test_a_capture_without_a_packet_is_refused(tmp_path: Path) -> None:
    path = next(path for path in captures() if path.name == "pcapng_test002_only_shb.pcapng")
    with pytest.raises(CaptureEmpty):
        record(path, tmp_path / "out")
