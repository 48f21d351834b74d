"""A server that speaks AWS's JSON protocol by a script: what it answers next, and what it was asked.

Rule: it knows no service; a test says every answer, and the last one is given for good.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer. `body`: as JSON, or as it is where it is bytes; `cut`: bytes of it that are not sent."""

    body: Mapping[str, Any] | bytes = field(default_factory=dict)
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: int = 0


SOME_PAGE = Answer(b"<html>Welcome!</html>", headers={"Content-Type": "text/html"})
"""What a server that is no such service answers to whatever it is asked."""


def fault(code: str, status: int = 400, **headers: str) -> Answer:
    """An answer that refuses."""
    return Answer({"__type": code, "message": f"{code} as the test asked for"}, status, headers)


@dataclass(slots=True)
class JsonService:
    """`asked`: (operation, its parameters) so far; `answers`: what comes next, or what answers each request."""

    url: str
    answers: Sequence[Answer] | Callable[[str, Mapping[str, Any]], Answer] = ()
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def answer(self, operation: str, parameters: dict[str, Any]) -> Answer:
        """The next answer."""
        self.asked.append((operation, parameters))
        if callable(self.answers):
            return self.answers(operation, parameters)
        first, *rest = self.answers
        self.answers = rest or [first]
        return first


@contextmanager
def json_service() -> Iterator[JsonService]:
    """A server on a free port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            answer = service.answer(self.headers["X-Amz-Target"].partition(".")[2], asked)
            body = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
            self.send_response(answer.status)
            for name, value in {"Content-Length": str(len(body)), **answer.headers}.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            self.wfile.write(body[: len(body) - answer.cut])
            self.close_connection = answer.cut > 0

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        service = JsonService(f"http://127.0.0.1:{server.server_port}")
        Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield service
        server.shutdown()
