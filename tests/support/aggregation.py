"""Runs the aggregation kernels over the oracle's frames, and writes what comes out as the oracle does.

Rule: nothing is decided here; it only changes form.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from tests.support.oracle import Closed, Counts, FlowKey, Frame

from flowglass.aggregate import Aggregator, FlowTable, WindowClock
from flowglass.fields.contracts import (
    FRAME,
    U8,
    Direction,
    FlowBatch,
    FrameBlock,
    Point,
    Structured,
    Verdict,
    Watermark,
)


def block_of(frames: Sequence[Frame]) -> FrameBlock:
    """The frames as one block, their bytes one after the other."""
    data: U8 = np.frombuffer(b"".join(frame.data for frame in frames) + b"\0", np.uint8)
    rows: Structured = np.zeros(len(frames), FRAME)
    at = 0
    for row, frame in zip(rows, frames, strict=True):
        row["offset"] = at
        row["ts_ns"] = frame.ts_ns
        row["caplen"] = len(frame.data)
        row["wirelen"] = len(frame.data) if frame.wirelen is None else frame.wirelen
        row["point"] = frame.point
        row["vlan"] = frame.vlan
        row["gso_size"] = frame.gso_size
        row["direction"] = frame.direction
        row["verdict"] = frame.verdict
        at += len(frame.data)
    return FrameBlock(data, rows)


@dataclass(slots=True)
class Run:
    """What came out of the aggregator."""

    aggregator: Aggregator
    batches: list[FlowBatch] = field(default_factory=list)
    marks: list[Watermark] = field(default_factory=list)

    def take(self, item: FlowBatch | Watermark) -> None:
        """Keep one item."""
        if isinstance(item, FlowBatch):
            self.batches.append(item)
        else:
            self.marks.append(item)


def aggregate(
    frames: Sequence[Frame],
    link_types: Sequence[int],
    *,
    block_size: int = 1 << 14,
    clock: WindowClock | None = None,
    max_flows: int = 100_000,
    rules: object = None,
) -> Run:
    """Aggregate frames in blocks of `block_size`."""
    table = FlowTable(max_flows) if rules is None else FlowTable(max_flows, rules)
    run = Run(Aggregator(clock or WindowClock(), table))
    points = [Point(f"point-{row}", link_type) for row, link_type in enumerate(link_types)]
    for begin in range(0, len(frames), block_size):
        for item in run.aggregator.add(block_of(frames[begin : begin + block_size]), points):
            run.take(item)
    for item in run.aggregator.finish():
        run.take(item)
    return run


def closed_of(batches: Sequence[FlowBatch]) -> list[Closed]:
    """The batches as the oracle writes closed windows; slices of one window come as one each."""
    return [
        Closed(
            batch.point,
            batch.window_start_s,
            batch.window_start_s + batch.window_s,
            {_key(flow, batch): _counts(flow) for flow in batch.flows},
        )
        for batch in batches
    ]


def _key(flow: np.void, batch: FlowBatch) -> FlowKey:
    link = batch.links[flow["link"]]
    return FlowKey(
        src=int(flow["src_hi"]) << 64 | int(flow["src_lo"]),
        dst=int(flow["dst_hi"]) << 64 | int(flow["dst_lo"]),
        sport=int(flow["sport"]),
        dport=int(flow["dport"]),
        protocol=int(flow["protocol"]),
        family=int(flow["family"]),
        direction=Direction(int(flow["direction"])),
        verdict=Verdict(int(flow["verdict"])),
        src_mac=int(link["src_mac"]),
        dst_mac=int(link["dst_mac"]),
        vlan=int(link["vlan"]),
    )


def _counts(flow: np.void) -> Counts:
    return Counts(
        packets=int(flow["packets"]),
        bytes=int(flow["bytes"]),
        frames=int(flow["frames"]),
        tcp_flags=int(flow["tcp_flags"]),
        raw_flags=int(flow["raw_flags"]),
        icmp=int(flow["icmp"]),
        first_ns=int(flow["first_ns"]),
        last_ns=int(flow["last_ns"]),
    )
