"""The tests' reference against flows that an independent tool made of real captures."""

from __future__ import annotations

import csv
import ipaddress
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
from scapy.error import Scapy_Exception
from scapy.utils import RawPcapNgReader, RawPcapReader
from tests.support.oracle import Decoded, Frame, decode
from tests.support.shared import captures, needs_captures

TOLERATED = {
    "ipv6_mobility_dst_opts.pcap": "malformed options: the headers' lengths lead to ports, the tool stopped",
    "ip4_fragment_garbage.pcap": "flags cut after 16 bytes: the tool has none",
    "ppp_ip_udp_dns.pcap": "a framing byte before PPP",
    "null_loopback.pcap": "a Cisco HDLC header where the address family is: the tool guesses",
    "pcapng_test010_spb_be.pcapng": "scapy reads simple packets of an unlimited interface as empty",
    "pcapng_test100_be.pcapng": "as above",
    "pcapng_test100_le.pcapng": "as above",
    "tcpreplay_test.pcap": "Ethernet in an MPLS pseudo-wire: the tool guesses",
}
Tuple5 = tuple[int, int, int, int, int]
Sums = tuple[int, int, int]


CHOSEN = [
    path
    for path in captures()
    if path.suffix in (".pcap", ".pcapng") and not path.name.startswith("corrupt_") and path.name not in TOLERATED
]


def frames(path: Path) -> Iterator[Frame]:
    """The frames of a capture as scapy reads them, up to where it finds damage."""
    try:
        with RawPcapReader(str(path)) as reader:
            for data, meta in reader:
                link_type = meta.linktype if isinstance(reader, RawPcapNgReader) else reader.linktype
                yield Frame(data, wirelen=meta.wirelen, link_type=link_type)
    except (EOFError, Scapy_Exception):
        return


def referenced(path: Path) -> dict[Tuple5, Sums]:
    def number(text: str) -> int:
        address = ipaddress.ip_address(text)
        return int(address) if address.version == 6 else 0xFFFF_0000_0000 | int(address)

    with path.with_name(path.name + ".flows.csv").open(newline="") as text:
        return {
            (number(r["src"]), number(r["dst"]), int(r["sport"]), int(r["dport"]), int(r["proto"])): (
                int(r["packets"]),
                int(r["bytes"]),
                int(r["tcp_flags_or"] or 0),
            )
            for r in csv.DictReader(text)
        }


@needs_captures
@pytest.mark.parametrize("path", CHOSEN, ids=lambda path: path.name)
def test_real_captures_give_the_flows_of_the_independent_tool(path: Path) -> None:
    sums: dict[Tuple5, Sums] = defaultdict(lambda: (0, 0, 0))
    for frame in frames(path):
        found = decode(frame)
        if isinstance(found, Decoded):
            key = (found.key.src, found.key.dst, found.key.sport, found.key.dport, found.key.protocol)
            packets, size, flags = sums[key]
            sums[key] = (packets + 1, size + found.bytes, flags | found.raw_flags)
    assert dict(sums) == referenced(path)
