"""What `up` hands to the parts that it starts, by their environment: the socket to listen on, and whose child each is.

Rule: a part takes what it was handed once, so that programs which it starts do not find it.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
from typing import Final

LISTENING: Final = "FLOWGLASS_LISTENING_FD"
"""The variable with the descriptor of the server's socket."""
PARENT: Final = "FLOWGLASS_PARENT_PID"
"""The variable with the process id of `up`."""
_PR_SET_PDEATHSIG: Final = 1  # prctl(2)


def listening() -> socket.socket | None:
    """The socket that this process was handed, None where it has to make its own."""
    handed = os.environ.pop(LISTENING, None)
    return socket.socket(fileno=int(handed)) if handed else None


def end_with_parent() -> None:
    """Have this process asked to end (SIGTERM) when the `up` that started it is gone, even by kill -9.

    It may be asked more than once. Source: PR_SET_PDEATHSIG of prctl(2).
    """
    parent = os.environ.pop(PARENT, None)
    if parent is None:
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != int(parent):  # it went before it was watched
        signal.raise_signal(signal.SIGTERM)
