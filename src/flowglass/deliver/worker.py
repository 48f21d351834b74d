"""Delivery: brings what the spool has to its destinations, and tries again what fails.

Rule: nothing that goes wrong ends it. A failure makes its cause wait (circuit.py): the flow log where a destination
refuses it, the destination where that fails as a whole, the unit where the fault is ours. Everything is told once, not
at every attempt, and whatever is not delivered stays in the spool.
One thread decides; each unit is delivered by a thread of its own, so that one that is stuck holds up nobody else.
"""

from __future__ import annotations

import random
import threading
import time
import traceback
from collections.abc import Callable, Hashable, Iterable
from dataclasses import replace
from typing import Final, Protocol

from flowglass.deliver import planner
from flowglass.deliver.backlog import Backlog, backlogs
from flowglass.deliver.circuit import Circuits
from flowglass.deliver.failures import aws_text, cause
from flowglass.deliver.outlet import Routes
from flowglass.deliver.planner import Span
from flowglass.deliver.requests import answer_to
from flowglass.deliver.schedule import Schedule, Work
from flowglass.deliver.spool import Share, Spool, Unit, UnitChanged
from flowglass.deliver.spool.recovery import TAKEN_UP
from flowglass.fields.errors import DeliveryError, Error

TICK_S: Final = 1.0
"""How long what is due may wait to be noticed."""

ENFORCE_S: Final = 10.0
"""How often the spool's bounds are looked after."""


class Told(Protocol):
    """Takes events for people: a name, a level (info, warning, error), and what belongs to it."""

    def __call__(self, event: str, level: str, /, **facts: object) -> None:
        """Tell it. May be called from any thread."""
        ...


class Delivery:
    """Delivers what is in a spool until it is stopped.

    `workers`: how many units at once, but one of every destination at least; `monotonic`: seconds of a clock that is
    never set; `chance`: gives numbers in [0, 1), for the waits.
    """

    def __init__(
        self,
        spool: Spool,
        outlets: Routes,
        *,
        now_ms: Callable[[], int],
        told: Told,
        workers: int = 2,
        monotonic: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._spool = spool
        self._outlets = outlets
        self._now_ms = now_ms
        self._monotonic = monotonic
        self._told = told
        self._changed = threading.Condition()  # guards what follows
        self._circuits = Circuits(chance)
        self._schedule = Schedule(self._circuits, workers)
        self._poked = True
        self._replan = True
        self._stopping = False
        self._over = False  # nothing is begun any more
        self._silent = False  # what still runs may find the spool closed, which is no news
        # Of the deciding thread alone:
        self._first_seen_s: dict[Span, float] = {}
        self._planned_s = self._enforced_s = float("-inf")
        self._troubled: set[str] = set()
        self._answers: dict[int, str] = {}  # by request that was done and could not be answered yet
        self._thread = threading.Thread(target=self._run, name="delivery", daemon=True)

    def start(self) -> None:
        """Begin to deliver."""
        self._thread.start()

    def poke(self) -> None:
        """There is something new in the spool."""
        with self._changed:
            self._poked = self._replan = True
            self._changed.notify_all()

    def stop(self, flush_s: float) -> bool:
        """Try everything that waits once, for at most `flush_s`, and end; return whether all of it was tried.

        What then still runs is left alone: the spool knows how far it is.
        """
        if self._thread.ident is None:
            return False  # never started
        deadline_s = time.monotonic() + flush_s
        with self._changed:
            self._stopping = self._poked = self._replan = True
            self._changed.notify_all()
        self._thread.join(flush_s)
        with self._changed:
            tried = self._over
            self._over = True
            self._changed.notify_all()
            idle = self._changed.wait_for(lambda: not self._schedule.running(), deadline_s - time.monotonic())
            self._silent = True
        return tried and idle

    def backlog(self) -> list[Backlog]:
        """What is not delivered yet, by destination."""
        units, shares = self._spool.units(), self._spool.shares()
        with self._changed:
            circuits = {key: replace(circuit) for key, circuit in self._circuits.open.items()}
        return backlogs(
            units,
            shares,
            name_of=lambda flow_log: self._outlets.outlet(flow_log).name,
            circuits=circuits,
            now_ms=self._now_ms(),
            monotonic_s=self._monotonic(),
        )

    # -- the deciding thread ----------------------------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._poked or self._over, TICK_S)
                if self._over:
                    return
                self._poked = False
            if self._replan or self._monotonic() >= self._planned_s + TICK_S:
                self._replan = False
                self._planned_s = self._monotonic()
                for step in (self._answer_requests, self._keep_bounds, self._tell_events, self._plan):
                    self._guarded(step)
            self._guarded(self._begin_all)
            with self._changed:
                if self._stopping and not (self._schedule.running() or self._poked):
                    self._over = True
                    return

    def _guarded(self, step: Callable[[], None]) -> None:
        """Do a step; what it raises is told once, until it goes well again."""
        try:
            step()
        except Exception as error:
            if step.__name__ not in self._troubled and not self._silent:
                self._tell_fault("delivery_disturbed", error)
            self._troubled.add(step.__name__)
        else:
            self._troubled.discard(step.__name__)

    def _answer_requests(self) -> None:
        """Do what commands ask: each once, even where its answer cannot be kept before there is room on the disk."""
        for request in self._spool.take_requests():
            answer = self._answers.get(request.id) or answer_to(request, self._spool, self._retry)
            self._answers[request.id] = answer
            self._spool.done(request, answer)
            del self._answers[request.id]
            self._told("spool_request", "info", action=request.action, argument=request.argument, answer=answer)

    def _keep_bounds(self) -> None:
        if self._monotonic() >= self._enforced_s + ENFORCE_S:
            self._enforced_s = self._monotonic()
            self._spool.enforce()

    def _tell_events(self) -> None:
        for event, facts in self._spool.take_events():
            self._told(event, "info" if event == TAKEN_UP else "warning", **facts)

    def _retry(self, what: str) -> str:
        """End the waits that keep a flow log or destination from being tried, of all if ""."""
        keys: set[Hashable] = set()
        everything: list[Unit | Share] = [*self._spool.units(), *self._spool.shares()]
        for one in everything:
            name, flow_log_id = self._outlets.outlet(one.flow_log).name, one.flow_log.id
            if what in ("", name, flow_log_id):
                keys |= {name, (name, flow_log_id)} | ({one.id} if isinstance(one, Unit) else set())
        with self._changed:
            return f"{self._circuits.reset(keys)} waits ended"

    def _plan(self) -> None:
        """Set what waits from what the spool has."""
        now_s = self._monotonic()
        with self._changed:
            # Before the units are read: one that is finished meanwhile must not be taken for one that waits.
            running = {work.unit.id for work in self._schedule.running() if work.unit is not None}
            stopping = self._stopping
        units = [unit for unit in self._spool.units() if unit.id not in running]
        waiting = planner.spans(self._spool.shares())
        self._first_seen_s = {span: self._first_seen_s.get(span, now_s) for span in waiting}
        due = planner.due(
            waiting,
            at_once=lambda flow_log: self._outlets.outlet(flow_log).at_once,
            first_seen_s=self._first_seen_s,
            now_ms=self._now_ms(),
            monotonic_s=now_s,
            stopping=stopping,
        )
        works = [self._work(unit.shares, unit) for unit in units] + [self._work(shares) for shares in due]
        with self._changed:
            self._schedule.replace(works)

    def _work(self, shares: tuple[Share, ...], unit: Unit | None = None) -> Work:
        flow_log = shares[0].flow_log
        return Work(outlet=self._outlets.outlet(flow_log), flow_log=flow_log, shares=shares, unit=unit)

    def _begin_all(self) -> None:
        """Begin whatever may begin now."""
        while True:
            with self._changed:
                work = None if self._over else self._schedule.take(self._monotonic())
            if work is None:
                return
            try:
                unit = work.unit if work.unit is not None else self._spool.assign(work.shares)
            except UnitChanged:
                self.poke()  # what is left of it is planned anew
                continue
            except Error:
                raise  # the spool's, and so everybody's
            except Exception as error:  # a fault of ours, in this work alone
                with self._changed:
                    probes = self._schedule.begin(work)
                self._ended(work, probes, error)
                continue
            work = replace(work, unit=unit)
            with self._changed:
                probes = self._schedule.begin(work)
            thread = threading.Thread(
                target=self._deliver, args=(work, unit, probes), name=f"unit {unit.id}", daemon=True
            )
            try:
                thread.start()
            except RuntimeError as error:  # the system has no thread to give
                self._ended(work, probes, error)
                raise

    # -- the threads of units ---------------------------------------------------------------------------------------

    def _deliver(self, work: Work, unit: Unit, probes: frozenset[Hashable]) -> None:
        failure: Exception | None = None
        try:
            work.outlet.deliver(unit)
        except Exception as error:
            failure = error
        self._ended(work, probes, failure)

    def _ended(self, work: Work, probes: frozenset[Hashable], failure: Exception | None) -> None:
        concerned = {work.flow_log.id}
        with self._changed:
            self._schedule.end(work)
            self._circuits.ended(probes)
            if failure is None:
                news = bool(self._circuits.succeeded(work.keys))
            else:
                key = cause(failure, *work.keys)
                wait_s = failure.retry_after_s if isinstance(failure, DeliveryError) else None
                kind, now_s = type(failure).__name__, self._monotonic()
                news = self._circuits.failed(key, str(failure), now_s, kind=kind, probes=probes, retry_after_s=wait_s)
                if key == work.outlet.name:
                    concerned |= self._schedule.flow_logs_to(work.outlet.name)
                self._replan = True
            self._poked = True
            self._changed.notify_all()
            if self._silent:
                return
        try:
            self._tell(work, failure, concerned, news=news)
        except Exception as error:
            self._tell_fault("delivery_disturbed", error)

    def _tell(self, work: Work, failure: Exception | None, concerned: Iterable[str], *, news: bool) -> None:
        """Tell people that a destination begins to fail or is well again, and note it for each flow log."""
        facts = {"destination": work.outlet.name, "flow_log": work.flow_log.id}
        if failure is None:
            if news:
                self._told("delivery_recovered", "info", **facts)
            return
        if isinstance(failure, UnitChanged):
            return  # something was given up meanwhile, which was told as such
        for flow_log_id in sorted(concerned):
            self._spool.failed(flow_log_id, aws_text(failure), str(failure))
        if not isinstance(failure, Error):
            self._spool.count({"delivery_faults": 1})
            if news:
                self._tell_fault("delivery_fault", failure, **facts)
        elif news:
            self._told("delivery_failed", "error", **facts, reason=str(failure))

    def _tell_fault(self, event: str, error: Exception, **facts: object) -> None:
        trace = "" if isinstance(error, Error) else "".join(traceback.format_exception(error))
        self._told(event, "error", **facts, reason=str(error) or repr(error), **({"traceback": trace} if trace else {}))
