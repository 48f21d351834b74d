"""The agent's side of `/agent/v1/…`: signed JSON over HTTP.

Rule: two kinds of failure and no other: the server could not be reached, or it refused.
"""

from __future__ import annotations

import http.client
import json
import ssl
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from flowglass.control import AGENT_PATH, AGENT_REGION, AGENT_SERVICE, HttpRequest, sign
from flowglass.fields.errors import OptionError

_TIMEOUT_S: Final = 10.0
_LONGEST_ANSWER: Final = 64 << 20


class ServerUnreachable(Exception):
    """No answer, or none of this protocol. Try again later."""


class ServerRefused(Exception):
    """The server answered with a fault. `code`: its name, as the API's."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would carry a signature to another place."""

    def redirect_request(self, *_args: Any, **_keywords: Any) -> None:
        """Follow nothing."""


@dataclass(frozen=True, slots=True)
class AgentKey:
    """Who the agent is to the server."""

    key_id: str
    secret: str


class Client:
    """Calls one server. `url`: its address; `ca_file`: certificates to trust besides the system's, "" none.

    Raises OptionError for an address that is none.
    """

    def __init__(self, url: str, key: AgentKey, *, ca_file: str = "") -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.netloc or parts.path not in ("", "/"):
            raise OptionError(f"server {url!r}: is an address like https://flowglass.example:8780")
        self._base = f"{parts.scheme}://{parts.netloc}"
        self._host = parts.netloc
        self._key = key
        handlers: list[urllib.request.BaseHandler] = [_NoRedirect(), urllib.request.ProxyHandler({})]
        if parts.scheme == "https":
            handlers.append(urllib.request.HTTPSHandler(context=_context(ca_file)))
        self._opener = urllib.request.build_opener(*handlers)

    def call(self, name: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """One call. Raises ServerUnreachable or ServerRefused."""
        content = json.dumps(body or {}).encode()
        path = f"{AGENT_PATH}{name}"
        headers = (("Host", self._host), ("Content-Type", "application/json"))
        request = HttpRequest(method="POST", path=path.encode(), query=b"", headers=headers, body=content)
        added = sign(
            request,
            key_id=self._key.key_id,
            secret=self._key.secret,
            region=AGENT_REGION,
            service=AGENT_SERVICE,
            now_ms=time.time_ns() // 1_000_000,
        )
        outgoing = urllib.request.Request(  # noqa: S310 (the scheme was checked)
            self._base + path, data=content, headers=dict((*headers, *added)), method="POST"
        )
        try:
            with self._opener.open(outgoing, timeout=_TIMEOUT_S) as answer:
                return _decoded(answer.read(_LONGEST_ANSWER))
        except urllib.error.HTTPError as error:
            raise _refused(error) from None
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", error)
            if isinstance(reason, ssl.SSLCertVerificationError):
                reason = f"{reason}; name the certificate to trust in [agent] tls_ca"
            raise ServerUnreachable(f"{self._base}: {reason}") from None


def _context(ca_file: str) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if ca_file:
        try:
            context.load_verify_locations(ca_file)
        except OSError as error:
            raise OptionError(f"[agent] tls_ca {ca_file}: {error.strerror or error}; name a PEM file") from None
    return context


def _decoded(content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except ValueError:
        raise ServerUnreachable("the answer is no JSON; is that a Flowglass server?") from None
    if not isinstance(found, dict):
        raise ServerUnreachable("the answer is not of this protocol; is that a Flowglass server?")
    return found


def _refused(error: urllib.error.HTTPError) -> ServerRefused | ServerUnreachable:
    """A fault of the API; anything else (a proxy's page, an overloaded server) counts as not reached."""
    try:
        found = json.loads(error.read(1 << 20))
        code, message = str(found["code"]), str(found["message"])
    except (OSError, ValueError, KeyError, TypeError, http.client.HTTPException):
        return ServerUnreachable(f"HTTP status {error.code} without an answer of this protocol")
    if error.code >= 500:
        return ServerUnreachable(f"{code}: {message}")
    return ServerRefused(code, message)
