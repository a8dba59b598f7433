"""Alembic runs this for each command; `control_plane.storage.migrate` gives it the connection."""

from alembic import context

from control_plane.storage.tables import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    compare_type=True,
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
