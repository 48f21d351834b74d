"""The audit log: one line for every call, refused ones too, in the shape of CloudTrail's records.

Rule: no secret gets into a record, and no record is larger than a bound; who reads AWS's records reads these.
Source: https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html
"""

from __future__ import annotations

import json
import os
import threading
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from flowglass.control.agent_wire import AGENT_SERVICE
from flowglass.control.call import Caller
from flowglass.control.faults import ApiFault
from flowglass.control.keys import reads_only

EVENT_VERSION: Final = "1.11"
"""The version of CloudTrail's format that records have."""

MOST_TEXT: Final = 1024
"""Characters of a user agent or an error message, as CloudTrail has it; longer ones are cut."""

MOST_ELEMENT_BYTES: Final = 100 * 1024
"""Bytes of parameters or of an answer, as CloudTrail has it; larger ones are left out, and their place says so."""

_SECRETS: Final = frozenset(
    {"authorization", "credential", "password", "secret", "secretaccesskey", "securitytoken", "signature", "token"}
)
_OURS: Final = frozenset(kind.code for kind in ApiFault.__subclasses__() if kind.status >= 500)
_AGENT_SOURCE: Final = "agent.flowglass"


def event(
    *,
    service: str,
    action: str,
    region: str,
    caller: Caller | None,
    key_id: str | None,
    account: str | None,
    parameters: Mapping[str, Any] | None,
    result: Mapping[str, Any] | None,
    fault: str | None,
    message: str | None,
    source: str,
    user_agent: str,
    request_id: str,
    now_ms: int,
    partition: str = "aws",
) -> dict[str, Any]:
    """The record of one call.

    `service`: ec2, sts or AGENT_SERVICE; `caller`: None if the request was not authenticated, `key_id` is then what it
    claims; `account`: whose call it is, None if that cannot be known; `parameters`, `result`: members as botocore
    names them; `fault`, `message`: code and text where it was refused; `request_id`: a UUID, from which the event's is
    derived.
    """
    reading = reads_only(action)
    record: dict[str, Any] = {
        "eventVersion": EVENT_VERSION,
        "userIdentity": _identity(caller, key_id, account, partition),
        "eventTime": datetime.fromtimestamp(now_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "eventSource": _AGENT_SOURCE if service == AGENT_SERVICE else f"{service}.amazonaws.com",
        "eventName": _cut(action),
        "awsRegion": region,
        "sourceIPAddress": source,
        "userAgent": _cut(user_agent),
    }
    if fault is not None:
        record["errorCode"] = _code(fault) if service == "ec2" else fault
        record["errorMessage"] = _cut(message or "")
    record |= {
        "requestParameters": _element("requestParameters", parameters),
        "responseElements": None if reading or fault else _element("responseElements", result),
        "requestID": request_id,
        "eventID": str(uuid.uuid5(uuid.UUID(request_id), "event")),
        "readOnly": reading,
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": account,
        "eventCategory": "Management",
    }
    return record


def _identity(caller: Caller | None, key_id: str | None, account: str | None, partition: str) -> dict[str, Any]:
    """CloudTrail's userIdentity: a key stands for an IAM user of its name; whoever was not proved is `Unknown`."""
    if caller is None:
        return {"type": "Unknown"} | ({"accessKeyId": key_id} if key_id else {})
    return {
        "type": "IAMUser",
        "principalId": caller.key_id,
        "arn": f"arn:{partition}:iam::{account or ''}:user/{caller.name}",
        "accountId": account,
        "accessKeyId": caller.key_id,
        "userName": caller.name,
    }


def _code(fault: str) -> str:
    """A fault's code as CloudTrail has EC2's: with the side that it lies at in front."""
    return f"{'Server' if fault in _OURS else 'Client'}.{fault}"


def _element(name: str, members: Mapping[str, Any] | None) -> Any:
    """Members with CloudTrail's names, or what CloudTrail puts in the place of an element that is too large."""
    if members is None:
        return None
    named = _named(members)
    size = len(json.dumps(named))
    if size > MOST_ELEMENT_BYTES:
        return {"omitted": True, "originalSize": size, "reason": f"{name} too large"}
    return named


def _named(value: Any) -> Any:
    """A value of JSON: names begin in lower case, times are text, what a secret's name has is stars."""
    if isinstance(value, Mapping):
        return {
            key[:1].lower() + key[1:]: "***" if _letters(key) in _SECRETS else _named(part)
            for key, part in value.items()
        }
    if isinstance(value, list | tuple):
        return [_named(part) for part in value]
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return value if value is None or isinstance(value, str | int | float) else str(value)


def _letters(name: str) -> str:
    """A name without case and marks, to compare it."""
    return name.lower().replace("-", "").replace("_", "")


def _cut(text: str) -> str:
    """A text of bounded length; an ellipsis says that there was more."""
    return text if len(text) <= MOST_TEXT else text[: MOST_TEXT - 1] + "…"


class AuditLog:
    """Writes records to `YYYY-MM-DD.jsonl` in a folder, one line each, for the owner alone.

    Safe for threads, and for several processes on one local folder: a line is one append. Lines are not synced to the
    disk one by one. `close` releases the file; a later `write` opens it again.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._day = ""
        self._file: int | None = None

    def write(self, record: Mapping[str, Any]) -> None:
        """Append one record to the file of its day. Raises OSError if it cannot; the call must not be answered then."""
        line = json.dumps(record, separators=(",", ":")).encode() + b"\n"
        with self._lock:
            try:
                self._append(record["eventTime"][:10], line)
            except OSError:
                self._release()  # opening it again finds what was left of the line
                raise

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._release()

    def _append(self, day: str, line: bytes) -> None:
        if self._file is None or day != self._day or not os.fstat(self._file).st_nlink:  # 0 links: it was removed
            self._release()
            self._file, self._day = self._open(day), day
        while line:  # once, unless the disk is nearly full: then the rest fits or raises
            line = line[os.write(self._file, line) :]

    def _open(self, day: str) -> int:
        """The file of a day, its last line complete."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        file = os.open(self._folder / f"{day}.jsonl", flags, 0o600)
        size = os.fstat(file).st_size
        if size and os.pread(file, 1, size - 1) != b"\n":
            os.write(file, b"\n")
        return file

    def _release(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None
