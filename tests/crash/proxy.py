"""A proxy before a server of HTTP that does to requests and answers what networks and broken servers do.

Rule: a request is taken in whole, then its fault is done to it. What a fault lets through arrives unchanged, so
signatures stay good.
"""

from __future__ import annotations

import contextlib
import enum
import random
import socket
import threading
import time
from collections.abc import Sequence
from typing import Final

_WAIT_S: Final = 20.0
_SLOW_PIECES: Final = 10


@enum.unique
class Fault(enum.Enum):
    """What happens to one request."""

    NONE = "none"
    REFUSED = "connection closed before it is read"
    CUT = "connection closed after half of it"
    LOST = "arrives, the connection is closed without an answer"
    HALF = "arrives, half of the answer comes back"
    ERROR = "500 without reaching the server"
    ERROR_AFTER = "arrives, 500 comes back"
    BUSY = "503 SlowDown without reaching the server"
    SLOW = "arrives, the answer comes in pieces"


_SHORT_ANSWERS: Final = {
    Fault.ERROR: ("500 Internal Server Error", "InternalError", ""),
    Fault.ERROR_AFTER: ("500 Internal Server Error", "InternalError", ""),
    Fault.BUSY: ("503 Slow Down", "SlowDown", "Retry-After: 0\r\n"),
}


class Proxy:
    """Listens on a free port and passes on to `port`; `faults`: what to choose from for each request, from now on."""

    def __init__(self, port: int, seed: int) -> None:
        self.faults: Sequence[Fault] = (Fault.NONE,)
        self.done: dict[Fault, int] = dict.fromkeys(Fault, 0)
        self._server = port
        self._chance = random.Random(seed)  # noqa: S311 (a test's input)
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Take no more connections."""
        self._socket.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        """Requests of one connection, until one of them ends it."""
        client.settimeout(_WAIT_S)
        with client, contextlib.suppress(OSError):
            while self._exchange(client):
                pass

    def _exchange(self, client: socket.socket) -> bool:
        """One request and its answer; return whether the connection goes on."""
        head = _head(client)
        if not head:
            return False
        fault = self._chance.choice(self.faults)
        self.done[fault] += 1
        if fault is Fault.REFUSED:
            return False
        request = _whole(client, head, answer_continue=True)
        if fault is Fault.CUT:
            self._ask(request[: len(request) // 2], to_the_end=False)
            return False
        if fault not in (Fault.ERROR, Fault.BUSY):
            answer = self._ask(request)
        if fault is Fault.LOST:
            return False
        if fault in _SHORT_ANSWERS:
            answer = _short_answer(*_SHORT_ANSWERS[fault])
        if fault is Fault.HALF:
            client.sendall(answer[: len(answer) // 2])
            return False
        size = -(-len(answer) // _SLOW_PIECES)
        for start in range(0, len(answer), size):
            client.sendall(answer[start : start + size])
            if fault is Fault.SLOW:
                time.sleep(0.02)
        return True

    def _ask(self, request: bytes, *, to_the_end: bool = True) -> bytes:
        """The server's answer, whole."""
        with socket.create_connection(("127.0.0.1", self._server), timeout=_WAIT_S) as server:
            server.sendall(request)
            return _whole(server, _head(server)) if to_the_end else b""


def _head(peer: socket.socket) -> bytes:
    """What comes up to the empty line, with what of the body came beside it; nothing where the peer closes."""
    got = b""
    while b"\r\n\r\n" not in got:
        part = peer.recv(1 << 16)
        if not part:
            return b""
        got += part
    if got.startswith(b"HTTP/1.1 100"):
        return got.partition(b"\r\n\r\n")[2] or _head(peer)
    return got


def _whole(peer: socket.socket, got: bytes, *, answer_continue: bool = False) -> bytes:
    """A message with its body, of which `got` came; a client that waits for 100 Continue gets it from here."""
    head, _, body = got.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    fields = {name.strip().lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines[1:])}
    if answer_continue and fields.get(b"expect", b"").lower() == b"100-continue":
        lines = [line for line in lines if not line.lower().startswith(b"expect:")]
        peer.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    length = int(fields.get(b"content-length", b"0"))
    parts = [body]
    missing = length - len(body)
    while missing > 0:
        part = peer.recv(min(missing, 1 << 20))
        if not part:
            raise ConnectionResetError
        parts.append(part)
        missing -= len(part)
    return b"\r\n".join(lines) + b"\r\n\r\n" + b"".join(parts)


def _short_answer(status: str, code: str, fields: str) -> bytes:
    body = f"<Error><Code>{code}</Code><Message>as the test asked for</Message></Error>"
    return (
        f"HTTP/1.1 {status}\r\nContent-Type: application/xml\r\n{fields}Content-Length: {len(body)}\r\n\r\n{body}"
    ).encode()
