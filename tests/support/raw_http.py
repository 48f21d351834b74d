"""Requests as bytes on a socket: signed as they should be, then broken on purpose; and what comes back.

Rule: nothing here mends what it is told to send. An answer is read by HTTP's rules, and its end is the test's to judge.
"""

from __future__ import annotations

import contextlib
import json
import re
import select
import socket
import time
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlencode, urlsplit

from tests.support.servers import SAMPLE_REGION, Key

from flowglass.control import AGENT_PATH, AGENT_REGION, AGENT_SERVICE, HttpRequest, sign

FORM: Final = "application/x-www-form-urlencoded"
EC2_VERSION: Final = "2016-11-15"
PATIENCE_S: Final = 30.0
_CODE: Final = re.compile(rb"<Code>([^<]*)</Code>")
_MESSAGE: Final = re.compile(rb"<Message>([^<]*)</Message>")


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer. `headers`: by lower-case name."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def code(self) -> str:
        """The fault's code, in whichever envelope it came; "" if there is none."""
        return self._part(_CODE, "code")

    @property
    def message(self) -> str:
        """The fault's message."""
        return self._part(_MESSAGE, "message")

    @property
    def outcome(self) -> tuple[int, str]:
        """Status and code, which is what a test expects."""
        return self.status, self.code

    def _part(self, pattern: re.Pattern[bytes], name: str) -> str:
        if self.headers.get("content-type", "").startswith("application/json"):
            return str(json.loads(self.body).get(name, ""))
        found = pattern.search(self.body)
        return found[1].decode() if found else ""


class Wire:
    """A connection to a server. `buffer_bytes`: what it takes in without being read."""

    def __init__(self, url: str, *, buffer_bytes: int | None = None) -> None:
        parts = urlsplit(url)
        self._socket = socket.socket()
        if buffer_bytes is not None:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
        self._socket.settimeout(PATIENCE_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.connect((str(parts.hostname), int(parts.port or 80)))
        self._got = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def send(self, data: bytes) -> Self:
        """Send all of it; what the server refuses to take by closing is not sent, which is no fault of the test."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._socket.sendall(data)
        return self

    @property
    def port(self) -> int:
        """Where the server sees it come from."""
        return int(self._socket.getsockname()[1])

    def finish(self) -> Self:
        """Close the sending half."""
        self._socket.shutdown(socket.SHUT_WR)
        return self

    def reply(self, *, to: str = "POST") -> Reply | None:
        """The next answer, to a request of method `to`, None where the server closes; a 100 Continue is one, too."""
        while b"\r\n\r\n" not in self._got:
            if not self._more():
                assert not self._got, f"half an answer: {self._got!r}"
                return None
        head, self._got = self._got.split(b"\r\n\r\n", 1)
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        status = int(first.split(" ")[1])
        length = 0 if to == "HEAD" or status == 100 else int(headers["content-length"])
        while len(self._got) < length:
            assert self._more(), f"half a body: {self._got!r}"
        body, self._got = self._got[:length], self._got[length:]
        return Reply(status, headers, body)

    def spoke(self, seconds: float = 0.0) -> bool:
        """Whether the server sends something, or closes, within that time."""
        return bool(self._got or select.select([self._socket], [], [], seconds)[0])

    def closed(self) -> bool:
        """Whether the server closes now, without another byte; waits for it."""
        return not self._got and not self._more()

    def _more(self) -> bool:
        try:
            part = self._socket.recv(1 << 16)
        except ConnectionResetError:
            return False
        self._got += part
        return bool(part)


def exchange(url: str, data: bytes, *, to: str = "POST") -> Reply | None:
    """Send bytes on a connection of their own; the first answer."""
    with Wire(url) as wire:
        return wire.send(data).reply(to=to)


def ask(url: str, request: HttpRequest) -> Reply:
    """Send a request as it is and read its answer, which must come."""
    answer = exchange(url, encoded(request), to=request.method)
    assert answer is not None, f"no answer to {request}"
    return answer


def form(action: str, version: str = EC2_VERSION, **parameters: str) -> bytes:
    """A call's form. Names with a dot are given with two underscores."""
    named = {name.replace("__", "."): value for name, value in parameters.items()}
    return urlencode({"Action": action, "Version": version, **named}).encode()


def plain(
    url: str,
    body: bytes = b"",
    *,
    method: str = "POST",
    path: bytes = b"/",
    query: bytes = b"",
    headers: tuple[tuple[str, str], ...] = (("Content-Type", FORM),),
) -> HttpRequest:
    """A request without signature."""
    return HttpRequest(
        method=method, path=path, query=query, headers=(("Host", urlsplit(url).netloc), *headers), body=body
    )


def signed(
    request: HttpRequest, key: Key, *, service: str = "ec2", region: str = SAMPLE_REGION, now_ms: int | None = None
) -> HttpRequest:
    """The request with its signature, of this moment unless told."""
    at_ms = time.time_ns() // 1_000_000 if now_ms is None else now_ms
    added = sign(request, key_id=key.id, secret=key.secret, region=region, service=service, now_ms=at_ms)
    return replace(request, headers=(*request.headers, *added))


def agent_call(url: str, key: Key, name: str, body: bytes) -> HttpRequest:
    """A signed call of an agent, whatever its body is."""
    request = plain(url, body, path=f"{AGENT_PATH}{name}".encode(), headers=(("Content-Type", "application/json"),))
    return signed(request, key, service=AGENT_SERVICE, region=AGENT_REGION)


def head(request: HttpRequest, *more: str) -> bytes:
    """The request's line and headers, with further header lines, and the empty line."""
    target = request.path + (b"?" + request.query if request.query else b"")
    lines = [request.method.encode() + b" " + target + b" HTTP/1.1"]
    lines += [f"{name}: {value}".encode("latin-1") for name, value in request.headers]
    return b"\r\n".join([*lines, *(line.encode("latin-1") for line in more), b"", b""])


def encoded(request: HttpRequest) -> bytes:
    """The whole request; its length is declared where it has a body."""
    return head(request, *([f"Content-Length: {len(request.body)}"] if request.body else [])) + request.body


def with_header(request: HttpRequest, name: str, value: str | None) -> HttpRequest:
    """The request with a header of another value, or without it; nothing is signed anew."""
    kept = tuple(header for header in request.headers if header[0].lower() != name.lower())
    return replace(request, headers=kept if value is None else (*kept, (name, value)))
