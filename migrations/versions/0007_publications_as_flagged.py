"""The view of publications has as live what is live. There is nothing to do: views follow the program.

Additive.
"""

from __future__ import annotations

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Additive: nothing that is mirrored is touched."""
