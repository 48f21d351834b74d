"""Access keys: how they look, what they may do, and how the command line makes and ends them.

Rule: a key's id does not look like AWS's (AKIA…, ASIA…), so that neither is taken for the other; a secret is shown when
it is made and never again. Randomness and the time come from the caller.
"""

from __future__ import annotations

import base64
import re
from typing import Final

from sqlalchemy import Connection

from flowglass.control.call import Caller, Role
from flowglass.control.faults import AuthFailure
from flowglass.control.store import Store, settings
from flowglass.control.store import keys as rows
from flowglass.control.store.keys import KeyRow
from flowglass.fields.errors import OptionError

KEY_RANDOM_BYTES: Final = 40
"""Randomness that a new key needs: 80 bits for its id, 240 for its secret."""

ENROLMENT_MS: Final = 24 * 3600 * 1000
"""How long a token for enrolling an agent may be used."""

ADMINISTRATOR: Final = "administrator"
"""The name of the key that the first start makes."""

_PREFIX: Final = "FGAK"
_FIRST_ADMINISTRATOR: Final = "first-administrator-key"
_READING: Final = ("Describe", "Get")
_AGENT: Final = "agent:"
_REGISTER: Final = "agent:register"
_NAME: Final = re.compile(r"[A-Za-z0-9_+=,.@-]{1,64}")  # IAM's rule for the name of a user, which the audit log shows
_ACCOUNT: Final = re.compile(r"[0-9]{12}")


# What a key is -------------------------------------------------------------------------------------------------


def new_key(role: Role, *, name: str, account: str | None, agent: str | None, now_ms: int, randomness: bytes) -> KeyRow:
    """A new key, not stored yet. `randomness`: at least KEY_RANDOM_BYTES of them, from a source fit for secrets.

    A key of role ENROL lives for ENROLMENT_MS, others have no end. Raises ValueError for too little randomness.
    """
    if len(randomness) < KEY_RANDOM_BYTES:
        raise ValueError(f"a key needs {KEY_RANDOM_BYTES} random bytes, not {len(randomness)}")
    return KeyRow(
        id=_PREFIX + base64.b32encode(randomness[:10]).decode(),
        secret=base64.urlsafe_b64encode(randomness[10:KEY_RANDOM_BYTES]).decode(),
        name=name,
        role=role.value,
        account=account,
        agent=agent,
        created_ms=now_ms,
        expires_ms=now_ms + ENROLMENT_MS if role is Role.ENROL else None,
    )


def enrolment_token(key: KeyRow) -> str:
    """The text by which a person hands a key of role ENROL to an agent: `<key id>.<secret>`."""
    return f"{key.id}.{key.secret}"


def check(key: KeyRow, now_ms: int) -> Caller:
    """Who asks with this key, its signature being right. Raises AuthFailure if it is disabled, expired or used."""
    if key.disabled_ms is not None:
        raise AuthFailure(f"The access key {key.id} is disabled.")
    if key.expires_ms is not None and now_ms >= key.expires_ms:
        raise AuthFailure(f"The access key {key.id} has expired.")
    if key.used_ms is not None:
        raise AuthFailure(f"The enrolment token {key.id} was used already. Make another one: flowglass keys token.")
    return Caller(key_id=key.id, name=key.name, role=Role(key.role), account=key.account, agent=key.agent)


def may(caller: Caller, action: str) -> bool:
    """Whether a caller's role allows an action: AWS's name of one, or `agent:` and the name of an agent's call."""
    match caller.role:
        case Role.ADMIN:
            return True
        case Role.READ_ONLY:
            return reads_only(action)
        case Role.AGENT:
            return action.startswith(_AGENT) and action != _REGISTER
        case Role.ENROL:
            return action == _REGISTER


def reads_only(action: str) -> bool:
    """Whether an action changes nothing, which AWS's names tell, but for one: a template is written into a bucket."""
    return action.startswith(_READING) and action != "GetFlowLogsIntegrationTemplate"


# What the command line does with keys --------------------------------------------------------------------------


def create(store: Store, role: Role, *, name: str, account: str | None, now_ms: int, randomness: bytes) -> KeyRow:
    """Make and store a key of role ADMIN, READ_ONLY or ENROL. Raises OptionError for a bad name or account."""
    if not _NAME.fullmatch(name):
        raise OptionError(f"--name {name!r}: is 1 to 64 letters, digits or any of _+=,.@-")
    if account is not None and not _ACCOUNT.fullmatch(account):
        raise OptionError(f"--account {account!r}: must be 12 digits")
    key = new_key(role, name=name, account=account, agent=None, now_ms=now_ms, randomness=randomness)
    store.write(lambda connection: rows.insert(connection, key))
    return key


def list_keys(store: Store) -> list[KeyRow]:
    """Every key that ever was, oldest first."""
    return store.read(rows.list_all)


def disable(store: Store, key_id: str, *, now_ms: int, force: bool = False) -> None:
    """Disable a key for good.

    Raises OptionError if there is no such key, it is disabled, or it is the last of an administrator who sees every
    account, unless `force`.
    """

    def work(connection: Connection) -> None:
        key = _enabled(connection, key_id)
        if (
            not force
            and _administers(key)
            and not any(_administers(other) and other.id != key_id for other in rows.list_all(connection))
        ):
            raise OptionError(f"{key_id} is the last key of an administrator: make another one first, or use --force")
        rows.disable(connection, key_id, now_ms)

    store.write(work)


def rotate(store: Store, key_id: str, *, now_ms: int, randomness: bytes) -> KeyRow:
    """Make a key with the name, role, account and agent of another, and disable that, both or neither.

    Raises OptionError if there is no such key, or it is disabled.
    """

    def work(connection: Connection) -> KeyRow:
        old = _enabled(connection, key_id)
        new = new_key(
            Role(old.role),
            name=old.name,
            account=old.account,
            agent=old.agent,
            now_ms=now_ms,
            randomness=randomness,
        )
        rows.insert(connection, new)
        rows.disable(connection, key_id, now_ms)
        return new

    return store.write(work)


def ensure_admin(store: Store, *, now_ms: int, randomness: bytes) -> KeyRow | None:
    """The administrator's key: made by the first start of all servers on a state, the same one for all of them.

    After a rotation it is the key that took its place. None if a person disabled it: then none is made again.
    """

    def work(connection: Connection) -> KeyRow | None:
        key = new_key(Role.ADMIN, name=ADMINISTRATOR, account=None, agent=None, now_ms=now_ms, randomness=randomness)
        if settings.put_if_absent(connection, _FIRST_ADMINISTRATOR, key.id) == key.id:
            rows.insert(connection, key)
            return key
        named = [old for old in rows.list_all(connection) if old.name == ADMINISTRATOR and _administers(old)]
        return named[-1] if named else None

    return store.write(work)


def _enabled(connection: Connection, key_id: str) -> KeyRow:
    """A key that is not disabled. Raises OptionError for any other."""
    key = rows.get(connection, key_id)
    if key is None:
        raise OptionError(f"there is no key {key_id}: flowglass keys list shows them")
    if key.disabled_ms is not None:
        raise OptionError(f"the key {key_id} is disabled already: make a new one with flowglass keys create")
    return key


def _administers(key: KeyRow) -> bool:
    """Whether a key is an administrator's of every account, and not disabled."""
    return key.role == Role.ADMIN.value and key.account is None and key.disabled_ms is None
