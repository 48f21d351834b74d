"""Checks the AWS Signature Version 4 of requests, in a header or presigned in the query.

Rule: the body's hash that must be signed is the hash of the body at hand, never one that the caller claims; nothing of
what a caller sent as signature, and no secret, is in a message.
"""

from __future__ import annotations

import hashlib
import hmac
import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from flowglass.control.canonical import (
    ALGORITHM,
    Credential,
    HttpRequest,
    canonical_request,
    must_be_signed,
    query_pairs,
    sign,
    signature,
    string_to_sign,
    time_text,
)
from flowglass.control.faults import (
    AuthFailure,
    IncompleteSignature,
    MissingAuthenticationToken,
    RequestExpired,
    SignatureDoesNotMatch,
)

WINDOW_MS: Final = 5 * 60 * 1000
"""How far a request's time may lie from the server's: AWS's five minutes against replay
(https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_aws-signing.html). Within them a request may be sent again:
signatures are not remembered."""

LONGEST_PRESIGNED_S: Final = 7 * 24 * 3600
"""The most that X-Amz-Expires may say: 7 days."""

SIGNATURE_PARAMETERS: Final = frozenset(
    {
        "X-Amz-Algorithm",
        "X-Amz-Credential",
        "X-Amz-Date",
        "X-Amz-Expires",
        "X-Amz-SignedHeaders",
        "X-Amz-Signature",
    }
)
"""What a presigned request's query has beside the call's own parameters."""

NOT_VALIDATED: Final = "AWS was not able to validate the provided access credentials"
"""AWS's text for a key that is unknown."""

_PRESIGNED_BY: Final = frozenset({"X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature"})
_HEADER_PARTS: Final = ("Credential", "SignedHeaders", "Signature")
_UNKNOWN: Final = "-" * 40
_MISMATCH: Final = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key "
    "and signing method. Consult the service documentation for details."
)
_CREDENTIAL: Final = re.compile(r"([A-Za-z0-9_]{1,128})/([0-9]{8})/([a-z0-9-]{1,64})/([a-z0-9-]{1,64})/aws4_request")
_SIGNED_HEADERS: Final = re.compile(r"[!#$%&'*+.^_`|~0-9a-z;-]+")
_SIGNATURE: Final = re.compile(r"[0-9a-f]{64}")
_TIME: Final = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})T([0-9]{2})([0-9]{2})([0-9]{2})Z")
_EXPIRES: Final = re.compile(r"[0-9]{1,6}")


@dataclass(frozen=True, slots=True)
class _Claim:
    """What a request's signature says. `time_ms`: of `timestamp`; `expires_ms`: None if not presigned."""

    credential: Credential
    signed: tuple[str, ...]
    signature: str
    timestamp: str
    time_ms: int
    expires_ms: int | None


def read_credential(request: HttpRequest) -> Credential:
    """What a request says it is signed with; nothing of it is proved yet.

    Raises MissingAuthenticationToken if it has no signature, IncompleteSignature if that is malformed, doubled or of
    another kind, AuthFailure if it comes with a session token.
    """
    return _claim(request, _fields(request)).credential


def verify(request: HttpRequest, secret: str, *, now_ms: int, services: frozenset[str]) -> Credential:
    """Check a request's signature and return its credential.

    `secret`: of the key that `read_credential` names; `now_ms`: the server's time; `services`: those that the scope
    may name. Raises what `read_credential` does, RequestExpired, and SignatureDoesNotMatch.
    """
    credential, same = _compare(request, secret, now_ms, services)
    if not same:
        raise SignatureDoesNotMatch(_MISMATCH)
    return credential


def verify_unknown(request: HttpRequest, *, now_ms: int, services: frozenset[str]) -> None:
    """Refuse a request whose key is unknown, after the same work that a wrong secret costs.

    Raises AuthFailure, or before it what `verify` would.
    """
    _compare(request, _UNKNOWN, now_ms, services)
    raise AuthFailure(NOT_VALIDATED)


def _compare(request: HttpRequest, secret: str, now_ms: int, services: frozenset[str]) -> tuple[Credential, bool]:
    """The credential, and whether the signature is the secret's; all that does not need the secret is refused."""
    fields = _fields(request)
    claim = _claim(request, fields)
    _check_time(claim, now_ms)
    _check_scope(claim, services)
    _check_signed_headers(claim, fields)
    body_sha256 = hashlib.sha256(request.body).hexdigest()
    _check_content_hash(fields, body_sha256)
    text = string_to_sign(claim.credential, claim.timestamp, canonical_request(request, claim.signed, body_sha256))
    return claim.credential, hmac.compare_digest(signature(secret, claim.credential, text), claim.signature)


def _fields(request: HttpRequest) -> dict[str, list[str]]:
    """The headers' values by lower-case name."""
    fields: dict[str, list[str]] = {}
    for name, value in request.headers:
        fields.setdefault(name.lower(), []).append(value)
    return fields


def _claim(request: HttpRequest, fields: Mapping[str, list[str]]) -> _Claim:
    """The claim of the one signature that a request may have."""
    query: dict[str, list[str]] = {}
    for name, value in query_pairs(request.query):
        query.setdefault(name.decode("latin-1"), []).append(value.decode("latin-1"))
    presigned = not _PRESIGNED_BY.isdisjoint(query)
    if "x-amz-security-token" in fields or "X-Amz-Security-Token" in query:
        raise AuthFailure("There are no session tokens here: sign with an access key, without X-Amz-Security-Token.")
    authorizations = fields.get("authorization", [])
    if presigned and authorizations:
        raise IncompleteSignature("Only one signature is allowed: the Authorization header or the X-Amz-* parameters.")
    if presigned:
        return _query_claim(query)
    if not authorizations:
        raise MissingAuthenticationToken("Request is missing Authentication Token")
    return _header_claim(_one(authorizations, "Authorization header"), fields)


def _header_claim(authorization: str, fields: Mapping[str, list[str]]) -> _Claim:
    """The claim of an Authorization header, dated by X-Amz-Date or, without that, by Date."""
    algorithm, _, rest = authorization.strip().partition(" ")
    _check_algorithm(algorithm)
    parts: dict[str, str] = {}
    for part in rest.split(","):
        name, _, value = part.strip().partition("=")
        if name not in _HEADER_PARTS or name in parts:
            raise IncompleteSignature(f"The Authorization header has {', '.join(_HEADER_PARTS)}, each once, no others.")
        parts[name] = value
    missing = [f"Authorization header requires '{name}' parameter." for name in _HEADER_PARTS if name not in parts]
    if missing:
        raise IncompleteSignature(" ".join(missing))
    dates = fields.get("x-amz-date") or fields.get("date")
    if not dates:
        raise IncompleteSignature(
            "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header."
        )
    timestamp = _one(dates, "date header").strip()
    return _checked_claim(parts, timestamp, expires_ms=None)


def _query_claim(query: Mapping[str, list[str]]) -> _Claim:
    """The claim of a presigned request."""
    parts = {name: _one(query.get(name, []), f"{name} parameter") for name in SIGNATURE_PARAMETERS}
    _check_algorithm(parts["X-Amz-Algorithm"])
    expires = parts["X-Amz-Expires"]
    if not _EXPIRES.fullmatch(expires) or not 1 <= int(expires) <= LONGEST_PRESIGNED_S:
        raise IncompleteSignature(f"X-Amz-Expires must be a number of seconds from 1 to {LONGEST_PRESIGNED_S}.")
    named = {name: parts[f"X-Amz-{name}"] for name in _HEADER_PARTS}
    return _checked_claim(named, parts["X-Amz-Date"], expires_ms=int(expires) * 1000)


def _checked_claim(parts: Mapping[str, str], timestamp: str, *, expires_ms: int | None) -> _Claim:
    """The claim made of its texts, each of the right form."""
    credential = _CREDENTIAL.fullmatch(parts["Credential"])
    if not credential:
        raise IncompleteSignature("Credential must be KEY-ID/YYYYMMDD/REGION/SERVICE/aws4_request.")
    signed = tuple(parts["SignedHeaders"].split(";"))
    if not _SIGNED_HEADERS.fullmatch(parts["SignedHeaders"]) or "" in signed or not _ascending(signed):
        raise IncompleteSignature("SignedHeaders must be lower-case names of headers in order, each once, with ';'.")
    if not _SIGNATURE.fullmatch(parts["Signature"]):
        raise IncompleteSignature("Signature must be 64 hexadecimal digits in lower case.")
    key_id, date, region, service = credential.groups()
    return _Claim(
        credential=Credential(
            key_id=key_id, date=date, region=region, service=service, presigned=expires_ms is not None
        ),
        signed=signed,
        signature=parts["Signature"],
        timestamp=timestamp,
        time_ms=_time_ms(timestamp),
        expires_ms=expires_ms,
    )


def _check_time(claim: _Claim, now_ms: int) -> None:
    """Refuse what was signed too long ago or is not yet valid."""
    life_ms = WINDOW_MS if claim.expires_ms is None else claim.expires_ms
    if not claim.time_ms - WINDOW_MS <= now_ms <= claim.time_ms + life_ms:
        raise RequestExpired(
            f"Request has expired. Timestamp date is {claim.timestamp}, current date is {time_text(now_ms)}, "
            f"and it was valid for {life_ms // 1000} s. Check the clocks of both machines."
        )


def _check_scope(claim: _Claim, services: frozenset[str]) -> None:
    """Refuse a scope of another day than the request's, or of a service that is not here."""
    scope = claim.credential
    if scope.date != claim.timestamp[:8]:
        raise SignatureDoesNotMatch(
            f"Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
            f"'{scope.date}' != '{claim.timestamp[:8]}', from '{claim.timestamp}'."
        )
    if scope.service not in services:
        allowed = " or ".join(f"'{service}'" for service in sorted(services))
        raise SignatureDoesNotMatch(f"Credential should be scoped to correct service: {allowed}.")


def _check_signed_headers(claim: _Claim, fields: Mapping[str, list[str]]) -> None:
    """Refuse a request with a header that matters and is not signed, or a signed one that is not there."""
    if "host" not in claim.signed or len(fields.get("host", [])) != 1:
        raise SignatureDoesNotMatch("'Host' must be a 'SignedHeader' in the AWS Authorization, and be there once.")
    unsigned = sorted(name for name in fields if must_be_signed(name) and name not in claim.signed)
    if unsigned:
        raise SignatureDoesNotMatch(
            f"There were headers present in the request which were not signed: {_list(unsigned)}."
        )
    lost = [name for name in claim.signed if name not in fields]
    if lost:
        raise SignatureDoesNotMatch(f"Signed headers are not in the request as it arrived: {_list(lost)}.")


def _check_content_hash(fields: Mapping[str, list[str]], body_sha256: str) -> None:
    """Refuse a claimed hash that is not the body's, and signatures that leave the body out."""
    claimed = fields.get("x-amz-content-sha256")
    if claimed is not None and [value.strip() for value in claimed] != [body_sha256]:
        raise SignatureDoesNotMatch(
            "X-Amz-Content-SHA256 is not the SHA-256 of the body as it arrived; unsigned and streaming payloads are "
            "not accepted."
        )


def _check_algorithm(algorithm: str) -> None:
    """Refuse everything but SigV4."""
    if algorithm != ALGORITHM:
        raise IncompleteSignature(f"The request must be signed with {ALGORITHM}; other algorithms are not supported.")


def _one(values: Sequence[str], what: str) -> str:
    """The only value. Raises IncompleteSignature if there is none or more than one."""
    if len(values) != 1:
        raise IncompleteSignature(f"The request must have one {what}, and has {len(values)}.")
    return values[0]


def _ascending(names: Sequence[str]) -> bool:
    """Whether names are sorted, and none is there twice."""
    return all(first < second for first, second in itertools.pairwise(names))


def _list(names: Iterable[str]) -> str:
    """Names for a message, no longer than a line."""
    text = ", ".join(names)
    return text if len(text) <= 200 else text[:200] + "…"


def _time_ms(text: str) -> int:
    """The time of a signature [ms since 1970]. Raises IncompleteSignature if it is none."""
    found = _TIME.fullmatch(text)
    try:
        year, month, day, hour, minute, second = map(int, found.groups() if found else ())
        return int(datetime(year, month, day, hour, minute, second, tzinfo=UTC).timestamp()) * 1000
    except ValueError:
        raise IncompleteSignature("The request's date must be of the form YYYYMMDD'T'HHMMSS'Z', in UTC.") from None


__all__ = [
    "LONGEST_PRESIGNED_S",
    "NOT_VALIDATED",
    "SIGNATURE_PARAMETERS",
    "WINDOW_MS",
    "Credential",
    "HttpRequest",
    "read_credential",
    "sign",
    "verify",
    "verify_unknown",
]
