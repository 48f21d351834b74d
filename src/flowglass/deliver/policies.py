"""Bucket policies: the statements that log delivery needs, added as AWS adds them, and whether a policy denies it.

Rule: pure functions of documents; statements of others are never changed. Where a policy cannot be read with
certainty, a permission counts as missing and a denial as meant: the first costs a needless statement, the second a
clear message.
Sources: https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-s3-permissions.html and
https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/AWS-logs-infrastructure-S3.html
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from flowglass.deliver import faults
from flowglass.deliver.conditions import context_of, implied, may_hold
from flowglass.deliver.globs import covers, meets
from flowglass.fields.contracts import DestinationFault, DestinationUse

SERVICE: Final = "delivery.logs.amazonaws.com"
MAX_BYTES: Final = 20 * 1024
"""Of a bucket policy (https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-policies.html)."""

Policy = Mapping[str, Any]
"""A policy document, as JSON has it."""

_WRITE_ACTION: Final = "s3:PutObject"
_EVERYBODY: Final = ("*", {"AWS": "*"}, {"AWS": ["*"]})
_PAIRS: Final = (("Action", "NotAction"), ("Resource", "NotResource"), ("Principal", "NotPrincipal"))


def fault(document: object) -> str | None:
    """What keeps a document from being a bucket policy, None if nothing does; other functions here want none."""
    if not isinstance(document, dict):
        return "it is no JSON object"
    statements = _many(document.get("Statement"))
    if not statements:
        return "it has no Statement"
    for number, statement in enumerate(statements, 1):
        wrong = _statement_fault(statement)
        if wrong:
            return f"statement {number}: {wrong}"
    size_bytes = len(_compact(document))
    if size_bytes > MAX_BYTES:
        return f"it has {size_bytes} bytes, a bucket policy at most {MAX_BYTES}"
    return None


def statements(use: DestinationUse, partition: str = "aws") -> tuple[dict[str, Any], dict[str, Any]]:
    """The statements AWSLogDeliveryWrite and AWSLogDeliveryAclCheck that deliveries of this use need."""
    bucket = f"arn:{partition}:s3:::{use.destination.name}"
    folder = use.destination.folder.strip("/")
    top = f"{bucket}/{folder}/AWSLogs" if folder else f"{bucket}/AWSLogs"
    account = f"aws-account-id={use.account}" if use.hive else use.account
    source = {
        "StringEquals": {"aws:SourceAccount": use.account},
        "ArnLike": {"aws:SourceArn": f"arn:{partition}:logs:{use.region}:{use.account}:*"},
    }
    as_owner = {"s3:x-amz-acl": "bucket-owner-full-control", **source["StringEquals"]}
    principal = {"Service": SERVICE}
    return (
        {
            "Sid": "AWSLogDeliveryWrite",
            "Effect": "Allow",
            "Principal": principal,
            "Action": _WRITE_ACTION,
            "Resource": f"{top}/{account}/*",
            "Condition": {**source, "StringEquals": as_owner},
        },
        {
            "Sid": "AWSLogDeliveryAclCheck",
            "Effect": "Allow",
            "Principal": principal,
            "Action": "s3:GetBucketAcl",
            "Resource": bucket,
            "Condition": source,
        },
    )


def append(policy: Policy | None, wanted: Sequence[Policy]) -> dict[str, Any] | DestinationFault | None:
    """The policy with those statements of `statements` added that it has not by meaning; None if it has all.

    A fault where the policy has NotPrincipal or NotAction, to which AWS adds nothing either, or would get too long.
    """
    present = list(_many(policy["Statement"])) if policy else []
    missing = [one for one in wanted if one not in present and not any(_grants(have, one) for have in present)]
    if not missing:
        return None
    bucket = _bucket_arn(missing[0])
    name = bucket.rpartition(":")[2]
    if any(key in have for have in present for key in ("NotPrincipal", "NotAction")):
        sids = " and ".join(one["Sid"] for one in missing)
        return faults.access_denied(
            name,
            "its bucket policy has NotPrincipal or NotAction, to which nothing is added; "
            f"add the statement {sids} for {SERVICE} by hand",
        )
    head = policy or {"Version": "2012-10-17", "Id": "AWSLogDeliveryWrite20150319"}
    grown = {**head, "Statement": [*present, *_with_free_sids(missing, present)]}
    size_bytes = len(_compact(grown))
    if size_bytes > MAX_BYTES:
        return DestinationFault(
            "LogDestinationPermissionIssueException",
            f"LogDestination: {name}: its bucket policy would have {size_bytes} bytes and may have {MAX_BYTES}; "
            f"replace its statements for {SERVICE} by one with the resource {bucket}/*",
        )
    return grown


def allows(policy: Policy | None, use: DestinationUse, partition: str = "aws") -> bool:
    """Whether no Deny of the policy can hit a delivery of this use.

    A Deny whose condition depends on what is not known here (an organisation, a source address) counts: at AWS the
    requests of a service seldom have such keys, and most conditions with them deny.
    """
    write, _ = statements(use, partition)
    return not policy or not any(_denies(statement, write) for statement in _many(policy["Statement"]))


def _statement_fault(statement: object) -> str | None:
    if not isinstance(statement, dict):
        return "it is no JSON object"
    if statement.get("Effect") not in ("Allow", "Deny"):
        return "its Effect is neither Allow nor Deny"
    for plain, negated in _PAIRS:
        if (plain in statement) == (negated in statement):
            return f"it has not exactly one of {plain} and {negated}"
    for key in ("Action", "NotAction", "Resource", "NotResource"):
        if key in statement and not _texts(statement[key]):
            return f"its {key} is neither a text nor a list of texts"
    for key in ("Principal", "NotPrincipal"):
        who = statement.get(key, "*")
        if who != "*" and not (isinstance(who, dict) and who and all(_texts(ids) for ids in who.values())):
            return f"its {key} is neither * nor an object of texts"
    condition = statement.get("Condition", {})
    if not isinstance(condition, dict) or not all(isinstance(keys, dict) for keys in condition.values()):
        return "its Condition is no object of objects"
    return None


def _texts(value: object) -> bool:
    """Whether it is a text or a list of at least one text."""
    several = _many(value)
    return bool(several) and all(isinstance(one, str) for one in several)


def _many(value: object) -> list[Any]:
    """A list for what a policy may give alone or as a list; empty for nothing."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _grants(have: Policy, wanted: Policy) -> bool:
    """Whether a statement allows all that the wanted one does."""
    return (
        have["Effect"] == "Allow"
        and "Principal" in have
        and (have["Principal"] == "*" or SERVICE in _services(have["Principal"]))
        and any(covers(action.lower(), wanted["Action"].lower()) for action in _many(have.get("Action")))
        and any(
            "${" not in resource and covers(resource, wanted["Resource"]) for resource in _many(have.get("Resource"))
        )
        and implied(have.get("Condition", {}), wanted["Condition"])
    )


def _services(principal: object) -> list[str]:
    return _many(principal.get("Service")) if isinstance(principal, dict) else []


def _denies(statement: Policy, write: Policy) -> bool:
    """Whether a statement denies any delivery that the wanted statement allows."""
    if statement["Effect"] != "Deny":
        return False
    return (
        _hits_principal(statement)
        and _hits_action(statement, write["Action"])
        and _hits_resource(statement, write["Resource"])
        and may_hold(statement.get("Condition", {}), context_of(write["Condition"], SERVICE))
    )


def _hits_principal(statement: Policy) -> bool:
    who = statement.get("Principal", statement.get("NotPrincipal"))
    named = who in _EVERYBODY or SERVICE in _services(who)
    return named if "Principal" in statement else not named


def _hits_action(statement: Policy, action: str) -> bool:
    patterns = _many(statement.get("Action", statement.get("NotAction")))
    named = any(covers(pattern.lower(), action.lower()) for pattern in patterns)
    return named if "Action" in statement else not named


def _hits_resource(statement: Policy, resource: str) -> bool:
    """`resource` ends in the only `*` it has: any of its objects is enough for a hit."""
    if "Resource" in statement:
        patterns = [_literal_start(pattern) for pattern in _many(statement["Resource"])]
        return any(meets(pattern, resource.removesuffix("*")) for pattern in patterns)
    spared = (pattern for pattern in _many(statement["NotResource"]) if "${" not in pattern)
    return not any(covers(pattern, resource) for pattern in spared)


def _literal_start(pattern: str) -> str:
    """The pattern, from its first policy variable on taken for anything."""
    before, variable, _ = pattern.partition("${")
    return f"{before}*" if variable else before


def _with_free_sids(missing: Sequence[Policy], present: Sequence[Policy]) -> Iterator[dict[str, Any]]:
    """The statements under names that the policy does not have: AWS wants them to differ."""
    taken = {statement.get("Sid") for statement in present}
    for statement in missing:
        sid, number = statement["Sid"], 0
        while sid in taken:
            number += 1
            sid = f"{statement['Sid']}{number}"
        yield {**statement, "Sid": sid}


def _bucket_arn(statement: Policy) -> str:
    """The bucket that a statement made here is about."""
    resource: str = statement["Resource"]
    return resource.partition("/")[0]


def _compact(document: object) -> bytes:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode(errors="surrogatepass")
