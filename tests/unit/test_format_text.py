"""Printing records as AWS's text, and the gzip around it."""

from __future__ import annotations

import gzip
import hashlib
import io
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from tests.support.records import batch_of, default_records

from flowglass.fields import DEFAULT_FORMAT, LogFormat
from flowglass.fields.errors import LogFormatError
from flowglass.format import TextFile, TextFormat


def test_header_has_names_as_aws_spells_them() -> None:
    text = TextFormat(LogFormat.of(["version", "pkt-srcaddr", "tcp-flags"]))
    assert text.header() == b"version pkt-srcaddr tcp-flags\n"


def test_lines_are_printed_as_aws_prints_them() -> None:
    published = [
        "2 123456789010 eni-1235b8ca12 52.0.0.9 10.1.0.2 20641 22 6 20 4249 1418530010 1418530070 ACCEPT OK",
        "2 123456789010 eni-1235b8ca123456789 - - - - - - - 1431280876 1431280934 - NODATA",
    ]
    kinds = [column.field.type.value for column in DEFAULT_FORMAT.columns]
    rows = [
        [
            None if cell == "-" else cell if kind == "STRING" else int(cell)
            for cell, kind in zip(cells, kinds, strict=True)
        ]
        for cells in (line.split(" ") for line in published)
    ]
    for coded in (False, True):
        lines = TextFormat(DEFAULT_FORMAT).lines(batch_of(DEFAULT_FORMAT, rows, coded=coded))
        assert lines.decode().splitlines() == published


def test_zero_and_null_are_told_apart() -> None:
    log_format = LogFormat.of(["srcport", "bytes"])
    batch = batch_of(log_format, [[0, 0], [None, None]])
    assert TextFormat(log_format).lines(batch) == b"0 0\n- -\n"


@pytest.mark.parametrize(
    "number", [0, 9, 10, 99, 100, 9999, 10_000, 123_456_789, 1_700_000_000, 2**63 - 1, -1, -(2**63)]
)
def test_numbers_of_every_length_are_printed(number: int) -> None:
    log_format = LogFormat.of(["bytes"])
    assert TextFormat(log_format).lines(batch_of(log_format, [[number]])) == f"{number}\n".encode()


@pytest.mark.parametrize("coded", [False, True])
def test_a_text_cannot_break_a_line(coded: bool) -> None:
    log_format = LogFormat.of(["region", "az-id"])
    rows: list[list[Any]] = [
        ["a b", "c\nd"],
        ["", "\t"],
        ["käse", "x\u2028y"],
        ["nul\0", "\r"],
        ['"', 'a"b'],
        [None, "plain"],
    ]
    lines = TextFormat(log_format).lines(batch_of(log_format, rows, coded=coded)).decode()
    assert lines.split("\n") == [
        "a%20b c%0Ad",
        "- %09",
        "käse x%E2%80%A8y",
        "nul%00 %0D",
        "%22 a%22b",
        "- plain",
        "",
    ]


def test_rows_are_printed_in_the_order_asked_for_and_slices_are_respected() -> None:
    batch, _ = default_records(5000, 1_000_000)
    text = TextFormat(DEFAULT_FORMAT)
    whole = text.lines(batch).splitlines(keepends=True)
    rows = np.array([4999, 0, 3, 3], np.int64)
    assert text.lines(batch, rows) == b"".join(whole[i] for i in rows)
    assert text.lines(batch.slice(7, 4000)) == b"".join(whole[7:4007])
    assert text.lines(batch, np.empty(0, np.int64)) == b""
    assert text.lines(batch.slice(0, 0)) == b""


def test_a_dictionary_that_changes_between_batches_is_noticed() -> None:
    log_format = LogFormat.of(["region"])
    text = TextFormat(log_format)
    for names in (["aa", "bb"], ["cc", "dd"], ["e", "f"]):
        batch = batch_of(log_format, [[name] for name in names], coded=True)
        assert text.lines(batch) == "".join(f"{name}\n" for name in names).encode()


def test_a_null_inside_a_dictionary_prints_a_dash() -> None:
    log_format = LogFormat.of(["region"])
    column = pa.DictionaryArray.from_arrays(pa.array([0, 1, None], pa.int32()), pa.array([None, "eu"]))
    batch = pa.RecordBatch.from_arrays([column], names=["region"])
    assert TextFormat(log_format).lines(batch) == b"-\neu\n-\n"


def test_a_missing_column_is_named() -> None:
    batch = batch_of(LogFormat.of(["region"]), [["eu"]])
    with pytest.raises(LogFormatError, match="no column az-id"):
        TextFormat(LogFormat.of(["region", "az-id"])).lines(batch)


def test_a_text_file_is_one_gzip_member_without_a_time() -> None:
    batch, _ = default_records(5000, 1_000_000)
    text = TextFormat(DEFAULT_FORMAT)
    packed = []
    for rows in (None, np.arange(5000, dtype=np.int64)):
        file = io.BytesIO()
        writer = TextFile(file, text)
        writer.write(batch, rows)
        writer.close()
        packed.append(file.getvalue())
    plain = gzip.decompress(packed[0])
    assert packed[0] == packed[1]
    assert packed[0][4:8] == bytes(4)  # RFC 1952 section 2.3: MTIME
    assert plain == text.header() + text.lines(batch)
    assert writer.sha256() == hashlib.sha256(plain).hexdigest()
