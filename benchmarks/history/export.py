"""How fast exports are, how much memory they take, and what a second one costs."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.databases import Databases
from benchmarks.history.edited_mirror import build_edited
from benchmarks.processes import in_own_process, peak_memory
from benchmarks.tables import Table, megabytes, thousands
from versionsync.export.batches import export_batch
from versionsync.export.git import export_git
from versionsync.mirror.database import Mirror
from versionsync.mirror.tables.sources import sources_of

__all__ = ["measure"]

VERSIONS = 10
BYTES = 2_000
RECORDS = {"small": 1_000, "usual": 10_000, "large": 100_000}
MOST_COMMITS = 100_000
"""A repository of more takes longer than anyone waits for a benchmark."""
FORMATS = ("parquet", "ndjson", "csv", "git")


@dataclass(frozen=True, slots=True)
class Measured:
    """What one export took: seconds of the wall and of this process, rows or commits, and the most memory."""

    seconds: float
    cpu: float
    rows: int
    peak: int


def measure(databases: Databases, *, small: bool, large: bool) -> list[Table]:
    """One table: each format on both databases."""
    records = RECORDS["small" if small else "large" if large else "usual"]
    rows = []
    for database in databases.both():
        build_edited(database.url, records=records, versions=VERSIONS, bytes_per_version=BYTES)
        for format in FORMATS:
            if format == "git" and records * VERSIONS > MOST_COMMITS:
                continue
            with TemporaryDirectory() as folder:
                first = in_own_process(_export, database.url, folder, format)
                again = in_own_process(_export, database.url, folder, format)
            rows.append(
                [
                    f"{database.kind}, {format}",
                    f"{first.seconds:.1f} s",
                    f"{first.cpu:.1f} s",
                    thousands(first.rows / first.seconds),
                    megabytes(first.peak),
                    f"{again.seconds:.2f} s",
                    thousands(again.rows),
                ]
            )
    return [
        Table(
            f"Exports of {thousands(records * VERSIONS)} versions of {thousands(BYTES)} bytes, with their events",
            (
                "database, format",
                "seconds",
                "of our CPU",
                "rows or commits a second",
                "peak memory",
                "again, with nothing new",
                "rows then",
            ),
            rows,
        )
    ]


def _export(url: str, folder: str, format: str) -> Measured:
    with Mirror.open(url, reads_only=True) as mirror:
        began, cpu = time.perf_counter(), time.process_time()
        if format == "git":
            with mirror.read() as connection:
                (source,) = sources_of(connection)
            rows = export_git(mirror, source, Path(folder)).commits
        else:
            rows = sum(export_batch(mirror, "website", Path(folder), format=format).rows.values())
        return Measured(time.perf_counter() - began, time.process_time() - cpu, rows, peak_memory())
