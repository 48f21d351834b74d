"""Whatever AWS's own library sends is read as it was meant, what we answer it reads back, and garbage is refused."""

from __future__ import annotations

import random
import urllib.parse
from collections.abc import Callable
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.ec2_shapes import ACTIONS, answers, known, read_by_botocore, requests, sent_by_botocore
from tests.support.examples import examples

from flowglass.control import model, query, xml
from flowglass.control.faults import ApiFault, InvalidAction

Pairs = list[tuple[str, str]]

REQUEST_ID: Final = "59dbff89-35bd-4eac-99ed-be587ef81825"
TEXT: Final = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)


def read(body: bytes) -> tuple[str, dict[str, Any]]:
    action, _, pairs = query.split_action(query.decode(body))
    operation = model.operation(action)
    if operation is None:
        raise InvalidAction(action)
    return action, query.parse(operation, pairs)


@pytest.mark.parametrize("action", ACTIONS)
def test_what_botocore_sends_is_read_as_it_was_meant(action: str) -> None:
    @settings(max_examples=examples(25), deadline=None)
    @given(parameters=requests(known(action)))
    def check(parameters: dict[str, Any]) -> None:
        assert read(sent_by_botocore(known(action), parameters)) == (action, parameters)

    check()


@pytest.mark.parametrize("action", ACTIONS)
def test_what_is_answered_is_read_back_by_botocore(action: str) -> None:
    @settings(max_examples=examples(25), deadline=None)
    @given(result=answers(known(action)))
    def check(result: dict[str, Any]) -> None:
        parsed = read_by_botocore(known(action), xml.answer(known(action), result, REQUEST_ID))
        assert parsed == {**result, "ResponseMetadata": {"RequestId": REQUEST_ID}}

    check()


@settings(max_examples=examples(100), deadline=None)
@given(pairs=st.lists(st.tuples(TEXT.filter(bool), TEXT)))
def test_encoded_pairs_are_decoded_in_their_order(pairs: Pairs) -> None:
    assert query.decode(urllib.parse.urlencode(pairs).encode()) == pairs


@settings(max_examples=examples(300), deadline=None)
@given(
    body=st.binary(max_size=60) | st.lists(st.sampled_from([b"%", b"a", b"=", b"&", b"+", b"f", b"0"])).map(b"".join)
)
def test_bytes_are_decoded_to_text_or_refused(body: bytes) -> None:
    try:
        pairs = query.decode(body)
    except ApiFault:
        return
    assert all(name and "\0" not in name + value for name, value in pairs)
    assert query.decode(urllib.parse.urlencode(pairs).encode()) == pairs


@settings(max_examples=examples(100), deadline=None)
@given(message=st.text(), code=st.text(min_size=1), service=st.sampled_from(sorted(model.ANSWERED)))
def test_any_text_can_be_an_errors_message(message: str, code: str, service: str) -> None:
    operation = known(sorted(model.ANSWERED[service])[0])
    error = read_by_botocore(operation, xml.error(code, message, REQUEST_ID, service=service), 400)["Error"]
    assert len(error["Message"] or "") == len(message)


# Hostile requests -------------------------------------------------------------------------------------------

NAMES: Final = (
    "__proto__", "constructor", "Filter", "Filter.", ".", "..", ".Filter", "Filter.1", "Filter.0.Name",
    "Filter.-1.Name", "Filter.1.Value.1.1", "ResourceId.1e3", "ResourceId.٣", "ResourceId.99999999999999999999",
    "ResourceId.999999", "TagSpecification.1", "DestinationOptions", "DryRun.1", "DryRun", "MaxResults", "\ud7ff",
    "A" * 300, "a." * 127, "IntegrateService.AthenaIntegration.1.PartitionStartDate",
    "Action", "Version", "X-Amz-Signature",
)  # fmt: skip
VALUES: Final = (
    "", "yes", "TRUE", "-0", "2147483648", "9" * 5_000, "1e3", "NaN", "٣", "0001-01-01T00:00:00+23:59", "2026-02-30",
    "9999-12-31T23:59:59-23:59", "2026-W01", "\x01\x1f", "<!ENTITY>", "]]>", "'; DROP", "\U0010ffff", "x" * 70_000,
)  # fmt: skip
BREAKS: Final = (b"%", b"%%", b"%zz", b"%00", b"%ff%fe", b"%ed%a0%80", b"&&", b"=", b"&=&", b"\xff", b"+", b";")

Mutation = Callable[[random.Random, Pairs], Pairs]


def _renamed(rng: random.Random, pairs: Pairs) -> Pairs:
    at = rng.randrange(len(pairs))
    return [*pairs[:at], (rng.choice(NAMES), pairs[at][1]), *pairs[at + 1 :]]


def _revalued(rng: random.Random, pairs: Pairs) -> Pairs:
    at = rng.randrange(len(pairs))
    return [*pairs[:at], (pairs[at][0], rng.choice(VALUES)), *pairs[at + 1 :]]


def _added(rng: random.Random, pairs: Pairs) -> Pairs:
    return [*pairs, (rng.choice(NAMES), rng.choice(VALUES))]


def _dropped(rng: random.Random, pairs: Pairs) -> Pairs:
    at = rng.randrange(len(pairs))
    return pairs[:at] + pairs[at + 1 :]


def _doubled(rng: random.Random, pairs: Pairs) -> Pairs:
    return [*pairs, rng.choice(pairs)]


def _deepened(rng: random.Random, pairs: Pairs) -> Pairs:
    name, value = rng.choice(pairs)
    return [*pairs, (f"{name}.{rng.choice(('1', '0', '77', 'Name', 'x'))}", value)]


def _cut(rng: random.Random, pairs: Pairs) -> Pairs:
    name, value = rng.choice(pairs)
    return [*pairs, (name.rpartition(".")[0] or "x", value)]


MUTATIONS: Final[tuple[Mutation, ...]] = (_renamed, _revalued, _added, _dropped, _doubled, _deepened, _cut)


def hostile(rng: random.Random, pairs: Pairs) -> bytes:
    """A request with up to four things wrong in its parameters, and sometimes in its encoding."""
    for _ in range(rng.randint(1, 4)):
        pairs = rng.choice(MUTATIONS)(rng, pairs) if pairs else pairs
    body = urllib.parse.urlencode(pairs).encode()
    if rng.random() < 0.2:
        at = rng.randint(0, len(body))
        body = body[:at] + rng.choice(BREAKS) + body[at:]
    return body


@pytest.mark.parametrize("action", ACTIONS)
def test_hostile_requests_are_refused_or_read_and_nothing_else(action: str) -> None:
    refused: dict[str, str] = {}

    @settings(max_examples=examples(22), deadline=None)
    @given(parameters=requests(known(action)), seed=st.integers(0, 2**32))
    def check(parameters: dict[str, Any], seed: int) -> None:
        rng = random.Random(seed)  # noqa: S311 (a test's input)
        pairs = query.decode(sent_by_botocore(known(action), parameters))
        for _ in range(25):
            try:
                read(hostile(rng, pairs))
            except ApiFault as fault:
                refused[fault.code] = fault.message

    check()
    assert {"InvalidRequest", "MissingAction", "UnknownParameter"} <= refused.keys()
    assert all(len(message) < 6_000 and message.isprintable() for message in refused.values())
