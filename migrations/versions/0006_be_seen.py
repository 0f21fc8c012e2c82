"""Keep what people and monitoring are told: why runs failed, since when all is mirrored, notices, how webhooks do.

Additive. Old runs have no `error_kind`: their `error` is all that is known. A source is whole as of its last run that
saw all of it and succeeded, as far as that run is still known, else as of its last complete sweep. The tables `notices`
and `webhooks` are empty until a daemon runs. Two small indexes spare whoever counts what is gone from reading all else.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from versionsync.mirror.types import IdText, UtcTime

revision = "0006"
down_revision = "0005"

WHOLE_AS_OF = """
UPDATE sources SET whole_as_of = coalesce(
    (
        SELECT max(runs.started_at) FROM runs
        WHERE runs.source_id = sources.id
            AND runs.outcome = 'succeeded'
            AND runs.kind IN ('backfill', 'incremental', 'full')
    ),
    last_complete_sweep_at
)
"""


def upgrade() -> None:
    """Additive: nothing that is mirrored is touched."""
    op.add_column("sources", sa.Column("whole_as_of", UtcTime()))
    op.execute(WHOLE_AS_OF)
    # The rule stands with the column: SQLite adds no other one to a table that is there.
    known = sa.CheckConstraint(
        "error_kind IN ('refused', 'unavailable', 'stalled', 'database', 'settings', 'partial', 'vanished', 'budget', "
        "'unexpected')",
        name="ck_runs_error_kind_is_known",
    )
    op.add_column("runs", sa.Column("error_kind", sa.Text(), known))
    op.create_table(
        "notices",
        sa.Column("source_id", sa.Integer(), nullable=False),
        sa.Column("place", IdText(), nullable=False),
        sa.Column("told", sa.Text(), nullable=False),
        sa.Column("told_at", UtcTime(), nullable=False),
        sa.CheckConstraint("told IN ('failing', 'stale', 'vanished')", name="ck_notices_told_is_known"),
        sa.ForeignKeyConstraint(["source_id"], ["sources.id"], name="fk_notices_source_id"),
        sa.PrimaryKeyConstraint("source_id", "place", name="pk_notices"),
    )
    op.create_table(
        "webhooks",
        sa.Column("source_id", sa.Integer(), nullable=False),
        sa.Column("receives", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("last_call_at", UtcTime()),
        sa.Column("log", sa.Text(), server_default=sa.text("'unknown'"), nullable=False),
        sa.Column("log_read_at", UtcTime()),
        sa.Column("gaps", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("last_gap_at", UtcTime()),
        sa.Column("untold", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.CheckConstraint("log IN ('unknown', 'absent', 'refused', 'read')", name="ck_webhooks_log_is_known"),
        sa.CheckConstraint("gaps >= 0 AND untold >= 0", name="ck_webhooks_counts_are_no_debt"),
        sa.ForeignKeyConstraint(["source_id"], ["sources.id"], name="fk_webhooks_source_id"),
        sa.PrimaryKeyConstraint("source_id", name="pk_webhooks"),
    )
    missing, deleted = sa.text("missing_since IS NOT NULL"), sa.text("deleted_at IS NOT NULL")
    op.create_index(
        "versions_missing", "versions", ["source_id", "missing_since"], sqlite_where=missing, postgresql_where=missing
    )
    op.create_index(
        "records_deleted", "records", ["source_id", "deleted_at"], sqlite_where=deleted, postgresql_where=deleted
    )
