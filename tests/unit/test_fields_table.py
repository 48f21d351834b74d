"""The field table, the schemas derived from it, and the error tree."""

from __future__ import annotations

from collections import Counter

import duckdb
import pyarrow as pa
import pytest
from tests.support.shared import ROOT

from flowglass.fields import EXTENSION_FIELDS, FIELDS, TRANSIT_GATEWAY_FIELDS, VPC_FIELDS, FieldType, LogFormat, Origin
from flowglass.fields import errors as tree
from flowglass.fields.errors import INTERRUPTED, Error, all_errors
from flowglass.fields.schema import batch_schema, duckdb_columns, object_schema, spark_ddl

MIXED = LogFormat.of(
    ["version", "account-id", "packets", "pkt-src-aws-service", "instance-tag"], {"instance": ["Name"]}
)


def test_fields_of_every_version() -> None:
    counts = Counter(field.version for field in VPC_FIELDS)
    assert counts == {2: 14, 3: 7, 4: 4, 5: 4, 7: 10, 8: 1, 9: 1, 10: 1, 11: 12}
    assert [field.version for field in VPC_FIELDS] == sorted(field.version for field in VPC_FIELDS)


def test_names_are_unique_and_columns_are_identifiers() -> None:
    assert len(FIELDS) == len(VPC_FIELDS) + len(EXTENSION_FIELDS)
    assert len({field.name for field in TRANSIT_GATEWAY_FIELDS}) == len(TRANSIT_GATEWAY_FIELDS)
    for field in (*FIELDS.values(), *TRANSIT_GATEWAY_FIELDS):
        assert field.column.isidentifier()
        assert field.doc.endswith(".")
        assert "\n" not in field.doc


def test_a_field_that_cannot_be_known_says_why_and_only_it() -> None:
    for field in (*FIELDS.values(), *TRANSIT_GATEWAY_FIELDS):
        assert bool(field.absent) == (field.origin is Origin.ABSENT), field.name


def test_our_own_fields_are_marked() -> None:
    assert all(field.extension and field.name.startswith("x-") for field in EXTENSION_FIELDS)
    assert not any(field.extension or field.name.startswith("x-") for field in VPC_FIELDS)


def test_types_are_those_of_aws() -> None:
    wide = {field.name for field in VPC_FIELDS if field.type is FieldType.INT64}
    narrow = {field.name for field in VPC_FIELDS if field.type is FieldType.INT32}
    assert wide == {"packets", "bytes", "start", "end"}
    assert narrow == {
        "version",
        "srcport",
        "dstport",
        "protocol",
        "tcp-flags",
        "traffic-path",
        "encryption-status",
    }


def test_arrow_schemas() -> None:
    kinds = [pa.int32(), pa.string(), pa.int64(), pa.string(), pa.string()]
    between = batch_schema(MIXED.columns)
    assert between.names == ["version", "account-id", "packets", "pkt-src-aws-service", "instance-tag[Name]"]
    assert between.types == kinds
    stored = object_schema(MIXED)
    assert stored.names == ["version", "account_id", "packets", "pkt_src_aws_service", "instance_tag"]
    assert stored.types == kinds
    assert all(field.nullable for field in stored)


def test_spark_schema() -> None:
    assert spark_ddl(MIXED) == (
        "`version` INT, `account_id` STRING, `packets` BIGINT, `pkt_src_aws_service` STRING, `instance_tag` STRING"
    )


@pytest.mark.parametrize("fields", [VPC_FIELDS, EXTENSION_FIELDS])
def test_duckdb_takes_its_schema(fields: tuple[object, ...]) -> None:
    keys = {"instance": ("a", "b"), "network-interface": ("a", "b"), "auto-scaling-group": ("a", "b")}
    chosen = LogFormat.of([field.name for field in FIELDS.values() if field in fields], keys)
    columns = ", ".join(f'"{name}" {kind}' for name, kind in duckdb_columns(chosen).items())
    with duckdb.connect() as database:
        database.execute(f"CREATE TABLE flows ({columns})")
        made = database.sql("SELECT * FROM flows").to_arrow_table().schema
    assert made.names == object_schema(chosen).names
    assert made.types == object_schema(chosen).types


def test_every_error_has_an_exit_code_of_its_own() -> None:
    codes = [error.exit_code for error in all_errors()]
    assert len(set(codes)) == len(codes)
    assert INTERRUPTED not in codes
    assert all(0 < code < 126 for code in codes)
    assert all("exit_code" in vars(error) for error in all_errors())


def test_exit_codes_stay_as_they_are() -> None:
    assert {error.__name__: error.exit_code for error in all_errors()} == {
        "Error": 1,
        "OptionError": 2,
        "LogFormatError": 3,
        "InventoryError": 4,
        "ConfigError": 5,
        "CaptureError": 10,
        "CaptureMissing": 11,
        "CaptureUnreadable": 12,
        "LinkTypeUnsupported": 13,
        "CaptureEmpty": 14,
        "CaptureDamaged": 15,
        "ObjectUnreadable": 20,
        "DeliveryError": 30,
        "DestinationUnwritable": 31,
        "DestinationFull": 32,
        "DestinationRefused": 33,
        "DestinationThrottled": 34,
        "DestinationUnreachable": 35,
        "RequestRefused": 36,
        "RecordsTooNew": 37,
        "StateError": 40,
    }


def test_every_error_tells_in_one_line_what_it_is() -> None:
    for error in all_errors():
        assert error.__doc__ is not None
        assert "\n" not in error.__doc__
        assert error.__doc__.endswith(".")
        assert len(error.__doc__) < 120


def test_the_drawn_tree_is_the_tree() -> None:
    assert tree.__doc__ is not None
    drawn = {line.strip("│├└─ ").split()[0]: line for line in tree.__doc__.splitlines() if "──" in line}
    assert set(drawn) == {error.__name__ for error in all_errors() if error is not Error}


def test_the_tree_is_all_of_it() -> None:
    """No other file defines an error of its own that people could meet."""
    named = {error.__name__ for error in all_errors()}
    for path in (ROOT / "src").rglob("*.py"):
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.startswith("class ") and any(f"({name})" in line for name in named):
                assert path.name == "errors.py", f"{path}: {line}"
