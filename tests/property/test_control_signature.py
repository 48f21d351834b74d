"""What botocore signs is accepted, and no single change of it is."""

from __future__ import annotations

from dataclasses import replace
from typing import Final
from urllib.parse import quote, urlsplit

import pytest
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given, settings
from hypothesis import strategies as st

from flowglass.control import signature
from flowglass.control.canonical import query_pairs
from flowglass.control.faults import ApiFault, AuthFailure, IncompleteSignature, RequestExpired, SignatureDoesNotMatch
from flowglass.control.signature import HttpRequest

CASES: Final = settings(deadline=None, max_examples=100)
KEY: Final = "FGAKABCDEFGHIJKLMNOP"
SECRET: Final = "0123456789abcdefghijABCDEFGHIJ-_01234567"  # noqa: S105 (of these tests only)
SERVICES: Final = frozenset({"ec2", "sts"})
HOST: Final = "localhost:8780"
REFUSED: Final = (SignatureDoesNotMatch, IncompleteSignature, AuthFailure)

words = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=12)
segments = st.text("abcXYZ019-_.~%20!*()$é ", max_size=8)
paths = st.lists(segments, max_size=4).map(lambda parts: quote("/" + "/".join(parts), safe="/%~"))
pairs = st.lists(st.tuples(words, words), max_size=5)
names = st.text("abcdefgh-", min_size=1, max_size=8).map(lambda name: f"X-Amz-Test{name}")
values = st.text("abcdef 0123,;=\"'\t~", max_size=20)
headers = st.dictionaries(names, values, max_size=3)
bodies = st.binary(max_size=100)
methods = st.sampled_from(["GET", "POST"])
regions = st.sampled_from(["eu-west-1", "us-east-1", "local-1"])
services = st.sampled_from(sorted(SERVICES))


def _encoded(query: list[tuple[str, str]]) -> str:
    return "&".join(f"{quote(name, safe='~')}={quote(value, safe='~')}" for name, value in query)


def _received(signed: AWSRequest) -> HttpRequest:
    """What a server receives of botocore's request."""
    parts = urlsplit(signed.url)
    fields = [(name, str(value)) for name, value in signed.headers.items()]
    return HttpRequest(
        method=signed.method,
        path=parts.path.encode(),
        query=parts.query.encode(),
        headers=(("Host", HOST), *fields),
        body=signed.body or b"",
    )


def _time_ms(request: HttpRequest) -> int:
    """When it was signed: botocore takes the machine's time."""
    text = dict(request.headers).get("X-Amz-Date") or request.query.decode().partition("X-Amz-Date=")[2][:16]
    return signature._time_ms(text)


@st.composite
def signed_requests(draw: st.DrawFn, *, presigned: bool = False) -> HttpRequest:
    """A request that botocore has signed, in the header or the query."""
    url = f"http://{HOST}{draw(paths)}?{_encoded(draw(pairs))}".rstrip("?")
    fields = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"} | draw(headers)
    request = AWSRequest(method=draw(methods), url=url, headers=fields, data=b"" if presigned else draw(bodies))
    signer = SigV4QueryAuth if presigned else SigV4Auth
    signer(Credentials(KEY, SECRET), draw(services), draw(regions)).add_auth(request)
    return _received(request)


def _verify(request: HttpRequest, *, now_ms: int, secret: str = SECRET) -> signature.Credential:
    return signature.verify(request, secret, now_ms=now_ms, services=SERVICES)


def _verify_any(request: HttpRequest, *, now_ms: int) -> None:
    """What a server does that knows one key."""
    if signature.read_credential(request).key_id == KEY:
        _verify(request, now_ms=now_ms)
    else:
        signature.verify_unknown(request, now_ms=now_ms, services=SERVICES)


@CASES
@given(signed_requests(), st.integers(-300_000, 300_000))
def test_what_botocore_signs_in_a_header_is_accepted_within_five_minutes(request: HttpRequest, late_ms: int) -> None:
    assert _verify(request, now_ms=_time_ms(request) + late_ms).key_id == KEY


@CASES
@given(signed_requests(presigned=True), st.integers(-300_000, 3_600_000))
def test_what_botocore_presigns_is_accepted_until_it_expires(request: HttpRequest, late_ms: int) -> None:
    assert _verify(request, now_ms=_time_ms(request) + late_ms).presigned


@CASES
@given(signed_requests(), st.one_of(st.integers(300_001, 1 << 40), st.integers(-(1 << 40), -300_001)))
def test_it_is_refused_at_another_time(request: HttpRequest, late_ms: int) -> None:
    with pytest.raises(RequestExpired):
        _verify(request, now_ms=_time_ms(request) + late_ms)


@CASES
@given(signed_requests(presigned=True), st.one_of(st.integers(3_600_001, 1 << 40), st.integers(-(1 << 40), -300_001)))
def test_a_presigned_one_is_refused_at_another_time(request: HttpRequest, late_ms: int) -> None:
    with pytest.raises(RequestExpired):
        _verify(request, now_ms=_time_ms(request) + late_ms)


@CASES
@given(signed_requests(), words)
def test_another_secret_is_refused(request: HttpRequest, secret: str) -> None:
    with pytest.raises(SignatureDoesNotMatch, match="The request signature we calculated does not match"):
        _verify(request, now_ms=_time_ms(request), secret=secret)
    with pytest.raises(AuthFailure, match="AWS was not able to validate the provided access credentials"):
        signature.verify_unknown(request, now_ms=_time_ms(request), services=SERVICES)


@CASES
@given(signed_requests(), st.data())
def test_another_method_path_query_or_body_is_refused(request: HttpRequest, data: st.DataObject) -> None:
    added = data.draw(words)
    changed = data.draw(
        st.sampled_from(
            [
                replace(request, method="PUT"),
                replace(request, method=request.method.lower()),
                replace(request, path=request.path.rstrip(b"/.") + b"/" + b"x" + quote(added).encode()),
                replace(request, query=request.query + b"&" + quote(added, safe="").encode() + b"=1"),
                replace(request, query=b"Action=DeleteFlowLogs&" + request.query),
                replace(request, body=request.body + added.encode()),
                replace(request, body=b"\0" + request.body),
            ]
        )
    )
    with pytest.raises(SignatureDoesNotMatch):
        _verify(changed, now_ms=_time_ms(request))


@CASES
@given(signed_requests(), st.data())
def test_another_header_date_region_service_or_key_is_refused(request: HttpRequest, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(request.headers) - 1))
    name, value = request.headers[place]
    at = data.draw(st.integers(0, len(value)))
    fields = [*request.headers]
    fields[place] = (name, value[:at] + data.draw(st.sampled_from("x7")) + value[at:])
    changed = replace(request, headers=tuple(fields))
    now_ms = _time_ms(request)
    with pytest.raises(REFUSED):
        _verify_any(changed, now_ms=now_ms)


@CASES
@given(signed_requests(presigned=True), st.data())
def test_no_byte_of_a_presigned_query_can_be_changed(request: HttpRequest, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(request.query) - 1))
    byte = data.draw(st.sampled_from(b"aZ0%&=+/;").filter(lambda byte: byte != request.query[place]))
    query = request.query[:place] + bytes([byte]) + request.query[place + 1 :]
    changed = replace(request, query=query)
    if sorted(query_pairs(query)) == sorted(query_pairs(request.query)):
        return  # other bytes of the same meaning, such as %7E for ~
    with pytest.raises(ApiFault):
        _verify(changed, now_ms=_time_ms(request))


@CASES
@given(
    st.builds(
        HttpRequest,
        method=st.sampled_from(["GET", "POST", "é"]),
        path=st.binary(max_size=20),
        query=st.one_of(
            st.binary(max_size=50),
            st.lists(st.tuples(st.sampled_from(sorted(signature.SIGNATURE_PARAMETERS)), words), max_size=8).map(
                lambda query: _encoded(query).encode()
            ),
        ),
        headers=st.lists(
            st.tuples(
                st.sampled_from(["Authorization", "X-Amz-Date", "Date", "Host", "X-Amz-Content-SHA256", "é"]),
                st.one_of(
                    st.text(st.characters(codec="latin-1"), max_size=40),
                    st.builds(
                        "AWS4-HMAC-SHA256 Credential={}/{}/r/ec2/aws4_request, SignedHeaders={}, Signature={}".format,
                        words,
                        st.sampled_from(["20150830", "00000000", "²0150830"]),
                        st.sampled_from(["host", "host;x-amz-date", "", ";", "é", "date;host"]),
                        st.sampled_from(["0" * 64, "0" * 64 + "\n", "0"]),
                    ),
                    st.sampled_from(["20150830T123600Z", "00000000T000000Z", "20150230T000000Z", "99991231T235960Z"]),
                ),
            ),
            max_size=6,
        ).map(tuple),
        body=bodies,
    ),
    st.integers(0, 1 << 47),
)
def test_whatever_comes_is_refused_with_a_code_and_never_fails_otherwise(request: HttpRequest, now_ms: int) -> None:
    for at_ms in (now_ms, 1_440_938_160_000):
        with pytest.raises(ApiFault):
            _verify(request, now_ms=at_ms)


@CASES
@given(methods, paths, pairs, headers, bodies, regions, services, st.integers(0, 1 << 42))
def test_what_is_signed_here_is_accepted_here_and_is_what_botocore_signs(
    method: str,
    path: str,
    query: list[tuple[str, str]],
    fields: dict[str, str],
    body: bytes,
    region: str,
    service: str,
    now_ms: int,
) -> None:
    plain = HttpRequest(
        method=method,
        path=path.encode(),
        query=_encoded(query).encode(),
        headers=(("host", HOST), *fields.items()),
        body=body,
    )
    added = signature.sign(plain, key_id=KEY, secret=SECRET, region=region, service=service, now_ms=now_ms)
    request = replace(plain, headers=(*plain.headers, *added))
    assert _verify(request, now_ms=now_ms).region == region

    theirs = AWSRequest(
        method=method,
        url=f"http://{HOST}{path}?{_encoded(query)}".rstrip("?"),
        headers=fields
        | {"X-Amz-Date": dict(added)["X-Amz-Date"], "X-Amz-Content-SHA256": dict(added)["X-Amz-Content-SHA256"]},
        data=body,
    )
    theirs.context["timestamp"] = dict(added)["X-Amz-Date"]
    signer = SigV4Auth(Credentials(KEY, SECRET), service, region)
    text = signer.string_to_sign(theirs, signer.canonical_request(theirs))
    assert dict(added)["Authorization"].endswith(signer.signature(text, theirs))
