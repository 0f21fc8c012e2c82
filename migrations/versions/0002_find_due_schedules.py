"""Find the records with a schedule without reading all others: each run asks whether one was due.

Additive: two indexes of the few records that have a schedule.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Additive: nothing that is mirrored is lost."""
    for name, column in (
        ("records_to_be_published", "publication_scheduled_at"),
        ("records_to_be_unpublished", "unpublishing_scheduled_at"),
    ):
        scheduled = sa.text(f"{column} IS NOT NULL")
        op.create_index(name, "records", ["source_id", column], sqlite_where=scheduled, postgresql_where=scheduled)
