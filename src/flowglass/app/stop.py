"""The wish that this process ends: SIGTERM or Ctrl-C, looked at wherever work can be left.

Rule: a signal's handler takes no lock, for it may run in the middle of anything, within itself too: where a parent of
several threads dies, its children are told more than once. So the first signal is the last that is listened to.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
from typing import Final

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


class Stop:
    """Is set by the first signal, for good. Made in the main thread, once a process."""

    def __init__(self) -> None:
        self._asked = False
        self._awake, self._wake = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        for number in _SIGNALS:
            signal.signal(number, self._ask)

    def is_set(self) -> bool:
        """Whether the end was asked for."""
        return self._asked

    def wait(self, seconds: float) -> bool:
        """Sleep until the end is asked for or the time is over; whether it was."""
        if not self._asked:
            select.select([self._awake], [], [], seconds)
        return self._asked

    def _ask(self, *_signal: object) -> None:
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        self._asked = True
        with contextlib.suppress(BlockingIOError):  # enough bytes lie there to wake anybody
            os.write(self._wake, b"!")
