"""Lives of the process under test: each begins warm, is killed at some moment, and is gone before the next begins.

Rule: only SIGKILL ends a life before its time, from outside after some seconds or by its own hand right after a step.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tests.crash.oracle import Books, Claim, Oracle

_LIFE_S: Final = 90.0
"""A life that has its work to finish and does not in this time is stuck."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """What a life is told. `data`: its DATA; `spool`: the folder of its spool; `s3`, `firehose`: URLs.

    `first`: the source it begins with; `last`: the one after which it delivers everything and ends, None to go on
    until it is killed; `step`, `count`: kill yourself right after that step was taken so often; `base_s`, `epoch_s`:
    when the sources begin, and when the run began by the wall clock; `pause_s`: between sources; `max_bytes`: of the
    spool.
    """

    data: str
    spool: str
    s3: str
    firehose: str
    base_s: int
    epoch_s: float
    first: int = 0
    last: int | None = None
    step: str = ""
    count: int = 1
    pause_s: float = 0.05
    max_bytes: int = 10_000_000_000


class Stuck(AssertionError):
    """A life failed, or did not end; the text has what it said."""


class Forge:
    """A process that has imported everything and forks a life whenever it is told to.

    `log`: where what it and its lives say beside goes; `environment`: added to its.
    """

    def __init__(self, log: Path, environment: Mapping[str, str]) -> None:
        self._log = log
        self._environment = {**os.environ, **environment}
        self._got = b""

    def __enter__(self) -> Self:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.crash.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=self._environment,
                bufsize=0,
            )
        if self._words(_LIFE_S) != ["ready"]:
            raise self._stuck("it does not begin")
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def live(
        self,
        life: Life,
        oracle: Oracle,
        *,
        kill_after_s: float | None = None,
        during: Callable[[], None] = lambda: None,
    ) -> bool:
        """One life; return whether it was killed. What it claims goes to the oracle.

        `kill_after_s`: when it is killed from outside, None for never; `during`: called once it lives. Raises Stuck.
        """
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(asdict(life)).encode() + b"\n")
        begun, pid = self._words(_LIFE_S) or ("", "0")
        assert begun == "pid"
        end = time.monotonic() + (_LIFE_S if kill_after_s is None else kill_after_s)
        during()
        killed = False
        while (words := self._words(_LIFE_S if killed else end - time.monotonic())) is None or words[0] != "ended":
            if words is not None and words[0] == "books":
                oracle.books = Books(**json.loads(words[1]))
            elif words is not None:
                oracle.told(Claim(words[0]), int(words[1]))
            elif killed:
                raise self._stuck("it does not end, not even killed")
            else:
                os.kill(int(pid), signal.SIGKILL)
                killed = True
        if killed and kill_after_s is None:
            raise self._stuck(f"it took {_LIFE_S:.0f} s without coming to {life.step or 'its end'}")
        status = int(words[1])
        if status == -signal.SIGKILL and (killed or life.step):
            return True
        if status != 0:
            raise self._stuck(f"it ended with {status}")
        return False

    def _words(self, seconds: float) -> list[str] | None:
        """The next line from the pipe, None where none comes in time."""
        assert self._process.stdout is not None
        until = time.monotonic() + seconds
        while b"\n" not in self._got:
            ready, _, _ = select.select([self._process.stdout], [], [], max(0.0, until - time.monotonic()))
            if not ready:
                return None
            part = os.read(self._process.stdout.fileno(), 1 << 16)
            if not part:
                raise self._stuck("it is gone")
            self._got += part
        line, _, self._got = self._got.partition(b"\n")
        return line.decode().split(" ", 1)

    def _stuck(self, why: str) -> Stuck:
        return Stuck(f"{why}:\n{self._log.read_text()[-1500:]}")
