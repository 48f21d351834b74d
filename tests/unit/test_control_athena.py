"""The Athena template: its queries run over records of ours, its parts fit together, its function loads partitions."""

# ruff: noqa: S608 (the SQL is put together of words of this file and of the field table)

from __future__ import annotations

import datetime as dt
import http.server
import json
import os
import re
import subprocess
import sys
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import boto3
import duckdb
import pytest
import sqlglot
import yaml
from moto import mock_aws
from tests.support.records import TAG_KEYS

import flowglass
from flowglass.control.operations.athena import Frequency, Integration, template
from flowglass.control.operations.athena_queries import NAMED_QUERIES, queries_for
from flowglass.fields import DEFAULT_FORMAT, FIELDS, LogFormat
from flowglass.fields.contracts import Destination, DestinationType, FileFormat, FlowLog
from flowglass.fields.logformat import all_fields
from flowglass.fields.schema import duckdb_columns
from flowglass.format import object_key

Row = dict[str, Any]
DATA = Path(flowglass.__file__).parent / "app" / "data"
ADDRESS = "172.31.22.145"
ADMIN = {22, 23, 3389, 5900, 5985, 5986}
ALL = all_fields(TAG_KEYS)
RESULTS = Destination(DestinationType.S3, "results", "athena/out")
FIRST, LAST = dt.date(2021, 7, 1), dt.date(2021, 7, 21)
FIXED = Integration(RESULTS, Frequency.NONE, FIRST, LAST)
DAILY = Integration(RESULTS, Frequency.DAILY)


def _flow_log(log_format: LogFormat = ALL, **more: Any) -> FlowLog:
    chosen = {"id": "fl-0123456789abcdef0", "account": "123456789012", "region": "eu-west-1", "prefix": "net/", **more}
    return FlowLog(log_format=log_format, **chosen)


# The queries --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["parquet", "plain-text"])
def flows(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> duckdb.DuckDBPyConnection:
    """The sample capture's records of all fields, many times enlarged so that limits cut, as a table `flows`."""
    out = tmp_path_factory.mktemp(str(request.param))
    inventory = DATA / "sample-inventory.yaml"
    flowglass.record(DATA / "sample.pcapng", out, inventory=inventory, format="all", file_format=request.param)
    database = duckdb.connect(config={"memory_limit": "2GB", "temp_directory": ""})
    if request.param == "parquet":
        database.execute("CREATE TABLE flows AS SELECT * FROM read_parquet($1)", [f"{out}/**/*.parquet"])
    else:
        columns = duckdb_columns(ALL)
        database.execute(
            f"CREATE TABLE flows AS SELECT * FROM read_csv($1, delim=' ', nullstr='-', header=true, columns={columns})",
            [f"{out}/**/*.log.gz"],
        )
    database.execute("CREATE TABLE sample AS FROM flows")
    for column in ("srcaddr", "pkt_srcaddr", "instance_id", "subnet_id"):
        database.execute(f"""
            INSERT INTO flows
            SELECT * EXCLUDE (copy) REPLACE ({column} || '-' || copy AS {column}, bytes + copy AS bytes)
            FROM (FROM sample WHERE {column} IS NOT NULL AND 22 IN (srcport, dstport)), range(60) AS copies (copy)
        """)
    return database


def _sum(rows: list[Row], *columns: str) -> Counter[Any]:
    sums: Counter[Any] = Counter()
    for row in rows:
        if row["bytes"] is not None and all(row[column] is not None for column in columns):
            sums[tuple(row[column] for column in columns)] += row["bytes"]
    return sums


def _most_first(sums: Counter[Any], most: int | None = None) -> list[tuple[Any, ...]]:
    ordered = sorted(sums.items(), key=lambda item: (-item[1], item[0]))
    return [(*key, total) for key, total in ordered[:most]]


def _grouped(rows: list[Row], *columns: str) -> list[tuple[Any, ...]]:
    groups: dict[Any, list[Row]] = defaultdict(list)
    for row in rows:
        groups[tuple(row[column] for column in columns)].append(row)
    counted = {key: (len(group), sum(row["bytes"] for row in group)) for key, group in groups.items()}
    ordered = sorted(counted.items(), key=lambda item: (-item[1][1], item[0]))
    return [(*key, *counts) for key, counts in ordered]


def _connections(rows: list[Row]) -> list[tuple[Any, ...]]:
    return _grouped(rows, "srcaddr", "srcport", "dstaddr", "dstport")


def _ends(rows: list[Row], source: str, destination: str) -> list[tuple[Any, ...]]:
    return _most_first(_sum(rows, source) + _sum(rows, destination), 50)


def _admin(rows: list[Row]) -> list[tuple[Any, ...]]:
    sums: Counter[Any] = Counter()
    for row in rows:
        if row["dstport"] in ADMIN:
            sums[row["srcaddr"],] += row["bytes"]
        elif row["srcport"] in ADMIN:
            sums[row["dstaddr"],] += row["bytes"]
    return _most_first(sums, 10)


def _tcp(rows: list[Row], action: str | None = None) -> list[Row]:
    return [row for row in rows if row["protocol"] == 6 and action in (None, row["action"])]


def _ssh(row: Row) -> bool:
    return bool({row["srcport"], row["dstport"]} & {22, 3389})


EXPECTED: dict[str, Callable[[list[Row]], Sequence[tuple[Any, ...]]]] = {
    "VpcFlowLogsAcceptedTraffic": lambda rows: _connections(_tcp(rows, "ACCEPT")),
    "VpcFlowLogsAdminPortTraffic": _admin,
    "VpcFlowLogsIPv4Traffic": lambda rows: [(sum(row["bytes"] or 0 for row in rows if row["type"] == "IPv4"),)],
    "VpcFlowLogsIPv6Traffic": lambda rows: [(sum(row["bytes"] or 0 for row in rows if row["type"] == "IPv6"),)],
    "VpcFlowLogsRejectedTCPTraffic": lambda rows: _connections(_tcp(rows, "REJECT")),
    "VpcFlowLogsRejectedTraffic": lambda rows: _connections([row for row in rows if row["action"] == "REJECT"]),
    "VpcFlowLogsSshRdpTraffic": lambda rows: _connections([row for row in _tcp(rows) if _ssh(row)]),
    "VpcFlowLogsTopTalkers": lambda rows: _ends(rows, "srcaddr", "dstaddr"),
    "VpcFlowLogsTopTalkersPacketLevel": lambda rows: _ends(rows, "pkt_srcaddr", "pkt_dstaddr"),
    "VpcFlowLogsTopTalkingInstances": lambda rows: _most_first(_sum(rows, "instance_id"), 50),
    "VpcFlowLogsTopTalkingSubnets": lambda rows: _most_first(_sum(rows, "subnet_id"), 50),
    "VpcFlowLogsTopTCPTraffic": lambda rows: _grouped(_tcp(rows), "srcaddr"),
    "VpcFlowLogsTotalBytesTransferred": lambda rows: _most_first(_sum(rows, "srcaddr", "dstaddr"), 50),
    "VpcFlowLogsTotalBytesTransferredPacketLevel": lambda rows: _most_first(
        _sum(rows, "pkt_srcaddr", "pkt_dstaddr"), 50
    ),
    "VpcFlowLogsTrafficFrmSrcAddr": lambda rows: _grouped(
        [row for row in rows if row["srcaddr"] == ADDRESS], "srcaddr", "dstaddr"
    ),
    "VpcFlowLogsTrafficToDstAddr": lambda rows: _grouped(
        [row for row in rows if row["dstaddr"] == ADDRESS], "srcaddr", "dstaddr"
    ),
}


@pytest.mark.parametrize("query", NAMED_QUERIES, ids=lambda query: query.name)
def test_a_query_gives_what_an_independent_count_gives(flows: duckdb.DuckDBPyConnection, query: Any) -> None:
    sql = query.sql('"flows"')
    rows = flows.sql("FROM flows").to_arrow_table().to_pylist()
    expected = EXPECTED[query.name](rows)
    assert expected
    limit = re.search(r"LIMIT (\d+)", sql)
    assert limit is None or len(expected) == int(limit[1])
    for dialect in ("athena", "trino"):
        [translated] = sqlglot.transpile(sql, read=dialect, write="duckdb")
        assert flows.execute(translated, [ADDRESS] if "?" in sql else []).fetchall() == expected


def test_the_sixteen_queries_of_aws_are_there() -> None:
    assert list(EXPECTED) == [query.name for query in NAMED_QUERIES]
    assert len(EXPECTED) == 16


def test_a_query_comes_only_with_the_fields_that_it_needs() -> None:
    assert queries_for(ALL) == list(NAMED_QUERIES)
    lacking = {query.name for query in NAMED_QUERIES} - {query.name for query in queries_for(DEFAULT_FORMAT)}
    assert lacking == {
        "VpcFlowLogsIPv4Traffic",
        "VpcFlowLogsIPv6Traffic",
        "VpcFlowLogsTopTalkersPacketLevel",
        "VpcFlowLogsTopTalkingInstances",
        "VpcFlowLogsTopTalkingSubnets",
        "VpcFlowLogsTotalBytesTransferredPacketLevel",
    }
    assert queries_for(LogFormat.of(["version", "srcaddr"])) == []


def test_queries_name_fields_of_the_table_only() -> None:
    assert {name for query in NAMED_QUERIES for name in query.fields} <= FIELDS.keys()


# The template -------------------------------------------------------------------------------------------------


def _resources(flow_log: FlowLog, *integrations: Integration) -> dict[str, Any]:
    document = yaml.safe_load(template(flow_log, "logs", integrations))
    found: dict[str, Any] = document["Resources"]
    return found


def _targets(value: Any) -> Iterator[str]:
    """Logical names that a template's functions point at."""
    if isinstance(value, list):
        for item in value:
            yield from _targets(item)
    elif isinstance(value, dict):
        if "Ref" in value:
            yield value["Ref"]
        elif "Fn::GetAtt" in value:
            yield value["Fn::GetAtt"][0]
        elif "Fn::Sub" in value:
            text, names = (value["Fn::Sub"], {}) if isinstance(value["Fn::Sub"], str) else value["Fn::Sub"]
            yield from (name for name in re.findall(r"\$\{([^}]+)\}", text) if name not in names)
            yield from _targets(list(names.values()))
        else:
            yield from _targets(list(value.values()))


def test_everything_that_is_pointed_at_is_there() -> None:
    resources = _resources(_flow_log(), FIXED, DAILY)
    targets = set(_targets(resources))
    assert {name for name in targets if not name.startswith("AWS::")} <= resources.keys()
    assert {"AthenaDatabase", "Table2", "Workgroup1", "PartitionRole2"} <= targets


def test_names_are_those_of_aws_without_the_hyphen_that_athena_refuses() -> None:
    resources = _resources(_flow_log(), FIXED, DAILY)
    properties = {name: item["Properties"] for name, item in resources.items()}
    database = properties["AthenaDatabase"]["DatabaseInput"]["Name"]
    assert database == "vpcflowlogsathenadatabasefl0123456789abcdef0"
    assert properties["Table1"]["TableInput"]["Name"] == "fl0123456789abcdef0none2021070120210721"
    assert properties["Workgroup1"]["Name"] == "fl0123456789abcdef0none2021070120210721workgroup"
    assert properties["Workgroup2"]["Name"] == "fl0123456789abcdef0dailyworkgroup"
    output = properties["Workgroup1"]["WorkGroupConfiguration"]["ResultConfiguration"]["OutputLocation"]
    assert output == "s3://results/athena/out/"
    names = [item["Name"] for item in properties.values() if "QueryString" in item]
    assert names == list(EXPECTED) * 2
    assert '"fl0123456789abcdef0daily"' in properties["VpcFlowLogsIPv4Traffic2"]["QueryString"]


def test_columns_are_the_formats_in_order_with_athenas_types() -> None:
    log_format = LogFormat.of(["end", "pkt-srcaddr", "srcport", "bytes", "tcp-flags"])
    [table] = [item for item in _resources(_flow_log(log_format), FIXED).values() if "Table" in item["Type"]]
    storage = table["Properties"]["TableInput"]["StorageDescriptor"]
    assert [(column["Name"], column["Type"]) for column in storage["Columns"]] == [
        ("end", "bigint"),
        ("pkt_srcaddr", "string"),
        ("srcport", "int"),
        ("bytes", "bigint"),
        ("tcp_flags", "int"),
    ]


def test_text_and_parquet_are_read_as_they_are_written() -> None:
    text = _resources(_flow_log(), FIXED)["Table1"]["Properties"]["TableInput"]
    assert text["Parameters"]["skip.header.line.count"] == "1"
    assert text["StorageDescriptor"]["SerdeInfo"]["Parameters"] == {
        "field.delim": " ",
        "serialization.null.format": "-",
    }
    parquet_log = _flow_log(file_format=FileFormat.PARQUET)
    parquet = _resources(parquet_log, FIXED)["Table1"]["Properties"]["TableInput"]
    assert "skip.header.line.count" not in parquet["Parameters"]
    assert "Parquet" in parquet["StorageDescriptor"]["SerdeInfo"]["SerializationLibrary"]


@pytest.mark.parametrize(
    ("hive", "per_hour", "java", "days"),
    [
        (False, False, "yyyy/MM/dd", "2021/07/01,2021/07/21"),
        (False, True, "yyyy/MM/dd/HH", "2021/07/01/00,2021/07/21/23"),
        (True, False, "'year='yyyy'/month='MM'/day='dd", "year=2021/month=07/day=01,year=2021/month=07/day=21"),
        (
            True,
            True,
            "'year='yyyy'/month='MM'/day='dd'/hour='HH",
            "year=2021/month=07/day=01/hour=00,year=2021/month=07/day=21/hour=23",
        ),
    ],
)
def test_fixed_days_are_projected_onto_the_folders_of_objects(hive: bool, per_hour: bool, java: str, days: str) -> None:
    flow_log = _flow_log(hive=hive, per_hour=per_hour)
    parameters = _resources(flow_log, FIXED)["Table1"]["Properties"]["TableInput"]["Parameters"]
    column = "hour" if per_hour else "day"
    assert parameters[f"projection.{column}.format"] == java
    assert parameters[f"projection.{column}.range"] == days
    assert parameters[f"projection.{column}.interval.unit"] == f"{column.upper()}S"
    location = parameters["storage.location.template"]
    first_folder = location.replace(f"${{{column}}}", days.split(",", maxsplit=1)[0])
    first_object = object_key(flow_log, int(dt.datetime(2021, 7, 1, tzinfo=dt.UTC).timestamp()), "00000000")
    assert first_folder == f"s3://logs/{first_object.rsplit('/', 1)[0]}"


def test_fixed_days_need_no_function_and_all_else_does() -> None:
    kinds = {frequency: set[str]() for frequency in Frequency}
    for frequency in Frequency:
        dates = (FIRST, LAST) if frequency is Frequency.NONE else ()
        resources = _resources(_flow_log(), Integration(RESULTS, frequency, *dates))
        kinds[frequency] = {item["Type"] for item in resources.values()}
        if frequency is not Frequency.NONE:
            assert not [
                name for name in resources["Table1"]["Properties"]["TableInput"]["Parameters"] if "proj" in name
            ]
    assert not [kind for kind in kinds[Frequency.NONE] if "Lambda" in kind or "IAM" in kind]
    assert {"AWS::Lambda::Function", "AWS::IAM::Role", "AWS::Events::Rule"} <= kinds[Frequency.DAILY]
    assert kinds[Frequency.DAILY] == kinds[Frequency.WEEKLY] == kinds[Frequency.MONTHLY]


def test_cloudformations_linter_finds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "template.yml"
    every = [Integration(RESULTS, frequency, FIRST, LAST) for frequency in Frequency]
    path.write_bytes(template(_flow_log(hive=True, per_hour=True), "logs", [*every, DAILY]))
    ran = subprocess.run(
        [Path(sys.executable).with_name("cfn-lint"), path], capture_output=True, text=True, check=False, timeout=120
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")


# The function that loads partitions ---------------------------------------------------------------------------


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, Any]]]:
    """What CloudFormation hears, at the URL that it gives to the function; AWS Glue is moto's."""
    heard: list[dict[str, Any]] = []

    class Listener(http.server.BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            heard.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the base class's name)
            pass

    for name, value in (
        ("AWS_ACCESS_KEY_ID", "x"),
        ("AWS_SECRET_ACCESS_KEY", "x"),
        ("AWS_DEFAULT_REGION", "eu-west-1"),
    ):
        monkeypatch.setenv(name, value)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Listener)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("RESPONSE_URL", f"http://127.0.0.1:{server.server_port}/answer")
    with mock_aws():
        yield heard
    server.shutdown()
    server.server_close()


class _Deployed:
    """The function of a template as Lambda would run it, with its table in Glue."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, flow_log: FlowLog, integration: Integration) -> None:
        resources = _resources(flow_log, integration)
        self._database = resources["AthenaDatabase"]["Properties"]["DatabaseInput"]["Name"]
        table = resources["Table1"]["Properties"]["TableInput"]
        self._table = table["Name"]
        self._glue = boto3.client("glue")
        self._glue.create_database(DatabaseInput={"Name": self._database})
        self._glue.create_table(DatabaseName=self._database, TableInput=table)
        function = resources["PartitionLoader1"]["Properties"]
        named = {"AthenaDatabase": self._database, "Table1": self._table}
        for name, value in function["Environment"]["Variables"].items():
            monkeypatch.setenv(name, value if isinstance(value, str) else named[value["Ref"]])
        self._module: dict[str, Any] = {}
        exec(compile(function["Code"]["ZipFile"], "index.py", "exec"), self._module)  # noqa: S102 (as Lambda does)
        assert function["Handler"] == "index.handler"

    def run(self, **event: Any) -> None:
        self._module["handler"](event, None)

    def partitions(self) -> dict[str, str]:
        pages = self._glue.get_paginator("get_partitions").paginate(DatabaseName=self._database, TableName=self._table)
        found = [item for page in pages for item in page["Partitions"]]
        return {item["Values"][0]: item["StorageDescriptor"]["Location"] for item in found}


def _request(kind: str, url: str) -> dict[str, Any]:
    names = {"StackId": "stack", "RequestId": "request", "LogicalResourceId": "FirstPartitions1"}
    return {"RequestType": kind, "ResponseURL": url, **names}


def test_the_first_run_loads_all_days_and_answers_the_stack(
    monkeypatch: pytest.MonkeyPatch, stack: list[dict[str, Any]]
) -> None:
    first = dt.datetime.now(dt.UTC).date() - dt.timedelta(days=150)  # noqa: TID251 (the function's own clock)
    last = first + dt.timedelta(days=120)
    flow_log = _flow_log(file_format=FileFormat.PARQUET)
    deployed = _Deployed(monkeypatch, flow_log, Integration(RESULTS, Frequency.DAILY, first, last))
    deployed.run(**_request("Create", os.environ["RESPONSE_URL"]))
    partitions = deployed.partitions()
    assert list(partitions) == [f"{first + dt.timedelta(days=number):%Y/%m/%d}" for number in range(121)]
    root = "s3://logs/net/AWSLogs/123456789012/vpcflowlogs/eu-west-1"
    assert partitions[f"{last:%Y/%m/%d}"] == f"{root}/{last:%Y/%m/%d}/"
    assert [(answer["Status"], answer["LogicalResourceId"]) for answer in stack] == [("SUCCESS", "FirstPartitions1")]
    deployed.run()
    assert len(deployed.partitions()) == 121


def test_a_tick_loads_a_period_back_and_ahead_and_again_harms_nothing(
    monkeypatch: pytest.MonkeyPatch, stack: list[dict[str, Any]]
) -> None:
    today = dt.datetime.now(dt.UTC).date()  # noqa: TID251 (the function's own clock)
    deployed = _Deployed(monkeypatch, _flow_log(hive=True, per_hour=True), DAILY)
    for _ in range(2):
        deployed.run(source="aws.events")
    partitions = deployed.partitions()
    assert len(partitions) == 3 * 24
    assert f"{today:year=%Y/month=%m/day=%d}/hour=07" in partitions
    assert stack == []


def test_a_run_that_fails_tells_the_stack_why_and_deleting_does_nothing(
    monkeypatch: pytest.MonkeyPatch, stack: list[dict[str, Any]]
) -> None:
    deployed = _Deployed(monkeypatch, _flow_log(), DAILY)
    url = os.environ["RESPONSE_URL"]
    deployed.run(**_request("Delete", url))
    assert deployed.partitions() == {}
    monkeypatch.setenv("TABLE", "gone")
    deployed.run(**_request("Update", url))
    assert [answer["Status"] for answer in stack] == ["SUCCESS", "FAILED"]
    assert "gone" in stack[1]["Reason"]
