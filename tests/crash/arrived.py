"""What arrived: the records at every destination, read back without the code under test.

Rule: text and JSON are split here, Parquet is read by PyArrow alone. Nothing is left out: what is no record of a flow
log, and what no record should be in, is an error.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import itertools
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pyarrow.parquet
from tests.crash.traffic import BATCHES, BUCKET, EVENTS, FLOW_LOGS, LOCAL_BUCKET, LOG_GROUP, Seen

_SKIPPED: Final = "SKIPDATA"


@dataclass(frozen=True, slots=True)
class Arrived:
    """By flow log id: how often each record is there; `skipped`: how many records say that others were given up."""

    records: dict[str, Counter[Seen]] = field(default_factory=lambda: {each.id: Counter() for each in FLOW_LOGS})
    skipped: Counter[str] = field(default_factory=Counter)

    def add(self, flow_log_id: str, found: Iterable[Seen | None]) -> None:
        """Count what was found; None for a record that says that others were given up."""
        for seen in found:
            if seen is None:
                self.skipped[flow_log_id] += 1
            else:
                self.records[flow_log_id][seen] += 1


class Store:
    """All destinations of a run. `data`: DATA of the process; `s3`, `firehose`: clients that may do everything in
    `BUCKET`, which is another one at each of the two: the second is where the delivery stream puts its records.
    """

    def __init__(self, data: Path, s3: Any, firehose: Any) -> None:
        self._data, self._s3, self._firehose = data, s3, firehose

    def empty(self) -> None:
        """Remove what an earlier run left in the buckets."""
        for client in (self._s3, self._firehose):
            for key in _keys(client):
                client.delete_object(Bucket=BUCKET, Key=key)

    def read(self) -> Arrived:
        """Every record that is at a destination."""
        found = Arrived()
        for key, content in self.objects():
            flow_log_id = next(each.id for each in FLOW_LOGS if each.id in key)
            found.add(flow_log_id, _records(key, content))
        for path in _files(self._data / "logs" / LOG_GROUP):
            found.add(EVENTS, _messages(path.read_bytes()))
        for key in _keys(self._firehose):
            found.add(BATCHES, _messages(_content(self._firehose, key)))
        return found

    def digests(self) -> Iterator[str]:
        """SHA-256 of every file of every destination but the delivery stream."""
        events = (path.read_bytes() for path in _files(self._data / "logs" / LOG_GROUP))
        for content in itertools.chain(events, (content for _, content in self.objects())):
            yield hashlib.sha256(content).hexdigest()

    def objects(self) -> Iterator[tuple[str, bytes]]:
        """Keys and contents of all flow-log objects."""
        for path in _files(self._data / "s3" / LOCAL_BUCKET):
            yield str(path), path.read_bytes()
        for key in _keys(self._s3):
            yield key, _content(self._s3, key)


def _keys(client: Any) -> Iterator[str]:
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET):
        for listed in page.get("Contents", ()):
            yield listed["Key"]


def _content(client: Any, key: str) -> bytes:
    content: bytes = client.get_object(Bucket=BUCKET, Key=key)["Body"].read()
    return content


def _messages(lines: bytes) -> Iterator[Seen | None]:
    """JSON lines, each with a record as its message."""
    return _text(json.loads(line)["message"] for line in lines.splitlines())


def _files(folder: Path) -> Iterator[Path]:
    """Finished files; unfinished ones are in a folder of their own."""
    return (path for path in folder.rglob("*") if path.is_file() and path.parent.name != ".partial")


def _records(key: str, content: bytes) -> Iterator[Seen | None]:
    if key.endswith(".gz"):
        yield from _text(gzip.decompress(content).decode().splitlines()[1:])
        return
    table = pyarrow.parquet.read_table(io.BytesIO(content))
    names = ("log_status", "bytes", "interface_id", "srcaddr", "srcport", "packets", "start", "end")
    for status, *seen in zip(*(table.column(name).to_pylist() for name in names), strict=True):
        yield None if status == _SKIPPED else Seen(*seen)


def _text(lines: Iterable[str]) -> Iterator[Seen | None]:
    """Lines of AWS's default format: version account interface src dst sport dport protocol packets bytes start end
    action status.
    """
    for line in lines:
        parts = line.split(" ")
        if parts[13] == _SKIPPED:
            yield None
            continue
        yield Seen(int(parts[9]), parts[2], parts[3], int(parts[5]), int(parts[8]), int(parts[10]), int(parts[11]))
