"""Keep how far the log of a webhook's calls was read, so that the next reading can prove that it missed none.

Additive: one table, empty until a daemon finds a webhook of its source. A database without a row there is looked at
as a whole first, as it always was.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from versionsync.mirror.types import IdText, UtcTime

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Additive: nothing that is mirrored is touched."""
    op.create_table(
        "webhook_logs",
        sa.Column("source_id", sa.Integer(), nullable=False),
        sa.Column("webhook_id", IdText(), nullable=False),
        sa.Column("read_at", UtcTime(), nullable=False),
        sa.Column("last_call_id", IdText()),
        sa.Column("last_call_at", UtcTime()),
        sa.CheckConstraint("(last_call_id IS NULL) = (last_call_at IS NULL)", name="ck_webhook_logs_call_has_a_time"),
        sa.ForeignKeyConstraint(["source_id"], ["sources.id"], name="fk_webhook_logs_source_id"),
        sa.PrimaryKeyConstraint("source_id", name="pk_webhook_logs"),
    )
