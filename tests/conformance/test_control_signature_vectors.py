"""AWS's published test suite for Signature Version 4: every case, each step of it, and the whole check."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Final

import pytest

from flowglass.control import canonical
from flowglass.control.canonical import Credential, HttpRequest
from flowglass.control.faults import AuthFailure
from flowglass.control.signature import read_credential, verify

VECTORS: Final[dict[str, dict[str, str]]] = json.loads(
    (Path(__file__).parent / "data/aws4-vectors/vectors.json").read_text(encoding="utf-8")
)
SECRET: Final = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"  # noqa: S105 (published with the suite)
NOW_MS: Final = 1_440_938_160_000  # 2015-08-30 12:36:00 UTC
CREDENTIAL: Final = Credential(key_id="AKIDEXAMPLE", date="20150830", region="us-east-1", service="service")
WITH_SESSION_TOKEN: Final = {
    "get-vanilla-with-session-token",
    "post-sts-token/post-sts-header-after",
    "post-sts-token/post-sts-header-before",
}
"""Cases that are refused whole: no session tokens are given out here."""


def _request(text: str) -> HttpRequest:
    """A request of the suite: raw bytes in its path, folded headers."""
    head, _, body = text.partition("\n\n")
    first, *rest = head.encode().decode("latin-1").split("\n")
    method, target = first.removesuffix(" HTTP/1.1").split(" ", 1)
    path, _, query = target.encode("latin-1").partition(b"?")
    unfolded = re.sub(r"\n[ \t]+", " ", "\n".join(rest)).split("\n")
    headers = tuple((name, value) for name, _, value in (line.partition(":") for line in unfolded if line))
    return HttpRequest(method=method, path=path, query=query, headers=headers, body=body.encode())


def test_the_whole_suite_is_here() -> None:
    assert len(VECTORS) == 34
    assert set(VECTORS) >= WITH_SESSION_TOKEN


@pytest.mark.parametrize("name", VECTORS)
def test_each_step_of_a_signature_is_aws_s(name: str) -> None:
    vector = VECTORS[name]
    request = _request(vector["signed"])
    found = re.search("SignedHeaders=([^,]+), Signature=([0-9a-f]+)", vector["authorization"])
    assert found is not None
    form = canonical.canonical_request(request, found[1].split(";"), hashlib.sha256(request.body).hexdigest())
    assert form.decode() == vector["canonical"]
    text = canonical.string_to_sign(CREDENTIAL, "20150830T123600Z", form)
    assert text == vector["string"]
    assert canonical.signature(SECRET, CREDENTIAL, text) == found[2]


@pytest.mark.parametrize("name", sorted(VECTORS.keys() - WITH_SESSION_TOKEN))
def test_signed_requests_are_accepted(name: str) -> None:
    request = _request(VECTORS[name]["signed"])
    assert verify(request, SECRET, now_ms=NOW_MS, services=frozenset({"service"})) == CREDENTIAL


@pytest.mark.parametrize("name", sorted(WITH_SESSION_TOKEN))
def test_session_tokens_are_refused(name: str) -> None:
    with pytest.raises(AuthFailure, match="X-Amz-Security-Token"):
        read_credential(_request(VECTORS[name]["signed"]))
