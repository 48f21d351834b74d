"""Windows merged, against plain Python."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any, Final

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.examples import examples
from tests.support.merging import MemorySpool, longer_windows, records_of, spool_batch
from tests.support.records import TAG_KEYS, flow_log

from flowglass.deliver.assemble import rows_of
from flowglass.deliver.merge import PARTITION_RECORDS
from flowglass.deliver.rows import Rows
from flowglass.deliver.spool.model import Unit
from flowglass.fields import EXTENSION_FIELDS, LogFormat, all_fields

BASE_S: Final = 1_600_000_200  # a multiple of 600
EVERYTHING: Final = LogFormat((*all_fields(TAG_KEYS).columns, *LogFormat.of(f.name for f in EXTENSION_FIELDS).columns))
LOG: Final = flow_log(EVERYTHING, interval_s=600)
OWNERS: Final = st.sampled_from((("eni-1", None), ("eni-2", None), (None, "nat-1"), ("eni-1", "nat-1")))
ADDRESSES: Final = st.sampled_from(("10.0.0.1", "10.0.0.2", "10.0.0.21", "2001:db8::1", None))
SMALL: Final = st.integers(0, 3)


KEYS: Final = st.fixed_dictionaries(
    {
        "owner": OWNERS,
        "srcaddr": ADDRESSES,
        "dstaddr": ADDRESSES,
        "srcport": st.sampled_from((0, 65_535, None)),
        "dstport": st.sampled_from((0, 22)),
        "protocol": st.sampled_from((1, 6, 17)),
        "action": st.sampled_from(("ACCEPT", "REJECT", None)),
        "flow-direction": st.sampled_from(("ingress", None)),
        "pkt-srcaddr": ADDRESSES,
        "pkt-dstaddr": ADDRESSES,
        "x-verdict-source": st.sampled_from(("capture", None)),
    }
)
"""What tells flows apart."""

VALUES: Final = st.fixed_dictionaries(
    {
        "packets": st.one_of(SMALL, st.just(2**59)),
        "bytes": SMALL,
        "vpc-id": st.sampled_from(("vpc-1", "vpc-2", None)),
        "tcp-flags": st.sampled_from((0, 1, 2, 4, 18)),
        "traffic-path": st.sampled_from((1, 8, None)),
        "instance-tag[Name]": st.sampled_from(("old", "new", None)),
        "x-tcp-flags": st.integers(0, 255),
        "x-icmp": st.sampled_from(("8/0", "0/0", "3/1")),
    }
)
"""What is not the same in all windows."""


@st.composite
def windows(draw: st.DrawFn, keys: list[dict[str, Any]], window_s: int) -> list[dict[str, Any]]:
    """Records of one window: flows, and what interfaces without any say."""
    records = []
    for key in draw(st.lists(st.sampled_from(keys), max_size=8)):
        start = window_s + draw(st.integers(0, 59))
        record = {**key, **draw(VALUES), "start": start, "end": draw(st.integers(start, window_s + 59))}
        record["interface-id"], record["resource-id"] = record.pop("owner")
        record["log-status"] = "OK"
        if record["protocol"] != 6:
            record["x-tcp-flags"] = None
        if record["protocol"] != 1:
            record["x-icmp"] = None
        records.append(record)
    for status, at_most in (("NODATA", 4), ("SKIPDATA", 1)):
        for interface, resource in draw(st.lists(OWNERS, max_size=at_most, unique=True)):
            owner = {
                "interface-id": interface,
                "resource-id": resource,
                "vpc-id": draw(st.sampled_from(("vpc-1", None))),
            }
            records.append({**owner, "start": window_s, "end": window_s + 59, "log-status": status})
    return records


@st.composite
def segments(draw: st.DrawFn) -> list[tuple[int, list[dict[str, Any]]]]:
    """(first second, records) of windows, mostly of one ten minutes, some a second time and some out of order."""
    keys = [draw(KEYS)]
    for name in draw(st.lists(st.sampled_from(sorted(keys[0])), max_size=3)):  # flows that differ in one thing
        keys.append({**keys[0], name: draw(KEYS)[name]})
    starts = draw(st.lists(st.integers(0, 12).map(lambda n: BASE_S + 60 * n), min_size=1, max_size=6))
    return [(start_s, draw(windows(keys, start_s))) for start_s in starts]


def in_order(records: list[dict[str, Any]]) -> list[str]:
    return sorted(repr(sorted(record.items())) for record in records)


def merged(spool: MemorySpool, unit: Unit) -> list[dict[str, Any]]:
    return [record for rows in rows_of(spool, unit) for record in records_of(rows)]


class TestMerging:
    """Ten windows are one: what a flow has in all of them is in its one record, and nothing else is."""

    @settings(deadline=None, max_examples=examples(40))
    @given(segments(), st.booleans(), st.randoms(use_true_random=False))
    def test_equals_plain_python(
        self, drawn: list[tuple[int, list[dict[str, Any]]]], partitioned: bool, random: Random
    ) -> None:
        labels = {column.label for column in EVERYTHING.columns}
        expected: list[dict[str, Any]] = []
        with tempfile.TemporaryDirectory() as folder:
            spool = MemorySpool(Path(folder))
            for start_s, records in drawn:
                rows = Rows(spool_batch(LOG, records, coded=random.random() < 0.8))
                if records and random.random() < 0.5:
                    chosen = random.sample(range(len(records)), random.randint(0, len(records)))
                    rows = Rows(rows.batch, np.array(chosen, np.int64))
                spool.hold([rows], [start_s])
                expected += records_of(rows)
            unit = spool.unit(LOG)
            if partitioned:  # as if there were a great many
                many = replace(unit.shares[0], records=5 * PARTITION_RECORDS)
                unit = replace(unit, shares=(many, *unit.shares[1:]))
            found = merged(spool, unit)
            assert found == merged(spool, unit)
            assert list(Path(folder).rglob("*.tmp")) == []
        wanted = longer_windows(expected, [start_s for start_s, _ in drawn], 600)
        for record in wanted:
            record["version"] = 11
        assert all(set(record) == labels for record in found)
        assert in_order(found) == in_order(wanted)
        if not partitioned:
            starts = [record["start"] for record in found if record["log-status"] == "OK"]
            assert starts == sorted(starts)
