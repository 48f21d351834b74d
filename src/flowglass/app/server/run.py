"""The server's process: state, API, socket, and a graceful end.

Rule: it begins by checking everything that it needs, so that what is wrong is one line before it listens.
"""

from __future__ import annotations

import resource
import signal
import socket
import ssl
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, Literal

import uvicorn
from structlog.stdlib import BoundLogger

from flowglass.app import log, profile, setup
from flowglass.app.config import Config
from flowglass.app.config.rules import is_loopback, split_listen, without_password
from flowglass.app.deliveries import rules
from flowglass.app.metrics import Metrics, MetricsPage, Requests
from flowglass.app.server.http import Application
from flowglass.app.server.protocol import SPARE_CONNECTIONS, BoundedProtocol
from flowglass.control import AuditLog, Service, Services, Store, StoreUnavailable, known_places, overview
from flowglass.deliver import AnyDestinations, LocalDestinations, LocalStore, RealDestinations
from flowglass.fields.errors import DeliveryError, OptionError

AUDIT: Final = "audit"
"""The audit log's folder in DATA."""
GRACE_S: Final = 10
"""How long requests that were begun may take after the end was asked for."""
MOST_CONNECTIONS: Final = 1000
_METRICS_CONNECTIONS: Final = 2 * SPARE_CONNECTIONS
_OTHER_FILES: Final = 200 + _METRICS_CONNECTIONS
"""Open files beside those of connections: databases, the audit log, what operations write."""
_HOME_S: Final = 5.0
_REGION_S: Final = 2.0


def serve(config: Config, *, listening: socket.socket | None = None) -> None:
    """Serve until SIGTERM or SIGINT. `listening`: a socket that listens already, else one is made.

    Raises StateError, ConfigError, OptionError where it cannot begin.
    """
    logger = log.logger("server")
    _check_tls(config)
    setup.first_bucket(config.data_dir)
    store = setup.open_store(config)
    try:
        sock = listening or listen(config.server.host, config.server.port)
        url = setup.server_url(config, sock.getsockname()[1])
        _write_profile(config, store, url, logger)
        audit = AuditLog(config.data_dir / AUDIT)
        requests = Requests()
        service = Service(
            Services(store, destinations(config)),
            home_account=_HomeAccount(config, store),
            record=lambda record: _record(record, audit, requests),
            failed=lambda request_id, error: _tell(logger, request_id, error),
        )
        page = MetricsPage(Metrics(lambda: overview(store), requests))
        with serve_metrics(config, page, logger):
            logger.info("server_started", url=url, state=without_password(config.state_url))
            _run(config, Application(service, store.ready), sock)
        logger.info("server_stopped")
    finally:
        store.close()


def _write_profile(config: Config, store: Store, url: str, logger: BoundLogger) -> None:
    """Write the AWS profile; where nobody knows a Region yet, once more when the first agent's inventory names one."""
    region = config.server.region or setup.inventory_place(config.agent.inventory)[1]
    if region == setup.NO_REGION:
        before = profile.profile(config.data_dir)
        region = _first_region(store) or (before.region if before else region)
    setup.write_profile(config, store, url, region)
    if region == setup.NO_REGION and not config.server.region:
        threading.Thread(target=_await_region, args=(config, store, url, logger), daemon=True).start()


def _tell(logger: BoundLogger, request_id: str, error: BaseException) -> None:
    """One line where the state is away, which says all; the traceback of anything else."""
    more = {} if isinstance(error, StoreUnavailable) else {"exception": _traceback(error)}
    logger.error("request_failed", request_id=request_id, reason=str(error), **more)


def _await_region(config: Config, store: Store, url: str, logger: BoundLogger) -> None:
    while True:
        time.sleep(_REGION_S)
        try:
            region = _first_region(store)
            if region is not None:
                setup.write_profile(config, store, url, region)
                logger.info("profile_written", region=region)
                return
        except (StoreUnavailable, DeliveryError) as error:
            logger.warning("profile_waits", reason=str(error))


def listen(host: str, port: int, option: str = "--listen") -> socket.socket:
    """A socket that listens. Raises OptionError, with the option to change, where the address cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
        sock.listen(2048)
    except OSError as error:
        sock.close()
        raise OptionError(f"{host}:{port}: {error.strerror}; choose another address with {option}") from None
    return sock


def destinations(config: Config) -> AnyDestinations:
    """What flow logs may deliver to, by the configuration."""
    allowed = rules(config)
    local = LocalDestinations(LocalStore(config.data_dir))
    return AnyDestinations(local, RealDestinations(allowed), allowed)


class _HomeAccount:
    """The account of callers whose key is bound to none: configured, else that of the inventory's first VPC."""

    def __init__(self, config: Config, store: Store) -> None:
        self._fixed = config.server.account
        self._store = store
        self._found = setup.NO_ACCOUNT
        self._until = 0.0
        self._lock = threading.Lock()

    def __call__(self) -> str:
        if self._fixed:
            return self._fixed
        with self._lock:
            if time.monotonic() >= self._until:
                places = known_places(self._store)
                if not places:
                    return setup.NO_ACCOUNT  # and look again at the next call: the first inventory is on its way
                self._found = places[0][0]
                self._until = time.monotonic() + _HOME_S
            return self._found


def _record(record: dict[str, Any], audit: AuditLog, requests: Requests) -> None:
    """Write a call down, and count it. Raises OSError where it cannot be written."""
    audit.write(record)
    requests.count(record)


def _run(config: Config, application: Application, sock: socket.socket) -> None:
    server = _uvicorn(config, application, connections=_most_connections(), tls=True, lifespan="on")
    # uvicorn raises the signal that ended it once more, for whoever listened before: that is us, with nothing to add.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: setattr(server, "should_exit", True))
    server.run(sockets=[sock])


@contextmanager
def serve_metrics(config: Config, page: MetricsPage, logger: BoundLogger) -> Iterator[None]:
    """Serve the metrics on an address of their own, meanwhile; the API is served without them where that is taken."""
    if not config.server.metrics:
        yield
        return
    host, port = split_listen(config.server.metrics)
    try:
        sock = listen(host, port, "[server] metrics")
    except OptionError as error:
        logger.warning("metrics_unavailable", reason=str(error))
        yield
        return
    server = _uvicorn(config, page, connections=_METRICS_CONNECTIONS, tls=not is_loopback(host), lifespan="off")
    thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]}, name="metrics", daemon=True)
    thread.start()
    logger.info("metrics_served", address=f"{f'[{host}]' if ':' in host else host}:{sock.getsockname()[1]}")
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(GRACE_S)


def _uvicorn(
    config: Config, application: Any, *, connections: int, tls: bool, lifespan: Literal["on", "off"]
) -> uvicorn.Server:
    """A server of an application, with our limits. `tls`: with the certificate, where one is configured."""
    certificate: dict[str, Any] = {}
    if tls and config.server.tls_certificate:
        certificate = {"ssl_certfile": config.server.tls_certificate, "ssl_keyfile": config.server.tls_key}
    return uvicorn.Server(
        uvicorn.Config(
            application,
            http=BoundedProtocol,
            ws="none",
            lifespan=lifespan,
            access_log=False,
            log_config=None,
            log_level="warning",
            server_header=False,
            proxy_headers=False,  # a caller's word for where it is; the audit log has where the connection is from
            timeout_graceful_shutdown=GRACE_S,
            limit_concurrency=connections,
            **certificate,
        )
    )


def _most_connections() -> int:
    """MOST_CONNECTIONS, or what the limit of open files allows, which is raised as far as it may be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_CONNECTIONS + _OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    most = MOST_CONNECTIONS if soft == resource.RLIM_INFINITY else min(MOST_CONNECTIONS, soft - _OTHER_FILES)
    return max(2 * SPARE_CONNECTIONS, most)


def _check_tls(config: Config) -> None:
    if not config.server.tls_certificate:
        return
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(config.server.tls_certificate, config.server.tls_key)
    except OSError as error:
        files = f"{config.server.tls_certificate}, {config.server.tls_key}"
        raise OptionError(f"[server] tls_certificate, tls_key: {files}: {error.strerror or error}") from None


def _first_region(store: Store) -> str | None:
    places = known_places(store)
    return places[0][1] if places else None


def _traceback(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))
