"""The view of publications agrees with the flags on what is live. There is nothing to do: views follow the program.

Additive.
"""

from __future__ import annotations

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Additive: nothing that is mirrored is touched."""
