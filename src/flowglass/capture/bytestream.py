"""Bytes of a capture: a file or standard input, plain or gzip or zstd, read into a buffer that the caller owns.

Rule: memory is bounded by the buffer. Files are read, not mapped: a file cut while it is read must not kill the reader.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
from isal import igzip, isal_zlib

from flowglass.fields.errors import CaptureMissing

STDIN: Final = "-"
_GZIP: Final = b"\x1f\x8b"
_DamagedGzip: Any = isal_zlib.error
_ZSTD: Final = b"\x28\xb5\x2f\xfd"


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


class ByteStream:
    """The bytes of one capture. Raises CaptureMissing when it cannot be opened.

    `damage`: what the decompressor said when compressed data ended or broke; bytes before it are still handed out.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.damage: str | None = None
        self.size_bytes = 0
        self._raw = raw = self._open(path)
        head = b""
        while len(head) < 4 and (more := raw.read(4 - len(head))):
            head += more
        self._counted = _Counted(head, raw)
        self._stream: Any
        if head.startswith(_GZIP):
            self._stream = igzip.IGzipFile(fileobj=io.BufferedReader(self._counted, 1 << 18), mode="rb")
        elif head == _ZSTD:
            self._stream = pa.CompressedInputStream(io.BufferedReader(self._counted, 1 << 18), "zstd")
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
            if isinstance(self._stream, pa.CompressedInputStream):
                piece = self._stream.read(len(view))
                view[: len(piece)] = piece
                return len(piece)
            return self._stream.readinto(view) or 0
        except (EOFError, OSError, pa.ArrowException, _DamagedGzip) as error:
            self.damage = str(error).splitlines()[0]
            return 0

    def close(self) -> None:
        """Close the file; standard input stays open."""
        self._raw.close()
