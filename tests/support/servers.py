"""A server, an agent, or both, as people run them: processes on a free port, with DATA of their own.

Rule: what a test is told of them it learns from outside: their log, the API, the files.
"""

from __future__ import annotations

import atexit
import functools
import gzip
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final

import botocore.session
from botocore.config import Config as ClientConfig
from tests.support.program import PROGRAM, environment, udp
from tests.support.program import capture as write_capture

STRIPPED: Final = ("AWS_", "FLOWGLASS_", "COLUMNS", "FORCE_COLOR", "TERM")
PATIENCE_S: Final = 90.0
SAMPLES: Final = Path(__file__).resolve().parents[2] / "src" / "flowglass" / "app" / "data"
SAMPLE_CAPTURE: Final = SAMPLES / "sample.pcapng"
SAMPLE_INVENTORY: Final = SAMPLES / "sample-inventory.yaml"
SAMPLE_VPC: Final = "vpc-0a1b2c3d4e5f60718"
SAMPLE_ACCOUNT: Final = "123456789012"
SAMPLE_REGION: Final = "eu-west-1"
WEB, DATABASE = "172.31.22.145", "172.31.38.20"
"""Addresses of two interfaces of the sample inventory."""
SEED_FORMAT: Final = (
    "${version} ${vpc-id} ${subnet-id} ${instance-id} ${interface-id} ${account-id} ${type} ${srcaddr} ${dstaddr} "
    "${srcport} ${dstport} ${pkt-srcaddr} ${pkt-dstaddr} ${protocol} ${bytes} ${packets} ${start} ${end} ${action} "
    "${tcp-flags} ${log-status}"
)
"""The format of the announcement that brought custom formats: 21 fields."""


def clean_environment(**added: str) -> dict[str, str]:
    """This process's environment without what would change how programs of AWS or ours behave."""
    return {name: value for name, value in os.environ.items() if not name.startswith(STRIPPED)} | added


def wait_for(what: str, ready: Callable[[], Any], *, seconds: float = PATIENCE_S) -> Any:
    """What `ready` returns once it is true; fails, saying what was waited for, when the time is over."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found = ready()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"waited {seconds:.0f} s in vain for {what}")


@dataclass(frozen=True, slots=True)
class Key:
    """An access key as the AWS profile or `flowglass keys create` gives it."""

    id: str
    secret: str


@dataclass(slots=True)
class Running:
    """One command of the program that goes on running. `events`: what it logged so far."""

    data: Path
    process: subprocess.Popen[bytes]
    log: Path
    _files: list[IO[bytes]] = field(default_factory=list)

    def events(self, name: str | None = None) -> list[dict[str, Any]]:
        """Events of the log, those of one name if given; lines that are none are of another program."""
        found = []
        for line in self.log.read_text(errors="replace").splitlines():
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if isinstance(event, dict) and name in (None, event.get("event")):
                found.append(event)
        return found

    def event(self, name: str, *, count: int = 1, seconds: float = PATIENCE_S) -> dict[str, Any]:
        """The last event of a name, once there are `count` of them; fails if the process ends before."""

        def ready() -> bool:
            found = len(self.events(name)) >= count
            assert found or self.process.poll() is None, f"ended before {name}:\n{self.log.read_text()}"
            return found

        wait_for(f"event {name}", ready, seconds=seconds)
        return self.events(name)[-1]

    @property
    def url(self) -> str:
        """Where the server listens."""
        return str(self.event("server_started")["url"])

    @property
    def admin(self) -> Key:
        """The administrator's key, as the profile has it."""
        text = (self.data / "aws" / "credentials").read_text().splitlines()
        values = dict(line.split(" = ", 1) for line in text if " = " in line)
        return Key(values["aws_access_key_id"], values["aws_secret_access_key"])

    @property
    def parts(self) -> dict[str, int]:
        """Process ids of what `up` started, by the name of their command."""
        found = {}
        for number in Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split():
            words = Path(f"/proc/{number}/cmdline").read_bytes().split(b"\0")
            if b"flowglass" in words:
                found[words[words.index(b"flowglass") + 1].decode()] = int(number)
        return found

    def client(self, service: str = "ec2", **options: Any) -> Any:
        """A client with the administrator's key."""
        return client(service, self.url, self.admin, **options)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End it and return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(30)
        finally:
            if self.process.poll() is None:
                os.killpg(self.process.pid, signal.SIGKILL)
            for file in self._files:
                file.close()

    def kill(self) -> None:
        """End it as a power cut would."""
        self.stop(signal.SIGKILL)


def start(data: Path, *arguments: str | Path, **environment: str) -> Running:
    """Start `flowglass ARGUMENTS --data-dir DATA`; both outputs go to a file beside DATA."""
    log = data.with_name(f"{data.name}-{arguments[0]}-{time.monotonic_ns()}.log")
    file = log.open("wb")
    process = subprocess.Popen(
        [PROGRAM, *map(str, arguments), "--data-dir", str(data)],
        stdin=subprocess.DEVNULL,
        stdout=file,
        stderr=file,
        env=clean_environment(**environment),
        start_new_session=True,
    )
    atexit.register(process.kill)  # of a test that failed; one that ended and was waited for is not touched
    return Running(data, process, log, [file])


@functools.cache
def _session() -> Any:
    """One for all clients: it reads AWS's model of a service once."""
    return botocore.session.Session()


def client(service: str, url: str, key: Key, *, region: str = SAMPLE_REGION, attempts: int = 1, **config: Any) -> Any:
    """A botocore client (what boto3's clients are) of a server; it does not repeat calls unless told."""
    return _session().create_client(
        service,
        region_name=region,
        endpoint_url=url,
        aws_access_key_id=key.id,
        aws_secret_access_key=key.secret,
        config=ClientConfig(retries={"total_max_attempts": attempts}, **config),
    )


def free_port() -> int:
    """A port that nothing listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def compile_kernels() -> None:
    """Have what records captures compiled, so that no server's agent spends its patience on it."""
    environment()


def run(command: Sequence[object], variables: Mapping[str, str], *, code: int = 0) -> str:
    """Standard output of a program that ends with this exit code; fails with its messages where it does not.

    It has no settings of AWS's programs but `variables`.
    """
    done = subprocess.run(
        [str(word) for word in command],
        capture_output=True,
        text=True,
        check=False,
        env=clean_environment(AWS_EC2_METADATA_DISABLED="true", **variables),
        timeout=PATIENCE_S,
    )
    assert done.returncode == code, f"{command}: exit code {done.returncode}: {done.stderr}"
    return done.stdout if code == 0 else done.stderr


def program(data: Path, *arguments: str | Path, check: bool = True, **environment: str) -> str:
    """Standard output of `flowglass ARGUMENTS` with this DATA; fails with its messages where it fails."""
    done = subprocess.run(
        [PROGRAM, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env=clean_environment(FLOWGLASS_DATA_DIR=str(data), **environment),
    )
    assert not check or done.returncode == 0, f"{arguments}: {done.stderr}"
    return done.stdout


def make_bucket(data: Path, name: str = "flowglass-logs") -> None:
    """What `flowglass buckets create` does, without a process of its own."""
    from flowglass.deliver import LocalStore

    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    LocalStore(data).create_bucket(name, time.time_ns() // 1_000_000)


def make_token(data: Path) -> str:
    """What `flowglass keys token` prints, without a process of its own. `data`: of a server with its state there."""
    from flowglass.app import setup
    from flowglass.control import Store

    store = Store.open(f"sqlite:///{data / 'state.db'}")
    try:
        return setup.enrolment_token(store, "test")
    finally:
        store.close()


def drop(folder: Path, capture: Path, name: str | None = None) -> None:
    """Put a capture into a watched folder, whole at once."""
    unfinished = folder / ".dropped.part"
    unfinished.write_bytes(capture.read_bytes())
    unfinished.replace(folder / (name or capture.name))


def traffic(path: Path, second: float, *, src: str = WEB, dst: str = DATABASE, packets: int = 3) -> Path:
    """A capture of a few packets, so many seconds after `program.START_S`; each second's is another."""
    return write_capture(path, [udp(second + number, 4000 + number, src=src, dst=dst) for number in range(packets)])


def lines(path: Path) -> list[str]:
    """The lines of a text object, the header first."""
    return gzip.decompress(path.read_bytes()).decode().splitlines()


def wait_for_captures(running: Running, name: str, *, count: int = 1) -> dict[str, Any]:
    """The event of a capture's end, once so many of that name were recorded, or known already, and delivered."""

    def ended() -> list[dict[str, Any]]:
        ends = ("capture_recorded", "capture_known")
        found = [event for event in running.events() if event.get("event") in ends and event["file"] == name]
        return found if len(found) >= count else []

    event = dict(wait_for(f"the end of {name}", ended)[-1])
    wait_for_deliveries(running.data)
    return event


def wait_for_deliveries(data: Path) -> None:
    """Wait until nothing is left in the spool."""
    from flowglass.deliver import SpoolView

    def empty() -> bool:
        view = SpoolView.open(data / "spool")
        return not view.shares and not view.units

    wait_for("an empty spool", empty)


def objects(data: Path, bucket: str = "flowglass-logs") -> list[Path]:
    """The bucket's objects, by name."""
    return sorted(path for path in (data / "s3" / bucket).rglob("*") if path.is_file() and ".partial" not in path.parts)
