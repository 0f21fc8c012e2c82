"""Whether a SQLite file is whole: what its size tells at once, and what SQLite finds by reading all of it.

A file that was copied while somebody wrote to it, or not to its end, is the usual way to a damaged database. Pages that
were never copied read as zeros, so that SQLite by itself may go on for long before it meets one of them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sqlalchemy import Connection

__all__ = ["MAGIC", "is_cut_short", "is_too_short", "problems_in"]

MAGIC: Final = b"SQLite format 3\x00"
HEADER_BYTES: Final = 100
PROBLEMS_SHOWN: Final = 3


def is_cut_short(path: Path) -> bool:
    """Whether the file at `path` is known to be shorter than it was. Costs nothing, and reads one header.

    With a write-ahead log beside it nobody can tell: its last pages may be there and not yet here.
    """
    log = path.with_name(f"{path.name}-wal")
    if _has_content(log):
        return False
    try:
        with path.open("rb") as file:
            header, size = file.read(HEADER_BYTES), path.stat().st_size
    except OSError:
        return False  # whoever opens it says why
    # A log that has come in between is that of a writer who is at it right now.
    return is_too_short(header, size) and not _has_content(log)


def is_too_short(header: bytes, size: int) -> bool:
    """Whether a SQLite file of `size` bytes that begins with `header` lacks its end. Pure."""
    if not header.startswith(MAGIC) or len(header) < HEADER_BYTES:
        return False
    page = int.from_bytes(header[16:18]) or 1
    page = 65536 if page == 1 else page
    # The count of pages is right only where the last two to write agree on it; very old versions left it alone.
    pages = int.from_bytes(header[28:32]) if header[24:28] == header[92:96] else 0
    return size % page != 0 or size < pages * page


def problems_in(connection: Connection) -> list[str]:
    """What SQLite's own check of every page and index finds, a few lines at most; nothing: it is whole.

    Reads the whole database: some seconds for a million versions. Raises DatabaseUnavailable where not even that goes.
    """
    rows = connection.exec_driver_sql(f"PRAGMA integrity_check({PROBLEMS_SHOWN:d})").scalars()
    lines = [line for row in rows for line in str(row).splitlines() if not line.startswith("***")]
    return [] if lines == ["ok"] else lines[:PROBLEMS_SHOWN]


def _has_content(path: Path) -> bool:
    try:
        return path.stat().st_size > 0
    except OSError:
        return False
