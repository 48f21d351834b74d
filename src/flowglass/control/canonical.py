"""Signs requests with AWS Signature Version 4, and has the form of a request that is signed.

Rule: signer and checker both go through `canonical_request`, so they cannot differ; nothing but the standard library.
Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final
from urllib.parse import quote_from_bytes, unquote_to_bytes

ALGORITHM: Final = "AWS4-HMAC-SHA256"
"""The only algorithm taken: SigV2, SigV4A (AWS4-ECDSA…) and streaming signatures are refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRequest:
    """A request as it is on the wire.

    `path`, `query`: raw, percent-encoded, without the `?`; `headers`: names and values as received, their bytes read
    as Latin-1, which is how HTTP servers hand them over.
    """

    method: str
    path: bytes
    query: bytes = b""
    headers: tuple[tuple[str, str], ...]
    body: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """Whose key a request says it is signed with, and for what. `date`: YYYYMMDD; `presigned`: by the query."""

    key_id: str
    date: str
    region: str
    service: str
    presigned: bool = False

    @property
    def scope(self) -> str:
        """The credential scope, as it stands in the string to sign."""
        return f"{self.date}/{self.region}/{self.service}/aws4_request"


def sign(
    request: HttpRequest, *, key_id: str, secret: str, region: str, service: str, now_ms: int
) -> list[tuple[str, str]]:
    """The headers that sign a request: to be added to those it has.

    Signs host, content type, every x-amz-* header and the body. Raises ValueError if there is no Host header, or one
    that this function makes.
    """
    timestamp = time_text(now_ms)
    body_sha256 = hashlib.sha256(request.body).hexdigest()
    added = [("X-Amz-Date", timestamp), ("X-Amz-Content-SHA256", body_sha256)]
    present = {name.lower() for name, _ in request.headers}
    if "host" not in present or present & {"authorization", "x-amz-date", "x-amz-content-sha256"}:
        raise ValueError("a request to sign has a Host header, and none of those that signing adds")
    names = present | {name.lower() for name, _ in added}
    signed = sorted(name for name in names if must_be_signed(name))
    whole = HttpRequest(
        method=request.method,
        path=request.path,
        query=request.query,
        headers=(*request.headers, *added),
        body=request.body,
    )
    credential = Credential(key_id=key_id, date=timestamp[:8], region=region, service=service)
    text = string_to_sign(credential, timestamp, canonical_request(whole, signed, body_sha256))
    authorization = (
        f"{ALGORITHM} Credential={key_id}/{credential.scope}, SignedHeaders={';'.join(signed)}, "
        f"Signature={signature(secret, credential, text)}"
    )
    return [("Authorization", authorization), *added]


def canonical_request(request: HttpRequest, signed: Sequence[str], body_sha256: str) -> bytes:
    """The canonical request: what both sides must have alike. `signed`: lower-case names of headers, sorted."""
    values: dict[str, list[bytes]] = {name: [] for name in signed}
    for name, value in request.headers:
        found = values.get(name.lower())
        if found is not None:
            found.append(b" ".join(value.encode("latin-1").split()))
    lines = [request.method.encode(), _canonical_path(request.path), _canonical_query(request.query)]
    lines += [name.encode() + b":" + b",".join(found) for name, found in values.items()]
    lines += [b"", ";".join(signed).encode(), body_sha256.encode()]
    return b"\n".join(lines)


def string_to_sign(credential: Credential, timestamp: str, canonical: bytes) -> str:
    """The text that the key signs. `timestamp`: YYYYMMDD'T'HHMMSS'Z'."""
    return f"{ALGORITHM}\n{timestamp}\n{credential.scope}\n{hashlib.sha256(canonical).hexdigest()}"


def signature(secret: str, credential: Credential, text: str) -> str:
    """The signature of a string to sign, 64 hex digits."""
    key = _signing_key(secret, credential.date, credential.region, credential.service)
    return hmac.digest(key, text.encode(), "sha256").hex()


@lru_cache(maxsize=256)
def _signing_key(secret: str, date: str, region: str, service: str) -> bytes:
    """The day's key: four HMACs, so it is kept; a client's requests of one day share it."""
    key = b"AWS4" + secret.encode()
    for part in (date, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def _canonical_path(path: bytes) -> bytes:
    """The path without empty, `.` and `..` segments, encoded once more, as every service but S3 has it."""
    if path in (b"/", b""):
        return b"/"
    kept: list[bytes] = []
    for segment in path.split(b"/"):
        if segment == b"..":
            del kept[-1:]
        elif segment not in (b"", b"."):
            kept.append(segment)
    last = b"/" if kept and path.endswith(b"/") else b""
    return b"/" + quote_from_bytes(b"/".join(kept), safe="/~").encode() + last


def _canonical_query(query: bytes) -> bytes:
    """The parameters but the signature, decoded, encoded AWS's way, in order of name and value."""
    pairs = [pair for pair in query_pairs(query) if pair[0] != b"X-Amz-Signature"]
    encoded = sorted((quote_from_bytes(name, safe="~"), quote_from_bytes(value, safe="~")) for name, value in pairs)
    return "&".join(f"{name}={value}" for name, value in encoded).encode()


def query_pairs(query: bytes) -> list[tuple[bytes, bytes]]:
    """Names and values, decoded as they are when the call is read: `+` is a blank, or a changed one would pass."""
    if not query:
        return []
    pairs = (part.replace(b"+", b" ").partition(b"=") for part in query.split(b"&") if part)
    return [(unquote_to_bytes(name), unquote_to_bytes(value)) for name, _, value in pairs]


def must_be_signed(name: str) -> bool:
    """Whether a header has to be signed if it is there (the page on canonical requests says so of these)."""
    return name in {"host", "content-type"} or name.startswith("x-amz-")


def time_text(at_ms: int) -> str:
    """A time as signatures have it."""
    return datetime.fromtimestamp(at_ms // 1000, UTC).strftime("%Y%m%dT%H%M%SZ")
