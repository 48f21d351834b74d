"""Calls of the API a second: ours beside moto's server, with its checks of signatures off and on.

Rule: the same calls to each, in turn, and every answer is counted: a flow log made is in the list afterwards, a list
has what it must have. Ours checks every signature. moto closes each connection after one call and has no pages: where
one is asked for, it gives the whole list.
"""

from __future__ import annotations

import itertools
import os
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from botocore.credentials import Credentials

from bench import api_servers
from bench.api_servers import Server, ids_in
from bench.load import Load, drive
from bench.measure import CommandError

US: Final = "flowglass"
MOTO_OFF: Final = "moto, checks off"
MOTO_ON: Final = "moto, checks on"
AT_ONCE: Final = 250
"""Resources in a call that prepares; one may have 300."""
PAGE: Final = 100
FEW: Final = 1_000
"""Flow logs of an answer beyond which one connection keeps a server busy for long enough."""
CREATE: Final = "create"

Parameters = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured.

    `present`: flow logs that are there already; `vpcs`: resources, which share them evenly; `creates`: calls of a
    measurement of CreateFlowLogs, few, because they add to those present; `seconds`: of a measurement; `connections`:
    at once.
    """

    present: tuple[int, ...]
    vpcs: int
    creates: int
    seconds: float
    connections: tuple[int, ...]
    rounds: int


FULL: Final = Sizes((10, 10_000), vpcs=1_000, creates=400, seconds=1.5, connections=(1, 4, 16), rounds=3)
SHORT: Final = Sizes((10, 120), vpcs=60, creates=20, seconds=0.2, connections=(1, 4), rounds=1)


@dataclass(frozen=True, slots=True)
class Case:
    """A call that is repeated. `flow_logs`: how many are in each answer of ours, and of moto's."""

    name: str
    parameters: Callable[[Server], Parameters]
    flow_logs: tuple[int, int]


class Bench:
    """The calls over servers that run and have `vpcs` and `buckets`; `say` takes progress."""

    def __init__(
        self,
        sizes: Sizes,
        servers: tuple[Server, Server],
        vpcs: Sequence[str],
        buckets: Sequence[str],
        say: Callable[[str], None],
    ) -> None:
        ours, moto = servers
        self._sizes = sizes
        self._servers = {US: ours, MOTO_OFF: moto, MOTO_ON: moto}
        self._vpcs = vpcs
        self._buckets = buckets
        self._say = say

    def run(self) -> dict[str, Any]:
        """Every call with every number of flow logs: by number, call and connections, what each server did."""
        self._verify()
        result: dict[str, Any] = {}
        for present in self._sizes.present:
            self._say(f"API: {present:,} flow logs")
            for name in (US, MOTO_OFF):
                self._fill(name, present)
            result[str(present)] = {
                CREATE: self._measure(CREATE, self._sizes.connections, self._creates),
                **{case.name: self._described(case) for case in self._cases(present)},
            }
        return result

    def _verify(self) -> None:
        """See that signatures are checked where they are said to be, and nowhere else."""
        for name in self._servers:
            server = self._turn(name)
            server.call(describe())
            wrong = replace(server, credentials=Credentials(server.credentials.access_key, "wrong"))
            try:
                wrong.call(describe())
                checks = False
            except CommandError:
                checks = True
            if checks == (name == MOTO_OFF):
                raise CommandError(f"{name}: a wrong signature is {'refused' if checks else 'taken'}")

    def _fill(self, name: str, present: int) -> None:
        """Have exactly that many flow logs, as evenly over the resources as can be."""
        server = self._turn(name)
        server.delete(server.known)
        server.known.clear()
        for bucket in self._buckets[:-1]:
            some = self._vpcs[: present - len(server.known)]
            for first in range(0, len(some), AT_ONCE):
                server.known += ids_in(server.call(create(some[first : first + AT_ONCE], bucket)))
        self._counted(server, present)

    def _cases(self, present: int) -> list[Case]:
        """The calls that only look."""
        of_one = -(-present // len(self._vpcs))
        cases = [
            Case("by id", lambda server: describe(("FlowLogId.1", server.known[present // 2])), (1, 1)),
            Case(
                "by resource",
                lambda _: describe(("Filter.1.Name", "resource-id"), ("Filter.1.Value.1", self._vpcs[0])),
                (of_one, of_one),
            ),
            Case("all", lambda _: describe(), (present, present)),
        ]
        if present > PAGE:
            page = describe(("MaxResults", str(PAGE)))
            cases.append(Case(f"page of {PAGE}", lambda _: page, (PAGE, present)))
        return cases

    def _described(self, case: Case) -> dict[str, Any]:
        """What a call that only looks costs."""

        def once(name: str, connections: int) -> Load:
            server = self._turn(name)
            wanted = case.flow_logs[name != US]

            def check(body: bytes) -> None:
                found = body.count(b"<flowLogId>")
                if found != wanted:
                    raise CommandError(f"{name}: {case.name} has {found} flow logs, not {wanted}")

            same = itertools.repeat(server.signed(case.parameters(server)))
            return drive(server.port, server.pid, same, check, connections=connections, seconds=self._sizes.seconds)

        connections = self._sizes.connections if max(case.flow_logs) <= FEW else self._sizes.connections[:1]
        return self._measure(case.name, connections, once)

    def _creates(self, name: str, connections: int) -> Load:
        """Make flow logs, look whether they are there, and delete them again."""
        server = self._turn(name)
        made: list[str] = []
        requests = [server.signed(create([vpc], self._buckets[-1])) for vpc in self._vpcs[: self._sizes.creates]]
        load = drive(
            server.port,
            server.pid,
            requests,
            lambda body: made.extend(ids_in(body)),
            connections=connections,
            seconds=self._sizes.seconds,
        )
        if len(set(made)) != load.calls:
            raise CommandError(f"{name}: {load.calls} calls made {len(set(made))} flow logs")
        self._counted(server, len(server.known) + len(made))
        server.delete(made)
        return load

    def _turn(self, name: str) -> Server:
        """The server, set to check signatures or not."""
        server = self._servers[name]
        if name != US:
            api_servers.check_signatures(server, on=name == MOTO_ON)
        return server

    def _counted(self, server: Server, wanted: int) -> None:
        found = server.count()
        if found != wanted:
            raise CommandError(f"{server.name} has {found} flow logs, not {wanted}")

    def _measure(
        self, case: str, connections: Sequence[int], once: Callable[[str, int], Load]
    ) -> dict[str, dict[str, Any]]:
        """Rounds of a call on every server in turn, for each number of connections."""
        result: dict[str, dict[str, Any]] = {}
        for number in connections:
            loads: dict[str, list[Load]] = {name: [] for name in self._servers}
            for _ in range(self._sizes.rounds):
                for name, done in loads.items():
                    done.append(once(name, number))
            result[str(number)] = {name: as_json(done) for name, done in loads.items()}
            told = ", ".join(f"{name} {found['rate']:,.0f}" for name, found in result[str(number)].items())
            self._say(f"API: {case}, {number} connections, calls a second: {told}")
        return result


def create(vpcs: Sequence[str], bucket: str) -> Parameters:
    """CreateFlowLogs for some VPCs."""
    return [
        ("Action", "CreateFlowLogs"),
        *((f"ResourceId.{number}", one) for number, one in enumerate(vpcs, 1)),
        ("ResourceType", "VPC"),
        ("TrafficType", "ALL"),
        ("LogDestinationType", "s3"),
        ("LogDestination", f"arn:aws:s3:::{bucket}"),
    ]


def describe(*more: tuple[str, str]) -> Parameters:
    """DescribeFlowLogs."""
    return [("Action", "DescribeFlowLogs"), *more]


def as_json(loads: Sequence[Load]) -> dict[str, Any]:
    """Medians of calls a second and of the server's CPU time for one [us], and all rounds."""
    return {
        "rate": statistics.median(load.rate for load in loads),
        "cpu_us": statistics.median(load.cpu_us for load in loads),
        "rounds": [asdict(load) for load in loads],
    }


def figures(result: dict[str, Any]) -> dict[str, float]:
    """Our calls a second, and beside moto's with its checks off: in times of its rate, and its CPU in times of ours."""
    found: dict[str, float] = {}
    for present, cases in result.items():
        for case, by_connections in cases.items():
            for connections, servers in by_connections.items():
                label = f"API, {int(present):,} flow logs, {case}, {connections} connections"
                ours, moto = servers[US], servers[MOTO_OFF]
                found[f"{label}: calls a second"] = ours["rate"]
                found[f"{label}: times moto's rate"] = ours["rate"] / moto["rate"]
                found[f"{label}: moto, times our CPU"] = moto["cpu_us"] / ours["cpu_us"]
    return found


def run(sizes: Sizes, work: Path, say: Callable[[str], None]) -> dict[str, Any]:
    """Start both servers, measure, and end them; the client has the first processor, the servers the last."""
    processors = sorted(os.sched_getaffinity(0))
    vpc_buckets = -(-max(sizes.present) // sizes.vpcs)
    buckets = [f"flow-logs-{number}" for number in range(vpc_buckets + 1)]
    say("API: starting moto and our server")
    os.sched_setaffinity(0, {processors[0]})
    try:
        with (
            api_servers.moto(work, sizes.vpcs, buckets, processors[-1]) as (moto, vpcs),
            api_servers.flowglass(work, vpcs, buckets, processors[-1]) as ours,
        ):
            return Bench(sizes, (ours, moto), vpcs, buckets, say).run()
    finally:
        os.sched_setaffinity(0, processors)
