"""pcapng, block by block: interfaces and points, options, times, statistics, sections, blocks that are stepped over."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from tests.support import frames as link
from tests.support import pcapfile as ng
from tests.support.captured import Read
from tests.support.frames import Order
from tests.support.pcapfile import Packet

from flowglass.capture import CaptureFile, CaptureFiles
from flowglass.fields.contracts import NO_TIME, Direction, Verdict
from flowglass.fields.errors import CaptureUnreadable

SECOND = 1_000_000_000
ORDERS: tuple[Order, Order] = ("<", ">")
LARGEST = 2**64 - 1


class TestPoints:
    """An interface is a point, by name and link type; all of a file's are one when the caller names it."""

    def test_interfaces_by_name_or_number(self, tmp_path: Path) -> None:
        read = Read(
            tmp_path,
            ng.section(),
            ng.interface(1, name="eth0"),
            ng.interface(link.SLL2),
            ng.interface(1, name="", description="the other"),
            *(ng.enhanced(Packet(b"x", SECOND), row) for row in (2, 0, 1)),
        )
        assert read.points == [("eth0", 1), ("interface-1", link.SLL2), ("interface-2", 1)]
        assert read["point"] == [2, 0, 1]

    def test_the_same_name_and_link_type_is_the_same_point(self, tmp_path: Path) -> None:
        eth0, packet = ng.interface(1, name="eth0"), ng.enhanced(Packet(b"x", SECOND))
        raw = ng.interface(link.RAW, name="eth0")
        read = Read(
            tmp_path, ng.section(), eth0, packet, ng.section(), eth0, raw, packet, ng.enhanced(Packet(b"y", SECOND), 1)
        )
        assert read.points == [("eth0", 1), ("eth0", link.RAW)]
        assert read["point"] == [0, 0, 1]

    def test_a_named_file_is_one_point_a_link_type(self, tmp_path: Path) -> None:
        read = Read(
            tmp_path,
            ng.section(),
            ng.interface(1, name="eth0"),
            ng.interface(1, name="eth1"),
            ng.interface(link.RAW, name="tun0"),
            *(ng.enhanced(Packet(b"x", SECOND), row) for row in range(3)),
            name="lan",
        )
        assert read.points == [("lan", 1), ("lan", link.RAW)]
        assert read["point"] == [0, 0, 1]

    def test_a_packet_of_an_interface_that_was_not_described_is_damage(self, tmp_path: Path) -> None:
        for packet in (ng.enhanced(Packet(b"y"), 1), ng.old_packet(Packet(b"y"), 1)):
            read = Read(tmp_path, ng.section(), ng.interface(1), ng.enhanced(Packet(b"x", SECOND)), packet)
            assert read.data == [b"x"]
            assert len(read.faults) == 1
            assert "a packet names an interface that was not described" in read.faults[0]
        read = Read(tmp_path, ng.section(), ng.simple(Packet(b"x")))
        assert read.data == []
        assert "not described" in read.faults[0]

    def test_interfaces_do_not_outlive_their_section(self, tmp_path: Path) -> None:
        packet = ng.enhanced(Packet(b"x", SECOND))
        read = Read(tmp_path, ng.section(), ng.interface(1), packet, ng.section(), packet)
        assert read.data == [b"x"]
        assert "not described" in read.faults[0]

    def test_more_interfaces_than_points_have_numbers(self, tmp_path: Path) -> None:
        count = 70_000
        read = Read(
            tmp_path,
            ng.section(),
            *(ng.interface(1) for _ in range(count)),
            *(ng.enhanced(Packet(b"x", SECOND), row) for row in (0, 65_534, 65_535, count - 1)),
        )
        assert read.faults == []
        assert read["point"] == [0, 65_534, 65_535, 65_535]
        assert len(read.points) == 65_536


@pytest.mark.parametrize("order", ORDERS)
class TestOptions:
    """Direction and verdict of a packet are taken where the capture tells them, in both byte orders."""

    @pytest.mark.parametrize("number", [0, 1, 2, 3])
    def test_direction(self, tmp_path: Path, order: Order, number: int) -> None:
        packets = [
            ng.enhanced(Packet(data, SECOND), order=order, direction=flags)
            for data, flags in ((b"abc", number), (b"abcd", number | 0x8000_01FC))
        ]
        read = Read(tmp_path, ng.section(order), ng.interface(1, order=order), *packets)
        expected = {1: Direction.IN, 2: Direction.OUT}.get(number, Direction.UNKNOWN)
        assert read["direction"] == [expected, expected]

    @pytest.mark.parametrize(
        ("kind", "value", "verdict"),
        [
            ("tc", 0, Verdict.ACCEPT),
            ("tc", 2, Verdict.REJECT),
            ("tc", 1, Verdict.UNKNOWN),
            ("tc", 1 << 32, Verdict.UNKNOWN),
            ("tc", LARGEST, Verdict.UNKNOWN),  # TC_ACT_UNSPEC
            ("xdp", 0, Verdict.REJECT),
            ("xdp", 1, Verdict.REJECT),
            ("xdp", 2, Verdict.ACCEPT),
            ("xdp", 3, Verdict.UNKNOWN),
            ("xdp", 2 << 32, Verdict.UNKNOWN),
        ],
    )
    def test_verdict(self, tmp_path: Path, order: Order, kind: str, value: int, verdict: Verdict) -> None:
        option = ng.tc_verdict(value, order) if kind == "tc" else ng.xdp_verdict(value, order)
        packet = ng.enhanced(Packet(b"x", SECOND), order=order, direction=2, verdict=option, dropped=7)
        read = Read(tmp_path, ng.section(order), ng.interface(1, order=order), packet)
        assert read["verdict"] == [verdict]
        assert read["direction"] == [Direction.OUT]

    @pytest.mark.parametrize("option", [b"\0" + bytes(8), b"\3" + bytes(8), b"\1" + bytes(4), b""])
    def test_a_verdict_of_another_kind_is_unknown(self, tmp_path: Path, order: Order, option: bytes) -> None:
        packet = ng.enhanced(Packet(b"x", SECOND), order=order, verdict=option)
        read = Read(tmp_path, ng.section(order), ng.interface(1, order=order), packet)
        assert (read["verdict"], read.faults) == ([Verdict.UNKNOWN], [])

    def test_a_broken_option_leaves_the_packet(self, tmp_path: Path, order: Order) -> None:
        body = struct.pack(order + "IIIII", 0, 0, 5, 1, 1) + b"x\0\0\0" + struct.pack(order + "HH", 2, 400)
        read = Read(tmp_path, ng.section(order), ng.interface(1, order=order), ng.block(6, body, order))
        assert (read.data, read["direction"], read.faults) == ([b"x"], [0], [])


class TestPacketBlocks:
    """Enhanced, simple and old packet blocks give frames."""

    @pytest.mark.parametrize("order", ORDERS)
    def test_simple_and_old_blocks(self, tmp_path: Path, order: Order) -> None:
        read = Read(
            tmp_path,
            ng.section(order),
            ng.interface(1, order=order, snaplen=5),
            ng.simple(Packet(b"abc"), order=order),
            ng.simple(Packet(b"abcdefgh").cut(5), order=order),
            ng.old_packet(Packet(b"old", 3 * SECOND, wirelen=99), order=order),
        )
        assert read.data == [b"abc", b"abcde", b"old"]
        assert read["wirelen"] == [3, 8, 99]
        assert read["ts_ns"] == [NO_TIME, NO_TIME, 3 * SECOND]

    def test_a_simple_block_without_snap_length_ends_with_the_block(self, tmp_path: Path) -> None:
        read = Read(tmp_path, ng.section(), ng.interface(1), ng.simple(Packet(b"abcd", wirelen=1500)))
        assert (read.data, read["wirelen"]) == ([b"abcd"], [1500])

    def test_captured_length_beyond_the_block_is_damage(self, tmp_path: Path) -> None:
        body = struct.pack("<IIIII", 0, 0, 5, 5, 5) + b"abcd"
        read = Read(tmp_path, ng.section(), ng.interface(1), ng.enhanced(Packet(b"x")), ng.block(6, body))
        assert read.data == [b"x"]
        assert read.faults[0].startswith("damaged at offset 84: a packet block's lengths do not fit")

    def test_two_lengths_that_differ_are_damage(self, tmp_path: Path) -> None:
        wrong = ng.enhanced(Packet(b"y"))[:-4] + struct.pack("<I", 40)
        read = Read(tmp_path, ng.section(), ng.interface(1), ng.enhanced(Packet(b"x")), wrong)
        assert (read.data, len(read.faults)) == ([b"x"], 1)


class TestOtherBlocks:
    """Statistics count what the capture lost; blocks that say nothing of packets are stepped over."""

    def test_drops_are_the_last_count_of_each_interface_of_each_section(self, tmp_path: Path) -> None:
        eth0 = ng.interface(1, name="eth0")
        read = Read(
            tmp_path,
            ng.section(),
            eth0,
            ng.interface(1, name="eth1"),
            ng.statistics(0, received=10, dropped=3),
            ng.statistics(0, dropped=5),
            ng.statistics(1, dropped=100),
            ng.statistics(1, received=7),
            ng.section(">"),
            ng.interface(1, name="eth0", order=">"),
            ng.enhanced(Packet(b"x", SECOND), order=">"),
            ng.statistics(0, dropped=11, order=">"),
        )
        assert read.source.dropped == 5 + 100 + 11

    @pytest.mark.parametrize("order", ORDERS)
    def test_blocks_that_are_stepped_over(self, tmp_path: Path, order: Order) -> None:
        large = bytes(3_000_000)
        read = Read(
            tmp_path,
            ng.section(order, application="a test"),
            ng.custom(large, order=order),
            ng.interface(1, order=order),
            ng.custom(b"odd", copied=False, order=order),
            ng.enhanced(Packet(b"1", SECOND), order=order),
            ng.block(0x7777_7777, large, order),
            ng.names(b"\x0a\0\0\1", "host", order),
            ng.enhanced(Packet(b"2", SECOND), order=order),
            ng.block(10, large, order),
        )
        assert (read.data, read.faults) == ([b"1", b"2"], [])

    def test_stepping_over_holds_nothing(self, tmp_path: Path) -> None:
        path = tmp_path / "a"
        path.write_bytes(ng.section() + ng.custom(bytes(20_000_000)) + ng.interface(1) + ng.enhanced(Packet(b"x")))
        source = CaptureFiles([CaptureFile(str(path))])
        assert [len(block.data) <= 1 << 21 for block in source] == [True]

    def test_a_cut_in_a_block_that_is_stepped_over(self, tmp_path: Path) -> None:
        packet = ng.enhanced(Packet(b"x", SECOND))
        read = Read(tmp_path, ng.section(), ng.interface(1), packet, ng.custom(bytes(2_000_000))[:1_500_000])
        assert read.data == [b"x"]
        assert "the file ends inside a block" in read.faults[0]

    def test_a_packet_block_with_a_long_comment(self, tmp_path: Path) -> None:
        comment = b"".join(ng.option(1, bytes(65_000)) for _ in range(40))
        body = struct.pack("<IIIII", 0, 0, 5, 1, 1) + b"x\0\0\0" + comment + ng.option(2, struct.pack("<I", 1))
        read = Read(tmp_path, ng.section(), ng.interface(1), ng.block(6, body), ng.enhanced(Packet(b"y")))
        assert (read.data, read["direction"], read.faults) == ([b"x", b"y"], [1, 0], [])

    @pytest.mark.parametrize(
        ("wrong", "message"),
        [
            (struct.pack("<III", 7, 13, 13), "a block claims a length of 13 bytes"),
            (struct.pack("<III", 7, 8, 8), "a block claims a length of 8 bytes"),
            (struct.pack("<III", 1, 2**30, 0), "a block that describes claims 1073741824 bytes"),
            (ng.block(1, b"\1\0\0\0"), "an interface description is too short"),
            (ng.block(1, b"\1\0\0\0\0\0\0\0\2\0\xff\xff"), "an option is longer than its block"),
            (ng.section(version=(2, 0)), "version 2.0; only version 1 is known"),
            (struct.pack("<IIII", 0x0A0D0D0A, 28, 5, 0), "a section header has no byte-order magic"),
            (ng.interface(1)[:-4] + b"\0\0\0\0", "a block's two lengths differ"),
        ],
    )
    def test_damage_ends_the_file(self, tmp_path: Path, wrong: bytes, message: str) -> None:
        begin = ng.section() + ng.interface(1) + ng.enhanced(Packet(b"x", SECOND))
        read = Read(tmp_path, begin, wrong, ng.enhanced(Packet(b"y", SECOND)))
        assert read.data == [b"x"]
        assert read.faults == [f"damaged at offset {len(begin)}: {message}; what stands before it was recorded"]


class TestSections:
    """A section sets the byte order of what follows."""

    def test_sections_of_both_byte_orders(self, tmp_path: Path) -> None:
        parts = [
            part
            for second, order in enumerate((*ORDERS, *ORDERS), start=1)
            for part in (
                ng.section(order),
                ng.interface(1, order=order, name="eth0"),
                ng.enhanced(Packet(b"x", second * SECOND), order=order),
            )
        ]
        read = Read(tmp_path, *parts)
        assert read["ts_ns"] == [SECOND, 2 * SECOND, 3 * SECOND, 4 * SECOND]
        assert read.points == [("eth0", 1)]

    @pytest.mark.parametrize(
        ("data", "message"),
        [
            (ng.section(version=(3, 0)), "version 3.0; only version 1 is known"),
            (ng.section()[:20], "the file ends inside a block"),
            (b"\x0a\x0d\x0d\x0a" + bytes(24), "a section header has no byte-order magic"),
        ],
    )
    def test_a_first_section_that_cannot_be_read(self, tmp_path: Path, data: bytes, message: str) -> None:
        with pytest.raises(CaptureUnreadable, match=f"is no pcapng that can be read: {message}"):
            Read(tmp_path, data)
