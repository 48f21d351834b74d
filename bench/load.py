"""A light HTTP client that keeps a number of connections busy, and tells what a server did meanwhile.

Rule: requests are bytes made beforehand, each answer is looked at, and a wrong one ends the bench: a rate of errors is
no rate. The client's own time is on another processor than the server's where there are two.
"""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from bench.measure import CommandError

SILENCE_S: Final = 300.0
"""A server that sends nothing for so long hangs."""
_READ: Final = 1 << 20
_SHOWN: Final = 300  # bytes of a wrong answer that are told


@dataclass(frozen=True, slots=True)
class Load:
    """What was done. `wall_s`: first request to last answer; `cpu_s`: user and system time of the server's process."""

    calls: int
    wall_s: float
    cpu_s: float

    @property
    def rate(self) -> float:
        """Calls a second of wall time."""
        return self.calls / self.wall_s

    @property
    def cpu_us(self) -> float:
        """The server's CPU time for a call [us]."""
        return self.cpu_s / self.calls * 1e6


def cpu_s(pid: int) -> float:
    """User and system time of a process so far [s], of threads that ended, too."""
    return time.clock_gettime(~pid << 3 | 2)  # the clock that clock_getcpuclockid(3) names on Linux


def drive(
    port: int,
    pid: int,
    requests: Iterable[bytes],
    check: Callable[[bytes], None],
    *,
    connections: int,
    seconds: float,
) -> Load:
    """Send requests over that many connections, each its next one once it has the answer to the last.

    No request is begun after `seconds`, or when there are no more; `check` gets each body. Raises CommandError for an
    answer that is no 200, a connection that breaks, and silence; what `check` raises.
    """
    rest = iter(requests)
    before, begin = cpu_s(pid), time.perf_counter()
    calls = 0
    with selectors.DefaultSelector() as selector:
        try:
            for request in _first(rest, connections):
                _begin(selector, port, request)
            while selector.get_map():
                for connection, body in _answers(selector, port):
                    check(body)
                    calls += 1
                    following = next(rest, None) if time.perf_counter() - begin < seconds else None
                    if following is not None and not connection.ended:
                        connection.socket.sendall(following)
                        continue
                    selector.unregister(connection.socket)
                    connection.socket.close()
                    if following is not None:
                        _begin(selector, port, following)
        finally:
            for key in list(selector.get_map().values()):
                key.data.socket.close()
    return Load(calls, time.perf_counter() - begin, cpu_s(pid) - before)


def call(port: int, request: bytes) -> bytes:
    """The body of the answer to one request. Raises CommandError as `drive`."""
    connection = _Connection(port)
    with connection.socket:
        connection.socket.sendall(request)
        body = connection.receive()
        while body is None:
            body = connection.receive()
        return body


def _begin(selector: selectors.BaseSelector, port: int, request: bytes) -> None:
    """Send a request over a new connection."""
    connection = _Connection(port)
    selector.register(connection.socket, selectors.EVENT_READ, connection)
    connection.socket.sendall(request)


def _answers(selector: selectors.BaseSelector, port: int) -> Iterator[tuple[_Connection, bytes]]:
    """Wait for something to come, and give the answers that are whole with it."""
    ready = selector.select(SILENCE_S)
    if not ready:
        raise CommandError(f"the server on port {port} sent nothing for {SILENCE_S:.0f} s")
    for key, _ in ready:
        body = key.data.receive()
        if body is not None:
            yield key.data, body


def _first(rest: Iterator[bytes], count: int) -> list[bytes]:
    return [request for _, request in zip(range(count), rest, strict=False)]


@dataclass(slots=True)
class _Connection:
    """A connection, and what was received of the answer that is due. `ended`: the server will not take another call."""

    port: int
    socket: socket.socket = field(init=False)
    ended: bool = False
    _received: bytearray = field(default_factory=bytearray)
    _whole: int | None = None
    _body: int = 0

    def __post_init__(self) -> None:
        self.socket = socket.create_connection(("127.0.0.1", self.port), SILENCE_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def receive(self) -> bytes | None:
        """Take what is there; the body once the answer is whole."""
        part = self.socket.recv(_READ)
        if not part:
            raise CommandError(
                f"the server on port {self.port} closed a connection: {bytes(self._received[:_SHOWN])!r}"
            )
        self._received += part
        if self._whole is None:
            self._read_head()
        if self._whole is None or len(self._received) < self._whole:
            return None
        body = bytes(self._received[self._body : self._whole])
        if not self._received.startswith(b"HTTP/1.1 200 "):
            raise CommandError(f"the server on port {self.port} answered {bytes(self._received[:_SHOWN])!r}")
        self._received.clear()
        self._whole = None
        return body

    def _read_head(self) -> None:
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            return
        fields = [line.lower() for line in self._received[:end].split(b"\r\n")]
        lengths = [int(line.partition(b":")[2]) for line in fields if line.startswith(b"content-length:")]
        if len(lengths) != 1:
            raise CommandError(f"the server on port {self.port} gave no length: {bytes(self._received[:_SHOWN])!r}")
        self.ended = b"connection: close" in fields
        self._body = end + 4
        self._whole = self._body + lengths[0]
