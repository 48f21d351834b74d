"""Addresses as text, tag values, and the merging of equal rows: kernels against plain Python."""

from __future__ import annotations

import ipaddress
import re
from typing import Any
from urllib.parse import unquote

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.enrich import SECOND, START_S, batch, flows
from tests.support.examples import examples

from flowglass.enrich import Observer
from flowglass.enrich.columns import address_texts
from flowglass.enrich.properties import percent_encoded
from flowglass.fields.contracts import FLOW, FlowBatch, Point, Structured
from flowglass.inventory import of_points

GROUPS = st.lists(st.sampled_from([0, 0, 0, 1, 0xA, 0xAB, 0xABC, 0xABCD, 0xFFFF]), min_size=8, max_size=8)
IPV6 = st.one_of(
    st.integers(0, (1 << 128) - 1),
    GROUPS.map(lambda groups: sum(group << 16 * place for place, group in enumerate(groups))),
)
ADDRESSES = st.lists(
    st.one_of(
        st.integers(0, (1 << 32) - 1).map(lambda value: (4, value | 0xFFFF << 32)),
        IPV6.map(lambda value: (6, value)),
    ),
    max_size=40,
)


def _text(family: int, value: int) -> str:
    if family == 4:
        return str(ipaddress.IPv4Address(value & 0xFFFF_FFFF))
    if value >> 32 == 0xFFFF:  # newer Pythons print a mapped address dotted
        return f"::ffff:{value >> 16 & 0xFFFF:x}:{value & 0xFFFF:x}"
    return str(ipaddress.IPv6Address(value))


class TestAddressText:
    """IPv4 is dotted; IPv6 is RFC 5952: lower case, longest run of zeros short, the first of equal ones."""

    @given(ADDRESSES)
    @settings(deadline=None, max_examples=examples(200))
    def test_equals_the_standard_library(self, addresses: list[tuple[int, int]]) -> None:
        hi = np.array([value >> 64 for _, value in addresses], np.uint64)
        lo = np.array([value & (1 << 64) - 1 for _, value in addresses], np.uint64)
        family = np.array([family for family, _ in addresses], np.uint8)
        texts = address_texts(hi, lo, family)
        texts.validate(full=True)
        assert texts.to_pylist() == [_text(family, value) for family, value in addresses]

    def test_long_and_short_extremes(self) -> None:
        low = np.array([0xFFFF_0000_0000, 0xFFFF_FFFF_FFFF], np.uint64)
        four = address_texts(np.zeros(2, np.uint64), low, np.full(2, 4, np.uint8))
        assert four.to_pylist() == [_text(4, 0), "255.255.255.255"]
        full = np.array([0, 2**64 - 1], np.uint64)
        assert address_texts(full, full, np.full(2, 6, np.uint8)).to_pylist() == [
            "::",
            ":".join(["ffff"] * 8),
        ]


class TestTagValues:
    """Every reader that decodes percent-encoding reads the value, and no byte of it can break a line."""

    @given(st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
    @settings(deadline=None, max_examples=examples(200))
    def test_decodes_to_itself_and_has_safe_characters_only(self, value: str) -> None:
        encoded = percent_encoded(value)
        if not value:
            assert encoded is None
            return
        assert encoded is not None
        assert unquote(encoded, errors="strict") == value
        assert re.fullmatch(r"(?:[A-Za-z0-9]|%[0-9A-F]{2})+", encoded)


KEYS = ("direction", "verdict", "src_hi", "src_lo", "dst_hi", "dst_lo", "sport", "dport")
MORE_KEYS = ("protocol", "family", "reason", "nat")
OTHER_KEYS = st.sampled_from(
    [
        {},
        {},
        {},
        {"src": "10.0.0.9"},
        {"dst": "10.0.0.9"},
        {"src": "2001:db8::1", "dst": "::"},
        {"src": "2001:db9::1", "dst": "::"},
        {"src": "2001:dba::1", "dst": "::"},
        {"src": "::ffff:10.0.0.1", "dst": "::ffff:10.0.0.2"},  # the same halves as the plain row's
        {"sport": 1},
        {"dport": 1},
        {"protocol": 1},
        {"verdict": 1},
        {"direction": 1},
        {"reason": 1},
        {"nat": 1},
    ]
)
"""What makes a row another one; most often nothing does."""
ROWS = st.lists(
    st.builds(
        lambda key, values: {**key, **values},
        OTHER_KEYS,
        st.fixed_dictionaries(
            {
                "link": st.integers(0, 3),
                "packets": st.integers(1, 2**40),
                "bytes": st.integers(1, 2**50),
                "frames": st.integers(1, 2**40),
                "tcp_flags": st.sampled_from([0, 1, 2, 18]),
                "raw_flags": st.integers(0, 255),
                "icmp": st.integers(0, 65535),
                "first_ns": st.integers(0, 5).map(lambda second: (START_S + second) * SECOND),
                "last_ns": st.integers(5, 9).map(lambda second: (START_S + second) * SECOND),
            }
        ),
    ),
    max_size=60,
)


def _merged(rows: Structured) -> list[dict[str, Any]]:
    """Rows added up by key with a dict, in order of first appearance."""
    found: dict[tuple[int, ...], dict[str, Any]] = {}
    for row in rows:
        key = tuple(int(row[name]) for name in (*KEYS, *MORE_KEYS))
        values = {name: int(row[name]) for name in FLOW.names or ()}
        if key not in found:
            found[key] = values
            continue
        into = found[key]
        for name in ("packets", "bytes", "frames"):
            into[name] += values[name]
        for name in ("tcp_flags", "raw_flags"):
            into[name] |= values[name]
        if values["first_ns"] < into["first_ns"]:
            into["first_ns"], into["icmp"] = values["first_ns"], values["icmp"]
        into["last_ns"] = max(into["last_ns"], values["last_ns"])
    return list(found.values())


class TestMerging:
    """Rows of a tuple that differ only in their link endpoints are one record; nothing is lost."""

    def _observer(self) -> Observer:
        points = [Point("eth0", 1)]
        return Observer(of_points(points, "000000000000", "local-1"), points)

    @given(ROWS)
    @settings(deadline=None, max_examples=examples(100))
    def test_equals_adding_with_a_dict(self, rows: list[dict[str, Any]]) -> None:
        made = flows(rows)
        before = made.copy()
        seen = self._observer().observe(batch(made, mixed_links=True))
        got = [{name: int(row[name]) for name in FLOW.names or ()} for row in seen.flows]
        assert got == _merged(before)
        assert (made == before).all()
        assert seen.counts.merged == len(made) - len(seen.flows)
        assert seen.counts.records == len(seen.flows) == len(seen.interface) == len(seen.direction)

    def test_a_batch_without_mixed_links_is_handed_on_as_it_is(self) -> None:
        made = flows([{}, {}])
        seen = self._observer().observe(batch(made))
        assert seen.flows is made
        assert seen.counts.merged == 0

    def test_nothing_to_observe(self) -> None:
        empty = FlowBatch(START_S, 60, 0, flows([]), batch(flows([])).links, mixed_links=True)
        assert len(self._observer().observe(empty).flows) == 0
