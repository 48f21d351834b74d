"""What crash tests record: sources of made-up records, each of which can be told from all others.

Rule: a source's records follow from its number alone, so that a process that starts anew makes the same ones, and the
oracle knows them without asking. `bytes` is a record's number.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa

from flowglass.deliver.rows import union
from flowglass.fields import DEFAULT_FORMAT
from flowglass.fields.contracts import I64, Destination, DestinationType, FileFormat, FlowLog
from flowglass.fields.schema import batch_schema

WINDOW_S: Final = 60
CAPTURE_WINDOWS: Final = 7
"""Windows of a capture: they lie in two or three periods of five minutes."""
_EVERY: Final = 100_000
"""Numbers of records that one source may use."""
_INTERFACES: Final = ("eni-0a1b2c3d4e5f60001", "eni-0a1b2c3d4e5f60002", "eni-0a1b2c3d4e5f60003")

ACCOUNT, REGION = "123456789012", "eu-west-1"
BUCKET, LOCAL_BUCKET, LOG_GROUP, STREAM = "crash-bucket", "local-bucket", "crash-group", "crash-stream"


def _flow_log(digit: int, destination: Destination, **more: Any) -> FlowLog:
    return FlowLog(
        id=f"fl-{digit:017x}",
        account=ACCOUNT,
        region=REGION,
        log_format=DEFAULT_FORMAT,
        destination=destination,
        **more,
    )


FLOW_LOGS: Final = (
    _flow_log(1, Destination(DestinationType.S3, LOCAL_BUCKET)),
    _flow_log(2, Destination(DestinationType.S3, BUCKET), file_format=FileFormat.PARQUET),
    _flow_log(3, Destination(DestinationType.S3, BUCKET), interval_s=600, hive=True),
    _flow_log(4, Destination(DestinationType.CLOUD_WATCH_LOGS, LOG_GROUP, "", ACCOUNT, REGION)),
    _flow_log(5, Destination(DestinationType.FIREHOSE, STREAM, "", ACCOUNT, REGION)),
)
"""Text in a folder, Parquet and text (of windows merged) in S3, JSON lines in a folder, and batches of a service."""

LOCAL_TEXT, PARQUET, MERGED, EVENTS, BATCHES = (flow_log.id for flow_log in FLOW_LOGS)


class Seen(NamedTuple):
    """What is compared of a record: `number` is its `bytes`."""

    number: int
    interface: str
    srcaddr: str
    srcport: int
    packets: int
    start_s: int
    end_s: int


@dataclass(frozen=True, slots=True)
class Source:
    """One live window, or one capture of several. `base_s`: of the whole run, a multiple of ten minutes."""

    number: int
    base_s: int

    @property
    def name(self) -> str:
        """What the spool knows it by."""
        return f"{'live' if self.live else 'capture'}-{self.number}"

    @property
    def live(self) -> bool:
        return self.number % 4 != 3

    @property
    def first_s(self) -> int:
        """Where its first window begins."""
        return self.base_s + self.number * WINDOW_S

    @property
    def windows(self) -> range:
        """First seconds of its windows."""
        count = 1 if self.live else CAPTURE_WINDOWS
        return range(self.first_s, self.first_s + count * WINDOW_S, WINDOW_S)

    def numbers(self, window_s: int) -> I64:
        """Numbers of the records of one of its windows."""
        place = self.windows.index(window_s)
        count = 1200 if self.number % 16 == 5 else 10 + self.number * 37 % 60
        first = self.number * _EVERY + place * count
        return np.arange(first, first + count, dtype=np.int64)


def asked(flow_log: FlowLog, numbers: I64) -> I64:
    """Which of some records a flow log has: places in `numbers`."""
    places: I64 = np.flatnonzero((numbers + FLOW_LOGS.index(flow_log)) % 5 != 0)
    return places


def batch_of(numbers: I64, window_s: int) -> pa.RecordBatch:
    """The records with these numbers, which end in one window, in the columns that the spool needs."""
    known = {
        "version": np.full(numbers.size, 2),
        "account-id": _text([ACCOUNT], np.zeros_like(numbers)),
        "interface-id": _text(_INTERFACES, numbers % 3),
        "srcaddr": _text([f"10.0.{part >> 8}.{part & 255}" for part in range(1000)], numbers % 1000),
        "dstaddr": _text(["10.1.0.1"], np.zeros_like(numbers)),
        "srcport": 1024 + numbers // 7 % 50_000,
        "dstport": np.full(numbers.size, 443),
        "protocol": np.full(numbers.size, 6),
        "packets": 1 + numbers % 99,
        "bytes": numbers,
        "start": window_s + numbers % 30,
        "end": window_s + 30 + numbers % 30,
        "action": _text(["ACCEPT"], np.zeros_like(numbers)),
        "log-status": _text(["OK"], np.zeros_like(numbers)),
        # Beside the number's own, so that no two records are one flow where windows are merged.
        "pkt-srcaddr": _text([str(number) for number in numbers.tolist()], np.arange(numbers.size)),
    }
    schema = batch_schema(union(FLOW_LOGS))
    columns: list[Any] = []
    for field in schema:
        values = known.get(field.name)
        if values is None:
            columns.append(pa.nulls(numbers.size, field.type))
        else:
            columns.append(values if isinstance(values, pa.DictionaryArray) else pa.array(values, field.type))
    return pa.RecordBatch.from_arrays(columns, names=schema.names)


def _text(values: Iterable[str], indices: I64) -> Any:
    return pa.DictionaryArray.from_arrays(pa.array(indices, pa.int32()), pa.array(list(values)))


def seen(batch: pa.RecordBatch) -> Iterator[Seen]:
    """What is compared of a batch's records."""
    names = ("bytes", "interface-id", "srcaddr", "srcport", "packets", "start", "end")
    yield from map(Seen, *(batch.column(name).to_pylist() for name in names))


def expected(flow_log: FlowLog, sources: Iterable[Source]) -> Counter[Seen]:
    """The records of some sources that a flow log must have."""
    found: Counter[Seen] = Counter()
    for source in sources:
        for window_s in source.windows:
            numbers = source.numbers(window_s)
            found.update(seen(batch_of(numbers[asked(flow_log, numbers)], window_s)))
    return found
