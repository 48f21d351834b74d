"""The rules of log formats and of the tag keys that their tag fields show.

Rule: which fields there are is the field table's; here is what CreateFlowLogs answers. Fields that begin with `x-` are
of this project; AWS has none of them, and they are taken only where a caller writes them out.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from flowglass.control.faults import ApiFault, InvalidParameter, InvalidParameterValue
from flowglass.control.operations.refusal import either, shown, too_many
from flowglass.fields import DEFAULT_FORMAT, LogFormat
from flowglass.fields.errors import LogFormatError
from flowglass.fields.table import FIELDS, TAG_RESOURCES, TRANSIT_GATEWAY_FIELDS

MAX_FORMAT: Final = 8192
"""Characters; AWS documents no bound, and every field there is takes less than a fifth of it."""
MAX_TAG_KEYS: Final = 2
MAX_TAG_KEY: Final = 128

_SHAPE: Final = re.compile(r"\$\{[^ {}]+\}(?: \$\{[^ {}]+\})*")
_NAME: Final = re.compile(r"[^ ${}]+")
_ELSEWHERE: Final = {field.name for field in TRANSIT_GATEWAY_FIELDS} - FIELDS.keys()

TagFields = Mapping[str, Sequence[str]]
"""Tag keys by the resource type whose tags they are."""


def tag_fields_of(listed: Sequence[Mapping[str, Any]]) -> dict[str, tuple[str, ...]]:
    """TagFieldSpecifications as botocore has them to tag keys by resource type."""
    return {str(one.get("ResourceType", "")): tuple(one.get("TagKeys", ())) for one in listed}


def tag_field_faults(listed: Sequence[Mapping[str, Any]]) -> Iterator[ApiFault]:
    """What is wrong with TagFieldSpecifications by themselves, as botocore has them."""
    if len(listed) > len(TAG_RESOURCES):
        yield too_many("TagFieldSpecifications", len(listed), len(TAG_RESOURCES))
    for kind, count in Counter(str(one.get("ResourceType", "")) for one in listed).items():
        if kind not in TAG_RESOURCES:
            yield InvalidParameterValue(
                f"Value ({shown(kind)}) for parameter TagFieldSpecifications.ResourceType is invalid. "
                f"It must be {either(TAG_RESOURCES)}"
            )
        if count > 1:
            yield InvalidParameter(f"TagFieldSpecifications has the resource type {shown(kind)} more than once")
    for kind, keys in ((one.get("ResourceType", ""), one.get("TagKeys", ())) for one in listed):
        if not 1 <= len(keys) <= MAX_TAG_KEYS:
            yield InvalidParameterValue(
                f"TagFieldSpecifications of {shown(kind)} has {len(keys)} keys; it must have 1 or 2"
            )
        if any(not 1 <= len(key) <= MAX_TAG_KEY for key in keys):
            yield InvalidParameterValue(
                f"A tag key in TagFieldSpecifications of {shown(kind)} must have 1 to {MAX_TAG_KEY} characters"
            )
        if len(set(keys)) < len(keys):
            yield InvalidParameter(f"TagFieldSpecifications of {shown(kind)} has one tag key twice")


def format_text(text: str | None) -> str:
    """The format that a flow log has: as sent, or AWS's default where none was."""
    return str(DEFAULT_FORMAT) if text is None else text


def format_faults(text: str | None, tag_fields: TagFields) -> Iterator[ApiFault]:
    """What is wrong with a format, and with tag keys that none of its fields shows.

    Every unknown field is named with its nearest match. A field that is there twice is refused: AWS documents neither,
    and two columns of one name could not be read back.
    """
    if text is None and not tag_fields:
        return  # AWS's default is right
    written = format_text(text)
    if len(written) > MAX_FORMAT:
        yield InvalidParameter(f"LogFormat has {len(written)} characters; it may have at most {MAX_FORMAT}")
        return
    try:
        columns = LogFormat.parse(written, tag_fields).columns
    except LogFormatError as error:
        where = "; name it in TagFieldSpecifications" if _lacks_tag_keys(written, tag_fields) else ""
        yield InvalidParameter(_text(written, str(error).removeprefix("log format: ") + where))
        return
    shown = {column.field.tag_of for column in columns}
    yield from (
        InvalidParameter(
            f"TagFieldSpecifications has keys of {kind}, but no field of LogFormat shows them: leave them out, or "
            f"add {either(f'${{{field.name}}}' for field in FIELDS.values() if field.tag_of == kind)}"
        )
        for kind in tag_fields
        if kind not in shown
    )


def _lacks_tag_keys(written: str, tag_fields: TagFields) -> bool:
    """Whether a tag field is there for which no key is given."""
    fields = [FIELDS[name] for name in _NAME.findall(written) if name in FIELDS]
    return any(field.tag_of and field.tag_position >= len(tag_fields.get(field.tag_of, ())) for field in fields)


def _text(written: str, fault: str) -> str:
    if not _SHAPE.fullmatch(written):
        return f"1 validation error detected: Value '{written}' at 'logFormat' has an invalid format: {fault}"
    elsewhere = [name for name in _NAME.findall(written) if name in _ELSEWHERE]
    if elsewhere:
        listed = ", ".join(f"${{{name}}}" for name in dict.fromkeys(elsewhere))
        return f"LogFormat has fields that only flow logs of transit gateways have: {listed}; {fault}"
    return f"LogFormat: {fault}"
