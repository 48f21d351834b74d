"""Records through spool, builder and sink to a folder and to an S3 server; and a full load, an hour's outage in it.

Rule: each measurement is a process of its own (delivery_work.py) on one processor; the S3 server is on another one. A
rate is of the spool and delivery together, from record batches in memory to objects that were confirmed.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.support.services import NotInstalled, SeaweedFS

from bench.delivery_site import REMOTE
from bench.measure import LIMIT_S, CommandError

FORMS: Final = {"text": "plain-text", "Parquet": "parquet"}
DIRECTORY, S3 = "directory", "S3"


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured.

    `records`: a window; `windows`: of a measurement of the rate; `load`, `outage`: windows of the full load, and of
    the one in which a destination is down.
    """

    records: int
    windows: int
    rounds: int
    load: int
    outage: int


FULL: Final = Sizes(1_000_000, windows=4, rounds=3, load=20, outage=60)
SHORT: Final = Sizes(20_000, windows=2, rounds=1, load=11, outage=10)


def run(sizes: Sizes, work: Path, say: Callable[[str], None]) -> dict[str, Any]:
    """All measurements: every round of each rate by name, and the loads."""
    rates: dict[str, list[dict[str, Any]]] = {}
    with _s3() as server:
        folder = work / "delivery"
        for _ in range(sizes.rounds):
            for form, place in itertools.product(FORMS, (DIRECTORY, S3)):
                amount = {"form": FORMS[form], "records": sizes.records, "windows": sizes.windows}
                once = child(server, folder, "rate", url=server.url if place == S3 else "", **amount)
                rates.setdefault(f"{form} to {place}", []).append(once)
                say(f"delivery: {form} to {place}: {_cpu_us(once):.2f} CPU us a record")
        loads: dict[str, dict[str, Any]] = {}
        for name, windows, outage in (("load", sizes.load, 0), ("outage", 0, sizes.outage)):
            loads[name] = child(
                server, folder, "load", url=server.url, records=sizes.records, windows=windows, outage=outage
            )
            say(f"delivery: {name}: {len(loads[name]['minutes'])} windows")
    return {"rates": rates, "loads": loads}


def figures(result: dict[str, Any]) -> dict[str, float]:
    """What is worth a table: of each rate the median round by CPU time."""
    found: dict[str, float] = {}
    for name, rounds in result["rates"].items():
        label, once = f"delivery, {name}", sorted(rounds, key=_cpu_us)[len(rounds) // 2]
        found[f"{label}: records a CPU second"] = 1e6 / _cpu_us(once)
        found[f"{label}: records a second"] = once["records"] / once["wall_s"]
        found[f"{label}: MB of text lines a second"] = once["text_bytes"] / once["wall_s"] / 1e6
        found[f"{label}: CPU s a million records"] = _cpu_us(once)
        found[f"{label}: CPU s of that into the spool"] = once["spool_cpu_s"] / once["records"] * 1e6
        found[f"{label}: MB of memory above the records"] = once["peak_mb"] - once["base_mb"]
    for name, load in result["loads"].items():
        label, minutes = f"delivery, {name}", load["minutes"]
        found[f"{label}: windows"] = len(minutes)
        found[f"{label}: CPU s a window"] = statistics.mean(minute["cpu_s"] for minute in minutes)
        found[f"{label}: longest window, s"] = max(minute["wall_s"] for minute in minutes)
        found[f"{label}: late windows"] = sum(minute["late"] for minute in minutes)
        found[f"{label}: MB of memory above the records"] = load["peak_mb"] - load["base_mb"]
    found["delivery, outage: windows from its end until all was delivered"] = result["loads"]["outage"]["drained_in"]
    return found


def _cpu_us(once: dict[str, float]) -> float:
    """CPU time of a record [us]: as many seconds for a million."""
    return (once["spool_cpu_s"] + once["deliver_cpu_s"]) / once["records"] * 1e6


@contextmanager
def _on(cpu: int) -> Iterator[None]:
    """What is started meanwhile stays on one processor."""
    here = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {cpu})
    try:
        yield
    finally:
        os.sched_setaffinity(0, here)


@contextmanager
def _s3() -> Iterator[SeaweedFS]:
    """An S3 server with the bucket."""
    try:
        with _on(min(os.sched_getaffinity(0))):
            server = SeaweedFS()
    except NotInstalled as missing:
        raise CommandError(str(missing)) from None
    try:
        server.make_bucket(REMOTE)
        yield server
    finally:
        server.close()


def child(server: SeaweedFS | None, folder: Path, task: str, **parameters: Any) -> dict[str, Any]:
    """What one measurement gave, made in an empty folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    if server is not None:
        environment |= {"AWS_ACCESS_KEY_ID": server.key.id, "AWS_SECRET_ACCESS_KEY": server.key.secret}
    with _on(max(os.sched_getaffinity(0))):
        done = subprocess.run(
            [sys.executable, "-m", "bench.delivery_work", task, json.dumps(parameters), str(folder)],
            stdout=subprocess.PIPE,
            check=False,
            env=environment,
            timeout=LIMIT_S,
        )
    shutil.rmtree(folder)
    if done.returncode != 0:
        raise CommandError(f"delivery: {task} with {parameters} ended with {done.returncode}")
    result: dict[str, Any] = json.loads(done.stdout)
    return result
