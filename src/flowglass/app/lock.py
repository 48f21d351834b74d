"""One `up`, one server and one agent for each DATA.

Rule: the lock belongs to the process: whatever ends it, kill -9 too, frees it.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from flowglass.fields.errors import OptionError

WAIT_S: Final = 3.0
"""How long a part waits for the one before it, which may be about to end."""
_TICK_S: Final = 0.05


@contextmanager
def only(data: Path, part: str, *, wait_s: float = WAIT_S) -> Iterator[None]:
    """Be the only `flowglass PART` of DATA. Raises OptionError where another one still runs there after `wait_s`."""
    path = data / f".{part}.lock"
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise OptionError(f"{path}: {error.strerror}; name another folder with --data-dir") from None
    try:
        _lock(descriptor, data, part, time.monotonic() + wait_s)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, data: Path, part: str, until: float) -> None:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                raise OptionError(
                    f"{data}: another flowglass {part} runs on it; end that one, or name another folder with --data-dir"
                ) from None
            time.sleep(_TICK_S)
        except OSError as error:
            raise OptionError(f"{data}: {error.strerror}; name a folder on a file system with locks") from None
        else:
            return
