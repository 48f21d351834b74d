"""A spool with records that are told apart by their `bytes`, and a plain deliverer for it.

Rule: the deliverer does what the contract of the spool asks, one step after the other, and nothing else.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from flowglass.deliver import DirectorySink
from flowglass.deliver.rows import union
from flowglass.deliver.spool import Limits, Share, Spool, StagedObject, Step, Unit, Watch
from flowglass.deliver.spool.model import ignore
from flowglass.fields import LogFormat
from flowglass.fields.contracts import I64, Destination, DestinationType, FinishedObject, FlowLog

NOW_MS: Final = 1_700_000_100_000
WINDOW_S: Final = 1_700_000_100  # a multiple of 300
ALL: Final = FlowLog(
    id="fl-0000000a",
    account="123456789012",
    region="eu-west-1",
    destination=Destination(DestinationType.S3, "numbered"),
    log_format=LogFormat.of(["version", "interface-id", "srcaddr", "bytes", "start", "end", "log-status"]),
)
SOME: Final = FlowLog(
    id="fl-0000000b",
    account="123456789012",
    region="eu-west-1",
    destination=Destination(DestinationType.S3, "numbered"),
    log_format=LogFormat.of(
        ["instance-tag", "bytes", "vpc-id", "az-id", "action", "pkt-dst-aws-service"], {"instance": ["Name"]}
    ),
)
BOTH: Final = (ALL, SOME)

Number = int | None
"""A record by its `bytes`; None for SKIPDATA."""


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now_ms = NOW_MS

    def __call__(self) -> int:
        return self.now_ms


def open_spool(root: Path, clock: Clock | None = None, watch: Watch = ignore, **limits: int) -> Spool:
    """The spool in `root / "spool"`, so that manifests are beside it in `root`."""
    return Spool.open(root / "spool", now_ms=clock or Clock(), watch=watch, limits=Limits(**limits))


def files(root: Path) -> list[str]:
    """Names of the segments and staged objects of the spool that `open_spool` made."""
    return [path.name for name in ("segments", "staged") for path in (root / "spool" / name).iterdir()]


def batch(numbers: Iterable[int], window_s: int = WINDOW_S, interfaces: int = 3) -> pa.RecordBatch:
    """Records with these `bytes`, of as many owners as `interfaces`; the last is no interface but a resource."""
    ids = np.fromiter(numbers, np.int64)
    owner = ids % interfaces
    named = [f"eni-{place}" for place in range(interfaces - 1)]
    known: Mapping[str, Any] = {
        "version": np.full(ids.size, 2, np.int32),
        "interface-id": _texts(named, np.where(owner < interfaces - 1, owner, -1)),
        "resource-id": _texts(["nat-1"], np.where(owner == interfaces - 1, 0, -1)),
        "vpc-id": _texts(["vpc-1", "vpc-2"], owner % 2),
        "instance-tag[Name]": _texts([f"host-{place}" for place in range(interfaces)], owner),
        "srcaddr": pa.array([f"10.0.0.{number % 250}" for number in ids.tolist()], pa.string()),
        "bytes": ids,
        "start": np.full(ids.size, window_s + 3),
        "end": np.full(ids.size, window_s + 42),
        "action": _texts(["ACCEPT"], np.zeros_like(ids)),
        "log-status": _texts(["OK"], np.zeros_like(ids)),
    }
    labels = [column.label for column in union(BOTH)]
    nothing = _texts(["x"], np.full(ids.size, -1))
    arrays: list[Any] = [pa.array(known.get(label, nothing)) for label in labels]
    return pa.RecordBatch.from_arrays(arrays, names=labels)


def some(numbers: Sequence[int]) -> I64:
    """Which of the records flow log SOME takes: the odd numbers."""
    return np.flatnonzero(np.array(numbers, np.int64) % 2 == 1)


def record(spool: Spool, source: str, numbers: Sequence[int], *, window_s: int = WINDOW_S, live: bool = False) -> int:
    """Record one window for both flow logs."""
    recording = spool.begin(source, BOTH, window_s=60, live=live)
    try:
        recording.add(batch(numbers, window_s), window_s, {ALL.id: None, SOME.id: some(numbers)})
    except BaseException:
        recording.abandon()
        raise
    return recording.commit({"windows": 1})


def numbers_of(spool: Spool, share: Share) -> list[Number]:
    """The records of a share."""
    found: list[Number] = []
    for rows in spool.rows(share, ["bytes"]):
        column = rows.batch.column("bytes")
        found += (column if rows.chosen is None else column.take(pa.array(rows.chosen, pa.int64()))).to_pylist()
    return found


def waiting(spool: Spool) -> dict[str, list[Number]]:
    """All that waits in shares, by flow log."""
    found: dict[str, list[Number]] = {}
    for share in spool.shares():
        found.setdefault(share.flow_log.id, []).extend(numbers_of(spool, share))
    return found


def deliver(spool: Spool, unit: Unit, bucket: Path, *, parts: int = 2) -> None:
    """Deliver a unit as `parts` objects of JSON, its records by turns."""
    sink = DirectorySink(bucket)
    if unit.staged is None:
        unit = spool.staged(unit, stage(spool, unit, parts))
    for told in unit.staged or ():
        if not told.delivered:
            unit = spool.attempting(unit, told.number)
            if not sink.put(told.finished) and not told.attempts:
                raise AssertionError(f"{told.finished.key} is there, and nobody put it")
            spool.watch(Step.OBJECT_PUT)
            unit = spool.delivered(unit, told.number, place="directory")
    spool.finish(unit)


def stage(spool: Spool, unit: Unit, parts: int) -> list[StagedObject]:
    """Finish the objects of a unit."""
    numbers = [number for share in unit.shares for number in numbers_of(spool, share)]
    made = spool.stage()
    for part in range(parts):
        temp = made.open_temp()
        temp.write(json.dumps([part, numbers[part::parts]]).encode())
        made.put(
            FinishedObject(
                path=str(temp.path),
                key=f"{unit.flow_log.id}/{unit.id}-{part}",
                sha256=temp.sha256(),
                first_end_s=WINDOW_S,
                last_end_s=WINDOW_S,
                records=len(numbers[part::parts]),
                size_bytes=temp.size_bytes,
            )
        )
        temp.close()
    return [
        StagedObject(number=number, finished=finished, period_start_s=WINDOW_S)
        for number, finished in enumerate(made.objects)
    ]


def deliver_all(spool: Spool, bucket: Path) -> None:
    """Deliver every unit that was begun, then every share in a unit of its own."""
    for unit in spool.units():
        deliver(spool, unit, bucket)
    for share in spool.shares():
        deliver(spool, spool.assign([share]), bucket)


def arrived(bucket: Path, flow_log: FlowLog) -> Counter[Number]:
    """How often each record is in the objects of a flow log."""
    return Counter(number for path in (bucket / flow_log.id).glob("*") for number in json.loads(path.read_text())[1])


def renamed(told: StagedObject, key: str) -> FinishedObject:
    """An object under another key."""
    return replace(told.finished, key=key)


def _texts(values: Sequence[str], codes: I64) -> Any:
    indices = pa.array(codes, pa.int32(), mask=codes < 0)
    return pa.DictionaryArray.from_arrays(indices, pa.array(values, pa.string()))
