"""Requests off the wire to `control.Service` and back: one ASGI application.

Rule: what a client sends is bounded before it is read: size, time and number of requests at once. `/health` and
`/ready` are answered unsigned; everything else is the API's.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

from flowglass.control import AGENT_PATH, MOST_BYTES, Answer, Arrival, HttpRequest, Service, faults

MOST_FORM_BYTES: Final = 1 << 20
"""The largest form: 300 resource ids with every option are some 30 kB."""
BODY_SECONDS: Final = 20.0
"""How long a body may take to arrive."""
DRAIN_SECONDS: Final = 1.0
"""How long the rest of a body that is refused is taken and dropped."""
THREADS: Final = 8
"""Requests worked on at once; more wait their turn."""
FREE_BYTES: Final = 64 << 10
MOST_HELD_BYTES: Final = 64 << 20
"""Bodies held in memory at once, whoever sent them, beyond the FREE_BYTES that each request has for itself."""
FAULT: Final = "flowglass.fault"
"""The extension of a scope that says with which ApiFault to answer, because the request cannot be read."""

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class _Gone(Exception):
    """The client closed its connection before its request was whole."""


class Application:
    """The API over ASGI. `ready`: says whether requests can be answered at the moment."""

    def __init__(self, service: Service, ready: Callable[[], bool]) -> None:
        self._service = service
        self._ready = ready
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="api")
        self._held = _Held()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: bytes = scope["raw_path"].partition(b"?")[0]
        if scope["method"] in ("GET", "HEAD") and path in (b"/health", b"/ready"):
            await self._probe(path, send, close=_has_body(scope))
            return
        client = scope.get("client")
        arrival = Arrival(
            source=client[0] if client else "unknown",
            now_ms=time.time_ns() // 1_000_000,
            request_id=str(uuid.uuid4()),
        )
        fault: faults.ApiFault | None = scope.get("extensions", {}).get(FAULT)
        body = _Body(self._held, MOST_BYTES if path.startswith(AGENT_PATH.encode()) else MOST_FORM_BYTES)
        try:
            if fault is None:
                fault = await body.read(scope, receive)
            request = HttpRequest(
                method=scope["method"],
                path=path,
                query=scope["query_string"],
                headers=tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]),
                body=b"" if fault is not None else body.content,
            )
            run = asyncio.get_running_loop().run_in_executor
            if fault is not None:
                answer = await run(self._threads, self._service.refuse, fault, request, arrival)
            else:
                answer = await run(self._threads, self._service.answer, request, arrival)
        except _Gone:
            return
        finally:
            body.release()
        await _send(send, answer, arrival.request_id, close=fault is not None)

    async def _probe(self, path: bytes, send: Send, *, close: bool) -> None:
        """Alive: the loop turns. Ready: the state answers, too."""
        good = path == b"/health" or await asyncio.get_running_loop().run_in_executor(self._threads, self._ready)
        text = b'{"status":"ok"}' if good else b'{"status":"state unreachable"}'
        await _send(send, Answer(200 if good else 503, "application/json", text), "-", close=close)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                self._threads.shutdown()
                await send({"type": "lifespan.shutdown.complete"})
                return


@dataclass(slots=True)
class _Held:
    """Bytes of bodies that all requests together hold beyond FREE_BYTES each."""

    size: int = 0


class _Body:
    """One request's body, of at most `most` bytes; until `release` it counts among what is held."""

    def __init__(self, held: _Held, most: int) -> None:
        self._held = held
        self._most = most
        self._parts: list[bytes] = []
        self._size = 0
        self._counted = 0

    @property
    def content(self) -> bytes:
        """What was read."""
        return b"".join(self._parts)

    async def read(self, scope: Scope, receive: Receive) -> faults.ApiFault | None:
        """Read all of it, or say why not: RequestEntityTooLarge, RequestTimeout, ServiceUnavailable. Raises _Gone."""
        length = next((int(value) for name, value in scope["headers"] if name == b"content-length"), 0)
        try:
            if length > self._most:  # the parser has seen to it that there is one length, a number
                raise faults.RequestEntityTooLarge(f"The body has {length} bytes; this API takes {self._most}.")
            async with asyncio.timeout(BODY_SECONDS):
                more = True
                while more:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise _Gone
                    self._add(message.get("body", b""))
                    more = message.get("more_body", False)
        except TimeoutError:
            return faults.RequestTimeout(f"The body did not arrive within {BODY_SECONDS:.0f} seconds.")
        except faults.ApiFault as fault:
            await _drain(scope, receive)
            return fault
        return None

    def release(self) -> None:
        """Hold it no longer."""
        self._held.size -= self._counted
        self._counted = 0
        self._parts.clear()

    def _add(self, part: bytes) -> None:
        self._size += len(part)
        if self._size > self._most:
            raise faults.RequestEntityTooLarge(f"The body is larger than the {self._most} bytes that this API takes.")
        self._parts.append(part)
        beyond = max(0, self._size - FREE_BYTES) - self._counted
        self._held.size += beyond
        self._counted += beyond
        if self._held.size > MOST_HELD_BYTES:
            raise faults.ServiceUnavailable("Too many large requests at once; try again.")


async def _drain(scope: Scope, receive: Receive) -> None:
    """Pass over what a client is still sending for a moment: closed at once, its answer could be lost on the way."""
    if any(name == b"expect" for name, _ in scope["headers"]):
        return  # it waits for the answer
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(DRAIN_SECONDS):
            while (await receive()).get("more_body", False):
                pass


def _has_body(scope: Scope) -> bool:
    return any(name in (b"content-length", b"transfer-encoding") for name, _ in scope["headers"])


async def _send(send: Send, answer: Answer, request_id: str, *, close: bool = False) -> None:
    headers = [
        (b"content-type", answer.content_type.encode()),
        (b"content-length", str(len(answer.body)).encode()),
        (b"x-amzn-requestid", request_id.encode()),
        (b"cache-control", b"no-cache, no-store"),
    ]
    if close:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})
