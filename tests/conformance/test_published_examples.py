"""Published flow-log records, to the letter, from frames.

Each scene writes an inventory and a pcapng capture whose packets add up to the published lines, and runs the rooms
over them with the example's own cut times.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from tests.support import frames as link
from tests.support import packets as ip
from tests.support import pcapfile as file
from tests.support.pcapfile import NS, Packet
from tests.support.published import BY_MAC, MASKED, PUBLISHED, SCENES, V2, Scene, Seen
from tests.support.published_networks import IP_RANGES, QUIET

from flowglass.aggregate import Aggregator, FlowTable, WindowClock
from flowglass.capture import CaptureFile, CaptureFiles
from flowglass.enrich import Enricher, Observer, Presence
from flowglass.fields import DEFAULT_FORMAT, LogFormat
from flowglass.fields.contracts import FlowBatch
from flowglass.format import TextFormat
from flowglass.inventory import Snapshot, load

PLAIN = {"protocol": "6", "srcport": "40000", "dstport": "443", "packets": "3", "bytes": "156", "tcp-flags": "2"}
"""What a format leaves out: cells of a flow that nothing is published of."""
TIMES = {"start": "1566848875", "end": "1566848933"}
VERDICTS = {"ACCEPT": file.tc_verdict(0), "REJECT": file.tc_verdict(2)}


@dataclass(frozen=True, slots=True)
class Captured:
    """A packet in the capture."""

    packet: Packet
    device: str
    direction: int | None
    verdict: bytes


def split(total: int, parts: int) -> list[int]:
    """`parts` whole numbers that differ by at most one and add up to `total`."""
    low, more = divmod(total, parts)
    return [low + 1] * more + [low] * (parts - more)


@lru_cache(maxsize=64)
def ip_packet(src: str, dst: str, transport: tuple[int, ...], size: int, flags: int) -> bytes:
    """An IP packet of `size` bytes. `transport`: protocol, ports, ICMP type."""
    protocol, sport, dport, kind = transport
    build, header = (ip.ipv6, 40) if ":" in src else (ip.ipv4, 20)
    if protocol == ip.ICMP:
        return build(src, dst, protocol, ip.icmp(kind, 0, bytes(size - header - 8)))
    assert protocol == ip.TCP
    return build(src, dst, protocol, ip.tcp(sport, dport, flags, bytes(size - header - 20)))


def flags_of(number: int, count: int, published: int) -> int:
    """TCP flags of one packet of a flow whose OR is as published once lone ACKs are dropped."""
    if number == 0 and published & ip.SYN:
        return published & (ip.SYN | ip.ACK)
    closes = number == count - 1 and published & ip.FIN
    return ip.ACK | (ip.FIN if closes else ip.PSH)


def packets_of(scene: Scene, seen: Seen) -> Iterator[Captured]:
    """The packets of a published line: as many as it says, the first and the last in its seconds."""
    cells = {**PLAIN, **TIMES, **scene.cells(seen.line)}
    src, dst = (cells.get(f"pkt-{name}", cells[name]) for name in ("srcaddr", "dstaddr"))
    transport = (*(int(cells[name]) for name in ("protocol", "srcport", "dstport")), seen.icmp)
    start_ns, end_ns, count = int(cells["start"]) * NS, int(cells["end"]) * NS, int(cells["packets"])
    for number, size in enumerate(split(int(cells["bytes"]), count)):
        flags = flags_of(number, count, int(cells["tcp-flags"]))
        frame = link.ethernet(ip_packet(src, dst, transport, size, flags), src=seen.macs[0], dst=seen.macs[1])
        at_ns = start_ns + (end_ns - start_ns) * number // max(count - 1, 1) + NS // 4
        yield Captured(Packet(frame, at_ns), seen.device, seen.direction, VERDICTS[cells.get("action", "ACCEPT")])


def write_capture(path: Path, captured: list[Captured], devices: list[str]) -> None:
    """A pcapng file with one interface a device, in order of time."""
    captured.sort(key=lambda one: one.packet.ts_ns)
    blocks = [file.section(), *(file.interface(name=device) for device in devices)]
    blocks += [
        file.enhanced(one.packet, devices.index(one.device), direction=one.direction, verdict=one.verdict)
        for one in captured
    ]
    path.write_bytes(b"".join(blocks))


def write_inventory(folder: Path, text: str) -> Snapshot:
    """The snapshot of an inventory that the test writes."""
    (folder / "ip-ranges.json").write_text(json.dumps(IP_RANGES), encoding="utf-8")
    path = folder / "inventory.yaml"
    path.write_text(text, encoding="utf-8")
    return load(path)


def batches_of(path: Path, clock: WindowClock) -> tuple[CaptureFiles, list[FlowBatch]]:
    """The flows of a capture by window."""
    source = CaptureFiles([CaptureFile(str(path))])
    aggregator = Aggregator(clock, FlowTable(1000))
    items = [item for block in source for item in aggregator.add(block, source.points)]
    items += aggregator.finish()
    return source, [item for item in items if isinstance(item, FlowBatch)]


def enricher_of(log_format: LogFormat, snapshot: Snapshot) -> Enricher:
    return Enricher(log_format.columns, snapshot, version=log_format.version, assume_accept=False)


def recorded(scene: Scene, folder: Path) -> list[str]:
    """The lines that the rooms write of a scene."""
    cells = [{**TIMES, **scene.cells(seen.line)} for seen in scene.captured()]
    cuts = min(int(cell["start"]) for cell in cells), max(int(cell["end"]) for cell in cells) + 1
    snapshot = write_inventory(folder, scene.inventory)
    captured = [one for seen in scene.captured() for one in packets_of(scene, seen)]
    write_capture(folder / "capture.pcapng", captured, sorted({one.device for one in captured}))
    source, batches = batches_of(folder / "capture.pcapng", WindowClock(60, cuts))
    observer = Observer(snapshot, source.points)
    log_format = LogFormat.of(scene.fields.split())
    enricher, text = enricher_of(log_format, snapshot), TextFormat(log_format)
    lines: list[str] = []
    for batch in batches:
        assert (batch.window_start_s, batch.window_start_s + batch.window_s) == cuts
        seen = observer.observe(batch)
        lines += text.lines(enricher.records(seen, 0, len(seen.flows))).decode().splitlines()
    return lines


@pytest.mark.parametrize("scene", [*SCENES, *BY_MAC], ids=lambda scene: f"EX-{scene.first:02} {scene.name}")
def test_a_published_example_is_reproduced(scene: Scene, tmp_path: Path) -> None:
    assert sorted(recorded(scene, tmp_path)) == sorted(scene.expected())


def test_ex03_an_interface_without_traffic_and_ex04_one_whose_records_were_lost(tmp_path: Path) -> None:
    """What comes from traffic, the NODATA of a window, is decided by `Presence`; no file tells of lost records."""
    (nodata,), (skipdata,) = PUBLISHED["EX-03"], PUBLISHED["EX-04"]
    published = dict(zip(V2.split(), nodata.split(), strict=True))
    start_s, stop_s = int(published["start"]), int(published["end"]) + 1
    snapshot = write_inventory(tmp_path, QUIET)
    packet = ip_packet("203.0.113.5", "172.31.16.22", (ip.TCP, 40_000, 443, 0), 40, ip.SYN)
    neighbour = Captured(Packet(link.ethernet(packet), (start_s + 30) * NS), "eth0", None, VERDICTS["ACCEPT"])
    write_capture(tmp_path / "capture.pcapng", [neighbour], ["quiet0", "eth0"])
    source, (batch,) = batches_of(tmp_path / "capture.pcapng", WindowClock(60, (start_s, stop_s)))
    presence = Presence(snapshot, source.points, stop_s - start_s)
    seen = Observer(snapshot, source.points).observe(batch)
    presence.saw(batch.window_start_s, np.unique(seen.interface))
    ((window_start_s, quiet),) = presence.finish()
    enricher, text = enricher_of(DEFAULT_FORMAT, snapshot), TextFormat(DEFAULT_FORMAT)
    written = text.lines(enricher.status_records(window_start_s, batch.window_s, quiet))
    assert written.decode() == nodata + "\n"
    lost = enricher.status_records(window_start_s, batch.window_s, np.unique(seen.interface), "SKIPDATA")
    assert text.lines(lost).decode() == skipdata + "\n"


def test_every_published_example_is_there() -> None:
    covered = {3, 4} | {number for scene in SCENES for number in range(scene.first, scene.last + 1)}
    assert covered == set(range(1, 33))
    assert {f"EX-{scene.first:02}" for scene in SCENES} | {"EX-03", "EX-04"} == set(PUBLISHED)


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: f"EX-{scene.first:02}")
def test_nothing_but_masked_ids_and_what_packets_cannot_tell_was_changed(scene: Scene) -> None:
    cannot = {31: {"start", "end"}, 32: {"encryption-status"}}.get(scene.first, set())
    for published, ours in zip(scene.lines, scene.expected(), strict=True):
        cells = zip(scene.fields.split(), published.split(" "), ours.split(" "), strict=True)
        changed = {name: (was, now) for name, was, now in cells if was != now and name not in cannot}
        assert all(MASKED[was] == now for was, now in changed.values()), changed
