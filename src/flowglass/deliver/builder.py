"""Records to delivered objects: written in the flow log's file format, named, put.

Rule: an object is one part of a period (periods.py), and its key is the one that AWS would give it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from flowglass.deliver.periods import Delivered, Namer, Part, PeriodBuilder, content_name
from flowglass.deliver.sinks import Sink
from flowglass.fields.contracts import I64, FileFormat, FinishedObject, FlowLog
from flowglass.format import ObjectFile, ParquetFile, TextFile, TextFormat, object_key

CAP_BYTES: Final = 75_000_000
"""AWS's cap of one object (the page of 2023 and the one on transit gateways)."""

MAX_BYTES: Final = CAP_BYTES * 4 // 5
"""At which an object is finished: what its writer holds back (a row group of Parquet) and the records of one more call
fit under the cap, as long as a record takes no more than 100 bytes compressed; 20 to 40 are usual."""


@dataclass(slots=True, kw_only=True)
class _Object(Part):
    """An object being written. `content_sha256` names its content once it is closed."""

    file: ObjectFile
    content_sha256: Callable[[], str]

    def abandon(self) -> None:
        """Give up what was written."""
        self.file.abandon()
        self.temp.close()


class ObjectBuilder(PeriodBuilder[_Object]):
    """Builds the objects of one flow log and hands them to a sink.

    `namer`: gives the eight hex digits of a name; `max_bytes`: the size of an object (compressed) at which it is
    finished and a further part begun.
    """

    def __init__(
        self,
        flow_log: FlowLog,
        sink: Sink,
        *,
        namer: Namer = content_name,
        max_bytes: int = MAX_BYTES,
        open_periods: int = 4,
    ) -> None:
        super().__init__(max_bytes=max_bytes, open_periods=open_periods)
        self._flow_log = flow_log
        self._sink = sink
        self._namer = namer
        self._text = TextFormat(flow_log.log_format)

    def _begin(self, end_s: int) -> _Object:
        temp = self._sink.open_temp()
        try:
            if self._flow_log.file_format is FileFormat.PARQUET:
                parquet = ParquetFile(temp, self._flow_log.log_format, self._flow_log.parquet_codec)
                return _Object(temp, end_s, end_s, file=parquet, content_sha256=temp.sha256)
            text = TextFile(temp, self._text)
            # Not the compressed bytes, which differ between compressors and their versions.
            return _Object(temp, end_s, end_s, file=text, content_sha256=text.sha256)
        except BaseException:
            temp.close()
            raise

    def _write(self, part: _Object, batch: pa.RecordBatch, _ends: I64, rows: I64 | None) -> None:
        part.file.write(batch, rows)

    def _deliver(self, part: _Object, start_s: int, number: int) -> Iterator[Delivered]:
        part.file.close()
        sha256 = part.temp.sha256()
        name = self._namer(self._flow_log, start_s, number, part.content_sha256(), sha256)
        finished = FinishedObject(
            path=str(part.temp.path),
            key=object_key(self._flow_log, start_s, name),
            sha256=sha256,
            first_end_s=part.first_end_s,
            last_end_s=part.last_end_s,
            records=part.records,
            size_bytes=part.temp.size_bytes,
        )
        created = self._sink.put(finished)
        yield Delivered(finished.key, finished.records, finished.size_bytes, created)
