"""Which requests are refused for their signature, and with which code and text."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import Final

import pytest

from flowglass.control.faults import (
    ApiFault,
    AuthFailure,
    IncompleteSignature,
    MissingAuthenticationToken,
    RequestExpired,
    SignatureDoesNotMatch,
)
from flowglass.control.signature import Credential, HttpRequest, read_credential, sign, verify, verify_unknown

KEY: Final = "FGAKABCDEFGHIJKLMNOP"
SECRET: Final = "s" * 40
NOW_MS: Final = 1_795_000_000_000  # 2026-11-18 11:06:40 UTC
NOW: Final = "20261118T110640Z"
BODY: Final = b"Action=DescribeFlowLogs&Version=2016-11-15"
PLAIN: Final = HttpRequest(
    method="POST",
    path=b"/",
    headers=(("Host", "127.0.0.1:8780"), ("Content-Type", "application/x-www-form-urlencoded")),
    body=BODY,
)
EMPTY_SHA256: Final = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def _signed(plain: HttpRequest = PLAIN, now_ms: int = NOW_MS) -> HttpRequest:
    added = sign(plain, key_id=KEY, secret=SECRET, region="eu-west-1", service="ec2", now_ms=now_ms)
    return replace(plain, headers=(*plain.headers, *added))


def _verify(request: HttpRequest, now_ms: int = NOW_MS) -> Credential:
    return verify(request, SECRET, now_ms=now_ms, services=frozenset({"ec2", "sts"}))


def _with(request: HttpRequest, name: str, value: str | None) -> HttpRequest:
    """The request with another value of a header, or without it."""
    kept = [(other, text) for other, text in request.headers if other.lower() != name.lower()]
    return replace(request, headers=(*kept, *([(name, value)] if value is not None else [])))


def _authorization(request: HttpRequest, old: str, new: str) -> HttpRequest:
    text = dict(request.headers)["Authorization"]
    assert old in text
    return _with(request, "Authorization", text.replace(old, new))


def _refused(request: HttpRequest, code: type[ApiFault], text: str, now_ms: int = NOW_MS) -> None:
    with pytest.raises(code) as caught:
        _verify(request, now_ms)
    assert text in caught.value.message
    assert SECRET not in caught.value.message


def test_a_signed_request_is_accepted() -> None:
    expected = Credential(key_id=KEY, date="20261118", region="eu-west-1", service="ec2")
    assert read_credential(_signed()) == _verify(_signed()) == expected


def test_headers_of_any_case_and_blanks_around_parts_are_accepted() -> None:
    request = _authorization(_signed(), ", Signed", " ,   Signed")
    _verify(replace(request, headers=tuple((name.upper(), value) for name, value in request.headers)))


def test_the_date_header_dates_a_request_that_has_no_amz_date() -> None:
    request = _signed(_with(PLAIN, "Date", "Wed, 18 Nov 2026 11:06:40 GMT"))
    _verify(request)
    text = "X-Amz-Date' or a 'Date' header"
    _refused(_with(_with(request, "X-Amz-Date", None), "Date", None), IncompleteSignature, text)
    _refused(_with(request, "X-Amz-Date", None), IncompleteSignature, "YYYYMMDD'T'HHMMSS'Z'")


def test_no_signature_at_all() -> None:
    _refused(PLAIN, MissingAuthenticationToken, "Request is missing Authentication Token")


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256", "must be signed with AWS4-HMAC-SHA256"),
        ("AWS4-HMAC-SHA256", "Basic", "must be signed with AWS4-HMAC-SHA256"),
        ("Signature=", "Signature:", "each once, no others"),
        (", Signature=", ", Extra=1, Signature=", "each once, no others"),
        (", Signature=", ", Signature=1, Signature=", "each once, no others"),
        ("SignedHeaders=", "Signature=", "each once, no others"),
        ("/ec2/", "/", "Credential must be"),
        ("aws4_request", "aws4_reqeust", "Credential must be"),
        ("/eu-west-1/", "/EU WEST/", "Credential must be"),
        ("host;x-amz-content-sha256", "x-amz-content-sha256;host", "SignedHeaders must be"),
        ("host;", "host;host;", "SignedHeaders must be"),
        ("content-type;", "Content-Type;", "SignedHeaders must be"),
        ("content-type;", "", "content-type"),
        ("Signature=", "Signature=0", "64 hexadecimal digits"),
    ],
)
def test_malformed_authorization_headers(old: str, new: str, text: str) -> None:
    code = SignatureDoesNotMatch if (old, new) == ("content-type;", "") else IncompleteSignature
    _refused(_authorization(_signed(), old, new), code, text)


def test_missing_parts_are_all_named() -> None:
    request = _with(PLAIN, "Authorization", f"AWS4-HMAC-SHA256 Signature={'0' * 64}")
    text = "requires 'Credential' parameter. Authorization header requires 'SignedHeaders' parameter."
    _refused(request, IncompleteSignature, text)


@pytest.mark.parametrize("name", ["Authorization", "X-Amz-Date", "Host", "X-Amz-Content-SHA256"])
def test_a_header_twice_is_refused(name: str) -> None:
    request = _signed()
    value = dict(request.headers)[name]
    with pytest.raises((IncompleteSignature, SignatureDoesNotMatch)):
        _verify(replace(request, headers=(*request.headers, (name, value))))


@pytest.mark.parametrize("name", ["host", "content-type", "x-amz-date", "x-amz-content-sha256"])
def test_headers_that_matter_must_be_signed(name: str) -> None:
    request = _signed()
    signed = "content-type;host;x-amz-content-sha256;x-amz-date"
    others = ";".join(other for other in signed.split(";") if other != name)
    text = "'Host' must be" if name == "host" else f"which were not signed: {name}."
    _refused(_authorization(request, signed, others), SignatureDoesNotMatch, text)


def test_an_amz_header_added_on_the_way_is_refused_and_another_one_is_not() -> None:
    _refused(_with(_signed(), "X-Amz-Target", "x"), SignatureDoesNotMatch, "not signed: x-amz-target.")
    _verify(_with(_signed(), "X-Forwarded-For", "192.0.2.1"))


def test_a_signed_header_lost_on_the_way_is_named() -> None:
    _refused(_with(_signed(), "content-type", None), SignatureDoesNotMatch, "as it arrived: content-type.")


@pytest.mark.parametrize("claimed", ["UNSIGNED-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", EMPTY_SHA256, ""])
def test_a_content_hash_that_is_not_the_body_s_is_refused(claimed: str) -> None:
    _refused(_with(_signed(), "X-Amz-Content-SHA256", claimed), SignatureDoesNotMatch, "SHA-256 of the body")


def test_a_content_hash_does_not_stand_in_for_the_body() -> None:
    _refused(replace(_signed(), body=BODY + b"&DryRun=true"), SignatureDoesNotMatch, "SHA-256 of the body")


def test_session_tokens_are_refused() -> None:
    _refused(_with(_signed(), "X-Amz-Security-Token", "t"), AuthFailure, "without X-Amz-Security-Token")
    _refused(replace(_signed(), query=b"X-Amz-Security-Token=t"), AuthFailure, "without X-Amz-Security-Token")


def test_the_scope_names_the_day_of_the_request_and_a_service_that_is_here() -> None:
    _refused(_authorization(_signed(), "20261118/", "20261117/"), SignatureDoesNotMatch, "'20261117' != '20261118'")
    _refused(_authorization(_signed(), "/ec2/", "/s3/"), SignatureDoesNotMatch, "correct service: 'ec2' or 'sts'.")
    _refused(_authorization(_signed(), "/ec2/", "/sts/"), SignatureDoesNotMatch, "Check your AWS Secret Access Key")
    _refused(_authorization(_signed(), "eu-west-1", "eu-west-2"), SignatureDoesNotMatch, "Check your AWS Secret")


@pytest.mark.parametrize("late_ms", [-300_001, 300_001, 86_400_000])
def test_a_request_of_another_time_is_told_both_times(late_ms: int) -> None:
    _refused(_signed(), RequestExpired, f"Timestamp date is {NOW}, current date is 20261", NOW_MS + late_ms)


@pytest.mark.parametrize(
    "date", ["20261118T110640", "2026-11-18T11:06:40Z", "20261318T110640Z", "20261118T110640Z\n1", ""]
)
def test_malformed_dates(date: str) -> None:
    _refused(_with(_signed(), "X-Amz-Date", date), IncompleteSignature, "YYYYMMDD'T'HHMMSS'Z'")


def test_an_unknown_key_gets_aws_s_text_and_the_same_checks_before_it() -> None:
    services = frozenset({"ec2"})
    with pytest.raises(AuthFailure, match=r"^AWS was not able to validate the provided access credentials$"):
        verify_unknown(_signed(), now_ms=NOW_MS, services=services)
    with pytest.raises(RequestExpired):
        verify_unknown(_signed(), now_ms=NOW_MS + 10**9, services=services)
    forged = sign(PLAIN, key_id=KEY, secret="-" * 40, region="r", service="ec2", now_ms=NOW_MS)
    with pytest.raises(AuthFailure):
        verify_unknown(replace(PLAIN, headers=(*PLAIN.headers, *forged)), now_ms=NOW_MS, services=services)


# Presigned -----------------------------------------------------------------------------------------------------

PRESIGNED: Final = {
    "Action": "DescribeFlowLogs",
    "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
    "X-Amz-Credential": f"{KEY}%2F20261118%2Feu-west-1%2Fec2%2Faws4_request",
    "X-Amz-Date": NOW,
    "X-Amz-Expires": "60",
    "X-Amz-SignedHeaders": "host",
    "X-Amz-Signature": "0" * 64,
}


def _presigned(**changed: str) -> HttpRequest:
    query = PRESIGNED | {name.replace("_", "-"): value for name, value in changed.items()}
    text = "&".join(f"{name}={value}" for name, value in query.items() if value)
    return HttpRequest(method="GET", path=b"/", query=text.encode(), headers=(("Host", "localhost"),))


@pytest.mark.parametrize("expires", ["0", "604801", "-1", "1.5", "x", "٣", "9" * 50])
def test_presigned_requests_expire_within_seven_days(expires: str) -> None:
    _refused(_presigned(X_Amz_Expires=expires), IncompleteSignature, "from 1 to 604800")


@pytest.mark.parametrize("name", [name for name in PRESIGNED if name != "Action"])
def test_a_presigned_request_has_each_parameter_once(name: str) -> None:
    _refused(_presigned(**{name: ""}), IncompleteSignature, f"one {name} parameter, and has 0")
    twice = replace(_presigned(), query=_presigned().query + f"&{name}={PRESIGNED[name]}".encode())
    _refused(twice, IncompleteSignature, f"one {name} parameter, and has 2")
    encoded = f"&{name.replace('-', '%2D')}=1".encode()
    _refused(replace(_presigned(), query=_presigned().query + encoded), IncompleteSignature, "and has 2")


def test_a_presigned_request_signs_host_and_content_type_too() -> None:
    _refused(_presigned(X_Amz_SignedHeaders="date"), SignatureDoesNotMatch, "'Host' must be")
    _refused(_with(_presigned(), "Content-Type", "text/plain"), SignatureDoesNotMatch, "not signed: content-type.")
    _refused(_presigned(), SignatureDoesNotMatch, "Check your AWS Secret Access Key")


def test_a_request_is_signed_in_one_place_only() -> None:
    both = replace(_signed(), query=_presigned().query)
    _refused(both, IncompleteSignature, "Only one signature is allowed")
    _refused(replace(_signed(), query=b"X-Amz-Signature=1"), IncompleteSignature, "Only one signature is allowed")


def test_a_plus_in_a_query_is_the_blank_that_it_is_read_as() -> None:
    request = _signed(replace(PLAIN, query=b"Value=a+b"))
    _verify(replace(request, query=b"Value=a%20b"))
    _refused(replace(request, query=b"Value=a%2Bb"), SignatureDoesNotMatch, "Check your AWS Secret Access Key")


# Signing -------------------------------------------------------------------------------------------------------


def test_signing_refuses_a_request_that_would_not_be_accepted() -> None:
    for wrong in (_with(PLAIN, "Host", None), _signed(), _with(PLAIN, "x-amz-date", NOW)):
        with pytest.raises(ValueError, match="has a Host header"):
            _signed(wrong)


def test_signing_loads_nothing_but_the_standard_library() -> None:
    code = (
        "import sys; import flowglass.control.signature; "
        "print([name for name in sys.modules if name.split('.')[0] in "
        "('botocore', 'sqlalchemy', 'starlette', 'numpy', 'pyarrow', 'numba')])"
    )
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert found.stdout.strip() == "[]"
