"""Entries of the outbox that are set aside, and what cleaning up needs."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("outbox", sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False))
    op.add_column("outbox", sa.Column("retry_time", sa.DateTime(timezone=True), nullable=True))
    op.add_column("outbox", sa.Column("problem", sa.Text(), server_default=sa.text("''"), nullable=False))
    op.alter_column("meetings", "host_id", nullable=True)
    op.create_check_constraint(op.f("ck_meetings_host"), "meetings", "host_id IS NOT NULL OR delete_time IS NOT NULL")
    op.create_index(op.f("ix_meetings_host_id"), "meetings", ["host_id"])
    op.add_column("meetings", sa.Column("purge_time", sa.DateTime(timezone=True), nullable=True))
    op.create_index(
        "ix_meetings_to_purge",
        "meetings",
        ["delete_time"],
        postgresql_where=sa.text("delete_time IS NOT NULL AND purge_time IS NULL"),
    )
    op.create_index(op.f("ix_refresh_tokens_spend_time"), "refresh_tokens", ["spend_time"])
    op.create_index("ix_users_guests", "users", ["create_time"], postgresql_where=sa.text("kind = 'guest'"))


def downgrade() -> None:
    op.drop_index("ix_users_guests", table_name="users")
    op.drop_index(op.f("ix_refresh_tokens_spend_time"), table_name="refresh_tokens")
    op.drop_index("ix_meetings_to_purge", table_name="meetings")
    op.drop_column("meetings", "purge_time")
    op.drop_index(op.f("ix_meetings_host_id"), table_name="meetings")
    op.drop_constraint(op.f("ck_meetings_host"), "meetings", type_="check")
    op.execute(
        "DELETE FROM meeting_participants WHERE meeting_number IN (SELECT number FROM meetings WHERE host_id IS NULL)"
    )
    op.execute("DELETE FROM meetings WHERE host_id IS NULL")
    op.alter_column("meetings", "host_id", nullable=False)
    op.drop_column("outbox", "problem")
    op.drop_column("outbox", "retry_time")
    op.drop_column("outbox", "attempts")
