"""Many records by a hash of their flows, in files of their own, so that each part fits into memory.

Rule: all records of a flow are in one part, and in the order in which they came. A single part needs no file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute

from flowglass.deliver.temp import TempFile, destination_error
from flowglass.fields.contracts import I64, U64

Array = Any
"""An Arrow array; pyarrow-stubs cannot say of which type one is."""

_compute: Any = pa.compute

_MIX: Final = 0x9E37_79B9_7F4A_7C15
"""An odd number with its bits well spread: 2^64 divided by the golden ratio."""


class Partitions:
    """Made of records with addresses and ports. The files are gone when the stack is left.

    Raises DestinationFull and DestinationUnwritable.
    """

    def __init__(self, count: int, open_temp: Callable[[], TempFile], stack: ExitStack) -> None:
        self._count = count
        self._open_temp = open_temp
        self._stack = stack
        self._schema: pa.Schema | None = None
        self._kept: list[pa.RecordBatch] = []
        self._files: list[_PartitionFile] = []

    def add(self, batch: pa.RecordBatch) -> None:
        """Take some records."""
        self._schema = self._schema or batch.schema
        batch = batch.cast(self._schema)  # texts may be coded in one segment and not in another
        if self._count <= 1:
            self._kept.append(batch)
            return
        while len(self._files) < self._count:
            self._files.append(_PartitionFile(self._open_temp(), self._schema, self._stack))
        partition = _hashed(batch) % np.uint64(self._count)
        for number, file in enumerate(self._files):
            file.add(batch.take(np.flatnonzero(partition == number)))

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Each partition that has records, whole."""
        if self._kept:
            yield joined(self._kept)
        for file in self._files:
            batches = file.read()
            if batches:
                yield joined(batches)


class _PartitionFile:
    """The records of one partition, in a file that is gone when the stack is left."""

    def __init__(self, temp: TempFile, schema: pa.Schema, stack: ExitStack) -> None:
        stack.callback(temp.close)
        self._path = temp.path
        self._file = stack.enter_context(pa.OSFile(str(temp.path), "wb"))
        self._writer = pa.ipc.new_stream(self._file, schema, options=pa.ipc.IpcWriteOptions(compression="lz4"))

    def add(self, batch: pa.RecordBatch) -> None:
        """Append some records."""
        with self._errors():
            if batch.num_rows:
                self._writer.write_batch(batch)

    def read(self) -> list[pa.RecordBatch]:
        """All of them; nothing can be added afterwards."""
        with self._errors():
            self._writer.close()
            self._file.close()
            with pa.memory_map(str(self._path)) as file:
                return list(pa.ipc.open_stream(file))

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise destination_error(self._path.parent.parent, error) from error


def joined(batches: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    """The batches as one, each text once in its dictionary."""
    (batch,) = pa.Table.from_batches(batches).unify_dictionaries().combine_chunks().to_batches()
    return batch


def integers(column: Array, null: int = 0) -> I64:
    """(n,) the numbers, `null` where there is none."""
    numbers: I64 = column.cast(pa.int64()).fill_null(null).to_numpy(zero_copy_only=False)
    return numbers


def _hashed(batch: pa.RecordBatch) -> U64:
    """(n,) of addresses and ports; no two rows of a flow differ."""
    mixed: U64 = np.zeros(batch.num_rows, np.uint64)
    for name in ("srcaddr", "dstaddr"):
        texts = batch.column(name).cast(pa.string()).fill_null("")
        longest = _compute.max(_compute.binary_length(texts)).as_py()
        words = longest // 8 + 1
        # Padded with zeros, which add nothing to the sum, so that it does not matter what else the batch has.
        padded = _compute.ascii_rpad(texts, words * 8, padding="\0")
        eights = np.frombuffer(padded.buffers()[2], np.uint64)[: words * batch.num_rows].reshape(-1, words)
        mixed = mixed * _MIX + (eights * (_MIX ** np.arange(1, words + 1, dtype=np.uint64))).sum(
            axis=1, dtype=np.uint64
        )
    for name in ("srcport", "dstport"):
        mixed = mixed * _MIX + integers(batch.column(name)).astype(np.uint64)
    mixed ^= mixed >> np.uint64(32)
    mixed *= _MIX
    return mixed >> np.uint64(32)
