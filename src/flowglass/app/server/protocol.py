"""uvicorn's HTTP with limits on what a client may keep waiting, and with the API's own answer to what is no HTTP.

Rule: every state of a connection has a timer or a bound, so none can be held for longer or made larger by its client;
what cannot be read is refused like a call, so it stands in the audit log, too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from flowglass.app.server.http import FAULT
from flowglass.control import faults

MOST_HEAD_BYTES: Final = 64 << 10
"""The largest request line with headers; the longest presigned call has some 30 kB. As much may lie between the parts
of a chunked body."""
MOST_PIPELINED: Final = 8
"""Requests that may have been sent ahead of their answers; no client of AWS sends any."""
HEAD_SECONDS: Final = 20.0
"""How long a client may take for a request's headers, and stay silent where it may."""
TAKE_SECONDS: Final = 20.0
"""How long a client may leave an answer untaken."""
STOP_SECONDS: Final = 5.0
"""How long a body may still take to arrive once the server stops."""
SPARE_CONNECTIONS: Final = 64
"""uvicorn refuses requests when its limit is reached; the silent ones are ended so many connections before that."""


class BoundedProtocol(HttpToolsProtocol):
    """HTTP/1.1 by httptools, for one connection."""

    _timer: asyncio.TimerHandle | None = None
    _since: float = 0.0
    _taking: asyncio.TimerHandle | None = None
    _in_head: bool = False
    _unparsed: int = 0
    _over: bool = False

    # The connection ------------------------------------------------------------------------------------------

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._make_room()
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is waited for any more."""
        self._forget()
        self.resume_writing()
        super().connection_lost(exc)

    def eof_received(self) -> bool:  # type: ignore[override]  # uvicorn always closes
        """The client sends no more; what it asked for whole is still answered, which TLS does not allow."""
        cycle = self.cycle
        if cycle is None or cycle.more_body or cycle.response_complete or self.scheme == "https":
            return False
        cycle.keep_alive = False
        return True

    def shutdown(self) -> None:
        """The server stops: requests that are here are answered, a body that comes slowly is not waited for."""
        super().shutdown()
        if self.cycle is not None and self.cycle.more_body:
            self._set_timer(
                STOP_SECONDS, lambda: self._refuse(faults.ServiceUnavailable("The server stops; try again."))
            )

    def pause_writing(self) -> None:
        """The client does not take its answer."""
        super().pause_writing()
        self._taking = self.loop.call_later(TAKE_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """It does again."""
        if self._taking is not None:
            self._taking.cancel()
            self._taking = None
        super().resume_writing()

    def timeout_keep_alive_handler(self) -> None:
        """No further request came."""
        self._leave()

    def _make_room(self) -> None:
        """Where there are as many connections as there may be, end the one that has been silent for longest."""
        if self.limit_concurrency is None or len(self.connections) + SPARE_CONNECTIONS < self.limit_concurrency:
            return
        others = [one for one in self.connections if isinstance(one, BoundedProtocol) and one is not self]
        silent = [one for one in others if one._timer is not None]
        if silent:
            longest = min(silent, key=lambda one: one._since)
            longest._forget()
            longest.transport.abort()

    # A request -----------------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Parse what came."""
        if self._over:
            return
        self._unset_keepalive_if_required()
        self._unparsed += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError as error:
            found = error.__context__
            self._refuse(
                found if isinstance(found, faults.ApiFault) else faults.InvalidRequest(f"This is no HTTP/1.1: {error}.")
            )
        else:
            if self._unparsed > MOST_HEAD_BYTES:
                self._refuse(_head_too_large())

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._in_head = True
        self._await_head()

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or what comes after a chunked body in the form of one, which nothing would sign."""
        if not self._in_head:
            raise faults.InvalidRequest("The body has trailers, which are not taken.")
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is whole; the body has a limit of its own."""
        self._in_head = False
        self._unparsed = 0
        self._forget()
        self._check_head()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        self._unparsed = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is whole."""
        self._unparsed = 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """It is answered; wait for the next one, or for the client to take the last answer."""
        super().on_response_complete()
        if self.transport.is_closing():
            self._set_timer(TAKE_SECONDS, self.transport.abort)
        elif self.cycle.response_complete:
            self._await_head()

    def _check_head(self) -> None:
        if len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers) > MOST_HEAD_BYTES:
            raise _head_too_large()
        # httptools takes the body for that of the next protocol, so an offer cannot be passed over.
        if self.parser.should_upgrade():
            raise faults.InvalidRequest("There is no other protocol here: send the request without Upgrade or CONNECT.")
        if any(name == b"transfer-encoding" and value.strip().lower() != b"chunked" for name, value in self.headers):
            raise faults.InvalidRequest("Transfer-Encoding must be chunked: the body is not unpacked.")
        if len(self.pipeline) >= MOST_PIPELINED:
            raise faults.InvalidRequest(f"More than {MOST_PIPELINED} requests were sent ahead; wait for their answers.")

    def _refuse(self, fault: faults.ApiFault) -> None:
        """Answer with a fault once the requests before it are answered, read nothing more, and close."""
        if self._over or self.transport.is_closing():
            return
        self._over = True
        self._forget()
        self.flow.pause_reading()
        former, self.cycle = self.cycle, self._refusal(fault)
        is_queued = bool(self.pipeline) and self.pipeline[0][0] is former
        if former is None or former.response_complete:
            self._start_asgi_task(self.cycle, self.app)
        elif former.more_body and not is_queued:  # it is this one that is refused
            former.disconnected = True
            former.message_event.set()
            self._start_asgi_task(self.cycle, self.app)
        else:
            if former.more_body:
                self.pipeline.popleft()
            self.pipeline.appendleft((self.cycle, self.app))

    def _refusal(self, fault: faults.ApiFault) -> RequestResponseCycle:
        """A request that asks the application for nothing but the answer with this fault."""
        scope: Any = {
            "type": "http",
            "method": "",
            "raw_path": b"",
            "query_string": b"",
            "headers": [],
            "client": self.client,
            "extensions": {FAULT: fault},
        }
        cycle = RequestResponseCycle(
            scope=scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=self.access_log,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=False,
            keep_alive=False,
            on_response=self.on_response_complete,
        )
        cycle.more_body = False
        return cycle

    # Timers --------------------------------------------------------------------------------------------------

    def _await_head(self) -> None:
        self._set_timer(HEAD_SECONDS, self._late)

    def _late(self) -> None:
        if self._in_head:
            self._refuse(faults.RequestTimeout(f"The headers did not arrive within {HEAD_SECONDS:.0f} seconds."))
        else:
            self._leave()

    def _leave(self) -> None:
        self.transport.close()
        self._set_timer(TAKE_SECONDS, self.transport.abort)

    def _set_timer(self, seconds: float, then: Callable[[], None]) -> None:
        self._forget()
        self._since = self.loop.time()
        self._timer = self.loop.call_later(seconds, then)

    def _forget(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _head_too_large() -> faults.RequestEntityTooLarge:
    return faults.RequestEntityTooLarge(f"The request line and the headers are larger than {MOST_HEAD_BYTES} bytes.")
