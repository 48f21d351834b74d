"""The command line as people and scripts meet it: help, fields, inventory, summaries, progress, pipes, Ctrl-C."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest
from tests.support import pcapfile
from tests.support.program import PROGRAM, START_S, capture, environment, objects, run, udp

from flowglass.app.api import read
from flowglass.fields import EXTENSION_FIELDS, TRANSIT_GATEWAY_FIELDS, VPC_FIELDS

HELPS = [["--help"], ["record", "--help"], ["fields", "--help"], ["inventory", "--help"]]
HELPS += [["inventory", "check", "--help"], ["inventory", "init", "-h"], ["--version"]]
HEAVY = {"numba", "llvmlite", "numpy", "pyarrow", "pydantic", "yaml", "isal", "duckdb", "pandas"}
CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f\x9b]")


def words(arguments: list[str]) -> str:
    return " ".join(arguments)


class TestHelp:
    """`--help` answers at once: nothing heavy is imported for it."""

    @pytest.mark.parametrize("arguments", HELPS, ids=words)
    def test_cpu(self, arguments: list[str]) -> None:
        taken = []
        for _ in range(5):
            process = subprocess.Popen([PROGRAM, *arguments], stdout=subprocess.DEVNULL, env=environment())
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            assert process.returncode == 0
            taken.append(usage.ru_utime + usage.ru_stime)
            if taken[-1] < 0.3:
                break
        assert min(taken) < 0.3

    @pytest.mark.parametrize("arguments", [*HELPS, ["fields"], ["fields", "--json", "srcaddr"]], ids=words)
    def test_imports(self, arguments: list[str]) -> None:
        script = f"import sys; sys.argv = ['flowglass', *{arguments}]; from flowglass.app.cli.main import main; main()"
        command = [sys.executable, "-X", "importtime", "-c", script]
        done = subprocess.run(command, capture_output=True, text=True, env=environment(), check=True)
        imported = {line.rsplit("|", 1)[1].strip().split(".")[0] for line in done.stderr.splitlines() if "|" in line}
        assert "typer" in imported
        assert not imported & HEAVY

    def test_every_command_says_what_it_does_and_gives_an_example(self) -> None:
        for arguments in HELPS[1:3]:
            text = run(*arguments).out
            assert "Usage: flowglass" in text
            assert "Example" in text
        assert run("--version").out.startswith("flowglass 0.")


class TestFields:
    """`flowglass fields` prints the field table."""

    def test_all(self) -> None:
        lines = run("fields").out.splitlines()
        assert [line.split()[1] for line in lines] == [field.name for field in (*VPC_FIELDS, *EXTENSION_FIELDS)]

    def test_json(self) -> None:
        rows = run("fields", "--json").json()
        assert [row["name"] for row in rows] == [field.name for field in (*VPC_FIELDS, *EXTENSION_FIELDS)]
        gateway = run("fields", "--transit-gateway", "--json").json()
        assert [row["name"] for row in gateway] == [field.name for field in TRANSIT_GATEWAY_FIELDS]

    @pytest.mark.parametrize("name", ["traffic-path", "traffic_path", "${traffic-path}"])
    def test_one(self, name: str) -> None:
        facts = run("fields", "--json", name).json()
        assert facts["name"] == "traffic-path"
        assert (facts["version"], facts["type"], facts["column"]) == (5, "INT_32", "traffic_path")
        assert facts["values"] == ["1", "2", "3", "4", "5", "6", "7", "8"]
        assert "Way out" in run("fields", name).out

    def test_unknown(self) -> None:
        ran = run("fields", "traffic-pat")
        assert (ran.code, ran.out) == (3, "")
        assert ran.err == "flowglass: unknown field traffic-pat, did you mean traffic-path?\n"


class TestInventory:
    """`flowglass inventory init` writes what `check` takes, and `check` tells every fault."""

    def test_example_is_valid(self, tmp_path: Path) -> None:
        ran = run("inventory", "init", "network.yaml", folder=tmp_path)
        assert (ran.code, ran.out) == (0, "wrote network.yaml; next: flowglass inventory check network.yaml\n")
        assert run("inventory", "init").out == (tmp_path / "network.yaml").read_text(encoding="utf-8")
        checked = run("inventory", "check", "network.yaml", folder=tmp_path)
        assert (checked.code, checked.out) == (0, "network.yaml: no fault found\n")
        assert run("inventory", "check", "network.yaml", "--json", folder=tmp_path).json() == []

    def test_init_overwrites_nothing(self, tmp_path: Path) -> None:
        (tmp_path / "network.yaml").write_text("mine", encoding="utf-8")
        ran = run("inventory", "init", "network.yaml", folder=tmp_path)
        assert (ran.code, ran.err.count("\n")) == (2, 1)
        assert "network.yaml: File exists" in ran.err
        assert (tmp_path / "network.yaml").read_text(encoding="utf-8") == "mine"

    def test_faults_with_lines_and_remedies(self, tmp_path: Path) -> None:
        text = 'account: "12"\nregion: eu-west-1\nvpcs: [{id: vpc-1234567x, cidrs: [10.0.0.0/8]}]\nsubnet: []\n'
        (tmp_path / "bad.yaml").write_text(text, encoding="utf-8")
        ran = run("inventory", "check", "bad.yaml", folder=tmp_path)
        assert ran.code == 4
        assert {int(line.split(":")[1]) for line in ran.out.splitlines()} == {1, 3, 4}
        assert all("; " in line for line in ran.out.splitlines())
        assert re.fullmatch(r"flowglass: bad\.yaml: \d faults\n", ran.err)
        faults = run("inventory", "check", "bad.yaml", "--json", folder=tmp_path).json()
        assert [fault["line"] for fault in faults] == [int(line.split(":")[1]) for line in ran.out.splitlines()]
        assert all(fault["remedy"] for fault in faults)


class TestSummary:
    """`record` accounts for every packet, for people and for programs."""

    def test_json_adds_up(self, tmp_path: Path) -> None:
        packets = [udp(0), udp(1), udp(2, 7), udp(61), pcapfile.Packet(bytes(14) + b"not IP", udp(62).ts_ns)]
        path = capture(tmp_path / "a.pcap", packets)
        ran = run("record", path, "--out", tmp_path / "out", "--json", "--show", "2")
        account = ran.json()
        assert (ran.code, ran.err) == (0, "")
        assert set(account["differences"].values()) == {0}
        assert (account["frames"], account["frames_in_flows"], account["flows"], account["records"]) == (5, 4, 3, 3)
        assert sum(account["not_recorded"].values()) == 1
        assert [record["packets"] for record in account["first"]] == [2, 1]
        assert [(tmp_path / "out" / made["key"]).is_file() for made in account["objects"]] == [True]

    def test_text_is_quiet_in_a_pipe(self, tmp_path: Path) -> None:
        path = capture(tmp_path / "a.pcap", [udp(0), udp(1), udp(61)])
        ran = run("record", path, "--out", tmp_path / "out", "--show", "5")
        assert (ran.code, ran.err) == (0, "")
        assert not CONTROL.search(ran.out)
        assert "3  packets seen at 1 capture point, of which\n" in re.sub(r" +\n", "\n", ran.out)
        assert "in 2 flows" in ran.out
        for name in objects(tmp_path / "out"):
            assert str(tmp_path / "out" / name) in ran.out

    def test_table_of_records(self, tmp_path: Path) -> None:
        path = capture(tmp_path / "a.pcap", [udp(second, 1000 + second) for second in range(20)])
        lines = run("record", path, "--out", tmp_path / "out", "--show", "3").out.splitlines()
        assert lines[0].strip() == "first records"
        names = lines[1].split()
        assert names[:4] == ["version", "account-id", "interface-id", "srcaddr"]
        rows = [dict(zip(names, line.split(), strict=True)) for line in lines[2:5]]
        assert [row["srcport"] for row in rows] == ["1000", "1001", "1002"]
        assert {row["srcaddr"] for row in rows} == {"10.0.0.1"}
        assert lines[5] == "- in all of them: action"

    def test_what_comes_next_works(self, tmp_path: Path) -> None:
        path = capture(tmp_path / "a.pcap", [udp(0)])
        ran = run("record", path, "--out", "out", folder=tmp_path)
        (line,) = [line for line in ran.out.splitlines() if line.startswith("next: ")]
        done = subprocess.run(
            ["bash", "-c", line.removeprefix("next: ")], cwd=tmp_path, capture_output=True, text=True, check=True
        )
        assert "srcaddr: string" in done.stdout

    def test_a_second_run_finds_its_objects_there(self, tmp_path: Path) -> None:
        path = capture(tmp_path / "a.pcap", [udp(second) for second in range(0, 700, 10)])
        out = tmp_path / "out"
        first = run("record", path, "--out", out, "--json").json()
        before = {name: (out / name).stat() for name in objects(out)}
        again = run("record", path, "--out", out, "--json").json()
        assert [made["created"] for made in first["objects"]] == [True, True, True]
        assert [made["created"] for made in again["objects"]] == [False, False, False]
        assert {name: (out / name).stat() for name in objects(out)} == before
        assert "(already there)" in run("record", path, "--out", out).out


class TestPipes:
    """`-` is standard input, and output that nobody reads ends the program quietly."""

    def test_standard_input(self, tmp_path: Path) -> None:
        data = pcapfile.pcap([udp(0), udp(1)])
        plain = run("record", "-", "--out", tmp_path / "plain", "--json", stdin=data)
        packed = run("record", "-", "--out", tmp_path / "packed", "--json", stdin=pcapfile.gzipped(data))
        assert (plain.code, plain.json()["frames"]) == (packed.code, packed.json()["frames"]) == (0, 2)
        assert objects(tmp_path / "plain") == objects(tmp_path / "packed")

    def test_named_standard_input(self, tmp_path: Path) -> None:
        ran = run("record", "wan=-", "--out", tmp_path / "out", "--json", stdin=pcapfile.pcap([udp(0)]))
        assert [point["name"] for point in ran.json()["points"]] == ["wan"]

    def test_process_substitution(self, tmp_path: Path) -> None:
        path = capture(tmp_path / "a.pcap", [udp(second / 100, second) for second in range(3000)])
        command = f"{PROGRAM} record <(cat {path}) --out {tmp_path}/out --json"
        done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, env=environment(), check=True)
        assert json.loads(done.stdout)["frames"] == 3000

    def test_a_reader_that_leaves(self) -> None:
        command = f"{PROGRAM} fields --json | head -c 10"
        done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, env=environment(), check=True)
        assert (done.stdout, done.stderr) == ("[\n  {\n    ", "")

    def test_output_that_cannot_be_written(self, tmp_path: Path) -> None:
        path = capture(tmp_path / "a.pcap", [udp(0)])
        command = f"{PROGRAM} record {path} --out {tmp_path}/out > /dev/full"
        done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, env=environment(), check=False)
        assert done.returncode == 1
        assert done.stderr == "flowglass: output cannot be written: No space left on device; send it elsewhere\n"
        assert len(objects(tmp_path / "out")) == 1


def test_progress_on_a_terminal(tmp_path: Path) -> None:
    """The bar shows bytes and packets a second on the terminal's stderr, and goes away at the end."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 120, 0, 0))
    process = subprocess.Popen(
        [PROGRAM, "record", "-", "--out", str(tmp_path / "out"), "--json"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=slave,
        env={**environment(), "TERM": "xterm"},
    )
    os.close(slave)
    assert process.stdin is not None
    assert process.stdout is not None
    shown = b""
    with process:
        process.stdin.write(pcapfile.pcap([]))
        for part in range(5):
            process.stdin.write(pcapfile.pcap([udp(part, port) for port in range(1000)])[24:])
            process.stdin.flush()
            time.sleep(0.3)
        process.stdin.close()
        out = process.stdout.read().decode()
        while True:
            try:
                shown += os.read(master, 1 << 16)
            except OSError:  # the other end is closed
                break
    os.close(master)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode())
    assert process.returncode == 0
    assert re.search(r"recording .* [0-9.]+/\? kB +[1-9][0-9,]* packets/s", text)
    assert shown.rstrip().endswith((b"\x1b[2K", b"\x1b[?25h"))
    assert not CONTROL.search(out)
    assert json.loads(out)["frames"] == 5000


def test_interrupt_keeps_what_was_complete(tmp_path: Path) -> None:
    """Ctrl-C: complete objects are there and readable, nothing else is, and the account still adds up."""
    out = tmp_path / "out"
    packets = [udp(second, port) for second in range(0, 760, 20) for port in (1, 2)]
    whole = pcapfile.pcap(packets)
    process = subprocess.Popen(
        [PROGRAM, "record", "-", "--out", str(out), "--json"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    )
    assert process.stdin is not None
    process.stdin.write(whole)
    process.stdin.flush()
    deadline = time.monotonic() + 60
    while len(list(out.rglob("*.log.gz"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=30)

    assert process.returncode == 130
    assert stderr.decode() == "flowglass: stopped; the objects that were complete are there\n"
    account = json.loads(stdout)
    assert account["interrupted"]
    assert set(account["differences"].values()) == {0}
    assert account["frames"] == len(packets)
    assert account["cut_off_frames"] == 2 * len(range(660, 760, 20))
    assert account["taken_back"] == 2
    assert len(account["objects"]) == 2
    assert objects(out) == sorted(made["key"] for made in account["objects"])
    table = read(out).to_arrow()
    assert sum(table["packets"].to_pylist()) == 2 * len(range(0, 600, 20))
    assert max(table["end"].to_pylist()) < START_S + 600

    again = run("record", "-", "--out", out, "--json", stdin=whole).json()
    assert {made["key"]: made["created"] for made in again["objects"]} == {
        **{made["key"]: False for made in account["objects"]},
        again["objects"][-1]["key"]: True,
    }
    assert len(again["objects"]) == 3


def test_interrupt_before_anything_was_read(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [PROGRAM, "record", "-", "--out", str(tmp_path / "out")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    )
    time.sleep(1.5)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 130
    assert b"Traceback" not in stderr
    assert objects(tmp_path) == []
