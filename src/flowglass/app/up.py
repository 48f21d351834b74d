"""`flowglass up`: server and agent as two processes of one machine, watched over.

Rule: this process holds the listening socket, so a server that is started again finds its callers waiting; a part that
ends by itself is started again, later each time.
"""

from __future__ import annotations

import os
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from flowglass.app import log, part, setup
from flowglass.app.agent.identity import forget_identity, read_identity
from flowglass.app.config import Config
from flowglass.app.stop import Stop
from flowglass.fields.errors import Error

STOP_S: Final = 20.0
"""How long a part may take to end before it is killed."""
_TICK_S: Final = 0.2
_LONGEST_PAUSE_S: Final = 30.0
_STEADY_S: Final = 60.0
"""A part that ran so long is started again soon, and has shown that it can begin."""


@dataclass(slots=True)
class Part:
    """One process: how it is started, and whether it runs. `starts`: how often it was started."""

    name: str
    arguments: Sequence[str]
    environment: Mapping[str, str]
    pass_fds: tuple[int, ...] = ()
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    starts: int = 0
    pause_s: float = 0.5
    not_before: float = field(default=0.0)

    def start(self) -> None:
        """Start it."""
        self.started = time.monotonic()
        self.starts += 1
        self.process = subprocess.Popen(  # noqa: S603 (our own program)
            [sys.executable, "-m", "flowglass", *self.arguments],
            env={**os.environ, **self.environment, part.PARENT: str(os.getpid())},
            pass_fds=self.pass_fds,
            start_new_session=True,  # Ctrl-C reaches this process alone, which ends the parts in order
        )

    def ended(self) -> int | None:
        """Its exit code, None while it runs or was not started."""
        return None if self.process is None else self.process.poll()


class Supervisor:
    """Starts the parts in order, starts again what ends, and ends them in reverse order."""

    def __init__(
        self,
        config: Config,
        sock: socket.socket,
        arguments: Sequence[str],
        agent_arguments: Sequence[str],
        token: str | None,
        stop: Stop,
    ) -> None:
        port = sock.getsockname()[1]
        self.url = setup.server_url(config, port)
        self._listening_url = setup.listening_url(config, port)
        self._stop = stop
        self._log = log.logger("up")
        # Without TLS of its own the server may stand behind a proxy, which the agent beside it does not need.
        tls = config.server.tls_certificate
        agent_environment = {"FLOWGLASS_AGENT_SERVER": self.url if tls else self._listening_url}
        server_environment = {part.LISTENING: str(sock.fileno())}
        if config.agent.inventory:  # the server names its Region in the profile that it writes
            server_environment["FLOWGLASS_AGENT_INVENTORY"] = config.agent.inventory
        if tls and not config.agent.tls_ca:
            agent_environment["FLOWGLASS_AGENT_TLS_CA"] = tls
        if not config.capture.watch:
            agent_environment["FLOWGLASS_CAPTURE_WATCH"] = str(config.data_dir / "captures")
        if token is not None:
            agent_environment["FLOWGLASS_AGENT_TOKEN"] = token
        self._server = Part("server", ["server", *arguments], server_environment, (sock.fileno(),))
        self._agent = Part("agent", ["agent", *arguments, *agent_arguments], agent_environment)
        self._parts = [self._server, self._agent]

    def start(self) -> None:
        """Start both parts; the server answers when this returns. Raises Error where a part cannot begin."""
        self._server.start()
        while not self._stop.is_set() and not _answers(self._listening_url):
            self._refuse_ended(self._server)
            self._stop.wait(0.05)
        if not self._stop.is_set():
            self._agent.start()

    def watch(self) -> None:
        """Watch over the parts until the end is asked for. Raises Error where a part cannot begin."""
        while not self._stop.wait(_TICK_S):
            self._tend()

    def wait(self, ready: Callable[[], bool], *, seconds: float) -> bool:
        """Watch until `ready` says so, the end is asked for, or the time is over; whether it was. Raises as `watch`."""
        until = time.monotonic() + seconds
        while not self._stop.wait(_TICK_S) and time.monotonic() < until:
            self._tend()
            if ready():
                return True
        return False

    def end(self) -> None:
        """End the parts, the agent first: it may be talking to the server."""
        for one in reversed(self._parts):
            process = one.process
            if process is None or process.poll() is not None:
                continue
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self._log.error("part_killed", part=one.name, after_s=STOP_S)
                process.kill()
                process.wait()

    def _tend(self) -> None:
        """Start again what ended, after a pause."""
        now = time.monotonic()
        for one in self._parts:
            code = one.ended()
            if code is not None:
                steady = now - one.started > _STEADY_S
                if one.starts == 1 and code > 0 and not steady:
                    self._refuse_ended(one)  # it could not begin: starting it again would change nothing
                one.pause_s = 0.5 if steady else min(one.pause_s * 2, _LONGEST_PAUSE_S)
                one.not_before = now + one.pause_s
                one.process = None
                self._log.error("part_ended", part=one.name, exit_code=code, again_in_s=one.pause_s)
            elif one.process is None and now >= one.not_before:
                one.start()

    def _refuse_ended(self, one: Part) -> None:
        code = one.ended()
        if code is not None:
            raise Error(f"the {one.name} ended with exit code {code}; see its message above")


def prepare(config: Config) -> str | None:
    """Everything before the parts start: the state, and the agent's token if it is not enrolled."""
    store = setup.open_store(config)
    try:
        identity = read_identity(config.data_dir)
        if identity is not None and not setup.knows_key(store, identity.key_id):
            forget_identity(config.data_dir)  # the state is another one since
            identity = None
        return None if identity or config.agent.token else setup.enrolment_token(store, "up")
    finally:
        store.close()


def _answers(url: str) -> bool:
    """Whether the server is ready. Only its liveness is asked, so its certificate does not matter."""
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}),
        urllib.request.HTTPSHandler(context=ssl._create_unverified_context()),  # noqa: S323, as above
    )
    try:
        with opener.open(f"{url}/ready", timeout=2) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False
