"""Capture files of a run: how they are named, their order and points, pipes, bounded memory, files that change."""

from __future__ import annotations

import os
import struct
import threading
import tracemalloc
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from tests.support import frames as link
from tests.support import pcapfile
from tests.support.pcapfile import Packet

from flowglass.capture import CaptureFile, CaptureFiles, named_captures
from flowglass.capture.kernels import MAX_CAPTURED
from flowglass.fields.errors import CaptureMissing, CaptureUnreadable, OptionError

SECOND = 1_000_000_000


def write(path: Path, *seconds: int, link_type: int = link.ETHERNET, mark: bytes = b"x") -> Path:
    """A classic pcap with one packet at each of these seconds."""
    path.write_bytes(pcapfile.pcap([Packet(mark, second * SECOND) for second in seconds], link_type))
    return path


def read(source: CaptureFiles) -> list[tuple[bytes, int, str]]:
    """(bytes, second, point's name) of every frame."""
    return [
        (
            block.data[frame["offset"] : frame["offset"] + frame["caplen"]].tobytes(),
            int(frame["ts_ns"]) // SECOND,
            source.points[frame["point"]].name,
        )
        for block in source
        for frame in block.frames
    ]


def of(*paths: Path | CaptureFile) -> CaptureFiles:
    return CaptureFiles([path if isinstance(path, CaptureFile) else CaptureFile(str(path)) for path in paths])


class TestNames:
    """Captures from the command line: paths, globs, NAME=FILE, `-`."""

    def test_a_path_stays_as_it_is(self) -> None:
        assert named_captures(["a.pcap", "-"]) == [CaptureFile("a.pcap"), CaptureFile("-")]

    def test_a_glob_gives_its_files_in_order(self, tmp_path: Path) -> None:
        for name in ("b.pcap", "a.pcap", "c.txt"):
            write(tmp_path / name, 1)
        found = [CaptureFile(str(tmp_path / name)) for name in ("a.pcap", "b.pcap")]
        assert named_captures([str(tmp_path / "*.pcap")]) == found
        named = [CaptureFile(capture.path, "wan") for capture in found]
        assert named_captures([f"wan={tmp_path}/?.pcap"]) == named

    def test_a_glob_that_matches_nothing_is_an_error(self, tmp_path: Path) -> None:
        with pytest.raises(CaptureMissing, match=r"\*\.pcap: matches no file; check the pattern"):
            named_captures([str(tmp_path / "*.pcap")])

    def test_a_file_wins_over_its_reading_as_a_glob_or_a_name(self, tmp_path: Path) -> None:
        for name in ("eth0=1.pcap", "trace[1].pcap"):
            path = str(write(tmp_path / name, 1))
            assert named_captures([path]) == [CaptureFile(path)]

    def test_a_name_for_a_file_that_has_the_sign_itself(self, tmp_path: Path) -> None:
        path = str(write(tmp_path / "a=b.pcap", 1))
        assert named_captures([f"lan={path}"]) == [CaptureFile(path, "lan")]

    def test_standard_input_can_have_a_name(self) -> None:
        assert named_captures(["lan=-"]) == [CaptureFile("-", "lan")]

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ([], "no capture given"),
            (["-", "-"], "standard input can be read once only"),
            (["a=-", "-"], "standard input can be read once only"),
            (["=file"], "=file: a capture point is given as NAME=FILE"),
            (["name="], "name=: a capture point is given as NAME=FILE"),
        ],
    )
    def test_arguments_that_make_no_sense(self, arguments: Sequence[str], message: str) -> None:
        with pytest.raises(OptionError, match=message):
            named_captures(arguments)

    @pytest.mark.parametrize("argument", ["x" * 5000, "a=" + "x" * 5000, "x" * 5000 + "*"])
    def test_a_name_longer_than_any_file_has(self, argument: str) -> None:
        with pytest.raises(CaptureMissing):
            CaptureFiles(named_captures([argument]))

    def test_missing_file_and_folder(self, tmp_path: Path) -> None:
        with pytest.raises(CaptureMissing, match=r"none\.pcap: No such file or directory; check the path"):
            of(tmp_path / "none.pcap")
        with pytest.raises(CaptureMissing, match=r"is a folder; name its files, for example"):
            of(tmp_path)


class TestOrderAndPoints:
    """Classic files share one point a link type and are read by first packet; NAME=FILE makes a point of its own."""

    def test_rotated_files_are_one_stream_in_order_of_time(self, tmp_path: Path) -> None:
        late, early = write(tmp_path / "a", 50, 60), write(tmp_path / "b", 10, 49)
        source = of(late, early)
        assert [(second, name) for _, second, name in read(source)] == [
            (second, "ethernet") for second in (10, 49, 50, 60)
        ]
        assert source.one_stream
        assert len(source.points) == 1

    def test_files_without_a_time_keep_their_place_at_the_end(self, tmp_path: Path) -> None:
        empty, first, later = write(tmp_path / "a"), write(tmp_path / "b", 5), write(tmp_path / "c", 3)
        simple = tmp_path / "d"
        simple.write_bytes(pcapfile.section() + pcapfile.interface(1, name="eth0") + pcapfile.simple(Packet(b"s")))
        seconds = [second for _, second, _ in read(of(empty, simple, first, later))]
        assert seconds == [3, 5, -1]

    def test_equal_times_go_by_path_whatever_the_order_of_the_caller(self, tmp_path: Path) -> None:
        one, two = write(tmp_path / "z", 5, mark=b"1"), write(tmp_path / "a", 5, mark=b"2")
        assert (
            [data for data, _, _ in read(of(one, two))] == [data for data, _, _ in read(of(two, one))] == [b"2", b"1"]
        )

    def test_points_that_files_begin_with_are_known_before_the_first_block(self, tmp_path: Path) -> None:
        early, late = write(tmp_path / "a", 1), write(tmp_path / "b", 2)
        source = CaptureFiles([CaptureFile(str(late), "veth1"), CaptureFile(str(early), "br0")])
        assert [point.name for point in source.points] == ["br0", "veth1"]
        assert not source.one_stream

    def test_files_of_different_points_are_not_one_stream(self, tmp_path: Path) -> None:
        assert not of(write(tmp_path / "a", 1), write(tmp_path / "b", 2, link_type=link.RAW)).one_stream
        assert of(write(tmp_path / "c", 1), write(tmp_path / "d", 2)).one_stream

    def test_a_capture_named_twice_is_refused(self, tmp_path: Path) -> None:
        path = str(write(tmp_path / "a", 1))
        with pytest.raises(OptionError, match="named 2 times"):
            named_captures([path, path])
        assert len(named_captures([f"x={path}", f"y={path}"])) == 2

    def test_another_link_type_is_another_point(self, tmp_path: Path) -> None:
        source = of(write(tmp_path / "a", 1), write(tmp_path / "b", 2, link_type=link.RAW), write(tmp_path / "c", 3))
        assert [name for _, _, name in read(source)] == ["ethernet", "raw", "ethernet"]

    def test_unknown_link_type_is_named(self, tmp_path: Path) -> None:
        source = of(write(tmp_path / "a", 1, link_type=147), write(tmp_path / "b", 2, link_type=4711))
        assert [name for _, _, name in read(source)] == ["linktype-147", "linktype-4711"]
        assert source.unsupported() == ["USER0 (147)", "4711"]

    def test_named_files_are_points_of_their_own(self, tmp_path: Path) -> None:
        lan, wan, more = write(tmp_path / "a", 1), write(tmp_path / "b", 2), write(tmp_path / "c", 3)
        source = of(CaptureFile(str(lan), "lan"), CaptureFile(str(wan), "wan"), CaptureFile(str(more), "lan"))
        assert [name for _, _, name in read(source)] == ["lan", "wan", "lan"]
        assert not source.one_stream

    def test_upper_half_of_the_link_type_is_no_part_of_it(self, tmp_path: Path) -> None:
        data = bytearray(pcapfile.pcap([Packet(b"x", SECOND)]))
        data[20:24] = struct.pack("<I", 1 | 0x2400_0000)  # an FCS of four bytes
        (tmp_path / "a").write_bytes(data)
        source = of(tmp_path / "a")
        read(source)
        assert source.points[0].link_type == 1


class TestBytes:
    """Files of any size in bounded memory, from files and pipes, plain or compressed."""

    def test_records_larger_than_the_buffer(self, tmp_path: Path) -> None:
        big = [Packet(bytes([n]) * (MAX_CAPTURED - n), n * SECOND) for n in range(9)]
        (tmp_path / "a").write_bytes(pcapfile.pcap(big))
        assert [(data, second) for data, second, _ in read(of(tmp_path / "a"))] == [
            (packet.data, packet.ts_ns // SECOND) for packet in big
        ]

    def test_a_longer_record_is_damage(self, tmp_path: Path) -> None:
        whole = pcapfile.pcap([Packet(b"x", SECOND), Packet(bytes(MAX_CAPTURED + 1)), Packet(b"y", SECOND)])
        (tmp_path / "a").write_bytes(whole)
        source = of(tmp_path / "a")
        assert [data for data, _, _ in read(source)] == [b"x"]
        assert str(source.faults[0]).endswith(
            "a: damaged at offset 41: a record claims more than 262144 captured bytes; "
            "what stands before it was recorded"
        )

    @pytest.mark.parametrize("packed", [pcapfile.gzipped, pcapfile.zstandard])
    def test_compressed_members_one_behind_the_other(self, tmp_path: Path, packed: type[bytes]) -> None:
        whole = pcapfile.pcap([Packet(bytes([n]) * 100, n * SECOND) for n in range(10)])
        (tmp_path / "a").write_bytes(packed(whole[:500]) + packed(whole[500:]))
        source = of(tmp_path / "a")
        assert [second for _, second, _ in read(source)] == list(range(10))
        assert source.faults == []

    @pytest.mark.parametrize("size", [1, 30, 40_000])
    def test_a_cut_gzip_file_gives_every_packet_before_the_cut(self, tmp_path: Path, size: int) -> None:
        packets = [Packet(number.to_bytes(4, "big") * size, SECOND) for number in range(60)]
        packed = pcapfile.gzipped(pcapfile.pcap(packets))
        for cut in (len(packed) - 9, len(packed) * 2 // 3):
            (tmp_path / "a").write_bytes(packed[:cut])
            before = zlib.decompressobj(31).decompress(packed[:cut])
            source = of(tmp_path / "a")
            assert len(read(source)) == (len(before) - 24) // (16 + 4 * size)
            assert "the compressed data ends early" in str(source.faults[0])

    def test_a_cut_zstd_file_gives_every_block_before_the_cut(self, tmp_path: Path) -> None:
        packed = pcapfile.zstandard(pcapfile.pcap([Packet(os.urandom(984), SECOND) for _ in range(700)]))
        (tmp_path / "a").write_bytes(packed[:-9])
        source = of(tmp_path / "a")
        assert len(read(source)) >= 5 * 131_072 // 1000
        assert len(source.faults) == 1

    def test_what_follows_a_gzip_member(self, tmp_path: Path) -> None:
        packed = pcapfile.gzipped(pcapfile.pcap([Packet(b"x", SECOND)]))
        for tail, faults in ((bytes(600_000), 0), (b"garbage", 1), (packed[:15], 1)):
            (tmp_path / "a").write_bytes(packed + tail)
            source = of(tmp_path / "a")
            assert [data for data, _, _ in read(source)] == [b"x"]
            assert len(source.faults) == faults

    def test_a_pipe_is_read_once_and_behind_the_files(self, tmp_path: Path) -> None:
        with piped([pcapfile.pcap([Packet(b"p", SECOND), Packet(b"q", 2 * SECOND)])]) as pipe:
            source = of(CaptureFile(pipe), write(tmp_path / "a", 9))
            assert source.total_bytes == 0
            assert [(data, second) for data, second, _ in read(source)] == [(b"x", 9), (b"p", 1), (b"q", 2)]

    def test_a_pipe_that_is_no_capture_is_refused_when_it_is_read(self) -> None:
        with piped([b"hello"]) as pipe:
            source = of(CaptureFile(pipe))
            with pytest.raises(CaptureUnreadable, match=r"is no pcap or pcapng capture \(it begins with 68 65 6c 6c\)"):
                read(source)

    def test_a_pipe_that_gives_a_byte_at_a_time(self) -> None:
        data = pcapfile.pcap([Packet(b"abc", SECOND)])
        with piped([data[place : place + 1] for place in range(len(data))]) as pipe:
            assert [data for data, _, _ in read(of(CaptureFile(pipe)))] == [b"abc"]

    def test_memory_does_not_grow_with_the_capture(self) -> None:
        chunk = b"".join(struct.pack("<IIII", 1, 0, 60, 60) + bytes(60) for _ in range(1000))
        chunks = 400  # 30 MB
        with piped([pcapfile.pcap([]), *[chunk] * chunks]) as pipe:
            source = of(CaptureFile(pipe))
            frames = 0
            tracemalloc.start()
            try:
                for block in source:
                    frames += len(block.frames)
                _, peak = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
        assert frames == 1000 * chunks
        assert peak < 4_000_000

    def test_bytes_read_are_those_of_the_files(self, tmp_path: Path) -> None:
        whole = pcapfile.gzipped(pcapfile.pcap([Packet(bytes(1000), SECOND)] * 100))
        (tmp_path / "a").write_bytes(whole)
        source = of(tmp_path / "a", write(tmp_path / "b", 3))
        read(source)
        assert source.read_bytes == source.total_bytes == len(whole) + (tmp_path / "b").stat().st_size

    def test_a_file_that_shrinks_while_it_is_read(self, tmp_path: Path) -> None:
        path = tmp_path / "a"
        path.write_bytes(pcapfile.pcap([Packet(bytes(1000), SECOND)] * 5000))
        source = of(path)
        blocks = iter(source)
        frames = len(next(blocks).frames)
        os.truncate(path, 100)
        frames += sum(len(block.frames) for block in blocks)
        assert 0 < frames < 5000
        assert "the file ends inside a record" in str(source.faults[0])

    def test_a_file_that_is_gone_when_its_turn_comes(self, tmp_path: Path) -> None:
        first, second = write(tmp_path / "a", 1), write(tmp_path / "b", 2)
        source = of(first, second)
        second.unlink()
        with pytest.raises(CaptureMissing, match="b: No such file"):
            read(source)


@contextmanager
def piped(pieces: Sequence[bytes]) -> Iterator[str]:
    """The path of a pipe into which a thread writes these pieces."""
    reading, writing = os.pipe()

    def write_all() -> None:
        with suppress(BrokenPipeError), os.fdopen(writing, "wb", buffering=0) as out:
            for piece in pieces:
                out.write(piece)

    thread = threading.Thread(target=write_all)
    thread.start()
    try:
        yield f"/dev/fd/{reading}"
    finally:
        os.close(reading)
        thread.join()
