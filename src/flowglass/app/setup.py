"""The first start of a server: state, administrator's key, AWS profile, the first bucket.

Rule: every step may be done again and changes nothing that is there.
"""

from __future__ import annotations

import secrets
import time
from pathlib import Path
from typing import Final

from flowglass.app import profile, state
from flowglass.app.config import Config
from flowglass.control import Role, Store, keys
from flowglass.deliver import LocalStore
from flowglass.fields.errors import OptionError
from flowglass.inventory import listing

FIRST_BUCKET: Final = "flowglass-logs"
NO_ACCOUNT: Final = "000000000000"
NO_REGION: Final = "local-1"
_EVERY_ADDRESS: Final = ("0.0.0.0", "::")  # noqa: S104, refused without a name


def open_store(config: Config) -> Store:
    """The state, its tables up to date; DATA says where it is from then on. Raises as `open_state`, `note_place`."""
    store = state.open_state(config)
    state.note_place(config)
    return store


def server_url(config: Config, port: int) -> str:
    """How clients reach the server that listens on this port. Raises OptionError where that cannot be known."""
    if config.server.url:
        return config.server.url.rstrip("/")
    if config.server.host in _EVERY_ADDRESS:
        raise OptionError(
            f"[server] url: listening on {config.server.listen}, on every address, it has no name of its own; "
            "set url to how clients reach it"
        )
    return listening_url(config, port)


def listening_url(config: Config, port: int) -> str:
    """How this machine reaches the server that listens on this port, whatever stands before it."""
    scheme = "https" if config.server.tls_certificate else "http"
    host = config.server.host
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def write_profile(config: Config, store: Store, url: str, region: str) -> None:
    """Make the administrator's key if there never was one, and write the AWS profile of this server with it.

    Where a person disabled that key, the profile stays as it is.
    """
    admin = keys.ensure_admin(
        store, now_ms=time.time_ns() // 1_000_000, randomness=secrets.token_bytes(keys.KEY_RANDOM_BYTES)
    )
    if admin is None:
        return
    profile.write(config.data_dir, admin.id, admin.secret, region, url, ca_bundle=config.server.tls_certificate)


def first_bucket(data: Path) -> None:
    """Make the bucket that the examples deliver to."""
    store = LocalStore(data)
    if store.bucket(FIRST_BUCKET) is None:
        store.create_bucket(FIRST_BUCKET, time.time_ns() // 1_000_000)


def enrolment_token(store: Store, name: str) -> str:
    """A one-time token for an agent."""
    key = keys.create(
        store,
        Role.ENROL,
        name=name,
        account=None,
        now_ms=time.time_ns() // 1_000_000,
        randomness=secrets.token_bytes(keys.KEY_RANDOM_BYTES),
    )
    return keys.enrolment_token(key)


def knows_key(store: Store, key_id: str) -> bool:
    """Whether the state has a key of this id, a disabled one too."""
    return any(key.id == key_id for key in keys.list_keys(store))


def inventory_place(file: str) -> tuple[str, str]:
    """Account and Region of the inventory's first VPC; raises InventoryError as `listing`."""
    if file:
        for resource in listing(file, at_ns=time.time_ns()):
            if resource.kind == "vpc":
                return resource.account, resource.region
    return NO_ACCOUNT, NO_REGION
