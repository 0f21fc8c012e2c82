"""The timeline ends no version before it began. There is nothing to do: views follow the program.

Additive.
"""

from __future__ import annotations

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Additive: nothing that is mirrored is touched."""
