"""From a unit of the spool to its records, as its flow log asks for them.

Rule: the same unit gives the same records in the same order whenever it is asked, so an object that a crash took is
built again to the byte.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, Protocol

import numpy as np
import pyarrow as pa

from flowglass.deliver.merge import Merging, merged
from flowglass.deliver.rows import BASE_FIELDS, Rows, needed
from flowglass.deliver.spool.model import Share, Unit
from flowglass.deliver.temp import TempFile

_VERSION: Final = "version"


class Temps(Protocol):
    """Makes temporary files."""

    def open_temp(self) -> TempFile:
        """A new one."""
        ...


class Source(Protocol):
    """What is asked of the spool."""

    def rows(self, share: Share, columns: Sequence[str]) -> Iterator[Rows]:
        """The rows of a share, with these columns by label."""
        ...

    def stage(self) -> Temps:
        """Where files can be made."""
        ...


def rows_of(spool: Source, unit: Unit) -> Iterator[Rows]:
    """The records of a unit with its log format's columns, and BASE_FIELDS where the format has them not.

    They stream; only where windows are merged are up to merge.PARTITION_RECORDS in memory, and the others in temporary
    files of the stage. `version` is the format's. Raises what `Spool.rows` does, DestinationFull and
    DestinationUnwritable.
    """
    flow_log = unit.flow_log
    asked = [column.label for column in needed(flow_log) if column.label != _VERSION]
    records: Iterator[Rows] = (rows for share in unit.shares for rows in spool.rows(share, asked))
    if merges(unit):
        own = [column.label for column in flow_log.log_format.columns if column.label != _VERSION]
        merging = Merging(
            labels=list(dict.fromkeys([*own, *BASE_FIELDS])),
            interval_s=flow_log.interval_s,
            windows=[start_s for share in unit.shares for start_s in share.segment.windows],
            records=sum(share.records for share in unit.shares),
        )
        records = merged(records, merging, spool.stage().open_temp)
    for rows in records:
        yield _versioned(rows, unit) if _VERSION in flow_log.log_format.names else rows


def merges(unit: Unit) -> bool:
    """Whether windows of a unit are merged, for which many records are in memory at a time."""
    return any(share.segment.window_s < unit.flow_log.interval_s for share in unit.shares)


def _versioned(rows: Rows, unit: Unit) -> Rows:
    version = pa.array(np.full(rows.batch.num_rows, unit.flow_log.log_format.version, np.int32))
    return Rows(rows.batch.append_column(_VERSION, version), rows.chosen)
