"""${message}: what it is for, and what becomes of the rows that are there.

Additive.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
${imports if imports else ""}

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}


def upgrade() -> None:
    """Additive: nothing that is mirrored is lost."""
    ${upgrades if upgrades else "pass"}
