"""Manifests held against the objects that are there: which were changed, which are missing, which nobody delivered.

Rule: nothing is changed or written. A line of any of the manifests counts, so give those of all writers: what another
one put into the same place is else taken for an object that nobody delivered. One flow log's lines are held in memory
at a time, and of all others 16 bytes an object.
"""

from __future__ import annotations

import enum
import functools
import hashlib
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

from flowglass.deliver import manifest
from flowglass.deliver.readback import Objects
from flowglass.deliver.spool import SpoolView
from flowglass.deliver.temp import destination_error
from flowglass.fields.errors import DestinationUnwritable, Error
from flowglass.format import parse_key

_DIGEST_BYTES: Final = 16
_BEFORE_TIMES: Final = re.compile(r"(.*?vpcflowlogs/(?:aws-region=)?[a-z0-9-]+/)")
"""The folder of a flow log's objects, of a key in one of AWS's layouts."""
_MOST_FAILURES: Final = 3
"""In a row: then a place is asked no more."""


@enum.unique
class Fault(enum.Enum):
    """What is wrong with an object, or with a manifest."""

    CHAIN = "chain broken"
    CHANGED = "changed"
    REMOVED = "removed"
    ADDED = "added"
    UNREADABLE = "unreadable"
    """nobody knows: its destination did not let it be looked at"""
    UNKNOWN = "of no flow log known here"
    """a warning and no fault: others may deliver into the same place"""


class Finding(NamedTuple):
    """One fault. `flow_log_id`: "" where nobody knows; `where`: place and key of an object, or file and line of a
    manifest; `what`: more of a broken chain, or why a place cannot be read, once for all of it.
    """

    fault: Fault
    flow_log_id: str
    where: str
    what: str = ""


@dataclass(slots=True)
class Report:
    """What was looked at, and what was wrong. `objects`: without those that are unreadable."""

    manifests: int = 0
    objects: int = 0
    findings: list[Finding] = field(default_factory=list)

    @property
    def faults(self) -> list[Finding]:
        """The findings that are no mere warnings, and of something that could be looked at."""
        return [one for one in self.findings if one.fault not in (Fault.UNKNOWN, Fault.UNREADABLE)]

    @property
    def unreadable(self) -> list[Finding]:
        """What could not be looked at."""
        return [one for one in self.findings if one.fault is Fault.UNREADABLE]


def verify_objects(
    data: Path, objects: Callable[[str], Objects], only: Collection[str] = (), journal: SpoolView | None = None
) -> Report:
    """Everything that is wrong with the manifests under `data` (DATA) and the objects that they tell of.

    `objects`: those of a place, by its name in the manifests (`objects_at`); a place that fails is a finding; `only`:
    ids of flow logs, all if empty; `journal`: the spool of DATA as it was before this call: it knows where its own
    manifests must end. Raises DestinationUnwritable for manifests that cannot be read.
    """
    return _Look(data, objects, only, journal or SpoolView(root=data)).report()


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
        self._failures: dict[str, list[Error]] = {}  # by place, those in a row
        self._reasons: dict[str, str] = {}  # by place, the last that was told
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
                self._report.findings += self._changed(place, objects, flow_log_id)
                roots = {
                    match[1] if (match := _BEFORE_TIMES.match(key)) else "" for key in objects if _can_be(place, key)
                }
                self._roots.setdefault(place, set()).update(roots)

    def _chain(self, path: Path, flow_log_id: str) -> None:
        """What is wrong with a manifest itself."""
        self._report.manifests += 1
        for line, what in manifest.verify(_lines(path)):
            self._report.findings.append(Finding(Fault.CHAIN, flow_log_id, f"{path}:{line}", what))

    def _changed(self, place: str, objects: Mapping[str, str], flow_log_id: str) -> Iterator[Finding]:
        """Objects that are not as they were delivered."""
        for key, sha256 in objects.items():
            found = self._sha256(place, key)
            if isinstance(found, Error):
                yield self._unreadable(place, key, found, flow_log_id)
                continue
            self._report.objects += 1
            if found is None and _digest(place, key) not in self._retired:
                yield Finding(Fault.REMOVED, flow_log_id, _shown(place, key))
            elif found is not None and found != sha256:
                yield Finding(Fault.CHANGED, flow_log_id, _shown(place, key))

    def _sha256(self, place: str, key: str) -> str | Error | None:
        """As `Objects.sha256`, or why nobody knows: after a few failures in a row a place is asked no more."""
        if not _can_be(place, key):
            return None
        failures = self._failures.setdefault(place, [])
        if len(failures) >= _MOST_FAILURES:
            return failures[-1]
        try:
            found = self._objects(place).sha256(key)
        except DestinationUnwritable as error:
            return error  # a file's, which says nothing of the next one
        except Error as error:
            failures.append(error)
            return error
        failures.clear()
        return found

    def _unreadable(self, place: str, key: str, why: Error, flow_log_id: str = "") -> Finding:
        reason = _printable(str(why))
        news = self._reasons.get(place) != reason
        self._reasons[place] = reason
        return Finding(Fault.UNREADABLE, flow_log_id, _shown(place, key), reason if news else "")

    def _strange(self, place: str, root: str, known: Collection[str]) -> Iterator[Finding]:
        """What is where the objects of flow logs are, and in no line: object by object, or of others their number."""
        others: Counter[str] = Counter()
        if self._failures.get(place):
            return  # its objects are told of as unreadable already
        try:
            for key in self._objects(place).keys(root):
                if _digest(place, key) in self._told:
                    continue
                name = parse_key(key)
                if name is not None and name.flow_log_id not in known:
                    others[name.flow_log_id] += 1
                elif name is None or not self._only or name.flow_log_id in self._only:
                    yield Finding(Fault.ADDED, name.flow_log_id if name else "", _shown(place, key))
        except Error as error:
            yield self._unreadable(place, root, error)
        for flow_log_id, number in sorted(others.items()):
            yield Finding(Fault.UNKNOWN, flow_log_id, f"{place}/{root}", f"objects: {number}")


def _can_be(place: str, key: str) -> bool:
    """Whether an object can be there: names have no NUL, and are text."""
    name = f"{place}/{key}"
    return "\0" not in name and not any("\ud800" <= character <= "\udfff" for character in name)


def _shown(place: str, key: str) -> str:
    return _printable(f"{place}/{key}")


def _printable(text: str) -> str:
    """A text that may come from anybody, safe to print."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


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
