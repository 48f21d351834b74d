"""Capture files: what was written is read, what is cut gives what stands before the cut, garbage never breaks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support import pcapfile
from tests.support.examples import examples
from tests.support.frames import Order
from tests.support.pcapfile import Packet

from flowglass.capture import CaptureFile, CaptureFiles
from flowglass.fields.errors import CaptureUnreadable

SECOND = 1_000_000_000
PACKETS = st.lists(
    st.builds(
        Packet,
        st.binary(max_size=60),
        ts_ns=st.integers(0, 2**31).map(lambda microsecond: microsecond * 1000),
    ),
    min_size=1,
    max_size=8,
)
SETTINGS = settings(
    deadline=None, max_examples=examples(60), suppress_health_check=[HealthCheck.function_scoped_fixture]
)


FORMS: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gzip": pcapfile.gzipped,
    "zstd": pcapfile.zstandard,
}


def read(path: Path) -> tuple[list[tuple[bytes, int]], list[str]]:
    """(bytes and time of every frame, faults)."""
    source = CaptureFiles([CaptureFile(str(path))])
    frames: list[tuple[bytes, int]] = []
    for block in source:
        for frame in block.frames:
            begin, length = int(frame["offset"]), int(frame["caplen"])
            assert 0 <= begin <= begin + length <= len(block.data)
            assert int(frame["point"]) < len(source.points)
            frames.append((block.data[begin : begin + length].tobytes(), int(frame["ts_ns"])))
    return frames, [str(fault) for fault in source.faults]


def refusal(path: Path) -> str:
    """Why a file is refused whole; empty where it is read."""
    try:
        read(path)
    except CaptureUnreadable as error:
        return str(error)
    return ""


def written(packets: list[Packet]) -> list[tuple[bytes, int]]:
    return [(packet.data, packet.ts_ns) for packet in packets]


class TestRoundTrip:
    """A capture gives its frames, whatever its byte order, resolution and compression."""

    @given(PACKETS, st.sampled_from("<>"), st.booleans(), st.sampled_from(("plain", "gzip", "zstd")))
    @SETTINGS
    def test_pcap(self, tmp_path: Path, packets: list[Packet], order: Order, nanoseconds: bool, form: str) -> None:
        data = pcapfile.pcap(packets, order=order, nanoseconds=nanoseconds)
        assert read(put(tmp_path, data, form)) == (written(packets), [])

    @given(PACKETS, st.sampled_from("<>"), st.sampled_from((6, 9, 12, 0x80 | 20, 0x80 | 40)))
    @SETTINGS
    def test_pcapng(self, tmp_path: Path, packets: list[Packet], order: Order, tsresol: int) -> None:
        data = pcapfile.section(order) + pcapfile.interface(1, order=order, tsresol=tsresol)
        for packet in packets:
            data += pcapfile.enhanced(packet, order=order, tsresol=tsresol)
        frames, faults = read(put(tmp_path, data, "plain"))
        assert faults == []
        assert [frame for frame, _ in frames] == [packet.data for packet in packets]
        tolerance = 1 if tsresol < 0x80 else SECOND >> min(tsresol & 0x7F, 29)
        for (_, ts), packet in zip(frames, packets, strict=True):
            assert abs(ts - packet.ts_ns) <= tolerance


def put(folder: Path, data: bytes, form: str) -> Path:
    """Write a capture, compressed as asked."""
    path = folder / "capture"
    path.write_bytes(FORMS[form](data))
    return path


class TestCuts:
    """A file cut at any byte gives the frames that stand before the cut, and a message with the offset."""

    @pytest.mark.parametrize("form", ["plain", "gzip", "zstd"])
    def test_pcap_at_every_byte(self, tmp_path: Path, form: str) -> None:
        packets = [Packet(bytes(range(size)), ts_ns=size * SECOND) for size in (0, 20, 3)]
        whole = pcapfile.pcap(packets)
        ends = [24]
        for packet in packets:
            ends.append(ends[-1] + 16 + len(packet.data))
        for cut in range(24, len(whole) + 1):
            complete = sum(end <= cut for end in ends[1:])
            frames, faults = read(put(tmp_path, whole[:cut], form))
            assert frames == written(packets[:complete])
            assert bool(faults) == (cut not in ends)
            if faults:
                assert f"offset {ends[complete]}:" in faults[0]

    def test_pcapng_at_every_byte(self, tmp_path: Path) -> None:
        packets = [Packet(bytes(range(size)), ts_ns=size * SECOND) for size in (1, 20, 4)]
        parts = [
            pcapfile.section() + pcapfile.interface(1),
            *(pcapfile.enhanced(packet) for packet in packets),
        ]
        whole = b"".join(parts)
        ends = [sum(map(len, parts[: count + 1])) for count in range(len(parts))]
        for cut in range(ends[0], len(whole) + 1):
            complete = sum(end <= cut for end in ends[1:])
            frames, faults = read(put(tmp_path, whole[:cut], "plain"))
            assert frames == written(packets[:complete])
            assert bool(faults) == (cut not in ends)

    @pytest.mark.parametrize("form", ["gzip", "zstd"])
    def test_compressed_stream_cut_at_every_byte(self, tmp_path: Path, form: str) -> None:
        packets = [Packet(bytes(range(40)), ts_ns=size * SECOND) for size in range(20)]
        whole = FORMS[form](pcapfile.pcap(packets))
        path = tmp_path / "cut"
        for cut in range(len(whole)):
            path.write_bytes(whole[:cut])
            try:
                frames, faults = read(path)
            except CaptureUnreadable:
                continue
            assert frames == written(packets[: len(frames)])
            assert len(faults) == 1


class TestGarbage:
    """Whatever the bytes, a capture is read, refused with one error, or read up to its damage."""

    @given(PACKETS, st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=6), st.booleans())
    @SETTINGS
    def test_changed_bytes(
        self, tmp_path: Path, packets: list[Packet], changes: list[tuple[int, int]], classic: bool
    ) -> None:
        if classic:
            data = bytearray(pcapfile.pcap(packets))
        else:
            blocks = b"".join(pcapfile.enhanced(packet) for packet in packets)
            data = bytearray(pcapfile.section() + pcapfile.interface(1, name="eth0") + blocks)
        for place, value in changes:
            data[place % len(data)] = value
        refused = refusal(put(tmp_path, bytes(data), "plain"))
        assert "\n" not in refused

    @given(st.binary(max_size=200), st.sampled_from((b"", b"\xd4\xc3\xb2\xa1", b"\x0a\x0d\x0d\x0a", b"\x1f\x8b")))
    @SETTINGS
    def test_noise(self, tmp_path: Path, noise: bytes, magic: bytes) -> None:
        refused = refusal(put(tmp_path, magic + noise, "plain"))
        assert "\n" not in refused
