"""Bringing the tables of a state up to this version of the program.

Rule: all steps in one transaction, under the lock of writes: a state is of one version or another, never between, and
servers that start together wait for the first.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sqlalchemy import Column, Connection, MetaData, Table, inspect, select

from flowglass.control.store.tables import METADATA, TEXT
from flowglass.fields.errors import StateError

HEAD: Final = "0001"
"""The newest revision in migrations/versions."""

VERSIONS: Final = Table("flowglass_version", MetaData(), Column("version_num", TEXT))
"""Where alembic keeps the revision of a state; a name of our own, since others may keep theirs in the same database."""

MIGRATIONS: Final = Path(__file__).parent / "migrations"


def to_head(connection: Connection) -> None:
    """Migrate a state to HEAD. Raises StateError, which goes on from "the state at …", if that cannot be."""
    if _version(connection) != HEAD:
        _upgrade(connection)


def _version(connection: Connection) -> str | None:
    tables = set(inspect(connection).get_table_names())
    if VERSIONS.name in tables:
        return connection.scalar(select(VERSIONS.c.version_num))
    strange = sorted(tables & METADATA.tables.keys())
    if strange:
        raise StateError(
            f"holds tables of another program ({', '.join(strange)}): give Flowglass a database of its own"
        )
    return None


def _upgrade(connection: Connection) -> None:
    # alembic takes 0.2 s to import, and most starts have nothing to migrate
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    version = _version(connection)
    if version is not None and version not in known:
        raise StateError(f"was written by a newer Flowglass (version {version} of its tables): install that one again")
    config.attributes["connection"] = connection
    command.upgrade(config, HEAD)
