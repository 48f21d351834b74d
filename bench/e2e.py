"""Whole processes: capture file to delivered objects, beside the peers.

Rule: every figure is of one run of the bench: CPU s (user + system) of the process and its children; the
file in the page cache, our compiled kernels in theirs, one BLAS thread.
"""

from __future__ import annotations

import shutil
import struct
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench import generate, peers
from bench.measure import Usage, as_json, median, rounds, run

US: Final = "flowglass"
ENOUGH: Final = 10_000_000
"""Packets between two captures below which a slope would be noise; of one capture, a tenth."""
REAL_CAPTURES: Final = Path(__file__).resolve().parents[2] / "shared" / "data" / "pcap"


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured. `small`, `large`: packets of synthetic captures; `real`: of the merged one."""

    small: int
    large: int
    flows: int
    real: int
    rounds: int
    nfstream: bool


FULL: Final = Sizes(5_000_000, 50_000_000, 300_000, 3_400_000, rounds=3, nfstream=True)
SHORT: Final = Sizes(50_000, 200_000, 20_000, 100_000, rounds=1, nfstream=False)


class Bench:
    """The scenarios over one work folder, which must be empty or hold captures of an earlier run."""

    def __init__(self, sizes: Sizes, work: Path, say: Callable[[str], None]) -> None:
        self._sizes = sizes
        self._work = work
        self._say = say
        self._cache = work / "kernels"
        self._program = _installed(work) if sizes is FULL else Path(sys.executable).with_name("flowglass")

    def record(self, capture: Path, cache: Path | None = None) -> Usage:
        """One run of `flowglass record`; `cache`: where its compiled kernels are."""
        out = self._work / "out"
        shutil.rmtree(out, ignore_errors=True)
        env = {"OPENBLAS_NUM_THREADS": "1", "NUMBA_CACHE_DIR": str(cache or self._cache)}
        return run([str(self._program), "record", str(capture), "--out", str(out)], self._work / f"{US}.log", env)

    def start(self) -> dict[str, Any]:
        """A capture of one packet: the very first run, which compiles, and runs with compiled kernels."""
        capture = self._work / "one.pcap"
        packet = bytes.fromhex("450000140000000040fd0000c6336401c0000201")
        head = struct.pack("<IIII", generate.START_S, 0, 14 + len(packet), 14 + len(packet))
        capture.write_bytes(generate.HEADER + head + bytes(12) + b"\x08\0" + packet)
        shutil.rmtree(self._cache, ignore_errors=True)
        first = self.record(capture)
        cached = [self.record(capture) for _ in range(max(3, self._sizes.rounds))]
        self._say(f"start: first run {first.wall_s:.1f} s, then {median(cached).cpu_s:.2f} CPU s")
        return as_json({"first run": [first], "cached": cached})

    def synthetic(self, packets: int, others: Sequence[peers.Peer]) -> dict[str, Any]:
        """A synthetic capture of that many packets."""
        capture = self._work / f"synthetic-{packets}.pcap"
        if not capture.exists():
            self._say(f"writing {packets:,} packets")
            generate.synthetic(capture, packets, self._sizes.flows)
        return self._compare(capture, packets, others)

    def real(self, others: Sequence[peers.Peer]) -> dict[str, Any] | None:
        """The merged real capture; None where there are no real captures."""
        if not REAL_CAPTURES.is_dir():
            self._say("no real captures here: left out")
            return None
        capture = self._work / "real.pcap"
        self._say(f"merging real captures to about {self._sizes.real:,} packets, and to half of that")
        smaller = self._compare(capture, _merged(capture, self._sizes.real // 2), [])
        result = self._compare(capture, _merged(capture, self._sizes.real), others)
        return result | {"smaller": smaller}

    def _compare(self, capture: Path, packets: int, others: Sequence[peers.Peer]) -> dict[str, Any]:
        with capture.open("rb") as file:  # into the page cache
            while file.read(1 << 24):
                pass
        tasks: dict[str, Callable[[], Usage]] = {US: lambda: self.record(capture)}
        tasks.update({peer.name: peer.task(capture, self._work) for peer in others})
        usages = rounds(tasks, self._sizes.rounds)
        ours = median(usages[US]).cpu_s
        for name, all_ in usages.items():
            cpu = median(all_).cpu_s
            self._say(f"{packets:,} packets: {name} {cpu:.2f} CPU s, {cpu / ours:.2f} of ours")
        return {
            "packets": packets,
            "file_bytes": capture.stat().st_size,
            "usage": as_json(usages),
            "peer_packets": {peer.name: peer.counted(self._work) for peer in others},
        }

    def run(self) -> dict[str, Any]:
        """All scenarios."""
        sizes = self._sizes
        found = peers.available(self._work, install=sizes is FULL, with_nfstream=sizes.nfstream)
        softflowd = [peer for peer in found if peer.name.startswith("softflowd")]
        start = self.start()
        small = self.synthetic(sizes.small, found)
        large = self.synthetic(sizes.large, softflowd)
        real = self.real([peer for peer in found if peer.name != "nfstream"])
        return {
            "start": start,
            "small": small,
            "large": large,
            "real": real,
            "figures": figures(start, small, large, real),
        }


def _merged(capture: Path, packets: int) -> int:
    """Write the merged capture; by a child, because the memory of this process counts as its children's peak."""
    with ProcessPoolExecutor(1) as child:
        return child.submit(generate.merge_real, capture, REAL_CAPTURES, packets).result()


def _installed(work: Path) -> Path:
    """The program as users have it: in an environment of its own, without the packages of development."""
    program = work / "base" / "bin" / "flowglass"
    if not program.exists():
        root = Path(__file__).resolve().parents[1]
        subprocess.run([sys.executable, "-m", "venv", str(program.parents[1])], check=True)
        pip = [str(program.with_name("pip")), "install", "--quiet", "-c", str(root / "constraints.txt"), str(root)]
        subprocess.run(pip, check=True)
    return program


def figures(
    start: dict[str, Any], small: dict[str, Any], large: dict[str, Any], real: dict[str, Any] | None
) -> dict[str, float]:
    """The figures of the performance budget, from the scenarios' results."""

    def cpu(scenario: dict[str, Any], name: str = US) -> float:
        return float(scenario["usage"][name]["median"]["cpu_s"])

    begin = float(start["cached"]["median"]["cpu_s"])
    result = {
        "first run, wall s": float(start["first run"]["median"]["wall_s"]),
        "start, CPU s": begin,
        "peak memory, MB": large["usage"][US]["median"]["max_rss_bytes"] / 1e6,
    }
    further = large["packets"] - small["packets"]
    if further >= ENOUGH:
        result["slope, ns a packet"] = (cpu(large) - cpu(small)) / further * 1e9
    scenarios = {"small": small, "large": large} | ({"real": real} if real else {})
    if real and real["packets"] >= ENOUGH // 10:
        result["real, ns a packet"] = (cpu(real) - begin) / real["packets"] * 1e9
        more = real["packets"] - real["smaller"]["packets"]
        result["real slope, ns a packet"] = (cpu(real) - cpu(real["smaller"])) / more * 1e9
    for label, scenario in scenarios.items():
        for name in scenario["usage"]:
            if name != US:
                result[f"{label}: {name}, times our CPU"] = cpu(scenario, name) / cpu(scenario)
    return result
