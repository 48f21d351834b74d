"""The process under test: records sources into a spool and delivers them, until it is killed.

Rule: the parent imports and compiles everything and has no threads, so each life is a fork that begins at once. A life
tells on the pipe what it is about to make durable, and what is.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any, Final

import boto3
from tests.crash.cycle import Life
from tests.crash.oracle import Claim
from tests.crash.traffic import BUCKET, FLOW_LOGS, LOCAL_BUCKET, REGION, Source, asked, batch_of

from flowglass.deliver import BucketSettings, DestinationRules, LocalStore, ServiceSettings
from flowglass.deliver.outlets import Outlets
from flowglass.deliver.spool import Spool
from flowglass.deliver.spool.model import Limits, Step
from flowglass.deliver.worker import Delivery
from flowglass.fields.errors import DeliveryError
from flowglass.format import TextFormat

_PIPE: Final = 1
_RETRY_S: Final = 0.05
_FLUSH_S: Final = 60.0
_WAITS: Final = 0.05
"""What stands for chance in the waits after failures: they are short, so that a life sees many."""
_LOOK_BACK: Final = 10
"""How many sources that are known to be safe a life asks the spool for."""


def tell(*words: object) -> None:
    """One line on the pipe, whole."""
    os.write(_PIPE, " ".join(map(str, words)).encode() + b"\n")


class _Clock:
    """The wall clock of a life: it goes a minute further with every window."""

    def __init__(self, life: Life) -> None:
        self._life = life
        self.source_s = 0

    def now_ms(self) -> int:
        return int((self._life.base_s + self.source_s + time.time() - self._life.epoch_s) * 1000)


class _Steps:
    """Watches the spool: tells what is safe, and kills where it is told to."""

    def __init__(self, life: Life) -> None:
        self._life = life
        self._taken = 0
        self.recording: int | None = None

    def __call__(self, step: Step) -> None:
        if step is Step.SEGMENT_DURABLE and self.recording is not None:
            tell(Claim.REACHED.value, self.recording)
        if step.value == self._life.step:
            self._taken += 1
            if self._taken == self._life.count:
                os.kill(os.getpid(), signal.SIGKILL)


class _Process:
    """One life: a spool, what delivers from it, and a recorder."""

    def __init__(self, life: Life) -> None:
        self._life = life
        self._clock = _Clock(life)
        self._steps = _Steps(life)
        self._pause = threading.Event()  # time.sleep fails under libfaketime
        self._spool = self._opened()
        store = LocalStore(Path(life.data))
        if store.bucket(LOCAL_BUCKET) is None:
            store.create_bucket(LOCAL_BUCKET, self._clock.now_ms())
        outlets = Outlets(self._spool, store, _rules(life))
        self._delivery = Delivery(
            self._spool, outlets, now_ms=self._clock.now_ms, told=_told, workers=3, chance=lambda: _WAITS
        )

    def run(self) -> None:
        """Record source after source; after the last one deliver everything and close."""
        self._delivery.start()
        number = max(0, self._life.first - _LOOK_BACK)
        while self._life.last is None or number <= self._life.last:
            self._clock.source_s = number * 60
            source = Source(number, self._life.base_s)
            number += 1
            if self._spool.recorded(source.name) >= {flow_log.id for flow_log in FLOW_LOGS}:
                tell(Claim.KNOWN.value, source.number)
                continue
            while not self._record(source):
                self._pause.wait(_RETRY_S)
            self._delivery.poke()
            if self._life.max_bytes < Limits().max_bytes:
                self._spool.enforce()
            self._pause.wait(self._life.pause_s)
        assert self._delivery.stop(_FLUSH_S), "not everything was tried in time"
        left = len(self._spool.shares()), len(self._spool.units())
        assert left == (0, 0), f"{left} shares and units are left: {self._spool.statuses()}"
        tell("books", json.dumps(self._books()))
        self._spool.close()

    def _books(self) -> dict[str, Any]:
        """What the spool itself says of all lives."""
        statuses = {status.flow_log_id: status for status in self._spool.statuses()}
        return {
            "sources": self._spool.counters().get("sources_recorded", 0),
            "objects": {name: status.objects for name, status in statuses.items()},
            "records": {name: status.records for name, status in statuses.items()},
            "dropped": {name: status.dropped for name, status in statuses.items()},
            "doubtful": {name: status.doubtful for name, status in statuses.items()},
        }

    def _opened(self) -> Spool:
        """The spool; waits while the disk is full."""
        while True:
            try:
                return Spool.open(
                    Path(self._life.spool),
                    limits=Limits(max_bytes=self._life.max_bytes),
                    now_ms=self._clock.now_ms,
                    watch=self._steps,
                )
            except DeliveryError as error:
                _told("not_opened", "warning", error=str(error))
                self._pause.wait(_RETRY_S)

    def _record(self, source: Source) -> bool:
        """Record a source; return False where the disk is full."""
        try:
            tell(Claim.BEGUN.value, source.number)
            self._steps.recording = source.number
            recording = self._spool.begin(source.name, FLOW_LOGS, window_s=60, live=source.live)
            try:
                for window_s in source.windows:
                    numbers = source.numbers(window_s)
                    rows = {flow_log.id: asked(flow_log, numbers) for flow_log in FLOW_LOGS}
                    recording.add(batch_of(numbers, window_s), window_s, rows)
                recording.commit({"sources_recorded": 1})
            except BaseException:
                recording.abandon()
                raise
        except DeliveryError as error:
            tell(Claim.REFUSED.value, source.number)
            _told("not_recorded", "warning", error=str(error))
            return False
        finally:
            self._steps.recording = None
        tell(Claim.DURABLE.value, source.number)
        return True


def _rules(life: Life) -> DestinationRules:
    return DestinationRules(
        buckets={BUCKET: BucketSettings(endpoint=life.s3, region=REGION, profile="s3", addressing="path")},
        firehose=ServiceSettings(endpoint=life.firehose, region=REGION, profile="firehose"),
    )


def _told(event: str, level: str, /, **facts: object) -> None:
    sys.stderr.write(f"{os.getpid()} {level} {event} {facts}\n")


def _warm() -> None:
    """Compile and load what a life needs, in this thread."""
    boto3.client("s3", region_name=REGION)
    TextFormat(FLOW_LOGS[0].log_format).lines(batch_of(Source(1, 0).numbers(60), 60))


def main() -> None:
    """Fork a life for every line of standard input, one after the other, and tell how it ended."""
    _warm()
    tell("ready")
    for line in sys.stdin:
        told: dict[str, Any] = json.loads(line)
        pid = os.fork()
        if pid == 0:
            tell("pid", os.getpid())
            _child(Life(**told))
        _, status = os.waitpid(pid, 0)
        tell("ended", os.waitstatus_to_exitcode(status))


def _child(life: Life) -> None:
    try:
        _Process(life).run()
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)
    os._exit(0)


if __name__ == "__main__":
    main()
