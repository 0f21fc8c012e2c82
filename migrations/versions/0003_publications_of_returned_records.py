"""The view of publications tells those of records that returned. There is nothing to do: views follow the program.

Additive.
"""

from __future__ import annotations

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Additive: nothing that is mirrored is lost."""
