"""Tell which daemon follows a source, so that a second one stands by; find what a run wrote, so that idle ones can go.

Additive: three tables, empty until a daemon runs (who follows what; how many requests it sent; what webhooks told), and
two indexes. Without those the database reads every event for each run that is forgotten, to see that none refers to it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from versionsync.mirror.types import IdText, JsonText, UtcTime

revision = "0004"
down_revision = "0003"

RISING = sa.BigInteger().with_variant(sa.Integer(), "sqlite")  # SQLite numbers only an INTEGER PRIMARY KEY by itself


def upgrade() -> None:
    """Additive: nothing that is mirrored is touched."""
    op.create_table(
        "followers",
        sa.Column("source_id", sa.Integer(), nullable=False),
        sa.Column("holder", JsonText()),
        sa.Column("expires_at", UtcTime()),
        sa.Column("next_look_at", UtcTime()),
        sa.Column("next_look_reason", sa.Text()),
        sa.CheckConstraint("(holder IS NULL) = (expires_at IS NULL)", name="ck_followers_holder_has_an_end"),
        sa.ForeignKeyConstraint(["source_id"], ["sources.id"], name="fk_followers_source_id"),
        sa.PrimaryKeyConstraint("source_id", name="pk_followers"),
    )
    op.create_table(
        "usage",
        sa.Column("source_id", sa.Integer(), nullable=False),
        sa.Column("day", IdText(), nullable=False),
        sa.Column("requests", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.CheckConstraint("requests >= 0", name="ck_usage_requests_rise"),
        sa.ForeignKeyConstraint(["source_id"], ["sources.id"], name="fk_usage_source_id"),
        sa.PrimaryKeyConstraint("source_id", "day", name="pk_usage"),
    )
    op.create_table(
        "hints",
        sa.Column("id", RISING, sa.Identity(), nullable=False),
        sa.Column("source_id", sa.Integer(), nullable=False),
        sa.Column("record_id", IdText(), nullable=False),
        sa.Column("event_type", sa.Text(), nullable=False),
        sa.Column("received_at", UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(["source_id"], ["sources.id"], name="fk_hints_source_id"),
        sa.PrimaryKeyConstraint("id", name="pk_hints"),
        sqlite_autoincrement=True,
    )
    op.create_index("hints_in_order", "hints", ["source_id", "id"])
    op.create_index("events_of_run", "events", ["run_id"])
    op.create_index("version_rewrites_of_run", "version_rewrites", ["run_id"])
