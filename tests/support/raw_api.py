"""A server with an inventory, called over loopback: by botocore as programs call it, and by hand where it would not.

Rule: every call is noted, so that the audit log can be held against what was really asked.
"""

from __future__ import annotations

import http.client
import json
import re
import secrets
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from botocore import xform_name
from botocore.exceptions import ClientError
from tests.support.servers import SAMPLE_ACCOUNT, SAMPLE_REGION, Key, Running, client, program, start

from flowglass.app.agent.client import Client
from flowglass.app.agent.feed import InventoryFeed
from flowglass.app.agent.identity import Identity, enrol
from flowglass.control import HttpRequest, Role, Store, keys, model, sign
from flowglass.deliver import LocalStore

OTHER_ACCOUNT: Final = "210987654321"
OTHER_REGION: Final = "us-east-1"
BUCKET: Final = "flows"
VPC, VPC_B, VPC_OTHER, VPC_FAR = "vpc-0000000a", "vpc-0000000b", "vpc-0000000c", "vpc-0000000d"
"""Two of the sample's account and Region, one of another account, one of another Region."""
SUBNET, SUBNET_OTHER = "subnet-0000000a", "subnet-0000000c"
ENI, ENI_OTHER = "eni-00000001", "eni-0000f001"
ENIS: Final = tuple(f"eni-{number:08x}" for number in range(1, 302))
"""One more than CreateFlowLogs takes in a call."""
GATEWAY: Final = "nat-0000000a"
ROLE: Final = f"arn:aws:iam::{SAMPLE_ACCOUNT}:role/flow-logs"

_FORM: Final = "application/x-www-form-urlencoded; charset=utf-8"
_INVENTORY: Final = f"""
account: "{SAMPLE_ACCOUNT}"
region: {SAMPLE_REGION}
vpcs:
  - {{id: {VPC}, cidrs: [10.0.0.0/16, "2001:db8:a::/48"]}}
  - {{id: {VPC_B}, cidrs: [10.1.0.0/16]}}
  - {{id: {VPC_OTHER}, cidrs: [10.2.0.0/16], account: "{OTHER_ACCOUNT}"}}
  - {{id: {VPC_FAR}, cidrs: [10.3.0.0/16], region: {OTHER_REGION}}}
route_tables:
  - {{id: rtb-0000000a, routes: [{{to: 0.0.0.0/0, via: igw-1}}]}}
subnets:
  - {{id: {SUBNET}, vpc: {VPC}, cidr: 10.0.0.0/20, zone: euw1-az1, route_table: rtb-0000000a}}
  - {{id: {SUBNET_OTHER}, vpc: {VPC_OTHER}, cidr: 10.2.0.0/20, zone: euw1-az2}}
regional_nat_gateways:
  - {{id: {GATEWAY}, vpc: {VPC}, ipv4: [198.51.100.7]}}
interfaces:
  - {{id: {ENI_OTHER}, subnet: {SUBNET_OTHER}, ipv4: [10.2.0.10]}}
"""


@dataclass(frozen=True, slots=True)
class Refusal:
    """How a call was refused."""

    code: str
    status: int
    message: str


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer as it came over the wire."""

    status: int
    headers: dict[str, str]
    text: str

    def first(self, element: str) -> str | None:
        """The text of the first XML element of a name, None where there is none."""
        found = re.search(rf"<{element}>([^<]*)</{element}>", self.text)
        return found[1] if found else None

    @property
    def refusal(self) -> Refusal:
        """The fault in it."""
        code, message = self.first("Code"), self.first("Message")
        assert None not in (code, message), self.text
        return Refusal(str(code), self.status, str(message))


@dataclass(slots=True)
class Site:
    """A running server. `agents`: those that told it an inventory; `calls`: (action, fault's code, key id) of each.

    `hidden`: secrets and signatures, which no log may have; `state`: URL of a database that is not its own file.
    """

    running: Running
    state: str = ""
    agents: list[Identity] = field(default_factory=list)
    calls: list[tuple[str, str | None, str]] = field(default_factory=list)
    hidden: set[str] = field(default_factory=set)
    _clients: dict[tuple[str, ...], Any] = field(default_factory=dict)

    @property
    def data(self) -> Path:
        """The server's DATA."""
        return self.running.data

    @property
    def buckets(self) -> LocalStore:
        """Its local store."""
        return LocalStore(self.data)

    def api(self, key: Key | None = None, region: str = SAMPLE_REGION) -> Api:
        """Its API as the holder of a key sees it, the administrator by default."""
        return Api(self, key or self.running.admin, region)

    def agent(self, number: int = 0) -> Client:
        """The server as one of its agents reaches it."""
        return Client(self.running.url, self.agents[number].key)

    def restart(self, *, killed: bool = False) -> None:
        """Stop the server, or kill it, and start it again on its DATA and database."""
        if killed:
            self.running.kill()
        else:
            self.running.stop()
        self.running = _start(self.data, self.state)
        _ = self.running.url

    def program(self, *arguments: str) -> Any:
        """What a command of the program, run on DATA and database with --json, prints."""
        environment = {"FLOWGLASS_SERVER_STATE": self.state} if self.state else {}
        return json.loads(program(self.data, *arguments, "--json", check=True, **environment))

    def enrol(self, inventory: Path) -> Identity:
        """Make an agent that has an inventory file, and have it tell the server."""
        store = Store.open(self.state or f"sqlite:///{self.data / 'state.db'}")
        drawn = secrets.token_bytes(keys.KEY_RANDOM_BYTES)
        key = keys.create(store, Role.ENROL, name="rack", account=None, now_ms=_now_ms(), randomness=drawn)
        store.close()
        home = self.data.with_name(f"{self.data.name}-agent-{len(self.agents)}")
        home.mkdir()
        identity = enrol(home, self.running.url, keys.enrolment_token(key), "rack")
        self.agents.append(identity)
        self.hidden |= {key.secret, identity.secret}
        feed = InventoryFeed(str(inventory), told=print)
        feed.refresh()
        feed.send(Client(self.running.url, identity.key))
        return identity

    def client(self, service: str, key: Key, region: str, *, validates: bool) -> Any:
        """A client of botocore, made once. `validates`: it checks parameters itself, as clients do by default."""
        named = (self.running.url, service, key.id, region, str(validates))
        if named not in self._clients:
            made = client(
                service,
                self.running.url,
                key,
                region=region,
                parameter_validation=validates,
                max_pool_connections=32,
            )
            made.meta.events.register("before-send", self._note_signature)
            self.hidden.add(key.secret)
            self._clients[named] = made
        return self._clients[named]

    def _note_signature(self, request: Any, **_: Any) -> None:
        header = request.headers["Authorization"]
        text = header.decode() if isinstance(header, bytes) else str(header)
        self.hidden.add(text.rpartition("Signature=")[2])

    def files(self) -> dict[str, bytes]:
        """What there is of destinations: buckets with their policies, objects, log groups, streams."""
        kinds = (self.data / kind for kind in ("buckets", "s3", "logs", "firehose"))
        paths = (path for kind in kinds for path in kind.rglob("*") if path.is_file())
        return {str(path.relative_to(self.data)): path.read_bytes() for path in paths}

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        """Fails if what happens within makes, changes or deletes a flow log, a tag or anything of a destination."""
        api = self.api()
        before = api.ask("DescribeFlowLogs"), self.files()
        yield
        assert (api.ask("DescribeFlowLogs"), self.files()) == before

    def audited(self) -> list[dict[str, Any]]:
        """The audit log, without what agents asked."""
        lines = [line for path in sorted((self.data / "audit").iterdir()) for line in path.read_text().splitlines()]
        records = [json.loads(line) for line in lines]
        return [record for record in records if record["eventSource"] != "agent.flowglass"]

    def check_audit(self) -> None:
        """Fails unless every call, and nothing else, has its line, and no line has a secret or a signature."""
        found = Counter(
            (record["eventName"], _code(record), record["userIdentity"].get("accessKeyId")) for record in self.audited()
        )
        asked = Counter(self.calls)
        assert asked
        assert (asked - found, found - asked) == (Counter(), Counter()), "calls without a line, lines without a call"
        text = "".join(path.read_text() for path in (self.data / "audit").iterdir())
        assert not [one for one in self.hidden if one in text]


def _code(record: dict[str, Any]) -> str | None:
    code: str | None = record.get("errorCode")
    return code and code.removeprefix("Client.").removeprefix("Server.")


@dataclass(frozen=True, slots=True)
class Api:
    """The API of a site as the holder of one key calls it in one Region."""

    site: Site
    key: Key
    region: str

    def ask(self, action: str, **parameters: Any) -> dict[str, Any]:
        """The answer's members. Raises ClientError where it is refused."""
        return self._ask(action, parameters, validates=True)

    def refusal(self, action: str, **parameters: Any) -> Refusal:
        """The refusal of a call that must be refused; botocore sends whatever it is given."""
        try:
            answer = self._ask(action, parameters, validates=False)
        except ClientError as error:
            return _refusal(error)
        raise AssertionError(f"{action} was not refused: {answer}")

    def create(self, *resource_ids: str, **parameters: Any) -> dict[str, Any]:
        """CreateFlowLogs of a VPC to the bucket, as far as the parameters say nothing else."""
        return self.ask("CreateFlowLogs", **wanted(*resource_ids, **parameters))

    def refused(self, *resource_ids: str, **parameters: Any) -> Refusal:
        """The refusal of the same."""
        return self.refusal("CreateFlowLogs", **wanted(*resource_ids, **parameters))

    def described(self, **parameters: Any) -> list[dict[str, Any]]:
        """The flow logs of DescribeFlowLogs."""
        flow_logs: list[dict[str, Any]] = self.ask("DescribeFlowLogs", **parameters)["FlowLogs"]
        return flow_logs

    def clear(self) -> None:
        """Delete every flow log."""
        ids = [one["FlowLogId"] for one in self.described()]
        for first in range(0, len(ids), 1000):
            assert self.ask("DeleteFlowLogs", FlowLogIds=ids[first : first + 1000]) == {"Unsuccessful": []}

    def raw(
        self,
        action: str,
        *pairs: tuple[str, str],
        version: str | None = "2016-11-15",
        secret: str | None = None,
        method: str = "POST",
        now_ms: int | None = None,
    ) -> Reply:
        """The answer to a form written by hand. `secret`: to sign with in place of the key's; `now_ms`: to date it."""
        head = [("Action", action), *([("Version", version)] if version is not None else [])]
        form = urlencode([*head, *pairs]).encode()
        parts = urlsplit(self.site.running.url)
        headers = (("Host", parts.netloc), *((("Content-Type", _FORM),) if method == "POST" else ()))
        query, body = (b"", form) if method == "POST" else (form, b"")
        added = sign(
            HttpRequest(method=method, path=b"/", query=query, headers=headers, body=body),
            key_id=self.key.id,
            secret=secret or self.key.secret,
            region=self.region,
            service="ec2",
            now_ms=now_ms or _now_ms(),
        )
        self.site.hidden |= {self.key.secret, dict(added)["Authorization"].rpartition("Signature=")[2]}
        connection = http.client.HTTPConnection(parts.netloc, timeout=30)
        try:
            connection.request(method, f"/?{query.decode()}" if query else "/", body or None, dict((*headers, *added)))
            answer = connection.getresponse()
            reply = Reply(answer.status, dict(answer.getheaders()), answer.read().decode())
        finally:
            connection.close()
        self._note(action, None if reply.status == 200 else reply.refusal.code)
        return reply

    def _ask(self, action: str, parameters: dict[str, Any], *, validates: bool) -> dict[str, Any]:
        service = model.service_of(action) or "ec2"
        caller = self.site.client(service, self.key, self.region, validates=validates)
        try:
            answer: dict[str, Any] = getattr(caller, xform_name(action))(**parameters)
        except ClientError as error:
            self._note(action, error.response["Error"]["Code"])
            raise
        self._note(action, None)
        return {name: value for name, value in answer.items() if name != "ResponseMetadata"}

    def _note(self, action: str, code: str | None) -> None:
        self.site.calls.append((action, code, self.key.id))


def _refusal(error: ClientError) -> Refusal:
    told = error.response["Error"]
    return Refusal(told["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"], told["Message"])


def refused(api: Api, **parameters: Any) -> Refusal:
    """The refusal of CreateFlowLogs; fails where anything is left behind: a flow log, a file, the client token."""
    token = parameters.get("ClientToken") or f"refused-{secrets.token_hex(8)}"
    with api.site.unchanged():
        refusal = api.refused(**{"ClientToken": token, **parameters})
    free = {"ResourceType": "RegionalNatGateway", "ClientToken": token, "DryRun": True}
    if len(token) <= 64 and token.isascii():
        assert api.refused(GATEWAY, **free).code == "DryRunOperation", "the token of a refused call is free"
    return refusal


def check(refusal: Refusal, code: str, pattern: str, status: int = 400) -> None:
    """Fails unless it is refused so, with a message in which the pattern is found."""
    assert (refusal.code, refusal.status) == (code, status), refusal
    assert re.search(pattern, refusal.message), refusal.message


def wanted(*resource_ids: str, **parameters: Any) -> dict[str, Any]:
    """Parameters of CreateFlowLogs: a VPC to the bucket, changed by what is given; None takes one away."""
    whole = {
        "ResourceIds": list(resource_ids or (VPC,)),
        "ResourceType": "VPC",
        "TrafficType": "ALL",
        "LogDestinationType": "s3",
        "LogDestination": f"arn:aws:s3:::{BUCKET}",
    } | parameters
    return {name: value for name, value in whole.items() if value is not None}


def to_group(name: str | None = "group", **parameters: Any) -> dict[str, Any]:
    """What changes in it where a log group is the destination."""
    place = {"LogDestinationType": None, "LogDestination": None, "LogGroupName": name}
    return {**place, "DeliverLogsPermissionArn": ROLE, **parameters}


def to_stream(name: str = "flows", account: str = SAMPLE_ACCOUNT, **parameters: Any) -> dict[str, Any]:
    """What changes in it where a delivery stream is the destination."""
    arn = f"arn:aws:firehose:{SAMPLE_REGION}:{account}:deliverystream/{name}"
    return {"LogDestinationType": "kinesis-data-firehose", "LogDestination": arn, **parameters}


def tagged(*tags: tuple[str, str], kind: str = "vpc-flow-log") -> dict[str, Any]:
    """A tag specification."""
    return {"ResourceType": kind, "Tags": [{"Key": key, "Value": value} for key, value in tags]}


def write_inventory(path: Path) -> Path:
    """Write an inventory of two accounts and two Regions, with 301 interfaces in one subnet."""
    rows = (
        f"  - {{id: {eni}, subnet: {SUBNET}, ipv4: [10.0.{number // 200}.{10 + number % 200}]}}\n"
        for number, eni in enumerate(ENIS)
    )
    path.write_text(_INVENTORY.lstrip() + "".join(rows))
    return path


def open_site(folder: Path, *, inventories: Sequence[Path] = (), state: str = "") -> Site:
    """Start a server on a new DATA in a folder: an agent for each inventory, by default one; a bucket.

    `state`: URL of its database where it is not its own file.
    """
    site = open_bare_site(folder / "data", state=state)
    try:
        for inventory in inventories or [write_inventory(folder / "inventory.yaml")]:
            site.enrol(inventory)
    except BaseException:
        site.running.kill()
        raise
    return site


def open_bare_site(data: Path, *, state: str = "") -> Site:
    """The same without an agent."""
    site = Site(_start(data, state), state)
    _ = site.running.url  # it listens, so DATA is there
    site.buckets.create_bucket(BUCKET, _now_ms())
    return site


def _start(data: Path, state: str) -> Running:
    environment = {"FLOWGLASS_SERVER_STATE": state} if state else {}
    return start(data, "server", "--listen", "127.0.0.1:0", **environment)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
