"""What is well with an installation and what is not: a list of checks, each with its remedy.

Rule: a check is one function of the Facts and one line in CHECKS. It reads what is on this machine and asks no
destination and no server, so it works whether anything runs or not, and changes nothing.
"""

from __future__ import annotations

import enum
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from flowglass.app import deliveries
from flowglass.app.config import Config
from flowglass.app.waiting import name_of, reasons
from flowglass.app.words import many, size, span
from flowglass.deliver import STORE_FOLDERS, SpoolView, backlogs
from flowglass.fields.errors import Error


@enum.unique
class State(enum.Enum):
    """How a check went."""

    OK = "ok"
    WARNING = "warning"
    """worth to know"""
    FAILED = "failed"
    """somebody has to do something"""


@dataclass(frozen=True, slots=True)
class Check:
    """One finding. `remedy`: what to do, "" for nothing."""

    name: str
    state: State
    text: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """What checks look at. `faults`: of the configuration; `view`: of the spool at `now_ms`.

    `unseen`: why the spool cannot be looked at, "" where it can; `view` is empty then.
    """

    config: Config
    faults: Sequence[str]
    view: SpoolView
    now_ms: int
    unseen: str = ""


_LATE_S: Final = 15 * 60
"""How long records wait where nothing is wrong, and some more: five minutes, their delay, an upload."""
_NEARLY: Final = 0.8
"""The part of a bound from which on it is told."""
_FIRST_MS: Final = 1_735_689_600_000
"""2025-01-01: no clock that goes shows less."""
_AHEAD_MS: Final = 5 * 60 * 1000
_AS_AGENT: Final = "run as the user of the agent"


def configuration_checks(faults: Sequence[str]) -> Iterator[Check]:
    """A failed check a fault of the configuration, else one that is well."""
    for fault in faults:
        yield Check("configuration", State.FAILED, fault, "flowglass config check")
    if not faults:
        yield Check("configuration", State.OK, "no fault found")


def examine(config: Config, faults: Sequence[str], now_ms: int) -> list[Check]:
    """Every check, in order."""
    folder, unseen = deliveries.spool_folder(config), ""
    try:
        view = SpoolView.open(folder)
    except Error as error:
        view, unseen = SpoolView(root=folder), str(error)
    facts = Facts(config, faults, view, now_ms, unseen)
    return [check for one in CHECKS for check in one(facts)]


def _configuration(facts: Facts) -> Iterator[Check]:
    return configuration_checks(facts.faults)


def _disk(facts: Facts) -> Iterator[Check]:
    """Room for objects, and for recordings."""
    data = facts.config.data_dir
    try:
        there = next(folder for folder in (data, *data.parents) if folder.exists())
        disk = shutil.disk_usage(there)
    except OSError as error:
        yield Check("disk", State.FAILED, f"{data}: {error.strerror}", _AS_AGENT)
        return
    least = max(deliveries.min_free_bytes(facts.config), deliveries.limits(facts.config).room_bytes(disk.total))
    text = f"{size(disk.free)} free of {size(disk.total)} at {data}"
    if not os.access(there, os.W_OK):
        yield Check("disk", State.FAILED, f"{data}: you may not write there", _AS_AGENT)
    elif disk.free < least:
        yield Check("disk", State.FAILED, f"{text}, less than the {size(least)} that stay free", "make room")
    elif disk.free < 2 * least:
        yield Check(
            "disk", State.WARNING, f"{text}; below {size(least)} recording and delivery pause", "make room soon"
        )
    else:
        yield Check("disk", State.OK, text)


def _clock(facts: Facts) -> Iterator[Check]:
    """AWS refuses requests of clocks that are more than 15 minutes off, and objects are named by the time."""
    view = facts.view
    seen = [one.at_ms for one in view.statuses] + [share.segment.created_ms for share in view.shares]
    newest = max(seen, default=0)
    remedy = "set the clock, best by NTP: AWS refuses requests that are 15 minutes off"
    if facts.now_ms < _FIRST_MS:
        yield Check("clock", State.FAILED, "it shows a time before this program was made", remedy)
    elif newest > facts.now_ms + _AHEAD_MS:
        ahead = span((newest - facts.now_ms) / 1000)
        yield Check("clock", State.WARNING, f"the spool has entries of {ahead} from now: it was set back", remedy)
    else:
        yield Check("clock", State.OK, "no step seen")


def _agent(facts: Facts) -> Iterator[Check]:
    view = facts.view
    if facts.unseen:
        return  # nobody can say what waits
    if view.in_use:
        yield Check("agent", State.OK, "one has the spool")
    elif view.shares or view.units:
        yield Check(
            "agent", State.FAILED, "records wait, and no agent runs", "start it: flowglass up, or flowglass agent"
        )
    else:
        yield Check("agent", State.OK, "none runs, and nothing waits")


def _spool(facts: Facts) -> Iterator[Check]:
    """How near the spool is to the bounds at which records are given up."""
    if facts.unseen:
        fault, _, remedy = facts.unseen.partition("; ")
        yield Check("spool", State.FAILED, fault, remedy)
        return
    view, limits = facts.view, deliveries.limits(facts.config)
    waiting = [*view.shares, *(share for unit in view.units for share in unit.shares)]
    oldest_ms = min((share.segment.created_ms for share in waiting), default=facts.now_ms)
    age_s = max(0, facts.now_ms - oldest_ms) / 1000
    text = f"{size(view.size_bytes)}, the oldest record for {span(age_s)}" if waiting else size(view.size_bytes)
    full = bool(limits.max_bytes) and view.size_bytes > _NEARLY * limits.max_bytes
    old = bool(limits.max_age_s) and age_s > _NEARLY * limits.max_age_s
    if full or old:
        bound = size(limits.max_bytes) if full else span(limits.max_age_s)
        remedy = "mend what fails below, or raise [spool] max_megabytes, max_age_hours"
        yield Check("spool", State.FAILED, f"{text}; at {bound} the oldest records are given up", remedy)
    else:
        yield Check("spool", State.OK, text)


def _destinations(facts: Facts) -> Iterator[Check]:
    """One check a destination that something waits for, and one a flow log that fails without."""
    view, rules = facts.view, deliveries.rules(facts.config)
    owed = [share.flow_log for share in view.shares] + [unit.flow_log for unit in view.units]
    names = {flow_log.id: name_of(flow_log, rules) for flow_log in owed}
    failing = dict(reasons(view))
    found = backlogs(
        view.units,
        view.shares,
        name_of=lambda flow_log: name_of(flow_log, rules),
        circuits={},
        now_ms=facts.now_ms,
        monotonic_s=0.0,
    )
    for backlog in found:
        text = f"{many(backlog.records, 'record')} wait, the oldest for {span(backlog.oldest_s)}"
        errors = {failing.pop(name) for name, to in names.items() if to == backlog.destination and name in failing}
        for error in sorted(errors):
            remedy = "mend that; it is tried again by itself, at once with flowglass spool retry"
            yield Check(backlog.destination, State.FAILED, f"{text}: {error}", remedy)
        if not errors:
            state = State.WARNING if backlog.oldest_s > _LATE_S else State.OK
            yield Check(backlog.destination, state, text)
    for flow_log_id, error in sorted(failing.items()):
        yield Check(flow_log_id, State.WARNING, f"nothing waits; the last delivery failed: {error}")


def _damaged(facts: Facts) -> Iterator[Check]:
    files = facts.view.damaged
    if files:
        yield Check(
            "damaged segments",
            State.FAILED,
            f"{many(len(files), 'file')} in {files[0].parent}: the disk changed what was written",
            "check the disk and its log; then flowglass spool drop --damaged",
        )


def _losses(facts: Facts) -> Iterator[Check]:
    """What was ever lost, doubled or refused, so that it is not forgotten."""
    statuses = facts.view.statuses
    for name, count, thing, remedy in (
        (
            "dropped",
            sum(one.dropped for one in statuses),
            "record",
            "SKIPDATA records say where; [spool] has the bounds",
        ),
        ("doubtful", sum(one.doubtful for one in statuses), "log batch", "their events may be there twice"),
        (
            "rejected",
            sum(one.rejected for one in statuses),
            "log event",
            "too old or too large for the service",
        ),
    ):
        if count:
            things = many(count, thing) if thing != "log batch" or count == 1 else f"{count:,} log batches"
            yield Check(name, State.WARNING, f"{things} since the spool was made", remedy)


def _local_store(facts: Facts) -> Iterator[Check]:
    kept = deliveries.retention(facts.config)
    total = sum(_folder_bytes(facts.config.data_dir / name) for name in STORE_FOLDERS)
    bounds = [size(kept.max_bytes)] if kept.max_bytes else []
    bounds += [span(kept.max_age_s)] if kept.max_age_s else []
    text = f"kept up to {' and '.join(bounds)}" if bounds else "kept for good; [local_store] bounds it"
    yield Check("local store", State.OK, f"{size(total)}, {text}")


def _folder_bytes(folder: Path) -> int:
    """Bytes of all files below a folder; what goes away meanwhile is not counted."""
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            try:
                total += (Path(root) / name).lstat().st_size
            except OSError:
                continue
    return total


CHECKS: Final[tuple[Callable[[Facts], Iterator[Check]], ...]] = (
    _configuration,
    _disk,
    _clock,
    _agent,
    _spool,
    _destinations,
    _damaged,
    _losses,
    _local_store,
)
"""All checks, in the order in which they are told."""
