"""Other people's readers on the objects that we put into an S3 server: all find the same records, bytes and packets."""

# ruff: noqa: S608 (the SQL is put together of words of this file)

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import duckdb
import numpy as np
import pytest
from flowlogs_reader import S3FlowLogsReader
from tests.support import athena
from tests.support.athena import AthenaTable
from tests.support.records import batch_of, flow_log
from tests.support.servers import clean_environment, free_port, wait_for
from tests.support.services import REGION, SeaweedFS

from flowglass.deliver import DirectorySink, ObjectBuilder
from flowglass.deliver.aws import BucketSettings
from flowglass.deliver.sinks import Sink
from flowglass.deliver.sinks.s3 import S3Sink
from flowglass.fields import VPC_FIELDS, LogFormat
from flowglass.fields.contracts import FileFormat, FlowLog

BUCKET: Final = "readers"
ACCOUNT: Final = "012345678901"  # a reader that takes it for a number loses the zero
V5: Final = LogFormat.of(field.name for field in VPC_FIELDS if field.version <= 5)
"""The fields that AWS's table definitions have."""
FIRST_END_S: Final = int(datetime(2018, 6, 20, 23, 45, tzinfo=UTC).timestamp())
RECORDS, STEP_S = 600, 3  # half an hour, with midnight in its middle
FOLDERS: Final = ("aws-account-id", "aws-service", "aws-region", "year", "month", "day", "hour")
Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Record:
    """What the totals are made of."""

    interface: str
    end_s: int
    bytes: int | None
    packets: int | None


def made() -> list[Record]:
    """Records of three interfaces; some tell of no traffic, so that bytes and packets are null."""
    return [
        Record(
            f"eni-{number % 3:017x}",
            FIRST_END_S + number * STEP_S,
            None if number % 50 == 0 else 40 * number,
            None if number % 50 == 0 else number,
        )
        for number in range(RECORDS)
    ]


def cells(number: int, record: Record) -> list[Any]:
    """A record of all fields; those that are not named here are null."""
    has_traffic = record.bytes is not None
    row = {"version": 5, "account-id": ACCOUNT, "interface-id": record.interface, "region": REGION}
    row |= {"start": record.end_s - 7, "end": record.end_s, "log-status": "OK" if has_traffic else "NODATA"}
    if has_traffic:
        row |= {"srcaddr": f"10.0.{number >> 8}.{number & 255}", "dstaddr": "172.31.16.21", "protocol": 6}
        row |= {"srcport": 20_000 + number, "dstport": 443, "packets": record.packets, "bytes": record.bytes}
        row |= {"action": "ACCEPT", "tcp-flags": 2, "flow-direction": "ingress"}
    return [row.get(name) for name in V5.names]


def totals(key: Callable[[datetime], Row] = lambda _: ()) -> list[Row]:
    """What every reader must find: `key` of the period's time, interface, number of records, bytes, packets."""
    sums: dict[Row, list[int]] = defaultdict(lambda: [0, 0, 0])
    for record in made():
        group = sums[*key(datetime.fromtimestamp(record.end_s, UTC)), record.interface]
        group[0] += 1
        group[1] += record.bytes or 0
        group[2] += record.packets or 0
    return sorted((*name, *group) for name, group in sums.items())


def hive_folders(log: FlowLog) -> tuple[str, ...]:
    """Names of the partitions of a flow log's layout."""
    return FOLDERS[: 7 if log.per_hour else 6] if log.hive else ()


def expected(log: FlowLog) -> list[Row]:
    """The totals by the folders of the flow log's layout."""
    place = (ACCOUNT, "vpcflowlogs", REGION)

    def partition(time: datetime) -> Row:
        return (*place, *(time.strftime(part) for part in ("%Y", "%m", "%d", "%H")))[: len(hive_folders(log))]

    return totals(partition)


def layouts() -> Iterator[tuple[str, FlowLog]]:
    """Flow logs of both file formats and all four layouts, by name, which is the folder in the bucket, too."""
    for file_format in FileFormat:
        for hive in (False, True):
            for per_hour in (False, True):
                name = "-".join([file_format.value, *["hive"] * hive, *["hourly"] * per_hour])
                chosen = {"account": ACCOUNT, "region": REGION, "prefix": name, "hive": hive, "per_hour": per_hour}
                # flowlogs-reader knows no zstd, and no Hive folders either.
                codec = "zstd" if hive else "gzip"
                yield name, flow_log(V5, file_format=file_format, parquet_codec=codec, **chosen)


LOGS: Final = dict(layouts())
TEXT: Final = [name for name, log in LOGS.items() if log.file_format is FileFormat.PLAIN_TEXT]
PARQUET: Final = [name for name in LOGS if name not in TEXT]
PLAIN: Final = [name for name, log in LOGS.items() if not log.hive]


def deliver(sink: Sink) -> None:
    """Have our builders write the objects of all layouts."""
    records = made()
    batch = batch_of(V5, [cells(*numbered) for numbered in enumerate(records)], coded=True)
    ends = np.array([record.end_s for record in records], np.int64)
    for log in LOGS.values():
        builder = ObjectBuilder(log, sink)
        builder.add(batch, ends)
        assert all(result.created for result in builder.close())
        assert sum(result.records for result in builder.results) == RECORDS


@pytest.fixture(scope="module")
def server(s3_server: SeaweedFS, tmp_path_factory: pytest.TempPathFactory) -> SeaweedFS:
    """The S3 server with the objects."""
    s3_server.make_bucket(BUCKET)
    settings = BucketSettings(endpoint=s3_server.url, region=REGION, addressing="path")
    deliver(S3Sink(BUCKET, settings, tmp_path_factory.mktemp("work"), client=s3_server.client()))
    return s3_server


@pytest.fixture(scope="module")
def database(server: SeaweedFS) -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB that may read the S3 server."""
    extension = files("duckdb_extension_httpfs") / "extensions" / f"v{duckdb.__version__}" / "httpfs.duckdb_extension"
    with duckdb.connect() as connection:
        connection.execute(f"LOAD '{extension}'")
        connection.execute(f"""
            CREATE SECRET (TYPE s3, KEY_ID '{server.reader.id}', SECRET '{server.reader.secret}', REGION '{REGION}',
                           ENDPOINT '{server.url.removeprefix("http://")}', URL_STYLE 'path', USE_SSL false)
        """)
        yield connection


@pytest.mark.parametrize("name", PLAIN)
def test_flowlogs_reader(name: str, server: SeaweedFS, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, value in credentials(server, "AWS_ENDPOINT_URL_S3").items():
        monkeypatch.setenv(variable, value)
    day = datetime(2018, 6, 20, 12)
    reader = S3FlowLogsReader(
        f"{BUCKET}/{name}", start_time=day, end_time=day.replace(day=21), region_name=REGION, raise_on_error=True
    )
    sums: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for record in reader:
        group = sums[record.interface_id]
        group[0] += 1
        group[1] += record.bytes or 0
        group[2] += record.packets or 0
    assert sorted((interface, *group) for interface, group in sums.items()) == totals()


@pytest.mark.parametrize("name", LOGS)
def test_duckdb(name: str, database: duckdb.DuckDBPyConnection) -> None:
    folders = hive_folders(LOGS[name])
    options = f", hive_partitioning=true, hive_types={dict.fromkeys(folders, 'VARCHAR')}" if folders else ""
    objects = f"s3://{BUCKET}/{name}/AWSLogs/**"
    if name in TEXT:
        options = f", sep=' ', header=true, nullstr='-'{options}"
        source, interface = f"read_csv('{objects}/*.log.gz'{options})", "interface-id"
    else:
        source, interface = f"read_parquet('{objects}/*.log.parquet'{options})", "interface_id"
    rows = database.sql(f"""
        SELECT {"".join(f'"{folder}", ' for folder in folders)} "{interface}", count(*), sum(bytes), sum(packets)
        FROM {source} GROUP BY ALL ORDER BY ALL
    """).fetchall()
    assert rows == expected(LOGS[name])


def asked(table: AthenaTable, keys: Iterable[str]) -> list[Row]:
    """The totals, asked for in Athena's SQL."""
    names = [*(f'"{key}"' for key in keys), "interface_id"]
    return sorted(
        table.ask(f"""
            SELECT {", ".join(names)}, count(*), sum(bytes), sum(packets) FROM {table.name}
            WHERE log_status IN ('OK', 'NODATA') GROUP BY {", ".join(names)}
        """)
    )


@pytest.mark.parametrize("name", TEXT)
def test_athenas_table_of_text(name: str, database: duckdb.DuckDBPyConnection) -> None:
    log = LOGS[name]
    location = f"s3://{BUCKET}/{name}/AWSLogs/{ACCOUNT}/vpcflowlogs/{REGION}/"
    days = {"2018-06-20": "2018/06/20", "2018-06-21": "2018/06/21"}
    if log.hive:
        location = f"s3://{BUCKET}/{name}/AWSLogs/aws-account-id={ACCOUNT}/aws-service=vpcflowlogs/aws-region={REGION}/"
        days = {day: "year={}/month={}/day={}".format(*day.split("-")) for day in days}
    table = AthenaTable(database, athena.TEXT.format(location=location))
    for day, folder in days.items():
        table.add_partition(f"{table.location}{folder}", date=day)
    assert asked(table, ["date"]) == totals(lambda time: (time.date(),))
    assert table.ask("SELECT DISTINCT day_of_week(date), account_id, vpc_id FROM vpc_flow_logs ORDER BY 1") == [
        (3, ACCOUNT, "-"),
        (4, ACCOUNT, "-"),
    ]


@pytest.mark.parametrize("name", [name for name in PARQUET if name not in PLAIN])
def test_athenas_table_of_parquet(name: str, database: duckdb.DuckDBPyConnection) -> None:
    log = LOGS[name]
    definition = athena.PARQUET if log.per_hour else athena.PARQUET.replace("`day` string,\n      `hour`", "`day`")
    table = AthenaTable(database, definition.format(location=f"s3://{BUCKET}/{name}/AWSLogs/"))
    table.repair()
    assert asked(table, hive_folders(log)) == expected(log)
    assert table.ask("SELECT DISTINCT account_id, vpc_id, protocol FROM vpc_flow_logs_parquet WHERE dstport = 443") == [
        (ACCOUNT, None, 6)
    ]


def credentials(server: SeaweedFS, endpoint: str) -> dict[str, str]:
    """The reader's key, and the server under the name that a program knows it by."""
    key = {"AWS_ACCESS_KEY_ID": server.reader.id, "AWS_SECRET_ACCESS_KEY": server.reader.secret}
    return {endpoint: server.url, "AWS_REGION": REGION, **key}


def spark_finds(master: str, root: str, environment: Mapping[str, str]) -> dict[str, list[Row]]:
    """What a Spark session finds below each flow log's folder."""
    sources = {
        name: {
            "folder": f"{root}/{name}/AWSLogs/",
            "kind": log.file_format.value,
            "partitions": " ".join(hive_folders(log)),
        }
        for name, log in LOGS.items()
    }
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.spark_totals", master],
        input=json.dumps(sources),
        capture_output=True,
        text=True,
        check=False,
        env=clean_environment(**environment),
        cwd=Path(__file__).parents[2],
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return {name: sorted(map(tuple, rows)) for name, rows in json.loads(done.stdout).items()}


@pytest.fixture
def sail(server: SeaweedFS, tmp_path: Path) -> Iterator[str]:
    """Where a Sail server speaks Spark Connect."""
    port = free_port()
    variables = credentials(server, "AWS_ENDPOINT")
    variables |= {"AWS_ALLOW_HTTP": "true", "AWS_VIRTUAL_HOSTED_STYLE_REQUEST": "false"}
    log = tmp_path / "sail.log"
    with log.open("wb") as output:
        program = Path(sys.executable).with_name("sail")
        process = subprocess.Popen(
            [program, "spark", "server", "--ip", "127.0.0.1", "--port", str(port)],
            env=clean_environment(**variables),
            stdout=output,
            stderr=output,
        )
    try:
        wait_for("Sail's server", lambda: process.poll() is not None or str(port) in log.read_text())
        assert process.poll() is None, log.read_text()
        yield f"sc://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def test_sail(sail: str) -> None:
    found = spark_finds(sail, f"s3://{BUCKET}", {})
    assert found == {name: expected(log) for name, log in LOGS.items()}


@pytest.mark.skipif(shutil.which("java") is None, reason="Spark needs Java: apt-get install openjdk-17-jre-headless")
def test_pyspark_reads_the_same_objects_from_a_folder(tmp_path: Path) -> None:
    deliver(DirectorySink(tmp_path / BUCKET))
    found = spark_finds("local[1]", str(tmp_path / BUCKET), {"SPARK_LOCAL_IP": "127.0.0.1"})
    assert found == {name: expected(log) for name, log in LOGS.items()}
