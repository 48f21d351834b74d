"""The servers that answer calls of the API side by side: ours, and moto's with its checks off and on.

Rule: each is a process of its own on one processor, with the same VPCs and buckets; both get the same calls, signed by
botocore for the key that the server knows.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from socket import create_server
from typing import Any, Final
from urllib.parse import urlencode

import botocore.session
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials

from bench import load
from bench.measure import CommandError
from flowglass.control import Store
from flowglass.control.store import agents, resources
from flowglass.control.store.agents import AgentRow
from flowglass.control.store.resources import ResourceRow
from flowglass.deliver import LocalStore

REGION: Final = "us-east-1"
ACCOUNT: Final = "123456789012"
"""moto's account."""
START_S: Final = 60.0
AT_ONCE: Final = 1000
"""Flow logs that one call deletes."""
_ID: Final = re.compile(rb"<(?:flowLogId|item)>(fl-[0-9a-f]+)<")
_ADMINISTRATOR: Final = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}


@dataclass(slots=True)
class Server:
    """A server that runs. `known`: ids of the flow logs that it has, in the order of creation."""

    name: str
    port: int
    pid: int
    credentials: Credentials
    known: list[str]

    def signed(self, parameters: Sequence[tuple[str, str]]) -> bytes:
        """A call as bytes; its signature is good for five minutes."""
        body = urlencode([*parameters, ("Version", "2016-11-15")])
        request = AWSRequest(
            method="POST",
            url=f"http://127.0.0.1:{self.port}/",
            data=body,
            headers={
                "Host": f"127.0.0.1:{self.port}",
                "Content-Type": "application/x-www-form-urlencoded; charset=utf-8",
                "User-Agent": "flowglass-bench",
            },
        )
        SigV4Auth(self.credentials, "ec2", REGION).add_auth(request)
        headers = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
        return f"POST / HTTP/1.1\r\n{headers}Content-Length: {len(body)}\r\n\r\n{body}".encode()

    def call(self, parameters: Sequence[tuple[str, str]]) -> bytes:
        """The body of the answer to one call. Raises CommandError where it is refused."""
        return load.call(self.port, self.signed(parameters))

    def delete(self, ids: Sequence[str]) -> None:
        """Delete flow logs."""
        for first in range(0, len(ids), AT_ONCE):
            some = enumerate(ids[first : first + AT_ONCE], 1)
            self.call([("Action", "DeleteFlowLogs"), *((f"FlowLogId.{number}", one) for number, one in some)])

    def count(self) -> int:
        """How many flow logs there are."""
        return len(ids_in(self.call([("Action", "DescribeFlowLogs")])))


def ids_in(body: bytes) -> list[str]:
    """The flow logs that an answer names."""
    return [found.decode() for found in _ID.findall(body)]


@contextmanager
def moto(work: Path, vpcs: int, buckets: Iterable[str], cpu: int) -> Iterator[tuple[Server, list[str]]]:
    """Moto's server with that many VPCs, whose ids it draws, and these buckets; and the ids."""
    program = shutil.which("moto_server", path=str(Path(sys.executable).parent))
    if program is None:
        raise CommandError("there is no moto_server beside this Python; make install")
    port = _free_port()
    with _running([program, "-p", str(port)], work / "moto.log", cpu, {"MOTO_ACCOUNT_ID": ACCOUNT}) as process:
        _await(f"http://127.0.0.1:{port}/moto-api/", process, work / "moto.log")
        iam, ec2, s3 = (_client(service, port) for service in ("iam", "ec2", "s3"))
        iam.create_user(UserName="bench")
        iam.put_user_policy(UserName="bench", PolicyName="all", PolicyDocument=json.dumps(_ADMINISTRATOR))
        key = iam.create_access_key(UserName="bench")["AccessKey"]
        ids = [ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"] for _ in range(vpcs)]
        for bucket in buckets:
            s3.create_bucket(Bucket=bucket)
        yield Server("moto", port, process.pid, Credentials(key["AccessKeyId"], key["SecretAccessKey"]), []), ids


def check_signatures(server: Server, *, on: bool) -> None:
    """Have moto check signatures and policies from the next call on, or no more."""
    url = f"http://127.0.0.1:{server.port}/moto-api/reset-auth"
    # A number of calls that are let through; as text, because moto does not see the body of a form.
    request = urllib.request.Request(url, b"0" if on else b"inf", {"Content-Type": "text/plain"})
    urllib.request.urlopen(request, timeout=START_S).close()  # noqa: S310 (loopback)


@contextmanager
def flowglass(work: Path, vpcs: Iterable[str], buckets: Iterable[str], cpu: int) -> Iterator[Server]:
    """Our server with these VPCs, as an agent would have sent them, and these buckets."""
    data, log = work / "api-data", work / "server.log"
    shutil.rmtree(data, ignore_errors=True)
    data.mkdir(0o700, parents=True)
    _furnish(data, vpcs, buckets)
    program = str(Path(sys.executable).with_name("flowglass"))
    port = _free_port()
    command = [program, "server", "--data-dir", str(data), "--listen", f"127.0.0.1:{port}"]
    with _running(command, log, cpu, {}) as process:
        _await(f"http://127.0.0.1:{port}/ready", process, log)
        lines = (data / "aws" / "credentials").read_text().splitlines()
        values = dict(line.split(" = ", 1) for line in lines if " = " in line)
        key = Credentials(values["aws_access_key_id"], values["aws_secret_access_key"])
        yield Server("flowglass", port, process.pid, key, [])


def _furnish(data: Path, vpcs: Iterable[str], buckets: Iterable[str]) -> None:
    now_ms = time.time_ns() // 1_000_000
    rows = [ResourceRow("vpc", one, ACCOUNT, REGION, one, {"id": one, "cidrs": ["10.0.0.0/16"]}) for one in vpcs]
    agent = AgentRow("agent-bench", "bench", "0", now_ms, now_ms, None, {})
    store = Store.open(f"sqlite:///{data / 'state.db'}")
    try:
        store.write(lambda connection: agents.insert(connection, agent))
        store.write(lambda connection: resources.replace(connection, agent.id, rows, "digest"))
    finally:
        store.close()
    for bucket in buckets:
        LocalStore(data).create_bucket(bucket, now_ms)


@contextmanager
def _running(command: Sequence[str], log: Path, cpu: int, env: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """A process on one processor, which its threads stay on; it is ended when this is left."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "FLOWGLASS_"))}
    here = os.sched_getaffinity(0)
    with log.open("wb") as output:
        os.sched_setaffinity(0, {cpu})
        try:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env={**inherited, **env}
            )
        finally:
            os.sched_setaffinity(0, here)
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _await(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + START_S
    while time.monotonic() < until and process.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=START_S).close()  # noqa: S310 (loopback)
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise CommandError(f"the server of {log.stem} did not start; see {log}")


def _free_port() -> int:
    with create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


def _client(service: str, port: int) -> Any:
    return botocore.session.Session().create_client(
        service,
        region_name=REGION,
        endpoint_url=f"http://127.0.0.1:{port}",
        aws_access_key_id="setup",
        aws_secret_access_key="setup",  # noqa: S106 (checks are off)
        config=Config(retries={"total_max_attempts": 1}),
    )
