"""Capture files of a run as one source of frame blocks.

Rule: every file is looked at before anything is recorded, so that a wrong one stops the run while nothing is written.
Files are read in the order of their first packet; files that cannot tell it keep their place behind those that can.
"""

from __future__ import annotations

import glob
import os
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
    nothing, OptionError when standard input is named twice or nothing is named.
    """
    captures: list[CaptureFile] = []
    for argument in arguments:
        name, path = None, argument
        if "=" in argument and not _exists(argument):
            name, path = argument.split("=", 1)
            if not name or not path:
                raise OptionError(f"{argument}: a capture point is given as NAME=FILE")
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
    return captures


def _exists(path: str) -> bool:
    return os.path.exists(path)  # noqa: PTH110 (Path.exists raises for names that no file can have)


def _read_once(path: str) -> bool:
    """Whether a capture is a pipe or a device, so that looking at its first packet would take it away."""
    return path == STDIN or (_exists(path) and not Path(path).is_file() and not Path(path).is_dir())


class CaptureFiles:
    """Iterates over the frame blocks of all files; `points` grows while it does.

    `faults`: damage found so far, one CaptureDamaged a file; `dropped`: packets that the captures themselves say they
    lost; `total_bytes` 0 when it cannot be known; `one_stream`: no file has a point of its own, so every point is
    there from the first file on. Raises CaptureMissing or CaptureUnreadable when it is made.
    """

    def __init__(self, captures: Sequence[CaptureFile]) -> None:
        self._points = Points()
        self.faults: list[CaptureDamaged] = []
        self.dropped = 0
        self.total_bytes = 0
        self._done_bytes = 0
        self.one_stream = len(captures) == 1 or all(capture.name is None for capture in captures)
        self._open: _OpenFile | None = None
        first_times = [(_first_time(capture), place) for place, capture in enumerate(captures)]
        self._captures = [captures[place] for _, place in sorted(first_times)]
        if not any(_read_once(capture.path) for capture in captures):
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


def _first_time(capture: CaptureFile) -> tuple[int, int]:
    """Sort key of a capture: (0, time of its first packet that has one), or (1, 0)."""
    if _read_once(capture.path):
        return 1, 0
    opened = _OpenFile(capture, Points())
    try:
        for block in opened.reader:
            times = block.frames["ts_ns"]
            if len(times[times >= 0]):
                return 0, int(times[times >= 0][0])
        return 1, 0
    finally:
        opened.stream.close()
