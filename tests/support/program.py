"""The program as people run it: a process with its output, its exit code and its objects.

Rule: kernels are compiled before the first run, so that what a run prints and takes is what it always does.
"""

from __future__ import annotations

import functools
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.support import frames as link
from tests.support import packets as ip
from tests.support import pcapfile
from tests.support.pcapfile import NS, Packet

PROGRAM: Final = str(Path(sys.executable).with_name("flowglass"))
START_S: Final = 1_600_000_200
"""Where tests begin: the first second of an object's five minutes."""
CONTROL: Final = re.compile(r"[\x00-\x09\x0b-\x1f\x7f\x9b]")
"""Characters that a pipe must never see."""


@dataclass(frozen=True, slots=True)
class Ran:
    """What a run left: exit code and both outputs."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """Standard output as JSON."""
        return json.loads(self.out)


@functools.cache
def environment() -> dict[str, str]:
    """The environment of runs, without what would change their output; compiles what is not yet."""
    kept = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "FORCE_COLOR", "TERM")}
    with tempfile.TemporaryDirectory() as folder:
        capture = Path(folder) / "a.pcap"
        capture.write_bytes(pcapfile.pcap([udp(0)]))
        command = [PROGRAM, "record", str(capture), "--out", f"{folder}/out", "--json"]
        subprocess.run(command, check=True, capture_output=True, env=kept)
    return kept


def run(*arguments: str | Path, stdin: bytes | None = None, folder: Path | None = None) -> Ran:
    """Run `flowglass` with these arguments; without `stdin` its standard input is empty."""
    command = [PROGRAM, *map(str, arguments)]
    done = subprocess.run(command, input=stdin or b"", capture_output=True, env=environment(), cwd=folder, check=False)
    return Ran(done.returncode, done.stdout.decode(), done.stderr.decode())


def udp(second: float, sport: int = 1000, *, src: str = "10.0.0.1", dst: str = "10.0.0.2") -> Packet:
    """A UDP packet of 29 bytes in an Ethernet frame, so many seconds after START_S."""
    return Packet(link.ethernet(ip.ipv4(src, dst, ip.UDP, ip.udp(sport, 53, b"x"))), START_S * NS + int(second * NS))


def capture(path: Path, packets: Sequence[Packet], link_type: int = link.ETHERNET) -> Path:
    """Write a classic pcap."""
    path.write_bytes(pcapfile.pcap(packets, link_type))
    return path


def objects(folder: Path) -> list[str]:
    """Everything below a destination that is a file, unfinished ones too, as relative paths."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
