"""The lock of a spool: one process at a time has it.

Rule: the lock belongs to the process, so whatever ends it, kill -9 too, frees it.
"""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path
from typing import Final

from flowglass.fields.errors import StateError

LOCK: Final = "lock"
"""Its file in the spool's folder."""

_WAIT_S: Final = 1.0
"""How long the lock is tried for: who looks whether it is held has it for a moment."""


def locked(path: Path) -> int:
    """Take the lock; close the descriptor to free it. Raises OSError, and StateError where another process has it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    last = time.monotonic() + _WAIT_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() >= last:
                os.close(descriptor)
                raise StateError(f"{path.parent}: another process has this spool; end it first") from error
            time.sleep(_WAIT_S / 20)
        else:
            return descriptor
