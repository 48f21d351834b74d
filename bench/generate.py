"""Captures to measure with: synthetic ones of any size, and real ones merged many times over.

Rule: seeded, so two machines measure the same bytes; written in pieces, so memory stays small.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

START_S: Final = 1_793_610_000
"""2026-11-02 09:00:00 UTC, the beginning of a window."""

SPAN_S: Final = 120
SNAPLEN: Final = 66
ZIPF: Final = 1.05
UDP_PORT: Final = 51_820
"""Not 53: nfpcapd ends a flow at every DNS packet, which would count against it."""
ROUTER: Final = np.array([2, 0, 0x5E, 0, 0x53, 1], np.uint8)
"""The MAC address that all servers are behind; each of 256 clients has its own."""
PIECE: Final = 1_000_000
RECORD: Final = np.dtype(
    [("s", "<u4"), ("us", "<u4"), ("caplen", "<u4"), ("wirelen", "<u4"), ("data", np.uint8, (SNAPLEN,))]
)
HEADER: Final = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262_144, 1)

U8 = npt.NDArray[np.uint8]
I64 = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _Flows:
    """The connections: endpoints in wire order, by popularity."""

    client: U8  # (n, 4)
    server: U8  # (n, 4)
    sport: U8  # (n, 2)
    dport: U8  # (n, 2)
    protocol: U8  # (n,)
    chance: npt.NDArray[np.float64]  # (n,), cumulated


def _wire(values: npt.NDArray[np.generic], kind: str) -> U8:
    """Numbers as rows of big-endian bytes."""
    return values.astype(kind).view(np.uint8).reshape(len(values), -1)


def _flows(count: int, rng: np.random.Generator) -> _Flows:
    weight = 1 / np.arange(1, count + 1) ** ZIPF
    dport = rng.choice(np.array([80, 443, 22, UDP_PORT, 5432, 8080]), count)
    return _Flows(
        client=_wire(rng.integers(0x0A00_0000, 0x0A01_0000, count), ">u4"),
        server=_wire(rng.integers(0x0A01_0000, 0x0A02_0000, count), ">u4"),
        sport=_wire(rng.integers(1024, 65_536, count), ">u2"),
        dport=_wire(dport, ">u2"),
        protocol=np.where(dport == UDP_PORT, 17, 6).astype(np.uint8),
        chance=np.cumsum(weight / weight.sum()),
    )


def synthetic(path: Path, packets: int, flows: int, seed: int = 1) -> None:
    """Write a classic Ethernet pcap: `packets` over `flows` connections, both ways, within 120 s."""
    rng = np.random.default_rng(seed)
    table = _flows(flows, rng)
    with path.open("wb") as out:
        out.write(HEADER)
        for begin in range(0, packets, PIECE):
            _piece(table, begin, min(PIECE, packets - begin), packets, rng).tofile(out)


def _piece(table: _Flows, begin: int, count: int, total: int, rng: np.random.Generator) -> npt.NDArray[np.void]:
    flow = np.minimum(np.searchsorted(table.chance, rng.random(count)), len(table.chance) - 1)
    back = rng.random(count) < 0.5
    wire = rng.choice(np.array([66, 66, 200, 1514], np.uint32), count)
    micros = (np.arange(begin, begin + count) * (SPAN_S * 1_000_000)) // total
    records = np.zeros(count, RECORD)
    records["s"], records["us"] = START_S + micros // 1_000_000, micros % 1_000_000
    records["caplen"], records["wirelen"] = SNAPLEN, wire
    data = records["data"]
    address = table.client[flow], table.server[flow]
    port = table.sport[flow], table.dport[flow]
    client_mac = np.zeros((count, 6), np.uint8)
    client_mac[:, 0], client_mac[:, 5] = 2, address[0][:, 3]
    mac = client_mac, np.broadcast_to(ROUTER, (count, 6))
    for (mac_at, ip_at, port_at), from_server in (((6, 26, 34), back), ((0, 30, 36), ~back)):
        chosen = from_server[:, None]
        data[:, mac_at : mac_at + 6] = np.where(chosen, mac[1], mac[0])
        data[:, ip_at : ip_at + 4] = np.where(chosen, address[1], address[0])
        data[:, port_at : port_at + 2] = np.where(chosen, port[1], port[0])
    data[:, 12], data[:, 14], data[:, 22] = 8, 0x45, 64
    data[:, 16:18] = _wire(wire - 14, ">u2")
    protocol = table.protocol[flow]
    data[:, 23] = protocol
    tcp = protocol == 6
    flags = rng.choice(np.array([16, 24, 2, 17], np.uint8), count, p=[0.6, 0.3, 0.05, 0.05])
    data[:, 46], data[:, 47] = np.where(tcp, 0x50, 0), np.where(tcp, flags, 0)
    data[:, 38:40] = np.where(tcp[:, None], 0, _wire(wire - 34, ">u2"))  # UDP length
    return records


def merge_real(path: Path, folder: Path, packets: int = 3_400_000, seed: int = 1) -> int:
    """Write copies of a folder's Ethernet captures as one classic pcap, merged by time; returns the packets.

    Every copy has other addresses and times, so flows multiply as packets do; packets keep all their bytes.
    """
    base, starts, lengths, times = _collected(folder)
    copies = max(1, round(packets / len(starts)))
    rng = np.random.default_rng(seed)
    shifted = np.concatenate([(times + shift) % (SPAN_S * 1_000_000) for shift in rng.integers(0, 120_000_000, copies)])
    order = np.argsort(shifted, kind="stable")
    sizes = np.tile(lengths, copies)
    place = np.empty(len(order), np.int64)
    place[order] = np.concatenate([[0], np.cumsum(sizes[order])[:-1]]) + len(HEADER)
    out = np.memmap(path, np.uint8, "w+", shape=(len(HEADER) + int(sizes.sum()),))
    out[: len(HEADER)] = np.frombuffer(HEADER, np.uint8)
    for copy in range(copies):
        rows = slice(copy * len(starts), (copy + 1) * len(starts))
        data = _readdressed(base, starts, copy, shifted[rows])
        for at, start, length in zip(place[rows].tolist(), starts.tolist(), lengths.tolist(), strict=True):
            out[at : at + length] = data[start : start + length]
    out.flush()
    return len(order)


def _collected(folder: Path) -> tuple[U8, I64, I64, I64]:
    """Frames with their record headers: (bytes, starts, lengths, microseconds since the file began)."""
    parts: list[bytes] = []
    times: list[int] = []
    for path in sorted(folder.iterdir()):
        if path.suffix == ".pcap" and not path.name.startswith("corrupt_"):
            first = 0
            for seconds, micros, wirelen, data in _frames(path):
                now = seconds * 1_000_000 + micros
                first = first or now
                times.append((now - first) % (SPAN_S * 1_000_000))
                parts.append(struct.pack("<IIII", 0, 0, len(data), wirelen) + data)
    lengths = np.array([len(part) for part in parts], np.int64)
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]]).astype(np.int64)
    return np.frombuffer(b"".join(parts), np.uint8), starts, lengths, np.array(times, np.int64)


def _frames(path: Path) -> Iterator[tuple[int, int, int, bytes]]:
    """(seconds, microseconds, wire length, bytes) of a classic Ethernet pcap; nothing of other files."""
    data = path.read_bytes()
    orders = {b"\xd4\xc3\xb2\xa1": "<", b"\xa1\xb2\xc3\xd4": ">"}
    order = orders.get(data[:4])
    if order is None or struct.unpack_from(order + "I", data, 20)[0] & 0xFFFF != 1:
        return
    at = 24
    while at + 16 <= len(data):
        seconds, micros, caplen, wirelen = struct.unpack_from(order + "IIII", data, at)
        at += 16 + caplen
        if at > len(data):
            return
        yield seconds, micros, wirelen, data[at - caplen : at]


def _readdressed(base: U8, starts: I64, copy: int, micros: I64) -> U8:
    """A copy of the frames with other times, and with `copy` mixed into one byte of their addresses."""
    data = np.concatenate([base, np.zeros(64, np.uint8)])
    second, rest = START_S + micros // 1_000_000, micros % 1_000_000
    for word, values in ((0, second), (4, rest)):
        for byte, column in enumerate(_wire(values, "<u4").T):
            data[starts + word + byte] = column
    kind = data[starts + 28].astype(np.int64) << 8 | data[starts + 29]
    for ethertype, places in ((0x0800, (27, 31)), (0x86DD, (23, 39))):
        rows = starts[kind == ethertype]
        for place in places:
            data[rows + 16 + place] ^= np.uint8(copy)
    return data
