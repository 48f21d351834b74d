"""Values of the shapes in AWS's model: members of requests and of answers, as botocore takes and gives them.

Rule: any value of a shape can be drawn, but few members at a time, because the largest shapes have hundreds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from botocore.awsrequest import AWSRequest
from botocore.model import OperationModel, Shape
from botocore.parsers import create_parser
from botocore.serialize import create_serializer
from hypothesis import strategies as st

from flowglass.control import model

ACTIONS: Final = sorted(action for actions in model.ANSWERED.values() for action in actions)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kinds:
    """What is drawn for values of each type; `empty`: whether lists and structures may have nothing in them."""

    text: st.SearchStrategy[str]
    times: st.SearchStrategy[datetime]
    empty: bool


def _times(resolution_us: int) -> st.SearchStrategy[datetime]:
    return st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)).map(
        lambda time: time.replace(microsecond=time.microsecond // resolution_us * resolution_us)
    )


REQUESTS: Final = Kinds(
    text=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20),
    times=_times(1),
    empty=False,  # EC2's protocol has no form for them
)

_XML_TEXT: Final = st.characters(
    exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff", include_characters="\t\n\r\x7f\x85"
)
ANSWERS: Final = Kinds(text=st.text(_XML_TEXT, max_size=20), times=_times(1_000), empty=True)


def values(shape: Shape, kinds: Kinds) -> st.SearchStrategy[Any]:
    """Any value of a shape."""
    if shape.type_name == "structure":
        return structures(shape, kinds)
    if shape.type_name == "list":
        return st.lists(values(shape.member, kinds), min_size=not kinds.empty, max_size=3)
    return {
        "string": kinds.text,
        "boolean": st.booleans(),
        "integer": st.integers(-(2**31), 2**31 - 1),
        "timestamp": kinds.times,
    }[shape.type_name]


@st.composite
def structures(draw: st.DrawFn, shape: Shape, kinds: Kinds) -> dict[str, Any]:
    """A structure with what it must have and a few of its other members."""
    if not shape.members:
        return {}
    required = list(shape.required_members)
    minimum = int(not kinds.empty and not required)
    chosen = draw(st.lists(st.sampled_from(list(shape.members)), unique=True, min_size=minimum, max_size=5))
    return {name: draw(values(shape.members[name], kinds)) for name in dict.fromkeys(required + chosen)}


def requests(operation: OperationModel) -> st.SearchStrategy[dict[str, Any]]:
    """Parameters of an action."""
    return structures(operation.input_shape, REQUESTS)


def answers(operation: OperationModel, kinds: Kinds = ANSWERS) -> st.SearchStrategy[dict[str, Any]]:
    """What an action may answer."""
    return st.just({}) if operation.output_shape is None else structures(operation.output_shape, kinds)


def known(action: str) -> OperationModel:
    """The model of an action that is answered."""
    operation = model.operation(action)
    assert operation is not None
    return operation


def sent_by_botocore(operation: OperationModel, parameters: Mapping[str, Any]) -> bytes:
    """The body that botocore sends for a call."""
    serializer = create_serializer(operation.service_model.protocol, include_validation=False)  # lengths are not ours
    request = serializer.serialize_to_request(parameters, operation)
    body = AWSRequest(method="POST", url="http://127.0.0.1/", data=request["body"]).prepare().body
    return body if isinstance(body, bytes) else str(body).encode()


def read_by_botocore(operation: OperationModel, body: bytes, status: int = 200) -> dict[str, Any]:
    """What botocore reads in an answer, without the HTTP part of its metadata."""
    parser = create_parser(operation.service_model.protocol)
    parsed: dict[str, Any] = parser.parse({"status_code": status, "headers": {}, "body": body}, operation.output_shape)
    for added in ("HTTPStatusCode", "HTTPHeaders"):
        parsed["ResponseMetadata"].pop(added, None)
    return parsed
