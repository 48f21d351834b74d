"""Enrich: observations to Arrow record batches, and the status records of windows without them.

Rule: one producer a field (producers.py); a field that this system cannot know is null.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pyarrow as pa

from flowglass.enrich.columns import REPEATING, Array, all_null, texts
from flowglass.enrich.context import Slice
from flowglass.enrich.observe import Observations
from flowglass.enrich.producers import PRODUCERS
from flowglass.enrich.properties import Properties
from flowglass.fields import Column, FieldType, Origin
from flowglass.fields.contracts import FLOW, I32, Bools, TrafficType, Verdict
from flowglass.fields.schema import arrow_type
from flowglass.inventory import Snapshot

_ADDRESSES: Final = ("srcaddr", "dstaddr", "pkt-srcaddr", "pkt-dstaddr")  # texts that seldom repeat
_OF_THE_INTERFACE: Final = (Origin.INTERFACE, Origin.FLOWLOG)
_STATUSES: Final = ("NODATA", "SKIPDATA")


class Enricher:
    """Computes columns for one snapshot.

    `columns`: the union of what the flow logs ask for; `version`: what the field `version` prints;
    `assume_accept`: a flow that nothing judged counts as accepted. Texts are dictionary arrays, but
    addresses, which are strings.
    """

    def __init__(self, columns: tuple[Column, ...], snapshot: Snapshot, *, version: int, assume_accept: bool) -> None:
        self.columns = columns
        self.schema = pa.schema([pa.field(column.label, _arrow_type(column)) for column in columns])
        self._snapshot = snapshot
        self._properties = Properties(snapshot.interfaces)
        self._version = version
        self._assume_accept = assume_accept

    def records(self, observations: Observations, start: int, stop: int) -> pa.RecordBatch:
        """The records of observations [start, stop), one each, in order. Ask for up to 64 k at a time."""
        part = Slice(
            flows=observations.flows[start:stop],
            interface=observations.interface[start:stop],
            direction=observations.direction[start:stop],
            snapshot=self._snapshot,
            properties=self._properties,
            version=self._version,
            assume_accept=self._assume_accept,
        )
        arrays = [
            all_null(column.field.type, len(part))
            if column.field.origin is Origin.ABSENT
            else PRODUCERS[column.field.name](part, column)
            for column in self.columns
        ]
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)

    def status_records(
        self, window_start_s: int, window_s: int, interfaces: I32, status: str = "NODATA"
    ) -> pa.RecordBatch:
        """One record an interface that says NODATA or SKIPDATA of a window, in the schema of `records`.

        What is a property of the interface is filled, `start` and `end` are the window's first and last
        second, everything from traffic is null. `interfaces`: (k,) int32 rows of the snapshot's
        interfaces.
        """
        part = Slice(
            flows=np.zeros(len(interfaces), FLOW),
            interface=np.ascontiguousarray(interfaces, np.int32),
            direction=np.zeros(len(interfaces), np.uint8),
            snapshot=self._snapshot,
            properties=self._properties,
            version=self._version,
            assume_accept=False,
        )
        filled = {
            "start": _constant(window_start_s, len(part)),
            "end": _constant(window_start_s + window_s - 1, len(part)),
            "log-status": texts(np.full(len(part), _STATUSES.index(status), np.int32), pa.array(_STATUSES)),
        }
        arrays = [_status_column(part, column, filled) for column in self.columns]
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)


def traffic_mask(observations: Observations, traffic_type: TrafficType, *, assume_accept: bool) -> Bools:
    """(k,) bool: the observations for flow logs of this traffic type; what nothing judged is for ALL only."""
    verdict = observations.flows["verdict"]
    result: Bools
    if traffic_type is TrafficType.ALL:
        result = np.ones(len(verdict), np.bool_)
    elif traffic_type is TrafficType.REJECT:
        result = verdict == Verdict.REJECT
    else:
        result = verdict == Verdict.ACCEPT
        if assume_accept:
            result |= verdict == Verdict.UNKNOWN
    return result


def _status_column(part: Slice, column: Column, filled: dict[str, Array]) -> Array:
    field = column.field
    if field.name in filled:
        return filled[field.name]
    if field.origin in _OF_THE_INTERFACE:
        return PRODUCERS[field.name](part, column)
    if field.name in _ADDRESSES:
        return pa.nulls(len(part), pa.string())
    return all_null(field.type, len(part))


def _constant(value: int, rows: int) -> Array:
    return pa.array(np.full(rows, value, np.int64))


def _arrow_type(column: Column) -> pa.DataType:
    repeats = column.field.type is FieldType.STRING and column.field.name not in _ADDRESSES
    return REPEATING if repeats else arrow_type(column.field)
