"""Every folder and object name that AWS documents, from the records to the bucket.

Rule: `object_keys.txt` is written by hand from AWS's page; the test only compares.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
from tests.support.records import default_records, flow_log

from flowglass.deliver import DirectorySink, ObjectBuilder
from flowglass.fields.contracts import FileFormat, FlowLog
from flowglass.format import KeyParts, object_key, parse_key

PERIOD_S: Final = 1_529_511_600  # 2018-06-20 16:20:00 UTC
LAYOUTS: Final[dict[str, dict[str, Any]]] = {
    "plain": {"hive": False, "per_hour": False},
    "hourly": {"hive": False, "per_hour": True},
    "hive": {"hive": True, "per_hour": False},
    "hive+hourly": {"hive": True, "per_hour": True},
}
CASES: Final = [
    line.split()
    for line in (Path(__file__).parent / "object_keys.txt").read_text().splitlines()
    if not line.startswith("#")
]


def test_every_layout_is_there_in_both_file_formats_with_and_without_a_folder() -> None:
    here = {(layout, file_format, folder != "-") for layout, file_format, folder, _ in CASES}
    assert here == {
        (layout, form.value, folder) for layout in LAYOUTS for form in FileFormat for folder in (True, False)
    }


@pytest.mark.parametrize(("layout", "file_format", "folder", "key"), CASES)
def test_objects_lie_where_aws_puts_them(tmp_path: Path, layout: str, file_format: str, folder: str, key: str) -> None:
    prefix = "" if folder == "-" else folder
    log = flow_log(file_format=FileFormat(file_format), prefix=prefix, **LAYOUTS[layout])
    builder = ObjectBuilder(log, DirectorySink(tmp_path), namer=lambda *_: "fe123456")
    batch, ends = default_records(300, PERIOD_S)  # a record that ends in each second of the period
    builder.add(batch, ends)
    builder.close()
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()] == [key]
    parts = parse_key(key)
    assert parts == KeyParts("123456789012", "us-east-1", "fl-1234abcd", PERIOD_S, "fe123456", log.file_format)


@pytest.mark.parametrize(
    ("name", "log", "period_start_s", "digits"),
    [
        (
            "123456789012_vpcflowlogs_us-east-1_fl-1234abcd_20180620T1620Z_fe123456.log.gz",
            flow_log(),
            PERIOD_S,
            "fe123456",
        ),
        (
            "869065819144_vpcflowlogs_us-east-1_fl-0aa1a90b428bc0321_20181004T2115Z_b522ac4a.log.gz",
            replace(flow_log(), account="869065819144", id="fl-0aa1a90b428bc0321"),
            1_538_687_700,  # 2018-10-04 21:15:00 UTC
            "b522ac4a",
        ),
    ],
)
def test_published_names_are_ours(name: str, log: FlowLog, period_start_s: int, digits: str) -> None:
    assert object_key(log, period_start_s, digits).rpartition("/")[2] == name


@pytest.mark.parametrize(
    ("second", "time"), [(-1, "1615"), (0, "1620"), (299, "1620"), (300, "1625"), (2399, "1655"), (2400, "1700")]
)
def test_an_object_is_named_by_the_five_minutes_in_which_its_records_end(
    tmp_path: Path, second: int, time: str
) -> None:
    builder = ObjectBuilder(flow_log(per_hour=True), DirectorySink(tmp_path))
    batch, ends = default_records(1, PERIOD_S + second)
    builder.add(batch, ends)
    (made,) = builder.close()
    assert f"/{time[:2]}/123456789012_vpcflowlogs_us-east-1_fl-1234abcd_20180620T{time}Z_" in made.key
