"""Parts alone: records as gzip text and Parquet, the flow table's size, memory of many flows.

Rule: CPU time of this process, best of a few runs after one that compiles, of what the product calls.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np

from bench import generate
from flowglass.aggregate import FlowTable
from flowglass.enrich import Enricher, Observer
from flowglass.fields import VPC_FIELDS, LogFormat, all_fields
from flowglass.fields.contracts import FLOW, FRAME, IPV4_MAPPED, LINK, FlowBatch, FrameBlock, Point
from flowglass.format import ParquetFile, TextFile, TextFormat
from flowglass.inventory import load

FLOWS: Final = 262_144
SLICE: Final = 65_536
RUNS: Final = 3
TWENTY_ONE: Final = LogFormat.of(field.name for field in VPC_FIELDS if field.version <= 3)
"""Versions 2 and 3: every one is filled for an instance's interface that a firewall judges."""

TAG_KEYS: Final = {
    "instance": ("Name", "team"),
    "network-interface": ("role", "zone"),
    "auto-scaling-group": ("group", "tier"),
}
INVENTORY: Final = """
account: "123456789012"
region: eu-west-1
vpcs: [{id: vpc-0a1b2c3d4e5f60718, cidrs: [10.0.0.0/16]}]
subnets:
  - id: subnet-0a1b2c3d4e5f60718
    vpc: vpc-0a1b2c3d4e5f60718
    cidr: 10.0.0.0/16
    zone: euw1-az1
    routes: [{to: 0.0.0.0/0, via: igw-0a1b2c3d4e5f60718}]
instances: [{id: i-0a1b2c3d4e5f60718, tags: {Name: web, team: shop}}]
interfaces:
  - id: eni-0a1b2c3d4e5f60718
    subnet: subnet-0a1b2c3d4e5f60718
    instance: i-0a1b2c3d4e5f60718
    ipv4: [10.0.0.10]
    device: eth0
    tags: {role: front, zone: a}
"""
POINTS: Final = (Point("eth0", 1),)


class Discard:
    """Takes bytes and keeps their number."""

    def __init__(self) -> None:
        self.size = 0

    def write(self, data: bytes, /) -> int:
        """Count the bytes."""
        self.size += len(data)
        return len(data)


def flows(count: int, seed: int = 1) -> FlowBatch:
    """A window's flows of one interface: `count` peers, half inbound, half outbound, all judged."""
    rng = np.random.default_rng(seed)
    rows = np.zeros(count, FLOW)
    own, other = (
        IPV4_MAPPED | 0x0A00_000A,
        np.uint64(IPV4_MAPPED) | rng.integers(1 << 30, 1 << 31, count).astype(np.uint64),
    )
    inward = np.arange(count) % 2 == 0
    rows["src_lo"], rows["dst_lo"] = np.where(inward, other, own), np.where(inward, own, other)
    ports = rng.integers(1024, 65_536, count), rng.choice(np.array([22, 80, 443, 5432]), count)
    rows["sport"], rows["dport"] = np.where(inward, *ports), np.where(inward, *ports[::-1])
    rows["protocol"], rows["family"], rows["tcp_flags"] = 6, 4, rng.choice(np.array([0, 2, 3, 19]), count)
    rows["direction"], rows["verdict"] = np.where(inward, 1, 2), rng.choice(np.array([1, 1, 1, 2]), count)
    rows["packets"] = rows["frames"] = rng.zipf(1.5, count).clip(1, 100_000)
    rows["bytes"] = rows["packets"] * rng.integers(40, 1500, count).astype(np.uint64)
    rows["first_ns"] = generate.START_S * 10**9 + rng.integers(0, 30 * 10**9, count)
    rows["last_ns"] = rows["first_ns"] + rng.integers(0, 30 * 10**9, count)
    return FlowBatch(generate.START_S, 60, 0, rows, np.zeros(1, LINK))


def best(task: Callable[[], Any]) -> float:
    """CPU seconds of the quickest of a few runs, after one that is not counted."""
    task()
    spent = []
    for _ in range(RUNS):
        begin = time.process_time()
        task()
        spent.append(time.process_time() - begin)
    return min(spent)


def records(work: Path, count: int = FLOWS) -> dict[str, float]:
    """Flows into gzip text of 21 and of 54 fields and into Parquet: microseconds a record, bytes a record."""
    inventory = work / "inventory.yaml"
    inventory.write_text(INVENTORY)
    snapshot, batch = load(inventory), flows(count)
    result: dict[str, float] = {}
    every = LogFormat.of((column.field.name for column in all_fields(TAG_KEYS).columns), TAG_KEYS)
    for log_format in (TWENTY_ONE, every):
        label = f"{len(log_format.columns)} fields"
        observer = Observer(snapshot, POINTS)
        enricher = Enricher(log_format.columns, snapshot, version=log_format.version, assume_accept=False)
        text, sink = TextFormat(log_format), Discard()

        def enriched(observer: Observer = observer, enricher: Enricher = enricher) -> list[Any]:
            seen = observer.observe(batch)
            return [enricher.records(seen, at, min(at + SLICE, count)) for at in range(0, count, SLICE)]

        made = enriched()

        def as_text(text: TextFormat = text, made: list[Any] = made, sink: Discard = sink) -> None:
            sink.size = 0
            file = TextFile(sink, text)
            for part in made:
                file.write(part)
            file.close()

        def as_parquet(log_format: LogFormat = log_format, made: list[Any] = made, sink: Discard = sink) -> None:
            sink.size = 0
            file = ParquetFile(sink, log_format)
            for part in made:
                file.write(part)
            file.close()

        before = best(enriched)
        result[f"{label}: observe and enrich, us a record"] = before / count * 1e6
        for form, task in (("gzip text", as_text), ("Parquet", as_parquet)):
            spent = best(task)
            result[f"{label}: {form}, us a record"] = spent / count * 1e6
            result[f"{label}: {form}, bytes a record"] = sink.size / count
            result[f"{label}: flows into {form}, a second"] = count / (before + spent)
    return result


def table(count: int) -> dict[str, float]:
    """The flow table with that many flows in one window: bytes a flow, CPU ns a packet that makes one."""
    flow_table = FlowTable(max_flows=count)
    flow_table.add_point(1)
    flow_table.set_edge(0, (generate.START_S + 60) * 10**9)
    flow_table.open(0, generate.START_S * 10**9, (generate.START_S + 60) * 10**9)
    packet = np.frombuffer(bytes(12) + b"\x08\0" + bytes.fromhex("4500001c0000000040110000"), np.uint8)
    step = 65_536
    data = np.zeros((step, 42), np.uint8)
    data[:, : len(packet)] = packet
    frames = np.zeros(step, FRAME)
    frames["offset"], frames["caplen"], frames["wirelen"] = np.arange(step) * 42, 42, 42
    frames["ts_ns"] = generate.START_S * 10**9
    flow_table.add(FrameBlock(data.reshape(-1), frames[:1]), 0)  # compiles
    begin = time.process_time()
    for at in range(0, count, step):
        numbers = np.arange(at, min(at + step, count), dtype=np.uint32)
        data[: len(numbers), 26:30] = numbers.astype(">u4").view(np.uint8).reshape(-1, 4)
        flow_table.add(FrameBlock(data.reshape(-1), frames[: len(numbers)]), 0)
    spent = time.process_time() - begin
    if flow_table.flows != count:
        raise ArithmeticError(f"the table holds {flow_table.flows} flows instead of {count}")
    peak_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        f"table of {count:,} flows, bytes a flow": flow_table.memory_bytes / flow_table.flows,
        f"table of {count:,} flows, MB of rows and index": flow_table.memory_bytes / 1e6,
        f"table of {count:,} flows, peak MB of the process": peak_kb / 1e3,
        f"table of {count:,} flows, ns a new flow": spent / count * 1e9,
    }
