"""Looks into a mirror of SQLite without the product's own code."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

__all__ = ["rows", "version_count"]


def rows(path: Path, sql: str) -> list[tuple[Any, ...]]:
    """What `sql` finds (or does, committed) in the database at `path`."""
    with closing(sqlite3.connect(path)) as database, database:
        return database.execute(sql).fetchall()


def version_count(path: Path) -> int:
    """How many versions are mirrored there."""
    return int(rows(path, "select count(*) from versions")[0][0])
