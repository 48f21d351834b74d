"""What alembic runs to migrate: the transaction that it is handed, nothing of its own.

Rule: it neither connects nor commits.
"""

from __future__ import annotations

from alembic import context

from flowglass.control.store.migrate import VERSIONS
from flowglass.control.store.tables import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    version_table=VERSIONS.name,
    transactional_ddl=True,
)
context.run_migrations()
