"""A real PostgreSQL server for tests: its own cluster in a folder of its own, reached through a socket there.

Rule: only what runs these tests may enter; nothing is left when the server is closed. Durability is off, since the
machine does not go down in a test; killed processes lose nothing by it.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import psycopg

USER: Final = "postgres"
_HOMES: Final = Path("/usr/lib/postgresql")


class NotInstalled(Exception):
    """PostgreSQL, or what is needed to run it, is not on this machine; the text says what."""


def _program(name: str) -> str:
    """The newest version of a program of PostgreSQL: Debian keeps them out of PATH, by version."""
    found = sorted(_HOMES.glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    program = str(found[-1]) if found else shutil.which(name)
    if program is None:
        raise NotInstalled(f"PostgreSQL's {name} is neither under {_HOMES} nor on PATH: install the package postgresql")
    return program


def _as_user() -> list[str]:
    """What to put before a command: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return []
    try:
        pwd.getpwnam(USER)
    except KeyError:
        raise NotInstalled(f"there is no user {USER} to run PostgreSQL, which refuses root") from None
    if shutil.which("setpriv") is None:
        raise NotInstalled("setpriv is not on PATH: install the package util-linux")
    return ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups"]


class PostgreSQL:
    """A server with a new cluster. Raises NotInstalled if there can be none here."""

    def __init__(self) -> None:
        initdb, self._pg_ctl, self._prefix = _program("initdb"), _program("pg_ctl"), _as_user()
        self._folder = Path(tempfile.mkdtemp(prefix="flowglass-pg-"))
        self._databases = 0
        try:
            if self._prefix:
                shutil.chown(self._folder, USER, USER)
            # --auth=trust: the folder of the socket is closed to others
            self._run([initdb, "-D", str(self._data), "-U", USER, "--auth=trust", "--no-sync", "-E", "UTF8"])
            self.start()
        except BaseException:
            shutil.rmtree(self._folder)
            raise

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    def _run(self, command: Sequence[str]) -> None:
        # The server inherits its output and would hold a pipe open: it goes to a file.
        with tempfile.TemporaryFile() as output:
            done = subprocess.run(
                [*self._prefix, *command], cwd=self._folder, stdout=output, stderr=output, check=False
            )
            output.seek(0)
            assert done.returncode == 0, f"{command}: {output.read().decode()}"

    def start(self) -> None:
        """Start the server; returns when it answers."""
        options = f"-k {self._folder} -c listen_addresses= -c fsync=off -c max_wal_size=64MB -c max_connections=200"
        log = str(self._folder / "log")
        self._run([self._pg_ctl, "-D", str(self._data), "-w", "-l", log, "-o", options, "start"])

    def stop(self) -> None:
        """Stop the server at once, as a crash does: connections break and transactions that run are lost."""
        self._run([self._pg_ctl, "-D", str(self._data), "-w", "-m", "immediate", "stop"])

    def close(self) -> None:
        """Stop the server and remove everything."""
        try:
            self.stop()
        finally:
            shutil.rmtree(self._folder)

    def url(self, database: str) -> str:
        """The URL of a database, as an operator writes it. The password is not asked for, but must not be shown."""
        return f"postgresql://{USER}:s3cret@/{database}?host={self._folder}"

    def new_database(self, options: str = "") -> str:
        """Make an empty database; its URL."""
        self._databases += 1
        name = f"test_{self._databases}"
        self._command(f"CREATE DATABASE {name} {options}")
        return self.url(name)

    def drop(self, url: str) -> None:
        """Remove a database, with whoever still uses it: each takes 8 MB."""
        name = url.partition("@/")[2].partition("?")[0]
        self._command(f"DROP DATABASE {name} WITH (FORCE)")

    def _command(self, statement: str) -> None:
        with psycopg.connect(self.url(USER), autocommit=True) as connection:
            connection.execute(statement.encode())
