"""What it takes to copy a mirror to another database: time, rows a second and memory."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import make_url

from benchmarks.databases import Database, Databases
from benchmarks.history.edited_mirror import build_edited
from benchmarks.processes import in_own_process, peak_memory
from benchmarks.tables import Table, megabytes, thousands
from versionsync.mirror.copy import copy_mirror

__all__ = ["measure"]

VERSIONS = 10
BYTES = 1_000
DIRECTIONS = (
    ("SQLite", "PostgreSQL"),
    ("PostgreSQL", "SQLite"),
    ("SQLite", "SQLite"),
    ("PostgreSQL", "PostgreSQL"),
)


@dataclass(frozen=True, slots=True)
class Measured:
    """What one copy took: seconds until all rows were written, then until they were compared, CPU, and memory."""

    rows: int
    copying: float
    seconds: float
    cpu: float
    peak: int


def measure(databases: Databases, *, small: bool, large: bool) -> list[Table]:
    """One table: each direction, of a mirror of 100,000 versions; `large`: of a million, `small`: of a thousand."""
    records = 100 if small else 100_000 if large else 10_000
    made: dict[str, Database] = {}
    first = databases.sqlite()
    in_own_process(build_edited, first.url, records=records, versions=VERSIONS, bytes_per_version=BYTES)
    made["SQLite"] = first
    rows = []
    for source, target in DIRECTIONS:
        to = databases.sqlite() if target == "SQLite" else databases.postgres()
        before = to.server_seconds()
        measured = in_own_process(_copy, made[source].url, to.url)
        server = to.server_seconds() - before
        if target not in made:
            made[target] = to
        elif target == "SQLite":
            Path(make_url(to.url).database or "").unlink()
        rows.append(
            [
                f"{source} to {target}",
                thousands(measured.rows),
                f"{measured.seconds:.1f} s",
                f"{measured.copying:.1f} s",
                thousands(measured.rows / measured.seconds),
                f"{measured.cpu:.1f} s",
                f"{server:.1f} s" if server else "",
                megabytes(measured.peak),
            ]
        )
    return [
        Table(
            f"A copy of {thousands(records * VERSIONS)} versions of {BYTES // 1000} KB",
            ("direction", "rows", "time", "of it copying", "rows/s", "CPU", "of the server", "peak memory"),
            rows,
            ("The time includes the indexes and the comparison of all rows. Memory must stay below 200 MB.",),
        )
    ]


def _copy(source: str, target: str) -> Measured:
    copied_at = began = time.perf_counter()
    cpu = time.process_time()

    def progress(stage: str, done: int, of: int) -> None:
        nonlocal copied_at
        if stage.startswith("copying"):
            copied_at = time.perf_counter()

    copied = copy_mirror(source, target, progress=progress)
    if copied.differences:
        raise RuntimeError(f"the copy is not the same: {copied.differences}")
    rows = sum(table.source.rows for table in copied.tables)
    return Measured(rows, copied_at - began, time.perf_counter() - began, time.process_time() - cpu, peak_memory())
