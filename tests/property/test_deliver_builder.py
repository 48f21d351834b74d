"""The builder against a dict of lists."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.examples import examples
from tests.support.records import batch_of, flow_log, parquet_log

from flowglass.deliver import DirectorySink, ObjectBuilder
from flowglass.fields import LogFormat
from flowglass.format import parse_key, read_object

FORMAT = LogFormat.of(["packets", "end"])
BATCH = st.lists(st.integers(0, 2000), max_size=12)


class TestConservation:
    """Every record is in one object, that of the five minutes in which it ends, in the order it came."""

    @settings(deadline=None, max_examples=examples(30))
    @given(st.lists(BATCH, max_size=5), st.integers(1, 4), st.booleans(), st.data())
    def test_nothing_is_lost_or_doubled(
        self, batches: list[list[int]], open_periods: int, parquet: bool, data: st.DataObject
    ) -> None:
        log = parquet_log(log_format=FORMAT) if parquet else flow_log(FORMAT)
        expected: dict[int, list[int]] = defaultdict(list)
        with tempfile.TemporaryDirectory() as folder:
            builder = ObjectBuilder(log, DirectorySink(folder), open_periods=open_periods)
            number = 0
            for ends in batches:
                rows = data.draw(st.permutations(range(len(ends)))) if data.draw(st.booleans()) else None
                first = number
                number += len(ends)
                batch = batch_of(FORMAT, [[first + i, end] for i, end in enumerate(ends)])
                builder.add(batch, np.array(ends, np.int64), None if rows is None else np.array(rows, np.int64))
                for i in range(len(ends)) if rows is None else rows:
                    expected[ends[i] // 300 * 300].append(first + i)
                builder.settle(data.draw(st.integers(0, 2400)))
            results = builder.close()
            found: dict[int, list[Any]] = defaultdict(list)
            for result in results:
                parts = parse_key(result.key)
                numbers = read_object(Path(folder) / result.key).table["packets"].to_pylist()
                assert parts is not None
                assert (result.created, result.records) == (True, len(numbers))
                found[parts.period_start_s] += numbers
        assert found == expected
