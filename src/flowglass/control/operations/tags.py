"""CreateTags, DeleteTags and DescribeTags, for flow logs: the only part of one that can be changed.

Rule: all of a call or nothing; doing it again changes nothing. Resources other than flow logs get their tags from the
inventory, where their owner writes them, and are refused here.
Source: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateTags.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, Final

from sqlalchemy import Connection

from flowglass.control.call import Call, Services
from flowglass.control.faults import ApiFault, InvalidId
from flowglass.control.operations.filters import compile_filters
from flowglass.control.operations.paging import page
from flowglass.control.operations.refusal import end_dry_run, no_flow_logs, refuse, shown, too_many
from flowglass.control.operations.tagging import FLOW_LOG, key_faults, over_limit, tag_faults, tags_of
from flowglass.control.store import flow_logs, tags

MAX_RESOURCES: Final = 1000
FILTERS: Final = frozenset({"key", "resource-id", "resource-type", "value"})
"""Beside those that filter by a tag's key and value together."""

_FLOW_LOG_PREFIX: Final = "fl-"


def create_tags(call: Call, services: Services) -> dict[str, Any]:
    """Set tags on flow logs; a key that is there gets the new value. Answers no members.

    Raises InvalidID for what is no flow log, the faults of tags, InvalidFlowLogIdNotFound, TagLimitExceeded.
    """
    ids = _resources(call, tag_faults(call.parameters["Tags"]))
    put = tags_of(call.parameters["Tags"])

    def work(connection: Connection) -> None:
        had = _tags_of_all(connection, call, ids)
        refuse(chain.from_iterable(over_limit(had[one], put, one) for one in ids))
        end_dry_run(call)
        tags.put(connection, ids, put)

    services.store.write(work)
    return {}


def delete_tags(call: Call, services: Services) -> dict[str, Any]:
    """Remove tags of flow logs: by key, or by key and value where a value is sent; all where no tag is. No members.

    A tag that is not there is none to remove. Raises as `create_tags`.
    """
    listed: Sequence[Mapping[str, Any]] = call.parameters.get("Tags", ())
    ids = _resources(call, key_faults([str(tag.get("Key", "")) for tag in listed]))

    def work(connection: Connection) -> None:
        had = _tags_of_all(connection, call, ids)
        end_dry_run(call)
        named: dict[str, str | None] = {tag["Key"]: tag.get("Value") for tag in listed}
        tags.remove(connection, ids, named if listed else dict.fromkeys(chain.from_iterable(had.values())))

    services.store.write(work)
    return {}


def describe_tags(call: Call, services: Services) -> dict[str, Any]:
    """List the tags of flow logs, by flow log and key. Answers `Tags` and, where there are more, `NextToken`."""
    filters = compile_filters(call.parameters.get("Filters"), FILTERS)
    end_dry_run(call)

    def work(connection: Connection) -> list[dict[str, str]]:
        rows = flow_logs.find(connection, account=call.account, region=call.region, ids=filters.exact("resource-id"))
        of_all = tags.tags(connection, [row.id for row in rows])
        return [
            {"ResourceId": one, "ResourceType": FLOW_LOG, "Key": key, "Value": value}
            for one, of_one in sorted(of_all.items())
            for key, value in sorted(of_one.items())
            if filters.match(_values(one, key, value), {key: value})
        ]

    found, token = page(call, services, services.store.read(work), key=lambda tag: tag["ResourceId"] + tag["Key"])
    return {"Tags": found, "NextToken": token}


def _resources(call: Call, faults: Iterator[ApiFault]) -> list[str]:
    """The flow logs that a call is about, each once, after its parameters were checked."""
    ids = list(dict.fromkeys(call.parameters["Resources"]))
    strange = [one for one in ids if not one.startswith(_FLOW_LOG_PREFIX)]
    if strange:
        raise InvalidId(
            f"The ID '{', '.join(map(shown, strange))}' is not valid: only flow logs (fl-…) can be tagged here; "
            "the tags of other resources are written in the inventory"
        )
    if len(ids) > MAX_RESOURCES:
        raise too_many("Resources", len(ids), MAX_RESOURCES)
    refuse(faults)
    return ids


def _tags_of_all(connection: Connection, call: Call, ids: Sequence[str]) -> dict[str, dict[str, str]]:
    there = {row.id for row in flow_logs.find(connection, account=call.account, region=call.region, ids=ids)}
    missing = [one for one in ids if one not in there]
    if missing:
        raise no_flow_logs(missing)
    return tags.tags(connection, ids)


def _values(resource: str, key: str, value: str) -> dict[str, Sequence[str]]:
    return {"key": (key,), "resource-id": (resource,), "resource-type": (FLOW_LOG,), "value": (value,)}
