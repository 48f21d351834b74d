"""The project's own test captures, continued: one small file a form that capture files come in.

Rule: as `capture_cases`.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.support import frames as link
from tests.support import pcapfile as file
from tests.support.pcapfile import NS, Packet

from scripts.capture_cases import START_S, Case, talk, timed


def container_cases() -> Iterator[Case]:
    """Classic pcap and pcapng in all their forms, compressed, damaged, and what is no capture."""
    packets = timed([link.ethernet(packet) for packet in talk()], START_S * NS + 123_456_789)
    yield Case("pcap_nanoseconds.pcap", "nanoseconds", file.pcap(packets, nanoseconds=True))
    yield Case("pcap_big_endian.pcap", "big-endian", file.pcap(packets, order=">"))
    yield Case("pcap_big_endian_ns.pcap", "big-endian, nanoseconds", file.pcap(packets, order=">", nanoseconds=True))
    yield Case("pcap_gzip.pcap.gz", "gzip", file.gzipped(file.pcap(packets)))
    plain = file.pcap(packets)
    two = file.gzipped(plain[:200]) + file.gzipped(plain[200:])
    yield Case("pcap_gzip_members.pcap.gz", "gzip in two members, the break within a packet", two)
    yield Case("pcap_zstd.pcap.zst", "zstd", file.zstandard(plain))
    ng = file.section() + file.interface() + b"".join(file.enhanced(p) for p in packets)
    yield Case("pcapng_plain.pcapng", "one interface without options", ng)
    yield Case("pcapng_gzip.pcapng.gz", "gzip", file.gzipped(ng))
    yield Case("pcapng_zstd.pcapng.zst", "zstd", file.zstandard(ng))
    yield Case("empty.pcap", "no packet", file.pcap([]))
    yield Case("empty.pcapng", "no packet", file.section() + file.interface())
    yield Case("cut_in_packet.pcap", "cut within the last packet", plain[:-9])
    yield Case("cut_in_header.pcap", "cut within the last packet's header", plain[: -len(packets[-1].data) - 9])
    yield Case("cut_in_block.pcapng", "cut within the last block", ng[:-9])
    last = len(file.enhanced(packets[-1]))
    broken = ng[: -last + 4] + b"\xff\xff\xff\x7f" + ng[-last + 8 :]
    yield Case("damaged_length.pcapng", "the last block's length is 2^31 - 1", broken)
    record = 16 + len(packets[-1].data)
    huge = plain[: -record + 8] + b"\xff\xff\xff\x7f" + plain[-record + 12 :]
    yield Case("damaged_length.pcap", "the last packet's length is 2^31 - 1", huge)
    yield Case("no_capture.pcap", "text", b"This is no capture, whatever its name says.\n")
    yield from _pcapng_cases(packets)


def _pcapng_cases(packets: list[Packet]) -> Iterator[Case]:
    def blocks(interface_id: int = 0, order: link.Order = "<", tsresol: int = 6, tsoffset: int = 0) -> bytes:
        return b"".join(
            file.enhanced(p, interface_id, order=order, tsresol=tsresol, tsoffset=tsoffset) for p in packets
        )

    big = file.section(">") + file.interface(order=">") + blocks(order=">")
    yield Case("pcapng_big_endian.pcapng", "a big-endian section", big)
    little = file.section() + file.interface(name="eth0") + blocks()
    again = file.section(">") + file.interface(order=">", name="eth0") + file.interface(order=">", name="eth1")
    yield Case(
        "pcapng_sections.pcapng",
        "a little-endian and a big-endian section, each with its own interfaces",
        little + again + blocks(1, ">"),
    )
    yield Case(
        "pcapng_interfaces.pcapng",
        "Ethernet, raw IP and an unsupported link type at three named interfaces, a fourth without packets",
        file.section(application="flowglass")
        + file.interface(name="eth0", description="first", mac=link.mac_bytes(link.MAC_A))
        + file.interface(link.RAW, name="tun0")
        + file.interface(147, name="other0")
        + file.interface(name="idle0")
        + b"".join(file.enhanced(Packet(p.data[14 * (i == 1) :], p.ts_ns), i) for p in packets for i in range(3)),
    )
    resolutions = (0, 3, 6, 9, 12, 0x80, 0x80 | 10, 0x80 | 32)
    yield Case(
        "pcapng_resolutions.pcapng",
        "time stamps in units of 10^0, 10^-3, 10^-6, 10^-9, 10^-12, 2^0, 2^-10, 2^-32 s",
        file.section()
        + b"".join(file.interface(name=f"r{i}", tsresol=value) for i, value in enumerate(resolutions))
        + b"".join(file.enhanced(packets[0], i, tsresol=value) for i, value in enumerate(resolutions)),
    )
    offsets = (0, 1_000_000_000, -3600)
    yield Case(
        "pcapng_offsets.pcapng",
        "if_tsoffset 0, 10^9 and -3600 s",
        file.section()
        + b"".join(file.interface(name=f"o{i}", tsoffset=value) for i, value in enumerate(offsets))
        + b"".join(file.enhanced(packets[0], i, tsoffset=value) for i, value in enumerate(offsets)),
    )
    yield Case(
        "pcapng_simple.pcapng",
        "simple packet blocks, which have no time; the fourth is cut by the interface's snap length",
        file.section()
        + file.interface(snaplen=60)
        + file.enhanced(packets[0])
        + b"".join(file.simple(p.cut(60)) for p in packets[1:]),
    )
    yield Case(
        "pcapng_old_packet.pcapng",
        "old packet blocks (type 2), one with its drop count",
        file.section()
        + file.interface()
        + b"".join(file.old_packet(p, drops=7 if i == 1 else 0xFFFF) for i, p in enumerate(packets)),
    )
    yield Case(
        "pcapng_directions.pcapng",
        "epb_flags: not told, inbound, outbound, reserved, none",
        file.section()
        + file.interface(name="eth0")
        + b"".join(file.enhanced(p, direction=way) for p, way in zip(packets, (0, 1, 2, 3, None), strict=True)),
    )
    verdicts = (file.tc_verdict(0), file.tc_verdict(2), file.xdp_verdict(2), file.xdp_verdict(1), b"\0\1")
    yield Case(
        "pcapng_verdicts.pcapng",
        "epb_verdict: tc accept, tc drop, XDP pass, XDP drop, a hardware's",
        file.section()
        + file.interface(name="eth0")
        + b"".join(file.enhanced(p, direction=1, verdict=v) for p, v in zip(packets, verdicts, strict=True)),
    )
    yield Case(
        "pcapng_other_blocks.pcapng",
        "names, statistics with losses, custom and unknown blocks between packets",
        file.section()
        + file.names(bytes((192, 0, 2, 20)), "server.example")
        + file.interface(name="eth0")
        + file.custom(b"of our own")
        + file.enhanced(packets[0])
        + file.block(0x0000_4242, b"unknown to all")
        + file.custom(b"not to be copied", copied=False)
        + file.enhanced(packets[1], dropped=2)
        + file.statistics(ts_ns=packets[-1].ts_ns, received=100, dropped=5),
    )
