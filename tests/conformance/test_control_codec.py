"""Another implementation of the protocol, written from the same model, reads and writes what ours does.

moto's codec is the oracle for shapes only. Its known differences: no request id of its own, times without milliseconds,
which it reads without a zone, and empty structures in lists left out.
"""

from __future__ import annotations

import functools
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from moto.core import parse as moto_parse
from moto.core import serialize as moto_serialize
from moto.core.utils import get_service_model
from tests.support.ec2_shapes import ACTIONS, ANSWERS, answers, known, read_by_botocore, requests, sent_by_botocore
from tests.support.examples import examples

from flowglass.control import model, query, xml

PARSERS: Final = {"ec2": moto_parse.EC2QueryParser, "query": moto_parse.QueryParser}
SERIALIZERS: Final = {"ec2": moto_serialize.EC2Serializer, "query": moto_serialize.QuerySerializer}

ALIKE: Final = replace(
    ANSWERS,
    text=ANSWERS.text.map(lambda text: text.replace("\r", "")),
    times=ANSWERS.times.map(lambda time: time.replace(microsecond=0)),
    empty=False,
)
"""What both write in the same way."""


@functools.cache
def neighbour(action: str) -> Any:
    """moto's model of an action."""
    service = known(action).service_model.service_name
    return get_service_model(service).operation_model(action)


def in_utc(value: Any) -> Any:
    """Members with a zone at their times."""
    if isinstance(value, dict):
        return {name: in_utc(member) for name, member in value.items()}
    if isinstance(value, list):
        return [in_utc(member) for member in value]
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) else value


@pytest.mark.parametrize("action", ACTIONS)
def test_requests_are_read_alike(action: str) -> None:
    @settings(max_examples=examples(10), deadline=None)
    @given(parameters=requests(known(action)))
    def check(parameters: dict[str, Any]) -> None:
        _, _, pairs = query.split_action(query.decode(sent_by_botocore(known(action), parameters)))
        theirs = PARSERS[neighbour(action).service_model.protocol](neighbour(action)).parse({"values": dict(pairs)})
        assert in_utc(theirs) == query.parse(known(action), pairs)

    check()


@pytest.mark.parametrize("action", ACTIONS)
def test_answers_are_written_alike(action: str) -> None:
    @settings(max_examples=examples(10), deadline=None)
    @given(result=answers(known(action), ALIKE))
    def check(result: dict[str, Any]) -> None:
        serializer = SERIALIZERS[neighbour(action).service_model.protocol](operation_model=neighbour(action))
        theirs = read_by_botocore(known(action), serializer.serialize(result)["body"].encode())
        ours = read_by_botocore(known(action), xml.answer(known(action), result, "any"))
        del theirs["ResponseMetadata"], ours["ResponseMetadata"]
        assert ours == theirs

    check()


@pytest.mark.parametrize("service", sorted(model.ANSWERED))
@given(code=st.sampled_from(["InvalidParameter", "InvalidFlowLogId.NotFound"]), message=ALIKE.text)
def test_errors_are_read_by_botocore_as_codes_and_messages(service: str, code: str, message: str) -> None:
    action = min(model.ANSWERED[service])
    parsed = read_by_botocore(known(action), xml.error(code, message, "r-1", service=service), 400)
    assert parsed["Error"]["Code"] == code
    assert (parsed["Error"]["Message"] or "") == message
    assert parsed["ResponseMetadata"] == {"RequestId": "r-1"}
