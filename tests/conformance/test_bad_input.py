"""Bad input: one line that names the thing and the remedy, an exit code of its own, and no half-written object."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.support import pcapfile
from tests.support.program import CONTROL, Ran, capture, objects, run, udp
from tests.support.small_disk import mounted

from flowglass.app.api import read
from flowglass.fields import errors


def refused(ran: Ran, error: type[errors.Error], *words: str, lines: int = 1) -> None:
    """The run ended with this error's code and told why in one line on stderr, nothing on stdout."""
    assert (ran.code, ran.out) == (error.exit_code, "")
    assert ran.err.count("\n") == lines
    assert ran.err.endswith("\n")
    assert not CONTROL.search(ran.err)
    last = ran.err.splitlines()[-1]
    assert last.startswith("flowglass: ")
    for word in words:
        assert word in last


def good(folder: Path) -> Path:
    return capture(folder / "good.pcap", [udp(0), udp(1)])


class TestCaptures:
    """A capture that cannot be recorded stops the run before anything is written."""

    @pytest.mark.parametrize(
        ("data", "error", "words"),
        [
            (b"", errors.CaptureUnreadable, "is empty; name a pcap or pcapng file"),
            (b"time src dst\n", errors.CaptureUnreadable, "is no pcap or pcapng capture (it begins with 74 69 6d 65)"),
            (b"\0", errors.CaptureUnreadable, "is no pcap or pcapng capture (it begins with 00)"),
            (pcapfile.gzipped(b"text"), errors.CaptureUnreadable, "is no pcap or pcapng capture"),
            (pcapfile.gzipped(b""), errors.CaptureUnreadable, "is empty"),
            (b"\x1f\x8bbroken", errors.CaptureUnreadable, "compressed data cannot be read"),
            (b"\x28\xb5\x2f\xfdbroken", errors.CaptureUnreadable, "compressed data cannot be read"),
            (pcapfile.pcap([])[:20], errors.CaptureUnreadable, "ends inside the pcap header, after 20 bytes"),
            (pcapfile.pcap([], version=(3, 1)), errors.CaptureUnreadable, "is pcap version 3.1; only version 2"),
            (pcapfile.section()[:16], errors.CaptureUnreadable, "is no pcapng that can be read"),
            (pcapfile.pcap([]), errors.CaptureEmpty, "holds no packet; check the capture's filter"),
            (pcapfile.section() + pcapfile.interface(1), errors.CaptureEmpty, "holds no packet"),
            (pcapfile.pcap([udp(0)], 105), errors.LinkTypeUnsupported, "link type IEEE802_11 (105) is not supported"),
            (pcapfile.pcap([udp(0)], 4711), errors.LinkTypeUnsupported, "link type 4711 is not supported"),
        ],
    )
    def test_what_is_no_capture(self, tmp_path: Path, data: bytes, error: type[errors.Error], words: str) -> None:
        (tmp_path / "in").write_bytes(data)
        refused(run("record", tmp_path / "in", "--out", tmp_path / "out"), error, f"{tmp_path}/in: ", words, "; ")
        assert objects(tmp_path) == ["in"]

    def test_missing_file_folder_and_pattern(self, tmp_path: Path) -> None:
        for name, words in (
            ("none.pcap", "No such file or directory; check the path"),
            (".", "is a folder; name its files"),
            ("*.pcapng", "matches no file; check the pattern"),
            ("wan=none.pcap", "No such file or directory"),
            ("good.pcap/x", "Not a directory"),
        ):
            good(tmp_path)
            refused(run("record", name, "--out", "out", folder=tmp_path), errors.CaptureMissing, words)
        assert objects(tmp_path) == ["good.pcap"]

    def test_a_wrong_file_among_good_ones(self, tmp_path: Path) -> None:
        (tmp_path / "notes.txt").write_text("hello", encoding="utf-8")
        ran = run("record", good(tmp_path), tmp_path / "notes.txt", "--out", tmp_path / "out")
        refused(ran, errors.CaptureUnreadable, "notes.txt")
        assert not (tmp_path / "out").exists()

    def test_standard_input(self, tmp_path: Path) -> None:
        ran = run("record", "-", "--out", tmp_path / "out", stdin=b"hello")
        refused(ran, errors.CaptureUnreadable, "standard input: is no pcap or pcapng capture")
        assert objects(tmp_path) == []

    def test_an_unknown_link_type_beside_a_known_one(self, tmp_path: Path) -> None:
        blocks = [pcapfile.section(), pcapfile.interface(1), pcapfile.interface(105, name="wlan0")]
        blocks += [pcapfile.enhanced(udp(second), row) for second, row in ((0, 0), (1, 1), (2, 0), (3, 1), (4, 1))]
        (tmp_path / "in").write_bytes(b"".join(blocks))
        ran = run("record", tmp_path / "in", "--out", tmp_path / "out", "--json")
        assert ran.code == 0
        assert ran.err == "flowglass: link type IEEE802_11 (105) is not supported: 3 frames of it were not recorded\n"
        assert ran.json()["not_recorded"] == {"link type not supported": 3}
        assert read(tmp_path / "out").to_arrow()["packets"].to_pylist() == [2]


class TestDamage:
    """What stands before damage is recorded; the message has the offset, and the exit code is 15."""

    @pytest.mark.parametrize("cut", [1, 40, 71])
    def test_a_cut_file(self, tmp_path: Path, cut: int) -> None:
        whole = pcapfile.pcap([udp(second) for second in range(10)])
        record = (len(whole) - 24) // 10
        (tmp_path / "cut.pcap").write_bytes(whole[: -(record + min(cut, record - 1))])
        ran = run("record", tmp_path / "cut.pcap", "--out", tmp_path / "out", "--json")
        assert ran.code == errors.CaptureDamaged.exit_code == 15
        offset = 24 + 8 * record
        assert f"cut.pcap: damaged at offset {offset}: the file ends inside a record; what stands" in ran.err
        assert ran.err.count("\n") == 1
        assert set(ran.json()["differences"].values()) == {0}
        assert read(tmp_path / "out").to_arrow()["packets"].to_pylist() == [8]

    def test_a_damaged_file_among_good_ones(self, tmp_path: Path) -> None:
        broken = pcapfile.pcap([udp(0)]) + b"\xff" * 16 + bytes(100)
        (tmp_path / "broken").write_bytes(broken)
        (tmp_path / "cut.gz").write_bytes(pcapfile.gzipped(pcapfile.pcap([udp(2)] * 50))[:-9])
        later = capture(tmp_path / "later", [udp(5)])
        ran = run("record", tmp_path / "broken", tmp_path / "cut.gz", later, "--out", tmp_path / "out", "--json")
        assert ran.code == 15
        assert [line.split(": ")[1] for line in ran.err.splitlines()] == [f"{tmp_path}/broken", f"{tmp_path}/cut.gz"]
        assert ran.json()["frames"] == 52
        assert read(tmp_path / "out").to_arrow()["packets"].to_pylist() == [52]

    def test_nothing_before_the_damage(self, tmp_path: Path) -> None:
        (tmp_path / "broken").write_bytes(pcapfile.pcap([]) + b"\xff" * 16)
        ran = run("record", tmp_path / "broken", "--out", tmp_path / "out", "--json")
        assert (ran.code, ran.json()["frames"], ran.json()["objects"]) == (15, 0, [])
        assert objects(tmp_path) == ["broken"]


class TestDestination:
    """A destination that cannot be written, or has no space left, keeps no half-written object."""

    @pytest.mark.parametrize("name", ["file", "file/below", "file/far/below"])
    def test_below_a_file(self, tmp_path: Path, name: str) -> None:
        (tmp_path / "file").write_text("mine", encoding="utf-8")
        ran = run("record", good(tmp_path), "--out", tmp_path / name)
        refused(ran, errors.DestinationUnwritable, f"{tmp_path}/{name}: Not a directory; choose a folder in which")
        assert objects(tmp_path) == ["file", "good.pcap"]
        assert (tmp_path / "file").read_text(encoding="utf-8") == "mine"

    def test_a_file_in_the_way_of_the_layout(self, tmp_path: Path) -> None:
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "AWSLogs").write_text("mine", encoding="utf-8")
        refused(run("record", good(tmp_path), "--out", tmp_path / "out"), errors.DestinationUnwritable, "AWSLogs")
        assert objects(tmp_path / "out") == ["AWSLogs"]

    def test_a_read_only_file_system(self, tmp_path: Path) -> None:
        with mounted(tmp_path / "out", "ro"):
            ran = run("record", good(tmp_path), "--out", tmp_path / "out")
            refused(ran, errors.DestinationUnwritable, f"{tmp_path}/out: Read-only file system; choose a folder")

    @pytest.mark.parametrize("options", [[], ["--file-format", "parquet"]], ids=["text", "parquet"])
    def test_a_full_disk(self, tmp_path: Path, options: Sequence[str]) -> None:
        chance = random.Random(7)  # noqa: S311 (addresses that gzip cannot shrink)
        packets = [udp(second / 100, chance.randrange(1, 65_536), src=address(chance)) for second in range(20_000)]
        path = capture(tmp_path / "many.pcap", packets)
        with mounted(tmp_path / "out", "size=64k"):
            ran = run("record", path, "--out", tmp_path / "out", *options)
            refused(
                ran, errors.DestinationFull, "/out", "No space left on device; make room, then run the same command"
            )
            assert objects(tmp_path / "out") == []
            small = run("record", good(tmp_path), "--out", tmp_path / "out", *options)
            assert small.code == 0


class TestWords:
    """Formats, inventories and options that are wrong."""

    def test_log_format(self, tmp_path: Path) -> None:
        ran = run("record", good(tmp_path), "--out", tmp_path / "out", "--format", "${srcadr} bytes ${start} ${start}")
        refused(
            ran,
            errors.LogFormatError,
            "unknown field ${srcadr}, did you mean ${srcaddr}?",
            "'bytes' has bad braces; write ${bytes}",
            "${start} is there twice",
        )
        assert not (tmp_path / "out").exists()

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("", "no inventory in it"),
            ("{", "good.pcap"),
            ("account: '1'\nregion: X\nvpcs: [{id: vpc-1}]\n", "more faults); run flowglass inventory check"),
        ],
    )
    def test_inventory(self, tmp_path: Path, text: str, words: str) -> None:
        (tmp_path / "net.yaml").write_text(text, encoding="utf-8")
        path = good(tmp_path)
        ran = run("record", path, "--out", tmp_path / "out", "--inventory", tmp_path / "net.yaml")
        refused(ran, errors.InventoryError, f"{tmp_path}/net.yaml", words.replace("good.pcap", "net.yaml"))
        assert not (tmp_path / "out").exists()

    def test_inventory_that_is_no_text(self, tmp_path: Path) -> None:
        for name in ("none.yaml", ".", "good.pcap"):
            path = good(tmp_path)
            ran = run("record", path, "--out", "out", "--inventory", name, folder=tmp_path)
            refused(ran, errors.InventoryError, name)
        assert objects(tmp_path) == ["good.pcap"]

    @pytest.mark.parametrize(
        ("option", "value"),
        [
            ("--interval", "61"),
            ("--max-flows", "0"),
            ("--max-flows", str(10**12)),
            ("--account", "12345678901"),
            ("--account", "١٢٣٤٥٦٧٨٩٠١٢"),
            ("--region", "../../etc"),
            ("--region", ""),
            ("--parquet-codec", "lz4"),
            ("--nflog-verdict", "DROP=x"),
            ("--nflog-verdict", "REJECT="),
            ("--tag-keys", "bucket=Name"),
            ("--tag-keys", "instance=a,b,c"),
        ],
    )
    def test_option_values(self, tmp_path: Path, option: str, value: str) -> None:
        ran = run("record", good(tmp_path), "--out", tmp_path / "out", option, value)
        refused(ran, errors.OptionError, f"{option} {value}: ")
        assert not (tmp_path / "out").exists()

    @pytest.mark.parametrize(
        ("arguments", "word"),
        [
            (["record"], "CAPTURE"),
            (["record", "x.pcap"], "--out"),
            (["record", "x.pcap", "--out", "o", "--nope"], "--nope"),
            (["record", "x.pcap", "--out", "o", "--interval", "soon"], "--interval"),
            (["record", "x.pcap", "--out", "o", "--traffic-type", "DROP"], "--traffic-type"),
            (["recrod"], "record"),
        ],
    )
    def test_usage(self, arguments: Sequence[str], word: str) -> None:
        ran = run(*arguments)
        assert (ran.code, ran.out) == (errors.OptionError.exit_code, "")
        assert word in ran.err
        assert "Traceback" not in ran.err


def address(chance: random.Random) -> str:
    return ".".join(str(chance.randrange(1, 255)) for _ in range(4))
