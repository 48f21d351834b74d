"""Golden records of the project's own captures: they are still what the product writes, and what is right.

What the product once wrote proves only that it stays as it is. So each capture's records and its account of frames
are also held against the plain reference in `tests/support/oracle.py`.
"""

from __future__ import annotations

import csv
import ipaddress
from collections import Counter
from collections.abc import Iterator

import pytest
from scripts import make_golden
from scripts.make_golden import RECORDS, Case
from tests.support.oracle import Closed, Counts, FlowKey, Frame, Outcome, windows

from flowglass.aggregate import PointCounts
from flowglass.app.summary import PointSummary
from flowglass.capture import CaptureFile, CaptureFiles, link_type_name
from flowglass.fields.contracts import Direction, Point, Verdict
from flowglass.fields.errors import CaptureUnreadable

COMPARED = (
    "pkt-srcaddr",
    "pkt-dstaddr",
    "srcport",
    "dstport",
    "protocol",
    "packets",
    "bytes",
    "start",
    "end",
    "action",
    "type",
    "flow-direction",
    "tcp-flags",
    "x-tcp-flags",
    "x-icmp",
)
"""Fields that come from the packets alone."""

PLAIN = [case for case in make_golden.cases() if case.inventory is None]
Row = tuple[str, ...]


def golden(case: Case) -> str:
    return (RECORDS / case.name).read_text(encoding="utf-8")


@pytest.mark.parametrize("case", make_golden.cases(), ids=lambda case: case.name)
def test_records_are_what_they_were(case: Case) -> None:
    assert make_golden.records(case) == golden(case)


def test_there_is_a_file_for_each_case_and_no_other() -> None:
    assert {path.name for path in RECORDS.iterdir()} == {case.name for case in make_golden.cases()}


def reference(case: Case) -> tuple[list[Point], Outcome]:
    """The points of a capture, and what the reference makes of its frames."""
    try:
        source = CaptureFiles([CaptureFile(str(case.capture))])
    except CaptureUnreadable:
        return [], Outcome()
    frames = [
        Frame(
            block.data[row["offset"] : row["offset"] + int(row["caplen"])].tobytes(),
            ts_ns=int(row["ts_ns"]),
            wirelen=int(row["wirelen"]),
            link_type=source.points[row["point"]].link_type,
            point=int(row["point"]),
            direction=Direction(int(row["direction"])),
            verdict=Verdict(int(row["verdict"])),
            vlan=int(row["vlan"]),
        )
        for block in source
        for row in block.frames
    ]
    return source.points, windows(frames)


def rows_of(closed: Closed) -> Iterator[Row]:
    """One window's records: flows that differ in their link endpoints only are one."""
    merged: dict[tuple[object, ...], tuple[FlowKey, list[Counts]]] = {}
    for key, counts in closed.flows.items():
        same = (key.src, key.dst, key.sport, key.dport, key.protocol, key.family, key.direction, key.verdict)
        merged.setdefault(same, (key, []))[1].append(counts)
    for key, parts in merged.values():
        yield row_of(key, parts)


def row_of(key: FlowKey, parts: list[Counts]) -> Row:
    """One record, in the fields of COMPARED."""
    flags = raw = 0
    for part in parts:
        flags |= part.tcp_flags
        raw |= part.raw_flags
    icmp = parts[0].icmp
    cells = (
        address(key.src, key.family),
        address(key.dst, key.family),
        key.sport,
        key.dport,
        key.protocol,
        sum(part.packets for part in parts),
        sum(part.bytes for part in parts),
        min(part.first_ns for part in parts) // 10**9,
        max(part.last_ns for part in parts) // 10**9,
        ("-", "ACCEPT", "REJECT")[key.verdict],
        f"IPv{key.family}",
        ("-", "ingress", "egress")[key.direction],
        flags,
        raw if key.protocol == 6 else "-",
        f"{icmp >> 8}/{icmp & 255}" if key.protocol in (1, 58) else "-",
    )
    return tuple(map(str, cells))


def address(value: int, family: int) -> str:
    return str(ipaddress.IPv4Address(value & 0xFFFF_FFFF) if family == 4 else ipaddress.IPv6Address(value))


def written(case: Case) -> Counter[Row]:
    """The golden records that tell of traffic, in the fields of COMPARED."""
    lines = [line for line in golden(case).splitlines() if not line.startswith("#")]
    table = csv.DictReader(lines, delimiter=" ")
    return Counter(tuple(row[name] for name in COMPARED) for row in table if row["log-status"] == "OK")


@pytest.mark.parametrize("case", PLAIN, ids=lambda case: case.name)
def test_records_are_those_of_the_reference(case: Case) -> None:
    _, outcome = reference(case)
    assert written(case) == Counter(row for closed in outcome.closed for row in rows_of(closed))


@pytest.mark.parametrize("case", PLAIN, ids=lambda case: case.name)
def test_the_account_of_frames_is_that_of_the_reference(case: Case) -> None:
    points, outcome = reference(case)
    expected = [
        line
        for number, point in enumerate(points)
        for line in make_golden.point_lines(
            PointSummary(
                name=point.name,
                link_type=link_type_name(point.link_type),
                counts=PointCounts(
                    seen=outcome.seen[number],
                    in_flows=outcome.in_flows[number],
                    not_recorded={cause: n for (at, cause), n in outcome.not_recorded.items() if at == number},
                    without_time=outcome.without_time[number],
                    late=outcome.late[number],
                ),
            )
        )
    ]
    found = [line for line in golden(case).splitlines() if line.startswith(("# frames of", "# not recorded"))]
    refused = golden(case).startswith("#")
    assert found == ([] if refused else expected)
    assert not refused or not outcome.in_flows.total()
