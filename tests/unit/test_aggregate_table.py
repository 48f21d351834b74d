"""The flow table at its limits: link endpoints beyond their table, memory a flow, early drains, offloaded frames."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np
import pytest
from tests.support import frames as link
from tests.support import packets as ip
from tests.support.aggregation import Run, aggregate, block_of, closed_of
from tests.support.oracle import Closed, Frame, windows

from flowglass.aggregate import Aggregator, FlowTable, WindowClock
from flowglass.fields.contracts import FRAME, FlowBatch, FrameBlock, Point

NS = 1_000_000_000
ETHERNET = [Point("eth0", link.ETHERNET)]
PAIRS = 70_000
PLACES = 65_536 - 2
SOURCE = 14 + 12
"""Place of an IPv4 source address in an Ethernet frame."""
UDP = ip.ipv4("10.0.0.1", "10.0.0.2", ip.UDP, ip.udp(1, 2, b"x"))


def totals(closed: list[Closed]) -> dict[tuple[int, object], tuple[int, int, int]]:
    """Packets, bytes and frames by window and flow, over further records of a window."""
    sums: defaultdict[tuple[int, object], Counter[str]] = defaultdict(Counter)
    for window in closed:
        for key, counts in window.flows.items():
            sums[window.start_s, key].update(packets=counts.packets, bytes=counts.bytes, frames=counts.frames)
    return {key: (total["packets"], total["bytes"], total["frames"]) for key, total in sums.items()}


def many(template: bytes, place: int, count: int) -> FrameBlock:
    """A block of copies of a frame; at `place` each has its number, in four bytes of network order."""
    rows = np.tile(np.frombuffer(template, np.uint8), (count, 1))
    rows[:, place : place + 4] = np.arange(count, dtype=">u4").view(np.uint8).reshape(-1, 4)
    frames = np.zeros(count, FRAME)
    frames["offset"] = np.arange(count, dtype=np.int64) * len(template)
    frames["caplen"] = frames["wirelen"] = len(template)
    return FrameBlock(rows.reshape(-1), frames)


@pytest.fixture(scope="module")
def run() -> Run:
    """70,000 pairs of MAC addresses in one window."""
    block = many(link.ethernet(UDP), 8, PAIRS)
    run = Run(Aggregator(WindowClock(), FlowTable(200_000)))
    for item in [*run.aggregator.add(block, ETHERNET), *run.aggregator.finish()]:
        run.take(item)
    return run


class TestLinkEndpoints:
    """The table of link endpoints is bounded: those that find no place share row 1 and are counted."""

    def test_overflow_is_counted(self, run: Run) -> None:
        assert run.aggregator.link_overflow == PAIRS - PLACES
        counts = run.aggregator.counts(0)
        assert counts.seen == counts.in_flows == PAIRS

    def test_overflow_shares_one_row_without_addresses(self, run: Run) -> None:
        (batch,) = run.batches
        assert batch.mixed_links
        assert len(batch.flows) == PLACES + 1
        assert int(batch.flows["packets"].sum()) == PAIRS
        (shared,) = batch.flows[batch.flows["link"] == 1]
        assert int(shared["packets"]) == PAIRS - PLACES
        assert batch.links[1]["src_mac"] == batch.links[1]["dst_mac"] == 0

    def test_others_keep_their_addresses(self, run: Run) -> None:
        (batch,) = run.batches
        own = batch.flows[batch.flows["link"] != 1]
        base = int.from_bytes(link.mac_bytes(link.MAC_A)[:2], "big") << 32
        assert batch.links[own["link"]]["src_mac"].tolist() == [base + number for number in range(PLACES)]


class TestMemory:
    """Memory is at most 116 bytes a flow, and early drains lose nothing."""

    def test_bytes_a_flow(self) -> None:
        flows = 200_000
        block = many(link.ethernet(UDP), SOURCE, flows)
        table = FlowTable(1_000_000)
        assert not any(isinstance(item, FlowBatch) for item in Aggregator(WindowClock(), table).add(block, ETHERNET))
        assert table.flows == flows
        assert table.memory_bytes / flows <= 116

    def test_memory_of_a_drained_table_is_used_again(self) -> None:
        table = FlowTable(200_000)
        aggregator = Aggregator(WindowClock(), table)
        held = []
        for minute in range(6):
            block = many(link.ethernet(UDP), SOURCE, 40_000)
            block.frames["ts_ns"] = minute * 60 * NS
            for _ in aggregator.add(block, ETHERNET):
                pass
            held.append(table.memory_bytes)
        assert held[0] < held[1] == held[5]
        assert (aggregator.flows_out, aggregator.early_drains) == (4 * 40_000, 0)

    @pytest.mark.parametrize("max_flows", [1, 7, 1000])
    def test_early_drains(self, max_flows: int) -> None:
        frames = [
            Frame(
                link.ethernet(ip.ipv4("10.0.0.1", "10.0.0.2", ip.UDP, ip.udp(1, number % 1201, b"x"))),
                ts_ns=(number // 1500) * 60 * NS,
            )
            for number in range(4500)
        ]
        run = aggregate(frames, [link.ETHERNET], max_flows=max_flows)
        counts = run.aggregator.counts(0)
        assert run.aggregator.early_drains > 0
        assert max(len(batch.flows) for batch in run.batches) <= max_flows
        assert counts.seen == counts.in_flows == run.aggregator.frames_out == 4500
        assert run.aggregator.flows_out == sum(len(batch.flows) for batch in run.batches)
        assert totals(closed_of(run.batches)) == totals(windows(frames).closed)

    def test_no_early_drain_while_all_fit(self) -> None:
        frames = [Frame(link.ethernet(UDP), ts_ns=number * NS) for number in range(50)]
        assert aggregate(frames, [link.ETHERNET], max_flows=1).aggregator.early_drains == 0


class TestOffload:
    """An offloaded frame counts as the packets that are on the wire; the frames seen stay a second counter."""

    @pytest.mark.parametrize("gso_size", [0, 1, 100, 536, 1447, 1448, 1449, 4343, 4344, 65_535])
    def test_segments_equal_the_oracle(self, gso_size: int) -> None:
        payload = bytes(4344)
        segment = ip.tcp(443, 50_000, ip.ACK, payload, options=bytes(12))
        packets = [
            ip.ipv4("10.0.0.1", "10.0.0.2", ip.TCP, segment),
            ip.ipv4("10.0.0.1", "10.0.0.2", ip.TCP, segment, options=bytes(8)),
            ip.ipv4("10.0.0.1", "10.0.0.3", ip.TCP, segment, total_length=0),
            ip.ipv6("2001:db8::1", "2001:db8::2", ip.TCP, segment),
            ip.ipv6("2001:db8::1", "2001:db8::3", ip.TCP, segment, extensions=(ip.hop_by_hop(),)),
            ip.ipv6("2001:db8::1", "2001:db8::4", ip.UDP, ip.udp(443, 50_000, payload)),
            ip.ipv4("10.0.0.1", "10.0.0.4", ip.UDP, ip.udp(443, 50_000, payload)),
        ]
        frames = [Frame(link.ethernet(packet), ts_ns=NS, gso_size=gso_size) for packet in packets]
        run = aggregate(frames, [link.ETHERNET])
        assert closed_of(run.batches) == windows(frames).closed

    def test_a_super_frame_by_hand(self) -> None:
        segment = ip.tcp(443, 50_000, ip.ACK, bytes(3000))
        frame = Frame(link.ethernet(ip.ipv4("10.0.0.1", "10.0.0.2", ip.TCP, segment)), ts_ns=NS, gso_size=1460)
        (batch,) = aggregate([frame], [link.ETHERNET]).batches
        (flow,) = batch.flows
        assert (int(flow["packets"]), int(flow["bytes"]), int(flow["frames"])) == (3, 3000 + 3 * 40, 1)


def test_a_frame_without_bytes_is_counted() -> None:
    run = aggregate([Frame(b"", ts_ns=NS), Frame(link.ethernet(UDP), ts_ns=NS)], [link.ETHERNET])
    counts = run.aggregator.counts(0)
    assert (counts.seen, counts.in_flows, sum(counts.not_recorded.values())) == (2, 1, 1)


def test_discard_tells_what_it_forgets() -> None:
    run = Run(Aggregator(WindowClock(), FlowTable(100)))
    frames = [Frame(link.ethernet(UDP), ts_ns=NS), Frame(link.ethernet(UDP), ts_ns=61 * NS)] * 3
    for item in run.aggregator.add(block_of(frames), ETHERNET):
        run.take(item)
    assert run.batches == []
    assert run.aggregator.discard() == (2, 6)
