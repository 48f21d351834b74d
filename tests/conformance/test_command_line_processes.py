"""The program among other processes: pipes, a terminal's progress bar, Ctrl-C."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import termios
import time
from pathlib import Path

from tests.support import pcapfile
from tests.support.program import CONTROL, PROGRAM, START_S, capture, environment, objects, run, udp

from flowglass.app.api import read
from flowglass.app.options import RecordOptions
from flowglass.app.record import record


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


PACKETS = [udp(second, port) for second in range(0, 760, 20) for port in (1, 2)]


def test_interrupt_of_a_file_keeps_what_was_complete(tmp_path: Path) -> None:
    """Ctrl-C: complete objects are there and readable, nothing else is, and the account still adds up."""
    path, out = capture(tmp_path / "a.pcap", PACKETS), tmp_path / "out"
    summary, _ = record(
        [str(path)], str(out), RecordOptions(), watch=lambda _source, _frames: os.kill(os.getpid(), signal.SIGINT)
    )
    assert summary.interrupted
    assert set(summary.differences().values()) == {0}
    assert summary.frames == len(PACKETS)
    assert summary.open_frames == 2 * len(range(660, 760, 20))
    assert summary.dropped_records == 2
    assert objects(out) == sorted(made.key for made in summary.objects)
    records = read(out).to_arrow().to_pylist()
    assert sum(row["packets"] for row in records) == 2 * len(range(0, 600, 20))
    assert max(row["end"] for row in records) < START_S + 600

    again = run("record", path, "--out", out, "--json").json()
    assert {made["key"]: made["created"] for made in again["objects"]} == {
        **{made.key: False for made in summary.objects},
        again["objects"][-1]["key"]: True,
    }
    assert len(again["objects"]) == 3


def test_interrupt_of_a_pipe_records_what_came(tmp_path: Path) -> None:
    """A pipe cannot be read again: Ctrl-C is the end of the capture, as it is for who captures."""
    out, whole = tmp_path / "out", pcapfile.pcap(PACKETS)
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
    assert stderr.decode() == "flowglass: stopped; all that was read is recorded\n"
    account = json.loads(stdout)
    assert account["interrupted"]
    assert set(account["differences"].values()) == {0}
    assert (account["frames"], account["cut_off_frames"], account["taken_back"]) == (len(PACKETS), 0, 0)
    again = run("record", "-", "--out", out, "--json", stdin=whole).json()
    assert [made["created"] for made in again["objects"]] == [False] * 3


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


class TestPoorEnvironments:
    """What is missing around the program is no reason to fail."""

    def test_without_a_home(self, tmp_path: Path) -> None:
        path = capture(tmp_path / "a.pcap", [udp(0)])
        kept = {key: value for key, value in environment().items() if key not in ("HOME", "XDG_DATA_HOME")}
        command = [PROGRAM, "record", str(path), "--out", str(tmp_path / "out")]
        done = subprocess.run(command, capture_output=True, env={**kept, "HOME": ""}, cwd=tmp_path, check=False)
        assert done.returncode == 0, done.stderr
        assert sorted(entry.name for entry in tmp_path.iterdir()) == ["a.pcap", "out"]

    def test_with_standard_error_closed(self, tmp_path: Path) -> None:
        path = capture(tmp_path / "a.pcap", [udp(0)])
        command = ["sh", "-c", f"exec {PROGRAM} record {path} --out {tmp_path / 'out'} 2>&-"]
        done = subprocess.run(command, capture_output=True, env=environment(), check=False)
        assert done.returncode == 0
        assert len(objects(tmp_path / "out")) == 1

    def test_with_names_that_the_output_cannot_show(self, tmp_path: Path) -> None:
        path = capture(tmp_path / "a.pcap", [udp(0)])
        command = [PROGRAM, "record", str(path), "--out", str(tmp_path / "é")]
        done = subprocess.run(
            command, capture_output=True, env={**environment(), "PYTHONIOENCODING": "ascii"}, check=False
        )
        assert (done.returncode, done.stderr) == (0, b"")
        assert b"\\xe9" in done.stdout
