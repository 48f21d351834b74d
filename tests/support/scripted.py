"""An HTTP service that answers what a test tells it to, one answer a request, and keeps what it was asked.

Rule: what it answers is sent as it is, whole or cut; it knows no protocol beyond HTTP.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer. `wait_s`: before it; `missing_bytes`: so many of its body are declared and never sent; `hang_up`:
    the connection is closed without an answer.
    """

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    wait_s: float = 0.0
    missing_bytes: int = 0
    hang_up: bool = False


def s3_error(status: int, code: str, message: str = "told by a test", **headers: str) -> Answer:
    """An error as S3 words it; `headers` are given with underscores."""
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()
    return Answer(status, body, {name.replace("_", "-"): value for name, value in headers.items()})


@dataclass(frozen=True, slots=True)
class Asked:
    """A request. `headers`: by lower-case name."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(slots=True)
class Scripted:
    """The service. `answers`: those to come; once they are used up, the last one is given again and again."""

    url: str
    answers: list[Answer]
    asked: list[Asked] = field(default_factory=list)


@contextmanager
def scripted(answers: Sequence[Answer]) -> Iterator[Scripted]:
    """A service that gives these answers in turn."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    service = Scripted(f"http://127.0.0.1:{server.server_port}", list(answers))
    _SERVICES[server] = service
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        del _SERVICES[server]


_SERVICES: Final[dict[object, Scripted]] = {}
_LOCK: Final = threading.Lock()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        service = _SERVICES[self.server]
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        with _LOCK:
            headers = {name.lower(): value for name, value in self.headers.items()}
            service.asked.append(Asked(self.command, self.path, headers, body))
            answer = service.answers.pop(0) if len(service.answers) > 1 else service.answers[0]
        time.sleep(answer.wait_s)
        self.close_connection = answer.hang_up or bool(answer.missing_bytes)
        if answer.hang_up:
            return
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body) + answer.missing_bytes))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    do_GET = do_PUT = do_POST = do_HEAD = _answer  # noqa: N815, http.server's names

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002, http.server's name
        """Tests have nothing to read of it."""
