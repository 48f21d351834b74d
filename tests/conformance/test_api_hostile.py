"""What does not deserve an answer gets a refusal: the right code, nothing stored, and the server goes on."""

from __future__ import annotations

import gzip
import hashlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

import pytest
from tests.support import raw_http as http
from tests.support.besieged import audit, audited, good, started, unharmed, untold
from tests.support.raw_http import FORM, Wire, ask, encoded, exchange, form, head, plain, signed, with_header
from tests.support.servers import SAMPLE_REGION, Key, Running

from flowglass.control import HttpRequest

GOOD: Final = form("DescribeFlowLogs")
CREATE: Final = form(
    "CreateFlowLogs",
    ResourceType="VPC",
    ResourceId__1="vpc-0a0a0a0a",
    TrafficType="ALL",
    LogDestinationType="s3",
    LogDestination="arn:aws:s3:::logs",
)
SECRET: Final = "n" * 40
Make = Callable[[str, Key], HttpRequest]
Outcome = tuple[int, str]
MISMATCH: Final = (403, "SignatureDoesNotMatch")
INCOMPLETE: Final = (400, "IncompleteSignature")
EXPIRED: Final = (400, "RequestExpired")
UNKNOWN: Final = (401, "AuthFailure")
UNSIGNED: Final = (403, "MissingAuthenticationToken")
INVALID: Final = (400, "InvalidRequest")
TOO_LARGE: Final = (413, "RequestEntityTooLarge")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    running = started(tmp_path_factory.mktemp("hostile") / "data")
    yield running
    assert running.stop() == 0
    assert untold(running, running.admin.secret, "Signature=")
    assert running.events("request_failed") == []
    assert "Traceback" not in running.log.read_text()


# Signatures ------------------------------------------------------------------------------------------------------


def _now_ms(late_s: int) -> int:
    return (time.time_ns() // 1_000_000) + late_s * 1000


def _create(url: str, key: Key) -> HttpRequest:
    """A request that would store something, well signed."""
    return signed(plain(url, CREATE), key)


def _authorization(change: Callable[[str], str]) -> Make:
    def make(url: str, key: Key) -> HttpRequest:
        request = _create(url, key)
        return with_header(request, "Authorization", change(dict(request.headers)["Authorization"]))

    return make


def _header(name: str, value: str | None) -> Make:
    return lambda url, key: with_header(_create(url, key), name, value)


def _added(name: str, value: str) -> Make:
    def make(url: str, key: Key) -> HttpRequest:
        request = _create(url, key)
        return replace(request, headers=(*request.headers, (name, value)))

    return make


def _hash_of_another_body(url: str, key: Key) -> HttpRequest:
    body = CREATE.replace(b"ALL", b"REJECT")
    claimed = with_header(_create(url, key), "X-Amz-Content-SHA256", hashlib.sha256(body).hexdigest())
    return replace(claimed, body=body)


SIGNATURES: Final[dict[str, tuple[Make, Outcome]]] = {
    "no signature": (lambda url, _: plain(url, CREATE), UNSIGNED),
    "wrong secret": (lambda url, key: signed(plain(url, CREATE), Key(key.id, SECRET)), MISMATCH),
    "unknown key": (lambda url, _: signed(plain(url, CREATE), Key("FGAKAAAAAAAAAAAAAAAA", SECRET)), UNKNOWN),
    "key of AWS": (lambda url, _: signed(plain(url, CREATE), Key("AKIDEXAMPLE", SECRET)), UNKNOWN),
    "old": (lambda url, key: signed(plain(url, CREATE), key, now_ms=_now_ms(-305)), EXPIRED),
    "of the future": (lambda url, key: signed(plain(url, CREATE), key, now_ms=_now_ms(305)), EXPIRED),
    "of 1970": (lambda url, key: signed(plain(url, CREATE), key, now_ms=0), EXPIRED),
    "of another service": (lambda url, key: signed(plain(url, CREATE), key, service="s3"), MISMATCH),
    "tampered body": (lambda url, key: replace(_create(url, key), body=CREATE.replace(b"ALL", b"REJECT")), MISMATCH),
    "tampered body and its hash": (_hash_of_another_body, MISMATCH),
    "body cut off": (lambda url, key: replace(_create(url, key), body=CREATE[:-1]), MISMATCH),
    "tampered path": (lambda url, key: replace(_create(url, key), path=b"/agent"), MISMATCH),
    "path of the same meaning": (lambda url, key: replace(_create(url, key), path=b"//"), INVALID),
    "tampered query": (lambda url, key: replace(_create(url, key), query=b"DryRun=false"), MISMATCH),
    "tampered method": (lambda url, key: replace(_create(url, key), method="PUT"), MISMATCH),
    "tampered signed header": (_header("Content-Type", f"{FORM}; charset=utf-8"), MISMATCH),
    "tampered date": (_header("X-Amz-Date", "20150830T123600Z"), EXPIRED),
    "no date": (_header("X-Amz-Date", None), INCOMPLETE),
    "tampered host": (_header("Host", "flowglass.example"), MISMATCH),
    "no host": (_header("Host", None), MISMATCH),
    "two hosts": (_added("Host", "flowglass.example"), MISMATCH),
    "unsigned x-amz header": (_added("X-Amz-Target", "Ec2.CreateFlowLogs"), MISMATCH),
    "unsigned host": (_authorization(lambda text: text.replace("host;", "")), MISMATCH),
    "unsigned content type": (_authorization(lambda text: text.replace("content-type;", "")), MISMATCH),
    "unsigned content hash": (_authorization(lambda text: text.replace(";x-amz-content-sha256", "")), MISMATCH),
    "false content hash": (_header("X-Amz-Content-SHA256", "0" * 64), MISMATCH),
    "unsigned payload": (_header("X-Amz-Content-SHA256", "UNSIGNED-PAYLOAD"), MISMATCH),
    "streamed payload": (_header("X-Amz-Content-SHA256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"), MISMATCH),
    "signature of zeros": (_authorization(lambda text: text[:-64] + "0" * 64), MISMATCH),
    "signature cut off": (_authorization(lambda text: text[:-1]), INCOMPLETE),
    "no credential": (_authorization(lambda text: text.replace("Credential=", "Credentials=")), INCOMPLETE),
    "another algorithm": (_authorization(lambda text: text.replace("HMAC", "ECDSA-P256")), INCOMPLETE),
    "basic authorization": (_header("Authorization", "Basic YWRtaW46YWRtaW4="), INCOMPLETE),
    "empty authorization": (_header("Authorization", ""), INCOMPLETE),
    "two authorizations": (_added("Authorization", "AWS4-HMAC-SHA256 Credential=a"), INCOMPLETE),
    "authorization of 50 kB": (_authorization(lambda text: text + "0" * 50_000), INCOMPLETE),
    "authorization of controls": (_authorization(lambda text: text + "\xff\x80"), INCOMPLETE),
    "signed in header and query": (
        lambda url, key: replace(_create(url, key), query=b"X-Amz-Algorithm=AWS4-HMAC-SHA256"),
        INCOMPLETE,
    ),
    "signed as in version 2": (
        lambda url, key: plain(url, CREATE + f"&AWSAccessKeyId={key.id}&SignatureVersion=2&Signature=a".encode()),
        UNSIGNED,
    ),
    "with a session token": (_added("X-Amz-Security-Token", "token"), UNKNOWN),
}


@pytest.mark.parametrize("name", SIGNATURES)
def test_a_request_whose_signature_is_not_right_is_refused(server: Running, name: str) -> None:
    make, (status, code) = SIGNATURES[name]
    with unharmed(server), audited(server, [code]):
        reply = ask(server.url, make(server.url, server.admin))
        written = audit(server.data)[-1]
    assert reply.outcome == (status, code)
    assert reply.headers["content-type"] == "text/xml;charset=UTF-8"
    assert server.admin.secret.encode() not in reply.body
    assert (written["requestID"], written["errorMessage"]) == (reply.headers["x-amzn-requestid"], reply.message)


def test_a_request_is_taken_as_often_as_it_is_sent_within_its_five_minutes(server: Running) -> None:
    request = signed(plain(server.url, GOOD), server.admin, now_ms=_now_ms(-290))
    assert [ask(server.url, request).status for _ in range(3)] == [200, 200, 200]


# Forms -----------------------------------------------------------------------------------------------------------


def _body(body: bytes, kind: str | None = FORM, **other: str) -> Make:
    headers = tuple((name.replace("_", "-"), value) for name, value in other.items())
    kinds = (("Content-Type", kind),) if kind is not None else ()
    return lambda url, key: signed(plain(url, body, headers=(*kinds, *headers)), key)


def _method(method: str, path: bytes = b"/") -> Make:
    return lambda url, key: signed(plain(url, method=method, path=path, headers=()), key)


FORMS: Final[dict[str, tuple[Make, Outcome]]] = {
    "broken percent": (_body(b"Action=%zz&Version=2016-11-15"), INVALID),
    "percent at the end": (_body(GOOD + b"&A=%"), INVALID),
    "not UTF-8": (_body(GOOD + b"&A=%ff"), INVALID),
    "raw bytes": (_body(GOOD + b"&A=\xff\xfe"), INVALID),
    "overlong UTF-8": (_body(GOOD + b"&A=%c0%af"), INVALID),
    "a surrogate": (_body(GOOD + b"&A=%ed%a0%80"), INVALID),
    "NUL": (_body(GOOD + b"&A=%00"), INVALID),
    "raw NUL": (_body(GOOD + b"&A=\0"), INVALID),
    "a name of nothing": (_body(GOOD + b"&=a"), INVALID),
    "a long name": (_body(GOOD + b"&" + b"A" * 300 + b"=a"), INVALID),
    "a long value": (_body(GOOD + b"&A=" + b"a" * 70_000), INVALID),
    "10,001 parameters": (_body(GOOD + b"&a=" * 10_001), INVALID),
    "the action twice": (_body(GOOD + b"&Action=DeleteFlowLogs"), INVALID),
    "nothing": (_body(b""), (400, "MissingAction")),
    "no version": (_body(b"Action=DescribeFlowLogs"), (400, "MissingParameter")),
    "an old version": (_body(form("DescribeFlowLogs", "2009-01-01")), (400, "NoSuchVersion")),
    "an action of markup": (_body(form("<script>\r\n")), (400, "InvalidAction")),
    "JSON": (_body(json.dumps({"Action": "DescribeFlowLogs"}).encode(), "application/json"), INVALID),
    "a form called JSON": (_body(GOOD, "application/x-amz-json-1.1"), INVALID),
    "a form without a type": (_body(GOOD, None), INVALID),
    "multipart": (_body(GOOD, "multipart/form-data; boundary=a"), INVALID),
    "compressed": (_body(gzip.compress(GOOD), Content_Encoding="gzip"), INVALID),
    "chunked for S3": (_body(GOOD, Content_Encoding="aws-chunked"), INVALID),
    "PUT": (_method("PUT"), INVALID),
    "DELETE": (_method("DELETE"), INVALID),
    "OPTIONS": (_method("OPTIONS"), INVALID),
    "another path": (_method("POST", b"/ec2"), INVALID),
    "the path of agents": (_method("POST", b"/agent/v1/report"), INVALID),
    "a path upwards": (_method("GET", b"/../../etc/passwd"), INVALID),
    "a long path": (_method("GET", b"/" + b"a" * 50_000), INVALID),
    "a file that servers have": (_method("GET", b"/.env"), INVALID),
}


@pytest.mark.parametrize("name", FORMS)
def test_a_well_signed_request_of_another_form_is_refused(server: Running, name: str) -> None:
    make, (status, code) = FORMS[name]
    with unharmed(server), audited(server, [code, ""]):
        reply = ask(server.url, make(server.url, server.admin))
        good(server)
    assert reply.outcome == (status, code)
    assert len(reply.message) < 1000
    assert reply.message.isprintable()


def test_a_refused_head_has_no_body(server: Running) -> None:
    with unharmed(server):
        reply = ask(server.url, signed(plain(server.url, method="HEAD", headers=()), server.admin))
    assert (reply.status, reply.body) == (400, b"")


# HTTP ------------------------------------------------------------------------------------------------------------

LENGTH: Final = f"Content-Length: {len(GOOD)}"
CHUNKED: Final = "Transfer-Encoding: chunked"
CHUNKS: Final = b"%x\r\n%s\r\n0\r\n" % (len(GOOD), GOOD)
Bytes = Callable[[HttpRequest], bytes]

WIRE: Final[dict[str, tuple[Bytes, Outcome]]] = {
    "TLS": (lambda _: b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)) * 2, INVALID),
    "noise": (lambda _: bytes(range(255, 0, -1)) * 10, INVALID),
    "SSH": (lambda _: b"SSH-2.0-OpenSSH_9.2\r\n", INVALID),
    "HTTP/0.9": (lambda _: b"GET /\r\n\r\n", UNSIGNED),
    "HTTP/1.0": (lambda _: b"GET / HTTP/1.0\r\n\r\n", UNSIGNED),
    "HTTP/2": (lambda _: b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", INVALID),
    "HTTP/7.3": (lambda _: b"GET / HTTP/7.3\r\n\r\n", INVALID),
    "an unknown method": (lambda _: b"STEAL / HTTP/1.1\r\nHost: a\r\n\r\n", INVALID),
    "CONNECT": (lambda _: b"CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: a\r\n\r\n", INVALID),
    "TRACE": (lambda _: b"TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", UNSIGNED),
    "a proxy's target": (lambda _: b"GET http://169.254.169.254/latest HTTP/1.1\r\nHost: a\r\n\r\n", UNSIGNED),
    "a target without path": (lambda _: b"GET http://a HTTP/1.1\r\nHost: a\r\n\r\n", INVALID),
    "the target *": (lambda _: b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", UNSIGNED),
    "a target not in ASCII": (lambda _: b"GET /\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n", INVALID),
    "a target of 1 MB": (lambda _: b"GET /" + b"a" * 1_000_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", TOO_LARGE),
    "a header of 10 MB": (lambda _: b"GET / HTTP/1.1\r\nA: " + b"a" * 10_000_000 + b"\r\n\r\n", TOO_LARGE),
    "a header's name of 1 MB": (lambda _: b"GET / HTTP/1.1\r\n" + b"a" * 1_000_000 + b": a\r\n\r\n", TOO_LARGE),
    "100,000 headers": (lambda _: b"GET / HTTP/1.1\r\n" + b"A: a\r\n" * 100_000 + b"\r\n", TOO_LARGE),
    "headers of 70 kB": (lambda _: b"GET / HTTP/1.1\r\n" + b"A: a\r\n" * 12_000 + b"\r\n", TOO_LARGE),
    "a folded header": (lambda _: b"GET / HTTP/1.1\r\nHost: a\r\nA: a\r\n b\r\n\r\n", INVALID),
    "a header with NUL": (lambda _: b"GET / HTTP/1.1\r\nHost: a\r\nA: \0\r\n\r\n", INVALID),
    "a blank before the colon": (lambda _: b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", INVALID),
    "lines without carriage return": (lambda _: b"GET / HTTP/1.1\nHost: a\n\n", INVALID),
    "two lengths": (lambda request: head(request, LENGTH, LENGTH) + GOOD, INVALID),
    "two different lengths": (lambda request: head(request, LENGTH, "Content-Length: 0") + GOOD, INVALID),
    "a list of lengths": (lambda request: head(request, f"{LENGTH}, 0") + GOOD, INVALID),
    "a negative length": (lambda request: head(request, "Content-Length: -1"), INVALID),
    "a signed length": (lambda request: head(request, LENGTH.replace(": ", ": +")) + GOOD, INVALID),
    "a hexadecimal length": (lambda request: head(request, "Content-Length: 0x20") + GOOD, INVALID),
    "a length beyond 64 bits": (lambda request: head(request, "Content-Length: 99999999999999999999"), INVALID),
    "length and chunks": (lambda request: head(request, LENGTH, CHUNKED) + CHUNKS + b"\r\n", INVALID),
    "chunks and length": (lambda request: head(request, CHUNKED, LENGTH) + CHUNKS + b"\r\n", INVALID),
    "chunks twice": (lambda request: head(request, f"{CHUNKED}, chunked") + CHUNKS + b"\r\n", INVALID),
    "chunks of gzip": (lambda request: head(request, "Transfer-Encoding: gzip, chunked") + CHUNKS + b"\r\n", INVALID),
    "an unknown transfer encoding": (lambda request: head(request, "Transfer-Encoding: xchunked") + CHUNKS, INVALID),
    "a chunk of no number": (lambda request: head(request, CHUNKED) + b"zz\r\n", INVALID),
    "a chunk beyond 64 bits": (lambda request: head(request, CHUNKED) + b"f" * 17 + b"\r\n", INVALID),
    "a chunk longer than told": (lambda request: head(request, CHUNKED) + b"1\r\n" + GOOD + b"\r\n", INVALID),
    "a chunk with an endless extension": (
        lambda request: head(request, CHUNKED) + b"1;a=" + b"a" * 1_000_000,
        TOO_LARGE,
    ),
    "a trailer": (lambda request: head(request, CHUNKED) + CHUNKS + b"X-Amz-Target: a\r\n\r\n", INVALID),
    "an endless trailer": (lambda request: head(request, CHUNKED) + CHUNKS + b"A: " + b"a" * 1_000_000, TOO_LARGE),
    "an upgrade": (lambda request: head(request, LENGTH, "Connection: Upgrade", "Upgrade: h2c") + GOOD, INVALID),
    "a WebSocket": (
        lambda request: head(request, "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"),
        INVALID,
    ),
    "a huge length": (lambda request: head(request, "Content-Length: 2000000000"), TOO_LARGE),
    "a huge length, not waited for": (
        lambda request: head(request, "Content-Length: 2000000000", "Expect: 100-continue"),
        TOO_LARGE,
    ),
    "a huge body": (lambda request: head(request, "Content-Length: 1048577") + b"a" * 1_048_577, TOO_LARGE),
    "a huge chunk": (lambda request: head(request, CHUNKED) + b"7fffffff\r\n" + b"a" * 3_000_000, TOO_LARGE),
    "many chunks": (lambda request: head(request, CHUNKED) + b"1000\r\n%s\r\n" % (b"a" * 4096) * 300, TOO_LARGE),
}


@pytest.mark.parametrize("name", WIRE)
def test_what_is_no_request_is_refused_in_the_api_s_own_words(server: Running, name: str) -> None:
    make, (status, code) = WIRE[name]
    data = make(signed(plain(server.url, GOOD), server.admin))
    with unharmed(server), audited(server, [code]):
        with Wire(server.url) as wire:
            reply = wire.send(data).reply()
            assert reply is not None
            assert code == UNSIGNED[1] or wire.closed()
        assert reply.outcome == (status, code)


def test_a_request_smuggled_behind_another_is_not_done(server: Running) -> None:
    hidden = encoded(_create(server.url, server.admin))
    outer = signed(plain(server.url, GOOD), server.admin)
    ways = (
        head(outer, LENGTH, CHUNKED) + b"0\r\n\r\n" + hidden,
        head(outer, f"Content-Length: {len(GOOD) + len(hidden)}") + GOOD + hidden,
        head(outer, LENGTH, "Connection: Upgrade", "Upgrade: h2c") + GOOD + hidden,
        head(outer, CHUNKED) + CHUNKS + b"A: a\r\n\r\n" + hidden,
        head(outer, LENGTH, "Connection: close") + GOOD + hidden,
    )
    for data in ways:
        with unharmed(server), Wire(server.url) as wire:
            assert wire.send(data).finish().reply() is not None
            assert wire.closed()


# Odd, but right --------------------------------------------------------------------------------------------------


def test_what_is_odd_but_right_is_answered(server: Running) -> None:
    request = signed(plain(server.url, GOOD), server.admin)
    ways = {
        "chunks": head(request, CHUNKED) + CHUNKS + b"\r\n",
        "headers in capitals": head(request, LENGTH.upper()) + GOOD,
        "empty lines before": b"\r\n\r\n" + encoded(request),
        "headers of 60 kB": head(request, LENGTH, "A: " + "a" * 60_000) + GOOD,
        "HTTP/1.0": encoded(request).replace(b"HTTP/1.1", b"HTTP/1.0"),
        "more headers, not signed": head(request, LENGTH, "Via: a", "Cookie: a=b", "X-Forwarded-For: 192.0.2.1") + GOOD,
    }
    for name, data in ways.items():
        reply = exchange(server.url, data)
        assert reply is not None, name
        assert reply.status == 200, name
    assert {record["sourceIPAddress"] for record in audit(server.data)} == {"127.0.0.1"}


def test_bytes_that_come_one_by_one_make_a_request(server: Running) -> None:
    with Wire(server.url) as wire:
        for byte in encoded(signed(plain(server.url, GOOD), server.admin)):
            wire.send(bytes([byte]))
        reply = wire.reply()
    assert reply is not None
    assert reply.status == 200


def test_a_body_that_is_held_back_is_asked_for(server: Running) -> None:
    request = signed(plain(server.url, GOOD), server.admin)
    with Wire(server.url) as wire:
        asked = wire.send(head(request, LENGTH, "Expect: 100-continue")).reply()
        assert asked is not None
        reply = wire.send(GOOD).reply()
    assert reply is not None
    assert (asked.status, reply.status) == (100, 200)


def test_requests_sent_ahead_are_answered_in_order_up_to_a_bound(server: Running) -> None:
    request = signed(plain(server.url, GOOD), server.admin)
    bad = with_header(request, "Authorization", "Basic a")
    with unharmed(server), Wire(server.url) as wire:
        wire.send(encoded(request) + encoded(bad) + encoded(request))
        assert [reply.status for reply in (wire.reply(), wire.reply(), wire.reply()) if reply] == [200, 400, 200]
        wire.send(encoded(request) * 1000)
        statuses = []
        while (reply := wire.reply()) is not None:
            statuses.append(reply.status)
    assert statuses[-1] == 400
    assert statuses[:-1] == [200] * (len(statuses) - 1)
    assert len(statuses) < 20


def test_garbage_behind_a_request_takes_nothing_from_its_answer(server: Running) -> None:
    with unharmed(server), Wire(server.url) as wire:
        wire.send(encoded(signed(plain(server.url, GOOD), server.admin)) + b"\0\0\0\0")
        replies = wire.reply(), wire.reply()
        assert wire.closed()
    assert [reply.outcome for reply in replies if reply] == [(200, ""), INVALID]


def test_a_client_that_closes_its_half_is_still_answered(server: Running) -> None:
    with Wire(server.url) as wire:
        reply = wire.send(encoded(signed(plain(server.url, GOOD), server.admin))).finish().reply()
        assert reply is not None
        assert reply.status == 200
        assert wire.closed()


@pytest.mark.parametrize("end", [1, 20, 200, -1])
def test_a_client_that_goes_away_in_the_middle_leaves_nothing(server: Running, end: int) -> None:
    data = encoded(_create(server.url, server.admin))[:end]
    with unharmed(server), audited(server, []):
        for _ in range(20):
            with Wire(server.url) as wire:
                wire.send(data)
        with Wire(server.url) as wire:
            assert wire.send(data).finish().reply() is None


def test_a_probe_with_a_body_is_answered_and_ends_the_connection(server: Running) -> None:
    with unharmed(server), Wire(server.url) as wire:
        wire.send(b"GET /health HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n")
        reply = wire.reply(to="GET")
        assert reply is not None
        assert reply.status == 200
        assert wire.closed()


def test_a_presigned_request_is_taken_and_its_tampered_kin_refused(server: Running) -> None:
    from botocore.auth import SigV4QueryAuth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    request = AWSRequest(method="GET", url=f"{server.url}/?{GOOD.decode()}")
    credentials = Credentials(server.admin.id, server.admin.secret)
    SigV4QueryAuth(credentials, "ec2", SAMPLE_REGION, expires=60).add_auth(request)
    query: bytes = request.url.partition("?")[2].encode()
    sent = plain(server.url, method="GET", query=query, headers=())
    assert ask(server.url, sent).status == 200
    with unharmed(server):
        longer = replace(sent, query=query.replace(b"X-Amz-Expires=60", b"X-Amz-Expires=600"))
        other = replace(sent, query=query.replace(b"DescribeFlowLogs", b"DeleteFlowLogs"))
        doubled = replace(sent, query=query + b"&X-Amz-Signature=" + b"0" * 64)
        both = replace(sent, headers=(*sent.headers, *http.signed(sent, server.admin).headers[1:]))
        outcomes = [ask(server.url, one).outcome for one in (longer, other, doubled, both)]
    assert outcomes == [MISMATCH, MISMATCH, INCOMPLETE, INCOMPLETE]
