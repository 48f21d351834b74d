"""Records put into a file, to be read from it slice by slice for as long as it takes.

Rule: what takes much memory to make is not held while a slow destination takes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import pyarrow as pa

from flowglass.deliver.rows import Rows
from flowglass.deliver.temp import TempFile, destination_error


@contextmanager
def spilled(records: Iterable[Rows], temp: TempFile) -> Iterator[Iterator[Rows]]:
    """The same records in the same order, out of `temp`, which is gone afterwards.

    Raises DestinationFull and DestinationUnwritable.
    """
    try:
        try:
            _write(records, temp)
            file = pa.memory_map(str(temp.path)) if temp.path.stat().st_size else None
        except OSError as error:
            raise destination_error(temp.path.parent.parent, error) from error
        if file is None:
            yield iter(())
        else:
            with file:
                yield _read(file)
    finally:
        temp.close()


def _write(records: Iterable[Rows], temp: TempFile) -> None:
    """All of the records, with the columns' types of the first."""
    iterator = iter(records)
    first = next(iterator, None)
    if first is None:
        return
    schema = first.batch.schema
    options = pa.ipc.IpcWriteOptions(compression="lz4", use_threads=False)
    with pa.OSFile(str(temp.path), "wb") as file, pa.ipc.new_stream(file, schema, options=options) as writer:
        writer.write_batch(_chosen(first))
        for rows in iterator:
            writer.write_batch(_chosen(rows).cast(schema))  # texts may be coded in one batch and not in another


def _read(file: pa.MemoryMappedFile) -> Iterator[Rows]:
    with pa.ipc.open_stream(file) as stream:
        for batch in stream:
            yield Rows(batch)


def _chosen(rows: Rows) -> pa.RecordBatch:
    return rows.batch if rows.chosen is None else rows.batch.take(rows.chosen)
