"""Flow logs as JSON: they come back equal, whichever fields they have."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from flowglass.deliver.spool import definitions
from flowglass.fields import LogFormat
from flowglass.fields.contracts import Destination, DestinationType, FileFormat, FlowLog, ResourceType, TrafficType
from flowglass.fields.errors import StateError
from flowglass.fields.logformat import DEFAULT_FORMAT, TRANSIT_GATEWAY_DEFAULT, all_fields

PLAIN = FlowLog(id="fl-1", account="123456789012", region="eu-west-1", log_format=DEFAULT_FORMAT)
OTHER: dict[str, list[Any]] = {
    "id": ["fl-2"],
    "account": ["210987654321"],
    "region": ["us-east-1"],
    "log_format": [
        LogFormat.of(["instance-tag-2", "interface-tag"], {"instance": ["a", "Ä b"], "network-interface": ["c"]}),
        all_fields(),  # with tag fields that no key was given for
        TRANSIT_GATEWAY_DEFAULT,
        LogFormat.of(["x-icmp", "x-decided-by"]),
    ],
    "traffic_type": list(TrafficType),
    "interval_s": [600],
    "file_format": list(FileFormat),
    "hive": [True],
    "per_hour": [True],
    "parquet_codec": ["gzip"],
    "prefix": ["a/b"],
    "resource_type": list(ResourceType),
    "resource_id": ["vpc-1"],
    "destination": [
        Destination(DestinationType.S3, "bucket", "folder"),
        Destination(DestinationType.CLOUD_WATCH_LOGS, "group", account="123456789012", region="eu-west-1"),
    ],
}


def test_every_field_of_a_flow_log_has_other_values_here() -> None:
    assert set(OTHER) == {field.name for field in dataclasses.fields(FlowLog)}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in OTHER.items() for value in values])
def test_a_flow_log_comes_back_equal(name: str, value: Any) -> None:
    flow_log = dataclasses.replace(PLAIN, **{name: value})
    assert definitions.from_json(definitions.to_json(flow_log)) == flow_log


def test_a_field_that_this_version_does_not_know_is_told() -> None:
    text = definitions.to_json(PLAIN).replace("srcaddr", "x-tomorrow")
    with pytest.raises(StateError, match=r"x-tomorrow.*version that recorded it"):
        definitions.from_json(text)
