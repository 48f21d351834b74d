"""The first tables of the state.

Rule: a migration spells out what it makes, and is not changed once it was released.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
SEQUENCE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def text(name: str, *, null: bool = False) -> sa.Column[str]:
    """A column of text."""
    return sa.Column(name, TEXT, nullable=null)


def number(name: str, *, null: bool = False) -> sa.Column[int]:
    """A column of whole numbers of 64 bits."""
    return sa.Column(name, sa.BigInteger(), nullable=null)


def upgrade() -> None:
    """Make the tables."""
    flow_logs()
    of_flow_logs()
    op.create_table(
        "client_tokens",
        text("account"),
        text("region"),
        text("token"),
        text("action"),
        text("digest"),
        sa.Column("answer", sa.Text(), nullable=False),
        number("created_ms"),
        sa.PrimaryKeyConstraint("account", "region", "token", name="pk_client_tokens"),
    )
    op.create_index("ix_client_tokens_created_ms", "client_tokens", ["created_ms"])
    op.create_table(
        "keys",
        text("id"),
        text("secret"),
        text("name"),
        text("role"),
        text("account", null=True),
        text("agent", null=True),
        number("created_ms"),
        number("expires_ms", null=True),
        number("disabled_ms", null=True),
        number("used_ms", null=True),
        sa.PrimaryKeyConstraint("id", name="pk_keys"),
    )
    agents_and_resources()
    op.create_table(
        "settings",
        text("name"),
        text("value"),
        sa.PrimaryKeyConstraint("name", name="pk_settings"),
    )


def flow_logs() -> None:
    """Make the table of flow logs."""
    op.create_table(
        "flow_logs",
        sa.Column("seq", SEQUENCE, nullable=False, autoincrement=True),
        text("id"),
        text("account"),
        text("region"),
        text("resource_id"),
        text("resource_type"),
        text("traffic_type"),
        text("log_destination_type"),
        text("log_destination", null=True),
        text("log_group_name", null=True),
        text("deliver_logs_permission_arn", null=True),
        text("deliver_cross_account_role", null=True),
        text("log_format"),
        sa.Column("max_aggregation_interval", sa.Integer(), nullable=False),
        text("file_format"),
        sa.Column("hive_compatible_partitions", sa.Boolean(), nullable=False),
        sa.Column("per_hour_partition", sa.Boolean(), nullable=False),
        sa.Column("tag_fields", sa.Text(), nullable=False),
        text("destination_key"),
        number("created_ms"),
        sa.PrimaryKeyConstraint("seq", name="pk_flow_logs"),
        sa.UniqueConstraint("id", name="uq_flow_logs_id"),
        sa.UniqueConstraint(
            "resource_id", "account", "region", "destination_key", "traffic_type", name="uq_flow_logs_resource_id"
        ),
        sqlite_autoincrement=True,
    )


def of_flow_logs() -> None:
    """Make the tables of what goes with a flow log."""
    op.create_table(
        "tags",
        text("flow_log_id"),
        text("key"),
        text("value"),
        sa.PrimaryKeyConstraint("flow_log_id", "key", name="pk_tags"),
        sa.ForeignKeyConstraint(["flow_log_id"], ["flow_logs.id"], name="fk_tags_flow_log_id", ondelete="CASCADE"),
    )
    op.create_table(
        "deliveries",
        text("flow_log_id"),
        text("agent"),
        text("status"),
        text("message", null=True),
        number("at_ms"),
        number("objects"),
        sa.PrimaryKeyConstraint("flow_log_id", "agent", name="pk_deliveries"),
        sa.ForeignKeyConstraint(
            ["flow_log_id"], ["flow_logs.id"], name="fk_deliveries_flow_log_id", ondelete="CASCADE"
        ),
    )


def agents_and_resources() -> None:
    """Make the tables of agents and of the inventory that they send."""
    op.create_table(
        "agents",
        text("id"),
        text("name"),
        text("version"),
        number("registered_ms"),
        number("seen_ms"),
        text("inventory_digest", null=True),
        sa.Column("report", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_agents"),
    )
    op.create_table(
        "resources",
        text("kind"),
        text("id"),
        text("agent"),
        text("account"),
        text("region"),
        text("vpc", null=True),
        sa.Column("document", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "id", "agent", name="pk_resources"),
        sa.ForeignKeyConstraint(["agent"], ["agents.id"], name="fk_resources_agent", ondelete="CASCADE"),
    )
    op.create_index("ix_resources_agent", "resources", ["agent"])
    op.create_index("ix_resources_account", "resources", ["account", "region"])
