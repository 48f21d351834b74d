"""Classic pcap files: frames of one capture file, block by block.

Rule: damage ends the file, not the run; what stands before it was handed out.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

from flowglass.capture.buffer import Buffer
from flowglass.capture.kernels import BAD_RECORD, FRAMES_FULL, MAX_CAPTURED, walk_pcap
from flowglass.capture.points import SUPPORTED, Points
from flowglass.fields.contracts import FrameBlock
from flowglass.fields.errors import CaptureUnreadable

HEADER_BYTES: Final = 24
_MAGICS: Final = {
    b"\xd4\xc3\xb2\xa1": (False, 1000),
    b"\xa1\xb2\xc3\xd4": (True, 1000),
    b"\x4d\x3c\xb2\xa1": (False, 1),
    b"\xa1\xb2\x3c\x4d": (True, 1),
}


def is_pcap(magic: bytes) -> bool:
    """Whether the first four bytes are those of a classic pcap file."""
    return magic in _MAGICS


class PcapReader:
    """Reads one classic pcap. `name`: its capture point, or None for the point that all files of a link type share.

    Raises CaptureUnreadable when the header is not one of version 2.
    """

    def __init__(self, path: str, buffer: Buffer, points: Points, name: str | None) -> None:
        if not buffer.want(HEADER_BYTES):
            raise CaptureUnreadable(f"{path}: ends inside the pcap header, after {buffer.left} bytes; capture it again")
        header = buffer.take(HEADER_BYTES)
        self._big, self._fraction_ns = _MAGICS[header[:4]]
        major, minor, link = struct.unpack((">" if self._big else "<") + "HH12xI", header[4:])
        if major != 2:
            raise CaptureUnreadable(f"{path}: is pcap version {major}.{minor}; only version 2 is known")
        link_type = link & 0xFFFF  # the upper half says how long the frame check sequence is
        self._buffer = buffer
        self._point = points.row(name or SUPPORTED.get(link_type, f"linktype-{link_type}").lower(), link_type)
        self.damage: str | None = None

    def __iter__(self) -> Iterator[FrameBlock]:
        buffer = self._buffer
        while True:
            count, place, stopped = walk_pcap(
                buffer.data,
                buffer.at,
                buffer.stop,
                self._big,
                self._fraction_ns,
                self._point,
                buffer.frames,
            )
            if count:
                yield FrameBlock(buffer.data, buffer.frames[:count])
            buffer.advance(int(place))
            if stopped == BAD_RECORD:
                self.damage = f"a record claims more than {MAX_CAPTURED} captured bytes"
                return
            if stopped != FRAMES_FULL and not buffer.refill():
                if buffer.left:
                    self.damage = "the file ends inside a record"
                return
