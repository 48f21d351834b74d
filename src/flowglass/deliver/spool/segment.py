"""A segment as a file: records as an Arrow IPC stream, then a trailer by which the file proves itself.

Rule: a file says all that the journal needs to know of it, so what was durable before a crash is not lost with the
journal's transaction. Its bytes are stream, SKIPDATA records, facts (JSON), two lengths, SHA-256 of all before, magic.
The IPC stream, not the IPC file, because its dictionaries may be others from batch to batch.
Source: https://arrow.apache.org/docs/format/Columnar.html#ipc-streaming-format
"""

from __future__ import annotations

import hashlib
import io
import json
import mmap
import os
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from flowglass.deliver.rows import Rows, union
from flowglass.deliver.spool import definitions
from flowglass.deliver.spool.skipdata import COMPRESSION, SkipRows, mask_name
from flowglass.deliver.temp import TempFile
from flowglass.fields.contracts import Bools, FlowLog
from flowglass.fields.errors import StateError

_MAGIC: Final = b"FLOWGLS1"
_LENGTHS: Final = struct.Struct("<II")  # of the SKIPDATA records and of the facts
_PROOF_BYTES: Final = 32 + len(_MAGIC)
_PIECE_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a segment's file says of itself.

    `recording`: random, the same in all segments of one recording; `index`: its place there; `count`: how many
    segments the recording has, None in all but one of them, as it is not known before the end; `counters`: what the
    recording counted, in that one; `flow_logs`: of the recording; `records`, `skip_records`: by flow-log id.
    """

    recording: str
    index: int
    count: int | None
    source: str
    live: bool
    period_start_s: int
    windows: tuple[int, ...]
    window_s: int
    created_ms: int
    flow_logs: tuple[FlowLog, ...]
    records: Mapping[str, int]
    skip_records: Mapping[str, int]
    counters: Mapping[str, int]

    def to_json(self) -> bytes:
        """As it stands in the file."""
        plain = asdict(replace(self, flow_logs=()))
        plain["flow_logs"] = [definitions.to_json(flow_log) for flow_log in self.flow_logs]
        return json.dumps(plain).encode()

    @classmethod
    def from_json(cls, text: bytes) -> Facts:
        """The inverse; raises StateError where another version wrote it."""
        try:
            plain = json.loads(text)
            plain["windows"] = tuple(plain["windows"])
            plain["flow_logs"] = tuple(definitions.from_json(text) for text in plain["flow_logs"])
            return cls(**plain)
        except (KeyError, ValueError, TypeError) as error:
            raise StateError(
                f"the spool has a segment that this version does not know ({error!r}); deliver it with the version "
                "that recorded it"
            ) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentFile:
    """A finished file. `name`: within its folder; `sha256`: hex digest of all its bytes; `skip`: SKIPDATA records."""

    name: str
    size_bytes: int
    sha256: str
    skip: bytes
    facts: Facts


class _Tap(io.RawIOBase):
    """The file as pyarrow sees it."""

    def __init__(self, file: TempFile) -> None:
        super().__init__()
        self._file = file

    def writable(self) -> bool:
        """Always."""
        return True

    def write(self, data: Any, /) -> int:
        """Pass on all of `data`."""
        return self._file.write(data)


class SegmentWriter:
    """Writes one segment into a temporary file, batch by batch. `facts`: with what is known at its beginning.

    Raises DestinationFull, DestinationUnwritable.
    """

    def __init__(self, temp: TempFile, facts: Facts) -> None:
        self.temp = temp
        self.facts = facts
        self._columns = union(facts.flow_logs)
        self._records = dict.fromkeys((flow_log.id for flow_log in facts.flow_logs), 0)
        self._skip = SkipRows(self._columns, self._records, facts.window_s)
        self._windows: set[int] = set()
        self._writer: Any = None

    @property
    def records(self) -> int:
        """Of all flow logs, so far."""
        return sum(self._records.values())

    def add(self, batch: pa.RecordBatch, window_start_s: int, masks: Mapping[str, Bools]) -> None:
        """Append records with the columns of `rows.union`; `masks` (n,) bool: which rows each flow log has."""
        self._windows.add(window_start_s)
        self._skip.add(batch, window_start_s, masks)
        arrays: list[Any] = batch.columns
        for flow_log, mask in masks.items():
            self._records[flow_log] += int(np.count_nonzero(mask))
            arrays.append(pa.array(mask))
        whole = pa.RecordBatch.from_arrays(arrays, names=[*batch.schema.names, *map(mask_name, masks)])
        if self._writer is None:
            # One thread: what runs beside is other recordings and deliveries.
            options = pa.ipc.IpcWriteOptions(compression=COMPRESSION, use_threads=False)
            self._writer = pa.ipc.new_stream(pa.PythonFile(_Tap(self.temp), "w"), whole.schema, options=options)
        self._writer.write_batch(whole)

    def finish(self, name: str, *, count: int | None, counters: Mapping[str, int]) -> SegmentFile:
        """Write what is left and the trailer; the file is still temporary, and not synced."""
        self._writer.close()
        skip, skip_records = self._skip.finish()
        self.facts = replace(
            self.facts,
            count=count,
            windows=tuple(sorted(self._windows)),
            records=self._records,
            skip_records=skip_records,
            counters=dict(counters),
        )
        facts = self.facts.to_json()
        self.temp.write(skip + facts + _LENGTHS.pack(len(skip), len(facts)))
        self.temp.write(bytes.fromhex(self.temp.sha256()) + _MAGIC)
        return SegmentFile(
            name=name, size_bytes=self.temp.size_bytes, sha256=self.temp.sha256(), skip=skip, facts=self.facts
        )


def proven(path: Path) -> SegmentFile | None:
    """What a file says of itself, None if it is not whole. Raises OSError; StateError if another version wrote it."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size < _PROOF_BYTES + _LENGTHS.size:
            return None
        digest, left = hashlib.sha256(), size - _PROOF_BYTES
        while piece := file.read(min(left, _PIECE_BYTES)):
            digest.update(piece)
            left -= len(piece)
        proof = file.read(_PROOF_BYTES)
        if proof != digest.digest() + _MAGIC:
            return None
        digest.update(proof)
        file.seek(size - _PROOF_BYTES - _LENGTHS.size)
        skip_bytes, facts_bytes = _LENGTHS.unpack(file.read(_LENGTHS.size))
        file.seek(-_LENGTHS.size - skip_bytes - facts_bytes, os.SEEK_CUR)
        skip, facts = file.read(skip_bytes), file.read(facts_bytes)
    return SegmentFile(
        name=path.name, size_bytes=size, sha256=digest.hexdigest(), skip=skip, facts=Facts.from_json(facts)
    )


def digest_of(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex. Raises OSError."""
    with path.open("rb", buffering=0) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def opened(path: Path, sha256: str) -> pa.Buffer | None:
    """The bytes of a file with this digest, else None; they stay when its name goes. Raises OSError."""
    with path.open("rb", buffering=0) as file:
        # Read, not mapped: of a sector that cannot be read this makes an error, and not the end of the process.
        if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
            return None
        mapped: Any = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    return pa.py_buffer(mapped)


def segment_rows(content: pa.Buffer, flow_log_id: str, labels: Sequence[str]) -> Iterator[Rows]:
    """A flow log's rows of a segment, with these columns; nothing else of it is decompressed."""
    with pa.ipc.open_stream(content) as stream:
        names = stream.schema.names
    wanted = [names.index(name) for name in (*labels, mask_name(flow_log_id))]
    options = pa.ipc.IpcReadOptions(included_fields=wanted, use_threads=False)
    with pa.ipc.open_stream(content, options=options) as stream:
        for batch in stream:
            mask: Bools = batch.column(mask_name(flow_log_id)).to_numpy(zero_copy_only=False)
            rows = batch.select(list(labels))
            if mask.all():
                yield Rows(rows)
            elif mask.any():
                yield Rows(rows, np.flatnonzero(mask))
