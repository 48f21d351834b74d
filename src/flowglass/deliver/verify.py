"""Manifests held against the objects that are there: which were changed, which are missing, which nobody delivered.

Rule: nothing is changed or written. A line of any of the manifests counts, so give those of all writers: what another
one put into the same place is else taken for an object that nobody delivered. One flow log's lines are held in memory
at a time, and of all others 16 bytes an object.
"""

from __future__ import annotations

import base64
import enum
import functools
import hashlib
import os
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

from flowglass.deliver import manifest
from flowglass.deliver.aws import BucketSettings, Service
from flowglass.deliver.aws_errors import status_of
from flowglass.deliver.manifest import BUCKET
from flowglass.deliver.rules import DestinationRules
from flowglass.deliver.sinks.directory import PARTIAL
from flowglass.deliver.spool import SpoolView
from flowglass.deliver.temp import destination_error
from flowglass.fields.errors import OptionError
from flowglass.format import parse_key

_PIECE_BYTES: Final = 1 << 20
_NOT_FOUND: Final = 404
_DIGEST_BYTES: Final = 16
_BEFORE_TIMES: Final = re.compile(r"(.*?vpcflowlogs/(?:aws-region=)?[a-z0-9-]+/)")
"""The folder of a flow log's objects, of a key in one of AWS's layouts."""


class Objects(Protocol):
    """The objects of one place."""

    def keys(self, folder: str) -> Iterator[str]:
        """The keys below a folder, which ends in a slash; "" for all. Raises the classes under DeliveryError."""
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
    UNKNOWN = "of no flow log known here"
    """a warning and no fault: others may deliver into the same place"""


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

    @property
    def faults(self) -> list[Finding]:
        """The findings that are no mere warnings."""
        return [one for one in self.findings if one.fault is not Fault.UNKNOWN]


def verify_objects(
    data: Path, objects: Callable[[str], Objects], only: Collection[str] = (), journal: SpoolView | None = None
) -> Report:
    """Everything that is wrong with the manifests under `data` (DATA) and the objects that they tell of.

    `objects`: those of a place, by its name in the manifests (`objects_at`); `only`: ids of flow logs, all if empty;
    `journal`: the spool of DATA as it was before this call: it knows where its own manifests must end. Raises what
    `objects` does, and DestinationUnwritable for manifests that cannot be read.
    """
    return _Look(data, objects, only, journal or SpoolView(root=data)).report()


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

    def keys(self, folder: str) -> Iterator[str]:
        """Whatever is below a folder, links too, but what is unfinished. Raises DestinationUnwritable."""
        for top, folders, files in os.walk(self._root / folder, onerror=_unreadable):
            here = Path(top)
            if here == self._root and PARTIAL in folders:
                folders.remove(PARTIAL)
            links = (name for name in folders if (here / name).is_symlink())
            for name in (*files, *links):
                yield str((here / name).relative_to(self._root))

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
        self._what = f"bucket {bucket}"
        self._service = Service("s3", settings, made=client)

    def keys(self, folder: str) -> Iterator[str]:
        """The keys below a folder; needs s3:ListBucket."""
        with self._service.calling(self._what) as s3:
            for page in s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=folder):
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


class _Look:
    """One comparison of all there is; see `verify_objects`."""

    def __init__(
        self, data: Path, objects: Callable[[str], Objects], only: Collection[str], journal: SpoolView
    ) -> None:
        self._folder = data / manifest.FOLDER
        self._retention = manifest.retention_path(data)
        self._objects = functools.cache(objects)
        self._only = only
        self._journal = journal
        self._report = Report()
        self._told: set[bytes] = set()  # of what was delivered, by _digest
        self._retired: set[bytes] = set()  # of what retention removed, by _digest
        self._roots: dict[str, set[str]] = {}  # by place, the folders in which wanted flow logs have their objects

    def report(self) -> Report:
        """What was found."""
        if self._retention.exists():
            self._chain(self._retention, "")
            self._retired = {
                _digest(facts["place"], facts["key"]) for facts in _facts(self._retention, manifest.LineKind.REMOVED)
            }
        known = {path.parent.name for path in self._folder.glob("*/*.jsonl")} | self._journal.lines.keys()
        for flow_log_id in sorted(known):
            self._flow_log(flow_log_id, wanted=not self._only or flow_log_id in self._only)
        for place, roots in sorted(self._roots.items()):
            for root in sorted(roots):
                self._report.findings += self._strange(place, root, known)
        return self._report

    def _flow_log(self, flow_log_id: str, *, wanted: bool) -> None:
        """Note what was delivered of a flow log, and compare it if it is wanted."""
        told: dict[str, dict[str, str]] = {}  # by place and key, the SHA-256
        own = self._folder / flow_log_id / f"{self._journal.writer}.jsonl"
        last = 0
        for path in sorted((self._folder / flow_log_id).glob("*.jsonl")):
            if wanted:
                self._chain(path, flow_log_id)
            for facts in _facts(path, manifest.LineKind.DELIVERED):
                told.setdefault(facts["place"], {})[facts["key"]] = facts["sha256"]
                last = facts["n"] if path == own else last
        noted = [line for line in self._journal.lines.get(flow_log_id, ()) if line.n > last]
        for line in noted:  # a crash came between: the next start writes them
            told.setdefault(line.place, {})[line.key] = line.sha256
        if wanted and noted and noted[0].n > last + 1:
            what = f"it ends with line {last} and had at least {noted[0].n - 1}"
            self._report.findings.append(Finding(Fault.CHAIN, flow_log_id, str(own), what))
        for place, objects in sorted(told.items()):
            self._told.update(_digest(place, key) for key in objects)
            if wanted:
                self._report.objects += len(objects)
                self._report.findings += self._changed(place, objects, flow_log_id)
                roots = {match[1] if (match := _BEFORE_TIMES.match(key)) else "" for key in objects}
                self._roots.setdefault(place, set()).update(roots)

    def _chain(self, path: Path, flow_log_id: str) -> None:
        """What is wrong with a manifest itself."""
        self._report.manifests += 1
        for line, what in manifest.verify(_lines(path)):
            self._report.findings.append(Finding(Fault.CHAIN, flow_log_id, f"{path}:{line}", what))

    def _changed(self, place: str, objects: Mapping[str, str], flow_log_id: str) -> Iterator[Finding]:
        """Objects that are not as they were delivered."""
        for key, sha256 in objects.items():
            found = self._objects(place).sha256(key)
            if found is None and _digest(place, key) not in self._retired:
                yield Finding(Fault.REMOVED, flow_log_id, f"{place}/{key}")
            elif found is not None and found != sha256:
                yield Finding(Fault.CHANGED, flow_log_id, f"{place}/{key}")

    def _strange(self, place: str, root: str, known: Collection[str]) -> Iterator[Finding]:
        """What is where the objects of flow logs are, and in no line: object by object, or of others their number."""
        others: Counter[str] = Counter()
        for key in self._objects(place).keys(root):
            if _digest(place, key) in self._told:
                continue
            name = parse_key(key)
            if name is not None and name.flow_log_id not in known:
                others[name.flow_log_id] += 1
            elif name is None or not self._only or name.flow_log_id in self._only:
                shown = key.encode(errors="backslashreplace").decode()
                yield Finding(Fault.ADDED, name.flow_log_id if name else "", f"{place}/{shown}")
        for flow_log_id, number in sorted(others.items()):
            yield Finding(Fault.UNKNOWN, flow_log_id, f"{place}/{root}", f"objects: {number}")


def _digest(place: str, key: str) -> bytes:
    return hashlib.blake2b(f"{place}\0{key}".encode(errors="surrogatepass"), digest_size=_DIGEST_BYTES).digest()


def _facts(path: Path, kind: manifest.LineKind) -> Iterator[dict[str, Any]]:
    """What the lines of a kind say."""
    for facts in map(manifest.parsed, _lines(path)):
        if facts is not None and facts["kind"] == kind.value:
            yield facts


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            yield from file
    except OSError as error:
        raise destination_error(path, error) from error


def _unreadable(error: OSError) -> None:
    """A folder cannot be listed; one that is not there has nothing."""
    if not isinstance(error, FileNotFoundError | NotADirectoryError):
        raise destination_error(error.filename, error) from error
