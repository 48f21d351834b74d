"""Capture files of a run as one source of frame blocks.

Rule: every file is looked at before anything is recorded, so that a wrong one stops the run while nothing is written.
Files are read in the order of their first packet; files that cannot tell it keep their place behind those that can.
"""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from flowglass.capture.buffer import Buffer
from flowglass.capture.bytestream import STDIN, ByteStream
from flowglass.capture.points import SUPPORTED, Points, link_type_name
from flowglass.capture.sources.pcap import PcapReader, is_pcap
from flowglass.capture.sources.pcapng import PcapngReader, is_pcapng
from flowglass.fields.contracts import FrameBlock, Point
from flowglass.fields.errors import CaptureDamaged, CaptureMissing, CaptureUnreadable, OptionError

_GLOB_CHARACTERS: Final = frozenset("*?[")


@dataclass(frozen=True, slots=True)
class CaptureFile:
    """A capture as the caller named it: `path` (`-` is standard input) and the point's `name`, None for its own."""

    path: str
    name: str | None = None


def named_captures(arguments: Sequence[str]) -> list[CaptureFile]:
    """Captures from the command line: paths, globs, `NAME=FILE`, `-`.

    A file of which the whole argument is the path wins over a NAME. Raises CaptureMissing for a glob that matches
    nothing, OptionError when nothing is named, or a capture twice.
    """
    captures: list[CaptureFile] = []
    for argument in arguments:
        name, path = None, argument
        if "\0" in argument:
            raise OptionError(f"{argument!r}: no file has such a name")
        if "=" in argument and not _exists(argument):
            name, path = argument.split("=", 1)
            if not name or not path:
                raise OptionError(f"{argument}: a capture point is given as NAME=FILE")
            name = os.fsencode(name).decode("utf-8", "replace")
        if _GLOB_CHARACTERS & set(path) and not _exists(path):
            found = sorted(glob.glob(path))  # noqa: PTH207 (the pattern may be absolute)
            if not found:
                raise CaptureMissing(f"{path}: matches no file; check the pattern")
            captures.extend(CaptureFile(match, name) for match in found)
        else:
            captures.append(CaptureFile(path, name))
    if not captures:
        raise OptionError("no capture given; name a pcap or pcapng file, or - for standard input")
    if sum(capture.path == STDIN for capture in captures) > 1:
        raise OptionError("-: standard input can be read once only")
    for capture, times in Counter(captures).items():
        if times > 1:
            raise OptionError(f"{capture.path}: is named {times} times; its packets would count as often; name it once")
    return captures


def _exists(path: str) -> bool:
    return os.path.exists(path)  # noqa: PTH110 (Path.exists raises for names that no file can have)


def _read_once(path: str) -> bool:
    """Whether a capture is a pipe or a device, so that looking at its first packet would take it away."""
    return path == STDIN or (_exists(path) and not Path(path).is_file() and not Path(path).is_dir())


class CaptureFiles:
    """Iterates over the frame blocks of all files.

    `points`: those that the files begin with are known from the start; a pcapng may bring further ones later, a pipe
    all of them. `faults`: damage found so far, one CaptureDamaged a file; `dropped`: packets that the captures
    themselves say they lost; `total_bytes` 0 when it cannot be known; `from_pipe`: some capture cannot be read a second
    time; `one_stream`: all files have the same points, so
    that time runs on from file to file. Raises CaptureMissing or CaptureUnreadable when it is made.
    """

    def __init__(self, captures: Sequence[CaptureFile]) -> None:
        self._points = Points()
        self.faults: list[CaptureDamaged] = []
        self.dropped = 0
        self.total_bytes = 0
        self._done_bytes = 0
        self._open: _OpenFile | None = None
        looks = sorted((_look(capture) for capture in captures), key=lambda look: look.order)
        self._captures = [look.capture for look in looks]
        self.one_stream = len(looks) == 1 or len({frozenset(look.points) for look in looks}) == 1
        for point in (point for look in looks for point in look.points):
            self._points.row(point.name, point.link_type, point.mac)
        self.from_pipe = any(_read_once(capture.path) for capture in captures)
        if not self.from_pipe:
            self.total_bytes = sum(Path(capture.path).stat().st_size for capture in captures)

    @property
    def points(self) -> list[Point]:
        """The capture points so far."""
        return self._points.rows

    @property
    def read_bytes(self) -> int:
        """Bytes of the files read so far."""
        return self._done_bytes + (self._open.stream.taken_bytes if self._open else 0)

    def unsupported(self) -> list[str]:
        """Names of link types met that cannot be decoded."""
        found = sorted({point.link_type for point in self.points} - set(SUPPORTED))
        return [link_type_name(link_type) for link_type in found]

    def __iter__(self) -> Iterator[FrameBlock]:
        for capture in self._captures:
            opened = self._open = _OpenFile(capture, self._points)
            try:
                yield from opened.reader
                if fault := opened.fault():
                    self.faults.append(fault)
                if isinstance(opened.reader, PcapngReader):
                    self.dropped += opened.reader.dropped
            finally:
                self._done_bytes += opened.stream.taken_bytes
                self._open = None
                opened.stream.close()


class _OpenFile:
    """One capture file with its reader, chosen by the first bytes."""

    def __init__(self, capture: CaptureFile, points: Points) -> None:
        self._path = "standard input" if capture.path == STDIN else capture.path
        self.stream = ByteStream(capture.path)
        self.buffer = Buffer(self.stream)
        try:
            self.reader = self._reader(capture, points)
        except CaptureUnreadable:
            self.stream.close()
            raise

    def _reader(self, capture: CaptureFile, points: Points) -> PcapReader | PcapngReader:
        self.buffer.want(4)
        magic = self.buffer.data[: min(4, self.buffer.left)].tobytes()
        if is_pcap(magic):
            return PcapReader(self._path, self.buffer, points, capture.name)
        if is_pcapng(magic):
            return PcapngReader(self._path, self.buffer, points, capture.name)
        if self.stream.damage is not None:
            raise CaptureUnreadable(
                f"{self._path}: compressed data cannot be read: {self.stream.damage}; copy it again, or unpack it first"
            )
        if not magic:
            raise CaptureUnreadable(f"{self._path}: is empty; name a pcap or pcapng file")
        raise CaptureUnreadable(
            f"{self._path}: is no pcap or pcapng capture (it begins with {magic.hex(' ')}); "
            "name a capture, plain or compressed with gzip or zstd"
        )

    def fault(self) -> CaptureDamaged | None:
        """What ended the file before its end, if anything did."""
        reason = self.stream.damage or self.reader.damage
        if reason is None:
            return None
        return CaptureDamaged(
            f"{self._path}: damaged at offset {self.buffer.offset}: {reason}; what stands before it was recorded"
        )


@dataclass(frozen=True, slots=True)
class _Look:
    """What a capture begins with. `order`: by the first time, then by path; captures without one come last."""

    capture: CaptureFile
    order: tuple[bool, int, str]
    points: tuple[Point, ...] = ()


def _look(capture: CaptureFile) -> _Look:
    """Look at a capture up to its first packet that has a time; a pipe is not looked at, it cannot be read twice."""
    if _read_once(capture.path):
        return _Look(capture, (True, 0, capture.path))
    points = Points()
    opened = _OpenFile(capture, points)
    try:
        for block in opened.reader:
            times = block.frames["ts_ns"]
            if len(times[times >= 0]):
                first = int(times[times >= 0][0])
                return _Look(capture, (False, first, capture.path), tuple(points.rows))
        return _Look(capture, (True, 0, capture.path), tuple(points.rows))
    finally:
        opened.stream.close()
