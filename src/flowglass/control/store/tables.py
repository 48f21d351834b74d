"""The tables of the state, the same on SQLite and PostgreSQL.

Rule: a change here needs a migration beside it; a test compares what the migrations make with this file. Text sorts by
code point on both databases. Times are milliseconds since 1970 (UTC), named `_ms`.
"""

from __future__ import annotations

import json
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)


class Document(TypeDecorator[Any]):
    """A JSON value kept as text: nothing here asks the database to look inside, and both keep it alike."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str:
        """The value as compact ASCII, so that any text in it can be stored."""
        return json.dumps(value, separators=(",", ":"))

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        """The value again; tuples come back as lists."""
        return None if value is None else json.loads(value)


TEXT: Final = Text().with_variant(Text(collation="C"), "postgresql")
"""Text in code point order. SQLite's default is that already."""

SEQUENCE: Final = BigInteger().with_variant(Integer, "sqlite")
"""A number that the database gives. SQLite gives them to a column of type INTEGER only."""

METADATA: Final = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
    }
)


def _text(name: str, *, null: bool = False, key: bool = False) -> Column[str]:
    return Column(name, TEXT, nullable=null, primary_key=key)


def _time(name: str, *, null: bool = False) -> Column[int]:
    return Column(name, BigInteger, nullable=null)


FLOW_LOGS: Final = Table(
    "flow_logs",
    METADATA,
    Column("seq", SEQUENCE, primary_key=True, autoincrement=True),
    _text("id"),
    _text("account"),
    _text("region"),
    _text("resource_id"),
    _text("resource_type"),
    _text("traffic_type"),
    _text("log_destination_type"),
    _text("log_destination", null=True),
    _text("log_group_name", null=True),
    _text("deliver_logs_permission_arn", null=True),
    _text("deliver_cross_account_role", null=True),
    _text("log_format"),
    Column("max_aggregation_interval", Integer, nullable=False),
    _text("file_format"),
    Column("hive_compatible_partitions", Boolean, nullable=False),
    Column("per_hour_partition", Boolean, nullable=False),
    Column("tag_fields", Document, nullable=False),
    _text("destination_key"),
    _time("created_ms"),
    UniqueConstraint("id"),
    # One flow log a resource, destination and traffic type; resource_id first, so that it also finds by resource.
    UniqueConstraint("resource_id", "account", "region", "destination_key", "traffic_type"),
    # Numbers are never given again, so a page token that holds one keeps its place after a delete.
    sqlite_autoincrement=True,
)

TAGS: Final = Table(
    "tags",
    METADATA,
    Column("flow_log_id", TEXT, ForeignKey("flow_logs.id", ondelete="CASCADE"), primary_key=True),
    _text("key", key=True),
    _text("value"),
)

DELIVERIES: Final = Table(
    "deliveries",
    METADATA,
    Column("flow_log_id", TEXT, ForeignKey("flow_logs.id", ondelete="CASCADE"), primary_key=True),
    _text("agent", key=True),
    _text("status"),
    _text("message", null=True),
    _time("at_ms"),
    Column("objects", BigInteger, nullable=False),
)

CLIENT_TOKENS: Final = Table(
    "client_tokens",
    METADATA,
    _text("account", key=True),
    _text("region", key=True),
    _text("token", key=True),
    _text("action"),
    _text("digest"),
    Column("answer", Document, nullable=False),
    _time("created_ms"),
    Index(None, "created_ms"),
)

KEYS: Final = Table(
    "keys",
    METADATA,
    _text("id", key=True),
    _text("secret"),
    _text("name"),
    _text("role"),
    _text("account", null=True),
    _text("agent", null=True),
    _time("created_ms"),
    _time("expires_ms", null=True),
    _time("disabled_ms", null=True),
    _time("used_ms", null=True),
)

AGENTS: Final = Table(
    "agents",
    METADATA,
    _text("id", key=True),
    _text("name"),
    _text("version"),
    _time("registered_ms"),
    _time("seen_ms"),
    _text("inventory_digest", null=True),
    Column("report", Document, nullable=False),
)

RESOURCES: Final = Table(
    "resources",
    METADATA,
    _text("kind", key=True),
    _text("id", key=True),
    Column("agent", TEXT, ForeignKey("agents.id", ondelete="CASCADE"), primary_key=True),
    _text("account"),
    _text("region"),
    _text("vpc", null=True),
    Column("document", Document, nullable=False),
    Index(None, "agent"),
    Index(None, "account", "region"),
)

SETTINGS: Final = Table("settings", METADATA, _text("name", key=True), _text("value"))
