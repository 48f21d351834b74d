"""Object keys against the layouts that AWS documents."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.records import flow_log

from flowglass.fields.contracts import FileFormat
from flowglass.format import KeyParts, object_key, parse_key

PERIOD_S = 1_529_511_600  # 2018-06-20 16:20:00 UTC
NAME = "123456789012_vpcflowlogs_us-east-1_fl-1234abcd_20180620T1620Z_fe123456.log.gz"
PLAIN = "AWSLogs/123456789012/vpcflowlogs/us-east-1/2018/06/20/"
HIVE = "AWSLogs/aws-account-id=123456789012/aws-service=vpcflowlogs/aws-region=us-east-1"
HIVE += "/year=2018/month=06/day=20/"


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({}, PLAIN + NAME),
        ({"per_hour": True}, PLAIN + "16/" + NAME),
        ({"hive": True}, HIVE + NAME),
        ({"hive": True, "per_hour": True}, HIVE + "hour=16/" + NAME),
        ({"prefix": "my/logs"}, "my/logs/" + PLAIN + NAME),
        ({"prefix": "/my/"}, "my/" + PLAIN + NAME),
        ({"file_format": FileFormat.PARQUET}, PLAIN + NAME.replace(".log.gz", ".log.parquet")),
    ],
)
def test_every_documented_layout(options: dict[str, Any], key: str) -> None:
    assert object_key(flow_log(**options), PERIOD_S, "fe123456") == key
    parts = parse_key(key)
    assert parts is not None
    assert (parts.period_start_s, parts.hash) == (PERIOD_S, "fe123456")


@pytest.mark.parametrize(
    ("key", "parts"),
    [
        (
            "869065819144_vpcflowlogs_us-east-1_fl-0aa1a90b428bc0321_20181004T2115Z_b522ac4a.log.gz",
            (
                "869065819144",
                "us-east-1",
                "fl-0aa1a90b428bc0321",
                1538687700,
                "b522ac4a",
                FileFormat.PLAIN_TEXT,
            ),
        ),
        (
            "x/111111111111_vpcflowlogs_eu-west-3_fl-032a163fae170ae52_20220831T1255Z_2ad4bef5.parquet",
            ("111111111111", "eu-west-3", "fl-032a163fae170ae52", 1661950500, "2ad4bef5", FileFormat.PARQUET),
        ),
    ],
)
def test_real_names_are_read(key: str, parts: tuple[str, str, str, int, str, FileFormat]) -> None:
    assert parse_key(key) == KeyParts(*parts)


@pytest.mark.parametrize(
    "key",
    ["", "AWSLogs/", NAME + ".part", NAME.replace("0620T", "1320T"), NAME.replace("vpcflow", "cloudtrail")],
)
def test_other_names_are_none_of_ours(key: str) -> None:
    assert parse_key(key) is None
