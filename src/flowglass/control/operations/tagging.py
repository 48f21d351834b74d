"""The rules of tags: what EC2 takes as keys and values, and how many a resource has.

Rule: the same for tags that a flow log is made with and for those it gets later. Upper and lower case differ.
Source: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html (restrictions) and the CreateFlowLogs page.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from flowglass.control.faults import ApiFault, InvalidParameterValue, TagLimitExceeded
from flowglass.control.operations.refusal import shown

MAX_TAGS: Final = 50
MAX_KEY: Final = 127
MAX_VALUE: Final = 256
RESERVED: Final = "aws:"
"""Keys that begin so, in any case, are AWS's own."""

FLOW_LOG: Final = "vpc-flow-log"
"""The resource type of flow logs in tag specifications and DescribeTags."""


def tags_of(listed: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Tags as botocore has them to a map; a tag without a value has the empty one."""
    return {str(tag.get("Key", "")): str(tag.get("Value", "")) for tag in listed}


def tag_faults(listed: Sequence[Mapping[str, Any]]) -> Iterator[ApiFault]:
    """What is wrong with tags that a resource should get, as botocore has them."""
    keys = [str(tag.get("Key", "")) for tag in listed]
    yield from key_faults(keys)
    yield from (
        InvalidParameterValue(f"The value of tag '{shown(tag.get('Key', ''))}' has more than {MAX_VALUE} characters")
        for tag in listed
        if len(tag.get("Value", "")) > MAX_VALUE
    )
    if len(set(keys)) > MAX_TAGS:
        yield TagLimitExceeded(f"The request has {len(set(keys))} tags; a flow log has at most {MAX_TAGS}")


def key_faults(keys: Sequence[str]) -> Iterator[ApiFault]:
    """What is wrong with tags' keys."""
    for key, count in Counter(keys).items():
        if not key:
            yield InvalidParameterValue("A tag has no key; a key has 1 to 127 characters")
        elif len(key) > MAX_KEY:
            yield InvalidParameterValue(f"The tag key '{shown(key)}' has more than {MAX_KEY} characters")
        elif key.lower().startswith(RESERVED):
            yield InvalidParameterValue(f"Tag keys starting with '{RESERVED}' are reserved for internal use")
        if count > 1:
            yield InvalidParameterValue(f"Duplicate tag key '{shown(key)}' specified")


def over_limit(had: Mapping[str, str], put: Mapping[str, str], resource: str) -> Iterator[ApiFault]:
    """The fault of a resource that would have too many tags."""
    count = len({*had, *put})
    if count > MAX_TAGS:
        yield TagLimitExceeded(f"{resource} would have {count} tags; a flow log has at most {MAX_TAGS}")
