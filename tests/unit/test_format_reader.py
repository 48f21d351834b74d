"""Reading text objects: headers, compression, and lines that are wrong."""

from __future__ import annotations

import gzip
from pathlib import Path

import pyarrow as pa
import pytest

from flowglass.fields import DEFAULT_FORMAT, LogFormat
from flowglass.fields.errors import ObjectUnreadable
from flowglass.format import read_object, read_text

HEADER = b"version srcaddr srcport bytes\n"
GOOD = b"2 10.0.0.1 443 1000\n"


def test_cells_are_typed_by_the_field_table() -> None:
    table = read_text(HEADER + GOOD + b"2 - - -\n").table
    assert table.schema.types == [pa.int32(), pa.string(), pa.int32(), pa.int64()]
    assert table.to_pylist() == [
        {"version": 2, "srcaddr": "10.0.0.1", "srcport": 443, "bytes": 1000},
        {"version": 2, "srcaddr": None, "srcport": None, "bytes": None},
    ]


def test_names_may_have_underscores_and_unknown_ones_are_kept_as_text() -> None:
    table = read_text(b"log_status made-up tcp-flags\nOK 007 19\n").table
    assert table.to_pylist() == [{"log_status": "OK", "made_up": "007", "tcp_flags": 19}]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b""])
def test_the_last_line_may_lack_its_newline_and_lines_may_end_as_on_windows(end: bytes) -> None:
    data = HEADER.replace(b"\n", end or b"\n") + GOOD[:-1] + end
    assert read_text(data).table.num_rows == 1


def test_compression_is_told_by_the_first_bytes(tmp_path: Path) -> None:
    data = HEADER + 3 * GOOD
    zstd = tmp_path / "x"
    with pa.CompressedOutputStream(str(zstd), "zstd") as stream:
        stream.write(data)
    for source in (data, gzip.compress(data), gzip.compress(data[:40]) + gzip.compress(data[40:]), zstd):
        assert read_text(source).table.num_rows == 3


def test_without_header_the_default_format_is_recognised() -> None:
    line = b"2 123456789010 eni-4b118871 - - - - - - - 1512564058 1512564059 - SKIPDATA\n"
    assert read_text(line).table.column_names == [c.field.column for c in DEFAULT_FORMAT.columns]


def test_without_header_another_format_can_be_given() -> None:
    log_format = LogFormat.of(["srcaddr", "bytes"])
    assert read_text(b"10.0.0.1 5\n", log_format).table.to_pylist() == [{"srcaddr": "10.0.0.1", "bytes": 5}]


def test_an_object_of_a_header_alone_has_no_records() -> None:
    for data in (HEADER, HEADER[:-1]):
        result = read_text(data)
        assert (result.table.num_rows, result.table.num_columns, result.bad_lines) == (0, 4, 0)


@pytest.mark.parametrize(
    "bad",
    [
        b"bogus line\n",
        b"2 10.0.0.1 443 1000 more\n",
        b"2 10.0.0.1 http 1000\n",
        b"2 10.0.0.1 0x1f 1000\n",
        b"2 10.0.0.1 2147483648 1000\n",
        b"2 10.0.0.1 443 9223372036854775808\n",
        b"2 10.0.0.1 443  \n",
        b"2 \xff\xfe 443 1000\n",
        b"2  443 1000\n",
    ],
)
def test_a_bad_line_is_left_out_and_counted(bad: bytes) -> None:
    result = read_text(HEADER + GOOD + bad + GOOD + bad)
    assert (result.table.num_rows, result.bad_lines, result.first_bad) == (2, 2, 3)


def test_the_first_bad_line_is_numbered_in_the_whole_file() -> None:
    count = 200_000  # several blocks of 1 MB
    result = read_text(HEADER + count * GOOD + b"bogus\n" + 100 * GOOD)
    assert (result.table.num_rows, result.bad_lines, result.first_bad) == (count + 100, 1, count + 2)


def test_runs_of_blanks_separate_cells_as_in_published_examples() -> None:
    assert read_text(HEADER + b"2 10.0.0.1  443 1000\n").table.to_pylist()[0]["srcport"] == 443


@pytest.mark.parametrize("header", [HEADER, b"srcaddr dstaddr\n"])
def test_a_header_may_stand_in_the_file_again(header: bytes) -> None:
    line = GOOD if header == HEADER else b"10.0.0.1 10.0.0.2\n"
    result = read_text(header + line + header + b"\n" + line)
    assert (result.table.num_rows, result.bad_lines) == (2, 0)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b" \n\n", "empty"),
        (b"{}\n", "line 1 is neither"),
        (b"account-id,action\n1,2\n", "line 1 is neither"),
        (b"srcaddr dstaddr srcaddr\n", "srcaddr twice"),
        (gzip.compress(HEADER)[:-6], "cut or damaged"),
        (b"\x1f\x8bgarbage, garbage, garbage", "cut or damaged"),
        (b"\x28\xb5\x2f\xfdgarbage", "cut or damaged"),
        (gzip.compress(HEADER)[:12] + bytes(range(40)), "cut or damaged"),
    ],
)
def test_what_is_no_object_is_refused_with_the_reason(tmp_path: Path, data: bytes, reason: str) -> None:
    path = tmp_path / "object.log"
    path.write_bytes(data)
    with pytest.raises(ObjectUnreadable, match=reason) as caught:
        read_object(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_a_missing_object_is_refused(tmp_path: Path) -> None:
    for read in (read_object, read_text):
        with pytest.raises(ObjectUnreadable, match="No such file"):
            read(tmp_path / "absent")
