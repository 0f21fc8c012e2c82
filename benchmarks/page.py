"""`docs/performance.md`: results between its markers, with the machine they come from."""

from __future__ import annotations

import os
import platform
import re
import sqlite3
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from benchmarks.tables import Table

__all__ = ["PAGE", "machine", "write"]

PAGE = Path(__file__).resolve().parents[1] / "docs" / "performance.md"


def machine(postgres: str) -> str:
    """The machine and the versions of what was measured, in one line."""
    libraries = ", ".join(
        f"{name} {version(name)}" for name in ("httpx", "aiohttp", "msgspec", "rapidfuzz", "sqlalchemy", "psycopg")
    )
    return (
        f"{os.cpu_count()} cores ({platform.machine()}), {platform.system()}, Python {platform.python_version()}, "
        f"SQLite {sqlite3.sqlite_version}, PostgreSQL {postgres}, {libraries}; versionsync {version('versionsync')}"
    )


def write(name: str, tables: Sequence[Table], described: str) -> None:
    """Put the results of the benchmark `name` between its markers; the page must have them."""
    begin, end = f"<!-- benchmark {name} -->", "<!-- end -->"
    found = re.compile(f"{re.escape(begin)}\n.*?{re.escape(end)}", re.DOTALL)
    text = PAGE.read_text()
    if not found.search(text):
        raise SystemExit(f"{PAGE} has no place for {name}: {begin} … {end}")
    body = "\n".join(table.markdown() for table in tables)
    PAGE.write_text(found.sub(lambda _: f"{begin}\n\n{body}\nMeasured with {described}.\n\n{end}", text, count=1))
