"""Alembic runs this for each command; `control_plane.platform.postgres.migrate` gives it the connection."""

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
