"""Tables of Amazon Athena, as its documentation defines them for flow logs, read by DuckDB.

Rule: the definition is AWS's and stays as it is; what Athena does with it is done here in DuckDB's words. Text is read
by the place of a cell, its header line is skipped unread, and what is no number where one belongs is null
(https://docs.aws.amazon.com/athena/latest/ug/lazy-simple-serde.html); Parquet is read by name
(https://docs.aws.amazon.com/athena/latest/ug/handling-schema-updates-chapter.html).
"""

# ruff: noqa: S608 (the SQL is put together of names of AWS's definitions)

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import sqlglot
from sqlglot import exp

_COLUMNS: Final = """
    version int, account_id string, interface_id string, srcaddr string, dstaddr string, srcport int, dstport int,
    protocol bigint, packets bigint, bytes bigint, start bigint, `end` bigint, action string, log_status string,
    vpc_id string, subnet_id string, instance_id string, tcp_flags int, type string, pkt_srcaddr string,
    pkt_dstaddr string, region string, az_id string, sublocation_type string, sublocation_id string,
    pkt_src_aws_service string, pkt_dst_aws_service string, flow_direction string, traffic_path int
"""
"""The fields of versions 2 to 5, as both pages have them; `protocol` is wider there than in AWS's own objects."""

TEXT: Final = f"""
    CREATE EXTERNAL TABLE IF NOT EXISTS `vpc_flow_logs` ({_COLUMNS})
    PARTITIONED BY (`date` date)
    ROW FORMAT DELIMITED FIELDS TERMINATED BY ' '
    LOCATION '{{location}}'
    TBLPROPERTIES ("skip.header.line.count"="1")
"""
"""https://docs.aws.amazon.com/athena/latest/ug/vpc-flow-logs-create-table-statement.html"""

PARQUET: Final = f"""
    CREATE EXTERNAL TABLE IF NOT EXISTS vpc_flow_logs_parquet ({_COLUMNS})
    PARTITIONED BY (
      `aws-account-id` string, `aws-service` string, `aws-region` string, `year` string, `month` string, `day` string,
      `hour` string
    )
    ROW FORMAT SERDE 'org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe'
    STORED AS INPUTFORMAT 'org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat'
    OUTPUTFORMAT 'org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat'
    LOCATION '{{location}}'
    TBLPROPERTIES ('EXTERNAL'='true', 'skip.header.line.count'='1')
"""
"""https://docs.aws.amazon.com/athena/latest/ug/vpc-flow-logs-parquet.html; without `hour` where folders are of days."""


class AthenaTable:
    """One table: made by its definition, with partitions added to it, asked in Athena's SQL."""

    def __init__(self, database: Any, definition: str) -> None:
        self._database = database
        made = sqlglot.parse_one(definition, read="athena")
        assert isinstance(made, exp.Create)
        properties = made.args["properties"].expressions
        self.name = made.this.this.name
        self._columns = _columns(made.this)
        (partitioned,) = [item.this for item in properties if isinstance(item, exp.PartitionedByProperty)]
        self._keys = _columns(partitioned)
        (self.location,) = [item.this.name for item in properties if isinstance(item, exp.LocationProperty)]
        self._delimiter = next(
            (item.args["fields"].name for item in properties if isinstance(item, exp.RowFormatDelimitedProperty)), None
        )
        self._partitions: dict[str, dict[str, str]] = {}

    def add_partition(self, folder: str, **values: str) -> None:
        """`ALTER TABLE … ADD PARTITION (…) LOCATION 'folder'`."""
        assert values.keys() == self._keys.keys()
        self._partitions[folder] = values

    def repair(self) -> None:
        """`MSCK REPAIR TABLE`: folders below the location that are named as Hive's become partitions."""
        paths = self._database.execute("SELECT file FROM glob($1)", [f"{self.location}**"]).fetchall()
        for folder in {path.rsplit("/", 1)[0] for (path,) in paths}:
            pairs = (part.split("=") for part in folder.removeprefix(self.location).split("/"))
            self.add_partition(folder, **dict(pairs))

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        """The rows of a query in Athena's SQL that names this table."""
        parts = " UNION ALL ".join(self._part(folder, values) for folder, values in self._partitions.items())
        self._database.execute(f'CREATE OR REPLACE TEMP VIEW "{self.name}" AS {parts}')
        rows: list[tuple[Any, ...]] = self._database.execute(
            sqlglot.transpile(query, read="athena", write="duckdb")[0]
        ).fetchall()
        return rows

    def _part(self, folder: str, values: dict[str, str]) -> str:
        cells = [f'TRY_CAST("{name}" AS {kind}) AS "{name}"' for name, kind in self._columns.items()]
        cells += [f"CAST('{values[name]}' AS {kind}) AS \"{name}\"" for name, kind in self._keys.items()]
        if self._delimiter is None:
            return f"SELECT {', '.join(cells)} FROM read_parquet('{folder}/**')"
        names = list(self._columns)
        options = (
            f"delim='{self._delimiter}', header=false, skip=1, all_varchar=true, quote='', escape='', names={names}"
        )
        return f"SELECT {', '.join(cells)} FROM read_csv('{folder}/**', {options})"


def _columns(schema: exp.Expression) -> dict[str, str]:
    """DuckDB's types by column."""
    columns: Iterable[exp.ColumnDef] = schema.find_all(exp.ColumnDef)
    return {column.name: column.args["kind"].sql("duckdb") for column in columns}
