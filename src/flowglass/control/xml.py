"""Answers of AWS's query protocols as XML, written along an action's output in AWS's model.

Rule: the model is compiled once into writers that append strings, because an answer may have 10,000 flow logs. A member
that the model does not have, or of another type, is a fault of this program and raises; any text is written.
Forms: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/Query-Requests.html and botocore's response parsers.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeAlias

from botocore.model import OperationModel, Shape

from flowglass.control import model
from flowglass.control.faults import InternalError, ServiceUnavailable

Append: TypeAlias = Callable[[str], None]
Writer: TypeAlias = Callable[[Append, Any], None]

_DECLARATION: Final = '<?xml version="1.0" encoding="UTF-8"?>\n'
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_NOT_IN_XML: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that no XML document may hold, not even escaped (XML 1.0, section 2.2)."""

_ESCAPES: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"})
"""A bare carriage return would be read as a line feed (XML 1.0, section 2.11)."""


def answer(operation: OperationModel, result: Mapping[str, Any], request_id: str) -> bytes:
    """The answer to a request that succeeded: UTF-8.

    `result`: members as botocore names them: str, bool, int, aware datetime or int [ms since 1970] for a timestamp,
    sequence and mapping of these; None leaves a member out, an empty list gives an empty element. An action without an
    output says `return` true, as EC2 does. Raises KeyError, TypeError or ValueError for what the model does not have.
    """
    parts: list[str] = []
    _writer(operation)(parts.append, result)
    return _envelope(operation, "".join(parts), _text(request_id)).encode()


def error(code: str, message: str, request_id: str, *, service: str) -> bytes:
    """The answer to a request that failed, in the form of `service` (`ec2` or `sts`): UTF-8."""
    what = f"<Code>{_text(code)}</Code><Message>{_text(message)}</Message>"
    if service == "sts":
        side = "Receiver" if code in (InternalError.code, ServiceUnavailable.code) else "Sender"
        body = (
            f'<ErrorResponse xmlns="{model.namespace(service)}"><Error><Type>{side}</Type>{what}</Error>'
            f"<RequestId>{_text(request_id)}</RequestId></ErrorResponse>"
        )
    else:
        body = f"<Response><Errors><Error>{what}</Error></Errors><RequestID>{_text(request_id)}</RequestID></Response>"
    return f"{_DECLARATION}{body}".encode()


def _envelope(operation: OperationModel, members: str, request_id: str) -> str:
    service: str = operation.service_model.service_name
    name: str = operation.name
    if service == "sts":
        what = (
            f"<{name}Result>{members}</{name}Result>"
            f"<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata>"
        )
    else:
        what = f"<requestId>{request_id}</requestId>{members}"
    return f'{_DECLARATION}<{name}Response xmlns="{model.namespace(service)}">{what}</{name}Response>'


# Writers ---------------------------------------------------------------------------------------------------


@functools.cache
def _writer(operation: OperationModel) -> Writer:
    shape = operation.output_shape
    return _done if shape is None else _members(shape)


def _done(append: Append, result: Mapping[str, Any]) -> None:
    if result:
        raise KeyError(f"an answer without members cannot have {', '.join(result)}")
    append("<return>true</return>")


def _element(shape: Shape, name: str) -> Writer:
    """The writer of one element, by the model's name of it, else `name`."""
    tag: str = shape.serialization.get("name", name)
    if shape.type_name == "structure":
        return _structure(tag, _members(shape))
    if shape.type_name == "list":
        return _list(tag, _element(shape.member, "item"))
    return _scalar(tag, _TEXTS[shape.type_name])


def _members(shape: Shape) -> Writer:
    writers = {name: _element(member, name) for name, member in shape.members.items()}

    def write(append: Append, value: Mapping[str, Any]) -> None:
        for name, member in value.items():
            writer = writers[name]
            if member is not None:
                writer(append, member)

    return write


def _structure(tag: str, members: Writer) -> Writer:
    start, end = f"<{tag}>", f"</{tag}>"

    def write(append: Append, value: Mapping[str, Any]) -> None:
        append(start)
        members(append, value)
        append(end)

    return write


def _list(tag: str, item: Writer) -> Writer:
    start, end, empty = f"<{tag}>", f"</{tag}>", f"<{tag}/>"

    def write(append: Append, values: Sequence[Any]) -> None:
        if isinstance(values, str):  # whose elements would be texts, too
            raise TypeError(f"{tag} is a list, not {values!r}")
        if not values:
            append(empty)
            return
        append(start)
        for value in values:
            item(append, value)
        append(end)

    return write


def _scalar(tag: str, text_of: Callable[[Any], str]) -> Writer:
    start, end = f"<{tag}>", f"</{tag}>"

    def write(append: Append, value: object) -> None:
        append(f"{start}{text_of(value)}{end}")

    return write


# Texts of values -------------------------------------------------------------------------------------------


def _text(value: str) -> str:
    # Nearly every text is printable and plain; three searches for one byte cost less than one pass of a translation.
    if value.isprintable() and "&" not in value and "<" not in value and ">" not in value:
        return value
    return _NOT_IN_XML.sub("\N{REPLACEMENT CHARACTER}", value).translate(_ESCAPES)


def _boolean(value: bool) -> str:  # noqa: FBT001 — a value
    return _BOOLEANS[value]


def _integer(value: int) -> str:
    return f"{value:d}"


def _timestamp(value: datetime | int) -> str:
    """ISO 8601 with milliseconds and Z, as EC2 writes it."""
    time = _EPOCH + timedelta(milliseconds=value) if isinstance(value, int) else value
    if time.tzinfo is None:
        raise ValueError(f"{time} is in no time zone")
    return f"{time.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"


_BOOLEANS: Final = {True: "true", False: "false"}

_TEXTS: Final[dict[str, Callable[[Any], str]]] = {
    "string": _text,
    "boolean": _boolean,
    "integer": _integer,
    "timestamp": _timestamp,
}
"""Every type of value in the outputs of the actions that are answered."""
