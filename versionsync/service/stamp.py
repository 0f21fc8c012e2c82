"""The last line of an installed unit file, by which one that was changed by hand is told from an old one. Pure."""

from __future__ import annotations

import hashlib
import re
from enum import StrEnum
from typing import Final

__all__ = ["Standing", "stamped", "standing_of", "without_stamp"]

_STAMP: Final = re.compile(r"\n# Installed by versionsync \S+ \(([0-9a-f]{16})\)\.\n\Z")


class Standing(StrEnum):
    """How a file stands to what should be there."""

    MISSING = "missing"
    CURRENT = "current"
    OLD = "old"
    """As another version or with other settings it was installed, and nobody has changed it since."""
    CHANGED = "changed"
    """Changed by hand, or not ours."""


def stamped(text: str, version: str) -> str:
    """`text` as it is installed."""
    return f"{text}\n# Installed by versionsync {version} ({_digest(text)}).\n"


def without_stamp(text: str) -> str:
    """What somebody wrote, or we did, without the stamp."""
    return _STAMP.sub("", text)


def standing_of(found: str | None, wanted: str | None) -> Standing:
    """How the file that holds `found` (None: there is none) stands to the unstamped text `wanted` (None: no file)."""
    if found is None:
        return Standing.CURRENT if wanted is None else Standing.MISSING
    body = without_stamp(found)
    if body == wanted:
        return Standing.CURRENT
    stamp = _STAMP.search(found)
    return Standing.OLD if stamp and stamp[1] == _digest(body) else Standing.CHANGED


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
