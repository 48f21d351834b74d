"""Whatever stands in an inventory file, it is either read or refused with lines; nothing else happens."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowglass.fields.errors import InventoryError
from flowglass.inventory import check, example, load

CASES = settings(deadline=None, max_examples=150)
EXAMPLE = example()
PIECES = ["", " ", "\n", "-", ":", "[", "]", "{", "}", '"', "#", "&a", "*a", "!!int", "~", "0", "10.0.0.1/8", "\t", "é"]


def _outcome(content: bytes) -> int:
    """How many faults a file with this content has; -1 where it cannot be read at all."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "inventory.yaml"
        path.write_bytes(content)
        try:
            faults = check(path)
        except InventoryError:
            return -1
        if faults:
            with pytest.raises(InventoryError, match="run flowglass inventory check"):
                load(path)
        else:
            load(path)
        lines = content.count(b"\n") + content.count(b"\r") + 2
        assert all(1 <= fault.line <= lines and fault.message and fault.remedy for fault in faults)
        assert faults == sorted(faults)
        return len(faults)


@CASES
@given(st.integers(0, len(EXAMPLE)), st.integers(0, 12), st.sampled_from(PIECES))
def test_an_example_with_a_slip_of_the_pen(place: int, dropped: int, piece: str) -> None:
    assert _outcome((EXAMPLE[:place] + piece + EXAMPLE[place + dropped :]).encode()) >= 0


@CASES
@given(st.integers(0, EXAMPLE.count("\n")), st.integers(0, EXAMPLE.count("\n")))
def test_an_example_with_a_line_in_another_place(taken: int, put: int) -> None:
    lines = EXAMPLE.split("\n")
    lines.insert(put, lines.pop(taken))
    assert _outcome("\n".join(lines).encode()) >= 0


@CASES
@given(st.binary(max_size=200))
def test_anything_at_all(content: bytes) -> None:
    assert _outcome(content) != 0
