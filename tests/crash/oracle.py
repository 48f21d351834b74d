"""What a killed process claimed while it lived, and whether what is found later agrees.

Rule: the oracle is outside of what is killed. It is told by lines on a pipe, each before what it tells can be seen
anywhere else, or right after it is safe.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from tests.crash.arrived import Arrived
from tests.crash.traffic import BATCHES, FLOW_LOGS, Seen, Source, expected

BATCH_RECORDS: Final = 500
"""Most records of a batch of Firehose."""


@enum.unique
class Claim(enum.Enum):
    """What a process tells of a source, by its number."""

    BEGUN = "begun"
    """its records are about to be made durable"""
    REACHED = "reached"
    """all its segments are under their names and safe: from here on it arrives"""
    DURABLE = "durable"
    """the spool said so"""
    REFUSED = "refused"
    """the spool said that nothing of it is in it"""
    KNOWN = "known"
    """after a restart: the spool has it, so it is not recorded again"""


@dataclass(frozen=True, slots=True)
class Books:
    """What the spool says of itself in the end. `sources`: recorded; the others by flow log, from its statuses."""

    sources: int = 0
    objects: Mapping[str, int] = field(default_factory=dict)
    records: Mapping[str, int] = field(default_factory=dict)
    dropped: Mapping[str, int] = field(default_factory=dict)
    doubtful: Mapping[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Judgement:
    """What is wrong with what arrived, in records of one flow log each.

    `lost`: beyond those that the spool says it gave up (`dropped`); `doubled`: beyond those of batches of which it says
    that they may have come twice; `changed`: came with other values; `wrong`: what else does not fit.
    """

    records: int = 0
    lost: int = 0
    doubled: int = 0
    changed: int = 0
    dropped: int = 0
    wrong: list[str] = field(default_factory=list)

    @property
    def faults(self) -> list[str]:
        """Everything that is wrong, a line each."""
        counts = {
            "lost": self.lost,
            "doubled": self.doubled,
            "changed": self.changed,
            "given up, as the spool says": self.dropped,
        }
        return [f"{count} records were {what}" for what, count in counts.items() if count] + self.wrong


@dataclass(slots=True)
class Oracle:
    """Claims of all lives of one process, and their judge.

    `base_s`: of its sources; `refused`: how often the spool took none; `books`: of the last life.
    """

    base_s: int
    refused: int = 0
    reached: set[int] = field(default_factory=set)
    begun: set[int] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)
    books: Books = field(default_factory=Books)

    def told(self, claim: Claim, number: int) -> None:
        """The process says something of a source."""
        match claim:
            case Claim.BEGUN:
                if number in self.reached:
                    self.wrong.append(f"source {number} was safe, and after a restart the spool does not know it")
                self.begun.add(number)
            case Claim.REACHED | Claim.DURABLE:
                self.reached.add(number)
            case Claim.REFUSED:
                self.reached.discard(number)
                self.refused += 1
            case Claim.KNOWN:
                if number not in self.begun:
                    self.wrong.append(f"the spool knows source {number}, which nobody recorded")
                self.reached.add(number)

    @property
    def first_open(self) -> int:
        """The first source that nobody claimed: where a new life goes on."""
        return next(number for number in range(len(self.reached) + 1) if number not in self.reached)

    @property
    def last(self) -> int:
        """The last source that was begun, -1 if none was."""
        return max(self.begun, default=-1)

    def judge(self, arrived: Arrived) -> Judgement:
        """Compare what arrived with all sources up to the last one that was begun."""
        sources = [Source(number, self.base_s) for number in range(self.last + 1)]
        result = Judgement(wrong=list(self.wrong))
        if self.books.sources != len(sources):
            result.wrong.append(f"the spool counted {self.books.sources} sources, not {len(sources)}")
        for flow_log in FLOW_LOGS:
            self._compare(flow_log.id, expected(flow_log, sources), arrived, result)
        return result

    def _compare(self, name: str, due: Counter[Seen], arrived: Arrived, result: Judgement) -> None:
        found = arrived.records[name]
        extra, missing = found - due, due - found
        doubled = sum(count for seen, count in extra.items() if seen in due)
        changed = {seen.number for seen in extra if seen not in due}
        lost = sum(count for seen, count in missing.items() if seen.number not in changed)
        dropped = self.books.dropped.get(name, 0)
        result.records += due.total()
        result.dropped += dropped
        result.lost += max(0, lost - dropped)
        result.doubled += max(0, doubled - self.books.doubtful.get(name, 0) * BATCH_RECORDS)
        result.changed += len(changed)
        if bool(arrived.skipped[name]) != bool(dropped):
            result.wrong.append(f"{name}: {arrived.skipped[name]} SKIPDATA records, {dropped} records dropped")
        said, there = self.books.records.get(name, 0), found.total() + arrived.skipped[name]
        # An object that arrived just before a kill may be given up by the next life, which cannot know.
        if name != BATCHES and not (said == there or (dropped and said < there)):
            result.wrong.append(f"{name}: the spool says that it delivered {said} records, {there} are there")
        for what, some in (("missing", missing), ("too many", extra)):
            result.wrong += (
                [f"{name} {what}: {seen}" for seen in list(some)[:2]] if not dropped and name != BATCHES else []
            )
