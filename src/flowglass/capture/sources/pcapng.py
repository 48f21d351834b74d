"""pcapng files: frames of all sections and interfaces of one capture file, block by block.

Rule: damage ends the file, not the run. Interfaces are described per section; one of an earlier section with the same
name and link type is the same capture point.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

import numpy as np

from flowglass.capture.buffer import Buffer
from flowglass.capture.kernels import (
    BAD_RECORD,
    FRAMES_FULL,
    INTERFACE_WORDS,
    MORE,
    NO_INTERFACE,
    walk_pcapng,
)
from flowglass.capture.points import Points
from flowglass.fields.contracts import FrameBlock
from flowglass.fields.errors import CaptureUnreadable

SECTION_HEADER: Final = b"\x0a\x0d\x0d\x0a"
_SECTION, _INTERFACE, _STATISTICS = 0x0A0D0D0A, 1, 5
_MAX_DESCRIPTION: Final = 1 << 20
_MICROSECONDS: Final = 6


def is_pcapng(magic: bytes) -> bool:
    """Whether the first four bytes begin a pcapng section."""
    return magic == SECTION_HEADER


class _Damaged(Exception):
    """Inside this file: a block that cannot be read; the text says why."""


class PcapngReader:
    """Reads one pcapng file. `name`: the capture point of all its interfaces, or None: each by its own name.

    `dropped`: packets that interface statistics say the capture lost. Raises CaptureUnreadable when the first section
    header cannot be read.
    """

    def __init__(self, path: str, buffer: Buffer, points: Points, name: str | None) -> None:
        self._buffer = buffer
        self._points = points
        self._name = name
        self._big = False
        self._interfaces = np.zeros((4, INTERFACE_WORDS), np.int64)
        self._count = 0
        self._drops: dict[int, int] = {}
        self.dropped = 0
        self.damage: str | None = None
        try:
            self._other_block()
        except _Damaged as error:
            raise CaptureUnreadable(
                f"{path}: is no pcapng that can be read: {error}; copy it or capture it again"
            ) from None

    def __iter__(self) -> Iterator[FrameBlock]:
        buffer = self._buffer
        try:
            while True:
                count, place, stopped = walk_pcapng(
                    buffer.data,
                    buffer.at,
                    buffer.stop,
                    self._big,
                    self._interfaces,
                    self._count,
                    buffer.frames,
                )
                if count:
                    yield FrameBlock(buffer.data, buffer.frames[:count])
                buffer.advance(int(place))
                if stopped == BAD_RECORD:
                    raise _Damaged("a packet block's lengths do not fit")
                if stopped == NO_INTERFACE:
                    raise _Damaged("a packet names an interface that was not described")
                if stopped == MORE:
                    if not buffer.refill():
                        if buffer.left:
                            raise _Damaged("the file ends inside a block")
                        return
                elif stopped != FRAMES_FULL:
                    self._other_block()
        except _Damaged as error:
            self.damage = str(error)
        finally:
            self.dropped += sum(self._drops.values())

    def _other_block(self) -> None:
        """Read a block that holds no packet: sections, interfaces and statistics count, others are stepped over."""
        buffer = self._buffer
        if not buffer.want(12):
            raise _Damaged("the file ends inside a block")
        head = buffer.data[buffer.at : buffer.at + 12].tobytes()
        big = self._big
        if head[:4] == SECTION_HEADER:
            if head[8:12] not in (b"\x1a\x2b\x3c\x4d", b"\x4d\x3c\x2b\x1a"):
                raise _Damaged("a section header has no byte-order magic")
            big = head[8:12] == b"\x1a\x2b\x3c\x4d"
        kind, length = struct.unpack((">" if big else "<") + "II", head[:8])
        if length < 12 or length % 4:
            raise _Damaged(f"a block claims a length of {length} bytes")
        if kind not in (_SECTION, _INTERFACE, _STATISTICS):
            if not buffer.skip(length):
                raise _Damaged("the file ends inside a block")
            return
        if length > _MAX_DESCRIPTION:
            raise _Damaged(f"a block that describes claims {length} bytes")
        if not buffer.want(length):
            raise _Damaged("the file ends inside a block")
        block = buffer.data[buffer.at : buffer.at + length].tobytes()
        if block[-4:] != block[4:8]:
            raise _Damaged("a block's two lengths differ")
        self._described(kind, block[8:-4], ">" if big else "<")
        buffer.advance(buffer.at + length)

    def _described(self, kind: int, body: bytes, order: str) -> None:
        if kind == _SECTION:
            self._section(body, order)
        elif kind == _INTERFACE:
            self._interface(body, order)
        elif len(body) >= 12:
            (row,) = struct.unpack(order + "I", body[:4])
            for code, value in _options(body[12:], order):
                if code == 5 and len(value) == 8:  # isb_ifdrop, counted from the start of the capture
                    self._drops[row] = max(self._drops.get(row, 0), struct.unpack(order + "Q", value)[0])

    def _section(self, body: bytes, order: str) -> None:
        if len(body) < 16:
            raise _Damaged("a section header is too short")
        major, minor = struct.unpack(order + "HH", body[4:8])
        if major != 1:
            raise _Damaged(f"version {major}.{minor}; only version 1 is known")
        list(_options(body[16:], order))
        self.dropped += sum(self._drops.values())
        self._drops = {}
        self._big = order == ">"
        self._count = 0

    def _interface(self, body: bytes, order: str) -> None:
        if len(body) < 8:
            raise _Damaged("an interface description is too short")
        link_type, snaplen = struct.unpack(order + "H2xI", body[:8])
        name, resolution, offset_s, mac = f"interface-{self._count}", _MICROSECONDS, 0, 0
        for code, value in _options(body[8:], order):
            if code == 2 and value.rstrip(b"\0"):
                name = value.rstrip(b"\0").decode("utf-8", "replace")
            elif code == 6 and len(value) == 6:
                mac = int.from_bytes(value, "big")
            elif code == 9 and len(value) == 1:
                resolution = value[0]
            elif code == 14 and len(value) == 8:
                (offset_s,) = struct.unpack(order + "q", value)
        if self._count == len(self._interfaces):
            self._interfaces = np.concatenate([self._interfaces, np.zeros_like(self._interfaces)])
        units, shift = _resolution(resolution)
        point = self._points.row(self._name or name, link_type, mac)
        # An offset that moves no time of this era into 1970 to 2262 makes all times absent.
        self._interfaces[self._count] = (point, units, shift, min(max(offset_s, -(2**40)), 2**40), snaplen)
        self._count += 1


def _resolution(code: int) -> tuple[int, int]:
    """(units a second, -1) for a power of ten, (0, shift) for a power of two, (0, -1) for one beyond 64 bits."""
    exponent = code & 0x7F
    if code & 0x80:
        return (0, exponent) if exponent < 64 else (0, -1)
    return (10**exponent, -1) if exponent <= 18 else (0, -1)


def _options(body: bytes, order: str) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + 4 <= len(body):
        code, length = struct.unpack(order + "HH", body[at : at + 4])
        if code == 0:
            return
        if at + 4 + length > len(body):
            raise _Damaged("an option is longer than its block")
        yield code, body[at + 4 : at + 4 + length]
        at += 4 + (length + 3) // 4 * 4
