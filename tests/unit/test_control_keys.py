"""How keys are made, what each role may do, and what the command line does with them, on both databases."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import pytest

from flowglass.control import keys
from flowglass.control.call import Caller, Role
from flowglass.control.faults import AuthFailure
from flowglass.control.store import Store
from flowglass.control.store import keys as rows
from flowglass.control.store.keys import KeyRow
from flowglass.fields.errors import OptionError

NOW_MS: Final = 1_795_000_000_000
DAY_MS: Final = 86_400_000


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    opened = Store.open(store_url)
    yield opened
    opened.close()


def _new(role: Role = Role.ADMIN, *, account: str | None = None, agent: str | None = None) -> KeyRow:
    return keys.new_key(
        role, name="ann", account=account, agent=agent, now_ms=NOW_MS, randomness=secrets.token_bytes(40)
    )


def _create(store: Store, role: Role = Role.ADMIN, *, name: str = "ann", account: str | None = None) -> KeyRow:
    return keys.create(store, role, name=name, account=account, now_ms=NOW_MS, randomness=secrets.token_bytes(40))


def _stored(store: Store, key_id: str) -> KeyRow:
    key = store.read(lambda connection: rows.get(connection, key_id))
    assert key is not None
    return key


# What a key is -------------------------------------------------------------------------------------------------


def test_a_key_comes_from_its_randomness_and_looks_like_none_of_aws_s() -> None:
    key = keys.new_key(
        Role.READ_ONLY, name="ann", account="123456789012", agent=None, now_ms=NOW_MS, randomness=bytes(range(40))
    )
    assert key.id == "FGAKAAAQEAYEAUDAOCAJ"
    assert key.secret == "CgsMDQ4PEBESExQVFhcYGRobHB0eHyAhIiMkJSYn"  # noqa: S105 (of this test only)
    assert (key.role, key.account, key.created_ms, key.expires_ms) == ("read-only", "123456789012", NOW_MS, None)
    assert key.secret not in repr(key)


def test_every_random_byte_counts_and_too_few_are_refused() -> None:
    seen = set()
    for place in range(40):
        randomness = bytes(int(place == other) for other in range(40))
        key = keys.new_key(Role.ADMIN, name="", account=None, agent=None, now_ms=0, randomness=randomness)
        seen.add((key.id, key.secret))
    assert len(seen) == 40
    with pytest.raises(ValueError, match="40 random bytes, not 39"):
        keys.new_key(Role.ADMIN, name="", account=None, agent=None, now_ms=0, randomness=bytes(39))


def test_a_key_s_caller() -> None:
    key = _new(Role.AGENT, account="123456789012", agent="agent-1")
    assert keys.check(key, NOW_MS + 10**12) == Caller(
        key_id=key.id, name="ann", role=Role.AGENT, account="123456789012", agent="agent-1"
    )


def test_an_enrolment_token_lives_for_a_day_and_names_key_and_secret() -> None:
    key = _new(Role.ENROL)
    assert keys.enrolment_token(key).split(".") == [key.id, key.secret]
    assert keys.check(key, NOW_MS + DAY_MS - 1).role is Role.ENROL
    with pytest.raises(AuthFailure, match=f"{key.id} has expired"):
        keys.check(key, NOW_MS + DAY_MS)


def test_an_agent_s_action_is_registering_with_a_token_once(store: Store) -> None:
    key = _create(store, Role.ENROL)
    assert store.write(lambda connection: rows.use_once(connection, key.id, NOW_MS))
    with pytest.raises(AuthFailure, match="used already"):
        keys.check(_stored(store, key.id), NOW_MS)


@pytest.mark.parametrize(
    ("role", "allowed"),
    [
        (Role.ADMIN, {"CreateFlowLogs", "DescribeFlowLogs", "GetCallerIdentity", "agent:register", "agent:report"}),
        (Role.READ_ONLY, {"DescribeFlowLogs", "GetCallerIdentity"}),
        (Role.AGENT, {"agent:report"}),
        (Role.ENROL, {"agent:register"}),
    ],
)
def test_what_each_role_may_do(role: Role, allowed: set[str]) -> None:
    actions = {
        "CreateFlowLogs",
        "DeleteTags",
        "DescribeFlowLogs",
        "GetCallerIdentity",
        "agent:register",
        "agent:report",
        "describeFlowLogs",
        "",
    }
    caller = keys.check(_new(role), NOW_MS)
    expected = actions if role is Role.ADMIN else allowed
    assert {action for action in actions if keys.may(caller, action)} == expected


# The command line's ----------------------------------------------------------------------------------------------


def test_created_keys_are_listed_oldest_first(store: Store) -> None:
    first = _create(store)
    second = keys.create(
        store,
        Role.READ_ONLY,
        name="bob@example.com",
        account="123456789012",
        now_ms=NOW_MS + 1,
        randomness=secrets.token_bytes(40),
    )
    assert keys.list_keys(store) == [first, second]


@pytest.mark.parametrize(("name", "account"), [("", None), ("a b", None), ("a" * 65, None), ("a\n", None), ("a", "12")])
def test_a_bad_name_or_account_is_refused_and_nothing_stored(store: Store, name: str, account: str | None) -> None:
    with pytest.raises(OptionError, match="--account '12'" if account else "--name"):
        _create(store, name=name, account=account)
    assert keys.list_keys(store) == []


def test_a_disabled_key_is_refused_for_good(store: Store) -> None:
    _create(store)
    key = _create(store, Role.READ_ONLY)
    keys.disable(store, key.id, now_ms=NOW_MS)
    with pytest.raises(AuthFailure, match=f"{key.id} is disabled"):
        keys.check(_stored(store, key.id), NOW_MS)
    with pytest.raises(OptionError, match="disabled already"):
        keys.disable(store, key.id, now_ms=NOW_MS)
    with pytest.raises(OptionError, match="there is no key FGAKNONE"):
        keys.disable(store, "FGAKNONE", now_ms=NOW_MS)


def test_the_last_administrator_s_key_is_disabled_by_force_only(store: Store) -> None:
    key = _create(store)
    _create(store, account="123456789012")  # sees one account only
    _create(store, Role.READ_ONLY)
    with pytest.raises(OptionError, match="last key of an administrator"):
        keys.disable(store, key.id, now_ms=NOW_MS)
    assert _stored(store, key.id).disabled_ms is None
    other = _create(store)
    keys.disable(store, key.id, now_ms=NOW_MS)
    keys.disable(store, other.id, now_ms=NOW_MS, force=True)
    assert _stored(store, other.id).disabled_ms == NOW_MS


def test_a_rotated_key_is_replaced_by_one_that_may_do_the_same(store: Store) -> None:
    old = _create(store, account="123456789012")
    new = keys.rotate(store, old.id, now_ms=NOW_MS + 5, randomness=secrets.token_bytes(40))
    assert (new.name, new.role, new.account, new.created_ms) == (old.name, old.role, old.account, NOW_MS + 5)
    assert new.id != old.id
    assert new.secret != old.secret
    assert _stored(store, old.id).disabled_ms == NOW_MS + 5
    assert _stored(store, new.id).disabled_ms is None
    with pytest.raises(OptionError, match="disabled already"):
        keys.rotate(store, old.id, now_ms=NOW_MS, randomness=secrets.token_bytes(40))


def test_a_rotation_that_fails_changes_nothing(store: Store) -> None:
    old = _create(store)
    with pytest.raises(ValueError, match="random bytes"):
        keys.rotate(store, old.id, now_ms=NOW_MS, randomness=b"")
    assert keys.list_keys(store) == [old]


def _ensure(store: Store, now_ms: int = NOW_MS) -> KeyRow | None:
    return keys.ensure_admin(store, now_ms=now_ms, randomness=secrets.token_bytes(40))


def test_the_administrator_s_key_is_made_once(store: Store) -> None:
    first = _ensure(store)
    assert first is not None
    assert (first.name, first.role, first.account) == ("administrator", "admin", None)
    assert _ensure(store, NOW_MS + 1) == first
    assert keys.list_keys(store) == [first]


def test_the_administrator_s_key_is_the_one_that_took_its_place_and_none_after_it_was_disabled(store: Store) -> None:
    first = _ensure(store)
    assert first is not None
    second = keys.rotate(store, first.id, now_ms=NOW_MS + 1, randomness=secrets.token_bytes(40))
    assert _ensure(store, NOW_MS + 2) == second
    keys.disable(store, second.id, now_ms=NOW_MS + 3, force=True)
    assert _ensure(store, NOW_MS + 4) is None


def test_servers_that_start_together_make_one_administrator_s_key(store_url: str) -> None:
    Store.open(store_url).close()
    stores = [Store.open(store_url) for _ in range(4)]
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda number: _ensure(stores[number % 4]), range(8)))
    assert len({key.id for key in made if key is not None}) == 1
    assert len(keys.list_keys(stores[0])) == 1
    for one in stores:
        one.close()
