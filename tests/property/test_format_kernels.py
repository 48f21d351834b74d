"""The printing kernels against plain Python."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.examples import examples

from flowglass.fields import LogFormat
from flowglass.format import TextFormat, kernels

NUMBERS = st.none() | st.integers(-(2**63), 2**63 - 1) | st.integers(0, 70_000)
SMALL = st.none() | st.integers(-(2**31), 2**31 - 1)
WORDS = st.none() | st.text(st.characters(min_codepoint=35, max_codepoint=126), min_size=1, max_size=40)
FORMAT = LogFormat.of(["bytes", "region", "srcport", "az-id", "end"])


def cell(value: object) -> str:
    return "-" if value is None else str(value)


class TestLines:
    """A line has every cell of its row, in the format's order, however the columns are laid out in memory."""

    @settings(deadline=None, max_examples=examples(60))
    @given(
        rows=st.lists(st.tuples(NUMBERS, WORDS, SMALL, WORDS, NUMBERS), min_size=1, max_size=30),
        data=st.data(),
    )
    def test_lines_are_those_of_python(self, rows: list[tuple[Any, ...]], data: st.DataObject) -> None:
        kinds = [pa.int64(), pa.string(), pa.int32(), pa.string(), pa.int64()]
        arrays: list[Any] = [pa.array(c, k) for c, k in zip(zip(*rows, strict=True), kinds, strict=True)]
        arrays[3] = arrays[3].dictionary_encode()
        first = data.draw(st.integers(0, len(rows) - 1))
        batch = pa.RecordBatch.from_arrays(arrays, names=list(FORMAT.names)).slice(first)
        chosen = data.draw(st.lists(st.integers(0, len(rows) - first - 1), max_size=40))
        expected = "".join(" ".join(map(cell, rows[first + i])) + "\n" for i in chosen)
        assert TextFormat(FORMAT).lines(batch, np.array(chosen, np.int64)).decode() == expected


class TestChecks:
    """Text is taken for plain only if no byte of it could end a cell or a line."""

    @settings(deadline=None, max_examples=examples(100))
    @given(st.binary(max_size=50) | st.text(st.characters(min_codepoint=33, max_codepoint=126)).map(str.encode))
    def test_is_plain(self, text: bytes) -> None:
        assert kernels.is_plain(np.frombuffer(text + b"a", np.uint8)) == all(
            32 < b < 127 and b != ord('"') for b in text
        )

    @settings(deadline=None, max_examples=examples(50))
    @given(st.lists(st.integers(0, 3), max_size=20))
    def test_any_empty(self, sizes: list[int]) -> None:
        bounds = np.cumsum([0, *sizes], dtype=np.int32)
        assert kernels.any_empty(bounds[:-1], bounds[1:]) == (0 in sizes)
