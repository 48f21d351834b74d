"""A CloudFormation template that lets Amazon Athena query a flow log: database, table, workgroup, queries, partitions.

Rule: a pure function of the flow log and what was asked for. Columns come from the field table, folders from the room
that names objects. A table has one partition column, `day` or `hour`, whose values are the folders of times, such as
`2021/07/21` or, with Hive's folders, `year=2021/month=07/day=21`.
Parts and names: https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-generate-template-console.html
"""

from __future__ import annotations

import enum
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from importlib.resources import files
from typing import Any, Final

import yaml

from flowglass.control.operations.athena_queries import queries_for
from flowglass.fields.contracts import Destination, FileFormat, FlowLog
from flowglass.fields.table import FieldType
from flowglass.format import folders


@enum.unique
class Frequency(enum.Enum):
    """How often partitions are loaded (PartitionLoadFrequency)."""

    NONE = "none"
    """never: they follow from the dates"""
    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"


@dataclass(frozen=True, slots=True)
class Integration:
    """One table. `results`: where Athena writes; `first`, `last`: the days of the table, both included."""

    results: Destination
    frequency: Frequency
    first: date | None = None
    last: date | None = None


_DATABASE: Final = "AthenaDatabase"
_COLUMN_TYPES: Final = {FieldType.INT32: "int", FieldType.INT64: "bigint", FieldType.STRING: "string"}
_SCHEDULES: Final = {
    Frequency.DAILY: ("cron(0 0 * * ? *)", 1),
    Frequency.WEEKLY: ("cron(0 0 ? * MON *)", 7),
    Frequency.MONTHLY: ("cron(0 0 1 * ? *)", 31),
}
"""When partitions are loaded (EventBridge, UTC), and the longest time between two loads in days."""
_TEXT: Final = {
    "InputFormat": "org.apache.hadoop.mapred.TextInputFormat",
    "OutputFormat": "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat",
    "SerdeInfo": {
        "SerializationLibrary": "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe",
        "Parameters": {"field.delim": " ", "serialization.null.format": "-"},
    },
}
_PARQUET: Final = {
    "InputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
    "OutputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
    "SerdeInfo": {"SerializationLibrary": "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"},
}
_STRFTIME: Final = re.compile("(%[YmdH])")
_JAVA: Final = {"%Y": "yyyy", "%m": "MM", "%d": "dd", "%H": "HH"}
_RUNTIME: Final = "python3.12"
_LAMBDA: Final = "partition_lambda.py"


def table_name(flow_log: FlowLog, integration: Integration) -> str:
    """The name of the table: the flow log's id, the frequency and the days, without characters that Athena refuses."""
    dates = "".join(f"{day:%Y%m%d}" for day in (integration.first, integration.last) if day is not None)
    return f"{_plain(flow_log)}{integration.frequency.value}{dates}"


def template(flow_log: FlowLog, bucket: str, integrations: Sequence[Integration]) -> bytes:
    """The template as YAML in UTF-8. `bucket`: where the records are; `integrations`: of different table names."""
    resources: dict[str, Any] = {
        _DATABASE: _resource(
            "Glue::Database",
            CatalogId={"Ref": "AWS::AccountId"},
            DatabaseInput={"Name": f"vpcflowlogsathenadatabase{_plain(flow_log)}"},
        )
    }
    for number, integration in enumerate(integrations, start=1):
        resources |= _Parts(flow_log, bucket, integration, number).resources()
    document = {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": f"Queries flow log {flow_log.id} with Amazon Athena.",
        "Resources": resources,
    }
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120).encode()


class _Parts:
    """The resources of one integration; their logical names end in its number."""

    def __init__(self, flow_log: FlowLog, bucket: str, integration: Integration, number: int) -> None:
        self._flow_log = flow_log
        self._integration = integration
        self._number = number
        self._table = table_name(flow_log, integration)
        root, self._pattern = folders(flow_log)
        self._location = f"s3://{bucket}/{root}/"
        self._column = "hour" if flow_log.per_hour else "day"

    def resources(self) -> dict[str, Any]:
        """All of them by logical name."""
        found = {
            self._named("Table"): _resource(
                "Glue::Table",
                CatalogId={"Ref": "AWS::AccountId"},
                DatabaseName={"Ref": _DATABASE},
                TableInput=self._table_input(),
            ),
            self._named("Workgroup"): self._workgroup(),
            **self._queries(),
        }
        if self._integration.frequency is not Frequency.NONE:
            found |= self._loading()
        return found

    def _named(self, name: str) -> str:
        return f"{name}{self._number}"

    def _table_input(self) -> dict[str, Any]:
        is_text = self._flow_log.file_format is FileFormat.PLAIN_TEXT
        parameters = {"skip.header.line.count": "1"} if is_text else {"classification": "parquet"}
        columns = [
            {"Name": column.field.column, "Type": _COLUMN_TYPES[column.field.type]}
            for column in self._flow_log.log_format.columns
        ]
        return {
            "Name": self._table,
            "TableType": "EXTERNAL_TABLE",
            "Parameters": {"EXTERNAL": "TRUE", **parameters, **self._projection()},
            "PartitionKeys": [{"Name": self._column, "Type": "string"}],
            "StorageDescriptor": {
                "Columns": columns,
                "Location": self._location,
                **(_TEXT if is_text else _PARQUET),
            },
        }

    def _projection(self) -> dict[str, str]:
        """Partitions that Athena works out by itself, for a table whose days are fixed.

        https://docs.aws.amazon.com/athena/latest/ug/partition-projection-supported-types.html
        """
        if self._integration.frequency is not Frequency.NONE:
            return {}
        first, last = self._integration.first, self._integration.last
        if first is None or last is None:
            raise ValueError("a table without loading of partitions needs its first and last day")
        begin = datetime.combine(first, time(0)).strftime(self._pattern)
        end = datetime.combine(last, time(23)).strftime(self._pattern)
        prefix = f"projection.{self._column}"
        return {
            "projection.enabled": "true",
            f"{prefix}.type": "date",
            f"{prefix}.format": _java(self._pattern),
            f"{prefix}.range": f"{begin},{end}",
            f"{prefix}.interval": "1",
            f"{prefix}.interval.unit": f"{self._column.upper()}S",
            "storage.location.template": f"{self._location}${{{self._column}}}",
        }

    def _workgroup(self) -> dict[str, Any]:
        results = self._integration.results
        output = "/".join(part for part in (results.name, results.folder) if part)
        return _resource(
            "Athena::WorkGroup",
            Name=f"{self._table}workgroup",
            WorkGroupConfiguration={
                "EnforceWorkGroupConfiguration": True,
                "ResultConfiguration": {"OutputLocation": f"s3://{output}/"},
            },
        )

    def _queries(self) -> dict[str, Any]:
        return {
            self._named(query.name): _resource(
                "Athena::NamedQuery",
                Name=query.name,
                Description=query.description,
                Database={"Ref": _DATABASE},
                WorkGroup={"Ref": self._named("Workgroup")},
                QueryString=query.sql(f'"{self._table}"'),
            )
            for query in queries_for(self._flow_log.log_format)
        }

    def _loading(self) -> dict[str, Any]:
        """The function that loads partitions, its role, its schedule and its first run."""
        schedule, days = _SCHEDULES[self._integration.frequency]
        function = {"Fn::GetAtt": [self._named("PartitionLoader"), "Arn"]}
        first, last = self._integration.first, self._integration.last
        variables = {
            "DATABASE": {"Ref": _DATABASE},
            "TABLE": {"Ref": self._named("Table")},
            "FOLDERS": self._pattern,
            "DAYS": str(days),
            "FIRST": "" if first is None else first.isoformat(),
            "LAST": "" if last is None else last.isoformat(),
        }
        return {
            self._named("PartitionRole"): self._role(),
            self._named("PartitionLoader"): _resource(
                "Lambda::Function",
                Handler="index.handler",
                Runtime=_RUNTIME,
                Timeout=300,
                Role={"Fn::GetAtt": [self._named("PartitionRole"), "Arn"]},
                Environment={"Variables": variables},
                Code={"ZipFile": files(__package__).joinpath(_LAMBDA).read_text("utf-8")},
            ),
            self._named("PartitionSchedule"): _resource(
                "Events::Rule", ScheduleExpression=schedule, Targets=[{"Id": "PartitionLoader", "Arn": function}]
            ),
            self._named("PartitionPermission"): _resource(
                "Lambda::Permission",
                Action="lambda:InvokeFunction",
                FunctionName=function,
                Principal="events.amazonaws.com",
                SourceArn={"Fn::GetAtt": [self._named("PartitionSchedule"), "Arn"]},
            ),
            self._named("FirstPartitions"): _resource(
                "CloudFormation::CustomResource", ServiceToken=function, Table=variables["TABLE"]
            ),
        }

    def _role(self) -> dict[str, Any]:
        """A role that may add partitions to this table, and write its own log."""
        names = {"Database": {"Ref": _DATABASE}, "Table": {"Ref": self._named("Table")}}
        glue = "arn:${AWS::Partition}:glue:${AWS::Region}:${AWS::AccountId}:"
        statement = {
            "Effect": "Allow",
            "Action": ["glue:GetTable", "glue:BatchCreatePartition"],
            "Resource": [
                {"Fn::Sub": f"{glue}catalog"},
                {"Fn::Sub": [f"{glue}database/${{Database}}", {"Database": names["Database"]}]},
                {"Fn::Sub": [f"{glue}table/${{Database}}/${{Table}}", names]},
            ],
        }
        return _resource(
            "IAM::Role",
            AssumeRolePolicyDocument=_policy(
                {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
            ),
            ManagedPolicyArns=[
                {"Fn::Sub": "arn:${AWS::Partition}:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"}
            ],
            Policies=[{"PolicyName": "LoadPartitions", "PolicyDocument": _policy(statement)}],
        )


def _plain(flow_log: FlowLog) -> str:
    """The id without its hyphen, which no name of Athena may have."""
    return flow_log.id.replace("-", "")


def _resource(kind: str, **properties: Any) -> dict[str, Any]:
    return {"Type": f"AWS::{kind}", "Properties": properties}


def _policy(statement: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": [statement]}


def _java(pattern: str) -> str:
    """A pattern of strftime as one of Java's DateTimeFormatter: words in quotes."""
    parts = [part for part in _STRFTIME.split(pattern) if part]
    return "".join(_JAVA.get(part, f"'{part}'" if part.strip("/") else part) for part in parts)


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as they are, and every value out where it stands."""

    def ignore_aliases(self, _data: Any) -> bool:
        """CloudFormation's YAML has no aliases."""
        return True


def _text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)
