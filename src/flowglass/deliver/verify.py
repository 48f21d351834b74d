"""Manifests held against the objects that are there: which were changed, which are missing, which nobody delivered.

Rule: nothing is changed or written. A line of any of the manifests counts, so give those of all writers: what another
one put into the same place is else taken for an object that nobody delivered.
"""

from __future__ import annotations

import base64
import enum
import hashlib
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

from flowglass.deliver import manifest
from flowglass.deliver.aws import BucketSettings, Service, status_of
from flowglass.deliver.manifest import BUCKET
from flowglass.deliver.rules import DestinationRules
from flowglass.deliver.sinks.directory import PARTIAL
from flowglass.deliver.sinks.s3 import describe
from flowglass.deliver.temp import destination_error
from flowglass.fields.errors import OptionError
from flowglass.format import parse_key

_PIECE_BYTES: Final = 1 << 20
_NOT_FOUND: Final = 404
_LINES: Final = ".jsonl"
_BEFORE_TIMES: Final = re.compile(r"(.*?vpcflowlogs/(?:aws-region=)?[a-z0-9-]+/)")
"""The folder of a flow log's objects, of a key in one of AWS's layouts."""


class Objects(Protocol):
    """The objects of one place."""

    def keys(self, prefix: str) -> Iterator[str]:
        """The keys that begin with a prefix. Raises the classes under DeliveryError."""
        ...

    def sha256(self, key: str) -> str | None:
        """The hex digest of an object's bytes, None if it is not there; raises as `keys`."""
        ...


@enum.unique
class Fault(enum.Enum):
    """What is wrong with an object, or with a manifest."""

    CHAIN = "chain broken"
    CHANGED = "changed"
    REMOVED = "removed"
    ADDED = "added"


class Finding(NamedTuple):
    """One fault. `flow_log_id`: "" where nobody knows; `where`: place and key of an object, or file and line of a
    manifest; `what`: more of a broken chain.
    """

    fault: Fault
    flow_log_id: str
    where: str
    what: str = ""


@dataclass(slots=True)
class Report:
    """What was looked at, and what was wrong."""

    manifests: int = 0
    objects: int = 0
    findings: list[Finding] = field(default_factory=list)


class _Told(NamedTuple):
    """What manifests say of an object."""

    flow_log_id: str
    sha256: str


def verify_objects(data: Path, objects: Callable[[str], Objects], only: Collection[str] = ()) -> Report:
    """Everything that is wrong with the manifests under `data` (DATA) and the objects that they tell of.

    `objects`: those of a place, by its name in the manifests (`objects_at`); `only`: ids of flow logs, all if empty.
    Raises what `objects` does, and DestinationUnwritable for manifests that cannot be read.
    """
    report = Report()
    told: dict[str, dict[str, _Told]] = {}
    retired: set[tuple[str, str]] = set()
    for path in sorted((data / manifest.FOLDER).rglob("*.jsonl")):
        owner = path.parent.name
        lines = _lines(path)
        for facts in filter(None, map(manifest.parsed, lines)):
            if facts["kind"] == manifest.LineKind.DELIVERED.value:
                told.setdefault(facts["place"], {})[facts["key"]] = _Told(owner, facts["sha256"])
            else:
                retired.add((facts["place"], facts["key"]))
        if not only or owner in only or path == manifest.retention_path(data):
            report.manifests += 1
            broken = manifest.verify(lines)
            report.findings += [Finding(Fault.CHAIN, owner, f"{path}:{line}", what) for line, what in broken]
    for place, known in sorted(told.items()):
        wanted = {key: one for key, one in known.items() if not only or one.flow_log_id in only}
        if wanted:
            there = objects(place)
            report.objects += len(wanted)
            report.findings += _known(place, there, wanted, retired)
            report.findings += _unknown(place, there, known, wanted)
    return report


def objects_at(place: str, data: Path, rules: DestinationRules) -> Objects:
    """The objects of a place that a manifest names. Raises OptionError if no configuration tells where that is."""
    if place.startswith(manifest.LOCAL):
        return LocalObjects(data / place.removeprefix(manifest.LOCAL))
    bucket = place.removeprefix(BUCKET)
    if bucket not in rules.buckets:
        raise OptionError(f"{place}: objects were delivered there; set endpoint in [buckets.{bucket}] to look at them")
    return BucketObjects(bucket, rules.buckets[bucket])


class LocalObjects:
    """Objects of a bucket, group or stream of the local store, whose folder is `root`."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def keys(self, prefix: str) -> Iterator[str]:
        """The keys that begin with a prefix."""
        for path in self._root.rglob("*"):
            key = path.relative_to(self._root)
            if key.parts[0] != PARTIAL and str(key).startswith(prefix) and path.is_file():
                yield str(key)

    def sha256(self, key: str) -> str | None:
        """The digest of a file, None if there is none. Raises DestinationUnwritable."""
        path = self._root / key
        try:
            with path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise destination_error(path, error) from error


class BucketObjects:
    """Objects of a bucket of a service. `client`: a botocore client to use in place of one of its own."""

    def __init__(self, bucket: str, settings: BucketSettings, client: Any = None) -> None:
        self._bucket = bucket
        self._what = describe(bucket, settings)
        self._service = Service("s3", settings, made=client)

    def keys(self, prefix: str) -> Iterator[str]:
        """The keys that begin with a prefix; needs s3:ListBucket."""
        with self._service.calling(self._what) as s3:
            for page in s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix):
                yield from (found["Key"] for found in page.get("Contents", []))

    def sha256(self, key: str) -> str | None:
        """The digest that the service keeps of an object, else of its bytes; needs s3:GetObject."""
        with self._service.calling(self._what) as s3:
            try:
                head = s3.head_object(Bucket=self._bucket, Key=key, ChecksumMode="ENABLED")
            except s3.exceptions.ClientError as error:
                if status_of(error) == _NOT_FOUND:
                    return None
                raise
            kept: str = head.get("ChecksumSHA256", "")
            if kept and "-" not in kept:  # that would be one of parts
                return base64.b64decode(kept).hex()
            digest = hashlib.sha256()
            for piece in s3.get_object(Bucket=self._bucket, Key=key)["Body"].iter_chunks(_PIECE_BYTES):
                digest.update(piece)
            return digest.hexdigest()


def _known(
    place: str, there: Objects, wanted: Mapping[str, _Told], retired: Collection[tuple[str, str]]
) -> Iterator[Finding]:
    """Objects that are not as they were delivered."""
    for key, (flow_log_id, sha256) in wanted.items():
        found = there.sha256(key)
        if found is None and (place, key) not in retired:
            yield Finding(Fault.REMOVED, flow_log_id, f"{place}/{key}")
        elif found is not None and found != sha256:
            yield Finding(Fault.CHANGED, flow_log_id, f"{place}/{key}")


def _unknown(place: str, there: Objects, known: Mapping[str, _Told], wanted: Mapping[str, _Told]) -> Iterator[Finding]:
    """Objects where those of the flow logs are, and named as theirs, that no line tells of."""
    ids = {one.flow_log_id for one in wanted.values()}
    roots = {match[1] if (match := _BEFORE_TIMES.match(key)) else "" for key in wanted}
    for root in sorted(roots):
        for key in there.keys(root):
            name = parse_key(key)
            # Names of log events say nothing of a flow log: a group or stream is all ours.
            ours = name.flow_log_id in ids if name else key.endswith(_LINES)
            if ours and key not in known:
                yield Finding(Fault.ADDED, name.flow_log_id if name else "", f"{place}/{key}")


def _lines(path: Path) -> list[bytes]:
    try:
        return path.read_bytes().splitlines()
    except OSError as error:
        raise destination_error(path, error) from error
