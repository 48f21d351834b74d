"""A server under attack, and what must be true of it whatever is sent.

Rule: seen from outside only: the rows of its database, its audit log, its log, its memory, its answers.
"""

from __future__ import annotations

import contextlib
import json
import re
import secrets
import sqlite3
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from tests.support.raw_http import Reply, agent_call, ask, form, plain, signed
from tests.support.servers import SAMPLE_ACCOUNT, SAMPLE_REGION, Key, Running, start

from flowglass.control import Role, Store, keys
from flowglass.deliver import LocalStore

SOON_S: Final = 1.0
"""How soon a good request is answered, whatever else goes on."""
MOST_GROWTH_KB: Final = 100 * 1024
VPC: Final = "vpc-0a0a0a0a"
_ATTEMPTS: Final = 3
"""One of these must be answered soon: the machine may be busy with other things."""


def started(data: Path, **environment: str) -> Running:
    """A server with a bucket `logs` and an agent whose inventory is one VPC."""
    data.mkdir(mode=0o700)
    LocalStore(data).create_bucket("logs", 0)
    server = start(data, "server", "--listen", "127.0.0.1:0", **environment)
    agent = enrolled(server, new_key(data, Role.ENROL))
    tell = {"digest": "d", "put": [resource(VPC)]}
    assert ask(server.url, agent_call(server.url, agent, "inventory", json.dumps(tell).encode())).status == 200
    assert good(server).status == 200
    return server


def resource(name: str, kind: str = "vpc", account: str = SAMPLE_ACCOUNT, **document: Any) -> dict[str, Any]:
    """A resource as agents send it."""
    known = document or {"cidrs": ["10.0.0.0/16"]}
    return {"kind": kind, "id": name, "account": account, "region": SAMPLE_REGION, "vpc": VPC, "document": known}


def new_key(data: Path, role: Role, account: str | None = None) -> Key:
    """A key of the state in DATA, made while the server runs, as the command line does."""
    store = Store.open(f"sqlite:///{data / 'state.db'}")
    try:
        made = keys.create(
            store,
            role,
            name="tested",
            account=account,
            now_ms=time.time_ns() // 1_000_000,
            randomness=secrets.token_bytes(keys.KEY_RANDOM_BYTES),
        )
    finally:
        store.close()
    return Key(made.id, made.secret)


def enrolled(server: Running, token: Key) -> Key:
    """The key of a new agent."""
    reply = ask(server.url, agent_call(server.url, token, "register", b'{"name":"a","version":"1"}'))
    assert reply.status == 200, reply
    answer = json.loads(reply.body)
    return Key(answer["key_id"], answer["secret"])


def good(server: Running) -> Reply:
    """The answer to a request that nothing is wrong with."""
    return ask(server.url, signed(plain(server.url, form("DescribeVpcs")), server.admin))


def answers_soon(server: Running) -> bool:
    """Whether a good request is answered soon."""
    for _ in range(_ATTEMPTS):
        began = time.monotonic()
        if good(server).status == 200 and time.monotonic() - began < SOON_S:
            return True
    return False


def rows(data: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Everything that is stored, by table."""
    with contextlib.closing(sqlite3.connect(f"file:{data / 'state.db'}?mode=ro", uri=True)) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: sorted(connection.execute(f"SELECT * FROM {name}"), key=repr) for name in tables}  # noqa: S608


def audit(data: Path) -> list[dict[str, Any]]:
    """The audit log's records, oldest first."""
    files = sorted((data / "audit").glob("*.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def memory_kb(server: Running) -> int:
    """The resident memory of the server's process."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1])


def connections(server: Running) -> int:
    """How many sockets the server's process has open."""
    links = Path(f"/proc/{server.process.pid}/fd").iterdir()
    return sum(_is_socket(link) for link in links)


def _is_socket(link: Path) -> bool:
    try:
        return str(link.readlink()).startswith("socket:")
    except FileNotFoundError:  # closed since it was listed
        return False


def is_held(port: int) -> bool:
    """Whether a process has the connection open whose other end is at this port of this machine."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return any(line[2].endswith(f":{port:04X}") and line[9] != "0" for line in lines)


@contextlib.contextmanager
def unharmed(server: Running) -> Iterator[None]:
    """Whatever is sent in here: nothing is stored, no more memory held, nothing failed, and good requests go on."""
    before, size = rows(server.data), memory_kb(server)
    yield
    assert answers_soon(server)
    assert rows(server.data) == before
    assert memory_kb(server) - size < MOST_GROWTH_KB
    assert server.events("request_failed") == []
    assert "Traceback" not in server.log.read_text()


@contextlib.contextmanager
def audited(server: Running, codes: Sequence[str]) -> Iterator[None]:
    """The requests in here leave one record each in the audit log, in any order, with these codes; "" for none."""
    before = len(audit(server.data))
    yield
    found = [record.get("errorCode", "").removeprefix("Client.") for record in audit(server.data)[before:]]
    assert sorted(found) == sorted(codes)


def untold(server: Running, *hidden: str) -> bool:
    """Whether no text of `hidden` stands in the log or the audit log."""
    told = server.log.read_text() + "".join(file.read_text() for file in (server.data / "audit").iterdir())
    return not any(text in told for text in hidden)
