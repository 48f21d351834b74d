"""What passes between rooms: arrays, Arrow tables and frozen dataclasses, never live objects.

Rule: the NumPy dtypes here are the structs; no other file lays them out. Addresses are two u64 in host order, IPv4
mapped into IPv6 (RFC 4291 section 2.5.5.2: high 0, low 0x0000ffff_a.b.c.d). Times are UTC; the unit is in the name.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from flowglass.fields.logformat import LogFormat
from flowglass.fields.vocabulary import DestinationType, Direction, FileFormat, ResourceType, TrafficType, Verdict

U8 = npt.NDArray[np.uint8]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
U64 = npt.NDArray[np.uint64]
Bools = npt.NDArray[np.bool_]
Structured = npt.NDArray[np.void]

IPV4_MAPPED: Final = 0x0000_FFFF_0000_0000
"""High half of the low word of an IPv4 address mapped into IPv6."""

NO_TIME: Final = -1
"""`ts_ns` of a frame without a time; it takes the one of the point's frame before it, else 0."""


FRAME: Final = np.dtype(
    [
        ("offset", np.int64),  # of the first captured byte in FrameBlock.data
        ("ts_ns", np.int64),  # capture time, 0…2^63-1, or NO_TIME
        ("caplen", np.uint32),  # bytes captured
        ("wirelen", np.uint32),  # bytes on the wire
        ("point", np.uint16),  # row of the source's points
        ("vlan", np.uint16),  # VLAN id that the capture took off the frame, 0 none
        ("gso_size", np.uint16),  # payload bytes a segment of an offloaded frame, 0 not offloaded
        ("direction", np.uint8),  # Direction
        ("verdict", np.uint8),  # Verdict
        ("gso_type", np.uint8),  # virtio_net_hdr gso_type, 0 none
    ],
    align=True,
)
"""One frame: 40 bytes."""

FLOW: Final = np.dtype(
    [
        ("src_hi", np.uint64),
        ("src_lo", np.uint64),
        ("dst_hi", np.uint64),
        ("dst_lo", np.uint64),
        ("sport", np.uint16),
        ("dport", np.uint16),
        ("protocol", np.uint8),
        ("family", np.uint8),  # 4 or 6
        ("direction", np.uint8),  # Direction, at the point
        ("verdict", np.uint8),  # Verdict
        ("link", np.uint32),  # row of FlowBatch.links
        ("nat", np.uint32),  # row of a table of translated tuples, 0 none
        ("point", np.uint16),
        ("reason", np.uint16),  # why dropped, where known
        ("icmp", np.uint16),  # type << 8 | code of the first packet
        ("tcp_flags", np.uint8),  # AWS's rule: FIN 1, SYN 2, RST 4, and 16 only beside SYN, OR-ed
        ("raw_flags", np.uint8),  # plain OR of the low eight flag bits
        ("packets", np.uint64),
        ("bytes", np.uint64),
        ("frames", np.uint64),
        ("first_ns", np.int64),
        ("last_ns", np.int64),
    ],
    align=True,
)
"""One flow in one window: 96 bytes."""

LINK: Final = np.dtype([("src_mac", np.uint64), ("dst_mac", np.uint64), ("vlan", np.uint16)], align=True)
"""Link endpoints: two MAC addresses as 48-bit numbers (0 unknown) and the outermost VLAN id (0 none)."""


@enum.unique
class NotRecorded(enum.IntEnum):
    """Why a frame is in no flow. The numbers are columns of the counters; the texts are for people."""

    text: str

    LINK_TYPE = 0, "link type not supported"
    LINK_HEADER = 1, "link header cut or broken"
    ARP = 2, "ARP"
    NOT_IP = 3, "not IP"
    IP_CUT = 4, "IP header cut"
    IP_BROKEN = 5, "IP header broken"
    EXTENSION_BROKEN = 6, "IPv6 extension headers cut or broken"

    def __new__(cls, value: int, text: str) -> NotRecorded:
        """Make a member that carries its text."""
        member = int.__new__(cls, value)
        member._value_ = value
        member.text = text
        return member


@dataclass(frozen=True, slots=True)
class Point:
    """One capture point: where packets were seen.

    `name`: device, pcapng interface, or the link type for a classic pcap; `link_type`: LINKTYPE_ number
    (https://www.tcpdump.org/linktypes.html); `mac`: the device's address as a 48-bit number, 0 unknown.
    """

    name: str
    link_type: int
    mac: int = 0


@dataclass(frozen=True, slots=True)
class FrameBlock:
    """Up to 64 k frames. `data`: (n,) uint8; `frames`: (k,) FRAME. Both are valid until the next block is asked for."""

    data: U8
    frames: Structured


@dataclass(frozen=True, slots=True)
class FlowBatch:
    """Flows of one point and one window.

    `flows`: (n,) FLOW in order of first packet; `links`: (m,) LINK, row 0 is "no link endpoints", and row 1 is shared
    by those that found no place (its addresses are 0). `mixed_links`: some tuple of the window stands in more than one
    row, with other link endpoints or another direction, so rows may merge after observe; such a window comes as one
    batch, others in slices of up to 64 k rows.
    """

    window_start_s: int
    window_s: int
    point: int
    flows: Structured
    links: Structured
    mixed_links: bool = False


@dataclass(frozen=True, slots=True)
class Watermark:
    """Every window of `point` that ends at or before `final_before_s` is final: its flows were handed over."""

    point: int
    final_before_s: int


@dataclass(frozen=True, slots=True)
class Destination:
    """Where records go. `name`: bucket, log group or delivery stream; `folder`: within a bucket, "" its top.

    `account`, `region`: of a log group or delivery stream, as its ARN has them, "" for a bucket.
    """

    type: DestinationType
    name: str
    folder: str = ""
    account: str = ""
    region: str = ""


@dataclass(frozen=True, slots=True)
class DestinationUse:
    """Who will write to a destination: a flow log's account and region, and whether in Hive-compatible folders."""

    destination: Destination
    account: str
    region: str
    hive: bool = False


@dataclass(frozen=True, slots=True)
class DestinationFault:
    """Why a destination cannot be used: the code and text that CreateFlowLogs answers with."""

    code: str
    message: str


class Destinations(Protocol):
    """Checks and prepares destinations when a flow log is made (`deliver` implements it, `control` asks it)."""

    def check(self, use: DestinationUse) -> DestinationFault | None:
        """What is wrong with a destination; changes nothing."""
        ...

    def prepare(self, use: DestinationUse) -> DestinationFault | None:
        """Make it ready, as AWS does (a bucket policy's statements); what is ready already stays as it is."""
        ...

    def write(self, destination: Destination, name: str, content: bytes) -> DestinationFault | None:
        """Put a small file into a bucket's folder, such as an integration template; replaces one of that name."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowLog:
    """A flow log: what is logged, in which format, to where. `hive`, `per_hour`: the layout of object keys.

    `resource_type`, `resource_id`: whose traffic, None for all that is seen; `destination`: None where the caller
    hands over a sink of its own.
    """

    id: str
    account: str
    region: str
    log_format: LogFormat
    traffic_type: TrafficType = TrafficType.ALL
    interval_s: int = 60
    file_format: FileFormat = FileFormat.PLAIN_TEXT
    hive: bool = False
    per_hour: bool = False
    parquet_codec: str = "zstd"
    prefix: str = ""
    resource_type: ResourceType | None = None
    resource_id: str = ""
    destination: Destination | None = None


@dataclass(frozen=True, slots=True)
class FinishedObject:
    """One object, finished on disk at `path` under a temporary name, not yet delivered as `key`.

    `sha256`: hex digest of its bytes; `first_end_s`, `last_end_s`: the range of `end` of its records.
    """

    path: str
    key: str
    sha256: str
    first_end_s: int
    last_end_s: int
    records: int
    size_bytes: int = field(default=0)


__all__ = [
    "FLOW",
    "FRAME",
    "I32",
    "I64",
    "IPV4_MAPPED",
    "LINK",
    "NO_TIME",
    "U8",
    "U64",
    "Bools",
    "Destination",
    "DestinationFault",
    "DestinationType",
    "DestinationUse",
    "Destinations",
    "Direction",
    "FileFormat",
    "FinishedObject",
    "FlowBatch",
    "FlowLog",
    "FrameBlock",
    "NotRecorded",
    "Point",
    "ResourceType",
    "Structured",
    "TrafficType",
    "Verdict",
    "Watermark",
]
