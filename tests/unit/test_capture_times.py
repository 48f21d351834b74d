"""Times of pcapng packets: resolutions, offsets, and the ends of what a time can be."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from tests.support import pcapfile as ng
from tests.support.captured import Read
from tests.support.pcapfile import Packet

from flowglass.fields.contracts import NO_TIME

SECOND = 1_000_000_000
LARGEST = 2**64 - 1


class TestTimes:
    """Times are in the interface's resolution and behind its offset; what is no time of 1970 to 2262 is absent."""

    @pytest.mark.parametrize("tsresol", [0, 1, 3, 6, 9, 0x80, 0x80 | 1, 0x80 | 20, 0x80 | 32])
    def test_resolutions(self, tmp_path: Path, tsresol: int) -> None:
        packet = Packet(b"x", 1_600_000_003 * SECOND)
        read = Read(tmp_path, ng.section(), ng.interface(1, tsresol=tsresol), ng.enhanced(packet, tsresol=tsresol))
        assert read["ts_ns"] == [packet.ts_ns]

    @pytest.mark.parametrize(
        ("tsresol", "second"), [(18, 18), (12, 18_446_743), (15, 18_446), (0x80 | 60, 15), (0x80 | 63, 1)]
    )
    def test_fine_resolutions_reach_a_short_way(self, tmp_path: Path, tsresol: int, second: int) -> None:
        half = Packet(b"x", second * SECOND + SECOND // 4)
        read = Read(tmp_path, ng.section(), ng.interface(1, tsresol=tsresol), ng.enhanced(half, tsresol=tsresol))
        assert read["ts_ns"] == [half.ts_ns]

    @pytest.mark.parametrize("tsresol", [19, 127, 0x80 | 64, 0xFF])
    def test_a_resolution_beyond_64_bits_makes_times_absent(self, tmp_path: Path, tsresol: int) -> None:
        read = Read(tmp_path, ng.section(), ng.interface(1, tsresol=tsresol), ng.enhanced(Packet(b"x", SECOND)))
        assert (read.data, read["ts_ns"], read.faults) == ([b"x"], [NO_TIME], [])

    @pytest.mark.parametrize("offset", [1, -1, 1_600_000_000, -(2**31)])
    def test_offset(self, tmp_path: Path, offset: int) -> None:
        packet = Packet(b"x", 1_600_000_007 * SECOND)
        read = Read(tmp_path, ng.section(), ng.interface(1, tsoffset=offset), ng.enhanced(packet, tsoffset=offset))
        assert read["ts_ns"] == [packet.ts_ns]

    @pytest.mark.parametrize("offset", [-(2**63), -2, 9_223_372_036, 2**63 - 1])
    def test_an_offset_out_of_this_era_makes_times_absent(self, tmp_path: Path, offset: int) -> None:
        read = Read(tmp_path, ng.section(), ng.interface(1, tsoffset=offset), ng.enhanced(Packet(b"x", SECOND)))
        assert read["ts_ns"] == [NO_TIME]

    @pytest.mark.parametrize(
        ("units", "tsresol", "ts_ns"),
        [
            (LARGEST, 6, NO_TIME),
            (LARGEST, 0, NO_TIME),
            (LARGEST, 9, NO_TIME),
            (9_223_372_035_999_999_999, 9, 9_223_372_035_999_999_999),
            (9_223_372_036_000_000_000, 9, NO_TIME),
            (0, 6, 0),
        ],
    )
    def test_ends_of_time(self, tmp_path: Path, units: int, tsresol: int, ts_ns: int) -> None:
        body = struct.pack("<IIIII", 0, units >> 32, units & 0xFFFF_FFFF, 1, 1) + b"x\0\0\0"
        read = Read(tmp_path, ng.section(), ng.interface(1, tsresol=tsresol), ng.block(6, body))
        assert read["ts_ns"] == [ts_ns]
