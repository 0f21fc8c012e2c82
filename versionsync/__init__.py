"""versionsync keeps every version of every DatoCMS record in a relational database of your own.

import versionsync

with versionsync.open_mirror("versionsync.db") as mirror:
    for version in mirror.versions("article:my-slug"):
        print(version.created_at, version.editor, version.title)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from versionsync.errors import VersionsyncError

if TYPE_CHECKING:
    from versionsync.api import Event, Mirror, Record, State, Version, open_mirror

__all__ = ["Event", "Mirror", "Record", "State", "Version", "VersionsyncError", "__version__", "open_mirror"]

__version__ = "0.1.0"

_FROM_API = frozenset({"Event", "Mirror", "Record", "State", "Version", "open_mirror"})


def __getattr__(name: str) -> Any:
    """Import the API on first use: it loads SQLAlchemy, which `versionsync --help` does not need."""
    if name in _FROM_API:
        from versionsync import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
