"""Record batches as a whole: names, slices, shared texts, traffic types and status records."""

from __future__ import annotations

import numpy as np
import pytest
from tests.support.enrich import START_S, flows, row_of
from tests.support.enrich_world import (
    EGRESS,
    HOST,
    REGIONAL,
    WEB,
    column_of,
    observations,
    snapshot_of_world,
)

from flowglass.enrich import Enricher, Observations, ObserveCounts, traffic_mask
from flowglass.fields import EXTENSION_FIELDS, FIELDS, VPC_FIELDS, Column, Origin
from flowglass.fields.contracts import Point, TrafficType
from flowglass.inventory import Snapshot, of_points


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    return snapshot_of_world(tmp_path_factory.mktemp("inventory"))


@pytest.fixture(scope="module")
def seen(snapshot: Snapshot) -> Observations:
    return observations(snapshot)


def test_columns_are_named_by_label_and_rows_sliced(snapshot: Snapshot, seen: Observations) -> None:
    columns = (column_of(FIELDS["instance-tag"]), column_of(FIELDS["srcport"]))
    records = Enricher(columns, snapshot, version=11, assume_accept=False).records(seen, 1, 3)
    assert records.schema.names == ["instance-tag[Name]", "srcport"]
    assert records.column(1).to_pylist() == [53, 0]


def test_addresses_that_nothing_substitutes_are_shared() -> None:
    points = [Point("eth0", 1)]
    snapshot = of_points(points, "000000000000", "local-1")
    rows = flows([{"src": "10.0.0.10", "dst": HOST}])
    seen = Observations(START_S, 60, 0, rows, np.zeros(1, np.int32), np.full(1, EGRESS, np.uint8), ObserveCounts())
    columns = (Column(FIELDS["srcaddr"]), Column(FIELDS["pkt-srcaddr"]))
    records = Enricher(columns, snapshot, version=3, assume_accept=False).records(seen, 0, 1)
    texts = [column.buffers()[2] for column in records.columns]
    addresses = [text.address for text in texts if text is not None]
    assert len(addresses) == 2
    assert addresses[0] == addresses[1]


@pytest.mark.parametrize(
    ("kind", "assume", "rows"),
    [
        (TrafficType.ALL, False, list(range(10))),
        (TrafficType.ACCEPT, False, [0]),
        (TrafficType.ACCEPT, True, [0, *range(2, 10)]),
        (TrafficType.REJECT, False, [1]),
        (TrafficType.REJECT, True, [1]),
    ],
)
def test_traffic_types_take_their_verdicts(
    seen: Observations, kind: TrafficType, assume: bool, rows: list[int]
) -> None:
    assert np.flatnonzero(traffic_mask(seen, kind, assume_accept=assume)).tolist() == rows


@pytest.mark.parametrize("status", ["NODATA", "SKIPDATA"])
def test_status_records_have_the_interface_and_the_window_and_nothing_of_traffic(
    snapshot: Snapshot, seen: Observations, status: str
) -> None:
    columns = tuple(column_of(field) for field in (*VPC_FIELDS, *EXTENSION_FIELDS))
    enricher = Enricher(columns, snapshot, version=11, assume_accept=True)
    rows = np.array([row_of(snapshot, WEB), row_of(snapshot, REGIONAL)], np.int32)
    records = enricher.status_records(START_S, 60, rows, status)
    records.validate(full=True)
    assert records.schema == enricher.schema
    web = enricher.records(seen, 0, 1).to_pylist()[0]  # the first observation is WEB's
    first = {name: records.column(name).to_pylist()[0] for name in records.schema.names}
    for column in columns:
        field = column.field
        if field.name in ("start", "end", "log-status"):
            continue
        of_interface = field.origin in (Origin.INTERFACE, Origin.FLOWLOG)
        assert first[column.label] == (web[column.label] if of_interface else None), field.name
    assert (first["start"], first["end"], first["log-status"]) == (START_S, START_S + 59, status)
    assert records.column("interface-id").to_pylist() == [WEB, None]
    assert records.column("resource-id").to_pylist() == [None, REGIONAL]
