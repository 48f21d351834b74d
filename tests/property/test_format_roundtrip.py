"""What is written is read back, for every subset and order of fields."""

from __future__ import annotations

import io
import urllib.parse
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.examples import examples
from tests.support.records import TAG_KEYS, batch_of

from flowglass.fields import FIELDS, FieldType, LogFormat
from flowglass.fields.schema import object_schema
from flowglass.format import ParquetFile, TextFile, TextFormat, read_object, read_text

TEXT = st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters='"'), min_size=1, max_size=12).filter(
    lambda t: t != "-"
)
VALUES: dict[FieldType, st.SearchStrategy[Any]] = {
    FieldType.INT32: st.none() | st.just(0) | st.integers(-(2**31), 2**31 - 1),
    FieldType.INT64: st.none() | st.just(0) | st.integers(-(2**63), 2**63 - 1),
    FieldType.STRING: st.none() | TEXT,
}


@st.composite
def formats(draw: st.DrawFn) -> LogFormat:
    names = draw(st.lists(st.sampled_from(sorted(FIELDS)), unique=True, min_size=1))
    return LogFormat.of(names, TAG_KEYS)


@st.composite
def records(draw: st.DrawFn) -> tuple[LogFormat, list[list[Any]]]:
    log_format = draw(formats())
    row = st.tuples(*(VALUES[column.field.type] for column in log_format.columns)).map(list)
    return log_format, draw(st.lists(row, max_size=6))


def table_of(log_format: LogFormat, rows: list[list[Any]]) -> pa.Table:
    batch = batch_of(log_format, rows)
    return pa.Table.from_arrays(batch.columns, schema=object_schema(log_format))


class TestRoundTrip:
    """read(write(x)) == x: zero is zero, null is null, whatever the fields and their order."""

    @settings(deadline=None, max_examples=examples(60))
    @given(records(), st.booleans())
    def test_text(self, case: tuple[LogFormat, list[list[Any]]], coded: bool) -> None:
        log_format, rows = case
        file = io.BytesIO()
        writer = TextFile(file, TextFormat(log_format))
        writer.write(batch_of(log_format, rows, coded=coded))
        writer.close()
        result = read_text(file.getvalue())
        assert result.bad_lines == 0
        assert result.table.equals(table_of(log_format, rows))

    @pytest.mark.parametrize("codec", ["zstd", "gzip"])
    @settings(deadline=None, max_examples=examples(40))
    @given(case=records(), coded=st.booleans())
    def test_parquet(
        self,
        tmp_path_factory: pytest.TempPathFactory,
        codec: str,
        case: Any,
        coded: bool,
    ) -> None:
        log_format, rows = case
        path = tmp_path_factory.getbasetemp() / f"roundtrip-{codec}.parquet"
        with Path(path).open("wb") as file:
            writer = ParquetFile(file, log_format, codec)
            writer.write(batch_of(log_format, rows, coded=coded))
            writer.close()
        result = read_object(path)
        assert result.bad_lines == 0
        assert result.table.equals(table_of(log_format, rows))


class TestHostileText:
    """No text that a record can hold changes the number of lines or cells; decoded, it is what it was."""

    @settings(deadline=None, max_examples=examples(60))
    @given(st.lists(st.tuples(st.text(max_size=6), st.text(max_size=6)), min_size=1, max_size=5), st.booleans())
    def test_cells_stay_cells(self, rows: list[tuple[str, str]], coded: bool) -> None:
        log_format = LogFormat.of(["region", "az-id"])
        lines = TextFormat(log_format).lines(batch_of(log_format, rows, coded=coded)).decode()
        assert [len(line.split()) for line in lines.splitlines()] == [2] * len(rows)
        for line, row in zip(lines.split("\n"), rows, strict=False):
            for printed, text in zip(line.split(" "), row, strict=True):
                if "%" not in text and text:
                    assert urllib.parse.unquote(printed) == text


class TestGarbage:
    """Whatever stands below a header is read or counted, never raised."""

    @settings(deadline=None, max_examples=examples(60))
    @given(
        st.lists(
            st.sampled_from([b"1 a", b"- -", b" ", b"\r", b"\t", b"0x1", b"\xff", b"9" * 20, b"\n", b"\r\n"])
            | st.binary(max_size=4)
        )
    )
    def test_every_line_is_a_record_or_bad_or_empty(self, parts: list[bytes]) -> None:
        body = b"".join(parts)
        result = read_text(b"srcport region\n" + body)
        filled = [line for line in body.split(b"\n") if line.rstrip(b"\r").strip(b" ")]
        assert result.table.num_rows + result.bad_lines == len(filled)
