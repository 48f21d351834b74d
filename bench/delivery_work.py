"""One measurement of delivery, in a process of its own: `python -m bench.delivery_work TASK JSON FOLDER`, JSON out.

Rule: records are made before anything is measured. CPU time and memory are of this process, which stays on the
processor that it is started on; what a service takes is the service's. Every record is counted at its destination.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from bench import micro
from bench.delivery_site import (
    ACCOUNT,
    BEGIN_S,
    LOCAL,
    REGION,
    REMOTE,
    WINDOW_S,
    Clock,
    Site,
    bucket,
    flow_log,
    stock,
)
from bench.measure import CommandError
from flowglass.deliver.planner import DELAY_S
from flowglass.deliver.requests import Action
from flowglass.deliver.spool import Share
from flowglass.fields import DEFAULT_FORMAT, all_fields
from flowglass.fields.contracts import Destination, DestinationType, FileFormat, FlowLog
from flowglass.format import PERIOD_S, TextFormat

SETTLED_S: Final = 2
"""A window is recorded so long after its end."""
LATE_S: Final = 60.0
"""A window that is not delivered after this time is late: the next one is recorded already."""


@contextmanager
def measured() -> Iterator[dict[str, float]]:
    """What is done meanwhile: wall and CPU seconds, and megabytes of memory at the beginning and at most."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak so far is forgotten (proc(5))
    result = {"base_mb": _memory_mb("VmRSS")}
    wall, cpu = time.perf_counter(), time.process_time()
    yield result
    result |= {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}
    result["peak_mb"] = _memory_mb("VmHWM")


def _memory_mb(name: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1000 for line in lines if line.startswith(name))


def rate(work: Path, *, form: str, url: str, records: int, windows: int) -> dict[str, float]:
    """Windows of 21 fields into the spool, then from there to one bucket: what both cost, and how much it was."""
    log = flow_log(1, bucket(REMOTE if url else LOCAL), file_format=FileFormat(form))
    batches = stock([log], records, work)
    # Compiles, imports boto3, connects.
    warm = Site(work / "warm", url, "", Clock())
    warm.delivery.start()
    warm.record([replace(log, prefix="warm")], batches[:1], 0)
    warm.stop()
    site = Site(work / "measured", url, "", Clock())
    with measured() as spooled:
        for number in range(windows):
            site.record([log], batches, number)
    with measured() as delivered:
        site.delivery.start()
        counted = site.stop()
    if counted != {log.id: records * windows}:
        raise CommandError(f"{records * windows} records were recorded, {counted} delivered")
    line_bytes = sum(len(TextFormat(log.log_format).lines(batch)) for batch in batches)
    return {
        "records": records * windows,
        "text_bytes": line_bytes * windows,
        "spool_cpu_s": spooled["cpu_s"],
        "deliver_cpu_s": delivered["cpu_s"],
        "wall_s": spooled["wall_s"] + delivered["wall_s"],
        "base_mb": spooled["base_mb"],
        "peak_mb": max(spooled["peak_mb"], delivered["peak_mb"]),
    }


def four() -> list[FlowLog]:
    """Four flow logs of different formats and destinations."""
    every = all_fields(micro.TAG_KEYS)
    group = Destination(DestinationType.CLOUD_WATCH_LOGS, "flows", account=ACCOUNT, region=REGION)
    return [
        flow_log(1, group, log_format=DEFAULT_FORMAT, prefix=""),
        flow_log(2, bucket(LOCAL)),
        flow_log(3, bucket(REMOTE), log_format=every, file_format=FileFormat.PARQUET),
        flow_log(4, bucket(LOCAL), interval_s=600),
    ]


class Load:
    """A window a simulated minute into four flow logs, each as soon as the one before is delivered."""

    def __init__(self, work: Path, url: str, records: int) -> None:
        self._flow_logs = four()
        self._batches = stock(self._flow_logs, records, work)
        self._records = sum(batch.num_rows for batch in self._batches)
        self._gated = self._flow_logs[2].id
        self._clock = Clock()
        self._site = Site(work, url, self._gated, self._clock)
        self._minutes: list[dict[str, float]] = []

    def run(self, *, windows: int, outage: int) -> dict[str, Any]:
        """`windows` with all destinations well; then, if there are any, `outage` without one, and until it has all."""
        site = self._site
        with measured() as whole:
            site.delivery.start()
            for _ in range(windows):
                self._minute(lambda _: True)
            drained = self._outage(outage) if outage else {}
            counted = site.stop()
        made = len(self._minutes) * self._records
        # The same flows come in every window, so ten of them are merged into one.
        merged = -(-len(self._minutes) // 10) * self._records
        if list(counted.values()) != [made, made, made, merged]:
            raise CommandError(f"{made} records were recorded, {counted} delivered")
        return {"records": self._records, "minutes": self._minutes, **whole, **drained}

    def _outage(self, minutes: int) -> dict[str, int]:
        """A destination is down; when it is back, what is new must not wait for all that is old.

        Returns how many shares were old, how many of them were left when the first new one was delivered, and how many
        minutes it took until none was.
        """
        site = self._site
        site.gate.down = True
        # It is back when a period is just over, so that something new is due in the very next minute.
        while minutes > 0 or (self._clock.now_s - SETTLED_S) % PERIOD_S:
            self._minute(lambda share: share.flow_log.id != self._gated)
            minutes -= 1
        site.gate.down = False
        site.spool.request(Action.RETRY.value)
        old = {_key(share) for share in site.waiting() if self._is_due(share)}
        left: list[int] = []
        while not left or left[-1]:
            if len(left) > len(self._minutes):
                raise CommandError(f"{left[-1]} of {len(old)} shares of an outage are still there")
            self._minute(lambda share: _key(share) not in old)
            left.append(len(old & {_key(share) for share in site.waiting()}))
        return {"old": len(old), "old_left": left[0], "drained_in": len(left)}

    def _minute(self, expected: Callable[[Share], bool]) -> None:
        """Record the next window, and wait until all that is due of what is `expected` is delivered."""
        number = len(self._minutes)
        self._clock.now_s = BEGIN_S + (number + 1) * WINDOW_S + SETTLED_S
        wall, cpu = time.perf_counter(), time.process_time()
        self._site.record(self._flow_logs, self._batches, number)
        recorded = time.process_time()
        self._site.delivery.poke()
        waited = 0.0
        while waited < LATE_S and any(expected(share) and self._is_due(share) for share in self._site.waiting()):
            time.sleep(0.005)
            waited = time.perf_counter() - wall
        self._minutes.append(
            {
                "wall_s": time.perf_counter() - wall,
                "cpu_s": time.process_time() - cpu,
                "spool_cpu_s": recorded - cpu,
                "late": int(waited >= LATE_S),
                "peak_mb": _memory_mb("VmHWM"),
            }
        )

    def _is_due(self, share: Share) -> bool:
        """Whether it has to be delivered by now; said here anew, so that a planner that forgets one is found."""
        interval_s = share.flow_log.interval_s
        if interval_s == WINDOW_S and self._site.outlets.outlet(share.flow_log).at_once:
            return True
        length_s = max(PERIOD_S, interval_s)
        start_s = share.segment.period_start_s // length_s * length_s
        return self._clock.now_s >= start_s + length_s + DELAY_S


def _key(share: Share) -> tuple[int, str]:
    return share.segment.id, share.flow_log.id


def load(work: Path, *, url: str, records: int, windows: int, outage: int) -> dict[str, Any]:
    """A full load; see `Load`."""
    return Load(work, url, records).run(windows=windows, outage=outage)


TASKS: Final[dict[str, Callable[..., dict[str, Any]]]] = {"rate": rate, "load": load}


def main() -> None:
    """Do the task of the first argument with the parameters of the second one in the folder of the third one."""
    name, parameters, work = sys.argv[1:]
    print(json.dumps(TASKS[name](Path(work), **json.loads(parameters))))


if __name__ == "__main__":
    main()
