"""The peers that we are measured beside: how to get them, and how each reads a capture file.

Rule: each peer reads the whole file, aggregates flows and hands them on; the packets that it tells are kept
beside its figure, so that one which skipped some is seen.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.measure import Usage, run

DEBIAN: Final = {"softflowd": "softflowd", "nfpcapd": "nfdump"}
"""Program and the Debian package that has it."""

NFSTREAM: Final = "nfstream==6.6.0"
NFSTREAM_PROGRAM: Final = """
import sys
from nfstream import NFStreamer
flows = packets = 0
streamer = NFStreamer(
    sys.argv[1], n_dissections=0, accounting_mode=1, idle_timeout=60, active_timeout=60, n_meters=1
)
for flow in streamer:
    flows += 1
    packets += flow.bidirectional_packets
print("Packets processed:", packets, "Flows:", flows)
"""
MAX_FLOWS: Final = 2_000_000
"""softflowd keeps 8192 flows unless told and forces the oldest out beyond, so it hardly aggregates here."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A program that reads a capture file. `packets`: where its output tells how many it counted."""

    name: str
    command: Callable[[Path, Path], Sequence[str]]
    packets: str

    def task(self, capture: Path, work: Path) -> Callable[[], Usage]:
        """A run over the capture, for `measure.rounds`."""

        def once() -> Usage:
            folder = work / self.name
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            return run(self.command(capture, folder), self.log(work))

        return once

    def log(self, work: Path) -> Path:
        """Where the output of the last run is."""
        return work / f"{self.name}.log"

    def counted(self, work: Path) -> int:
        """Packets that the last run counted, by its own word; 0 if it tells none."""
        found = re.findall(self.packets, self.log(work).read_text(errors="replace"))
        return int(found[-1]) if found else 0


def _softflowd(capture: Path, folder: Path, max_flows: int | None) -> list[str]:
    # -d: in the foreground, else the daemon's time is not ours to see; the discard port takes the records.
    # No control socket: with one it may wait for ever at the end of the file.
    command = ["softflowd", "-d", "-r", str(capture), "-n", "127.0.0.1:9", "-c", "none"]
    command += ["-p", str(folder / "pid")]
    return command + (["-m", str(max_flows)] if max_flows else [])


SOFTFLOWD: Final = Peer(
    "softflowd", lambda capture, folder: _softflowd(capture, folder, None), r"Packets processed: (\d+)"
)
SOFTFLOWD_ALL: Final = Peer(
    "softflowd-all-flows",
    lambda capture, folder: _softflowd(capture, folder, MAX_FLOWS),
    r"Packets processed: (\d+)",
)
NFPCAPD: Final = Peer(
    "nfpcapd",
    lambda capture, folder: ["nfpcapd", "-r", str(capture), "-w", str(folder), "-t", "60", "-e", "60,60"],
    r"Total: Processed: (\d+)",
)


def nfstream(work: Path) -> Peer | None:
    """NFStream in a virtual environment of its own; None where it cannot be had."""
    python = work / "nfstream-venv" / "bin" / "python"
    if not python.exists():
        made = subprocess.run([sys.executable, "-m", "venv", str(python.parents[1])], check=False)
        pip = [str(python), "-m", "pip", "install", "--quiet", NFSTREAM]
        if made.returncode or subprocess.run(pip, check=False).returncode:
            return None
    return Peer(
        "nfstream",
        lambda capture, _: [str(python), "-c", NFSTREAM_PROGRAM, str(capture)],
        r"Packets processed: (\d+)",
    )


def available(work: Path, *, install: bool, with_nfstream: bool) -> list[Peer]:
    """The peers that are here; `install`: get what is missing where that is possible (Debian, root)."""
    missing = sorted({package for program, package in DEBIAN.items() if shutil.which(program) is None})
    if install and missing and os.geteuid() == 0 and shutil.which("apt-get"):
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(["apt-get", "update", "-qq"], check=False, env=quiet)
        subprocess.run(["apt-get", "install", "-y", "-qq", *missing], check=False, env=quiet)
    peers = [SOFTFLOWD, SOFTFLOWD_ALL] if shutil.which("softflowd") else []
    if shutil.which("nfpcapd"):
        peers.append(NFPCAPD)
    stream = nfstream(work) if with_nfstream else None
    return peers + ([stream] if stream else [])
