"""One source being written into segments: a capture, or a window of a live one.

Rule: it is in the spool whole or not at all. Order of a commit, each step before the next: all bytes written, each file
synced, each renamed, the folder synced, the journal. A crash before the folder leaves files that prove nothing together
and are removed; a crash after it leaves a whole recording, which the next start takes up.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa

from flowglass.deliver.rows import union
from flowglass.deliver.spool.model import Step, Watch
from flowglass.deliver.spool.segment import Facts, SegmentFile, SegmentWriter
from flowglass.deliver.temp import TempFolder, destination_error, sync
from flowglass.fields.contracts import I64, Bools, FlowLog
from flowglass.fields.errors import LogFormatError
from flowglass.format import PERIOD_S

SUFFIX: Final = ".arrow"
"""Of segments' files."""

OPEN_SEGMENTS: Final = 16
"""How many are written at once; one more finishes the one that was written to least lately."""

Keep = Callable[[Sequence[SegmentFile], Mapping[str, int]], list[str]]
"""Takes the files of a recording, which are durable, into the journal, with what it counted; returns those that nobody
wants."""


class Recording:
    """Made by `Spool.begin`. Call `commit` or `abandon` in the end. Not for several threads at once."""

    def __init__(
        self, folder: Path, source: str, flow_logs: Sequence[FlowLog], keep: Keep, watch: Watch,
        *, window_s: int, live: bool, created_ms: int,
    ) -> None:  # fmt: skip
        nowhere = [flow_log.id for flow_log in flow_logs if flow_log.destination is None]
        if nowhere:
            raise ValueError(f"{nowhere[0]} has no destination, so nothing of it belongs in the spool")
        self._folder = folder
        self._temps = TempFolder(folder, mode=0o600)
        self._keep = keep
        self._watch = watch
        self._labels = [column.label for column in union(flow_logs)]
        self._writers: dict[int, SegmentWriter] = {}  # by period; the one that was written to last comes last
        self._files: list[SegmentFile] = []
        self._begun = 0
        self._facts = Facts(
            recording=secrets.token_hex(8), index=0, count=None, source=source, live=live, period_start_s=0, windows=(),
            window_s=window_s, created_ms=created_ms, flow_logs=tuple(flow_logs), records={}, skip_records={},
            counters={},
        )  # fmt: skip

    def add(self, batch: pa.RecordBatch, window_start_s: int, rows: Mapping[str, I64 | None]) -> None:
        """Append records of one window.

        `batch` has at least the columns of `rows.union`, by label; `rows`: by flow-log id the row numbers (k,) int64 of
        its records, all of them where None, none where it is missing. They keep the batch's order. A live recording
        has one window. Raises DestinationFull, DestinationUnwritable; LogFormatError where a column is missing.
        """
        missing = [label for label in self._labels if label not in batch.schema.names]
        if missing:
            raise LogFormatError(f"the records have no column {missing[0]}; have it computed for the spool")
        masks = {flow_log.id: _mask(batch.num_rows, rows, flow_log.id) for flow_log in self._facts.flow_logs}
        wanted: Bools = np.logical_or.reduce(list(masks.values()))
        if not wanted.any():
            return
        batch = batch.select(self._labels)
        if not wanted.all():
            batch = batch.filter(pa.array(wanted))
            masks = {flow_log_id: mask[wanted] for flow_log_id, mask in masks.items()}
        try:
            self._writer(window_start_s // PERIOD_S).add(batch, window_start_s, masks)
        except OSError as error:
            raise destination_error(self._folder, error) from error

    def commit(self, counters: Mapping[str, int] | None = None) -> int:
        """Make it durable, and return how many records it has for all flow logs together.

        `counters`: added to the spool's in the same transaction. Raises as `add`, and StateError; then nothing of it
        is in the spool.
        """
        try:
            while self._writers:
                last = len(self._writers) == 1
                self._finish(next(iter(self._writers)), counters=counters or {}, count=self._begun if last else None)
            if self._files:
                sync(self._folder)
                self._watch(Step.SEGMENT_DURABLE)
            unwanted = self._keep(self._files, counters or {})
        except OSError as error:
            self.abandon()
            raise destination_error(self._folder, error) from error
        except BaseException:
            self.abandon()
            raise
        records = sum(sum(file.facts.records.values()) for file in self._files)
        self._files = []
        self._watch(Step.RECORDING_JOURNALLED)
        self._remove(unwanted)
        return records

    def abandon(self) -> int:
        """Leave nothing of it; return how many records that were. After `commit` it does nothing."""
        records = sum(writer.records for writer in self._writers.values())
        records += sum(sum(file.facts.records.values()) for file in self._files)
        for writer in self._writers.values():
            writer.temp.close()
        self._remove(file.name for file in self._files)
        self._writers, self._files = {}, []
        return records

    def _remove(self, names: Iterable[str]) -> None:
        for name in names:
            with suppress(OSError):  # the next start removes what is left
                (self._folder / name).unlink(missing_ok=True)

    def _writer(self, period: int) -> SegmentWriter:
        writer = self._writers.pop(period, None)
        if writer is None:
            if len(self._writers) >= OPEN_SEGMENTS:
                self._finish(next(iter(self._writers)), counters={}, count=None)
            facts = replace(self._facts, index=self._begun, period_start_s=period * PERIOD_S)
            writer = SegmentWriter(self._temps.open(), facts)
            self._begun += 1
        self._writers[period] = writer
        return writer

    def _finish(self, period: int, *, counters: Mapping[str, int], count: int | None) -> None:
        """Finish a segment and give it its name, which is not durable yet."""
        writer = self._writers[period]
        file = writer.finish(f"{secrets.token_hex(8)}{SUFFIX}", count=count, counters=counters)
        self._watch(Step.SEGMENT_WRITTEN)
        sync(writer.temp.path)
        self._watch(Step.SEGMENT_SYNCED)
        writer.temp.path.rename(self._folder / file.name)
        writer.temp.close()
        del self._writers[period]
        self._files.append(file)
        self._watch(Step.SEGMENT_NAMED)


def _mask(size: int, rows: Mapping[str, I64 | None], flow_log_id: str) -> Bools:
    """(size,) bool: which rows are a flow log's."""
    if flow_log_id not in rows:
        return np.zeros(size, np.bool_)
    chosen = rows[flow_log_id]
    if chosen is None:
        return np.ones(size, np.bool_)
    mask = np.zeros(size, np.bool_)
    mask[chosen] = True
    return mask
