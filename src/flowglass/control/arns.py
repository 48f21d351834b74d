"""ARNs of destinations and roles, as CreateFlowLogs takes them, to what they name.

Rule: what is accepted here names one thing, and can be a path below a folder: no part of it is empty, `.` or `..`. Only
the form is looked at; whether the thing exists is another's question.
Forms: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateFlowLogs.html
"""

from __future__ import annotations

import re
from typing import Final

from flowglass.control.faults import InvalidParameter
from flowglass.fields.buckets import bucket_fault
from flowglass.fields.contracts import Destination
from flowglass.fields.vocabulary import DestinationType

CROSS_ACCOUNT_ROLE_PREFIX: Final = "AWSLogDeliveryFirehoseCrossAccountRole"
"""How the name of a role for delivery to another account's stream must begin."""

MAX_FOLDER: Final = 512
"""Characters of a folder: keys have 1,024 bytes, and what follows the folder needs its part of them."""

_RESERVED_FOLDER: Final = "AWSLogs"
_PARTITION: Final = r"arn:(?:aws|aws-cn|aws-us-gov)"
_PLACE: Final = r"(?P<region>[a-z0-9-]{1,32}):(?P<account>[0-9]{12})"
_GROUP_NAME: Final = re.compile(r"[.\-_/#A-Za-z0-9]{1,512}")
_GROUP: Final = re.compile(rf"{_PARTITION}:logs:{_PLACE}:log-group:(?P<name>[.\-_/#A-Za-z0-9]{{1,512}})(?::\*)?")
_STREAM: Final = re.compile(rf"{_PARTITION}:firehose:{_PLACE}:deliverystream[/:](?P<name>[a-zA-Z0-9_.-]{{1,64}})")
_BUCKET: Final = re.compile(rf"{_PARTITION}:s3:::(?P<name>[a-z0-9.-]+)(?:/(?P<folder>.*))?", re.DOTALL)
_ROLE: Final = re.compile(
    rf"{_PARTITION}:iam::[0-9]{{12}}:role/(?:[\x21-\x2e\x30-\x7e]+/)*(?P<name>[\w+=,.@-]{{1,64}})", re.ASCII
)

_ARNS: Final = {
    DestinationType.CLOUD_WATCH_LOGS: (_GROUP, "a log group: arn:aws:logs:REGION:ACCOUNT:log-group:NAME"),
    DestinationType.S3: (_BUCKET, "an S3 bucket: arn:aws:s3:::BUCKET or arn:aws:s3:::BUCKET/FOLDER/"),
    DestinationType.FIREHOSE: (_STREAM, "a delivery stream: arn:aws:firehose:REGION:ACCOUNT:deliverystream/NAME"),
}


def parse_destination(kind: DestinationType, arn: str) -> Destination:
    """The destination that an ARN names; a folder without the slash at its end. Raises InvalidParameter."""
    pattern, form = _ARNS[kind]
    match = pattern.fullmatch(arn)
    if match is None:
        raise InvalidParameter(f"LogDestination '{arn}' is not the ARN of {form}")
    if kind is DestinationType.S3:
        return _bucket(match["name"], match["folder"] or "", arn)
    return Destination(kind, match["name"], account=match["account"], region=match["region"])


def log_group(name: str, account: str, region: str) -> Destination:
    """The log group of that name. Raises InvalidParameter where no group can have it."""
    if not _GROUP_NAME.fullmatch(name):
        raise InvalidParameter(
            f"LogGroupName '{name}' is not a log group's name: 1 to 512 letters, digits and the characters . - _ / #"
        )
    return Destination(DestinationType.CLOUD_WATCH_LOGS, name, account=account, region=region)


def destination_of(kind: DestinationType, arn: str | None, group: str | None, account: str, region: str) -> Destination:
    """The destination of a flow log, made of its attributes: an ARN, or a group's name in the flow log's own place.

    `arn`, `group`: LogDestination and LogGroupName, one of them; `account`, `region`: the flow log's. Raises
    InvalidParameter as the two above.
    """
    return parse_destination(kind, arn) if arn is not None else log_group(group or "", account, region)


def destination_key(destination: Destination) -> str:
    """A text that two ways of writing one destination share, and no two destinations."""
    where = f"{destination.region}:{destination.account}:{destination.name}/{destination.folder}"
    return f"{destination.type.value}:{where}"


def role_name(parameter: str, arn: str) -> str:
    """The name of the role that an ARN names. Raises InvalidParameter that names the parameter."""
    match = _ROLE.fullmatch(arn)
    if match is None:
        raise InvalidParameter(
            f"{parameter} '{arn}' is not the ARN of an IAM role: arn:aws:iam::123456789012:role/NAME"
        )
    return match["name"]


def _bucket(name: str, folder: str, arn: str) -> Destination:
    wrong = bucket_fault(name)
    if wrong is not None:
        raise InvalidParameter(f"LogDestination '{arn}': no bucket can be named '{name}': {wrong}")
    parts = folder.removesuffix("/").split("/") if folder else []
    if _RESERVED_FOLDER in parts:
        raise InvalidParameter(
            f"LogDestination '{arn}': the folder name {_RESERVED_FOLDER} is reserved; records go into one by themselves"
        )
    if any(part in {"", ".", ".."} for part in parts) or len(folder) > MAX_FOLDER or not _plain(folder):
        raise InvalidParameter(
            f"LogDestination '{arn}': a folder has at most {MAX_FOLDER} printable characters, no backslash, "
            "and no part that is empty, . or .."
        )
    return Destination(DestinationType.S3, name, "/".join(parts))


def _plain(text: str) -> bool:
    return text.isprintable() and "\\" not in text
