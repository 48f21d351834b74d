"""Opening a state: what is refused and with which words, what is made, and what an outage does."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, select, text, update
from tests.support.databases import PostgreSQL
from tests.support.state import read, write

from flowglass.control.store import Conflict, Store, StoreUnavailable, migrate, settings, sqlite
from flowglass.control.store.tables import METADATA
from flowglass.fields.errors import StateError

OPEN = "import sys; from flowglass.control.store import Store; Store.open(sys.argv[1]).close()"


def refusal(url: str) -> str:
    """The line with which a URL is refused."""
    with pytest.raises(StateError) as caught:
        Store.open(url)
    message = str(caught.value)
    assert "\n" not in message
    return message


def pragma(connection: Connection, name: str) -> object:
    """What SQLite has set for a connection."""
    return connection.scalar(text(f"PRAGMA {name}"))


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("", "cannot be read"),
        ("state.db", "cannot be read"),
        ("mysql://host/db", "database mysql, which is not supported"),
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("sqlite:///state.db?mode=ro", "names no file, or more than a file"),
        ("postgresql://me:s3cret@host:port/db", "cannot be read"),
        ("postgresql://me:s3@cret@host/db", "the host in the state's URL is none"),
    ],
)
def test_a_wrong_url_is_refused_with_the_forms_and_without_the_password(url: str, reason: str) -> None:
    message = refusal(url)
    assert reason in message
    assert "write sqlite:////absolute/path/state.db or postgresql://USER:PASSWORD@HOST:PORT/DATABASE" in message
    assert "s3" not in message
    assert "cret" not in message


def test_a_server_that_is_not_there_is_named_without_the_password() -> None:
    message = refusal("postgres://me:s3cret@127.0.0.1:1/db?sslpassword=s3cret")
    assert message.startswith("the state at postgresql://me@127.0.0.1:1/db: connection failed")
    assert message.endswith("; check host, port, database, user and password of [server] state")
    assert "s3cret" not in message


def test_a_database_that_is_not_there_says_what_to_check(postgresql: PostgreSQL) -> None:
    message = refusal(postgresql.url("no_such_database"))
    assert 'database "no_such_database" does not exist; check host, port, database, user and password' in message


def test_an_option_that_postgresql_does_not_have_is_refused(postgresql: PostgreSQL) -> None:
    assert 'invalid connection option "colour"' in refusal(postgresql.url("postgres") + "&colour=red")


def test_a_database_of_another_encoding_is_refused(postgresql: PostgreSQL) -> None:
    url = postgresql.new_database("ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
    assert "has the encoding LATIN1" in refusal(url)


def test_what_is_no_state_file_is_refused(tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.db"
    damaged.write_bytes(b"no database, but long enough to have a header" * 100)
    assert "file is not a database; restore a backup" in refusal(f"sqlite:///{damaged}")
    assert damaged.read_bytes().startswith(b"no database")
    assert "is no file" in refusal(f"sqlite:///{tmp_path}")
    assert f"the state {tmp_path}/none/state.db cannot be made: No such" in refusal(
        f"sqlite:///{tmp_path}/none/state.db"
    )


def test_a_file_that_is_cut_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    Store.open(f"sqlite:///{path}").close()
    path.write_bytes(path.read_bytes()[:8192])
    assert "malformed" in refusal(f"sqlite:///{path}")


def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    umask = os.umask(0)
    try:
        store = Store.open(f"sqlite:///{path}")
        write(store, settings.put_if_absent, "a", "b")
        modes = {file.name: file.stat().st_mode & 0o777 for file in tmp_path.iterdir()}
        store.close()
    finally:
        os.umask(umask)
    assert modes == {"state.db": 0o600, "state.db-wal": 0o600, "state.db-shm": 0o600}
    path.chmod(0o664)
    Store.open(f"sqlite:///{path}").close()
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_commit_reaches_the_disk(tmp_path: Path) -> None:
    store = Store.open(f"sqlite:///{tmp_path / 'state.db'}")
    found = {name: read(store, pragma, name) for name in ("journal_mode", "synchronous", "foreign_keys")}
    store.close()
    assert found == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


def test_a_relative_path_stays_the_same_file_when_the_folder_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    store = Store.open("sqlite:///state.db")
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    store.close()
    write(store, settings.put_if_absent, "a", "b")
    store.close()
    assert not list((tmp_path / "below").iterdir())


def test_what_was_written_is_there_after_opening_again(store_url: str) -> None:
    first = Store.open(store_url)
    write(first, settings.put_if_absent, "a", "b")
    first.close()
    again = Store.open(store_url)
    assert read(again, settings.get, "a") == "b"
    again.close()


def test_migrations_make_what_the_tables_say(store: Store) -> None:
    def differences(connection: Connection) -> object:
        options = {"version_table": migrate.VERSIONS.name, "compare_type": True, "compare_server_default": True}
        context = MigrationContext.configure(connection, opts=options)
        return compare_metadata(context, METADATA)

    assert store.read(differences) == []


def test_the_head_is_the_newest_migration() -> None:
    config = Config()
    config.set_main_option("script_location", str(migrate.MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_current_head() == migrate.HEAD


def test_a_state_of_a_newer_version_is_refused_and_left_as_it_is(store_url: str) -> None:
    store = Store.open(store_url)
    store.write(lambda c: c.execute(update(migrate.VERSIONS).values(version_num="9999")))
    message = refusal(store_url)
    assert "was written by a newer Flowglass (version 9999 of its tables): install that one again" in message
    assert "s3cret" not in message
    assert store.read(lambda c: c.scalar(select(migrate.VERSIONS))) == "9999"
    store.close()


def test_a_database_with_tables_of_another_program_is_refused(store_url: str) -> None:
    statement = "CREATE TABLE tags (id INTEGER)"
    if store_url.startswith("sqlite"):
        with sqlite3.connect(store_url.removeprefix("sqlite:///")) as file:
            file.execute(statement)
    else:
        with psycopg.connect(store_url) as server:
            server.execute(statement)
    assert "holds tables of another program (tags): give Flowglass a database of its own" in refusal(store_url)


def test_processes_that_open_a_new_state_at_once_all_succeed(store_url: str) -> None:
    started = [
        subprocess.Popen([sys.executable, "-c", OPEN, store_url], stderr=subprocess.PIPE, text=True) for _ in range(4)
    ]
    failed = [error for error in (process.communicate()[1] for process in started) if error]
    assert failed == []


def test_a_lock_held_for_too_long_is_a_conflict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "BUSY_S", 0.05)
    path = tmp_path / "state.db"
    store = Store.open(f"sqlite:///{path}")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Conflict, match="database is locked"):
        write(store, settings.put_if_absent, "a", "b")
    assert read(store, settings.get, "a") is None
    other.execute("COMMIT")
    assert write(store, settings.put_if_absent, "a", "b") == "b"
    other.close()
    store.close()


def test_a_full_disk_makes_the_state_unavailable_and_keeps_it_whole(tmp_path: Path) -> None:
    store = Store.open(f"sqlite:///{tmp_path / 'state.db'}")

    def fill(connection: Connection) -> None:
        connection.execute(text("PRAGMA max_page_count = 1"))  # SQLite's own limit; never below the present size
        settings.put_if_absent(connection, "large", "x" * 1_000_000)

    with pytest.raises(StoreUnavailable, match="database or disk is full"):
        store.write(fill)
    assert read(store, settings.get, "large") is None
    store.close()


def test_an_outage_of_the_server_is_told_quickly_and_ends_by_itself(postgresql: PostgreSQL) -> None:
    store = Store.open(postgresql.new_database())
    write(store, settings.put_if_absent, "a", "b")
    postgresql.stop()
    try:
        began = time.monotonic()
        with pytest.raises(StoreUnavailable) as caught:
            read(store, settings.get, "a")
        with pytest.raises(StoreUnavailable):
            write(store, settings.put_if_absent, "c", "d")
        assert not store.ready()
        assert time.monotonic() - began < 5
        assert "s3cret" not in str(caught.value)
    finally:
        postgresql.start()
    assert store.ready()
    assert read(store, settings.get, "a") == "b"
    store.close()


def test_a_server_that_stops_during_a_write_leaves_nothing_of_it(postgresql: PostgreSQL) -> None:
    store = Store.open(postgresql.new_database())

    def work(connection: Connection) -> None:
        settings.put_if_absent(connection, "a", "b")
        postgresql.stop()
        settings.put_if_absent(connection, "c", "d")

    try:
        with pytest.raises(StoreUnavailable):
            store.write(work)
    finally:
        postgresql.start()
    assert read(store, settings.get, "a") is None
    store.close()


def test_a_look_that_writes_is_refused_where_the_database_can_tell(postgresql: PostgreSQL) -> None:
    store = Store.open(postgresql.new_database())
    with pytest.raises(StoreUnavailable, match="read-only"):
        store.read(lambda c: settings.put_if_absent(c, "a", "b"))
    store.close()


def test_an_open_state_is_ready(store: Store) -> None:
    assert store.ready()
