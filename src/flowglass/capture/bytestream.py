"""Bytes of a capture: a file or standard input, plain or gzip or zstd, read into a buffer that the caller owns.

Rule: memory is bounded by the buffer. Files are read, not mapped: a file cut while it is read must not kill the reader.
"""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
from isal import igzip_lib

from flowglass.fields.errors import CaptureMissing

STDIN: Final = "-"
_GZIP: Final = b"\x1f\x8b"
_DamagedGzip: Any = igzip_lib.IsalError
_CHUNK_BYTES: Final = 1 << 18
_ZSTD: Final = b"\x28\xb5\x2f\xfd"
_SKIPPABLE: Final = re.compile(rb"[\x50-\x5f]\x2a\x4d\x18")
"""Frames that a zstd stream may begin with and that hold no data (RFC 8878 section 3.1.2)."""


class _Counted(io.RawIOBase):
    """A raw stream behind bytes that were read ahead from it; counts what is taken, for the progress bar."""

    def __init__(self, head: bytes, raw: io.RawIOBase) -> None:
        super().__init__()
        self._head = head
        self._raw = raw
        self.taken = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        count = min(len(view), len(self._head))
        if count:
            view[:count] = self._head[:count]
            self._head = self._head[count:]
        else:
            count = self._raw.readinto(view) or 0
        self.taken += count
        return count


class _Gunzip:
    """Reads gzip members, one behind the other, and loses no byte that stands before a cut."""

    def __init__(self, raw: io.RawIOBase) -> None:
        self._raw = raw
        self._member = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)

    def read(self, size: int) -> bytes:
        """Up to `size` bytes, none at the end. Raises EOFError at a cut, IsalError where a member is broken."""
        while True:
            piece = b""
            if self._member.eof:
                piece = (self._member.unused_data or self._raw.read(_CHUNK_BYTES) or b"").lstrip(b"\0")
                if not piece and not (piece := (self._raw.read(_CHUNK_BYTES) or b"").lstrip(b"\0")):
                    return b""
                self._member = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)
            elif self._member.needs_input:
                piece = self._raw.read(_CHUNK_BYTES) or b""
                if not piece:
                    raise EOFError("the compressed data ends early")
            out: bytes = self._member.decompress(piece, size)
            if out:
                return out


class ByteStream:
    """The bytes of one capture. Raises CaptureMissing when it cannot be opened.

    `damage`: what the decompressor said when compressed data ended or broke; bytes before it are still handed out.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.damage: str | None = None
        self.size_bytes = 0
        self._unpacked = 0
        self._raw = raw = self._open(path)
        head = b""
        while len(head) < 4 and (more := raw.read(4 - len(head))):
            head += more
        self._counted = _Counted(head, raw)
        self._stream: Any
        if head.startswith(_GZIP):
            self._stream = _Gunzip(self._counted)
        elif head == _ZSTD or _SKIPPABLE.fullmatch(head):
            self._stream = pa.CompressedInputStream(io.BufferedReader(self._counted, _CHUNK_BYTES), "zstd")
        else:
            self._stream = self._counted

    def _open(self, path: str) -> io.RawIOBase:
        try:
            if path == STDIN:
                return io.FileIO(0, closefd=False)
            raw = Path(path).open("rb", buffering=0)  # noqa: SIM115 (closed by `close`)
            self.size_bytes = Path(path).stat().st_size
        except IsADirectoryError:
            raise CaptureMissing(f"{path}: is a folder; name its files, for example '{path}/*.pcap'") from None
        except OSError as error:
            reason = error.strerror or str(error)
            name = "standard input" if path == STDIN else path
            raise CaptureMissing(f"{name}: {reason}; check the path and its permissions") from None
        return raw

    @property
    def taken_bytes(self) -> int:
        """Bytes taken from the file, compressed ones where it is compressed."""
        return self._counted.taken

    def readinto(self, view: memoryview) -> int:
        """Fill as much of `view` as one read gives; 0 at the end, or where compressed data is damaged."""
        if self.damage is not None:
            return 0
        try:
            if self._stream is self._counted:
                return self._stream.readinto(view) or 0
            piece = self._stream.read(len(view))
            view[: len(piece)] = piece
            self._unpacked += len(piece)
            return len(piece)
        except (EOFError, OSError, pa.ArrowException, _DamagedGzip) as error:
            self.damage = str(error).splitlines()[0]
            piece = self._before_damage() if isinstance(self._stream, pa.CompressedInputStream) else b""
            view[: len(piece)] = piece
            return len(piece)

    def _before_damage(self) -> bytes:
        """What Arrow's zstd stream had when it failed, which it does not hand out: unpack again, then byte by byte."""
        found = bytearray()
        if not Path(self.path).is_file():
            return b""
        with contextlib.suppress(OSError, pa.ArrowException), Path(self.path).open("rb") as raw:
            again = pa.CompressedInputStream(raw, "zstd")
            left = self._unpacked
            while left and (piece := again.read(min(left, _CHUNK_BYTES))):
                left -= len(piece)
            while byte := again.read(1):
                found += byte
        return bytes(found)

    def close(self) -> None:
        """Close the file; standard input stays open."""
        self._raw.close()
